"""What is left of an augmented frame for the device: crops to be sampled, another face to be pasted in, changes of pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from gaze.datasets.later import as_bytes, first_left
from gaze.datasets.pixel_batches import inside, sampled
from gaze.datasets.screen_crops import WHOLE, Paste, matrix
from gaze.datasets.screen_view import STREAMS, Picture, ScreenView, cut
from gaze.types import Record, ScreenInputs

_STAGES = ("boxes", "crops", "pixels")  # what augmentations may act on if all of it can be left, in this order

Streams = dict[str, Tensor]  # float pictures [b, 3, h, w] by stream


@dataclass(frozen=True)
class ScreenLater(Record):
    """Numbers of each frame, and the faces of those into which one is pasted; crops are None where they are cut already."""

    numbers: Float[Tensor, "*b k"]  # of changes of pixels, one behind the other
    crops: Float[Tensor, "*b s 2 3"] | None  # of the streams that there are, in order; see `sampled`
    pasted: Shaped[Tensor, "m 3 H W"] | None = field(metadata={"collate": "pack"})
    pasted_at: Float[Tensor, "m 2 3"] | None = field(metadata={"collate": "pack"})
    pasted_edges: Float[Tensor, "m 3 4"] | None = field(metadata={"collate": "pack"})  # px of the sample; see `Paste`
    pasted_into: Shaped[Tensor, "m"] | None = field(metadata={"collate": "owner"})


class ScreenChange:
    """A change of the pixels of all streams, drawn for each frame and made for a batch; see `gaze.datasets.later`."""

    acts_on: ClassVar[str] = "pixels"
    count: ClassVar[int]  # of the numbers that are drawn

    def draw(self, view: ScreenView, generator: torch.Generator) -> list[float]:
        """The numbers of one frame; its pictures need not be cut."""
        raise NotImplementedError

    def apply(self, streams: Streams, numbers: Float[Tensor, "b k"], known: Float[Tensor, "b k"]) -> Streams:
        """The pictures changed, maybe in place.

        Args:
            numbers: of each frame, on the pictures' device.
            known: the same on the host, which may look at them.
        """
        raise NotImplementedError

    def __call__(self, view: ScreenView, generator: torch.Generator) -> ScreenView:
        view = cut(view)
        told = torch.tensor([self.draw(view, generator)])
        floats = {stream: picture.image[None].float().div_(255) for stream, picture in view.pictures.items()}
        changed = self.apply(floats, told, told)
        pictures = {s: Picture(as_bytes(changed[s][0]), picture.covers) for s, picture in view.pictures.items()}
        return replace(view, pictures=pictures)


def left(augmentations: Sequence[object]) -> list[ScreenChange]:
    """The changes of pixels that are only drawn, in order."""
    return [a for a in augmentations[first_left(augmentations) :] if isinstance(a, ScreenChange)]


def all_left(augmentations: Sequence[object]) -> bool:
    """Whether crops can be sampled after all of them: boxes move first, whole crops change next, and pixels at last.

    One of them may mix another face in, for one is all that `Paste` holds.
    """
    acts = [getattr(augment, "acts_on", "anything") for augment in augmentations]
    stages = [_STAGES.index(act) if act in _STAGES else len(_STAGES) for act in acts if act != "labels"]
    mixing = sum(hasattr(augment, "mixed") for augment in augmentations)
    return stages == sorted(stages) and len(_STAGES) not in stages and mixing <= 1


def later(view: ScreenView) -> ScreenLater | None:
    """What is left of a view; None if nothing is."""
    lazy = [picture for picture in view.pictures.values() if picture.at is not None]
    if not lazy and not view.draws:
        return None
    numbers = torch.tensor(view.draws)
    if not lazy:
        return ScreenLater(numbers, None, None, None, None, None)
    crops = torch.stack([matrix(picture.at or WHOLE) for picture in lazy])
    if "face" not in view.pictures:
        return ScreenLater(numbers, crops, None, None, None, None)
    face = view.pictures["face"]
    pastes = [] if face.paste is None else [face.paste]
    return ScreenLater(
        numbers,
        crops,
        pasted=_one_or_none([paste.image for paste in pastes], face.image),
        pasted_at=_one_or_none([matrix(paste.at) for paste in pastes], torch.empty(2, 3)),
        pasted_edges=_one_or_none([_edges(paste) for paste in pastes], torch.empty(3, 4)),
        pasted_into=torch.zeros(len(pastes), dtype=torch.int64),
    )


def done(
    inputs: ScreenInputs,
    left: ScreenLater,
    known: ScreenLater,
    changes: Sequence[ScreenChange],
    sizes: Mapping[str, tuple[int, int]],
) -> ScreenInputs:
    """A batch's inputs with what was left of them.

    Args:
        inputs: pictures of floats from 0 to 1, which may be changed in place.
        left, known: on their device, and on the host.
        changes: that the numbers are of, in order.
        sizes: (height, width) of the samples by stream.
    """
    streams = {s: getattr(inputs, s) for s in STREAMS if getattr(inputs, s) is not None}
    layouts = {s: _layout(pictures) for s, pictures in streams.items()}
    if left.crops is not None:
        streams = {s: sampled(x, left.crops[:, i], sizes[s]) for i, (s, x) in enumerate(streams.items())}
        if left.pasted is not None and len(left.pasted):
            _paste(streams["face"], left)
    counts = [change.count for change in changes]
    for change, own, host in zip(changes, left.numbers.split(counts, 1), known.numbers.split(counts, 1), strict=True):
        streams = change.apply(streams, own, host)
    # Whatever was done, for convolutions are fast in one layout only
    laid_out = {s: pictures.contiguous(memory_format=layouts[s]) for s, pictures in streams.items()}
    return replace(inputs, **laid_out)  # type: ignore[arg-type]


def _layout(pictures: Tensor) -> torch.memory_format:
    last = torch.channels_last
    return last if pictures.is_contiguous(memory_format=last) else torch.contiguous_format


def _paste(faces: Float[Tensor, "b 3 h w"], left: ScreenLater) -> None:
    """Paste other faces into some, in place."""
    assert left.pasted is not None
    assert left.pasted_at is not None
    assert left.pasted_edges is not None
    assert left.pasted_into is not None
    size = (faces.shape[2], faces.shape[3])
    covered, *spared = (inside(left.pasted_edges[:, i], size) for i in range(3))
    covered = covered & ~spared[0] & ~spared[1]
    others = sampled(left.pasted, left.pasted_at, size)
    mixed = torch.where(covered[:, None], others, faces[left.pasted_into])
    faces.index_copy_(0, left.pasted_into, mixed)


def _edges(paste: Paste) -> Float[Tensor, "3 4"]:
    return torch.tensor(paste.edges, dtype=torch.float32)


def _one_or_none(tensors: Sequence[Tensor], like: Tensor) -> Tensor:
    return tensors[0][None] if tensors else like.new_empty(0, *like.shape)
