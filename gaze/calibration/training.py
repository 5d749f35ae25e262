"""What calibrations that train something by AdamW have in common."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Training:
    """How something is trained on somebody's dots, and when that is offered.

    Args:
        lr: of AdamW, without decay.
        epochs, batch_size: passes over what is fitted, and how much of it for each step.
        needs: the fewest dots.
        offered: dots from which on it is among those that are chosen from; None: only by name.
        folds: into how many parts dots are divided to be left out; None: each is left out by itself.
        seed: of the order.

    Raises:
        ValueError: a setting makes no sense.
    """

    lr: float
    epochs: int = 15
    batch_size: int = 16
    needs: int = 1
    offered: int | None = None
    folds: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.lr <= 0 or self.epochs < 1 or self.batch_size < 1:
            raise ValueError(
                f"lr {self.lr}, epochs {self.epochs}, batch_size {self.batch_size}; expected all of them above 0"
            )
