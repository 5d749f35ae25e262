"""One HTML page about runs: who is best, how they differ, their curves and their pictures."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaze.errors import UserError
from gaze.journal import NAME as JOURNAL
from gaze.journal import Entry, Journal, best, monitored
from gaze.loggers.description import document, parameters

PICTURES = (".png", ".jpg", ".jpeg")
COLUMNS = 12  # config keys that get a column; more would not fit on a screen
SAME = ("dir", "logger.", "callback.progress", "hardware.")  # where and how loudly, not what
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; max-width: 1200px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2em; }
table { border-collapse: collapse; font-size: 13px; } .wide { overflow-x: auto; }
td { padding: .35em .8em; text-align: left; border-bottom: 1px solid #d8dee4; white-space: nowrap; }
td.head { font-weight: 600; } td.figure { text-align: right; font-variant-numeric: tabular-nums; }
tr.first td { background: #eef6ee; }
img { max-width: 100%; } .pictures img { height: 220px; margin: 0 6px 6px 0; border-radius: 4px; }
.note { color: #656d76; font-size: 13px; }
"""


@dataclass(frozen=True)
class RunSummary:
    """What the page says of one run."""

    path: Path
    name: str  # its place below the folder that was asked for
    entries: list[Entry]
    parameters: dict[str, str]
    key: str  # the figure that decides
    mode: str
    best: Entry | None

    @property
    def steps(self) -> int:
        return max((entry.step for entry in self.entries), default=0)

    @property
    def minutes(self) -> float:
        """From the first line of the journal to the last."""
        return (self.entries[-1].time - self.entries[0].time) / 60 if self.entries else 0.0


def find_runs(path: Path) -> list[Path]:
    """The run directories at or below a path, by name.

    Raises:
        UserError: there is none.
    """
    if not path.is_dir():
        raise UserError(f"{path} is not a directory; give a run directory, or a folder of them such as outputs")
    # Copies of run directories, such as those that MLflow keeps, have no journal.
    found = {
        file.parent for file in path.rglob("config.yaml") if file.parent == path or (file.parent / JOURNAL).exists()
    }
    runs = sorted(run for run in found if "model" in (document(run / "config.yaml") or {}))
    if not runs:
        raise UserError(
            f"{path} holds no run: there is no config.yaml of a training run in or below it; train one first"
        )
    return runs


def write_page(runs: Sequence[Path], out: Path, pictures: int = 6) -> None:
    """Write the page, with all pictures inside it, so that it can be sent to somebody as one file.

    Args:
        runs: run directories.
        out: the HTML file; its directory is made.
        pictures: of each run, the newest.
    """
    summaries = _sorted([_summary(run, _root(runs)) for run in runs])
    parts = [f"<h1>{html.escape(_title(summaries))}</h1>", _table(summaries), "<h2>Curves</h2>", _curves(summaries)]
    shown = [(summary, _newest(summary.path, pictures)) for summary in summaries]
    for summary, files in shown:
        if files:
            images = "".join(_image(file.read_bytes(), file.name) for file in files)
            parts.append(f'<h2>{html.escape(summary.name)}</h2><div class="pictures">{images}</div>')
    body = "\n".join(parts)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(_title(summaries))}</title>'
        f"<style>{STYLE}</style>\n{body}\n</html>\n",
        encoding="utf-8",
    )


def differing(summaries: Sequence[RunSummary]) -> list[str]:
    """The config keys that are not the same in all runs, in the order of the config."""
    keys = list(dict.fromkeys(key for summary in summaries for key in summary.parameters if not key.startswith(SAME)))
    return [key for key in keys if len({summary.parameters.get(key) for summary in summaries}) > 1]


def _summary(run: Path, root: Path) -> RunSummary:
    config: dict[str, Any] = document(run / "config.yaml")
    entries = Journal(run).read()
    key, mode = monitored(config)
    name = run.relative_to(root).as_posix() if run != root else run.absolute().name
    return RunSummary(run, name, entries, parameters(config), key, mode, best(entries, key, mode))


def _root(runs: Sequence[Path]) -> Path:
    """The deepest folder that holds all runs."""
    parents = [[run.parent, *run.parent.parents] for run in runs]
    return next(folder for folder in parents[0] if all(folder in others for others in parents))


def _sorted(summaries: list[RunSummary]) -> list[RunSummary]:
    """Best first, grouped by what they are judged by; runs without a figure last."""

    def rank(summary: RunSummary) -> tuple[bool, str, float]:
        value = summary.best.values[summary.key] if summary.best else 0.0
        return summary.best is None, summary.key, -value if summary.mode == "maximize" else value

    return sorted(summaries, key=rank)


def _title(summaries: Sequence[RunSummary]) -> str:
    names = sorted({summary.parameters.get("name", summary.name) for summary in summaries})
    count = f"{len(summaries)} runs" if len(summaries) > 1 else summaries[0].name
    return f"{', '.join(names)}: {count}"


def _table(summaries: Sequence[RunSummary]) -> str:
    different = differing(summaries)
    columns = different[:COLUMNS]
    headings = ["run", "decided by", "best", "at step", "steps", "minutes", *columns]
    rows = [
        f"<tr>{''.join(_cell(name, 'head figure' if 2 <= i <= 5 else 'head') for i, name in enumerate(headings))}</tr>"
    ]
    for number, summary in enumerate(summaries):
        value = f"{summary.best.values[summary.key]:.4g}" if summary.best else "none yet"
        at = f"{summary.best.step:,}" if summary.best else ""
        sign = {"maximize": "↑", "last": "at the end"}.get(summary.mode, "↓")
        cells = [_cell(summary.name), _cell(f"{summary.key} {sign}")]
        cells += [_cell(text, "figure") for text in (value, at, f"{summary.steps:,}", f"{summary.minutes:.1f}")]
        cells += [_cell(summary.parameters.get(key, "–")) for key in columns]
        rows.append(f"<tr{' class=first' if number == 0 and len(summaries) > 1 else ''}>{''.join(cells)}</tr>")
    note = "Of the configs, only what differs is shown"
    note += f", and of that the first {COLUMNS} of {len(different)} keys." if len(different) > COLUMNS else "."
    note = f'<p class="note">{note}</p>' if len(summaries) > 1 else ""
    return f'<div class="wide"><table>{"".join(rows)}</table></div>{note}'


def _cell(text: str, kind: str = "text") -> str:
    short = text if len(text) <= 60 else f"{text[:57]}…"
    return f'<td class="{kind}">{html.escape(short)}</td>'


def _curves(summaries: Sequence[RunSummary]) -> str:
    """One chart per loss and per deciding figure, one line per run."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    keys = list(dict.fromkeys(["train/loss", "val/loss", *(summary.key for summary in summaries)]))
    keys = [key for key in keys if any(key in entry.values for summary in summaries for entry in summary.entries)]
    if not keys:
        return '<p class="note">No figures yet.</p>'
    figure = Figure(figsize=(5.2 * len(keys), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, key in zip(figure.subplots(1, len(keys), squeeze=False)[0], keys, strict=True):
        for summary in summaries:
            points = [(entry.step, entry.values[key]) for entry in summary.entries if key in entry.values]
            marker = "o" if len(points) < 30 else None
            if points:
                steps, values = zip(*points, strict=True)
                axes.plot(steps, values, label=summary.name, marker=marker, markersize=3, linewidth=1.3)
        axes.set(title=key, xlabel="step")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    if 1 < len(summaries) <= 10:
        figure.axes[0].legend(fontsize=7, frameon=False)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=130)
    return _image(stream.getvalue(), "curves.png")


def _newest(run: Path, count: int) -> list[Path]:
    files = [file for file in (run / "pictures").rglob("*") if file.suffix.lower() in PICTURES]
    newest = sorted(files, key=lambda file: (file.stat().st_mtime, file.name))[max(0, len(files) - count) :]
    return newest if count > 0 else []


def _image(data: bytes, name: str) -> str:
    kind = "png" if name.endswith(".png") else "jpeg"
    return f'<img alt="{html.escape(name)}" src="data:image/{kind};base64,{base64.b64encode(data).decode()}">'
