"""Where rendered heads look or face, as an estimator sees it, against what it sees in photographs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from gaze.geometry import angular_error, pitch_yaw_to_vector
from gaze.head_regions import on_white, region_mask
from gaze.heatmaps import check_mode
from gaze.metrics.means import Means
from gaze.perceptual.estimators import Estimator
from gaze.types import FacePrediction, FaceTargets

Of = Literal["gaze", "head"]


class RedirectedAngle(Means):
    """Mean angles of an estimator's directions, degrees; with ``of: gaze``

    - ``redirected_gaze_deg``, between the rendered picture and the photograph's head on white: the published figure,
    - ``redirected_gaze_label_deg``, between the rendered picture and the label,
    - ``estimator_gaze_deg``, between the photograph and the label: what the estimator itself is off.

    The last two are NaN for data sets without labels. The estimator must be none that the redirector was trained with.

    Args:
        estimator: a finished model from `DirectionInputs` to `DirectionPrediction`, of gaze or of where heads face.
        of: gaze or head, which label it is compared with and what figures are called.
        size: (height, width) px that it sees. None: what its run was trained on.

    Raises:
        ValueError: `of` is unknown, or the estimator is a model of another task.
    """

    def __init__(self, estimator: nn.Module, of: str = "gaze", size: Sequence[int] | None = None) -> None:
        check_mode(of, Of, "of")
        super().__init__((f"redirected_{of}_deg", f"redirected_{of}_label_deg", f"estimator_{of}_deg"))
        self.of = of
        self.estimator = Estimator(estimator, size, whose=f"metric.redirected_{of}")

    def update(self, prediction: FacePrediction, targets: FaceTargets) -> None:
        """Add a batch."""
        found = self.estimator.seen(prediction.image.clamp(0, 1))
        truth = self.estimator.seen(on_white(targets.image, region_mask(targets, "head")))
        across, to_label, own = self.names
        self.add(across, angular_error(found, truth).rad2deg())
        label = self._label(targets)
        if label is not None:
            known = ~label.isnan().any(-1)
            self.add(to_label, angular_error(found, label).rad2deg(), known)
            self.add(own, angular_error(truth, label).rad2deg(), known)

    def _label(self, targets: FaceTargets) -> Float[Tensor, "b 3"] | None:
        if self.of == "gaze":
            return targets.gaze
        return None if targets.head is None else pitch_yaw_to_vector(targets.head)
