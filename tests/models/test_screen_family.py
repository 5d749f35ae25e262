"""Every pog_ model of conf/model: it composes, is as large as stated, and each of its parameters learns."""

from dataclasses import replace

import pytest
import torch

from gaze.losses.point import PointMSE
from gaze.models.screen import ScreenModel
from gaze.runs import build, plain_config
from gaze.signatures import problems
from gaze.types import Batch, Progress, ScreenPrediction, ScreenTargets
from tests.models import screens

R50 = 23_508_032
# Parameters, exactly where the reference counts them and to its rounding where it rounds.
EXACT = {
    "pog_itracker": 6_286_274,
    "pog_itracker_mhsa_v1": 3 * R50 + 17_630_978,
    "pog_gazetr": 11_420_738,
    "pog_affnet": 1_939_913,
    "pog_google_mpe": 142_510,
    "pog_tiny": 171_202,
}
MILLIONS = {
    ("pog_itracker_mhsa",): 50.59,
    ("pog_itracker_mhsa_base",): 74.09,
    # The reference says 38.26, with a projection of the eyes from 2048 channels; a ResNet-18 has 512.
    ("pog_itracker_mhsa_small",): 37.86,
    ("pog_itracker_mhsa_pooled",): 80.13,
    ("pog_itracker_mhsa_pooled", "fusion.width=256", "fusion.hidden=1024"): 73.76,
    ("pog_itracker_mhsa_pooled", "fusion.width=2048", "fusion.heads=4", "fusion.inner=1024"): 104.66,
    ("pog_gazetr", "fusion.width=128"): 12.44,
    ("pog_gazetr", "fusion.width=256", "fusion.hidden=1024", "fusion.cells=196"): 16.10,
    ("pog_itracker_swin",): 40.74,
    ("pog_itracker_swin_hybrid",): 40.24,
    # The reference counts 10.53, 4.97, 7.75 and 7.11 with the convolutions behind the last maps, which nobody reads;
    # tests/fusions/test_latents.py adds them.
    ("pog_mobile",): 8.07,
    ("pog_mobile_small",): 3.79,
    ("pog_mobile_lite",): 7.72,
    ("pog_botnet", "backbone@model.trunks.face=timm_embedding", "model.trunks.face.name=botnet26t_256"): 10.70,
}
# The softmax over keys does not change when all of them move, so a bias of the keys learns nothing but rounding errors.
NOTHING_TO_LEARN = ("key.bias",)


@pytest.mark.parametrize("name", screens.NAMES)
def test_it_composes_under_its_own_name_with_what_it_needs(name):
    config = screens.composed(name)
    assert config.name == name
    assert config.trainer.monitor == "error"  # in whatever unit labels are
    assert list(problems(plain_config(config.model), "model")) == []
    assert {"target_statistics", "checkpoint"} <= {n for n, node in config.callback.items() if "_target_" in node}


@pytest.mark.parametrize("name", EXACT)
def test_it_is_as_large_as_published(name):
    assert screens.count(screens.without_memory(name)) == EXACT[name]


@pytest.mark.parametrize("words", MILLIONS, ids=" ".join)
def test_it_is_as_large_as_the_table_says(words):
    assert round(screens.count(screens.without_memory(*words)) / 1e6, 2) == MILLIONS[words]


def test_a_layer_of_the_third_version_is_as_large_as_counted():
    wide = ("fusion.width=2048", "head.hidden=[]")
    one, two = (screens.without_memory("pog_itracker_mhsa_v3", *wide, f"fusion.layers={n}") for n in (1, 2))
    assert round((screens.count(two) - screens.count(one)) / 1e6, 1) == 25.2


def test_tokens_of_landmarks_and_sensor_add_to_gazetr_what_the_reference_says():
    one, both = (
        screens.count(screens.without_memory("pog_gazetr", "fusion.landmarks=71", f"fusion.imu={imu}"))
        for imu in (False, True)
    )
    width = 32
    assert one - EXACT["pog_gazetr"] - width == 22_432  # a position each beside the layers
    assert both - one - width == 1_376


@pytest.mark.parametrize("name", screens.NAMES)
def test_a_step_of_training_reaches_every_parameter(name):
    torch.manual_seed(0)
    model = screens.toy(name).train()
    inputs = screens.looks(name, crop=16 if isinstance(model, ScreenModel) else None)
    optimizer = build(screens.composed(name).optimizer)(model=model)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    prediction = model(inputs)
    assert isinstance(prediction, ScreenPrediction)
    batch = Batch(inputs, ScreenTargets(3 * torch.randn(prediction.point.shape)), torch.arange(4))
    loss = PointMSE()(prediction.float32(), batch, Progress(0, 1, 1))
    loss.backward()
    still = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert [n for n in still if not n.endswith(NOTHING_TO_LEARN)] == []
    optimizer.step()
    stuck = [n for n, p in model.named_parameters() if torch.equal(p, before[n])]
    assert [n for n in stuck if not n.endswith(NOTHING_TO_LEARN)] == []
    assert prediction.features is not None
    assert prediction.features.shape[0] == 4


def test_the_first_version_can_cut_the_eyes_out_of_the_face():
    words = (
        *("pog_itracker_mhsa_v1", "model.eye_crops={_target_: gaze.models.eye_crops.EyeCrops, size: 16}"),
        "dataset.streams=[face,geometry]",
    )
    torch.manual_seed(0)
    model = screens.toy(*words).eval()
    inputs = screens.looks(words[0], 1, 32, *words[1:])
    assert inputs.left_eye is None
    boxes = torch.tensor([[0.2, 0.2, 0.6, 0.6, 0.55, 0.35, 0.15, 0.15, 0.3, 0.35, 0.15, 0.15]])
    lower = boxes + torch.tensor([0.0] * 5 + [0.2] + [0.0] * 6)
    points = [model(replace(inputs, geometry=geometry)).point for geometry in (boxes, lower)]
    assert not torch.equal(*points)


@pytest.mark.parametrize("name", screens.NAMES)
def test_each_sample_is_seen_by_itself_and_every_crop_counts(name):
    torch.manual_seed(0)
    model = screens.toy(name).eval()
    inputs = screens.looks(name, samples=3, crop=16 if isinstance(model, ScreenModel) else None)
    whole = model(inputs).point
    assert whole.shape == (3, 2)
    torch.testing.assert_close(model(inputs.map(lambda t: t[1:2])).point, whole[1:2], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("head", ["personal", "point_projected"])
@pytest.mark.parametrize("name", ["pog_mobile", "pog_affnet", "pog_gazetr", "pog_google_mpe", "pog_fullface"])
def test_what_a_model_says_of_its_head_holds_inside_of_another(name, head):
    inside = screens.without_memory(name, f"head={head}").output
    inside = inside.head if head == "personal" else inside.output
    own = screens.without_memory(name).output
    widths = [[getattr(layer, "out_features", str(layer)) for layer in part.hidden] for part in (inside, own)]
    assert widths[0] == widths[1]
