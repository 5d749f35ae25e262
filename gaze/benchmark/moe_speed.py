"""A mixture of experts, forward and backward, against a loop over its experts as it is usually written."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.benchmark.clock import interleaved
from gaze.benchmark.result import Result, largest
from gaze.fusions.direction_tokens import DirectionTokens
from gaze.hardware import Hardware
from gaze.moe.mixture import Mixture, SwiGLU, swiglu


class Shape(NamedTuple):
    """What is computed."""

    tokens: int
    experts: int
    top_k: int
    hidden: int
    goal: float  # over the loop over choices
    width: int = 256


SHAPES = (
    Shape(4096, 32, 4, 128, goal=3.0),
    Shape(4096, 8, 2, 512, goal=1.0),
    Shape(256, 32, 4, 128, goal=3.0),
    Shape(256, 8, 2, 512, goal=1.0),
)

# Of conf/fusion/tiny.yaml
TINY = {"width": 64, "heads": 4, "hidden": 128, "moe_blocks": 1, "experts": 4, "expert_hidden": 64}


def moe_training(rounds: int, hardware: Hardware, shapes: tuple[Shape, ...] = SHAPES) -> Iterator[Result]:
    """Each shape in turn, all from one router and the same weights.

    `published` loops over choices and experts and cuts each expert out of the stacked weights, as a mixture with
    such weights is first written. `fair` loops over experts that are modules of their own, the best of the plain
    forms: what it and we wait for is the same products, so that on a CPU little is left to win. On CUDA there is
    `auto, bf16`, too, since `auto` is another backend in that format; its answers are not compared.
    """
    for shape in shapes:
        yield _measured(shape, rounds, hardware)


def fusion_compiled(
    rounds: int, hardware: Hardware, preset: Mapping[str, Any] = TINY, compiler: str = "inductor"
) -> Result:
    """The direction encoder with experts, forward and backward: as it is, and compiled as one graph.

    A break of the graph is an error. Compiling takes minutes on a CPU.
    """
    torch.manual_seed(0)
    channels = {"f1": 32, "f2": 32, "f3": 64, "f4": 64}
    fusion = DirectionTokens(channels, Mixture, dropout=0.0, **preset).to(hardware.device)
    sizes = {"f1": (16, 32), "f2": (16, 32), "f3": (16, 64, 7, 7), "f4": (16, 49, 64)}
    streams = {name: torch.randn(size, device=hardware.device) for name, size in sizes.items()}
    compiled = torch.compile(fusion, backend=compiler, fullgraph=True)

    def step(model: Callable[..., Any]) -> Tensor:
        found = model(streams).vector
        found.square().sum().backward()
        fusion.zero_grad(set_to_none=True)
        return found.detach()

    candidates = {"published": partial(step, fusion), "compiled": partial(step, compiled)}
    difference = float((step(compiled) - step(fusion)).abs().max())
    return Result(
        name="direction fusion, training, 16 faces",
        unit="faces",
        units=16,
        timings=interleaved(candidates, rounds, hardware.device),
        goals={},
        difference=difference,
        tolerance=1e-4,
        limits={},
    )


class NaiveSlots(nn.Module):
    """For each choice and each expert a mask: the prototype's way, its sum put right.

    Args:
        mixture: whose weights it has.
    """

    def __init__(self, mixture: Mixture) -> None:
        super().__init__()
        self.router, self.experts = copy.deepcopy(mixture.router), copy.deepcopy(mixture.experts)

    def forward(self, tokens: Float[Tensor, "b k d"]) -> Float[Tensor, "b k d"]:
        flat = tokens.flatten(0, 1)
        routing = self.router(flat)
        found = torch.zeros_like(flat)
        for slot in range(self.router.top_k):
            for expert in range(self.router.experts):
                mask = routing.chosen[:, slot] == expert
                if mask.sum() == 0:
                    continue
                answers = swiglu(flat[mask] @ self.experts.up[expert]) @ self.experts.down[expert]
                found[mask] += routing.weight[mask, slot, None] * answers
        return found.view_as(tokens)


class NaiveExperts(nn.Module):
    """For each expert, a module of its own, the tokens that ask it, and an `index_add_`: how most mixtures are written.

    Args:
        mixture: whose weights it has.
    """

    def __init__(self, mixture: Mixture) -> None:
        super().__init__()
        self.router, self.experts = copy.deepcopy(mixture.router), nn.ModuleList(separate(mixture))

    def forward(self, tokens: Float[Tensor, "b k d"]) -> Float[Tensor, "b k d"]:
        flat = tokens.flatten(0, 1)
        routing = self.router(flat)
        found = torch.zeros_like(flat)
        for number, expert in enumerate(self.experts):
            rows, slots = torch.where(routing.chosen == number)
            if rows.numel():
                found.index_add_(0, rows, routing.weight[rows, slots, None] * expert(flat[rows]))
        return found.view_as(tokens)


def separate(mixture: Mixture) -> Iterator[SwiGLU]:
    """The experts of a mixture, each a module of its own."""
    for up, down in zip(mixture.experts.up, mixture.experts.down, strict=True):
        expert = SwiGLU(up.shape[0], down.shape[0]).to(up.device)
        with torch.no_grad():
            expert.up.weight.copy_(up.t())
            expert.down.weight.copy_(down.t())
        yield expert


def _measured(shape: Shape, rounds: int, hardware: Hardware) -> Result:
    draws = torch.Generator().manual_seed(0)
    tokens = torch.randn(1, shape.tokens, shape.width, generator=draws).to(hardware.device)
    mixture = Mixture(shape.width, shape.experts, shape.top_k, shape.hidden, shared=0).to(hardware.device)
    slots, loop = NaiveSlots(mixture), NaiveExperts(mixture)
    step = partial(_step, tokens=tokens)
    candidates = {"published": partial(step, slots), "fair": partial(step, loop)}
    for backend in ("auto", "grouped_mm", "padded_bmm"):
        ours = copy.deepcopy(mixture)
        ours.backend = backend
        candidates[backend] = partial(step, ours)
    answers = {name: call() for name, call in candidates.items()}
    if hardware.device.type == "cuda":
        candidates["auto, bf16"] = partial(step, copy.deepcopy(mixture), amp=True)
    return Result(
        name=f"experts, training, {shape.tokens} tokens, {shape.experts} top-{shape.top_k} of {shape.hidden}",
        unit="tokens",
        units=shape.tokens,
        timings=interleaved(candidates, rounds, hardware.device),
        goals={"auto": shape.goal},
        difference=largest(
            float((one - other).abs().max())
            for found in answers.values()
            for one, other in zip(found, answers["published"], strict=True)
        ),
        tolerance=1e-4,
        limits={},
    )


def _step(model: nn.Module, tokens: Tensor, amp: bool = False) -> tuple[Tensor, Tensor]:
    """The answers and the gradient of the tokens, from one forward and backward pass."""
    tokens = tokens.detach().requires_grad_()
    with torch.autocast(tokens.device.type, torch.bfloat16, enabled=amp):
        found = model(tokens)
    found = getattr(found, "tokens", found)
    found.square().sum().backward()
    model.zero_grad(set_to_none=True)
    assert tokens.grad is not None
    return found.detach(), tokens.grad
