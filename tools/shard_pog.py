"""Writes a table again as shards of one size:  python tools/shard_pog.py source=data/pog out=data/pog_shards shard_mb=256"""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from gaze.explain import explained


@hydra.main(config_path="pkg://gaze.conf", config_name="shard_pog")
@explained
def main(cfg: DictConfig) -> None:
    """Copy the rows."""
    from gaze.recordings.shards import write_shards
    from gaze.synthesis.progress import progress_bar

    with progress_bar("rows") as progress:
        count = write_shards(cfg.source, cfg.out, cfg.shard_mb, cfg.group_rows, progress)
    print(f"{cfg.out}: {count} files; copy the folder into a bucket, and train with dataset.path=s3://BUCKET/FOLDER")


if __name__ == "__main__":
    main()
