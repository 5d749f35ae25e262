"""Files at addresses."""

import hashlib
from pathlib import Path
from urllib.error import URLError

import pytest
import torch

from gaze.downloads import fetch
from gaze.errors import UserError

URL = "https://example.org/releases/vit-{}.pth"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Downloads that write what the test says; the folder they go to."""
    content = {"bytes": b"weights", "times": 0}

    def download(url, target, **kwargs):
        content["times"] += 1
        if content["bytes"] is None:
            raise URLError("no route to host")
        Path(target).write_bytes(content["bytes"])

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    return content


def test_an_address_is_downloaded_once_and_checked_against_the_digest_in_its_name(hub):
    digest = hashlib.sha256(b"weights").hexdigest()
    path = fetch(URL.format(digest[:12]))
    assert path.read_bytes() == b"weights"
    assert fetch(URL.format(digest[:12])) == path
    assert hub["times"] == 1


def test_a_damaged_download_is_not_kept(hub):
    with pytest.raises(UserError, match=r"came damaged: its sha256 begins with .* instead of 0123abcd") as e:
        fetch(URL.format("0123abcd"))
    assert str(e.value).count("\n") == 0
    with pytest.raises(UserError):
        fetch(URL.format("0123abcd"))
    assert hub["times"] == 2


def test_without_a_network_the_address_says_what_to_do(hub):
    hub["bytes"] = None
    with pytest.raises(UserError, match=r"could not download https://.*no route.*set backbone.weights to its path"):
        fetch(URL.format("plain"))
    assert fetch("~/weights.pth") == Path.home() / "weights.pth"
