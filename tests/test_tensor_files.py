"""Files of tensors from strangers: read without running what is in them."""

import argparse
import random

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from gaze.tensor_files import differences, read_tensors, sha256

STATE = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.ones(1, dtype=torch.bfloat16)}


def same(state):
    assert list(state) == list(STATE)
    assert all(torch.equal(value, STATE[name]) for name, value in state.items())


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"model": s}, lambda s: {"state_dict": s, "epoch": 3}])
@pytest.mark.parametrize("suffix", [".pt", ".pth"])
def test_tensors_may_be_flat_or_under_a_key(tmp_path, wrap, suffix):
    torch.save(wrap(STATE), tmp_path / f"weights{suffix}")
    same(read_tensors(tmp_path / f"weights{suffix}"))


def test_safetensors_need_no_pickle(tmp_path):
    save_file(STATE, tmp_path / "weights.safetensors")
    same(read_tensors(tmp_path / "weights.safetensors"))
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "weights.safetensors").read_bytes()[:-3])
    with pytest.raises(ValueError, match="no safetensors file"):
        read_tensors(tmp_path / "cut.safetensors")


def test_a_training_checkpoint_with_the_states_of_random_generators(tmp_path):
    """What gazelle-dinov3 saves: arrays and scalars of numpy's beside the model."""
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(2))])
    rng = {"python": random.getstate(), "numpy": np.random.get_state(), "torch": torch.get_rng_state(), "cuda": []}
    torch.save(
        {"model": STATE, "optimizer": optimizer.state_dict(), "scaler": None, "epoch": 3, "rng_state": rng,
         "best_min_l2": np.float64(0.04), "args": {"lr": 1e-3, "distill_teacher": None}},
        tmp_path / "epoch_003.pt",
    )  # fmt: skip
    same(read_tensors(tmp_path / "epoch_003.pt"))


@pytest.mark.fault("X1")
@pytest.mark.parametrize("foreign", [nn.Linear(1, 1), argparse.Namespace(lr=1), np.zeros(1, dtype=object), print])
def test_files_that_could_run_code_are_refused(foreign, tmp_path):
    torch.save({"model": STATE, "extra": foreign}, tmp_path / "pickle.pth")
    with pytest.raises(ValueError, match=r"could run code.*safetensors"):
        read_tensors(tmp_path / "pickle.pth")


def test_files_with_something_else_in_them_are_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "epoch.pth")
    with pytest.raises(ValueError, match="expected a mapping from names to tensors"):
        read_tensors(tmp_path / "epoch.pth")
    (tmp_path / "page.pt").write_text("<html>not found</html>")
    with pytest.raises(ValueError, match=r"page.pt"):
        read_tensors(tmp_path / "page.pt")


def test_a_missing_file_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no weights at /.*nothing.pth.*set backbone.weights"):
        read_tensors(tmp_path / "nothing.pth")


@pytest.mark.fault("X4")
def test_a_digest_in_the_name_is_checked(tmp_path):
    torch.save(STATE, tmp_path / "weights.pth")
    digest = sha256(tmp_path / "weights.pth")
    right, wrong, date = (tmp_path / f"weights-{end}.pth" for end in (digest, "0" * 7 + "f", "20251112"))
    for path in (right, wrong, date):
        path.write_bytes((tmp_path / "weights.pth").read_bytes())
    same(read_tensors(right))
    same(read_tensors(date))  # digits alone are no digest
    with pytest.raises(ValueError, match=f"damaged: its sha256 begins with {digest[:8]} instead of 0000000f"):
        read_tensors(wrong)


def test_differences_are_named_and_cut_short():
    assert differences(STATE, STATE) == ""
    many = {str(i): torch.zeros(1) for i in range(20)}
    assert differences({}, many).startswith("20 missing: 0, 1, 2")
    assert differences({}, many).endswith("…")
    assert "b is (1,) instead of (2,)" in differences(STATE, STATE | {"b": torch.zeros(2)})


@pytest.mark.parametrize("content", [b"hello", b"", b"PK\x03\x04garbage"])
def test_what_is_no_file_of_torchs_is_a_sentence(tmp_path, content):
    (tmp_path / "junk.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"junk.pt (is damaged or no file of torch's|holds Python objects)"):
        read_tensors(tmp_path / "junk.pt")


def test_names_are_text(tmp_path):
    torch.save({1: torch.zeros(2)}, tmp_path / "odd.pt")
    with pytest.raises(ValueError, match="expected a mapping from names to tensors"):
        read_tensors(tmp_path / "odd.pt")
