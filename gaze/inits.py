"""Where the first weights come from, when they are not the constructors' own: another run, or a first shape."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from gaze.errors import UserError

log = logging.getLogger(__name__)


class Weights:
    """Copies weights of another run's model into this one, name by name. Called once, before the first step.

    Every tensor of this model that `include` names and `exclude` does not must be in the other with the
    same shape; what stays as the constructor made it is what you excluded. Second stages do this:
    a decoder that learns in/out starts from one without, with ``exclude: ["head.inout_*"]``.

    Args:
        run: directory of the run to take weights from.
        include: globs over the names of this model's tensors.
        exclude: globs over those not to touch.
    """

    def __init__(self, run: str, include: Sequence[str] = ("*",), exclude: Sequence[str] = ()) -> None:
        self.run, self.include, self.exclude = run, list(include), list(exclude)

    def __call__(self, model: nn.Module) -> None:
        """Fill `model` in place.

        Raises:
            ValueError: a glob matches nothing, or a tensor is missing or has another shape over there.
        """
        from gaze.runs import load_model  # imports Hydra, which the entry has and a test need not

        own = model.state_dict()
        self._refuse_idle_globs(own)
        wanted = [name for name in own if _matches(name, self.include) and not _matches(name, self.exclude)]
        source = load_model(self.run).state_dict()
        problems = [_problem(name, own[name], source.get(name)) for name in wanted]
        if found := [problem for problem in problems if problem]:
            raise ValueError(
                f"init from {self.run} does not fit in {len(found)} of {len(wanted)} tensors: {'; '.join(found[:8])}"
                f"{'; …' if len(found) > 8 else ''}. Name what should keep its own start in init.exclude"
            )
        model.load_state_dict({name: source[name] for name in wanted}, strict=False)
        kept = [name for name in own if name not in set(wanted)]
        log.info("init from %s: %d tensors: %s", self.run, len(wanted), ", ".join(wanted))
        log.info("init from %s: %d tensors keep their own start: %s", self.run, len(kept), ", ".join(kept) or "none")

    def _refuse_idle_globs(self, own: dict[str, Tensor]) -> None:
        for key, globs in (("include", self.include), ("exclude", self.exclude)):
            for glob in globs:
                if not any(fnmatchcase(name, glob) for name in own):
                    roots = sorted({".".join(name.split(".")[:2]) for name in own})
                    raise ValueError(
                        f"init.{key}: {glob!r} matches no tensor of this model. It has {', '.join(roots[:20])}"
                    )


class MeshToGaussians:
    """Makes the Gaussians of GazeGaussian's second stage from the mesh that the first learned. Called once.

    The first stage is rebuilt from its own config, so no option of it is lost.

    Args:
        run: directory of the first stage's run.
        spheres: eyes begin as balls behind the lids; false: as the mesh's vertices there, as published.
        eyes: take over how eyes turn and what colour they have, too; false: for comparisons of ways to turn.

    Raises:
        UserError: no run is given.
    """

    def __init__(self, run: str | None = None, spheres: bool = True, eyes: bool = True) -> None:
        if run is None:
            raise UserError(
                "init.run is null, but the second stage starts from a run of the first; train one by "
                "'python -m gaze.train model=gazegaussian_mesh' and give its directory: init.run=outputs/gazegaussian_mesh/..."
            )
        self.run, self.spheres, self.eyes = run, spheres, eyes

    def __call__(self, model: nn.Module) -> None:
        """Fill the backbone of `model` in place.

        Raises:
            UserError: the run is not one of a mesh head.
            ValueError: its dimensions are others; the message says which.
        """
        from gaze.avatars.handover import hand_over
        from gaze.backbones.mesh_head import MeshHead
        from gaze.runs import load_model

        mesh = load_model(self.run).get_submodule("backbone")
        if not isinstance(mesh, MeshHead):
            raise UserError(
                f"init.run={self.run} holds a {type(mesh).__name__}; expected a run of model=gazegaussian_mesh"
            )
        try:
            hand_over(mesh, model.backbone, self.spheres, self.eyes)  # type: ignore[arg-type]
        except ValueError as error:
            raise ValueError(f"init from {self.run} does not fit: {error}") from error


def _matches(name: str, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def _problem(name: str, own: Tensor, other: Tensor | None) -> str:
    if other is None:
        return f"{name} is not there"
    return "" if own.shape == other.shape else f"{name} is {tuple(other.shape)} there and {tuple(own.shape)} here"


class Sphere:
    """Fits the signed distance of a mesh head to a sphere, so that there is a surface to begin with. Called once.

    The published recipe is 300 steps of Adam, each with 8 x 1024 points of [-1.5, 1.5]^3 and a unit sphere at the origin.
    Here points fill the head's own box, part of which theirs leaves out, where a fit may grow a second surface; and it is
    the distance before its tanh that is fitted, which the tanh of a first bad answer can't silence.

    Args:
        radius: canonical units.
        centre: canonical frame.
        steps: of Adam.
        points: in each step.
        lr: of Adam.
        seed: of the points.
    """

    def __init__(
        self,
        radius: float = 1.0,
        centre: Sequence[float] = (0.0, 0.0, 0.0),
        steps: int = 300,
        points: int = 8192,
        lr: float = 1e-3,
        seed: int = 0,
    ) -> None:
        if radius <= 0 or steps < 1 or points < 1 or len(centre) != 3:
            raise ValueError(
                f"init.radius is {radius}, init.centre {list(centre)}, init.steps {steps} and init.points {points}; expected "
                "a positive radius, three numbers, and a step and a point or more"
            )
        self.radius, self.centre, self.steps, self.points, self.lr, self.seed = radius, centre, steps, points, lr, seed

    def __call__(self, model: nn.Module) -> None:
        """Fit the backbone of `model` in place.

        Raises:
            ValueError: the model has no backbone with a signed distance.
        """
        head: Any = dict(model.named_children()).get("backbone")
        if not hasattr(head, "signed_distance"):
            raise ValueError(
                f"init=sphere fits backbone.signed_distance, which {type(model).__name__} has not; use it with "
                "backbone=mesh_head, or leave init out"
            )
        generator = torch.Generator().manual_seed(self.seed)
        low, high, centre = (torch.tensor(limit) for limit in (head.low, head.high, self.centre))
        optimizer = torch.optim.Adam(head.geometry.parameters(), lr=self.lr)
        error = torch.zeros(())
        for _ in range(self.steps):
            points = low + (high - low) * torch.rand(self.points, 3, generator=generator)
            wanted = (points - centre).norm(dim=1) - self.radius
            error = (head.signed_distance(points) - wanted).square().mean()
            optimizer.zero_grad(set_to_none=True)
            error.backward()
            optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        log.info("init: a sphere of radius %g, off by %.4f canonical units", self.radius, float(error.detach().sqrt()))
