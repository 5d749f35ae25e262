"""How busy the machine is, sampled for the journal."""

from __future__ import annotations

import contextlib
from typing import Any

MEGA = 1.0e6


class Machine:
    """Samples processors, memory and NVIDIA devices, under the names that MLflow's own page of them knows.

    Args:
        process: id of the training process.
    """

    def __init__(self, process: int) -> None:
        import psutil

        self._psutil = psutil
        self._process = process
        self._devices = _devices()
        psutil.cpu_percent()  # the first call only starts the measurement

    def sample(self) -> dict[str, float]:
        """The load since the previous sample, % and MB, by journal key."""
        memory = self._psutil.virtual_memory()
        values = {
            "system/cpu_utilization_percentage": self._psutil.cpu_percent(),
            "system/system_memory_usage_megabytes": memory.used / MEGA,
            "system/system_memory_usage_percentage": memory.percent,
        }
        with contextlib.suppress(self._psutil.Error):  # training may just have ended
            values["system/process_memory_megabytes"] = self._psutil.Process(self._process).memory_info().rss / MEGA
        for number, device in enumerate(self._devices):
            values.update({f"system/gpu_{number}_{name}": value for name, value in _device(device).items()})
        return values


def _devices() -> list[Any]:
    """Handles of NVML, or none without nvidia-ml-py or a driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
        return [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
    except Exception:  # no package, no driver, no permission: there is nothing to sample
        return []


def _device(handle: Any) -> dict[str, float]:
    import pynvml

    values: dict[str, float] = {}
    try:
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        values["memory_usage_megabytes"] = memory.used / MEGA
        values["memory_usage_percentage"] = 100.0 * memory.used / memory.total
        values["utilization_percentage"] = float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
        values["power_usage_watts"] = pynvml.nvmlDeviceGetPowerUsage(handle) / 1000.0
    except pynvml.NVMLError:
        pass  # a figure that this device or partition does not give
    return values
