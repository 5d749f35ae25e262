"""Faces with 3D gaze: samples are what the labels say, augmented or not, alone or in clips."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from gaze.datasets.directions import Directions
from gaze.datasets.face_augment import Blur, ColourJitter, Flip, Grey, ResizedCrop
from gaze.datasets.face_view import FaceView, mirrored
from gaze.datasets.faults import DatasetError, EmptySplitError
from gaze.geometry import vector_to_pitch_yaw
from gaze.types import collate
from tests.faces import trees
from tests.faces.opening import opened

TRUE = trees.directions(6)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = trees.gazehub_gaze360(tmp_path_factory.mktemp("faces"), TRUE)
    trees.write(root / "attributes.csv", "face,light\ntrain/Face/1.jpg,dim\ntrain/Face/3.jpg,bright\n")
    return root


@pytest.fixture
def broken(tmp_path):
    return trees.gazehub_gaze360(tmp_path, TRUE)


def data(root, split="train", name="gaze360", **changes):
    return Directions(opened(name, root), split, **({"face_size": 8} | changes))


def draws(seed):
    return torch.Generator().manual_seed(seed)


def edit(root, line, old, new, split="train"):
    file = root / f"Label/{split}.label"
    lines = file.read_text().splitlines()
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    file.write_text("\n".join(lines))


def test_samples_and_labels_are_those_of_the_files(root):
    samples = data(root)
    assert len(samples) == 3
    assert samples.name(0) == "gaze360/Image/train/Face/1.jpg"
    batch = collate([samples[i] for i in range(3)])
    assert batch.inputs.face.shape == (3, 3, 8, 8)
    assert batch.inputs.face.dtype == torch.uint8
    torch.testing.assert_close(batch.targets.gaze, torch.from_numpy(TRUE[:3]).float())
    labels = samples.labels
    torch.testing.assert_close(labels.gaze, batch.targets.gaze)
    assert labels.subjects == ("gaze360/rec_001/000001",)
    assert labels.datasets == ("gaze360",)
    assert labels.frame.tolist() == [0, 1, 2]
    assert labels.detected.all()
    assert labels.head.isnan().all()
    assert labels.attributes["light"].values == ("bright", "dim")
    assert labels.attributes["light"].of.tolist() == [1, -1, 0]


def test_clips_hold_the_nearest_frame_in_place_of_a_missing_one(root):
    batch = data(root, window=5)[0]
    assert batch.inputs.present.tolist() == [False, False, True, True, True]
    shown = ((batch.inputs.face[:, 0].float().mean((1, 2)) - 40) / 10).round().tolist()
    assert shown == [0, 0, 0, 1, 2]
    torch.testing.assert_close(batch.targets.gaze, torch.from_numpy(TRUE[0]).float())


def test_views_are_decided_by_the_generator_and_evaluation_by_nothing(root):
    augment = [ResizedCrop(0.5), Flip(), ColourJitter(), Grey(0.5), Blur(0.1, 0.5)]
    samples = data(root, augmentations=augment, window=3)
    a, b, c = (samples.sample(1, draws(seed)).inputs.face for seed in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(samples[1].inputs.face, samples[1].inputs.face)


def test_a_mirror_changes_yaw_and_keeps_pitch_of_gaze_and_head():
    image = torch.arange(48, dtype=torch.uint8).view(3, 4, 4)
    view = FaceView((image, image), torch.from_numpy(TRUE[0]).float(), torch.tensor([0.1, 0.2]))
    seen = Flip(1.0)(view, draws(0))
    change = torch.tensor([1.0, -1.0])
    torch.testing.assert_close(vector_to_pitch_yaw(seen.gaze), vector_to_pitch_yaw(view.gaze) * change)
    assert torch.equal(seen.head, view.head * change)
    assert torch.equal(seen.images[1], image.flip(-1))
    assert torch.equal(mirrored(seen).gaze, view.gaze)
    for augment in (Flip(0.0), Grey(0.0), Blur(probability=0.0), ResizedCrop(probability=0.0)):
        assert torch.equal(augment(view, draws(0)).images[0], image)


def test_frames_of_a_clip_change_alike():
    image = torch.randint(0, 256, (3, 16, 16), dtype=torch.uint8, generator=draws(0))
    view = FaceView((image, image), torch.tensor([0.0, 0.0, -1.0]), torch.zeros(2))
    for augment in (ColourJitter(), Blur(0.2, 1.0), ResizedCrop(0.5), Grey(1.0)):
        first, second = augment(view, draws(3)).images
        assert torch.equal(first, second)
        assert not (first.shape == image.shape and torch.equal(first, image))


def test_cutting_normalised_faces_is_refused(tmp_path):
    root = trees.gazehub_mpii(tmp_path, TRUE)
    with pytest.raises(ValueError, match="mpiifacegaze holds normalised pictures"):
        data(root, name="mpiifacegaze", augmentations=[ResizedCrop()])
    assert len(data(root, name="mpiifacegaze", hold_out="p01")) == 3


@pytest.mark.fault("D7")
@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda root: edit(root, 2, ".jpg ", ".jpg more "), r"train\.label:2: 7 fields; expected the header's 6"),
        (
            lambda root: edit(root, 3, trees.numbers(TRUE[1] * [-1, -1, 1]), "nan,0,1"),
            r"train\.label:3: gaze is not a num",
        ),
        (lambda root: edit(root, 3, trees.numbers(TRUE[1] * [-1, -1, 1]), "0,0,2"), r"train\.label:3: gaze is 2 long"),
        (lambda root: edit(root, 3, "Face\\2", "Face\\1"), r"train\.label:3: Image/train/Face/1\.jpg has a row before"),
        (lambda root: (root / "Image/train/Face/2.jpg").unlink(), r"train\.label:3: .*there is no such file"),
        (lambda root: (root / "Image/train/Face/2.jpg").write_bytes(b""), r"train\.label:3: .*2\.jpg"),
    ],
)
def test_faults_are_told_with_file_and_row_or_left_out_and_counted(change, found, broken):
    change(broken)
    with pytest.raises(DatasetError, match=found):
        data(broken)
    samples = data(broken, on_corrupt="skip", skip_limit=0.5)
    assert len(samples) == 2
    assert len(samples.faults) == 1
    with pytest.raises(DatasetError, match="more than skip_limit"):
        data(broken, on_corrupt="skip", skip_limit=0.01)


@pytest.mark.fault("D1")
def test_damaged_pictures_are_found_by_decoding_and_links_are_followed(broken):
    picture = broken / "Image/train/Face/2.jpg"
    picture.rename(broken / "Image/2.jpg")
    picture.symlink_to(broken / "Image/2.jpg")
    assert len(data(broken)) == 3
    picture.write_bytes(b"\xff\xd8no")
    with pytest.raises(DatasetError, match=r"train\.label:3: .*2\.jpg"):
        data(broken, check="decode")


def test_lengths_close_to_one_are_made_one_and_counted(broken, caplog):
    edit(broken, 3, trees.numbers(TRUE[1] * [-1, -1, 1]), trees.numbers(TRUE[1] * [-1.02, -1.02, 1.02]))
    torch.testing.assert_close(data(broken).labels.gaze[1], torch.from_numpy(TRUE[1]).float())
    assert "1 gaze vectors were not of unit length" in caplog.text


def test_pictures_that_break_later_are_replaced_and_listed(broken):
    samples = data(broken, check="labels", on_corrupt="skip", window=3)
    (broken / "Image/train/Face/2.jpg").unlink()
    batch = samples.sample(1, draws(0))
    assert int(batch.index) == 2
    assert "Face/2.jpg" in str(samples.faults[0])
    assert samples[0].inputs.present.tolist() == [False, True, False]  # and elsewhere it is a frame that is missing


@pytest.mark.fault("D9")
def test_empty_splits_limits_and_shared_people_are_refused(broken):
    with pytest.raises(EmptySplitError, match="unlabelled split of .* holds no sample.*the data has test, train"):
        data(broken, "unlabelled")
    with pytest.raises(DatasetError, match="split 'dev': expected train, val, test"):
        data(broken, "dev")
    with pytest.raises(ValueError, match="yaw_max_deg names mpii; expected gaze360"):
        data(broken, yaw_max_deg={"mpii": 42.0})
    yaw = np.degrees(np.abs(trees.pitch_yaw(TRUE)[:3, 1]))
    assert len(data(broken, yaw_max_deg=float(np.median(yaw)) + 1e-3)) == 2
    edit(broken, 2, "rec_000/head/000000", "rec_001/head/000001", split="test")
    with pytest.raises(DatasetError, match=r"rec_001/000001 is in test \(.*test\.label:2\) and train"):
        data(broken)


def test_several_data_sets_train_together_and_one_can_be_left_out(root, tmp_path):
    sources = {
        "gaze360": opened("gaze360", root),
        "mpiifacegaze": opened("mpiifacegaze", trees.gazehub_mpii(tmp_path, TRUE)),
    }
    opening = partial(Directions, sources, face_size=8, hold_out={"dataset": "mpiifacegaze"})
    train, val, test = (opening(split=split) for split in ("train", "val", "test"))
    assert (len(train), len(val), len(test)) == (3, 1, 6)
    assert test.labels.datasets == ("mpiifacegaze",)
    assert test.group(0) == "mpiifacegaze/p00"
    torch.testing.assert_close(test.labels.gaze, torch.from_numpy(TRUE).float())


def test_samples_that_were_trained_on_are_not_tested_whatever_else_is_left_out(tmp_path):
    gaze = trees.directions(40)
    source = opened("mpiifacegaze", trees.gazehub_mpii(tmp_path, gaze))
    limit = float(np.degrees(np.abs(trees.pitch_yaw(gaze)[:, 1]).mean()))
    opening = partial(Directions, source, hold_out={"person": "p00", "shots": 10}, check="labels")
    wide, narrow = ({}, {"yaw_max_deg": limit})
    for first, second in ((wide, narrow), (narrow, wide)):
        train, test = opening(split="train", **first), opening(split="test", **second)
        assert not {train.name(i) for i in range(len(train))} & {test.name(i) for i in range(len(test))}
    assert opening(split="test").facts == {"shots": "10 labelled samples of p00 are drawn to train on"}
    assert opening(split="test", **narrow).facts["limits"] == f"yaw to {limit:g} deg"
