"""A kind of file that a model can be exported to: how one is written, and how it is run."""

from __future__ import annotations

import importlib.util
import logging
import warnings
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.export import ExportedProgram

from gaze.export.facts import KEY, ExportError

Call = Callable[[dict[str, Tensor]], dict[str, Tensor]]  # inputs by name -> outputs by name, all on the CPU


class Traced(NamedTuple):
    """A model behind named inputs, and the graph that was made of it."""

    graph: nn.Module
    example: dict[str, Tensor]  # inputs that it was traced with
    program: ExportedProgram
    outputs: Sequence[str]  # names, in order
    dynamic: dict[str, dict[int, Any]]  # for each input which axes have which name
    pictures: Sequence[str] = ()  # inputs that are pictures of values from 0 to 255
    int8: bool = False  # weights are to be kept in 8 bits


class Format(ABC):
    """One kind of file.

    Attributes:
        suffix: of its name.
        safe: can a stranger's file be opened?
        runs: can such files be run here, and so be compared with PyTorch?
        quantises: does it make 16 or 8 bits of weights by itself, of a model with whole ones?
        notes: what whoever gets such a file should know.
    """

    suffix: str
    safe: bool
    runs: bool = True
    quantises: bool = False
    notes: Sequence[str] = ()

    def check(self, opset: int | None) -> None:
        """Refuse what can be known to fail before anything is built.

        Raises:
            ExportError: something is not installed, or `opset` can't be had.
        """
        if opset is not None:
            raise ExportError(
                f"opset={opset} is a matter of ONNX and a {self.suffix} file has none; leave it out, or use format=onnx"
            )

    @abstractmethod
    def write(self, traced: Traced, path: Path, text: str, about: str, opset: int | None) -> None:
        """Write a traced model.

        Args:
            text: JSON that the file is to hold under `gaze.export.facts.KEY`.
            about: one sentence for whoever opens the file with other programs.

        Raises:
            ExportError: this format can't hold it.
        """

    @abstractmethod
    def open(self, path: Path) -> tuple[Call, str | None]:
        """A written file, ready to be called with `torch.get_num_threads()` threads, and the text it holds.

        Raises:
            ExportError: it is damaged, something is not installed, or such files can't be run here.
        """

    def text(self, path: Path) -> str | None:
        """The text in a file, which is neither run nor trusted; None if there is none.

        Both archives of PyTorch are zip files, which keep it as a member of their own.
        """
        try:
            with zipfile.ZipFile(path) as archive:
                (name,) = (name for name in archive.namelist() if name.endswith(f"extra/{KEY}"))
                return archive.read(name).decode()
        except (OSError, ValueError, zipfile.BadZipFile):
            return None


@contextmanager
def quiet() -> Iterator[None]:
    """Keep to itself what the exporters say about their inner steps; whether they succeeded is checked afterwards."""
    names = ("torch.onnx", "torch.export", "torch._export", "onnxscript", "onnx_ir", "coremltools")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def need(what: str, extra: str, *packages: str) -> None:
    """Refuse to go on without packages of an extra.

    Raises:
        ExportError: names those that are missing, and how to get them.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise ExportError(f"{what} needs {', '.join(missing)}, which is not installed: pip install 'gaze[{extra}]'")


def first_line(error: Exception) -> str:
    """Of what an exporter says, as much as belongs in one sentence."""
    return str(error).strip().split("\n")[0][:200]
