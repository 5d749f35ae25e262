"""Several streams, some of them absent, and one trunk for both eyes."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor

from gaze.runs import load_model
from gaze.types import ScreenInputs, collate
from tests.stubs.screen import ScreenRegressor, Screens

EYES = "dataset.streams=[left_eye,right_eye]"


def batch(*streams: str):
    data = Screens("train", streams)
    return collate([data[0], data[1]])


def test_absent_streams_stay_absent_on_the_way_to_the_device(monkeypatch):
    monkeypatch.setattr(Tensor, "pin_memory", Tensor.clone)  # pinning needs a GPU
    for travelled in (batch("left_eye"), batch("left_eye").pin_memory().to("cpu").float32()):
        assert travelled.inputs.left_eye.shape == (2, 3, 6, 6)
        assert travelled.inputs.face is travelled.inputs.geometry is travelled.inputs.imu is None


def test_a_stream_in_some_samples_only_is_an_error():
    with pytest.raises(ValueError, match="ScreenInputs.face is missing in some samples"):
        collate([ScreenInputs(face=torch.zeros(3, 8, 8)), ScreenInputs()])


@pytest.mark.parametrize("overrides", [(), (EYES,)], ids=["all", "eyes"])
def test_it_trains_whichever_streams_there_are(train, tmp_path, overrides):
    run = train(tmp_path, "model=screen_stub", *overrides)
    assert run.moved == set(run.weights)
    assert run.journal("val/error_cm") == {3: pytest.approx(run.figure)}
    named = {row["name"] for row in json.loads((tmp_path / "signature.json").read_text())["inputs"]}
    assert named == set(run.config.dataset.streams)


def test_it_continues_and_can_be_loaded(continues):
    whole, rest = continues(2, "model=screen_stub")
    inputs = whole.trainer.hardware.place(batch("face", "left_eye", "right_eye", "geometry")).inputs
    loaded = load_model(rest.trainer.run.path)
    assert torch.equal(loaded(inputs).point, whole.trainer.eval_model.eval()(inputs).point)


def test_both_eyes_use_one_trunk(train, tmp_path):
    run = train(tmp_path, "model=screen_stub", EYES)
    assert {name.split(".")[0] for name in run.saved} == {"eye", "fuse"}
    model = ScreenRegressor(["left_eye", "right_eye"])
    model.load_state_dict(run.saved)
    seen = []
    model.eye.register_forward_hook(lambda *_: seen.append(1))
    model(batch("left_eye", "right_eye").inputs.map(Tensor.float))
    assert len(seen) == 2
