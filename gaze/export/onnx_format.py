"""ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gaze.export.facts import KEY, ExportError
from gaze.export.format import Call, Format, Traced, first_line, need, quiet

DEFAULT_OPSET = 20
OLDEST_OPSET = 7  # ONNX Runtime runs none before it
LARGEST = 2**31 - 2**20  # bytes of weights: protobuf's limit, and room for the graph


class Onnx(Format):
    """ONNX, run by ONNX Runtime on the CPU."""

    suffix, safe = ".onnx", True

    def check(self, opset: int | None) -> None:
        need("ONNX", "export", "onnx", "onnxscript", "onnxruntime")
        from onnx.defs import onnx_opset_version

        if opset is not None and not OLDEST_OPSET <= opset <= onnx_opset_version():
            raise ExportError(
                f"opset={opset} does not exist for this onnx; expected {OLDEST_OPSET} to {onnx_opset_version()}, "
                f"best {DEFAULT_OPSET}"
            )

    def write(self, traced: Traced, path: Path, text: str, about: str, opset: int | None) -> None:
        import onnx

        import gaze

        size = sum(t.numel() * t.element_size() for t in traced.program.state_dict.values())
        if size > LARGEST:
            raise ExportError(f"the model has {size / 2**30:.1f} GiB of weights; one ONNX file holds 2: use format=pt2")
        asked = opset or DEFAULT_OPSET
        try:
            with quiet():
                written: Any = torch.onnx.export(
                    traced.program,
                    dynamo=True,
                    opset_version=asked,
                    input_names=list(traced.dynamic),
                    output_names=list(traced.outputs),
                    dynamic_shapes=traced.dynamic,
                    verbose=False,
                )
        except torch.onnx.OnnxExporterError as error:
            reason = str(error.__cause__ or error).strip().split("\n")[0][:200]
            raise ExportError(f"ONNX can't hold this model: {reason}; use format=pt2") from error
        made = written.model.opset_imports.get("")
        if made != asked:  # the exporter warns, and writes another
            raise ExportError(
                f"opset={asked} can't be honoured: of this model the exporter could only make opset {made}; expected 18 or more, "
                f"best {DEFAULT_OPSET}"
            )
        written.model.producer_name, written.model.producer_version = "gaze", gaze.__version__
        written.model.doc_string = about
        for node in written.model.graph.all_nodes():
            if made < 18 and node.op_type == "Split":  # where equal parts are said by leaving them unsaid
                node.attributes.pop("num_outputs", None)
            for key in [key for key in node.metadata_props if key.startswith("pkg.")]:
                del node.metadata_props[key]  # how it was traced: half of a small file
        written.model.metadata_props[KEY] = text
        written.save(str(path), external_data=False)
        try:
            onnx.checker.check_model(str(path))
        except onnx.checker.ValidationError as error:  # the conversion to another opset can leave such graphs
            raise ExportError(
                f"opset={asked} can't be honoured: the exporter made a graph that is not valid ({first_line(error)}); "
                f"expected 18 to 23, best {DEFAULT_OPSET}"
            ) from error

    def open(self, path: Path) -> tuple[Call, str | None]:
        need("ONNX", "export", "onnxruntime")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # errors
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its classes are private, one for each status
            raise ExportError(
                f"{path} can't be opened by ONNX Runtime ({first_line(error)}); export it again"
            ) from error
        outputs = [node.name for node in session.get_outputs()]

        def call(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
            feeds = {name: tensor.contiguous().numpy() for name, tensor in inputs.items()}
            return {
                name: torch.from_numpy(array) for name, array in zip(outputs, session.run(None, feeds), strict=True)
            }

        return call, session.get_modelmeta().custom_metadata_map.get(KEY)

    def text(self, path: Path) -> str | None:
        try:
            return self.open(path)[1]
        except ExportError:
            return None
