"""HGNetV2, against timm's registered B0, and its four published sizes."""

import logging

import pytest
import timm
import torch

from gaze.backbones.hgnetv2 import HGNetV2
from gaze.shapes_only import shapes_only
from tests import groups


def published(name, **changes):
    return groups.build(groups.node("backbone", f"hgnetv2_{name}"), **({"weights": None} | changes))


def scrambled(network):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator) * 0.2 + 0.4)
    return network


@pytest.mark.parametrize(
    ("name", "parameters"), [("atto", 230_344), ("femto", 389_832), ("pico", 749_202), ("n", 1_850_396)]
)
def test_parameters_are_the_published_ones(name, parameters):
    with shapes_only():
        backbone = published(name)
    assert sum(p.numel() for p in backbone.parameters()) == parameters
    assert all(name.startswith(("stem.", "stages.")) for name in backbone.state_dict())


@pytest.mark.parametrize("name", ["pico", "n"])
def test_features_are_those_of_the_third_stage_of_b0(name, tmp_path):
    b0 = scrambled(timm.create_model("hgnetv2_b0", num_classes=0)).eval()
    torch.save(b0.state_dict(), tmp_path / "b0.pth")  # with a classifier's last convolution
    backbone = published(name, weights=str(tmp_path / "b0.pth")).eval()
    image = torch.rand(2, 3, 48, 32)  # not normalised
    expected = b0.forward_intermediates(image, indices=[2], intermediates_only=True)[0]
    assert torch.equal(backbone(image), expected)


def test_the_unread_stage_is_never_computed_and_never_trains():
    backbone = published("n")
    backbone.stages[3].register_forward_hook(lambda *_: pytest.fail("the fourth stage ran"))
    backbone(torch.rand(1, 3, 32, 32)).sum().backward()
    unread = list(backbone.stages[3].parameters())
    assert sum(p.numel() for p in unread) == 1_101_194
    assert not any(p.requires_grad for p in unread)
    assert all(p.grad is not None for block in backbone.blocks() for p in block)


def test_stages_open_one_by_one_from_the_last():
    backbone = published("pico")
    names = {id(p): name for name, p in backbone.named_parameters()}
    first, second, third = ({names[id(p)].split(".blocks")[0][:8] for p in block} for block in backbone.blocks())
    assert {name[:4] for name in first} == {"stem", "stag"}
    assert second == {"stages.1"}
    assert third == {"stages.2"}


@pytest.mark.parametrize(("name", "kept"), [("femto", 0), ("atto", 13)])
def test_the_smaller_ones_take_what_fits_from_b0_and_say_what_does_not(name, kept, tmp_path, caplog):
    b0 = scrambled(HGNetV2(stage4=True))
    torch.save(b0.state_dict(), tmp_path / "b0.pth")
    with caplog.at_level(logging.INFO):
        backbone = published(name, weights=str(tmp_path / "b0.pth"))
    theirs, ours = b0.state_dict(), backbone.state_dict()
    other = [key for key in ours if theirs[key].shape != ours[key].shape]
    assert all(torch.equal(ours[key], theirs[key]) for key in ours if key not in other)
    assert all(key.startswith("stages.2.blocks.0.") for key in other)
    said = f"{len(other)} of {len(ours)} tensors keep their start: {', '.join(other)}"
    assert (said in caplog.text) == bool(other)
    assert len(other) == kept


def test_files_of_other_networks_are_refused_even_where_a_part_would_do(tmp_path):
    torch.save({"blocks.0.norm1.weight": torch.ones(3)}, tmp_path / "vit.pth")
    for name in ("n", "atto"):
        with pytest.raises(ValueError, match=r"don't fit hgnetv2_b0: .* missing: stem.*1 unexpected: blocks.0"):
            published(name, weights=str(tmp_path / "vit.pth"))
    torch.save(HGNetV2().state_dict(), tmp_path / "pico.pth")
    with pytest.raises(ValueError, match=r"missing: stages.3"):
        published("n", weights=str(tmp_path / "pico.pth"))
