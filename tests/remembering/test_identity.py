"""Whatever decides a module's answers decides its digests."""

import copy
import importlib
from pathlib import Path

import pytest
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


class Derived(ConvViT):
    """A class that inherits its forward from another file."""


@pytest.mark.parametrize("name", ["gaze.backbones.conv_vit", "gaze.remembering.coding"])
def test_an_edit_of_the_source_of_a_class_or_of_one_that_it_inherits_is_seen(tmp_path, monkeypatch, name):
    backbone, module = Derived([8, 8], width=16, heads=2), importlib.import_module(name)
    before, source = settings_digest(backbone), Path(module.__spec__.origin).read_text()
    edited = tmp_path / "edited.py"
    monkeypatch.setattr(module.__spec__, "origin", str(edited))
    edited.write_text(source)
    assert settings_digest(backbone) == before
    edited.write_text(source + "SCALE = 2\n")
    assert settings_digest(backbone) != before


def test_training_mode_is_no_setting():
    layers = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1))
    assert settings_digest(layers.train()) == settings_digest(copy.deepcopy(layers).eval())


def test_writing_to_weights_is_noticed_without_reading_them():
    layer = nn.Linear(2, 2).requires_grad_(False)
    before = changes(layer)
    assert changes(layer) == before
    layer.weight.mul_(2.0)
    assert changes(layer) != before
