"""Graphs that are bound to a device are found, whatever binds them."""

import pytest
import torch
from torch import nn

from gaze.errors import UserError
from gaze.export.baked import baked_devices, baked_in_script, forget_checks, refuse_baked, refuse_baked_script
from gaze.export.format import quiet


class Literal(nn.Module):
    def forward(self, x):
        return x + torch.arange(x.shape[1], device="cpu")


class Cast(nn.Module):
    """Of 8-bit pictures, which a check of their device precedes."""

    def forward(self, x):
        return x.to(torch.uint8).float()


class Branch(nn.Module):
    """The device is in a graph inside the graph."""

    def forward(self, x):
        with torch.autocast("cpu", enabled=False):
            return x + torch.ones(3, device=x.device)


class Free(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("places", torch.arange(3.0), persistent=False)

    def forward(self, x):
        return torch.where(x > 0, x + self.places, torch.zeros_like(x)).clamp(max=2.0)


def program(module):
    return torch.export.export(module, (torch.rand(2, 3),))


def test_what_binds_a_graph_inside_a_graph_is_named():
    assert baked_devices(program(Branch())) == ["aten.ones.default(cpu)", "aten.full.default(cpu)"]


def test_checks_before_casts_are_forgotten():
    made = program(Cast())
    assert baked_devices(made) == ["aten._assert_tensor_metadata.default(cpu)"]
    forget_checks(made)
    assert baked_devices(made) == []
    assert made.module()(torch.rand(2, 3, device="meta")).device.type == "meta"


def test_a_bound_program_is_refused():
    made = program(Literal())
    with pytest.raises(UserError, match=r"bound to a device by aten.arange.*\(cpu\).* make the tensor a buffer"):
        refuse_baked(made)
    refuse_baked(made, cpu=True)


def test_a_free_program_passes():
    assert baked_devices(program(Free())) == []


def test_tensors_on_other_devices_are_named():
    made = program(Free())
    made.state_dict["elsewhere"] = torch.empty(3, device="meta")
    with pytest.raises(UserError, match="elsewhere on meta"):
        refuse_baked(made, cpu=True)


def test_scripts_are_looked_at_too():
    x = torch.rand(2, 3)
    with quiet():
        bound, free = torch.jit.trace(Literal(), x), torch.jit.trace(Free(), x)
    assert baked_in_script(free) == []
    with pytest.raises(UserError, match=r"constant\(cpu\)"):
        refuse_baked_script(bound)
