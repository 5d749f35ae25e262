"""Data sets of crops from what a user names: a prepared table, or a folder with a CSV file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from gaze.datasets.dataset import Dataset
from gaze.inference.screen_predictor import Views
from gaze.runs import build, check, load_config, plain_config

PREPARED = {
    "_target_": "gaze.datasets.screen.ScreenDataset",
    "_partial_": True,
    "on_corrupt": "skip",
    "skip_limit": 1.0,
}


def open_crops(
    source: Path, split: str, views: Views, chosen: Mapping[str, Any] | None, run: str | Path
) -> Dataset | None:
    """The split of the data set in `source` as a model sees it; None if there are pictures without a table.

    Args:
        split: train, val or test.
        views: what the model looks at.
        chosen: the plain config of a data set that a user chose, with dataset=..., which is to read `source`.
        run: what the model is from: a run that was trained on a folder with a CSV file reads others of the same columns.

    Raises:
        UserError, DatasetError: the data set can't be used.
    """
    node = dict(chosen) if chosen is not None else _told(source, run)
    if node is None:
        return None
    where = {"recording": {**node["recording"], "root": str(source)}} if "recording" in node else {"path": str(source)}
    seen: dict[str, Any] = {"streams": list(views.streams), "augmentations": []}
    seen |= {"face_size": list(views.sizes["face"])} if "face" in views.sizes else {}
    seen |= {"eye_size": list(views.sizes["left_eye"])} if "left_eye" in views.sizes else {}
    seen |= {"landmarks": list(views.landmarks)} if "landmarks" in views.streams else {}
    config = OmegaConf.create({"dataset": {**node, **where, **seen}})
    check(config)
    data: Dataset = build(config.dataset)(split=split)
    return data


def _told(source: Path, run: str | Path) -> dict[str, Any] | None:
    """The data set that the source itself, or the run's own, tells."""
    if source.suffix == ".parquet" or (source.is_dir() and any(source.glob("*.parquet"))):
        return PREPARED
    if not (Path(run) / "config.yaml").is_file():
        return None
    own = plain_config(load_config(run)).get("dataset") or {}
    file = (own.get("recording") or {}).get("file")
    return dict(own) if file and (source / file).is_file() else None
