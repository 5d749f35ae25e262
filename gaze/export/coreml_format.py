"""Core ML packages, for phones."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import torch

from gaze.export.facts import KEY, ExportError
from gaze.export.format import Call, Format, Traced, first_line, need, quiet


class CoreML(Format):
    """A Core ML package of one sample at a time, in float16, for iOS 16 and macOS 13 or newer.

    Pictures from 0 to 255 become image inputs, which take a camera's pixel buffer. coremltools converts on any machine
    and runs models on macOS alone: elsewhere only the inputs and outputs of a file are compared with what was asked for.
    """

    suffix, safe, runs, quantises = ".mlpackage", True, False, True
    notes = (
        "one sample at a time, computed in float16; not compared with PyTorch, since Core ML runs on Apple's devices alone: "
        "expect points within 0.05 cm, and compare a few there before you rely on it",
    )

    def check(self, opset: int | None) -> None:
        super().check(opset)
        need("Core ML", "coreml", "coremltools")

    def write(self, traced: Traced, path: Path, text: str, about: str, opset: int | None) -> None:
        import gaze

        said = io.StringIO()  # of the libraries that only macOS has
        with quiet(), contextlib.redirect_stderr(said):
            import coremltools

            _teach()
            one = {name: tensor[:1] for name, tensor in traced.example.items()}
            pictures = {name: one[name].float() for name in traced.pictures}
            inputs = [_input(name, tensor, name in pictures) for name, tensor in one.items()]
            with torch.no_grad():
                program = torch.export.export(traced.graph, (), one | pictures).run_decompositions({})
            for node in program.graph.nodes:  # what it knows under this name only
                if node.target is torch.ops.aten.__and__.Tensor:
                    node.target = torch.ops.aten.logical_and.default
            try:
                made = coremltools.convert(
                    program,
                    inputs=inputs,
                    outputs=[coremltools.TensorType(name=name) for name in traced.outputs],
                    convert_to="mlprogram",
                    minimum_deployment_target=coremltools.target.iOS16,
                    skip_model_load=True,
                )
            except Exception as error:  # one class for each stage of the conversion
                raise ExportError(
                    f"Core ML can't hold this model ({first_line(error)}); choose one without that, or format=onnx"
                ) from error
            if traced.int8:
                made = _in_eight_bits(made)
            made.short_description, made.version = about, gaze.__version__
            made.user_defined_metadata[KEY] = text
            made.save(str(path))
        _inspect(path, traced)

    def open(self, path: Path) -> tuple[Call, str | None]:
        raise ExportError(f"{path} is a Core ML package, which only Apple's devices run; predict with format=onnx here")

    def text(self, path: Path) -> str | None:
        return None  # its card beside it says what it is


def _input(name: str, tensor: torch.Tensor, picture: bool) -> Any:
    import coremltools

    kind = coremltools.ImageType if picture else coremltools.TensorType
    return kind(name=name, shape=tuple(tensor.shape))


def _in_eight_bits(model: Any) -> Any:
    """The model with int8 weights, a scale for each output channel; small ones stay as they are."""
    import coremltools.optimize.coreml as optimize

    each = optimize.OpLinearQuantizerConfig(mode="linear_symmetric")
    return optimize.linear_quantize_weights(model, optimize.OptimizationConfig(global_config=each))


def _teach() -> None:
    """Tell coremltools an operation that it lacks: isfinite, which is what NaN is recognised by."""
    from coremltools.converters.mil import Builder
    from coremltools.converters.mil.frontend.torch.ops import _get_inputs
    from coremltools.converters.mil.frontend.torch.torch_op_registry import register_torch_op

    @register_torch_op(override=True)
    def isfinite(context: Any, node: Any) -> None:
        (x,) = _get_inputs(context, node, expected=1)
        context.add(Builder.equal(x=Builder.sub(x=x, y=x), y=0.0, name=node.name))


def _inspect(path: Path, traced: Traced) -> None:
    """Compare the inputs and outputs of a written package with what was asked for."""
    import coremltools

    with quiet():
        spec = coremltools.models.MLModel(str(path), skip_model_load=True).get_spec()
    wanted = {name: list(tensor.shape[1:]) for name, tensor in traced.example.items()}
    found = {feature.name: _shape(feature.type) for feature in spec.description.input}
    outputs = [feature.name for feature in spec.description.output]
    if found != wanted or outputs != list(traced.outputs):
        raise ExportError(
            f"the Core ML package takes {found} and gives {outputs}; expected {wanted} and {list(traced.outputs)}"
        )


def _shape(kind: Any) -> list[int]:
    """Of an input, without its axis of samples."""
    if kind.WhichOneof("Type") == "imageType":
        return [3, kind.imageType.height, kind.imageType.width]
    return list(kind.multiArrayType.shape)[1:]
