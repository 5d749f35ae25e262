"""What an evaluation of redirected heads writes and prints."""

from __future__ import annotations

import csv
import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from gaze.datasets.dataset import Dataset
from gaze.hardware import Hardware
from gaze.pictures.sheet import fit, save_picture, sheet
from gaze.redirection.observation import How, redirected
from gaze.redirection.published import published, title
from gaze.redirection.rendering import photographs, to_bytes
from gaze.redirection.summary import Evaluated, doubt, summary
from gaze.screens.table import write_csv
from gaze.tables import figure_table, plain_table
from gaze.types import FaceTargets, collate

log = logging.getLogger(__name__)

# Of the printed table; all are in the files
SHOWN = ("gaze_deg", "gaze_label_deg", "estimator_gaze_deg", "head_deg", "ssim", "psnr", "lpips", "fid", "id_sim_synth")
OF_MODEL = ("leak", "monotony_yaw", "frames_per_s")  # shown, too, and of no guess
WORST = 6  # pairs of the picture
HEIGHT = 160  # px of each of its pictures


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
    where = f" of split {about['split']}" if about and "split" in about else ""
    shown = {name: {key: row[key] for key in (*SHOWN, *OF_MODEL) if key in row} for name, row in values.items()}
    figure_table(
        shown,
        f"{len(found.observed.pairs)} pairs{where}; {found.facts['people']}; gaze and head in degrees, by estimators that "
        "taught nothing here",
        ends,
    )
    if (doubted := doubt(found)) is not None:
        log.warning(doubted)
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
    return to_bytes(photographs(targets))[0]


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
