"""Models for prediction alone: what only scales and shifts what a layer gives becomes part of that layer."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
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


def folded(model: nn.Module) -> nn.Module:
    """A copy for prediction, which says the same to 1e-5 and does not train.

    Batch norms become part of the convolution or the linear layer whose output they alone read, and the scales at the end
    of a transformer's branches part of its last layer. What can't be told for certain stays as it was. How images are
    normalised stays, too: padding with zeros comes after it, and it takes less than a hundredth of any model's time.
    """
    whole = copy.deepcopy(model).eval().requires_grad_(False)
    times = Counter(id(part) for _, part in whole.named_modules(remove_duplicate=False))
    for parent in list(whole.modules()):
        if type(parent) in (Block, EvaBlock):
            _fold_scales(parent)
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


def _fold_scales(block: Any) -> None:
    """Multiply the last layer of each branch of a block by the scale that follows it."""
    for number, layer in ((1, getattr(block.attn, "proj", None)), (2, getattr(block.mlp, "fc2", None))):
        if type(layer) is not nn.Linear or not _plain(layer):
            continue
        scale: Any = getattr(block, f"ls{number}", None)
        own = f"gamma_{number}"
        gamma = scale.gamma if type(scale) is LayerScale else getattr(block, own, None)
        if gamma is None:
            continue
        with torch.no_grad():
            layer.weight.mul_(gamma[:, None])
            if layer.bias is not None:
                layer.bias.mul_(gamma)
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


def _traced(parent: nn.Module) -> Iterator[tuple[str, str]]:
    """Calls of children in a module's forward, the second of which alone reads what the first gives."""
    try:
        graph = _Shallow().trace(parent)
    except Exception:  # a forward that can't be traced fails in its own way, and is left as it is
        return
    called = Counter(node.target for node in graph.nodes if node.op == "call_module")
    for node in graph.nodes:
        first = node.args[0] if node.args else None
        if not (node.op == "call_module" and isinstance(first, fx.Node) and first.op == "call_module"):
            continue
        if len(first.users) == called[first.target] == called[node.target] == 1:
            yield str(first.target), str(node.target)


class _Shallow(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


def _plain(part: nn.Module) -> bool:
    """Does it compute what its class says, of weights and statistics of its own?"""
    hooked = part._forward_hooks or part._forward_pre_hooks
    statistics = getattr(part, "running_mean", None) is not None or type(part) not in NORMS
    return statistics and not hooked and not parametrize.is_parametrized(part)
