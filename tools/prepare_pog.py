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
    from gaze.recordings.making import make_table
    from gaze.signatures import problems
    from gaze.synthesis.progress import progress_bar

    plain = OmegaConf.to_container(cfg, resolve=True)
    found = [problem for name in BUILT for problem in problems(plain[name], name, CALLED)]
    if found:
        raise UserError("; ".join(found))
    reader, pictures, landmarker = (instantiate(cfg[name], _convert_="object") for name in BUILT)
    options = {name: value for name, value in plain.items() if name not in (*BUILT, "out", "data_root")}
    plan = {name: value for name, value in plain.items() if name not in ELSEWHERE}
    with progress_bar("recordings") as progress:
        report = make_table(reader, pictures, cfg.out, plan, landmarker=landmarker, progress=progress, **options)
    for finding in report["findings"]:
        print(f"{'ERROR' if finding['severe'] else 'note'}: {finding['message']}")
    dropped = sum(report["dropped"].values())
    print(
        f"{cfg.out}: {report['rows']:,} rows, {report['valid']:,} of them valid; {dropped:,} left out; see report.md there"
    )
    if report["failed"]:
        print(f"{len(report['failed'])} recordings can't be read; the same command tries them again")
    if any(finding["severe"] for finding in report["findings"]):
        raise UserError(f"{cfg.out} is written, but should not be trained on as it is; mend what stands above as ERROR")


if __name__ == "__main__":
    main()
