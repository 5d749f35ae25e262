"""tools/export.py, which measures each latency with three calls: seconds of measuring tell a test nothing more."""

import runpy
from pathlib import Path

from gaze.export import verification

if __name__ == "__main__":
    verification.SECONDS = 0.0
    runpy.run_path(str(Path(__file__).parents[2] / "tools" / "export.py"), run_name="__main__")
