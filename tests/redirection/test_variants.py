"""A sweep over redirectors is tabled by pairs, redirected and judged as in an evaluation."""

import functools
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from gaze.errors import UserError
from gaze.hardware import Hardware
from gaze.journal import NAME as JOURNAL
from gaze.redirection import judges, variants
from gaze.redirection.variants import RedirectedPairs
from gaze.runs import build, plain_config
from gaze.variants import Variants
from tests.redirection.some_heads import ColourReader, PaintedHeads, Painter
from tests.stubs.vaes import tiny

CPU = Hardware(device="cpu", workers=0)
JUDGES = {"gaze": ColourReader(off=1.0), "head": ColourReader(head=True)}


def write_run(folder, seed=0, loss=None, overrides=()):
    folder.mkdir(parents=True)
    config = {"model": {}, "seed": seed, "dataset": {}, "loss": loss or {}, "hardware": {}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / JOURNAL).write_text("")
    (folder / "overrides.yaml").write_text(yaml.safe_dump(list(overrides)))
    return folder


@pytest.fixture(autouse=True)
def parts(monkeypatch):
    """Runs are what they are called."""

    def load(run):
        if str(run) in JUDGES:
            return JUDGES[str(run)]
        painter = Painter(stuck="stuck" in Path(run).name)
        if "vae" in Path(run).name:
            painter.vae = tiny(frozen=True)
        return painter

    monkeypatch.setattr(variants, "load_model", load)
    monkeypatch.setattr(judges, "load_model", load)
    monkeypatch.setattr(variants, "build", lambda node: functools.partial(PaintedHeads))


def test_a_run_is_measured_by_pairs_of_the_split(tmp_path):
    measure = RedirectedPairs("gaze", "head")
    found = measure(write_run(tmp_path / "good"), CPU, "test", 4)
    assert found["gaze_deg"] == pytest.approx(0, abs=1e-3)
    assert found["psnr"] == pytest.approx(80, abs=0.1)
    assert found["ssim"] == pytest.approx(1)
    assert "vae_shift_deg" not in found
    stuck = measure(write_run(tmp_path / "stuck"), CPU, "val", 4)
    assert stuck["gaze_deg"] > 5
    assert stuck["head_deg"] < 1e-3


def test_a_vae_s_own_shift_of_gaze_is_told(tmp_path):
    found = RedirectedPairs("gaze")(write_run(tmp_path / "vae"), CPU, "test", 4)
    assert found["vae_shift_deg"] > 1  # of random weights
    assert "head_deg" not in found
    assert "vae_shift_deg" not in RedirectedPairs()(write_run(tmp_path / "vae2"), CPU, "test", 4)


def test_a_teacher_is_no_judge_of_a_sweep(tmp_path):
    run = write_run(tmp_path / "taught", loss={"redirected_gaze": {"estimator": {"run": "gaze"}}})
    with pytest.raises(UserError, match="estimators.gaze.run=gaze was in the loss of"):
        RedirectedPairs("gaze")(run, CPU, "test", 4)


def test_the_table_of_the_ablation_is_of_what_its_judges_say(tmp_path, capsys, monkeypatch):
    words = ["model=gazegaussian_tiny", "sweep=gazegaussian_ablation", "init.run=x", "vae.weights=v", "dir=unused"]
    words += [f"metric.redirected_{name}.estimator.run={name}" for name in JUDGES]
    with initialize_config_module("gaze.conf"):
        cfg = compose("train", overrides=words, return_hydra_config=True)
    assert cfg.trainer.mode == "last"  # nothing is chosen by what is reported
    node = cfg.hydra.callbacks.variants
    told = {"gaze": node.measure.gaze, "head": node.measure.head}
    assert told == {"gaze": "gaze", "head": "head"}
    table = build(OmegaConf.create(plain_config(node)))
    assert isinstance(table, Variants)
    for name in ("good", "vae"):
        write_run(tmp_path / name, overrides=["model=m", f"experiment={name}"])
    monkeypatch.setattr("gaze.variants.build", lambda node: CPU)
    table.on_multirun_end(OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}}, "hardware": {}}))
    said = capsys.readouterr().out
    assert "variants on the val split" in said
    good, vae = ((tmp_path / "variants/variants.csv").read_text().splitlines()[k].split(",") for k in (1, 2))
    assert [good[0], vae[0]] == ["experiment=good", "experiment=vae"]
    assert good[-1] == ""
    assert float(vae[-1]) > 1
