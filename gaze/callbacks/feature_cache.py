"""Keeps the features of a frozen backbone, so that only the first epoch pays for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.callbacks.callback import Callback
from gaze.callbacks.unfreeze import Unfreeze
from gaze.optimizers import modules
from gaze.recall import Recall, fingerprints

if TYPE_CHECKING:
    from gaze.trainer import Trainer


class FeatureCache(Callback):
    """Answers for a wholly frozen module with what it said when it saw the same picture before.

    Pays where pictures come back: without augmentation, or with flips only (two views of each). Features are
    kept as float16 in main memory: 1.6 MB a picture for ViT-B/14 at 448 px. Pictures that don't
    fit are encoded each time. Keys are made of all pixels, so nothing is ever taken for something else.

    Args:
        module: dotted name of the module, an image tensor to a tensor.
        gigabytes: most memory.

    Raises:
        ValueError: there is no such module, or a part of it trains.
    """

    def __init__(self, module: str = "backbone", gigabytes: float = 8.0) -> None:
        self.module = module
        self.recall = Recall(gigabytes, f"callback.feature_cache of {module}")

    def fit_start(self, trainer: Trainer) -> None:
        self._module(trainer.model)
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
        if "forward" in vars(module):
            return
        compute = module.forward

        def forward(image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b c h w"]:
            def encode(rows: Tensor) -> Tensor:
                return compute(image[rows.to(image.device)])

            return self.recall(fingerprints(image), encode).to(image.device, torch.float32)

        module.forward = forward  # not a wrapper, which would rename the weights

    def _module(self, model: nn.Module) -> Any:
        try:
            return model.get_submodule(self.module)
        except AttributeError as error:
            known = ", ".join(modules(model, depth=1))
            raise ValueError(
                f"callback.feature_cache.module is {self.module!r}; the model has no such module: {known}"
            ) from error
