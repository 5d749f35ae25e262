"""Where on the screen does the user look: trunks for the crops, a fusion of what they see, an output head."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.types import ScreenInputs, ScreenPrediction

STREAMS = ("face", "left_eye", "right_eye")
SHARED = "eyes"  # one trunk for both


class ScreenModel(nn.Module):
    """The point of gaze of one user per sample.

    Args:
        trunks: backbones by stream: `face`, `left_eye`, `right_eye`, or `eyes` for both eyes. A shared trunk
            sees the right eye mirrored, so that the inner corners of both lie on the same side.
        fusion: makes the fusion, given `channels` by stream: feature maps and inputs to one vector per sample.
        output: makes the output head, given the `channels` of that vector.
        eye_crops: cuts the eyes out of the face by the samples' geometry; None: samples hold the eyes.

    Raises:
        ValueError: there is no such stream, or the eyes have trunks of their own beside the shared one.
    """

    def __init__(
        self,
        trunks: Mapping[str, nn.Module],
        fusion: Callable[..., nn.Module],
        output: Callable[..., nn.Module],
        eye_crops: nn.Module | None = None,
    ) -> None:
        super().__init__()
        unknown = sorted(set(trunks) - {*STREAMS, SHARED})
        if unknown or (SHARED in trunks and {"left_eye", "right_eye"} & set(trunks)):
            raise ValueError(
                f"model.trunks are {', '.join(trunks)}; expected face, and either eyes (one trunk for both) "
                "or left_eye and right_eye"
            )
        self.eye_crops = eye_crops
        self.trunks = Trunks(trunks)
        channels: dict[str, int] = {}
        for name, trunk in trunks.items():
            for stream in ("left_eye", "right_eye") if name == SHARED else (name,):
                channels[stream] = trunk.channels  # type: ignore[assignment]
        self.fusion = fusion(channels=channels)
        self.output = output(channels=self.fusion.channels)

    def forward(self, inputs: ScreenInputs) -> ScreenPrediction:
        return self.output(self.fusion(self.encode(inputs), inputs), inputs)

    def encode(self, inputs: ScreenInputs) -> dict[str, Float[Tensor, "b c h w"]]:
        """Feature maps by stream; those of a right eye under a shared trunk are mirrored, as that trunk saw it.

        Raises:
            ValueError: the inputs lack a crop that a trunk needs.
        """
        if self.eye_crops is not None:
            if inputs.geometry is None:
                raise ValueError("the model cuts out the eyes by their boxes; add geometry to dataset.streams")
            left, right = self.eye_crops(_crop(inputs, "face"), inputs.geometry)
            inputs = replace(inputs, left_eye=left, right_eye=right)
        features = {}
        for name, trunk in self.trunks.items():
            if name == SHARED:
                left, right = _crop(inputs, "left_eye"), _crop(inputs, "right_eye").flip(-1)
                both = trunk(torch.cat([left, right])).unflatten(0, (2, left.shape[0]))
                features["left_eye"], features["right_eye"] = both.unbind(0)
            else:
                features[name] = trunk(_crop(inputs, name))
        return features


def _crop(inputs: ScreenInputs, stream: str) -> Float[Tensor, "b 3 H W"]:
    crop: Tensor | None = getattr(inputs, stream)
    if crop is None:
        raise ValueError(f"the model looks at {stream}, which the samples do not hold; add it to dataset.streams")
    return crop


class Trunks(nn.ModuleDict):
    """Backbones by stream. Progressive unfreezing thaws them together, or one of them, `trunks.face`, block by block."""

    def blocks(self) -> list[list[nn.Parameter]]:
        """A single block of all parameters."""
        return [list(self.parameters())]
