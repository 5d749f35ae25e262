"""Frames around one: nothing without them, nothing from missing ones, and a stream that says what a batch does."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gaze.temporal.bilstm import BiLSTM
from gaze.temporal.transformer import TemporalTransformer
from gaze.temporal.window import Stream, filled

WIDTH = 8


def temporal(kind, trained=True):
    torch.manual_seed(0)
    made = {
        "transformer": lambda: TemporalTransformer(WIDTH, window=5, heads=2, hidden=12),
        "causal": lambda: TemporalTransformer(WIDTH, window=5, causal=True, heads=2, hidden=12),
        "bilstm": lambda: BiLSTM(WIDTH, window=5, hidden=6),
    }[kind]().eval()
    if trained:
        for parameter in made.parameters():
            nn.init.normal_(parameter, std=0.5)
    return made


KINDS = ["transformer", "causal", "bilstm"]


@pytest.mark.parametrize("kind", KINDS)
def test_without_company_a_frame_says_what_it_says_without_time(kind):
    frames = torch.randn(3, 5, WIDTH)
    made, new = temporal(kind), temporal(kind, trained=False)
    assert torch.equal(made(frames[:, :1]), frames[:, 0])
    same = frames[:, :1].expand(-1, 5, -1)
    assert torch.equal(new(same), frames[:, 0])
    read = made.read(5)
    assert torch.equal(new(frames), frames[:, read])
    assert not torch.allclose(made(frames), frames[:, read])
    alone = torch.zeros(3, 5, dtype=torch.bool)
    alone[:, 1] = True
    assert torch.equal(made(frames, alone), frames[:, 1])
    assert made(frames, torch.zeros_like(alone)).isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_missing_frame_holds_does_not_count_even_where_it_is_read(kind):
    made, frames = temporal(kind), torch.randn(2, 5, WIDTH)
    present = torch.tensor([[1, 1, 0, 1, 0], [0, 1, 1, 0, 1]]).bool()
    spoilt = frames.masked_fill(~present[..., None], float("nan"))
    torch.testing.assert_close(made(spoilt, present), made(frames, present), rtol=0, atol=0)
    assert not torch.allclose(made(frames, present), made(frames))


def test_the_nearest_frame_stands_in_and_one_from_before_for_a_causal_model():
    frames = torch.arange(5.0)[None, :, None]
    present = torch.tensor([[0, 1, 0, 1, 0]]).bool()
    assert filled(frames, present).flatten().tolist() == [1, 1, 1, 3, 3]
    assert filled(frames, present, causal=True).flatten().tolist() == [1, 1, 1, 3, 3]
    present = torch.tensor([[1, 0, 0, 1, 0]]).bool()
    assert filled(frames, present).flatten().tolist() == [0, 0, 3, 3, 3]
    assert filled(frames, present, causal=True).flatten().tolist() == [0, 0, 0, 3, 3]


def test_only_a_causal_model_ignores_what_comes_and_all_know_the_order():
    frames = torch.randn(1, 5, WIDTH)
    causal, both = temporal("causal"), temporal("transformer")
    early, late = frames.clone().requires_grad_(), 3
    hidden = causal.layers[0](early, torch.ones(1, 5, 5).tril().bool())
    hidden[:, late].sum().backward()
    assert early.grad[:, late + 1 :].abs().sum() == 0
    frames = frames.requires_grad_()
    both(frames).sum().backward()
    assert (frames.grad.abs().sum(-1) > 0).all()
    swapped = frames[:, [1, 0, 2, 4, 3]]
    assert not torch.allclose(both(swapped), both(frames), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_says_what_a_batch_of_windows_does(kind):
    made, video, lost = temporal(kind), torch.randn(9, 2, WIDTH), {3, 6}
    stream = Stream(made)
    assert stream.push(None) is None
    stream = Stream(made)
    pushed = [stream.push(None if i in lost else frame) for i, frame in enumerate(video)]
    for i, said in enumerate(pushed):
        known = [(j, j >= 0 and j not in lost) for j in range(i - 4, i + 1)]
        window = torch.stack([video[max(j, 0)] for j, _ in known], 1)
        present = torch.tensor([there for _, there in known]).expand(2, -1)
        torch.testing.assert_close(said, made(window, present), rtol=1e-5, atol=1e-5)
    if kind == "causal":  # windows that are not full yet need no filling
        torch.testing.assert_close(pushed[2], made(video[:3].transpose(0, 1)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_everything_learns(kind):
    made = temporal(kind).train()
    made(torch.randn(2, 5, WIDTH)).sin().sum().backward()
    still = [name for name, p in made.named_parameters() if p.grad is None or p.grad.abs().sum() == 0]
    assert not still


def test_windows_that_do_not_fit_are_sentences():
    with pytest.raises(ValueError, match="6 frames; expected 1 to 5"):
        temporal("causal")(torch.zeros(1, 6, WIDTH))
    with pytest.raises(ValueError, match=r"temporal.window is 0"):
        BiLSTM(WIDTH, window=0)
    with pytest.raises(ValueError, match="temporal.heads is 3 of 8 channels"):
        TemporalTransformer(WIDTH, heads=3)
