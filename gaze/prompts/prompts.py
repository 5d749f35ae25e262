"""The banks of a model: vectors of texts as buffers, which may be shifted by training, shuffled and centred."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.heatmaps import check_mode
from gaze.prompts.bank import Bank, check_templates, digest, read_banks
from gaze.prompts.embeddings import HASH, Vectors, hashed_banks, read_vectors

logger = logging.getLogger(__name__)

Delta = Literal["none", "shared", "per_bank"]


class Vocabulary(NamedTuple):
    """The vectors of one bank."""

    keys: Float[Tensor, "n e"]  # of unit length, to compare pictures with
    values: Float[Tensor, "n e"]  # what is added to a picture's embedding that they fit


def unit(x: Float[Tensor, "*b e"]) -> Float[Tensor, "*b e"]:
    """Vectors of length 1, in float32; short ones stay short, and the gradient is finite at zero."""
    x = x.float()  # 1e-12 is zero in half precision
    return x / (x.square().sum(-1, keepdim=True) + 1e-12).sqrt()


class Prompts(nn.Module):
    """Banks of texts. No text tower is needed: their vectors come from a file, and are saved with a run.

    Args:
        width: of the embedding of pictures.
        banks: name -> role (context or gaze) and entries; see `gaze.prompts.bank.read_banks`.
        templates: each text is put into all of them, and the vectors are averaged; files only.
        weights: the file, written by ``tools/build_prompts.py``; or ``hash``: vectors that tell texts apart and mean
            nothing, for tests and towers without texts. None: hashes, too, until a run's weights replace them.
        delta: a shift that training finds, none, one for all banks (shared) or one for each (per_bank).
        center: take the mean of each bank off what is added to pictures, since it says only that this is a text.
        shuffle: give the texts to other entries, none to its own. The control: what is gained by texts must be lost.
        shuffle_seed: decides to which.
        text_model: MODEL/TAG that the file must be of; None: any.

    Raises:
        BankError: a bank breaks a rule.
        UserError: the file is not there, or was made for something else.
    """

    def __init__(
        self,
        width: int,
        banks: Mapping[str, Mapping[str, Any]],
        templates: Sequence[str] = ("{}",),
        weights: str | None = HASH,
        delta: str = "none",
        center: bool = True,
        shuffle: bool = False,
        shuffle_seed: int = 0,
        text_model: str | None = None,
    ) -> None:
        super().__init__()
        check_mode(delta, Delta, "prompts.delta")
        check_templates(templates)
        self.banks = read_banks(banks)
        self.digest, self.center = digest(self.banks, templates), center
        self.origin = {"prompts_sha256": self.digest, "weights": weights, "shuffled": shuffle}  # see gaze.provenance
        if weights in (None, HASH):
            vectors, provider = hashed_banks(self.banks, width), weights
        else:
            path = Path(str(weights)).expanduser()
            vectors, facts = read_vectors(path, self.banks, templates, width, text_model)
            provider = facts.get("provider")
        if provider == HASH:
            logger.warning(
                "prompts.weights=%s: the vectors only tell texts apart and carry no meaning; make a file of real ones "
                "with tools/build_prompts.py",
                weights,
            )
        if shuffle:
            vectors = shuffled(vectors, shuffle_seed)
        for name, value in vectors.items():
            self.register_buffer(f"bank_{name}", value)
        shifts = {"none": [], "shared": ["shared"], "per_bank": [bank.name for bank in self.banks]}[delta]
        self.delta = nn.ParameterDict({name: nn.Parameter(torch.zeros(width)) for name in shifts})

    def forward(self) -> dict[str, Vocabulary]:
        """The vectors of each bank by its name."""
        made = {}
        for bank in self.banks:
            keys = self.get_buffer(f"bank_{bank.name}").float()
            for name in ("shared", bank.name):
                if name in self.delta:
                    keys = keys + self.delta[name]
            keys = unit(keys)
            made[bank.name] = Vocabulary(keys, keys - keys.mean(0) if self.center else keys)
        return made

    def shift(self) -> Float[Tensor, ""] | None:
        """How far training has moved the banks, squared; None where nothing can."""
        return torch.stack([d.float().square().sum() for d in self.delta.values()]).sum() if len(self.delta) else None

    def of_role(self, role: str) -> list[Bank]:
        """The banks of a role, in order."""
        return [bank for bank in self.banks if bank.role == role]

    def extra_repr(self) -> str:
        return f"{', '.join(f'{b.name} {len(b.entries)}' for b in self.banks)}; sha256 {self.digest[:12]}"


def class_angles(banks: Sequence[Bank]) -> Float[Tensor, "g"]:
    """Of all entries, one bank behind the other: radians from the picture's right toward its top; NaN has none."""
    return torch.tensor([entry.angle for bank in banks for entry in bank.entries] or [math.nan])


def shuffled(vectors: Vectors, seed: int) -> Vectors:
    """The same vectors at other entries: all banks in one cycle, so that none keeps its own."""
    rows = torch.cat(list(vectors.values()))
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(rows))
    moved = torch.empty_like(rows)
    moved[order] = rows[np.roll(order, 1)]
    sizes = [len(value) for value in vectors.values()]
    return dict(zip(vectors, moved.split(sizes), strict=True))
