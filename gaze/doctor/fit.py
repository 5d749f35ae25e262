"""Does a training step fit into the memory of its device? Estimated, and measured where there is a GPU."""

from __future__ import annotations

from collections.abc import Iterator

from gaze.doctor.case import Case
from gaze.doctor.findings import Finding, ok, problem, said, size, warning
from gaze.doctor.machine import memory_to_use
from gaze.errors import UserError

CONTEXT = 0.7e9  # bytes that CUDA and its libraries take before the first tensor
LOST = 1.1  # blocks of the allocator that are free but of the wrong size


def recomputed(case: Case) -> Iterator[Finding]:
    """Can the modules forget their activations that are to?"""
    from gaze.doctor import footprint

    if case.model is None:
        return
    try:
        footprint.forgetful(case.model, case)
    except ValueError as error:
        yield problem("recomputed", said(error))


def estimate(case: Case) -> Iterator[Finding]:
    """The peak of a step against the device's memory, and the batch that would fit."""
    from gaze.doctor import footprint

    if case.model is None or any(recomputed(case)):
        return
    if not case.examples:
        model = footprint.thawed(case.model, case)
        still = footprint.held([model]) + footprint.averaged(model, case)
        still += footprint.trainable_bytes(model) + footprint.optimizer_bytes(model, case)
        yield ok(
            "estimate", f"{size(still)} for weights, gradients and optimizer; what a batch takes needs the data set"
        )
        return
    try:
        found = footprint.footprint(case, case.seconds)
    except footprint.TooSlow:
        yield ok("estimate", f"not finished in {case.seconds:g} s; give it more time with seconds=120")
        return
    except (UserError, ValueError) as error:  # what a model or a loss says of weights that nothing has trained yet
        yield ok("estimate", f"a step with the constructors' own weights can't be tried: {said(error)}")
        return
    batch = int(case.value("trainer.batch_size"))
    there, where, spare = room(case)
    wanted, fits = found.peak(batch) * spare, found.fits(there / spare)
    parts = (
        f"weights {size(found.weights)}, optimizer {size(found.optimizer)}, gradients {size(found.gradients)}, "
        f"each sample {size(found.per_sample)}"
    )
    told = f"about {size(wanted)} with trainer.batch_size={batch} ({parts}); {where}"
    if wanted <= there:
        yield ok("estimate", f"{told}, room for {fits}")
    else:
        whole = int(case.value("trainer.effective_batch_size") or batch * int(case.value("trainer.accumulate", 1)))
        less = max((n for n in range(1, fits + 1) if whole % n == 0), default=0)
        much = (
            f"trainer.batch_size={less} trainer.accumulate=1 trainer.effective_batch_size={whole} fits, for the same steps"
            if less
            else "not even one sample fits: a smaller model, more frozen blocks or a larger device"
        )
        much += "" if case.value("trainer.amp") or not fits else "; or trainer.amp=true"
        yield (problem if spare > 1 else warning)("estimate", f"{told}: {much}")


def measured(case: Case) -> Iterator[Finding]:
    """The peak of one real step of the config's batch on the GPU."""
    import torch

    device = str(case.value("hardware.device", "auto"))
    if not torch.cuda.is_available() or device == "cpu" or case.model is None or not case.examples:
        return
    if any(recomputed(case)):
        return
    from gaze.doctor.step import gpu_step

    batch = int(case.value("trainer.batch_size"))
    try:
        peak = gpu_step(case, batch, "cuda" if device == "auto" else device)
    except torch.cuda.OutOfMemoryError as error:
        yield problem("measured", f"a step of {batch} does not fit ({said(error, 120)}); lower trainer.batch_size")
        return
    yield ok("measured", f"{size(peak)} in a step of trainer.batch_size={batch}, without what CUDA itself takes")


def room(case: Case) -> tuple[float, str, float]:
    """Bytes of the device that the run would use, in words too, and by how much an estimate for it falls short."""
    import torch

    if case.memory_gb is not None:
        return case.memory_gb * 1e9 - CONTEXT, f"{case.memory_gb:g} GB given", LOST
    device = str(case.value("hardware.device", "auto"))
    if torch.cuda.is_available() and device != "cpu":
        free, total = torch.cuda.mem_get_info(None if device == "auto" else device)
        return free - CONTEXT, f"{size(free)} of {size(total)} are free on the GPU", LOST
    available, _ = memory_to_use()
    return available, f"{size(available)} of main memory are free", 1.0
