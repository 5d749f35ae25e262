"""Models for prediction alone: what only scales and shifts what a layer gives becomes part of that layer."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from inspect import signature
from itertools import pairwise
from typing import Any

from timm.layers import BatchNormAct2d, LayerScale
from timm.layers.conv2d_same import Conv2dSame
from timm.models.eva import EvaBlock
from timm.models.vision_transformer import Block
from torch import fx, nn
from torch.nn.utils import parametrize
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

# Exactly these: a subclass may do anything to its weights or to what it is given
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, Conv2dSame)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, BatchNormAct2d)

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def folded(model: nn.Module) -> nn.Module:
    """A copy for prediction, which says the same to 1e-5 and does not train.

    Batch norms become part of the convolution or the linear layer whose output they alone read, and the scales at the end
    of a transformer's branches part of its last layer. What can't be told for certain stays as it was, but for this: no
    other method than forward may run the layers that forward runs, and a module whose forward can't be traced must call
    an `nn.Sequential` as a whole. How images are normalised stays, too: padding with zeros comes after it, and it takes
    less than a hundredth of any model's time.
    """
    whole = copy.deepcopy(model).eval().requires_grad_(False)
    times = Counter(id(part) for _, part in whole.named_modules(remove_duplicate=False))
    apart = _taken_apart(whole)
    for parent in list(whole.modules()):
        if type(parent) in (Block, EvaBlock):
            _fold_scales(parent, times)
        if id(parent) in apart:
            continue
        for before, after in list(_followed(parent)):
            layer, norm = parent.get_submodule(before), parent.get_submodule(after)
            if times[id(layer)] == times[id(norm)] == 1 and _plain(layer) and _plain(norm):
                _fold_norm(parent, before, after)
    return whole


def _fold_norm(parent: nn.Module, before: str, after: str) -> None:
    layer: Any = parent.get_submodule(before)
    norm: Any = parent.get_submodule(after)
    fuse: Any = fuse_linear_bn_eval if type(layer) is nn.Linear else fuse_conv_bn_eval
    setattr(parent, before, fuse(layer, norm))
    rest = nn.Sequential(norm.drop, norm.act) if type(norm) is BatchNormAct2d else nn.Identity()
    setattr(parent, after, rest.eval())


def _fold_scales(block: Any, times: Counter[int]) -> None:
    """Multiply the last layer of each branch of a block by the scale that follows it."""
    for number, layer in ((1, getattr(block.attn, "proj", None)), (2, getattr(block.mlp, "fc2", None))):
        if type(layer) is not nn.Linear or not _plain(layer) or times[id(layer)] > 1:
            continue
        scale: Any = getattr(block, f"ls{number}", None)
        own = f"gamma_{number}"
        gamma = scale.gamma if type(scale) is LayerScale else getattr(block, own, None)
        if gamma is None:
            continue
        # New ones: another layer may have the old ones, too
        layer.weight = nn.Parameter(layer.weight * gamma[:, None], requires_grad=False)
        if layer.bias is not None:
            layer.bias = nn.Parameter(layer.bias * gamma, requires_grad=False)
        if type(scale) is LayerScale:
            setattr(block, f"ls{number}", nn.Identity())
        else:
            setattr(block, own, None)


def _followed(parent: nn.Module) -> Iterator[tuple[str, str]]:
    """Names of layers, each with that of the norm which alone reads what it gives."""
    kinds = {name: type(child) for name, child in parent.named_children()}
    if not any(kind in NORMS for kind in kinds.values()):
        return
    runs = type(parent).forward is nn.Sequential.forward
    for before, after in pairwise(kinds) if runs else _traced(parent):
        layer = kinds.get(before)
        if kinds.get(after) in NORMS and (layer in CONVOLUTIONS or layer is nn.Linear):
            yield before, after


def _taken_apart(model: nn.Module) -> set[int]:
    """Which sequences (their ids) the module that holds them is seen to call layer by layer; it may tap them."""
    found: set[int] = set()
    for owner in model.modules():
        inside = {} if isinstance(owner, CONTAINERS) else dict(_sequences(owner))
        for graph in _graphs(owner) if inside else ():
            targets = [str(node.target) for node in graph.nodes if node.op in ("call_module", "get_attr")]
            found |= {id(part) for name, part in inside.items() if any(t.startswith(f"{name}.") for t in targets)}
    return found


def _sequences(owner: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Sequences that a module holds, itself or in lists and in one another."""
    for name, child in owner.named_children():
        if isinstance(child, nn.Sequential):
            yield prefix + name, child
        if isinstance(child, CONTAINERS):
            yield from _sequences(child, f"{prefix}{name}.")


def _traced(parent: nn.Module) -> Iterator[tuple[str, str]]:
    """Calls of children in a module's forward, the second of which alone reads what the first gives."""
    found = [set(_read_once(graph)) for graph in _graphs(parent)]
    yield from sorted(set.intersection(*found)) if found else ()


def _graphs(parent: nn.Module) -> list[fx.Graph]:
    """What a module's forward does, with all that it may be given and without what it need not be; none if unknown."""
    optional = {n: None for n, p in signature(parent.forward).parameters.items() if p.default is None}
    graphs = []
    for absent in ({}, optional) if optional else ({},):
        # A forward may keep what it made, and that must not stay in the model; weights it can't change
        scratch = copy.deepcopy(parent, {id(parameter): parameter for parameter in parent.parameters()})
        try:
            graphs.append(_Shallow().trace(scratch, absent))
        except Exception:  # a forward that can't be traced fails in its own way, and is left as it is
            return []
    return graphs


def _read_once(graph: fx.Graph) -> Iterator[tuple[str, str]]:
    called = Counter(node.target for node in graph.nodes if node.op == "call_module")
    read = [str(node.target) for node in graph.nodes if node.op == "get_attr"]  # weights by themselves
    for node in graph.nodes:
        first = node.args[0] if node.args else None
        if not (node.op == "call_module" and isinstance(first, fx.Node) and first.op == "call_module"):
            continue
        pair = (str(first.target), str(node.target))
        if len(first.users) == called[first.target] == called[node.target] == 1 and not any(
            name.startswith(tuple(f"{part}." for part in pair)) for name in read
        ):
            yield pair


class _Shallow(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


def _plain(part: nn.Module) -> bool:
    """Does it compute what its class says, of weights and statistics of its own?"""
    hooked = part._forward_hooks or part._forward_pre_hooks
    statistics = getattr(part, "running_mean", None) is not None or type(part) not in NORMS
    return statistics and not hooked and not parametrize.is_parametrized(part)
