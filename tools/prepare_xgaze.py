"""Unpacks and checks the archives of rendered head views:  python tools/prepare_xgaze.py source=FOLDER out=data/xgaze_render"""

from __future__ import annotations

import hydra
from omegaconf import DictConfig, OmegaConf

from gaze.explain import explained


@hydra.main(config_path="pkg://gaze.conf", config_name="prepare_xgaze")
@explained
def main(cfg: DictConfig) -> None:
    """Unpack what is missing, look at every file, write splits and pairs, and report."""
    from gaze.errors import UserError
    from gaze.head_views.preparation import prepare
    from gaze.signatures import problems
    from gaze.synthesis.progress import progress_bar

    plain = OmegaConf.to_container(cfg, resolve=True)
    options = {name: value for name, value in plain.items() if name not in ("source", "out", "kind", "data_root")}
    target = "gaze.head_views.preparation.prepare"
    found = list(problems({"_target_": target, "_partial_": True, "kind": cfg.kind, **options}, "", [target]))
    if found:
        raise UserError("; ".join(found))
    with progress_bar("MB") as progress:
        report = prepare(cfg.source, cfg.out, cfg.kind, **options, progress=progress)
    for sentence in report.sentences():
        print(sentence)
    if report.findings:
        do = "mend what stands above, or train without it: dataset.on_corrupt=skip"
        raise UserError(f"{report.findings} findings in {cfg.out}; {do}")
    print(f"{cfg.out}: choose it with dataset.root={cfg.out}")


if __name__ == "__main__":
    main()
