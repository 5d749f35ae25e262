"""Miniature data sets of faces, in GazeHub's layout and as their authors give them, from one set of true directions."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

PIXELS = 16
PEOPLE = ("p00", "p01")


def directions(count, seed=0):
    """Unit vectors in the camera frame, of which most look towards the camera."""
    gaze = np.random.default_rng(seed).normal(size=(count, 3)) * [0.3, 0.3, 0.2] + [0, 0, -1]
    return gaze / np.linalg.norm(gaze, axis=1, keepdims=True)


def pitch_yaw(gaze):
    """Angles written out anew, so that the reader's own formula is not its test."""
    return np.stack([np.arcsin(-gaze[:, 1]), np.arctan2(-gaze[:, 0], -gaze[:, 2])], axis=1)


def colour(number):
    """The colour that says which picture this is."""
    return (40 + 10 * number, 0, 200)


def picture(path, number, size=PIXELS):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (size, size), colour(number)).save(path)


def numbers(values):
    return ",".join(f"{value:.12g}" for value in np.asarray(values).reshape(-1))


def label(path, header, rows, newline="\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((newline.join([header, *rows]) + newline).encode())


def gazehub_gaze360(root, gaze, names=("train", "train", "train", "val", "test", "unused")):
    """One person per split: 2DGaze is (yaw, pitch), 3DGaze has x to the left and y up."""
    header, by_split = "Face Left Right Origin 3DGaze 2DGaze", {name: [] for name in names}
    for number, (name, vector) in enumerate(zip(names, gaze, strict=True)):
        person, face = sorted(set(names)).index("train" if name == "unused" else name), f"{name}/Face/{number + 1}.jpg"
        picture(root / "Image" / face, number)
        origin = f"rec_{person:03d}/head/{person:06d}/{number:06d}.jpg"
        angles = pitch_yaw(vector[None])[0, ::-1]
        eyes = f"{name}\\Left\\{number + 1}.jpg {name}\\Right\\{number + 1}.jpg"
        row = f"{face} {eyes} {origin} {numbers(vector * [-1, -1, 1])} {numbers(angles)}"
        by_split[name].append(row.replace("/Face/", "\\Face\\") + " ")  # back-slashes, and a blank at the end
    for name, rows in by_split.items():
        label(root / "Label" / f"{name}.label", header, rows, newline="\r\n")
    return root


def raw_gaze360(root, gaze, names=("train", "train", "train", "val", "test", "unused")):
    from scipy.io import savemat

    people = [sorted(set(names)).index("train" if name == "unused" else name) for name in names]
    recordings = np.array([f"rec_{number:03d}" for number in range(max(people) + 1)], dtype=object)
    for number, person in enumerate(people):
        picture(root / f"imgs/rec_{person:03d}/head/{person:06d}/{number:06d}.jpg", number)
    splits = ["train", "val", "test", "unused"]
    arrays = {
        "recordings": recordings[None],
        "recording": np.array([people]),
        "frame": np.arange(len(names))[None],
        "person_identity": np.array([people]),
        "person_head_bbox": np.tile([0.1, 0.2, 0.2, 0.2], (len(names), 1)),
        "person_face_bbox": np.tile([0.15, 0.25, 0.1, 0.05], (len(names), 1)),
        "gaze_dir": gaze * [-1, -1, 1],
        "split": np.array([[splits.index(name) for name in names]]),
    }
    root.mkdir(parents=True, exist_ok=True)
    savemat(root / "metadata.mat", arrays)
    return root


def gazehub_mpii(root, gaze, people=PEOPLE):
    """As many samples for each; every second one is of a right eye, mirrored."""
    header = "Face Left Right Origin WhichEye 3DGaze 3DHead 2DGaze 2DHead Rmat Smat GazeOrigin"
    each = len(gaze) // len(people)
    for number, person in enumerate(people):
        rows = []
        for n, vector in enumerate(gaze[number * each : (number + 1) * each]):
            picture(root / f"Image/{person}/face/{n + 1}.jpg", n)
            files = f"{person}/face/{n + 1}.jpg {person}/left/{n + 1}.jpg {person}/right/{n + 1}.jpg"
            angles = numbers(pitch_yaw(vector[None])[0, ::-1])
            side = "right" if n % 2 else "left"
            rows.append(
                f"{files} day01/{n:04d}.jpg {side} {numbers(vector)} 0,0,1 {angles} 0.3,-0.1 0.1,0,0 1,1,1.25 0,0,600"
            )
        label(root / f"Label/{person}.label", header, rows)
    return root


def raw_mpii(root, gaze, people=PEOPLE):
    root.mkdir(parents=True, exist_ok=True)
    each = len(gaze) // len(people)
    for number, person in enumerate(people):
        angles = pitch_yaw(gaze[number * each : (number + 1) * each])
        pixels = np.stack([np.broadcast_to(np.array(colour(n)[::-1])[:, None, None], (3, 8, 8)) for n in range(each)])
        with h5py.File(root / f"{person}.mat", "w") as file:
            file["Data/data"] = pixels.astype(np.float64)
            file["Data/label"] = np.concatenate([angles, np.tile([-0.1, 0.3], (each, 1)), np.zeros((each, 12))], axis=1)
    return root


def gazehub_xgaze(root, gaze, people=("subject0000", "subject0003", "subject0010")):
    each = len(gaze) // len(people)
    rows = []
    for number, person in enumerate(people):
        for n, angles in enumerate(pitch_yaw(gaze[number * each : (number + 1) * each])):
            face = f"{person}/{n:06d}.jpg"
            picture(root / "Image/train" / face, n)
            rows.append(f"{face} {numbers(angles)} 0.1,0.2 {person}.h5 {n} {n + 5} {numbers(np.eye(3))}")
    label(root / "Label/train.label", "face gaze head origin cam_index frame_index normmat", rows)
    label(
        root / "Label/test.label",
        "face head origin cam_index frame_index normmat",
        [f"subject0099/0.jpg 0,0 subject0099.h5 0 0 {numbers(np.eye(3))}"],
    )
    return root


def raw_xgaze(root, gaze, people=("subject0000", "subject0003", "subject0010")):
    (root / "train").mkdir(parents=True, exist_ok=True)
    each = len(gaze) // len(people)
    for number, person in enumerate(people):
        angles = pitch_yaw(gaze[number * each : (number + 1) * each])
        with h5py.File(root / f"train/{person}.h5", "w") as file:
            bgr = [np.broadcast_to(np.array(colour(n)[::-1], np.uint8), (8, 8, 3)) for n in range(each)]
            file["face_patch"] = np.stack(bgr)
            file["face_gaze"], file["face_head_pose"] = angles, np.tile([0.1, 0.2], (each, 1))
            file["face_mat_norm"] = np.tile(np.eye(3), (each, 1, 1))
            file["cam_index"], file["frame_index"] = np.arange(each)[:, None], np.arange(each)[:, None] + 5
    names = {"train": [f"{person}.h5" for person in people], "test": [], "test_person_specific": []}
    (root / "train_test_split.json").write_text(json.dumps(names))
    return root


def gazehub_eyediap(root, gaze, people=("p1", "p2", "p3", "p10"), clusters=False):
    header = "Face Left Right metapath 3DGaze 3DHead 2DGaze 2DHead Rvec Svec GazeOrigin"
    each, by_person = len(gaze) // len(people), {}
    for number, person in enumerate(people):
        rows = by_person[person] = []
        for n, vector in enumerate(gaze[number * each : (number + 1) * each]):
            picture(root / f"Image/{person}/face/{n}.jpg", n)
            files = f"{person}/face/{n}.jpg {person}/left/{n}.jpg {person}/right/{n}.jpg"
            angles = numbers(pitch_yaw(vector[None])[0, ::-1])
            rows.append(
                f"{files} {person[1:]}_A_DS_S_{15 * n} {numbers(vector)} 0,0,1 {angles} 0.3,-0.1 0,0,0 1,1,1 0,0,600"
            )
        label(root / f"Label/{person}.label", header, rows)
    for number in range(2 if clusters else 0):
        rows = [row for person in people[number::2] for row in by_person[person]]
        label(root / f"ClusterLabel/Cluster{number}.label", header, rows)
    return root


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
