"""What is in a table of recordings, and what is wrong with it, for people (Markdown, a picture) and programs (JSON)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gaze.recordings.columns import flags, numbers, words
from gaze.recordings.reading import read_columns, table_files
from gaze.recordings.schema import header
from gaze.recordings.units import label_range
from gaze.recordings.validation import EXAMPLES, Finding

GROUPS = ("split", "device", "orientation", "device_kind", "subject")
COLUMNS = (
    "sample_id",
    "split",
    "subject",
    "recording",
    "device",
    "device_kind",
    "orientation",
    "valid",
    "reject_reason",
)
LABELS = ("gaze_cam_cm", "screen_w_cm", "screen_h_cm", "cam_to_screen_cm")
LISTED = 30  # rows of a table in the Markdown; the JSON has all
UNSAID = "not said"
PANELS = 12  # devices and orientations in the picture
POINTS = 4000  # in each panel

Counts = dict[str, dict[str, int]]


def write_report(out: Path | str, findings: Sequence[Finding], also: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Write report.json, report.md and labels.png beside a table, and return what the JSON holds.

    Args:
        out: the folder of the table.
        findings: of its validation.
        also: what the table itself can't say: rows that were dropped, recordings that could not be read.
    """
    out = Path(out)
    table = read_columns(out, [*COLUMNS, *LABELS])
    told = header(table_files(out)[0])
    report: dict[str, Any] = {
        "dataset": told.dataset,
        "boxes": told.boxes,
        "crop": dict(told.crop),
        "rows": len(table),
        "valid": int(flags(table, "valid").sum()),
        "recordings": len(set(words(table, "recording").tolist())),
        "counts": {name: counts(table, name) for name in GROUPS},
        "rejected": _tally(words(table, "reject_reason")[~flags(table, "valid")]),
        "rejected_examples": _examples(table.filter(pa.array(~flags(table, "valid")))),
        "labels_cm": _ranges(table),
        "findings": [asdict(finding) | {"message": str(finding)} for finding in findings],
        **(also or {}),
    }
    (out / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    (out / "report.md").write_text(_markdown(report), encoding="utf-8")
    draw_labels(table, out / "labels.png")
    return report


def counts(table: pa.Table, name: str) -> Counts:
    """For each value of a column: rows, valid rows, subjects and recordings."""
    values, valid = words(table, name), flags(table, "valid")
    subjects, recordings = words(table, "subject"), words(table, "recording")
    found: Counts = {}
    for value in sorted(set(values.tolist())):
        rows = values == value
        found[value or "unknown"] = {
            "rows": int(rows.sum()),
            "valid": int((rows & valid).sum()),
            "subjects": len(set(subjects[rows].tolist())),
            "recordings": len(set(recordings[rows].tolist())),
        }
    return found


def draw_labels(table: pa.Table, path: Path) -> None:
    """One panel per device and orientation: the labels, and the screen that they should be on."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    groups = sorted(_groups(table).items(), key=lambda item: -item[1].sum())[:PANELS]
    across = min(4, max(len(groups), 1))
    down = -(-max(len(groups), 1) // across)
    figure = Figure(figsize=(3.4 * across, 3.4 * down), layout="constrained")
    FigureCanvasAgg(figure)
    point, screens = numbers(table, "gaze_cam_cm"), label_range(table)
    panels = figure.subplots(down, across, squeeze=False).reshape(-1)
    for axes in panels[len(groups) :]:
        axes.set_axis_off()
    for axes, ((device, orientation), rows) in zip(panels, groups, strict=False):
        shown = np.flatnonzero(rows)
        shown = shown[np.linspace(0, len(shown) - 1, min(len(shown), POINTS)).astype(int)]
        axes.plot(point[shown, 0], point[shown, 1], ".", markersize=2, alpha=0.5)
        x0, y0, x1, y1 = screens[shown[0]]
        axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, linewidth=1.2))
        axes.plot(0, 0, "+", color="black")  # the camera
        axes.set(title=f"{device or 'unknown device'}, orientation {orientation}", xlabel="x cm", ylabel="y cm")
        axes.title.set_fontsize(9)
        axes.set_aspect("equal", adjustable="datalim")
    figure.savefig(path, dpi=110)


def _groups(table: pa.Table) -> dict[tuple[str, str], np.ndarray]:
    device, orientation, valid = words(table, "device"), words(table, "orientation"), flags(table, "valid")
    pairs = sorted({*zip(device[valid].tolist(), orientation[valid].tolist(), strict=True)})
    return {(d, o): valid & (device == d) & (orientation == o) for d, o in pairs}


def _ranges(table: pa.Table) -> list[dict[str, Any]]:
    """Least and greatest label of each device and orientation, and the screen's."""
    point, screens = numbers(table, "gaze_cam_cm"), label_range(table)
    found = []
    for (device, orientation), rows in _groups(table).items():
        labels = point[rows & np.isfinite(point).all(1)]
        if len(labels):
            ends = [*labels.min(0), *labels.max(0)]
            screen = screens[rows][0]
            found.append(
                {
                    "device": device or "unknown",
                    "orientation": orientation,
                    "rows": len(labels),
                    "labels": [round(float(v), 2) for v in ends],
                    "screen": [round(float(v), 2) for v in screen] if np.isfinite(screen).all() else None,
                }
            )
    return found


def _tally(values: np.ndarray) -> dict[str, int]:
    names, count = np.unique(values.astype(str), return_counts=True)
    order = np.argsort(-count, kind="stable")
    return {str(names[i]) or UNSAID: int(count[i]) for i in order}


def _examples(refused: pa.Table) -> dict[str, list[str]]:
    """The first rows that each reason was given for."""
    found: dict[str, list[str]] = {}
    for reason, name in zip(words(refused, "reject_reason"), words(refused, "sample_id"), strict=True):
        if len(found.setdefault(reason or UNSAID, [])) < EXAMPLES:
            found[reason or UNSAID].append(name)
    return found


def _markdown(report: Mapping[str, Any]) -> str:
    lines = [
        f"# {report['dataset']}",
        "",
        f"{report['rows']:,} rows, {report['valid']:,} of them valid, from {report['recordings']:,} recordings. "
        f"Boxes: {report['boxes']}. Pictures: {', '.join(f'{k} {v}' for k, v in report['crop'].items()) or 'as they were'}.",
        "",
        "## Findings",
        "",
        *(f"- {'**error**' if f['severe'] else 'note'}: {f['message']}" for f in report["findings"]),
        *([] if report["findings"] else ["Nothing was found to be wrong."]),
    ]
    for title, key in (("Marked as invalid", "rejected"), ("Left out", "dropped"), ("Could not be read", "failed")):
        if report.get(key):
            lines += [
                "",
                f"## {title}",
                "",
                *_rows(("reason" if key != "failed" else "recording", ""), report[key].items()),
            ]
    for name in GROUPS:
        rows = [(value, *count.values()) for value, count in report["counts"][name].items()]
        lines += ["", f"## By {name}", "", *_rows((name, "rows", "valid", "subjects", "recordings"), rows)]
    labels = [
        (r["device"], r["orientation"], r["rows"], _range(r["labels"]), _range(r["screen"]))
        for r in report["labels_cm"]
    ]
    lines += ["", "## Labels", "", "cm from the camera, x right, y up", ""]
    lines += _rows(("device", "orientation", "rows", "labels", "screen"), labels)
    return "\n".join([*lines, "", "![labels](labels.png)", ""])


def _rows(head: Sequence[str], rows: Any) -> list[str]:
    rows = list(rows)
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    lines += [f"| {' | '.join(f'{v:,}' if isinstance(v, int) else str(v) for v in row)} |" for row in rows[:LISTED]]
    return [*lines, "", f"... and {len(rows) - LISTED:,} more, in report.json"] if len(rows) > LISTED else lines


def _range(ends: Sequence[float] | None) -> str:
    return "unknown" if ends is None else f"x {ends[0]:g} to {ends[2]:g}, y {ends[1]:g} to {ends[3]:g}"
