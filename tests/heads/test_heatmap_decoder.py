"""GazeLLE's decoder."""

import math

import pytest
import torch
import torch.nn.functional as F

from gaze.heads.heatmap_decoder import HeatmapDecoder
from tests import groups

SMALL = {"channels": 12, "width": 16, "layers": 2, "heads": 2}
NO_PROMPT = [math.nan] * 4


def decoder(**changes):
    torch.manual_seed(0)
    return HeatmapDecoder(**(SMALL | changes))


def filled(eps):
    """The decoder of the golden values: every parameter a sine of its index and the length of its name."""
    head = HeatmapDecoder(16, size=(8, 12), inout=True, eps=eps, head_mask="reference").eval().double()
    with torch.no_grad():
        for name, parameter in head.named_parameters():
            values = 0.05 * torch.sin(0.37 * torch.arange(parameter.numel(), dtype=torch.float64) + len(name))
            parameter.copy_(values.view_as(parameter) + float("norm" in name and name.endswith("weight")))
    return head


@pytest.mark.parametrize(
    ("eps", "sums", "first", "inout"),
    [
        (
            1e-5,
            (55.9266658453, 55.7760504799),
            {(0, 0, 0): 0.5347888046, (0, 3, 7): 0.6082501364, (0, 7, 11): 0.6131041640, (1, 3, 7): 0.6082662225},
            (0.5088851250, 0.5087360827),
        ),
        (1e-6, (55.9272665004, 55.7770845341), {(0, 3, 7): 0.6082749930}, (0.5088930168, 0.5087443352)),
    ],
)
def test_the_published_decoder(eps, sums, first, inout):
    """Golden values of Gaze-LLE's code, in float64; persons with and without a prompt."""
    features = torch.sin(0.11 * torch.arange(16 * 4 * 6, dtype=torch.float64)).view(1, 16, 4, 6)
    boxes = torch.tensor([(0.1, 0.2, 0.55, 0.8), NO_PROMPT], dtype=torch.float64)
    prediction = filled(eps)(features, boxes, torch.tensor([0, 0]))
    heatmap = prediction.heatmap.sigmoid()
    # Their sines of position are float32, computed in another order: the last digits are those of float32.
    assert heatmap.sum((1, 2)).tolist() == pytest.approx(sums, abs=1e-7)
    assert {at: heatmap[at].item() for at in first} == pytest.approx(first, abs=1e-9)
    assert prediction.inout.sigmoid().tolist() == pytest.approx(inout, abs=1e-9)


BLOCK = {
    "norm1.weight": (256,),
    "norm1.bias": (256,),
    "attn.qkv.weight": (768, 256),
    "attn.proj.weight": (256, 256),
    "attn.proj.bias": (256,),
    "norm2.weight": (256,),
    "norm2.bias": (256,),
    "mlp.fc1.weight": (1024, 256),
    "mlp.fc1.bias": (1024,),
    "mlp.fc2.weight": (256, 1024),
    "mlp.fc2.bias": (256,),
}
PUBLISHED = {
    "linear.weight": (256, 768, 1, 1),
    "linear.bias": (256,),
    "head_token.weight": (1, 256),
    **{f"transformer.{i}.{name}": shape for i in range(3) for name, shape in BLOCK.items()},
    "heatmap_head.0.weight": (256, 256, 2, 2),
    "heatmap_head.0.bias": (256,),
    "heatmap_head.1.weight": (1, 256, 1, 1),
}
MLP = {
    "inout_token.weight": (1, 256),
    "inout_head.0.weight": (128, 256),
    "inout_head.0.bias": (128,),
    "inout_head.3.weight": (1, 128),
    "inout_head.3.bias": (1,),
}
LINEAR = {"inout_token.weight": (1, 256), "inout_head.0.weight": (1, 256), "inout_head.0.bias": (1,)}


@pytest.mark.parametrize(
    ("options", "extra", "parameters"),
    [
        ({}, {}, 2_826_752),
        ({"inout": True}, MLP, 2_826_752 + 33_281),
        ({"inout": True, "inout_head": "linear"}, LINEAR, 2_826_752 + 513),
    ],
)
def test_names_and_shapes_are_those_of_published_checkpoints(options, extra, parameters):
    head = HeatmapDecoder(channels=768, **options)
    assert {name: tuple(value.shape) for name, value in head.state_dict().items()} == PUBLISHED | extra
    assert sum(p.numel() for p in head.parameters()) == parameters


@pytest.mark.parametrize(("channels", "parameters"), [(384, 2_728_448), (1024, 2_892_288), (192, 2_679_296)])
def test_parameters_of_other_published_sizes(channels, parameters):
    assert sum(p.numel() for p in HeatmapDecoder(channels).parameters()) == parameters


def test_the_folded_heatmap_head_is_the_plain_pair_of_layers():
    """To 1e-5, values and gradients."""
    head = decoder()
    tokens = torch.randn(3, 5 * 7, 16)
    plain = head.heatmap_head(tokens.transpose(1, 2).reshape(3, 16, 5, 7))[:, 0]
    folded = head._draw(tokens, (5, 7))
    torch.testing.assert_close(folded, plain, atol=1e-5, rtol=1e-5)

    wave = torch.sin(torch.arange(plain.numel()).view_as(plain))
    parameters = list(head.heatmap_head.parameters())
    expected = torch.autograd.grad((plain * wave).sum(), parameters)
    actual = torch.autograd.grad((folded * wave).sum(), parameters)
    for a, b in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_heads_get_the_features_of_their_own_picture_whatever_their_company():
    head = decoder(size=(8, 12), inout=True).eval()
    features, boxes = torch.randn(2, 12, 4, 6), torch.rand(3, 2).repeat(1, 2) + torch.tensor([0, 0, 0.2, 0.3])
    together = head(features, boxes, torch.tensor([1, 0, 1]))
    for i, image in enumerate([1, 0, 1]):
        alone = head(features[image : image + 1], boxes[i : i + 1], torch.tensor([0]))
        torch.testing.assert_close(together.heatmap[i], alone.heatmap[0], atol=1e-5, rtol=1e-5)


def test_pictures_may_be_without_heads_and_batches_too():
    head = decoder(size=(8, 12), inout=True).eval()
    nobody = head(torch.randn(2, 12, 4, 6), torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    assert nobody.heatmap.shape == (0, 8, 12)
    assert nobody.inout.shape == (0,)


def test_the_prompt_matters_and_small_heads_have_one():
    head = decoder(size=(8, 8)).eval()
    features = torch.randn(1, 12, 4, 4)
    boxes = torch.tensor([NO_PROMPT, [0.51, 0.51, 0.52, 0.52], [0.0, 0.0, 0.5, 0.5]])
    none, tiny, large = head(features, boxes, torch.zeros(3, dtype=torch.int64)).heatmap
    assert (none - tiny).abs().max() > 1e-3
    assert (tiny - large).abs().max() > 1e-3


def test_any_grid_works_and_the_heatmap_has_its_size():
    head = decoder(size=(9, 13)).eval()
    boxes, index = torch.rand(1, 4), torch.tensor([0])
    for grid in [(4, 6), (7, 3), (1, 1)]:
        assert head(torch.randn(1, 12, *grid), boxes, index).heatmap.shape == (1, 9, 13)


@pytest.mark.parametrize("antialias", [False, True])
def test_published_probabilities_are_those_interpolated(antialias):
    """sigmoid, then resize: what the published evaluation does where the grid does not fit."""
    options = {"size": (6, 6), "antialias": antialias}
    features, boxes, index = torch.randn(1, 12, 5, 5), torch.tensor([NO_PROMPT]), torch.tensor([0])
    drawn = decoder(**options | {"size": (10, 10)}).eval()(features, boxes, index).heatmap[:, None]

    def resized(maps):
        return F.interpolate(maps, (6, 6), mode="bilinear", antialias=antialias)[:, 0]

    published = decoder(**options, resize="probabilities").eval()(features, boxes, index).heatmap
    torch.testing.assert_close(published.sigmoid(), resized(drawn.sigmoid()), atol=1e-6, rtol=0)
    ours = decoder(**options).eval()(features, boxes, index).heatmap
    torch.testing.assert_close(ours, resized(drawn))


def test_in_out_starts_undecided():
    head = decoder(inout=True)
    assert head(torch.randn(1, 12, 4, 4), torch.rand(2, 4), torch.tensor([0, 0])).inout.tolist() == [0, 0]


def test_logits_are_float32_under_autocast():
    head = decoder(size=(8, 8), inout=True)
    with torch.autocast("cpu", torch.bfloat16):
        prediction = head(torch.randn(1, 12, 4, 4), torch.rand(1, 4), torch.tensor([0]))
    assert prediction.heatmap.dtype == torch.float32


def test_every_parameter_learns():
    head = decoder(size=(8, 8), inout=True, drop_path=0.0).train()
    prediction = head(torch.randn(2, 12, 4, 4), torch.tensor([[0.1, 0.1, 0.9, 0.9]] * 2), torch.tensor([0, 1]))
    (prediction.heatmap.square().sum() + prediction.inout.sum()).backward()
    still = {name for name, p in head.named_parameters() if p.grad is None or p.grad.abs().sum() == 0}
    assert still == {"inout_head.0.weight", "inout_head.0.bias"}  # behind a layer that starts at zero


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 18}, "width 18"),
        ({"inout_head": "conv"}, "inout_head is 'conv'; expected one of mlp, linear"),
        ({"head_mask": "ellipse"}, "head_mask is 'ellipse'"),
        ({"resize": "nearest"}, "resize is 'nearest'"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        decoder(**options)


HEADS = [name for name in groups.names("head") if "HeatmapDecoder" in groups.node("head", name)._target_]


@pytest.mark.parametrize("name", HEADS)
def test_configs_build_heads_for_any_channels(name):
    config = groups.node("head", name)
    head = groups.build(config)(channels=20).eval()
    prediction = head(torch.randn(1, 20, 3, 5), torch.rand(2, 4), torch.tensor([0, 0]))
    assert prediction.heatmap.shape == (2, *config.size)
    assert (prediction.inout is not None) == config.inout
