"""Vectors of texts: drawn from their hashes, or read from a file that `tools/build_prompts.py` wrote."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gaze.errors import UserError
from gaze.prompts.bank import VERSION, Bank, digest

HASH = "hash"
Vectors = dict[str, Tensor]  # name of a bank -> [n e] unit vectors, one for each entry


def hashed(text: str, width: int) -> Float[Tensor, "e"]:
    """A unit vector that only tells texts apart: the same on every machine, and without meaning."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    drawn = np.random.Generator(np.random.PCG64(seed)).standard_normal(width)
    return torch.from_numpy(drawn / np.linalg.norm(drawn)).float()


def hashed_banks(banks: Sequence[Bank], width: int) -> Vectors:
    """`hashed` vectors of all texts."""
    return {bank.name: torch.stack([hashed(entry.text, width) for entry in bank.entries]) for bank in banks}


def write_vectors(
    path: Path, vectors: Mapping[str, Tensor], facts: Mapping[str, str], banks: Sequence[Bank], templates: Sequence[str]
) -> None:
    """Write the vectors of `banks` beside what they were made of.

    Args:
        facts: provider, model, tag, tokenizer and date, and what else is to be known.
    """
    width = {str(v.shape[1]) for v in vectors.values()}
    metadata = {**facts, "version": str(VERSION), "prompts_sha256": digest(banks, templates), "width": width.pop()}
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.writing")
    save_file({f"bank.{name}": v.float().contiguous() for name, v in vectors.items()}, aside, metadata=metadata)
    aside.replace(path)


def read_vectors(
    path: Path, banks: Sequence[Bank], templates: Sequence[str], width: int, text_model: str | None = None
) -> tuple[Vectors, dict[str, str]]:
    """The vectors of `banks`, and what the file says of them.

    Args:
        width: of the embedding of pictures, with which they are to be compared.
        text_model: MODEL/TAG that belongs to the image tower; None: any.

    Raises:
        UserError: there is no such file, or it was made for other texts, another width or another model.
    """
    build = "make it with tools/build_prompts.py, from the same prompts and clip"
    if not path.is_file():
        raise UserError(f"no embeddings of texts at {path.absolute()}; {build}, or set prompts.weights=hash")
    try:
        with safe_open(path, framework="pt") as file:
            facts = dict(file.metadata() or {})
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}); {build}") from error
    if facts.get("version") != str(VERSION):
        raise UserError(f"{path} has version {facts.get('version')} of prompts, this program {VERSION}; {build}")
    expected = digest(banks, templates)
    if facts.get("prompts_sha256") != expected:
        raise UserError(
            f"{path} was made for other texts: the sha256 of its prompts is {facts.get('prompts_sha256')}, "
            f"that of this config's {expected}; {build}"
        )
    if facts.get("width") != str(width):
        raise UserError(
            f"{path} holds texts of width {facts.get('width')}, but pictures are embedded in {width}; {build}"
        )
    model = f"{facts.get('model')}/{facts.get('tag')}"
    if text_model is not None and facts.get("provider") != HASH and model != text_model:
        raise UserError(f"{path} holds texts of {model}, but the image tower belongs to {text_model}; {build}")
    vectors = {bank.name: found.get(f"bank.{bank.name}", torch.empty(0)) for bank in banks}
    for bank in banks:
        shape = (len(bank.entries), width)
        if vectors[bank.name].shape != shape or not vectors[bank.name].isfinite().all():
            shown = tuple(vectors[bank.name].shape)
            raise UserError(f"{path}: bank.{bank.name} is {shown}; expected finite numbers of {shape}; {build}")
    return vectors, facts
