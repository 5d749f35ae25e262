"""A step of our trainer against a bare PyTorch loop: the same model, pictures, loss, optimizer, clipping and autocast."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler, TensorDataset

from gaze.backbones.conv_vit import ConvViT
from gaze.benchmark.clock import interleaved
from gaze.benchmark.result import Cost
from gaze.callbacks.callback import Callback
from gaze.callbacks.log import Log
from gaze.callbacks.progress import ProgressBar
from gaze.datasets.dataset import Dataset
from gaze.hardware import Hardware
from gaze.heads.heatmap_decoder import HeatmapDecoder
from gaze.loggers.mlflow import MLflow
from gaze.losses.heatmap import HeatmapBCE
from gaze.losses.objective import Objective
from gaze.models.gazelle import GazeLLE
from gaze.optimizers import grouped
from gaze.runs import Run
from gaze.schedules import Cosine
from gaze.trainer import Trainer
from gaze.types import Batch, Progress, SceneInputs, SceneTargets

AT_MOST = 0.02  # of the bare step
NOW = Progress(0, 1, 1)


class Shape(NamedTuple):
    """Sizes of a workload."""

    width: int  # of the model
    image: int  # px, side
    batch: int  # pictures of a step, one person on each
    steps: int  # of an epoch, which is what is timed
    amp: bool = False


# Of one CPU thread: about 50 ms, and a step so small that it shows what is done around it
STEPS = {"a step of 50 ms": Shape(96, 64, 10, 20), "a small step": Shape(16, 16, 2, 100)}


class Scenes(Dataset):
    """Noise in memory with one person on each picture, so that reading data costs next to nothing."""

    def __init__(self, count: int, side: int) -> None:
        draws = torch.Generator().manual_seed(0)
        self.images = torch.randint(0, 256, (count, 3, side, side), generator=draws, dtype=torch.uint8)
        self.boxes = torch.rand(count, 1, 2, generator=draws).mul(0.7).expand(-1, 2, -1).flatten(1).clone()
        self.boxes[:, 2:] += 0.2
        self.points = torch.rand(count, 1, 2, generator=draws)

    def __len__(self) -> int:
        return len(self.images)

    def sample(self, index: int, generator: torch.Generator | None) -> Batch:
        """Sample `index`; there are no other views of it."""
        image, box, point = self.images[index], self.boxes[index][None], self.points[index][None]
        inputs = SceneInputs(image, box, torch.zeros(1, dtype=torch.long))
        return Batch(inputs, SceneTargets(point, torch.ones(1), torch.tensor([image.shape[1:]])), torch.tensor(index))


class Order(Sampler[int]):
    """The samples in the order of a trainer's plan, epoch after epoch."""

    def __init__(self, trainer: Trainer) -> None:
        self.plan = deepcopy(trainer.plan)
        self.plan.epoch = -1

    def __iter__(self) -> Iterator[int]:
        self.plan.epoch += 1
        return iter([key.sample for batch in self.plan for key in batch])


def trainer(rounds: int, hardware: Hardware) -> Iterator[Cost]:
    """What the trainer adds to a step, with the journal, the progress and, in one row, the courier to MLflow at work.

    Checkpoints and validation are left out: they come at the ends of epochs, not in steps.
    """
    for name, shape in STEPS.items():
        yield overhead(name, shape, rounds, hardware, mlflow=False)
    # The courier is another process, so that only wall time shows what it takes from us.
    yield overhead("a step of 50 ms, wall time", STEPS["a step of 50 ms"], rounds, hardware, mlflow=True)


def overhead(name: str, shape: Shape, rounds: int, hardware: Hardware, mlflow: bool) -> Cost:
    """Epochs of the bare loop and of ours in turn, on copies of one model."""
    start = model(shape).to(hardware.device)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        variants = ["logged", *["logged, to MLflow"] * mlflow]
        trainers = {v: ours(deepcopy(start), shape, Path(folder) / v, rounds + 1, hardware) for v in variants}
        epochs: dict[str, Callable[[], None]] = {v: partial(epoch, trainer) for v, trainer in trainers.items()}
        bare = Bare(start, trainers["logged"], shape.amp)
        if mlflow:
            courier = MLflow("benchmark", tracking_uri=f"sqlite:///{folder}/mlflow.db", system_s=0)
            courier.start(Path(folder) / variants[1])
            stack.callback(courier.finish, "FINISHED")
        seconds = interleaved({"bare": bare.epoch, **epochs}, rounds, hardware.device, wall=mlflow)
        difference = max(distance(start, trainer.model) for trainer in trainers.values())
    most = (1 + AT_MOST) * seconds["bare"].best / shape.steps
    return Cost(f"trainer, {name}", "step", shape.steps, seconds, dict.fromkeys(variants, most), difference)


class Bare:
    """What one writes without a framework.

    Args:
        model: to train.
        like: in the same order of samples, with the same settings.
    """

    def __init__(self, model: nn.Module, like: Trainer, amp: bool) -> None:
        scenes, self.like, self.amp = like.train_set, like, amp
        assert isinstance(scenes, Scenes)
        self.model, self.loss = model, HeatmapBCE(sigma=1.0)
        data = TensorDataset(scenes.images, scenes.boxes, scenes.points)
        self.loader = DataLoader(data, like.plan.batch_size, sampler=Order(like))
        self.optimizer = optimizer(model)
        steps = like.progress.steps
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda i: Cosine()(Progress(i, steps, 1)))
        self.sum = torch.zeros((), device=like.hardware.device)

    def epoch(self) -> None:
        """One pass over the data."""
        device = self.like.hardware.device
        self.model.train()
        for image, box, point in self.loader:
            image, box, point = image.to(device).float() / 255, box.to(device), point.to(device)
            batch = scene(image, box, point)
            with torch.autocast(device.type, torch.bfloat16, enabled=self.amp):
                prediction = self.model(batch.inputs)
            loss = self.loss(prediction.float32(), batch, NOW)
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.schedule.step()
            self.sum += loss.detach()


def scene(image: Tensor, box: Tensor, point: Tensor) -> Batch:
    """A batch as the model reads it, of one person on each picture."""
    rows = torch.arange(len(image), device=image.device)
    size = rows.new_tensor([image.shape[2:]]).expand(len(image), -1)
    return Batch(SceneInputs(image, box, rows), SceneTargets(point, torch.ones_like(box[:, 0]), size), rows)


def epoch(trainer: Trainer) -> None:
    """The steps of the next epoch."""
    trainer.train_epoch()
    trainer.epoch += 1


def model(shape: Shape) -> GazeLLE:
    """A GazeLLE that draws nothing at random, so that the answers of two loops can be compared."""
    torch.manual_seed(0)
    w = shape.width
    head = partial(HeatmapDecoder, width=w, heads=2, size=(shape.image // 2,) * 2, drop_path=0.0, inout=False)
    return GazeLLE(ConvViT([w // 4, w // 2, w], width=w, heads=2), head)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """The one of conf/optimizer/adamw.yaml."""
    return grouped(model, partial(torch.optim.AdamW, lr=1e-3, fused=True))


def ours(model: nn.Module, shape: Shape, folder: Path, epochs: int, hardware: Hardware) -> Trainer:
    """Our trainer with what a run has beside it, ready for its first epoch."""
    folder.mkdir()
    callbacks: dict[str, Callback] = {"log": Log(), "progress": ProgressBar()}
    scenes = Scenes(shape.batch * shape.steps, shape.image)
    made = Trainer(
        run=Run(folder),
        hardware=hardware,
        seed=0,
        model=model,
        objective=Objective({"heatmap": HeatmapBCE(sigma=1.0)}),
        metrics={},
        optimizer=optimizer(model),
        schedule={"lr": Cosine()},
        train_set=scenes,
        val_set=scenes,
        callbacks=callbacks,
        epochs=epochs,
        batch_size=shape.batch,
        clip_norm=1.0,
        amp=shape.amp,
    )
    for callback in callbacks.values():
        callback.fit_start(made)
    return made


def distance(one: nn.Module, other: nn.Module) -> float:
    """The largest difference of two parameters."""
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return max(float((a - b).detach().abs().max()) for a, b in pairs)
