"""What compiling takes and how often it is done: told as it happens, and kept as figures."""

from __future__ import annotations

import logging
from typing import NamedTuple

from torch import Tensor

from gaze.types import Record, layout

MODES = ("default", "max-autotune-no-cudagraphs")
SECONDS = ("entire_frame_compile", "entire_backward_compile")  # of torch's own phases, which contain all others
GIVEN_UP = "Dynamo recompile limit exceeded"  # as torch counts it

logger = logging.getLogger(__name__)


class Counts(NamedTuple):
    """What this process has compiled so far."""

    graphs: int
    breaks: int  # places where a graph had to end
    seconds: float
    given_up: int  # functions that are not compiled again, for they were too often


class Compilation:
    """Looks after each step at what was compiled in it.

    The first time is expected, and so is the next one after the model was prepared anew. Any other is a recompilation, of
    which the first is warned of with its reason; the others are only counted. That torch gives up is warned of each time.
    """

    def __init__(self) -> None:
        self.before = self.start = counts()
        self.expected, self.warned = True, False
        self.recompiled = 0

    def expect(self) -> None:
        """A model is to be compiled, at its next step."""
        self.expected = True

    def renew(self) -> None:
        """Forget all that was compiled: graphs of earlier states of the model count against how many torch makes."""
        import torch._dynamo

        torch._dynamo.reset()

    def look(self, step: int) -> None:
        """Tell what was compiled since the last look; `step` is the one that has just been taken."""
        now, before = counts(), self.before
        if now.given_up > before.given_up:
            logger.warning(
                "step %d: torch has compiled the same function too often (%s); what fits none of its graphs "
                "runs uncompiled from now on. hardware.compile=null does without the time that compiling took",
                *(step, reason() or "its reason is not known"),
            )
            self.before = before = before._replace(given_up=now.given_up)
        new = now.graphs - before.graphs
        if not new:
            return
        seconds = now.seconds - before.seconds
        if self.expected:
            breaks = now.breaks - before.breaks
            logger.info("compiled in %.1f s: %d graphs, %d breaks between them", seconds, new, breaks)
        else:
            self.recompiled += new
            if not self.warned:
                logger.warning(
                    "step %d: compiled again, which took %.1f s: %s. More of it is counted as train/recompiled; shapes that "
                    "change from step to step are the usual reason, and hardware.compile=null does without",
                    *(step, seconds, reason() or "its reason is not known"),
                )
                self.warned = True
        self.expected, self.before = False, now

    def figures(self) -> dict[str, float]:
        """Seconds, graphs and recompilations since the start of the run, or since it went on."""
        seconds, graphs = self.before.seconds - self.start.seconds, self.before.graphs - self.start.graphs
        return {"compile_s": seconds, "compiled": float(graphs), "recompiled": float(self.recompiled)}


def counts() -> Counts:
    """What torch has counted in this process."""
    from torch._dynamo.utils import counters, cumulative_time_spent_ns

    return Counts(
        graphs=counters["stats"]["unique_graphs"],
        breaks=sum(counters["graph_break"].values()),
        seconds=sum(cumulative_time_spent_ns[phase] for phase in SECONDS) / 1e9,
        given_up=sum(n for why, n in counters["unimplemented"].items() if why.startswith(GIVEN_UP)),
    )


def reason() -> str:
    """Why the last graph that was left did not fit, in torch's words; empty where that is not known."""
    from torch._dynamo.utils import guard_failures

    told = [failures[-1] for failures in guard_failures.values() if failures]
    return str(told[-1]).strip().splitlines()[0] if told else ""


def with_any_number_of_rows(record: Record) -> None:
    """Let one graph serve batches of any number of people, rather than one for the first number and one for all others."""
    from torch._dynamo import maybe_mark_dynamic

    for name, how in layout(type(record)).items():  # type: ignore[arg-type]
        value = getattr(record, name)
        if isinstance(value, Record):
            with_any_number_of_rows(value)
        elif isinstance(value, Tensor) and how != "stack":
            maybe_mark_dynamic(value, 0)
