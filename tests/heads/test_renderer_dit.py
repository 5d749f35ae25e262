"""The transformer as neural renderer."""

import copy

import pytest
import torch
import torch.nn.functional as F

from gaze.errors import UserError
from gaze.freezing import train_mode
from gaze.heads.dit_block import DiTBlock
from gaze.heads.renderer_dit import DiTRenderer
from gaze.shapes_only import shapes_only
from gaze.vaes.autoencoder_kl import AutoencoderKL
from tests.groups import build, node
from tests.stubs.drawing import TwoLayerVAE, drawing, face_inputs

SMALL = {
    "features": 4,
    "feature_size": 16,
    "image_size": 16,
    "identity": 5,
    "expression": 3,
    "depth": 2,
    "heads": 2,
    "patch": 4,
    "width": 16,
    "embedding": 8,
}


def renderer(**changes):
    torch.manual_seed(0)
    return DiTRenderer(**(SMALL | changes))


def awake(model):
    """The model with every parameter that starts at zero drawn at random."""
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.requires_grad and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.mark.parametrize("factor_tokens", [False, True])
def test_at_the_start_a_picture_of_equal_size_is_the_drawing(factor_tokens):
    feature, alpha = drawing(2)
    feature[0, :3, 0, 0] = torch.tensor([-1.0, 0.5, 2.0])
    image = renderer(factor_tokens=factor_tokens)(feature, alpha, face_inputs(2)).image
    torch.testing.assert_close(image, feature[:, :3].clamp(0.02, 0.98), atol=1e-6, rtol=0)


def test_at_the_start_a_larger_picture_is_the_drawing_enlarged():
    feature, alpha = drawing(2)
    flat = feature[:, :, :1, :1].expand(-1, -1, 16, 16)
    refined = renderer(image_size=64)(flat, alpha, face_inputs(2))
    assert refined.image.shape == (2, 3, 64, 64)
    torch.testing.assert_close(refined.image, flat[:, :3, :1, :1].expand(-1, -1, 64, 64), atol=1e-6, rtol=0)
    assert refined.latent is None


@pytest.mark.parametrize(
    ("size", "patch", "image_size", "factor", "cell"),
    [(16, 4, 16, 2, 2), (16, 8, 32, 4, 4), (16, 4, 64, 8, 2), (16, 4, 64, 2, 8), (16, 2, 16, 2, 1)],
)
def test_latents_have_the_size_that_the_decoder_wants(size, patch, image_size, factor, cell):
    model = awake(renderer(feature_size=size, patch=patch, image_size=image_size, vae=TwoLayerVAE(4, factor)))
    refined = model(*drawing(2, size=size), face_inputs(2))
    assert model.cell == cell
    assert refined.latent.shape == (2, 4, image_size // factor, image_size // factor)
    assert refined.image.shape == (2, 3, image_size, image_size)
    assert 0 <= refined.image.min() <= refined.image.max() <= 1


def test_at_the_start_the_decoder_paints_most_of_a_picture_and_the_drawing_the_rest():
    feature, alpha = drawing(2)
    refined = (model := renderer(vae=TwoLayerVAE(), image_size=32))(feature, alpha, face_inputs(2))
    start = model.output.start(torch.cat([feature, alpha[:, None]], 1))
    torch.testing.assert_close(refined.latent, start)
    share = torch.tensor(2.0).sigmoid()
    drawn = F.interpolate(feature[:, :3], (32, 32), mode="bilinear")
    expected = share * model.output.vae.decode(start) + (1 - share) * drawn
    torch.testing.assert_close(refined.image, expected, atol=1e-6, rtol=0)
    alone = renderer(vae=TwoLayerVAE(), image_size=32, skip=False)(feature, alpha, face_inputs(2))
    torch.testing.assert_close(alone.image, model.output.vae.decode(alone.latent))


@pytest.mark.parametrize("train", [lambda model: model.train(), train_mode], ids=["train", "train_mode"])
def test_a_vae_stays_as_it_is_while_gradients_pass_through_it(train):
    model = renderer(vae=TwoLayerVAE())
    train(model)
    assert not any(module.training for module in model.output.vae.modules())
    assert model.blocks[0].training
    before = copy.deepcopy(model.output.vae.state_dict())
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    feature, alpha = drawing(2)
    for _ in range(3):
        optimizer.zero_grad()
        model(feature.requires_grad_(), alpha, face_inputs(2)).image.square().mean().backward()
        optimizer.step()
    assert feature.grad.abs().max() > 0
    assert model.blocks[0].qkv.weight.grad.abs().max() > 0
    after = model.output.vae.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(parameter.grad is None for parameter in model.output.vae.parameters())


@pytest.mark.parametrize("changes", [{}, {"image_size": 32}, {"vae": 2}, {"factor_tokens": True}])
def test_a_picture_does_not_depend_on_the_others_of_its_batch_but_on_what_it_is_asked(changes):
    changes = changes | ({"vae": TwoLayerVAE()} if "vae" in changes else {})
    model = awake(renderer(**changes)).eval()
    feature, alpha = drawing(3)
    image = model(feature, alpha, face_inputs(3)).image
    alone = model(feature[1:2], alpha[1:2], face_inputs(3).map(lambda t: t[1:2])).image
    torch.testing.assert_close(alone[0], image[1], atol=1e-5, rtol=0)
    other = model(feature, alpha, face_inputs(3, seed=1)).image
    assert (other - image).abs().max() > 1e-3


def test_an_autoencoder_of_the_project_decodes_and_one_without_weights_says_so():
    vae = AutoencoderKL(widths=(8, 8), layers=1, groups=4, attention=False)
    model = awake(renderer(vae=vae, image_size=32)).train()
    with pytest.raises(UserError, match="no weights but random ones"):
        model(*drawing(1), face_inputs(1))
    vae.scaling_factor.fill_(0.5)
    refined = model(*drawing(2), face_inputs(2))
    assert (refined.image.shape, refined.latent.shape) == ((2, 3, 32, 32), (2, 4, 16, 16))
    refined.image.square().mean().backward()
    assert model.blocks[0].qkv.weight.grad.abs().max() > 0
    assert not any(p.requires_grad for p in vae.parameters())


def test_every_parameter_learns():
    model = awake(renderer(image_size=32, factor_tokens=True))
    refined = model(*drawing(2), face_inputs(2))
    figures = (refined.factor_cosine, refined.factor_overlap, refined.factor_collapse)
    (refined.image.square().mean() + sum(figures)).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_a_block_is_attention_and_a_perceptron_each_modulated_and_gated():
    torch.manual_seed(0)
    block = DiTBlock(8, 2)
    tokens, condition = torch.randn(2, 5, 8), torch.randn(2, 8)
    torch.testing.assert_close(block(tokens, condition), tokens)
    torch.nn.init.normal_(block.modulation.linear.weight)
    a, b, c, d, e, f = block.modulation.linear(F.silu(condition))[:, None].chunk(6, -1)
    normed = F.layer_norm(tokens, (8,), eps=1e-6) * (1 + b) + a
    query, key, value = (x.unflatten(-1, (2, 4)).transpose(1, 2) for x in block.qkv(normed).chunk(3, -1))
    found = ((query @ key.mT / 2).softmax(-1) @ value).transpose(1, 2).flatten(2)
    expected = tokens + c * block.out(found)
    expected = expected + f * block.mlp(F.layer_norm(expected, (8,), eps=1e-6) * (1 + e) + d)
    torch.testing.assert_close(block(tokens, condition), expected, atol=1e-5, rtol=1e-5)


def test_the_size_and_the_facts_of_the_config():
    published = {"features": 32, "feature_size": 128, "image_size": 512, "identity": 80, "expression": 64}
    with shapes_only():
        model, plain = (build(node("head", "renderer_dit"), **published, vae=vae) for vae in (TwoLayerVAE(4, 8), None))
    assert 28e6 < sum(p.numel() for p in model.parameters() if p.requires_grad) < 31e6
    assert (model.grid, model.cell) == (16, 4)
    shown = {"Renderer": "DiT Neural Renderer", "Depth": "6", "Num Heads": "8", "Patch Size": "8"}
    assert model.facts == shown | {"VAE": "Enabled (z_channels=4, frozen=True)"}
    assert plain.facts == shown | {"VAE": "Disabled"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch": 5}, "head.patch is 5.*divides feature_size, 16"),
        ({"image_size": 40}, "image_size is 40.*multiple of feature_size, 16"),
        ({"image_size": 48}, "power of two"),
        ({"heads": 3}, "heads is 3 of head.width 16"),
        ({"width": 18, "heads": 2}, "18 channels.*multiple of 4"),
        ({"vae": 3}, "image_size 16 of a VAE that compresses 3 times"),
        ({"vae": 8, "patch": 4}, "4 tokens on a side for 2 latents.*raise head.patch"),
        ({"vae": 4, "image_size": 48}, "latents of a whole number of cells"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, message):
    changes = changes | ({"vae": TwoLayerVAE(4, changes["vae"])} if "vae" in changes else {})
    with pytest.raises(ValueError, match=message):
        renderer(**changes)
