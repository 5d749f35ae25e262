"""A step of training waits for nothing that a device computes: of every system, with losses and callbacks as configured.

With a GPU torch itself says where the host would wait. Without one, operations are looked for that would make it; what they
cannot show is a copy to the device of numbers that the host has just made.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager, nullcontext
from functools import wraps

import pytest
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import open_dict

import gaze.train
from gaze.avatars import face_stream
from gaze.scaler import Scaler, step_if_finite
from gaze.synthesis.direction_world import DirectionWorld
from gaze.synthesis.directions import write_directions
from gaze.synthesis.gazefollow import write_gazefollow
from gaze.synthesis.head_files import write_heads
from gaze.synthesis.head_world import HeadWorld
from gaze.synthesis.scene_world import SceneWorld
from gaze.synthesis.screen_world import ScreenWorld
from gaze.synthesis.screens import write_screens
from gaze.trainer import Trainer
from tests.stubs.waits import Waits
from tests.systems.conftest import composed

FRAMES = dict.fromkeys(("train", "val", "test"), 4)
SPLITS = {"train": 2, "val": 1, "test": 0}
HEADS = (
    *("dataset.image_size=24", "dataset.held_frames=null", "backbone.width=16", "backbone.features=4"),
    *("backbone.point_feature=6", "eye_rotation.width=8"),
)
SYSTEMS = {
    "gazelle_small": ("scenes", "dataset.image_size=[64,64]", "backbone.width=16", "head.width=16"),
    "pog_tiny": ("screens", "dataset.face_size=40", "dataset.eye_size=40", "trainer.effective_batch_size=null"),
    "gazeformer_tiny": (
        *(
            "directions",
            "codebook=both",
            "prompts=shifted",
            "moe.router.noise=0.1",
            "moe.backend=padded_bmm",
            "fusion.width=16",
        ),
        *("fusion.stream_dropout=0.2", "dataset.face_size=16", "codebook.vq.codes=8"),
        "loss=[angular,vmf_nll,separation,prototype_ce,moe_balance,router_z,vq_commit,prompt_delta]",
    ),
    "gazegaussian_mesh_tiny": (
        "heads",
        *HEADS,
        "backbone.resolution=10",
        "loss=[l1_head,silhouette]",
        "init.steps=1",
        "init.points=16",
    ),
    "gazegaussian_tiny": (
        *("heads", *HEADS, "backbone.face_points=240", "backbone.eye_points=12", "model.corrections.rows=16"),
        *("head.depth=1", "head.heads=2", "head.width=16", "head.embedding=8", "~init"),
    ),
}


# Where an operation may read a number
ALLOWED = (
    "rasterize/",  # on CUDA gsplat draws
    "codebooks/vq.py:_move",  # one_hot looks whether indices are in range, which CUDA leaves to the kernel
    "avatars/tetrahedra.py",  # a surface has as many triangles as the network says: here a GPU is waited for
    "backbones/mesh_head.py:turned",  # likewise, which of its corners are near an eye
    "avatars/face_stream.py:numbers",  # which Gaussians hear a network: half of its work for a wait at its beginning
)
WAITING = {"gazegaussian_mesh_tiny"}  # systems that wait for a GPU


class Seen(Exception):
    """Ends a run whose steps were looked at."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """`data(kind)`: overrides that name the smallest world of a kind, rendered when it is first asked for."""
    made: dict[str, tuple[str, ...]] = {}

    def make(kind: str) -> tuple[str, ...]:
        if kind in made:
            return made[kind]
        root = tmp_path_factory.mktemp("worlds") / kind
        if kind == "scenes":
            write_gazefollow(SceneWorld(size=64), root, {"train": 8, "val": 4, "test": 0}, seed=0, workers=0)
        elif kind == "screens":
            write_screens(ScreenWorld(face_size=40, eye_size=40, frames=FRAMES), root, SPLITS)
        elif kind == "directions":
            write_directions(DirectionWorld(size=16, eyes=False, frames=FRAMES), root, SPLITS)
        else:
            write_heads(HeadWorld(size=24, frames=FRAMES), root, SPLITS)
        key = {"screens": "dataset.path", "directions": "dataset.source.root"}.get(kind, "dataset.root")
        made[kind] = (f"{key}={root}",)
        return made[kind]

    return make


def look_at(name, data, path, monkeypatch, watch, *overrides):
    """Train a system for three steps, of which the last is made within `watch()`; the first set things up."""

    def fit(trainer: Trainer) -> dict[str, float]:
        trainer.start()
        trainer.guard.every = 100  # it reads what it saw from time to time, on purpose
        trainer.plan.epoch = 0
        trainer.call("epoch_start")
        trainer.net.train()
        trainer.objective.train()
        batch = next(iter(trainer.train_loader))
        for step in range(3):
            with watch() if step == 2 else nullcontext():
                terms = trainer.train_step([batch])
                trainer.progress = trainer.progress._replace(step=step + 1)
                trainer.call("step_end", terms)
        raise Seen

    monkeypatch.setattr(Trainer, "fit", fit)
    kind, *wanted = SYSTEMS[name]
    config = composed(path / "run", f"model={name}", *wanted, "callback.log.every_steps=100", *data(kind), *overrides)
    HydraConfig.instance().set_config(config)
    with open_dict(config):
        del config["hydra"]
    with pytest.raises(Seen):
        gaze.train.main.__wrapped__.__wrapped__(config)


@pytest.mark.parametrize("name", SYSTEMS)
def test_no_operation_of_a_step_reads_the_device(name, data, tmp_path, monkeypatch):
    waits = Waits()
    monkeypatch.setattr(Scaler, "advance", lambda _, optimizer, norm: step_if_finite(optimizer, norm))  # as on CUDA
    look_at(name, data, tmp_path, monkeypatch, lambda: waits)
    assert not [found for found in waits.found if not found.split(" at ")[1].startswith(ALLOWED)]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("name", sorted(SYSTEMS.keys() - WAITING))
def test_a_step_on_a_gpu_waits_for_nothing(name, amp, data, tmp_path, monkeypatch):
    monkeypatch.setattr(face_stream, "numbers", waiting(face_stream.numbers))
    look_at(name, data, tmp_path, monkeypatch, strict, "hardware.device=cuda", f"trainer.amp={amp}")


def waiting(function):
    """A function that may wait for the GPU."""

    @wraps(function)
    def within(*args):
        mode = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("default")
        try:
            return function(*args)
        finally:
            torch.cuda.set_sync_debug_mode(mode)

    return within


@contextmanager
def strict():
    """Within it, whatever waits for the GPU is an error."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_what_reads_the_device_is_found():
    values = torch.arange(4.0)
    with Waits() as waits:
        values[values > 1]
        values.tolist()
        bool(values.sum() > 0)
        values.nonzero()
        values[torch.tensor([0, 1])] = 1.0
    kinds = Counter(found.split(" at ")[0] for found in waits.found.elements())
    assert kinds == {
        "aten.index.Tensor": 1,
        "tolist": 1,
        "aten._local_scalar_dense.default": 1,
        "aten.nonzero.default": 1,
    }
