"""Photographs of heads as inputs of an autoencoder."""

import torch

from gaze.datasets.dataset import Dataset
from gaze.datasets.portraits import Portraits
from gaze.types import Batch, FaceInputs, FaceTargets, collate


class Views(Dataset):
    """Grey views, whose left half is the head; a view in training is darker."""

    def __init__(self, split, masked=True):
        self.split, self.masked = split, masked

    def __len__(self):
        return 3

    def sample(self, index, generator):
        image = torch.full((3, 4, 4), 100 if generator is None else 50, dtype=torch.uint8)
        mask = (torch.arange(4) < 2).expand(4, 4).clone() if self.masked else None
        inputs = FaceInputs(
            *(torch.zeros(n) for n in (2, 4, 3, 6)), torch.ones(()), torch.eye(4), torch.eye(3), torch.tensor(0)
        )
        return Batch(inputs, FaceTargets(image, head_mask=mask), torch.tensor(index))

    def name(self, index):
        return f"{self.split} {index}"


def test_the_input_is_the_head_on_white_and_so_is_what_is_to_be_drawn():
    data = Portraits(Views, "val")
    batch = collate([data[0], data[1]])
    assert batch.inputs.image.dtype == torch.uint8
    assert batch.inputs.image[0, 0, 0].tolist() == [100, 100, 255, 255]
    assert torch.equal(batch.inputs.image, batch.targets.image)
    assert batch.targets.head_mask.shape == (2, 4, 4)
    assert batch.index.tolist() == [0, 1]


def test_without_masks_photographs_are_whole():
    assert (Portraits(lambda split: Views(split, masked=False), "val")[0].inputs.image == 100).all()


def test_the_rest_is_what_the_views_say():
    data, generator = Portraits(Views, "train"), torch.Generator()
    assert len(data) == 3
    assert data.name(2) == "train 2"
    assert data.group(1) == 1
    assert data.labels is None
    assert not data.faults
    assert (data.in_epoch(0, generator, generator).inputs.image[:, :, :2] == 50).all()
    assert (data.seen(0).inputs.image[:, :, :2] == 100).all()
    assert sorted(data.order(generator).tolist()) == [0, 1, 2]
