"""Turns faces with 3D gaze into a table:  python tools/prepare_directions.py face=gaze360 face.root=FOLDER out=TABLE"""

from __future__ import annotations

import hydra
from omegaconf import DictConfig, OmegaConf

from gaze.explain import explained


@hydra.main(config_path="pkg://gaze.conf", config_name="prepare_directions", execution_whitelist=["gaze.faces.*"])
@explained
def main(cfg: DictConfig) -> None:
    """Look at every row, write those that can be used, and report."""
    from hydra.utils import instantiate

    from gaze.errors import UserError
    from gaze.faces.integrity import sentences
    from gaze.faces.preparation import prepare
    from gaze.signatures import problems
    from gaze.synthesis.progress import progress_bar

    plain = OmegaConf.to_container(cfg, resolve=True)
    options = {name: value for name, value in plain.items() if name not in ("face", "out", "data_root", "check_only")}
    found = list(problems(plain["face"], "face"))
    found += problems(
        {"_target_": "gaze.faces.preparation.prepare", "_partial_": True, **options}, "", ["gaze.faces.*"]
    )
    if found:
        raise UserError("; ".join(found))
    faces = instantiate(cfg.face, _convert_="object")
    made = {"face": plain["face"], "face_size": options["face_size"]}
    with progress_bar("faces") as progress:
        out = None if cfg.check_only else cfg.out
        report = prepare(faces, out, **options, made=made, progress=progress)
    for sentence in sentences(report):
        print(sentence)
    if report["severe"]:
        what = faces.root if out is None else f"the table in {out}"
        raise UserError(f"{len(report['severe'])} findings make {what} unfit to train on; mend what stands above")
    if out is not None:
        print(f"{out}: train on it with face@dataset.source=table dataset.source.root={out}")


if __name__ == "__main__":
    main()
