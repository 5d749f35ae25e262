"""The blocks of all transformers, against torch's own."""

import pytest
import torch
from torch import nn

from gaze.fusions.attention import Attention, Block

WIDTH, HEADS = 8, 2


def copied(attention, theirs):
    """Gives torch's attention our weights."""
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([attention.query.weight, attention.key.weight, attention.value.weight]))
        theirs.out_proj.weight.copy_(attention.out.weight)
    return theirs


def test_attention_is_torchs_with_keys_passed_over():
    torch.manual_seed(0)
    ours = Attention(WIDTH, HEADS)
    theirs = copied(ours, nn.MultiheadAttention(WIDTH, HEADS, batch_first=True))
    query, key, value = torch.randn(3, 4, WIDTH), torch.randn(3, 5, WIDTH), torch.randn(3, 5, WIDTH)
    seen = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 1, 0, 1], [0, 0, 0, 0, 1]]).bool()
    expected, weights = theirs(query, key, value, key_padding_mask=~seen, average_attn_weights=False)
    torch.testing.assert_close(ours(query, key, value, seen), expected)
    torch.testing.assert_close(ours.weights(query, key)[0], weights[0])  # where all are seen


@pytest.mark.parametrize("norm", ["before", "after"])
def test_a_block_is_torchs_layer(norm):
    torch.manual_seed(0)
    ours = Block(WIDTH, HEADS, 16, nn.ReLU, norm=norm).eval()
    theirs = nn.TransformerEncoderLayer(WIDTH, HEADS, 16, batch_first=True, norm_first=norm == "before")
    copied(ours.attention, theirs.self_attn)
    theirs.linear1.load_state_dict(ours.mlp[0].state_dict())
    theirs.linear2.load_state_dict(ours.mlp[3].state_dict())
    tokens = torch.randn(2, 3, WIDTH)
    torch.testing.assert_close(ours(tokens), theirs.eval()(tokens))


def test_positions_steer_attention_and_are_not_passed_on():
    torch.manual_seed(0)
    block = Block(WIDTH, HEADS, 16, norm="after")
    nn.init.zeros_(block.attention.query.weight)  # attends to all alike, whatever the positions
    tokens, position = torch.randn(2, 3, WIDTH), torch.randn(1, 3, WIDTH)
    torch.testing.assert_close(block(tokens, position=position), block(tokens))
    nn.init.xavier_uniform_(block.attention.query.weight)
    assert not torch.allclose(block(tokens, position=position), block(tokens), atol=1e-3)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="width 8 with 3 heads"):
        Attention(8, 3)
    with pytest.raises(ValueError, match="norm is 'inside'"):
        Block(8, 2, 8, norm="inside")
