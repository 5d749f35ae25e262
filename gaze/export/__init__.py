"""Scene models as single files that run without this package: ONNX, and torch's own exported programs."""
