"""An exported file answers as the run it came from, wherever a predictor is wanted."""

import json

import onnx
import pytest
import torch
from onnx import TensorProto, helper

from gaze.errors import UserError
from gaze.export.exported import _logit, open_exported
from gaze.hardware import Hardware
from gaze.inference.opening import open_predictor
from gaze.inference.predictor import people
from gaze.types import SceneInputs
from tests.export.conftest import KINDS
from tests.export.runs import small_timm

CPU = Hardware("cpu")


@pytest.mark.fault("E1")
@pytest.mark.fault("E2")
@pytest.mark.parametrize("kind", KINDS)
def test_its_points_are_those_of_the_run(cases, kind):
    case = cases(kind)
    torch.manual_seed(0)
    pictures = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in ((60, 40), (33, 90), (120, 80))]
    heads = [
        torch.tensor([[0.1, 0.1, 0.4, 0.5], [0.5, 0.5, 0.9, 0.9]]),
        torch.zeros(0, 4),
        torch.full((1, 4), torch.nan),
    ]
    with small_timm():
        wanted = open_predictor(case.run, CPU)(pictures, heads)
    found = open_predictor(case.done.path, CPU, trust=True)(pictures, heads)
    for picture, boxes, a, b in zip(pictures, heads, wanted, found, strict=True):
        size = (picture.shape[1], picture.shape[2])
        for one, other in zip(people(boxes, a, size), people(boxes, b, size), strict=True):
            assert one["head_bbox"] == other["head_bbox"]
            assert other["gaze"] == pytest.approx(one["gaze"], abs=2e-5)  # they are rounded to five digits
            assert other["peak_probability"] == pytest.approx(one["peak_probability"], abs=2e-5)
            assert other["inout_probability"] == pytest.approx(one["inout_probability"], abs=2e-5)


def mixed_scene(size):
    torch.manual_seed(3)
    image = torch.randint(0, 256, (3, 3, *size), dtype=torch.uint8).float() / 255
    corner = torch.rand(5, 2) * 0.6
    return SceneInputs(image, torch.cat([corner, corner + 0.3], 1), torch.tensor([2, 0, 2, 0, 2]))


@pytest.mark.fault("E2")
def test_heads_of_any_order_are_answered_in_theirs(cases):
    for kind in ("conv.onnx", "dinov2_pinto.onnx"):
        file = open_exported(cases(kind).done.path)
        scene = mixed_scene(file.facts.image_size)
        together = file(scene).heatmap
        for i, index in enumerate(scene.image_index.tolist()):
            alone = file(SceneInputs(scene.image[index : index + 1], scene.head_bbox[i : i + 1], torch.tensor([0])))
            torch.testing.assert_close(together[i : i + 1], alone.heatmap, atol=1e-4, rtol=1e-4)


def test_logits_come_back_from_probabilities():
    logits = torch.linspace(-80, 9, 200)
    torch.testing.assert_close(_logit(logits.sigmoid()), logits, atol=1e-3, rtol=1e-5)
    ends = _logit(torch.tensor([0.0, 1.0]))
    assert ends.isfinite().all()
    assert ends[1] > 16


@pytest.mark.fault("X1")
def test_a_file_that_can_hold_code_must_be_trusted(cases):
    path = cases("conv.pt2").done.path
    with pytest.raises(UserError, match="can hold code, which would run .* say trust=true"):
        open_predictor(path, CPU)


def test_a_file_has_its_number_format_already(cases):
    path = cases("conv.onnx").done.path
    with pytest.raises(UserError, match="amp and hardware.compile need the run directory"):
        open_predictor(path, CPU, amp=True)


def foreign(path):
    """An ONNX file of somebody else."""
    box = helper.make_tensor_value_info("box", TensorProto.FLOAT, [1])
    same = helper.make_tensor_value_info("same", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["box"], ["same"])], "foreign", [box], [same])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.mark.fault("E2")
def test_files_that_are_not_ours_are_told(cases, tmp_path):
    with pytest.raises(UserError, match="gone.onnx does not exist; give a run directory, or a file"):
        open_predictor(tmp_path / "gone.onnx", CPU)
    with pytest.raises(
        UserError, match="foreign.onnx does not say how it is to be used; expected a file that tools/export"
    ):
        open_predictor(foreign(tmp_path / "foreign.onnx"), CPU)
    for name in ("half.onnx", "half.pt2"):
        whole = cases(f"conv{(tmp_path / name).suffix}").done.path.read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(UserError, match=f"{name} can't be opened by .*; export it again"):
            open_predictor(tmp_path / name, CPU, trust=True)


def test_a_file_of_a_newer_naming_is_told(cases, tmp_path):
    model = onnx.load(cases("conv.onnx").done.path)
    (entry,) = [p for p in model.metadata_props if p.key == "gaze"]
    entry.value = json.dumps(json.loads(entry.value) | {"names": "other"})
    onnx.save(model, tmp_path / "newer.onnx")
    with pytest.raises(UserError, match="newer.onnx names its inputs after 'other'; expected gaze or pinto"):
        open_exported(tmp_path / "newer.onnx")
