"""Reads pickle files that hold nothing but plain data; a pickle can otherwise run any code when it is opened.

What may be in it: None, booleans, numbers, strings, bytes, lists, tuples, dicts, sets, and numpy arrays and scalars
of booleans and numbers. Those of numpy are rebuilt here, by functions that can do nothing else.
"""

from __future__ import annotations

import os
import pickle
from typing import Any

import numpy as np


class PickleError(ValueError):
    """A pickle that is damaged or names something else than plain data: what, in one sentence."""


def load_plain(path: str | os.PathLike[str]) -> Any:
    """The content of a pickle file.

    Raises:
        PickleError: it is no pickle, or asks for anything but plain data; nothing of it was called then.
        OSError: the file can't be read.
    """
    with open(path, "rb") as file:
        try:
            return _Plain(file).load()
        except PickleError:
            raise
        except OSError:
            raise
        except Exception as error:  # the machine that reads pickles fails in many ways on damaged ones
            raise PickleError(f"is not a readable pickle ({type(error).__name__}: {error})") from error


# Instances of these stand for what a pickle names. They have no attributes, so that none can be set by a pickle.


class _ArrayType:
    __slots__ = ()


class _Rebuild:
    """numpy's maker of an empty array, which the pickle then fills; numpy checks the bytes against type and shape."""

    __slots__ = ()

    def __call__(self, kind: Any, shape: Any, dtype: Any) -> np.ndarray:
        if not isinstance(kind, _ArrayType):
            raise PickleError(f"holds an array of the type {kind!r}; expected numpy.ndarray")
        return np.empty(0, dtype="b")


class _NumberType:
    """numpy's type of the elements of an array."""

    __slots__ = ()

    def __call__(self, code: Any, align: Any = False, copy: Any = True) -> np.dtype:
        dtype = (
            np.dtype(code, copy=True) if isinstance(code, str) else None
        )  # a copy: the pickle goes on to set its state
        if dtype is None or dtype.kind not in "biuf":
            raise PickleError(f"holds an array of {code!r}; expected numbers")
        return dtype


class _Scalar:
    __slots__ = ()

    def __call__(self, dtype: Any, data: Any) -> Any:
        if not isinstance(dtype, np.dtype) or dtype.kind not in "biuf" or not isinstance(data, bytes):
            raise PickleError(f"holds a numpy scalar of {dtype!r}; expected a number")
        return np.frombuffer(data, dtype, count=1)[0].item()


class _Buffer:
    """numpy's array from bytes, as the newer protocols write it."""

    __slots__ = ()

    def __call__(self, data: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
        if not isinstance(dtype, np.dtype) or dtype.kind not in "biuf" or order not in ("C", "F"):
            raise PickleError(f"holds an array of {dtype!r}; expected numbers")
        return np.frombuffer(data, dtype).reshape(shape, order=order).copy()


class _Bytes:
    """Bytes, as protocols 0 to 2 write them."""

    __slots__ = ()

    def __call__(self, text: Any, encoding: Any) -> bytes:
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise PickleError(f"encodes {type(text).__name__} as {encoding!r}; expected bytes")
        return text.encode("latin-1")


_KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _ArrayType(),
    ("numpy", "dtype"): _NumberType(),
    ("_codecs", "encode"): _Bytes(),
    ("collections", "OrderedDict"): dict,
}
_KNOWN |= {
    (module, kind.__name__): kind
    for module in ("builtins", "__builtin__")  # protocols 0 to 2 use the name of Python 2
    for kind in (set, frozenset, bytes, bytearray)
}
_KNOWN |= {
    (f"numpy.{core}.{module}", name): stand_in
    for core in ("core", "_core")  # before and since numpy 2
    for module, name, stand_in in (
        ("multiarray", "_reconstruct", _Rebuild()),
        ("multiarray", "scalar", _Scalar()),
        ("numeric", "_frombuffer", _Buffer()),
    )
}


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """What a pickle means by a name."""
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise PickleError(
                f"asks for {module}.{name}; expected plain data (containers, numbers, strings, numpy arrays). "
                "Loading it could run a stranger's code, so it was not loaded: write it again as JSON if you trust it"
            ) from None
