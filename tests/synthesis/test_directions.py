import csv
import json
import pickle

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_module
from hydra.utils import instantiate
from omegaconf import OmegaConf
from PIL import Image
from scipy.spatial.transform import Rotation

from gaze.errors import UserError
from gaze.geometry import pitch_yaw_to_vector
from gaze.signatures import problems
from gaze.synthesis import directions
from gaze.synthesis.direction_layouts import Counted
from gaze.synthesis.direction_light import WORDS
from gaze.synthesis.direction_motions import Clips
from gaze.synthesis.direction_world import DirectionWorld
from gaze.synthesis.directions import ATTRIBUTES, Piece, write_directions

COUNTS = {"train": 2, "val": 1, "test": 1}
FRAMES = dict.fromkeys(COUNTS, 12)
PEOPLE = {"train": 5, "val": 0, "test": 0}


def make(world, tmp_path_factory, counts, like):
    folder = tmp_path_factory.mktemp("data") / "faces"
    assert write_directions(world, folder, counts, like=like)
    return folder


@pytest.fixture(scope="module")
def world():
    return DirectionWorld(size=20, frames=FRAMES, clips=Clips(length=12, dropped=0.25, context=2))


@pytest.fixture(scope="module")
def root(world, tmp_path_factory):
    return make(world, tmp_path_factory, COUNTS, "gaze360")


@pytest.fixture(scope="module")
def still():
    return DirectionWorld(size=20, frames=dict.fromkeys(COUNTS, 4), session=2)


@pytest.fixture(scope="module")
def mpii(still, tmp_path_factory):
    return make(still, tmp_path_factory, PEOPLE, "mpii")


@pytest.fixture(scope="module")
def eyediap(still, tmp_path_factory):
    return make(still, tmp_path_factory, PEOPLE, "eyediap")


def rows(table):
    header, *lines = table.read_text().splitlines()
    names = header.split(" ")
    assert all(len(line.split(" ")) == len(names) for line in lines)
    return [dict(zip(names, line.split(" "), strict=True)) for line in lines]


def vectors(lines, name):
    return torch.tensor([[float(v) for v in line[name].split(",")] for line in lines], dtype=torch.float64)


def close(found, expected):
    torch.testing.assert_close(found, expected, atol=2e-6, rtol=0)


def test_gaze360_has_axes_of_its_own(root, world):
    shots, crops = world.render(0, "train", range(24))
    found = rows(root / "Label/train.label")
    own = ~shots.context
    close(vectors(found, "3DGaze") * torch.tensor([-1.0, -1.0, 1.0]), shots.gaze[own])
    close(pitch_yaw_to_vector(vectors(found, "2DGaze").flip(-1)), shots.gaze[own])
    for line in found:
        for name, size in (("Face", (20, 20)), ("Left", (60, 36)), ("Right", (60, 36))):
            with Image.open(root / "Image" / line[name]) as picture:
                assert (picture.size, picture.mode) == (size, "RGB")
    with Image.open(root / "Image" / found[0]["Face"]) as picture:
        stored = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float()
    assert (stored - crops.face[own][0].float()).abs().mean() < 6  # what JPEG leaves


def test_lost_frames_are_absent_and_ends_of_clips_are_unused(root, world):
    frames = {name: rows(root / f"Label/{name}.label") for name in ("train", "val", "test", "unused")}
    origins = {name: [line["Origin"] for line in lines] for name, lines in frames.items()}
    shots = world.shots(0, "train", range(24))
    kept = (~shots.dropped & ~shots.context).sum()
    assert len(origins["train"]) == kept < 24 - 8
    people = {name: {o[: o.rfind("/")] for o in origins[name]} for name in COUNTS}
    assert {name: len(own) for name, own in people.items()} == COUNTS
    assert len(set.union(*people.values())) == sum(COUNTS.values())
    everything = sorted(o for own in origins.values() for o in own)
    assert len(everything) == len(set(everything))
    first = [int(o[-10:-4]) for o in everything if o.startswith("rec_000/head/000000/")]
    assert first == [i for i in range(12) if not shots.dropped[i]]
    assert all(int(o[-10:-4]) in (0, 1, 10, 11) for o in origins["unused"])
    assert all(line["Face"].startswith("unused/") for line in frames["unused"])


def test_attributes_name_every_face(root, world):
    with (root / ATTRIBUTES).open() as file:
        told = {row.pop("face"): row for row in csv.DictReader(file)}
    faces = [line["Face"] for table in sorted((root / "Label").iterdir()) for line in rows(table)]
    assert sorted(told) == sorted(faces)
    shots, _ = world.render(0, "train", range(24))
    for row, words in zip(told.values(), shots.words.tolist(), strict=False):
        assert row == {name: values[i] for (name, values), i in zip(WORDS.items(), words, strict=True)}


def test_mpii_has_a_file_for_each_person_and_mirrors_every_other_sample(mpii, still):
    shots, crops = still.render(0, "train", range(20))
    assert sorted(p.name for p in (mpii / "Label").iterdir()) == [f"p{i:02d}.label" for i in range(5)]
    found = [line for i in range(5) for line in rows(mpii / f"Label/p{i:02d}.label")]
    assert [line["WhichEye"] for line in found] == ["left", "right"] * 10
    flip = torch.ones(20, 3, dtype=torch.float64)
    flip[1::2, 0] = -1
    gaze = vectors(found, "3DGaze")
    close(gaze * flip, shots.gaze)
    close(pitch_yaw_to_vector(vectors(found, "2DGaze").flip(-1)), gaze)
    heads = torch.from_numpy(Rotation.from_rotvec(vectors(found, "3DHead").numpy()).as_matrix())
    close(flip[:, :, None] * heads * flip[:, None], shots.head)
    close(pitch_yaw_to_vector(vectors(found, "2DHead").flip(-1)), -heads[:, :, 2])
    close(vectors(found, "GazeOrigin") * flip, 10 * shots.faces.position)
    with Image.open(mpii / "Image" / found[1]["Face"]) as picture:
        stored = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float()
    assert (stored - crops.face[1].flip(-1).float()).abs().mean() < 6
    with Image.open(mpii / "Image" / found[1]["Left"]) as picture:
        eye = torch.from_numpy(np.array(picture)).float()
    assert eye.shape == (36, 60)  # grey
    other = crops.right_eye[1].flip(-1).float().mean(0)
    assert torch.corrcoef(torch.stack([eye.flatten(), other.flatten()]))[0, 1] > 0.8


def test_eyediap_has_clusters_of_people(eyediap, still):
    found = [line for i in range(1, 6) for line in rows(eyediap / f"Label/p{i}.label")]
    close(vectors(found, "3DGaze"), still.shots(0, "train", range(20)).gaze)
    clusters = [rows(eyediap / f"ClusterLabel/Cluster{i}.label") for i in range(4)]
    assert [len(lines) for lines in clusters] == [8, 4, 4, 4]
    assert sorted(line["Face"] for lines in clusters for line in lines) == sorted(line["Face"] for line in found)


def test_a_world_without_eyes_has_no_columns_of_them(tmp_path):
    bare = DirectionWorld(size=20, eyes=False, frames=dict.fromkeys(COUNTS, 2))
    write_directions(bare, tmp_path / "faces", {"train": 1}, like="mpii")
    found = rows(tmp_path / "faces/Label/p00.label")
    assert list(found[0])[:2] == ["Face", "Origin"]
    assert [p.name for p in (tmp_path / "faces/Image/p00").iterdir()] == ["face"]


def test_pieces_change_no_byte(root, world, tmp_path, monkeypatch):
    monkeypatch.setattr(directions, "PIECE", 17)
    write_directions(world, tmp_path / "again", COUNTS)
    names = sorted(p.relative_to(root) for p in root.rglob("*") if p.is_file())
    assert sorted(p.relative_to(tmp_path / "again") for p in (tmp_path / "again").rglob("*") if p.is_file()) == names
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (root / name).read_bytes(), name
    piece = Piece(world, root, "gaze360", 0, "val", range(2), Counted(0, 0))
    copy = pickle.loads(pickle.dumps(piece))  # what a process gets
    assert torch.equal(copy.world.shots(0, "val", copy.indices).gaze, world.shots(0, "val", piece.indices).gaze)


def test_a_second_run_has_nothing_to_do_and_another_request_is_refused(root, world, monkeypatch):
    assert "SYNTHETIC" in (root / "README.txt").read_text()
    assert json.loads((root / "world.json").read_text())["parameters"]["like"] == "gaze360"
    monkeypatch.setattr(directions, "_write_pieces", None)
    assert not write_directions(world, root, COUNTS)
    with pytest.raises(UserError, match=r"seed is 0 there, 5 here.*overwrite=true"):
        write_directions(world, root, COUNTS, seed=5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"counts": {"train": 0, "val": 0}}, "at least one person"),
        ({"counts": COUNTS, "annotators": 2}, "annotators is 2; expected 1"),
        ({"counts": COUNTS, "like": "photos"}, "like is 'photos'; expected one of gaze360, mpii, eyediap"),
        ({"counts": COUNTS, "like": "mpii"}, "val is 1; expected 0: mpii has no splits"),
        ({"counts": {"train": 101}, "like": "mpii"}, "at most 100 people"),
        ({"counts": PEOPLE, "like": "mpii"}, "clips are given"),
    ],
)
def test_bad_requests_are_refused(world, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        write_directions(world, tmp_path / "faces", **options)
    assert list(tmp_path.iterdir()) == []


def test_faces_of_normalised_data_sets_are_normalised(tmp_path):
    with pytest.raises(ValueError, match="normalised is false; expected true for eyediap"):
        write_directions(DirectionWorld(normalised=False), tmp_path / "faces", PEOPLE, like="eyediap")


@pytest.mark.parametrize("name", ["direction", "direction_mpii", "direction_video"])
def test_worlds_of_the_config_can_be_written(name, tmp_path):
    with initialize_config_module("gaze.conf"):
        cfg = compose("synthesize", [f"world={name}", "size=16"])
    assert not list(problems(OmegaConf.to_container(cfg.world, resolve=True), "world"))
    world, write = (
        instantiate(part, _convert_="object", _execution_whitelist_=["gaze.synthesis.*"])
        for part in (cfg.world, cfg.layout)
    )
    world.frames["train"] = 30
    assert write(world, tmp_path / "faces", {"train": 1, "val": 0, "test": 0})
    pictures = len(list((tmp_path / "faces/Image").rglob("*.jpg")))
    assert pictures == 90 or (name == "direction_video" and 60 < pictures < 90)
