"""The tool writes a page and nothing else, and says what is wrong in one sentence."""

import subprocess
from pathlib import Path

import pytest

from tests.processes import run_command
from tests.reports.conftest import make


@pytest.mark.slow
def test_the_tool_writes_a_page_and_nothing_else(tmp_path):
    make(tmp_path / "runs" / "a", lr=0.5, final=0.25)
    tool = Path(__file__).parents[2] / "tools" / "report.py"

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run_command(tmp_path, tool, *arguments)

    done = call("run=runs", "out=page.md")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "page.md"
    failed = call("run=elsewhere")
    assert failed.returncode == 1
    assert failed.stderr.strip().splitlines() == [
        "error: elsewhere is not a directory; give a run directory, or a folder of them such as outputs"
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.md", "page_pictures", "runs"]
