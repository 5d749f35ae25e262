"""Sheets and films of redirected heads, and what is said when they can't be made."""

from dataclasses import replace

import pytest
import torch
from hydra import compose, initialize_config_module

from gaze.errors import UserError
from gaze.hardware import Hardware
from gaze.head_frames import camera_gaze, camera_head
from gaze.inference.video_file import read_frames
from gaze.redirection import film as films
from gaze.redirection import making
from gaze.redirection.draws import Draws
from gaze.redirection.film import film, path, sweep, write_film
from gaze.redirection.fitting import difference, fit_codes, fit_model
from gaze.redirection.grid import grid, tiles
from gaze.redirection.making import Asked, redirect
from gaze.redirection.rendering import render
from gaze.redirection.sources import check_heads, few, find_source
from gaze.redirection.targets import GAZES, POSES, Limits, angles
from gaze.runs import plain_config
from gaze.types import Batch, DirectionInputs, FaceInputs, FacePrediction, collate
from tests.directions.some_faces import LabelledFaces
from tests.redirection.some_heads import SIDE, ColourReader, PaintedHeads, Painter

CPU = Hardware(device="cpu", workers=0)


@pytest.fixture(scope="module")
def data():
    return PaintedHeads("test")


def read(pictures, head=False):
    faces = torch.stack(list(pictures)).float() / 255
    return ColourReader(head)(DirectionInputs(faces)).gaze


def test_a_sheet_has_the_original_five_gazes_and_three_poses_under_their_captions(data):
    batch = collate([data[4]])
    gazes, poses = angles(GAZES, "gazes"), angles(POSES, "poses")
    first, turned, posed = tiles(Painter(), batch, gazes, poses, CPU)
    assert [len(first), len(turned), len(posed)] == [2, 5, 3]
    assert torch.equal(first[0][1], first[1][1])  # the painter's own view is the photograph
    assert [caption for caption, _ in turned][:2] == ["gaze pitch +0°, yaw -30°", "gaze pitch +0°, yaw -15°"]
    assert [caption for caption, _ in posed] == [f"head pitch +0°, yaw {v}°" for v in ("-20", "+0", "+20")]
    inputs = batch.inputs.map(lambda t: t.expand(5, *t.shape[1:]))
    wanted = camera_gaze(type(inputs)(**(vars(inputs) | {"gaze": gazes})))
    torch.testing.assert_close(read(p for _, p in turned), wanted, atol=0.01, rtol=0)
    facing = read((p for _, p in posed), head=True)
    assert facing[0, 0] > 0.3
    assert abs(facing[1, 0]) < 0.01
    assert facing[2, 0] < -0.3
    assert grid(Painter(), data, 4, gazes, poses, CPU, height=40).shape[2] > 5 * 40


def test_rows_that_are_not_wanted_are_not_there(data):
    rows = tiles(Painter(), collate([data[0]]), angles([[0, 10]], "gazes"), angles([], "poses"), CPU)
    assert [len(row) for row in rows] == [2, 1]


def test_a_sweep_is_closed_and_smooth(data):
    inputs = collate([data[2].inputs])
    way = path(48, torch.tensor([0.3, 0.6]))
    assert float(way[0].abs().max()) == 0
    steps = (way - way.roll(1, 0)).norm(dim=1)
    assert steps.max() < 0.15
    assert steps[0] < 0.15
    both = sweep(inputs, 24, torch.tensor([0.3, 0.6]), torch.tensor([0.1, 0.3]))
    assert len(both.gaze) == 48
    torch.testing.assert_close(camera_head(both)[0], camera_head(inputs)[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(camera_head(both)[24], camera_head(both)[0], atol=1e-5, rtol=0)
    turned = (camera_head(both)[24:] - camera_head(inputs)).abs().amax(0)
    torch.testing.assert_close(turned, torch.tensor([0.1, 0.3]), atol=5e-3, rtol=0)


def test_films_are_written_with_pyav_or_without(data, tmp_path, monkeypatch):
    inputs = sweep(collate([data[2].inputs]), 3, torch.tensor([0.3, 0.6]), torch.tensor([0.1, 0.3]))
    pictures = film(Painter(), inputs, CPU, batch_size=4, height=32)
    monkeypatch.setattr(films.VideoWriter, "__init__", lambda *a: (_ for _ in ()).throw(UserError("PyAV is missing")))
    assert write_film(pictures, tmp_path, "film").name == "film.gif"
    monkeypatch.undo()
    pytest.importorskip("av")
    file = write_film(pictures, tmp_path, "film")
    assert file.name == "film.mp4"
    assert len(list(read_frames(file))) == 6


def test_pictures_are_made_some_at_a_time_and_nan_is_refused(data):
    inputs = collate([data[i].inputs for i in range(5)])
    painter = Painter()
    assert render(painter, inputs, CPU, batch_size=2).shape == (5, 3, SIDE, SIDE)
    assert painter.asked == [2, 2, 1]
    with pytest.raises(UserError, match="5 of 5 pictures have NaN; the run's weights are broken"):
        render(Painter(tint=float("nan")), inputs, CPU)


def test_sources_are_views_numbers_or_all():
    assert find_source("all", "val", PaintedHeads)[1] == list(range(6))
    assert find_source("3", "test", PaintedHeads)[1] == [3]
    data, (index,) = find_source("somewhere/train_subject2.h5#4", "test", PaintedHeads)  # of another split
    assert data.name(index) == "train/train_subject2.h5#4"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nowhere/x.h5#1", "x.h5 is not there; give a file of the data set, or its folder with root="),
        ("test_subject0.h5#6", "beyond the end or left out: test_subject0.h5 has rows 0 to 5"),
        ("12", "source=12 is beyond the end: the split test has 12 samples, 0 to 11"),
        ("face.png", "expected FILE.h5#ROW, the number of a sample of the split test .0 to 11., or all"),
        ("a.h5#b", "'b' is no row"),
    ],
)
def test_a_source_that_is_not_there_is_told(source, said):
    with pytest.raises(UserError, match=said):
        find_source(source, "test", PaintedHeads)


def test_data_of_another_task_are_told():
    with pytest.raises(UserError, match="run=outputs/x is of another task: its samples hold DirectionInputs"):
        check_heads(LabelledFaces("test"), "outputs/x")


def test_few_are_always_the_same_few():
    data = PaintedHeads("train")
    every = list(range(len(data)))
    chosen = few(data, every, 2, 3)
    assert len(chosen) == 6
    assert chosen == few(data, every[::-1], 2, 3)
    assert len({data.group(i) for i in chosen}) == 2
    assert set(few(data, every, 2, 2)) < set(chosen)
    with pytest.raises(UserError, match="few.pictures is 7; expected 1 to 6"):
        few(data, every, None, 7)


def asked(**changes):
    told = {"run": "r", "source": "0", "split": "test", "make": ["grid"], "gazes": None, "poses": None}
    told |= {"few": {"people": None, "pictures": None}, "fit": {"of": "codes", "steps": 0}, "export": {"originals": []}}
    return Asked.of(told | changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"make": ["gird"]}, "make is .'gird'.; expected some of grid, film, export, gaussians"),
        ({"fit": {"of": "all", "steps": 1}}, "expected 0 or more of codes or model"),
        ({"export": {"originals": ["dev"]}}, "export.originals is .'dev'."),
        ({"few": {"people": 2, "pictures": None}}, "few is about source=all"),
        ({"poses": [[0, 200]]}, r"poses\[0\] is \[0, 200\]"),
    ],
)
def test_wishes_that_cant_be_met_are_told(changes, said):
    assert asked().make == ["grid"]
    with pytest.raises(UserError, match=said):
        asked(**changes)


@pytest.mark.parametrize("of", ["codes", "model"])
def test_a_fit_brings_the_picture_nearer(data, of):
    batch = CPU.place(collate([data[0], data[7]]))
    painter = Painter(tint=0.1).requires_grad_(False)
    wrong = type(batch.inputs)(**(vars(batch.inputs) | {"identity": batch.inputs.identity + 0.2}))
    batch = Batch(wrong, batch.targets, batch.index)
    before = difference(painter(wrong).image, batch.targets)
    if of == "codes":
        told = fit_codes(painter, batch, 20, lr=0.02)
        after = difference(painter(told).image, batch.targets)
        assert torch.equal(told.gaze, wrong.gaze)
        assert not told.identity.requires_grad
    else:
        own = fit_model(painter, batch, 20, lr=0.01)
        after = difference(own(wrong).image, batch.targets)
        assert float(painter.tint) == pytest.approx(0.1)
        assert not own.tint.requires_grad
    assert (after < 0.75 * before).all()


def full(**changes):
    with initialize_config_module("gaze.conf"):
        cfg = plain_config(compose("redirect", overrides=["run=outputs/x", "hardware=cpu", "source=0"]))
    for key, value in changes.items():
        cfg[key] = {**cfg[key], **value} if isinstance(cfg[key], dict) else value
    return cfg


def make(monkeypatch, out, model=None, **changes):
    monkeypatch.setattr(making, "load_model", lambda run: model or Painter())
    told = full(**changes)
    draws = Draws(number=told["export"]["draws"]["number"])
    return redirect(Asked.of(told), PaintedHeads, out, Limits(), draws, CPU)


def test_all_that_can_be_made_of_some_samples(tmp_path, monkeypatch):
    said = make(
        *(monkeypatch, tmp_path),
        source="all",
        split="train",
        make=["grid", "film", "export"],
        shown=2,
        film={"frames": 3},
        few={"people": 2, "pictures": 2},
        export={"originals": ["train", "test"]},
        height=32,
    )
    assert "redirected (40 faces of 4 photographs, 0 dropped by the filter), originals (4 train, 12 test)" in said
    names = {path.name.split(".")[0] for path in tmp_path.iterdir()}
    assert names == {"grid_000", "grid_001", "film_000", "film_001", "redirected", "originals"}
    with pytest.raises(UserError, match="holds redirected faces already"):
        make(monkeypatch, tmp_path, source="all", make=["export"])


def test_a_fit_comes_before_all_else_and_a_model_without_gaussians_is_told(tmp_path, monkeypatch):
    painter = Painter(tint=0.1).requires_grad_(False)
    make(monkeypatch, tmp_path, painter, make="grid", fit={"steps": 2}, height=32)
    assert painter.asked[:2] == [1, 1]
    assert (tmp_path / "grid.png").is_file()
    with pytest.raises(UserError, match="is a Painter, which draws no Gaussians; leave gaussians out of make"):
        make(monkeypatch, tmp_path, make=["gaussians"])


def test_a_teacher_of_another_task_filters_nothing_and_models_of_another_task_redirect_nothing(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="run=outputs/x is a ColourReader, which reads DirectionInputs"):
        make(monkeypatch, tmp_path, ColourReader())
    monkeypatch.setattr(making, "refuse_teacher", lambda *told: None)
    export = {"filter": {"run": "y", "sigma": 2.0}}
    with pytest.raises(ValueError, match=r"export.filter.*reads FaceInputs"):
        make(monkeypatch, tmp_path, source="all", make=["export"], export=export)


def test_what_taught_the_redirector_filters_nothing(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(making, "refuse_teacher", lambda *told: asked.append(told))
    with pytest.raises(ValueError, match=r"export.filter.*reads FaceInputs"):
        make(monkeypatch, tmp_path, source="all", make=["export"], export={"filter": {"run": "y", "sigma": 2.0}})
    assert asked == [("y", "outputs/x", "export.filter.run")]


def test_what_never_trains_is_not_fitted(data):
    painter = Painter(tint=0.1)
    painter.vae = torch.nn.Linear(1, 1)
    painter.vae.never_trains = True
    painter.register_forward_hook(lambda model, _, made: replace(made, image=made.image * model.vae.weight.abs().sum()))
    own = fit_model(painter.requires_grad_(False), CPU.place(collate([data[0]])), 3, lr=0.01)
    assert torch.equal(own.vae.weight, painter.vae.weight)
    assert own.tint != painter.tint


class Numbered(PaintedHeads):
    """Its samples have corrections of their own, and its people of val are those of train."""

    def __init__(self, split):
        super().__init__("train" if split == "val" else split)
        self.inputs = replace(self.inputs, sample=torch.arange(len(self)))


def test_corrections_of_samples_are_only_those_of_the_model_s_own_data(tmp_path, monkeypatch):
    seen = []

    class Listening(Painter):
        def forward(self, inputs: FaceInputs) -> FacePrediction:
            seen.append(inputs.sample.unique().tolist())
            return super().forward(inputs)

    monkeypatch.setattr(making, "load_model", lambda run: Listening())
    asked = Asked.of(full(make=["grid"], source="5", height=32))
    for own in (True, False):
        redirect(asked, Numbered, tmp_path, Limits(), Draws(), CPU, own)
    assert seen == [[5], [-1]]


def test_nobody_is_exported_to_two_splits(tmp_path, monkeypatch):
    monkeypatch.setattr(making, "load_model", lambda run: Painter())
    told = full(make=["export"], source="all", split="train", export={"originals": ["train", "val"]})
    with pytest.raises(UserError, match="train_subject0, .* are in val and in train, and nobody may be in two splits"):
        redirect(Asked.of(told), Numbered, tmp_path, Limits(), Draws(number=1), CPU)
    assert not (tmp_path / "redirected").exists()
