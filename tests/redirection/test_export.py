"""Exports: read back by the reader of real data sets, with labels in its frame, and with what an estimator doubts left out."""

import csv
import json

import pytest
import torch
from hydra import compose, initialize_config_module

from gaze.datasets.directions import Directions
from gaze.errors import UserError
from gaze.faces.gazehub import GazeHub
from gaze.geometry import angular_error, vector_to_pitch_yaw
from gaze.hardware import Hardware
from gaze.head_frames import camera_head
from gaze.loading import BatchPlan
from gaze.redirection.draws import Draws
from gaze.redirection.export import Doubtful, export_originals, export_redirected
from gaze.redirection.targets import Limits
from gaze.runs import build, plain_config
from gaze.types import DirectionInputs, collate
from tests.redirection.some_heads import SIDE, ColourReader, PaintedHeads, Painter

CPU = Hardware(device="cpu", workers=0)
RANGES = {"pitch": [-20, 20], "yaw": [-35, 35]}


class Doubter(ColourReader):
    """Says the opposite for the last picture of each batch."""

    def forward(self, inputs):
        seen = super().forward(inputs)
        gaze = seen.gaze.clone()
        gaze[-1] = -gaze[-1]
        return type(seen)(gaze)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "redirected"
    draws = Draws(RANGES, {"pitch": [-10, 10], "yaw": [-20, 20]}, number=4, seed=3)
    counts = export_redirected(Painter(), PaintedHeads("train"), [0, 1, 9], folder, draws, Limits(), CPU, 5)
    assert counts == (12, 0)
    return folder


def opened(root, split="train", name="faces"):
    """What dataset=faces reads, at the place of the export."""
    with initialize_config_module("gaze.conf"):
        cfg = compose("train", overrides=["model=gazeformer_tiny", f"dataset.source.root={root}", "dir=unused"])
    source = {key: value for key, value in plain_config(cfg.dataset.source).items() if key != "_target_"}
    return Directions(GazeHub(**source | {"name": name}), split=split, face_size=SIDE, check="decode")


def test_the_reader_of_real_data_finds_the_gaze_that_the_picture_shows(exported):
    """Signs, end to end: head frame, world, camera, the file's axes, and back."""
    data = opened(exported)
    assert len(data) == 12
    assert len(data.labels.subjects) == 2
    batch = collate([data[i] for i in range(len(data))])
    seen = ColourReader()(DirectionInputs(batch.inputs.face.float() / 255)).gaze
    assert angular_error(seen, batch.targets.gaze).rad2deg().max() < 3  # JPEG has edges between colours
    with (exported / "faces.csv").open() as file:
        rows = {row["face"]: row for row in csv.DictReader(file)}
    row = rows[data.name(0).split("Image/")[1]]
    pitch, yaw = vector_to_pitch_yaw(batch.targets.gaze[0]).rad2deg().tolist()
    assert [float(row["pitch_deg"]), float(row["yaw_deg"])] == pytest.approx([pitch, yaw], abs=1e-2)
    assert row["source"] == "train/train_subject0.h5#0"
    assert row["made"] == "redirected"
    assert abs(float(row["head_yaw_deg"])) <= 20
    assert float(row["gaze_in_head_yaw_deg"]) != pytest.approx(yaw, abs=1e-3)
    assert json.loads((exported / "redirected.json").read_text())["faces"] == 12


def test_an_export_is_the_same_again_and_other_samples_change_nothing(tmp_path, exported):
    draws = Draws(RANGES, {"pitch": [-10, 10], "yaw": [-20, 20]}, number=4, seed=3)
    export_redirected(Painter(), PaintedHeads("train"), [1], tmp_path / "one", draws, Limits(), CPU)
    lines = (exported / "Label" / "train.label").read_text().splitlines()
    alone = (tmp_path / "one" / "Label" / "train.label").read_text().splitlines()
    assert [line.split()[4:] for line in alone[1:]] == [line.split()[4:] for line in lines[5:9]]


def test_empirical_draws_are_what_the_sources_have():
    data = PaintedHeads("train")
    inputs = collate([data[i].inputs for i in range(8)])
    kept = Draws(number=3).targets(inputs, range(8), Limits())
    assert torch.equal(kept.pose, inputs.pose.repeat_interleave(3, 0))
    assert {tuple(g) for g in kept.gaze.tolist()} <= {tuple(g) for g in inputs.gaze.tolist()}
    both = Draws(head="empirical", number=3).targets(inputs, range(8), Limits())
    source = [inputs.gaze.tolist().index(g) for g in both.gaze.tolist()]
    torch.testing.assert_close(camera_head(both), camera_head(inputs)[source], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"gaze": "even"}, "export.draws.gaze is even; expected empirical, or pitch"),
        ({"gaze": {"pitch": [0, 1]}}, "expected empirical, or pitch"),
        ({"head": {"pitch": [5, -5], "yaw": [0, 1]}}, "export.draws.head.pitch is .5, -5.; expected .from, to."),
        ({"number": 0}, "export.draws.number is 0"),
    ],
)
def test_draws_that_make_no_sense_are_told(given, said):
    with pytest.raises(UserError, match=said):
        Draws(**given)


def test_an_estimator_drops_what_it_does_not_believe(tmp_path):
    data, draws = PaintedHeads("train"), Draws(RANGES, number=5)
    doubtful = Doubtful(Doubter())
    kept, dropped = export_redirected(
        *(Painter(), data, [0, 1, 2, 3], tmp_path / "a", draws, Limits(), CPU, 10, doubtful)
    )
    assert (kept, dropped) == (18, 2)  # the last of each ten
    assert json.loads((tmp_path / "a" / "redirected.json").read_text())["dropped"] == 2
    with (tmp_path / "a" / "faces.csv").open() as file:
        assert all(float(row["estimator_error_deg"]) < 3 for row in csv.DictReader(file))
    assert Doubtful(ColourReader()).dropped(torch.tensor([1.0, 1, 1, 1, 1, float("nan")])).tolist() == [False] * 5 + [
        True
    ]


def test_originals_have_the_splits_and_the_same_names_of_people(tmp_path):
    people = {}
    train, test = PaintedHeads("train"), PaintedHeads("test")
    export_redirected(
        *(Painter(), train, [0, 7], tmp_path / "redirected", Draws(number=2), Limits(), CPU), people=people
    )
    parts = [("train", train, [0, 7]), ("test", test, range(len(test)))]
    assert export_originals(parts, tmp_path / "originals", people) == {"train": 2, "test": 12}
    tested = opened(tmp_path / "originals", "test")
    assert len(tested) == 12
    batch = collate([tested[i] for i in range(12)])
    torch.testing.assert_close(
        batch.targets.gaze, torch.stack([test[i].targets.gaze for i in range(12)]), atol=1e-5, rtol=0
    )
    trained = {name.split("/", 1)[1] for name in opened(tmp_path / "redirected").labels.subjects}
    assert trained == {name.split("/", 1)[1] for name in opened(tmp_path / "originals").labels.subjects}


def test_what_is_there_is_kept(tmp_path):
    def export(name, **how):
        return export_originals([("train", PaintedHeads("val"), [0])], tmp_path / name, **how)

    export("a")
    with pytest.raises(UserError, match="holds redirected faces already; replace them with overwrite=true"):
        export("a")
    export("a", overwrite=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.txt").write_text("")
    with pytest.raises(UserError, match="was not written by this tool"):
        export("b", overwrite=True)


def test_redirected_faces_stand_beside_photographs_in_training_alone(tmp_path):
    """What dataset=faces_augmented reads: both to train on, photographs of others to judge by."""
    people, train = {}, PaintedHeads("train")
    export_redirected(
        *(Painter(), train, [0, 7], tmp_path / "few" / "redirected", Draws(number=3), Limits(), CPU), people=people
    )
    parts = [
        ("train", train, [0, 7]),
        ("val", PaintedHeads("val"), range(6)),
        ("test", PaintedHeads("test"), range(12)),
    ]
    export_originals(parts, tmp_path / "few" / "originals", people)
    sizes = {}
    for experiment in ("gazeformer_few", "gazeformer_augmented"):
        with initialize_config_module("gaze.conf"):
            words = ["model=gazeformer_tiny", f"experiment={experiment}", f"data_root={tmp_path}", "dir=unused"]
            cfg = compose("train", overrides=words)
        open_split = build(cfg.dataset)
        sizes[experiment] = {split: len(open_split(split=split)) for split in ("train", "val", "test")}
    assert sizes["gazeformer_few"] == {"train": 2, "val": 6, "test": 12}
    assert sizes["gazeformer_augmented"] == {"train": 2 + 6, "val": 6, "test": 12}


def test_with_and_without_redirected_faces_the_steps_are_as_many():
    """5 photographs of each of 12 people, as the headers make them, and ten redirected faces of each."""
    steps = {}
    for experiment, faces in (("gazeformer_few", 60), ("gazeformer_augmented", 60 + 600)):
        with initialize_config_module("gaze.conf"):
            trainer = compose(
                "train", overrides=["model=gazeformer_tiny", f"experiment={experiment}", "dir=unused"]
            ).trainer
        assert faces % trainer.batch_size == 0  # or an epoch would leave some out
        steps[experiment] = trainer.epochs * BatchPlan(faces, trainer.batch_size).steps
    assert steps["gazeformer_few"] == steps["gazeformer_augmented"] == 550
