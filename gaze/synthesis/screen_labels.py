"""What is known of synthetic samples, as rows of the table of recordings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor

from gaze.devices import Device
from gaze.geometry import gaze_at_plane, screen_from_cm, turned_size, vector_to_pitch_yaw
from gaze.recordings.sample import ScreenSample
from gaze.synthesis.face_landmarks import landmarks_of
from gaze.synthesis.screen_sessions import Shots
from gaze.synthesis.screen_targets import FRAME_S

DATASET = "synth_v1"
CALIBRATION_SESSION = 0  # of each person: its dots are meant for personal calibration
BRIGHT, LOW, SIDEWAYS = 1.05, 0.7, 0.6  # light on a face, and how far to the side of it the lamp is


def screen_samples(
    shots: Shots,
    boxes: Float[Tensor, "b 3 4"],
    crops: Sequence[Sequence[bytes]],
    devices: Sequence[Device],
    split: str,
) -> list[ScreenSample]:
    """A record for each sample; `crops` are encoded pictures of faces, left eyes and right eyes."""
    columns = {**_screen(shots, devices), **_eyes(shots), **_boxes(shots, boxes), **_recording(shots, split)}
    columns |= dict(zip(("face", "left_eye", "right_eye"), crops, strict=True))
    columns["attrs"] = _attributes(shots)
    rows = ({name: values[i] for name, values in columns.items()} for i in range(len(boxes)))
    return [ScreenSample(dataset=DATASET, split=split, distance_source="measured", **row) for row in rows]


def _recording(shots: Shots, split: str) -> dict[str, Sequence[Any]]:
    persons, sessions = shots.person.tolist(), shots.session.tolist()
    subjects = [f"{split}_{person:05d}" for person in persons]
    closed = shots.closed.tolist()
    moving = (shots.dot < 0).tolist()
    seconds = [frame * FRAME_S for frame in shots.frame.tolist()]
    return {
        "subject": subjects,
        "recording": [f"{name}_s{session:03d}" for name, session in zip(subjects, sessions, strict=True)],
        "session": [f"s{session:03d}" for session in sessions],
        "frame": shots.frame.tolist(),
        "valid": [not shut for shut in closed],
        "reject_reason": ["eyes closed" if shut else None for shut in closed],
        "dot_index": [None if dot < 0 else dot for dot in shots.dot.tolist()],
        "is_calib_dot": [session == CALIBRATION_SESSION for session in sessions],
        "timestamp_s": [second if moves else None for second, moves in zip(seconds, moving, strict=True)],
    }


def _screen(shots: Shots, devices: Sequence[Device]) -> dict[str, Sequence[Any]]:
    screens = shots.screens
    own = [devices[i] for i in screens.device.tolist()]
    # A device without a number of pixels is taken to have 100 to the cm
    native = torch.tensor([d.screen_px or [round(100 * side) for side in d.screen_cm] for d in own])
    pixels = turned_size(native, screens.orientation)
    return {
        "device": [d.name for d in own],
        "device_kind": [d.kind for d in own],
        "orientation": screens.orientation.tolist(),
        "screen_px": _pairs(pixels),
        "screen_cm": _pairs(screens.size_cm),
        "cam_to_screen_cm": _pairs(screens.camera_cm),
        "gaze_screen_cm": _pairs(screens.gaze_cm),
        "gaze_screen_px": _pairs(screen_from_cm(screens.gaze_cm, pixels, screens.size_cm)),
        "gaze_cam_cm": _pairs(screens.point_cm),
    }


def _eyes(shots: Shots) -> dict[str, Sequence[Any]]:
    """The gaze from between the eyes, the head's pose and the camera."""
    faces = shots.faces
    gaze = gaze_at_plane(shots.screens.point_cm, faces.position)
    turn = torch.from_numpy(Rotation.from_matrix(faces.rotation.numpy()).as_rotvec())
    camera = torch.cat([faces.view.focal[:, None].expand(-1, 2), faces.view.centre], 1)
    return {
        "gaze_vector": _pairs(gaze),
        "gaze_pitchyaw": _pairs(vector_to_pitch_yaw(gaze)),
        "gaze_origin_cm": _pairs(faces.position),
        "head_pose": list(torch.cat([turn, faces.position], 1).numpy()),
        "head_distance_cm": faces.position.norm(dim=1).tolist(),
        "camera_K": _pairs(camera),
    }


def _boxes(shots: Shots, boxes: Float[Tensor, "b 3 4"]) -> dict[str, Sequence[Any]]:
    faces = shots.faces
    return {
        "frame_size": _pairs(faces.view.size.long()),
        "face_box": _pairs(boxes[:, 0]),
        "left_eye_box": _pairs(boxes[:, 1]),
        "right_eye_box": _pairs(boxes[:, 2]),
        "landmarks": list(landmarks_of(faces).float().numpy()),
    }


def _attributes(shots: Shots) -> list[dict[str, str]]:
    """Words for what a person would notice."""
    light = shots.faces.light
    strength = (light.ambient + light.diffuse) * shots.exposure.gain.mean(1)
    aside = light.toward[:, 0].abs() > SIDEWAYS
    return [
        {
            "glasses": "yes" if worn else "no",
            "illumination": "shadow" if side else "bright" if level > BRIGHT else "low" if level < LOW else "normal",
        }
        for worn, level, side in zip(
            shots.faces.subject.glasses.tolist(), strength.tolist(), aside.tolist(), strict=True
        )
    ]


def _pairs(values: Tensor) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in values.tolist()]
