"""The records that travel from dataset to model to loss to metric, and the one notion of time.

Axes, used everywhere: ``b`` images, ``n`` heads (people), ``c`` channels, ``H W`` image pixels,
``h w`` heatmap or feature cells, ``a`` annotators, ``k`` tokens. Boxes are (x0, y0, x1, y1) and
points (x, y), both as fractions of the image. Images are RGB: uint8 until they are on the device,
float in [0, 1] from there on.

A scene batch is *packed*: it holds b images and n heads, and ``image_index`` says which image each
head belongs to. An image is decoded, augmented and encoded once, however many people are in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

R = TypeVar("R", bound="Record")
I = TypeVar("I", bound="Record")  # noqa: E741  (inputs)
T = TypeVar("T", bound="Record")


def packed(**kwargs: Any) -> Any:
    """A field with one row per head: `collate` concatenates it instead of stacking it."""
    return field(metadata={"collate": "pack"}, **kwargs)


def owner() -> Any:
    """A packed field that names the sample each row came from: `collate` renumbers it."""
    return field(metadata={"collate": "owner"})


@dataclass(frozen=True)
class Record:
    """A bundle of tensors, or of further records. Absent tensors are None."""

    def map(self: R, fn: Callable[[Tensor], Tensor]) -> R:
        """This record with `fn` applied to every tensor in it."""
        new: dict[str, Any] = {}
        for name in layout(type(self)):  # type: ignore[arg-type]
            value = getattr(self, name)
            new[name] = (
                fn(value) if isinstance(value, Tensor) else value.map(fn) if isinstance(value, Record) else value
            )
        return type(self)(**new)

    def to(self: R, device: torch.device | str) -> R:
        """This record on another device; asynchronous when the memory is pinned."""
        return self.map(lambda t: t.to(device, non_blocking=True))

    def float32(self: R) -> R:
        """This record with every floating-point tensor in float32; losses and metrics live there."""
        return self.map(lambda t: t.float() if t.is_floating_point() else t)

    def pin_memory(self: R) -> R:
        """This record in page-locked memory; torch's DataLoader calls it."""
        return self.map(Tensor.pin_memory)


@dataclass(frozen=True)
class Batch(Record, Generic[I, T]):
    """What a dataset yields: one sample without the batch axis, or many collated."""

    inputs: I
    targets: T
    index: Int[Tensor, "*b"]  # row in the dataset, for messages and per-sample state
    later: Record | None = None  # what is left of the augmentation, for `Dataset.finished`; see gaze/datasets/later.py


class Progress(NamedTuple):
    """The one notion of time. Schedules, losses and callbacks all read it."""

    step: int  # optimizer steps taken so far
    steps: int  # optimizer steps planned
    steps_per_epoch: int

    @property
    def fraction(self) -> float:
        """How much of training is done: 0 before the first step, 1 after the last."""
        return self.step / max(self.steps, 1)

    @property
    def epoch(self) -> int:
        """The epoch that the next step belongs to, from 0."""
        return self.step // self.steps_per_epoch


# --- Scenes: where in the picture does each person look? -------------------------------------


@dataclass(frozen=True)
class SceneInputs(Record):
    """Images and the heads in them. A head box of NaN means "no prompt": whoever is in the picture."""

    image: Shaped[Tensor, "*b 3 H W"]
    head_bbox: Float[Tensor, "n 4"] = packed()
    image_index: Int[Tensor, "n"] = owner()


@dataclass(frozen=True)
class SceneTargets(Record):
    """What annotators said about each head."""

    points: Float[Tensor, "n a 2"] = packed()  # one per annotator; NaN where there is none
    inout: Float[Tensor, "n"] = packed()  # 1 the gaze target is in the frame, 0 it is not, NaN unknown
    image_size: Int[Tensor, "n 2"] = packed()  # (height, width) in pixels of the original image


@dataclass(frozen=True)
class ScenePrediction(Record):
    """One heatmap per head, and whether the gaze target is in the frame; both logits."""

    heatmap: Float[Tensor, "n h w"]
    inout: Float[Tensor, "n"] | None = None


# --- Screens: where on the screen does the user look? ----------------------------------------


@dataclass(frozen=True)
class ScreenInputs(Record):
    """Crops of one user, and where they were cut from. Streams that a data set does not give are None.

    Left and right are the user's own: a camera that does not mirror shows the left eye on the image's right.
    """

    face: Shaped[Tensor, "*b 3 H W"] | None = None
    left_eye: Shaped[Tensor, "*b 3 Hl Wl"] | None = None
    right_eye: Shaped[Tensor, "*b 3 Hr Wr"] | None = None
    # (x, y, w, h) of face, left and right eye as fractions of the upright frame; NaN where unknown
    geometry: Float[Tensor, "*b 12"] | None = None
    landmarks: Float[Tensor, "*b l 2"] | None = None  # fractions of the upright frame; NaN where missing
    imu: Float[Tensor, "*b 9"] | None = None  # gravity (g), rotation rate (rad/s), user acceleration (g)
    imu_valid: Float[Tensor, "*b"] | None = None  # 1, or 0 where the device said nothing and `imu` is zero
    orientation: Int[Tensor, "*b"] | None = None  # of the interface, 1 to 4 as in gaze/geometry.py
    person: Int[Tensor, "*b"] | None = None  # row of what a model has learnt of this user; -1: nothing


@dataclass(frozen=True)
class ScreenTargets(Record):
    """The point that was looked at, and what is known of the screen, the user and the recording.

    Points are cm from the camera in the screen's plane, x right and y up as the user sees the device, or in another
    `unit`. Numbers for device, subject and fixation mean rows of the data set's `labels`; they are never inputs.
    """

    point: Float[Tensor, "*b 2"]
    screen_cm: Float[Tensor, "*b 2"] | None = None  # width, height as the user holds the device; NaN unknown
    screen_px: Float[Tensor, "*b 2"] | None = None
    centre: Float[Tensor, "*b 2"] | None = None  # of the screen, like `point`; NaN unknown
    orientation: Int[Tensor, "*b"] | None = None  # 1 to 4
    kind: Int[Tensor, "*b"] | None = None  # of device: a row of gaze.devices.KINDS; -1 unknown
    device: Int[Tensor, "*b"] | None = None
    subject: Int[Tensor, "*b"] | None = None
    fixation: Int[Tensor, "*b"] | None = None  # one (recording, dot); -1 where the dot is unknown
    origin: Float[Tensor, "*b 3"] | None = None  # midpoint of the eyes, cm in the camera frame; NaN unknown
    distance_cm: Float[Tensor, "*b"] | None = None  # of the eyes from the camera; NaN unknown
    gaze: Float[Tensor, "*b 3"] | None = None  # unit vector in the camera frame; NaN unknown
    unit: Int[Tensor, "*b"] | None = None  # of `point` and `centre`: a row of gaze.label_units.UNITS; -1 unknown
    # A second truth of a picture cut from two: its point, and the share of the loss that it is to have
    other_point: Float[Tensor, "*b 2"] | None = None
    other_share: Float[Tensor, "*b"] | None = None


@dataclass(frozen=True)
class ScreenPrediction(Record):
    """The estimated point of gaze, and what a head says beside it."""

    point: Float[Tensor, "*b 2"]  # cm, as in `ScreenTargets`
    unit_cm: Float[Tensor, "*b 2"] | None = None  # cm per unit of the standardised targets that are regressed
    features: Float[Tensor, "*b f"] | None = None  # of the layer before the last; personal calibration reads them
    projection: Float[Tensor, "*b p"] | None = None  # of `features` onto those of a teacher; in training only
    log_scale: Float[Tensor, "*b 2"] | None = None  # log of the Laplace distribution's b, in cm
    heatmap: Float[Tensor, "*b h w"] | None = None  # logits over a grid of the plane
    grid_cm: Float[Tensor, "*b 4"] | None = None  # x0, y0, x1, y1: what `heatmap` covers; y0 is the upper edge
    origin: Float[Tensor, "*b 3"] | None = None  # cm in the camera frame
    gaze: Float[Tensor, "*b 3"] | None = None  # unit vector in the camera frame


# --- Directions: which way does the person look, in 3D? --------------------------------------


@dataclass(frozen=True)
class DirectionInputs(Record):
    """A face, or a clip of t faces of one person, in order of time."""

    face: Shaped[Tensor, "*b 3 H W"]  # of a clip [*b t 3 H W]
    present: Bool[Tensor, "*b"] | None = None  # of a clip [*b t]: which exist; else it is the nearest


@dataclass(frozen=True)
class DirectionTargets(Record):
    """The gaze as a unit vector in the camera frame: x right, y down, z into the scene. Of a clip, that of its centre.

    The other facts are never inputs; numbers for subjects mean rows of the data set's `labels`.
    """

    gaze: Float[Tensor, "*b 3"]
    head: Float[Tensor, "*b 2"] | None = None  # pitch, yaw of the head, radians; NaN unknown
    subject: Int[Tensor, "*b"] | None = None


@dataclass(frozen=True)
class DirectionPrediction(Record):
    """The estimated direction, how sure a head is of it, and what the model says of itself."""

    gaze: Float[Tensor, "*b 3"]  # not necessarily of unit length
    concentration: Float[Tensor, "*b"] | None = None  # kappa of a von Mises-Fisher distribution about it
    spread: Float[Tensor, "*b 2"] | None = None  # standard deviations of pitch and of yaw, radians; see gaze.spreads
    bins: Float[Tensor, "*b 2 k"] | None = None  # logits of bins of pitch and of yaw
    features: Float[Tensor, "*b f"] | None = None  # that the head read
    steered: Float[Tensor, "*b 2 d"] | None = None  # tokens of f1 (context removed) and f2 (aligned with gaze)
    class_logits: Float[Tensor, "*b g"] | None = None  # scaled similarities to the prompts of the gaze bank
    class_angle: Float[Tensor, "g"] | None = (
        None  # of these prompts, from the picture's right to its top, radians; NaN: none
    )
    context_logits: Float[Tensor, "*b m"] | None = None  # the same for all other banks, one behind the other
    code: Int[Tensor, "*b"] | None = None  # number of the learned code that stands for the gaze
    # What the model asks to minimise beside its task, each a term of the loss of its own
    balance: Float[Tensor, ""] | None = None  # how unevenly experts are used
    router_z: Float[Tensor, ""] | None = None  # how large the logits of routers are
    commitment: Float[Tensor, ""] | None = None  # how far queries are from their codes
    prompt_shift: Float[Tensor, ""] | None = None  # how far prompts have moved from their texts, squared


# --- Faces: render this head with another gaze -----------------------------------------------


@dataclass(frozen=True)
class FaceInputs(Record):
    """What decides how a head looks in one view.

    Heads live in a canonical frame (x to the picture's right when seen from the front, y up, z out of the face), from
    which `pose` and `scale` take them to the world, and `world_to_camera` to the camera; see `gaze.head_frames`.
    """

    gaze: Float[Tensor, "*b 2"]  # pitch, yaw in the head's own frame, radians; (0, 0) is straight ahead
    identity: Float[Tensor, "*b i"]  # code of the person
    expression: Float[Tensor, "*b e"]  # code of what the face does
    pose: Float[Tensor, "*b 6"]  # rotation vector in radians, then translation in units of the world
    scale: Float[Tensor, "*b"]  # units of the world in one of the canonical frame
    world_to_camera: Float[Tensor, "*b 4 4"]
    camera: Float[Tensor, "*b 3 3"]  # matrix, px of the picture
    sample: Int[Tensor, "*b"]  # row of the per-sample corrections that the model stores; -1: none


@dataclass(frozen=True)
class PictureInputs(Record):
    """A picture to be encoded and drawn again."""

    image: Shaped[Tensor, "*b 3 H W"]


@dataclass(frozen=True)
class FaceTargets(Record):
    """The photograph to reproduce, and where in it are head and eyes; left and right as the picture shows them."""

    image: Shaped[Tensor, "*b 3 H W"]
    head_mask: Bool[Tensor, "*b H W"] | None = None
    left_eye_mask: Bool[Tensor, "*b H W"] | None = None
    right_eye_mask: Bool[Tensor, "*b H W"] | None = None
    landmarks: Float[Tensor, "*b l 3"] | None = None  # in the canonical frame; some vertices of the head behind them
    gaze: Float[Tensor, "*b 3"] | None = None  # unit vector in the camera frame
    head: Float[Tensor, "*b 2"] | None = None  # pitch, yaw of where the head faces, in the camera frame, radians
    subject: Int[Tensor, "*b"] | None = None


@dataclass(frozen=True)
class FacePrediction(Record):
    """The rendered view, what it was made of, and what the model asks to minimise beside its likeness.

    Images are RGB, about [0, 1]; raw ones are what is drawn before a neural renderer refines it.
    """

    image: Float[Tensor, "*b 3 H W"]
    alpha: Float[Tensor, "*b H W"] | None = None  # how much of a pixel the head covers, 0 to 1
    raw: Float[Tensor, "*b 3 H W"] | None = None
    face: Float[Tensor, "*b 3 H W"] | None = None  # all but the eyes, alone; in training only, as are the next
    face_raw: Float[Tensor, "*b 3 H W"] | None = None
    eyes: Float[Tensor, "*b 3 H W"] | None = None
    eyes_raw: Float[Tensor, "*b 3 H W"] | None = None
    wandered: Float[Tensor, "*b 3 H W"] | None = None  # the same head with another gaze, drawn at random
    wandered_gaze: Float[Tensor, "*b 3"] | None = None  # that gaze, in the camera frame
    latent: Float[Tensor, "*b z hz wz"] | None = None  # that the decoder of a VAE was given, scaled
    mean: Float[Tensor, "*b z hz wz"] | None = None  # of the latents that an encoder gives, not scaled
    log_variance: Float[Tensor, "*b z hz wz"] | None = None
    landmarks: Float[Tensor, "*b l 3"] | None = None  # the neutral ones, deformed by the codes; canonical frame
    depth: Float[Tensor, "*b h w"] | None = None  # expected depth in units of the world; 0 where there is nothing
    # Corrections of this very sample, added to what it was given
    identity_offset: Float[Tensor, "*b i"] | None = None
    expression_offset: Float[Tensor, "*b e"] | None = None
    camera_offset: Float[Tensor, "*b 6"] | None = None  # of `pose`
    # Scalars, each a term of the loss of its own
    deformation: Float[Tensor, ""] | None = None  # mean square of how far codes and pose move points
    surface_distance: Float[Tensor, ""] | None = None  # mean distance of neutral landmarks from the surface
    roughness: Float[Tensor, ""] | None = None  # mean square of the mesh's uniform Laplacian
    factor_cosine: Float[Tensor, ""] | None = None  # how parallel the embeddings of gaze, pose, ... are
    factor_overlap: Float[Tensor, ""] | None = None  # how much the subspaces overlap that read them
    factor_collapse: Float[Tensor, ""] | None = None  # how little they vary


# --- Collation ---------------------------------------------------------------------------------


def collate(samples: Sequence[R]) -> R:
    """The samples as one batch: stacked field by field, or packed where a field has rows per head.

    Raises:
        ValueError: a field is present in some samples and absent in others, or shapes disagree.
    """
    kind = type(samples[0])
    new: dict[str, Any] = {}
    for name, how in layout(kind).items():  # type: ignore[arg-type]
        values = [getattr(s, name) for s in samples]
        absent = sum(v is None for v in values)
        if absent == len(values):
            new[name] = None
        elif absent:
            raise ValueError(f"{kind.__name__}.{name} is missing in some samples of a batch and not in others")
        elif isinstance(values[0], Record):
            new[name] = collate(values)
        elif how == "owner":
            new[name] = torch.cat([torch.full_like(v, i) for i, v in enumerate(values)])
        elif how == "pack":
            new[name] = torch.cat(values)
        else:
            new[name] = _stack(kind.__name__, name, values)
    return kind(**new)


@cache
def layout(kind: type[Record]) -> dict[str, str]:
    """The fields of a record, and how each is collated; `dataclasses.fields` would look it up anew for every sample."""
    return {f.name: f.metadata.get("collate", "stack") for f in fields(kind)}


def _stack(record: str, name: str, values: list[Tensor]) -> Tensor:
    shapes = {v.shape for v in values}
    if len(shapes) > 1:
        raise ValueError(
            f"{record}.{name} has different shapes in one batch: {sorted(map(tuple, shapes))}; resize or crop to one"
        )
    if values[0].dtype == torch.uint8 and values[0].dim() > 2:
        # A decoded picture's channels are the innermost: stacked as they lie, ten times as fast as plane by plane
        turned = [v.movedim(-3, -1) for v in values]
        if all(v.is_contiguous() for v in turned):
            return torch.stack(turned).movedim(-1, -3)
    return torch.stack(values)
