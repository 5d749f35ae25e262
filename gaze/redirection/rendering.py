"""Pictures that a model of redirected heads makes."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from gaze.errors import UserError
from gaze.hardware import Hardware
from gaze.head_regions import on_white
from gaze.types import FaceInputs, FacePrediction, FaceTargets


@torch.no_grad()
def render(
    model: nn.Module, inputs: FaceInputs, hardware: Hardware, batch_size: int = 16, amp: bool = False
) -> Float[Tensor, "n 3 H W"]:
    """Pictures in [0, 1] on the CPU, some at a time.

    Args:
        model: in eval mode, on the device.

    Raises:
        UserError: the memory is not enough, or a picture is not finite.
    """
    made, lowered = [], hardware.lowered(model, amp, everything=True)
    for start in range(0, len(inputs.gaze), batch_size):
        part = hardware.place(inputs.map(lambda t, at=start: t[at : at + batch_size]))  # type: ignore[misc]
        try:
            with hardware.autocast(amp), lowered:
                prediction = model(part)
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"{len(part.gaze)} pictures at once do not fit in the memory of {hardware.device}; lower batch_size, now "
                f"{batch_size}, or take hardware=cpu"
            ) from error
        assert isinstance(prediction, FacePrediction)
        made.append(prediction.image.float().clamp(0, 1).cpu())
    image = torch.cat(made)
    broken = (~image.isfinite().flatten(1).all(1)).sum()
    if broken:
        raise UserError(
            f"{int(broken)} of {len(image)} pictures have NaN; the run's weights are broken, or the gaze or pose is far from "
            "what it was trained on; try another checkpoint or targets"
        )
    return image


def photographs(targets: FaceTargets) -> Float[Tensor, "*b 3 H W"]:
    """Those of a data set or of a device, [0, 1], white where no head is."""
    image = targets.image.float() / (1.0 if targets.image.is_floating_point() else 255.0)
    return on_white(image, targets.head_mask)


def to_bytes(image: Float[Tensor, "*n 3 H W"]) -> UInt8[Tensor, "*n 3 H W"]:
    """8-bit pictures of those in [0, 1]."""
    return (image.clamp(0, 1) * 255).round().to(torch.uint8)
