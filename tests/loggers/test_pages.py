"""The pages that people look at, in a browser: MLflow's, about what we sent it, and our own report."""

import shutil
import subprocess
from pathlib import Path

import pytest

from gaze.loggers.resend import resend, resend_study
from gaze.loggers.store import connect
from gaze.reports.report import write_report
from tests.loggers.conftest import finish, train
from tests.loggers.test_mlflow import free_port, server
from tests.loggers.test_study import reviewed

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason="no Chromium here")]


def seen(url: str, folder: Path, patience_ms: int) -> str:
    """The page as the browser holds it after so many milliseconds of the page's own clock."""
    command = [
        CHROMIUM,
        *FLAGS,
        f"--virtual-time-budget={patience_ms}",
        f"--user-data-dir={folder}/chromium",
        "--dump-dom",
    ]
    return subprocess.run([*command, url], capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.fixture
def sweep(run):
    """A sweep of one trial that ended and was reviewed."""
    folder = reviewed(run.parent / "toy_lr")
    train(run, [0, 10])
    finish(run)
    shutil.move(run, folder / "1")
    text = (folder / "1" / "config.yaml").read_text()
    (folder / "1" / "config.yaml").write_text(f"{text}logger: {{tracking_uri: '', parent: toy_lr}}\n")
    return folder


@pytest.mark.timeout(200)
def test_mlflow_shows_the_sweep_with_its_best_trial(sweep, tables, tmp_path, monkeypatch):
    place = tmp_path / "server"
    place.mkdir()
    shutil.copy(tables, place / "mlflow.db")
    uri = f"sqlite:///{place}/mlflow.db"
    resend(sweep / "1", uri)
    resend_study(sweep, uri)
    client = connect(uri)
    (experiment,) = [found for found in client.search_experiments() if found.name == "toy"]
    (parent,) = client.search_runs([experiment.experiment_id], "tags.gaze_sweep = 'toy_lr'")
    port = free_port()
    texts = ("toy_lr", "trial 1", "min_l2 0.125", "space.optimizer.lr", "1e-05 to 0.1, logarithmic")
    with server(port, place, monkeypatch, slow_s=0.0):
        page = f"http://127.0.0.1:{port}/#/experiments/{experiment.experiment_id}/runs/{parent.info.run_id}"
        for _ in range(3):  # the page's clock runs on while a busy machine still answers
            shown = seen(f"{page}?workflowType=machine_learning", tmp_path, 20_000)
            if all(text in shown for text in texts):
                break
    for text in texts:
        assert text in shown, text


def test_the_report_is_a_page_and_runs_nothing(sweep, tmp_path):
    page = write_report(sweep, tmp_path / "page.html")
    page.write_text(page.read_text().replace("</html>", "<script>document.title = 'changed'</script></html>"))
    shown = seen(page.as_uri(), tmp_path, 2_000)
    assert "Search toy_lr" in shown
    assert "<title>toy: 1</title>" in shown  # the policy of the page lets no script run
