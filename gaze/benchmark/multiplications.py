"""How many floating-point operations of products a call takes, attention among them, and what share of the machine's that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from gaze.benchmark.clock import Timing
from gaze.benchmark.limits import product_rate

FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def operations(call: Callable[[], object]) -> float:
    """Of one call: two for each multiplication of a matrix product or a convolution, forward and backward."""
    # As plain products, since those of a CPU's fused attention are not counted
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        call()
    return float(counter.get_total_flops())


def rates(device: torch.device, rounds: int) -> dict[str, float]:
    """Operations per second of products of a ViT-B's shapes, in each number format."""
    return {name: product_rate(dtype, device, rounds) for name, dtype in FORMATS.items()}


def shares(timings: Mapping[str, Timing], call: Callable[[], object], rates: Mapping[str, float]) -> dict[str, float]:
    """The share of those rates that each variant of ours reaches if it computes what the call does.

    A variant is called as its number format, with what else there is to say after a comma.
    """
    needed, formats = operations(call), {variant: variant.split(",")[0] for variant in timings}
    return {v: needed / rates[name] / timings[v].best for v, name in formats.items() if name in rates}
