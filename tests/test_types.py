"""Records: moving, mapping and collating."""

import pytest
import torch

from gaze.types import Batch, Progress, SceneInputs, SceneTargets, collate


def scene(people: int, index: int, size: int = 8) -> Batch:
    return Batch(
        SceneInputs(
            torch.full((3, size, size), index, dtype=torch.uint8),
            torch.full((people, 4), float(index)),
            torch.zeros(people, dtype=torch.int64),
        ),
        SceneTargets(torch.rand(people, 2, 2), torch.ones(people), torch.tensor([[size, size]] * people)),
        torch.tensor(index),
    )


def test_scenes_pack_people_and_know_whose_they_are():
    batch = collate([scene(2, 0), scene(1, 1), scene(3, 2)])
    assert batch.inputs.image.shape == (3, 3, 8, 8)
    assert batch.inputs.image_index.tolist() == [0, 0, 1, 2, 2, 2]
    assert batch.inputs.head_bbox[:, 0].tolist() == [0, 0, 1, 2, 2, 2]
    assert batch.targets.points.shape == (6, 2, 2)
    assert batch.index.tolist() == [0, 1, 2]


def test_different_sizes_are_explained():
    with pytest.raises(ValueError, match=r"SceneInputs\.image has different shapes.*resize"):
        collate([scene(1, 0), scene(1, 1, size=9)])


def test_float32_leaves_whole_numbers_alone():
    batch = scene(1, 0).map(lambda t: t.double() if t.is_floating_point() else t).float32()
    assert batch.targets.points.dtype == torch.float32
    assert batch.inputs.image.dtype == torch.uint8
    assert batch.index.dtype == torch.int64


def test_progress_counts_epochs_and_fraction():
    assert [Progress(s, 6, 3).epoch for s in range(6)] == [0, 0, 0, 1, 1, 1]
    assert Progress(0, 6, 3).fraction == 0
    assert Progress(6, 6, 3).fraction == 1
