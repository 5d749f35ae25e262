import pickle

import pytest
import torch

from gaze.datasets.augment import BoxJitter, Crop, Flip
from gaze.datasets.faults import DatasetError
from gaze.datasets.gazefollow import GazeFollow
from gaze.datasets.photometric import PhotometricDistort
from gaze.types import collate
from tests.datasets.folders import mark_centre, write_annotations, write_gazefollow_folder

SIZE = (40, 56)


@pytest.fixture(params=["raw", "json"])
def format(request):
    return request.param


def open_split(root, split="train", **options) -> GazeFollow:
    return GazeFollow(str(root), split, SIZE, **{"val_fraction": 0.0, **options})


def test_a_sample_is_what_the_folder_says(tmp_path, format):
    pictures = write_gazefollow_folder(tmp_path, images=5, people=3, format=format, outside=0.4, seed=4)["train"]
    dataset = open_split(tmp_path)
    assert len(dataset) == 5
    for index, picture in enumerate(pictures):
        batch = dataset[index]
        assert dataset.name(index) == picture.path
        assert batch.index.item() == index
        assert batch.inputs.image.shape == (3, *SIZE)
        assert batch.inputs.image.dtype == torch.uint8
        assert batch.inputs.image_index.tolist() == [0, 0, 0]
        assert batch.targets.image_size.tolist() == [[48, 64]] * 3
        for head, person in enumerate(picture.people):
            expected = [b / s for b, s in zip(person.box, (64, 48) * 2, strict=True)]
            assert batch.inputs.head_bbox[head].tolist() == pytest.approx(expected, abs=1e-6)
            assert batch.targets.inout[head] == person.inout
            point = batch.targets.points[head, 0]
            assert point.isnan().all() if not person.inout else point.tolist() == pytest.approx(person.points[0])


@pytest.mark.parametrize("seed", range(6))
def test_points_stay_on_their_marks_through_loading_and_augmentation(tmp_path, format, seed):
    write_gazefollow_folder(tmp_path, images=2, people=1, size=(96, 128), format=format, seed=seed)
    dataset = open_split(tmp_path, crop=Crop(1.0), augmentations=[Flip(0.5), BoxJitter(), PhotometricDistort(hue=0.0)])
    for generator in (None, torch.Generator().manual_seed(seed)):
        batch = dataset.sample(0, generator)
        point = batch.targets.points[0, 0]
        channel = batch.inputs.image[0].float()
        peak = (channel - 0.9 * channel.max()).clamp(min=0)  # a mark that the crop cut keeps its peak
        x, y = mark_centre(peak)
        assert (point[0].item() - x) * SIZE[1] == pytest.approx(0, abs=0.6)
        assert (point[1].item() - y) * SIZE[0] == pytest.approx(0, abs=0.6)


def test_both_formats_and_both_decodings_of_a_split_are_equal(tmp_path):
    for format in ("raw", "json"):
        write_gazefollow_folder(tmp_path / format, images=30, format=format, outside=0.3)
    for split in ("train", "val"):
        raw, prepared = (open_split(tmp_path / f, split, val_fraction=0.3) for f in ("raw", "json"))
        assert [raw.name(i) for i in range(len(raw))] == [prepared.name(i) for i in range(len(prepared))]
        torch.testing.assert_close(raw.labels.head_bbox, prepared.labels.head_bbox)
        torch.testing.assert_close(raw.labels.points, prepared.labels.points, equal_nan=True)
        assert torch.equal(raw.labels.inout, prepared.labels.inout)


def test_test_heads_carry_all_their_annotators(tmp_path, format):
    pictures = write_gazefollow_folder(tmp_path, images=6, people=2, format=format, annotators=4)["test"]
    if format == "raw":  # one annotator fewer for the first head, one "not in the frame" for the last
        file = tmp_path / "test_annotations_release.txt"
        lines = file.read_text().splitlines()
        cells = lines[-1].split(",")
        cells[8:10] = ["-1", "-1"]
        file.write_text("\n".join([*lines[1:-1], ",".join(cells)]))
    dataset = open_split(tmp_path, "test")
    assert len(dataset) == len(pictures)
    assert dataset.labels.points.shape == (2 * len(pictures), 4, 2)
    missing = dataset.labels.points.isnan().any(dim=-1).sum().item()
    assert missing == (2 if format == "raw" else 0)
    assert dataset.labels.inout.eq(1).all()


def test_val_is_held_out_by_image_whatever_the_order_of_the_file(tmp_path):
    pictures = write_gazefollow_folder(tmp_path, images={"train": 60})["train"]
    names = {}
    for split in ("train", "val"):
        dataset = open_split(tmp_path, split, val_fraction=0.25)
        names[split] = {dataset.name(i) for i in range(len(dataset))}
    assert not names["train"] & names["val"]
    assert names["train"] | names["val"] == {p.path for p in pictures}
    assert 6 <= len(names["val"]) <= 25
    write_annotations(tmp_path, "train", pictures[::-1][:40])  # fewer images, another order
    dataset = open_split(tmp_path, "val", val_fraction=0.25)
    assert {dataset.name(i) for i in range(len(dataset))} <= names["val"]


def test_val_file_is_taken_if_there_is_one(tmp_path, format):
    write_gazefollow_folder(tmp_path, images={"train": 6, "val": 3, "test": 2}, format=format)
    assert len(open_split(tmp_path, "train", val_fraction=0.5)) == 6
    assert len(open_split(tmp_path, "val", val_fraction=0.5)) == 3
    assert len(open_split(tmp_path, "test")) == 2


def test_undecided_heads_are_left_out_and_outsiders_kept(tmp_path):
    write_gazefollow_folder(tmp_path, images={"train": 4}, people=2)
    file = tmp_path / "train_annotations_release.txt"
    lines = [line.split(",") for line in file.read_text().splitlines()]
    lines[0][14], lines[3][14] = "-1", "0"
    lines[4][14] = lines[5][14] = "-1"  # nobody is left in the third picture
    file.write_text("\n".join(",".join(cells) for cells in lines))
    dataset = open_split(tmp_path)
    assert len(dataset) == 3
    assert dataset.faults == []
    assert dataset[0].inputs.head_bbox.shape == (1, 4)
    assert dataset[1].targets.inout.tolist() == [1.0, 0.0]
    assert dataset[1].targets.points[1].isnan().all()


def test_same_generator_same_sample_and_none_is_not_augmented(tmp_path):
    write_gazefollow_folder(tmp_path, images=3)
    dataset = open_split(tmp_path, crop=Crop(1.0), augmentations=[Flip(), BoxJitter(), PhotometricDistort()])
    views = [dataset.sample(1, torch.Generator().manual_seed(s)) for s in (5, 5, 6)]
    assert torch.equal(views[0].inputs.image, views[1].inputs.image)
    assert torch.equal(views[0].inputs.head_bbox, views[1].inputs.head_bbox)
    assert not torch.equal(views[0].inputs.image, views[2].inputs.image)
    assert torch.equal(dataset[1].inputs.image, open_split(tmp_path)[1].inputs.image)


def test_batches_pack_and_workers_share_the_labels(tmp_path):
    write_gazefollow_folder(tmp_path, images=4, people=3)
    dataset = pickle.loads(pickle.dumps(open_split(tmp_path)))
    batch = collate([dataset[i] for i in range(4)])
    assert batch.inputs.image.shape == (4, 3, *SIZE)
    assert batch.inputs.image_index.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    # A sample owns its memory: changing it must not change the labels, nor take all of them to another process.
    sample = dataset[0]
    sample.inputs.head_bbox.zero_()
    sample.targets.points.zero_()
    assert dataset[0].inputs.head_bbox.any()
    assert dataset[0].targets.points.any()
    assert sample.targets.points.untyped_storage().nbytes() == sample.targets.points.numel() * 4


def test_loader_workers_give_the_same_samples(tmp_path):
    write_gazefollow_folder(tmp_path, images=4)
    dataset = open_split(tmp_path)
    loader = torch.utils.data.DataLoader(dataset, batch_size=2, num_workers=1, collate_fn=collate)
    for number, batch in enumerate(loader):
        alone = collate([dataset[2 * number], dataset[2 * number + 1]])
        assert torch.equal(batch.inputs.image, alone.inputs.image)
        assert torch.equal(batch.inputs.head_bbox, alone.inputs.head_bbox)


def test_importing_and_opening_leaves_the_global_random_state_alone(tmp_path):
    write_gazefollow_folder(tmp_path, images=2)
    before = torch.random.get_rng_state()
    dataset = open_split(tmp_path, crop=Crop(1.0), augmentations=[Flip(), BoxJitter(), PhotometricDistort()])
    dataset.sample(0, torch.Generator().manual_seed(0))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"check": "all"}, "labels, headers, decode"),
        ({"on_corrupt": "ignore"}, "raise, skip"),
        ({"val_fraction": 1.0}, "from 0 to below 1"),
    ],
)
def test_settings_out_of_range_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        open_split(tmp_path, **options)
    with pytest.raises(ValueError, match="height, width"):
        GazeFollow(str(tmp_path), "train", [448])


def test_a_missing_folder_says_what_to_do(tmp_path):
    with pytest.raises(DatasetError, match=r"nowhere does not exist.*tools/synthesize\.py"):
        open_split(tmp_path / "nowhere")


def test_unknown_and_absent_splits_list_those_found(tmp_path):
    write_gazefollow_folder(tmp_path, images={"train": 2})
    with pytest.raises(DatasetError, match=r"train or val or test; the folder holds train$"):
        open_split(tmp_path, "tset")
    with pytest.raises(DatasetError, match=r"test_preprocessed\.json or test_annotations_release\.txt"):
        open_split(tmp_path, "test")
    with pytest.raises(DatasetError, match="val_fraction is 0"):
        open_split(tmp_path, "val")
