"""Metrics of rendered heads: perfect ones, values worked by hand, and what each must not hide."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torchmetrics.image.fid import _compute_fid

from gaze.geometry import pitch_yaw_to_vector
from gaze.metrics.frechet import FrechetDistance, frechet_distance
from gaze.metrics.image_quality import ImageQuality
from gaze.metrics.lpips import LPIPS
from gaze.metrics.redirected_angle import RedirectedAngle
from gaze.types import FacePrediction
from tests import groups
from tests.losses.some_heads import batch, drawn, right
from tests.perceptual.networks import Lookout, Pixels


class Colours(nn.Module):
    """The mean colour of each picture."""

    features = 3

    def forward(self, image):
        return image.mean((-2, -1))


def about_heads(name):
    config = groups.node("metric", name)
    return "FacePrediction" in groups.forward_annotations(config, "update").get("prediction", "")


NAMES = [name for name in groups.names("metric") if about_heads(name)]
KNOWN = {"network": Pixels, "estimator": Lookout}
BEST = {"psnr": 80.0, "psnr_eyes": 80.0, "ssim_score": 1.0}  # all others are 0


def metric_of(name):
    config = groups.node("metric", name)
    known = KNOWN | ({"network": Colours} if name == "fid" else {})
    return groups.build(config, **{key: make() for key, make in known.items() if key in config})


def figures(metric, *updates):
    metric.reset()
    for prediction, targets in updates:
        metric.update(prediction, targets)
    return {key: float(value) for key, value in metric.compute().items()}


def perfect(seed):
    some = batch(seed=seed, samples=3)
    return right(some), some.targets


def wrong(seed):
    return FacePrediction(drawn(seed=100 + seed, samples=3)["image"].detach()), batch(seed=seed, samples=3).targets


def of_the_prediction(found):
    """Without what an estimator itself is off, which no prediction changes, and without labels, which it does not know."""
    return {key: value for key, value in found.items() if "estimator" not in key and "label" not in key}


@pytest.mark.parametrize("name", NAMES)
def test_perfect_is_perfect_and_wrong_is_worse(name):
    metric = metric_of(name)
    good, bad = (of_the_prediction(figures(metric, made(0))) for made in (perfect, wrong))
    assert good
    for key, value in good.items():
        assert value == pytest.approx(BEST.get(key, 0.0), abs=1e-4)
        assert bad[key] < value - 0.1 if key in BEST else bad[key] > 1e-3


@pytest.mark.filterwarnings("ignore:The ``compute``")
def test_no_figure_has_the_name_of_a_loss():
    """Validation reports both side by side, and one would replace the other."""
    names = {key for name in NAMES for key in metric_of(name).compute()}
    assert not names & {"loss", *groups.names("loss")}


@pytest.mark.filterwarnings("ignore:The ``compute``")
@pytest.mark.parametrize("name", NAMES)
def test_replicas_add_up_and_nothing_seen_is_nan(name):
    first, second = metric_of(name), metric_of(name)
    assert all(map(math.isnan, figures(first).values()))
    expected = figures(metric_of(name), perfect(0), wrong(1))
    first.update(*perfect(0))
    second.update(*wrong(1))
    first.merge_state(second)
    assert {key: float(value) for key, value in first.compute().items()} == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_nan_is_not_hidden(name):
    prediction, targets = perfect(0)
    image = prediction.image.clone()
    image[1, :, 8:11, 7:10] = torch.nan  # its left eye
    found = of_the_prediction(figures(metric_of(name), perfect(1), (replace(prediction, image=image), targets)))
    assert all(map(math.isnan, found.values()))


def test_quality_by_hand():
    some = batch(image=torch.full((2, 3, 24, 24), 0.5))
    head, eyes = some.targets.head_mask[:, None], (some.targets.left_eye_mask | some.targets.right_eye_mask)[:, None]
    image = torch.where(head, 0.6, 1.3).expand(2, 3, 24, 24)  # more than white is white
    found = figures(ImageQuality(), (FacePrediction(torch.where(eyes, 0.3, image)), some.targets))
    share, eye = head.float().mean((1, 2, 3)), eyes.float().mean((1, 2, 3))
    square = 0.01 * (share - eye) + 0.04 * eye
    assert found["psnr"] == pytest.approx(float((-10 * square.log10()).mean()), abs=1e-3)
    assert found["l1"] == pytest.approx(float((0.1 * (share - eye) + 0.2 * eye).mean()), abs=1e-6)
    assert found["psnr_eyes"] == pytest.approx(-10 * math.log10(0.04), abs=1e-3)


def test_pictures_without_eyes_do_not_count_for_eyes():
    some = batch()
    nothing = torch.zeros_like(some.targets.head_mask)
    metric = ImageQuality()
    prediction = replace(right(some), image=right(some).image * 0.9)
    expected = figures(metric, (prediction, some.targets))
    profile = replace(some.targets, left_eye_mask=nothing, right_eye_mask=nothing)
    assert figures(metric, (prediction, some.targets), (prediction, profile)) == pytest.approx(expected)
    unknown = replace(some.targets, left_eye_mask=None, right_eye_mask=None)
    assert math.isnan(figures(metric, (prediction, unknown))["psnr_eyes"])
    small = batch(image=torch.rand(2, 3, 10, 10), head_mask=None, left_eye_mask=None, right_eye_mask=None)
    found = figures(metric, (FacePrediction(small.targets.image), small.targets))
    assert math.isnan(found["ssim_score"])
    assert found["psnr"] == pytest.approx(80)


def test_what_is_drawn_outside_of_the_head_counts():
    some = batch()
    prediction = right(some)
    outside = torch.where(some.targets.head_mask[:, None], prediction.image, 0.0)
    spoilt = replace(prediction, image=outside)
    for metric in (ImageQuality(), LPIPS(Pixels()), RedirectedAngle(Lookout()), FrechetDistance(Colours())):
        assert figures(metric, (spoilt, some.targets)) != figures(metric, (prediction, some.targets))


def test_angles_by_hand():
    """Against what the estimator sees in the photograph, against the label, and of the photograph against it."""
    image = torch.zeros(2, 3, 24, 24)
    photograph, made = image.clone(), image.clone()
    photograph[:, 0], made[:, 1] = 1.0, 1.0  # seen as (1, -1, -1) and (-1, 1, -1)
    label = torch.tensor([[0.0, 0.0, -1.0], [math.nan] * 3])
    some = batch(image=photograph, gaze=label, head_mask=None, left_eye_mask=None, right_eye_mask=None)
    found = figures(RedirectedAngle(Lookout()), (FacePrediction(made), some.targets))
    own = math.degrees(math.acos(1 / math.sqrt(3)))
    assert found == pytest.approx(
        {
            "redirected_gaze_deg": math.degrees(math.acos(-1 / 3)),
            "redirected_gaze_label_deg": own,
            "estimator_gaze_deg": own,
        },
        abs=1e-3,
    )
    bare = replace(some.targets, gaze=None)
    found = figures(RedirectedAngle(Lookout()), (FacePrediction(made), bare))
    assert [math.isnan(value) for value in found.values()] == [False, True, True]


def test_heads_are_compared_with_labels_of_heads():
    angles = torch.tensor([[0.2, -0.3], [-0.1, 0.4]])
    colour = 0.5 + pitch_yaw_to_vector(angles) / 4
    image = colour[:, :, None, None].expand(2, 3, 24, 24).contiguous()
    some = batch(image=image, head=angles, head_mask=None, left_eye_mask=None, right_eye_mask=None)
    found = figures(RedirectedAngle(Lookout(), "head"), (FacePrediction(image), some.targets))
    assert found == pytest.approx(
        {"redirected_head_deg": 0, "redirected_head_label_deg": 0, "estimator_head_deg": 0}, abs=0.01
    )
    with pytest.raises(ValueError, match="of is 'eyes'"):
        RedirectedAngle(Lookout(), "eyes")


def test_the_distance_of_known_gaussians():
    eye = torch.eye(3, dtype=torch.float64)
    zero, off = torch.zeros(3, dtype=torch.float64), torch.tensor([1.0, 2.0, 2.0], dtype=torch.float64)
    assert float(frechet_distance(zero, eye, zero, eye)) == pytest.approx(0, abs=1e-12)
    assert float(frechet_distance(zero, eye, off, eye)) == pytest.approx(9)
    assert float(frechet_distance(zero, 4 * eye, zero, 9 * eye)) == pytest.approx(3 * (3 - 2) ** 2)
    assert float(frechet_distance(zero, eye, zero, 0 * eye)) == pytest.approx(3)  # every picture the same


def test_the_distance_is_torchmetrics_s_and_sums_lose_nothing():
    draws = torch.Generator().manual_seed(0)
    some = batch(samples=40, seed=3, head_mask=None)
    image = (some.targets.image * torch.rand(40, 3, 1, 1, generator=draws)).clamp(0, 1)
    metric, colours = FrechetDistance(Colours()), Colours()
    for rows in (slice(0, 13), slice(13, 40)):
        metric.update(FacePrediction(image[rows]), some.targets.map(lambda t, rows=rows: t[rows]))
    a, b = (colours(x).double() for x in (image, some.targets.image))
    expected = _compute_fid(a.mean(0), a.T.cov(), b.mean(0), b.T.cov())
    assert float(metric.compute()["fid"]) == pytest.approx(float(expected), rel=1e-6)


def test_what_needs_weights_says_which():
    for name in ("fid", "lpips"):
        with pytest.raises(Exception, match="fetch https://"):
            groups.build(groups.node("metric", name))
