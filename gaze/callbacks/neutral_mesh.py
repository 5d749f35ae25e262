"""Shows the neutral mesh of a mesh head while it grows, and writes it as files at the end."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from gaze.avatars.head_mesh import HeadMesh
from gaze.avatars.obj import save_obj
from gaze.callbacks.callback import Callback
from gaze.models.mesh_avatar import MeshAvatar
from gaze.pictures.mesh import draw_mesh
from gaze.pictures.sheet import save_picture, sheet
from gaze.rasterize.ply import write_ply
from gaze.types import FaceInputs, collate

if TYPE_CHECKING:
    from gaze.trainer import Trainer

logger = logging.getLogger(__name__)

VIEWS = {"from its left": -60.0, "from the front": 0.0, "from its right": 60.0}  # degrees that the head is turned


class NeutralMesh(Callback):
    """Writes `pictures/neutral_mesh_003.png` after 3 epochs, and `mesh.obj` and `points.ply` when training ends.

    Both files hold the neutral head in the colours of the first person of the validation set.

    Args:
        every_epochs: epochs between two pictures; the last epoch always has one.
        height: of each view, pixels.

    Raises:
        ValueError: a setting is out of range, or, when training starts, the model has no mesh.
    """

    def __init__(self, every_epochs: int = 2, height: int = 256) -> None:
        if every_epochs < 1 or height < 32:
            raise ValueError(
                f"callback.neutral_mesh.every_epochs is {every_epochs} and height {height}; expected 1 or more epochs, and "
                "32 or more pixels"
            )
        self.every_epochs, self.height = every_epochs, height

    def fit_start(self, trainer: Trainer) -> None:
        self._avatar(trainer)

    def epoch_end(self, trainer: Trainer, metrics: Mapping[str, float]) -> None:
        last = trainer.epoch == trainer.epochs or trainer.stop
        if not trainer.hardware.main or (trainer.epoch % self.every_epochs and not last):
            return
        points, _, triangles = self._avatar(trainer).backbone.neutral_surface()
        views = [draw_mesh(points, triangles, self.height, yaw) for yaw in VIEWS.values()]
        title = f"epoch {trainer.epoch}     {len(points):,} vertices, {len(triangles):,} triangles"
        file = trainer.run.path / "pictures" / f"neutral_mesh_{trainer.epoch:03d}.png"
        try:
            save_picture(sheet(views, list(VIEWS), title, len(views)), file)
        except OSError as error:
            logger.warning("could not write %s: %s; training goes on", file, error)

    @torch.no_grad()
    def fit_end(self, trainer: Trainer) -> None:
        if not trainer.hardware.main:
            return
        avatar = self._avatar(trainer).eval()
        neutral = avatar.backbone.neutral_surface()
        inputs = ahead(trainer.hardware.place(collate([trainer.val_set[0]])).inputs)
        mesh: HeadMesh = avatar.backbone(inputs)._replace(points=neutral.points[None])
        cloud = avatar.gaussians(mesh, inputs.scale)
        try:
            save_obj(trainer.run.path / "mesh.obj", neutral.points, neutral.triangles, mesh.colours[0, :, :3])
            write_ply(cloud, trainer.run.path / "points.ply")
        except OSError as error:
            logger.warning("could not write the mesh into %s: %s", trainer.run.path, error)

    def _avatar(self, trainer: Trainer) -> MeshAvatar:
        found = [module for module in trainer.eval_model.modules() if isinstance(module, MeshAvatar)]
        if not found:
            raise ValueError(
                f"callback.neutral_mesh draws the mesh of a MeshAvatar, and the model is a {type(trainer.model).__name__}; "
                "leave it out of the list of callbacks"
            )
        return found[0]


def ahead(inputs: FaceInputs) -> FaceInputs:
    """The same people at the origin of the world, facing and looking ahead."""
    zero = torch.zeros_like
    return replace(inputs, gaze=zero(inputs.gaze), pose=zero(inputs.pose), scale=torch.ones_like(inputs.scale))
