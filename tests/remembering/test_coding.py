"""What is kept in few bits is nearly what was said, and says by how much not."""

import pytest
import torch

from gaze.remembering.coding import CODINGS


@pytest.mark.parametrize(("name", "most"), [("float16", 3e-4), ("int8", 7e-3)])
@pytest.mark.parametrize("numbers", [1, 64, 100])
def test_rows_come_back_as_near_as_is_told(name, most, numbers):
    rows = torch.randn(500, numbers, generator=torch.Generator().manual_seed(0))
    rows[0] = 0.0
    rows[1] *= 1e4
    coded = CODINGS[name].encode(rows.half())
    assert (coded.dtype, coded.shape) == (torch.uint8, (500, CODINGS[name].size(numbers)))
    found = CODINGS[name].decode(coded, numbers).float()
    assert found.shape == rows.shape
    error = (found - rows.half().float()).norm(dim=1) / rows.norm(dim=1).clamp(min=1e-9)
    assert float(error.square().mean().sqrt()) < most
    assert torch.equal(found[0], rows[0])


@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-4, 1e-6, 6e4])
def test_eight_bits_are_within_the_promised_part_of_the_largest_number(size):
    rows = (torch.rand(500, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1).mul(size).half()
    coding = CODINGS["int8"]
    error = (coding.decode(coding.encode(rows), 64).float() - rows.float()).abs().amax(1)
    assert float((error / rows.float().abs().amax(1)).max()) <= 4e-3


def test_one_large_channel_costs_the_others_nothing():
    rows = torch.randn(8, 32, 64, generator=torch.Generator().manual_seed(0))
    large = rows.clone()
    large[:, 5] *= 1000
    coding = CODINGS["int8"]
    one, other = (coding.decode(coding.encode(x.flatten(1)), 2048).unflatten(1, (32, 64)) for x in (rows, large))
    assert torch.equal(one[:, 6:], other[:, 6:])


def test_eight_bits_take_about_half():
    sizes = [coding.size(768 * 32 * 32) for coding in CODINGS.values()]
    assert sizes[1] / sizes[0] == pytest.approx(0.516, abs=1e-3)
