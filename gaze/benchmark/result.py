"""What one workload found: how much faster we are than others, or what something of ours costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gaze.benchmark.clock import Timing


def largest(differences: Iterable[float]) -> float:
    """The largest difference; NaN if one of them is, which `max` would pass over."""
    found = [float(value) for value in differences]
    return math.nan if any(map(math.isnan, found)) else max(found, default=0.0)


@dataclass(frozen=True)
class Result:
    """One workload: how much faster we are than the published way, and than the same with free switches."""

    name: str
    unit: str  # what one of `units` is
    units: float  # in one call of ours and of the peer
    timings: Mapping[str, Timing]  # "published", "fair" if there is such a peer, and variants of ours
    goals: Mapping[str, float]  # variant of ours -> ratio to the published peer that we want
    difference: float  # of the answers, on the same input
    tolerance: float  # most that they may differ
    limits: Mapping[str, float]  # variant -> share of what the machine could do at best
    warm_up_s: Mapping[str, float] = field(default_factory=dict)  # variant -> seconds once, such as to compile
    quantity: str = "seconds"  # or bytes: what `timings` hold, and less of which is better

    def ratio(self, variant: str, peer: str = "published") -> tuple[float, float]:
        """How many times faster than a peer: of the best calls, and of the medians."""
        return (
            self.timings[peer].best / self.timings[variant].best,
            self.timings[peer].median / self.timings[variant].median,
        )

    def rows(self) -> list[dict[str, object]]:
        """One row for each variant of ours."""
        published = self.timings["published"]
        rows: list[dict[str, object]] = []
        for variant, timing in self.timings.items():
            if variant in ("published", "fair"):
                continue
            best, median = self.ratio(variant)
            fair = self.ratio(variant, "fair")[0] if "fair" in self.timings else None
            rows.append(
                {
                    "workload": self.name,
                    "ours": variant,
                    "unit": self.unit,
                    **self._amounts(timing, published),
                    "warm_up_s": self.warm_up_s.get(variant),
                    "spread": timing.spread,
                    "memory_mb": timing.memory / 1e6,
                    "ratio": best,
                    "ratio_of_medians": median,
                    "published_spread": published.spread,
                    "goal": self.goals.get(variant),
                    "fair_ratio": fair,
                    "limit_share": self.limits.get(variant),
                    "difference": self.difference,
                    "tolerance": self.tolerance,
                    "same": self.difference <= self.tolerance,
                }
            )
        return rows

    def _amounts(self, ours: Timing, published: Timing) -> dict[str, float]:
        """What a unit takes, in words that say of what."""
        if self.quantity == "bytes":
            return {"bytes": ours.best / self.units, "published_bytes": published.best / self.units}
        return {
            "per_second": self.units / ours.best,
            "ms": 1e3 * ours.best / self.units,
            "ms_median": 1e3 * ours.median / self.units,
            "published_ms": 1e3 * published.best / self.units,
        }

    def lines(self) -> list[str]:
        """What is said as soon as it is known."""
        return [f"{self.name}, {row['ours']}: {row['ratio']:.2f} x" for row in self.rows()]


@dataclass(frozen=True)
class Cost:
    """What something of ours takes, beside the same without us."""

    name: str
    unit: str  # what one of `units` is
    units: float  # in one call
    seconds: Mapping[str, Timing]  # of a call: "bare", which is the same without us, and variants of ours
    most: Mapping[str, float]  # variant -> seconds of one unit that we allow ourselves
    difference: float | None = None  # of the answers of both; None: there are none to compare

    def rows(self) -> list[dict[str, object]]:
        """One row for each variant of ours; times of one unit, of the best calls."""
        bare = self.seconds["bare"]
        rows: list[dict[str, object]] = []
        for variant, timing in self.seconds.items():
            if variant == "bare":
                continue
            allowed = self.most.get(variant)
            rows.append(
                {
                    "workload": self.name,
                    "ours": variant,
                    "unit": self.unit,
                    "ms": 1e3 * timing.best / self.units,
                    "ms_median": 1e3 * timing.median / self.units,
                    "spread": timing.spread,
                    "bare_ms": 1e3 * bare.best / self.units,
                    "more_ms": 1e3 * (timing.best - bare.best) / self.units,
                    "more_share": timing.best / bare.best - 1.0,
                    "more_share_of_medians": timing.median / bare.median - 1.0,
                    "most_ms": None if allowed is None else 1e3 * allowed,
                    "within": allowed is None or timing.best / self.units <= allowed,
                    "same": not self.difference,
                }
            )
        return rows

    def lines(self) -> list[str]:
        """What is said as soon as it is known."""
        return [f"{self.name}, {row['ours']}: {row['more_ms']:.3g} ms more per {self.unit}" for row in self.rows()]
