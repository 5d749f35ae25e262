"""The kinds of file that models can be exported to, by name and by the ending of a file."""

from __future__ import annotations

from gaze.export.coreml_format import CoreML
from gaze.export.format import Format
from gaze.export.onnx_format import Onnx
from gaze.export.program_format import Program
from gaze.export.torchscript_format import TorchScript

FORMATS: dict[str, Format] = {"onnx": Onnx(), "pt2": Program(), "torchscript": TorchScript(), "coreml": CoreML()}
SUFFIXES = {kind.suffix: kind for kind in FORMATS.values()}
