import os
import pickle
from collections import OrderedDict
from fractions import Fraction

import numpy as np
import pytest

from gaze.datasets.plain_pickle import PickleError, load_plain

PLAIN = {
    "name": "8\\cam1\\0.jpg",
    "numbers": [1, 2.5, -(2**70), True, None],
    "tuple": (1, (2,)),
    "set": {1, 2},
    "bytes": b"\x00\xff",
    "ordered": OrderedDict(a=1),
    "array": np.arange(6.0).reshape(2, 3),
    "columns": np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
    "empty": np.zeros((0, 2), dtype=np.float32),
    "flags": np.array([True, False]),
    "scalar": np.float64(1.5),
    "whole": np.int64(7),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_comes_back(tmp_path, protocol):
    file = tmp_path / "data.pickle"
    file.write_bytes(pickle.dumps(PLAIN, protocol))
    loaded = load_plain(file)
    assert loaded.keys() == PLAIN.keys()
    for key, value in PLAIN.items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(loaded[key], value)
            assert loaded[key].dtype == value.dtype
        else:
            assert loaded[key] == value


def test_files_of_older_numpy_are_read(tmp_path):
    file = tmp_path / "data.pickle"
    file.write_bytes(pickle.dumps(PLAIN, 2).replace(b"numpy._core", b"numpy.core"))
    np.testing.assert_array_equal(load_plain(file)["array"], PLAIN["array"])


class Bomb:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.fault("X1")
@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("call", [os.mkdir, eval, np.load, getattr, Fraction, np.fromfile])
def test_nothing_else_is_called(tmp_path, call, protocol):
    made = tmp_path / "made"
    argument = f"__import__('os').mkdir({str(made)!r})" if call is eval else str(made)
    file = tmp_path / "data.pickle"
    file.write_bytes(pickle.dumps([1, Bomb(call, argument)], protocol))
    with pytest.raises(PickleError, match="asks for .*; expected plain data.*was not loaded"):
        load_plain(file)
    assert not made.exists()


@pytest.mark.parametrize(
    "content",
    [
        np.array([object()]),
        np.array(["text"]),
        np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]),
        np.datetime64("2021-01-01"),
        np.array([1 + 2j]),
    ],
)
def test_arrays_hold_numbers_only(tmp_path, content):
    file = tmp_path / "data.pickle"
    file.write_bytes(pickle.dumps(content))
    with pytest.raises(PickleError):
        load_plain(file)


def test_what_a_pickle_names_cannot_be_changed(tmp_path):
    # GLOBAL numpy dtype, BUILD with a state for its attributes: a way to tamper with what stands for it.
    file = tmp_path / "data.pickle"
    for state in (b"(dp0\nVx\nI1\ns", b"(N(dp0\nVx\nI1\nst"):
        file.write_bytes(b"cnumpy\ndtype\n" + state + b"b.")
        with pytest.raises(PickleError):
            load_plain(file)


@pytest.mark.parametrize("content", [b"", b"\x80\x04", pickle.dumps(PLAIN)[:-20], b"<html>", bytes(range(40, 100))])
def test_damaged_files_are_said_to_be(tmp_path, content):
    file = tmp_path / "data.pickle"
    file.write_bytes(content)
    with pytest.raises(PickleError):
        load_plain(file)
