"""Exported files say what PyTorch says, to callers who know nothing but the names of the inputs."""

import hashlib
import importlib.util
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import yaml

from gaze.checkpoints import Checkpoints
from gaze.errors import UserError
from gaze.export import naming
from gaze.export.exporter import export
from gaze.export.scenes import COUNTS
from gaze.types import SceneInputs
from tests.export.conftest import KINDS
from tests.export.runs import write_run
from tests.inference.lookers import write_direction_run

NOBODY = [float("nan")] * 4


def asked(model, pictures, boxes, index):
    """Probabilities from PyTorch for uint8 RGB pictures."""
    with torch.no_grad():
        found = model(SceneInputs(torch.tensor(pictures).float() / 255, torch.tensor(boxes), torch.tensor(index)))
    return [found.heatmap.sigmoid().numpy()] + ([] if found.inout is None else [found.inout.sigmoid().numpy()])


def pictures(count, size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 3, *size), dtype=np.uint8)


def boxes(count, seed=0):
    corner = np.random.default_rng(seed).uniform(0, 0.6, (count, 2))
    return np.concatenate([corner, corner + 0.3], 1).astype(np.float32)


@pytest.mark.fault("E1")
@pytest.mark.parametrize("kind", ["conv.onnx", "dinov3.onnx"])
@pytest.mark.parametrize(("images", "people"), [(1, 1), (7, 11), (2, 40)])
def test_our_names_take_packed_people(cases, kind, images, people):
    assert (images, people) == (1, 1) or (images, people) not in COUNTS  # what the export itself did not try
    case = cases(kind)
    picture, box = pictures(images, case.done.facts.image_size), boxes(people)
    box[1::3] = NOBODY
    index = np.arange(people)[::-1] % images
    session = onnxruntime.InferenceSession(case.done.path)
    found = session.run(None, {"image": picture, "head_bbox": box, "image_index": index.copy()})
    wanted = asked(case.model, picture, box, index.copy())
    assert [o.name for o in session.get_outputs()] == ["heatmap", "inout"][: len(wanted)]
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_their_names_take_bgr_and_boxes_of_each_picture(cases):
    case = cases("dinov2_pinto.onnx")
    picture, box = pictures(1, (56, 84)), boxes(3)
    session = onnxruntime.InferenceSession(case.done.path)
    bgr = picture[:, ::-1].astype(np.float32)
    heatmap, inout = session.run(["heatmap", "inout"], {"image_bgr": bgr, "bboxes_x1y1x2y2": box[None]})
    wanted = asked(case.model, picture, box, [0, 0, 0])
    assert heatmap.shape == (3, 6, 9)
    np.testing.assert_allclose(heatmap, wanted[0], atol=1e-5)
    np.testing.assert_allclose(inout, wanted[1], atol=1e-5)
    swapped = session.run(["heatmap"], {"image_bgr": bgr[:, ::-1].copy(), "bboxes_x1y1x2y2": box[None]})[0]
    assert abs(swapped - wanted[0]).max() > 1e-3

    two = pictures(2, (56, 84), seed=1)
    found = session.run(
        ["heatmap"], {"image_bgr": two[:, ::-1].astype(np.float32), "bboxes_x1y1x2y2": boxes(4).reshape(2, 2, 4)}
    )
    np.testing.assert_allclose(found[0], asked(case.model, two, boxes(4), [0, 0, 1, 1])[0], atol=1e-5)


def test_the_program_takes_what_the_onnx_file_takes(cases):
    case = cases("conv.pt2")
    program = torch.export.load(case.done.path).module()
    for images, people in ((1, 1), (7, 11)):
        picture, box, index = pictures(images, (32, 48)), boxes(people), np.arange(people) % images
        box[1::3] = NOBODY
        found = program(image=torch.tensor(picture), head_bbox=torch.tensor(box), image_index=torch.tensor(index))
        wanted = asked(case.model, picture, box, index)
        assert list(found) == ["heatmap", "inout"]
        np.testing.assert_allclose(found["heatmap"].numpy(), wanted[0], atol=1e-6)
        np.testing.assert_allclose(found["inout"].numpy(), wanted[1], atol=1e-6)


@pytest.mark.fault("E1")
@pytest.mark.parametrize("kind", KINDS)
def test_the_difference_and_the_latency_are_measured(cases, kind):
    done = cases(kind).done
    assert done.difference < 1e-5
    assert [latency.what for latency in done.latencies] == ["1 image, 1 person", "1 image, 4 people"]
    assert all(0 < latency.exported_ms < 1000 and 0 < latency.torch_ms < 1000 for latency in done.latencies)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.endswith("onnx")])
def test_axes_have_names_and_no_resize_is_nearest(cases, kind):
    case = cases(kind)
    model = onnx.load(case.done.path)
    onnx.checker.check_model(model, full_check=True)
    assert [o.version for o in model.opset_import if o.domain == ""] == [KINDS[kind][1].get("opset", 20)]
    axes = [d.dim_param for i in model.graph.input for d in i.type.tensor_type.shape.dim if d.dim_param]
    wanted = {"gaze": ["images", "people", "people"], "pinto": ["images", "images", "heads"]}
    assert axes == wanted[case.done.facts.names]
    resizes = [node for node in model.graph.node if node.op_type == "Resize"]
    modes = {a.s.decode() for node in resizes for a in node.attribute if a.name == "mode"}
    assert modes <= {"linear", "cubic"}  # cubic is DINOv2's table of positions
    assert ("linear" in modes) == (kind != "conv.onnx")  # whose heatmap is drawn at its final size


def test_the_file_says_what_it_is(cases):
    case = cases("conv.onnx")
    model = onnx.load(case.done.path)
    facts = json.loads({p.key: p.value for p in model.metadata_props}["gaze"])
    (weights,) = case.run.glob("best/*/model.safetensors")
    assert facts["weights_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert (facts["model"], facts["names"]) == ("tiny", "gaze")
    assert (facts["image_size"], facts["heatmap_size"]) == ([32, 48], [16, 24])
    assert facts["run"] == f"{case.run.parent.name}/run"
    assert "uint8 RGB" in model.doc_string


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_does_not_tell_where_it_was_made(cases, kind):
    assert str(Path(naming.__file__).parents[2]).encode() not in cases(kind).done.path.read_bytes()


@pytest.mark.fault("E1")
def test_a_wrong_file_gets_no_name_and_replaces_nothing(run, tmp_path, monkeypatch):
    def forgets_to_divide(self, image, head_bbox, image_index):
        return naming.probabilities(self.model(SceneInputs(image.float(), head_bbox, image_index)))

    monkeypatch.setattr(naming._GazeGraph, "forward", forgets_to_divide)
    out = tmp_path / "mine.pt2"
    out.write_bytes(b"mine")
    with pytest.raises(UserError, match=r"differs from PyTorch by .*expected at most 1.0e-04, so .*mine.pt2 was not"):
        export(run, out, format="pt2", overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.pt2"]
    assert out.read_bytes() == b"mine"


@pytest.mark.usefixtures("devices_pass")
def test_an_opset_that_the_model_can_t_have_is_refused(tmp_path):
    run = write_direction_run(tmp_path / "run")  # whose graph is a quarter of a scene model's
    with pytest.raises(UserError, match="opset=26 can't be honoured.*could only make opset 18"):
        export(run, tmp_path / "a.onnx", opset=26)
    assert list(tmp_path.iterdir()) == [run]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "tflite"}, "format=tflite is unknown; expected onnx or pt2"),
        ({"names": "ours"}, "names=ours is unknown; expected gaze or pinto"),
        ({"opset": 99}, "opset=99 does not exist .* expected 7 to"),
        ({"opset": 18, "format": "pt2"}, "a .pt2 file has none; leave it out"),
        ({"size": [30, 48]}, r"30 x 48 px; expected multiples of the backbone's stride 4, such as 'size=\[32,48\]'"),
        ({"size": [32]}, r"size=\[32\]; expected one number of pixels"),
        ({"out": "a.pt2"}, "out=a.pt2 does not end in .onnx"),
    ],
)
def test_what_can_t_be_done_is_refused_before_it_is_begun(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        export(run, **{"out": "a.onnx" if arguments.get("format") != "pt2" else "a.pt2"} | arguments)
    assert not list(tmp_path.iterdir())


def test_a_file_that_exists_is_kept(run, tmp_path):
    out = tmp_path / "mine.onnx"
    out.write_bytes(b"mine")
    with pytest.raises(UserError, match="mine.onnx exists; give another out=, or overwrite=true"):
        export(run, out)
    assert out.read_bytes() == b"mine"


def test_a_missing_library_is_named(run, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *a: None if name == "onnxscript" else find(name, *a))
    with pytest.raises(UserError, match=r"onnxscript, which is not installed: pip install 'gaze\[export\]'"):
        export(run, tmp_path / "a.onnx")


def test_a_run_that_is_no_scene_model_is_refused(tmp_path):
    run = write_run(tmp_path / "run")
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["model"] = {"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 1}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    Checkpoints(run / "best").save(0, torch.nn.Linear(2, 1), {"step": 0})
    with pytest.raises(UserError, match="Linear, takes None; expected a model of scenes"):
        export(run, tmp_path / "a.onnx")


def test_a_run_that_does_not_say_its_image_size_must_be_told(tmp_path):
    other = write_run(tmp_path / "run")
    config = yaml.safe_load((other / "config.yaml").read_text())
    del config["dataset"]
    (other / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match=r"no dataset.image_size; give size=\[height,width\]"):
        export(other, tmp_path / "a.onnx")
