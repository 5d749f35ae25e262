"""Keeps the features of a frozen backbone, so that only the first epoch pays for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.callbacks.callback import Callback
from gaze.callbacks.unfreeze import Unfreeze
from gaze.optimizers import modules
from gaze.recall import Recall, fingerprints
from gaze.sharding import is_sharded

if TYPE_CHECKING:
    from gaze.trainer import Trainer


class FeatureCache(Callback):
    """Answers for a wholly frozen module with what it said when it saw the same picture before.

    Pays where pictures come back: without augmentation, or with flips only (two views of each). Features are
    kept as float16 in main memory: 1.6 MB a picture for ViT-B/14 at 448 px, 76 kB for embedding and tokens of
    CLIP's ViT-B/32, 1 kB for its embedding alone. Pictures that don't fit are encoded each time. Keys are made of all
    pixels, so nothing is ever taken for something else; and a change of colour at random makes each picture a new one.
    Leave such augmentations out of the data set. What a trainable branch of the model is to learn from them, it has to
    do itself, behind the frozen one.

    Args:
        module: dotted name of the module, an image tensor to a tensor or to a named tuple of tensors.
        gigabytes: most memory.
        fields: of a named tuple, those that the model reads, such as ``[embed]``; the others are neither kept nor
            given (None). None: all.

    Raises:
        ValueError: there is no such module or field, or a part of it trains.
    """

    def __init__(self, module: str = "backbone", gigabytes: float = 8.0, fields: Sequence[str] | None = None) -> None:
        self.module = module
        self.recall = Recall(gigabytes, f"callback.feature_cache of {module}")
        self.packing = Packing(fields)

    def fit_start(self, trainer: Trainer) -> None:
        self._module(trainer.model)
        if is_sharded(trainer.model):
            raise ValueError(
                f"callback.feature_cache: the weights of {self.module} are divided among replicas, which all have to run it "
                "when one does; use hardware=ddp, or take feature_cache out"
            )
        for name, callback in trainer.callbacks.items():
            if isinstance(callback, Unfreeze) and callback.module == self.module and callback.opens(trainer):
                raise ValueError(
                    f"callback.feature_cache: {self.module} is to be remembered, but callback.{name} opens blocks of it; "
                    f"keep it frozen with callback.{name}.first=0 callback.{name}.every_epochs=null, or take "
                    "feature_cache out"
                )

    def epoch_start(self, trainer: Trainer) -> None:
        for model in (trainer.model, trainer.eval_model):  # an average of the weights is a model of its own
            self._remember(self._module(model))

    def fit_end(self, trainer: Trainer) -> None:
        for model in (trainer.model, trainer.eval_model):
            vars(self._module(model)).pop("forward", None)

    def _remember(self, module: Any) -> None:
        training = [name for name, p in module.named_parameters() if p.requires_grad]
        if training:
            raise ValueError(
                f"callback.feature_cache: {self.module} is to be remembered, but {len(training)} of its parameters train, "
                f"such as {training[0]}; freeze it with callback.unfreeze.first=0, or take feature_cache out"
            )
        if "forward" not in vars(module):
            remember(module, self.recall, self.packing)

    def _module(self, model: nn.Module) -> Any:
        try:
            return model.get_submodule(self.module)
        except AttributeError as error:
            known = ", ".join(modules(model, depth=1))
            raise ValueError(
                f"callback.feature_cache.module is {self.module!r}; the model has no such module: {known}"
            ) from error


class Packing:
    """What a module says of a picture as one row, and back; the shapes are those of its first answer.

    Args:
        fields: of a named tuple that are kept; None: all.
    """

    def __init__(self, fields: Sequence[str] | None = None) -> None:
        self.fields = fields
        self.kind: Any = None  # of a named tuple
        self.shapes: dict[str, tuple[int, ...]] = {}

    def rows(self, answer: Any) -> Tensor:
        """One row for each picture; of a tensor the tensor itself.

        Raises:
            ValueError: the answer has no such fields.
        """
        names = getattr(answer, "_fields", ())
        if self.fields is not None and (not self.fields or not set(self.fields) <= set(names)):
            raise ValueError(
                f"callback.feature_cache.fields is {list(self.fields)}, but the module gives "
                f"{', '.join(names) or 'one tensor'}; name some of them, or set it to null"
            )
        if not names:
            return answer
        self.kind = type(answer)
        kept = {n: getattr(answer, n) for n in self.fields or names if getattr(answer, n) is not None}
        self.shapes = {name: tuple(part.shape[1:]) for name, part in kept.items()}
        return torch.cat([part.flatten(1).float() for part in kept.values()], 1)

    def answer(self, rows: Tensor) -> Any:
        """What the module said, of rows."""
        if self.kind is None:
            return rows
        parts = rows.split([math.prod(shape) for shape in self.shapes.values()], 1)
        kept = {n: part.unflatten(1, s) for (n, s), part in zip(self.shapes.items(), parts, strict=True)}
        return self.kind(**{name: kept.get(name) for name in self.kind._fields})


def remember(module: Any, recall: Recall, packing: Packing) -> None:
    """Let `recall` answer for a module; ``del module.forward`` ends it."""
    compute = module.forward

    def forward(image: Float[Tensor, "b 3 H W"]) -> Any:
        def encode(rows: Tensor) -> Tensor:
            return packing.rows(compute(image[rows.to(image.device)]))

        return packing.answer(recall(fingerprints(image), encode).to(image.device, torch.float32))

    module.forward = forward  # not a wrapper, which would rename the weights
