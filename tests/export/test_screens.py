"""Exported models of the point of gaze: what callers give and get, the card, and what is refused."""

import hashlib
import json
from dataclasses import replace

import jaxtyping
import numpy as np
import onnxruntime
import pytest
import torch

from gaze.calibration.adapted import Change
from gaze.calibration.calibrated import fingerprint
from gaze.calibration.calibration import Calibration
from gaze.calibration.corrections import FeatureLinear, Neighbours, Polynomial, SupportVectors
from gaze.devices import load_devices, table_hash
from gaze.errors import UserError
from gaze.export import int8_cost, screen_graph
from gaze.export.calibrated import Calibrated
from gaze.export.card import check_sidecar
from gaze.export.exported import open_exported
from gaze.export.exporter import export
from gaze.export.int8 import in_eight_bits
from gaze.export.licences import Licence, licences, research_only
from gaze.export.screen_graph import named
from gaze.export.screens import look
from gaze.hardware import Hardware
from gaze.inference.opening import open_screen_predictor
from gaze.runs import load_config, load_model, plain_config
from tests.export.screen_runs import write_screen_run
from tests.made_once import made_once

pytestmark = pytest.mark.xdist_group("export")
SHIFT = Polynomial(torch.zeros(2).double(), torch.ones(2).double(), torch.tensor([[0.5, -1.5]]).double())


@pytest.fixture(autouse=True)
def sizes_are_not_compared(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would make constants of them


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return made_once(tmp_path_factory, "screen-run", lambda folder: write_screen_run(folder / "run"))


@pytest.fixture(scope="session")
def files(run, tmp_path_factory):
    """An ONNX file, and a program whose points are calibrated and which takes floats."""

    def make(folder):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jaxtyping.config, "jaxtyping_disable", True)
            personal(run).write(folder / "anna.json")
            plain = export(run, folder / "toy.onnx")
            other = export(run, folder / "toy.pt2", "pt2", preprocess="outside", calibration=str(folder / "anna.json"))
        return {"onnx": plain, "pt2": other}

    return made_once(tmp_path_factory, "screen-files", make)


def personal(run, correction=SHIFT):
    about = {"fingerprint": fingerprint(run), "subject": "anna"}
    return Calibration("offset", correction, 3, 9, [[1.0, 0.0], [0.0, 1.0]], [0.5, -1.5], about=about)


def asked(run, samples, seed=9):
    return look(plain_config(load_config(run)).get("dataset"), samples, seed)


@pytest.mark.fault("E1")
def test_an_onnx_file_takes_8_bit_crops_of_any_number_of_users(run, files):
    inputs, model = asked(run, 7), load_model(run)
    session = onnxruntime.InferenceSession(files["onnx"].path)
    crops = {n: (getattr(inputs, n) * 255).round().to(torch.uint8).numpy() for n in ("face", "left_eye", "right_eye")}
    found = session.run(None, crops | {"geometry": inputs.geometry.numpy()})
    assert [i.name for i in session.get_inputs()] == [*crops, "geometry"]  # not what the model does not look at
    wanted = named(model(inputs), model(inputs).point)
    assert [o.name for o in session.get_outputs()] == list(wanted) == ["point_cm", "features", "log_scale"]
    for a, b in zip(found, wanted.values(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert np.isfinite(found[0]).all()  # the last user's boxes are not known
    assert files["onnx"].difference < 1e-4


def test_a_calibrated_program_takes_floats_and_moves_points(run, files):
    inputs = asked(run, 4)
    file, model = open_exported(files["pt2"].path, trust=True), load_model(run)
    assert file.facts.inputs["face"] == {
        "type": "float32",
        "shape": [0, 3, 16, 16],
        "meaning": "RGB crop of the face, values from 0 to 1",
    }
    torch.testing.assert_close(file(inputs).point, model(inputs).point + torch.tensor([0.5, -1.5]), atol=1e-5, rtol=0)
    assert file.facts.calibration["subject"] == "anna"
    assert "values from 0 to 1" in file.facts.normalisation


def test_a_file_can_t_be_changed_by_a_calibration(files, run, tmp_path):
    replace(personal(run), correction=Change({"x": torch.zeros(1)})).write(tmp_path / "anna.json")
    with pytest.raises(
        UserError, match=r"anna.json changes the model itself.*give the run, or export it with calibration="
    ):
        open_screen_predictor(files["onnx"].path, Hardware("cpu"), calibration=str(tmp_path / "anna.json"))
    with pytest.raises(UserError, match="toy.pt2 is calibrated already, by offset; leave calibration out"):
        open_screen_predictor(files["pt2"].path, Hardware("cpu"), trust=True, calibration=str(tmp_path / "anna.json"))


@pytest.mark.usefixtures("devices_pass")
def test_a_trace_says_the_same(run, tmp_path):
    done = export(run, tmp_path / "toy.ts", "torchscript")
    inputs = asked(run, 5)
    found = open_exported(done.path, trust=True)(inputs)
    torch.testing.assert_close(found.log_scale, load_model(run)(inputs).log_scale, atol=1e-5, rtol=1e-5)
    assert "no longer develops" in done.facts.notes[0]
    with pytest.raises(UserError, match="can hold code, which would run"):
        open_exported(done.path)


def test_the_card_says_how_the_file_is_used(run, files):
    card = json.loads(files["onnx"].path.with_name("toy.onnx.json").read_text())
    assert card["inputs"]["left_eye"]["shape"] == [0, 3, 8, 12]
    assert card["sha256"] == hashlib.sha256(files["onnx"].path.read_bytes()).hexdigest()
    assert card["weights_sha256"] == fingerprint(run)
    assert card["devices_sha256"] == table_hash(load_devices())
    assert card["parity"]["largest_difference"] == files["onnx"].difference <= card["parity"]["allowed"] == 1e-3
    assert card["research_only"] is None  # nobody knows what "nowhere" held
    for words in ("user's own", "x right and y up", "upright"):
        assert any(words in card[key] for key in ("eyes", "target", "rotation"))
    assert str(run) not in json.dumps(card)


def test_a_file_without_its_card_or_with_another_s_is_refused(files, tmp_path):
    file, beside = tmp_path / "toy.onnx", tmp_path / "toy.onnx.json"
    file.write_bytes(files["onnx"].path.read_bytes())
    card = files["onnx"].path.with_name("toy.onnx.json").read_text()
    with pytest.raises(UserError, match="comes without its card toy.onnx.json"):
        open_exported(file)
    changed = json.dumps(json.loads(card) | {"rotation": "none"})
    for wrong in (changed, card[:50], files["pt2"].path.with_name("toy.pt2.json").read_text()):
        beside.write_text(wrong)
        with pytest.raises(UserError, match=r"toy.onnx.json is not the card of .*toy.onnx"):
            open_exported(file)
    beside.write_text(card)
    assert check_sidecar(file, open_exported(file).facts.text())["parity"]["samples"] == 40


@pytest.mark.fault("E1")
@pytest.mark.usefixtures("devices_pass")
def test_a_wrong_file_gets_no_name_and_replaces_neither_file_nor_card(run, tmp_path, monkeypatch):
    monkeypatch.setattr(screen_graph.ScreenGraph, "_scaled", lambda self, crop: crop / 127)
    out, card = tmp_path / "mine.pt2", tmp_path / "mine.pt2.json"
    out.write_bytes(b"mine")
    card.write_text("mine")
    with pytest.raises(
        UserError, match=r"differs from PyTorch by .* cm; expected at most 1.0e-03, so .*mine.pt2 was not"
    ):
        export(run, out, "pt2", overwrite=True)
    assert (out.read_bytes(), card.read_text()) == (b"mine", "mine")
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(UserError, match="mine.pt2 exists; give another out="):
        export(run, out, "pt2")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 32}, "size=32 is for scene models"),
        ({"names": "pinto"}, "names=pinto is not for models of the point of gaze; expected gaze"),
        ({"weights": "int4"}, "weights=int4 .* expected float32 or int8"),
        ({"preprocess": "half"}, "preprocess=half .* expected inside or outside"),
        ({"calibration": "gone.json"}, "gone.json does not exist; give a calibration"),
    ],
)
def test_what_can_t_be_done_is_refused(run, tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        export(run, tmp_path / "a.onnx", **arguments)
    assert not list(tmp_path.iterdir())


def test_a_calibration_of_another_model_is_refused(run, tmp_path):
    made = personal(run)
    replace(made, about={"fingerprint": "0" * 64}).write(tmp_path / "anna.json")
    with pytest.raises(UserError, match=r"anna.json was made with other weights .sha256 000000000000"):
        export(run, tmp_path / "a.onnx", calibration=str(tmp_path / "anna.json"))


def test_corrections_of_every_kind_are_the_same_in_float32():
    rng = torch.Generator().manual_seed(0)
    point, features = torch.randn(6, 2, generator=rng), torch.randn(6, 3, generator=rng)
    draw = lambda *shape: torch.randn(*shape, generator=rng).double()  # noqa: E731
    for correction in (
        Polynomial(draw(2), 1 + draw(2).abs(), draw(6, 2)),
        FeatureLinear(draw(3, 2), draw(2)),
        Neighbours(draw(4, 2), draw(4, 2), torch.ones(4).double(), 2),
        SupportVectors(draw(5, 3), 1 + draw(3).abs(), draw(5, 2), draw(2), absolute=False),
    ):
        module = Calibrated(correction)
        found = module(point, features)
        assert found.dtype == torch.float32
        torch.testing.assert_close(
            found.double(), correction.apply(point.double(), features.double()), atol=1e-4, rtol=0
        )


def test_eight_bits_are_near_and_spare_the_head(run):
    model = load_model(run)
    model.fusion.layers["face"][0] = torch.nn.Linear(8, 256).requires_grad_(False)  # large enough
    rounded = in_eight_bits(model, keep=model.output)
    layer, whole = rounded.fusion.layers["face"][0], model.fusion.layers["face"][0].weight
    steps, scale = layer.parametrizations.weight.original0, layer.parametrizations.weight.original1
    assert steps.dtype == torch.int8
    assert ((layer.weight - whole).abs() <= scale / 2 * 1.001).all()
    assert steps.abs().amax(1).eq(127).all()  # each row uses the whole range
    assert not any("parametrizations" in name for name, _ in rounded.output.named_modules())
    assert not any("parametrizations" in name for name, _ in model.named_modules())


def test_eight_bits_that_cost_too_much_are_refused(run, monkeypatch, caplog):
    model, inputs = load_model(run), asked(run, 8)
    moved = load_model(run)
    moved.output.standard.mean_cm.add_(1.0)
    dataset = plain_config(load_config(run)).get("dataset")
    with pytest.raises(UserError, match=r"weights=int8 moves points by 1.414 cm; expected at most 0.1 cm: export it"):
        int8_cost.cost(model, moved, dataset, inputs)
    assert "the run's data can't be read" in caplog.text
    assert int8_cost.cost(model, model, dataset, inputs) == {"int8_shift_cm": 0.0}


def test_terms_of_data_and_weights_are_passed_on(tmp_path, run, monkeypatch):
    monkeypatch.setattr("gaze.export.licences.training_data", lambda dataset: {"name": dataset.get("name")})
    config = {
        "dataset": {"name": "mobilepog"},
        "model": {"trunks": [{"name": "resnet18", "weights": "pretrained"}]},
        "loss": {"teacher": {"_target_": "gaze.runs.load_model", "run": str(run)}},
    }
    found = licences(config)
    assert [licence.of for licence in found] == ["data: mobilepog", "weights: resnet18", "data: unknown"]
    assert [licence.research_only for licence in found[:2]] == [False, False]
    assert research_only(found) is None
    assert research_only(found[:2]) is False
    assert research_only([*found, *licences({"dataset": {"name": "gazecapture"}})]) is True
    assert licences({"init": {"run": "gone/there"}})[1] == Licence(
        "run: gone/there", "unknown: the run is not on this machine", None
    )


def test_core_ml_needs_coremltools(run, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *a: None)
    with pytest.raises(
        UserError, match=r"Core ML needs coremltools, which is not installed: pip install 'gaze\[coreml\]'"
    ):
        export(run, tmp_path / "toy.mlpackage", "coreml")


@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_core_ml_packages_take_pictures(run, tmp_path, weights):
    coremltools = pytest.importorskip("coremltools")
    done = export(run, tmp_path / "toy.mlpackage", "coreml", weights=weights)
    assert done.difference is None
    made = coremltools.models.MLModel(str(done.path), skip_model_load=True)
    kinds = {feature.name: feature.type.WhichOneof("Type") for feature in made.get_spec().description.input}
    assert kinds == dict.fromkeys(("face", "left_eye", "right_eye"), "imageType") | {"geometry": "multiArrayType"}
    assert json.loads(made.user_defined_metadata["gaze"])["weights"] == {"float32": "float16"}.get(weights, weights)
    with pytest.raises(UserError, match="which only Apple's devices run; predict with format=onnx"):
        open_exported(done.path)
    export(run, tmp_path / "toy.mlpackage", "coreml", weights=weights, overwrite=True)  # a folder in place of a folder
    assert {file.name for file in tmp_path.iterdir()} == {"toy.mlpackage", "toy.mlpackage.json"}
