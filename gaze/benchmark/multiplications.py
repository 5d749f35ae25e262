"""How many floating-point operations of products a call takes, attention among them."""

from __future__ import annotations

from collections.abc import Callable

from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def operations(call: Callable[[], object]) -> float:
    """Of one call: two for each multiplication of a matrix product or a convolution, forward and backward."""
    # As plain products, since those of a CPU's fused attention are not counted
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        call()
    return float(counter.get_total_flops())
