"""The two readings of an embedding: what goes into each, and that everything that trains has a gradient."""

from contextlib import nullcontext
from functools import partial

import pytest
import torch

from gaze.clip.steering import Adapter, Steering
from gaze.clip.tiny_random import TinyRandom
from gaze.codebooks.codebook import Codebook
from gaze.codebooks.vq import VectorQuantizer
from gaze.matching import Matching
from gaze.prompts.prompts import Prompts, unit
from tests.prompts.banks import WIDTH, banks

CODES = partial(VectorQuantizer, codes=16)
CODEBOOKS = {
    "text": Codebook,
    "vq": partial(Codebook, text=False, vq=CODES),
    "both": partial(Codebook, vq=CODES),
    "none": partial(Codebook, text=False),
}


def steering(codebook="text", matching=None, prompts=None, bank=None, **options):
    torch.manual_seed(0)
    made = {"banks": banks(**(bank or {})), "center": False, "weights": None, **(prompts or {})}
    return Steering(
        WIDTH, partial(Prompts, **made), partial(Matching, **(matching or {})), CODEBOOKS[codebook], **options
    )


@pytest.fixture
def embed():
    return 3 * torch.randn(5, WIDTH, generator=torch.Generator().manual_seed(0))


def test_the_formula_is_that_of_the_reference(embed):
    made = steering()
    made.alpha["gaze"].data.fill_(0.5)
    seen, query = made(embed), unit(embed)
    chosen = {}
    for name, vocabulary in made.prompts().items():
        similarity = 20 * query @ vocabulary.keys.T
        chosen[name] = similarity.softmax(-1) @ vocabulary.keys
    torch.testing.assert_close(seen.aligned, unit(query + 0.5 * chosen["gaze"]))
    torch.testing.assert_close(
        seen.context, unit(query + chosen["illumination"] + chosen["head_pose"] + chosen["background"])
    )
    torch.testing.assert_close(seen.class_logits, 20 * query @ made.prompts()["gaze"].keys.T)
    assert (seen.context_logits.shape, seen.class_angle.shape) == ((5, 7), (8,))
    illumination = 20 * query @ made.prompts()["illumination"].keys.T
    torch.testing.assert_close(seen.context_logits[:, :3], illumination)  # in the order of the config
    assert (seen.commitment, seen.prompt_shift, seen.code) == (None, None, None)


def test_the_order_of_entries_changes_neither_reading(embed):
    turned = {name: {**bank, "entries": bank["entries"][::-1]} for name, bank in banks().items()}
    one, other = steering()(embed), steering(bank=turned)(embed)
    torch.testing.assert_close(one.aligned, other.aligned)
    torch.testing.assert_close(one.context, other.context)
    torch.testing.assert_close(one.class_logits, other.class_logits.flip(-1))


def test_embeddings_may_be_added_to_as_they_are(embed):
    unit_space, raw = steering()(embed), steering(space="raw")(embed)
    assert (unit(embed) * raw.aligned).sum(-1).min() > (unit(embed) * unit_space.aligned).sum(-1).max()


@pytest.mark.parametrize("codebook", list(CODEBOOKS))
def test_what_stands_for_gaze_can_be_chosen(embed, codebook):
    made, text = steering(codebook), codebook in ("text", "both")
    seen = made(embed)
    torch.testing.assert_close(seen.aligned.norm(dim=-1), torch.ones(5))
    assert (seen.class_logits is not None, seen.class_angle is not None) == (text, text)
    assert (seen.commitment is not None, seen.code is not None) == (codebook in ("vq", "both"),) * 2
    if codebook == "none":
        torch.testing.assert_close(seen.aligned, unit(embed))


@pytest.mark.parametrize("codebook", list(CODEBOOKS))
@pytest.mark.parametrize("mode", ["argmax", "st_argmax", "soft", "topk"])
def test_all_that_trains_is_reached_by_the_two_readings_alone(embed, mode, codebook):
    made = steering(codebook, {"mode": mode}, {"delta": "shared"})
    seen = made(embed)
    target = unit(torch.randn(2, 5, WIDTH))
    (seen.context * target[0] + seen.aligned * target[1]).sum().backward()
    trained = {name: p for name, p in made.named_parameters() if p.requires_grad}
    assert all(p.grad is not None for p in trained.values()), [n for n, p in trained.items() if p.grad is None]
    still = {name for name, p in trained.items() if not p.grad.any()}
    assert still <= {"adapter.down.weight", "adapter.down.bias"}  # behind a layer of zeros for one step
    assert float(seen.prompt_shift.detach()) == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_nothing_is_nan_for_empty_embeddings_in_any_format(dtype):
    made, embed = steering("both"), torch.zeros(2, WIDTH, dtype=dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        seen = made(embed)
        huge = made(torch.full((2, WIDTH), 6e4, dtype=dtype))
    for one in (seen, huge):
        assert all(part.isfinite().all() for part in (one.context, one.aligned, one.class_logits, one.context_logits))
    assert seen.aligned.dtype == torch.float32
    (seen.context.sum() + seen.aligned.sum() + seen.commitment).backward()
    assert all(p.grad.isfinite().all() for p in made.parameters())


def test_the_adapter_changes_nothing_at_first(embed):
    adapter = Adapter(WIDTH, 0.2)
    assert torch.equal(adapter(embed), embed)
    assert [tuple(p.shape) for p in adapter.parameters()] == [(8, 32), (8,), (32, 8), (32,)]
    assert not any("adapter" in name for name, _ in steering(adapter=0.0).named_parameters())


def test_a_tower_and_its_steering_train_no_part_of_the_tower_and_hold_no_text_tower():
    whole = torch.nn.ModuleDict({"clip": TinyRandom(), "steering": steering("both")}).train()
    seen = whole["clip"](torch.rand(2, 3, 32, 32))
    whole["steering"](seen.embed).aligned[:, 0].sum().backward()
    assert not any(p.requires_grad or p.grad is not None for p in whole["clip"].parameters())
    assert not any("text" in name for name, _ in whole.named_parameters())


def test_a_bank_that_is_not_there_is_not_missed(embed):
    seen = steering(bank={"gaze": None})(embed)
    assert seen.class_logits is None
    seen = steering(bank={"illumination": None, "head_pose": None, "background": None})(embed)
    assert seen.context_logits is None
    torch.testing.assert_close(seen.context, unit(embed))


@pytest.mark.parametrize("mode", ["argmax", "st_argmax", "soft", "topk"])
def test_no_value_is_read_back_from_the_device_in_a_step(mode, monkeypatch):
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: nullcontext())  # there is none for meta
    made = steering("both", {"mode": mode}, {"delta": "per_bank"}).to("meta").train()
    seen = made(torch.randn(3, WIDTH, device="meta"))  # where there are no values to read
    (seen.context.sum() + seen.aligned.sum() + seen.commitment).backward()
    assert seen.aligned.shape == (3, WIDTH)
