"""Which prompts a model found most similar to each face, by bank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

FIELDS = {"class_logits": "gaze", "context_logits": "context"}  # of predictions, and the role of their banks


def chosen_prompts(model: nn.Module, logits: Mapping[str, Float[Tensor, "n k"]]) -> dict[str, list[str]]:
    """The id of the most similar prompt for each sample, by the name of the bank; numbers where the model names none.

    Args:
        logits: over the entries of all banks of a role, one behind the other.
    """
    found: dict[str, list[str]] = {}
    for name, values in logits.items():
        banks = _banks(model, FIELDS[name])
        if sum(map(len, banks.values())) != values.shape[-1]:
            banks = {FIELDS[name]: [str(number) for number in range(values.shape[-1])]}
        parts = values.split([len(ids) for ids in banks.values()], -1)
        for (bank, ids), part in zip(banks.items(), parts, strict=True):
            found[bank] = [ids[number] for number in part.argmax(-1).tolist()]
    return found


def _banks(model: nn.Module, role: str) -> dict[str, Sequence[str]]:
    """The ids of the entries of a model's banks of a role, in the order of its logits."""
    prompts: Any = getattr(getattr(model, "steering", None), "prompts", None)
    banks = prompts.of_role(role) if prompts is not None else []
    return {bank.name: [entry.id for entry in bank.entries] for bank in banks}
