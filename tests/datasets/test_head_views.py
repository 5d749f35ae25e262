"""Views of heads come out of their files in the project's conventions, and files that can't be right are refused."""

from __future__ import annotations

import json
import pickle

import h5py
import numpy as np
import pytest
import torch

from gaze.datasets.faults import DatasetError, EmptySplitError
from gaze.datasets.head_views import HeadViews
from gaze.datasets.image import ImageError
from gaze.geometry import vector_to_pitch_yaw
from gaze.head_frames import gaze_axis
from gaze.types import collate
from tests.head_views import files
from tests.head_views.files import FLIP, Person, heads, listed, write


def opened(root, split="train", **options):
    return HeadViews(str(root), split, **({"erode": 0} | options))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return heads(tmp_path_factory.mktemp("heads") / "data")


def test_a_sample_is_what_the_file_holds(root):
    views, person = opened(root), Person(1)
    assert len(views) == 8
    sample, row = views[5], 1
    assert (views.name(5), views.group(5)) == ("subject0001.h5#1", "subject0001")
    inputs, targets = sample.inputs, sample.targets
    np.testing.assert_allclose(inputs.identity, person.codes[row, :80], rtol=1e-6)
    np.testing.assert_allclose(inputs.expression, person.codes[row, 80:144], rtol=1e-6)
    np.testing.assert_allclose(inputs.pose, person.pose[row], rtol=1e-6)
    np.testing.assert_allclose(inputs.camera, person.camera[row])
    np.testing.assert_allclose(inputs.world_to_camera[:3, 3], [0, 0, files.DISTANCE])
    shown = np.where(person.head[row][..., None] > 0, person.bgr[row][..., ::-1], 255)  # white around the head
    np.testing.assert_array_equal(targets.image.permute(1, 2, 0), shown)
    np.testing.assert_array_equal(targets.left_eye_mask, person.left[row] > 0)
    canonical = np.concatenate([person.landmarks[row], person.vertices[row, ::100]])
    np.testing.assert_allclose(targets.landmarks, canonical, atol=1e-5)
    assert (int(inputs.sample), int(targets.subject), int(sample.index)) == (5, 1, 5)
    batch = collate([views[0], views[7]])
    assert batch.targets.image.dtype == torch.uint8
    assert batch.inputs.sample.tolist() == [0, 7]


def test_landmarks_come_home_through_a_camera_that_is_turned(tmp_path):
    person = Person(3)
    quarter = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])  # not symmetric: its inverse is its transpose, not itself
    person.turn = person.turn @ quarter
    write(tmp_path / "xgaze_subject0000.h5", person)
    views = opened(listed(tmp_path, train=[0]), vertex_stride=None)
    np.testing.assert_allclose(views.labels.landmarks, person.landmarks, atol=1e-5)


def test_gaze_that_the_file_calls_downwards_and_aside_is_so_in_our_frames(tmp_path):
    person = Person(0)
    person.gaze = np.array([[0.3, 0.0], [0.0, 0.4], [-0.2, -0.1], [0.0, 0.0]])
    person.pose[:] = 0
    write(tmp_path / "subject0000.h5", person)
    labels = opened(listed(tmp_path, train=[0])).labels
    np.testing.assert_allclose(labels.gaze, [[-0.3, 0], [0, 0.4], [0.2, -0.1], [0, 0]], atol=1e-6)
    down, aside = labels.camera_gaze[0], labels.camera_gaze[1]
    np.testing.assert_allclose(down, [0, np.sin(0.3), -np.cos(0.3)], atol=1e-6)  # the camera's y points down
    np.testing.assert_allclose(aside, [-np.sin(0.4), 0, -np.cos(0.4)], atol=1e-6)  # to the picture's left
    np.testing.assert_allclose(vector_to_pitch_yaw(labels.camera_gaze)[2], [0.2, -0.1], atol=1e-6)
    p, y = person.gaze.T  # the canonical gaze of the reference, from stored angles
    expected = np.stack([-np.cos(p) * np.sin(y), -np.sin(p), np.cos(p) * np.cos(y)], 1)
    np.testing.assert_allclose(gaze_axis(labels.gaze), expected, atol=1e-6)


def test_gaze_and_head_in_the_camera_are_those_of_the_files(root):
    views, person = opened(root, "test"), Person(2)
    np.testing.assert_allclose(views.labels.camera_head, person.arrays()["face_head_pose"], atol=1e-6)
    p, y = person.gaze.T
    in_head = np.stack([-np.cos(p) * np.sin(y), np.sin(p), -np.cos(p) * np.cos(y)], 1)  # y down, z away
    turn = FLIP @ person.rotation @ FLIP
    np.testing.assert_allclose(views.labels.camera_gaze, np.einsum("nij,nj->ni", turn, in_head), atol=1e-6)
    assert {int(views[i].inputs.sample) for i in range(4)} == {-1}
    np.testing.assert_array_equal(views[0].targets.head, views.labels.camera_head[0])


def test_smaller_pictures_have_cameras_to_match(root, tmp_path):
    whole, half, odd = opened(root), opened(root, image_size=8), opened(root, image_size=6)
    np.testing.assert_allclose(half[0].inputs.camera, [[20, 0, 4], [0, 20, 4], [0, 0, 1]])
    image = whole[0].targets.image.float()
    means = image.reshape(3, 8, 2, 8, 2).mean((2, 4))
    mask = half[0].targets.head_mask
    assert torch.equal(mask, whole[0].targets.head_mask.float().reshape(8, 2, 8, 2).mean((1, 3)) >= 0.5)
    assert (half[0].targets.image.float() - means)[:, mask].abs().max() <= 0.5
    assert (half[0].targets.image[:, ~mask] == 255).all()
    inner = odd[0].targets.image[:, 1:-1, 1:-1].float().mean()
    assert inner == pytest.approx(image[:, 2:-2, 2:-2].mean().item(), abs=3)
    with pytest.raises(ValueError, match="image_size is 32 .* has pictures of 16 px"):
        opened(root, image_size=32)


def test_masks_are_eroded_before_they_are_applied(root):
    mask = opened(root, erode=2)[0].targets.head_mask
    rows, columns = np.nonzero(mask.numpy())
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 11, 4, 11)  # of 2 to 13


def test_frames_are_held_out_with_all_their_cameras(tmp_path):
    root = heads(tmp_path, people=2, views=12)
    train, val = opened(root, held_frames=0.3), opened(root, "val", held_frames=0.3)
    frames = [set(views.labels.frame.tolist()) for views in (train, val)]
    assert not frames[0] & frames[1]
    assert [len(f) for f in frames] == [4, 2]
    assert sorted(train.row.tolist() + val.row.tolist()) == list(range(12))
    assert {int(val[i].inputs.sample) for i in range(len(val))} == {-1}
    with pytest.raises(EmptySplitError, match=r"val split .* has nobody; .*train 1.*held_frames"):
        opened(root, "val")
    some = opened(root, held_frames=0.3, share=0.5)
    assert set(some.labels.frame.tolist()) < frames[0]
    assert len(some) == 4


def test_views_whose_masks_say_nothing_are_not_trained_on(tmp_path, caplog):
    person = Person(0)
    person.head[0] = 0
    person.left[1] = person.right[1] = 0
    person.left[2] = 0  # seen from the side: one eye is enough
    write(tmp_path / "subject0000.h5", person)
    write(tmp_path / "subject0001.h5", person)
    root = listed(tmp_path, train=[0], test=[1])
    train = opened(root)
    assert train.row.tolist() == [2, 3]
    assert train.unmasked == 2
    assert "2 of 4 views are not trained on: 1 without a mask of the head, 1 without one of an eye" in caplog.text
    assert len(opened(root, "test")) == 4
    with h5py.File(tmp_path / "subject0000.h5", "a") as file:  # what was seen once is looked at again
        file["head_mask"][3] = 255
    assert opened(root).row.tolist() == [2]


def test_pictures_are_remembered_across_copies(root, monkeypatch):
    views = opened(root, cache=True)
    first = views[2]
    monkeypatch.setattr(views, "_files", None)
    again = views[2]
    assert torch.equal(first.targets.image, again.targets.image)
    assert torch.equal(first.targets.right_eye_mask, again.targets.right_eye_mask)


def test_it_travels_to_a_worker(root):
    views = opened(root)
    before = views[1]
    after = pickle.loads(pickle.dumps(views))[1]
    assert torch.equal(before.targets.image, after.targets.image)


def test_names_of_people_and_of_keys_are_told(tmp_path):
    arrays = Person(0).arrays()
    renamed = {"vertice": None, "vertices": arrays["vertice"], "left_eye_mask": None, "cam_index": None}
    for number in range(2):
        write(tmp_path / f"part/xgaze_subject{number:04d}.h5", Person(number), **renamed)
    root = listed(tmp_path, train=[0, 1])
    told = {"vertice": "vertices", "left_eye_mask": None, "cam_index": None}
    views = opened(root, key_map=told, subjects=["0001"])
    assert views.subjects == ("subject0001",)
    assert views[0].targets.left_eye_mask is None
    assert views[0].targets.landmarks.shape == (70, 3)
    assert views.labels.camera_index.tolist() == [-1] * 4
    with pytest.raises(DatasetError, match=r"subject0000\.h5 lacks vertice, left_eye_mask, cam_index|lacks left_eye"):
        opened(root)
    with pytest.raises(DatasetError, match="nobody called 7; .*subject0000, subject0001"):
        opened(root, key_map=told, subjects=["7"])
    with pytest.raises(ValueError, match="key_map says that pose is not there"):
        opened(root, key_map={"pose": None})
    with pytest.raises(ValueError, match="key_map has vertex"):
        opened(root, key_map={"vertex": None})


@pytest.mark.fault("D7")
@pytest.mark.parametrize(
    ("key", "change", "told"),
    [
        ("latent_codes", lambda a: a.__setitem__((2, 7), np.nan), r"subject0000\.h5#2: latent_codes is not a number"),
        ("pose", lambda a: a.__setitem__((1, 0), np.inf), "#1: pose is not a number or infinite"),
        ("inmat", lambda a: a.__setitem__((0, 0, 0), 0), "#0: inmat has no positive focal length"),
        ("w2c_Rmat", lambda a: a.__imul__(2), "w2c_Rmat is no rotation"),
        ("w2c_Tvec", lambda a: a.__setitem__((3, 2), np.nan), "#3: w2c_Tvec is not a number"),
        ("scale", lambda a: a.__setitem__(0, 0), "#0: scale is 0; expected a positive"),
        ("pitchyaw_head", lambda a: a.__setitem__(3, [0.1, 1.6]), r"#3: pitchyaw_head is \(0.1, 1.6\) rad; expected at most 1.4"),
        ("pitchyaw_head", lambda a: a.__imul__(57.3), r"looks like degrees; expected radians; convert"),
        ("vertice", lambda a: a.__setitem__((1, 100), np.nan), "#1: vertice is not a number"),
    ],
)  # fmt: skip
def test_numbers_that_can_not_be_are_told_with_file_key_and_row(tmp_path, key, change, told):
    arrays = {name: values.copy() for name, values in Person(0).arrays().items()}
    change(arrays[key])
    write(tmp_path / "subject0000.h5", Person(0), **{key: arrays[key]})
    root = listed(tmp_path, train=[0])
    with pytest.raises(DatasetError, match=told):
        opened(root)
    if key == "pose":
        kept = opened(root, on_corrupt="skip", skip_limit=0.5)
        assert kept.row.tolist() == [0, 2, 3]
        assert [str(fault.where).rpartition("#")[2] for fault in kept.faults] == ["1"]
        with pytest.raises(DatasetError, match="skip_limit=0.1 of its 4 views"):
            opened(root, on_corrupt="skip")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"inmat": None}, r"subject0001\.h5 lacks inmat; it has .*pose.*key_map"),
        ({"pose": np.zeros((3, 6))}, "pose has 3 rows beside 4 pictures; expected one a picture"),
        ({"pose": np.zeros((4, 5))}, r"pose has shape \[4, 5\]; expected N x 6"),
        ({"head_mask": np.zeros((4, 8, 8), np.uint8)}, "head_mask is 8 x 8 px and face_patch 16 x 16"),
        ({"head_mask": np.zeros((4, 16, 16), np.uint8)}, "head_mask is empty in all 4 views"),
        ({"face_patch": np.zeros((4, 16, 16, 3))}, "face_patch holds float64; expected uint8"),
        ({"latent_codes": np.zeros((4, 100))}, "latent_codes has 100 numbers; expected 144 at least"),
        (
            {"facial_landmarks_3d": np.zeros((4, 66, 3))},
            "has 68 landmarks and vertices and .*70|68 .* expected one size",
        ),
    ],
)
def test_files_that_can_not_be_right_are_refused(tmp_path, changes, told):
    write(tmp_path / "subject0000.h5", Person(0))
    write(tmp_path / "subject0001.h5", Person(1), **changes)
    with pytest.raises(DatasetError, match=told):
        opened(listed(tmp_path, train=[0, 1]))


@pytest.mark.fault("D1")
def test_files_of_other_sizes_and_damaged_ones_are_refused(tmp_path):
    write(tmp_path / "subject0000.h5", Person(0))
    write(tmp_path / "subject0001.h5", Person(1, pixels=32))
    root = listed(tmp_path, train=[0, 1])
    with pytest.raises(
        DatasetError, match=r"subject0001\.h5 has pictures of 32 x 32 px and .*subject0000\.h5 .* 16 x 16"
    ):
        opened(root)
    (tmp_path / "subject0001.h5").write_bytes(b"half a file")
    with pytest.raises(ImageError, match=r"subject0001\.h5: is damaged or no HDF5 file"):
        opened(root)


def test_a_view_that_is_lost_later_is_replaced_only_if_that_is_asked_for(tmp_path):
    root = heads(tmp_path, people=2)
    strict, lenient = opened(root), opened(root, on_corrupt="skip")
    with h5py.File(root / "subject0000.h5", "a") as file:
        pictures = file["face_patch"][:3]
        del file["face_patch"]
        file["face_patch"] = pictures
    with pytest.raises(ImageError, match=r"subject0000\.h5#3: can't be read"):
        strict.sample(3, torch.Generator())
    assert int(lenient.sample(3, torch.Generator()).index) == 0
    assert "subject0000.h5#3" in str(lenient.faults[0])
    with pytest.raises(ImageError):
        lenient[3]


def test_splits_that_are_none_are_refused(tmp_path):
    root = heads(tmp_path)
    (root / "train_test_split.json").write_text(json.dumps({"train": ["subject0000.h5", "subject0009.h5"]}))
    with pytest.raises(DatasetError, match=r"names files in train that are not there: subject0009; .* has 3"):
        opened(root)
    (root / "train_test_split.json").write_text(
        json.dumps({"train": ["subject0000.h5"], "test": ["mpii_subject0000.h5"]})
    )
    with pytest.raises(
        DatasetError, match=r"test lists mpii_subject0000\.h5 of MPIIFaceGaze; expected files of ETH-XGaze; set kind"
    ):
        opened(root)
    listed(root, train=[0, 1], test=[1])
    with pytest.raises(DatasetError, match="subject0001 in both train and test"):
        opened(root)
    (root / "train_test_split.json").write_text("[")
    with pytest.raises(DatasetError, match=r"train_test_split\.json can't be used"):
        opened(root)
    (root / "train_test_split.json").unlink()
    with pytest.raises(DatasetError, match=r"train_test_split\.json is missing; .*prepare_xgaze"):
        opened(root)
    with pytest.raises(DatasetError, match="is not a folder"):
        opened(root / "nothing")
    (root / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"no \*\.h5 file"):
        opened(root / "empty")


@pytest.mark.fault("D10")
@pytest.mark.parametrize("split", ["train", "val"])
def test_training_on_the_test_set_is_refused(tmp_path, split):
    xgaze = tmp_path / "xgaze"
    for number in (0, 12):
        write(xgaze / f"xgaze_subject{number:04d}.h5", Person(number))
    with pytest.raises(DatasetError, match="has subject0012, 1 of the 15 people of ETH-XGaze's test set; .*refused"):
        opened(listed(xgaze, **{split: [0, 12]}), split)
    listed(xgaze, train=[0], test=[12])
    assert len(opened(xgaze)) == 4
    assert len(opened(xgaze, "test")) == 4
    moved = write(tmp_path / "other" / "test" / "subject0001.h5", Person(1)).parents[1]
    with pytest.raises(DatasetError, match="lies in a folder called test; training on the test set is refused"):
        opened(listed(moved, **{split: [1]}), split)
    columbia = write(tmp_path / "columbia" / "columbia_subject0001.h5", Person(1)).parent
    assert len(opened(columbia, "test", kind="columbia")) == 4
    with pytest.raises(EmptySplitError, match="ColumbiaGaze is an evaluation set .* dataset=xgaze_render"):
        opened(columbia, split, kind="columbia")
    with pytest.raises(DatasetError, match="holds files of ColumbiaGaze; set kind"):
        opened(columbia, split)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"split": "tset"}, "split is 'tset'"),
        ({"kind": "gaze"}, "kind is 'gaze'; expected one of xgaze"),
        ({"held_frames": 1.0}, "held_frames is 1.0"),
        ({"identity": [80, 80]}, r"identity is \[80, 80\]"),
        ({"on_corrupt": "drop"}, "on_corrupt is 'drop'"),
        ({"share": 0.0}, "share is 0.0"),
        ({"erode": -1}, "erode is -1"),
    ],
)
def test_wrong_options_are_told(root, options, told):
    with pytest.raises(ValueError, match=told):
        opened(root, **options)


def test_gaze_that_turns_far_can_be_left_to_validation(tmp_path):
    root = heads(tmp_path, people=2, views=8)
    listed(root, train=[0, 1])
    everything = HeadViews(str(root), "train")
    yaw = everything.labels.gaze[:, 1].abs()
    limit = float(yaw.median())
    narrow = HeadViews(str(root), "train", train_yaw_rad=limit)
    assert len(narrow) == int((yaw <= limit).sum()) < len(everything)
    assert narrow.labels.gaze[:, 1].abs().max() <= limit
    wide = HeadViews(str(root), "val", held_frames=0.5, train_yaw_rad=limit)
    assert len(wide) == len(HeadViews(str(root), "val", held_frames=0.5))
