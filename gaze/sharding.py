"""Weights that are divided among the replicas (FSDP2), for models that fit no single device.

What FSDP2 needs is imported by those who divide: it takes most of a second, which other runs need not wait for.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from gaze.globs import matching


def is_sharded(model: nn.Module) -> bool:
    """Are the weights of this model divided among replicas?"""
    return hasattr(model, "set_requires_gradient_sync")  # of FSDP2's modules


def is_part(tensor: Any) -> bool:
    """Is this a tensor of which each replica holds a part (torch's DTensor)?"""
    return hasattr(tensor, "full_tensor")


def shard(model: nn.Module, mesh: Any, wanted: int | Sequence[str]) -> nn.Module:
    """Divide the weights of `model` among the replicas of the mesh, in place, and put it on their device.

    Weights are gathered for one unit of the model at a time, and let go after it; what belongs to no unit is gathered
    for the whole forward pass. A parameter may freeze and thaw later. FSDP2 can't divide a single number: frozen ones
    stay whole, and `check_numbers` refuses those that train.

    `copy.deepcopy` of the result gives another model that is divided in the same way.

    Args:
        mesh: the `DeviceMesh` of all replicas.
        wanted: globs over the names of the units; or a number: each member of a ModuleList or Sequential
            with at least as many parameters is one.

    Raises:
        ValueError: a glob matches no module, or one that can't be a unit.
    """
    from torch.distributed.fsdp import fully_shard

    # Weights on the meta device take no memory; buffers are real, as nothing could give them back.
    blank = {id(p): nn.Parameter(torch.empty_like(p, device="meta"), p.requires_grad) for p in model.parameters()}
    skeleton = copy.deepcopy(model, blank)
    numbers = {p for p in model.parameters() if p.dim() == 0}
    for number in numbers:
        number.data = number.data.to(mesh.device_type)
    for module in [*units(model, wanted), model]:
        # The root, too, is let go after its forward pass: validation has no backward pass that would do it.
        fully_shard(module, mesh=mesh, reshard_after_forward=True, ignored_params=numbers)
    model.register_forward_pre_hook(_follow_first)

    def twin(memo: dict[int, Any]) -> nn.Module:
        made = shard(copy.deepcopy(skeleton), mesh, wanted)
        made.load_state_dict({name: tensor.clone() for name, tensor in model.state_dict().items()}, assign=True)
        return made

    model.__deepcopy__ = twin  # type: ignore[assignment]  # in place of FSDP2's own, which only raises
    return model


def units(model: nn.Module, wanted: int | Sequence[str]) -> list[nn.Module]:
    """The modules that are gathered and let go by themselves, inner ones first; see `shard`.

    Raises:
        ValueError: a glob matches no module, or one that can't be a unit.
    """
    read = _read_by_others(model)
    if isinstance(wanted, int):
        return list(_large_members(model, wanted, set(), read))
    named = dict(model.named_modules())
    chosen = matching(model, wanted, "hardware.shard_units")
    if torn := [name for name in chosen if named[name] in read]:
        raise ValueError(
            f"hardware.shard_units: {torn[0]} can't be gathered by itself, as the module around it reads its weights; "
            "name that one"
        )
    return [named[name] for name in sorted(chosen, key=lambda name: -name.count("."))]


def _read_by_others(model: nn.Module) -> set[nn.Module]:
    """Modules whose weights one around them reads, when nothing has gathered them if they are units of their own.

    A module says so of those inside it in `reads_weights_of`.
    """
    inner = [getattr(outer, name) for outer in model.modules() for name in getattr(outer, "reads_weights_of", ())]
    return {part for module in inner if module is not None for part in module.modules()}


def _large_members(
    module: nn.Module, least: int, taken: set[nn.Parameter], read: set[nn.Module]
) -> Iterator[nn.Module]:
    for child in module.children():
        yield from _large_members(child, least, taken, read)
        own = {p for p in child.parameters() if p not in taken}
        # A container is never called, so that nothing would gather what it holds.
        called = not isinstance(child, (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict))
        called = called and child not in read
        if called and isinstance(module, (nn.ModuleList, nn.Sequential)) and sum(p.numel() for p in own) >= least:
            taken |= own
            yield child


def check_numbers(model: nn.Module) -> None:
    """Check that no parameter that FSDP2 cannot divide trains.

    Raises:
        ValueError: some do, and the message names them.
    """
    found = [name for name, p in model.named_parameters() if p.requires_grad and not is_part(p)]
    if is_sharded(model) and found:
        raise ValueError(
            f"hardware.shard: {', '.join(found)} trains and is a single number, which cannot be divided among replicas; "
            "freeze it, or use hardware=ddp"
        )


def whole(tensor: Tensor) -> Tensor:
    """The tensor of which every replica holds a part; all of them have to ask for it. Another one is returned as it is."""
    return tensor.full_tensor() if is_part(tensor) else tensor  # type: ignore[attr-defined, no-any-return]


def gathered(model: nn.Module, keep: bool) -> dict[str, Tensor]:
    """The whole weights of a model, on the CPU, on replicas that `keep` them; all have to ask. Elsewhere nothing."""
    found = {}
    for name, tensor in model.state_dict().items():
        full = whole(tensor.detach())  # one at a time: the device never holds all
        if keep:
            found[name] = full.cpu()
    return found


def laid_out_like(tensor: Tensor, other: Tensor) -> Tensor:
    """`tensor`, which every replica holds whole, divided as `other` is: each takes its part, and none is asked."""
    if not is_part(other) or is_part(tensor) or tensor.shape != other.shape:
        return tensor
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(other, DTensor)
    return distribute_tensor(tensor.to(other.device), other.device_mesh, other.placements, src_data_rank=None)


def all_laid_out_like(tensors: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each tensor divided as the other one of its name is, where there is one."""
    return {n: laid_out_like(tensor, others[n]) if n in others else tensor for n, tensor in tensors.items()}


def _follow_first(model: nn.Module, inputs: Any) -> None:
    """Buffers of a training model follow those of the first replica, as with DDP: statistics of a batch move them."""
    if model.training:
        share_buffers(model)


def share_buffers(model: nn.Module) -> None:
    """Give every replica the first one's buffers."""
    for work in [dist.broadcast(buffer, src=0, async_op=True) for buffer in model.buffers()]:
        if work is not None:
            work.wait()
