"""Settings shared by all tests."""

import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

torch.set_num_threads(1)  # small tensors: a second thread only adds noise and contention


def pytest_collection_modifyitems(items):
    """Slow tests come first, so that no worker waits at the end for another that has just begun one."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
