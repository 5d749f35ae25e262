"""Which prompts a model found most similar to each face, by bank."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from jaxtyping import Float
from torch import Tensor, nn

from gaze.directions.sectors import true_sectors
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


def right_prompts(
    model: nn.Module, truth: Float[Tensor, "n 3"], class_angle: Float[Tensor, "g"]
) -> dict[str, list[str]]:
    """The id of the prompt of the true direction for each sample, "" where none is, by the name of the gaze bank.

    Args:
        class_angle: of the entries of all gaze banks, one behind the other; see `true_sectors`.
    """
    found = {}
    banks = _banks(model, "gaze")
    if sum(map(len, banks.values())) == len(class_angle):
        parts = class_angle.split([len(ids) for ids in banks.values()])
        for (bank, ids), angle in zip(banks.items(), parts, strict=True):
            number = true_sectors(truth, angle).nan_to_num(-1).long().tolist()
            found[bank] = [ids[i] if i >= 0 else "" for i in number]
    return found


def bank_table(table: pa.Table) -> pa.Table:
    """How each bank was used in a table of predictions, and how often rightly where its subject is an attribute.

    ``favourite`` is the prompt that was chosen most often, ``share`` how often; ``right`` the share of samples whose
    attribute of the bank's name is the chosen prompt, over the `known` ones, ``majority`` what the commonest value would
    have, and ``chance`` what as many choices of each prompt would have if they had nothing to do with the sample. Of a
    gaze bank the attribute is the prompt of the true direction.
    """
    found = []
    for column in (name for name in table.column_names if name.startswith(BANK)):
        bank = column.removeprefix(BANK)
        ids = table[column].to_pylist()
        (favourite, times), *_ = Counter(ids).most_common(1)
        row: dict[str, Any] = {"bank": bank, "n": len(ids), "favourite": favourite, "share": times / len(ids)}
        attribute = f"{ATTRIBUTE}{bank}"
        known = table[attribute].to_pylist() if attribute in table.column_names else []
        pairs = [(chosen, true) for chosen, true in zip(ids, known, strict=False) if true]
        row |= {"known": len(pairs), "right": None, "majority": None, "chance": None}
        if pairs:
            row["right"] = sum(chosen == true for chosen, true in pairs) / len(pairs)
            ours, theirs = (Counter(column) for column in zip(*pairs, strict=True))
            row["majority"] = theirs.most_common(1)[0][1] / len(pairs)
            row["chance"] = sum(ours[value] * theirs[value] for value in ours) / len(pairs) ** 2
        found.append(row)
    floats = ("share", "right", "majority", "chance")
    names = list(found[0]) if found else []
    kinds = dict.fromkeys(floats, pa.float64())
    return pa.table({name: pa.array([row[name] for row in found], kinds.get(name)) for name in names})


def _banks(model: nn.Module, role: str) -> dict[str, Sequence[str]]:
    """The ids of the entries of a model's banks of a role, in the order of its logits."""
    prompts: Any = getattr(getattr(model, "steering", None), "prompts", None)
    banks = prompts.of_role(role) if prompts is not None else []
    return {bank.name: [entry.id for entry in bank.entries] for bank in banks}
