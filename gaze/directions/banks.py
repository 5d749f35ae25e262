"""Which prompts a model found most similar to each face, by bank."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from jaxtyping import Float
from torch import Tensor, nn

from gaze.directions.table import ATTRIBUTE, BANK

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


def bank_table(table: pa.Table) -> pa.Table:
    """How each bank was used in a table of predictions, and how often rightly where its subject is an attribute.

    ``favourite`` is the prompt that was chosen most often, ``share`` how often; ``right`` the share of samples whose
    attribute of the bank's name is the chosen prompt, over the `known` ones, and ``majority`` what the commonest value
    would have.
    """
    found = []
    for column in (name for name in table.column_names if name.startswith(BANK)):
        bank = column.removeprefix(BANK)
        chosen = table[column].to_pylist()
        (favourite, times), *_ = Counter(chosen).most_common(1)
        row: dict[str, Any] = {"bank": bank, "n": len(chosen), "favourite": favourite, "share": times / len(chosen)}
        attribute = f"{ATTRIBUTE}{bank}"
        true = table[attribute].to_pylist() if attribute in table.column_names else []
        pairs = [(ours, theirs) for ours, theirs in zip(chosen, true, strict=False) if theirs]
        row |= {"known": len(pairs), "right": None, "majority": None}
        if pairs:
            row["right"] = sum(ours == theirs for ours, theirs in pairs) / len(pairs)
            row["majority"] = Counter(theirs for _, theirs in pairs).most_common(1)[0][1] / len(pairs)
        found.append(row)
    floats = ("share", "right", "majority")
    names = list(found[0]) if found else []
    kinds = dict.fromkeys(floats, pa.float64())
    return pa.table({name: pa.array([row[name] for row in found], kinds.get(name)) for name in names})


def _banks(model: nn.Module, role: str) -> dict[str, Sequence[str]]:
    """The ids of the entries of a model's banks of a role, in the order of its logits."""
    prompts: Any = getattr(getattr(model, "steering", None), "prompts", None)
    banks = prompts.of_role(role) if prompts is not None else []
    return {bank.name: [entry.id for entry in bank.entries] for bank in banks}
