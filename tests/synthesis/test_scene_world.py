from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaze.synthesis.canvas import compose, evaluate
from gaze.synthesis.figures import EYES, FACE, HAIR, NOSE, SKULL, eyeballs, figures
from gaze.synthesis.labels import head_boxes, labels
from gaze.synthesis.scene_world import SceneWorld
from gaze.synthesis.scenes import OUTSIDE, PERSON

WORLDS = {d: SceneWorld(size=(128, 160), difficulty=d) for d in (0.0, 0.5, 1.0)}
MIRROR = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
worlds = pytest.mark.parametrize("world", WORLDS.values(), ids=[f"difficulty={d}" for d in WORLDS])


@worlds
def test_a_picture_is_a_function_of_its_number(world):
    images, rows = world.render(0, "train", range(6))
    for index in (4, 1):
        alone, own = world.render(0, "train", [index])
        assert torch.equal(alone[0], images[index])
        assert own == [row for row in rows if row.scene == index]


def test_seeds_and_splits_share_no_picture():
    world = SceneWorld(size=32)
    pictures = [world.render(s, split, range(16))[0] for s in (0, 1) for split in ("train", "val", "test")]
    assert len(torch.cat(pictures).flatten(1).unique(dim=0)) == 6 * 16


@worlds
@settings(deadline=None, max_examples=10, derandomize=True)
@given(seed=st.integers(-(2**40), 2**40))
def test_labels_agree_with_the_geometry(world, seed):
    scenes = world.scenes(seed, "val", range(4))
    people, camera = scenes.people, scenes.camera
    for label in labels(scenes, [0, 1, 2, 3]):
        at = (label.scene, label.person)
        origin, direction = people.origin[at], torch.tensor(label.direction, dtype=torch.float64)
        assert direction.norm().item() == pytest.approx(1)
        looked_at = {OUTSIDE: people.target, PERSON: people.head}.get(
            int(people.target_kind[at]), scenes.objects.center
        )
        index = int(people.target_index[at]) if people.target_kind[at] != OUTSIDE else label.person
        target = looked_at[label.scene, index]
        reached = origin + direction * (target - origin).norm()
        torch.testing.assert_close(reached, target)
        point = camera.focal * reached[:2] / reached[2] + torch.stack(
            [torch.tensor(camera.center, dtype=torch.float64), camera.horizon[label.scene]]
        )
        assert (point[0] / 160).item() == pytest.approx(label.gaze[0])
        assert (point[1] / 128).item() == pytest.approx(label.gaze[1])
        inside = all(0 < v < 1 for v in label.gaze)
        assert label.inside == inside == (label.looks_at != "outside")
        x0, y0, x1, y1 = label.head_bbox_px
        assert 0 <= x0 < label.eye[0] * 160 < x1 <= 160
        assert 0 <= y0 < label.eye[1] * 128 < y1 <= 128


@worlds
def test_nobody_looks_at_themselves_or_at_somebody_absent(world):
    people = world.scenes(0, "train", range(200)).people
    scene, person = (people.present & (people.target_kind == PERSON)).nonzero(as_tuple=True)
    other = people.target_index[scene, person]
    assert len(other) > 20
    assert (other != person).all()
    assert people.present[scene, other].all()


@worlds
def test_boxes_hold_the_heads(world):
    """What skulls, faces and hair caps paint on black lies within the boxes."""
    scenes = world.scenes(1, "train", range(4))
    for scene in range(4):
        for person in scenes.people.present[scene].nonzero()[:, 0].tolist():
            present = torch.zeros_like(scenes.people.present)
            present[scene, person] = True
            alone = replace(scenes, people=replace(scenes.people, present=present))
            shapes = [
                s.take(torch.isin(s.layer, torch.tensor([SKULL, FACE, EYES, NOSE, HAIR])).nonzero()[:, 0])
                for s in figures(alone)
            ]
            picture = torch.zeros(3, 128, 160)
            compose(picture, evaluate(shapes, 4, 128, 160)[scene])
            y, x = (picture.amax(0) > 8).nonzero().unbind(1)
            x0, y0, x1, y1 = head_boxes(scenes)[scene, person].tolist()
            assert len(x) > 0
            assert x.min() + 1 >= x0
            assert x.max() <= x1
            assert y.min() + 1 >= y0
            assert y.max() <= y1


def test_pupils_are_displaced_towards_the_target():
    """Where another colour of the iris changes the picture, there is the iris."""
    world = SceneWorld(size=256)
    scenes = world.scenes(2, "train", range(30))
    people = scenes.people
    green = replace(people.looks, iris=torch.tensor([0.0, 1.0, 0.0]).double().expand_as(people.looks.iris))
    pairs = zip(world.paint(scenes), world.paint(replace(scenes, people=replace(people, looks=green))), strict=True)
    cosines = []
    for scene, (before, after) in enumerate(pairs):
        changed = (after - before).abs().amax(0) > 20
        for person in people.present[scene].nonzero()[:, 0].tolist():
            at = (slice(scene, scene + 1), person)
            eyes = eyeballs(people.head[at], people.rotation[at], people.radius[at])
            facing = people.rotation[scene, person, 2, 2] > 0.8  # both eyes are well visible
            toward = (people.target - people.origin)[scene, person, :2]
            if not facing or toward.norm() < 0.3 * (people.target - people.origin)[scene, person].norm():
                continue
            for eye in range(2):
                x, y = replace(scenes.camera, horizon=scenes.camera.horizon[scene : scene + 1]).project(eyes)[0, eye]
                rows, columns = (changed & _disc(x, y, 9.5, 256)).nonzero().unbind(1)
                if len(rows) < 8:
                    continue
                offset = torch.stack([columns.double().mean() + 0.5 - x, rows.double().mean() + 0.5 - y])
                cosines.append(torch.cosine_similarity(offset, toward, dim=0))
    cosines = torch.stack(cosines)
    assert len(cosines) > 30
    assert (cosines > 0).double().mean() > 0.97
    assert cosines.median() > 0.95


def _disc(x, y, radius, size):
    at = torch.arange(size) + 0.5
    return (at[None] - x) ** 2 + (at[:, None] - y) ** 2 < radius**2


@worlds
def test_mirrored_scenes_give_mirrored_pictures(world):
    scenes = world.scenes(4, "train", range(6))
    for picture, mirrored in zip(world.paint(scenes), world.paint(_mirrored(scenes)), strict=True):
        difference = (picture.flip(2) - mirrored).abs()
        assert difference.max() < 2  # of 255
        assert difference.mean() < 0.01


def _mirrored(scenes):
    def things(some):
        return replace(some, center=some.center * MIRROR, yaw=-some.yaw)

    people, room = scenes.people, scenes.room
    return replace(
        scenes,
        people=replace(
            people,
            head=people.head * MIRROR,
            origin=people.origin * MIRROR,
            target=people.target * MIRROR,
            rotation=MIRROR[:, None] * people.rotation * MIRROR,
            body_yaw=-people.body_yaw,
        ),
        objects=things(scenes.objects),
        clutter=things(scenes.clutter),
        pictures=things(scenes.pictures),
        room=replace(room, light=room.light * MIRROR, pattern_shift=-room.pattern_shift),
    )


def test_easy_scenes_hide_no_head_and_no_object():
    scenes = SceneWorld(size=64).scenes(0, "train", range(300))
    camera = scenes.camera
    centers = torch.cat([scenes.people.head, scenes.objects.center], 1)
    radius = torch.cat([scenes.people.radius, scenes.objects.radius], 1) * camera.focal / centers[..., 2]
    distance = torch.cdist(camera.project(centers), camera.project(centers))
    reach = radius[:, :, None] + radius[:, None]
    overlaps = (distance < 0.9 * reach).triu(1).flatten(1).any(1)
    assert overlaps.double().mean() < 0.05


def test_shares_are_kept():
    people = SceneWorld(size=64, outside=0.3, at_people=0.5).scenes(0, "train", range(1000)).people
    kinds = people.target_kind[people.present]
    assert (kinds == OUTSIDE).double().mean().item() == pytest.approx(0.3, abs=0.03)
    assert (kinds == PERSON).double().mean().item() == pytest.approx(0.5, abs=0.03)


def test_ranges_are_kept():
    world = SceneWorld(size=96, people=[1, 4], objects=[2, 5], head_radius=[0.06, 0.09])
    scenes = world.scenes(0, "train", range(300))
    assert scenes.people.present.sum(1).unique().tolist() == [1, 2, 3, 4]
    assert scenes.objects.present.sum(1).unique().tolist() == [2, 3, 4, 5]
    radius = (scenes.people.radius * scenes.camera.focal / scenes.people.head[..., 2])[scenes.people.present] / 96
    assert radius.min() > 0.055
    assert radius.max() < 0.097


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("difficulty", 2, "difficulty is 2; expected a number from 0"),
        ("size", 8, "size is 8; expected px from 32"),
        ("people", [3, 2], "people is [3, 2]; expected two numbers"),
        ("objects", [0, 2], "objects is [0, 2]"),
        ("head_radius", [0.1], "head_radius is [0.1]"),
        ("outside", 0.9, "add up to at most 1"),
    ],
)
def test_bad_arguments_are_refused(argument, value, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (compared below, brackets and all)
        SceneWorld(**{argument: value})
    assert message in str(caught.value)
