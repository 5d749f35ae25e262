"""Texts that are embedded once against per batch, and faces that are looked at once against in every epoch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from gaze.benchmark.clock import interleaved
from gaze.benchmark.result import Result
from gaze.callbacks.feature_cache import Answers, forget, remember
from gaze.clip.frozen import FrozenTower
from gaze.clip.steering import Steering
from gaze.clip.tower import ClipTower
from gaze.hardware import Hardware
from gaze.matching import Matching
from gaze.prompts.prompts import Prompts, unit
from gaze.recall import Recall
from gaze.remembering.packing import Packing

TEXTS = 8  # the prototype's directions
PLACES = 77  # tokens of a text, most of them padding


class TextTower(nn.Module):
    """A text transformer of the size of CLIP's, at random; only the benchmark has one.

    Args:
        width, depth, heads, words: those of ViT-B's.
    """

    def __init__(self, width: int = 512, depth: int = 12, heads: int = 8, words: int = 49408) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.positions = nn.Parameter(torch.randn(PLACES, width) * 0.01)
        layer = partial(
            nn.TransformerEncoderLayer, width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.ModuleList(layer() for _ in range(depth))
        self.norm, self.project = nn.LayerNorm(width), nn.Linear(width, width, bias=False)

    def forward(self, words: Int[Tensor, "n k"]) -> Float[Tensor, "n e"]:
        """Embeddings of texts, read at their last token."""
        tokens = self.embed(words) + self.positions
        mask = nn.Transformer.generate_square_subsequent_mask(PLACES, device=words.device)
        for block in self.blocks:
            tokens = block(tokens, src_mask=mask, is_causal=True)
        return self.project(self.norm(tokens[:, -1]))


def vit_b32() -> FrozenTower:
    """The default image tower, at random."""
    return ClipTower("vit_base_patch32_clip_quickgelu_224.openai")


def prompts(
    rounds: int,
    hardware: Hardware,
    faces: int = 16,
    tower: Callable[[], FrozenTower] = vit_b32,
    texts: Callable[[], nn.Module] = TextTower,
) -> list[Result]:
    """Matching a batch with eight texts: the texts anew for each batch, as the prototype does, against kept vectors.

    Once alone, and once with the encoding of the faces, of which the texts are the smaller part the more faces there are.
    """
    torch.manual_seed(0)
    device = hardware.device
    text, clip = texts().to(device).eval(), tower().to(device)
    words = torch.randint(1000, (TEXTS, PLACES), device=device)
    images = torch.rand(faces, 3, clip.side, clip.side, device=device)
    with torch.inference_mode():
        kept, seen = unit(text(words)), clip(images).embed

    @torch.inference_mode()
    def run(look: bool, read: bool) -> Tensor:
        embed = clip(images).embed if look else seen
        return unit(embed) @ (unit(text(words)) if read else kept).T

    results = []
    for name, look in (("prompts alone", False), (f"{faces} faces and the prompts", True)):
        published, ours = partial(run, look, True), partial(run, look, False)
        results.append(
            Result(
                name=name,
                unit="batches",
                units=1,
                timings=interleaved({"published": published, "kept": ours}, rounds, device),
                goals={},
                difference=float((ours() - published()).abs().max()),
                tolerance=1e-5,
                limits={},
            )
        )
    return results


class Reader(nn.Module):
    """What a model of directions trains beside its own CNN: steering, and a line on it and on the mean token."""

    def __init__(self, clip: FrozenTower) -> None:
        super().__init__()
        ways = [{"id": f"w{i}", "text": f"way {i}", "dir": [i - 3.5, 1.0]} for i in range(TEXTS)]
        banks = {"gaze": {"role": "gaze", "entries": ways}}
        made = partial(Prompts, banks=banks, weights=None)
        self.clip, self.steering = clip, Steering(clip.embed_width, made, Matching)
        self.line = nn.Linear(clip.embed_width + clip.token_width, 3)

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b 3"]:
        seen = self.clip(image)
        assert seen.patch_tokens is not None
        return self.line(torch.cat([self.steering(seen.embed).aligned, seen.patch_tokens.float().mean(1)], -1))


def faces_cached(
    rounds: int, hardware: Hardware, faces: int = 32, batch: int = 16, tower: Callable[[], FrozenTower] = vit_b32
) -> Result:
    """An epoch on faces that were seen before, from kept embeddings and tokens, against one that looks again.

    Both without gradients in the tower, and without a CNN beside it, which costs the same in both.
    """
    torch.manual_seed(0)
    device = hardware.device
    model = Reader(tower()).to(device)
    images = torch.randint(256, (faces, 3, model.clip.side, model.clip.side), device=device) / 255
    truth = unit(torch.randn(faces, 3, device=device))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.0)
    answers = Answers("", Recall(1.0, "the tower"), Packing())

    def epoch(cached: bool) -> float:
        if cached:
            remember(model.clip, lambda image: answers)
        losses = []
        for rows in torch.arange(faces, device=device).split(batch):
            loss = F.mse_loss(model(images[rows]), truth[rows])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.detach())
        if cached:
            forget(model.clip)
        return float(torch.stack(losses).mean())

    published, ours = partial(epoch, False), partial(epoch, True)
    timings = interleaved({"published": published, "kept": ours}, rounds, device)
    expected = published()
    return Result(
        name=f"an epoch of {faces} faces",
        unit="faces",
        units=faces,
        timings=timings,
        goals={"kept": 5.0},
        difference=abs(ours() - expected) / expected,
        tolerance=2e-3,  # kept in half precision
        limits={},
    )
