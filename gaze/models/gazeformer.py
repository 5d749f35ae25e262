"""GazeFormer: which way does a person look, from a face, guided by texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

from einops import pack, unpack
from jaxtyping import Float
from torch import Tensor, nn

from gaze.heatmaps import check_mode
from gaze.types import DirectionInputs, DirectionPrediction

STREAMS = ("f1", "f2", "f3", "f4")
Ablation = Literal["keep", "zero", "mask", "off"]


class GazeFormer(nn.Module):
    """Gaze in 3D from four streams of features of one face (after GazeFormer-MoE, arXiv 2601.12316).

    ===  ========================================================================  =======================
    f1   CLIP's embedding of the face, steered by the prompts of its context        one token
    f2   the same, steered by the prompts of gaze directions or by codes            one token
    f3   the map of a CNN that trains                                               a token for each cell
    f4   CLIP's encoded patches                                                     a token for each patch
    ===  ========================================================================  =======================

    A stream exists if what it comes from does. Each can be ablated: ``keep``; ``zero`` puts zeros in the place of its
    tokens, after projection and position; ``mask`` keeps them but lets nothing look at them; ``off`` builds nothing of
    it. The first three have the same parameters and shapes.

    Of a clip every frame is encoded by itself, and `temporal` makes one vector of theirs.

    Args:
        clip: frozen tower, images to `gaze.clip.tower.Seen`; None: there is no f1, f2 and f4.
        steering: makes what turns embeddings into f1 and f2, given `embed_width`; None: there is neither.
        backbone: CNN with `channels`, images to maps; None: there is no f3.
        fusion: makes the fusion, given `streams`, channels by name, and `ablate`.
        head: makes the output, given the `channels` of the fused vector.
        temporal: makes what fuses the vectors of a clip, given `width`; None: samples are single faces.
        ablate: what to do with each stream; those not named are kept.

    Raises:
        ValueError: an ablation of no stream or of no known kind, or no stream is left.
    """

    def __init__(
        self,
        clip: Any,
        steering: Callable[..., nn.Module] | None,
        backbone: Any,
        fusion: Callable[..., nn.Module],
        head: Callable[..., nn.Module],
        temporal: Callable[..., nn.Module] | None = None,
        ablate: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        ablate = dict.fromkeys(STREAMS, "keep") | dict(ablate or {})
        if unknown := sorted(set(ablate) - set(STREAMS)):
            raise ValueError(f"model.ablate names {', '.join(unknown)}; expected {', '.join(STREAMS)}")
        for name, mode in ablate.items():
            check_mode(mode, Ablation, f"model.ablate.{name}")
        wanted = {name for name in STREAMS if ablate[name] != "off"}
        steers = clip is not None and steering is not None and bool(wanted & {"f1", "f2"})
        self.clip = clip if steers or "f4" in wanted else None
        self.steering = steering(embed_width=clip.embed_width) if steers and steering is not None else None
        self.backbone = backbone if "f3" in wanted else None
        streams: dict[str, int] = {}
        if self.steering is not None:
            streams |= {name: clip.embed_width for name in ("f1", "f2") if name in wanted}
        if self.backbone is not None:
            streams["f3"] = self.backbone.channels
        if self.clip is not None and "f4" in wanted:
            streams["f4"] = clip.token_width
        if not streams:
            raise ValueError("no stream is left: give the model clip or backbone, and keep one of model.ablate")
        self.fusion: Any = fusion(streams=streams, ablate={name: ablate[name] for name in streams})
        self.temporal = temporal(width=self.fusion.channels) if temporal is not None else None
        self.output = head(channels=self.fusion.channels)
        self.streams = tuple(streams)

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
        if self.temporal is not None:
            (frames,) = unpack(vector, shape, "* d") if clips else (vector[:, None],)
            vector = self.temporal(frames, inputs.present)
        prediction: DirectionPrediction = self.output(vector)
        return replace(prediction, **facts)

    def fuse(self, face: Float[Tensor, "n 3 H W"]) -> tuple[Float[Tensor, "n d"], dict[str, Any]]:
        """The fused vector of each face, and what there is to say of the way to it, by field of the prediction."""
        streams: dict[str, Tensor] = {}
        facts: dict[str, Any] = {}
        if self.clip is not None:
            seen = self.clip(face)
            streams["f4"] = seen.patch_tokens
            if self.steering is not None:
                steered = self.steering(seen.embed)
                streams |= {"f1": steered.context, "f2": steered.aligned}
                facts = {name: getattr(steered, name) for name in STEERED}
        if self.backbone is not None:
            streams["f3"] = self.backbone(face)
        fused = self.fusion({name: streams[name] for name in self.streams})
        return fused.vector, facts | {name: getattr(fused, name) for name in FUSED}


STEERED = ("class_logits", "class_angle", "context_logits", "commitment", "prompt_shift")
FUSED = ("steered", "balance", "router_z")
