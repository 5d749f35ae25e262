"""Faces whose gaze can be read off: a bright spot lies where they look. Written as GazeHub's files are."""

import torch
from PIL import Image

from gaze.audit.evidence import KINDS, Evidence
from gaze.gaze_frames import CAMERA, YAW_PITCH
from gaze.geometry import pitch_yaw_to_vector
from gaze.types import DirectionPrediction

SIDE = 32


def people(count=60):
    """Gaze and head poses (pitch, yaw) of people before a laptop, radians."""
    draws = torch.Generator().manual_seed(0)
    head = torch.randn(count, 2, generator=draws).double() * torch.tensor([0.15, 0.25])
    eyes = torch.randn(count, 2, generator=draws).double() * torch.tensor([0.1, 0.15])
    return pitch_yaw_to_vector(head + eyes - torch.tensor([0.15, 0.0])), head


def evidence(kind="mpiifacegaze", gaze=None, head=None, **stored):
    """Labels that fit, but for what is given; heads come again where there is more gaze."""
    known_gaze, known_head = people()
    gaze = known_gaze if gaze is None else gaze
    head = known_head if head is None else head
    return Evidence(kind, KINDS[kind], gaze, head[torch.arange(len(gaze)) % len(head)], **stored)


def face(gaze):
    """A grey square with a spot at (x, y) of the gaze."""
    place = torch.arange(SIDE) + 0.5 - SIDE / 2
    x, y = (SIDE / 2 * gaze[:2]).tolist()
    spot = torch.exp(-((place[None] - x) ** 2 + (place[:, None] - y) ** 2) / 8)
    return (60 + 190 * spot).round().byte().expand(3, SIDE, SIDE)


def predict(faces):
    """A model that finds the spot."""
    weight = faces[:, 0].double() - 60
    place = 2 * (torch.arange(SIDE) + 0.5) / SIDE - 1
    x, y = ((weight.sum(axis) * place).sum(-1) / weight.sum((1, 2)) for axis in (1, 2))
    return DirectionPrediction(torch.stack([x, y, -(1 - x * x - y * y).clamp(min=0).sqrt()], -1))


def write(folder, header, vector=CAMERA, angles=YAW_PITCH, head=YAW_PITCH, pictures=True):
    """A file of labels with some of GazeHub's columns, and the faces."""
    gaze, heads = people()
    (folder / "Label").mkdir(parents=True)
    (folder / "Image" / "p00" / "face").mkdir(parents=True)
    lines = []
    for i, (one, turned) in enumerate(zip(gaze, heads, strict=True)):
        cells = {
            "Face": f"p00\\face\\{i + 1}.png",
            "Origin": f"day01/{i:04d}",
            "WhichEye": "left",
            "3DGaze": ",".join(f"{v:.9f}" for v in vector.stored(one)),
            "2DGaze": ",".join(f"{v:.9f}" for v in angles.stored(one)),
            "2DHead": ",".join(f"{v:.9f}" for v in head.stored(pitch_yaw_to_vector(turned))),
            "Smat": "1.0,1.0,1.1",
        }
        lines.append(" ".join(cells[name] for name in header.split()))
        if pictures:
            picture = face(one).permute(1, 2, 0).contiguous().numpy()
            Image.fromarray(picture).save(folder / "Image" / "p00" / "face" / f"{i + 1}.png")
    (folder / "Label" / "p00.label").write_text("\n".join([header, *lines, ""]))
    return folder
