"""Heads whose colours say where they look and face, a model that paints any of them, and models that read the colours."""

from dataclasses import replace
from math import pi
from types import SimpleNamespace

import torch
from torch import nn

from gaze.datasets.dataset import Dataset
from gaze.geometry import pitch_yaw_to_vector
from gaze.head_frames import camera_gaze, camera_head
from gaze.head_views.pairs import drawn, index_pairs, targets_of
from gaze.redirection.targets import turns
from gaze.types import Batch, DirectionInputs, DirectionPrediction, FaceInputs, FacePrediction, FaceTargets

SIDE = 16  # px
WIDTH = 0.45  # of colours about grey
SEEDS = {"train": 1, "val": 2, "test": 3}
PEOPLE = {"train": 4, "val": 1, "test": 2}


def painted(inputs: FaceInputs, tint=0.0):
    """Left half: gaze in the camera frame. Right half: where the head faces, and below it who it is."""
    gaze, ahead = camera_gaze(inputs), pitch_yaw_to_vector(camera_head(inputs))
    colour = torch.stack([gaze, ahead, inputs.identity], 1) * WIDTH + 0.5 + tint
    colour = colour + ((colour * 255).round() / 255 - colour).detach()  # as a file has it
    image = colour.new_zeros(len(colour), 3, SIDE, SIDE)
    half = SIDE // 2
    parts = ((slice(None), slice(0, half)), (slice(0, half), slice(half, None)), (slice(half, None), slice(half, None)))
    for which, (rows, columns) in enumerate(parts):
        image[:, :, rows, columns] = colour[:, which, :, None, None]
    return image


class PaintedHeads(Dataset):
    """Heads of a few people before a camera; nobody is in two splits.

    Args:
        each: views of each person.
        reach: most pitch and yaw of gaze, radians.
    """

    def __init__(self, split, each=6, reach=0.4, root=None, image_size=SIDE):
        draws = torch.Generator().manual_seed(SEEDS[split])
        self.split, people = split, PEOPLE[split]
        self.person = torch.arange(people).repeat_interleave(each)
        n = len(self.person)
        # x right, y down, z away from the camera, 8 units in front of it
        view = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
        view[2, 3] = 8.0
        code = torch.rand(people, 3, generator=draws) * 1.6 - 0.8
        inputs = FaceInputs(
            gaze=(torch.rand(n, 2, generator=draws) * 2 - 1) * reach,
            identity=code[self.person],
            expression=torch.zeros(n, 2),
            pose=torch.zeros(n, 6),
            scale=torch.ones(n),
            world_to_camera=view.repeat(n, 1, 1),
            camera=torch.tensor([[50.0, 0, 8], [0, 50, 8], [0, 0, 1]]).repeat(n, 1, 1),
            sample=torch.full((n,), -1),
        )
        head = (torch.rand(n, 2, generator=draws) * 2 - 1) * 0.2
        shift = 0.1 * torch.randn(n, 3, generator=draws)
        self.inputs = replace(inputs, pose=torch.cat([turns(inputs, head), shift], 1))
        self.image = (painted(self.inputs) * 255).round().to(torch.uint8)

        self.labels = SimpleNamespace(gaze=self.inputs.gaze)
        self.views, self.row = {f"p{p}": each for p in range(people)}, torch.arange(each).repeat(people)

    def __len__(self):
        return len(self.person)

    def pairs(self, list_file=None, seed=0):
        targets = drawn(max(self.views.values()), seed) if list_file is None else targets_of("", "", 6, list_file)
        return index_pairs(self.person, self.row, self.views, targets, self.split)

    def name(self, index):
        return f"{self.split}/{self.group(index)}.h5#{index - int((self.person < self.person[index]).sum())}"

    def group(self, index):
        return f"{self.split}_subject{int(self.person[index])}"

    def sample(self, index, generator):
        inputs = self.inputs.map(lambda values: values[index])
        mask = torch.ones(SIDE, SIDE, dtype=torch.bool)
        left, right = torch.zeros_like(mask), torch.zeros_like(mask)
        left[:, : SIDE // 4], right[:, SIDE // 4 : SIDE // 2] = True, True
        one = inputs.map(lambda values: values[None])
        targets = FaceTargets(
            image=self.image[index],
            head_mask=mask,
            left_eye_mask=left,
            right_eye_mask=right,
            gaze=camera_gaze(one)[0],
            head=camera_head(one)[0],
            subject=self.person[index],
        )
        return Batch(inputs, targets, torch.tensor(index))


class Painter(nn.Module):
    """Paints what it is told.

    Args:
        stuck: looks straight ahead whatever it is told.
        tint: added to all colours.
    """

    def __init__(self, stuck=False, tint=0.0):
        super().__init__()
        self.stuck, self.tint = stuck, nn.Parameter(torch.tensor(tint))
        self.asked = []

    def forward(self, inputs: FaceInputs) -> FacePrediction:
        self.asked.append(len(inputs.gaze))
        told = replace(inputs, gaze=torch.zeros_like(inputs.gaze)) if self.stuck else inputs
        return FacePrediction(painted(told, self.tint))


class ColourReader(nn.Module):
    """Reads the gaze, or where the head faces, from the colours.

    Args:
        head: the head's direction.
        off: degrees of yaw that it is always wrong by.
    """

    def __init__(self, head=False, off=0.0):
        super().__init__()
        self.head, self.off = head, off * pi / 180
        self.scale = nn.Parameter(torch.tensor(WIDTH))

    def forward(self, inputs: DirectionInputs) -> DirectionPrediction:
        half = inputs.face.shape[-1] // 2
        part = inputs.face[..., :half, half:] if self.head else inputs.face[..., :half]
        x, y, z = ((part.mean((2, 3)) - 0.5) / self.scale).unbind(-1)
        turn = torch.tensor(self.off)
        return DirectionPrediction(
            torch.stack([turn.cos() * x + turn.sin() * z, y, turn.cos() * z - turn.sin() * x], -1)
        )
