"""Whether a rendered head is still the same person: a small network that tells people apart, trained on the spot.

Figures of it are called `id_sim_synth`: they compare rows of one table, not with published ones, which a large network of
face recognition gave.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gaze.datasets.dataset import Dataset
from gaze.hardware import Hardware
from gaze.redirection.rendering import photographs
from gaze.seeds import generator
from gaze.types import collate

SIDE = 64  # px that it sees
WIDTH = 64  # of features
EACH = 40  # pictures of a person, at most
BATCH = 64
SHARP = 16.0  # cosines become logits
SHIFT = 4  # px by which training moves pictures


class IdentityNetwork(nn.Module):
    """Pictures to unit vectors that are alike for one person."""

    def __init__(self, people: int) -> None:
        super().__init__()
        widths, layers = (3, 24, 48, 96), list[nn.Module]()
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, 2, 1), nn.GroupNorm(8, after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * widths[-1], WIDTH))
        self.people = nn.Parameter(torch.randn(people, WIDTH))

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b f"]:
        """Features of pictures in [0, 1] of any size."""
        seen = F.interpolate(image, (SIDE, SIDE), mode="bilinear", antialias=True)
        return F.normalize(self.layers(seen - 0.5), dim=-1)

    def logits(self, feature: Float[Tensor, "b f"]) -> Float[Tensor, "b p"]:
        """How likely whose picture it is."""
        return SHARP * feature @ F.normalize(self.people, dim=-1).mT


def train_identity(data: Dataset, hardware: Hardware, steps: int = 300, seed: int = 0) -> IdentityNetwork | None:
    """A network that tells the people of a split apart; None if there is only one.

    Args:
        data: of heads; other gazes and poses of one person are what it learns to look past.
    """
    chosen, people = _some_of_everybody([data.group(i) for i in range(len(data))])
    if len(people) < 2:
        return None
    batch = [collate([data[i]]) for i in chosen]
    image = F.interpolate(
        torch.cat([photographs(b.targets) for b in batch]), (SIDE, SIDE), mode="bilinear", antialias=True
    )
    number = {person: n for n, person in enumerate(people)}
    label = torch.tensor([number[data.group(i)] for i in chosen])
    draws = generator(seed)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        network = IdentityNetwork(len(people)).to(hardware.device)
        optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps)
        for _ in range(steps):
            rows = torch.randint(len(image), (min(BATCH, len(image)),), generator=draws)
            shift = torch.randint(-SHIFT, SHIFT + 1, (2,), generator=draws).tolist()
            bright = 0.8 + 0.4 * torch.rand(len(rows), 1, 1, 1, generator=draws)
            seen = (image[rows].roll(shift, (2, 3)) * bright).clamp(0, 1).to(hardware.device)
            loss = F.cross_entropy(network.logits(network(seen)), label[rows].to(hardware.device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval().requires_grad_(False)


def _some_of_everybody(groups: Sequence[Hashable]) -> tuple[list[int], list[Hashable]]:
    """Samples of each person, spread over all of theirs, and the people."""
    of: dict[Hashable, list[int]] = {}
    for index, person in enumerate(groups):
        of.setdefault(person, []).append(index)
    return [i for rows in of.values() for i in rows[:: max(1, -(-len(rows) // EACH))]], list(of)
