"""Predictions and batches of heads, as small as losses and metrics of heads allow."""

import torch

from gaze.types import Batch, FaceInputs, FacePrediction, FaceTargets, Progress

NOW = Progress(50, 100, 5)  # epoch 10
SIZE = 24


def masks(size=SIZE, samples=2):
    """Head, left eye and right eye; the last sample is a profile, whose right eye is not seen."""
    head, left, right = torch.zeros(3, samples, size, size, dtype=torch.bool)
    head[:, 2:-2, 4:-4] = True
    left[:, 8:11, 7:10] = True
    right[:-1, 8:11, 14:17] = True
    return head, left, right


def batch(size=SIZE, samples=2, seed=0, **changes):
    draws = torch.Generator().manual_seed(seed)
    head, left, right = masks(size, samples)
    facts = {
        "image": torch.rand(samples, 3, size, size, generator=draws),
        "head_mask": head,
        "left_eye_mask": left,
        "right_eye_mask": right,
        "landmarks": torch.randn(samples, 5, 3, generator=draws),
        "gaze": torch.nn.functional.normalize(torch.randn(samples, 3, generator=draws), dim=-1),
        "head": 0.3 * torch.randn(samples, 2, generator=draws),
    }
    n = samples
    inputs = FaceInputs(
        gaze=torch.zeros(n, 2),
        identity=torch.zeros(n, 4),
        expression=torch.zeros(n, 3),
        pose=torch.zeros(n, 6),
        scale=torch.ones(n),
        world_to_camera=torch.eye(4).expand(n, 4, 4),
        camera=torch.eye(3).expand(n, 3, 3),
        sample=torch.arange(n),
    )
    return Batch(inputs, FaceTargets(**(facts | changes)), torch.arange(n))


def drawn(size=SIZE, samples=2, seed=1):
    """A prediction of everything, by field, that is wrong everywhere and can learn."""
    draws = torch.Generator().manual_seed(seed)
    fields = {
        name: torch.rand(samples, 3, size, size, generator=draws)
        for name in ("image", "raw", "face", "face_raw", "eyes", "eyes_raw", "wandered")
    }
    fields["wandered_gaze"] = torch.nn.functional.normalize(torch.randn(samples, 3, generator=draws), dim=-1)
    fields["alpha"] = torch.rand(samples, size, size, generator=draws)
    fields["landmarks"] = torch.randn(samples, 5, 3, generator=draws)
    widths = {"identity_offset": 4, "expression_offset": 3, "camera_offset": 6}
    fields |= {name: torch.randn(samples, width, generator=draws) for name, width in widths.items()}
    fields |= {name: torch.randn(samples, 4, 3, 3, generator=draws) for name in ("mean", "log_variance")}
    scalars = ("deformation", "surface_distance", "roughness", "factor_cosine", "factor_overlap", "factor_collapse")
    fields |= {name: torch.rand((), generator=draws) + 0.1 for name in scalars}
    return {name: value.requires_grad_() for name, value in fields.items()}


def right(batch):
    """The prediction that reproduces a batch and needs no correction for it."""
    targets, nothing = batch.targets, torch.zeros(())
    head, eyes = targets.head_mask[:, None], (targets.left_eye_mask | targets.right_eye_mask)[:, None]
    regions = {name: torch.where(mask, targets.image, 1.0) for name, mask in
               {"image": head, "face": head & ~eyes, "eyes": eyes}.items()}  # fmt: skip
    n = len(targets.image)
    return FacePrediction(
        **regions,
        raw=regions["image"],
        face_raw=regions["face"],
        eyes_raw=regions["eyes"],
        wandered=regions["image"],
        wandered_gaze=torch.nn.functional.normalize(
            regions["image"].mean((-2, -1)) - 0.5, dim=-1
        ),  # as a Lookout sees it
        alpha=targets.head_mask.float(),
        landmarks=targets.landmarks,
        identity_offset=torch.zeros(n, 4),
        expression_offset=torch.zeros(n, 3),
        camera_offset=torch.zeros(n, 6),
        mean=torch.zeros(n, 4, 3, 3),
        log_variance=torch.zeros(n, 4, 3, 3),
        deformation=nothing,
        surface_distance=nothing,
        roughness=nothing,
        factor_cosine=nothing,
        factor_overlap=nothing,
        factor_collapse=nothing,
    )
