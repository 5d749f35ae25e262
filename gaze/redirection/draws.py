"""Which gazes and poses an export has: drawn at random, from ranges or as the sources themselves have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.errors import UserError
from gaze.head_frames import camera_head
from gaze.redirection.targets import Limits, angles, clamped, turns
from gaze.seeds import generator
from gaze.types import FaceInputs

EMPIRICAL, KEPT = "empirical", "kept"
Ranges = Mapping[str, Sequence[float]]  # pitch and yaw: from and to, degrees


@dataclass(frozen=True)
class Draws:
    """How targets of an export are drawn.

    Args:
        gaze: of eyes in the head: {pitch: [from, to], yaw: [from, to]} in degrees, drawn evenly; or "empirical": that of
            another source sample, drawn at random.
        head: of heads in the camera frame, likewise, without a roll; "empirical" draws gaze and head of one sample
            together if gaze is empirical, too; or "kept": as the source has it.
        number: pictures of each sample.
        seed: decides all draws, together with the sample's number.
    """

    gaze: Ranges | str = EMPIRICAL
    head: Ranges | str = KEPT
    number: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if self.number < 1 or self.number >= 1000:
            raise UserError(f"export.draws.number is {self.number}; expected 1 to 999 pictures of each sample")
        _check("gaze", self.gaze, (EMPIRICAL,))
        _check("head", self.head, (EMPIRICAL, KEPT))

    def targets(self, inputs: FaceInputs, index: Sequence[int], limits: Limits) -> FaceInputs:
        """The inputs, each `number` times, with gaze and pose drawn.

        Args:
            inputs: of all sources.
            index: number of each in its data set, by which it has its own draws.
            limits: of eyes; draws beyond are clamped, and it is said.
        """
        own = camera_head(inputs)
        chosen, evenly = [], []
        for at in index:
            draws = generator(self.seed, int(at))
            chosen.append(torch.randint(len(index), (self.number,), generator=draws))
            evenly.append(torch.rand(self.number, 4, generator=draws))
        other, share = torch.cat(chosen), torch.cat(evenly).to(inputs.gaze)
        many = inputs.map(lambda t: t.repeat_interleave(self.number, 0))
        gaze = inputs.gaze[other] if isinstance(self.gaze, str) else _between(self.gaze, "gaze", share[:, :2])
        many = replace(many, gaze=clamped(gaze, limits))
        if self.head == KEPT:
            return many
        head = own[other] if isinstance(self.head, str) else _between(self.head, "head", share[:, 2:])
        return replace(many, pose=torch.cat([turns(many, head), many.pose[:, 3:]], -1))


def _check(name: str, told: Ranges | str, words: tuple[str, ...]) -> None:
    pair = isinstance(told, Mapping) and set(told) == {"pitch", "yaw"}
    if not (told in words if isinstance(told, str) else pair):
        raise UserError(
            f"export.draws.{name} is {told}; expected {' or '.join(words)}, or pitch: [from, to] and yaw: [from, to] in degrees"
        )
    if not isinstance(told, str):
        _ends(told, name)


def _ends(told: Ranges, name: str) -> Float[Tensor, "2 2"]:
    """The lower and the upper ends of pitch and yaw, radians."""
    for key, pair in told.items():
        if not (isinstance(pair, Sequence) and len(pair) == 2 and pair[0] <= pair[1]):
            raise UserError(f"export.draws.{name}.{key} is {pair}; expected [from, to] in degrees, the smaller first")
    return angles([[told["pitch"][i], told["yaw"][i]] for i in (0, 1)], f"export.draws.{name}")


def _between(told: Ranges, name: str, share: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
    low, high = _ends(told, name).to(share)
    return torch.lerp(low, high, share)
