"""The machine that figures come from: what it is, and what it could do at best, measured before anything else."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from gaze.benchmark.clock import interleaved
from gaze.benchmark.limits import jpeg_bytes, product_rate
from gaze.datasets.image import decode_image
from gaze.environment import code
from gaze.hardware import Hardware

CPU_FACTS = Path("/proc/cpuinfo")
WORTH_SAYING = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")  # what decides how fast products are
COPIED = 64 * 2**20  # bytes: more than caches hold
DECODED = (480, 640)  # height, width in px


class Limits(NamedTuple):
    """What the machine does at best, with the device and the threads that are measured."""

    products: Mapping[str, float]  # number format -> floating-point operations per second of matrix products
    copying: float  # bytes per second, read and written together
    decoding: float  # JPEGs of 640 x 480 px per second, one CPU thread

    def rows(self) -> list[tuple[str, str]]:
        """What each is, and its figure with a unit."""
        products = [
            (f"matrix products in {name}", f"{rate / 1e9:,.0f} GFLOP/s") for name, rate in self.products.items()
        ]
        return [
            *products,
            ("copying memory", f"{self.copying / 1e9:,.1f} GB/s"),
            ("decoding JPEGs of 640 x 480", f"{self.decoding:,.0f} a second and thread"),
        ]


def measured(hardware: Hardware, rounds: int = 5) -> Limits:
    """The limits of this machine: the best of `rounds`, some seconds' work."""
    device = hardware.device
    formats = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    a, b = (torch.zeros(COPIED // 4, device=device) for _ in range(2))
    data = jpeg_bytes(*DECODED)
    copied = interleaved({"copy": partial(b.copy_, a.normal_())}, rounds, device)["copy"]
    decoded = interleaved({"decode": partial(decode_image, "limit", data)}, 4 * rounds, torch.device("cpu"))["decode"]
    return Limits(
        {name: product_rate(dtype, device, rounds) for name, dtype in formats.items()},
        2 * COPIED / copied.best,
        1 / decoded.best,
    )


def machine(hardware: Hardware) -> dict[str, Any]:
    """Processor, device, threads and what decides what is computed, as plain values. No name of a host or a user."""
    cuda = hardware.device.type == "cuda"
    processor, flags = _processor()
    return {
        "processor": processor,
        "flags": [flag for flag in WORTH_SAYING if flag in flags],
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name(hardware.device) if cuda else "cpu",
        "cuda": torch.version.cuda if cuda else None,
        "threads": torch.get_num_threads(),
        **code(),
        "torch": torch.__version__,  # with what it was built for
    }


def _processor() -> tuple[str, frozenset[str]]:
    """Its name and what it can do."""
    try:
        lines = CPU_FACTS.read_text().splitlines()
    except OSError:  # not on Linux
        return platform.processor() or platform.machine(), frozenset()
    facts: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        facts.setdefault(key.strip().lower(), value.strip())
    flags = facts.get("flags") or facts.get("features") or ""
    return facts.get("model name") or platform.machine(), frozenset(flags.split())
