"""One real training step on a GPU, to see what it takes."""

from __future__ import annotations

import copy

import torch

from gaze.doctor.case import Case
from gaze.doctor.footprint import forgetful, late
from gaze.freezing import train_mode
from gaze.hardware import Hardware
from gaze.losses.objective import Objective
from gaze.runs import build, chosen
from gaze.types import collate


def gpu_step(case: Case, batch_size: int, device: str = "cuda") -> int:
    """The most bytes that torch held on the GPU in the second of two steps; nothing stays there.

    Raises:
        torch.cuda.OutOfMemoryError: it does not fit.
    """
    assert case.model is not None
    assert case.config is not None
    hardware: Hardware = build({**case.value("hardware"), "device": device, "distributed": False, "workers": 0})
    model = copy.deepcopy(forgetful(case.model, case))
    try:
        net = hardware.prepare(model)
        objective = Objective(chosen(case.config, "loss")).to(hardware.device)
        optimizer = build(case.config.optimizer)(model=model)
        train_mode(net)
        samples, progress = case.examples, late(case, len(case.splits["train"]))
        amp = bool(case.value("trainer.amp"))
        lowered = hardware.lowered(model, amp)
        batch = hardware.place(collate([samples[i % len(samples)] for i in range(batch_size)]))
        for _ in range(2):  # the first makes the optimizer's state
            torch.cuda.reset_peak_memory_stats(hardware.device)
            with hardware.autocast(amp), lowered:
                prediction = net(batch.inputs)
            loss, _ = objective(prediction.float32(), batch, progress)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return torch.cuda.max_memory_allocated(hardware.device)
    finally:
        torch.cuda.empty_cache()
