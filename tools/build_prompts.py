"""Embeds texts for a CLIP tower, once:  python tools/build_prompts.py clip=vit_b32 out=data/prompts_vit_b32.safetensors"""

from __future__ import annotations

from pathlib import Path

import hydra
from omegaconf import DictConfig

from gaze.explain import explained
from gaze.trusted import TRUSTED


@hydra.main(config_path="pkg://gaze.conf", config_name="build_prompts", execution_whitelist=[*TRUSTED, "hydra.*"])
@explained
def main(cfg: DictConfig) -> None:
    """Check the banks, embed them, and write the file that prompts.weights names."""
    import torch

    from gaze.errors import UserError
    from gaze.prompts.bank import BankError, check_templates, digest, read_banks
    from gaze.prompts.building import build_file, open_clip_tower
    from gaze.runs import build, check, plain_config

    if cfg.source not in ("open_clip", "hash"):
        raise UserError(f"source is {cfg.source!r}; expected open_clip or hash")
    prompts = plain_config(cfg.prompts)
    try:
        banks = read_banks(prompts["banks"])
    except BankError as error:
        raise UserError(f"{error}{_place(error.bank, error.entry)}") from error
    check_templates(prompts["templates"])
    if "weights" in cfg.clip:
        cfg.clip.weights = None  # only its widths are asked for
    check(cfg)
    with torch.device("meta"):
        clip = build(cfg.clip)
    tower = open_clip_tower(clip.text_model) if cfg.source == "open_clip" else None
    out = Path(cfg.out)
    vectors = build_file(out, banks, prompts["templates"], clip.embed_width, tower)
    print(f"{out}: {sum(map(len, vectors.values()))} texts in {len(vectors)} banks, {clip.embed_width} wide, ", end="")
    print(f"sha256 of the prompts {digest(banks, prompts['templates'])}")


def _place(bank: str, entry: int) -> str:
    """The file and line of an entry, where the bank is a file of conf/prompts/bank."""
    import gaze.conf
    from hydra.core.hydra_config import HydraConfig

    from gaze.prompts.building import line_of

    choice = HydraConfig.get().runtime.choices.get(f"prompts/bank@prompts.banks.{bank}")
    file = Path(gaze.conf.__file__).parent / "prompts" / "bank" / f"{choice}.yaml"
    return f" ({file}:{line_of(file, entry)})" if file.is_file() else ""


if __name__ == "__main__":
    main()
