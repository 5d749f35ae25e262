"""The MLmodel file that tells MLflow what goes into a model and what comes out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.models import Model

NAME = "signature.json"


def model_card(signature: Path, artifact_path: str, run_id: str) -> Model | None:
    """MLflow's description of the model in a run directory's `best`, or None when its signature was not written."""
    if not signature.exists():
        return None
    from mlflow.models import Model
    from mlflow.models.signature import ModelSignature
    from mlflow.types import Schema

    axes = json.loads(signature.read_text(encoding="utf-8"))
    inputs, outputs = (Schema([_tensor(field) for field in axes[side]]) for side in ("inputs", "outputs"))
    model = Model(artifact_path=artifact_path, run_id=run_id, signature=ModelSignature(inputs=inputs, outputs=outputs))
    # Weights and config, no pickled code: `gaze.runs.load_model` reads the downloaded run directory.
    model.add_flavor("gaze", loader="gaze.runs.load_model", data=".")
    return model


def _tensor(field: dict[str, Any]) -> Any:
    import numpy as np
    from mlflow.types import TensorSpec

    dtype = {"bfloat16": "float32"}.get(field["dtype"], field["dtype"])  # numpy has no bfloat16
    return TensorSpec(np.dtype(dtype), tuple(field["shape"]), field["name"])
