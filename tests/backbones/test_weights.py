"""Weight files for timm transformers."""

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models import eva, vision_transformer
from torch import nn

from gaze.backbones.layouts import vit_state
from gaze.backbones.patch_tokens import keep_periods
from gaze.backbones.weights import load_weights
from gaze.errors import UserError


def dinov2():
    return vision_transformer.VisionTransformer(
        img_size=28, patch_size=14, embed_dim=16, depth=1, num_heads=2, num_classes=0, init_values=1e-5
    )


def dinov3():
    network = timm.create_model("vit_small_patch16_dinov3_qkvb", num_classes=0, embed_dim=32, depth=1, num_heads=2)
    keep_periods(network.rope, published=True)
    return network


def original_dinov3(network):
    """The state of a network under the names of the original code."""
    state = {}
    for name, value in network.state_dict().items():
        if name.endswith("attn.q_bias"):
            values = network.get_parameter(name.replace("q_bias", "v_bias"))
            state[name.replace("q_bias", "qkv.bias")] = torch.cat([value, torch.full_like(value, 9.0), values])
        elif not name.endswith("attn.v_bias"):
            name = name.replace("gamma_1", "ls1.gamma").replace("gamma_2", "ls2.gamma")
            state[name.replace("reg_token", "storage_tokens").replace("rope.periods", "rope_embed.periods")] = value
    state["mask_token"] = torch.zeros(1, 32)
    state["blocks.0.attn.qkv.bias_mask"] = torch.ones(96)
    return {name: value.detach().clone() for name, value in state.items()}


def scramble(network):
    with torch.no_grad():
        for value in network.state_dict().values():
            value.uniform_(1, 2)
    return network


def load(network, weights):
    load_weights(network, "tiny", weights, lambda state: vit_state(state, network))


def assert_same(a: nn.Module, b: nn.Module):
    for name, value in a.state_dict().items():
        assert torch.equal(value, b.state_dict()[name]), name


@pytest.mark.parametrize("make", [dinov2, dinov3])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_file_in_our_layout_comes_back(make, suffix, tmp_path):
    saved, loaded = scramble(make()), make()
    path = tmp_path / f"weights{suffix}"
    state = dict(saved.state_dict())
    save_file(state, path) if suffix == ".safetensors" else torch.save({"model": state}, path)
    load(loaded, str(path))
    assert_same(loaded, saved)


def test_the_original_files_of_both_families_load(tmp_path):
    saved, loaded = scramble(dinov2()), dinov2()
    torch.save({**saved.state_dict(), "mask_token": torch.zeros(1, 16)}, tmp_path / "dinov2.pth")
    load(loaded, str(tmp_path / "dinov2.pth"))
    assert_same(loaded, saved)

    saved, loaded = scramble(dinov3()), dinov3()
    assert isinstance(saved, eva.Eva)
    torch.save(original_dinov3(saved), tmp_path / "dinov3.pth")
    load(loaded, str(tmp_path / "dinov3.pth"))
    assert_same(loaded, saved)  # rotary periods included


def test_periods_may_be_absent(tmp_path):
    state = dict(dinov3().state_dict())
    del state["rope.periods"]
    save_file(state, tmp_path / "timm.safetensors")
    load(dinov3(), str(tmp_path / "timm.safetensors"))


@pytest.mark.fault("X3")
def test_what_does_not_fit_is_listed(tmp_path):
    state = dict(dinov2().state_dict())
    del state["norm.weight"]
    state |= {"extra": torch.zeros(1), "cls_token": torch.zeros(1, 1, 8)}
    save_file(state, tmp_path / "bad.safetensors")
    with pytest.raises(
        ValueError, match=r"1 missing: norm.weight; 1 unexpected: extra; 1 of another shape: cls_token"
    ) as e:
        load(dinov2(), str(tmp_path / "bad.safetensors"))
    assert "(1, 1, 8) instead of (1, 1, 16)" in str(e.value)
    assert "backbone.weights" in str(e.value)


def test_a_failed_download_names_the_file_and_the_key(monkeypatch):
    def offline(*args, **kwargs):
        raise ConnectionError("no route")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(UserError, match=r"fetch https://huggingface.co/timm/vit_base.*and set backbone.weights") as e:
        load_weights(nn.Module(), "vit_base_patch14_dinov2", "pretrained")
    assert str(e.value).count("\n") == 0


@pytest.mark.fault("X4")
@pytest.mark.parametrize("make", [dinov2, dinov3])
def test_a_download_is_checked_like_a_file(make, monkeypatch):
    downloaded, loaded = scramble(make()), make()
    monkeypatch.setattr(timm, "create_model", lambda *args, **kwargs: downloaded)
    load(loaded, "pretrained")
    assert_same(loaded, downloaded)
