"""Pictures of any size go in; each person's numbers come out."""

import pytest
import torch

from gaze.errors import UserError
from gaze.hardware import Hardware
from gaze.inference.predictor import ScenePredictor, people
from gaze.runs import load_model
from gaze.types import ScenePrediction
from tests.inference.runs import predictor_of, write_run
from tests.stubs.line import Net


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return predictor_of(write_run(tmp_path_factory.mktemp("runs") / "tiny"))


def test_together_is_as_alone(predictor):
    torch.manual_seed(1)
    pictures = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in ((60, 40), (33, 90), (20, 20))]
    heads = [
        torch.tensor([[0.1, 0.1, 0.4, 0.5], [0.5, 0.5, 0.9, 0.9]]),
        torch.zeros(0, 4),
        torch.full((1, 4), torch.nan),
    ]
    together = predictor(pictures, heads)
    assert [len(p.heatmap) for p in together] == [2, 0, 1]
    for picture, boxes, prediction in zip(pictures, heads, together, strict=True):
        (alone,) = predictor([picture], [boxes])
        torch.testing.assert_close(alone.heatmap, prediction.heatmap)


def test_a_picture_is_shown_to_the_model_at_the_run_s_size(predictor):
    seen = []
    hook = predictor.model.backbone.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    predictor([torch.full((3, 90, 31), 255, dtype=torch.uint8)], [torch.tensor([[0.1, 0.1, 0.4, 0.5]])])
    hook.remove()
    assert seen[0].shape == (1, 3, 32, 48)
    assert seen[0].dtype == torch.float32
    assert seen[0].max() == 1


def test_nobody_anywhere_needs_no_model(predictor):
    assert [len(p.heatmap) for p in predictor([torch.zeros(3, 9, 9, dtype=torch.uint8)], [torch.zeros(0, 4)])] == [0]
    assert people(torch.zeros(0, 4), ScenePrediction(torch.zeros(0, 1, 1)), (9, 9)) == []


def test_a_known_heatmap_gives_known_numbers():
    heatmap = torch.full((2, 4, 8), -4.0)
    heatmap[0, 1, 6] = 2.0  # its centre: x 6.5 / 8, y 1.5 / 4
    heatmap[1, 3, 0] = 0.0  # in a corner, where no parabola can be laid
    heads = torch.tensor([[0.25, 0.5, 0.5, 0.75], [torch.nan] * 4])
    first, second = people(heads, ScenePrediction(heatmap, torch.tensor([0.0, 3.0])), (100, 400))
    assert first["head_bbox_px"] == [100.0, 50.0, 200.0, 75.0]
    assert first["gaze"] == pytest.approx([6.5 / 8, 1.5 / 4])
    assert first["gaze_px"] == pytest.approx([325.0, 37.5])
    assert first["peak_probability"] == pytest.approx(torch.tensor(2.0).sigmoid().item(), abs=1e-5)
    assert first["inout_probability"] == 0.5
    assert second["head_bbox"] is None
    assert second["gaze"] == pytest.approx([0.5 / 8, 3.5 / 4])
    assert people(heads[:1], ScenePrediction(heatmap[:1]), (9, 9))[0]["inout_probability"] is None


def test_a_model_of_another_kind_is_refused():
    with pytest.raises(UserError, match=r"Net, takes Point; expected a model of scenes"):
        ScenePredictor(Net(), (32, 32), Hardware("cpu"))


def test_a_run_that_does_not_say_its_image_size_is_refused(predictor):
    with pytest.raises(UserError, match="no dataset.image_size"):
        ScenePredictor(predictor.model, None, Hardware("cpu"))


def test_a_loaded_model_says_what_it_was_trained_on(tmp_path):
    assert load_model(write_run(tmp_path / "run")).image_size == (32, 48)
