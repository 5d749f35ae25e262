"""Evaluates a model of directions on a split: the table of its predictions, beside what baselines guess."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from pyarrow import Table
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from gaze.bootstrap import Interval
from gaze.datasets.dataset import Dataset
from gaze.datasets.direction_labels import DirectionLabels
from gaze.datasets.faults import DatasetError
from gaze.directions.banks import FIELDS, chosen_prompts, right_prompts
from gaze.directions.baselines import embedder, head_direction, ridge_guesses, train_mean
from gaze.directions.reports import fold_rows, write_reports
from gaze.directions.routers import counted, write_loads
from gaze.directions.rows import DirectionRows, joined, rows_of
from gaze.directions.table import CODE, LUMA, prediction_table, rows_by_name, write_predictions
from gaze.directions.temperature import temperature_of
from gaze.errors import UserError
from gaze.evaluation import on_batches
from gaze.hardware import Hardware
from gaze.loading import release
from gaze.pictures.direction_errors import calibration_picture, error_map
from gaze.screens.table import LEFT_OUT, facts_in, with_facts
from gaze.tables import figure_table, plain_table
from gaze.types import DirectionPrediction

OpenSplit = Callable[..., Dataset]
PROTOCOL = "protocol"  # of `gaze.screens.table.ABOUT`
SHOWN = ("error_deg", "error_median_deg", "subject_error_deg", "coverage_68", "calibration_error", "nll", "ause")
OF_SOME = ("class_accuracy", "class_chance", "jitter_deg_per_frame", "lag_frames")  # shown where there are such
LUMA_OF_RGB = (0.299, 0.587, 0.114)  # ITU-R BT.601
# Data sets whose splits are missing, or that lie elsewhere now
ABSENT = (DatasetError, FileNotFoundError, UserError)


def about_directions(dataset: Dataset) -> bool:
    """Are the samples faces with directions, with labels for all of them?"""
    return len(dataset) > 0 and isinstance(getattr(dataset, "labels", None), DirectionLabels)


class Observed(NamedTuple):
    """What a model says of a split, sample by sample in the order of its labels."""

    rows: DirectionRows
    chosen: dict[str, list[str]]  # ids of the most similar prompts by bank
    right: dict[str, list[str]]  # and of those of the true direction
    seen: dict[str, Tensor]  # what the table says of each face beside its directions
    loads: dict[str, Float[Tensor, "e"]]  # of experts by layer


def observe(model: nn.Module, data: Dataset, hardware: Hardware, batch_size: int = 64, amp: bool = False) -> Observed:
    """What a model says of all samples of a split of directions."""
    labels: DirectionLabels = data.labels  # type: ignore[attr-defined]
    predict = on_batches(model.to(hardware.device), hardware, amp)
    loader = hardware.loader(data, batch_size=batch_size)
    rows, angle, said = list[DirectionRows](), None, dict[str, list[Tensor]]()
    with counted(model) as loads:
        for batch in track(loader, description="predicting", console=Console(stderr=True), transient=True):
            prediction = predict(batch).map(Tensor.cpu)
            assert isinstance(prediction, DirectionPrediction)
            rows.append(rows_of(prediction, batch.targets))
            angle = prediction.class_angle
            told = {name: getattr(prediction, name) for name in (*FIELDS, CODE)} | {LUMA: luma_of(batch.inputs.face)}
            for name, value in told.items():
                if value is not None:
                    said.setdefault(name, []).append(value)
    release(loader)
    moment = torch.stack([labels.session, labels.frame], 1).double()
    moment = torch.where(moment < 0, torch.nan, moment)
    found = replace(joined(rows), head=labels.head.double(), subject=labels.subject.long(), moment=moment)
    whole = {name: torch.cat(values) for name, values in said.items()}
    banks = chosen_prompts(model, {name: whole[name] for name in FIELDS if name in whole})
    right = {} if angle is None else right_prompts(model, found.truth, angle)
    right = {bank: ids for bank, ids in right.items() if bank not in labels.attributes}
    return Observed(found, banks, right, {name: whole[name] for name in (LUMA, CODE) if name in whole}, loads)


def luma_of(face: Shaped[Tensor, "b *t 3 H W"]) -> Float[Tensor, "b"]:
    """How bright faces are on average, 0 to 1; of clips, their middle frames."""
    face = face if face.dim() == 4 else face[:, face.shape[1] // 2]
    mean = face.float().mean((2, 3)) / (1.0 if face.is_floating_point() else 255.0)
    return mean @ mean.new_tensor(LUMA_OF_RGB)


def predictions(
    model: nn.Module,
    test_set: Dataset,
    open_split: OpenSplit,
    hardware: Hardware,
    batch_size: int = 64,
    amp: bool = False,
    baselines: bool = True,
) -> tuple[Table, dict[str, Float[Tensor, "e"]]]:
    """The table of all samples of a split, see `gaze.directions.table`, and the loads of experts by layer.

    Args:
        open_split: opens the splits of what the model was trained on: train teaches the baselines, val sets the
            temperature of concentrations and the penalty of the ridge. What can't be opened is left out, and said.
        baselines: compare with guesses.
    """
    labels: DirectionLabels = test_set.labels  # type: ignore[attr-defined]
    found = observe(model, test_set, hardware, batch_size, amp)
    sure = bool(found.rows.kappa.isfinite().any())
    tower = embedder(model) if baselines else None
    train = _opened(open_split, "train", "baselines that learn") if sure or baselines else None
    val = _opened(open_split, "val", "the temperature and the ridge's penalty") if sure or tower is not None else None
    if train is not None and val is not None and _share_people(train, val):
        # Everybody trained: what these people say of a temperature or penalty holds for nobody else.
        print(
            "no temperature is set, and the ridge's penalty by people of train, as all people of val trained the model"
        )
        val = None
    temperature = None
    if sure and val is not None:
        validated = observe(model, val, hardware, batch_size, amp).rows
        temperature = temperature_of(validated.kappa, validated.error)
    others: dict[str, Tensor] = {}
    if baselines:
        if train is not None:
            others["train mean"] = train_mean(train.labels, labels)  # type: ignore[attr-defined]
        others["head direction"] = head_direction(labels)
        if tower is not None and train is not None:
            others["ridge"] = ridge_guesses(tower, train, val, test_set, hardware, batch_size)
    names = [test_set.name(i) for i in range(len(test_set))]
    told = (found.rows, labels, names, others, found.chosen, temperature, found.right, found.seen)
    table = prediction_table(*told)
    facts = getattr(test_set, "facts", {})
    return with_facts(table, {PROTOCOL: "; ".join(facts.values())}) if facts else table, found.loads


def report(
    table: Table,
    folder: Path,
    about: Mapping[str, str] | None = None,
    resamples: int = 1000,
    seed: int = 0,
    loads: Mapping[str, Float[Tensor, "e"]] | None = None,
) -> None:
    """Write a table of predictions, and all that there is to say of it, into a folder; print the main figures.

    predictions.csv and .parquet, routers.csv and .png of models with experts, and what `report_again` makes of the table.

    Args:
        about: facts of `gaze.screens.table.ABOUT` that the table is to say, such as split, model and commit.
        loads: of experts by layer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Each row says its own data set
    table = with_facts(table, {name: value for name, value in (about or {}).items() if name != "dataset"})
    write_predictions(table, folder)
    write_loads(loads or {}, folder)
    report_again(table, folder, resamples, seed)


def report_again(table: Table, folder: Path, resamples: int = 1000, seed: int = 0) -> None:
    """Write all that there is to say of a table of predictions, which comes out the same, byte for byte, from a file of it.

    summary.csv, per_subject.csv, per_dataset.csv, per_band.csv, per_attribute.csv, subsets.csv, errors.png; banks.csv and
    codes.csv of models that choose prompts or learned codes; calibration.png where the head says how sure it is; of runs
    that left somebody out in turn also per_left_out.csv.
    """
    found = write_reports(table, folder, resamples, seed)
    rows = rows_by_name(table)
    calibration_picture(rows, folder / "calibration.png")
    error_map(rows, folder / "errors.png")
    shown, ends = dict[str, dict[str, float]](), dict[str, dict[str, Interval]]()
    for name, row in found.items():
        told = {key: row[key] for key in (*SHOWN, *OF_SOME) if key in row}
        shown[name.replace("_", " ")] = {key: figure.value for key, figure in told.items()}
        ends[name.replace("_", " ")] = {key: figure.interval for key, figure in told.items() if figure.interval}
    if shown:
        figure_table(shown, ", ".join([f"{len(table)} faces", *filter(None, [facts_in(table).get(PROTOCOL)])]), ends)
    if LEFT_OUT in table.column_names:
        plain_table(fold_rows(table), "mean error of those whom the run never saw, degrees")
    print(f"written to {folder}: {', '.join(sorted(file.name for file in folder.iterdir()))}")


def _share_people(one: Dataset, other: Dataset) -> bool:
    """Is anybody in both splits?"""
    people = [{data.labels.subjects[i] for i in data.labels.subject.unique().tolist()} for data in (one, other)]  # type: ignore[attr-defined]
    return bool(people[0] & people[1])


def _opened(open_split: OpenSplit, split: str, needs: str) -> Dataset | None:
    try:
        found = open_split(split=split)
    except ABSENT as error:
        print(f"{needs} are left out, as the split {split} can't be opened: {error}")
        return None
    return found if about_directions(found) else None
