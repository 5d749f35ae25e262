"""Shows the neutral mesh of a mesh head while it grows, and writes it as files at the end."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gaze.avatars.obj import save_obj
from gaze.backbones.mesh_head import MeshHead
from gaze.callbacks.callback import Callback
from gaze.pictures.mesh import draw_mesh
from gaze.pictures.sheet import save_picture, sheet

if TYPE_CHECKING:
    from gaze.trainer import Trainer

logger = logging.getLogger(__name__)

VIEWS = {"from its left": -60.0, "from the front": 0.0, "from its right": 60.0}  # degrees that the head is turned


class NeutralMesh(Callback):
    """Writes `pictures/neutral_mesh_003.png` after 3 epochs, and `mesh.obj` when training ends.

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
        self._head(trainer)

    def epoch_end(self, trainer: Trainer, metrics: Mapping[str, float]) -> None:
        last = trainer.epoch == trainer.epochs or trainer.stop
        if not trainer.hardware.main or (trainer.epoch % self.every_epochs and not last):
            return
        points, _, triangles = self._head(trainer).neutral_surface()
        views = [draw_mesh(points, triangles, self.height, yaw) for yaw in VIEWS.values()]
        title = f"epoch {trainer.epoch}     {len(points):,} vertices, {len(triangles):,} triangles"
        file = trainer.run.path / "pictures" / f"neutral_mesh_{trainer.epoch:03d}.png"
        try:
            save_picture(sheet(views, list(VIEWS), title, len(views)), file)
        except OSError as error:
            logger.warning("could not write %s: %s; training goes on", file, error)

    def fit_end(self, trainer: Trainer) -> None:
        if not trainer.hardware.main:
            return
        points, _, triangles = self._head(trainer).neutral_surface()
        try:
            save_obj(trainer.run.path / "mesh.obj", points, triangles)
        except OSError as error:
            logger.warning("could not write %s: %s", trainer.run.path / "mesh.obj", error)

    def _head(self, trainer: Trainer) -> MeshHead:
        found = [module for module in trainer.eval_model.modules() if isinstance(module, MeshHead)]
        if not found:
            raise ValueError(
                f"callback.neutral_mesh draws a mesh head, which {type(trainer.model).__name__} has not; leave it out of the "
                "list of callbacks"
            )
        return found[0]
