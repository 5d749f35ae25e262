"""How good redirected pictures are, each for itself."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from gaze.geometry import angular_error, pitch_yaw_to_vector
from gaze.head_regions import eyes_mask, far_from
from gaze.metrics.image_quality import decibels, mean_over
from gaze.redirection.judges import Judges
from gaze.redirection.rendering import photographs
from gaze.redirection.renormalised import face_views, renormalised
from gaze.structural_similarity import SIDE, structural_similarity, viewed
from gaze.types import FaceInputs, FaceTargets

Figures = dict[str, Float[Tensor, "b"]]


def figures(
    image: Float[Tensor, "b 3 H W"], inputs: FaceInputs, targets: FaceTargets, judges: Judges, renormalise: bool = False
) -> Figures:
    """What there is to say of pictures against their targets on white; NaN where a target does not allow it.

    gaze_deg and head_deg, between what an estimator sees in both; ..._label_deg, between the picture and the label;
    estimator_..._deg, between the photograph and the label; psnr and psnr_eyes (dB, 80 at most), ssim, l1, lpips, and
    id_sim_synth, 100 times the cosine of features.

    Args:
        image: in [0, 1].
        inputs: of the targets.
        renormalise: estimators see faces as `renormalised` has them, and labels are turned likewise.
    """
    truth = photographs(targets).to(image)
    found = _angles(image, truth, inputs, targets, judges, renormalise)
    error = image - truth
    nothing = torch.full_like(error[:, 0, 0, 0], torch.nan)
    found |= {"psnr": decibels(error.square().mean((1, 2, 3))), "l1": error.abs().mean((1, 2, 3))}
    found["ssim"] = nothing
    if min(truth.shape[-2:]) >= SIDE:
        found["ssim"] = structural_similarity(viewed(image), viewed(truth), padded=False)
    if (eyes := eyes_mask(targets)) is not None:
        seen = eyes.any(-1).any(-1)
        found["psnr_eyes"] = torch.where(seen, decibels(mean_over(error.square(), eyes)), torch.nan)
    if judges.lpips is not None:
        found["lpips"] = judges.lpips.distance(judges.lpips(image), judges.lpips(truth))
    if judges.identity is not None:
        ours, theirs = (judges.identity(p) for p in (image, truth))
        found["id_sim_synth"] = 100 * F.cosine_similarity(ours, theirs)
    return found


def _angles(
    image: Float[Tensor, "b 3 H W"],
    truth: Float[Tensor, "b 3 H W"],
    inputs: FaceInputs,
    targets: FaceTargets,
    judges: Judges,
    renormalise: bool,
) -> Figures:
    found: Figures = {}
    views = face_views(inputs, targets.landmarks) if renormalise else None
    pair = [image, truth] if views is None else [renormalised(p, views) for p in (image, truth)]
    labels = {"gaze": targets.gaze, "head": None if targets.head is None else pitch_yaw_to_vector(targets.head)}
    for name, judge in (("gaze", judges.gaze), ("head", judges.head)):
        if judge is None:
            continue
        ours, theirs = (judge.seen(p) for p in pair)
        found[f"{name}_deg"] = angular_error(ours, theirs).rad2deg()
        if (label := labels[name]) is not None:
            label = label if views is None else views.turned(label.double()).float()
            found[f"{name}_label_deg"] = angular_error(ours, label).rad2deg()
            found[f"estimator_{name}_deg"] = angular_error(theirs, label).rad2deg()
    return found


def leak(
    image: Float[Tensor, "b 3 H W"], other: Float[Tensor, "b 3 H W"], eyes: Bool[Tensor, "b H W"]
) -> Float[Tensor, "b"]:
    """Mean absolute difference of two pictures outside of the eyes and what is near them."""
    return mean_over((image - other).abs(), far_from(eyes))


def spearman(a: Float[Tensor, "n s"], b: Float[Tensor, "n s"]) -> Float[Tensor, "n"]:
    """Rank correlations of rows; equal values share their mean rank, and what never varies has 0."""
    return F.cosine_similarity(_ranks(a), _ranks(b), dim=-1)


def _ranks(value: Float[Tensor, "n s"]) -> Float[Tensor, "n s"]:
    """About zero."""
    return (value[..., None] - value[..., None, :]).sign().sum(-1)
