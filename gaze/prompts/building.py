"""Embeds the banks of a config once, so that neither training nor prediction needs a text tower."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import torch
import yaml
from jaxtyping import Float
from torch import Tensor

from gaze.errors import UserError
from gaze.prompts.bank import Bank
from gaze.prompts.embeddings import HASH, Vectors, hashed_banks, write_vectors
from gaze.prompts.prompts import unit

Encode = Callable[[Sequence[str]], Float[Tensor, "n e"]]


@dataclass(frozen=True)
class TextTower:
    """What turns texts into vectors, and what is to be known of it."""

    encode: Encode
    facts: dict[str, str] = field(default_factory=dict)  # provider, model, tag, tokenizer, logit_scale


def embed(banks: Sequence[Bank], templates: Sequence[str], encode: Encode) -> Vectors:
    """Unit vectors of all entries: each text in each template, of which the unit vectors are averaged."""
    vectors = {}
    for bank in banks:
        texts = [template.format(entry.text) for entry in bank.entries for template in templates]
        with torch.no_grad():
            each = unit(encode(texts)).unflatten(0, (len(bank.entries), len(templates)))
        vectors[bank.name] = unit(each.mean(1))
    return vectors


def build_file(
    path: Path, banks: Sequence[Bank], templates: Sequence[str], width: int, tower: TextTower | None
) -> Vectors:
    """Write the vectors of `banks`, as training reads them; see `gaze.prompts.embeddings`.

    Args:
        width: of the embedding of pictures.
        tower: None: draw the vectors from hashes of the texts.

    Raises:
        UserError: the tower gives vectors of another width, or such that are not finite.
    """
    vectors = hashed_banks(banks, width) if tower is None else embed(banks, templates, tower.encode)
    for name, value in vectors.items():
        if value.shape[1] != width or not value.isfinite().all():
            raise UserError(
                f"the text tower gives bank {name} vectors of width {value.shape[1]}, finite: {bool(value.isfinite().all())}; "
                f"pictures are embedded in {width}: choose the text_model that belongs to the clip"
            )
    facts = {"provider": HASH, "model": HASH, "tag": HASH} if tower is None else tower.facts
    write_vectors(path, vectors, {**facts, "created": datetime.now(timezone.utc).isoformat()}, banks, templates)
    return vectors


def open_clip_tower(text_model: str | None) -> TextTower:
    """The text tower of open_clip for MODEL/TAG, such as ViT-B-32-quickgelu/openai.

    Raises:
        UserError: open_clip is not installed, there is no such tower, or its activation is another than its weights'.
    """
    if text_model is None or text_model.count("/") != 1:
        raise UserError(
            f"clip.text_model is {text_model!r}; expected MODEL/TAG of open_clip, such as ViT-B-32-quickgelu/openai: "
            "choose clip=vit_b32, or source=hash"
        )
    name, tag = text_model.split("/")
    if tag == "openai" and not name.endswith("-quickgelu"):
        raise UserError(
            f"clip.text_model is {text_model!r}: OpenAI's weights were trained with QuickGELU, and {name} has GELU; "
            f"set clip.text_model to {name}-quickgelu/{tag}"
        )
    try:
        import open_clip
    except ImportError as error:
        raise UserError(
            "texts are embedded by open_clip, which is not installed: pip install 'gaze[prompts]' on any machine, "
            "or take source=hash"
        ) from error
    try:
        model = open_clip.create_model(name, pretrained=tag).eval()
        tokenizer = open_clip.get_tokenizer(name)
    except Exception as error:  # every layer below has its own kinds of failure: open_clip, hub client, sockets
        raise UserError(
            f"open_clip could not make {name} with the weights {tag} ({type(error).__name__}: {error}); "
            "see open_clip.list_pretrained()"
        ) from error
    facts = {
        "provider": f"open_clip {open_clip.__version__}",
        "model": name,
        "tag": tag,
        "tokenizer": type(tokenizer).__name__,
        "logit_scale": f"{model.logit_scale.exp().item():.6g}",
    }
    return TextTower(lambda texts: model.encode_text(tokenizer(list(texts))), facts)


def line_of(file: Path, entry: int) -> int:
    """The line, from 1, on which an entry of a bank's file begins; 1 if there is no such entry."""
    root = yaml.compose(file.read_text())
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if key.value == "entries" and isinstance(value, yaml.SequenceNode) and 0 < entry <= len(value.value):
            line: int = value.value[entry - 1].start_mark.line
            return line + 1
    return 1
