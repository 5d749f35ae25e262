"""Augmented samples against what the renderer shows for the augmented world, where the truth is known."""

import math
from dataclasses import replace

import pytest
import torch

from gaze.datasets.screen_augment_boxes import BoxJitter, ScaleJitter
from gaze.datasets.screen_turns import mirrored, quarter_turned, rolled
from gaze.datasets.screen_view import STREAMS, Picture, ScreenView, cut
from gaze.geometry import camera_to_plane
from gaze.landmarks.mirror import mirror_order
from gaze.landmarks.points import DEFAULT
from gaze.synthesis.face_boxes import boxes_of
from gaze.synthesis.face_landmarks import landmarks_of
from gaze.synthesis.face_renderer import render_faces
from gaze.synthesis.faces import Faces
from gaze.types import ScreenTargets
from tests.datasets.screen_views import generator
from tests.synthesis.some_faces import FRAME, some_faces
from tests.synthesis.some_faces import mirrored as mirrored_world
from tests.synthesis.some_faces import rolled as rolled_world

SIZE = 48
PEOPLE = range(3)
LEVELS = 2  # 0.004 of what rounding in float32 leaves, and rounding to 8 bits


@pytest.fixture(scope="module")
def faces():
    return some_faces(len(PEOPLE))


def pictures(faces: Faces, box, size=SIZE) -> torch.Tensor:
    """What a camera of 8 bits records of one face in a box."""
    shown = render_faces(faces, torch.tensor([box]), size).image[0]
    return (255 * shown.clamp(0, 1)).round().to(torch.uint8)


def view(faces: Faces, whole: bool = False) -> ScreenView:
    """One rendered face with everything that is known of it; its crops, or the frame."""
    boxes = {stream: tuple(box) for stream, box in zip(STREAMS, boxes_of(faces)[0].tolist(), strict=True)}
    width, height = faces.view.size[0].tolist()
    frame = (0.0, 0.0, width, height)
    if whole:
        shown = dict.fromkeys(STREAMS, Picture(pictures(faces, frame, (int(height), int(width))), frame))
    else:
        shown = {stream: Picture(pictures(faces, box), box) for stream, box in boxes.items()}
    origin, target = faces.position[0], faces.target[0]
    return ScreenView(
        pictures=shown,
        boxes=boxes,
        placed=frozenset(STREAMS),
        frame_size=(width, height),
        sizes=dict.fromkeys(STREAMS, (SIZE, SIZE)),
        targets=ScreenTargets(
            point=camera_to_plane(target).float(),
            origin=origin.float(),
            gaze=torch.nn.functional.normalize(target - origin, dim=0).float(),
        ),
        landmarks=landmarks_of(faces)[0, list(DEFAULT), :2].float(),
        mirror=torch.tensor(mirror_order(DEFAULT)),
    )


def agree(a: ScreenView, b: ScreenView) -> None:
    for stream in STREAMS:
        assert a.boxes[stream] == pytest.approx(b.boxes[stream], abs=1e-3), stream
        far = (a.pictures[stream].image.int() - b.pictures[stream].image.int()).abs().max()
        assert far <= LEVELS, stream
    for name in ("point", "origin", "gaze"):
        torch.testing.assert_close(getattr(a.targets, name), getattr(b.targets, name), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(a.landmarks, b.landmarks, atol=1e-4, rtol=0)


@pytest.mark.parametrize("person", PEOPLE)
def test_a_flipped_sample_is_the_sample_of_the_mirrored_world(faces, person):
    one = faces.rows(slice(person, person + 1))
    agree(mirrored(view(one)), view(mirrored_world(one)))


@pytest.mark.parametrize("quarters", [1, 2, 3])
@pytest.mark.parametrize("person", PEOPLE)
def test_a_turned_sample_is_the_sample_of_a_turned_camera(faces, person, quarters):
    one = faces.rows(slice(person, person + 1))
    other = rolled_world(one, quarters)
    turned = quarter_turned(view(one), quarters)
    expected = view(other)
    # What is below a face is beside it for a turned camera, so face boxes are told, not found
    boxes = turned.boxes
    shown = {stream: Picture(pictures(other, box), box) for stream, box in boxes.items()}
    agree(turned, replace(expected, boxes=boxes, pictures=shown))
    for eye in STREAMS[1:]:
        assert boxes[eye] == pytest.approx(tuple(boxes_of(other)[0][STREAMS.index(eye)].tolist()), abs=1e-3)


def rolled_by(faces: Faces, angle: float) -> Faces:
    """What a camera sees that is rolled so that the picture turns counter-clockwise by an angle."""
    turn = torch.eye(3, dtype=torch.float64)
    turn[0, :2] = torch.tensor([math.cos(angle), math.sin(angle)])
    turn[1, :2] = torch.tensor([-math.sin(angle), math.cos(angle)])
    return replace(
        faces,
        rotation=turn @ faces.rotation,
        position=faces.position @ turn.T,
        target=faces.target @ turn.T,
        light=replace(faces.light, toward=faces.light.toward @ turn.T),
    )


@pytest.mark.parametrize("angle", [-0.2, 0.12])
def test_a_rolled_sample_is_the_sample_of_a_rolled_camera(faces, angle):
    one = faces.rows(slice(0, 1))
    other = rolled_by(one, angle)
    plain, turned = cut(view(one, whole=True)), cut(rolled(view(one, whole=True), angle))
    for stream in STREAMS:
        expected = pictures(other, turned.boxes[stream]).int()
        far = (turned.pictures[stream].image.int() - expected).abs().float().mean()
        unturned = (plain.pictures[stream].image.int() - expected).abs().float().mean()
        assert far < min(3, unturned / 2)  # what two interpolations leave
    torch.testing.assert_close(turned.targets.point, camera_to_plane(other.target[0]).float())
    torch.testing.assert_close(turned.targets.origin, other.position[0].float())
    own = landmarks_of(other)[0, list(DEFAULT), :2].float()
    torch.testing.assert_close(turned.landmarks, own, atol=1e-4, rtol=0)
    eye = boxes_of(other)[0, 1].tolist()
    assert turned.boxes["left_eye"] == pytest.approx(eye, abs=0.3)  # boxes upright about corners that turned


def test_a_jittered_sample_is_what_is_in_the_moved_box(faces):
    one = faces.rows(slice(1, 2))
    moved = ScaleJitter(0.1)(BoxJitter(0.1, 0.1)(view(one, whole=True), generator(1)), generator(2))
    for stream, picture in cut(moved).pictures.items():
        expected = pictures(one, moved.boxes[stream]).int()
        assert (picture.image.int() - expected).abs().float().mean() < 3
    assert tuple(FRAME.tolist()) == moved.frame_size
