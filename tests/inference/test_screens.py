"""Points of gaze of pictures and tables: crops as in training, pixels of the right screen, and what is left out."""

import csv
import json
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from gaze.calibration.adapted import Change
from gaze.calibration.calibration import Calibration
from gaze.calibration.corrections import Polynomial
from gaze.datasets.crops import crop_box
from gaze.datasets.image import ImageError, read_image
from gaze.datasets.screen import ScreenDataset
from gaze.devices import find_device, load_devices
from gaze.errors import UserError
from gaze.export.screens import look
from gaze.geometry import screen_to_camera_plane, turned_size
from gaze.hardware import Hardware
from gaze.inference.landmarker import FoundFace, NoFace, SeveralFaces, found_face
from gaze.inference.looks import look_at, screens_of
from gaze.inference.opening import open_screen_predictor, takes_screens
from gaze.inference.screen_predictor import ScreenPredictor, Views
from gaze.inference.screen_sources import open_crops
from gaze.inference.screens import Held, predict_dataset, predict_pictures
from gaze.landmarks.points import LEFT_CORNERS, RIGHT_CORNERS
from gaze.types import ScreenPrediction
from tests.datasets.screen_views import table
from tests.export.screen_runs import write_screen_run
from tests.inference.runs import write_run
from tests.recordings.own_folders import strip

PHONE = find_device("iPhone 6", load_devices())
VIEWS = Views(
    ("face", "left_eye", "right_eye", "geometry", "imu", "orientation"),
    dict.fromkeys(("face",), (16, 16)) | dict.fromkeys(("left_eye", "right_eye"), (8, 12)),
    (0, 1),
)


class Brightness(torch.nn.Module):
    """Points at the mean brightness of the face, in cm, and says how sure it is."""

    def forward(self, inputs):
        point = inputs.face.mean((1, 2, 3))[:, None] * torch.tensor([1.0, -1.0])
        return ScreenPrediction(point, log_scale=torch.zeros_like(point))


def predictor(**options):
    return ScreenPredictor(Brightness(), VIEWS, Hardware("cpu"), **options)


def landmarks():
    points = torch.full((478, 3), 0.5)
    points[0, :2], points[1, :2] = torch.tensor([0.25, 0.25]), torch.tensor([0.75, 0.75])
    for corners, x in ((LEFT_CORNERS, 0.6), (RIGHT_CORNERS, 0.3)):
        points[corners[0], :2], points[corners[1], :2] = torch.tensor([x, 0.4]), torch.tensor([x + 0.1, 0.4])
    return points


class Finder:
    """Finds one face in every picture that is not black, and two in white ones."""

    def __call__(self, name, picture, time_ms=None):
        faces = 0 if picture.float().mean() < 10 else 2 if picture.float().mean() > 245 else 1
        if faces != 1:
            found_face(name, SimpleNamespace(face_landmarks=[None] * faces), torch.tensor(picture.shape[-2:]))
        size = torch.tensor(picture.shape[-2:])
        return FoundFace(landmarks(), torch.full((52,), torch.nan), torch.full((6,), torch.nan), size)


@contextmanager
def finder(video):
    yield Finder()


def photo(path, value=128, orientation=None):
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.new("RGB", (200, 160), (value, value, value)).save(path, exif=exif)
    return path


def rows(file):
    with file.open() as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("orientation", [1, 2, 3, 4])
def test_pixels_are_those_of_the_screen_as_it_is_held(orientation):
    held = torch.tensor(orientation)
    cm, px = (turned_size(torch.tensor(size, dtype=torch.float), held) for size in (PHONE.screen_cm, PHONE.screen_px))
    on_screen = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.25, 0.75], [1.0, 1.0]])
    plane = screen_to_camera_plane(on_screen * cm, cm, torch.tensor(PHONE.camera_to_screen_cm), held)
    screens = screens_of(PHONE, orientation, 4)
    torch.testing.assert_close(screens.pixels(plane), on_screen * px, atol=1e-2, rtol=0)
    assert screens_of(None, orientation, 4).pixels(plane).isnan().all()


def test_a_picture_is_cut_as_in_training():
    picture = torch.randint(0, 256, (3, 160, 200), dtype=torch.uint8)
    look = look_at("a.jpg", picture, Finder(), VIEWS, 3)
    face = Finder()("a.jpg", picture)
    assert torch.equal(look.inputs.left_eye, crop_box(picture, face.boxes()[1], (8, 12)))
    assert look.inputs.face.shape == (3, 16, 16)
    box = look.inputs.geometry[4:8] * torch.tensor([200.0, 160.0, 200.0, 160.0])
    torch.testing.assert_close(box, face.boxes()[1], atol=1e-3, rtol=0)
    assert (look.inputs.orientation, look.inputs.imu_valid, look.inputs.landmarks) == (3, 0, None)
    assert look.doubt == ""


def test_pictures_become_a_table_and_what_can_t_be_used_is_named(tmp_path, caplog):
    folder, out = tmp_path / "photos", tmp_path / "found"
    folder.mkdir()
    for name, value, orientation in (
        ("a", 51, None),
        ("b", 102, 6),
        ("dark", 0, None),
        ("two", 255, None),
        ("m", 99, 2),
    ):
        photo(folder / f"{name}.png", value, orientation)
    (folder / "half.png").write_bytes((folder / "a.png").read_bytes()[:40])
    file = predict_pictures(predictor(), finder, folder, out, {"run": "r"}, Held(PHONE, 1), batch_size=2)
    found = rows(file)
    assert [row["sample"] for row in found] == ["a.png", "b.png"]
    assert [float(row["x_cm"]) for row in found] == [0.2, 0.4]
    x_px = (0.2 + PHONE.camera_to_screen_cm[0]) / PHONE.screen_cm[0] * PHONE.screen_px[0]
    assert float(found[0]["x_px"]) == pytest.approx(x_px, abs=0.06)
    assert (found[0]["on_screen"], found[0]["log_scale_x"], found[0]["raw_x_cm"]) == ("0", "0.0", "")
    assert Image.open(out / "points.png").size[0] > 100
    results = json.loads((out / "results.json").read_text())
    reasons = {skip["sample"]: skip["reason"] for skip in results["skipped"]}
    assert "no face was found" in reasons["dark.png"]
    assert "more than one face was found" in reasons["two.png"]
    assert "EXIF says that it is mirrored" in reasons["m.png"]
    assert set(reasons) == {"dark.png", "two.png", "m.png", "half.png"}


@pytest.mark.parametrize(
    ("value", "orientation", "kind"), [(0, None, NoFace), (255, None, SeveralFaces), (99, 5, ImageError)]
)
def test_the_only_picture_must_do(tmp_path, value, orientation, kind):
    with pytest.raises(kind):
        predict_pictures(
            predictor(), finder, photo(tmp_path / "a.png", value, orientation), tmp_path / "out", {}, Held()
        )
    assert not (tmp_path / "out" / "predictions.csv").exists()


def test_exif_turns_pictures_upright(tmp_path):
    seen = []

    class Watching(Finder):
        def __call__(self, name, picture, time_ms=None):
            seen.append(picture)
            return super().__call__(name, picture)

    @contextmanager
    def watching(video):
        yield Watching()

    predict_pictures(predictor(), watching, photo(tmp_path / "a.png", 90, 6), tmp_path / "out", {}, Held())
    assert torch.equal(seen[0], read_image(tmp_path / "a.png"))
    assert tuple(seen[0].shape) == (3, 200, 160)


def test_settings_are_checked_before_the_landmarker_is_opened(tmp_path):
    def never(video):
        raise AssertionError

    photo(tmp_path / "a.png")
    for arguments, said in (
        ({"held": Held(PHONE, 5)}, "orientation=5"),
        ({"held": Held(), "batch_size": 0}, "batch_size=0"),
    ):
        with pytest.raises(UserError, match=said):
            predict_pictures(predictor(), never, tmp_path / "a.png", tmp_path / "out", {}, **arguments)


def test_tables_tell_their_screens_and_truth_and_calibration_moves_points(tmp_path):
    path = table(tmp_path, {"anna": 3})
    data = ScreenDataset(str(path), "train", VIEWS.streams, 16, (8, 12))
    shift = Polynomial(torch.zeros(2).double(), torch.ones(2).double(), torch.tensor([[1.0, -2.0]]).double())
    calibration = Calibration("offset", shift, 1, 1, [[1.0, 0.0], [0.0, 1.0]], [1.0, -2.0])
    plain = rows(predict_dataset(predictor(), data, path, tmp_path / "a", {}))
    moved = rows(predict_dataset(predictor(calibration=calibration), data, path, tmp_path / "b", {}))
    assert [row["sample"] for row in plain] == data.labels.sample_id
    for before, after in zip(plain, moved, strict=True):
        assert float(after["x_cm"]) == pytest.approx(float(before["x_cm"]) + 1.0, abs=2e-4)
        assert after["raw_y_cm"] == before["y_cm"]
        px_per_cm = 750 / 5.85
        assert float(after["x_px"]) == pytest.approx(float(before["x_px"]) + px_per_cm, abs=0.2)


def test_a_calibration_that_changes_the_model_is_applied(tmp_path):
    run = write_screen_run(tmp_path / "run")
    change = Change({"output.standard.mean_cm": torch.tensor([4.0, -5.0])})
    Calibration("finetune_full", change, 1, 1, [[1.0, 0.0], [0.0, 1.0]], [3.0, 0.0]).write(tmp_path / "anna.json")
    inputs = look({"streams": ["face", "left_eye", "right_eye", "geometry"], "face_size": 16, "eye_size": [8, 12]}, 3)
    own, _ = open_screen_predictor(run, Hardware("cpu"))(inputs)
    hers, _ = open_screen_predictor(run, Hardware("cpu"), calibration=str(tmp_path / "anna.json"))(inputs)
    torch.testing.assert_close(hers.point, own.point + torch.tensor([3.0, 0.0]))


def test_sources_are_told_apart(tmp_path):
    run = write_screen_run(tmp_path / "run")
    views = open_screen_predictor(run, Hardware("cpu")).views
    assert views.streams == ("face", "left_eye", "right_eye", "geometry", "imu")  # who it is, nobody knows
    path = table(tmp_path, {"anna": 2})
    prepared = open_crops(path, "train", views, None, run)
    assert prepared.sizes["left_eye"] == (8, 12)
    (tmp_path / "photos").mkdir()
    assert open_crops(tmp_path / "photos", "test", views, None, run) is None
    own = {"_target_": "gaze.datasets.folder_csv.FolderCsv", "_partial_": True}
    own["recording"] = {"_target_": "gaze.recordings.folder_csv.FolderCsv", "root": "x", "file": "index.csv"}
    own["recording"]["columns"] = {"subject": "person", "x": "gaze_x", "y": "gaze_y", "image": "image"}
    eyes = Views(("left_eye", "right_eye"), dict.fromkeys(("left_eye", "right_eye"), (8, 12)), ())
    folder = strip(tmp_path / "strips")
    assert len(open_crops(folder, "test", eyes, own, run)) == 6
    other = write_screen_run(tmp_path / "other", path=None, recording=own["recording"], _target_=own["_target_"])
    assert len(open_crops(folder, "test", eyes, None, other)) == 6


def test_models_are_told_apart_without_loading_them(tmp_path):
    assert takes_screens(write_screen_run(tmp_path / "screens"))
    assert not takes_screens(write_run(tmp_path / "scenes"))
    assert not takes_screens(tmp_path / "gone")
    assert not takes_screens(tmp_path / "gone.onnx")
