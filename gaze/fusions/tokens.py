"""What a transformer over the streams of a sample reads: cells of feature maps, and measured numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gaze.heads.point import perceptron
from gaze.types import ScreenInputs

EYES = ("left_eye", "right_eye")


def given(inputs: ScreenInputs, stream: str) -> Tensor:
    """This stream of the inputs.

    Raises:
        ValueError: the samples do not hold it.
    """
    found: Tensor | None = getattr(inputs, stream)
    if found is None:
        raise ValueError(f"the fusion reads {stream}, which the samples do not hold; add it to dataset.streams")
    return found


class MapTokens(nn.Module):
    """The cells of feature maps as tokens: projected, with a learned position each and a role for each stream.

    The eyes share projection and positions: under a shared trunk the right eye is mirrored, and they coincide.

    Args:
        channels: of the maps, by stream.
        width: of the tokens.
        cells: of a map, by `face` and `eyes`: how many positions to learn. None: tokens without positions, of
            maps of any size.
    """

    def __init__(self, channels: Mapping[str, int], width: int, cells: Mapping[str, int] | None = None) -> None:
        super().__init__()
        kinds = {_kind(stream): c for stream, c in channels.items()}
        if any(kinds[_kind(stream)] != c for stream, c in channels.items()):
            raise ValueError(f"the trunks of the eyes give {dict(channels)} channels; expected the same for both")
        if cells is not None and not set(kinds) <= set(cells):
            raise ValueError(f"fusion.cells is {dict(cells)}; expected the cells of a map of {' and of '.join(kinds)}")
        self.project = nn.ModuleDict({kind: nn.Linear(c, width) for kind, c in kinds.items()})
        self.role = nn.ParameterDict({stream: _normal(1, 1, width) for stream in channels})
        self.position = nn.ParameterDict({kind: _normal(1, cells[kind], width) for kind in kinds} if cells else {})

    def forward(self, features: Mapping[str, Float[Tensor, "b c h w"]]) -> dict[str, Float[Tensor, "b k width"]]:
        """The tokens of each stream.

        Raises:
            ValueError: a map has another number of cells than there are positions.
        """
        return {stream: self._tokens(stream, maps) for stream, maps in features.items()}

    def _tokens(self, stream: str, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k width"]:
        kind = _kind(stream)
        tokens = self.project[kind](rearrange(maps, "b c h w -> b (h w) c")) + self.role[stream]
        if kind not in self.position:
            return tokens
        check_cells(maps, self.position[kind].shape[1], f"fusion.cells.{kind}")
        return tokens + self.position[kind]


class NumberToken(nn.Module):
    """Measured numbers as one token, which is not there for a sample without any.

    Args:
        numbers: how many.
        hidden: width between the two layers.
        width: of the token.
        activation: makes what follows the first layer.
    """

    def __init__(self, numbers: int, hidden: int, width: int, activation: Callable[[], nn.Module] = nn.GELU) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(numbers, hidden), activation(), nn.Linear(hidden, width))

    def forward(
        self, numbers: Float[Tensor, "b n"], valid: Float[Tensor, "b"] | None = None
    ) -> tuple[Float[Tensor, "b 1 width"], Bool[Tensor, "b 1"]]:
        """The token, and whether it is there: some number is not NaN, and none of it is said to be invalid."""
        values, seen = known(numbers)
        seen = seen if valid is None else seen & (valid > 0.5)
        return self.layers(values)[:, None], seen[:, None]


class Numbers(nn.Module):
    """A perceptron on measured numbers; those that are not known count as 0."""

    def __init__(self, numbers: int, widths: Sequence[int], activation: Callable[[], nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.layers = perceptron(numbers, widths, activation)

    def forward(self, numbers: Float[Tensor, "b n"]) -> Float[Tensor, "b c"]:
        return self.layers(known(numbers)[0])


def known(numbers: Float[Tensor, "b n"]) -> tuple[Float[Tensor, "b n"], Bool[Tensor, "b"]]:
    """The numbers with 0 in place of each NaN, and which samples have a number at all."""
    missing = numbers.isnan()
    return numbers.masked_fill(missing, 0.0), ~missing.all(1)


def everything(tokens: Float[Tensor, "b k c"]) -> Bool[Tensor, "b k"]:
    """A mask over tokens that are all there."""
    return torch.ones_like(tokens[..., 0], dtype=torch.bool)


def check_cells(maps: Float[Tensor, "b c h w"], cells: int, setting: str) -> None:
    """Raises ValueError unless maps have this many cells."""
    h, w = maps.shape[-2:]
    if h * w != cells:
        raise ValueError(
            f"a feature map of {h} x {w} = {h * w} cells; expected {cells}: set {setting}, or the crop's size"
        )


def _kind(stream: str) -> str:
    return "eyes" if stream in EYES else stream


def _normal(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape) * 0.02)
