"""Training a GazeFormer never waits for the device: no number is read back in a step, and none is sent but the batch."""

from __future__ import annotations

import math

import pytest
import torch
from hydra import compose, initialize_config_module
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gaze.datasets.dataset import Dataset
from gaze.hardware import Hardware
from gaze.heads.direction_hetero import DirectionHeteroHead
from gaze.heads.direction_pinball import DirectionPinballHead
from gaze.losses.direction import PitchYawL1
from gaze.losses.direction_likelihood import HeteroNLL, Pinball
from gaze.losses.objective import Objective
from gaze.metrics.angular_error import AngularError
from gaze.optimizers import grouped
from gaze.runs import build, chosen
from gaze.types import Batch, DirectionInputs, DirectionTargets, Progress
from tests.stubs.training import line_trainer

EVERYTHING = (
    *("model=gazeformer_tiny", "codebook=both", "prompts=shifted", "temporal=transformer", "dir=unused"),
    *("fusion.stream_dropout=0.1", "fusion.drop_path=0.1", "moe.router.noise=0.1", "fusion.ablate.f4=mask"),
    "loss=[angular,vmf_nll,separation,prototype_ce,moe_balance,router_z,vq_commit,prompt_delta]",
)


class Transfers(TorchDispatchMode):
    """Collects what goes from one device to another. Reading a number is what fake tensors refuse by themselves."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        made = op(*args, **(kwargs or {}))
        given, got = ({t.device.type for t in tree_leaves(x) if isinstance(t, Tensor)} for x in ((args, kwargs), made))
        if given and got and given != got:
            self.found.append(f"{op}: {given} to {got}")
        return made


def parts():
    """A model with everything that a config can ask for, its objective, and its router's callback."""
    with initialize_config_module("gaze.conf"):
        config = compose("train", overrides=[*EVERYTHING])
    return build(config.model).train(), Objective(chosen(config, "loss")).train(), chosen(config, "callback")["router"]


def moved(module: nn.Module) -> nn.Module:
    """A module whose tensors are said to be on a GPU."""
    for part in module.modules():
        for kept in (part._parameters, part._buffers, vars(part)):
            for name, tensor in kept.items():
                if isinstance(tensor, Tensor):
                    there = torch.empty(tensor.shape, dtype=tensor.dtype, device="cuda")
                    kept[name] = nn.Parameter(there, tensor.requires_grad) if kept is part._parameters else there
    return module


def test_neither_model_nor_losses_wait_for_the_device():
    """Of tensors without numbers: what would read one fails. It is the forward pass; the GPU's own test has all of it."""
    now = Progress(0, 10, 5)
    model, objective, _ = parts()
    with FakeTensorMode(), Transfers() as transfers:
        faces, gaze = torch.zeros(2, 3, 3, 32, 32, device="cuda"), torch.zeros(2, 3, device="cuda")
        batch = Batch(DirectionInputs(faces), DirectionTargets(gaze), torch.zeros(2, dtype=torch.long, device="cuda"))
        moved(model), moved(objective)
        loss, _ = objective(model(batch.inputs), batch, now)
        assert loss.device.type == "cuda"
        features = torch.zeros(2, 8, device="cuda")
        for head, term in (
            (DirectionPinballHead, Pinball),
            (DirectionHeteroHead, HeteroNLL),
            (DirectionHeteroHead, PitchYawL1),
        ):
            term()(moved(head(8))(features), batch, now)
    assert transfers.found == []


class Faces(Dataset):
    """Noise that looks anywhere, in clips of three frames."""

    def __len__(self):
        return 16

    def sample(self, index, generator):
        draws = torch.Generator().manual_seed(index)
        faces = torch.randint(0, 256, (3, 3, 32, 32), generator=draws, dtype=torch.uint8)
        gaze = torch.nn.functional.normalize(torch.randn(3, generator=draws), dim=0)
        return Batch(DirectionInputs(faces, torch.ones(3).bool()), DirectionTargets(gaze), torch.tensor(index))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("amp", [False, True])
def test_a_step_on_a_gpu_waits_for_nothing(tmp_path, amp):
    hardware = Hardware(device="cuda", workers=0)
    model, objective, router = parts()
    model.to(hardware.device)
    optimizer = grouped(model, lambda groups: torch.optim.AdamW(groups, lr=1e-3, fused=True))
    trainer = line_trainer(
        tmp_path,
        {"router": router},
        hardware=hardware,
        model=model,
        objective=objective,
        metrics={"angular_error": AngularError()},
        optimizer=optimizer,
        train_set=Faces(),
        val_set=Faces(),
        monitor="error_deg",
        amp=amp,
    )
    trainer.call("fit_start")
    batches = list(trainer.train_loader)  # in pinned memory, from which copies don't wait
    trainer.net.train()
    trainer.objective.train()
    for step in range(4):  # fewer than the guard looks after
        torch.cuda.set_sync_debug_mode("error" if step >= 2 else "default")
        try:
            terms = trainer.train_step([batches[step % len(batches)]])
            trainer.call("step_end", terms)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert math.isfinite(terms["loss"].item())
