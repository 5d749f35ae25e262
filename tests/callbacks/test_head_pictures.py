"""Sheets of heads, and of the neutral mesh, in the run directory."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gaze.callbacks.head_pictures import HeadPictures
from gaze.callbacks.neutral_mesh import NeutralMesh
from gaze.datasets.dataset import Dataset
from gaze.datasets.image import read_image
from gaze.datasets.portraits import Portraits
from gaze.hardware import Hardware
from gaze.models.autoencoder import Autoencoder
from gaze.models.mesh_avatar import MeshAvatar
from gaze.pictures.head_sheet import head_sheet
from gaze.rasterize.rasterizer import Rasterizer
from gaze.types import Batch, FaceTargets
from tests.avatars.heads import face_inputs, small_mesh_head
from tests.stubs.line import Line
from tests.stubs.vaes import tiny


class Views(Dataset):
    """Grey pictures whose middle is a head."""

    def __len__(self):
        return 5

    def sample(self, index, generator):
        inputs = face_inputs(5).map(lambda t: t[index])
        mask = torch.zeros(32, 32, dtype=torch.bool)
        mask[8:24, 8:24] = True
        return Batch(inputs, FaceTargets(torch.full((3, 32, 32), 100).byte(), head_mask=mask), torch.tensor(index))


@pytest.fixture
def trainer(tmp_path):
    model = MeshAvatar(small_mesh_head(), Rasterizer("torch"), image_size=32)
    told = {"run": SimpleNamespace(path=tmp_path), "hardware": Hardware("cpu"), "val_set": Views(), "amp": False}
    return SimpleNamespace(**told, model=model, eval_model=model, epoch=1, epochs=2, stop=False)


def test_a_row_for_each_view(trainer):
    HeadPictures(samples=2, height=32).fit_start(trainer)
    HeadPictures(samples=2, height=32).epoch_end(trainer, {})
    few = read_image(trainer.run.path / "pictures" / "epoch_001.png")
    HeadPictures(samples=4, height=32).epoch_end(trainer, {})
    many = read_image(trainer.run.path / "pictures" / "epoch_001.png")
    assert few.shape[2] == many.shape[2] > 3 * 32
    assert many.shape[1] > few.shape[1] + 64
    trainer.val_set = Line("val")
    with pytest.raises(ValueError, match=r"draws views of heads.*leave head_pictures out"):
        HeadPictures().fit_start(trainer)


def test_an_autoencoder_is_shown_beside_what_it_was_given(trainer):
    trainer.val_set, trainer.eval_model = Portraits(lambda split: Views(), "val"), Autoencoder(tiny())
    HeadPictures(samples=2, height=32).fit_start(trainer)
    HeadPictures(samples=2, height=32).epoch_end(trainer, {})
    assert read_image(trainer.run.path / "pictures" / "epoch_001.png").shape[2] > 2 * 32


def test_what_a_model_draws_before_refining_has_a_column(trainer):
    plain = trainer.model(face_inputs(2))

    def predict(batch):
        return plain

    def with_raw(batch):
        return replace(plain, raw=plain.image)

    assert head_sheet(Views(), [0, 1], with_raw).shape[2] > head_sheet(Views(), [0, 1], predict).shape[2] + 128
    broken = replace(plain, image=torch.full_like(plain.image, torch.nan))
    head_sheet(Views(), [0, 1], lambda batch: broken)


def test_the_neutral_mesh_is_drawn_now_and_then_and_written_at_the_end(trainer):
    callback = NeutralMesh(every_epochs=2, height=40)
    callback.fit_start(trainer)
    callback.epoch_end(trainer, {})
    assert not (trainer.run.path / "pictures").exists()
    trainer.epoch = 2
    callback.epoch_end(trainer, {})
    assert read_image(trainer.run.path / "pictures" / "neutral_mesh_002.png").shape[2] > 3 * 40
    callback.fit_end(trainer)
    lines = (trainer.run.path / "mesh.obj").read_text().splitlines()
    surface = trainer.model.backbone.neutral_surface()
    assert sum(line.startswith("f ") for line in lines) == len(surface.triangles)
    assert len(lines[0].split()) == 7  # a vertex has a colour
    header = (trainer.run.path / "points.ply").read_bytes().split(b"end_header")[0]
    assert f"element vertex {len(surface.points)}".encode() in header
    trainer.eval_model = nn.Linear(1, 1)
    with pytest.raises(ValueError, match="draws the mesh of a MeshAvatar"):
        callback.fit_start(trainer)
    with pytest.raises(ValueError, match="every_epochs is 0"):
        NeutralMesh(every_epochs=0)
