"""The fault table: every row names tests that exist and carry its mark, and every mark has a row."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
TABLE = TESTS.parent / "docs" / "reliability.md"
ROW = re.compile(r"^\| ([A-Z]\d+) \| (?:✓|\(✓\)) \|(.*)$", re.MULTILINE)
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


@cache
def marks() -> dict[str, set[str]]:
    """Rows by test, from the sources alone."""
    found: dict[str, set[str]] = {}
    for path in TESTS.rglob("test_*.py"):
        source = path.read_text(encoding="utf-8")
        if "mark.fault" not in source:
            continue
        for test in ast.parse(source).body:
            for mark in getattr(test, "decorator_list", ()):
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
                    name = f"{path.relative_to(TESTS).as_posix()}::{test.name}"
                    found.setdefault(name, set()).add(ast.literal_eval(mark.args[0]))
    return found


def rows() -> dict[str, list[str]]:
    """Tests by row of the table."""
    return {
        row: [f"{file}::test_{name}" for file, name in NAMED.findall(rest)]
        for row, rest in ROW.findall(TABLE.read_text(encoding="utf-8"))
    }


def test_the_table_is_read():
    assert len(rows()) > 40


@pytest.mark.parametrize("row", rows())
def test_a_row_names_tests_that_exist_and_are_marked_so(row):
    assert rows()[row], f"{row} names no test"
    wrong = [name for name in rows()[row] if row not in marks().get(name, ())]
    assert not wrong, f"not there, or without @pytest.mark.fault({row!r})"


def test_every_mark_has_a_row():
    assert set().union(*marks().values()) - set(rows()) == set()


def test_no_row_stands_twice():
    found = [row for row, _ in ROW.findall(TABLE.read_text(encoding="utf-8"))]
    assert len(found) == len(set(found))
