"""Distances by the features of a frozen run of this project, where no weights of VGG are at hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.perceptual.network import PerceptualNetwork, frozen, resized

FINEST = 3  # channels of a picture: what has no more has not been looked at yet
TINY = 1e-6


class EstimatorFeatures(PerceptualNetwork):
    """Mean absolute differences of the feature maps of a model's CNN, each level relative to the truth's mean size.

    What has learnt to see gaze looks at eyes and at how heads are turned more than at skin and hair. Its distances are no
    LPIPS, and only comparable with those by the same run.

    A level is the last map of its size on the way through the CNN that a whole stage gives, not a layer within a block.
    Which modules give them is found by looking at the first pictures, so any CNN will do.

    Args:
        model: a finished one, such as `gaze.runs.load_model` gives; any of its inputs.
        part: dotted name of the module in it that takes RGB pictures in [0, 1].
        levels: how many, from the finest on.
        size: (height, width) px that pictures are resized to. None: what the run was trained on, if it says so.

    Raises:
        ValueError: the model has no such part, or `levels` is below 1; later, the part gives fewer maps than two.
    """

    def __init__(
        self, model: nn.Module, part: str = "backbone", levels: int = 4, size: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        if levels < 1:
            raise ValueError(f"network.levels is {levels}; expected 1 or more")
        found = dict(model.named_modules()).get(part)
        if found is None:
            raise ValueError(
                f"the model has no part {part!r}; expected one of {', '.join(name for name, _ in model.named_children())}, or "
                "one below them: set network.part to a CNN that takes pictures"
            )
        self.network = frozen(found)
        self.part, self.levels = part, levels
        sizes = [size, *(getattr(model, f"{which}_size", None) for which in ("face", "image"))]
        self.size = next((tuple(known) for known in sizes if known is not None), None)
        self.chosen: list[str] = []

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> list[Float[Tensor, "b _ _ _"]]:
        """The maps of all levels, from fine to coarse.

        Raises:
            ValueError: the part gives no maps of two sizes or more, unless one level is enough.
        """
        image = resized(image, self.size)
        if not self.chosen:
            self.chosen = self._levels(image[:1].detach())
        maps = self._maps(image, self.chosen)
        return [maps[name] for name in self.chosen]

    def distance(self, found: Sequence[Tensor], truth: Sequence[Tensor]) -> Float[Tensor, "b"]:
        """The mean over levels of |difference| / |truth|, means over the map both."""
        levels = [
            (f.float() - t.float()).abs().mean((1, 2, 3)) / t.float().abs().mean().clamp(min=TINY)
            for f, t in zip(found, truth, strict=True)
        ]
        return torch.stack(levels).mean(0)

    @torch.no_grad()
    def _levels(self, image: Float[Tensor, "1 3 H W"]) -> list[str]:
        """Names of the modules whose outputs are the last of their size, from the largest size on.

        Of modules in one another the outermost counts: a block's first layers still give maps of the size before it.
        """
        last: dict[tuple[int, ...], str] = {}
        for name, value in self._maps(image, [name for name, _ in self.network.named_modules()]).items():
            size = tuple(value.shape[-2:])
            outermost = _depth(name) <= _depth(last.get(size, name))
            if outermost and value.shape[1] > FINEST and min(size) > 1:
                last[size] = name
        if len(last) < min(2, self.levels):
            raise ValueError(
                f"{self.part} of the run has feature maps of {len(last)} sizes; expected 2 or more, as a CNN has: set "
                "network.model.run to a run with a convolutional backbone"
            )
        return [last[size] for size in sorted(last, reverse=True)[: self.levels]]

    def _maps(self, image: Float[Tensor, "b 3 H W"], names: Sequence[str]) -> dict[str, Tensor]:
        """Outputs of the modules that are maps, in the order in which they were done."""
        maps: dict[str, Tensor] = {}

        def keep(name: str) -> Any:
            def hook(module: nn.Module, args: Any, output: Any) -> None:
                if isinstance(output, Tensor) and output.dim() == 4:
                    maps.pop(name, None)
                    maps[name] = output

            return hook

        modules = dict(self.network.named_modules())
        handles = [modules[name].register_forward_hook(keep(name)) for name in names]
        try:
            self.network(image)
        finally:
            for handle in handles:
                handle.remove()
        return maps


def _depth(name: str) -> int:
    return name.count(".") + bool(name)
