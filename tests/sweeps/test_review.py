"""A review has something to say of every study, and what it says is what Optuna says."""

import csv
import json
import math

import optuna
import pytest
import yaml
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState
from PIL import Image

from gaze.loggers.logger import Logger
from gaze.sweeps.facts import in_words, objectives
from gaze.sweeps.importance import FEWEST, importance
from gaze.sweeps.review import FOLDER, find_sweeps, read, refresh, review, table

optuna.logging.set_verbosity(optuna.logging.WARNING)
SPACE = {
    "optimizer.lr": FloatDistribution(1e-5, 1e-1, log=True),
    "head.depth": IntDistribution(1, 6),
    "backbone": CategoricalDistribution(["cnn", "vit$<b>", None]),
}


def study_of(trials, directions=("minimize",), space=SPACE, value=None, **options):
    """A study with so many trials; every fifth was pruned, every seventh failed."""
    study = optuna.create_study(
        directions=list(directions),
        sampler=optuna.samplers.RandomSampler(seed=1),
        pruner=optuna.pruners.NopPruner(),
        **options,
    )
    for number in range(trials):
        trial = study.ask(space)
        if number % 5 == 4 and len(directions) == 1:
            trial.report(2.0, 1)
            study.tell(trial, state=TrialState.PRUNED)
        elif number % 7 == 6:
            study.tell(trial, state=TrialState.FAIL)
        else:
            lr = math.log10(trial.params.get("optimizer.lr", 1e-3))
            depth = trial.params.get("head.depth", 1)
            if depth > 3 and "head.depth" in space:
                trial.suggest_float("head.dropout", 0.0, 0.5)
            good = value if value is not None else (lr + 3) ** 2
            if len(directions) == 1:
                for step in range(3):
                    trial.report(good + 1 / (step + 1), step)
            study.tell(trial, [good, depth + lr][: len(directions)])
    return study


def written(folder):
    return {file.name for file in (folder / FOLDER).iterdir()}


@pytest.fixture
def undrawn(monkeypatch):
    """Reviews without their pictures, which take most of the time."""
    monkeypatch.setattr("gaze.sweeps.pictures.pictures", lambda *_: {})


ONE, TWO = ("minimize",), ("maximize", "minimize")


@pytest.mark.parametrize(("trials", "directions"), [(0, ONE), (0, TWO), (1, ONE), (2, TWO)])
def test_few_trials_are_no_trouble(trials, directions, tmp_path):
    review(study_of(trials, directions), tmp_path, None)
    assert {"study.json", "study.csv"} <= written(tmp_path)
    assert ("history.png" in written(tmp_path)) == (trials > 0)
    assert ("pareto.png" in written(tmp_path)) == (trials > 0 and len(directions) == 2)
    assert "importance.png" not in written(tmp_path)
    facts = read(tmp_path)
    assert f"needs {FEWEST} finished trials" in facts["importance"][0]["missing"]
    assert len(table(tmp_path)) == trials


def test_what_a_study_found_is_written_down(tmp_path):
    study = study_of(45)
    for number in (0, 1, study.best_trial.number):
        (tmp_path / str(number)).mkdir(exist_ok=True)
    best = tmp_path / str(study.best_trial.number)
    (best / "overrides.yaml").write_text(yaml.safe_dump(["model=toy", "name=a b", "trial={number:3}"]))
    review(study, tmp_path, OmegaConf.create({"trainer": {"monitor": "min_l2"}, "logger": None}))
    assert written(tmp_path) == {
        *("study.json", "study.csv", "history.png", "importance.png", "slices.png", "intermediate.png")
    }
    facts = json.loads((tmp_path / FOLDER / "study.json").read_text())
    assert facts["objectives"] == [{"name": "min_l2", "direction": "minimize"}]
    assert facts["trials"] == {"complete": 31, "pruned": 9, "fail": 5}
    assert (facts["sampler"], facts["pruner"]) == ("RandomSampler", "NopPruner")
    assert facts["space"]["optimizer.lr"] == "1e-05 to 0.1, logarithmic"
    assert facts["distributions"]["head.depth"]["attributes"]["high"] == 6
    assert facts["best"][0]["number"] == study.best_trial.number
    assert facts["best"][0]["values"] == {"min_l2": study.best_value}
    assert facts["best"][0]["command"] == "python -m gaze.train model=toy 'name=a b'"
    shares = facts["importance"][0]["shares"]
    assert set(shares) == set(SPACE)
    assert facts["importance"][0]["missing"] == "leaves out head.dropout: only in some trials"
    assert sum(shares.values()) == pytest.approx(1)
    with (tmp_path / FOLDER / "study.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows[:7]] == ["COMPLETE"] * 4 + ["PRUNED", "COMPLETE", "FAIL"]
    assert float(rows[0]["min_l2"]) == study.trials[0].value
    assert (rows[0]["directory"], rows[2]["directory"]) == ("0", "")
    with Image.open(tmp_path / FOLDER / "slices.png") as picture:
        assert picture.width > 1000  # four parameters side by side


def test_a_front_of_two_objectives(tmp_path):
    study = study_of(40, ("minimize", "maximize"))
    review(study, tmp_path, OmegaConf.create({"objectives": ["error_cm", "rate"]}))
    assert {"pareto.png", "importance.png", "slices.png", "history.png"} <= written(tmp_path)
    facts = read(tmp_path)
    assert {trial["number"] for trial in facts["best"]} == {trial.number for trial in study.best_trials}
    assert [entry["objective"] for entry in facts["importance"]] == ["error_cm", "rate"]


def test_studies_without_differences(tmp_path):
    review(study_of(50, space={"a": CategoricalDistribution(["x", "y"])}, value=0.5), tmp_path, None)
    assert "all 34 finished trials have the same value" in read(tmp_path)["importance"][0]["missing"]
    assert "slices.png" in written(tmp_path)
    (found,) = importance(study := study_of(50, space={"a": CategoricalDistribution(["x"])}), objectives(study, None))
    assert "same value" in found.missing


@pytest.mark.filterwarnings("ignore:The value nan")
def test_values_that_are_no_numbers(tmp_path):
    study = study_of(3)
    for value in (math.inf, -math.inf):
        study.tell(study.ask(SPACE), value)
    study.tell(study.ask(SPACE), math.nan, skip_if_finished=True)
    study.ask(SPACE).report(math.nan, 0)  # under way
    review(study, tmp_path, None)
    facts = json.loads((tmp_path / FOLDER / "study.json").read_text(), parse_constant=pytest.fail)
    assert facts["best"][0]["number"] in (0, 1, 2)
    assert facts["trials"] == {"complete": 5, "fail": 1, "running": 1}


def test_a_direction_turns_importance_the_right_way():
    study = optuna.create_study(directions=["maximize"])
    for number in range(40):  # the best tenth, and nobody else, has a near its end; b is any
        space = {"a": FloatDistribution(0, 1), "b": FloatDistribution(0, 1)}
        params = {"a": number / 39, "b": (number * 0.618) % 1}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=space, value=number))
    (found,) = importance(study, objectives(study, None))
    assert found.shares["a"] > 0.6


def test_a_second_review_says_the_same(tmp_path, undrawn):
    study = study_of(200)
    review(study, tmp_path, None)
    before = (tmp_path / FOLDER / "study.csv").read_bytes()
    review(study, tmp_path, None)
    assert (tmp_path / FOLDER / "study.csv").read_bytes() == before


def test_the_logger_of_the_config_gets_the_folder(tmp_path, undrawn, monkeypatch):
    asked = []
    monkeypatch.setattr(Logger, "review", lambda self, folder: asked.append(folder))
    config = OmegaConf.create({"logger": {"_target_": "gaze.loggers.logger.Logger"}})
    review(study_of(1), tmp_path, config)
    assert asked == [tmp_path]


def test_a_sweep_that_was_killed_is_reviewed_later(tmp_path, undrawn, caplog):
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "config.yaml").write_text("{model: {}, trainer: {monitor: auc}}")
    study = study_of(1, study_name="lr", storage=f"sqlite:///{tmp_path}/study.db")
    refresh(tmp_path)
    facts = read(tmp_path)
    assert (facts["study"], facts["objectives"][0]["name"], facts["sampler"]) == ("lr", "auc", None)
    review(study, tmp_path, OmegaConf.create({"trainer": {"monitor": "auc"}}))
    study.tell(study.ask(SPACE), 0.0)
    refresh(tmp_path)
    facts = read(tmp_path)
    assert (facts["best"][0]["number"], facts["sampler"]) == (1, "RandomSampler")  # only the sweep knows the sampler
    (tmp_path / "study.db").write_text("no database")
    refresh(tmp_path)
    assert "cannot be read" in caplog.text
    assert read(tmp_path) == facts


def test_runs_of_another_sweep_are_not_taken_for_its_own(tmp_path, undrawn):
    study = optuna.create_study()
    trial = study.ask(SPACE)
    trial.set_user_attr("sweep", "theirs")
    study.tell(trial, 1.0)
    (tmp_path / "0").mkdir()
    (tmp_path / ".owner").write_text("ours")
    review(study, tmp_path, None)
    assert read(tmp_path)["best"][0]["directory"] is None


def test_sweeps_are_found_but_not_what_mlflow_keeps_of_them(tmp_path):
    for place in ("a/study/study.json", "b/study.db", "mlartifacts/toy/1a/artifacts/study/study.json"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).touch()
    assert find_sweeps(tmp_path) == [tmp_path / "a", tmp_path / "b"]


def test_damaged_reviews_are_none(tmp_path):
    assert read(tmp_path) is None
    (tmp_path / FOLDER).mkdir()
    for text in ("{", "[]", "{}"):
        (tmp_path / FOLDER / "study.json").write_text(text)
        assert read(tmp_path) is None
    (tmp_path / FOLDER / "study.csv").write_bytes(b"\xff\x00number,state\n")
    assert table(tmp_path) == []


def test_spaces_in_words():
    assert in_words(IntDistribution(2, 8, step=2)) == "2 to 8, whole numbers in steps of 2"
    assert in_words(FloatDistribution(0, 1, step=0.25)) == "0 to 1, in steps of 0.25"
    assert in_words(CategoricalDistribution(["a", None])) == "one of a, None"
