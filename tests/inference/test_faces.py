"""Faces cut out of photographs, and the frames in which a model then answers."""

import pytest
import torch
import torch.nn.functional as F
from scipy.spatial.transform import Rotation

import gaze.inference.faces
from gaze.errors import UserError
from gaze.face_normalization import pinhole, project
from gaze.head_pose import FACE_MM, HeadPose
from gaze.inference.cameras import Camera
from gaze.inference.faces import (
    DETECTED,
    NORMALISED,
    SIX,
    CroppedFaces,
    Cut,
    NormalisedFaces,
    cut_of_run,
    sight_frames,
)
from gaze.inference.heads import HeadsError
from gaze.inference.landmarker import FoundFace, NoFace

INTO_CAMERA = torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64)


def test_a_square_is_cut_as_it_is_asked_for_and_is_black_where_the_picture_has_ended():
    picture = torch.full((3, 64, 128), 50, dtype=torch.uint8)
    picture[:, 32:, 48:80] = 200
    heads = torch.tensor([[0.375, 0.0, 0.625, 1.0], [0.0, 0.0, 0.25, 0.75]])  # 32 x 64 and 32 x 48 px
    faces = CroppedFaces((6, 6), Cut(0.5, 0.75))("a.png", picture, heads)
    assert (faces.face[0] == 200).all()
    assert faces.origin[0].tolist() == pytest.approx([0.5, 0.75])
    wide = CroppedFaces((6, 6), Cut(1.0, 0.5))("a.png", picture, heads).face[1]  # from 8 px left of the picture
    assert (wide[..., 0] < 10).all()
    assert (wide[..., 2:5] == 50).all()
    assert faces.usable.all()
    nobody = CroppedFaces((8, 8))("a.png", picture, torch.zeros(0, 4))
    assert nobody.face.shape == (0, 3, 8, 8)
    with pytest.raises(HeadsError, match="a.png: no head box is given; a model of gaze directions sees one face"):
        CroppedFaces((8, 8))("a.png", picture, torch.full((1, 4), torch.nan))
    with pytest.raises(UserError, match="crop.side=0"):
        CroppedFaces((8, 8), Cut(0.0, 0.5))


def test_the_answer_is_turned_to_the_camera_by_where_the_face_is():
    """A look into the camera is one along the ray, however far aside the face; an answer is the same in the picture."""
    picture = torch.zeros(3, 100, 200, dtype=torch.uint8)
    faces = CroppedFaces((8, 8), Cut(1.0, 0.5))(
        "a.png", picture, torch.tensor([[0.45, 0.4, 0.55, 0.6], [0.9, 0.0, 1.0, 0.2]])
    )
    assert torch.allclose(faces.rotation[0], torch.eye(3).double(), atol=1e-6)
    aside = faces.rotation[1].mT @ INTO_CAMERA
    assert aside.tolist() == pytest.approx((-F.normalize(torch.tensor([90.0, -40, 200]), dim=0)).tolist(), abs=1e-4)
    assert torch.equal(faces.rotation, faces.sight)
    level = sight_frames(F.normalize(torch.tensor([[1.0, 2.0, 3.0]]), dim=-1))[0]
    assert torch.allclose(level @ level.mT, torch.eye(3), atol=1e-6)
    assert float(level[0, 1]) == pytest.approx(0, abs=1e-7)
    assert float(torch.linalg.det(level)) == pytest.approx(1, abs=1e-6)


def test_a_run_says_how_its_data_cuts_faces():
    hub = {"_target_": "gaze.faces.gazehub.GazeHub"}
    for dataset, cut in (
        ({}, DETECTED),
        ({"source": {**hub, "normalised": False}}, DETECTED),
        ({"source": {**hub, "normalised": True}}, NORMALISED),
        ({"source": {"a": {**hub, "normalised": True}, "b": {**hub, "normalised": False}}}, DETECTED),
        ({"source": {"a": {**hub, "normalised": True}, "b": {**hub, "normalised": True}}}, NORMALISED),
    ):
        assert cut_of_run(dataset) == cut


@pytest.fixture
def head(monkeypatch):
    """A rolled head at the upper right of a photograph that shows a disc at the middle of its face."""

    def made(width=320, height=240):
        camera = pinhole(width, height, 1.2 * width)
        rotation = torch.from_numpy(Rotation.from_rotvec([0.1, -0.2, 0.4]).as_matrix())
        model = torch.tensor(FACE_MM, dtype=torch.float64) @ rotation.mT + torch.tensor([120.0, -90.0, 600.0])
        pose = HeadPose(rotation, model.mean(0), model.mean(0))
        six = project(model, camera)
        x, y = project(pose.centre_mm[None], camera)[0].tolist()
        grid = torch.hypot(torch.arange(width)[None] + 0.5 - x, torch.arange(height)[:, None] + 0.5 - y)
        picture = torch.where(grid < width / 40, 250, 60).to(torch.uint8).expand(3, -1, -1).contiguous()
        seen = []

        def find(name, part, time_ms=None):
            h, w = part.shape[-2:]
            seen.append((h, w))
            bright = (part[0] > 200).nonzero()
            if not len(bright):
                raise NoFace(name)
            corner = torch.tensor([x, y]) - (bright.double().mean(0).flip(0) + 0.5)  # of the part
            landmarks = torch.zeros(478, 3)
            landmarks[list(SIX), :2] = ((six - corner) / torch.tensor([w, h])).float()
            return FoundFace(landmarks, torch.zeros(52), torch.zeros(6), torch.tensor([h, w]))

        def solve(landmarks, given):
            assert torch.allclose(landmarks, six, atol=0.02 * width)
            assert torch.allclose(given, camera)
            return pose

        monkeypatch.setattr(gaze.inference.faces, "solve_head_pose", solve)
        box = torch.tensor([[six[:, 0].min() / width, 0.1, six[:, 0].max() / width, 0.6]]).float()
        return picture, box, Camera(1.2 * width), find, pose, seen

    return made


def test_landmarks_that_no_head_can_have_leave_out_that_person_only(head, monkeypatch):
    picture, box, camera, find, pose, _ = head()
    poses = iter([UserError("no head has its landmarks there"), pose])

    def solve(landmarks, given):
        if isinstance(found := next(poses), UserError):
            raise found
        return found

    monkeypatch.setattr(gaze.inference.faces, "solve_head_pose", solve)
    faces = NormalisedFaces((8, 8), camera, find)("a.png", picture, torch.cat([box, box]))
    assert faces.usable.tolist() == [False, True]


@pytest.mark.parametrize("scale", [1, 8])  # of the larger photograph the face is shrunk before it is warped
def test_a_normalised_face_has_its_middle_in_the_middle_and_answers_in_its_own_frame(head, scale):
    picture, box, camera, find, pose, seen = head(320 * scale, 240 * scale)
    nobody = torch.tensor([[0.0, 0.6, 0.2, 0.9]])
    faces = NormalisedFaces((56, 56), camera, find)("a.png", picture, torch.cat([box, nobody]))
    assert faces.usable.tolist() == [True, False]
    assert faces.rotation[1].isnan().all()
    assert seen[1][0] < 0.4 * picture.shape[1]  # only the part around the head is looked at
    y, x = (faces.face[0, 0] > 150).nonzero().double().mean(0).tolist()
    assert (x, y) == pytest.approx((27.5, 27.5), abs=0.5)
    into_camera = faces.rotation[0].mT @ INTO_CAMERA
    assert into_camera.tolist() == pytest.approx((-F.normalize(pose.centre_mm, dim=0)).tolist(), abs=1e-6)
    assert (faces.sight[0] @ into_camera).tolist() == pytest.approx([0, 0, -1], abs=1e-6)
    assert float((faces.rotation[0] @ pose.rotation[:, 0])[1]) == pytest.approx(0, abs=1e-6)  # no roll is left


def test_only_square_faces_can_be_normalised():
    with pytest.raises(
        UserError, match="sees faces of 32 x 48 pixels; normalised faces are square: leave the camera out"
    ):
        NormalisedFaces((32, 48), Camera(100), lambda *_: None)
