"""Two readings of a picture's embedding: what is left of it without its circumstances, and what it says of gaze."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gaze.codebooks.codebook import Codebook
from gaze.heatmaps import check_mode
from gaze.matching import Matching
from gaze.prompts.prompts import Prompts, class_angles, unit

Space = Literal["unit", "raw"]
GAZE = "codes"  # the weight of learned codes, among those of banks


class Steered(NamedTuple):
    """The two embeddings, and what they were made by."""

    context: Float[Tensor, "b e"]  # f1, of unit length
    aligned: Float[Tensor, "b e"]  # f2, of unit length
    class_logits: Float[Tensor, "b g"] | None  # scaled similarities to all texts of gaze; None: they are not matched
    class_angle: (
        Float[Tensor, "g"] | None
    )  # of these texts in the picture, from its right toward its top, radians; NaN has none
    context_logits: Float[Tensor, "b m"] | None  # the same for all other texts, one bank behind the other
    commitment: Float[Tensor, ""] | None  # of learned codes
    prompt_shift: Float[Tensor, ""] | None  # how far training has moved the texts, squared
    code: Int[Tensor, "b"] | None  # number of the learned code


class Adapter(nn.Module):
    """A residual perceptron of a quarter of the width: it gives losses on frozen embeddings something to train.

    Its last layer starts at zero, so that it changes nothing at first.
    """

    def __init__(self, width: int, ratio: float) -> None:
        super().__init__()
        self.ratio = ratio
        self.down, self.up = nn.Linear(width, max(1, width // 4)), nn.Linear(max(1, width // 4), width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, embed: Float[Tensor, "b e"]) -> Float[Tensor, "b e"]:
        return embed + self.ratio * self.up(self.down(embed).relu())


class Steering(nn.Module):
    """Adds to an embedding the texts that fit it: those of its context for f1, those of gaze for f2.

    Everything is computed in float32, also under autocast: scaled similarities need more than 8 bits.

    Args:
        embed_width: of the embedding of pictures.
        prompts: makes the banks of a width, and with the text model that its file must be of.
        matching: makes, of banks, what chooses from them.
        codebook: makes what stands for gaze, of a width and the texts of gaze; None: the texts.
        adapter: how much of the adapter's answer is added to the embedding; 0: no adapter.
        space: add texts to embeddings of unit length, or ``raw`` as the tower gives them, as the prototype does.
        text_model: the image tower's, to which the file of texts is held; None: any.

    Raises:
        ValueError, UserError: a part can't be built.
    """

    class_angle: Tensor | None

    def __init__(
        self,
        embed_width: int,
        prompts: Callable[..., Prompts],
        matching: Callable[..., Matching],
        codebook: Callable[..., Codebook] | None = None,
        adapter: float = 0.2,
        space: str = "unit",
        text_model: str | None = None,
    ) -> None:
        super().__init__()
        check_mode(space, Space, "steering.space")
        self.space = space
        self.prompts = prompts(embed_width, text_model=text_model)
        with torch.no_grad():
            vocabularies = self.prompts()
        gaze = self.prompts.of_role("gaze")
        anchors = torch.cat([vocabularies[bank.name].keys for bank in gaze]) if gaze else None
        self.codebook = (codebook or Codebook)(embed_width, anchors)
        if not self.codebook.text:  # what is not matched needs no scale, which nothing would train
            gaze = []
        self.matching = matching([*self.prompts.of_role("context"), *gaze])
        self.gaze = [bank.name for bank in gaze]
        self.register_buffer("class_angle", class_angles(gaze) if gaze else None, persistent=False)
        self.adapter = Adapter(embed_width, adapter) if adapter else nn.Identity()
        weighted = [*self.matching.context, *self.matching.aligned, *([GAZE] if self.codebook.vq else [])]
        self.alpha = nn.ParameterDict({name: nn.Parameter(torch.ones(())) for name in weighted})

    def forward(self, embed: Float[Tensor, "b e"]) -> Steered:
        """The embeddings f1 and f2 of pictures."""
        with torch.autocast(embed.device.type, enabled=False):
            embed = self.adapter(embed.float())
            query, vocabularies = unit(embed), self.prompts()
            found = {bank: self.matching(bank, query, vocabularies[bank]) for bank in self.matching.banks}
            chosen = {bank: vector for bank, (vector, _) in found.items()}
            logits = {bank: logit for bank, (_, logit) in found.items()}
            coded = self.codebook(embed)
            towards = chosen if coded is None else chosen | {GAZE: coded.vector}
            start = embed if self.space == "raw" else query
            aligned = [*self.matching.aligned, *([] if coded is None else [GAZE])]
            return Steered(
                self._added(start, towards, self.matching.context),
                self._added(start, towards, aligned),
                _joined(logits, self.gaze),
                self.class_angle,
                _joined(logits, [bank for bank in logits if bank not in self.gaze]),
                None if coded is None else coded.commitment,
                self.prompts.shift(),
                None if coded is None else coded.code,
            )

    def _added(
        self, start: Float[Tensor, "b e"], towards: Mapping[str, Tensor], names: Sequence[str]
    ) -> Float[Tensor, "b e"]:
        for name in names:
            start = start + self.alpha[name] * towards[name]
        return unit(start)


def _joined(logits: Mapping[str, Tensor], banks: Sequence[str]) -> Tensor | None:
    return torch.cat([logits[bank] for bank in banks], -1) if banks else None
