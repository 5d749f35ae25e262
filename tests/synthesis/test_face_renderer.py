from dataclasses import replace

import pytest
import torch

from gaze.geometry import camera_to_plane, turn_with_image
from gaze.synthesis.face_boxes import boxes_of
from gaze.synthesis.face_landmarks import BROWS, IRISES, RINGS, landmarks_of
from gaze.synthesis.face_renderer import render_faces
from gaze.synthesis.faces import eyes_of
from tests.synthesis.some_faces import FRAME, mirrored, rolled, some_faces

CLOSE = 0.004  # of grey levels; what rounding in float32 leaves


@pytest.fixture(scope="module")
def faces():
    return some_faces()


@pytest.fixture(scope="module")
def boxes(faces):
    return boxes_of(faces)


def test_mirrored_faces_give_the_mirrored_picture(faces, boxes):
    other = mirrored(faces)
    expected = boxes[:, [0, 2, 1]].clone()  # what was the left eye is the right one
    expected[..., 0] = FRAME[0] - expected[..., 0] - expected[..., 2]
    torch.testing.assert_close(boxes_of(other), expected)
    for box, into in ((0, 0), (1, 2), (2, 1)):
        picture = render_faces(faces, boxes[:, box], 48).image
        mirror = render_faces(other, expected[:, into], 48).image
        assert (picture.flip(3) - mirror).abs().max() < CLOSE


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_rolled_camera_gives_the_turned_picture_and_the_label_turns_the_other_way(faces, boxes, quarters):
    """A quarter counter-clockwise turns the label by -90 degrees (section 3.4 of the specification)."""
    other = rolled(faces, quarters)
    own = boxes_of(other)
    for box in range(3):
        picture = render_faces(faces, boxes[:, box], 48).image
        turned = render_faces(other, own[:, box], 48).image
        assert (picture.rot90(quarters, (2, 3)) - turned).abs().max() < CLOSE
    angle = torch.tensor(quarters * torch.pi / 2, dtype=torch.float64)
    label = turn_with_image(camera_to_plane(faces.target), angle)
    torch.testing.assert_close(camera_to_plane(other.target), label)


def test_the_iris_is_where_the_optical_axis_leaves_the_eyeball(faces, boxes):
    """An eye that is wide open and lit from the camera shows its iris about its axis."""
    eyes = eyes_of(faces)
    seen = replace(faces, aperture=torch.full_like(faces.aperture, 3.0))
    seen = replace(seen, subject=replace(seen.subject, lower_lid=torch.full_like(faces.pupil, 0.9)))
    for eye in range(2):
        iris = render_faces(seen, boxes[:, 1 + eye], 96).iris.double()
        middle = eyes.centre[:, eye] + faces.subject.eye_radius[:, None] * eyes.optical[:, eye]
        expected = faces.view.project(middle[:, None])[:, 0]
        place = (torch.arange(96) + 0.5) / 96
        x = boxes[:, 1 + eye, 0] + boxes[:, 1 + eye, 2] * (iris.sum(1) @ place.double()) / iris.sum((1, 2))
        y = boxes[:, 1 + eye, 1] + boxes[:, 1 + eye, 3] * (iris.sum(2) @ place.double()) / iris.sum((1, 2))
        # 1.5 px of the frame is 0.1 cm; a disc on a ball has its middle a little nearer to the ball's
        assert ((x - expected[:, 0]).abs() < 1.5).all()
        assert ((y - expected[:, 1]).abs() < 1.5).all()


def test_another_gaze_moves_the_eyes_and_leaves_the_rest(faces, boxes):
    """Pairs for gaze redirection."""
    other = faces.looking_at(faces.target + torch.tensor([10.0, 0.0, 0.0]))
    first, second = (render_faces(f, boxes[:, 0], 64) for f in (faces, other))
    changed = (first.image - second.image).abs().amax(1) > 0.02
    near = torch.nn.functional.max_pool2d(torch.maximum(first.eyes, second.eyes), 9, 1, 4) > 0.01
    assert (changed.flatten(1).sum(1) > 4).all()
    assert not (changed & ~near).any()
    assert torch.equal(first.head, second.head)
    irises = [render_faces(f, boxes[:, 1], 64).iris for f in (faces, other)]
    before, after = ((iris.sum(1) @ torch.arange(64.0)) / iris.sum((1, 2)) for iris in irises)
    assert (after > before + 1).all()  # towards image right, where the target went


def test_masks_and_depth_agree(faces, boxes):
    seen = render_faces(faces, boxes[:, 0], 64)
    for mask in (seen.head, seen.skin, seen.hair, seen.eyes, seen.iris, seen.glasses):
        assert mask.min() >= 0
        assert mask.max() <= 1
    assert (seen.skin + seen.hair + seen.eyes <= seen.head + 1e-5).all()
    assert (seen.iris <= seen.eyes + 1e-6).all()
    assert torch.equal(seen.depth.isfinite(), seen.head > 0.5)
    nearest = seen.depth.amin((1, 2)).double()
    assert ((nearest - faces.position[:, 2]).abs() < 6).all()
    worn = faces.subject.glasses > 0
    assert torch.equal(seen.glasses.amax((1, 2)) > 0, worn)
    assert worn.any()
    assert not worn.all()


def test_closed_eyes_show_no_eye(faces, boxes):
    shut = replace(faces, aperture=torch.zeros_like(faces.aperture))
    left = [render_faces(f, boxes[:, 1], 48).eyes.mean((1, 2)) for f in (shut, faces)]
    assert (left[0] < 0.2 * left[1]).all()


def test_refraction_enlarges_pupils(faces, boxes):
    plain, refracted = (render_faces(faces, boxes[:, 1], 64, refraction=r).image for r in (False, True))
    assert (plain - refracted).abs().amax((1, 2, 3)).min() > 0.05


def test_a_face_is_the_same_alone_and_in_company(faces, boxes):
    all_together = render_faces(faces, boxes[:, 0], (32, 48)).image
    alone = render_faces(faces.rows(slice(3, 4)), boxes[3:4, 0], (32, 48)).image
    torch.testing.assert_close(alone[0], all_together[3], rtol=0, atol=1e-6)


def test_landmarks_sit_on_what_they_name(faces, boxes):
    points = landmarks_of(faces)
    assert points[:, :, 0].isfinite().sum(1).tolist() == [71] * len(faces)
    pixels = points[..., :2] * FRAME
    for eye in range(2):
        corners = pixels[:, [RINGS[eye][0], RINGS[eye][8]]]
        box = boxes[:, 1 + eye]
        torch.testing.assert_close(corners.mean(1), box[:, :2] + box[:, 2:] / 2)
        torch.testing.assert_close(1.5 * (corners[:, 0] - corners[:, 1]).norm(dim=-1), box[:, 2])
        brow = pixels[:, list(BROWS[eye])].mean(1)
        assert (brow[:, 1] < corners.mean(1)[:, 1] - 10).all()
        centre, right, top, left, bottom = pixels[:, list(IRISES[eye])].unbind(1)
        assert (right[:, 0] > centre[:, 0]).all()
        assert (left[:, 0] < centre[:, 0]).all()
        assert (top[:, 1] < centre[:, 1]).all()
        assert (bottom[:, 1] > centre[:, 1]).all()
    assert (pixels[:, 33, 0] < pixels[:, 263, 0]).all()  # the user's right eye is on the image's left


def test_the_pixels_of_the_lids_are_inside_the_ring_of_landmarks(faces, boxes):
    """Eyes are drawn where their landmarks are: the mask spans the corners."""
    eyes = render_faces(faces, boxes[:, 1], 96).eyes > 0.5
    ring = (landmarks_of(faces)[:, list(RINGS[0]), :2] * FRAME - boxes[:, 1, None, :2]) / boxes[:, 1, None, 2:] * 96
    for mask, points in zip(eyes, ring, strict=True):
        rows, columns = mask.nonzero().unbind(1)
        low, high = points.amin(0), points.amax(0)
        assert columns.min() + 1 > low[0] - 2
        assert columns.max() < high[0] + 2
        assert rows.min() + 1 > low[1] - 2
        assert rows.max() < high[1] + 2
