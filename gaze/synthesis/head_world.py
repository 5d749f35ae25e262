"""The world of heads: people whose heads, faces and eyes move, seen by one camera or by several at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from gaze.synthesis.head_anatomy import STYLE
from gaze.synthesis.head_renderer import HeadPictures, render_heads
from gaze.synthesis.head_shots import HeadHabits, HeadShots, draw_head_shots

SPLITS = ("train", "val", "test")
EYE_PITCH_RAD, EYE_YAW_RAD = 0.5, 0.8  # beyond these, lids hide the iris; human eyes reach about as far
MOST_FRAMES = 256  # the layout keeps the number of a frame in a byte
BACKGROUNDS = ("white", "random")


class HeadWorld:
    """Synthetic heads with known shape, codes and gaze; each is a function of (seed, split, person, row) alone.

    Args:
        size: of the pictures, px; at least 16.
        frames: moments of each person, for each split.
        cameras: 1 to 5 that see each moment at once, in a ring about the head; a person has frames * cameras pictures.
        ring_rad: how far the outermost cameras are from the one ahead.
        expressions: how many each person has, taken in turn; null: a new one in each frame.
        gaze_pitch_rad, gaze_yaw_rad: most, to each side, of eyes in the head, for each split.
        head_pitch_rad, head_yaw_rad, head_roll_rad: most of each component of the head's rotation vector.
        position: standard deviations of the head's place, x, y, z; a head is about 2 high.
        eye_scale: how much larger than in life eyes are, 1 to 1.6.
        principal_shift: most distance of the principal point from the middle, parts of the picture's side.
        background: white, or random: colours that change from picture to picture.
        code_noise: standard deviation of the numbers of codes that mean nothing; 0 leaves them zero.

    Raises:
        ValueError: an argument is out of range, eyes that would look beyond what eyes can do among them.
    """

    name = "heads"

    def __init__(
        self,
        size: int = 64,
        frames: Mapping[str, int] | None = None,
        cameras: int = 1,
        ring_rad: float = 0.4,
        expressions: int | None = None,
        gaze_pitch_rad: Mapping[str, float] | None = None,
        gaze_yaw_rad: Mapping[str, float] | None = None,
        head_pitch_rad: float = 0.25,
        head_yaw_rad: float = 0.5,
        head_roll_rad: float = 0.08,
        position: Sequence[float] = (0.05, 0.05, 0.10),
        eye_scale: float = STYLE,
        principal_shift: float = 0.0,
        background: str = "white",
        code_noise: float = 0.0,
    ) -> None:
        frames = dict(frames or {"train": 60, "val": 20, "test": 40})
        pitch = dict(gaze_pitch_rad or dict.fromkeys(SPLITS, 0.35))
        yaw = dict(gaze_yaw_rad or dict.fromkeys(SPLITS, 0.6))
        for what, given in (("frames", frames), ("gaze_pitch_rad", pitch), ("gaze_yaw_rad", yaw)):
            if set(given) != set(SPLITS):
                raise ValueError(f"{what} names {', '.join(given)}; expected {', '.join(SPLITS)}")
        _check_number("size", size, 16, 4096)
        _check_number("cameras", cameras, 1, 5)
        for split, count in frames.items():
            _check_number(f"frames.{split}", count, 1, MOST_FRAMES)
        if expressions is not None:
            _check_number("expressions", expressions, 1, min(frames.values()))
        _check_gaze("pitch", pitch, EYE_PITCH_RAD)
        _check_gaze("yaw", yaw, EYE_YAW_RAD)
        for what, angle, most in (
            ("ring_rad", ring_rad, 1.2),
            ("head_pitch_rad", head_pitch_rad, 0.8),
            ("head_yaw_rad", head_yaw_rad, 1.2),
            ("head_roll_rad", head_roll_rad, 0.8),
            ("principal_shift", principal_shift, 0.2),
            ("code_noise", code_noise, 1.0),
        ):
            _check_range(what, angle, 0, most)
        _check_range("eye_scale", eye_scale, 1, 1.6)
        if len(position) != 3 or not all(0 <= deviation <= 0.5 for deviation in position):
            raise ValueError(f"position is {list(position)}; expected three numbers from 0 to 0.5, for x, y and z")
        if background not in BACKGROUNDS:
            raise ValueError(f"background is {background!r}; expected {' or '.join(BACKGROUNDS)}")
        self.size, self.eye_scale = size, eye_scale
        self.habits = HeadHabits(
            frames=frames,
            cameras=cameras,
            ring_rad=ring_rad,
            expressions=expressions,
            gaze_pitch_rad=pitch,
            gaze_yaw_rad=yaw,
            head_pitch_rad=head_pitch_rad,
            head_yaw_rad=head_yaw_rad,
            head_roll_rad=head_roll_rad,
            position=(position[0], position[1], position[2]),
            principal_shift=principal_shift,
            background=background,
            code_noise=code_noise,
        )

    def parameters(self) -> dict[str, object]:
        """Everything that decides the pictures, with defaults filled in; for the record."""
        own = {**asdict(self.habits), "position": list(self.habits.position)}
        return {"size": self.size, "eye_scale": self.eye_scale, **own}

    def rows(self, split: str) -> int:
        """Pictures of each person."""
        return self.habits.frames[split] * self.habits.cameras

    def shots(self, seed: int, split: str, person: int, rows: Sequence[int]) -> HeadShots:
        """The truth of some pictures of a person of a split; splits share nobody."""
        return draw_head_shots(self.habits, self.size, seed, split, person, rows)

    def render(self, shots: HeadShots) -> HeadPictures:
        """The pictures."""
        return render_heads(shots.inputs, self.size, self.eye_scale, shots.background)


def _check_number(name: str, value: int, least: int, most: int) -> None:
    if not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name} is {value!r}; expected a whole number from {least} to {most}")


def _check_range(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name} is {value}; expected a number from {least:g} to {most:g}")


def _check_gaze(angle: str, values: Mapping[str, float], most: float) -> None:
    for split, value in values.items():
        if not 0 <= value <= most:
            raise ValueError(
                f"gaze_{angle}_rad.{split} is {value}, beyond what eyes can do; expected 0 to {most:g}: "
                "turn the head for more"
            )
