"""Whether what is asked of a writer of synthetic data makes sense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def check_counts(
    counts: Mapping[str, int], splits: Sequence[str], seed: int, workers: int, things: str, thing: str
) -> None:
    """Refuse splits that a layout does not have, and numbers that can't be.

    Args:
        counts: things of each split.
        splits: of the layout.
        things, thing: what is counted, for messages: "images" and "image".

    Raises:
        ValueError: says which, and what is expected.
    """
    unknown = sorted(set(counts) - set(splits))
    if unknown:
        raise ValueError(f"counts names {', '.join(unknown)}; expected only {', '.join(splits)}")
    for split, count in counts.items():
        if not isinstance(count, int) or count < 0:
            raise ValueError(f"{split} is {count!r}; expected a number of {things}, 0 or more")
    if not isinstance(seed, int):
        raise ValueError(f"seed is {seed!r}; expected a whole number")
    if sum(counts.values()) == 0:
        names = f"{', '.join(splits[:-1])} and {splits[-1]} are {'both' if len(splits) == 2 else 'all'}"
        raise ValueError(f"{names} 0; expected at least one {thing}")
    if not isinstance(workers, int) or workers < 0:
        raise ValueError(f"workers is {workers!r}; expected a number of processes, 0 or more")
