"""From a command line to what is to be examined."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from gaze.doctor.case import Case
from gaze.doctor.findings import said
from gaze.errors import UserError

OWN = "doctor"  # conf/doctor.yaml: the keys that are not those of a training run


def case_of(words: Sequence[str]) -> tuple[Case, bool]:
    """What overrides ask about, and whether JSON is wanted.

    A key that a search would vary takes the first of its values.

    Raises:
        UserError: a word is no override, or a key of the doctor's has a wrong value.
    """
    GlobalHydra.instance().clear()
    with initialize_config_module("gaze.conf"):
        try:
            parsed = OverridesParser.create().parse_overrides(list(words))
        except HydraException as error:
            raise UserError(f"{said(error)}; expected KEY=VALUE, as for python -m gaze.train") from error
        names = set(compose(OWN))
        own = [word for word, override in zip(words, parsed, strict=True) if override.key_or_group in names]
        others = [first_value(override) for override in parsed if override.key_or_group not in names]
        try:
            settings = compose(OWN, overrides=own)
        except (HydraException, OmegaConfBaseException) as error:
            raise UserError(said(error)) from error
        _check(settings)
        case = Case(
            overrides=others,
            run=None if settings.run is None else Path(settings.run),
            memory_gb=settings.memory_gb,
            samples=settings.samples,
            seconds=settings.seconds,
        )
        if others:
            _compose(case, others)
    if case.run is None and case.value("dir") and Path(case.value("dir"), "config.yaml").is_file():
        case.run = Path(case.value("dir"))
    if case.run is not None and not others:
        _recall(case, case.run)
    return case, bool(settings.json)


def first_value(override: Override) -> str:
    """An override as it was given; of one that a search would vary, with its first value."""
    line = override.input_line or ""
    if not override.is_sweep_override():
        return line
    values = override.value()
    first = values.start if isinstance(values, IntervalSweep) else next(override.sweep_string_iterator())
    return f"{line.partition('=')[0]}={first}"


def _compose(case: Case, overrides: Sequence[str]) -> None:
    try:
        whole = compose("train", overrides=list(overrides), return_hydra_config=True)
        config = copy.deepcopy(whole)
        with open_dict(config):
            del config["hydra"]
        OmegaConf.to_container(config, resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        why = f" ({said(error.__cause__)})" if error.__cause__ and said(error.__cause__) not in said(error) else ""
        case.trouble = [f"{said(error)}{why}"]
        return
    case.config, case.hydra = config, whole


def _recall(case: Case, run: Path) -> None:
    """Take the config of a run that exists; a folder of several has none of its own."""
    from gaze.runs import RunError, load_config

    if not (run / "config.yaml").is_file():
        return
    try:
        case.config = load_config(run)
    except RunError as error:
        case.trouble = [str(error)]


def _check(settings: DictConfig) -> None:
    """Refuse values that can't be meant."""
    for key in ("memory_gb", "samples", "seconds"):
        value = settings[key]
        if key == "memory_gb" and value is None:
            continue
        whole = int if key == "samples" else (int, float)
        if isinstance(value, bool) or not isinstance(value, whole) or value <= 0:
            raise UserError(f"{key} is {value!r}; expected a {'whole ' if key == 'samples' else ''}number above 0")
