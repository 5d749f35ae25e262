"""Checkpoints that changed after they were written, and those of other versions of gaze."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest
import torch

from gaze.callbacks.checkpoint import Checkpoint
from gaze.callbacks.ema import EMA
from gaze.callbacks.log import Log
from gaze.checkpoints import CheckpointError, Checkpoints
from gaze.manifests import FORMAT, verify, write_manifest
from gaze.runs import load_model
from gaze.types import SceneInputs
from tests.stubs.line import Net
from tests.stubs.training import line_trainer

GOLDEN = Path(__file__).parent / "golden"
FILES = ("model.safetensors", "state.pt", "manifest.json")


@pytest.fixture
def two(tmp_path):
    """Checkpoints of steps 1 and 2, with an optimizer's state."""
    kept = Checkpoints(tmp_path / "last")
    optimizer = torch.optim.AdamW(Net().parameters())
    for step in (1, 2):
        kept.save(step, Net(), {"step": step, "optimizer": optimizer.state_dict(), "names": ["ema", "log"]})
    return kept


@pytest.mark.fault("K7")
@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_anywhere_is_found(two, name):
    file = two.path(2) / name
    whole = file.read_bytes()
    places = range(len(whole)) if len(whole) < 1000 else range(0, len(whole), len(whole) // 200)
    draw = random.Random(0)
    for place in places:
        data = bytearray(whole)
        data[place] ^= 1 << draw.randrange(8)
        file.write_bytes(data)
        assert verify(two.path(2)) is not None, f"byte {place} of {name} may change"
    assert two.load(Net())["step"] == 1
    file.write_bytes(whole)
    assert two.load(Net())["step"] == 2


@pytest.mark.fault("K8")
@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_anywhere_is_found(two, name):
    file = two.path(2) / name
    whole = file.read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 50)):
        file.write_bytes(whole[:length])
        assert verify(two.path(2)) is not None, f"{name} may end after {length} bytes"
    assert two.load(Net())["step"] == 1


@pytest.mark.fault("K8")
def test_any_missing_file_or_nonsense_in_place_of_one_is_found(two):
    path = two.path(2)
    for text in ("[]", "null", "{}", "3", '{"files": []}', '{"files": {"state.pt": null}}', "[" * 10000):
        (path / "manifest.json").write_text(text)
        assert verify(path) is not None, text[:20]
    shutil.rmtree(path)
    path.mkdir()
    assert two.load(Net())["step"] == 1
    path.rmdir()
    path.write_text("a file")
    assert two.load(Net())["step"] == 1


@pytest.mark.fault("K7")
def test_another_file_of_the_same_size_is_found(two):
    (two.path(2) / "state.pt").write_bytes(bytes((two.path(2) / "state.pt").stat().st_size))
    assert "state.pt has changed since it was written" in verify(two.path(2))


@pytest.mark.fault("K11")
@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.iterdir()))
def test_a_run_of_an_older_version_goes_on(tmp_path, name):
    shutil.copytree(GOLDEN / name / "line", tmp_path / "line")
    callbacks = {"ema": EMA(0.9), "log": Log(every_steps=5), "checkpoint": Checkpoint(every_minutes=None)}
    run = line_trainer(tmp_path / "line", callbacks)
    state = run.run.last.load(Net())
    assert state["step"] == 9
    run.fit()
    assert run.progress.step == 24
    steps = [entry.step for entry in run.run.journal.read() if "train/loss" in entry.values]
    assert steps == [5, 6, 10, 12, 15, 18, 20, 24]


@pytest.mark.fault("K11")
@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.iterdir()))
def test_a_model_of_an_older_version_sees_what_it_saw(name):
    model = load_model(GOLDEN / name / "scene")
    image = torch.linspace(0, 1, 3 * 32 * 32).reshape(1, 3, 32, 32)
    heatmap = model(SceneInputs(image, torch.tensor([[0.2, 0.2, 0.5, 0.5]]), torch.tensor([0]))).heatmap
    assert heatmap.sum().item() == pytest.approx(-2.551947832107544, abs=1e-4)
    assert heatmap[0, 0, :4].tolist() == pytest.approx([-0.00147003, -0.0735538, -0.0801016, -0.0480039], abs=1e-5)


@pytest.mark.fault("K11")
def test_there_is_a_golden_run_of_every_format():
    assert {path.name for path in GOLDEN.iterdir()} == {f"format-{number}" for number in range(1, FORMAT + 1)}


@pytest.mark.fault("K11")
def test_a_checkpoint_of_a_newer_version_is_refused_with_both_versions(two, monkeypatch):
    with monkeypatch.context() as newer:
        newer.setattr("gaze.manifests.FORMAT", FORMAT + 1)
        newer.setattr("gaze.__version__", "7.8.9")
        (two.path(2) / "manifest.json").unlink()
        write_manifest(two.path(2), 2)
    with pytest.raises(
        CheckpointError, match=rf"step-00000002 has format {FORMAT + 1} of gaze 7\.8\.9; this version, .*Use"
    ):
        two.load(Net())


@pytest.mark.fault("K7")
def test_a_manifest_without_a_checksum_may_hold_only_what_old_ones_held(two):
    file = two.path(2) / "manifest.json"
    facts = json.loads(file.read_text())
    facts["csc32"] = facts.pop("crc32")
    file.write_text(json.dumps(facts))
    assert "manifest.json has changed" in verify(two.path(2))
    facts.pop("csc32")
    file.write_text(json.dumps(facts))
    assert verify(two.path(2)) is None


@pytest.mark.fault("K7")
@pytest.mark.parametrize("text", ["", "{", "[]", '{"backbone": 3}', "\x00"])
def test_a_damaged_note_of_divided_weights_is_stepped_over(two, text):
    path = two.path(2)
    (path / "sharded.json").write_text("{}")
    (path / "manifest.json").unlink()
    write_manifest(path, 2)
    (path / "sharded.json").write_text(text)
    assert two.left_out() == set()
    assert two.load(Net())["step"] == 1
    shutil.rmtree(two.path(1))
    with pytest.raises(CheckpointError, match=r"damaged \(sharded.json has .*None is left to fall back to"):
        two.load(Net())
