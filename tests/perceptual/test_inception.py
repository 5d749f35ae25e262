"""The network of FID: what it is given, and what it takes to have it."""

import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gaze.errors import UserError
from gaze.perceptual.inception import Inception

NAME = "torch_fidelity.feature_extractor_inceptionv3"


class Extractor(nn.Module):
    """Stands for torch-fidelity's: features are the first pixel."""

    def __init__(self, name, features, path):
        super().__init__()
        assert features == ["2048"]

    def forward(self, pixels):
        assert pixels.dtype == torch.uint8
        return (pixels[:, 0, 0, :1].float().expand(-1, 2048),)


@pytest.fixture
def weights(tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "inception.pth")
    return str(tmp_path / "inception.pth")


def test_it_sees_the_bytes_of_files_and_hides_no_nan(weights, monkeypatch):
    monkeypatch.setitem(sys.modules, NAME, SimpleNamespace(FeatureExtractorInceptionV3=Extractor))
    image = torch.full((3, 3, 4, 4), 0.5)
    image[1] = 1.2
    image[2, 0, 3, 3] = torch.nan
    features = Inception(weights)(image)
    assert features[:2, 0].tolist() == [128, 255]
    assert features[2].isnan().all()


def test_what_is_missing_is_named(tmp_path, weights, monkeypatch):
    with pytest.raises(UserError, match=r"fetch https://.*6726825d\.pth and set metric\.fid\.network\.weights"):
        Inception()
    monkeypatch.setitem(sys.modules, NAME, None)
    with pytest.raises(UserError, match=r"torch-fidelity.*pip install 'gaze\[fid\]'"):
        Inception(weights)
    monkeypatch.setitem(sys.modules, NAME, SimpleNamespace(FeatureExtractorInceptionV3=Extractor))
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth"):
        Inception(str(tmp_path / "nowhere.pth"))
