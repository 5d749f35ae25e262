"""One composable PyTorch pipeline for gaze estimation."""

__version__ = "0.1.0"
