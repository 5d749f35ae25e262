"""The search space of a sweep: from words of a command line to distributions, and from a trial to words again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra_plugins.hydra_optuna_sweeper._impl import create_params_from_overrides
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from gaze.sweeps.studies import SweepError


class Space(NamedTuple):
    """What a search varies, and the words that all its trials share."""

    varied: dict[str, BaseDistribution]  # by key, as it stands on a command line
    fixed: list[str]


def space_of(params: Mapping[str, Any], arguments: Sequence[str]) -> Space:
    """The space of `hydra.sweeper.params` and a command line. Of two that name the same key, the later one counts.

    Raises:
        SweepError: nothing is varied, or a range is empty.
    """
    lines = [f"{key!s}={'null' if value is None else value}" for key, value in params.items()]
    parsed = OverridesParser.create().parse_overrides([*lines, *arguments])
    last = {override.get_key_element(): override for override in parsed}
    varied: dict[str, BaseDistribution] = {}
    for override in last.values():
        if override.is_sweep_override():
            try:
                varied |= create_params_from_overrides([str(override.input_line)])[0]
            except (ValueError, AssertionError, NotImplementedError) as error:
                raise SweepError(f"{override.input_line} cannot be searched: {error}") from error
    if not varied:
        raise SweepError(
            "there is nothing to search: give hydra.sweeper.params, or a key with several values such as "
            "'optimizer.optimizer.lr=interval(1e-4,1e-2)'"
        )
    fixed = [str(override.input_line) for override in last.values() if not override.is_sweep_override()]
    return Space(varied, fixed)


def words(space: Space, values: Mapping[str, Any], number: int) -> list[str]:
    """The command line of a trial. Choices are in Hydra's own spelling, quotes included, since they were read."""
    return [*space.fixed, *(f"{key}={value}" for key, value in values.items()), f"trial={{number:{number}}}"]


def samples(space: Space) -> list[dict[str, Any]]:
    """Few points of the space that hold every word there is to choose. Numbers make no difference to composing."""
    first = {key: _choices(distribution)[0] for key, distribution in space.varied.items()}
    others = [
        {**first, key: choice}
        for key, distribution in space.varied.items()
        for choice in _choices(distribution)[1:]
        if isinstance(choice, str)
    ]
    return [first, *others]


def _choices(distribution: BaseDistribution) -> Sequence[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    return [distribution.low]
