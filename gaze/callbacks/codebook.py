"""Says how learned codes of gaze are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from gaze.callbacks.callback import Callback
from gaze.codebooks.vq import VectorQuantizer

if TYPE_CHECKING:
    from gaze.trainer import Trainer


class Codebook(Callback):
    """Figures of the model's learned codes, over the last hundred passes or so, which is what the codes are averages of.

    `perplexity`: how many codes are in use; `dead`: how many hardly are. Without learned codes it does nothing, so that
    codebook=text is one change.
    """

    def __init__(self) -> None:
        self.books: dict[str, VectorQuantizer] = {}

    def fit_start(self, trainer: Trainer) -> None:
        found = {name: book for name, book in trainer.model.named_modules() if isinstance(book, VectorQuantizer)}
        self.books = {f"{name}/" if len(found) > 1 else "": book for name, book in found.items()}

    def figures(self) -> dict[str, Tensor]:
        told: dict[str, Tensor] = {}
        for name, book in self.books.items():
            told |= {f"codebook/{name}perplexity": book.perplexity(), f"codebook/{name}dead": book.dead().float()}
        return told
