"""The protocol that leaves one person out after the other: one multirun, one table."""

import pyarrow.csv
import pytest
import torch
import yaml

from gaze.errors import UserError
from gaze.folds import evaluate_folds
from gaze.hardware import Hardware
from gaze.screens.reports import write_reports
from gaze.screens.table import read_predictions
from tests.made_once import made_once
from tests.processes import run_command
from tests.recordings.own_folders import GRID, strip
from tests.recordings.own_folders import write as write_rows

PEOPLE = ("ann", "bob", "cyd")


def own(folder):
    """Three people of six frames; cyd looks at other places than the others do."""
    strip(folder, people=PEOPLE, frames=6)
    lines = (folder / "index.csv").read_text().splitlines()
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    for row in rows:
        row["gaze_x"] = GRID[-1] if row["person"] == "cyd" else row["gaze_x"]
    return write_rows(folder, rows)


def multirun(folder):
    own(folder / "own")
    words = ["-m", "model=pog_eyes", "experiment=pog_strip10", "dataset=folder_csv", "sweep=loso"]
    words += [f"dataset.hold_out={','.join(PEOPLE)}", f"dataset.recording.root={folder / 'own'}", "trainer.epochs=1"]
    words += [
        "trainer.batch_size=4",
        "trainer.effective_batch_size=4",
        "hydra.sweep.dir=sweep",
        "hydra.callbacks.protocol.resamples=20",
    ]
    done = run_command(folder, "gaze.train", *words, "hardware=cpu", "hardware.workers=0", "logger=none")
    return folder / "sweep", done.stdout, done.stderr


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """The folder of a sweep, and what the command printed."""
    return made_once(tmp_path_factory, "loso", multirun)


def test_one_command_leaves_each_person_out_and_tables_their_errors(sweep):
    folder, out, err = sweep
    assert "of those whom the run never saw" in out, err
    table = read_predictions(folder / "evaluation" / "predictions.csv")
    assert table["left_out"].to_pylist() == table["subject"].to_pylist()
    assert sorted(table["subject"].to_pylist()) == sorted(PEOPLE * 6)
    rows = pyarrow.csv.read_csv(folder / "evaluation" / "per_left_out.csv").to_pylist()
    assert [(row["left_out"], row["n"], row["people"]) for row in rows] == [(name, 6, 1) for name in PEOPLE]
    # The baseline beside each is the mean of the other two alone, all of whom trained.
    truth = {name: points(table, name) for name in PEOPLE}
    for row in rows:
        others = torch.cat([truth[name] for name in PEOPLE if name != row["left_out"]])
        mean = (truth[row["left_out"]] - others.mean(0)).norm(dim=1).mean()
        assert row["train_mean"] == pytest.approx(float(mean), abs=1e-5)
        assert f"{row['pred']:.3f}" in out
    summary = pyarrow.csv.read_csv(folder / "evaluation" / "summary.csv").to_pylist()
    (whole,) = [r for r in summary if (r["points"], r["metric"]) == ("pred", "subject_error_half_windows")]
    assert whole["value"] == pytest.approx(sum(row["pred"] for row in rows) / 3)
    assert whole["ci_lo"] <= whole["value"] <= whole["ci_hi"]
    assert (folder / "evaluation" / "points.png").exists()


def points(table, person):
    rows = [row for row in table.to_pylist() if row["subject"] == person]
    return torch.tensor([[row["gt_x"], row["gt_y"]] for row in rows])


def test_everybody_who_is_not_left_out_trains_to_the_last_epoch(sweep):
    for number, left_out in enumerate(PEOPLE):
        config = yaml.safe_load((sweep[0] / str(number) / "config.yaml").read_text())
        assert config["dataset"]["hold_out"] == left_out
        assert (config["dataset"]["val_fraction"], config["trainer"]["mode"]) == (None, "last")
    assert sweep[1].count("12 training and 6 validation samples") == 3


def test_the_figures_come_back_from_predictions_alone(sweep, tmp_path):
    folder = sweep[0] / "evaluation"
    write_reports(read_predictions(folder / "predictions.csv"), tmp_path, resamples=20)
    assert (tmp_path / "per_left_out.csv").read_text() == (folder / "per_left_out.csv").read_text()


def changed(sweep, folder, *changes):
    """A copy of the configs of the sweep's runs, some keys of the first changed."""
    for number in range(3):
        config = yaml.safe_load((sweep[0] / str(number) / "config.yaml").read_text())
        for path, value in changes if number == 0 else ():
            node = config
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = value
        (folder / str(number)).mkdir()
        (folder / str(number) / "config.yaml").write_text(yaml.safe_dump(config))
        (folder / str(number) / "metrics.jsonl").touch()
    return folder


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((("dataset", "hold_out"), None), "left nobody out"),
        ((("dataset", "hold_out"), "cyd"), "cyd is left out by several runs"),
        ((("trainer", "epochs"), 5), r"differ in trainer\.epochs; runs of one protocol"),
        ((("hardware", "threads"), 1), "has trained for 0 of 1 epochs; let the sweep go on"),
    ],
)
def test_runs_that_are_no_protocol_are_refused(sweep, tmp_path, change, said):
    with pytest.raises(UserError, match=said):
        evaluate_folds(changed(sweep, tmp_path, change), Hardware(device="cpu", workers=0))
