"""Exported models of gaze directions: what callers give and get, the card, and what is refused."""

import json

import jaxtyping
import numpy as np
import onnxruntime
import pytest
import torch
import yaml

from gaze.errors import UserError
from gaze.export import directions
from gaze.export.direction_graph import DirectionGraph, named
from gaze.export.exporter import export
from gaze.export.format import quiet
from gaze.export.licences import licences
from gaze.hardware import Hardware
from gaze.inference.cameras import Camera
from gaze.inference.faces import NORMALISED
from gaze.inference.opening import (
    open_direction_predictor,
    open_faces,
    open_screen_predictor,
    takes_directions,
    takes_screens,
)
from gaze.moe.mixture import Mixture
from gaze.runs import load_model
from gaze.types import DirectionInputs, DirectionPrediction
from tests.inference.lookers import write_direction_run

pytestmark = pytest.mark.xdist_group("export")
SOURCE = {"_target_": "gaze.faces.gazehub.GazeHub", "root": "nowhere", "name": "gaze360", "normalised": True}


@pytest.fixture(autouse=True)
def sizes_are_not_compared(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would make constants of them


@pytest.fixture
def run(tmp_path):
    path = write_direction_run(tmp_path / "run")
    config = yaml.safe_load((path / "config.yaml").read_text())
    config["dataset"]["source"] = SOURCE
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    return path


def faces(count, size=8):
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(5))


@pytest.mark.fault("E1")
def test_a_file_says_what_the_run_says_of_any_number_of_faces(run):
    done = export(run)
    assert done.difference < 1e-5
    asked = faces(7)
    session = onnxruntime.InferenceSession(done.path)
    found = session.run(None, {"face": asked.numpy()})
    wanted = named(load_model(run)(DirectionInputs(asked / 255)))
    assert [o.name for o in session.get_outputs()] == list(wanted) == ["gaze", "concentration"]
    for a, b in zip(found, wanted.values(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert torch.allclose(torch.from_numpy(found[0]).norm(dim=-1), torch.ones(7))

    card = json.loads((run / "tiny.onnx.json").read_text())
    assert card["inputs"]["face"] == {"type": "uint8", "shape": [0, 3, 8, 8], "meaning": directions.FACE}
    assert "z from the camera into the scene" in card["frame"]
    assert "focal length 34.2857 px" in card["faces"]
    assert (card["data"], card["research_only"]) == ({"name": "gaze360"}, True)
    assert card["parity"]["of"] == "made up"  # the data lie nowhere
    assert card["latency"][0]["what"] == "1 face"

    assert takes_directions(done.path)
    assert not takes_screens(done.path)
    file, whole = (open_direction_predictor(path, Hardware("cpu")) for path in (done.path, run))
    assert (file.face_size, file.window) == (whole.face_size, 1)
    said = file.model(DirectionInputs(asked / 255))
    torch.testing.assert_close(said.concentration, wanted["concentration"], atol=1e-4, rtol=1e-4)
    source = open_faces(done.path, None, None, Camera(), lambda: None)
    assert (source.cut, source.size) == (NORMALISED, (8, 8))
    with pytest.raises(
        UserError, match="tiny.onnx holds a model of gaze directions; expected one of the point of gaze"
    ):
        open_screen_predictor(done.path, Hardware("cpu"))
    with pytest.raises(UserError, match=r"takes faces, and got clips of shape \(1, 2, 3, 8, 8\)"):
        file.model(DirectionInputs(torch.zeros(1, 2, 3, 8, 8)))


def test_mixtures_ask_all_experts_in_a_file_and_nowhere_else():
    class Experts(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.mixture = Mixture(8, experts=4, top_k=2, hidden=8, backend="loop_sorted").eval()

        def forward(self, inputs: DirectionInputs):
            tokens = self.mixture(inputs.face.flatten(2).mT.repeat(1, 1, 3)[..., :8]).tokens
            return DirectionPrediction(tokens.mean(1)[:, :3])

    model = Experts().requires_grad_(False)
    graph = DirectionGraph(model)
    assert model.mixture.backend == "loop_sorted"
    with quiet():
        trace = torch.jit.trace(graph, (faces(2, 4),), strict=False, check_trace=False)
    asked = faces(9, 4)  # other experts, and more tokens
    torch.testing.assert_close(trace(asked), named(model(DirectionInputs(asked / 255))), atol=1e-5, rtol=0)


def test_what_can_t_be_done_is_refused(run, tmp_path, monkeypatch):
    out = tmp_path / "a.onnx"
    for name, value in (("preprocess", "outside"), ("weights", "int8"), ("size", 32), ("names", "pinto")):
        with pytest.raises(UserError, match=f"{name}={value} is not for models of gaze directions.*; leave {name} out"):
            export(run, out, **{name: value})
    monkeypatch.setattr("gaze.export.coreml_format.need", lambda *_: None)
    with pytest.raises(UserError, match="format=coreml is not for such models; expected onnx or pt2 or torchscript"):
        export(run, tmp_path / "a.mlpackage", "coreml")
    model = load_model(run)
    monkeypatch.setattr("gaze.export.exporter.load_model", lambda run: model)
    model.mixture = Mixture(8, experts=4, top_k=2, hidden=8, capacity_factor=1.0)
    with pytest.raises(UserError, match=r"capacity.*expected moe.capacity_factor=null"):
        export(run, out)
    model.temporal = torch.nn.Identity()
    with pytest.raises(UserError, match=r"LinearDirection looks at clips of a face .*train one with temporal=null"):
        export(run, out)
    assert not out.exists()


def test_terms_are_those_of_every_data_set_and_of_no_drawn_vectors():
    both = {"a": SOURCE, "b": {**SOURCE, "name": "faces"}}
    found = licences({"dataset": {"source": both}, "model": {"prompts": {"weights": "hash"}}})
    assert [(licence.of, licence.research_only) for licence in found] == [
        ("data: gaze360", True),
        ("data: faces", False),
    ]
