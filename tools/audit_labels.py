"""Says which convention labels of gaze follow, and draws them:  python tools/audit_labels.py folder=data/gaze360"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from gaze.explain import explained
from gaze.trusted import TRUSTED


@hydra.main(config_path="pkg://gaze.conf", config_name="audit_labels", execution_whitelist=[*TRUSTED, "hydra.*"])
@explained
def main(cfg: DictConfig) -> None:
    """Print a verdict per check; write them as JSON, and arrows on faces as pictures. Ends with 1 if one contradicts."""
    from gaze.audit.auditing import audit
    from gaze.audit.reference import on_faces
    from gaze.audit.verdicts import WRONG
    from gaze.durable import write_text
    from gaze.pictures.sheet import save_picture
    from gaze.runs import build, load_model

    predict = None if cfg.run is None else on_faces(load_model(cfg.run), build(cfg.hardware), cfg.amp)
    audits = [audit(source, predict, cfg.most, cfg.faces, cfg.batch_size) for source in sources(cfg)]
    choice = HydraConfig.get().runtime.choices.dataset
    # Never beside raw data, which may be shared, or read-only
    name = Path(cfg.folder).resolve().name if cfg.folder is not None else None if cfg.dataset is None else choice
    out = Path(cfg.out or (f"outputs/audit/{name}" if name else f"{cfg.run}/audit"))
    out.mkdir(parents=True, exist_ok=True)
    for found in audits:
        print(f"{found.name}, {found.samples:,} samples")
        for verdict in found.verdicts:
            print(f"  {verdict}")
        if found.picture is not None:
            save_picture(found.picture, out / f"arrows_{found.name}.png")
    report = {"run": cfg.run, "audits": [found.record() for found in audits]}
    write_text(out / "audit.json", json.dumps(report, indent=2))
    wrong = [v for found in audits for v in found.verdicts if v.status == WRONG]
    print(
        f"{len(wrong)} of {sum(len(a.verdicts) for a in audits)} checks contradict; arrows and audit.json are in {out}"
    )
    sys.exit(1 if wrong else 0)


def sources(cfg: DictConfig):  # type: ignore[no-untyped-def]
    """Of the folder, or of the data set that is chosen, or of the run's own."""
    from gaze.audit.sources import open_folder, open_set
    from gaze.errors import UserError
    from gaze.run_data import dataset_node
    from gaze.runs import build, check, load_config, plain_config

    if cfg.folder is not None:
        if cfg.dataset is not None:
            raise UserError("both folder and dataset are given; give one of them")
        return open_folder(cfg.folder, cfg.kind, cfg.vector, cfg.angles, cfg.size_px)
    if cfg.dataset is None and cfg.run is None:
        raise UserError("nothing to audit is given; give folder=DIR of label files, or dataset=NAME")
    own = None if cfg.run is None else load_config(cfg.run).get("dataset")
    node = dataset_node(own and plain_config(own), cfg.dataset and plain_config(cfg.dataset), cfg.root)
    nodes = OmegaConf.create({"dataset": node})
    check(nodes)
    return open_set(build(nodes.dataset)(split=cfg.split))


if __name__ == "__main__":
    main()
