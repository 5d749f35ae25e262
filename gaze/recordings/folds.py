"""Leave-one-person-out: who is tested on, validated on and trained on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from gaze.errors import UserError


def people_in(root: Path, pattern: str, source: str) -> list[str]:
    """The people who have a folder, or a file, of a name that fits, sorted.

    Raises:
        UserError: nobody has.
    """
    people = sorted(p.name for p in root.iterdir() if re.fullmatch(pattern, p.name))
    if not people:
        raise UserError(f"{root} has nothing called {pattern}; expected one for each person, from {source}")
    return people


def fold_of(people: Sequence[str], fold: int | None, val_people: int) -> dict[str, str]:
    """The split of each person: number `fold` is test, the `val_people` after, in a circle, val, the others train.

    Raises:
        UserError: there is no such person, or nobody would be left to train on.
    """
    if fold is None:
        return dict.fromkeys(people, "train")
    if not 0 <= fold < len(people):
        raise UserError(f"fold is {fold}; expected null, or 0 to {len(people) - 1}: one of the {len(people)} people")
    if not 0 <= val_people < len(people) - 1:
        raise UserError(
            f"val_people is {val_people} of {len(people)}; one is the test, and one must be left to train on"
        )
    others = [*people[fold + 1 :], *people[:fold]]
    held = dict.fromkeys(others[:val_people], "val") | {people[fold]: "test"}
    return {person: held.get(person, "train") for person in people}
