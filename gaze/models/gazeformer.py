"""GazeFormer: which way does a person look, from a face, guided by texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from einops import pack, unpack
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gaze.types import DirectionInputs, DirectionPrediction


class GazeFormer(nn.Module):
    """Gaze in 3D from four streams of features of one face (after GazeFormer-MoE, arXiv 2601.12316).

    ===  ========================================================================  =======================
    f1   CLIP's embedding of the face, steered by the prompts of its context        one token
    f2   the same, steered by the prompts of gaze directions or by codes            one token
    f3   the map of a CNN that trains                                               a token for each cell
    f4   CLIP's encoded patches                                                     a token for each patch
    ===  ========================================================================  =======================

    A stream exists if what it comes from does, and if the fusion's switch for it is not off; what no stream comes from is
    not kept. Of a clip every frame is encoded by itself, and `temporal` makes one vector of theirs.

    Args:
        clip: frozen tower, images to `gaze.clip.frozen.Seen`; None: there is no f1, f2 and f4.
        steering: makes what turns embeddings into f1 and f2, given `embed_width` and `text_model`; None: there is neither.
        backbone: CNN with `channels`, images to maps; None: there is no f3.
        fusion: makes the fusion, given `streams`, channels by name; its own `streams` names those that it kept.
        head: makes the output, given the `channels` of the fused vector.
        temporal: makes what fuses the vectors of a clip, given their `channels`; None: samples are single faces.

    Raises:
        ValueError: no stream is left.
    """

    def __init__(
        self,
        clip: Any,
        steering: Callable[..., nn.Module] | None,
        backbone: Any,
        fusion: Callable[..., nn.Module],
        head: Callable[..., nn.Module],
        temporal: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        streams: dict[str, int] = {}
        if clip is not None and steering is not None:
            streams |= {"f1": clip.embed_width, "f2": clip.embed_width}
        if backbone is not None:
            streams["f3"] = backbone.channels
        if clip is not None:
            streams["f4"] = clip.token_width
        self.fusion: Any = fusion(streams=streams)
        kept = {*self.fusion.streams}
        steers = bool(kept & {"f1", "f2"})
        self.clip = clip if kept - {"f3"} else None
        self.steering: Any = None
        if steers and steering is not None:
            self.steering = steering(embed_width=clip.embed_width, text_model=clip.text_model)
        self.backbone = backbone if "f3" in kept else None
        self.temporal: Any = temporal(channels=self.fusion.channels) if temporal is not None else None
        self.output = head(channels=self.fusion.channels)

    def forward(self, inputs: DirectionInputs) -> DirectionPrediction:
        """The direction; of a clip, that of the frame which `temporal` reads.

        Raises:
            ValueError: clips for a model of single faces.
        """
        clips = inputs.face.dim() == 5
        if clips and self.temporal is None:
            raise ValueError(
                "the samples are clips and the model looks at single faces; choose temporal=transformer, or dataset.window=1"
            )
        faces, shape = pack([inputs.face], "* c h w")
        vector, facts = self.fuse(faces)
        if self.temporal is None:
            prediction: DirectionPrediction = self.output(vector)
            return replace(prediction, **facts)
        frames = unpack(vector, shape, "* d")[0] if clips else vector[:, None]
        read = self.temporal.read(frames.shape[1])
        # What the way to a vector says is of one frame, as is the label.
        facts |= {
            name: facts[name].unflatten(0, frames.shape[:2])[:, read] for name in EACH if facts.get(name) is not None
        }
        return replace(self.tell(frames, inputs.present), **facts)

    def tell(self, frames: Float[Tensor, "b t d"], present: Bool[Tensor, "b t"] | None = None) -> DirectionPrediction:
        """The direction of clips whose faces were fused before, each by itself."""
        return self.output(self.temporal(frames, present))

    def fuse(self, face: Float[Tensor, "n 3 H W"]) -> tuple[Float[Tensor, "n d"], dict[str, Any]]:
        """The fused vector of each face, and what there is to say of the way to it, by field of the prediction."""
        streams: dict[str, Tensor] = {}
        facts: dict[str, Any] = {}
        if self.clip is not None:
            seen = self.clip(face)
            if seen.patch_tokens is None and "f4" in self.fusion.streams:
                raise ValueError(
                    "f4 needs patch tokens, which a cache of embeddings leaves out: keep them, or set fusion.ablate.f4=off"
                )
            streams["f4"] = seen.patch_tokens
            if self.steering is not None:
                steered = self.steering(seen.embed)
                streams |= {"f1": steered.context, "f2": steered.aligned}
                facts = {name: getattr(steered, name) for name in STEERED}
        if self.backbone is not None:
            streams["f3"] = self.backbone(face)
        fused = self.fusion({name: streams[name] for name in self.fusion.streams})
        return fused.vector, facts | {name: getattr(fused, name) for name in FUSED}


STEERED = ("class_logits", "class_angle", "context_logits", "commitment", "prompt_shift", "code")
FUSED = ("steered", "balance", "router_z")
EACH = ("class_logits", "context_logits", "steered", "code")  # of these, what has a row for each face
