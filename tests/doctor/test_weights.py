"""Files of weights: there, missing, damaged, or still to be fetched."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from gaze.doctor.weights import named, one_file

KEY = "model.backbone.weights"


def told(weights, name="vit_tiny_patch16_224"):
    found = one_file(KEY, str(weights), name)
    return found.level.value, found.said


def test_a_file(tmp_path):
    file = tmp_path / "model.safetensors"
    assert told(file)[0] == "problem"
    assert told(file)[1].endswith(f"correct {KEY}, or set it to null for random weights")
    save_file({"a": torch.zeros(3)}, file)
    assert told(file) == ("ok", f"{file}: 1 tensors, intact")
    file.write_bytes(file.read_bytes()[:-4])
    assert told(file)[0] == "problem"


@pytest.mark.parametrize(("offline", "level"), [("0", "warning"), ("1", "problem")])
def test_timms_download(monkeypatch, tmp_path, offline, level):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *args: None)
    monkeypatch.setenv("HF_HUB_OFFLINE", offline)
    found = told("pretrained")
    assert found[0] == level
    assert "https://huggingface.co/timm/vit_tiny_patch16_224" in found[1]
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *args: str(tmp_path))
    assert told("pretrained") == ("ok", "vit_tiny_patch16_224 is in the cache of Hugging Face")


def test_an_address(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    level, said = told("https://a.server/model-0123abcd.pth")
    assert level == "warning"
    assert f"put it to {tmp_path}/checkpoints/model-0123abcd.pth" in said
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "model-0123abcd.pth").write_bytes(b"other")
    assert told("https://a.server/model-0123abcd.pth")[0] == "problem"
    (tmp_path / "checkpoints" / "plain.pth").write_bytes(b"other")
    assert told("https://a.server/plain.pth")[0] == "ok"
    assert told(f"https://a.server/plain.pth#sha256={'0' * 64}")[0] == "problem"


def test_every_key_of_weights_is_found():
    node = {"backbone": {"weights": "a"}, "parts": [{"weights": "b"}, {"weights": None}]}
    assert [key for key, _ in named(node, "model")] == ["model.backbone.weights", "model.parts[0].weights"]
