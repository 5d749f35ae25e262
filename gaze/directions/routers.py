"""Which experts a model asks: the load of each mixture's experts on a split, as numbers and as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

import pyarrow as pa
from jaxtyping import Float
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor, nn

from gaze.screens.table import write_csv

DEAD = 0.01  # of the mean load: an expert with less does not take part


@runtime_checkable
class Counting(Protocol):
    """A mixture of experts that counts questions to each of them while it is told that it trains."""

    counts: Tensor
    training: bool

    def restart(self) -> None:
        """Count from zero."""


@contextmanager
def counted(model: nn.Module) -> Iterator[dict[str, Float[Tensor, "e"]]]:
    """Within, mixtures count what they are asked; after it, the dictionary has each one's share of questions by expert.

    Only the mixtures themselves are told that they train, which makes them count; what is inside of them stays as it is.
    """
    mixtures = {name: module for name, module in model.named_modules() if isinstance(module, Counting)}
    before = {name: mixture.training for name, mixture in mixtures.items()}
    loads: dict[str, Tensor] = {}
    for mixture in mixtures.values():
        mixture.restart()
        mixture.training = True
    try:
        yield loads
    finally:
        for name, mixture in mixtures.items():
            mixture.training = before[name]
            counts = mixture.counts.double().cpu()
            loads[name] = counts / counts.sum().clamp(min=1)
            mixture.restart()


def load_table(loads: Mapping[str, Float[Tensor, "e"]]) -> pa.Table:
    """A row per layer and expert: its share of questions, that share relative to even use, and whether it is dead."""
    found = [
        {
            "layer": layer,
            "expert": number,
            "load": share,
            "relative": share * len(load),
            "dead": share * len(load) < DEAD,
        }
        for layer, load in loads.items()
        for number, share in enumerate(load.tolist())
    ]
    return pa.Table.from_pylist(found)


def write_loads(loads: Mapping[str, Float[Tensor, "e"]], folder: Path) -> None:
    """Write routers.csv and routers.png; nothing for a model without mixtures."""
    if not loads:
        return
    write_csv(load_table(loads), folder / "routers.csv")
    figure = Figure(figsize=(8, 1.2 + 1.1 * len(loads)), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (layer, load) in zip(figure.subplots(len(loads), squeeze=False)[:, 0], loads.items(), strict=True):
        relative = (load * len(load)).tolist()
        axes.bar(
            range(len(relative)), relative, color=["tab:red" if share < DEAD else "tab:blue" for share in relative]
        )
        axes.axhline(1, color="black", linewidth=0.8)
        axes.set(ylabel="load", title=f"{layer}: busiest {max(relative):.2f} of the mean", xticks=range(len(relative)))
        axes.title.set_fontsize(8)
    figure.savefig(folder / "routers.png", dpi=90)
