"""Methods that change the model: what they train, what they leave alone, how they are kept."""

import json
from dataclasses import replace
from functools import partial

import pytest
import torch

from gaze.calibration.calibrated import calibrated, calibration_of
from gaze.calibration.calibration import calibrate, read_calibration
from gaze.calibration.dots import CalibrationError, dots_of
from gaze.calibration.held_out import outcome
from gaze.calibration.people import people_in, predict
from gaze.calibration.selection import left_out
from gaze.hardware import Hardware
from gaze.heads.personal import Personal
from gaze.heads.point import PointHead
from gaze.heads.point_laplace import PointLaplaceHead
from gaze.types import ScreenInputs
from tests.calibration.people import OF_MODELS, Reader, looked, methods
from tests.calibration.test_people import Users


def head(**options):
    torch.manual_seed(1)
    return PointHead(8, hidden=[16], **options)


def personal():
    """A head for which the first two numbers of a person are where they see, in training persons of known spread."""
    made = Personal(8, partial(PointHead, hidden=[]), people=40)
    torch.nn.init.normal_(made.latent.weight[:20])
    with torch.no_grad():
        made.head.point.weight[:, 8:] = torch.eye(2, 6)
    return made


QUICK = {
    "finetune_head": replace(methods()["finetune_head"], lr=0.02),
    "finetune_full": replace(methods()["finetune_full"], lr=0.01),
    "latent": methods()["latent"],
}
OUTPUTS = {"finetune_head": head, "finetune_full": head, "latent": personal}


@pytest.mark.parametrize("name", OF_MODELS)
def test_it_learns_from_some_dots_what_holds_for_others(name):
    _, frames = looked(OUTPUTS[name]())
    found = outcome(frames, frames.dot < 7, QUICK, name)
    assert found.after_cm < 0.75 * found.before_cm


@pytest.mark.parametrize("name", OF_MODELS)
def test_the_file_and_its_tensors_make_the_model_of_the_person(name, tmp_path):
    model, frames = looked(OUTPUTS[name]())
    dots, _ = dots_of(frames)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    made = calibrate(dots, QUICK, name)
    made.write(tmp_path / "anna.json")
    assert {file.name for file in tmp_path.iterdir()} == {"anna.json", "anna.safetensors"}
    again = read_calibration(tmp_path / "anna.json")
    inputs = ScreenInputs(geometry=frames.looks.heard.inputs.geometry)
    with torch.no_grad():
        changed, left = calibrated(model, again)
        own = changed(inputs).point.double()
    assert left is None
    torch.testing.assert_close(own, made.correction.of(frames), atol=1e-5, rtol=1e-5)
    assert (own - frames.target).norm() < 0.8 * (frames.point - frames.target).norm()
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key  # the run's model is for everybody
    with pytest.raises(CalibrationError, match=r"changes the model itself .*give it together with the run"):
        again.apply(frames.point)


def test_the_head_alone_is_trained_without_running_the_trunks():
    model, frames = looked(head())
    dots, _ = dots_of(frames)

    def sample(index):
        raise AssertionError(index)

    dots = replace(dots, looks=replace(dots.looks, sample=sample))
    change = QUICK["finetune_head"].fit(dots, dots.frames)
    assert set(change.tensors) == {f"output.{name}" for name, _ in model.output.named_parameters()}
    _, frames = looked(head())
    change = QUICK["finetune_full"].fit(dots_of(frames)[0], dots.frames)
    assert {"fusion.weight", "output.point.bias"} <= set(change.tensors)


@pytest.mark.parametrize("name", OF_MODELS)
def test_a_dot_that_is_left_out_has_no_influence(name):
    _, frames = looked(OUTPUTS[name](), dots=4)
    moved = frames.target.clone()
    moved[frames.dot == 2] += 5.0
    method = replace(QUICK[name], folds=None)
    before, after = (
        left_out(method, dots, dots.frames) for dots in (dots_of(frames)[0], dots_of(replace(frames, target=moved))[0])
    )
    torch.testing.assert_close(before[2], after[2])
    assert not torch.allclose(before[0], after[0])


def test_some_of_the_dots_are_themselves_with_their_frames():
    _, frames = looked(head(), dots=5, frames=3)
    dots, _ = dots_of(frames)
    some = dots.at(torch.tensor([3, 1]))
    torch.testing.assert_close(some.medians(some.looks.said({}).point.double()), some.point)
    torch.testing.assert_close(some.point, dots.point[[3, 1]])


def test_the_numbers_of_a_person_are_the_most_likely_ones():
    """The head is linear in them, so that they have a closed form: the ridge of Gaussian noise and prior."""
    output = personal()
    _, frames = looked(output, dots=3, frames=1)
    dots, _ = dots_of(frames)
    numbers = output.latent.weight.detach()[:20].double()
    mean, spread = numbers.mean(0), numbers.std(0)
    slope = output.head.point.weight.detach()[:, 8:].double()
    design = slope.repeat(3, 1) * spread
    target = (dots.residual - slope @ mean).flatten()
    wanted = torch.linalg.solve(design.T @ design + torch.eye(6), design.T @ target)
    found = QUICK["latent"].fit(dots, dots.frames).tensors["output.unknown"].double()
    torch.testing.assert_close((found - mean) / spread, wanted, atol=2e-3, rtol=0)


def test_what_a_model_lacks_is_named():
    _, frames = looked(head())
    dots, _ = dots_of(frames)
    with pytest.raises(
        CalibrationError, match="latent needs a model with numbers for each person .* is PointHead; train"
    ):
        calibrate(dots, QUICK, "latent")
    with pytest.raises(CalibrationError, match=r"'trunk' matches no parameter of the model; modules: fusion, output"):
        calibrate(dots, {"odd": replace(QUICK["finetune_head"], parameters="trunk")}, "odd")
    _, frames = looked(Personal(8, PointHead))
    with pytest.raises(
        CalibrationError, match="and the run has those of 0; train it with person among dataset.streams"
    ):
        calibrate(dots_of(frames)[0], QUICK, "latent")
    for name, settings in (("finetune_head", {"lr": 0.0}), ("finetune_full", {"epochs": 0}), ("latent", {"steps": 0})):
        with pytest.raises(ValueError, match="above 0"):
            replace(QUICK[name], **settings)


def test_files_of_other_models_and_without_their_tensors_are_refused(tmp_path):
    _, frames = looked(head())
    dots, _ = dots_of(frames)
    file = tmp_path / "anna.json"
    calibrate(dots, QUICK, "finetune_head", {"fingerprint": "0" * 64, "subject": "anna", "run": "there"}).write(file)
    wide = Reader(PointHead(8, hidden=[5]))
    with pytest.raises(CalibrationError, match=r"output.hidden.0.* of \(16.*\) and the model has one of \(5"):
        calibrated(wide, read_calibration(file))
    with pytest.raises(CalibrationError, match="output.hidden.0.* of .* the model has none; give the run"):
        calibrated(Reader(PointHead(8, hidden=[])), read_calibration(file))
    with pytest.raises(
        CalibrationError, match=r"anna.json was made with other weights \(sha256 000000000000...\) than"
    ):
        calibration_of(file, "1" * 64)
    assert calibration_of(file, "0" * 64).about["subject"] == "anna"
    tensors = tmp_path / "anna.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:40])
    with pytest.raises(CalibrationError, match="anna.safetensors is a damaged calibration"):
        read_calibration(file)
    tensors.unlink()
    with pytest.raises(
        CalibrationError, match=r"anna.safetensors does not exist; it belongs to the calibration beside"
    ):
        read_calibration(file)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"correction": {"tensors": 3}}))
    with pytest.raises(CalibrationError, match="damaged"):
        read_calibration(file)


def test_what_is_fitted_to_points_leaves_the_model_alone():
    model, frames = looked(head())
    made = calibrate(dots_of(frames)[0], methods(), "offset")
    assert calibrated(model, made) == (model, made)
    assert calibrated(model, None) == (model, None)


def test_a_model_with_a_head_is_listened_to():
    model = Reader(PointLaplaceHead(8)).eval()
    people = people_in(predict(model, Users(), Hardware(device="cpu", workers=0), batch_size=5))
    looks = people["b"].frames.looks
    torch.testing.assert_close(looks.said({}).point.double(), people["b"].frames.point, atol=1e-5, rtol=1e-5)
    shown = looks.said({"fusion.bias": model.fusion.bias.detach()}).point.double()  # from the samples
    torch.testing.assert_close(shown, people["b"].frames.point, atol=1e-5, rtol=1e-5)
    assert looks.heard.inputs.face is None
