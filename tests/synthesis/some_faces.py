"""A few faces with all that varies, for tests of what is rendered from them."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from gaze.geometry import vector_to_pitch_yaw
from gaze.synthesis.draws import Draws
from gaze.synthesis.face_subjects import draw_subjects
from gaze.synthesis.faces import Faces, Light, View, head_rotation
from gaze.synthesis.poses import unit

FRAME = torch.tensor([480.0, 640.0], dtype=torch.float64)


def some_faces(count: int = 8, seed: int = 0) -> Faces:
    draws = Draws(seed, "faces", range(count))
    subject = draw_subjects(draws, glasses=0.5)
    position = torch.cat([2 * draws.normal(2), draws.uniform(26, 42, 1)], 1)
    target = torch.cat([draws.uniform(-8, 8, 1), draws.uniform(0, 15, 1), torch.zeros(count, 1).double()], 1)
    pose = 0.4 * vector_to_pitch_yaw(target - position) + math.radians(6) * draws.normal(2)
    toward = torch.stack([draws.uniform(-1, 1), draws.uniform(-1.2, 0.3), -draws.uniform(0.3, 1.2)], -1)
    size = FRAME.expand(count, 2)
    return Faces(
        subject=subject,
        view=View(torch.full((count,), 560.0, dtype=torch.float64), size / 2, size),
        light=Light(unit(toward), draws.uniform(0.35, 0.75), draws.uniform(0.25, 0.8)),
        rotation=head_rotation(pose[:, 0], pose[:, 1], subject.roll),
        position=position,
        target=target,
        pupil=draws.uniform(0.15, 0.32),
        aperture=draws.uniform(0.8, 1.1),
        background=draws.uniform(0, 1, 3),
    )


def mirrored(faces: Faces) -> Faces:
    """What a mirror beside the camera shows."""
    flip = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    return replace(
        faces,
        rotation=flip[:, None] * faces.rotation * flip,
        position=faces.position * flip,
        target=faces.target * flip,
        light=replace(faces.light, toward=faces.light.toward * flip),
        subject=replace(faces.subject, kappa_asymmetry=-faces.subject.kappa_asymmetry),
    )


def rolled(faces: Faces, quarters: int) -> Faces:
    """What the camera sees when the picture is to appear turned so many quarters counter-clockwise."""
    angle = torch.tensor(-quarters * math.pi / 2, dtype=torch.float64)
    turn = torch.eye(3, dtype=torch.float64)
    turn[:2, :2] = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    view = faces.view
    if quarters % 2:
        view = replace(view, centre=view.centre.flip(1), size=view.size.flip(1))
    return replace(
        faces,
        view=view,
        rotation=turn @ faces.rotation,
        position=faces.position @ turn.T,
        target=faces.target @ turn.T,
        light=replace(faces.light, toward=faces.light.toward @ turn.T),
    )
