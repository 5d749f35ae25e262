"""Published checkpoints, built here with random weights under the public names, become runs that compute the same."""

import math
from functools import partial

import numpy as np
import pytest
import timm
import torch
import yaml
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from gaze.backbones.hgnetv2 import HGNetV2
from gaze.errors import UserError
from gaze.heads.heatmap_decoder import HeatmapDecoder
from gaze.published import import_checkpoint
from gaze.runs import RunError, load_config, load_model
from gaze.tensor_files import sha256
from gaze.types import SceneInputs
from tests.backbones.plain_vit import plain_features, random_state

SMALL = ["head.width=32", "head.heads=2", "head.layers=1", "head.size=[8,8]"]
TINY_VIT = ["backbone.width=64", "backbone.depth=2"]
INPUTS = SceneInputs(
    torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0)),
    torch.tensor([[0.1, 0.1, 0.5, 0.6], [math.nan] * 4, [0.51, 0.51, 0.52, 0.52]]),
    torch.tensor([0, 1, 1]),
)


@pytest.fixture
def tiny(monkeypatch):
    """timm's transformers at two blocks, of width 64 or 128 as in `random_state`; DINOv2's of width 16."""
    create = timm.create_model

    def small(name, **kwargs):
        if "dinov2" in name:
            return create("vit_base_patch14_dinov2", **kwargs | {"embed_dim": 16, "depth": 1, "num_heads": 2})
        return create(name, **kwargs | {"embed_dim": 64, "depth": 2, "num_heads": 1})

    monkeypatch.setattr(timm, "create_model", small)


def composed(model, *overrides):
    with initialize_config_module("gaze.conf"):
        return compose("train", overrides=[f"model={model}", "dir=unused", *overrides])


def imported(path, model, out, *overrides, backbone=None):
    return import_checkpoint(path, composed(model, *overrides), [f"model={model}", *overrides], out, backbone)


def head_state(channels, inout=None, width=32, heads=2, layers=1, grid=(4, 6)):
    """A head's tensors under their public names, positions included, and a decoder that holds them."""
    torch.manual_seed(1)
    make = partial(HeatmapDecoder, channels, width=width, layers=layers, heads=heads, size=(8, 8))
    head = make(inout=inout is not None, inout_head=inout or "mlp", eps=1e-6, head_mask="reference")
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    head.resize = "probabilities"
    return head.eval(), dict(head.state_dict()) | {"pos_embed": torch.randn(width, *grid)}


def predictions(features, head):
    return head(features, INPUTS.head_bbox, INPUTS.image_index)


def assert_same(actual, expected):
    torch.testing.assert_close(actual.heatmap, expected.heatmap, atol=1e-4, rtol=1e-4)
    assert (actual.inout is None) == (expected.inout is None)
    if actual.inout is not None:
        torch.testing.assert_close(actual.inout, expected.inout, atol=1e-4, rtol=1e-4)


DINOV3 = {
    "gazelle_dinov3_vits16": ("dinov3.", {}, 1e-5),
    "gazelle_dinov3_vits16plus": ("dinov3.", {"gated": True}, 1e-5),
    "gazelle_dinov3_vitb16": ("dinov3.", {}, 1e-5),
    "gazelle_dinov3_vit_tiny": ("dinov3._model.", {"registers": 0, "scale": False, "norm": False}, 1e-6),
}


@pytest.mark.parametrize("suffix", ["", "_inout"])
@pytest.mark.parametrize("name", DINOV3)
def test_dinov3_checkpoints_compute_what_they_did(name, suffix, tiny, tmp_path):
    wrapper, layout, eps = DINOV3[name]
    body = random_state(64, **layout)
    head, state = head_state(64, "linear" if suffix else None)
    path = tmp_path / f"{name}{suffix}.pt"
    rng = {"numpy": np.random.get_state(), "torch": torch.get_rng_state()}
    whole = {f"backbone.{wrapper}{key}": value for key, value in body.items()} | state
    torch.save({"model": whole, "rng_state": rng, "best_min_l2": np.float64(0.1)} if suffix else whole, path)

    overrides = SMALL + (TINY_VIT if "tiny" in name else [])
    said = imported(path, name + suffix, tmp_path / "run", *overrides)
    model = load_model(tmp_path / "run")
    features = plain_features(body, model.backbone.normalize(INPUTS.image), eps)
    assert_same(model(INPUTS), predictions(features, head))
    assert f"{name}{suffix}" in said
    config = load_config(tmp_path / "run")
    assert config.model.head.eps == 1e-6
    assert config.dir == str(tmp_path / "run")


@pytest.mark.parametrize("name", ["atto", "femto", "pico", "n"])
def test_hgnetv2_checkpoints_compute_what_they_did(name, tmp_path):
    width, kernel, repeats = {"atto": (256, 3, 1), "femto": (512, 5, 1)}.get(name, (512, 5, 2))
    backbone = HGNetV2(width, kernel, repeats, stage4=name == "n").eval()
    head, state = head_state(width, "linear")
    path = tmp_path / f"gazelle_hgnetv2_{name}_inout_distill.pt"
    torch.save({f"backbone.{key}": value for key, value in backbone.state_dict().items()} | state, path)
    imported(path, f"gazelle_hgnetv2_{name}_inout", tmp_path / "run", *SMALL)
    assert_same(load_model(tmp_path / "run")(INPUTS), predictions(backbone(INPUTS.image), head))


def golden_head():
    """The tensors of the golden values: sines of their index and the length of their name; positions of another size."""
    head = HeatmapDecoder(16, inout=True)
    state = {}
    for name, value in head.state_dict().items():
        wave = 0.05 * torch.sin(0.37 * torch.arange(value.numel(), dtype=torch.float64) + len(name))
        state[name] = wave.view_as(value).float() + float("norm" in name and name.endswith("weight"))
    return state | {"pos_embed": torch.zeros(256, 32, 32)}


def dinov2_file(path):
    """A backbone's public file, mask token and all, of a table for images of 518 px."""
    vit = timm.create_model("vit_base_patch14_dinov2", num_classes=0)
    torch.save(dict(vit.state_dict()) | {"mask_token": torch.zeros(1, 16)}, path)
    return vit


def test_the_golden_values_through_an_imported_file(tiny, tmp_path):
    """Gaze-LLE's own: a head alone, an in/out head of two layers, layer norms with an eps of 1e-5."""
    torch.save(golden_head(), tmp_path / "gazelle_dinov2_vitb14_inout.pt")
    vit = dinov2_file(tmp_path / "dinov2.pth")
    backbone = str(tmp_path / "dinov2.pth")
    source = tmp_path / "gazelle_dinov2_vitb14_inout.pt"
    imported(source, "gazelle_dinov2_vitb14_inout", tmp_path / "run", "head.size=[8,12]", backbone=backbone)
    model = load_model(tmp_path / "run")
    features = torch.sin(0.11 * torch.arange(16 * 4 * 6)).view(1, 16, 4, 6)
    boxes = torch.tensor([(0.1, 0.2, 0.55, 0.8), [math.nan] * 4])
    prediction = model.decode(features, boxes, torch.tensor([0, 0]))
    heatmap = prediction.heatmap.sigmoid()
    assert heatmap.sum((1, 2)).tolist() == pytest.approx((55.9266658453, 55.7760504799), abs=2e-5)
    expected = {(0, 0, 0): 0.5347888046, (0, 3, 7): 0.6082501364, (0, 7, 11): 0.6131041640, (1, 3, 7): 0.6082662225}
    assert {at: heatmap[at].item() for at in expected} == pytest.approx(expected, abs=5e-7)
    assert prediction.inout.sigmoid().tolist() == pytest.approx((0.5088851250, 0.5087360827), abs=5e-7)
    assert torch.equal(model.backbone.vit.pos_embed, vit.pos_embed)
    head = load_config(tmp_path / "run").model.head
    assert (head.inout_head, head.eps, head.head_mask, head.resize) == ("mlp", 1e-5, "reference", "probabilities")


def test_a_dinov2_backbone_inside_a_checkpoint(tiny, tmp_path):
    vit = dinov2_file(tmp_path / "unused.pth")
    _, state = head_state(16)
    body = dict(vit.state_dict()) | {"mask_token": torch.zeros(1, 16)}
    torch.save(state | {f"backbone.model.{key}": value for key, value in body.items()}, tmp_path / "a.pt")
    imported(tmp_path / "a.pt", "gazelle_dinov2_vitb14", tmp_path / "run", *SMALL)
    model = load_model(tmp_path / "run")
    for key, value in vit.state_dict().items():
        assert torch.equal(model.backbone.vit.state_dict()[key], value), key
    assert load_config(tmp_path / "run").model.head.eps == 1e-6  # timm 1.0.20's


@pytest.mark.parametrize("kind", ["mlp", "linear"])
def test_the_kind_of_inout_head_is_that_of_the_file_whatever_the_model(kind, tmp_path):
    backbone = HGNetV2(256, 3, 1)
    _, state = head_state(256, kind)
    torch.save({f"backbone.{key}": value for key, value in backbone.state_dict().items()} | state, tmp_path / "a.pt")
    imported(tmp_path / "a.pt", "gazelle_hgnetv2_atto_inout", tmp_path / "run", *SMALL, "head.inout_head=linear")
    written = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert written["model"]["head"]["inout_head"] == written["head"]["inout_head"] == kind
    assert torch.equal(
        load_model(tmp_path / "run").head.inout_head[-1].weight,
        state["inout_head.3.weight" if kind == "mlp" else "inout_head.0.weight"],
    )


def test_a_run_says_where_it_is_from(tmp_path):
    path = atto(tmp_path)
    imported(path, "gazelle_hgnetv2_atto", tmp_path / "run", *SMALL)
    state = torch.load(next((tmp_path / "run" / "best").iterdir()) / "state.pt", weights_only=True)
    assert state["imported"] == {"file": "atto.pt", "sha256": sha256(path)}
    assert yaml.safe_load((tmp_path / "run" / "overrides.yaml").read_text())[0] == "model=gazelle_hgnetv2_atto"
    with pytest.raises(RunError, match="holds a run already; choose another out="):
        imported(path, "gazelle_hgnetv2_atto", tmp_path / "run", *SMALL)


def atto(tmp_path, inout=None, **changes):
    """A whole checkpoint of the smallest model; `changes` replace tensors, None takes one out."""
    state = {f"backbone.{key}": value for key, value in HGNetV2(256, 3, 1).state_dict().items()}
    state |= head_state(256, inout)[1] | changes
    torch.save({key: value for key, value in state.items() if value is not None}, tmp_path / "atto.pt")
    return tmp_path / "atto.pt"


def refused(path, model, tmp_path, *overrides, **options):
    """The sentence with which an import ends; nothing is written."""
    with pytest.raises((UserError, ValueError)) as error:
        imported(path, model, tmp_path / "run", *SMALL, *overrides, **options)
    assert not (tmp_path / "run").exists()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_file_of_another_family_is_told_in_a_sentence(tiny, tmp_path):
    said = refused(atto(tmp_path), "gazelle_dinov3_vit_tiny", tmp_path, *TINY_VIT)
    assert (
        "atto.pt holds a head on 256 channels and a CNN of 3 stages and gazelle_dinov3_vit_tiny is a head on 64" in said
    )
    assert "channels and a transformer of 2 blocks of width 64 on patches of 16 px; give the model that" in said
    body = random_state(64)
    whole = {f"backbone.dinov3.{key}": value for key, value in body.items()} | head_state(64)[1]
    torch.save(whole, tmp_path / "vits16.pt")
    said = refused(tmp_path / "vits16.pt", "gazelle_hgnetv2_n", tmp_path)
    assert "transformer of 2 blocks of width 64 on patches of 16 px and gazelle_hgnetv2_n is a head on 512" in said
    said = refused(tmp_path / "vits16.pt", "gazelle_dinov3_vit_tiny", tmp_path, *TINY_VIT)
    assert "unexpected: " in said
    assert "reg_token" in said
    said = refused(atto(tmp_path), "gazelle_small", tmp_path)
    assert "no checkpoint of gazelle_small was ever published" in said


@pytest.mark.fault("X3")
def test_unknown_missing_and_misshapen_tensors_are_listed(tmp_path):
    path = atto(tmp_path, **{"linear.bias": None, "extra": torch.zeros(1), "head_token.weight": torch.zeros(1, 5)})
    said = refused(path, "gazelle_hgnetv2_atto", tmp_path)
    assert "1 missing: head.linear.bias; 1 unexpected: head.extra" in said
    assert "head.head_token.weight is (1, 5) instead of (1, 32)" in said


def test_in_out_must_be_asked_for_when_there_is_one_and_not_when_there_is_none(tmp_path):
    said = refused(atto(tmp_path, "linear"), "gazelle_hgnetv2_atto", tmp_path)
    assert said.endswith(
        "holds an in/out head and gazelle_hgnetv2_atto has none; give model=gazelle_hgnetv2_atto_inout"
    )
    said = refused(atto(tmp_path), "gazelle_hgnetv2_atto_inout", tmp_path)
    assert said.endswith("holds no in/out head and gazelle_hgnetv2_atto_inout has one; give model=gazelle_hgnetv2_atto")


def test_a_head_needs_a_backbone_and_a_whole_model_needs_none(tiny, tmp_path):
    torch.save(head_state(16)[1], tmp_path / "head.pt")
    said = refused(tmp_path / "head.pt", "gazelle_dinov2_vitb14", tmp_path)
    assert "holds a head without its backbone, and a run needs both; add backbone.weights=FILE" in said
    assert "vit_base_patch14_dinov2" in said
    with pytest.raises(FileNotFoundError, match="no weights at /.*gone.pth"):
        imported(tmp_path / "head.pt", "gazelle_dinov2_vitb14", tmp_path / "run", backbone="gone.pth")
    assert "leave backbone.weights=x out" in refused(atto(tmp_path), "gazelle_hgnetv2_atto", tmp_path, backbone="x")
    vit = dinov2_file(tmp_path / "dinov2.pth")
    assert vit is not None
    said = refused(tmp_path / "dinov2.pth", "gazelle_dinov2_vitb14", tmp_path)
    assert "no GazeLLE head" in said
    assert "backbone.weights=" in said


def test_positions_of_another_size_are_refused_rather_than_resized_wrongly(tiny, tmp_path):
    body = dict(timm.create_model("vit_base_patch14_dinov2", num_classes=0, img_size=448).state_dict())
    state = head_state(16)[1] | {f"backbone.model.{key}": value for key, value in body.items()}
    torch.save(state, tmp_path / "timm448.pt")
    assert "pos_embed is (1, 1025, 16) instead of (1, 1370, 16)" in refused(
        tmp_path / "timm448.pt", "gazelle_dinov2_vitb14", tmp_path
    )


def test_config_stays_resolvable(tmp_path):
    imported(atto(tmp_path), "gazelle_hgnetv2_atto", tmp_path / "run", *SMALL)
    OmegaConf.to_container(load_config(tmp_path / "run"), resolve=True, throw_on_missing=True)
