"""Gaze redirection: a head of Gaussians, drawn as features, refined into a picture."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gaze.avatars.corrections import Corrections, Offsets
from gaze.backbones.gaussian_head import GaussianHead
from gaze.head_frames import camera_gaze, scaled_camera
from gaze.heads.refined import Refined
from gaze.rasterize.gaussians import Gaussians, joined
from gaze.rasterize.rendered import Rendered
from gaze.records import stacked
from gaze.types import FaceInputs, FacePrediction


class Redirector(nn.Module):
    """GazeGaussian (Wei et al., ICCV 2025): codes, head pose, gaze and camera to a picture.

    In training the two streams are drawn alone as well, so that each learns its own part.

    Args:
        backbone: makes Gaussians of the inputs.
        rasterize: draws them.
        head: refines what is drawn.
        corrections: of single training samples; None: none.
        image_size: side of the pictures, px; what `FaceInputs.camera` is meant for.
        feature_size: side of what is drawn, px; it divides `image_size`.
        streams: draw the streams alone in training.
        wander_rad: standard deviation of how far gaze wanders from the label's in one more view of each sample in
            training, which no picture shows: losses say what must stay there, and where it must look. 0: no such view.

    Raises:
        ValueError: the sizes don't fit each other.
    """

    def __init__(
        self,
        backbone: GaussianHead,
        rasterize: nn.Module,
        head: nn.Module,
        corrections: Corrections | None = None,
        image_size: int = 512,
        feature_size: int = 128,
        streams: bool = True,
        wander_rad: float = 0.0,
    ) -> None:
        super().__init__()
        if image_size % feature_size:
            raise ValueError(
                f"model.feature_size is {feature_size}; expected a divisor of model.image_size={image_size}"
            )
        self.backbone, self.rasterize, self.head, self.corrections = backbone, rasterize, head, corrections
        self.image_side, self.feature_side, self.streams = image_size, feature_size, streams
        self.wander_rad = wander_rad

    @property
    def facts(self) -> dict[str, str]:
        """What is active, in words, for whoever starts a run."""
        return getattr(self.head, "facts", {})

    def forward(self, inputs: FaceInputs) -> FacePrediction:
        inputs, offsets = self._corrected(inputs)
        face, eyes = self.backbone(inputs)
        views, asked = {"image": joined(face, eyes)}, {"image": inputs}
        if self.training and self.streams:
            views |= {"face": joined(face, hidden(eyes)), "eyes": joined(hidden(face), eyes)}
            asked |= {"face": inputs, "eyes": inputs}
        wandered = None
        if self.training and self.wander_rad:
            wandered = replace(inputs, gaze=inputs.gaze + self.wander_rad * torch.randn_like(inputs.gaze))
            views["wandered"], asked["wandered"] = joined(face, self.backbone.turned_eyes(wandered)), wandered
        every = stacked(asked.values())
        rendered = self._draw(stacked(views.values()), every)
        samples = len(inputs.sample)
        refined: Refined = self.head(rendered.feature, rendered.alpha, every, samples)
        images = dict(zip(views, refined.image.split(samples), strict=True))
        raws = dict(zip(views, self._shown(rendered.feature[:, :3]).split(samples), strict=True))
        return FacePrediction(
            **images,
            raw=raws["image"],
            face_raw=raws.get("face"),
            eyes_raw=raws.get("eyes"),
            wandered_gaze=None if wandered is None else camera_gaze(wandered),
            alpha=self._shown(rendered.alpha[:samples, None])[:, 0],
            depth=rendered.depth[:samples],
            latent=None if refined.latent is None else refined.latent[:samples],
            identity_offset=None if offsets is None else offsets.identity,
            expression_offset=None if offsets is None else offsets.expression,
            camera_offset=None if offsets is None else offsets.camera,
            factor_cosine=refined.factor_cosine,
            factor_overlap=refined.factor_overlap,
            factor_collapse=refined.factor_collapse,
        )

    def gaussians(self, inputs: FaceInputs) -> Gaussians:
        """The Gaussians of each sample's head, in the world."""
        return joined(*self.backbone(self._corrected(inputs)[0]))

    def _corrected(self, inputs: FaceInputs) -> tuple[FaceInputs, Offsets | None]:
        return (inputs, None) if self.corrections is None else self.corrections(inputs)

    def _draw(self, gaussians: Gaussians, inputs: FaceInputs) -> Rendered:
        camera = scaled_camera(inputs.camera, self.feature_side / self.image_side)
        rendered: Rendered = self.rasterize(gaussians, inputs.world_to_camera, camera, (self.feature_side,) * 2)
        return rendered

    def _shown(self, drawn: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c H W"]:
        """What was drawn, at the size of pictures."""
        return F.interpolate(drawn, (self.image_side,) * 2, mode="bilinear", align_corners=False)


def hidden(gaussians: Gaussians) -> Gaussians:
    """The same, where nobody sees them."""
    return replace(gaussians, opacity=torch.zeros_like(gaussians.opacity))
