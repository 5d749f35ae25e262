"""GazeLLE against the published way: what its workloads share, training, and the heatmap head."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gaze.benchmark.clock import interleaved
from gaze.benchmark.limits import product_rate
from gaze.benchmark.multiplications import FORMATS, shares
from gaze.benchmark.reference import Reference, training_step
from gaze.benchmark.result import Result
from gaze.hardware import Hardware
from gaze.heads.heatmap_decoder import HeatmapDecoder
from gaze.heatmaps import gaussian_targets
from gaze.losses.heatmap import HeatmapBCE
from gaze.models.gazelle import GazeLLE
from gaze.optimizers import grouped
from gaze.recall import Recall, fingerprints
from gaze.types import Batch, Progress, SceneInputs, ScenePrediction, SceneTargets

NOW = Progress(0, 1, 1)


class SceneSpeed:
    """Workloads on one model with a frozen backbone; goals are those of a ViT-B/14 at 448 px.

    Args:
        model: `head_mask` and target as in the reference, or the answers could not be compared.
        size: (height, width) of the pictures in pixels.
        rounds: of calls.
        name: of the model, for the names of the rows.
    """

    def __init__(self, model: GazeLLE, size: tuple[int, int], hardware: Hardware, rounds: int, name: str = "") -> None:
        self.model, self.name = model.to(hardware.device), name
        self.model.backbone.requires_grad_(False)
        self.size, self.hardware, self.rounds = size, hardware, rounds
        self.clock = partial(interleaved, rounds=rounds, device=hardware.device)
        stride = int(model.backbone.stride)  # type: ignore[arg-type]
        self.peer = Reference(self.model, (size[0] // stride, size[1] // stride)).to(hardware.device)
        self.loss = HeatmapBCE(target="reference")
        self.peaks = {name: product_rate(dtype, hardware.device, rounds) for name, dtype in FORMATS.items()}
        self.training = hardware.lowered(self.model, amp=True)
        self.answering = hardware.lowered(self.model, amp=True, everything=True)

    def train(self, persons: int) -> Result:
        """A step on `persons` people: in the published way an image for each, in ours one image with all of them."""
        scene = self.scene(persons)
        images = scene.inputs.image.expand(persons, -1, -1, -1).contiguous()
        boxes = [[box] for box in scene.inputs.head_bbox.tolist()]
        target = gaussian_targets(scene.targets.points, self._head_size(), mode="reference")
        self.mode(training=True)
        peer = torch.optim.Adam(self.model.head.parameters(), lr=1e-9)
        ours = grouped(self.model, partial(torch.optim.Adam, lr=1e-9, fused=True))
        published = partial(training_step, self.peer, peer, images, boxes, target)
        step = partial(self._step, ours, scene)
        timings = self.clock(
            {
                "published": published,
                "fair": partial(published, amp=True),
                "fp32": partial(step, amp=False),
                "bf16": partial(step, amp=True),
            }
        )
        self.mode(training=False)  # without stochastic depth the two are comparable
        expected, found = published(), float(step(amp=False))
        return Result(
            name=f"training{self.name}, {persons} {'person' if persons == 1 else 'persons'} per image",
            unit="people",
            units=persons,
            timings=timings,
            goals={1: {"bf16": 5.0}, 4: {"fp32": 2.7, "bf16": 10.0}}.get(persons, {}),
            difference=abs(found - expected) / expected,
            tolerance=1e-5,
            limits=self.shares(timings, partial(step, amp=False)),
        )

    def cached(self) -> Result:
        """A step on one person in an epoch after the first, from features that are kept."""
        scene = self.scene(1)
        target = gaussian_targets(scene.targets.points, self._head_size(), mode="reference")
        box = [scene.inputs.head_bbox.tolist()]
        self.mode(training=True)
        recall = Recall(1.0, "the backbone")
        peer = torch.optim.Adam(self.model.head.parameters(), lr=1e-9)
        ours = grouped(self.model, partial(torch.optim.Adam, lr=1e-9, fused=True))
        published = partial(training_step, self.peer, peer, scene.inputs.image, box, target)
        timings = self.clock(
            {
                "published": published,
                "fair": partial(published, amp=True),
                "fp32": partial(self._step, ours, scene, amp=False, recall=recall),
                "bf16": partial(self._step, ours, scene, amp=True, recall=recall),
            }
        )
        self.mode(training=False)
        expected, found = published(), float(self._step(ours, scene, amp=False, recall=recall))
        return Result(
            name=f"training from kept features{self.name}, 1 person per image",
            unit="people",
            units=1,
            timings=timings,
            goals={"fp32": 6.0, "bf16": 15.0},
            difference=abs(found - expected) / expected,
            tolerance=1e-4,  # features are kept in half precision
            limits=self.shares(timings, partial(self._step, ours, scene, amp=False, recall=recall)),
        )

    def heatmap_head(self, persons: int = 8) -> Result:
        """The last two layers, written as one: exact, and without the decoder's widest activation."""
        head: Any = self.model.head
        h, w = (side // int(self.model.backbone.stride) for side in self.size)  # type: ignore[arg-type]
        tokens = torch.randn(persons, h * w, head.linear.out_channels, device=self.hardware.device)

        @torch.inference_mode()
        def published() -> Tensor:
            return head.heatmap_head(tokens.transpose(1, 2).unflatten(2, (h, w))).squeeze(1)

        ours: Callable[[], Tensor] = torch.inference_mode()(partial(head._draw, tokens, (h, w)))
        return Result(
            name=f"heatmap head, {persons} persons",
            unit="people",
            units=persons,
            timings=self.clock({"published": published, "fp32": ours}),
            goals={},
            difference=float((ours() - published()).abs().max() / published().abs().max()),
            tolerance=1e-5,
            limits={},
        )

    def scene(self, persons: int, images: int = 1) -> Batch:
        """Noise with `persons` people in each image."""
        generator = torch.Generator().manual_seed(persons)
        image = torch.rand(images, 3, *self.size, generator=generator)
        people = images * persons
        corner = torch.rand(people, 2, generator=generator) * 0.8
        rows = torch.arange(images).repeat_interleave(persons)
        inputs = SceneInputs(image, torch.cat([corner, corner + 0.15], dim=1), rows)
        points = torch.rand(people, 1, 2, generator=generator)
        targets = SceneTargets(points, torch.ones(people), torch.tensor([self.size] * people))
        return self.hardware.place(Batch(inputs, targets, torch.zeros(images, dtype=torch.long)))

    def predict(self, scene: Batch, amp: bool, recall: Recall | None = None, answering: bool = True) -> Tensor:
        """Heatmaps of all people, in ours."""
        inputs = scene.inputs
        lowered = (self.answering if answering else self.training) if amp else contextlib.nullcontext()
        with torch.autocast(self.hardware.device.type, torch.bfloat16, enabled=amp), lowered:
            if recall is None:
                return self.model(inputs).heatmap
            features = recall(fingerprints(inputs.image), lambda rows: self.model.encode(inputs.image[rows]))
            features = features.to(inputs.image.device, torch.float32)
            return self.model.decode(features, inputs.head_bbox, inputs.image_index).heatmap

    def shares(self, timings: dict, call: Callable[[], object]) -> dict[str, float]:
        """How much of the rate of matrix products each variant of ours reaches."""
        return shares(timings, call, self.peaks)

    def mode(self, training: bool) -> None:
        """Training mode for the decoder, or not."""
        self.model.backbone.eval()
        self.model.head.train(training)

    def _step(self, optimizer: torch.optim.Optimizer, scene: Batch, amp: bool, recall: Recall | None = None) -> Tensor:
        found = self.predict(scene, amp, recall, answering=False)
        loss = self.loss(ScenePrediction(found.float()), scene, NOW)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    def _head_size(self) -> tuple[int, int]:
        return self.model.head.size  # type: ignore[return-value]


def comparable(backbone: torch.nn.Module, size: tuple[int, int] = (64, 64)) -> GazeLLE:
    """A GazeLLE on a backbone, whose answers the published code could give."""
    return GazeLLE(
        backbone, partial(HeatmapDecoder, size=size, head_mask="reference", antialias=True, resize="probabilities")
    )
