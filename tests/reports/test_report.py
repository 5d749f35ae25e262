"""The report names the best run, shows what differs, and survives what runs leave behind when they break."""

import json
import re

import pytest
from PIL import Image

from gaze.errors import UserError
from gaze.reports.report import write_report
from gaze.reports.runs import find_runs
from tests.loggers.test_study import FACTS, reviewed
from tests.reports.conftest import make


@pytest.fixture
def page(tmp_path):
    """Writes the page of a folder and reads it."""

    def written(path, **options):
        return write_report(path, tmp_path / "out" / "page.html", **options).read_text()

    return written


@pytest.fixture
def no_curves(monkeypatch):
    """Pages without their chart, which takes most of the time."""
    monkeypatch.setattr("gaze.reports.report.curves", lambda found: None)


def test_the_best_run_comes_first_and_only_differences_are_shown(tmp_path, page):
    make(tmp_path / "runs" / "a", lr=0.5, final=0.25)
    make(tmp_path / "runs" / "b", lr=0.125, final=0.0625)
    text = page(tmp_path / "runs")
    assert text.index("0.0625") < text.index("0.25")
    assert "optimizer.lr" in text
    assert "model.width" not in text
    assert "<a>.png" not in text  # names are text, not HTML
    assert text.count("data:image/png;base64,") == 3  # the curves and one picture of each


def test_maximised_figures_are_sorted_the_other_way(tmp_path, page, no_curves):
    make(tmp_path / "runs" / "a", lr=0.5, final=0.25, mode="maximize")
    make(tmp_path / "runs" / "b", lr=0.125, final=0.0625, mode="maximize")
    text = page(tmp_path / "runs")
    assert text.index("2.25") < text.index("2.062")


def test_a_single_run_without_figures_has_a_page(tmp_path):
    run = make(tmp_path / "a", lr=0.5, final=0.25)
    (run / "metrics.jsonl").write_text('{"step": 0, "ti')
    out = write_report(run, pictures=0)
    assert out == run / "report.html"
    assert "none yet" in out.read_text()


def test_how_runs_ended_is_shown(tmp_path, page, no_curves):
    for name, status in (("a", "FINISHED"), ("b", "FAILED"), ("c", None)):
        run = make(tmp_path / "runs" / name, lr=0.5, final=0.25)
        (run / "mlflow.json").write_text(json.dumps({"status": status}))
    lines = (tmp_path / "runs" / "c" / "metrics.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "runs" / "c" / "metrics.jsonl").write_text("".join(lines[:2]))
    rows = re.findall(r"<tr(?: class=(\w+))?><td>(\w)</td><td>(\w+)</td>", page(tmp_path / "runs"))
    assert sorted(rows) == [("bad", "b", "failed"), ("bad", "c", "unfinished"), ("first", "a", "finished")]


def test_broken_runs_are_a_line_each(tmp_path, page, no_curves):
    make(tmp_path / "runs" / "good", lr=0.5, final=0.25)
    broken = {"yaml": b"model: [", "bytes": b"\xff\xfe", "list": b"- model", "alias": b"a: &a [1]\nmodel: *a"}
    for name, content in broken.items():
        (make(tmp_path / "runs" / name, lr=0.5, final=0.25) / "config.yaml").write_bytes(content)
    (tmp_path / "runs" / "good" / "metrics.jsonl").open("ab").write(b'\x00\xff{"step": "x"}\n[]\n{"step": 3,')
    (tmp_path / "runs" / "good" / "pictures" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    text = page(tmp_path / "runs")
    assert "Could not be read" in text
    assert re.findall(r"<tr class=bad><td>(\w+)</td>", text) == ["alias", "bytes", "list", "yaml"]
    assert text.count("data:image/png") == 1
    assert text.index("0.25") > 0


def test_nothing_that_a_run_says_becomes_html_or_markdown(tmp_path, page, no_curves):
    evil = '"><script>alert(1)</script>|<img src=x onerror=alert(1)>'
    make(tmp_path / "runs" / "<b>x", lr=0.5, final=0.25, name=evil, note=f"{evil} [a](javascript:b)")
    make(tmp_path / "runs" / "y", lr=0.5, final=0.5, name="y")
    best = FACTS["best"][0] | {"command": f"```{evil}", "parameters": {evil: evil}}
    facts = FACTS | {"study": evil, "space": {evil: evil}, "best": [best], "trials": {evil: 1}}
    reviewed(tmp_path / "runs" / "sweep", facts)
    text = page(tmp_path / "runs")
    assert "<script" not in text
    assert "<img src=x" not in text
    assert "<b>" not in text
    assert text.count("onerror") == text.count("&lt;img src=x onerror")
    plain = write_report(tmp_path / "runs", tmp_path / "page.md").read_text()
    outside = re.sub(r"(`+).*?\1(?!`)", "", plain, flags=re.S)
    assert not re.search(r"(?<!\\)<", outside)
    assert "](javascript" not in outside
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in plain.splitlines() if line.startswith("| ")}
    assert len(widths) <= 3  # one for each table: no cell broke out


def test_a_sweep_has_a_section_and_its_trials_their_states(tmp_path, page, no_curves):
    sweep = reviewed(tmp_path / "toy_lr", rows="number,state,directory\n0,PRUNED,0\n1,COMPLETE,1\n2,FAIL,2\n")
    for number in range(3):
        make(sweep / str(number), lr=0.1 * number, final=0.25 + number, trial={"number": number})
    Image.new("RGB", (8, 8)).save(sweep / "study" / "history.png")
    text = page(sweep)
    assert "3 trials: 2 finished, 1 pruned, in 0.0 minutes. Objective: min_l2 (minimize)" in text
    assert "75%" in text
    assert "model.api_token=&lt;masked&gt;" in text
    assert 'alt="history.png"' in text
    assert re.findall(r"<td>(\d)</td><td>(\w+)</td>", text) == [("0", "pruned"), ("1", "finished"), ("2", "failed")]
    assert "trial.number" not in text
    (sweep / "study" / "study.json").write_text('{"study": 1, "objectives": 2, "trials": 3, "best": 4}')
    assert "cannot be shown" in page(sweep)


def test_markdown_has_its_pictures_beside_it(tmp_path, no_curves):
    run = make(tmp_path / "a", lr=0.5, final=0.25)
    large = Image.effect_noise((1500, 1000), 90).convert("RGB")
    large.save(run / "pictures" / "grid one.png")
    out = write_report(run, tmp_path / "page.md")
    names = re.findall(r"\]\((page_pictures/[^)]+)\)", out.read_text())
    assert len(names) == 2
    with Image.open(tmp_path / next(name for name in names if "grid" in name)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (900, 600))
    (tmp_path / "page_pictures" / "mine.txt").write_text("kept")
    assert write_report(run, out, pictures=0) == out
    assert [file.name for file in (tmp_path / "page_pictures").iterdir()] == ["mine.txt"]


def test_two_hundred_runs(tmp_path, page, no_curves):
    for number in range(200):
        make(tmp_path / "runs" / f"{number:03}", lr=number / 200, final=number / 200)
    text = page(tmp_path / "runs", shown=3)
    assert text.count("<tr") == 201
    assert text.count("data:image") == 3


def test_foreign_directories_are_refused(tmp_path):
    with pytest.raises(UserError, match="not a directory"):
        find_runs(tmp_path / "nothing")
    (tmp_path / "config.yaml").write_text("foreign: true")
    for looked in (find_runs, write_report):
        with pytest.raises(UserError, match="holds no run"):
            looked(tmp_path)
    with pytest.raises(UserError, match="expected html or markdown"):
        write_report(tmp_path, format="pdf")
