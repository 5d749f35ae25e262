"""The pages that people look at, in a browser: MLflow's, about what we sent it, and our own report."""

import shutil

import pytest

from gaze.loggers.resend import resend, resend_study
from gaze.loggers.store import connect
from gaze.reports.report import write_report
from tests.browser import CHROMIUM, seen
from tests.loggers.conftest import finish, train
from tests.loggers.test_mlflow import free_port, server
from tests.loggers.test_study import reviewed

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason="no Chromium here")]


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


@pytest.mark.timeout(300)
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
        shown = seen(f"{page}?workflowType=machine_learning", tmp_path, texts)
    for text in texts:
        assert text in shown, text


def test_the_report_is_a_page_and_runs_nothing(sweep, tmp_path):
    page = write_report(sweep, tmp_path / "page.html")
    page.write_text(page.read_text().replace("</html>", "<script>document.title = 'changed'</script></html>"))
    shown = seen(page.as_uri(), tmp_path, ["Search toy_lr", "</html>"])
    assert "Search toy_lr" in shown
    assert "<title>toy: 1</title>" in shown  # the policy of the page lets no script run
