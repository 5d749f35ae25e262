"""The GPU, its driver and whether they match torch and the config."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

from gaze.doctor.case import Case
from gaze.doctor.findings import Finding, ok, problem, said, size, warning

PATIENCE_S = 8
INDEX = "https://download.pytorch.org/whl"
BUSY = 0.5  # of a GPU's memory that others hold


class Driver(NamedTuple):
    """NVIDIA's driver."""

    version: str
    cuda: tuple[int, int]  # newest that it runs


class Gpu(NamedTuple):
    """A GPU that torch sees."""

    name: str
    capability: tuple[int, int]
    total: int  # bytes
    free: int


class Torch(NamedTuple):
    """What this torch was built for, and what it sees."""

    cuda: tuple[int, int] | None  # None: built without
    architectures: list[str]  # such as sm_90
    gpus: list[Gpu]
    nccl: bool
    why: str = ""  # it sees no GPU, in its own words


def match(case: Case) -> Iterator[Finding]:
    """Do driver, torch and config agree on what there is?"""
    driver, torch = find_driver(), find_torch()
    device = str(case.value("hardware.device", "auto"))
    wanted = device.startswith("cuda")
    if torch.gpus:
        yield from (gpu_found(i, gpu, torch) for i, gpu in enumerate(torch.gpus))
        yield from number_format(case, torch.gpus[0])
    elif driver is None:
        if wanted:
            yield problem(
                "CUDA", f"hardware.device is {device}, but this machine has no NVIDIA driver; use hardware=cpu"
            )
        else:
            yield ok("CUDA", "no NVIDIA driver, so runs use the CPU")
    else:
        yield (problem if wanted else warning)("CUDA", mismatch(driver, torch))
    if wanted and torch.gpus and (number := device.partition(":")[2]).isdigit() and int(number) >= len(torch.gpus):
        yield problem("CUDA", f"hardware.device is {device}, but there are {len(torch.gpus)} GPUs, from cuda:0 on")
    if not torch.gpus and case.value("trainer.amp") and case.value("hardware.amp_dtype") == "float16":
        yield warning("amp", "float16 is slow on a CPU; use hardware.amp_dtype=bfloat16, or trainer.amp=false")
    if case.value("hardware.distributed") and torch.gpus and not torch.nccl:
        yield problem("nccl", "replicas on GPUs need NCCL, which this torch was built without; install torch for Linux")


def mismatch(driver: Driver, torch: Torch) -> str:
    """Why torch sees no GPU although there is a driver."""
    newest = ".".join(map(str, driver.cuda))
    tag = f"cu{driver.cuda[0]}{driver.cuda[1]}"
    remedy = (
        f"pip install --force-reinstall torch torchvision --index-url {INDEX}/{tag} (or the next older cuXYZ there)"
    )
    if torch.cuda is None:
        return f"there is a GPU (driver {driver.version}), but torch is built for the CPU only: {remedy}"
    built = ".".join(map(str, torch.cuda))
    if torch.cuda > driver.cuda:
        return f"torch is built for CUDA {built}, but driver {driver.version} runs {newest} at most: update it, or {remedy}"
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return "CUDA_VISIBLE_DEVICES hides all GPUs from torch: unset CUDA_VISIBLE_DEVICES"
    return (
        f"torch sees no GPU although the driver is there ({torch.why or 'no reason given'}): restart, or reinstall it"
    )


def gpu_found(number: int, gpu: Gpu, torch: Torch) -> Finding:
    """Can this torch run on this GPU, and is it free?"""
    about = f"cuda:{number}"
    major, minor = gpu.capability
    if not supported(gpu.capability, torch.architectures):
        return problem(
            about,
            f"{gpu.name} has compute capability {major}.{minor}, for which this torch has no code "
            f"({', '.join(torch.architectures)}); install another release: {INDEX}",
        )
    free = f"{size(gpu.free)} of {size(gpu.total)} free"
    if gpu.free < BUSY * gpu.total:
        return warning(
            about, f"{gpu.name}: only {free}; end what else runs there (nvidia-smi lists it), or take another"
        )
    return ok(about, f"{gpu.name}, compute capability {major}.{minor}, {free}")


def supported(capability: tuple[int, int], architectures: list[str]) -> bool:
    """Is there machine code of this major version, or intermediate code that a driver can compile for it?"""
    for name in architectures:
        found = re.fullmatch(r"(sm|compute)_(\d+)(\d)[af]?", name)
        if found:
            made = (int(found[2]), int(found[3]))
            if made <= capability and (found[1] == "compute" or made[0] == capability[0]):
                return True
    return not architectures


def number_format(case: Case, gpu: Gpu) -> Iterator[Finding]:
    """Is the number format that the config asks for one of this GPU's?"""
    if case.value("trainer.amp") and case.value("hardware.amp_dtype") == "bfloat16" and gpu.capability < (8, 0):
        yield warning(
            "amp", f"{gpu.name} has no bfloat16 of its own and is slow with it; use hardware.amp_dtype=float16"
        )
    elif case.config is not None and not case.value("trainer.amp") and gpu.capability >= (7, 0):
        yield ok("amp", "the model runs in float32; trainer.amp=true is faster and takes less memory")


def find_driver() -> Driver | None:
    """What nvidia-smi says; None where there is none."""
    try:
        done = subprocess.run(["nvidia-smi"], capture_output=True, text=True, timeout=PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return read_driver(done.stdout) if done.returncode == 0 else None


def read_driver(text: str) -> Driver | None:
    """The versions in the table that nvidia-smi prints."""
    version, cuda = re.search(r"Driver Version: *([\d.]+)", text), re.search(r"CUDA[^:|]*Version: *(\d+)\.(\d+)", text)
    return Driver(version[1], (int(cuda[1]), int(cuda[2]))) if version and cuda else None


def find_torch() -> Torch:
    """What this torch was built for, and the GPUs that it sees."""
    import torch

    built = torch.version.cuda
    cuda = None if built is None else (int(built.split(".")[0]), int(built.split(".")[1]))
    nccl = torch.distributed.is_available() and torch.distributed.is_nccl_available()
    gpus, why = [], ""
    try:
        if torch.cuda.is_available():
            for number in range(torch.cuda.device_count()):
                facts = torch.cuda.get_device_properties(number)
                free, total = torch.cuda.mem_get_info(number)
                gpus.append(Gpu(facts.name, (facts.major, facts.minor), total, free))
        elif cuda is not None:
            torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        why = said(error, 200)
    return Torch(cuda, torch.cuda.get_arch_list(), gpus, nccl, why)
