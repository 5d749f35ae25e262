"""Gaze directions of people in photographs: numbers, arrows, and agreement with a scene model."""

import json
import math
import sys

import pytest
import torch
from PIL import Image

from gaze.concentration import quantile
from gaze.datasets.image import read_image
from gaze.errors import UserError
from gaze.geometry import pitch_yaw_to_vector
from gaze.hardware import Hardware
from gaze.inference.cameras import Camera
from gaze.inference.direction_people import agreements
from gaze.inference.direction_predictor import cone
from gaze.inference.directions import predict_directions
from gaze.inference.faces import CroppedFaces, Cut, NormalisedFaces
from gaze.inference.heads import FixedHeads, HeadsError, NoHeads
from gaze.inference.landmarker import NoFace
from gaze.inference.opening import open_direction_predictor, open_faces, takes_directions, takes_screens
from tests.inference.films import looking_at
from tests.inference.lookers import looker, write_direction_run
from tests.inference.runs import write_run

MIDDLE, ASIDE = [56, 16, 72, 48], [96, 16, 112, 48]  # px
WHOLE = CroppedFaces((8, 8), Cut(1.0, 0.5))


@pytest.fixture
def photo(tmp_path):
    """Half grey, half white from the middle on: the person in the middle looks to the right, the other one ahead."""
    image = Image.new("RGB", (128, 64), (100, 100, 100))
    image.paste((220, 220, 220), (64, 0, 128, 64))
    file = tmp_path / "photo.png"
    image.save(file)
    return file


def predict(photo, predictor, heads=(MIDDLE, ASIDE), faces=WHOLE, scene=None):
    file = predict_directions(predictor, faces, FixedHeads(heads), photo, photo.parent / "out", {}, scene=scene)
    (record,) = json.loads(file.read_text())["images"]
    return record


def test_a_photograph_becomes_vectors_angles_and_arrows(photo):
    record = predict(photo, looker(concentration=200.0))
    middle, aside = record["people"]
    assert middle["head_bbox_px"] == MIDDLE
    said = middle["direction"]
    x = 120 / 255  # by how much brighter the right half is
    length = math.hypot(x, 1)
    assert said["frame"] == "camera"
    assert said["sight"] == pytest.approx([x / length, 0, -1 / length], abs=1e-4)
    assert said["sight_pitch_yaw_deg"] == pytest.approx([0, -math.degrees(math.atan(x))], abs=0.01)
    assert said["gaze"] == pytest.approx(said["sight"], abs=1e-4)  # the face is in the middle of the picture
    assert said["cone_deg"] == pytest.approx(math.degrees(quantile(torch.tensor(200.0), 0.9)), abs=0.01)
    assert aside["direction"]["sight"] == pytest.approx([0, 0, -1], abs=1e-4)  # into the camera, which is to its left
    assert aside["direction"]["gaze"] == pytest.approx([-0.298, 0, -0.954], abs=1e-3)
    assert aside["direction"]["pitch_yaw_deg"][1] > 0
    drawn = read_image(photo.parent / "out" / "photo_gaze.png").int() - read_image(photo).int()
    assert drawn[:, 32, 78].abs().sum() > 30  # the arrow goes from 64 to 79
    assert (drawn[:, 32, 118:] == 0).all()


def test_a_face_and_its_mirror_image_are_one(photo):
    (fair, _), (biased, _) = (predict(photo, looker(mirror=True, bias=bias))["people"] for bias in (0.0, 0.2))
    assert fair["direction"]["mirror_deg"] == pytest.approx(0, abs=1e-3)
    assert biased["direction"]["mirror_deg"] == pytest.approx(
        math.degrees(math.atan(120 / 255 + 0.2) - math.atan(120 / 255 - 0.2)), abs=0.02
    )
    assert biased["direction"]["sight"] == pytest.approx(fair["direction"]["sight"], abs=0.02)


def test_cones_hold_nine_tenths_of_what_a_spread_means():
    draws = torch.randn(40_000, 2, generator=torch.Generator().manual_seed(0)) * 0.1
    level, up = pitch_yaw_to_vector(torch.tensor([[0.0, 0.3], [math.pi / 3, 0.3]]))
    (radius,) = cone(None, torch.tensor([[0.1, 0.1]]), level[None]).tolist()
    assert (draws.norm(dim=-1) < radius).float().mean().item() == pytest.approx(0.9, abs=0.01)
    # Of who looks 60 degrees up, a deviation of yaw is half of it on the sphere
    torch.testing.assert_close(cone(None, torch.tensor([[0.1, 0.2]]), up[None]), torch.tensor([radius]))
    assert cone(None, None, level[None]) is None


def test_both_models_and_how_far_they_are_apart(photo):
    def scene(pictures, heads):
        return [looking_at((0.9, 0.5), (0.2, 0.2))] * len(pictures)

    middle, aside = predict(photo, looker(), scene=scene)["people"]
    assert middle["gaze"] == pytest.approx([0.9, 0.5], abs=0.01)
    assert middle["agreement_deg"] == pytest.approx(0, abs=1)
    assert aside["direction"]["gaze"][0] < 0
    assert aside["agreement_deg"] is None  # a gaze into the camera leads nowhere in the picture


def test_agreement_is_an_angle_in_pixels_or_nothing():
    box = torch.tensor([[0.4, 0.4, 0.6, 0.6]])
    right, size = torch.tensor([[0.8, 0.0, -0.6]]), (100, 200)
    down = torch.tensor([[0.75, 1.0]])  # 50 px to the right, 50 down
    assert agreements(right, box, down, None, size) == [pytest.approx(45, abs=0.01)]
    assert agreements(-right, box, down, torch.tensor([0.9]), size) == [pytest.approx(135, abs=0.01)]
    nan = torch.full((1, 4), torch.nan)
    for gaze, head, target, inout in (
        (torch.tensor([[0.05, 0.0, -1.0]]), box, down, None),  # along the line of sight
        (right, box, down, torch.tensor([0.2])),  # out of the frame
        (right, box, torch.tensor([[0.55, 0.5]]), None),  # on the own head
        (right, nan, down, None),
        (nan[:, :3], box, down, None),
    ):
        assert agreements(gaze, head, target, inout, size) == [None]


def test_pictures_without_a_usable_face(photo):
    def nobody(name, part, time_ms=None):
        raise NoFace(name)

    with pytest.raises(HeadsError, match="outside the picture of 128 x 64"):
        predict(photo, looker(), heads=[[200, 20, 220, 40]])
    with pytest.raises(HeadsError, match="photo.png: no head box is given"):
        predict_directions(looker(), WHOLE, NoHeads(), photo, photo.parent / "out", {})
    with pytest.raises(NoFace, match="photo.png: no face was found; expected one or more"):  # by a detector
        predict_directions(looker(), WHOLE, lambda *_: torch.zeros(0, 4), photo, photo.parent / "out", {})
    unseen = NormalisedFaces((8, 8), Camera(100), nobody)
    with pytest.raises(NoFace, match="photo.png: no face was found; expected one or more"):
        predict(photo, looker(), faces=unseen)

    def scene(pictures, heads):
        return [looking_at((0.9, 0.5), (0.2, 0.2))] * len(pictures)

    people = predict(photo, looker(), faces=unseen, scene=scene)["people"]  # the scene model needs no face
    assert [(person["direction"], person["agreement_deg"]) for person in people] == [(None, None)] * 2


def test_runs_of_the_wrong_kind_and_faces_by_run(tmp_path, monkeypatch):
    run, scenes = write_direction_run(tmp_path / "directions"), write_run(tmp_path / "scenes")
    assert takes_directions(run)
    assert not takes_screens(run)
    assert not takes_directions(scenes)
    predictor = open_direction_predictor(run, Hardware("cpu"))
    assert (predictor.face_size, predictor.window) == ((8, 8), 1)
    with pytest.raises(UserError, match=r"GazeLLE, takes SceneInputs; expected a model of gaze directions"):
        open_direction_predictor(scenes, Hardware("cpu"))
    with pytest.raises(UserError, match=r"a.onnx does not exist; give a run directory, or a file"):
        open_direction_predictor(tmp_path / "a.onnx", Hardware("cpu"))

    def missing():
        raise UserError("landmarks need MediaPipe, which is not installed")

    assert open_faces(run, None, 0.5, Camera(), missing).cut == Cut(0.67, 0.5)
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UserError, match="but the pose of a head needs OpenCV, which is not installed"):
        open_faces(run, None, None, Camera(500), missing)
    monkeypatch.setattr("gaze.inference.opening.find_spec", lambda name: name)
    with pytest.raises(
        UserError, match="a camera is given, so faces are normalised by their landmarks, but landmarks need"
    ):
        open_faces(run, None, None, Camera(500), missing)
    with pytest.raises(UserError, match="crop.side and crop.down"):
        open_faces(run, 0.5, None, Camera(500), missing)
