"""Gaze directions of people in a video, without a video file."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import gaze.conf
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

import gaze.inference.video
from gaze.geometry import angular_error, pitch_yaw_to_vector
from gaze.hardware import Hardware
from gaze.inference.direction_follow import Clips, Smoothing, film_directions, follow_directions
from gaze.inference.direction_predictor import DirectionPredictor
from gaze.inference.direction_tables import BOTH, DIRECTIONS, direction_rows, rows_of_both
from gaze.inference.faces import CroppedFaces, Cut
from gaze.inference.one_euro import OneEuro
from gaze.inference.tracks import Track, Tracker
from gaze.inference.video_file import Frame
from gaze.runs import build
from tests.inference.films import MemoryWriter, film, looking_at
from tests.inference.lookers import looker

BOX, FAR = [0.375, 0.25, 0.625, 0.75], [0.6875, 0.25, 0.9375, 0.75]
WHOLE = CroppedFaces((8, 8), Cut(1.0, 0.5))


def bright(times, steps):
    """Frames whose right half is brighter by so many steps of 255."""
    frames = film(times)
    shown = []
    for frame, step in zip(frames, steps, strict=True):
        picture = torch.zeros_like(frame.picture)
        picture[..., 32:] = step
        shown.append(Frame(frame.number, frame.pts, frame.tick, picture))
    return shown


def heads_of(*frames):
    def heads(name, picture, frame=0):
        return torch.tensor(frames[frame]).reshape(-1, 4)

    return heads


def test_directions_are_filtered_as_unit_vectors_and_kept_between_predictions():
    euro = OneEuro(min_cutoff=0.5, beta=0.0)
    frames, heads = bright([0, 40, 80, 120], [0, 99, 250, 99]), heads_of(*[[BOX]] * 4)
    views = list(
        follow_directions(
            looker(), WHOLE, heads, "v.mp4", frames, Tracker(), Smoothing(None, euro), every=2, batch_size=3
        )
    )
    assert [view.predicted for view in views] == [True, False, True, False]
    first, last = (views[i].record["people"][0]["direction"] for i in (0, 2))
    assert first["gaze_smooth"] == first["gaze"]
    raw, calm = torch.tensor(last["gaze"]), torch.tensor(last["gaze_smooth"])
    known = euro(euro(None, 0.0, torch.tensor(first["gaze"]).double()), 0.08, raw.double()).value
    assert calm.tolist() == pytest.approx((known / known.norm()).tolist(), abs=1e-4)
    assert float(calm.norm()) == pytest.approx(1, abs=1e-4)
    assert 0 < calm[0] < raw[0]
    assert views[2].arrows[0].gaze[0] < raw[0]  # what is drawn is filtered
    assert views[3].arrows is views[2].arrows
    assert (views[3].draw() != frames[3].picture).any()


def test_a_window_holds_the_last_faces_of_a_person_and_knows_which_are_missing():
    face = {i: torch.full((1, 3, 2, 2), i, dtype=torch.uint8) for i in range(9)}
    track = [Track(1, 0, torch.zeros(4))]

    def run(clips, frames):
        for i in frames:
            shown, present = clips(i, track, track, face[i])
        return shown[0, :, 0, 0, 0].tolist(), present[0].tolist()

    assert run(Clips(3, True, 1), [4]) == ([4, 4, 4], [False, False, True])
    assert run(Clips(3, True, 2), [0, 2, 4]) == ([0, 2, 4], [True, True, True])
    assert run(Clips(3, True, 1), [1, 2, 4]) == ([2, 2, 4], [True, False, True])
    assert run(Clips(5, False, 1), [2, 3, 4]) == ([2, 3, 4, 4, 4], [True, True, True, False, False])
    clips = Clips(3, True, 1)
    run(clips, range(9))
    assert [len(seen) for seen in clips.known.values()] == [3]
    shown, present = clips(9, [], [], torch.zeros(0, 3, 2, 2, dtype=torch.uint8))
    assert (shown.shape, present.shape) == ((0, 3, 3, 2, 2), (0, 3))
    assert clips.known == {}


def test_a_model_of_clips_gets_one_for_each_person():
    temporal = SimpleNamespace(causal=True)
    frames = bright([0, 40, 80], [0, 120, 240])
    heads = heads_of([BOX], [BOX, FAR], [FAR, BOX])
    whole = looker(window=3, temporal=temporal)
    views = [
        list(follow_directions(model, WHOLE, heads, "v", frames, Tracker(), batch_size=size))
        for model, size in ((whole, 1), (looker(window=3, temporal=temporal), 3))
    ]
    sizes = [tuple(inputs.face.shape) for inputs in whole.model.asked]
    assert sizes == [(1, 3, 3, 8, 8), (2, 3, 3, 8, 8), (2, 3, 3, 8, 8)]
    assert [inputs.present.sum(1).tolist() for inputs in whole.model.asked] == [[1], [2, 1], [2, 3]]
    slope = [person["direction"]["sight"] for person in views[0][2].record["people"]]
    assert views[0][2].persons == [2, 1]
    assert slope[0] == pytest.approx([0, 0, -1], abs=1e-4)  # who is aside is as bright to the left
    assert slope[1][0] / -slope[1][2] == pytest.approx(120 / 255, abs=1e-3)  # the mean of 0, 120 and 240
    assert [view.record for view in views[0]] == [view.record for view in views[1]]


@pytest.mark.parametrize("mirror", [False, True])
def test_a_face_goes_through_its_networks_once_however_many_clips_it_is_in(mirror):
    with initialize_config_module("gaze.conf"):
        config = compose("train", overrides=["model=gazeformer_tiny", "temporal=transformer", "dir=unused"])
    torch.manual_seed(0)
    model = build(config.model)
    torch.nn.init.normal_(model.temporal.out.weight)  # or neighbours say nothing
    frames = bright([40 * i for i in range(5)], [0, 60, 120, 180, 240])
    heads = heads_of([BOX], [BOX, FAR], [FAR], [BOX], [BOX, FAR])

    def said(predictor, size):
        views = follow_directions(predictor, WHOLE, heads, "v", frames, Tracker(), batch_size=size)
        return [person["direction"]["sight"] for view in views for person in view.record["people"]]

    predictor = DirectionPredictor(model, (8, 8), Hardware("cpu"), mirror=mirror, window=3)
    encoded = []
    hook = model.fusion.register_forward_hook(lambda module, args, fused: encoded.append(len(fused.vector)))
    found = said(predictor, 2)
    assert sum(encoded) == 7 * (1 + mirror)  # faces
    hook.remove()
    predictor._fuses = False  # clips of pictures instead
    for one, other in zip(found, said(predictor, 5), strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_tables_and_results_of_both_models(monkeypatch, tmp_path):
    source = tmp_path / "clip.mov"
    source.write_bytes(b"")
    frames = bright([0, 40, 80], [200, 200, 200])
    monkeypatch.setattr(gaze.inference.video, "read_frames", lambda source: iter(frames))
    monkeypatch.setattr(gaze.inference.video, "VideoWriter", MemoryWriter)
    heads = heads_of([BOX], [], [BOX])

    def scene(pictures, boxes):
        return [looking_at(*[(0.9, 0.5)] * len(box)) for box in boxes]

    for name, columns, rows, model in (
        ("alone", DIRECTIONS, direction_rows, None),
        ("both", BOTH, rows_of_both, scene),
    ):
        smoothing = Smoothing(OneEuro(), None)
        file = film_directions(
            looker(concentration=50.0), WHOLE, heads, source, tmp_path / name, {}, smoothing=smoothing,
            tables=["csv", "parquet"], scene=model,
        )  # fmt: skip
        results = json.loads(file.read_text())
        flat = [row for record in results["frames"] for row in rows(record)]
        assert [(row["frame"], row["person"]) for row in flat] == [(0, 1), (2, 1)]
        assert list(flat[0]) == columns.schema.names
        assert pq.read_table(tmp_path / name / "clip_gaze.parquet").to_pylist() == flat
        text = (tmp_path / name / "clip_gaze.csv").read_text().splitlines()
        assert [float(row["yaw_deg"]) for row in csv.DictReader(text)] == [row["yaw_deg"] for row in flat]
        assert flat[0]["direction_x_smooth"] is None
        assert flat[0]["cone_deg"] > 0
    assert flat[0]["agreement_deg"] < 2
    assert flat[0]["gaze_x_smooth"] == pytest.approx(0.9 * 64, abs=1)


def test_who_has_no_face_for_a_moment_keeps_number_and_filter():
    class Blinking(CroppedFaces):
        def __call__(self, name, picture, heads):
            faces = super().__call__(name, picture, heads)
            if picture.max() == 0:
                faces.usable[:] = False
                faces.rotation[:] = faces.sight[:] = torch.nan
            return faces

    frames = bright([0, 40, 80], [200, 0, 200])
    faces, heads = Blinking((8, 8), Cut(1.0, 0.5)), heads_of(*[[BOX]] * 3)
    views = list(follow_directions(looker(), faces, heads, "v", frames, Tracker(), Smoothing(None, OneEuro())))
    said = [view.record["people"][0]["direction"] for view in views]
    assert said[1] is None
    assert views[1].arrows == [None]
    assert said[0]["gaze_smooth"] == pytest.approx(said[2]["gaze_smooth"], abs=1e-5)
    assert direction_rows(views[1].record)[0]["direction_x"] is None
    assert [view.persons for view in views] == [[1]] * 3


def test_the_filter_of_the_config_calms_noise_and_follows_a_jump():
    """The numbers of docs/predict.md: 0.05 of noise on each axis of a unit vector, and a jump of 40 degrees."""
    settings = OmegaConf.load(Path(gaze.conf.__path__[0]) / "predict.yaml").smooth_direction
    euro = OneEuro(**{name: value for name, value in settings.items() if name != "_target_"})
    draws = torch.Generator().manual_seed(0)
    ahead = torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64)
    raw = [F.normalize(ahead + 0.05 * torch.randn(3, generator=draws), dim=0) for _ in range(300)]
    known, calm = None, []
    for i, sample in enumerate(raw):
        known = euro(known, i / 30, sample)
        calm.append(known.value)
    moved, before = (torch.stack(path[30:]).diff(dim=0).norm(dim=-1).mean() for path in (calm, raw))
    assert moved < 0.25 * before
    known = euro(None, 0.0, ahead)
    there = pitch_yaw_to_vector(torch.tensor([0.0, 40.0], dtype=torch.float64).deg2rad())
    for i in range(3):
        known = euro(known, (i + 1) / 30, there)
    assert angular_error(known.value, there).rad2deg() < 4
