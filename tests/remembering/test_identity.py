"""Whatever decides a module's answers decides its digests."""

import copy

import torch
from torch import nn

from gaze.backbones.conv_vit import ConvViT
from gaze.clip.tiny_random import TinyRandom
from gaze.remembering.identity import changes, settings_digest, weights_digest


def digests(module):
    return weights_digest(module), settings_digest(module)


def test_a_copy_is_the_same_and_every_change_is_seen():
    tower = TinyRandom()
    before = digests(tower)
    assert digests(copy.deepcopy(tower)) == digests(TinyRandom()) == before
    for change in (
        lambda m: m.class_token.data.mul_(1.0001),
        lambda m: m.normalize.mean.add_(1e-6),  # in no checkpoint
        lambda m: m.to(torch.bfloat16),
    ):
        other = copy.deepcopy(tower)
        change(other)
        assert digests(other)[0] != before[0]
    other = copy.deepcopy(tower)
    other.side = 48
    assert digests(other)[1] != before[1]
    assert settings_digest(ConvViT([8, 8], width=16, heads=2)) != settings_digest(ConvViT([8, 8], width=16, heads=4))


def test_training_mode_is_no_setting():
    layers = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1))
    assert settings_digest(layers.train()) == settings_digest(copy.deepcopy(layers).eval())


def test_writing_to_weights_is_noticed_without_reading_them():
    layer = nn.Linear(2, 2).requires_grad_(False)
    before = changes(layer)
    assert changes(layer) == before
    layer.weight.mul_(2.0)
    assert changes(layer) != before
