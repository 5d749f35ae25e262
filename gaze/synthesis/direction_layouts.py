"""Files and labels of data sets of faces with 3D gaze, as GazeHub has them: where pictures lie and what a line says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch

from gaze.geometry import vector_to_pitch_yaw

FLIPPED = (-1.0, -1.0, 1.0)  # Gaze360's axes: x left, y up, z away
PEOPLE_PER_RECORDING = 8
CLUSTERS = 4
MILLIMETRES = 10.0  # in a cm


class Sample(NamedTuple):
    """What is known of one face. Vectors are in the project's camera frame."""

    split: str
    person: int  # of the split
    session: int  # of the person
    place: int  # among all samples of the person
    frame: int  # of the person; consecutive ones follow each other in time
    context: bool  # no sample, but a neighbour of samples
    gaze: Sequence[float]
    facing: Sequence[float]  # where the head faces, unit vector
    turn: Sequence[float]  # the head's rotation vector
    eyes_cm: Sequence[float]  # the point between the eyes


class Counted(NamedTuple):
    """How many images come before a sample, and how many recordings before its split."""

    images: int
    recordings: int


class Layout(ABC):
    """The form of one data set."""

    splits: tuple[str, ...]  # which it has
    most_people = 1_000_000
    header: str
    about: str  # for people who find the folder
    normalised = True  # must faces be as a camera sees them that turned to them?
    grey_eyes = True  # and with an even histogram
    mirrors = False  # every other sample of a person, which is then called one of the right eye

    @abstractmethod
    def pictures(self, sample: Sample, before: Counted) -> tuple[str, str, str]:
        """Face, left and right eye, relative to `Image`."""

    @abstractmethod
    def tables(self, sample: Sample) -> tuple[str, ...]:
        """The files with its line, relative to the root."""

    @abstractmethod
    def fields(self, sample: Sample, before: Counted) -> tuple[str, ...]:
        """What a line says after the three pictures."""

    def empty_tables(self, counts: Mapping[str, int]) -> tuple[str, ...]:
        """Files that are there even where no sample is in them."""
        return ()

    def mirrored(self, sample: Sample) -> bool:
        """Whether the pictures of this sample are mirrored."""
        return self.mirrors and sample.place % 2 == 1


class Gaze360(Layout):
    """Gaze360: recordings of several people, axes of its own, colour."""

    splits = ("train", "val", "test")
    header = "Face Left Right Origin 3DGaze 2DGaze"
    about = (
        "Layout and axes are those of Gaze360 in GazeHub: 3DGaze has x to the left, y up and z away from the camera,\n"
        "2DGaze is (yaw, pitch) in radians. Origin is recording, person and frame. Frames in unused.label are no samples\n"
        "but neighbours in time of samples; a number that is missing between two frames is a frame that the camera lost.\n"
    )
    normalised = False
    grey_eyes = False

    def pictures(self, sample: Sample, before: Counted) -> tuple[str, str, str]:
        folder = "unused" if sample.context else sample.split
        number = f"{before.images + 1}.jpg"
        return f"{folder}/Face/{number}", f"{folder}/Left/{number}", f"{folder}/Right/{number}"

    def tables(self, sample: Sample) -> tuple[str, ...]:
        return (f"Label/{'unused' if sample.context else sample.split}.label",)

    def fields(self, sample: Sample, before: Counted) -> tuple[str, ...]:
        recording = before.recordings + sample.person // PEOPLE_PER_RECORDING
        origin = f"rec_{recording:03d}/head/{sample.person % PEOPLE_PER_RECORDING:06d}/{sample.frame:06d}.jpg"
        turned = [a * b for a, b in zip(sample.gaze, FLIPPED, strict=True)]
        return origin, numbers(turned), yaw_pitch(sample.gaze)

    def empty_tables(self, counts: Mapping[str, int]) -> tuple[str, ...]:
        return tuple(f"Label/{name}.label" for name in (*self.splits, "unused"))


class Mpii(Layout):
    """MPIIFaceGaze: a file for each person; samples of the right eye are mirrored."""

    splits = ("train",)
    most_people = 100
    header = "Face Left Right Origin WhichEye 3DGaze 3DHead 2DGaze 2DHead Rmat Smat GazeOrigin"
    about = (
        "Layout is that of MPIIFaceGaze in GazeHub: a file for each person, which is a fold. 2DGaze and 2DHead are (yaw,\n"
        "pitch) in radians, 3DHead is a rotation vector. Every other sample is mirrored, gaze and head with it (GazeHub's\n"
        "own heads of such samples are wrong). The camera stands where normalisation would put it, so Rmat is 0 and Smat\n"
        "is 1. Gaze begins between the eyes: GazeOrigin, mm.\n"
    )
    mirrors = True

    def pictures(self, sample: Sample, before: Counted) -> tuple[str, str, str]:
        folder, number = f"p{sample.person:02d}", f"{sample.place + 1}.jpg"
        return f"{folder}/face/{number}", f"{folder}/left/{number}", f"{folder}/right/{number}"

    def tables(self, sample: Sample) -> tuple[str, ...]:
        return (f"Label/p{sample.person:02d}.label",)

    def fields(self, sample: Sample, before: Counted) -> tuple[str, ...]:
        origin = f"day{sample.session + 1:02d}/{sample.place + 1:04d}.jpg"
        return origin, "right" if self.mirrored(sample) else "left", *normalised_fields(sample)


class Eyediap(Layout):
    """EyeDiap: a file for each person and one for each of four clusters of people."""

    splits = ("train",)
    header = "Face Left Right metapath 3DGaze 3DHead 2DGaze 2DHead Rvec Svec GazeOrigin"
    about = (
        "Layout is that of EyeDiap in GazeHub: a file for each person, and in ClusterLabel one for each of the four folds.\n"
        "2DGaze and 2DHead are (yaw, pitch) in radians, 3DHead is a rotation vector, metapath is session and frame. The\n"
        "camera stands where normalisation would put it. Gaze begins between the eyes: GazeOrigin, mm.\n"
    )

    def pictures(self, sample: Sample, before: Counted) -> tuple[str, str, str]:
        folder, number = f"p{sample.person + 1}", f"{sample.place + 1}.jpg"
        return f"{folder}/face/{number}", f"{folder}/left/{number}", f"{folder}/right/{number}"

    def tables(self, sample: Sample) -> tuple[str, ...]:
        return f"Label/p{sample.person + 1}.label", f"ClusterLabel/Cluster{sample.person % CLUSTERS}.label"

    def fields(self, sample: Sample, before: Counted) -> tuple[str, ...]:
        return f"{sample.person + 1}_A_DS_M_{sample.frame}", *normalised_fields(sample)


LAYOUTS: Mapping[str, Layout] = {"gaze360": Gaze360(), "mpii": Mpii(), "eyediap": Eyediap()}


def normalised_fields(sample: Sample) -> tuple[str, ...]:
    """3DGaze 3DHead 2DGaze 2DHead, rotation and scale of the normalisation, and the origin in mm."""
    return (
        numbers(sample.gaze),
        numbers(sample.turn),
        yaw_pitch(sample.gaze),
        yaw_pitch(sample.facing),
        numbers((0, 0, 0)),
        numbers((1, 1, 1)),
        numbers([MILLIMETRES * v for v in sample.eyes_cm]),
    )


def numbers(values: Sequence[float]) -> str:
    """A field of several numbers."""
    return ",".join(f"{v:.6f}" for v in values)


def yaw_pitch(vector: Sequence[float]) -> str:
    """The field of a direction's angles in GazeHub's order."""
    pitch, yaw = vector_to_pitch_yaw(torch.tensor(vector, dtype=torch.float64)).tolist()
    return numbers((yaw, pitch))
