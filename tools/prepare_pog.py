"""Turns recordings into a table:  python tools/prepare_pog.py recording=gazecapture recording.root=FOLDER out=data/gazecapture"""

from __future__ import annotations

import hydra
from omegaconf import DictConfig, OmegaConf

from gaze.explain import explained

CALLED = ["gaze.recordings.*", "gaze.landmarks.*"]
BUILT = ("recording", "pictures", "landmarker")
ELSEWHERE = (
    "data_root",
    "out",
    "lag_reach",
    "workers",
    "overwrite",
    "manifest",
    "devices",
)  # change no row, or by content


@hydra.main(config_path="pkg://gaze.conf", config_name="prepare_pog", execution_whitelist=CALLED)
@explained
def main(cfg: DictConfig) -> None:
    """Write what is missing of the table, validate it and report."""
    from hydra.utils import instantiate

    from gaze.errors import UserError
    from gaze.recordings.making import MEDIAPIPE, make_table
    from gaze.recordings.outcome import mistake, sentences
    from gaze.signatures import problems
    from gaze.synthesis.progress import progress_bar

    plain = OmegaConf.to_container(cfg, resolve=True)
    options = {name: value for name, value in plain.items() if name not in (*BUILT, "out", "data_root")}
    found = [problem for name in BUILT for problem in problems(plain[name], name, CALLED)]
    found += problems({"_target_": "gaze.recordings.making.make_table", "_partial_": True, **options}, "", CALLED)
    if found:
        raise UserError("; ".join(found))
    plan = {name: value for name, value in plain.items() if name not in ELSEWHERE}
    finds = cfg.landmarks == MEDIAPIPE
    settings = plain["landmarker"] or {}
    plan["landmarker"] = {key: value for key, value in settings.items() if key != "model"} if finds else None
    if "devices" in cfg.recording:  # one file of own devices, wherever it is given
        cfg.recording.devices = options["devices"] = cfg.recording.devices or cfg.devices
    reader, pictures = (instantiate(cfg[name], _convert_="object") for name in ("recording", "pictures"))
    landmarker = instantiate(cfg.landmarker) if finds else None
    with progress_bar("recordings") as progress:
        report = make_table(reader, pictures, cfg.out, plan, landmarker=landmarker, progress=progress, **options)
    for sentence in sentences(report):
        print(sentence)
    dropped = sum(report["dropped"].values())
    print(
        f"{cfg.out}: {report['rows']:,} rows, {report['valid']:,} of them valid; {dropped:,} left out; see report.md there"
    )
    wrong = mistake(report, cfg.out)
    if wrong is not None:
        raise UserError(wrong)


if __name__ == "__main__":
    main()
