"""The published way of GazeTR-Hybrid (yihuacheng/GazeTR, f84ccfe), written anew as the peer that we time ourselves against.

It shares the weights of a model of ours, so that its answers can be compared before its speed is: tokens come before the
batch, positions are looked up and repeated for every layer, torch's attention gives back its weights, which nobody
reads, and pictures are contiguous float32.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.fusions.attention import Attention, Block
from gaze.models.gazeformer import GazeFormer


class GazeTRReference(nn.Module):
    """Pitch and yaw, radians, of normalised faces.

    Args:
        model: of conf/experiment/gazetr_xgaze, whose weights it has.
    """

    def __init__(self, model: GazeFormer) -> None:
        super().__init__()
        model = copy.deepcopy(model)
        backbone: Any = model.backbone
        transformer: Any = model.fusion.transformer
        self.network: Any = backbone.network
        self.reduce: Any = transformer.reduce
        self.layers = nn.ModuleList(_Layer(layer) for layer in transformer.layers)
        output: Any = model.output
        self.norm, self.feed = transformer.norm, output.angles
        self.summary = nn.Parameter(transformer.summary.detach().clone())
        self.position = nn.Embedding.from_pretrained(transformer.position.detach()[0].clone(), freeze=False)

    def forward(self, face: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b 2"]:
        cells = self.reduce(self.network.forward_features(face)).flatten(2).permute(2, 0, 1)
        tokens = torch.cat([self.summary.repeat(1, face.shape[0], 1), cells], 0)
        position = self.position(torch.arange(len(tokens), device=face.device))
        for layer in self.layers:
            tokens = layer(tokens, position)
        return self.feed(self.norm(tokens).permute(1, 2, 0)[:, :, 0])


class _Layer(nn.Module):
    """One layer: attention with its weights, a perceptron, norms after both."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.attention = _attention(block.attention)
        self.mlp, self.drop = block.mlp, nn.Dropout(block.attention.dropout)
        self.attention_norm, self.mlp_norm = block.attention_norm, block.mlp_norm

    def forward(self, tokens: Float[Tensor, "k b c"], position: Float[Tensor, "k c"]) -> Float[Tensor, "k b c"]:
        query = tokens + position[:, None].repeat(1, tokens.shape[1], 1)
        tokens = self.attention_norm(tokens + self.drop(self.attention(query, query, tokens)[0]))
        return self.mlp_norm(tokens + self.drop(self.mlp(tokens)))


def _attention(ours: Attention) -> nn.MultiheadAttention:
    theirs = nn.MultiheadAttention(ours.out.in_features, ours.heads, ours.dropout)
    with torch.no_grad():
        linears = (ours.query, ours.key, ours.value)
        theirs.in_proj_weight.copy_(torch.cat([linear.weight for linear in linears]))
        theirs.in_proj_bias.copy_(torch.cat([linear.bias for linear in linears]))
        theirs.out_proj.weight.copy_(ours.out.weight)
        theirs.out_proj.bias.copy_(ours.out.bias)
    return theirs
