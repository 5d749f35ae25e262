"""The loop is shaped by none of the systems that run on it."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest
from omegaconf import open_dict

import gaze
import gaze.types
from gaze.runs import plain_config
from gaze.signatures import problems
from tests.systems.conftest import STUBS, composed

SPINE = ("trainer", "train", "hardware", "loading", "evaluation", "guard", "scaler", "losses/objective", "optimizers")
GENERAL = {"Record", "Batch", "Progress"}
AMBIGUOUS = {
    "gaze",
    "sample",
    "device",
    "kind",
    "mean",
    "scale",
    "depth",
    "code",
}  # fields that are also the name of the package, of what an index counts, of what tensors and scalers do, of a level, of
# the version of the code


def task_names() -> set[str]:
    """Records of one task, and the fields that only such records have."""
    records = [c for _, c in inspect.getmembers(gaze.types, inspect.isclass) if issubclass(c, gaze.types.Record)]
    own = [c for c in records if c.__name__ not in GENERAL]
    return {c.__name__ for c in own} | {name for c in own for name in c.__annotations__}


@pytest.mark.parametrize("module", SPINE)
def test_the_spine_names_no_task(module):
    tree = ast.parse((Path(gaze.__file__).parent / f"{module}.py").read_text())
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    used |= {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    used |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom) for a in n.names}
    assert {"ScenePrediction", "heatmap", "point", "concentration"} <= task_names()
    assert not used & (task_names() - AMBIGUOUS)


@pytest.mark.parametrize("model", sorted(p.stem for p in (STUBS / "model").glob("*.yaml")))
def test_stub_systems_compose_with_the_real_groups(model, tmp_path):
    config = composed(tmp_path, f"model={model}", "optimizer=sgd", "schedule=step")
    with open_dict(config):
        del config["hydra"]
    found = list(problems(plain_config(config)))
    assert all("a value is missing" in problem for problem in found), found
