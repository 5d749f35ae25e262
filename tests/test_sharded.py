"""Checkpoints in parts whose files are not what we wrote, though every checksum is right."""

import json

import pytest
import torch
from safetensors.torch import save_file

from gaze import sharded
from gaze.checkpoints import Checkpoints, read_state
from gaze.manifests import CheckpointError, write_manifest

NAME = "state.optimizer"


@pytest.fixture
def checkpoint(tmp_path):
    """Writes one whose state is a tensor of 4 rows, in parts that are said to begin at these rows."""

    def write(*offsets, rows=2):
        path = tmp_path / "last" / "step-00000001"
        path.mkdir(parents=True)
        for number, offset in enumerate(offsets):
            told = {"DCP_SHARDING_INFO": json.dumps({NAME: {"saved_offsets": [offset, 0]}})}
            part = torch.full((rows, 3), float(number))
            save_file({NAME: part}, path / f"shard-{number + 1:05d}-model-00001-of-00001.safetensors", told)
        sharded.write_left_out(path, {})
        torch.save({"state": {"optimizer": {sharded.MARK: NAME}}, sharded.REST: {}}, path / "state.pt")
        write_manifest(path, 1)
        return path

    return write


def state_of(path):
    return sharded.read_state(path, {}, read_state(path / "state.pt"))


def test_parts_become_one_tensor(checkpoint):
    assert state_of(checkpoint(0, 2))["optimizer"].tolist() == [[0.0] * 3] * 2 + [[1.0] * 3] * 2


@pytest.mark.parametrize("offsets", [(0, 10**9), (0, 3), (0, 1), (2,), (-2, 0), (0, 0)])
def test_parts_that_are_not_the_whole_are_refused_before_memory_is_asked_for(checkpoint, offsets):
    path = checkpoint(*offsets)
    with pytest.raises(
        CheckpointError, match=rf"not trusted: its parts of {NAME} are not the whole of it|can't be read"
    ):
        state_of(path)


@pytest.mark.parametrize("said", [{}, {NAME: 3}, {NAME: {"saved_offsets": ["0", 0]}}, {NAME: {"saved_offsets": []}}])
def test_parts_that_say_nonsense_are_refused(checkpoint, said):
    path = checkpoint(0, 2)
    part = next(path.glob("shard-00002-*"))
    save_file({NAME: torch.zeros(2, 3)}, part, {"DCP_SHARDING_INFO": json.dumps(said)})
    with pytest.raises(CheckpointError, match="can't be read|not the whole"):
        state_of(path)


def test_a_part_that_is_no_file_of_tensors_is_refused(checkpoint):
    path = checkpoint(0, 2)
    next(path.glob("shard-00001-*")).write_bytes(b"no tensors")
    with pytest.raises(CheckpointError, match="the parts in .* can't be read"):
        state_of(path)


@pytest.mark.parametrize("state", [{}, {"state": {}, sharded.REST: 3}, {"state": {}, sharded.REST: {"a": 3}}])
def test_what_stands_beside_the_parts_is_looked_at(checkpoint, state):
    path = checkpoint(0, 2)
    (path / "manifest.json").unlink()
    torch.save(state, path / "state.pt")
    write_manifest(path, 1)
    with pytest.raises(CheckpointError, match="lacks what stands beside divided weights"):
        Checkpoints(path.parent).load(torch.nn.Linear(1, 1))


def test_a_state_without_one_of_its_tensors_is_refused(checkpoint):
    path = checkpoint(0, 2)
    with pytest.raises(CheckpointError, match="lacks 'state.gone'"):
        sharded.read_state(path, {}, {"state": {"momentum": {sharded.MARK: "state.gone"}}})
