"""A split of faces whose colour says which way they look, and a model that reads it, with towers and experts to report on."""

from collections import namedtuple

import torch
from torch import nn

from gaze.datasets.dataset import Dataset
from gaze.datasets.direction_labels import Attribute, DirectionLabels
from gaze.geometry import pitch_yaw_to_vector
from gaze.types import Batch, DirectionInputs, DirectionPrediction, DirectionTargets

Seen = namedtuple("Seen", "embed patch_tokens")
Entry = namedtuple("Entry", "id")
Bank = namedtuple("Bank", "name entries")
SEEDS = {"train": 1, "val": 2, "test": 3}


class LabelledFaces(Dataset):
    """Faces of a few people.

    Args:
        hold_out: a person who is tested and not trained on; None: everybody is in train and test. Others are in val.
    """

    def __init__(self, split, hold_out=None, people=4, each=10, data="made"):
        draws = torch.Generator().manual_seed(SEEDS[split])
        who = [p for p in range(people) if hold_out is None or (f"p{p}" == hold_out) == (split == "test")]
        subject = torch.tensor(who).repeat_interleave(each)
        n = len(subject)
        angles = torch.randn(n, 2, generator=draws) * torch.tensor([0.2, 0.4]) + torch.tensor([-0.1, 0.0])
        light = torch.arange(n) % 3 - 1
        self.data = data
        self.labels = DirectionLabels(
            gaze=pitch_yaw_to_vector(angles),
            head=torch.where(torch.arange(n)[:, None] % 4 == 0, torch.nan, angles / 2),
            subject=subject,
            subjects=tuple(f"{data}/{'v' if split == 'val' else 'p'}{p}" for p in range(people)),
            dataset=torch.zeros(n, dtype=torch.long),
            datasets=(data,),
            session=torch.full((n,), -1),
            frame=torch.arange(n),
            detected=torch.arange(n) % 5 > 0,
            attributes={"light": Attribute(("even", "dim"), light)},
        )

    def __len__(self):
        return len(self.labels)

    def name(self, index):
        return f"{self.data}/{index:04d}.jpg"

    def sample(self, index, generator):
        colour = (127.5 + 100 * self.labels.gaze[index]).to(torch.uint8)
        face = colour[:, None, None].expand(3, 4, 4).contiguous()
        targets = DirectionTargets(self.labels.gaze[index], self.labels.head[index], self.labels.subject[index])
        return Batch(DirectionInputs(face), targets, torch.tensor(index))


class Tower(nn.Module):
    """Mean colours and some noise of the picture."""

    def forward(self, image):
        mean = image.mean((2, 3))
        return Seen(torch.cat([mean, (37 * mean).sin()], 1), mean[:, None])


class Experts(nn.Module):
    """Counts, in training, as mixtures do: all questions go to the first two of four experts."""

    def __init__(self):
        super().__init__()
        self.counts = torch.zeros(4)

    def restart(self):
        self.counts.zero_()

    def forward(self, x):
        if self.training:
            self.counts += torch.tensor([3.0, 1.0, 0.0, 0.0]) * len(x)
        return x


class Prompts(nn.Module):
    def of_role(self, role):
        names = {"gaze": {"gaze": "ab"}, "context": {"light": ("even", "dim"), "back": "efg"}}[role]
        return [Bank(name, [Entry(i) for i in ids]) for name, ids in names.items()]


class Reader(nn.Module):
    """Reads the colour, a little to the right of it, and is twice as sure as it should be.

    Args:
        sure: does it say so?
    """

    def __init__(self, sure=True, off=0.05):
        super().__init__()
        self.clip, self.mixture, self.steering, self.sure = Tower(), Experts(), nn.Module(), sure
        self.steering.prompts = Prompts()
        self.off = nn.Parameter(torch.tensor(off))

    def forward(self, inputs: DirectionInputs) -> DirectionPrediction:
        seen = self.mixture((inputs.face.mean((2, 3)) * 255 - 127) / 100)
        found = seen + self.off * torch.stack([seen[:, 1] * 0 + 1, (9 * seen[:, 0]).sin(), seen[:, 0] * 0], 1)
        n = len(found)
        if not self.sure:
            return DirectionPrediction(found)
        return DirectionPrediction(
            found,
            torch.full((n,), 2000.0) + seen[:, 0],
            class_logits=torch.stack([seen[:, 0], -seen[:, 0]], 1),
            class_angle=torch.tensor([0.0, torch.pi]),
            code=3 * (seen[:, 0] > 0),
            context_logits=torch.tensor([0.0, 1.0, 2.0, 0.0, 0.0]).expand(n, 5),
        )
