"""MPIIFaceGaze as it is published: 15 people at their own laptops (Zhang et al., CVPRW 2017).

A line of `pXX/pXX.txt` has 28 fields: picture; gaze on the screen (px); corners of the eye on the picture's left, of
the other eye, of the mouth (px); head rotation (Rodrigues) and translation (mm); face centre and gaze target (mm), in
the camera frame; the eye that MPIIGaze's evaluation takes. `Calibration` has the screen's size and measured pose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gaze.errors import UserError
from gaze.geometry import camera_to_plane, vector_to_pitch_yaw
from gaze.recordings.files import RecordingError, existing_folder, read_text, upright_size
from gaze.recordings.folds import fold_of, people_in
from gaze.recordings.landmark_boxes import eye_boxes, face_box
from gaze.recordings.mpiifacegaze_files import SOURCE, Laptop, Lines, read_laptop, read_lines
from gaze.recordings.sample import ScreenSample

LABELS = ("camera_plane", "screen")


class MPIIFaceGaze:
    """One recording per person, whose frames are the lines of the annotation file.

    Args:
        root: holds the folders p00 to p14.
        label: where training's label counts from. `camera_plane`: the camera, with the screen's measured pose, as
            seen along the camera's axis. `screen`: the screen's top left, as the published errors in cm; equal
            errors, since it is as if the camera sat there, but people with other laptops don't share the label. Eyes and
            direction, which are in the real camera's frame, are left out: they don't meet in that label. The
            distance stays, so angles are approximate.
        fold: the person, from 0, who is the test split; null: everybody is in train.
        val_people: how many people after that one are validated on. The published protocol has none, 0.
        sample_lists: MPIIGaze's folder "Evaluation Subset/sample list for eye image": only its pictures are read,
            weighted by how often they are listed; null: all.
        max_label_error_cm: frames whose target in px and in the camera frame are further apart are refused.
    """

    dataset = "mpiifacegaze"
    boxes = "landmarks"
    finished_crops = False

    def __init__(
        self,
        root: str | Path,
        label: str = "camera_plane",
        fold: int | None = None,
        val_people: int = 0,
        sample_lists: str | Path | None = None,
        max_label_error_cm: float = 0.5,
    ) -> None:
        if label not in LABELS:
            raise UserError(f"label is {label!r}; expected one of {', '.join(LABELS)}")
        self.root = existing_folder(Path(root), "the folders p00 to p14", SOURCE)
        self.label = label
        self.people = people_in(self.root, "p[0-9]{2}", SOURCE)
        self.split = fold_of(self.people, fold, val_people)
        self.sample_lists = None if sample_lists is None else Path(sample_lists)
        self.max_label_error_cm = max_label_error_cm

    def recordings(self) -> list[str]:
        """The people."""
        return list(self.people)

    def read(self, recording: str) -> Iterator[ScreenSample]:
        """The frames of a person.

        Raises:
            RecordingError: a file is missing or damaged.
        """
        folder = self.root / recording
        laptop = read_laptop(folder / "Calibration")
        lines = read_lines(folder / f"{recording}.txt")
        listed = self._listed(recording, set(lines.picture))
        for at, picture in enumerate(lines.picture):
            if listed is None or picture in listed:
                sample = self._sample(recording, lines, at, laptop)
                yield sample if listed is None else replace(sample, weight=float(listed[picture]))

    def _sample(self, person: str, lines: Lines, at: int, laptop: Laptop) -> ScreenSample:
        picture, values = self.root / person / lines.picture[at], lines.values[at]
        common: dict[str, Any] = {
            "dataset": self.dataset,
            "subject": person,
            "recording": person,
            "frame": lines.number[at],
            "session": lines.picture[at].split("/")[0],
            "split": self.split[person],
            "picture": picture,
            "device_kind": "laptop",  # whose model nobody tells; its screen was measured
            "screen_px": laptop.screen_px,
            "screen_cm": _floats(laptop.screen_mm / 10),
            "attrs": {"evaluation_eye": lines.eye[at]},
        }
        if not np.isfinite(values).all():
            return ScreenSample(**common, valid=False, reject_reason="label is not finite")
        screen_mm = values[:2] * laptop.screen_mm / laptop.screen_px
        target_cm = laptop.in_camera_cm(screen_mm[None])[0]
        origin_cm, told_cm = values[20:23] / 10, values[23:26] / 10
        landmarks = values[2:14].reshape(6, 2)
        left, right = eye_boxes(landmarks)
        size = upright_size(picture)
        reason = None if size else "picture is missing or damaged"
        if np.linalg.norm(target_cm - told_cm) > self.max_label_error_cm:
            reason = f"targets in px and in the camera frame differ by more than {self.max_label_error_cm:g} cm"
        camera = laptop.camera
        # With the label on the screen the camera is taken to be at the screen's corner
        on_screen = self.label == "screen"
        plane_cm = screen_mm * (0.1, -0.1) if on_screen else camera_to_plane(torch.from_numpy(target_cm)).numpy()
        return ScreenSample(
            **common,
            valid=reason is None,
            reject_reason=reason,
            frame_size=size,
            face_box=face_box(landmarks),
            left_eye_box=left,
            right_eye_box=right,
            head_pose=values[14:20] / (1, 1, 1, 10, 10, 10),
            head_distance_cm=float(np.linalg.norm(origin_cm)),
            distance_source="estimated",  # by fitting a face model to the landmarks
            camera_K=(camera[0, 0], camera[1, 1], camera[0, 2], camera[1, 2]),
            cam_to_screen_cm=(0.0, 0.0) if on_screen else None,
            gaze_screen_px=_floats(values[:2]),
            gaze_screen_cm=_floats(screen_mm / 10),
            gaze_cam_cm=_floats(plane_cm),
            **({} if on_screen else _in_camera_frame(origin_cm, told_cm)),
        )

    def _listed(self, person: str, pictures: set[str]) -> Counter[str] | None:
        if self.sample_lists is None:
            return None
        path = self.sample_lists / f"{person}.txt"
        holds = "lines such as 'day01/0005.jpg left'"
        listed: Counter[str] = Counter()
        for number, line in enumerate(read_text(path, holds, "the MPIIGaze download").splitlines(), start=1):
            if not line.strip():
                continue
            picture = line.split()[0]
            if picture not in pictures:
                raise RecordingError(
                    f"{path}:line {number}: {picture} is not among the pictures of {person}; expected {holds} of "
                    "pictures in the annotation file; take list and pictures from the same release"
                )
            listed[picture] += 1
        return listed


def _in_camera_frame(origin_cm: np.ndarray, target_cm: np.ndarray) -> dict[str, Any]:
    gaze = (target_cm - origin_cm) / max(float(np.linalg.norm(target_cm - origin_cm)), 1e-9)
    return {
        "gaze_origin_cm": _floats(origin_cm),
        "gaze_vector": _floats(gaze),
        "gaze_pitchyaw": _floats(vector_to_pitch_yaw(torch.from_numpy(gaze)).numpy()),
    }


def _floats(values: np.ndarray) -> Any:
    return tuple(values.tolist())
