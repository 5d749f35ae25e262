"""Losses of rendered heads: what every one promises, values worked by hand, and what each must not look at."""

import math
from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor, nn

from gaze.losses.auxiliary import Auxiliary
from gaze.losses.coverage import Coverage, Silhouette
from gaze.losses.head_regularizers import LandmarkDeformation, Offset, Orthogonality
from gaze.losses.image import SSIM, EyeRegionL1, RegionL1
from gaze.losses.loss import Loss
from gaze.losses.perceptual import Perceptual
from gaze.losses.redirected_gaze import RedirectedGaze
from gaze.types import FacePrediction, Progress, Record, ScreenInputs, ScreenPrediction
from tests import groups
from tests.losses.some_heads import NOW, batch, drawn, right
from tests.perceptual.networks import Lookout, Pixels

MODEL_SAYS = {f.name for f in fields(FacePrediction)}


def about_heads(name):
    config = groups.node("loss", name)
    if "vae" in config:  # it compares with what an autoencoder says, which tests/losses/test_latent.py gives it
        return False
    annotation = groups.forward_annotations(config)["prediction"]
    return "FacePrediction" in annotation or config.get("of") in MODEL_SAYS


@pytest.mark.parametrize("name", [n for n in groups.names("loss") if about_heads(n)])
def test_every_loss_of_heads_is_finite_has_a_gradient_and_is_lower_for_the_right_answer(name):
    config = groups.node("loss", name)
    known = {"network": Pixels(), "estimator": Lookout(), "amp": False}  # what a config leaves to its surroundings
    loss = groups.build(config, **{key: value for key, value in known.items() if key in config})
    assert isinstance(loss, Loss)
    given = drawn()
    wrong = loss(FacePrediction(**given), batch(), NOW)
    assert wrong.shape == ()
    wrong.backward()
    gradients = [value.grad for value in given.values() if value.grad is not None]
    assert gradients
    assert all(g.isfinite().all() for g in gradients)
    assert any(g.abs().sum() > 0 for g in gradients)
    best = loss(right(batch()), batch(), NOW)
    assert best < wrong
    assert float(best) == pytest.approx(0, abs=1e-5)
    loss.eval()
    assert loss(replace(right(batch()), face=None, face_raw=None, eyes=None, eyes_raw=None), batch(), NOW).isfinite()


# --- Pixels ------------------------------------------------------------------------------------


def grey(value, like):
    return torch.full_like(like, value)


def test_pixels_of_refined_and_raw_pictures_add_up():
    some = batch(image=torch.full((2, 3, 24, 24), 0.5))
    prediction = FacePrediction(image=grey(0.75, some.targets.image), raw=grey(0.25, some.targets.image))
    inside = float(some.targets.head_mask.float().mean())
    refined = 0.25 * inside + 0.25 * (1 - inside)  # 0.75 is as far from the grey head as from the white around it
    raw = 0.25 * inside  # cut out before it is compared
    assert float(RegionL1()(prediction, some, NOW)) == pytest.approx(refined + raw)
    assert float(RegionL1(pictures="refined")(prediction, some, NOW)) == pytest.approx(refined)
    assert float(RegionL1(pictures="raw")(prediction, some, NOW)) == pytest.approx(raw)
    masked = RegionL1(pictures="refined", masked=True)(prediction, some, NOW)
    assert float(masked) == pytest.approx(0.25 * inside)
    assert float(RegionL1()(replace(prediction, raw=None), some, NOW)) == pytest.approx(refined)


@pytest.mark.parametrize(("region", "own"), [("head", "raw"), ("face", "face_raw"), ("eyes", "eyes_raw")])
def test_a_region_s_gradient_stays_in_its_own_picture_and_mask(region, own):
    some, given = batch(), drawn()
    RegionL1(region, pictures="raw")(FacePrediction(**given), some, NOW).backward()
    moved = {name for name, value in given.items() if value.grad is not None}
    assert moved == {own}
    head, left, right_eye = some.targets.head_mask, some.targets.left_eye_mask, some.targets.right_eye_mask
    eyes = left | right_eye
    mask = {"head": head, "face": head & ~eyes, "eyes": eyes}[region]
    assert torch.equal(given[own].grad.abs().sum(1) > 0, mask)


def test_eye_pixels_are_averaged_over_eyes_alone():
    some = batch(image=torch.full((2, 3, 24, 24), 0.5))
    image = grey(0.0, some.targets.image)
    eyes = (some.targets.left_eye_mask | some.targets.right_eye_mask)[:, None]
    prediction = FacePrediction(image=torch.where(eyes, 0.9, image))
    assert float(EyeRegionL1()(prediction, some, NOW)) == pytest.approx(0.4)


def test_pictures_without_a_masked_pixel_cost_nothing():
    nothing = torch.zeros(2, 24, 24, dtype=torch.bool)
    some = batch(head_mask=nothing, left_eye_mask=nothing, right_eye_mask=nothing)
    given = drawn()
    white = replace(FacePrediction(**given), image=torch.ones(2, 3, 24, 24), raw=None, alpha=nothing.float())
    terms = [
        EyeRegionL1(),
        RegionL1("head"),
        RegionL1("face", pictures="raw"),
        RegionL1("eyes", pictures="raw"),
        Silhouette(),
    ]
    for loss in terms:
        assert float(loss(white, some, NOW).detach()) == 0
    EyeRegionL1()(FacePrediction(**given), some, NOW).backward()
    assert given["image"].grad.abs().sum() == 0


def test_without_masks_the_whole_picture_counts():
    some = batch(head_mask=None, left_eye_mask=None, right_eye_mask=None)
    prediction = FacePrediction(image=(some.targets.image - 0.1))
    assert float(RegionL1()(prediction, some, NOW)) == pytest.approx(0.1, abs=1e-6)
    assert float(EyeRegionL1()(prediction, some, NOW)) == pytest.approx(0.1, abs=1e-6)


def test_what_the_model_does_not_draw_is_an_error_in_training_and_cut_out_of_the_head_in_validation():
    some = batch()
    prediction = FacePrediction(image=some.targets.image)
    for loss, region in ((RegionL1("face"), "face"), (SSIM(["eyes"]), "eyes")):
        with pytest.raises(ValueError, match=f"compares pictures of the {region}.*expected {region} and {region}_raw"):
            loss(prediction, some, NOW)
        assert float(loss.eval()(prediction, some, NOW)) == pytest.approx(0, abs=1e-5)
    with pytest.raises(ValueError, match="expected raw in its prediction"):
        RegionL1(pictures="raw")(prediction, some, NOW)


def test_masks_of_the_head_without_any_of_the_eyes_are_named():
    some = batch(left_eye_mask=None, right_eye_mask=None)
    with pytest.raises(ValueError, match="none of the eyes.*left_eye_mask"):
        EyeRegionL1()(FacePrediction(**drawn()), some, NOW)
    assert RegionL1("face")(FacePrediction(**drawn()), some, NOW) > 0  # the face is the head


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: RegionL1("nose"), "region is 'nose'"),
        (lambda: RegionL1(pictures="all"), r"loss.l1_head.pictures is 'all'; expected one of both, refined, raw"),
        (lambda: SSIM([]), r"loss.ssim.regions is \[\]"),
        (lambda: SSIM(["head", "head"]), "each once"),
        (lambda: Coverage("cubic"), "error is 'cubic'"),
        (lambda: Offset("gaze_offset"), "of is 'gaze_offset'"),
        (lambda: Orthogonality(-1.0), "collapse is -1.0"),
    ],
)
def test_settings_are_checked(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()


def test_windows_of_all_regions_add_up():
    some = batch()
    prediction = FacePrediction(**drawn()).map(Tensor.detach)
    apart = [float(SSIM([region], pictures=pictures)(prediction, some, NOW))
             for region in ("head", "face", "eyes") for pictures in ("refined", "raw")]  # fmt: skip
    assert float(SSIM()(prediction, some, NOW)) == pytest.approx(sum(apart), rel=1e-5)


# --- Coverage ----------------------------------------------------------------------------------


def test_coverage_by_hand():
    mask = torch.zeros(1, 2, 2, dtype=torch.bool)
    mask[0, 0] = True
    some = batch(size=24, samples=1)
    some = replace(some, targets=replace(some.targets, image=torch.zeros(1, 3, 2, 2), head_mask=mask,
                                         left_eye_mask=None, right_eye_mask=None))  # fmt: skip
    prediction = FacePrediction(torch.zeros(1, 3, 2, 2), alpha=torch.tensor([[[1.0, 0.5], [0.5, 0.0]]]))
    assert float(Coverage("absolute")(prediction, some, NOW)) == pytest.approx(1 / 4)
    assert float(Coverage("squared")(prediction, some, NOW)) == pytest.approx(0.5 / 4)
    # both: 1 + 0.5; either: 2 + 2 - 1.5
    assert float(Silhouette()(prediction, some, NOW)) == pytest.approx(1 - 1.5 / 2.5)
    with pytest.raises(ValueError, match=r"loss.silhouette needs coverage \(alpha\)"):
        Silhouette()(replace(prediction, alpha=None), some, NOW)
    with pytest.raises(ValueError, match="needs masks of heads"):
        Coverage()(prediction, replace(some, targets=replace(some.targets, head_mask=None)), NOW)


# --- What keeps heads plausible ----------------------------------------------------------------


def test_terms_that_the_model_names():
    prediction = FacePrediction(**drawn()).map(Tensor.detach)
    assert Auxiliary("deformation")(prediction, batch(), NOW) is prediction.deformation
    with pytest.raises(ValueError, match="says nothing of roughness"):
        Auxiliary("roughness")(replace(prediction, roughness=None), batch(), NOW)
    cosine, overlap, collapse = (
        float(getattr(prediction, f"factor_{name}")) for name in ("cosine", "overlap", "collapse")
    )
    assert float(Orthogonality(0.5)(prediction, batch(), NOW)) == pytest.approx(cosine + overlap + 0.5 * collapse)
    alone = replace(prediction, factor_overlap=None, factor_collapse=None)
    assert float(Orthogonality()(alone, batch(), NOW)) == pytest.approx(cosine)
    nothing = FacePrediction(prediction.image)
    with pytest.raises(ValueError, match="loss.orthogonality needs embeddings"):
        Orthogonality()(nothing, batch(), NOW)
    assert float(Orthogonality().eval()(nothing, batch(), NOW)) == 0


def test_corrections_and_landmarks_by_hand():
    some = batch()
    prediction = FacePrediction(some.targets.image, camera_offset=torch.full((2, 6), 0.2),
                                landmarks=some.targets.landmarks + 0.1)  # fmt: skip
    assert float(Offset("camera_offset")(prediction, some, NOW)) == pytest.approx(0.04)
    assert float(LandmarkDeformation()(prediction, some, NOW)) == pytest.approx(0.01)
    with pytest.raises(ValueError, match="identity_offset needs corrections"):
        Offset("identity_offset")(prediction, some, NOW)
    assert float(Offset("identity_offset").eval()(prediction, some, NOW)) == 0
    with pytest.raises(ValueError, match="the model has 4 landmarks and the data set 5"):
        LandmarkDeformation()(replace(prediction, landmarks=prediction.landmarks[:, :4]), some, NOW)
    bare: Record = replace(some.targets, landmarks=None)
    with pytest.raises(ValueError, match="which the data set does not give"):
        LandmarkDeformation()(prediction, replace(some, targets=bare), NOW)


# --- What other networks see -------------------------------------------------------------------


def test_features_of_a_photograph_are_computed_once_for_each_region_and_without_a_gradient():
    network = Pixels()
    given = drawn()
    loss = Perceptual(network)
    value = loss(FacePrediction(**given), batch(), NOW)
    assert (network.shown.fixed, network.shown.learning) == (3 * 2, 6 * 2)
    apart = sum(RegionL1(region)(FacePrediction(**given), batch(), NOW) for region in ("head", "face", "eyes"))
    torch.testing.assert_close(value, apart)  # pixels are features, too
    value.backward()
    assert all(given[name].grad.abs().sum() > 0 for name in ("image", "raw", "face", "face_raw", "eyes", "eyes_raw"))
    loss.train()
    assert not network.training


def test_pictures_are_resized_and_seen_in_bfloat16_if_asked():
    network = Pixels()
    Perceptual(network, ["head"], size=[8, 12], amp=True)(FacePrediction(**drawn()), batch(), NOW)
    assert network.shown.sizes == {(8, 12)}
    assert network.shown.kinds == {True}


def test_the_angle_of_a_redirected_gaze_by_hand():
    photograph, made = torch.zeros(2, 3, 24, 24), torch.zeros(2, 3, 24, 24)
    photograph[:, 0], made[:, 1] = 1.0, 1.0  # seen as (1, -1, -1) and (-1, 1, -1), each by half a unit
    some = batch(image=photograph, head_mask=None, left_eye_mask=None, right_eye_mask=None)
    angle = math.acos(-1 / 3)
    both = FacePrediction(image=made, raw=photograph)
    assert float(RedirectedGaze(Lookout())(both, some, NOW)) == pytest.approx(angle, abs=1e-5)
    assert float(RedirectedGaze(Lookout(), unit="deg")(both, some, NOW)) == pytest.approx(math.degrees(angle), abs=1e-3)
    assert float(RedirectedGaze(Lookout(), "raw")(both, some, NOW)) == pytest.approx(0, abs=1e-5)
    assert float(RedirectedGaze(Lookout(), "both")(both, some, NOW)) == pytest.approx(angle / 2, abs=1e-5)


def test_the_estimator_is_frozen_sees_its_own_size_and_nothing_but_the_head():
    estimator = Lookout(face_size=(10, 14))
    loss = RedirectedGaze(estimator).train()
    given, some = drawn(), batch()
    loss(FacePrediction(**given), some, NOW).backward()
    assert estimator.seen.shape == (2, 3, 10, 14)
    assert not estimator.training
    assert all(p.grad is None and not p.requires_grad for p in estimator.parameters())
    assert {name for name, value in given.items() if value.grad is not None} == {"image"}
    assert torch.equal(given["image"].grad.abs().sum(1) > 0, some.targets.head_mask)


def test_an_estimator_of_something_else_is_refused():
    with pytest.raises(ValueError, match=r"loss\.redirected_gaze\.estimator is a Points, which reads ScreenInputs"):
        RedirectedGaze(Points())


class Points(nn.Module):
    def forward(self, inputs: ScreenInputs) -> ScreenPrediction:
        raise NotImplementedError


def test_terms_that_wait_for_their_epoch_have_no_weight_before():
    for name in ("vgg", "perceptual", "redirected_gaze"):
        weight = groups.build(groups.node("loss", name).weight)
        assert weight(Progress(24, 100, 5)) == 0
        assert weight(Progress(25, 100, 5)) > 0
