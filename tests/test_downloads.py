"""Files at addresses."""

import hashlib
import io
import logging
from pathlib import Path
from urllib.error import URLError

import pytest
import torch

from gaze import downloads
from gaze.downloads import fetch
from gaze.errors import UserError

URL = "https://example.org/releases/vit-{}.pth"


class Response(io.BytesIO):
    """What a server sends, and how long it says that is."""

    def __init__(self, data, length):
        super().__init__(data)
        self.headers = {} if length is None else {"Content-Length": str(length)}


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A server that sends what the test says; downloads go to a folder of the test."""
    content = {"bytes": b"weights", "times": 0, "length": 7}

    def answer(url, timeout):
        content["times"] += 1
        assert "#" not in url
        if content["bytes"] is None:
            raise URLError("no route to host")
        return Response(content["bytes"], content["length"])

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(downloads, "urlopen", answer)
    return content


@pytest.mark.fault("X4")
def test_an_address_is_downloaded_once_and_checked_against_the_digest_in_its_name(hub):
    digest = hashlib.sha256(b"weights").hexdigest()
    path = fetch(URL.format(digest[:12]))
    assert path.read_bytes() == b"weights"
    assert fetch(URL.format(digest[:12])) == path
    assert hub["times"] == 1


@pytest.mark.fault("X4")
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


@pytest.mark.fault("X4")
def test_a_download_that_broke_off_is_not_kept(hub, tmp_path):
    hub["length"] = 1000
    with pytest.raises(UserError, match="only 7 of 1000 bytes came"):
        fetch(URL.format("plain"))
    assert list((tmp_path / "checkpoints").iterdir()) == []
    hub["length"] = 7
    assert fetch(URL.format("plain")).read_bytes() == b"weights"


@pytest.mark.fault("X4")
def test_an_address_may_end_in_a_checksum_and_one_without_says_which_it_is(hub, caplog):
    digest = hashlib.sha256(b"weights").hexdigest()
    with pytest.raises(UserError, match=f"its sha256 is {digest} instead of 00ff"):
        fetch(URL.format("plain") + "#sha256=00ff")
    assert fetch(URL.format("plain") + f"#sha256={digest}").read_bytes() == b"weights"
    with caplog.at_level(logging.WARNING):
        fetch(URL.format("other"))
    assert caplog.text.count(f"add #sha256={digest}") == 1
