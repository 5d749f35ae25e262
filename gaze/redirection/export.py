"""Redirected heads as a data set of faces with 3D gaze in GazeHub's layout, on which other models are trained."""

from __future__ import annotations

import csv
import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from gaze.datasets.dataset import Dataset
from gaze.errors import UserError
from gaze.geometry import angular_error, pitch_yaw_to_vector, vector_to_pitch_yaw
from gaze.hardware import Hardware
from gaze.head_frames import camera_gaze, camera_head
from gaze.redirection.draws import Draws
from gaze.redirection.rendering import photographs, render, to_bytes
from gaze.redirection.targets import Limits
from gaze.synthesis.direction_layouts import LAYOUTS, Counted, Sample
from gaze.synthesis.folders import recover, replacing
from gaze.synthesis.jpeg import save_jpeg
from gaze.types import Batch, DirectionInputs, FaceInputs, FaceTargets, collate

LAYOUT = LAYOUTS["gaze360"]
ABOUT, FACTS = "redirected.json", "faces.csv"
# Pictures of one source are no film: numbers of frames so far apart that no clip is made of them
APART = 1000
MADE = {True: "redirected", False: "original"}
README = (
    "Made by tools/redirect.py. Layout and axes are those of Gaze360 in GazeHub: 3DGaze has x to the left, y up and z away\n"
    "from the camera. Train on it with dataset=faces dataset.source.root=THIS_FOLDER, or beside pictures of a camera with\n"
    "dataset=faces_augmented. faces.csv says of each face what it was made from; redirected.json what made it.\n"
)


@dataclass
class FaceFolder:
    """A folder of faces that is being written.

    Args:
        root: the folder, which exists.
        people: numbers of people, shared by folders in which the same people are called alike; filled here.
    """

    root: Path
    people: dict[Hashable, int] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        split: str,
        picture: UInt8[Tensor, "3 H W"],
        inputs: FaceInputs,
        person: Hashable,
        source: str,
        redirected: bool,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Write one face.

        Args:
            inputs: of this face alone, without a batch axis: its gaze and pose are the label.
            source: name of the sample that it was made from.
            facts: more to say in faces.csv.
        """
        number = self.people.setdefault(person, len(self.people))
        place = len(self.rows)
        gaze = camera_gaze(inputs).double()
        ahead = pitch_yaw_to_vector(camera_head(inputs).double())
        sample = Sample(
            split, number, 0, place, place * APART, False, gaze.tolist(), ahead.tolist(), (0, 0, 0), (0, 0, 0)
        )
        before = Counted(images=place, recordings=0)
        face = LAYOUT.pictures(sample, before)[0]
        save_jpeg(picture, self.root / "Image" / face)
        # Eyes are not cut out: the columns name the face, and nothing of ours reads them
        line = " ".join([face, face, face, *LAYOUT.fields(sample, before)])
        (table,) = LAYOUT.tables(sample)
        self.lines.setdefault(table, []).append(line)
        angles = zip(
            (
                "pitch_deg",
                "yaw_deg",
                "head_pitch_deg",
                "head_yaw_deg",
                "gaze_in_head_pitch_deg",
                "gaze_in_head_yaw_deg",
            ),
            torch.cat([vector_to_pitch_yaw(gaze).float(), camera_head(inputs), inputs.gaze]).rad2deg().tolist(),
            strict=True,
        )
        told = {"face": face, "made": MADE[redirected], "person": str(person), "source": source}
        self.rows.append(told | {name: round(value, 4) for name, value in angles} | dict(facts or {}))

    def finish(self, about: Mapping[str, Any]) -> None:
        """Write the labels and what is known of the faces."""
        for table, lines in self.lines.items():
            path = self.root / table
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join([LAYOUT.header, *lines, ""]))
        with (self.root / FACTS).open("w", newline="") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(k for row in self.rows for k in row)), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
        (self.root / "attributes.csv").write_text(
            "\n".join(["face,made", *(f"{row['face']},{row['made']}" for row in self.rows), ""])
        )
        (self.root / ABOUT).write_text(json.dumps(dict(about), indent=2) + "\n")
        (self.root / "README.txt").write_text(README)


class Doubtful:
    """Labels that an estimator does not believe: those further from what it sees than some sigma.

    Args:
        estimator: a finished model of directions, on the device.
        sigma: sigma is the root mean square of all angles between estimate and label, so an error of the whole
            estimator shifts it and does not empty the set; 2 as in GazeGaussian's few-shot experiment.
    """

    def __init__(self, estimator: nn.Module, sigma: float = 2.0) -> None:
        self.estimator, self.sigma = estimator.eval(), sigma

    @torch.no_grad()
    def errors(
        self, image: Float[Tensor, "n 3 H W"], gaze: Float[Tensor, "n 3"], hardware: Hardware
    ) -> Float[Tensor, "n"]:
        """Angles from the labels, degrees."""
        said = self.estimator(DirectionInputs(hardware.place(image_record(image, self.estimator)).face)).gaze
        return angular_error(said.float().cpu(), gaze).rad2deg()

    def dropped(self, error_deg: Float[Tensor, "n"]) -> Bool[Tensor, "n"]:
        """Which are too far off; NaN is."""
        known = error_deg.nan_to_num(0.0)
        return ~(error_deg <= self.sigma * known.square().mean().sqrt())


def image_record(image: Float[Tensor, "n 3 H W"], estimator: nn.Module) -> DirectionInputs:
    """Pictures at the size that an estimator was trained on."""
    size = getattr(estimator, "face_size", None)
    if size is not None and tuple(image.shape[-2:]) != tuple(size):
        image = torch.nn.functional.interpolate(image, tuple(size), mode="bilinear", antialias=True).clamp(0, 1)
    return DirectionInputs(image)


def export_redirected(
    model: nn.Module,
    data: Dataset,
    indices: Sequence[int],
    folder: Path,
    draws: Draws,
    limits: Limits,
    hardware: Hardware,
    batch_size: int = 16,
    doubtful: Doubtful | None = None,
    people: dict[Hashable, int] | None = None,
    about: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    inputs: FaceInputs | None = None,
) -> tuple[int, int]:
    """Write redirected pictures of some samples as a training split; the folder appears when it is whole.

    Args:
        doubtful: drops pictures whose label it doubts.
        people: see `FaceFolder`.
        about: what redirected.json says beside the counts.
        inputs: fitted ones of these samples; None: the data set's.

    Returns:
        how many faces were written, and how many were dropped.

    Raises:
        UserError: the folder exists, or nothing is left.
    """
    refuse_existing(folder, overwrite)
    told: FaceInputs = collate([data[i].inputs for i in indices]) if inputs is None else inputs
    wanted = draws.targets(told, indices, limits)
    label = camera_gaze(wanted)
    number = draws.number
    with replacing(folder) as root:
        # Twice through the pictures would cost more than their files: they wait on the disk, as labels are judged together
        waiting, errors = root / "waiting", list[Tensor]()
        waiting.mkdir()
        for start in range(0, len(label), batch_size):
            rows = slice(start, start + batch_size)
            image = render(model, wanted.map(lambda t, rows=rows: t[rows]), hardware, batch_size)  # type: ignore[misc]
            if doubtful is not None:
                errors.append(doubtful.errors(image, label[rows], hardware))
            torch.save(to_bytes(image), waiting / f"{start}.pt")
        error = torch.cat(errors) if errors else None
        drop = torch.zeros(len(label), dtype=torch.bool) if error is None else doubtful.dropped(error)  # type: ignore[union-attr]
        if drop.all():
            raise UserError("the filter leaves nothing; raise export.filter.sigma, or leave export.filter.run out")
        faces = FaceFolder(root, {} if people is None else people)
        for start in range(0, len(label), batch_size):
            pictures = torch.load(waiting / f"{start}.pt")
            for row in (r for r in range(start, start + len(pictures)) if not drop[r]):
                index = indices[row // number]
                one = wanted.map(lambda t, row=row: t[row])  # type: ignore[misc]
                doubt = {} if error is None else {"estimator_error_deg": round(float(error[row]), 4)}
                faces.add("train", pictures[row - start], one, data.group(index), data.name(index), True, doubt)
            (waiting / f"{start}.pt").unlink()
        waiting.rmdir()
        counts = {"sources": len(indices), "faces": len(faces.rows), "dropped": int(drop.sum())}
        faces.finish({**counts, **(about or {})})
    return counts["faces"], counts["dropped"]


def export_originals(
    splits: Iterable[tuple[str, Dataset, Sequence[int]]],
    folder: Path,
    people: dict[Hashable, int] | None = None,
    about: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> dict[str, int]:
    """Write the photographs of some samples, on white, as they are: what redirected ones are trained beside.

    Args:
        splits: name of each split, what holds it, and the samples.

    Returns:
        how many faces each split has.
    """
    refuse_existing(folder, overwrite)
    counts = dict[str, int]()
    with replacing(folder) as root:
        faces = FaceFolder(root, {} if people is None else people)
        for split, data, indices in splits:
            counts[split] = len(indices)
            for index in indices:
                sample: Batch[FaceInputs, FaceTargets] = data[index]
                picture = to_bytes(photographs(sample.targets))
                faces.add(split, picture, sample.inputs, data.group(index), data.name(index), False)
        faces.finish({"faces": counts, **(about or {})})
    return counts


def refuse_existing(folder: Path, overwrite: bool) -> None:
    """Keep what is there.

    Raises:
        UserError: the folder holds something, and may not or must not be replaced.
    """
    recover(folder)
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / ABOUT).is_file():
        raise UserError(f"{folder} exists and was not written by this tool; choose another folder with out=")
    if not overwrite:
        raise UserError(
            f"{folder} holds redirected faces already; replace them with overwrite=true, or choose another out="
        )
