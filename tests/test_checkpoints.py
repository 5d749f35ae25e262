"""Checkpoints: what they hold, and that damage is found and stepped over."""

import errno
import logging
import os
import shutil

import pytest
import torch
from torch import nn

from gaze import checkpoints
from gaze.checkpoints import CheckpointError, Checkpoints, load_weights, save_weights
from gaze.manifests import verify, write_manifest
from tests.stubs.line import Net


def model(value: float) -> nn.Module:
    net = Net()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(value)
    return net


@pytest.fixture
def two(tmp_path):
    """Checkpoints of steps 1 and 2, weights all 1 and all 2."""
    kept = Checkpoints(tmp_path / "last", keep=2)
    for step in (1, 2):
        kept.save(step, model(step), {"step": step, "moments": torch.full((3,), float(step))})
    return kept


def weight(net: nn.Module) -> float:
    return next(iter(net.parameters())).flatten()[0].item()


def test_round_trip(two):
    net = model(0)
    state = two.load(net)
    assert weight(net) == 2
    assert state["step"] == 2
    assert state["moments"].tolist() == [2, 2, 2]


def test_keeps_the_newest(two):
    two.save(3, model(3), {"step": 3})
    assert two.steps() == [2, 3]


def test_nothing_saved_is_no_error(tmp_path):
    assert Checkpoints(tmp_path / "last").load(Net()) is None


@pytest.mark.fault("K7")
@pytest.mark.fault("K8")
@pytest.mark.parametrize("name", ["model.safetensors", "state.pt", "manifest.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_every_kind_of_damage_falls_back_and_says_so(two, name, damage, caplog):
    file = two.path(2) / name
    data = bytearray(file.read_bytes())
    if damage == "remove":
        file.unlink()
    elif damage == "truncate":
        file.write_bytes(data[: len(data) // 2])
    else:
        # In the manifest a flipped bit of a checksum; elsewhere any bit.
        place = data.index(b'"crc32": ') + 9 if name == "manifest.json" else len(data) // 2
        data[place] ^= 1
        file.write_bytes(data)
    net = model(0)
    with caplog.at_level(logging.WARNING):
        assert two.load(net)["step"] == 1
    assert weight(net) == 1
    assert "step 2 is lost" in caplog.text
    assert "falling back to step 1" in caplog.text


@pytest.mark.fault("K8")
def test_nothing_intact_is_an_error_that_names_what_is_wrong(two):
    for step in (1, 2):
        (two.path(step) / "state.pt").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"step-00000002 is damaged \(state\.pt has 0 bytes.*None is left"):
        two.load(Net())


@pytest.mark.fault("K6")
@pytest.mark.parametrize("where", ["save_file", "torch.save", "fsync", "replace"])
def test_a_full_disk_leaves_the_previous_checkpoint_intact(two, monkeypatch, where):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    target = {"save_file": (checkpoints, "save_file"), "torch.save": (torch, "save")}.get(where, (os, where))
    monkeypatch.setattr(*target, full)
    with pytest.raises(CheckpointError, match=r"could not write.*step-00000003: .*No space left.*MiB free.*intact"):
        two.save(3, model(3), {"step": 3})
    monkeypatch.undo()
    assert two.load(model(0))["step"] == 2
    assert not list(two.directory.glob(".writing*"))


@pytest.mark.fault("K4")
def test_a_half_written_checkpoint_is_not_seen(two):
    shutil.copytree(two.path(2), two.directory / ".writing-00000009")
    assert two.steps() == [1, 2]


@pytest.mark.fault("X3")
def test_the_weights_of_another_model_are_refused_with_names(tmp_path):
    save_weights(Net(width=8), tmp_path / "model.safetensors")
    before = model(5)
    with pytest.raises(
        CheckpointError, match=r"another model.*shapes differ.*backbone\.stem\.weight \(8, 2\) instead of \(4, 2\)"
    ):
        load_weights(Net(width=4), tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="it lacks bias, weight|it lacks weight, bias"):
        load_weights(nn.Linear(2, 2), tmp_path / "model.safetensors")
    assert weight(before) == 5


def test_tied_weights_are_stored_once_and_come_back(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(4, 4, bias=False)
            self.b = nn.Linear(4, 4, bias=False)
            self.b.weight = self.a.weight

    net, other = Tied(), Tied()
    save_weights(net, tmp_path / "tied.safetensors")
    load_weights(other, tmp_path / "tied.safetensors")
    assert torch.equal(net.a.weight, other.b.weight)
    assert (tmp_path / "tied.safetensors").stat().st_size < 2 * 64 + 300


@pytest.mark.fault("X1")
def test_a_pickle_is_never_executed(two, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "exploded"),))

    torch.save({"step": Bomb()}, two.path(2) / "state.pt")
    (two.path(2) / "manifest.json").unlink()
    write_manifest(two.path(2), 2)  # an attacker can compute checksums, too
    assert verify(two.path(2)) is None
    with pytest.raises(CheckpointError, match="holds more than tensors"):
        two.load(Net())
    assert not (tmp_path / "exploded").exists()


def test_going_back_gives_up_what_came_later(two):
    two.save(1, model(7), {"step": 1})
    assert two.steps() == [1]
    net = model(0)
    two.load(net)
    assert weight(net) == 7


@pytest.mark.fault("K4")
def test_a_failed_replacement_of_the_same_step_keeps_the_old_one(two, monkeypatch):
    real, calls = os.replace, []

    def replace(source, target):
        calls.append(target)
        if len(calls) == 2:  # the old one is out of the way, the new one not yet in place
            raise OSError(errno.EIO, "Input/output error")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(CheckpointError, match="Input/output error"):
        two.save(2, model(9), {"step": 2})
    monkeypatch.undo()
    net = model(0)
    assert two.load(net)["step"] == 2
    assert weight(net) == 2
