"""The kinds of file a model can be exported to: how one is written, and how it is run."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from gaze.export.facts import KEY, ExportError, Facts

Call = Callable[[dict[str, Tensor]], dict[str, Tensor]]  # inputs by name -> outputs by name, all on the CPU

DEFAULT_OPSET = 20
OLDEST_OPSET = 7  # ONNX Runtime runs none before it
LARGEST_ONNX = 2**31 - 2**20  # bytes of weights: protobuf's limit, and room for the graph


class Format(ABC):
    """One kind of file."""

    suffix: str
    safe: bool  # can a stranger's file be opened?

    @abstractmethod
    def check(self, opset: int | None) -> None:
        """Refuse what can be known to fail before anything is built.

        Raises:
            ExportError: something is not installed, or `opset` can't be had.
        """

    @abstractmethod
    def write(
        self,
        program: ExportedProgram,
        outputs: Sequence[str],
        dynamic: dict[str, Any],
        path: Path,
        facts: Facts,
        opset: int | None,
    ) -> None:
        """Write a traced module.

        Args:
            outputs: names of its outputs, in order.
            dynamic: for each input which axes have which name.

        Raises:
            ExportError: this format can't hold it.
        """

    @abstractmethod
    def open(self, path: Path) -> tuple[Call, Facts]:
        """A written file, ready to be called with `torch.get_num_threads()` threads, and what it says about itself.

        Raises:
            ExportError: it is damaged or was not written by us, or something is not installed.
        """


class Onnx(Format):
    """ONNX, run by ONNX Runtime on the CPU."""

    suffix, safe = ".onnx", True

    def check(self, opset: int | None) -> None:
        _need("onnx", "onnxscript", "onnxruntime")
        from onnx.defs import onnx_opset_version

        if opset is not None and not OLDEST_OPSET <= opset <= onnx_opset_version():
            raise ExportError(
                f"opset={opset} does not exist for this onnx; expected {OLDEST_OPSET} to {onnx_opset_version()}, "
                f"best {DEFAULT_OPSET}"
            )

    def write(
        self,
        program: ExportedProgram,
        outputs: Sequence[str],
        dynamic: dict[str, Any],
        path: Path,
        facts: Facts,
        opset: int | None,
    ) -> None:
        import onnx

        import gaze

        size = sum(t.numel() * t.element_size() for t in program.state_dict.values())
        if size > LARGEST_ONNX:
            raise ExportError(f"the model has {size / 2**30:.1f} GiB of weights; one ONNX file holds 2: use format=pt2")
        asked = opset or DEFAULT_OPSET
        with quiet():
            written: Any = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=asked,
                input_names=list(dynamic),
                output_names=list(outputs),
                dynamic_shapes=dynamic,
                verbose=False,
            )
        made = written.model.opset_imports.get("")
        if made != asked:  # the exporter warns, and writes another
            raise ExportError(
                f"opset={asked} can't be honoured: of this model the exporter could only make opset {made}; expected 18 or more, "
                f"best {DEFAULT_OPSET}"
            )
        written.model.producer_name, written.model.producer_version = "gaze", gaze.__version__
        written.model.doc_string = f"{facts.inputs}. Outputs are probabilities."
        for node in written.model.graph.all_nodes():
            if made < 18 and node.op_type == "Split":  # where equal parts are said by leaving them unsaid
                node.attributes.pop("num_outputs", None)
            for key in [key for key in node.metadata_props if key.startswith("pkg.")]:
                del node.metadata_props[key]  # how it was traced: half of a small file
        written.model.metadata_props[KEY] = facts.text()
        written.save(str(path), external_data=False)
        try:
            onnx.checker.check_model(str(path))
        except onnx.checker.ValidationError as error:  # the conversion to another opset can leave such graphs
            raise ExportError(
                f"opset={asked} can't be honoured: the exporter made a graph that is not valid ({_first_line(error)}); "
                f"expected 18 to 23, best {DEFAULT_OPSET}"
            ) from error

    def open(self, path: Path) -> tuple[Call, Facts]:
        _need("onnxruntime")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # errors
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its classes are private, one for each status
            raise ExportError(
                f"{path} can't be opened by ONNX Runtime ({_first_line(error)}); export it again"
            ) from error
        facts = Facts.read(session.get_modelmeta().custom_metadata_map.get(KEY), path)
        outputs = [node.name for node in session.get_outputs()]

        def call(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
            feeds = {name: tensor.contiguous().numpy() for name, tensor in inputs.items()}
            return {
                name: torch.from_numpy(array) for name, array in zip(outputs, session.run(None, feeds), strict=True)
            }

        return call, facts


class Program(Format):
    """A `torch.export` program. Opening one can run code that is in it."""

    suffix, safe = ".pt2", False

    def check(self, opset: int | None) -> None:
        if opset is not None:
            raise ExportError(
                f"opset={opset} is a matter of ONNX and format=pt2 has none; leave it out, or use format=onnx"
            )

    def write(
        self,
        program: ExportedProgram,
        outputs: Sequence[str],
        dynamic: dict[str, Any],
        path: Path,
        facts: Facts,
        opset: int | None,
    ) -> None:
        with quiet():
            torch.export.save(program, path, extra_files={KEY: facts.text()})

    def open(self, path: Path) -> tuple[Call, Facts]:
        extra = {KEY: ""}
        try:
            with quiet():
                module = torch.export.load(path, extra_files=extra).module()
        except Exception as error:  # zip, JSON, schema: each fails in its own way
            raise ExportError(
                f"{path} can't be opened by torch.export ({_first_line(error)}); export it again"
            ) from error

        def call(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
            with torch.no_grad():
                return module(**inputs)

        return call, Facts.read(extra[KEY], path)


FORMATS: dict[str, Format] = {"onnx": Onnx(), "pt2": Program()}


@contextmanager
def quiet() -> Iterator[None]:
    """Keep to itself what the exporters say about their inner steps; whether they succeeded is checked afterwards."""
    loggers = [
        logging.getLogger(name) for name in ("torch.onnx", "torch.export", "torch._export", "onnxscript", "onnx_ir")
    ]
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


def _need(*packages: str) -> None:
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise ExportError(f"ONNX needs {', '.join(missing)}, which is not installed: pip install 'gaze[export]'")


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]
