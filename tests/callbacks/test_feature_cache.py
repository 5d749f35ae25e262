"""A frozen backbone that is remembered: the same training, with one look at each picture."""

import pytest
import torch

from gaze.backbones.conv_vit import ConvViT
from gaze.callbacks.ema import EMA
from gaze.callbacks.feature_cache import FeatureCache, forget
from gaze.callbacks.unfreeze import Unfreeze
from gaze.clip.tiny_random import TinyRandom
from gaze.datasets.gazefollow import GazeFollow
from gaze.heads.heatmap_decoder import HeatmapDecoder
from gaze.losses.heatmap import HeatmapBCE
from gaze.losses.objective import Objective
from gaze.metrics.heatmap_distance import HeatmapDistance
from gaze.models.gazelle import GazeLLE
from tests.datasets.folders import write_gazefollow_folder
from tests.stubs.training import line_trainer


class Counted(ConvViT):
    """A backbone that counts the pictures it is shown."""

    seen = 0

    def forward(self, image):
        self.seen += len(image)
        return super().forward(image)


def trainer(path, data, callbacks, **options):
    torch.manual_seed(0)
    model = GazeLLE(
        Counted([8, 8], width=16, heads=2),
        lambda channels: HeatmapDecoder(channels, width=16, layers=1, heads=2, size=(8, 8), drop_path=0.0),
    )
    splits = {f"{s}_set": GazeFollow(str(data), s, (16, 16)) for s in ("train", "val")}
    return line_trainer(
        path,
        {"unfreeze": Unfreeze(first=0), **callbacks},
        model=model,
        objective=Objective({"heatmap_bce": HeatmapBCE()}),
        metrics={"heatmap_distance": HeatmapDistance()},
        monitor="min_l2",
        epochs=3,
        batch_size=4,
        **splits,
        **options,
    )


@pytest.fixture
def data(tmp_path):
    write_gazefollow_folder(tmp_path / "data", images={"train": 8, "val": 4})
    return tmp_path / "data"


@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("first", ["feature_cache", "ema"])
def test_each_picture_is_encoded_once_and_training_is_the_same(tmp_path, data, first, amp):
    parts = {"feature_cache": FeatureCache(), "ema": EMA(decay=0.5)}
    plain = trainer(tmp_path / "plain", data, {}, amp=amp)
    cached = trainer(tmp_path / "cached", data, {first: parts[first], **parts}, amp=amp)
    names = list(cached.model.state_dict())
    plain.fit()
    cached.fit()
    assert plain.model.backbone.seen == 3 * (8 + 4)
    assert cached.model.backbone.seen + cached.eval_model.backbone.seen == 8 + 4
    assert "forward" not in vars(cached.model.backbone)
    assert list(cached.model.state_dict()) == names
    for one, other in [] if amp else zip(plain.model.head.parameters(), cached.model.head.parameters(), strict=True):
        assert torch.allclose(one, other, atol=2e-3)  # features are rounded to float16


@pytest.mark.parametrize(("storage", "tolerance"), [("float16", 2e-3), ("int8", 2e-2)])
def test_kept_on_disk_training_is_the_same_cold_and_warm(tmp_path, data, storage, tolerance):
    def fit(name, **options):
        run = trainer(
            tmp_path / name, data, {"feature_cache": FeatureCache(storage=storage, **options)} if options else {}
        )
        losses, step = [], run.train_step
        run.train_step = lambda batches: (terms := step(batches), losses.append(float(terms["loss"])))[0]
        run.fit()
        return torch.tensor(losses), run.model.backbone.seen

    home = str(tmp_path / "features")
    plain, _ = fit("plain")
    memory, seen = fit("memory", gigabytes=1.0)
    cold, once = fit("cold", dir=home)
    warm, never = fit("warm", dir=home)
    # One picture tells how large a row is, and the first that is known whether it is what the backbone says
    assert (seen, once, never) == (12, 14, 1)
    assert torch.equal(memory, cold)
    assert torch.equal(cold, warm)
    assert (plain - cold).abs().max() < tolerance * plain.abs().max()


def test_changed_weights_and_sizes_find_nothing_on_disk(tmp_path, data):
    home = str(tmp_path / "features")
    for name, change in {
        "first": lambda model: None,
        "weights": lambda model: next(model.backbone.requires_grad_(False).parameters()).mul_(1.01),
        "format": lambda model: None,
    }.items():
        run = trainer(tmp_path / name, data, {"feature_cache": FeatureCache(dir=home)}, amp=name == "format")
        change(run.model)
        run.fit()
        assert run.model.backbone.seen == 14, name
    assert len(list((tmp_path / "features").iterdir())) == 3


def test_weights_that_change_under_way_find_nothing():
    backbone = Counted([8, 8], width=16, heads=2).requires_grad_(False).eval()
    cache, pictures = FeatureCache(), torch.rand(2, 3, 16, 16)
    for factor, expected in ((1.0, 2), (1.0, 2), (1.01, 4)):
        if factor != 1.0:
            next(backbone.parameters()).mul_(factor)
        cache._remember(backbone)
        backbone(pictures)
        assert backbone.seen == expected


def test_what_stood_in_the_place_of_forward_stands_there_again(tmp_path):
    backbone = Counted([8, 8], width=16, heads=2).requires_grad_(False).eval()
    picture, compute = torch.rand(1, 3, 16, 16), backbone.forward
    backbone.forward = faster = lambda image: 2 * compute(image)
    FeatureCache()._remember(backbone)
    assert torch.allclose(backbone(picture), faster(picture), atol=2e-3)
    forget(backbone)
    assert backbone.forward is faster


def test_a_backbone_that_trains_is_not_remembered(tmp_path, data):
    run = trainer(tmp_path / "run", data, {"unfreeze": Unfreeze(first=1), "feature_cache": FeatureCache()})
    with pytest.raises(ValueError, match=r"backbone is to be remembered, but callback.unfreeze opens blocks"):
        run.fit()
    later = {"unfreeze": Unfreeze(first=0, hold_epochs=2, every_epochs=1), "feature_cache": FeatureCache()}
    run = trainer(tmp_path / "later", data, later)
    with pytest.raises(ValueError, match=r"callback.unfreeze opens blocks of it"):  # before anything is trained
        run.fit()
    run = trainer(tmp_path / "bare", data, {"feature_cache": FeatureCache()})
    del run.callbacks["unfreeze"]
    with pytest.raises(ValueError, match=r"backbone is to be remembered, but \d+ of its parameters train"):
        run.fit()


def test_an_unknown_module_is_refused(tmp_path, data):
    run = trainer(tmp_path / "run", data, {"feature_cache": FeatureCache(module="backbon")})
    with pytest.raises(ValueError, match="'backbon'; the model has no such module: backbone, head"):
        run.fit()


class Faces(torch.nn.Module):
    """A tower and a line on what it sees."""

    def __init__(self):
        super().__init__()
        self.clip = TinyRandom()
        self.line = torch.nn.Linear(32, 1)


@pytest.mark.parametrize("fields", [None, ["embed"]])
def test_a_tower_that_says_two_things_is_remembered_and_each_flip_has_its_entry(fields):
    model, asked = Faces(), []
    see = model.clip.see
    model.clip.see = lambda image: (asked.append(len(image)), see(image))[1]
    pictures = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)).mul(255).round() / 255
    live = model.clip(pictures)
    cache = FeatureCache("clip", fields=fields)
    cache._remember(model.clip)
    asked.clear()
    for shown in (pictures, pictures.flip(-1), pictures[[2, 0]], pictures.flip(-1)[1:]):
        seen = model.clip(shown)
    assert asked == [4, 4]
    assert (seen.embed - type(model.clip).forward(model.clip, pictures.flip(-1)[1:]).embed).abs().max() < 2e-3
    again = model.clip(pictures)
    assert type(again) is type(live)
    assert (again.embed - live.embed).abs().max() < 2e-3
    if fields is None:
        assert again.patch_tokens.shape == live.patch_tokens.shape
        assert (again.patch_tokens - live.patch_tokens).abs().max() < 2e-3
    else:
        assert again.patch_tokens is None
    with torch.autocast("cpu", torch.bfloat16):
        assert model.clip(torch.rand(2, 3, 32, 32)).embed.dtype == torch.float32


def test_fields_that_a_module_does_not_give_are_refused():
    model = Faces()
    FeatureCache("clip", fields=["embeds"])._remember(model.clip)
    with pytest.raises(ValueError, match=r"fields is \['embeds'\], but the module gives embed, patch_tokens"):
        model.clip(torch.rand(1, 3, 32, 32))
    plain = ConvViT([8, 8], width=16, heads=2).requires_grad_(False)
    FeatureCache(fields=["embed"])._remember(plain)
    with pytest.raises(ValueError, match="the module gives one tensor"):
        plain(torch.rand(1, 3, 16, 16))


def test_a_compiled_model_has_as_many_graphs_after_many_pictures():
    model, graphs = Faces(), []
    FeatureCache("clip")._remember(model.clip)

    def count(graph, inputs):
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(lambda image: model.line(model.clip(image).embed), backend=count)
    for number in range(12):
        FeatureCache("clip")._remember(model.clip) if number == 6 else None  # as each epoch does
        compiled(torch.rand(2, 3, 32, 32))
    assert len(graphs) == 1


@pytest.mark.parametrize(
    ("pictures", "said"),
    [
        (torch.rand(2, 3, 32, 32) * 4 - 2, r"from -.* to .*only pictures, of 3 channels from 0 to 1"),
        (torch.rand(2, 1, 32, 32), r"is \(2, 1, 32, 32\)"),
        (torch.rand(2, 3, 32, 32).requires_grad_(), "asks for a gradient"),
    ],
)
def test_only_pictures_are_remembered(pictures, said):
    model = Faces()
    FeatureCache("clip")._remember(model.clip)
    with pytest.raises(ValueError, match=said):
        model.clip(pictures)


def test_a_module_that_is_never_called_as_a_whole_is_said(tmp_path, data):
    run = trainer(tmp_path / "run", data, {"feature_cache": FeatureCache(module="backbone.stem")})
    run.model.backbone.stem.requires_grad_(False)
    cache = run.callbacks["feature_cache"]
    cache.fit_start(run)
    cache.epoch_start(run)
    with pytest.raises(ValueError, match=r"did not call in a whole epoch.*name the module above it \(backbone\)"):
        cache.epoch_start(run)


def test_clips_are_as_many_pictures_as_they_have_frames(tmp_path, data):
    run = trainer(tmp_path / "run", data, {"feature_cache": FeatureCache(views=1)})
    run.train_set.window = 5
    run.callbacks["feature_cache"].fit_start(run)
    assert run.callbacks["feature_cache"].pictures == 5 * 8 + 4
