"""What is remembered is what would have been computed, whatever is remembered."""

import logging

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gaze.recall import Recall, fingerprints


class Doubler:
    """Computes rows, and remembers which."""

    def __init__(self, values):
        self.values, self.asked = values, []

    def __call__(self, rows):
        self.asked += rows.tolist()
        return 2 * self.values[rows]


@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=4), min_size=1, max_size=6), st.integers(0, 6))
def test_answers_do_not_depend_on_what_is_remembered(batches, room):
    values = torch.rand(6, 3)
    recall = Recall(room * 6e-9, "it")  # six bytes a row
    for numbers in batches:
        compute = Doubler(values[torch.tensor(numbers)])
        assert torch.equal(recall(numbers, compute), (2 * values[torch.tensor(numbers)]).half())
    assert len(recall.kept.rows) <= room


def test_nothing_is_computed_twice():
    recall, values = Recall(1.0, "it"), torch.rand(4, 2)
    first, second = Doubler(values), Doubler(values)
    recall(["a", "b", "c", "d"], first)
    assert recall(["d", "x", "a", "b"], second).shape == (4, 2)
    assert first.asked == [0, 1, 2, 3]
    assert second.asked == [1]
    assert recall.hits == 3


def test_a_memory_that_fills_up_in_vain_says_so(caplog):
    recall = Recall(12e-9, "the teacher")
    with caplog.at_level(logging.WARNING):
        for key in range(4):
            recall([key], lambda rows: torch.zeros(1, 3))
    assert caplog.text.count("the teacher: memory is full and no input has come back") == 1


def test_a_negative_memory_is_refused():
    with pytest.raises(ValueError, match="is -1 GB"):
        Recall(-1, "it")


def test_fingerprints_tell_pictures_apart_and_know_them_again():
    images = torch.randint(0, 256, (5, 3, 6, 8), dtype=torch.uint8)
    images[4] = images[1]
    images[3] = images[2].flip(-1)
    keys = fingerprints(images)
    assert keys[4] == keys[1]
    assert len(set(keys)) == 4
    assert fingerprints(images.float() / 255) == keys  # as they are on the device
    assert fingerprints(images[2:3]) == keys[2:3]  # whatever the batch around them
    assert fingerprints(images, about="another network") != keys
    black = torch.zeros(1, 3, 6, 8)
    assert fingerprints(black) != fingerprints(black.transpose(2, 3).contiguous())
    boxes = torch.rand(5, 4)
    nearly = boxes.clone()
    nearly[0, 0] = torch.nextafter(nearly[0, 0], torch.tensor(2.0))
    assert [a == b for a, b in zip(fingerprints(boxes), fingerprints(nearly), strict=True)] == [False] + [True] * 4


@pytest.mark.parametrize("place", [0, 1, 2, 3])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_one_step_of_one_byte_makes_another_key_in_any_place_and_layout(place, layout):
    levels = torch.arange(256, dtype=torch.uint8).repeat(3).view(1, 3, 16, 16)
    images = (levels.float() / 255).contiguous(memory_format=layout)
    other = images.clone()
    other[0, 0, 0, place] += 1 / 255
    assert fingerprints(images) == fingerprints(images.clone())
    assert fingerprints(images) == fingerprints(levels.contiguous(memory_format=layout))
    assert fingerprints(images) != fingerprints(other)


def test_what_half_precision_cannot_hold_is_an_error_and_not_infinity():
    with pytest.raises(ValueError, match="the teacher said is not finite in half precision"):
        Recall(1.0, "the teacher")(["a"], lambda rows: torch.full((1, 2), 1e6))


def test_networks_run_in_the_format_they_are_told_to():
    layer, images = torch.nn.Linear(4, 4), torch.rand(2, 4)
    seen = []

    def compute(rows):
        seen.append(layer(images[rows]).dtype)
        return layer(images[rows])

    recall = Recall(1.0, "it")
    with torch.autocast("cpu", torch.bfloat16):
        recall([0], compute)
        recall([0, 1], lambda rows: compute(rows))
        recall([0, 1], compute)
    assert seen == [torch.bfloat16, torch.bfloat16]


def test_a_key_twice_in_a_batch_is_stored_and_charged_once():
    recall = Recall(1.0, "it")
    before = recall.kept.left
    recall([1, 1, 1], lambda rows: torch.zeros(3, 4))
    assert before - recall.kept.left == 8
