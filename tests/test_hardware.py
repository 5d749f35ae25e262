"""What the machine does: device, number format, compilation, seeds."""

import pytest
import torch

from gaze.hardware import Hardware
from tests.stubs.line import Net
from tests.stubs.training import line_trainer


def test_one_process_needs_no_torchrun_and_replicas_do():
    assert Hardware(device="cpu").replicas == 1
    with pytest.raises(ValueError, match="torchrun did not start this process; use 'torchrun"):
        Hardware(device="cpu", distributed=True)


def test_torchrun_without_ddp_is_refused(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="each train alone: add hardware=ddp"):
        Hardware(device="cpu")


def test_unknown_number_formats_are_refused():
    with pytest.raises(ValueError, match="expected one of bfloat16, float16"):
        Hardware(amp_dtype="fp8")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_missing_gpu_is_said():
    with pytest.raises(ValueError, match="no CUDA device; use hardware=cpu"):
        Hardware(device="cuda")


def test_images_become_floats_on_the_device_and_nothing_else_changes():
    from tests.test_types import scene

    batch = Hardware(device="cpu").place(scene(2, 255))
    assert batch.inputs.image.dtype == torch.float32
    assert batch.inputs.image.unique().tolist() == [1.0]
    assert batch.inputs.image_index.dtype == torch.int64


def test_what_the_model_draws_depends_on_seed_and_step():
    hardware = Hardware(device="cpu")
    draws = []
    for numbers in ((0, 1), (0, 2), (1, 1), (0, 1)):
        hardware.seed(*numbers)
        draws.append(torch.rand(4).tolist())
    assert draws[0] == draws[3]
    assert draws[0] != draws[1] != draws[2]


def test_compiling_is_one_key_and_leaves_the_names_of_the_weights_alone(tmp_path):
    hardware = Hardware(device="cpu", compile="eager", workers=0)
    trainer = line_trainer(tmp_path, hardware=hardware, epochs=1)
    trainer.fit()
    assert trainer.net is not trainer.model
    Net().load_state_dict(trainer.model.state_dict())
    trainer.run.last.load(Net())


def test_channels_last_changes_the_layout_only():
    convolution = torch.nn.Conv2d(3, 4, 3)
    Hardware(device="cpu", channels_last=True).compiled(convolution)
    assert convolution.weight.is_contiguous(memory_format=torch.channels_last)


def test_deterministic_mode_is_asked_of_torch():
    Hardware(device="cpu", deterministic=True)
    assert torch.are_deterministic_algorithms_enabled()
    Hardware(device="cpu")
    assert not torch.are_deterministic_algorithms_enabled()
