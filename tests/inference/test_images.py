"""Photographs in, overlays of their own size and numbers out; nothing else is touched."""

import json

import pytest
import torch
from PIL import Image

from gaze.datasets.image import ImageError, read_image
from gaze.errors import UserError
from gaze.inference.heads import FixedHeads, HeadsError
from gaze.inference.images import overlay_name, predict_images
from tests.inference.runs import predictor_of, write_run

HEADS = FixedHeads([[0.1, 0.1, 0.4, 0.5], [0.5, 0.4, 0.8, 0.9]])
TURNED = 6  # EXIF: the camera was held upright


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return predictor_of(write_run(tmp_path_factory.mktemp("runs") / "tiny"))


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    Image.new("RGB", (90, 60), "grey").save(folder / "landscape.jpg")
    Image.new("RGB", (60, 90), "grey").save(folder / "sub" / "portrait.png")
    exif = Image.Exif()
    exif[0x0112] = TURNED
    Image.new("RGB", (90, 60), "grey").save(folder / "turned.JPG", exif=exif)
    return folder


def test_a_batch_of_nothing_is_refused_before_anything_is_written(predictor, photos, tmp_path):
    with pytest.raises(UserError, match="batch_size=0; expected a number of images, 1 or more"):
        predict_images(predictor, HEADS, photos, tmp_path / "out", {}, batch_size=0)
    assert not (tmp_path / "out").exists()


def test_a_folder_and_what_is_below_it(predictor, photos, tmp_path):
    out = tmp_path / "out"
    results = json.loads(predict_images(predictor, HEADS, photos, out, {"run": "tiny"}, batch_size=2).read_text())
    sizes = {record["image"]: (record["width"], record["height"]) for record in results["images"]}
    assert sizes == {"landscape.jpg": (90, 60), "sub/portrait.png": (60, 90), "turned.JPG": (60, 90)}
    for record in results["images"]:
        assert tuple(read_image(out / record["overlay"]).shape[1:]) == (record["height"], record["width"])
        assert [person["head_bbox"] for person in record["people"]] == [[0.1, 0.1, 0.4, 0.5], [0.5, 0.4, 0.8, 0.9]]
        for person in record["people"]:
            scaled = [person["gaze"][0] * record["width"], person["gaze"][1] * record["height"]]
            assert person["gaze_px"] == pytest.approx(scaled, abs=0.06)
    assert results["complete"]
    assert results["run"] == "tiny"


def test_a_turned_photograph_is_read_upright(predictor, photos, tmp_path):
    upright = read_image(photos / "turned.JPG")
    Image.fromarray(upright.permute(1, 2, 0).contiguous().numpy()).save(photos / "upright.png")
    answers = []
    for name in ("turned.JPG", "upright.png"):
        file = predict_images(predictor, HEADS, photos / name, tmp_path / name, {})
        answers.append(json.loads(file.read_text())["images"][0]["people"])
    assert answers[0] == answers[1]


def test_a_damaged_image_is_skipped_in_a_folder_and_an_error_alone(predictor, photos, tmp_path):
    (photos / "text.jpg").write_text("hello")
    whole = (photos / "sub" / "portrait.png").read_bytes()
    (photos / "cut.png").write_bytes(whole[: len(whole) // 2])
    results = json.loads(predict_images(predictor, HEADS, photos, tmp_path / "out", {}).read_text())
    assert len(results["images"]) == 3
    assert [skip["image"] for skip in results["skipped"]] == ["cut.png", "text.jpg"]
    with pytest.raises(ImageError, match=r"text.jpg: is not a JPEG"):
        predict_images(predictor, HEADS, photos / "text.jpg", tmp_path / "alone", {})


def test_a_box_that_fits_no_image_is_an_error(predictor, photos, tmp_path):
    outside = FixedHeads([[100, 100, 200, 200]])
    with pytest.raises(HeadsError, match="outside the picture"):
        predict_images(predictor, outside, photos / "landscape.jpg", tmp_path / "out", {})
    with pytest.raises(UserError, match=r"none of the 3 images.*outside the picture"):
        predict_images(predictor, outside, photos, tmp_path / "all", {})


def test_no_source_and_no_image(predictor, tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        predict_images(predictor, HEADS, tmp_path / "nowhere.jpg", tmp_path / "out", {})
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no image in"):
        predict_images(predictor, HEADS, tmp_path / "empty", tmp_path / "out", {})


def test_predicting_again_replaces_what_it_wrote_and_does_not_feed_on_it(predictor, photos):
    out = photos / "out"
    for _ in range(2):
        results = json.loads(predict_images(predictor, HEADS, photos, out, {}).read_text())
        assert len(results["images"]) == 3


@pytest.mark.parametrize("name", ["landscape_gaze.jpg", "results.json"])
def test_a_file_that_is_not_ours_is_never_replaced(predictor, photos, tmp_path, name):
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("precious")
    with pytest.raises(UserError, match=f"{name} exists.*out="):
        predict_images(predictor, HEADS, photos, out, {})
    assert (out / name).read_text() == "precious"
    assert len(list(out.iterdir())) == 1


def test_the_source_folder_is_no_place_for_results(predictor, photos):
    before = sorted(photos.rglob("*"))
    with pytest.raises(UserError, match="source folder itself"):
        predict_images(predictor, HEADS, photos, photos, {})
    assert sorted(photos.rglob("*")) == before


def test_a_model_without_in_out_and_a_picture_without_prompt(photos, tmp_path):
    predictor = predictor_of(write_run(tmp_path / "run", inout=False))

    def nobody_in_particular(name, picture, frame=0):
        return torch.full((1, 4), torch.nan)

    file = predict_images(predictor, nobody_in_particular, photos / "landscape.jpg", tmp_path / "out", {})
    (person,) = json.loads(file.read_text())["images"][0]["people"]
    assert person["inout_probability"] is None
    assert person["head_bbox_px"] is None


def test_overlays_keep_their_folder_and_format():
    assert overlay_name("a/b.JPG") == "a/b_gaze.JPG"
    assert overlay_name("scan") == "scan_gaze.png"
