"""The lists of indices, and the mirror permutation."""

import pytest
import torch

from gaze.landmarks import points
from gaze.landmarks.mirror import PARTNERS, mirror_landmarks, mirror_order

PAIRS = ["EYE", "BROW", "CORNERS", "LIDS"]
MIDLINE = {0, 1, 2, 4, 5, 6, *range(8, 20), 94, 151, 152, 164, 168, 175, 195, 197, 199, 200}  # pog 2.6


def test_the_default_set_is_71_points_closed_under_mirroring():
    assert len(points.DEFAULT) == len(set(points.DEFAULT)) == 71
    order = mirror_order(points.DEFAULT)
    assert sorted(order) == list(range(71))
    assert points.DEFAULT[order[0]] == 263  # the right eye's outer corner becomes the left's


def test_mirroring_twice_is_nothing_and_keeps_the_midline():
    assert len(PARTNERS) == points.COUNT
    assert all(PARTNERS[PARTNERS[i]] == i for i in range(points.COUNT))
    assert {i for i in range(points.COUNT) if PARTNERS[i] == i} == MIDLINE


@pytest.mark.parametrize("name", PAIRS)
def test_right_lists_map_onto_left_ones_in_order(name):
    right, left = getattr(points, f"RIGHT_{name}"), getattr(points, f"LEFT_{name}")
    assert tuple(PARTNERS[i] for i in right) == left


@pytest.mark.parametrize(("right", "left"), [(468, 473), (469, 476), (470, 475), (471, 474), (472, 477)])
def test_irises_map_by_their_place_in_the_image(right, left):
    assert PARTNERS[right] == left


def test_known_partners_off_the_lists():
    pairs = {61: 291, 234: 454, 48: 278, 98: 327, 127: 356, 109: 338, 148: 377, 205: 425, 50: 280}
    assert {i: PARTNERS[i] for i in pairs} == pairs


def test_a_mirrored_face_has_its_left_eye_at_the_image_left_under_the_name_of_the_right():
    face = torch.rand(2, 478, 3, generator=torch.Generator().manual_seed(0))
    mirrored = mirror_landmarks(face)
    torch.testing.assert_close(mirrored[:, 33, 0], 1 - face[:, 263, 0])
    torch.testing.assert_close(mirrored[:, 33, 1:], face[:, 263, 1:])
    torch.testing.assert_close(mirror_landmarks(mirrored), face)
    subset = face[:, points.DEFAULT]
    torch.testing.assert_close(mirror_landmarks(subset, points.DEFAULT), mirrored[:, points.DEFAULT])


def test_a_set_that_lacks_a_partner_is_refused():
    with pytest.raises(ValueError, match="lacks the partner 263 of 33; add it"):
        mirror_order([1, 33])


def test_partners_mirror_the_mesh_of_mediapipe():
    vision = pytest.importorskip("mediapipe.tasks.python.vision")
    graph = vision.FaceLandmarksConnections.FACE_LANDMARKS_TESSELATION
    edges = {frozenset((edge.start, edge.end)) for edge in graph}
    assert len(edges) == 1322
    assert sum(frozenset(PARTNERS[i] for i in edge) not in edges for edge in edges) == 6
