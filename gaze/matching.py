"""How the texts of a bank are chosen for a picture: the best, the best with a gradient, all by their fit, or a few."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.heatmaps import check_mode
from gaze.prompts.bank import Bank
from gaze.prompts.prompts import Vocabulary

Mode = Literal["argmax", "st_argmax", "soft", "topk"]
Grouping = Literal["seed", "release"]
MOST = 100.0  # scale of similarities, as CLIP's own

# Context banks that steer towards gaze all the same. The seed has none; the code released later has the head's pose.
WITH_GAZE = {"seed": frozenset[str](), "release": frozenset({"head_pose"})}


class Matching(nn.Module):
    """Similarities of pictures to texts, sharpened by a trainable scale for each bank, and what is chosen by them.

    Args:
        banks: of texts.
        mode: ``argmax``: the best, without a gradient through the choice; ``st_argmax``: the best, with the gradient of
            ``soft``; ``soft``: all, weighted by the softmax of their similarities; ``topk``: the same over the `k` best.
        k: texts of ``topk``.
        scale: of similarities at the start, from 1 to 100, within which it stays.
        grouping: ``seed``: the contexts on one side, gaze on the other; ``release``: head_pose goes with gaze.

    Raises:
        ValueError: a setting is out of range, or there is no bank to go with gaze.
    """

    def __init__(
        self, banks: Sequence[Bank], mode: str = "soft", k: int = 2, scale: float = 20.0, grouping: str = "seed"
    ) -> None:
        super().__init__()
        check_mode(mode, Mode, "matching.mode")
        check_mode(grouping, Grouping, "matching.grouping")
        if not 1 <= scale <= MOST:
            raise ValueError(f"matching.scale is {scale}; expected a number from 1 to {MOST:g}")
        self.banks = [bank.name for bank in banks]
        most = min((len(bank.entries) for bank in banks), default=1)
        if k < 1 or (mode == "topk" and k > most):
            raise ValueError(f"matching.k is {k}; expected 1 to {most}, the entries of the smallest bank")
        if missing := WITH_GAZE[grouping].difference(self.banks):
            raise ValueError(
                f"matching.grouping is {grouping!r}, with which {', '.join(missing)} goes with gaze, but the banks are "
                f"{', '.join(self.banks)}; add that bank, or set matching.grouping=seed"
            )
        self.mode, self.k = mode, k
        # The best text is the same at any scale, and DDP must not wait for a gradient that never comes
        trains = mode != "argmax"
        logs = {bank.name: nn.Parameter(torch.tensor(math.log(scale)), requires_grad=trains) for bank in banks}
        self.log_scale = nn.ParameterDict(logs)
        together = WITH_GAZE[grouping]
        self.aligned = [bank.name for bank in banks if bank.role == "gaze" or bank.name in together]
        self.context = [bank.name for bank in banks if bank.name not in self.aligned]

    def scale(self, bank: str) -> Float[Tensor, ""]:
        """Of the similarities to one bank."""
        return self.log_scale[bank].clamp(0.0, math.log(MOST)).exp()

    def forward(
        self, bank: str, query: Float[Tensor, "b e"], vocabulary: Vocabulary
    ) -> tuple[Float[Tensor, "b e"], Float[Tensor, "b n"]]:
        """What is chosen from a bank for each query of unit length, and the scaled similarities."""
        logits = self.scale(bank) * (query @ vocabulary.keys.T)
        return choose(logits, vocabulary.values, self.mode, self.k), logits

    def extra_repr(self) -> str:
        return f"{self.mode}, {' '.join(self.context) or 'nothing'} | {' '.join(self.aligned) or 'nothing'}"


def choose(
    logits: Float[Tensor, "b n"], values: Float[Tensor, "n e"], mode: str = "soft", k: int = 2
) -> Float[Tensor, "b e"]:
    """The value of the largest logit, or a mean of values weighted by them; see `Matching`."""
    if mode == "argmax":
        return values[logits.argmax(-1)]
    if mode == "topk":
        best, rows = logits.topk(k, -1)
        return (best.softmax(-1)[..., None] * values[rows]).sum(-2)
    weights = logits.softmax(-1)
    if mode == "st_argmax":
        best = torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).to(weights.dtype)
        weights = best + weights - weights.detach()
    return weights @ values
