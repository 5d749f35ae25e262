"""Redirects the inputs of all pairs of a split to their targets, and measures each picture, beside what guesses would give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from torch.utils.data import Subset

from gaze.datasets.dataset import Dataset
from gaze.hardware import Hardware
from gaze.loading import release
from gaze.metrics.frechet import FrechetDistance
from gaze.redirection.behaviour import leaks
from gaze.redirection.figures import Figures, figures
from gaze.redirection.fitting import fit_codes, fit_model
from gaze.redirection.judges import Judges
from gaze.redirection.rendering import photographs, render
from gaze.redirection.sources import uncorrected
from gaze.types import Batch, FaceInputs, FacePrediction, FaceTargets

CODES = ("input", "target_expression")
SOURCE, MEAN = "source as it is", "mean picture"


@dataclass(frozen=True)
class How:
    """How pairs are redirected and judged.

    Args:
        codes: whose the codes are: "input", as published, or "target_expression": its identity and the target's expression.
        fit: {steps, of, lr}: to each input before it is redirected; see conf/redirect.yaml.
        renormalise: show estimators faces as photographs are normalised.
        batch_size: pairs at once.
        amp: run the model in the lower number format.
        leaks: of so many pairs, spread over all, what changes outside of the eyes is measured.
    """

    codes: str = "input"
    fit: Mapping[str, Any] | None = None
    renormalise: bool = False
    batch_size: int = 16
    amp: bool = False
    leaks: int = 64


@dataclass(frozen=True)
class Observed:
    """What was found of p pairs."""

    pairs: Int[Tensor, "p 2"]  # numbers of samples: input and target
    figures: Mapping[str, Figures]  # of the model and of guesses, by name; a value per pair
    fid: Mapping[str, float]  # likewise; without where there is no network for it
    gaze: Float[Tensor, "p 2"]  # of the target in the head: pitch and yaw, radians
    direction: Float[Tensor, "p 3"]  # likewise in the camera frame, unit vectors; NaN unknown
    subject: Int[Tensor, "p"]

    def at(self, rows: Bool[Tensor, "p"]) -> dict[str, Figures]:
        """The figures of some pairs."""
        return {name: {figure: value[rows] for figure, value in row.items()} for name, row in self.figures.items()}


def observe(
    name: str,
    model: nn.Module,
    data: Dataset,
    pairs: Int[Tensor, "p 2"],
    judges: Judges,
    hardware: Hardware,
    how: How,
    baselines: bool = True,
) -> Observed:
    """Redirect and measure.

    Args:
        name: of the model, in the table.
        baselines: also measure the sources as they are, and the mean of all of them, against the targets.
    """
    few = set(range(0, len(pairs), max(1, len(pairs) // max(1, how.leaks)))) if how.leaks else set()
    mean = _mean_picture(data, pairs[:, 0].tolist()) if baselines else None
    found: dict[str, list[Figures]] = {}
    distances: dict[str, FrechetDistance] = {}
    gaze, direction, subject, done = list[Tensor](), list[Tensor](), list[Tensor](), 0
    loader = hardware.loader(Subset(data, pairs.flatten().tolist()), batch_size=2 * how.batch_size)
    for both in track(loader, description="redirecting", console=Console(stderr=True), transient=True):
        one, other = (_every_second(both, side) for side in (0, 1))
        one = replace(one, inputs=uncorrected(one.inputs))
        image, inputs = redirected(model, one, other, hardware, how)
        shown = {name: image}
        if mean is not None:
            shown |= {SOURCE: photographs(one.targets), MEAN: mean.expand_as(image)}
        placed = hardware.place(other)
        for title, picture in shown.items():
            picture = picture.to(hardware.device)
            row = figures(picture, placed.inputs, placed.targets, judges, how.renormalise)
            found.setdefault(title, []).append({key: value.float().cpu() for key, value in row.items()})
            if judges.inception is not None:
                distance = distances.setdefault(title, FrechetDistance(judges.inception).to(hardware.device))
                distance.update(FacePrediction(picture), placed.targets)
        size = len(image)
        chosen = torch.tensor([done + i in few for i in range(size)])
        found[name][-1]["leak"] = _leaks(model, one, inputs, other.inputs.gaze, chosen, hardware)
        gaze.append(other.inputs.gaze)
        label, known = other.targets.gaze, other.targets.subject
        direction.append(torch.full((size, 3), torch.nan) if label is None else label)
        subject.append(torch.full((size,), -1) if known is None else known.long())
        done += size
    release(loader)
    rows = {
        title: {key: torch.cat([part[key] for part in parts]) for key in parts[0]} for title, parts in found.items()
    }
    fid = {title: float(distance.compute()["fid"]) for title, distance in distances.items()}
    return Observed(pairs, rows, fid, torch.cat(gaze), torch.cat(direction), torch.cat(subject))


def redirected(
    model: nn.Module,
    one: Batch[FaceInputs, FaceTargets],
    other: Batch[FaceInputs, FaceTargets],
    hardware: Hardware,
    how: How,
) -> tuple[Float[Tensor, "b 3 H W"], FaceInputs]:
    """Pictures of the inputs' people as the targets have gaze, pose and camera; and the inputs, fitted if asked for."""
    fit = how.fit or {"steps": 0, "of": "codes"}
    size = len(one.index)
    if not fit["steps"]:
        return render(model, taken_over(one.inputs, other.inputs, how.codes), hardware, size, how.amp), one.inputs
    placed = hardware.place(one)
    if fit["of"] == "codes":
        own = fit_codes(model, placed, fit["steps"], fit["lr"]).to("cpu")
        return render(model, taken_over(own, other.inputs, how.codes), hardware, size, how.amp), own
    made = []
    for row in range(size):  # a model of its own for each input: GazeNeRF's protocol
        single = placed.map(lambda t, row=row: t[row : row + 1])  # type: ignore[misc]
        wanted = taken_over(one.inputs, other.inputs, how.codes).map(lambda t, row=row: t[row : row + 1])  # type: ignore[misc]
        made.append(render(fit_model(model, single, fit["steps"], fit["lr"]), wanted, hardware, 1, how.amp))
    return torch.cat(made), one.inputs


def taken_over(one: FaceInputs, other: FaceInputs, codes: str = "input") -> FaceInputs:
    """The codes of the inputs with everything else of the targets."""
    expression = one.expression if codes == "input" else other.expression
    return replace(uncorrected(other), identity=one.identity, expression=expression)


def _leaks(
    model: nn.Module,
    one: Batch[FaceInputs, FaceTargets],
    inputs: FaceInputs,
    gaze: Float[Tensor, "b 2"],
    chosen: Bool[Tensor, "b"],
    hardware: Hardware,
) -> Float[Tensor, "b"]:
    found = torch.full((len(gaze),), torch.nan)
    if chosen.any():
        part = Batch(inputs, one.targets, one.index).map(lambda t: t[chosen])
        value = leaks(model, part, gaze[chosen], hardware)
        if value is not None:
            found[chosen] = value.cpu()
    return found


def _every_second(both: Batch[FaceInputs, FaceTargets], first: int) -> Batch[FaceInputs, FaceTargets]:
    return both.map(lambda t: t[first::2])


def _mean_picture(data: Dataset, indices: Sequence[int], most: int = 256) -> Float[Tensor, "1 3 H W"]:
    """The mean of some of the photographs on white."""
    some = indices[:: max(1, len(indices) // most)]
    return torch.stack([photographs(data[i].targets) for i in some]).mean(0, keepdim=True)
