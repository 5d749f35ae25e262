"""The second stage's training step as GazeGaussian's code takes it, on our weights: one sample, view and picture at a time.

What it does is that of github.com/ucwxb/GazeGaussian; no line is theirs. Codes are repeated for each Gaussian, the three
clouds are drawn one after the other, the renderer has a key of each pixel, a photograph goes through VGG and the estimator
again for each picture that is compared with it, and SSIM has a window of two dimensions.
"""

from __future__ import annotations

import copy
import itertools
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gaze.avatars.point_mlp import SLOPE, PointMLP
from gaze.benchmark.renderer_speed import Materialised
from gaze.head_frames import scaled_camera
from gaze.head_regions import on_white, region_mask
from gaze.losses.direction import angle_between
from gaze.models.redirector import Redirector
from gaze.rasterize.gaussians import Gaussians, joined
from gaze.structural_similarity import C1, C2, SIDE, SIGMA
from gaze.types import FaceInputs, FaceTargets

REGIONS = ("face", "eyes", "head")


class Repeated(nn.Module):
    """A network of points that reads points and codes as one row for each point.

    Args:
        held: whose weights it has.
    """

    def __init__(self, held: PointMLP) -> None:
        super().__init__()
        self.layers, self.skip = held.layers, held.skip

    def forward(self, points: Float[Tensor, "#b g p"], code: Float[Tensor, "b c"]) -> Float[Tensor, "b g o"]:
        given = torch.cat([points.expand(len(code), -1, -1), code[:, None].expand(-1, points.shape[1], -1)], -1)
        hidden = self.layers[0](given)
        for i, layer in enumerate(itertools.islice(self.layers, 1, None), 1):
            hidden = F.leaky_relu(hidden, SLOPE)
            hidden = layer(torch.cat([hidden, given], -1) if i == self.skip else hidden)
        return hidden.to(points.dtype)


class PublishedHead(nn.Module):
    """The model and its losses.

    Args:
        model: whose weights it has a copy of.
        perceptual: LPIPS, which it shares.
        estimator: from pictures to directions, which it shares.
    """

    def __init__(self, model: Redirector, perceptual: Any, estimator: nn.Module) -> None:
        super().__init__()
        self.model = copy.deepcopy(model)
        for module in list(self.model.modules()):
            for name, child in module.named_children():
                if isinstance(child, PointMLP):
                    setattr(module, name, Repeated(child))
        self.renderer = Materialised(self.model.head.stages)  # type: ignore[arg-type]
        self.model.head.stages = self.renderer.held  # type: ignore[assignment]
        self.others = (perceptual, estimator)  # no parts of the model

    def forward(self, inputs: FaceInputs, targets: FaceTargets, amp: bool) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of one sample, and its terms.

        Args:
            amp: networks in bfloat16.
        """
        with torch.autocast(inputs.pose.device.type, torch.bfloat16, enabled=amp):
            corrected, offsets = self.model.corrections(inputs)  # type: ignore[misc]
            face, eyes = self.model.backbone(corrected)
            views = {"face": face, "eyes": eyes, "head": joined(face, eyes)}
            drawn = {region: self._drawn(views[region], corrected, amp) for region in REGIONS}
            perceptual, angular = self._seen(drawn, targets)
        zero = inputs.pose.new_zeros(())
        terms = {"l1": zero, "ssim": zero, "vgg": perceptual, "redirected_gaze": angular}
        for region, pictures in drawn.items():
            truth = on_white(targets.image, region_mask(targets, region))
            for picture in pictures:
                terms["l1"] = terms["l1"] + (picture - truth).abs().mean()
                terms["ssim"] = terms["ssim"] + 1 - similarity(picture, truth)
        extra = 1e-3 * offsets.identity.square().mean() + offsets.expression.square().mean()
        extra = extra + 1e-3 * offsets.camera.square().mean()
        loss = terms["l1"] + 0.1 * (terms["ssim"] + terms["vgg"] + terms["redirected_gaze"]) + extra
        return loss, terms

    def _drawn(self, cloud: Gaussians, inputs: FaceInputs, amp: bool) -> tuple[Tensor, Tensor]:
        """One view: refined and raw."""
        model = self.model
        camera = scaled_camera(inputs.camera, model.feature_side / model.image_side)
        seen = model.rasterize(cloud, inputs.world_to_camera, camera, (model.feature_side,) * 2)
        feature = model.head.blend(torch.cat([seen.feature, seen.alpha[:, None]], 1))  # type: ignore[operator]
        if amp:
            feature = feature.contiguous(memory_format=torch.channels_last)
        picture = self.renderer(feature, torch.cat([inputs.expression, inputs.identity], 1))
        raw = F.interpolate(seen.feature[:, :3], (model.image_side,) * 2, mode="bilinear")
        return picture.float(), raw.float()

    def _seen(self, drawn: dict[str, tuple[Tensor, Tensor]], targets: FaceTargets) -> tuple[Tensor, Tensor]:
        """LPIPS of six pairs, with raw pictures cut out in place, and the angle between raw head and photograph."""
        network, estimator = self.others
        total = targets.image.new_zeros(())
        for region, (refined, raw) in list(drawn.items()):
            mask = region_mask(targets, region)
            truth = on_white(targets.image, mask)
            drawn[region] = (refined, on_white(raw, mask))
            for picture in drawn[region]:
                total = total + network.distance(network(picture), network(truth)).mean()
        truth = on_white(targets.image, region_mask(targets, "head"))
        angle = angle_between(estimator(drawn["head"][1]), estimator(truth).detach())
        return total, angle.mean().rad2deg()


def similarity(found: Float[Tensor, "b c H W"], truth: Float[Tensor, "b c H W"]) -> Float[Tensor, ""]:
    """SSIM by one window of two dimensions and five convolutions."""
    at = torch.arange(SIDE, device=found.device, dtype=found.dtype) - SIDE // 2
    line = (-at.square() / (2 * SIGMA**2)).exp()
    line = line / line.sum()
    window = (line[:, None] * line).expand(found.shape[1], 1, SIDE, SIDE)

    def smooth(maps: Tensor) -> Tensor:
        return F.conv2d(maps, window, padding=SIDE // 2, groups=maps.shape[1])

    x, y = smooth(found), smooth(truth)
    xx, yy, xy = smooth(found * found) - x * x, smooth(truth * truth) - y * y, smooth(found * truth) - x * y
    return (((2 * x * y + C1) * (2 * xy + C2)) / ((x * x + y * y + C1) * (xx + yy + C2))).mean()
