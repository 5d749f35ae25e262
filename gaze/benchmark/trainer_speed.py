"""A step of our trainer against a bare PyTorch loop: the same model, pictures, loss, optimizer, clipping and autocast."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
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
from gaze.benchmark.result import Cost, largest
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
from gaze.types import Batch, Progress, SceneInputs, ScenePrediction, SceneTargets

MOST = {"no callbacks": 40e-6, "logged": 100e-6}  # seconds that we allow ourselves to add to a step
NOW = Progress(0, 1, 1)
WARM = 3  # calls before those that are timed
DRIFT = 1e-2  # of the weights after those: most that they may differ where sums have no fixed order, as on CUDA


class Shape(NamedTuple):
    """Sizes of a workload."""

    width: int  # of the model; 0 is one linear layer
    image: int  # px, side
    batch: int  # pictures of a step, one person on each
    steps: int  # of a call, which is what is timed
    calls: int  # of one round
    amp: bool = False


# Of one CPU thread: a step with little but what is done around it, one of 6 ms with 73 parameter tensors, and one of 50 ms.
# Our journal gets a line every 20 steps.
STEPS = {
    "one layer": Shape(0, 4, 1, 20, 30),
    "a small step": Shape(16, 16, 2, 20, 20),
    "a step of 50 ms": Shape(96, 64, 10, 1, 30),
}
QUICK = 6  # times fewer calls


class Scenes(Dataset):
    """Noise in memory with one person on each picture, so that reading data costs next to nothing."""

    def __init__(self, count: int, side: int) -> None:
        draws = torch.Generator().manual_seed(0)
        self.images = torch.randint(0, 256, (count, 3, side, side), generator=draws, dtype=torch.uint8)
        self.boxes = torch.rand(count, 1, 1, 2, generator=draws).mul(0.7).expand(-1, -1, 2, -1).flatten(2).clone()
        self.boxes[..., 2:] += 0.2
        self.points = torch.rand(count, 1, 1, 2, generator=draws)
        self.owner, self.inside, self.size = (
            torch.zeros(1, dtype=torch.long),
            torch.ones(1),
            torch.tensor([[side, side]]),
        )
        self.numbers = torch.arange(count)

    def __len__(self) -> int:
        return len(self.images)

    def sample(self, index: int, generator: torch.Generator | None) -> Batch:
        """Sample `index`; there are no other views of it."""
        inputs = SceneInputs(self.images[index], self.boxes[index], self.owner)
        return Batch(inputs, SceneTargets(self.points[index], self.inside, self.size), self.numbers[index])


class Order(Sampler[int]):
    """The samples in the order of a trainer's plan, epoch after epoch."""

    def __init__(self, trainer: Trainer) -> None:
        self.plan = deepcopy(trainer.plan)
        self.plan.epoch = -1

    def __iter__(self) -> Iterator[int]:
        self.plan.epoch += 1
        return iter([key.sample for batch in self.plan for key in batch])


def trainer(rounds: int, hardware: Hardware, small: bool = False) -> Iterator[Cost]:
    """What the trainer adds to a step, alone, and with the journal, the progress and, in one row, the courier to MLflow.

    Single steps, or the few between two lines of the journal, take turns: epochs in turn move by more than what they are
    to show. Checkpoints and validation are left out: they come between epochs.
    """
    for name, shape in STEPS.items():
        calls = max(1, rounds * shape.calls // (QUICK if small else 1))
        yield overhead(name, shape, calls, hardware, mlflow=False)
    if not small:  # the courier is another process, so that only wall time shows what it takes from us
        large = STEPS["a step of 50 ms"]
        yield overhead("a step of 50 ms, wall time", large, rounds * large.calls, hardware, mlflow=True)


def overhead(name: str, shape: Shape, rounds: int, hardware: Hardware, mlflow: bool) -> Cost:
    """Steps of the bare loop and of ours in turn, on copies of one model, which end as the same to the last bit.

    On CUDA they don't, as small differences grow; there they are compared after few steps.
    """
    start = model(shape).to(hardware.device)
    steps = shape.steps * (rounds + 1 + WARM)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        variants = [*MOST, *["logged, to MLflow"] * mlflow]
        trainers = {v: ours(deepcopy(start), shape, Path(folder) / v, steps, hardware) for v in variants}
        trainers["no callbacks"].callbacks = {}
        bare = Bare(start, trainers["logged"], shape.amp)
        loops: dict[str, Iterator[object]] = {"bare": bare.steps(), **{v: t.steps() for v, t in trainers.items()}}
        calls = {v: partial(take, loop, shape.steps) for v, loop in loops.items()}
        if mlflow:
            courier = MLflow("benchmark", tracking_uri=f"sqlite:///{folder}/mlflow.db", system_s=0)
            courier.start(Path(folder) / variants[-1])
            stack.callback(courier.finish, "FINISHED")
        for _ in range(WARM):
            for call in calls.values():
                call()
        early = largest(distance(start, trainer.model) for trainer in trainers.values())
        seconds = interleaved(calls, rounds, hardware.device, wall=mlflow)
        late = largest(distance(start, trainer.model) for trainer in trainers.values())
    most = {v: seconds["bare"].best / shape.steps + MOST.get(v, MOST["logged"]) for v in variants}
    difference = late if hardware.device.type == "cpu" else 0.0 if early <= DRIFT else early
    return Cost(f"trainer, {name}", "step", shape.steps, seconds, most, difference)


def take(loop: Iterator[object], steps: int) -> None:
    """Take some steps of a loop."""
    for _ in itertools.islice(loop, steps):
        pass


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
        data = TensorDataset(scenes.images, scenes.boxes[:, 0], scenes.points[:, 0])
        self.loader = DataLoader(data, like.plan.batch_size, sampler=Order(like))
        self.optimizer = optimizer(model)
        steps = like.progress.steps
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda i: Cosine()(Progress(i, steps, 1)))
        self.sum = torch.zeros((), device=like.hardware.device)

    def steps(self) -> Iterator[None]:
        """One pass over the data, a step whenever the next is asked for."""
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
            yield


def scene(image: Tensor, box: Tensor, point: Tensor) -> Batch:
    """A batch as the model reads it, of one person on each picture."""
    rows = torch.arange(len(image), device=image.device)
    size = rows.new_tensor([image.shape[2:]]).expand(len(image), -1)
    return Batch(SceneInputs(image, box, rows), SceneTargets(point, torch.ones_like(box[:, 0]), size), rows)


class OneLayer(nn.Module):
    """Pixels to a heatmap by one linear layer.

    Args:
        side: of picture and heatmap.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.layer = nn.Linear(3 * side * side, side * side)

    def forward(self, inputs: SceneInputs) -> ScenePrediction:
        """One heatmap for each picture, which has one person."""
        h, w = inputs.image.shape[-2:]
        return ScenePrediction(self.layer(inputs.image.flatten(1)).unflatten(1, (h, w)))


def model(shape: Shape) -> nn.Module:
    """One layer, or a GazeLLE that draws nothing at random, so that the answers of two loops can be compared."""
    torch.manual_seed(0)
    w = shape.width
    if not w:
        return OneLayer(shape.image)
    head = partial(HeatmapDecoder, width=w, heads=2, size=(shape.image // 2,) * 2, drop_path=0.0, inout=False)
    return GazeLLE(ConvViT([w // 4, w // 2, w], width=w, heads=2), head)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """The one of conf/optimizer/adamw.yaml."""
    return grouped(model, partial(torch.optim.AdamW, lr=1e-3, fused=True))


def ours(model: nn.Module, shape: Shape, folder: Path, steps: int, hardware: Hardware) -> Trainer:
    """Our trainer with what a run has beside it, ready for its one epoch."""
    folder.mkdir()
    callbacks: dict[str, Callback] = {"log": Log(), "progress": ProgressBar()}
    scenes = Scenes(shape.batch * steps, shape.image)
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
        epochs=1,
        batch_size=shape.batch,
        clip_norm=1.0,
        amp=shape.amp,
    )
    for callback in callbacks.values():
        callback.fit_start(made)
    return made


def distance(one: nn.Module, other: nn.Module) -> float:
    """Of all parameters together, relative to those of the first; 0 if each is the same to the last bit."""
    first, second = (nn.utils.parameters_to_vector(model.parameters()).detach() for model in (one, other))
    return float((first - second).norm() / first.norm())
