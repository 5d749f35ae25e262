"""Files that several tests look at; each costs seconds to make."""

from typing import NamedTuple

import pytest

from gaze.export import verification
from gaze.export.exporter import Export, export
from gaze.runs import load_model
from tests.export.runs import CONV, DINOV2, DINOV3, small_timm, write_run
from tests.made_once import made_once

# The backbones take other paths through the exporter: a table of positions that is resampled, rotary ones. The heads
# resize what they draw up or down, interpolate before or after the sigmoid, and lose small heads or keep them.
KINDS = {
    "conv.onnx": ({"backbone": CONV, "size": [16, 24]}, {}),
    "conv.pt2": ({"backbone": CONV}, {"format": "pt2"}),
    "dinov2_pinto.onnx": (
        {"backbone": DINOV2, "image_size": (56, 84), "size": [6, 9], "antialias": True, "inout_head": "linear"},
        {"names": "pinto"},
    ),
    "dinov3.onnx": (
        {
            "backbone": DINOV3,
            "image_size": (64, 96),
            "size": [9, 14],
            "resize": "probabilities",
            "head_mask": "reference",
        }
        | {"inout": False},
        {"opset": 17},
    ),
}


@pytest.fixture(scope="session", autouse=True)
def latencies_are_short():
    """Three calls are enough to see that latency is measured at all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verification, "SECONDS", 0.0)
        yield


@pytest.fixture
def devices_pass(monkeypatch):
    """Leaves out the search for devices in a graph that another test exports with it: half of an export."""
    monkeypatch.setattr("gaze.export.exporter.refuse_baked", lambda *_, **__: None)


class Case(NamedTuple):
    """A run, its model, and what was exported from it."""

    run: object
    model: object
    done: Export


@pytest.fixture(scope="session")
def cases(tmp_path_factory):
    """The case of a kind; made when it is first asked for."""
    made = {}

    def case(kind):
        if kind not in made:
            of_run, of_export = KINDS[kind]

            def make(folder):
                run = write_run(folder / "run", **of_run)
                return run, export(run, folder / kind, **of_export)

            with small_timm():
                run, done = made_once(tmp_path_factory, f"exported-{kind}", make)
                made[kind] = Case(run, load_model(run), done)
        return made[kind]

    return case


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A run that nothing was exported from yet."""
    return write_run(tmp_path_factory.mktemp("runs") / "tiny")
