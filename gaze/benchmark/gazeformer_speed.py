"""A training step of GazeFormer, and of its stages apart, against the ways of the prototype."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gaze.backbones.timm_features import TimmFeatures
from gaze.benchmark.clock import interleaved
from gaze.benchmark.direction_speed import FACES, FEW, Step
from gaze.benchmark.moe_speed import separate
from gaze.benchmark.multiplications import rates, shares
from gaze.benchmark.prompt_speed import PLACES, TEXTS, TextTower, vit_b32
from gaze.benchmark.result import Result
from gaze.clip.frozen import FrozenTower
from gaze.clip.steering import Steering
from gaze.fusions.direction_tokens import DirectionTokens
from gaze.hardware import Hardware
from gaze.heads.direction_vmf import DirectionVMFHead
from gaze.losses.direction import angle_between
from gaze.matching import Matching
from gaze.models.gazeformer import GazeFormer
from gaze.moe.mixture import Mixture
from gaze.moe.router import Router, Routing
from gaze.prompts.prompts import Prompts, unit
from gaze.types import DirectionInputs, DirectionPrediction

AUXILIARY = 0.01  # weight of both losses of the router


class Prototype(nn.Module):
    """A GazeFormer as the prototype computes it (AIPMLab/Gazeformer, 67c78bf), with the weights of one of ours.

    Its texts of gaze are embedded anew for each batch, and each expert looks for its tokens, and asks whether there are any.
    Of CLIP its train.py freezes the image tower and the blocks of the text tower alone, so that gradients reach the words; but
    its optimizer has only fusion and CNN, here `model`.

    Args:
        model: of ours, not yet trained.
        texts: the text tower.
        words: of the texts of gaze.
    """

    def __init__(self, model: GazeFormer, texts: nn.Module, words: Int[Tensor, "n k"]) -> None:
        super().__init__()
        self.model, self.texts, self.words = copy.deepcopy(model), copy.deepcopy(texts), words
        for name, parameter in self.texts.named_parameters():
            parameter.requires_grad_("blocks" not in name)
        for part in self.model.modules():
            if isinstance(part, Mixture):
                part.experts = LoopedExperts(part)  # type: ignore[assignment]

    def forward(self, inputs: DirectionInputs) -> DirectionPrediction:
        self.model.steering.prompts._buffers["bank_gaze"] = self.texts(self.words)
        found: DirectionPrediction = self.model(inputs)
        return found


class LoopedExperts(nn.Module):
    """Experts that are modules of their own, called one after the other as `gaze.moe.experts.Experts` is called.

    Args:
        mixture: whose weights they have.
    """

    aligned = False

    def __init__(self, mixture: Mixture) -> None:
        super().__init__()
        self.each = nn.ModuleList(separate(mixture))

    def forward(
        self, tokens: Float[Tensor, "t d"], routing: Routing, seen: Tensor | None, backend: str, capacity: int | None
    ) -> tuple[Float[Tensor, "t d"], Float[Tensor, ""]]:
        found = torch.zeros_like(tokens)
        for number, expert in enumerate(self.each):
            mask = routing.chosen == number
            if mask.sum() == 0:
                continue
            rows, slots = torch.where(mask)
            answers = routing.weight[rows, slots, None] * expert(tokens[rows])
            found = found.index_add(0, rows, answers.to(found.dtype))
        return found, tokens.new_zeros(())


def gazeformer_training(
    rounds: int,
    hardware: Hardware,
    small: bool = False,
    tower: Callable[[], FrozenTower] = vit_b32,
    texts: Callable[[], nn.Module] | None = None,
    network: str | None = None,
) -> Iterator[Result]:
    """The model of conf/model/gazeformer (CLIP ViT-B/32, ResNet-50, fusion=small) with random weights.

    `published` is the prototype in float32, and `fair` the same in bfloat16 and channels last; its train.py has autocast to
    float16 around the fusion alone, and on CUDA only. A quick run has a ResNet-18 and a text tower of two blocks.
    Then its stages: in that row `published` is our whole step in bfloat16, so that each ratio is one over a stage's share.
    """
    torch.manual_seed(0)
    device, faces = hardware.device, FEW if small else FACES
    network = network or ("resnet18" if small else "resnet50")
    texts = texts or partial(TextTower, depth=2 if small else 12)
    clip = tower()
    model = gazeformer(clip, network).to(device)
    text = texts().to(device).eval()
    words = torch.randint(1000, (TEXTS, PLACES), device=device)
    with torch.no_grad():  # in the place of a file of the texts' vectors
        model.steering.prompts.bank_gaze.copy_(unit(text(words)))
    prototype = Prototype(model, text, words).to(device)
    images = torch.randint(256, (faces, 3, clip.side, clip.side), device=device) / 255
    truth = unit(torch.randn(faces, 3, device=device))
    with torch.no_grad():
        given = DirectionInputs(images)
        difference = float((model.eval()(given).gaze - prototype.eval()(given).gaze).abs().max())

    def loss(trained: nn.Module, faces: Tensor) -> Tensor:
        said: DirectionPrediction = trained(DirectionInputs(faces))
        assert said.balance is not None
        assert said.router_z is not None
        return angle_between(said.gaze.float(), truth).mean() + AUXILIARY * (said.balance + said.router_z)

    last = torch.channels_last
    plain, turned = partial(loss, faces=images), partial(loss, faces=images.to(memory_format=last))
    adam = partial(torch.optim.AdamW, lr=0.0, weight_decay=0.0)
    fast = partial(adam, fused=True)
    candidates = {
        "published": Step(prototype, adam, plain, trained="model"),
        "fair": Step(prototype, adam, turned, last, True, trained="model"),
        "fp32": Step(model, fast, turned, last),
        "bf16": Step(model, fast, turned, last, True),
    }
    timings = interleaved(candidates, rounds, device)
    result = Result(
        name=f"GazeFormer, training, {faces} faces of {clip.side} px",
        unit="faces",
        units=faces,
        timings=timings,
        goals={"bf16": 4.0},
        difference=difference,
        tolerance=1e-4,
        limits=shares(timings, candidates["fp32"], rates(device, rounds)),
    )
    yield result
    yield _stages(candidates["bf16"], images.to(memory_format=last), rounds, device)


def _stages(step: Step, images: Tensor, rounds: int, device: torch.device) -> Result:
    model, trained = step.model, step.model
    streams: dict[str, Tensor] = {}
    hook = model.fusion.register_forward_pre_hook(lambda _, given: streams.update(given[0]))  # type: ignore[union-attr, operator]
    step()
    hook.remove()

    def whole(part: Callable[[], Tensor]) -> None:
        with torch.autocast(device.type, torch.bfloat16):
            found = part()
        if found.requires_grad:
            found.float().sum().backward()
        trained.zero_grad(set_to_none=True)

    kept = {name: stream.detach().requires_grad_() for name, stream in streams.items()}
    stages = {
        "tower": lambda: model.clip(images).embed,  # type: ignore[operator]
        "CNN": lambda: model.backbone(images),  # type: ignore[operator]
        "fusion": lambda: model.fusion(kept).vector,  # type: ignore[operator]
    }
    candidates: dict[str, Callable[[], object]] = {"published": step}
    candidates |= {name: partial(whole, part) for name, part in stages.items()}
    return Result(
        name=f"GazeFormer, stages of a step of {len(images)} faces",
        unit="faces",
        units=len(images),
        timings=interleaved(candidates, rounds, device),
        goals={},
        difference=0.0,
        tolerance=0.0,
        limits={},
    )


def gazeformer(tower: FrozenTower, network: str = "resnet50") -> GazeFormer:
    """The model of conf/model/gazeformer, at random, with as many texts of gaze as the prototype has."""
    ways = [{"id": f"w{i}", "text": f"way {i}", "dir": [i - 3.5, 1.0]} for i in range(TEXTS)]
    lights = [{"id": f"l{i}", "text": f"light {i}"} for i in range(TEXTS)]
    banks = {"light": {"role": "context", "entries": lights}, "gaze": {"role": "gaze", "entries": ways}}
    steering = partial(Steering, prompts=partial(Prompts, banks=banks, weights=None), matching=Matching)
    moe = partial(Mixture, router=partial(Router, bias_rate=1e-3))
    return GazeFormer(
        tower, steering, TimmFeatures(network), partial(DirectionTokens, moe=moe, dropout=0.1), DirectionVMFHead
    )
