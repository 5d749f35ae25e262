"""Support vector regression of few points, many fits at once."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

SWEEPS = 100


def support_vector_regression(
    kernel: Float[Tensor, "*r k k"], target: Float[Tensor, "*r k a"], cost: Float[Tensor, "*r k"], epsilon: float
) -> tuple[Float[Tensor, "*r k a"], Float[Tensor, "*r a"]]:
    """The dual coefficients and the bias of epsilon-insensitive regression (Smola and Schölkopf, 2004), axis by axis.

    Coordinate descent on the dual, 1/2 b'Kb - y'b + epsilon |b| with |b_i| <= cost_i, each step of which is
    exact. The bias is that of a constant added to the kernel, so it is penalised as a weight would be (Ho and Lin,
    2012): without the constraint that the coefficients sum to zero every coordinate is free. Centre the targets.
    """
    kernel = kernel + 1.0
    dual = target * 0
    limit = cost.unsqueeze(-1)
    for _ in range(SWEEPS):
        before = dual.clone()
        for i in range(target.shape[-2]):
            own = kernel[..., i, i].unsqueeze(-1)
            others = (kernel[..., i, :].unsqueeze(-2) @ dual).squeeze(-2) - own * dual[..., i, :]
            pull = target[..., i, :] - others
            free = pull.sign() * (pull.abs() - epsilon).clamp(min=0) / own
            dual[..., i, :] = free.clamp(-limit[..., i, :], limit[..., i, :])
        if float((dual - before).abs().max()) < 1e-6:
            break
    return dual, dual.sum(-2)
