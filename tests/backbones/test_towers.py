"""The trunks that are not timm's: towers of convolutions, BoTNet, and a Swin V2 on a ResNet."""

import pytest
import timm
import torch
from torch import nn

from gaze.backbones.affnet_face import AFFNetFace
from gaze.backbones.botnet import BoTNet
from gaze.backbones.conv_tower import ConvTower
from gaze.backbones.normalization import Standardize
from gaze.backbones.swin_stages import SwinStages
from gaze.backbones.timm_features import TimmFeatures
from gaze.shapes_only import shapes_only


def shape(backbone, side):
    with shapes_only():
        return tuple(backbone.eval()(torch.rand(2, 3, side, side)).shape)


def test_maps_are_those_of_the_references():
    with shapes_only():
        phone = ConvTower([32, 64, 128], [7, 5, 3], [2, 2, 1], [0, 0, 0], pools=[2, 2, 2], pooling=nn.AvgPool2d)
        alexnet = ConvTower(
            [96, 256, 384, 384, 256],
            [11, 5, 3, 3, 3],
            [4, 1, 1, 1, 1],
            [2, 2, 1, 1, 1],
            [1, 2, 1, 2, 2],
            [3, 3, 0, 0, 3],
        )
        assert shape(phone, 128) == (2, 128, 2, 2)
        assert shape(alexnet, 448) == (2, 256, 13, 13)
        assert shape(ConvTower(), 40) == (2, 32, 5, 5)
        assert shape(AFFNetFace(), 224) == (2, 64, 5, 5)
        assert shape(BoTNet(), 224) == (2, 512, 28, 28)


def test_standardised_crops_differ_in_shape_alone():
    torch.manual_seed(0)
    image = torch.rand(2, 3, 16, 16) * 0.5
    plain = Standardize(least=0.0)
    out = plain(image)
    torch.testing.assert_close(out.mean((-2, -1)), torch.zeros(2, 1), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.square().mean((-2, -1)), torch.ones(2, 1))
    lit = 0.2 + 0.7 * image  # another lamp, another exposure
    torch.testing.assert_close(plain(lit), out, atol=1e-4, rtol=0)
    assert Standardize()(torch.full((1, 3, 8, 8), 0.5)).abs().max() < 1e-4
    grey = ConvTower(normalize=Standardize).eval()
    assert grey.layers[0][0].in_channels == 1
    with torch.no_grad():
        torch.testing.assert_close(grey(lit), grey(image), atol=0.05, rtol=0.05)


def test_a_tower_is_its_layers_in_a_row():
    torch.manual_seed(0)
    tower = ConvTower([4, 6], [3, 3], [1, 2], activation=nn.LeakyReLU, batch_norm=False).eval()
    image = torch.rand(1, 3, 8, 8)
    (first, _), (second, _) = tower.layers
    maps = nn.functional.leaky_relu(first(tower.normalize(image)))
    assert torch.equal(tower(image), nn.functional.leaky_relu(second(maps)))
    with pytest.raises(ValueError, match="a tower with 2 widths, 1 kernels"):
        ConvTower([4, 6], [3])


def test_cells_of_a_bottleneck_know_their_neighbours_by_place():
    """Without positions attention, and with it a stack of 1 x 1 convolutions, is blind to the order of cells."""
    torch.manual_seed(0)
    block = BoTNet((16, 16), blocks=2, width=16, heads=2, head_width=4).eval().attention[1]
    nn.init.ones_(block.layers[-1].weight)
    maps = torch.rand(1, 16, 2, 2)
    turned = block(maps.flip(-1)).flip(-1)
    assert not torch.allclose(block(maps), turned, atol=1e-4)
    with torch.no_grad():
        block.layers[3].pos_embed.height_rel.zero_()
        block.layers[3].pos_embed.width_rel.zero_()
    torch.testing.assert_close(block(maps), block(maps.flip(-1)).flip(-1))


def test_a_residual_network_gives_botnet_its_first_stage(tmp_path):
    whole = timm.create_model("resnet50")
    torch.save(whole.state_dict(), tmp_path / "resnet.pth")
    trunk = BoTNet((16, 16), weights=str(tmp_path / "resnet.pth"), blocks=1, width=16, heads=1, head_width=4)
    assert torch.equal(trunk.stage[2].conv3.weight, whole.layer1[2].conv3.weight)
    assert torch.equal(trunk.stem[0].weight, whole.conv1.weight)


def test_swin_goes_on_from_the_stem():
    with shapes_only():
        hybrid = SwinStages(TimmFeatures("resnet18", stride=8), (64, 96))
        assert hybrid.eval()(torch.rand(2, 3, 64, 96)).shape == (2, 768, 2, 3)
        whole = timm.create_model("swinv2_tiny_window8_256", num_classes=0)
    last = [p for stage in whole.layers[2:] for p in stage.parameters()]
    assert sum(p.numel() for p in hybrid.stages.parameters()) == sum(p.numel() for p in last)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BoTNet((100, 64)), r"image_size is \[100, 64\]; expected height and width, multiples of 8 px"),
        (lambda: BoTNet((64, 64))(torch.rand(1, 3, 64, 32)), "an image of 64 x 32 px; expected 64 x 64"),
        (lambda: SwinStages(TimmFeatures("resnet18", stride=16)), "backbone.stem has the stride 16; expected 8"),
        (lambda: SwinStages(TimmFeatures("resnet18", stride=8), (40, 64)), "multiples of 32 px"),
        (lambda: SwinStages(TimmFeatures("resnet18", stride=8), name="resnet18"), "expected one of swinv2_"),
    ],
)
def test_what_does_not_fit_is_said(make, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        make()
