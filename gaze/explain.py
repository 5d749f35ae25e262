"""Ends an entry with one clear sentence where that is all a person needs, and with the right exit code."""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Callable
from typing import TypeVar

from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import MissingMandatoryValue

from gaze.errors import UserError
from gaze.loggers.masking import masked
from gaze.memory import ran_out, told

logger = logging.getLogger(__name__)

R = TypeVar("R")
EXPLAINED = (UserError, ValueError, OSError, HydraException, MissingMandatoryValue)


def explained(entry: Callable[..., R]) -> Callable[..., R]:
    """An entry whose user errors are printed as sentences and whose interruptions exit as shells expect.

    So is a lack of memory, wherever it shows: in a model, its loss or the backward pass.

    The traceback goes to the log file; HYDRA_FULL_ERROR=1 brings it to the terminal. In a sweep every
    exception is passed on, for the sweeper to count; so is an interruption of a trial of a search.
    """

    @functools.wraps(entry)
    def run(*args: object, **kwargs: object) -> R:
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        from gaze.signals import Interrupted, pass_on

        try:
            return entry(*args, **kwargs)
        except Interrupted as stop:
            pass_on(stop.signum)
            if any(isinstance(arg, DictConfig) and arg.get("trial") is not None for arg in args):
                raise  # the search ends, perhaps in another process
            how = "" if HydraConfig.get().mode == RunMode.MULTIRUN else " with dir=..."
            print(f"\n{stop}; give the same command{how} to go on", file=sys.stderr)
            sys.exit(stop.exit_code)
        except (*EXPLAINED, RuntimeError, MemoryError) as error:
            memory = ran_out(error) and not isinstance(error, UserError)
            unclear = not memory and not isinstance(error, EXPLAINED)
            if unclear or HydraConfig.get().mode == RunMode.MULTIRUN or os.environ.get("HYDRA_FULL_ERROR") == "1":
                raise
            logger.debug("failed", exc_info=True)
            config = next((arg for arg in args if isinstance(arg, DictConfig)), None)
            print(f"\nerror: {masked(told(error, config) if memory else str(error))}", file=sys.stderr)
            if not isinstance(error, UserError):
                print("(HYDRA_FULL_ERROR=1 shows where it came from)", file=sys.stderr)
            sys.exit(1)

    return run
