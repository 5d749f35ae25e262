"""Frozen weights that are cast once: the numbers of autocast, bit for bit, and nothing else changes."""

import copy
from contextlib import nullcontext

import pytest
import torch

from gaze import attention
from gaze import lowered as keeping
from gaze.attention import QuickAttention
from gaze.backbones.conv_vit import ConvViT
from gaze.callbacks.ema import EMA
from gaze.callbacks.feature_cache import FeatureCache
from gaze.callbacks.unfreeze import Unfreeze
from gaze.datasets.gazefollow import GazeFollow
from gaze.evaluation import evaluate, on_batches
from gaze.hardware import Hardware
from gaze.heads.heatmap_decoder import HeatmapDecoder
from gaze.inference.predictor import ScenePredictor
from gaze.losses.heatmap import HeatmapBCE
from gaze.losses.objective import Objective
from gaze.lowered import Lowered
from gaze.metrics.heatmap_distance import HeatmapDistance
from gaze.models.gazelle import GazeLLE
from gaze.types import SceneInputs
from tests.datasets.folders import write_gazefollow_folder
from tests.stubs.training import line_trainer

LOWER, PLAIN = "amp", "float32"  # hardware.frozen_dtype


def scene_model(frozen=True):
    torch.manual_seed(0)
    model = GazeLLE(
        ConvViT([8, 8], width=16, heads=2),
        lambda channels: HeatmapDecoder(channels, width=16, layers=1, heads=2, size=(8, 8), drop_path=0.0),
    ).eval()
    model.backbone.requires_grad_(not frozen)
    return model


def scenes(images=2):
    image = torch.rand(images, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    return SceneInputs(image, torch.tensor([[0.1, 0.1, 0.6, 0.6]]).repeat(images, 1), torch.arange(images))


def heatmaps(model, context, inputs=None):
    with torch.autocast("cpu", torch.bfloat16), context:
        return model(inputs or scenes()).heatmap


def test_frozen_weights_are_cast_once_and_say_what_autocast_says():
    model = scene_model()
    model.backbone.blocks()[-1][0].requires_grad_(True)  # a part that trains amid those that don't
    state = copy.deepcopy(model.state_dict())
    plain = heatmaps(model, nullcontext())
    plain.sum().backward()
    expected = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    lowered = Lowered(model, torch.bfloat16)
    for _ in range(3):
        model.zero_grad()
        found = heatmaps(model, lowered)
        found.sum().backward()
        assert torch.equal(found, plain)
        assert {n: p.grad for n, p in model.named_parameters() if p.grad is not None}.keys() == expected.keys()
        assert all(torch.equal(p.grad, expected[n]) for n, p in model.named_parameters() if n in expected)
    frozen = [p for p in model.backbone.parameters() if not p.requires_grad and p.dim() > 1]
    assert 0 < lowered.nbytes <= 2 * sum(p.numel() for p in model.backbone.parameters())
    assert {id(kept.weight) for kept in lowered.kept} >= {
        id(p) for p in frozen if p.dim() in (2, 4) and p.numel() > 256
    }
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_while_gradients_are_off_everything_is_and_layers_without_autocast_keep_float32():
    model, inputs = scene_model(frozen=False), scenes()
    lowered = Lowered(model, torch.bfloat16, everything=True)
    with torch.inference_mode():
        plain = heatmaps(model, nullcontext(), inputs)
        assert all(torch.equal(heatmaps(model, lowered, inputs), plain) for _ in range(2))
    names = {id(p): n for n, p in model.named_parameters()}
    kept = {names[id(k.weight)] for k in lowered.kept}
    assert "head.transformer.0.attn.qkv.weight" in kept
    assert not any("heatmap_head" in name or "norm" in name for name in kept)
    heatmaps(model, lowered).sum().backward()  # with gradients it stands aside
    assert all(p.grad is not None for n, p in model.named_parameters() if n in kept)


def test_a_weight_that_changes_gets_a_new_copy_and_one_that_thaws_loses_it():
    model, lowered = scene_model(), None
    lowered = Lowered(model, torch.bfloat16)
    with torch.no_grad():
        heatmaps(model, lowered)
        before, count = heatmaps(model, lowered), len(lowered.kept)
        for p in model.backbone.parameters():
            p.mul_(1.5)
        assert torch.equal(heatmaps(model, lowered), heatmaps(model, nullcontext()))
        assert not torch.equal(heatmaps(model, lowered), before)
        model.load_state_dict({n: v * 0.5 for n, v in model.state_dict().items()})
        assert torch.equal(heatmaps(model, lowered), heatmaps(model, nullcontext()))
    lowered.kept[0].weight.requires_grad_(True)
    assert heatmaps(model, lowered).requires_grad
    assert len(lowered.kept) == count - 1


def test_the_weights_are_back_after_a_failure():
    model = scene_model()
    lowered = Lowered(model, torch.bfloat16)
    weights = dict(model.named_parameters())
    for failing in (False, True):
        with pytest.raises(ValueError, match="multiples") if failing else nullcontext():
            heatmaps(model, lowered, scenes().map(lambda t: t[..., :3, :3] if t.dim() == 4 else t) if failing else None)
        assert all(p is weights[n] for n, p in model.named_parameters())
        assert len(list(model.named_parameters())) == len(weights)


def test_weights_are_all_their_own_where_memory_lacks_for_a_copy(monkeypatch):
    model = scene_model()
    lowered = Lowered(model, torch.bfloat16)
    weights = dict(model.named_parameters())
    heatmaps(model, lowered)
    ready = keeping._Kept.ready
    last = lowered.kept[-1]

    def lacking(kept, *given):
        if kept is last:
            raise MemoryError
        return ready(kept, *given)

    monkeypatch.setattr(keeping._Kept, "ready", lacking)
    with pytest.raises(MemoryError):
        heatmaps(model, lowered)
    assert all(p is weights[n] for n, p in model.named_parameters())
    monkeypatch.setattr(keeping._Kept, "ready", ready)
    assert torch.equal(heatmaps(model, lowered), heatmaps(model, nullcontext()))


def test_a_pass_inside_a_pass_is_a_sentence_and_one_that_stands_aside_leaves_new_weights():
    model = scene_model()
    lowered = Lowered(model, torch.bfloat16, everything=True)
    weights = dict(model.named_parameters())
    with torch.no_grad():
        heatmaps(model, lowered)
        with lowered, pytest.raises(RuntimeError, match="one pass at a time"), torch.enable_grad(), lowered:
            pass
    assert all(p is weights[n] for n, p in model.named_parameters())
    replaced = lowered.kept[0]
    names, name = replaced.places[0]
    names[name] = torch.nn.Parameter(replaced.weight.detach() + 1)
    new = names[name]
    heatmaps(model, lowered)
    assert names[name] is new


@pytest.mark.parametrize(
    ("can", "dtype", "entered"), [(True, torch.bfloat16, 1), (True, torch.float16, 0), (False, torch.bfloat16, 0)]
)
def test_attention_is_looked_at_only_where_it_may_be_faster(monkeypatch, can, dtype, entered):
    monkeypatch.setattr(attention, "_pays", lambda: can)
    model = scene_model()
    lowered = Lowered(model, dtype)
    modes = []
    for _ in range(2):
        with torch.autocast("cpu", dtype), lowered:
            model(scenes())
            modes.append(sum(isinstance(m, QuickAttention) for m in torch.overrides._get_current_function_mode_stack()))
    assert modes == [1, entered]  # the first pass looks at everything


def trained(path, data, frozen_dtype, amp=True, **callbacks):
    splits = {f"{s}_set": GazeFollow(str(data), s, (16, 16)) for s in ("train", "val")}
    made = line_trainer(
        path,
        {**callbacks},
        hardware=Hardware("cpu", workers=0, frozen_dtype=frozen_dtype),
        model=scene_model(),
        objective=Objective({"heatmap_bce": HeatmapBCE()}),
        metrics={"heatmap_distance": HeatmapDistance()},
        monitor="min_l2",
        epochs=3,
        batch_size=4,
        amp=amp,
        **splits,
    )
    return made, made.fit()


@pytest.mark.parametrize("others", ["thawing", "kept features"])
def test_training_is_the_same_with_parts_that_thaw_averages_and_kept_features(tmp_path, others):
    write_gazefollow_folder(tmp_path / "data", images={"train": 8, "val": 4})
    ends = []
    for kind in (LOWER, PLAIN):
        more = (
            {"unfreeze": Unfreeze(first=0, hold_epochs=1, every_epochs=1)}
            if others == "thawing"
            else {"unfreeze": Unfreeze(first=0), "feature_cache": FeatureCache()}
        )
        made, figures = trained(tmp_path / kind, tmp_path / "data", kind, **more, ema=EMA(decay=0.5))
        ends.append((made.model.state_dict(), made.eval_model.state_dict(), figures))
        if kind == LOWER:
            assert (made.lowered.nbytes > 0) == (others != "thawing")  # where all blocks train in the end, none is kept
    for one, other in zip(ends[0][:2], ends[1][:2], strict=True):
        assert all(torch.equal(value, other[name]) and value.dtype == other[name].dtype for name, value in one.items())
    assert ends[0][2] == ends[1][2]


def test_evaluation_and_prediction_say_the_same(tmp_path):
    write_gazefollow_folder(tmp_path / "data", images={"val": 4})
    batches = list(Hardware("cpu", workers=0).loader(GazeFollow(str(tmp_path / "data"), "val", (16, 16)), batch_size=2))
    said = []
    for kind in (LOWER, PLAIN):
        hardware, model = Hardware("cpu", workers=0, frozen_dtype=kind), scene_model(frozen=False)
        figures = evaluate(model, batches, {"distance": HeatmapDistance()}, hardware, amp=True)
        maps = [on_batches(model, hardware, amp=True)(batch).heatmap for batch in batches]
        predict = ScenePredictor(model, (16, 16), hardware, amp=True)
        pictures = [torch.full((3, 20, 20), 100, dtype=torch.uint8)]
        maps += [predict(pictures, [torch.tensor([[0.1, 0.1, 0.5, 0.5]])])[0].heatmap for _ in range(2)]
        said.append((figures, maps))
    assert said[0][0] == said[1][0]
    assert all(torch.equal(one, other) for one, other in zip(said[0][1], said[1][1], strict=True))


def test_compiled_divided_and_float32_models_are_left_alone():
    model = scene_model()
    assert isinstance(Hardware("cpu").lowered(model, amp=True), Lowered)
    for hardware, amp in ((Hardware("cpu"), False), (Hardware("cpu", frozen_dtype=PLAIN), True)):
        assert isinstance(hardware.lowered(model, amp), nullcontext)
    assert isinstance(Hardware("cpu", compile="eager").lowered(model, True), nullcontext)
    model.set_requires_gradient_sync = None  # as FSDP2 marks what it divides
    assert isinstance(Hardware("cpu").lowered(model, True), nullcontext)
    with pytest.raises(ValueError, match="frozen_dtype is 'int8'; expected amp or float32"):
        Hardware("cpu", frozen_dtype="int8")
