"""Devices that were written into a graph: a file that has one runs on that device alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import GraphModule, Node

from gaze.export.facts import ExportError

REMEDY = (
    "make the tensor a buffer of its module, or make it of a tensor that is there, as zeros_like does; "
    "then it goes wherever the model goes"
)


def forget_checks(program: ExportedProgram) -> None:
    """Take out of a program what torch.export adds before each cast: a check that the tensor is where it was traced."""
    for part in program.graph_module.modules():
        if isinstance(part, GraphModule):
            for node in list(part.graph.nodes):
                if node.target is torch.ops.aten._assert_tensor_metadata.default:
                    part.graph.erase_node(node)
            part.recompile()


def baked_devices(program: ExportedProgram, deep: bool = True) -> list[str]:
    """What in a program names a device: calls that make or check tensors on one, and tensors that are not on the CPU.

    Stretches of the graph that are graphs of their own are looked at, too.

    Args:
        deep: look at PyTorch's core operations as well, which takes longer than the rest of an export. Only they name the
            device where an operation makes a tensor inside: that of the trace, so the CPU.
    """
    graphs = [program.graph_module, *([program.run_decompositions().graph_module] if deep else [])]
    found = [f"{node.target}({device})" for whole in graphs for node, device in _calls(whole)]
    for name, tensor in chain(program.state_dict.items(), program.constants.items()):
        if isinstance(tensor, torch.Tensor) and tensor.device.type != "cpu":
            found.append(f"{name} on {tensor.device}")
    return list(dict.fromkeys(found))


def refuse_baked(program: ExportedProgram, cpu: bool = False) -> None:
    """Refuse a program that is bound to a device.

    Args:
        cpu: let pass what names the CPU.

    Raises:
        ExportError: names what binds it.
    """
    _refuse([name for name in baked_devices(program, deep=not cpu) if not (cpu and name.endswith("(cpu)"))])


def baked_in_script(script: Any) -> list[str]:
    """What in a TorchScript module names a device: constants of its graph, and tensors that are not on the CPU."""
    graph = script.inlined_graph  # in a name: its nodes die with it
    found = [f"constant({device})" for device in _constants(graph)]
    tensors = chain(script.named_parameters(), script.named_buffers())
    return list(dict.fromkeys(found + [f"{name} on {t.device}" for name, t in tensors if t.device.type != "cpu"]))


def refuse_baked_script(script: Any) -> None:
    """Refuse a TorchScript module that is bound to a device.

    Raises:
        ExportError: names what binds it.
    """
    _refuse(baked_in_script(script))


def _refuse(found: list[str]) -> None:
    if found:
        raise ExportError(
            f"the graph is bound to a device by {', '.join(found[:3])}{' and more' if found[3:] else ''}, and would run "
            f"nowhere else; {REMEDY}"
        )


def _calls(whole: GraphModule) -> Iterator[tuple[Node, torch.device]]:
    for part in whole.modules():
        for node in part.graph.nodes if isinstance(part, GraphModule) else ():
            # A number written as a tensor without axes goes along with tensors of any device
            if node.target is torch.ops.aten.scalar_tensor.default:
                continue
            for value in (*node.args, *node.kwargs.values()):
                if isinstance(value, torch.device):
                    yield node, value


def _constants(graph: Any) -> Iterator[torch.device]:
    for node in graph.nodes():
        if node.kind() == "prim::Constant" and str(node.output().type()) == "Device":
            yield node.output().toIValue()
        for block in node.blocks():
            yield from _constants(block)
