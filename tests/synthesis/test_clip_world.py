import pytest
import torch

from gaze.synthesis.clip_world import SWAY, ClipWorld
from gaze.synthesis.scenes import PERSON

FRAMES = 9


@pytest.fixture(scope="module")
def world():
    return ClipWorld(size=(64, 80), difficulty=0.6, frames=FRAMES, people=(1, 4), outside=0.4)


@pytest.fixture(scope="module")
def scenes(world):
    return world.scenes(0, "train", range(40))


def by_clip(values):
    return values.unflatten(0, (-1, FRAMES))


def test_a_clip_depends_on_its_number_alone(world):
    alone, labels = world.render(0, "train", [5])
    among, more = world.render(0, "train", [2, 5])
    assert alone.shape == (FRAMES, 3, 64, 80)
    assert torch.equal(alone, among[FRAMES:])
    assert labels == [label for label in more if label.scene // FRAMES == 5]
    assert not torch.equal(alone, world.render(0, "test", [5])[0])
    assert not torch.equal(alone, world.render(1, "train", [5])[0])


def test_the_room_stays_and_heads_sway(scenes):
    objects, head = by_clip(scenes.objects.center), by_clip(scenes.people.head)
    assert (objects == objects[:, :1]).all()
    moved = (head - head.mean(1, keepdim=True)).norm(dim=-1) / by_clip(scenes.people.radius)
    assert 0.01 < moved.max() < 3 * SWAY
    step = (head[:, 1:] - head[:, :-1]).norm(dim=-1) / by_clip(scenes.people.radius)[:, 1:]
    assert step.max() < 3 * SWAY


def test_everybody_looks_at_up_to_three_things_in_turn(scenes):
    target = by_clip(scenes.people.target)
    changes = (target[:, 1:] != target[:, :-1]).any(-1).sum(1)
    assert changes.max() == 2
    assert changes.double().mean() > 1
    inside = ((by_clip(scenes.camera.project(scenes.people.target) / torch.tensor([80, 64]))) % 1 > 0).all(-1)
    assert inside.any()


def test_heads_turn_with_their_gaze(scenes):
    turn, target = by_clip(scenes.people.rotation), by_clip(scenes.people.target)
    changed = (target[:, 1:] != target[:, :-1]).any(-1)
    angle = (turn[:, 1:] - turn[:, :-1]).flatten(-2).norm(dim=-1)
    assert angle[changed].median() > 10 * angle[~changed].median()


def test_somebody_leaves_and_returns_and_nobody_looks_there_meanwhile(scenes):
    people = scenes.people
    present = by_clip(people.present)
    away = present[:, :1] & ~present
    some = away.any(1).any(1)
    assert 5 < some.sum() < 35
    assert (away.any(1).sum(1) <= 1).all()
    assert present[:, -1].eq(present[:, 0]).all()
    assert present.any(2).all()
    at_person = (people.target_kind == PERSON) & people.present
    looked_at = people.target_index.masked_fill(~at_person, 0)
    assert at_person.any()
    assert people.present.gather(1, looked_at)[at_person].all()


def test_labels_name_clip_and_frame_and_follow_the_scene(world, scenes):
    labels = world.render(0, "train", range(2))[1]
    assert {label.scene for label in labels} == set(range(2 * FRAMES))
    gaze = scenes.camera.project(scenes.people.target) / torch.tensor([80, 64])
    for label in labels:
        assert label.gaze == pytest.approx(tuple(gaze[label.scene, label.person].tolist()))


def test_a_clip_must_be_long_enough():
    with pytest.raises(ValueError, match="frames is 5; expected 6 or more"):
        ClipWorld(frames=5)
