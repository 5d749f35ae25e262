"""A trained scene model, and what it says about pictures of any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from gaze.datasets.image import resize
from gaze.errors import UserError
from gaze.hardware import Hardware
from gaze.heatmaps import subcell_peak
from gaze.models.inputs import taken_by
from gaze.types import SceneInputs, ScenePrediction


class ScenePredictor:
    """Where does each person in these pictures look?

    Args:
        model: takes `SceneInputs`.
        image_size: (height, width) in pixels at which the model was trained; pictures are resized to it.
            None, for a run whose config does not say, is refused.
        hardware: where it runs; one process.
        amp: run the model in the hardware's lower number format.

    Raises:
        UserError: the model is of another kind, or its image size is not known.
    """

    def __init__(
        self, model: nn.Module, image_size: Sequence[int] | None, hardware: Hardware, amp: bool = False
    ) -> None:
        check_scene_model(model)
        if image_size is None:
            raise UserError(
                "the run's config has no dataset.image_size; expected [height, width], as its model was trained"
            )
        self.model = hardware.compiled(model.eval())
        self.lowered = hardware.lowered(model, amp, everything=True)
        self.image_size, self.hardware, self.amp = (image_size[0], image_size[1]), hardware, amp

    @torch.no_grad()
    def __call__(
        self, pictures: Sequence[UInt8[Tensor, "3 _ _"]], heads: Sequence[Float[Tensor, "_ 4"]]
    ) -> list[ScenePrediction]:
        """For each picture a prediction for each of its heads, on the CPU.

        Args:
            heads: boxes of each picture, as fractions of it; a box of NaN asks about whoever is in it.
        """
        busy = [i for i, boxes in enumerate(heads) if len(boxes)]
        nobody = ScenePrediction(torch.zeros(0, 1, 1))
        predictions = [nobody] * len(pictures)
        if not busy:
            return predictions
        counts = [len(heads[i]) for i in busy]
        inputs = SceneInputs(
            image=torch.stack([resize(pictures[i], self.image_size) for i in busy]),
            head_bbox=torch.cat([heads[i] for i in busy]),
            image_index=torch.arange(len(busy)).repeat_interleave(torch.tensor(counts)),
        )
        with self.hardware.autocast(self.amp), self.lowered:
            everyone: ScenePrediction = self.model(self.hardware.place(inputs))
        everyone = everyone.float32().to("cpu")
        if self.hardware.device.type == "cuda":
            torch.cuda.synchronize()  # the copy above does not wait
        for row, i in enumerate(busy):
            mine = inputs.image_index == row
            predictions[i] = everyone.map(lambda t, mine=mine: t[mine])  # type: ignore[misc]
        return predictions


def check_scene_model(model: nn.Module) -> None:
    """Refuse a model that does not take `SceneInputs`.

    Raises:
        UserError: it takes something else.
    """
    takes = taken_by(type(model))
    if takes is not SceneInputs:
        raise UserError(
            f"the run's model, {type(model).__name__}, takes {getattr(takes, '__name__', takes)}; expected a model of "
            "scenes, such as GazeLLE, which says where the people in a picture look"
        )


def people(
    heads: Float[Tensor, "n 4"], prediction: ScenePrediction, size: tuple[int, int]
) -> list[dict[str, list[float] | float | None]]:
    """What is known of each person, in plain numbers.

    Keys: `head_bbox` (x0, y0, x1, y1) and `gaze` (x, y) as fractions of the picture, both again with
    `_px` in its pixels, (0, 0) being the top left corner of the top left pixel; `peak_probability`, the
    highest of the heatmap; `inout_probability`, that the target is in the frame. What a model or a
    missing prompt does not give is None.

    Args:
        size: (height, width) of the picture in pixels.
    """
    scale = torch.tensor([size[1], size[0]], dtype=torch.float64)
    points = subcell_peak(prediction.heatmap).double()
    peaks = prediction.heatmap.flatten(1).amax(1).sigmoid() if len(heads) else points
    found: list[dict[str, Any]] = []
    for i, box in enumerate(heads.double()):
        asked = bool(box.isfinite().all())
        found.append(
            {
                "head_bbox": _rounded(box, 5) if asked else None,
                "head_bbox_px": _rounded(box * scale.repeat(2), 1) if asked else None,
                "gaze": _rounded(points[i], 5),
                "gaze_px": _rounded(points[i] * scale, 1),
                "peak_probability": round(float(peaks[i]), 5),
                "inout_probability": None
                if prediction.inout is None
                else round(float(prediction.inout[i].sigmoid()), 5),
            }
        )
    return found


def _rounded(values: Tensor, digits: int) -> list[float]:
    return [round(value, digits) for value in values.tolist()]
