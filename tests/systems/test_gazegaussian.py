"""Both stages of GazeGaussian as a user trains them, on synthetic heads, as small as they can be."""

from __future__ import annotations

import math

import pytest
import torch

from gaze.backbones.gaussian_head import GaussianHead
from gaze.runs import load_model
from gaze.synthesis.head_files import write_heads
from gaze.synthesis.head_world import HeadWorld

SIDE = 24  # px
FRAMES = 6
TINY = (
    "callback.log.every_steps=1",
    f"dataset.image_size={SIDE}",
    "dataset.held_frames=null",
    "backbone.width=16",
    "backbone.features=4",
    "backbone.point_feature=6",
    "eye_rotation.width=8",
)
FIRST = (
    *TINY,
    "model=gazegaussian_mesh_tiny",
    "callback=[neutral_landmarks,log,checkpoint]",
    "loss=[l1_head,silhouette]",
    "backbone.resolution=10",
    "init.steps=80",
    "init.points=256",
    "trainer.epochs=2",
    "optimizer.optimizer.lr=0.005",
)
SECOND = (
    *TINY,
    "model=gazegaussian_tiny",
    "callback=[log,checkpoint]",
    "loss=[l1_head,alpha_mse,identity_offset,expression_offset,camera_offset,orthogonality]",
    f"model.corrections.rows={2 * FRAMES}",
    "backbone.face_points=240",
    "backbone.eye_points=12",
    "head.depth=1",
    "head.heads=2",
    "head.width=16",
    "head.embedding=8",
    "trainer.epochs=2",
    "trainer.mode=last",
    "optimizer.optimizer.lr=0.005",
)


@pytest.fixture(scope="module")
def made():
    """What one test made and the next looks at."""
    return {}


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    root = tmp_path_factory.mktemp("gazegaussian") / "heads"
    world = HeadWorld(size=SIDE, frames={"train": FRAMES, "val": 2, "test": 2})
    assert write_heads(world, root, {"train": 2, "val": 1, "test": 0})
    return root


@pytest.fixture
def first(train, heads, made):
    """The first stage."""
    if "first" not in made:
        made["first"] = train(heads.parent / "first", *FIRST, f"dataset.root={heads}")
    return made["first"]


@pytest.fixture
def second(continues, heads, first, made):
    """The second stage, in one go and in two that end alike."""
    if "second" not in made:
        made["second"] = continues(4, *SECOND, f"init.run={first.trainer.run.path}", f"dataset.root={heads}")
    return made["second"]


def falls(losses: dict[int, float]) -> bool:
    """Is the mean of the second half of the steps less than that of the first?"""
    values = [losses[step] for step in sorted(losses)]
    half = len(values) // 2
    return sum(values[half:]) / (len(values) - half) < sum(values[:half]) / half


def test_the_first_stage_learns(first):
    assert falls(first.journal("train/loss"))


def test_the_second_stage_begins_with_the_head_of_the_first(first, second):
    start, mesh = second[0].started_from, first.saved
    assert torch.equal(start["backbone.landmarks"], mesh["backbone.landmarks"])
    for name in ("shape_colour", "pose_deform"):
        assert torch.equal(start[f"backbone.face.{name}.layers.0.weight"], mesh[f"backbone.{name}.layers.0.weight"])
    face = start["backbone.face.splats.position"]
    assert len(face.unique(dim=0)) == 240


def test_the_second_stage_learns_and_goes_on_as_if_it_had_not_stopped(second):
    whole, rest = second
    assert falls(whole.journal("train/l1_head"))
    assert rest.journal("train/loss") == whole.journal("train/loss")
    assert math.isfinite(whole.figure)


def test_corrections_are_learned_and_saved(second):
    whole, _ = second
    for name in ("identity", "expression", "camera"):
        table = whole.saved[f"corrections.{name}.weight"]
        assert table.shape[0] == 2 * FRAMES
        assert (table.abs().sum(1) > 0).all(), name  # every sample was seen


def test_a_finished_run_loads_as_what_was_trained(second):
    whole, _ = second
    loaded = load_model(whole.trainer.run.path)
    assert isinstance(loaded.get_submodule("backbone"), GaussianHead)
    saved, found = whole.saved, loaded.state_dict()
    assert set(found) == set(saved)
    assert all(torch.equal(tensor, saved[name]) for name, tensor in found.items())
    batch = whole.trainer.val_set.seen(0)
    with torch.no_grad():
        image = loaded.eval()(batch.inputs.map(lambda t: t[None])).image
    assert image.shape == (1, 3, SIDE, SIDE)
    assert image.isfinite().all()


def test_one_picture_is_learned_by_heart(second):
    """Steps of the very model that the second stage ended with, all on one sample."""
    model, views = second[0].trainer.model, second[0].trainer.train_set
    sample = views.seen(0)
    inputs = sample.inputs.map(lambda t: t[None])
    wanted = sample.targets.image[None] / 255
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    errors = []
    for _ in range(30):
        error = (model.train()(inputs).image - wanted).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(float(error.detach()))
    assert 10 * math.log10(errors[0] / errors[-1]) > 5  # dB of PSNR
