"""The published way of GazeLLE (fkryan/gazelle, c845713), written anew as the peer that we time ourselves against.

It shares the weights of a model of ours, so that its answers can be compared before its speed is. One person
per image, lists of boxes, masks drawn in Python, probabilities and their cross-entropy, scikit-learn's AUC
head by head, and pictures normalised before they are resized.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as pixels

from gaze.backbones.normalization import IMAGENET_MEAN, IMAGENET_STD
from gaze.models.gazelle import GazeLLE
from gaze.positions import sinusoid_2d

Boxes = Sequence[Sequence[float]]


class Reference(nn.Module):
    """Images and, for each, the boxes of the people asked about; a list of heatmaps of probabilities for each."""

    def __init__(self, model: GazeLLE, grid: tuple[int, int]) -> None:
        super().__init__()
        self.model = model
        head: Any = model.head
        self.register_buffer("pos_embed", sinusoid_2d(head.linear.out_channels, grid, device=torch.device("cpu")))

    def forward(self, images: Float[Tensor, "b 3 H W"], boxes: Sequence[Boxes]) -> list[Tensor]:
        head: Any = self.model.head
        features = head.linear(self.model.backbone(images)) + self.pos_embed
        people = [len(some) for some in boxes]
        tokens = torch.cat([features[i : i + 1].repeat(count, 1, 1, 1) for i, count in enumerate(people)])
        h, w = tokens.shape[-2:]
        masks = torch.stack([_mask(box, h, w) for some in boxes for box in some]).to(tokens.device)
        tokens = tokens + masks[:, None] * head.head_token.weight[0][None, :, None, None]
        tokens = head.transformer(tokens.flatten(2).transpose(1, 2))
        tokens = tokens.transpose(1, 2).unflatten(2, (h, w))
        maps = head.heatmap_head(tokens).squeeze(1).sigmoid()
        maps = pixels.resize(maps, list(head.size), antialias=True)
        return list(maps.split(people))


def training_step(
    peer: Reference,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    boxes: Sequence[Boxes],
    target: Tensor,
    amp: bool = False,
) -> float:
    """One step on images of one person each; the loss, read back as the published loop does."""
    optimizer.zero_grad()
    with torch.autocast(images.device.type, torch.bfloat16, enabled=amp):
        maps = torch.cat(peer(images, boxes))
    loss = F.binary_cross_entropy(maps.float(), target)
    loss.backward()
    optimizer.step()
    return loss.item()


def image_auc(heatmap: Tensor, points: Float[Tensor, "a 2"], size: tuple[int, int]) -> float:
    """GazeFollow's AUC of one head, over all pixels of its picture."""
    height, width = size
    scores = F.interpolate(heatmap[None, None], size, mode="bilinear")[0, 0].numpy()
    truth = np.zeros(size)
    for x, y in points.tolist():
        if x >= 0:
            truth[min(int(y * height), height - 1), min(int(x * width), width - 1)] = 1
    return float(roc_auc_score(truth.flatten(), scores.flatten()))


def vat_auc(heatmap: Float[Tensor, "64 64"], point: Float[Tensor, "2"]) -> float:
    """VideoAttentionTarget's AUC of one head."""
    x, y = (64 * point).tolist()
    truth = np.zeros((64, 64))
    truth[max(0, int(y - 9)) : min(int(y + 10), 63), max(0, int(x - 9)) : min(int(x + 10), 63)] = 1
    return float(roc_auc_score(truth.flatten(), heatmap.numpy().flatten()))


def load(file: Path, size: tuple[int, int], crop: bool, flip: bool) -> Float[Tensor, "3 H W"]:
    """A picture for training: decoded, maybe cropped and mirrored, to floats, normalised, resized."""
    image = Image.open(file).convert("RGB")
    width, height = image.size
    if crop:
        image = image.crop((width // 20, height // 20, width - width // 20, height - height // 20))
    if flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    floats = pixels.to_dtype(pixels.to_image(image), torch.float32, scale=True)
    return pixels.resize(pixels.normalize(floats, list(IMAGENET_MEAN), list(IMAGENET_STD)), list(size), antialias=True)


def _mask(box: Sequence[float], h: int, w: int) -> Tensor:
    x0, y0, x1, y1 = box
    mask = torch.zeros(h, w)
    mask[round(y0 * h) : round(y1 * h), round(x0 * w) : round(x1 * w)] = 1
    return mask
