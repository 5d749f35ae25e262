"""The world of scenes: several people in a room, each looking at something."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float32, Float64, UInt8
from torch import Tensor

from gaze.synthesis import palette
from gaze.synthesis.attention import Aims, Shares, aim, attend
from gaze.synthesis.camera import Camera
from gaze.synthesis.canvas import compose, evaluate
from gaze.synthesis.draws import Draws
from gaze.synthesis.figures import figures
from gaze.synthesis.labels import Label, labels
from gaze.synthesis.placement import Crowd, between, hang_pictures, place_objects, place_people, scatter_clutter
from gaze.synthesis.props import props
from gaze.synthesis.rooms import furnish, paint_room
from gaze.synthesis.scenes import Looks, People, Room, Scenes, Things

GRAIN_MARGIN = 32  # px: so far the noise of one picture may be shifted against that of another


class Exposure(NamedTuple):
    """What a camera does to a picture."""

    gain: float
    sigma: float  # of the noise, which is cut from one large piece
    x: int  # px, from 0 to GRAIN_MARGIN: where it is cut
    y: int


@dataclass(frozen=True)
class Stage:
    """A batch of scenes before anybody looks at anything."""

    camera: Camera
    room: Room
    crowd: Crowd
    objects: Things
    looks: Looks
    size: Float64[Tensor, "b"]  # radius of a head, fraction of the short side


class SceneWorld:
    """Synthetic scenes; each is a function of (seed, split, index) and of nothing else.

    Args:
        size: of the pictures in px: one number, or (height, width); at least 32.
        difficulty: 0: two people with large heads and three objects, all in sight, on plain walls. 1: up to
            six people with small heads and eight objects, occlusion, clutter, patterns, hard light, noise.
        people: fewest and most people; null leaves it to the difficulty.
        objects: fewest and most objects to look at; null likewise.
        head_radius: smallest and largest head radius as a fraction of the short side; null likewise.
        outside: share of people who look out of the frame.
        at_people: share of people who look at somebody else, where there is anybody.

    Raises:
        ValueError: an argument is out of range.
    """

    name = "scene"

    def __init__(
        self,
        size: int | Sequence[int] = 448,
        difficulty: float = 0.0,
        people: Sequence[int] | None = None,
        objects: Sequence[int] | None = None,
        head_radius: Sequence[float] | None = None,
        outside: float = 0.15,
        at_people: float = 0.25,
    ) -> None:
        if not 0 <= difficulty <= 1:
            raise ValueError(f"difficulty is {difficulty}; expected a number from 0 (easy) to 1 (hard)")
        d = difficulty
        self.height, self.width = _size(size)
        self.difficulty = difficulty
        self.people = _limits("people", people, (2, round(between(d, 2, 6))), 1, 12)
        self.objects = _limits("objects", objects, (3, round(between(d, 3, 8))), 1, 10)
        default = (between(d, 0.115, 0.04), between(d, 0.14, 0.08))
        self.head_radius = _limits("head_radius", head_radius, default, 0.02, 0.25)
        if min(outside, at_people) < 0 or outside + at_people > 1:
            raise ValueError(
                f"outside is {outside} and at_people is {at_people}; expected shares of 0 or more that add up to at most 1"
            )
        self.shares = Shares(outside, at_people)

    def parameters(self) -> dict[str, object]:
        """Everything that decides the scenes, with defaults filled in; for the record."""
        return {
            "size": [self.height, self.width],
            "difficulty": self.difficulty,
            "people": list(self.people),
            "objects": list(self.objects),
            "head_radius": list(self.head_radius),
            "outside": self.shares.outside,
            "at_people": self.shares.people,
        }

    def scenes(self, seed: int, split: str, indices: Sequence[int]) -> Scenes:
        """The 3D truth of some scenes of a split."""
        draws = self._draws(seed, split, indices)
        stage = self.stage(draws)
        return self.dress(draws, stage, self.attend(draws, stage, self.aim(draws, stage)))

    def stage(self, draws: Draws) -> Stage:
        """Rooms with people and objects in them, before anybody looks at anything."""
        d = self.difficulty
        size = self.head_radius[0] + (self.head_radius[1] - self.head_radius[0]) * draws.uniform(0, 1)
        camera, room = furnish(draws, self.height, self.width, size, d)
        crowd = place_people(draws, camera, room, size, self.people, d)
        objects = place_objects(draws, camera, room, crowd, size, self.objects, d)
        return Stage(camera, room, crowd, objects, _looks(draws, self.people[1], d), size)

    def aim(self, draws: Draws, stage: Stage) -> Aims:
        """Something to look at for everybody on a stage."""
        return aim(draws, stage.camera, stage.room, stage.crowd, stage.objects, self.shares, self.difficulty)

    def attend(self, draws: Draws, stage: Stage, aims: Aims) -> People:
        """The people of a stage, looking at it."""
        return attend(draws, stage.crowd, aims, stage.looks, self.difficulty)

    def dress(self, draws: Draws, stage: Stage, people: People) -> Scenes:
        """The scenes, with clutter on the floor and pictures on the wall."""
        camera, room, d = stage.camera, stage.room, self.difficulty
        return Scenes(
            camera=camera,
            room=room,
            people=people,
            objects=stage.objects,
            clutter=scatter_clutter(draws, camera, room, stage.size, round(9 * d)),
            pictures=hang_pictures(draws, camera, room, round(4 * d)),
        )

    def paint(self, scenes: Scenes) -> Iterator[Float32[Tensor, "3 H W"]]:
        """The scenes as a perfect camera sees them, 0 to 255, one after the other."""
        shapes = [*props(scenes), *figures(scenes)]
        for scene, patches in enumerate(evaluate(shapes, len(scenes.room.floor), self.height, self.width)):
            # One picture at a time stays in a core's cache.
            picture = paint_room(scenes.camera, scenes.room, scene)
            compose(picture, patches)
            yield picture

    def render(self, seed: int, split: str, indices: Sequence[int]) -> tuple[UInt8[Tensor, "b 3 H W"], list[Label]]:
        """Some pictures of a split, and a label for everybody in them.

        Args:
            seed: any integer; other seeds give other scenes.
            split: any name; splits share no scene.
            indices: numbers of scenes, 0 or more, in any order.
        """
        scenes = self.scenes(seed, split, indices)
        exposures = self.exposures(self._draws(seed, f"{split}/grain", indices))
        return self.expose(scenes, exposures), labels(scenes, list(indices))

    def expose(self, scenes: Scenes, exposures: Sequence[Exposure]) -> UInt8[Tensor, "b 3 H W"]:
        """The scenes as a real camera sees them."""
        images = torch.empty(len(exposures), 3, self.height, self.width, dtype=torch.uint8)
        grain = _grain(self.height, self.width)
        for image, picture, (gain, sigma, x, y) in zip(images, self.paint(scenes), exposures, strict=True):
            noise = grain[y : y + self.height, x : x + self.width]
            image.copy_(picture.mul_(gain).add_(noise * sigma + 0.5).clamp_(0, 255))
        return images

    def _draws(self, seed: int, split: str, indices: Sequence[int]) -> Draws:
        return Draws(seed, f"{self.name}/{split}", indices)

    def exposures(self, draws: Draws) -> list[Exposure]:
        """Gain and noise of each picture."""
        d = self.difficulty
        gain = draws.uniform(between(d, 0.97, 0.72), between(d, 1.03, 1.08))
        sigma = draws.uniform(between(d, 0.5, 1.0), between(d, 1.0, 7.0))
        corner = draws.integers(0, GRAIN_MARGIN, 2)
        x, y = corner.unbind(1)
        return list(map(Exposure, gain.tolist(), sigma.tolist(), x.tolist(), y.tolist()))


def _looks(draws: Draws, count: int, difficulty: float) -> Looks:
    return Looks(
        skin=draws.pick(palette.SKINS, count),
        hair=draws.pick(palette.HAIRS, count),
        cloth=draws.pick(palette.CLOTHS, count),
        trousers=draws.pick(palette.TROUSERS, count),
        iris=draws.pick(palette.IRISES, count),
        hair_style=draws.pick(torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 3]), count),
        eye_radius=draws.uniform(between(difficulty, 0.31, 0.25), between(difficulty, 0.34, 0.31), count),
    )


@lru_cache(maxsize=2)
def _grain(height: int, width: int) -> Float32[Tensor, "h w"]:
    """Noise of unit deviation, about normal: the sum of three uniform numbers."""
    shape = (height + GRAIN_MARGIN, width + GRAIN_MARGIN)
    a, b, c = Draws(0, "grain", [0]).uniform(-1, 1, 3, *shape)[0]
    return (a + b + c).float()


def _size(size: int | Sequence[int]) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 32 or max(height, width) > 4096:
        raise ValueError(f"size is {size}; expected px from 32 to 4096, one number or (height, width)")
    return height, width


def _limits(name: str, given: Sequence | None, default: tuple, least: float, most: float) -> tuple:
    if given is None:
        return default
    if len(given) != 2 or not least <= given[0] <= given[1] <= most:
        raise ValueError(f"{name} is {list(given)}; expected two numbers from {least} to {most}, the smaller one first")
    return given[0], given[1]
