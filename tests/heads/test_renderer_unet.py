"""GazeGaussian's own neural renderer."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gaze.benchmark.renderer_speed import Materialised
from gaze.heads.pixel_stages import PixelStages
from gaze.heads.renderer_unet import UNetRenderer
from gaze.shapes_only import shapes_only
from tests.groups import build, node
from tests.stubs.drawing import drawing, face_inputs

SMALL = {"features": 4, "feature_size": 8, "image_size": 16, "identity": 5, "expression": 3}


def renderer(**changes):
    torch.manual_seed(0)
    return UNetRenderer(**(SMALL | changes)).eval()


@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("ratio", [1, 4])
def test_pictures_and_gradients_are_those_of_keys_and_values_of_every_pixel(ratio, dtype, near):
    torch.manual_seed(0)
    ours = PixelStages(6, ratio, code=8).to(dtype)
    theirs = Materialised(ours)
    feature = torch.randn(2, 6, 5, 5, dtype=dtype, requires_grad=True)
    code = (3 * torch.randn(2, 8, dtype=dtype)).requires_grad_()
    images = [model(feature, code) for model in (ours, theirs)]
    assert images[0].shape == (2, 3, 5 * ratio, 5 * ratio)
    torch.testing.assert_close(*images, atol=near, rtol=0)
    weight = torch.randn_like(images[0])
    grads = [
        torch.autograd.grad((image * weight).sum(), [feature, code, *model.parameters()])
        for image, model in zip(images, (ours, theirs), strict=True)
    ]
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, atol=20 * near, rtol=100 * near)


def test_an_upsampler_enlarges_its_input_by_blocks_and_blurs_it():
    """What it adds, seen by weights of zero."""
    torch.manual_seed(0)
    upsampler = PixelStages(3, 2).stages[0].upsampler
    for parameter in upsampler.parameters():
        torch.nn.init.zeros_(parameter)
    pixels = torch.randn(1, 4, 4, 3)
    blocks = F.interpolate(pixels.permute(0, 3, 1, 2), scale_factor=2)
    line = torch.tensor([0.25, 0.5, 0.25])
    kernel = (line[:, None] * line).expand(3, 1, 3, 3)
    expected = F.conv2d(F.pad(blocks, (1, 1, 1, 1), mode="reflect"), kernel, groups=3)
    torch.testing.assert_close(upsampler(pixels).permute(0, 3, 1, 2), expected)


@pytest.mark.parametrize(("size", "image_size"), [(8, 8), (8, 16), (4, 32)])
def test_pictures_have_their_size_at_any_power_of_two(size, image_size):
    model = renderer(feature_size=size, image_size=image_size)
    refined = model(*drawing(3, 4, size), face_inputs(3))
    assert refined.image.shape == (3, 3, image_size, image_size)
    assert 0 <= refined.image.min() <= refined.image.max() <= 1
    assert refined.latent is None


def test_what_factors_add_is_nothing_at_the_start_and_reaches_the_picture_later():
    plain, conditioned = renderer(embedding=None), renderer(embedding=8)
    conditioned.load_state_dict(plain.state_dict(), strict=False)
    drawn, inputs = drawing(2, size=8), face_inputs(2)
    torch.testing.assert_close(conditioned(*drawn, inputs).image, plain(*drawn, inputs).image)
    assert plain(*drawn, inputs).factor_cosine is None
    torch.nn.init.normal_(conditioned.film.weight)
    gazes = [conditioned(*drawn, face_inputs(2, seed=seed)).image for seed in (0, 1)]
    assert (gazes[0] - gazes[1]).abs().max() > 1e-3


def test_from_raw_it_starts_as_the_drawing():
    feature, alpha = drawing(2, size=8)
    image = renderer(image_size=8, from_raw=True)(feature, alpha, face_inputs(2)).image
    torch.testing.assert_close(image, feature[:, :3], atol=1e-6, rtol=0)
    flat = feature[:, :, :1, :1].expand(-1, -1, 8, 8)
    large = renderer(from_raw=True)(flat, alpha, face_inputs(2)).image
    torch.testing.assert_close(large, flat[:, :3, :1, :1].expand(-1, -1, 16, 16), atol=1e-6, rtol=0)


def test_a_half_number_format_leaves_the_growing_picture_exact():
    model, (feature, alpha) = renderer(image_size=32, from_raw=True), drawing(2, size=8)
    expected = model(feature, alpha, face_inputs(2))
    with torch.autocast("cpu", torch.bfloat16):
        refined = model(feature.to(torch.float32), alpha, face_inputs(2))
    assert refined.image.dtype == torch.float32
    # Of the drawing itself, which the first layer of the stages has rounded, 3 digits are left
    torch.testing.assert_close(refined.image, expected.image, atol=4e-3, rtol=0)
    torch.testing.assert_close(refined.factor_overlap, expected.factor_overlap)


def test_coverage_is_a_feature_that_starts_without_weight_and_learns():
    model = renderer()
    feature, alpha = drawing(1, size=8)
    image = model(feature, alpha, face_inputs(1)).image
    torch.testing.assert_close(model(feature, 1 - alpha, face_inputs(1)).image, image)
    image.square().sum().backward()
    assert model.blend.weight.grad[:, 4].abs().max() > 0


def test_a_picture_does_not_depend_on_the_others_of_its_batch():
    model = renderer(embedding=8)
    torch.nn.init.normal_(model.film.weight)
    feature, alpha = drawing(3, size=8)
    image = model(feature, alpha, face_inputs(3)).image
    alone = model(feature[1:2], alpha[1:2], face_inputs(3).map(lambda t: t[1:2])).image
    torch.testing.assert_close(alone[0], image[1], atol=1e-5, rtol=0)


def test_the_published_size_and_facts():
    config, published = node("head", "renderer_unet"), {"features": 32, "feature_size": 128, "image_size": 512}
    codes = {"identity": 80, "expression": 64, "vae": None}
    with shapes_only():
        models = {e: build(config, **published, **codes, embedding=e) for e in (None, 128)}
    sizes = {e: sum(p.numel() for p in model.parameters()) for e, model in models.items()}
    assert 0.03e6 < sizes[None] < 0.04e6  # 0.55 M, of which 0.52 M are the background map
    assert sizes[128] < 0.25e6
    assert models[128].facts == {"Renderer": "U-Net Neural Renderer", "Stages": "2", "VAE": "Disabled"}


@pytest.mark.parametrize(("feature_size", "image_size"), [(8, 24), (8, 20), (16, 8)])
def test_sizes_that_no_doubling_reaches_are_refused(feature_size, image_size):
    with pytest.raises(ValueError, match="power of two.*feature_size"):
        renderer(feature_size=feature_size, image_size=image_size)


def test_a_vae_that_it_would_not_draw_with_is_refused():
    with pytest.raises(
        ValueError, match="head.vae is set .Identity., and this renderer draws pixels.*head=renderer_dit"
    ):
        renderer(vae=nn.Identity())
