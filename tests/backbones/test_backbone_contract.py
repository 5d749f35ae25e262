"""Every backbone in conf/backbone that takes images keeps what it declares."""

import pytest
import torch
from hydra.utils import get_class

from gaze.shapes_only import shapes_only
from tests import groups


def takes_images(name):
    return "image" in groups.forward_annotations(groups.node("backbone", name))


def backbone_of(name):
    config = groups.node("backbone", name)
    changes = {"weights": None} if "weights" in config else {}
    if "_target_" in config.get("stem", ()):  # a backbone inside a backbone
        changes["stem"] = {**config.stem, "weights": None}
    if "image_size" in config and config.image_size and not config.get("interaction_indexes"):  # made for one size
        stride = get_class(config._target_).stride
        changes["image_size"] = [2 * stride, 3 * stride]
    return groups.build(config, **changes)


NAMES = [name for name in groups.names("backbone") if takes_images(name)]


@pytest.mark.parametrize("name", NAMES)
def test_channels_stride_and_blocks_are_true(name):
    with shapes_only():  # shapes without arithmetic
        backbone = backbone_of(name)
        # Without padding a map is no fixed fraction of the image, and there is no stride
        sides = (2 * backbone.stride, 3 * backbone.stride) if backbone.stride else (224, 224)
        features = backbone.eval()(torch.rand(2, 3, *sides))
    assert features.shape[:2] == (2, backbone.channels)
    assert features.shape[2:] == (2, 3) or backbone.stride is None

    listed = [parameter for block in backbone.blocks() for parameter in block]
    used = [p for p in backbone.parameters() if p.requires_grad]  # a constructor freezes what forward never reads
    assert {id(p) for p in listed} == {id(p) for p in used}
    assert len(listed) == len(used), "a parameter is in two blocks"
    assert all(backbone.blocks())


@pytest.mark.parametrize("name", NAMES)
def test_sizes_that_leave_a_rest_are_refused(name):
    with shapes_only():
        backbone = backbone_of(name).eval()
        if backbone.stride is None:
            pytest.skip("takes images of any size")
        with pytest.raises(ValueError, match=f"expected .*{backbone.stride}"):
            backbone(torch.rand(1, 3, 2 * backbone.stride + 1, 2 * backbone.stride))
