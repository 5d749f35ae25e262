"""Memory that did not suffice: how torch says it, and what to turn down."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

# Of torch's allocators of the host, which raise a plain RuntimeError
SIGNS = ("not enough memory", "can't allocate memory", "out of memory")
LESS = ("trainer.batch_size", "trainer.val_batch_size", "batch_size", "backbone.face_points", "model.feature_size")
ON = ("vae.recompute", "trainer.amp", "amp")  # what spares memory


def ran_out(error: BaseException) -> bool:
    """Does it say that memory, of the host or of a device, did not suffice?"""
    # By name: torch is not imported to print a help text
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)


def told(error: BaseException, config: DictConfig | None = None) -> str:
    """One sentence of it for a person, with the settings of this very config that spare memory.

    Args:
        config: of the entry; None: nothing is known of it.
    """
    said = next(iter(str(error).splitlines()), "") or type(error).__name__
    known = {key: OmegaConf.select(config, key) for key in (*LESS, *ON)} if config is not None else {}
    lower = [f"{key} (now {known[key]})" for key in LESS if isinstance(known.get(key), int)]
    switched = [f"{key}=true" for key in ON if known.get(key) is False]
    advice = [f"turn down {' or '.join(lower)}"] * bool(lower) + [f"set {' or '.join(switched)}"] * bool(switched)
    return (
        f"memory does not suffice ({said}); {', or '.join(advice) or 'take less at once, or a device with more memory'}"
    )
