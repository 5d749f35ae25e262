"""What ends an entry with one sentence."""

from __future__ import annotations

import signal
from types import SimpleNamespace

import pytest
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from gaze.errors import UserError
from gaze.explain import explained
from gaze.memory import told
from gaze.signals import Interrupted

CONFIG = {
    "trainer": {"batch_size": 4, "val_batch_size": None, "amp": False},
    "backbone": {"face_points": 900},
    "model": {"feature_size": 128},
    "vae": {"recompute": True},
}


@pytest.fixture
def ended(monkeypatch):
    """`ended(error, mode)` -> what an entry that fails so ends with."""

    def run(error, mode=RunMode.RUN, **keys):
        monkeypatch.setattr(HydraConfig, "get", lambda: SimpleNamespace(mode=mode))

        @explained
        def entry(config):
            raise error

        with pytest.raises(BaseException) as ending:  # noqa: PT011
            entry(OmegaConf.create({**CONFIG, **keys}))
        return ending.value

    return run


@pytest.mark.fault("O1")
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError(),
    ],
)
def test_a_lack_of_memory_names_the_settings_that_this_run_has(ended, capsys, error):
    assert isinstance(ended(error), SystemExit)
    said = capsys.readouterr().err
    assert "error: memory does not suffice (" in said
    assert "trainer.batch_size (now 4) or backbone.face_points (now 900) or model.feature_size (now 128)" in said
    assert ", or set trainer.amp=true" in said
    assert "vae.recompute" not in said  # it is on already
    assert "GPU 0" not in said


def test_a_config_without_such_settings_is_told_what_it_can_do():
    assert told(MemoryError()) == (
        "memory does not suffice (MemoryError); take less at once, or a device with more memory"
    )


def test_an_interruption_says_how_to_go_on(ended, capsys):
    for mode, how in ((RunMode.RUN, "with dir=... to go on"), (RunMode.MULTIRUN, "the same command to go on")):
        end = ended(Interrupted(signal.SIGTERM), mode)
        assert isinstance(end, SystemExit)
        assert end.code == 143
        assert how in capsys.readouterr().err


def test_an_interrupted_trial_tells_its_search(ended):
    stop = Interrupted(signal.SIGTERM)
    assert ended(stop, RunMode.MULTIRUN, trial={"number": 3}) is stop


def test_other_errors_and_sweeps_are_passed_on(ended, capsys):
    wrong = RuntimeError("shapes do not fit")
    assert ended(wrong) is wrong
    memory = torch.OutOfMemoryError("CUDA out of memory")
    assert ended(memory, RunMode.MULTIRUN) is memory
    assert isinstance(ended(UserError("no such file; make it")), SystemExit)
    assert "error: no such file; make it" in capsys.readouterr().err
