"""Everything that a run can make of the samples that are asked for, into one folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import pi
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.datasets.dataset import Dataset
from gaze.errors import UserError
from gaze.hardware import Hardware
from gaze.losses.teacher import check_teacher, record_read
from gaze.pictures.sheet import save_picture
from gaze.records import stacked
from gaze.redirection.draws import Draws
from gaze.redirection.export import Doubtful, export_originals, export_redirected, refuse_existing
from gaze.redirection.film import film, sweep, write_film
from gaze.redirection.fitting import fit_codes, fit_model
from gaze.redirection.grid import grid
from gaze.redirection.sources import ALL, OpenSplit, Uncorrected, check_heads, few, find_source
from gaze.redirection.targets import GAZES, POSES, Limits, angles, clamped
from gaze.redirection.teachers import refuse_teacher
from gaze.runs import load_model
from gaze.types import DirectionInputs, FaceInputs, collate

MAKES = ("grid", "film", "export", "gaussians")
FITS = ("codes", "model")
SPLITS = ("train", "val", "test")
NEEDED = {
    "run": "the directory of a run that redirects heads",
    "source": "FILE.h5#ROW, the number of a sample of the split, or all",
}


@dataclass(frozen=True)
class Asked:
    """What a person asked for; see conf/redirect.yaml."""

    run: str
    source: str
    split: str
    make: Sequence[str]
    gazes: Float[Tensor, "g 2"]
    poses: Float[Tensor, "p 2"]
    told: Mapping[str, Any]  # the whole config

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Asked:
        """The wishes of a config, checked.

        Raises:
            UserError: one can't be met.
        """
        for key, what in NEEDED.items():
            if told[key] == "???":
                raise UserError(f"{key} is missing; expected {what}: give {key}=...")
        make = [told["make"]] if isinstance(told["make"], str) else list(told["make"])
        wrong = [name for name in make if name not in MAKES]
        if wrong or not make:
            raise UserError(f"make is {make}; expected some of {', '.join(MAKES)}")
        fit, originals = told["fit"], told["export"]["originals"]
        if fit["of"] not in FITS or fit["steps"] < 0:
            raise UserError(f"fit is {fit['steps']} steps of {fit['of']!r}; expected 0 or more of {' or '.join(FITS)}")
        if not set(originals) <= set(SPLITS):
            raise UserError(f"export.originals is {originals}; expected some of {', '.join(SPLITS)}")
        if any(v is not None for v in told["few"].values()) and str(told["source"]) != ALL:
            raise UserError(f"few is about source={ALL}, and source is {told['source']}; leave few out")
        gazes = angles(GAZES if told["gazes"] is None else told["gazes"], "gazes")
        poses = angles(POSES if told["poses"] is None else told["poses"], "poses")
        return cls(str(told["run"]), str(told["source"]), told["split"], make, gazes, poses, told)


def redirect(
    asked: Asked,
    open_split: OpenSplit,
    out: Path,
    limits: Limits,
    draws: Draws,
    hardware: Hardware,
    own: bool = True,
) -> str:
    """Make what is asked for.

    Args:
        own: is this the data set that the model was trained on, as it was then? Only there are its corrections of single
            samples those of these samples.

    Returns:
        what was written, for a person.

    Raises:
        UserError: the run is of another task, or there is no such sample.
    """
    told = asked.told
    model = load_model(asked.run).to(hardware.device)
    if (reads := record_read(model)) not in (None, FaceInputs.__name__):
        raise UserError(
            f"run={asked.run} is a {type(model).__name__}, which reads {reads}; expected a run of a model that redirects heads, "
            "such as model=gazegaussian"
        )
    open_split = open_split if own else partial(Uncorrected, open_split)
    data, indices = find_source(asked.source, asked.split, open_split)
    check_heads(data, asked.run)
    if asked.source == ALL:
        indices = few(data, indices, told["few"]["people"], told["few"]["pictures"])
    if "export" in asked.make:
        for name in ("redirected", "originals"):
            refuse_existing(out / name, told["overwrite"])
    gazes = clamped(asked.gazes, limits)
    written = []
    for place, index in enumerate(indices[: told["shown"]] if set(asked.make) - {"export"} else ()):
        suffix = f"_{place:03d}" if len(indices) > 1 else ""
        written += _shown(asked, model, data, index, gazes, limits, out, suffix, hardware)
    if "export" in asked.make:
        written += _export(asked, model, data, indices, open_split, out, limits, draws, hardware)
    return f"{out}: {', '.join(written)}"


def _shown(
    asked: Asked,
    model: nn.Module,
    data: Dataset,
    index: int,
    gazes: Float[Tensor, "g 2"],
    limits: Limits,
    out: Path,
    suffix: str,
    hardware: Hardware,
) -> list[str]:
    """The sheet, the film and the Gaussians of one sample, of which those are made that are asked for."""
    told, size, written = asked.told, asked.told["batch_size"], []
    inputs: FaceInputs = collate([data[index].inputs])
    if told["fit"]["steps"]:
        model, inputs = _fitted(model, data, [index], told["fit"], hardware)
    if "grid" in asked.make:
        picture = grid(model, data, index, gazes, asked.poses, hardware, size, told["height"], inputs)
        save_picture(picture, out / f"grid{suffix}.png")
        written.append(f"grid{suffix}.png")
    if "film" in asked.make:
        way = told["film"]
        reach = clamped(_radians(way["gaze_deg"]), limits)
        pictures = film(
            model, sweep(inputs, way["frames"], reach, _radians(way["pose_deg"])), hardware, size, told["height"]
        )
        written.append(write_film(pictures, out, f"film{suffix}", way["fps"]).name)
    if "gaussians" in asked.make:
        _write_gaussians(model, hardware.place(inputs), out / f"gaussians{suffix}.ply", asked.run)
        written.append(f"gaussians{suffix}.ply")
    return written


def _export(
    asked: Asked,
    model: nn.Module,
    data: Dataset,
    indices: list[int],
    open_split: OpenSplit,
    out: Path,
    limits: Limits,
    draws: Draws,
    hardware: Hardware,
) -> list[str]:
    told, doubtful, fitted = asked.told, None, None
    if told["export"]["filter"]["run"] is not None:
        refuse_teacher(told["export"]["filter"]["run"], asked.run, "export.filter.run")
        estimator = load_model(told["export"]["filter"]["run"])
        check_teacher(estimator, DirectionInputs, "export.filter")
        doubtful = Doubtful(estimator.to(hardware.device), told["export"]["filter"]["sigma"])
    if told["fit"]["steps"]:
        if told["fit"]["of"] == "model":
            raise UserError(
                "fit.of=model makes a model for one picture, and an export has one for all; take fit.of=codes"
            )
        _, fitted = _fitted(model, data, indices, told["fit"], hardware, told["batch_size"])
    parts = [_part(name, asked.split, data, indices, open_split) for name in told["export"]["originals"]]
    people: dict[Any, int] = {}
    about = {key: told[key] for key in ("run", "source", "split", "few", "limits_deg", "export", "fit")}
    counts = export_redirected(
        *(model, data, indices, out / "redirected", draws, limits, hardware, told["batch_size"], doubtful),
        *(people, about, told["overwrite"], fitted),
    )
    said = [f"redirected ({counts[0]} faces of {len(indices)} photographs, {counts[1]} dropped by the filter)"]
    if parts:
        found = export_originals(parts, out / "originals", people, about, told["overwrite"])
        said.append(f"originals ({', '.join(f'{n} {name}' for name, n in found.items())})")
    return said


def _part(
    name: str, split: str, data: Dataset, indices: list[int], open_split: OpenSplit
) -> tuple[str, Dataset, list[int]]:
    """Of the source's split what is redirected, which is then trained on; all of the others."""
    if name == split:
        return name, data, indices
    other = open_split(split=name)
    every = list(range(len(other)))
    shared = sorted({str(other.group(i)) for i in every} & {str(data.group(i)) for i in indices})
    if shared:
        raise UserError(
            f"export.originals: {', '.join(shared[:3])} are in {name} and in {split}, and nobody may be in two splits of what is "
            "trained on; take the people of the list's val with dataset=heads dataset.held_frames=null, or leave it out"
        )
    return name, other, every


def _fitted(
    model: nn.Module,
    data: Dataset,
    indices: list[int],
    fit: Mapping[str, Any],
    hardware: Hardware,
    batch_size: int = 16,
) -> tuple[nn.Module, FaceInputs]:
    """The model and the inputs to go on with."""
    parts = []
    for start in range(0, len(indices), batch_size):
        batch = hardware.place(collate([data[i] for i in indices[start : start + batch_size]]))
        if fit["of"] == "model":
            return fit_model(model, batch, fit["steps"], fit["lr"]), batch.inputs.to("cpu")
        parts.append(fit_codes(model, batch, fit["steps"], fit["lr"]).to("cpu"))
    return model, stacked(parts)


def _write_gaussians(model: nn.Module, inputs: FaceInputs, file: Path, run: str) -> None:
    made: Callable[[FaceInputs], Any] | None = getattr(model, "gaussians", None)
    if made is None:
        raise UserError(f"run={run} is a {type(model).__name__}, which draws no Gaussians; leave gaussians out of make")
    from gaze.rasterize.ply import write_ply

    file.parent.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        write_ply(made(inputs).to("cpu"), file)


def _radians(pair: Sequence[float]) -> Float[Tensor, "2"]:
    return torch.tensor(pair, dtype=torch.float32) * (pi / 180)
