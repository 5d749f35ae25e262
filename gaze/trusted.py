"""What a config may call. A run directory may come from a stranger, and a config names code."""

from __future__ import annotations

from collections.abc import Sequence

# Parts of a model: all that loading somebody's run builds. None of them writes a file or opens a connection, but that
# `weights` are read, and fetched if they are an address, where a checkpoint leaves a part to its source (gaze/sources.py).
MODELS = (
    "gaze.avatars.*",
    "gaze.backbones.*",
    "gaze.clip.*",
    "gaze.codebooks.*",
    "gaze.eye_rotations.*",
    "gaze.fusions.*",
    "gaze.heads.*",
    "gaze.matching.*",
    "gaze.models.*",
    "gaze.moe.*",
    "gaze.prompts.*",
    "gaze.rasterize.*",
    "gaze.temporal.*",
    "gaze.vaes.*",
    "torch.nn.*",
)

# Parts of a training run, which a user composes. Classes and factories that are meant for configs, not whole packages.
TRUSTED = (
    *MODELS,
    "gaze.calibration.finetune.FineTune",
    "gaze.calibration.latent.Latent",
    "gaze.calibration.linear_probe.LinearProbe",
    "gaze.calibration.methods.*",
    "gaze.callbacks.*",
    "gaze.datasets.*",
    "gaze.faces.gaze360.Gaze360",
    "gaze.faces.gazehub.GazeHub",
    "gaze.faces.mpii_mat.MPIIMat",
    "gaze.faces.render_h5.RenderH5",
    "gaze.faces.table.FaceTable",
    "gaze.faces.xgaze_h5.XGazeH5",
    "gaze.losses.*",
    "gaze.metrics.*",
    "gaze.recordings.*",
    "gaze.schedules.*",
    "gaze.inits.*",
    "gaze.crossings.Across",
    "gaze.folds.Protocol",
    "gaze.hardware.Hardware",
    "gaze.inference.cameras.Camera",
    "gaze.inference.detection.FaceDetector",
    "gaze.inference.landmarker.Landmarker",
    "gaze.inference.one_euro.OneEuro",
    "gaze.inference.tracks.Tracker",
    "gaze.loggers.logger.Logger",
    "gaze.loggers.masking.Masked",
    "gaze.loggers.mlflow.MLflow",
    "gaze.optimizers.grouped",
    "gaze.perceptual.*",
    "gaze.redirection.draws.Draws",
    "gaze.redirection.targets.Limits",
    "gaze.redirection.variants.RedirectedPairs",
    "gaze.runs.load_model",
    "gaze.synthesis.clip_world.ClipWorld",
    "gaze.synthesis.direction_motions.Clips",
    "gaze.synthesis.direction_world.DirectionWorld",
    "gaze.synthesis.head_world.HeadWorld",
    "gaze.synthesis.scene_world.SceneWorld",
    "gaze.synthesis.screen_world.ScreenWorld",
    "gaze.trainer.Trainer",
    "gaze.variants.Variants",
    "torch.optim.*",
    "torchmetrics.*",
)


def is_trusted(target: str, trusted: Sequence[str]) -> bool:
    """Is this dotted name on the list, or below a prefix on it that ends in ".*"?"""
    return any(target.startswith(t[:-1]) if t.endswith(".*") else target == t for t in trusted)
