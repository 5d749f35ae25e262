"""Driver, torch, GPU and config, in every way in which they can disagree."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from gaze.doctor import accelerators
from gaze.doctor.accelerators import Driver, Gpu, Torch, read_driver, supported
from gaze.doctor.case import Case
from tests.doctor.conftest import lines

GPU = Gpu("A100", (8, 0), 40_000_000_000, 39_000_000_000)
ARCHITECTURES = ["sm_75", "sm_80", "sm_90"]
SMI = "| NVIDIA-SMI 570.86.15    Driver Version: 570.86.15    CUDA Version: 12.8     |"


def found(monkeypatch, driver=None, torch=None, **config):
    monkeypatch.setattr(accelerators, "find_driver", lambda: driver)
    monkeypatch.setattr(accelerators, "find_torch", lambda: torch or Torch(None, [], [], False))
    case = Case(config=OmegaConf.create(config) if config else None)
    return [(f.level.value, f.said) for f in lines(accelerators.match, case)]


def test_no_gpu_is_fine_unless_one_is_asked_for(monkeypatch):
    assert found(monkeypatch) == [("ok", "no NVIDIA driver, so runs use the CPU")]
    ((level, said),) = found(monkeypatch, hardware={"device": "cuda"})
    assert level == "problem"
    assert said.endswith("use hardware=cpu")


@pytest.mark.parametrize(
    ("torch", "said"),
    [
        (
            Torch(None, [], [], False),
            "torch is built for the CPU only: pip install --force-reinstall torch torchvision",
        ),
        (Torch((13, 0), ARCHITECTURES, [], True), "torch is built for CUDA 13.0, but driver 570 runs 12.8 at most"),
        (Torch((12, 6), ARCHITECTURES, [], True, "no permission"), "(no permission)"),
    ],
)
def test_a_driver_that_torch_can_not_use(monkeypatch, torch, said):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    ((level, sentence),) = found(monkeypatch, Driver("570", (12, 8)), torch)
    assert level == "warning"
    assert said in sentence
    ((level, _),) = found(monkeypatch, Driver("570", (12, 8)), torch, hardware={"device": "cuda"})
    assert level == "problem"


def test_gpus_that_are_hidden(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    ((_, said),) = found(monkeypatch, Driver("570", (12, 8)), Torch((12, 6), ARCHITECTURES, [], True))
    assert said.endswith("unset CUDA_VISIBLE_DEVICES")


@pytest.mark.parametrize(
    ("gpu", "level", "said"),
    [
        (GPU, "ok", "A100, compute capability 8.0, 39 GB of 40 GB free"),
        (GPU._replace(free=3_000_000_000), "warning", "only 3 GB of 40 GB free; end what else runs there"),
        (GPU._replace(capability=(6, 1)), "problem", "6.1, for which this torch has no code (sm_75, sm_80, sm_90)"),
    ],
)
def test_a_gpu_that_torch_sees(monkeypatch, gpu, level, said):
    ((found_level, sentence),) = found(
        monkeypatch, Driver("570", (12, 8)), Torch((12, 6), ARCHITECTURES, [gpu], True), trainer={"amp": True}
    )
    assert found_level == level
    assert said in sentence


def test_the_number_format_fits_the_device(monkeypatch):
    old = Torch((12, 6), ARCHITECTURES, [GPU._replace(capability=(7, 5))], True)
    amp = {"trainer": {"amp": True}, "hardware": {"amp_dtype": "bfloat16"}}
    assert ("warning", "A100 has no bfloat16 of its own and is slow with it; use hardware.amp_dtype=float16") in found(
        monkeypatch, None, old, **amp
    )
    amp = {"trainer": {"amp": True}, "hardware": {"amp_dtype": "float16"}}
    assert any("hardware.amp_dtype=bfloat16" in said for _, said in found(monkeypatch, **amp))


def test_replicas_on_gpus_need_nccl_and_devices_exist(monkeypatch):
    torch = Torch((12, 6), ARCHITECTURES, [GPU], False)
    config = {"hardware": {"device": "cuda:3", "distributed": True}, "trainer": {"amp": True}}
    problems = [said for level, said in found(monkeypatch, None, torch, **config) if level == "problem"]
    assert "there are 1 GPUs" in problems[0]
    assert "NCCL" in problems[1]


@pytest.mark.parametrize(
    ("capability", "architectures", "answer"),
    [
        ((8, 6), ["sm_80"], True),
        ((9, 0), ["sm_80"], False),
        ((9, 0), ["sm_80", "compute_80"], True),
        ((7, 0), ["sm_75"], False),
        ((12, 0), ["sm_90a", "sm_120"], True),
    ],
)
def test_code_of_the_same_major_version_runs(capability, architectures, answer):
    assert supported(capability, architectures) is answer


def test_nvidia_smi_is_understood():
    assert read_driver(SMI) == Driver("570.86.15", (12, 8))
    assert read_driver("no devices were found") is None
