"""GazeLLE, put together."""

from functools import partial

import torch

from gaze.backbones.conv_vit import ConvViT
from gaze.heads.heatmap_decoder import HeatmapDecoder
from gaze.models.gazelle import GazeLLE
from gaze.types import SceneInputs


def make():
    torch.manual_seed(0)
    backbone = ConvViT(stem=(8, 8), width=16, depth=1, heads=2)
    return GazeLLE(backbone, partial(HeatmapDecoder, width=16, layers=1, heads=2, size=(8, 8), inout=True))


def test_an_image_is_encoded_once_however_many_heads_it_has():
    model = make().eval()
    seen = []
    model.backbone.register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    inputs = SceneInputs(torch.rand(2, 3, 16, 16), torch.rand(5, 4), torch.tensor([0, 0, 0, 1, 1]))
    prediction = model(inputs)
    assert seen == [2]
    assert prediction.heatmap.shape == (5, 8, 8)
    assert prediction.inout.shape == (5,)


def test_encoding_and_decoding_separately_is_the_forward():
    model = make().eval()
    inputs = SceneInputs(torch.rand(1, 3, 16, 24), torch.rand(2, 4), torch.tensor([0, 0]))
    features = model.encode(inputs.image)
    assert torch.equal(model.decode(features, inputs.head_bbox, inputs.image_index).heatmap, model(inputs).heatmap)


def test_a_frozen_backbone_keeps_no_activations():
    model = make()
    model.backbone.requires_grad_(False)
    assert not model.encode(torch.rand(1, 3, 16, 16)).requires_grad
