"""Keeps the features of a frozen backbone, so that only the first epoch pays for it, or only the first run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

import gaze
from gaze.callbacks.callback import Callback
from gaze.callbacks.unfreeze import Unfreeze
from gaze.optimizers import modules
from gaze.recall import Recall, fingerprints
from gaze.remembering.coding import CODINGS
from gaze.remembering.identity import changes, settings_digest, weights_digest
from gaze.remembering.memory import Memory
from gaze.remembering.packing import Packing
from gaze.remembering.shelf import Shelf
from gaze.sharding import is_sharded

if TYPE_CHECKING:
    from gaze.datasets.dataset import Dataset
    from gaze.trainer import Trainer

HALF = 0.5 / 255  # of a step of 8 bits: what rounds to a picture's values is one


class Answers(NamedTuple):
    """What remembers a module's answers to images of one kind."""

    about: str  # what they depend on beside the image
    recall: Recall
    packing: Packing


class FeatureCache(Callback):
    """Answers for a wholly frozen module with what it said when it saw the same picture before.

    Pays where pictures come back: without augmentation, or with flips only (two views of each). A picture takes 1.6 MB
    for ViT-B/14 at 448 px, 76 kB for embedding and tokens of CLIP's ViT-B/32, 1 kB for its embedding alone. Keys are made
    of all pixels to 8 bits, of the module's weights, settings and source and of the number format, so nothing else is taken
    for it; and a change of colour at random makes each picture a new one. Leave such augmentations out of the data set.
    What a trainable branch of the model is to learn from them, it has to do itself, behind the frozen one.

    In main memory features last as long as the process, and pictures that don't fit are encoded each time. In a
    directory they last, and runs and replicas share them; the room that all pictures will take is told before anything is
    written, and has to suffice.

    Args:
        module: dotted name of the module, an image tensor to a tensor or to a named tuple of tensors.
        gigabytes: most memory of each replica, or most disk of all for one state of the module.
        fields: of a named tuple, those that the model reads, such as ``[embed]``; the others are neither kept nor
            given (None). None: all.
        dir: the directory; None: main memory.
        storage: ``float16``, or ``int8`` with a scale for every 64 numbers, which takes about half and changes features by
            0.6 % of their norm.
        views: of each picture that will come, to tell the room beforehand; None: 1, or 2 of training pictures with
            augmentations, which are then flips. For a directory.

    Raises:
        ValueError: there is no such module or field, a part of it trains, it is not shown pictures, or the model never calls
            it; or an unknown storage.
        UserError: the directory has no room, or holds what the module does not say.
    """

    def __init__(
        self,
        module: str = "backbone",
        gigabytes: float = 8.0,
        fields: Sequence[str] | None = None,
        dir: str | None = None,
        storage: str = "float16",
        views: int | None = None,
    ) -> None:
        if storage not in CODINGS:
            raise ValueError(f"callback.feature_cache.storage is {storage!r}; expected {' or '.join(CODINGS)}")
        if views is not None and views < 1:
            raise ValueError(f"callback.feature_cache.views is {views}; expected 1 or more, or null")
        self.module, self.gigabytes, self.storage, self.views = module, gigabytes, storage, views
        self.name = f"callback.feature_cache of {module}"
        self.memory = Memory(gigabytes, self.name)
        self.home = None if dir is None else Path(dir).expanduser()
        self.fields = None if fields is None else tuple(fields)
        self.pictures = 0  # that will be asked for, at most
        self.answers: dict[str, Answers] = {}  # by what they depend on beside the picture
        self.begun = False  # was there an epoch?
        self.known: dict[int, tuple[Any, str, str]] = {}  # of a module, by id: changes, weights and settings

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
        views = self.views or (2 if getattr(trainer.train_set, "augmentations", ()) else 1)
        self.pictures = views * _pictures(trainer.train_set) + (self.views or 1) * _pictures(trainer.val_set)

    def epoch_start(self, trainer: Trainer) -> None:
        if self.begun and not self.answers:
            raise ValueError(
                f"callback.feature_cache.module is {self.module!r}, which the model did not call in a whole epoch: it uses "
                f"its parts; name the module above it ({self.module.rpartition('.')[0] or 'there is none'}), or take "
                "feature_cache out"
            )
        self.begun = True
        for model in trainer.models:  # an average of the weights is a model of its own
            self._remember(self._module(model))
        for shelf in self._shelves():
            shelf.refresh()

    def fit_end(self, trainer: Trainer) -> None:
        for model in trainer.models:
            forget(self._module(model))
        for shelf in self._shelves():
            shelf.close()
        self.answers.clear()
        self.begun = False

    def _remember(self, module: Any) -> None:
        training = [name for name, p in module.named_parameters() if p.requires_grad]
        if training:
            raise ValueError(
                f"callback.feature_cache: {self.module} is to be remembered, but {len(training)} of its parameters train, "
                f"such as {training[0]}; freeze it with callback.unfreeze.first=0, or take feature_cache out"
            )
        before, weights, settings = self.known.get(id(module), (None, "", ""))
        now = changes(module)
        if now != before:
            self.known[id(module)] = (now, weights_digest(module), settings or settings_digest(module))
        _, weights, settings = self.known[id(module)]
        forget(module)
        remember(module, lambda image: self._answers(weights, settings, image))

    def _answers(self, weights: str, settings: str, image: Shaped[Tensor, "b ..."]) -> Answers:
        about = {
            "module": self.module,
            "weights": weights,
            "settings": settings,
            "image": "x".join(map(str, image.shape[1:])),
            "numbers": number_format(image),
            "fields": str(self.fields),
            "storage": self.storage,
        }
        key = str(about)
        if image.requires_grad:
            raise ValueError(
                f"{self.name}: its input asks for a gradient, and what is remembered has none; take feature_cache out"
            )
        if key not in self.answers:
            self._check(image)
            about |= {"gaze": gaze.__version__} | {name: version(name) for name in ("torch", "timm")}
            kept = (
                self.memory
                if self.home is None
                else Shelf(self.home, self.module, about, self.gigabytes, self.pictures, self.name)
            )
            recall = Recall(self.gigabytes, self.name, kept, CODINGS[self.storage])
            self.answers[key] = Answers(key, recall, Packing(self.fields))
        return self.answers[key]

    def _check(self, image: Shaped[Tensor, "b ..."]) -> None:
        """Keys are of 8 bits a channel, so of pictures only; once, because the answer has to come back from the device."""
        low, high = (float(bound) for bound in image.aminmax())
        if image.ndim != 4 or image.shape[1] != 3 or (image.is_floating_point() and not -HALF < low <= high < 1 + HALF):
            raise ValueError(
                f"{self.name}: its input is {tuple(image.shape)} from {low:.3g} to {high:.3g}, and only pictures, of 3 "
                "channels from 0 to 1, are remembered; name the module that sees them"
            )

    def _shelves(self) -> list[Shelf]:
        return [found.recall.kept for found in self.answers.values() if isinstance(found.recall.kept, Shelf)]

    def _module(self, model: nn.Module) -> Any:
        try:
            return model.get_submodule(self.module)
        except AttributeError as error:
            known = ", ".join(modules(model, depth=1))
            raise ValueError(
                f"callback.feature_cache.module is {self.module!r}; the model has no such module: {known}"
            ) from error


def _pictures(split: Dataset) -> int:
    """Pictures of a split, at most: of clips, the frames of all."""
    return len(split) * int(getattr(split, "window", 1))


class Remembered:
    """Stands in the place of a module's forward."""

    def __init__(self, module: nn.Module, answers: Callable[[Tensor], Answers]) -> None:
        self.before = vars(module).get("forward")  # another callback's
        self.compute, self.answers = module.forward, answers

    @torch._disable_dynamo  # type: ignore[misc]  # torch.compiler.disable that imports no compiler before it is called
    def __call__(self, image: Shaped[Tensor, "b ..."]) -> Any:
        """What the module says of pictures; never compiled, for a compiler would make one graph for each key."""
        about, recall, packing = self.answers(image)

        def encode(rows: Tensor) -> Tensor:
            asked = image if len(rows) == len(image) else image[rows.to(image.device)]
            return packing.rows(self.compute(asked))

        rows = recall(fingerprints(image, about=about), encode)
        return packing.answer(rows.to(image.device, torch.float32))


def remember(module: nn.Module, answers: Callable[[Tensor], Answers]) -> None:
    """Let what `answers` gives for images answer for a module, until `forget`."""
    module.forward = Remembered(module, answers)  # type: ignore[method-assign]  # a wrapper would rename weights


def forget(module: nn.Module) -> None:
    """Let a module answer for itself again; one that is not remembered already does."""
    stands = vars(module).get("forward")
    if isinstance(stands, Remembered):
        del module.forward
        if stands.before is not None:
            module.forward = stands.before  # type: ignore[method-assign]


def number_format(tensor: Tensor) -> str:
    """The format that autocast has networks compute in on this tensor's device; "own" without it."""
    kind = tensor.device.type
    return str(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else "own"
