"""What a run was made from is written down, and changes with it."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from gaze.datasets.dataset import Dataset
from gaze.datasets.direction_labels import Attribute, DirectionLabels
from gaze.provenance import data_fingerprint, provenance

ROWS = torch.arange(2)
LABELS = DirectionLabels(
    gaze=torch.tensor([[0.0, 0.0, -1.0], [0.6, 0.0, -0.8]]),
    head=torch.full((2, 2), torch.nan),
    subject=ROWS,
    subjects=("a", "b"),
    dataset=ROWS * 0,
    datasets=("faces",),
    session=ROWS,
    frame=ROWS,
    detected=torch.tensor([True, True]),
    attributes={"light": Attribute(("dim", "even"), ROWS)},
)


class Labelled(Dataset):
    def __init__(self, labels):
        self.labels = labels

    def __len__(self):
        return 2


class Named(Dataset):
    def __init__(self, *names):
        self.names = names

    def __len__(self):
        return len(self.names)

    def name(self, index):
        return self.names[index]


@pytest.mark.fault("D12")
def test_every_label_and_nothing_else_decides_the_fingerprint():
    own = data_fingerprint(Labelled(LABELS))
    assert own == data_fingerprint(Labelled(replace(LABELS, gaze=LABELS.gaze.clone())))
    changed = [
        replace(LABELS, gaze=-LABELS.gaze),
        replace(LABELS, subjects=("a", "c")),
        replace(LABELS, detected=torch.tensor([True, False])),
        replace(LABELS, attributes={"light": Attribute(("dim", "even"), 1 - ROWS)}),
        replace(LABELS, attributes={"lamp": Attribute(("dim", "even"), ROWS)}),
    ]
    assert len({own, *(data_fingerprint(Labelled(labels)) for labels in changed)}) == 6


def test_without_labels_names_decide_and_no_two_lists_run_into_one():
    assert data_fingerprint(Named("a", "bc")) == data_fingerprint(Named("a", "bc"))
    assert len({data_fingerprint(Named(*names)) for names in (["a", "bc"], ["ab", "c"], ["bc", "a"], ["abc"])}) == 4


def test_modules_say_where_they_come_from():
    prompts = nn.Identity()
    prompts.origin = {"sha256": "1234"}
    found = provenance(nn.Sequential(nn.Linear(1, 1), prompts), {"train": Named("a"), "val": Named("b", "c")})
    assert found["model.1"] == {"sha256": "1234"}
    assert [found["data"][split]["samples"] for split in ("train", "val")] == [1, 2]
