"""Miniature files of head views, all keys of the layout written from true heads by formulas of their own."""

from __future__ import annotations

import json

import h5py
import numpy as np
from scipy.spatial.transform import Rotation

PIXELS = 16
DISTANCE = 8.0
FLIP = np.diag([1.0, -1.0, -1.0])  # the world's y is up and its z towards the camera
CAMERA = np.array([[40.0, 0, 8], [0, 40, 8], [0, 0, 1]])  # px


class Person:
    """N views of one head: two cameras per frame.

    `gaze` is (pitch, yaw) as the files have it, positive pitch down; `landmarks` and `vertices` are canonical.
    """

    def __init__(self, seed=0, views=4, pixels=PIXELS, codes=251, vertices=200):
        draw = np.random.default_rng(seed)
        self.views, self.pixels = views, pixels
        self.gaze = draw.uniform(-0.4, 0.4, (views, 2))
        self.pose = np.concatenate([draw.uniform(-0.3, 0.3, (views, 3)), draw.normal(0, 0.1, (views, 3))], 1)
        self.scale = draw.uniform(0.9, 1.1, (views, 1))
        self.codes = draw.normal(size=(views, codes))
        self.landmarks = draw.normal(size=(views, 68, 3))
        self.vertices = draw.normal(size=(views, vertices, 3))
        self.turn = np.tile(FLIP, (views, 1, 1))
        self.shift = np.tile([0.0, 0.0, DISTANCE], (views, 1))
        self.camera = np.tile(CAMERA * [[pixels / PIXELS], [pixels / PIXELS], [1]], (views, 1, 1))
        self.bgr = draw.integers(0, 255, (views, pixels, pixels, 3), dtype=np.uint8)
        rows, columns = np.mgrid[:pixels, :pixels] * PIXELS // pixels
        head = (abs(rows - 7.5) < 6) & (abs(columns - 7.5) < 6)
        eyes = (rows > 5) & (rows < 9) & head
        self.head = np.tile(np.where(head, 255, 0).astype(np.uint8), (views, 1, 1))
        self.left = np.tile(np.where(eyes & (columns < 6), 255, 0).astype(np.uint8), (views, 1, 1))
        self.right = np.tile(np.where(eyes & (columns > 9), 255, 0).astype(np.uint8), (views, 1, 1))

    @property
    def rotation(self):
        return Rotation.from_rotvec(self.pose[:, :3]).as_matrix()

    def seen(self, canonical):
        """Points of the camera frame."""
        world = self.scale[:, :, None] * np.einsum("nij,npj->npi", self.rotation, canonical) + self.pose[:, None, 3:]
        return np.einsum("nij,npj->npi", self.turn, world) + self.shift[:, None]

    def arrays(self):
        c2w = self.turn.swapaxes(1, 2)
        axis = np.einsum("nij,njk->nik", self.turn, self.rotation) @ FLIP  # of the head's y-down frame, in the camera's
        ahead = axis[:, :, 2]
        count = np.arange(self.views, dtype=np.uint8)[:, None]
        seen = self.seen(self.landmarks)
        pixels = np.einsum("nij,npj->npi", self.camera, seen)
        return {
            "face_patch": self.bgr,
            "head_mask": self.head,
            "left_eye_mask": self.left,
            "right_eye_mask": self.right,
            "facial_landmarks": pixels[..., :2] / pixels[..., 2:],
            "facial_landmarks_3d": seen,
            "vertice": self.seen(self.vertices),
            "latent_codes": self.codes,
            "pose": self.pose,
            "scale": self.scale,
            "w2c_Rmat": self.turn,
            "w2c_Tvec": self.shift,
            "c2w_Rmat": c2w,
            "c2w_Tvec": -np.einsum("nij,nj->ni", c2w, self.shift),
            "inmat": self.camera,
            "inv_inmat": np.linalg.inv(self.camera),
            "pitchyaw_head": self.gaze,
            "face_head_pose": np.stack([np.arcsin(ahead[:, 1]), np.arctan2(ahead[:, 0], ahead[:, 2])], 1),
            "pitchyaw": np.zeros((self.views, 2)),
            "pitchyaw_3d": np.zeros((self.views, 3)),
            "cam_index": count % 2,
            "frame_index": count // 2,
        }


def write(path, person, **changes):
    """A file of a person; a change of None leaves the array out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, values in (person.arrays() | changes).items():
            if values is not None:
                chunk = (1, *np.shape(values)[1:])
                file.create_dataset(name, data=values, chunks=chunk, compression="lzf")
    return path


def listed(root, **splits):
    """The list of splits, of numbers of people."""
    root.mkdir(parents=True, exist_ok=True)
    names = {split: [f"subject{number:04d}.h5" for number in numbers] for split, numbers in splits.items()}
    (root / "train_test_split.json").write_text(json.dumps(names))
    return root


def heads(root, people=3, **options):
    """A folder of people, the last one to test on."""
    for number in range(people):
        write(root / f"subject{number:04d}.h5", Person(number, **options))
    return listed(root, train=range(people - 1), test=[people - 1])
