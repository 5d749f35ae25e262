"""Whether a file of tensors holds as much as it claims: a kilobyte can say that it is a terabyte."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

SHARED = 4  # tensors that share memory, such as tied weights, may be this many times their file together


def packed(path: Path) -> str | None:
    """What speaks against reading an archive of torch's, from its directory alone; None if nothing does.

    Torch writes its members as they are, and reads packed ones as well: 200 kB of zeros become 200 MB.
    """
    if not zipfile.is_zipfile(path):
        return None  # the format before PyTorch 1.6, or no file of torch's; the reader says which
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    odd = [m.filename for m in members if m.compress_type != zipfile.ZIP_STORED]
    total, size = sum(m.file_size for m in members), path.stat().st_size
    if odd:
        return f"{odd[0]} in it is packed, which torch never does"
    return f"its members are {total} bytes together and the file {size}" if total > size else None


def excess(content: Any, size: int) -> str | None:
    """How the tensors in nested containers are larger than the `size` in bytes of their file; None if they are not.

    A tensor may repeat a few bytes without end (a stride of 0), until somebody copies it.
    """
    seen: dict[tuple[Any, ...], int] = {}
    for tensor in _tensors(content, set()):
        claimed = tensor.numel() * tensor.element_size()
        if tensor.layout is not torch.strided or tensor.is_meta or claimed > size:
            return f"a tensor of shape {list(tensor.shape)} takes {claimed} bytes, and the file has {size}"
        seen[tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype] = claimed
    total = sum(seen.values())
    return f"its tensors take {total} bytes, and the file has {size}" if total > SHARED * size else None


def _tensors(node: Any, seen: set[int]) -> Iterator[Tensor]:
    """Each container once: a pickle can nest them so that they unfold without end."""
    if isinstance(node, Tensor):
        yield node
    elif isinstance(node, (Mapping, list, tuple, set)) and id(node) not in seen:
        seen.add(id(node))
        for value in node.values() if isinstance(node, Mapping) else node:
            yield from _tensors(value, seen)
