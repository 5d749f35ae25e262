"""The report names the best run, shows what differs, and says what is wrong in one sentence."""

import subprocess
from pathlib import Path

import pytest
import yaml

from gaze.errors import UserError
from gaze.journal import Journal
from gaze.report import find_runs, write_page
from tests.processes import run_command

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc000000301010018dd8db00000000049454e44ae426082"
)


def make(directory: Path, lr: float, final: float, mode: str = "minimize") -> Path:
    directory.mkdir(parents=True)
    config = {"name": "toy", "model": {"width": 8}, "optimizer": {"lr": lr}, "dir": str(directory)}
    config["trainer"] = {"monitor": "min_l2", "mode": mode}
    (directory / "config.yaml").write_text(yaml.safe_dump(config))
    for step in range(3):
        Journal(directory).write(step, {"train/loss": 1.0 / (step + 1), "val/min_l2": final + 2 - step})
    (directory / "pictures").mkdir()
    (directory / "pictures" / "<a>.png").write_bytes(PIXEL)
    return directory


def test_the_best_run_comes_first_and_only_differences_are_shown(tmp_path):
    make(tmp_path / "a", lr=0.5, final=0.25)
    make(tmp_path / "b", lr=0.125, final=0.0625)
    write_page(find_runs(tmp_path), tmp_path / "out" / "page.html")
    page = (tmp_path / "out" / "page.html").read_text()
    assert page.index("0.0625") < page.index("0.25")
    assert "optimizer.lr" in page
    assert "model.width" not in page
    assert "<a>.png" not in page  # names are text, not HTML
    assert page.count("data:image/png;base64,") == 3  # the curves and one picture of each


def test_maximised_figures_are_sorted_the_other_way(tmp_path):
    make(tmp_path / "a", lr=0.5, final=0.25, mode="maximize")
    make(tmp_path / "b", lr=0.125, final=0.0625, mode="maximize")
    write_page(find_runs(tmp_path), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.index("2.25") < page.index("2.062")


def test_a_single_run_without_figures_has_a_page(tmp_path):
    run = make(tmp_path / "a", lr=0.5, final=0.25)
    (run / "metrics.jsonl").write_text('{"step": 0, "ti')
    write_page(find_runs(run), run / "report.html", pictures=0)
    assert "none yet" in (run / "report.html").read_text()


def test_foreign_directories_are_refused(tmp_path):
    with pytest.raises(UserError, match="not a directory"):
        find_runs(tmp_path / "nothing")
    (tmp_path / "config.yaml").write_text("foreign: true")
    with pytest.raises(UserError, match="holds no run"):
        find_runs(tmp_path)


@pytest.mark.slow
def test_the_tool_writes_a_page_and_nothing_else(tmp_path):
    make(tmp_path / "runs" / "a", lr=0.5, final=0.25)
    tool = Path(__file__).parents[2] / "tools" / "report.py"

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run_command(tmp_path, tool, *arguments)

    done = call("run=runs")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "1 run: runs/report.html"
    failed = call("run=elsewhere")
    assert failed.returncode == 1
    assert failed.stderr.strip().splitlines() == [
        "error: elsewhere is not a directory; give a run directory, or a folder of them such as outputs"
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs"]
