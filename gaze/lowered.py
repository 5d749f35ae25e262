"""Frozen weights in the lower number format: cast once and kept, where autocast would cast them at each forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gaze.attention import QuickAttention, pays

# Functions that autocast gives its number format, and that take weights; what it does not is seen from their answers.
PRODUCTS = (
    F.linear, torch.conv1d, torch.conv2d, torch.conv3d, torch.conv_transpose1d, torch.conv_transpose2d,
    torch.conv_transpose3d, torch.matmul, torch.mm, torch.bmm, torch.addmm, torch.baddbmm, Tensor.matmul, Tensor.mm,
)  # fmt: skip
_ASKING = {getattr(Tensor, name).__get__ for name in ("shape", "device", "ndim", "requires_grad")} | {Tensor.size}


class Lowered:
    """The context in which a model runs under autocast with its frozen weights as autocast would cast them.

    Which these are is seen in the first pass: float32 parameters that do nothing but enter products of matrices and
    convolutions that answer in the lower format. Norms, embeddings, and layers that turn autocast off keep float32, so
    that every product is, bit for bit, autocast's. The model's own weights are put back at the end of each pass: what is
    saved, averaged and hashed is always float32. A weight that thaws loses its copy at once, one that changed gets
    a new one. Attention is `gaze.attention.Attention` where that is faster, which rounds differently.

    One thread at a time may run the model, and passes don't nest: entering twice is a RuntimeError.

    Args:
        model: in its place on the device; its weights are not divided among replicas.
        dtype: of autocast.
        everything: also weights that would train; where gradients are off.
    """

    def __init__(self, model: nn.Module, dtype: torch.dtype, everything: bool = False) -> None:
        self.model, self.dtype, self.everything = model, dtype, everything
        self.kept: list[_Kept] | None = None  # not known before the first pass
        self.attends = False  # is there attention that may be faster by ours?
        self._inside = False
        self._mode: QuickAttention | None = None

    def __enter__(self) -> None:
        if self._inside:
            raise RuntimeError(
                "the model runs already, with weights that were cast beforehand; one pass at a time, in one thread, or "
                "set hardware.frozen_dtype=float32"
            )
        if self.everything and torch.is_grad_enabled():
            return
        if self.kept is None:
            self._mode = _Watch(self.dtype)
        else:  # all copies are there before the first takes its place: memory for one may be lacking
            self.kept = [kept for kept in self.kept if kept.ready(self.dtype, self.everything)]
            for kept in self.kept:
                kept.put(kept.low)
            self._mode = QuickAttention() if self.attends else None
        self._inside = True
        if self._mode is not None:
            self._mode.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._inside:
            return
        mode, self._mode = self._mode, None
        if mode is not None:
            mode.__exit__(kind, error, trace)
        for kept in self.kept or ():
            kept.put(kept.weight)
        self._inside = False
        if isinstance(mode, _Watch) and kind is None:
            self.attends = mode.attends
            self.kept = list(self._found(mode))

    @property
    def nbytes(self) -> int:
        """Memory for the copies that there are now."""
        return sum(kept.low.nbytes for kept in self.kept or () if kept.low is not None)

    def _found(self, seen: _Watch) -> Iterator[_Kept]:
        lowerable = seen.products.keys() - seen.others
        places: dict[int, list[tuple[dict[str, Any], str]]] = {}
        for module in self.model.modules():
            for name, parameter in module._parameters.items():
                if id(parameter) in lowerable and (self.everything or not parameter.requires_grad):  # type: ignore[union-attr]
                    places.setdefault(id(parameter), []).append((module._parameters, name))
        for number, found in places.items():
            yield _Kept(seen.products[number], found)


class _Kept:
    """One weight, the modules that hold it, and its copy."""

    def __init__(self, weight: nn.Parameter, places: list[tuple[dict[str, Any], str]]) -> None:
        self.weight, self.places = weight, places
        self.low: Tensor | None = None
        self.made_of: tuple[int, int] | None = None

    def ready(self, dtype: torch.dtype, everything: bool) -> bool:
        """Make the copy that there has to be; False where none may take the weight's place, now or later."""
        weight = self.weight
        if (weight.requires_grad and not everything) or any(names[name] is not weight for names, name in self.places):
            return False
        now = (weight.data_ptr(), 0 if weight.is_inference() else weight._version)
        if self.low is None or now != self.made_of:
            with (
                torch.inference_mode(False),
                torch.no_grad(),
            ):  # a tensor of inference mode could not be used in training
                self.low, self.made_of = weight.detach().to(dtype), now
        return True

    def put(self, tensor: Tensor | None) -> None:
        for names, name in self.places:
            names[name] = tensor


class _Watch(QuickAttention):
    """Sees which parameters enter products in the lower format, and which are used in any other way."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.products: dict[int, nn.Parameter] = {}
        self.others: set[int] = set()
        self.attends = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        answer = super().__torch_function__(func, types, args, kwargs)
        if func is F.scaled_dot_product_attention:
            self.attends |= pays(answer.device, self.dtype)
        if func in _ASKING:
            return answer
        lowered = func in PRODUCTS and isinstance(answer, Tensor) and answer.dtype == self.dtype
        for parameter in _parameters([*args, *(kwargs or {}).values()]):
            if lowered and parameter.dtype == torch.float32:
                self.products[id(parameter)] = parameter
            else:
                self.others.add(id(parameter))
        return answer


def _parameters(values: Sequence[Any]) -> Iterator[nn.Parameter]:
    for value in values:
        if isinstance(value, nn.Parameter):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _parameters(value)
