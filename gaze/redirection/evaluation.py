"""Evaluates a model that redirects heads: pairs by the published protocol, judged by runs that it never saw."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gaze.bootstrap import Interval
from gaze.datasets.dataset import Dataset
from gaze.datasets.faults import DatasetError
from gaze.errors import UserError
from gaze.hardware import Hardware
from gaze.measures import Frames, Measure
from gaze.people_intervals import over_people
from gaze.pictures.sheet import fit, save_picture, sheet
from gaze.redirection.behaviour import Speed, monotony, speed
from gaze.redirection.identity import train_identity
from gaze.redirection.judges import Judges, open_judges
from gaze.redirection.observation import CODES, How, Observed, observe, redirected
from gaze.redirection.published import published, title
from gaze.redirection.rendering import on_white, to_bytes
from gaze.screens.table import write_csv
from gaze.tables import figure_table, plain_table
from gaze.types import FaceInputs, FaceTargets, collate

OpenSplit = Callable[..., Dataset]
ABSENT = (DatasetError, FileNotFoundError, UserError)  # of splits that are missing, or that lie elsewhere now
INSIDE, OUTSIDE = "within the trained yaw", "beyond the trained yaw"
REACH = math.radians(30)  # of sweeps where the trained range is not known
# Of the printed table; all are in the files
SHOWN = (
    *(
        "gaze_deg",
        "gaze_label_deg",
        "estimator_gaze_deg",
        "head_deg",
        "ssim",
        "psnr",
        "lpips",
        "fid",
        "id_sim_synth",
        "leak",
    ),
    *("monotony_yaw", "frames_per_s"),
)
WORST = 6  # pairs of the picture
HEIGHT = 160  # px of each of its pictures


class Evaluated(NamedTuple):
    """All there is to report."""

    name: str
    observed: Observed
    extras: Mapping[str, Float[Tensor, "n"]]  # of some samples: how gaze follows along sweeps
    trained_yaw: float | None  # largest yaw in the head of training, radians
    speed: Speed | None
    facts: Mapping[str, Any]  # how it was measured


def about_heads(data: Dataset) -> bool:
    """Are the samples heads to redirect, that know their pairs?"""
    return len(data) > 0 and hasattr(data, "pairs") and type(data[0].inputs) is FaceInputs


def evaluate_heads(
    name: str,
    run: str,
    model: nn.Module,
    data: Dataset,
    open_training: OpenSplit,
    told: Mapping[str, Any],
    hardware: Hardware,
    amp: bool = False,
    baselines: bool = True,
) -> Evaluated:
    """Redirect and judge the pairs of a split.

    Args:
        run: of the model; what taught it is refused as a judge.
        open_training: opens splits of what the model was trained on.
        told: the keys `estimators` and `redirection` of conf/evaluate.yaml.

    Raises:
        UserError: a wish can't be met, or a judge was a teacher.
    """
    wishes = told["redirection"]
    if wishes["codes"] not in CODES:
        raise UserError(f"redirection.codes is {wishes['codes']!r}; expected {' or '.join(CODES)}")
    pairs = data.pairs(wishes["pairs"])  # type: ignore[attr-defined]
    if not len(pairs):
        raise UserError(
            "the split has no pairs: views of first or second halves are all left out; choose another split"
        )
    judges = open_judges(told["estimators"], run, hardware, wishes["lpips_weights"], wishes["fid_weights"])
    training = _opened(open_training)
    identity = (
        None
        if training is None or not wishes["identity_steps"]
        else train_identity(training, hardware, wishes["identity_steps"])
    )
    judges = Judges(**vars(judges) | {"identity": identity})
    model = model.to(hardware.device).eval()
    how = How(wishes["codes"], wishes["fit"], wishes["renormalise"], wishes["batch_size"], amp, wishes["leaks"])
    observed = observe(name, model, data, pairs, judges, hardware, how, baselines)
    trained = _trained_yaw(training)
    extras: dict[str, Tensor] = {}
    if judges.gaze is not None and wishes["sweeps"]:
        some = pairs[:: max(1, len(pairs) // wishes["sweeps"]), 0].tolist()[: wishes["sweeps"]]
        extras = monotony(model, data, some, judges.gaze, min(trained or REACH, REACH), hardware, wishes["batch_size"])
    timed = None
    if wishes["timed"]:
        inputs = collate([data[i].inputs for i in pairs[: wishes["batch_size"], 0].tolist()])
        timed = speed(model, inputs, hardware, amp, wishes["timed"])
    facts = {"run": run, "pairs": len(pairs), **{key: told[key] for key in ("estimators", "redirection")}}
    return Evaluated(name, observed, extras, trained, timed, facts)


def summary(
    found: Evaluated, resamples: int = 1000, seed: int = 0
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, Interval]]]:
    """Figures of the model, of guesses, and of the model within and beyond the trained yaw, with 95 % intervals.

    Intervals are over people, each with all pairs; over pairs where the split has one person only.
    """
    observed = found.observed
    everybody = torch.ones(len(observed.pairs), dtype=torch.bool)
    rows = {name: (row, everybody) for name, row in observed.figures.items()}
    if found.trained_yaw is not None:
        inside = observed.gaze[:, 1].abs() <= found.trained_yaw
        for part, mask in ((INSIDE, inside), (OUTSIDE, ~inside)):
            if mask.any() and not mask.all():
                rows[f"{found.name}, {part}"] = (observed.at(mask)[found.name], mask)
    values, ends = dict[str, dict[str, float]](), dict[str, dict[str, Interval]]()
    for name, (row, mask) in rows.items():
        subject = observed.subject[mask]
        values[name] = {m.name: m.figure() for m in measures(row, subject)}
        drawn = subject if len(subject.unique()) > 1 else torch.full_like(subject, -1)
        ends[name] = over_people(partial(measures, row), drawn, resamples, seed)
        if name in observed.fid:
            values[name]["fid"] = observed.fid[name]
    for key, value in found.extras.items():
        values[found.name][key] = float(value.mean())
    if found.speed is not None:
        values[found.name]["frames_per_s"] = found.speed.single
    return values, ends


def measures(row: Mapping[str, Float[Tensor, "p"]], subject: Int[Tensor, "p"]) -> list[Measure]:
    """Means of figures over pairs; those that a pair does not allow, such as of eyes that are not seen, leave it out."""
    frames = Frames(subject)
    kept = {key: ~value.isnan() for key, value in row.items()}
    return [frames.measure(key, value[kept[key]].double(), kept[key]) for key, value in row.items() if kept[key].any()]


def report(
    found: Evaluated,
    model: nn.Module,
    data: Dataset,
    hardware: Hardware,
    folder: Path,
    about: Mapping[str, str] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> None:
    """Write table.csv, table.json, pairs.csv, published.csv and worst.png into a folder; print the tables."""
    folder.mkdir(parents=True, exist_ok=True)
    values, ends = summary(found, resamples, seed)
    with (folder / "table.csv").open("w", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["row", "figure", "value", "ci_lo", "ci_hi"])
        for name, row in values.items():
            lines.writerows([name, key, value, *ends[name].get(key, ("", ""))] for key, value in row.items())
    facts = (
        dict(found.facts)
        | dict(about or {})
        | {"trained_yaw_rad": found.trained_yaw, "resamples": resamples, "seed": seed}
    )
    timed = {"speed": found.speed._asdict()} if found.speed is not None else {}
    text = json.dumps(facts | timed | {"figures": values, "intervals": ends}, indent=2)
    (folder / "table.json").write_text(text.replace("NaN", "null") + "\n")
    _write_pairs(found, data, folder / "pairs.csv")
    kind = str(getattr(data, "kind", "xgaze"))
    papers = published(kind)
    write_csv(papers, folder / "published.csv")
    picture = worst_pairs(found, model, data, hardware)
    save_picture(picture, folder / "worst.png")
    figure_table(
        values,
        f"{len(found.observed.pairs)} pairs; gaze and head in degrees, by estimators that taught nothing here",
        ends,
    )
    if found.speed is not None:
        timed_on = found.speed
        print(
            f"{timed_on.single:.1f} pictures/s one by one, {timed_on.batched:.1f} in batches of {timed_on.batch_size}, "
            f"on {timed_on.device}"
        )
    plain_table(
        papers, f"published, on photographs of {title(kind)}, by other judges: not to be compared with synthetic heads"
    )
    print(f"written to {folder}: {', '.join(sorted(file.name for file in folder.iterdir()))}")


def worst_pairs(found: Evaluated, model: nn.Module, data: Dataset, hardware: Hardware, most: int = WORST) -> Tensor:
    """A sheet of the pairs that are furthest off, a row each: the source, the redirected picture, the target."""
    row = found.observed.figures[found.name]
    key = "gaze_deg" if "gaze_deg" in row else "l1"
    order = row[key].nan_to_num(math.inf).argsort(descending=True)[:most].tolist()
    pairs = found.observed.pairs[order].tolist()
    wishes = found.facts["redirection"]
    how = How(wishes["codes"], wishes["fit"])
    pictures, captions = list[Tensor](), list[str]()
    for place, (first, second) in zip(order, pairs, strict=True):
        one, other = collate([data[first]]), collate([data[second]])
        image, _ = redirected(model, one, other, hardware, how)
        shown = [_bytes(one.targets), to_bytes(image)[0], _bytes(other.targets)]
        pictures += [fit(picture, HEIGHT) for picture in shown]
        captions += [data.name(first), f"{key} {float(row[key][place]):.3g}", data.name(second)]
    return sheet(pictures, captions, "worst pairs: source, redirected, target", columns=3)


def _bytes(targets: FaceTargets) -> Tensor:
    return to_bytes(on_white(targets))[0]


def _write_pairs(found: Evaluated, data: Dataset, file: Path) -> None:
    observed = found.observed
    row = observed.figures[found.name]
    angles = observed.gaze.rad2deg().tolist()
    with file.open("w", newline="") as handle:
        lines = csv.writer(handle, lineterminator="\n")
        lines.writerow(["source", "target", "person", "target_pitch_deg", "target_yaw_deg", *row])
        for place, (first, second) in enumerate(observed.pairs.tolist()):
            numbers = [*angles[place], *(float(value[place]) for value in row.values())]
            told = ["" if math.isnan(v) else f"{v:.6g}" for v in numbers]
            lines.writerow([data.name(first), data.name(second), data.group(second), *told])


def _opened(open_training: OpenSplit) -> Dataset | None:
    try:
        return open_training(split="train")
    except ABSENT as error:
        print(f"no figure of identity and of the trained range, as the training split can't be opened: {error}")
        return None


def _trained_yaw(training: Dataset | None) -> float | None:
    gaze = getattr(getattr(training, "labels", None), "gaze", None)
    return None if gaze is None else float(gaze[:, 1].abs().max())
