"""What an evaluation shows of single heads beyond the figures: which details, and whether there can be any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torchmetrics import Metric

from gaze.comparison import about_scenes
from gaze.datasets.dataset import Dataset
from gaze.errors import UserError
from gaze.metrics.heatmap_distance import HeatmapDistance
from gaze.metrics.per_head import PerHead
from gaze.pictures.failures import RANKED_BY
from gaze.subsets import SUBSETS, check_kinds

FAILURES = 24


@dataclass(frozen=True)
class Details:
    """Which parts of the split to look at, how many failures to draw, how often to resample for intervals."""

    subsets: Sequence[str]
    failures: int
    resamples: int


def choose_details(
    dataset: Dataset,
    metrics: Mapping[str, Metric],
    subsets: Sequence[str] | str | None = None,
    failures: int | None = None,
    resamples: int = 1000,
) -> Details:
    """What is asked for, or, where nothing is (None), all that suits the samples and the metrics.

    Raises:
        UserError: what is asked for does not exist, or does not suit them.
    """
    if isinstance(subsets, str):  # subsets=inout, without brackets
        subsets = [subsets]
    check_kinds(subsets or ())
    if failures is not None and not (isinstance(failures, int) and failures >= 0):
        raise UserError(f"failures is {failures!r}; expected how many of the worst heads to draw, 0 for none")
    if not (isinstance(resamples, int) and resamples >= 0):
        raise UserError(f"resamples is {resamples!r}; expected a number such as 1000, 0 for no intervals")
    scenes = about_scenes(dataset)
    apart = any(isinstance(metric, PerHead) for metric in metrics.values())
    ranked = any(isinstance(m, HeatmapDistance) and m.nearest == RANKED_BY for m in metrics.values())
    if not scenes and (subsets or failures):
        asked = "subsets" if subsets else "failures"
        found = type(dataset[0].inputs).__name__ if len(dataset) else "nothing"
        raise UserError(f"{asked} is about the heads in pictures, but the samples hold {found}; leave {asked} out")
    if subsets and not apart:
        raise UserError(
            f"subsets needs a metric that tells heads apart; found {', '.join(metrics) or 'none'}; "
            "expected heatmap_distance, heatmap_auc, inout_precision or vat among metric"
        )
    if failures and not ranked:
        raise UserError(
            f"failures are the heads with the largest {RANKED_BY}, which none of the metrics "
            f"({', '.join(metrics) or 'none'}) measures; add heatmap_distance to metric, or set failures=0"
        )
    kinds = subsets if subsets is not None else list(SUBSETS) if scenes and apart else []
    count = failures if failures is not None else FAILURES if scenes and ranked else 0
    return Details(list(kinds), count, resamples)
