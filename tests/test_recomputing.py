"""Modules that forget their activations: the same answers and gradients, bit for bit, from less memory."""

import copy

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from gaze import attention
from gaze.backbones.distilled_vit import DistilledViT
from gaze.hardware import Hardware
from gaze.recomputing import recompute


class Block(nn.Module):
    """What may go wrong twice: something drawn, statistics that move, and a count."""

    def __init__(self, norm=True):
        super().__init__()
        self.wide, self.narrow, self.drop = nn.Conv2d(4, 16, 3, padding=1), nn.Conv2d(16, 4, 1), nn.Dropout(0.3)
        self.norm = nn.BatchNorm2d(16) if norm else nn.Identity()
        self.register_buffer("calls", torch.zeros(())) if norm else None

    def forward(self, x, *, scale=1.0):
        if hasattr(self, "calls") and self.training:
            self.calls += 1
            scale = scale * self.calls
        return x + scale * self.narrow(self.drop(torch.relu(self.norm(self.wide(x)))))


class Net(nn.Module):
    def __init__(self, norm=True):
        super().__init__()
        self.blocks = nn.ModuleList(Block(norm) for _ in range(3))

    def forward(self, x):
        for block in self.blocks:
            x = block(x, scale=0.5)
        return x


def net(norm=True):
    torch.manual_seed(0)
    return Net(norm)


def step(model, amp=False):
    """Loss, gradients, buffers and what is drawn next."""
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16, enabled=amp):
        loss = model(torch.randn(2, 4, 6, 6)).float().square().mean()
    loss.backward()
    return [loss.detach(), *(p.grad for p in model.parameters()), *model.buffers(), torch.rand(3)]


def same(ones, others):
    for one, other in zip(ones, others, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("pattern", ["blocks.*", "blocks.1", "blocks.*.wide"])
def test_loss_gradients_statistics_and_draws_are_the_same_bit_for_bit(amp, pattern):
    changed = Hardware("cpu", checkpoint_activations=[pattern]).settle(net())
    assert [name for name, _ in changed.named_parameters()] == [name for name, _ in net().named_parameters()]
    same(step(changed, amp), step(net(), amp))


def kept(model, x):
    storages = {}

    def pack(tensor):
        storages[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = model(x).square().mean()
    del loss
    weights = {p.untyped_storage()._cdata for p in model.parameters()}
    return sum(t.untyped_storage().nbytes() for key, t in storages.items() if key not in weights)


def test_less_is_kept_between_the_passes():
    x = torch.randn(2, 4, 6, 6)
    assert kept(recompute(net(), ["blocks.*"]), x) < 0.3 * kept(net(), x)


def test_copies_forget_by_themselves_and_what_has_no_gradient_is_computed_once():
    model = recompute(recompute(net(), ["blocks.*"]), ["blocks.0"])
    same(step(copy.deepcopy(model)), step(net()))
    assert all(p.grad is None for p in model.parameters())
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(torch.ones(1, 4, 6, 6)), net().eval()(torch.ones(1, 4, 6, 6)))


def test_attention_that_was_answered_by_ours_is_so_again_beside_frozen_weights_that_were_cast(monkeypatch):
    monkeypatch.setattr(attention, "_pays", lambda: True)
    found = []
    for patterns in ([], ["vit.blocks.*"]):
        torch.manual_seed(0)
        hardware = Hardware("cpu", checkpoint_activations=patterns)
        model = hardware.settle(DistilledViT(depth=2)).eval()
        model.vit.blocks[1].mlp.requires_grad_(False)
        lowered = hardware.lowered(model, amp=True)
        for _ in range(2):  # seen, then cast beforehand
            model.zero_grad()
            with hardware.autocast(True), lowered:
                features = model(torch.linspace(0, 1, 3 * 256 * 256).reshape(1, 3, 256, 256))
            features.float().square().mean().backward()
            found.append([features.detach(), *(p.grad for p in model.parameters() if p.requires_grad)])
        assert lowered.nbytes > 0
    for other in found[1:]:
        same(found[0], other)


def test_compiled_and_replicated(tmp_path):
    compiled = Hardware("cpu", checkpoint_activations="blocks.*", compile="aot_eager")
    model = compiled.prepare(compiled.settle(net(norm=False)))
    same(step(model), step(net(norm=False)))
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        same(step(DistributedDataParallel(recompute(net(), ["blocks.*"]))), step(net()))
    finally:
        dist.destroy_process_group()


def test_what_can_t_be_is_a_sentence():
    with pytest.raises(ValueError, match=r"'block.\*' matches no module of the model; there are blocks, blocks.0"):
        recompute(net(), ["block.*"])
    with pytest.raises(
        ValueError, match=r"blocks is a ModuleList, which is never called; name what it holds: 'blocks\.\*'"
    ):
        recompute(net(), ["blocks"])
    with pytest.raises(ValueError, match=r"blocks\.0 has buffers.*hardware\.compile=null"):
        Hardware("cpu", checkpoint_activations=["blocks.0"], compile="aot_eager").settle(net())
    with pytest.raises(
        ValueError, match="compile is 'eager' with hardware.checkpoint_activations.*expected null, aot_"
    ):
        Hardware("cpu", checkpoint_activations="blocks.*", compile="eager")
