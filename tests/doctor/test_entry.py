"""The command: what it examines, what it prints, how it ends."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from gaze.doctor.composition import case_of
from gaze.doctor.findings import Level, examine, isolated, ok, problem, warning
from gaze.doctor.printing import show
from gaze.errors import UserError
from tests.stubs.entry import ENVIRONMENT, TOY


def test_a_run_that_will_work_has_no_problem_and_leaves_nothing_behind(doctor, home):
    before = sorted(home.rglob("*"))
    told = doctor(*TOY, "json=true")
    found = json.loads(told.out)
    problems = [f for group in found["groups"] for f in group["findings"] if f["level"] == "problem"]
    assert (told.code, problems, found["counts"]["problem"]) == (0, [], 0)
    said = {f["about"]: f["said"] for group in found["groups"] for f in group["findings"]}
    assert "12 samples" in said["train"]
    assert "10 epochs" not in said["steps"]
    assert "trainer.batch_size=4" in said["estimate"]
    assert {"packages", "torch", "CUDA", "cores", "disk"} <= set(said)
    assert sorted(home.rglob("*")) == before


def test_a_run_that_will_fail_says_why_and_what_to_do(doctor):
    told = doctor(*TOY, "dataset.root=elsewhere", "trainer.monitr=loss", "trainer.batch_size=5000")
    assert told.code == 1
    assert "monitr" in told.out
    told = doctor(*TOY, "dataset.root=elsewhere", "trainer.on_nonfinite=3")
    assert told.code == 1
    assert "trainer.on_nonfinite: 3 is no str" in told.out
    assert "1 problem," in told.out


def test_a_data_set_that_is_not_there_is_told_once(doctor):
    told = doctor(*TOY, "dataset.root=elsewhere")
    assert told.code == 1
    assert told.out.count("elsewhere does not exist") == 1
    assert "what a batch takes needs the data set" in told.out


def test_what_init_needs_is_asked_for(doctor):
    told = doctor(*TOY, "init=mesh_to_gaussians", "seconds=0.001")
    assert told.code == 1
    assert "init.run is null" in told.out
    assert "give it more time with seconds=120" in told.out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--cfg", "job"], 2, "unknown option --cfg"),
        (["nonsense"], 2, "expected KEY=VALUE"),
        (["memory_gb=-1"], 2, "memory_gb is -1; expected a number above 0"),
        (["samples=0.5"], 2, "expected a whole number above 0"),
        (["-h"], 0, "python -m gaze.doctor"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(doctor, words, code, said):
    told = doctor(*words)
    assert told.code == code
    assert said in told.out + told.err


def test_a_search_is_examined_with_its_first_values(home):
    case, as_json = case_of(
        [*TOY, "optimizer.optimizer.lr=0.5,0.1", "trainer.clip_norm=interval(0.25,1)", "seed=range(3,5)"]
    )
    assert not as_json
    assert case.value("optimizer.optimizer.lr") == 0.5
    assert case.value("trainer.clip_norm") == 0.25
    assert case.value("seed") == 3


def test_a_model_that_is_not_there_is_a_problem_not_a_crash(home):
    case, _ = case_of(["model=gazele_small"])
    assert case.config is None
    assert "gazele_small" in case.trouble[0]
    with pytest.raises(UserError, match="expected KEY=VALUE"):
        case_of(["a b"])


def test_a_check_that_fails_does_not_end_the_others(home):
    case, _ = case_of([])

    def broken(case):
        yield ok("first", "fine")
        raise ZeroDivisionError("by\nzero")

    found = isolated(broken, case)
    assert [f.level for f in found] == [Level.OK, Level.WARNING]
    assert "this check failed (by zero)" in found[1].said
    groups = list(examine(case, {"a": (broken, broken), "b": (lambda case: iter(()),)}))
    assert [(group.title, len(group.findings)) for group in groups] == [("a", 4)]


@pytest.mark.parametrize(
    ("found", "code", "end"),
    [
        ([ok("a", "b")], 0, "0 problems, 0 warnings"),
        ([warning("a", "b")], 0, "0 problems, 1 warning"),
        ([problem("a", "b"), warning("a", "b"), problem("a", "b")], 1, "2 problems, 1 warning"),
    ],
)
def test_the_exit_code_tells_whether_there_is_a_problem(home, capsys, found, code, end):
    case, _ = case_of([])
    assert show(examine(case, {"group": (lambda case: iter(found),)})) == code
    assert capsys.readouterr().out.splitlines()[-1].startswith(end)


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from gaze.doctor.__main__ import run; run(['--help']); "
        "print([m for m in ('torch', 'hydra', 'optuna', 'mlflow', 'matplotlib', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert done.stdout.endswith("[]\n"), done.stdout + done.stderr
