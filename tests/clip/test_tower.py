"""Image towers of CLIP: what they see, and that nothing moves them."""

from functools import partial

import pytest
import timm
import torch

from gaze.clip import tower
from gaze.clip.tiny_random import TinyRandom
from gaze.clip.tower import ClipTower, tower_state
from gaze.freezing import train_mode
from tests import groups

B32 = "vit_base_patch32_clip_quickgelu_224.openai"
SMALL = {"embed_dim": 32, "depth": 3, "num_heads": 2, "num_classes": 16, "img_size": 64}


@pytest.fixture
def small(monkeypatch):
    """timm's entries, but narrow."""
    monkeypatch.setattr(tower.timm, "create_model", partial(timm.create_model, **SMALL))


def tower_of(layer=-1, weights=None):
    torch.manual_seed(0)
    made = ClipTower(B32, weights, layer)
    made.side = 64
    return made


@pytest.mark.parametrize(
    ("name", "widths", "tokens", "millions"),
    [
        ("vit_b32", (512, 768), 49, 87.8),
        ("vit_b16", (512, 768), 196, 86.2),
        ("rn50", (1024, 2048), 49, 38.3),
        ("tiny_random", (32, 64), 16, 0.1),
    ],
)
def test_the_configs_name_the_towers_of_the_reference(name, widths, tokens, millions):
    node = groups.node("clip", name)
    with torch.device("meta"):
        made = groups.build(node, **({"weights": None} if "weights" in node else {}))
        seen = made(torch.rand(2, 3, 96, 80))  # resized
    assert (made.embed_width, made.token_width) == widths
    assert (seen.embed.shape, seen.patch_tokens.shape) == ((2, widths[0]), (2, tokens, widths[1]))
    assert round(sum(p.numel() for p in made.parameters()) / 1e6, 1) == millions


@pytest.mark.parametrize("make", [tower_of, TinyRandom])
def test_a_tower_is_frozen_whatever_happens(small, make):
    made = make()
    torch.nn.Sequential(made).train()
    train_mode(made)
    assert not any(module.training for module in made.modules())
    assert not any(p.requires_grad for p in made.parameters())
    image = torch.rand(1, 3, made.side, made.side, requires_grad=True)
    assert not any(part.requires_grad for part in made(image))


def test_one_pass_gives_what_timm_gives_in_two(small):
    made, image = tower_of(), torch.rand(2, 3, 64, 64)
    seen = made(image)
    features = made.network.forward_features(made.normalize(image))
    torch.testing.assert_close(seen.embed, made.network(made.normalize(image)))
    torch.testing.assert_close(seen.patch_tokens, features[:, 1:])
    entering = made.network.patch_embed(made.normalize(image))
    assert not torch.allclose(seen.patch_tokens, entering, atol=0.1)  # of an encoded block, not what goes in


def test_tokens_of_several_blocks_are_joined_in_the_order_asked_for(small):
    image = torch.rand(1, 3, 64, 64)
    both, last, first = (tower_of(layer)(image).patch_tokens for layer in ([-1, 0], 2, 0))
    assert torch.equal(both, torch.cat([last, first], -1))
    with pytest.raises(ValueError, match=r"clip.patch_layer is 3; .* has layers 0 to 2"):
        tower_of(3)
    with pytest.raises(ValueError, match="expected different layers"):
        tower_of([2, -1])


def test_pictures_of_another_size_are_resized_as_clip_does():
    made, image = TinyRandom(), torch.rand(2, 3, 96, 96)
    resized = torch.nn.functional.interpolate(image, (32, 32), mode="bicubic", antialias=True).clamp(0, 1)
    assert torch.equal(made(image).embed, made(resized).embed)


def test_the_random_tower_is_the_same_every_time_and_draws_nothing():
    torch.manual_seed(3)
    before, image = torch.get_rng_state(), torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    one, other = TinyRandom()(image), TinyRandom()(image)
    assert torch.equal(one.patch_tokens, other.patch_tokens)
    assert torch.equal(torch.get_rng_state(), before)


def openai_layout(network):
    """The tensors of one of timm's networks as OpenAI's files have them."""
    names = {"norm_pre.": "ln_pre.", "norm1.": "ln_1.", "norm2.": "ln_2.", "blocks.": "transformer.resblocks."}
    names |= {"qkv.": "in_proj_", "attn.proj": "attn.out_proj", "fc1": "c_fc", "fc2": "c_proj"}
    names |= {"patch_embed.proj": "conv1"}
    state = {}
    for name, value in network.state_dict().items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        state[f"visual.{name.replace('norm.', 'ln_post.') if name.startswith('norm.') else name}"] = value
    state["visual.proj"] = state.pop("visual.head.weight").T
    del state["visual.head.bias"]
    state["visual.class_embedding"] = state.pop("visual.cls_token")[0, 0]
    state["visual.positional_embedding"] = state.pop("visual.pos_embed")[0]
    return state | {"input_resolution": torch.tensor(64), "token_embedding.weight": torch.zeros(4, 4)}


def test_a_file_of_openai_gives_the_same_tower_and_no_bias(small, tmp_path):
    made = tower_of()
    made.network.head.bias.zero_()
    torch.save(openai_layout(made.network), tmp_path / "clip.pt")
    torch.save({k: v for k, v in made.network.state_dict().items() if k != "head.bias"}, tmp_path / "timm.pt")
    image = torch.rand(1, 3, 64, 64)
    for file in ("clip.pt", "timm.pt"):
        torch.manual_seed(1)
        assert torch.equal(ClipTower(B32, str(tmp_path / file)).network.head.weight, made.network.head.weight)
        again = tower_of(weights=str(tmp_path / file))
        assert torch.equal(again(image).embed, made(image).embed)
        assert not again.network.head.bias.any()


def test_weights_of_another_activation_are_refused(small):
    for name in ("vit_base_patch32_clip_224.openai", "vit_base_patch16_clip_224.metaclip_400m"):
        with pytest.raises(
            ValueError, match=r"trained with QuickGELU.* has GELU.*set clip.name to .*_clip_quickgelu_224"
        ):
            ClipTower(name)
    plain = "vit_base_patch32_clip_224.laion2b"
    with pytest.raises(ValueError, match=r"the file holds OpenAI's weights, trained with QuickGELU"):
        tower_state({"input_resolution": torch.tensor(224)}, ClipTower(plain).network, plain)


def test_what_is_no_tower_is_refused(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="timm knows no model 'vit_b32'; similar names"):
        ClipTower("vit_b32")
    with pytest.raises(ValueError, match="'resnet18', which is no image tower of CLIP"):
        ClipTower("resnet18")
    with pytest.raises(FileNotFoundError, match="set clip.weights"), torch.device("meta"):
        ClipTower("resnet50_clip.openai", str(tmp_path / "none.pt"))
    with pytest.raises(ValueError, match="clip.side 30, cells 4"):
        TinyRandom(side=30)
