"""Loader workers that are killed, raise or hang: one sentence with the worker and its sample, in seconds."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from multiprocessing import active_children
from types import SimpleNamespace

import pytest

from gaze.datasets.image import ImageError
from gaze.hardware import Hardware
from gaze.loader import LoaderError, _Watching
from tests.stubs.line import Line
from tests.stubs.training import line_trainer

BAD = 13  # the sample at which it happens


class Failing(Line):
    """A line that does something to the process that reads one of its samples."""

    def __init__(self, split, act, samples=48):
        super().__init__(split, samples)
        self.act = act

    def sample(self, index, generator):
        if index == BAD:
            self.act()
        return super().sample(index, generator)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def leave():
    os._exit(3)


def damaged():
    raise ImageError("faces/13.jpg", "the file is empty; restore or remove it")


def mistaken():
    raise KeyError("gaze")


def hang():
    time.sleep(60)


def loader(act, **settings):
    hardware = Hardware(device="cpu", workers=2, **settings)
    return hardware.loader(Failing("train", act), batch_size=4)


def error_of(loader):
    """The message of a pass over a loader, and the seconds from the first batch to it; workers must be gone then."""
    before, begun = {child.pid for child in active_children()}, time.monotonic()
    with pytest.raises(LoaderError) as caught:
        for _ in loader:
            pass
    assert {child.pid for child in active_children()} <= before, "a worker outlived the error"
    return str(caught.value), time.monotonic() - begun


@pytest.mark.fault("D11")
@pytest.mark.parametrize(
    ("act", "how"),
    [
        (die, r"was ended by SIGKILL; .*13; the system does that when memory runs out: lower hardware\.workers"),
        (leave, r"ended with exit code 3; .*13; look at that sample"),
    ],
)
def test_a_worker_that_dies_is_named_with_the_sample_that_it_was_at(act, how):
    """Batches of four, in turns: the fourth, samples 12 to 15, is the second worker's."""
    message, seconds = error_of(loader(act))
    assert seconds < 5
    assert "loader worker 1 (process " in message
    assert "its last sample was 13" in message
    assert re.search(how, message), message


@pytest.mark.fault("D11")
def test_a_sample_that_raises_is_named_by_one_clear_sentence():
    message, seconds = error_of(loader(damaged))
    assert message == "sample 13 can't be loaded: faces/13.jpg: the file is empty; restore or remove it"
    assert seconds < 5


@pytest.mark.fault("D11")
def test_a_mistake_in_the_code_of_a_data_set_shows_where_it_is():
    message, _ = error_of(loader(mistaken))
    assert "sample 13 can't be loaded: KeyError: 'gaze'\nTraceback" in message
    assert "in mistaken" in message


@pytest.mark.fault("D11")
def test_a_worker_that_hangs_is_given_up_and_shows_its_stack(capfd):
    message, seconds = error_of(loader(hang, loader_timeout_s=1.0))
    assert seconds < 5
    assert "gave nothing for 1 s (its stack is above); its last sample was 13" in message
    assert "raise hardware.loader_timeout_s" in message
    assert "in hang" in capfd.readouterr().err


@pytest.mark.fault("D11")
def test_training_ends_with_that_sentence_and_keeps_its_checkpoint(tmp_path):
    """Between batches, too: torch's own alarm would strike in the middle of a step or of a checkpoint."""
    hardware = Hardware(device="cpu", workers=1)
    trainer = line_trainer(tmp_path, hardware=hardware, train_set=Failing("train", die))
    with pytest.raises(LoaderError, match=r"loader worker 0 .* its last sample was 13"):
        trainer.fit()
    assert not active_children()
    for signum in (signal.SIGTERM, signal.SIGINT):
        assert signal.getsignal(signum) in (signal.SIG_DFL, signal.default_int_handler)


@pytest.mark.fault("D11")
def test_a_loader_that_failed_begins_anew():
    failing = loader(damaged)
    error_of(failing)
    assert next(iter(failing)).index.tolist() == [0, 1, 2, 3]
    error_of(failing)


def test_a_timeout_is_above_zero():
    with pytest.raises(ValueError, match="expected seconds above 0, or null"):
        Hardware(device="cpu", loader_timeout_s=0.0)


@pytest.mark.fault("D11")
def test_the_end_of_the_thread_that_pins_memory_is_said_and_no_worker_blamed():
    ended = SimpleNamespace(
        _try_get_data=lambda wait: (False, None),
        _pin_memory=True,
        _pin_memory_thread=threading.Thread(),
        _timeout=0.001,
        _end=lambda: None,
    )
    with pytest.raises(LoaderError, match="the thread that copies batches for the device ended"):
        _Watching._get_data(ended)
