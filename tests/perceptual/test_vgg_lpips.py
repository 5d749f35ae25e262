"""LPIPS: the same as another implementation on the same weights, nothing for the same pictures, and never without weights."""

import pytest
import torch
import torchmetrics.functional.image.lpips as theirs
from torchvision.models.vgg import cfgs, make_layers

from gaze.errors import UserError
from gaze.perceptual.vgg_lpips import VGGLPIPS
from tests.perceptual.networks import vgg_state


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("vgg") / "vgg16.pth"
    torch.save(vgg_state(), path)
    return str(path)


@pytest.fixture(scope="module")
def network(weights):
    return VGGLPIPS(weights)


def pictures():
    return torch.rand(2, 2, 3, 16, 24, generator=torch.Generator().manual_seed(1))


def test_it_is_torchmetrics_s(network, weights, monkeypatch):
    def layers(net, pretrained):
        found = make_layers(cfgs["D"])
        state = torch.load(weights)
        found.load_state_dict({k.removeprefix("features."): v for k, v in state.items() if k.startswith("features")})
        return found

    monkeypatch.setattr(theirs, "_get_tv_model_features", layers)
    other = theirs._LPIPS(pretrained=True, net="vgg").eval()
    found, truth = pictures()
    with torch.no_grad():
        expected = other(found, truth, normalize=True).flatten()
        torch.testing.assert_close(network.distance(network(found), network(truth)), expected, rtol=1e-4, atol=1e-6)


def test_the_same_pictures_are_no_distance_apart_and_others_are(network):
    found, truth = pictures()
    seen, wanted, near = network(found), network(truth), network(truth + 0.02 * found)
    assert network.distance(seen, seen).tolist() == [0.0, 0.0]
    assert (network.distance(near, wanted) > 0).all()
    assert (network.distance(near, wanted) < network.distance(seen, wanted)).all()


def test_the_gradient_reaches_the_picture_and_nothing_else(network):
    found, truth = pictures()
    found = torch.cat([found[:1], torch.zeros_like(found[:1])]).requires_grad_()
    network.train()
    assert not any(module.training for module in network.modules())
    network.distance(network(found), network(truth)).sum().backward()
    assert found.grad.isfinite().all()
    assert found.grad.abs().sum() > 0
    assert all(p.grad is None and not p.requires_grad for p in network.parameters())


def test_pictures_that_are_too_small_are_refused(network):
    with pytest.raises(ValueError, match="needs 16 px or more"):
        network(torch.rand(1, 3, 15, 32))


def test_without_weights_it_says_what_to_fetch_and_what_to_take_instead():
    with pytest.raises(UserError, match=r"vgg16-397923af\.pth and set network\.weights.*loss=\[perceptual"):
        VGGLPIPS()


def test_files_of_something_else_are_refused(tmp_path, weights):
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "part.pth")
    with pytest.raises(ValueError, match=r"part\.pth is no vgg16 of torchvision's: 25 missing"):
        VGGLPIPS(str(tmp_path / "part.pth"))
    torch.save({"lin0.model.1.weight": torch.zeros(1, 64, 1, 1)}, tmp_path / "heads.pth")
    with pytest.raises(ValueError, match=r"heads\.pth holds no heads of LPIPS for VGG-16: 4 missing"):
        VGGLPIPS(weights, str(tmp_path / "heads.pth"))
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth.*set network\.weights"):
        VGGLPIPS(str(tmp_path / "nowhere.pth"))


def test_a_download_that_fails_offers_no_random_weights(tmp_path, monkeypatch):
    def offline(address, aside):
        raise OSError("no route")

    monkeypatch.setattr("gaze.downloads._download", offline)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(UserError, match=r"no route\): fetch it and set network\.weights to its path$"):
        VGGLPIPS("https://example.org/vgg16-397923af.pth")
