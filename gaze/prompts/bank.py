"""Banks of texts: what each entry says, which way it points, and every rule that they must keep."""

from __future__ import annotations

import hashlib
import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gaze.errors import UserError

VERSION = 1  # of the schema of banks, and of the files of their embeddings
ROLES = ("context", "gaze")
KEYS = ("id", "text", "dir")
NAME = re.compile(r"[a-z][a-z0-9_]*")


class BankError(UserError, ValueError):
    """A bank of texts breaks a rule; `bank` is its name and `entry` counts from 1, 0 for the bank itself."""

    def __init__(self, bank: str, entry: int, name: object, found: str) -> None:
        at = f"entry {entry} ({name})" if entry else "the bank"
        super().__init__(f"prompts.banks.{bank}, {at}: {found}")
        self.bank, self.entry = bank, entry


@dataclass(frozen=True)
class Entry:
    """One text, and for a gaze direction the unit vector in the picture's plane: x right, y down; zeros: the camera."""

    id: str
    text: str
    direction: tuple[float, float] | None = None

    @property
    def angle(self) -> float:
        """Of the direction in the picture's plane, radians from its right toward its top; NaN where there is none."""
        x, y = self.direction or (0.0, 0.0)
        return math.atan2(0.0 - y, x) if x or y else math.nan  # -0.0 would turn the left into -pi


@dataclass(frozen=True)
class Bank:
    """Texts of which one is to fit each picture; those of role context say nothing of gaze."""

    name: str
    role: str
    entries: tuple[Entry, ...]


def read_banks(banks: Mapping[str, Any]) -> tuple[Bank, ...]:
    """The banks of a config: name -> role, and a list of entries with id, text and, if of gaze, dir.

    Raises:
        BankError: one breaks a rule; it is named, with the number and the id of the entry.
    """
    if not banks:
        raise UserError("prompts.banks is empty; expected at least one bank: choose prompts/bank files")
    return tuple(_bank(name, bank) for name, bank in banks.items())


def digest(banks: Sequence[Bank], templates: Sequence[str]) -> str:
    """The sha256 of all that embeddings are made for, the same however it was written down."""
    plain = {
        "version": VERSION,
        "templates": list(templates),
        "banks": {
            bank.name: {
                "role": bank.role,
                "entries": [
                    [e.id, e.text, None if e.direction is None else [round(v, 4) + 0.0 for v in e.direction]]
                    for e in bank.entries
                ],
            }
            for bank in banks
        },
    }
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(unicodedata.normalize("NFC", text).encode()).hexdigest()


def check_templates(templates: Sequence[str]) -> None:
    """Refuse templates that have no place for a text."""
    wrong = [template for template in templates if template.count("{}") != 1]
    if wrong or not templates:
        raise UserError(
            f"prompts.templates is {list(templates)}; expected at least one, each with one {{}} for the text"
        )


def _bank(name: str, bank: object) -> Bank:
    if not NAME.fullmatch(name):
        raise BankError(name, 0, None, f"the name is {name!r}; expected small letters, digits and underscores")
    if not isinstance(bank, Mapping):
        raise BankError(name, 0, None, f"it is {bank!r}; expected role and entries")
    if unknown := [key for key in bank if key not in ("role", "entries")]:
        raise BankError(name, 0, None, f"it has {', '.join(unknown)}; expected only role and entries")
    role, listed = bank.get("role"), bank.get("entries") or []
    if role not in ROLES:
        raise BankError(name, 0, None, f"role is {role!r}; expected one of {', '.join(ROLES)}")
    if not listed:
        raise BankError(name, 0, None, "it has no entries; give at least one, or leave the bank out")
    entries = tuple(_entry(name, role, number, entry) for number, entry in enumerate(listed, 1))
    first: dict[str, int] = {}
    for number, entry in enumerate(entries, 1):
        if (before := first.setdefault(entry.id, number)) != number:
            raise BankError(name, number, entry.id, f"entry {before} has this id, too; give each its own")
    centres = [number for number, entry in enumerate(entries, 1) if entry.direction == (0.0, 0.0)]
    if len(centres) > 1:
        found = f"dir is zero, as that of entry {centres[0]}; expected one at most, which means the camera"
        raise BankError(name, centres[1], entries[centres[1] - 1].id, found)
    return Bank(name, str(role), entries)


def _entry(bank: str, role: str, number: int, entry: object) -> Entry:
    if not isinstance(entry, Mapping):
        raise BankError(bank, number, "no id", f"it is {entry!r}; expected {', '.join(KEYS)}, as in conf/prompts/bank")

    def wrong(found: str) -> BankError:
        return BankError(bank, number, entry.get("id", "no id"), found)

    if unknown := [str(key) for key in entry if key not in KEYS]:
        raise wrong(f"it has {', '.join(unknown)}; expected only {', '.join(KEYS)}")
    for key in ("id", "text"):
        value = entry.get(key)
        # YAML reads an unquoted no, off or n as a truth value
        if not isinstance(value, str) or not value.strip():
            raise wrong(f"{key} is {value!r}; expected a text: put it in quotes")
    text = unicodedata.normalize("NFC", entry["text"])  # one vector and one digest, however an editor writes an accent
    way = entry.get("dir")
    if role != "gaze":
        if way is not None:
            raise wrong(f"dir is {way}, but the bank is of role {role}; take it out, or make the role gaze")
        return Entry(entry["id"], text)
    if way is None:
        raise wrong("it has no dir; every entry of a gaze bank needs the direction it means: x right, y down")
    numbers = isinstance(way, Sequence) and all(isinstance(v, (int, float)) and math.isfinite(v) for v in way)
    if not numbers or len(way) != 2:
        raise wrong(f"dir is {way!r}; expected two numbers, x to the right and y down")
    length = math.hypot(*way)
    return Entry(entry["id"], text, (way[0] / length, way[1] / length) if length else (0.0, 0.0))
