"""A folded model says what it said, in every model of conf/model that there is something to fold in."""

from __future__ import annotations

import copy

import pytest
import torch
from timm.layers import BatchNormAct2d, LayerScale
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from gaze.export.screens import look
from gaze.folding import NORMS, folded
from gaze.hardware import Hardware
from gaze.inference.opening import open_screen_predictor
from gaze.runs import build_model, load_model
from gaze.shapes_only import shapes_only
from gaze.types import DirectionInputs, SceneInputs
from tests import groups
from tests.backbones.test_backbone_contract import NAMES, backbone_of
from tests.export.screen_runs import write_screen_run
from tests.models.screens import composed, looks

LARGE = 12_000_000  # parameters
LIGHT = ("tiny", "lite", "pog_mobile", "pog_affnet", "gazelle_small")  # the rest takes minutes
MODELS = [
    pytest.param(name, marks=[] if name.endswith(LIGHT) else pytest.mark.large)
    for name in groups.names("model")
    if not name.startswith("gazegaussian")
]


def draw(model: nn.Module) -> nn.Module:
    """Norms and scales of a network that has learned: far from one and zero."""
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in model.modules():
            if type(module) in NORMS:
                for tensor in (module.weight, module.running_var):
                    tensor.copy_(0.5 + torch.rand(tensor.shape, generator=rng))
                for tensor in (module.bias, module.running_mean):
                    tensor.copy_(0.2 * torch.randn(tensor.shape, generator=rng))
        for name, parameter in model.named_parameters():
            if name.rsplit(".")[-1] in ("gamma", "gamma_1", "gamma_2"):
                parameter.copy_(0.5 + torch.rand(parameter.shape, generator=rng))
    return model.eval()


@torch.no_grad()
def difference(model: nn.Module, given: object) -> float:
    """Largest, of what a model and its folded copy say, over the largest of what it says."""
    said, now = (_tensors(part(given)) for part in (model, folded(model)))
    assert len(said) == len(now) > 0
    return max(float((a - b).abs().max() / a.abs().max()) for a, b in zip(said, now, strict=True))


def _tensors(said: object) -> list[Tensor]:
    # Features of a softmax over channels, 2e-5 apart, are so in another memory layout, too
    fields = {"": said} if isinstance(said, Tensor) else {k: v for k, v in vars(said).items() if k != "features"}
    return [
        value for value in fields.values() if isinstance(value, Tensor) and value.is_floating_point() and value.any()
    ]


def scales(model: nn.Module) -> list[str]:
    """Norms and scales that are left."""
    left = [name for name, part in model.named_modules() if type(part) in (*NORMS, LayerScale)]
    return left + [name for name, _ in model.named_parameters() if name.endswith(("gamma_1", "gamma_2"))]


def given_to(name: str) -> object:
    """Two samples for a model; scenes are as small as their backbone takes them."""
    rng, config = torch.Generator().manual_seed(0), composed(name)
    if name.startswith("pog_"):
        return looks(name, samples=2)
    if "face_size" in config.dataset:
        return DirectionInputs(torch.rand(2, 3, *[config.dataset.face_size] * 2, generator=rng))
    image, boxes = torch.rand(2, 3, 224, 224, generator=rng), torch.tensor([[0.1, 0.2, 0.4, 0.5], [0.3, 0.1, 0.8, 0.6]])
    return SceneInputs(image, boxes, torch.tensor([0, 1]))


@pytest.mark.parametrize("name", MODELS)
def test_every_model_says_what_it_said(name):
    torch.manual_seed(0)
    model = build_model(composed(name), with_weights=False)
    if not scales(model):
        pytest.skip("nothing to fold")
    assert len(scales(folded(model))) < len(scales(model))
    assert difference(draw(model), given_to(name)) <= 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_every_backbone_says_what_it_said(name):
    torch.manual_seed(0)
    with shapes_only():
        backbone = backbone_of(name)
    if sum(p.numel() for p in backbone.parameters()) > LARGE or not scales(backbone):
        pytest.skip("nothing to fold, or as large as the models are, which are looked at too")
    backbone = draw(backbone_of(name))
    sides = (2 * backbone.stride, 3 * backbone.stride) if backbone.stride else (224, 224)
    assert difference(backbone, torch.rand(2, 3, *sides)) <= 1e-5


class Twice(nn.Module):
    """A convolution that a norm and something else read."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x):
        y = self.layer(x)
        return self.norm(y) + y


class Backwards(Twice):
    """Layers that are not called in the order in which they stand."""

    def forward(self, x):
        return self.layer(self.norm(torch.cat([x, x[:, :1]], 1))[:, :3])


class Branching(Twice):
    """A forward that depends on values, so that nobody can say what it does."""

    def forward(self, x):
        return self.norm(self.layer(x)) if x.sum() > 0 else self.layer(x)


class Scaling(nn.Conv2d):
    """A convolution with something of its own."""

    def forward(self, x):
        return super().forward(x).relu()


class Tapping(nn.Module):
    """A sequence from whose midst something is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))])

    def forward(self, x):
        taps = []
        for layer in self.layers[0]:
            x = layer(x)
            taps.append(x)
        return torch.cat(taps, 1)


class Masked(Twice):
    """A forward that does something else without what it need not be given."""

    def forward(self, x, mask=None):
        y = self.layer(x)
        if mask is not None:
            return self.norm(y) * mask
        return self.norm(y) + y


class Reading(Twice):
    """A forward that reads the weights of a layer by themselves."""

    def forward(self, x):
        return self.norm(self.layer(x)) + self.layer.weight.mean()


def hooked():
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    layers[0].register_forward_hook(lambda module, given, said: said.abs())
    return layers


def shared():
    layer = nn.Conv2d(3, 3, 3, padding=1)
    return nn.Sequential(layer, nn.BatchNorm2d(3), layer, nn.BatchNorm2d(3))


LEFT = {
    "read twice": Twice,
    "another order": Backwards,
    "branches": Branching,
    "taken apart": Tapping,
    "an absent mask": Masked,
    "weights read": Reading,
    "a subclass": lambda: nn.Sequential(Scaling(3, 4, 3), nn.BatchNorm2d(4)),
    "a hook": hooked,
    "called twice": shared,
    "no statistics": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)),
    "something between": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)),
    "a parametrisation": lambda: nn.Sequential(weight_norm(nn.Conv2d(3, 4, 3)), nn.BatchNorm2d(4)),
}


@pytest.mark.parametrize("why", LEFT)
def test_what_can_not_be_told_is_left_as_it_is(why):
    torch.manual_seed(0)
    model = LEFT[why]().eval()
    assert scales(folded(model)) == scales(model) != []
    assert difference(model, torch.rand(2, 3, 6, 6)) == 0.0


class Remembering(Twice):
    """A forward that keeps what it made."""

    grid = None

    def forward(self, x):
        if self.grid is None:
            self.grid = torch.ones_like(x[:, :1])
        return self.norm(self.layer(x * self.grid))


def test_what_a_forward_keeps_is_not_that_of_looking_at_it():
    model = draw(Remembering())
    assert not scales(folded(model))
    assert difference(model, torch.rand(2, 3, 6, 6)) <= 1e-5


def test_blocks_whose_last_layers_have_the_same_weights_are_folded_each_by_itself():
    torch.manual_seed(0)
    model = nn.Sequential(*(Block(8, 2, init_values=0.1) for _ in range(2)))
    model[1].attn.proj.weight = model[0].attn.proj.weight
    model[1].mlp.fc2 = model[0].mlp.fc2
    assert len(scales(folded(draw(model)))) == 2  # whose layer itself is the same
    assert difference(model, torch.rand(2, 5, 8)) <= 1e-5


def test_linear_layers_and_activated_norms_are_folded_too():
    torch.manual_seed(0)
    inside = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), BatchNormAct2d(4, act_layer=nn.SiLU), nn.Flatten())
    model = draw(nn.Sequential(inside, nn.Sequential(nn.Linear(64, 5), nn.BatchNorm1d(5))))
    assert not scales(folded(model))
    assert difference(model, torch.rand(2, 3, 6, 6)) <= 1e-5


def test_runs_are_folded_when_they_are_opened(tmp_path):
    run = write_screen_run(tmp_path / "run")
    plain = load_model(run).eval()
    opened = open_screen_predictor(run, Hardware("cpu")).model
    assert scales(plain)
    assert not scales(opened)
    asked = look({"streams": ["face", "left_eye", "right_eye", "geometry"], "face_size": 16, "eye_size": [8, 12]}, 3)
    torch.testing.assert_close(opened(asked).point[:2], plain(asked).point[:2], rtol=1e-5, atol=1e-5)


def test_the_model_itself_stays_as_it_was():
    model = draw(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))).train()
    before = copy.deepcopy(model.state_dict())
    now = folded(model)
    assert not now.training
    assert not any(p.requires_grad for p in now.parameters())
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(p.requires_grad for p in model.parameters())
