"""How long a picture with many people takes GazeLLE, against the published way; compiled, and as an ONNX file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from omegaconf import OmegaConf
from torch import Tensor

from gaze.backbones.vit import TimmViT
from gaze.benchmark.result import Result, largest
from gaze.benchmark.scene_speed import SceneSpeed, comparable
from gaze.hardware import Hardware
from gaze.types import Batch

PEOPLE = (1, 5, 10, 25)
GOAL = 4.5  # times the published way, with a matrix unit


class FrameSpeed(SceneSpeed):
    """From pixels on the device to the heatmaps of all people."""

    def latency(self, persons: int, images: int = 1, fp32: bool = True) -> Result:
        """All people of one picture, or of several at once.

        Args:
            fp32: also time our way without lower precision, which always says whether the answers are the same.
        """
        scene = self.scene(persons, images)
        published, plain = self.published(scene), partial(self.answer, scene, amp=False)
        ways: dict[str, Callable[[], object]] = {"published": published, "fair": partial(published, amp=True)}
        ours: dict[str, Callable[[], object]] = {"fp32": plain} if fp32 else {}
        timings = self.clock({**ways, **ours, "bf16": partial(self.answer, scene, amp=True)})
        people = f"{persons} {'person' if persons == 1 else 'persons'}"
        return Result(
            name=f"frame{self.name}, {people}" if images == 1 else f"{images} frames at once{self.name}, {people} each",
            unit="frames",
            units=images,
            timings=timings,
            goals={"bf16": GOAL},
            difference=float((plain() - published()).abs().max()),
            tolerance=1e-5,
            limits=self.shares(timings, plain),
        )

    def frames(self, people: Sequence[int]) -> Iterator[Result]:
        """Pictures with so many people, one after the other, and four with one person each at once."""
        for persons in people:
            yield self.latency(persons, fp32=False)
        yield self.latency(1, images=4, fp32=False)

    def published(self, scene: Batch) -> Callable[..., Tensor]:
        """Probabilities as the published code computes them."""
        boxes = [scene.inputs.head_bbox[scene.inputs.image_index == i].tolist() for i in range(len(scene.inputs.image))]
        self.mode(training=False)

        @torch.inference_mode()
        def call(amp: bool = False) -> Tensor:
            with torch.autocast(self.hardware.device.type, torch.bfloat16, enabled=amp):
                return torch.cat(self.peer(scene.inputs.image, boxes))

        return call

    @torch.inference_mode()
    def answer(self, scene: Batch, amp: bool) -> Tensor:
        """Probabilities as we compute them."""
        return self.predict(scene, amp).float().sigmoid()

    def deployed(self, compiled: bool = True) -> Result:
        """One person: what torch.compile, and ONNX Runtime with the file that we export, make of the same model.

        Neither is faster by itself on a CPU. On a GPU the file is left out: its runtime is there for CPUs only.
        """
        scene = self.scene(1)
        published, warm_up_s = self.published(scene), {}
        ways: dict[str, Callable[[], Tensor]] = {"bf16": partial(self.answer, scene, amp=True)}
        with TemporaryDirectory() as folder:
            if self.hardware.device.type == "cpu":
                begun = time.perf_counter()
                ways["ONNX Runtime"] = partial(exported(self.model, self.size, Path(folder) / "scene.onnx"), scene)
                warm_up_s["ONNX Runtime"] = time.perf_counter() - begun
            if compiled:
                begun = time.perf_counter()
                ways["compiled, bf16"] = self._compiled(scene)
                ways["compiled, bf16"]()
                warm_up_s["compiled, bf16"] = time.perf_counter() - begun
            timings = self.clock({"published": published, "fair": partial(published, amp=True), **ways})
            expected = published()
            apart = {name: float((call() - expected).abs().max()) for name, call in ways.items()}
        return Result(
            name=f"frame{self.name}, 1 person, deployed",
            unit="frames",
            units=1,
            timings=timings,
            goals={},
            difference=largest(apart.values()),
            tolerance=0.05,  # of a probability, in bfloat16; the file takes pictures as 8 bits
            limits=self.shares(timings, partial(self.answer, scene, amp=False)),
            warm_up_s=warm_up_s,
        )

    def _compiled(self, scene: Batch) -> Callable[[], Tensor]:
        model = torch.compile(self.model)

        @torch.no_grad()
        def call() -> Tensor:
            with torch.autocast(self.hardware.device.type, torch.bfloat16):
                return model(scene.inputs).heatmap.float().sigmoid()

        return call


def exported(model: torch.nn.Module, size: tuple[int, int], path: Path) -> Callable[[Batch], Tensor]:
    """A function of scenes that asks ONNX Runtime, of the file that our exporter writes."""
    from gaze.export.exporter import trace
    from gaze.export.onnx_format import Onnx
    from gaze.export.plan import Wishes
    from gaze.export.scenes import Scenes

    kind = Onnx()
    kind.check(None)
    plan = Scenes("", model, OmegaConf.create({"dataset": {"image_size": list(size)}}), Wishes(), kind)
    kind.write(trace(plan, int8=False)[0], path, "{}", plan.about, None)
    call, _ = kind.open(path)

    def answer(scene: Batch) -> Tensor:
        inputs, _ = plan.naming.pack(scene.inputs.map(_bytes))
        return call(inputs)["heatmap"]

    return answer


def _bytes(tensor: Tensor) -> Tensor:
    return (tensor * 255).round().to(torch.uint8) if tensor.dim() == 4 else tensor


def frames_640(rounds: int, hardware: Hardware, small: bool = False) -> Iterator[Result]:
    """A picture with 1, 5, 10 and 25 people: DINOv3 ViT-S/16 at 640 px; in short nothing."""
    if not small:
        yield from _large("vit_small_patch16_dinov3_qkvb", 640, " of ViT-S", rounds, hardware).frames(PEOPLE)


def compiled(rounds: int, hardware: Hardware, small: bool = False) -> Iterator[Result]:
    """One person in DINOv3 ViT-S/16 at 640 px, compiled and from an ONNX file; in short nothing."""
    if not small:
        yield _large("vit_small_patch16_dinov3_qkvb", 640, " of ViT-S", rounds, hardware).deployed()


def _large(backbone: str, side: int, name: str, rounds: int, hardware: Hardware) -> FrameSpeed:
    return FrameSpeed(comparable(TimmViT(backbone)), (side, side), hardware, rounds, name)
