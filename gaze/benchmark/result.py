"""What one workload found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gaze.benchmark.clock import Timing


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

    def ratio(self, variant: str, peer: str = "published") -> tuple[float, float]:
        """How many times faster than a peer: of the best calls, and of the medians."""
        return (
            self.timings[peer].best / self.timings[variant].best,
            self.timings[peer].median / self.timings[variant].median,
        )

    def rows(self) -> list[dict[str, object]]:
        """One row for each variant of ours."""
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
                    "per_second": self.units / timing.best,
                    "unit": self.unit,
                    "ratio": best,
                    "ratio_of_medians": median,
                    "goal": self.goals.get(variant),
                    "fair_ratio": fair,
                    "limit_share": self.limits.get(variant),
                    "difference": self.difference,
                    "same": self.difference <= self.tolerance,
                }
            )
        return rows
