"""What streaming costs: the order of an epoch of many samples, and shards read through the cache of a store."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from gaze.benchmark.clock import interleaved
from gaze.benchmark.result import Result
from gaze.loading import BatchPlan
from gaze.recordings.reading import RowReader
from gaze.recordings.sample import ScreenSample
from gaze.recordings.writer import ScreenWriter
from gaze.seeds import generator
from gaze.shard_order import ShardOrder
from gaze.stores.cache import Cache
from gaze.stores.pieces import PIECE, Pieces
from gaze.stores.places import Place, Remote
from gaze.stores.store import Found, Store

SHARD = 1024  # samples
BATCH = 256
FRAMES = 256
BYTES = {"face": 40_000, "left_eye": 6_000, "right_eye": 6_000}  # of the crops of a frame


def stream(rounds: int, samples: int = 4_000_000) -> Iterator[Result]:
    """Both measures. See `epoch_begun` and `shards_read`."""
    yield epoch_begun(rounds, samples)
    yield shards_read(rounds)


def epoch_begun(rounds: int, samples: int) -> Result:
    """From nothing to the first batch of an epoch, in the middle of it.

    The published way is torch's own sampler's: a permutation as a list. The fair peer keeps the tensor, and takes of it what
    it needs, as `BatchPlan` does where no stream is asked for. The difference says whether each of a small epoch's samples
    comes once.
    """
    bounds = torch.arange(0, samples + SHARD, SHARD).clamp(max=samples)
    middle = samples // BATCH // 2

    def published() -> None:
        order = torch.randperm(samples).tolist()
        order[middle * BATCH : (middle + 1) * BATCH]

    def begun(plan: BatchPlan) -> None:
        plan.start = middle
        next(iter(plan))

    def ours() -> None:
        begun(
            BatchPlan(samples, BATCH, order=lambda drawn: ShardOrder(bounds, drawn.initial_seed(), lanes=16, run=BATCH))
        )

    timings = interleaved(
        {"published": published, "fair": lambda: begun(BatchPlan(samples, BATCH)), "ours": ours},
        rounds,
        torch.device("cpu"),
    )
    few = torch.arange(0, 4096 + 64, 64)
    each_once = ShardOrder(few, 0, lanes=16, run=16)[0:4096].sort().values.equal(torch.arange(4096))
    return Result(
        name=f"epoch of {samples:,} begun in the middle",
        unit="epochs",
        units=1,
        timings=timings,
        goals={"ours": 100.0},
        difference=0.0 if each_once else 1.0,
        tolerance=0.0,
        limits={},
    )


def shards_read(rounds: int) -> Result:
    """Crops of face and eyes as rows, from a file here and from the pieces of a remote one that are in the cache already.

    So the ratio is what pieces, their checksums and those of the pages cost; a store's network is not in it.
    """
    columns = [f"{stream}_bytes" for stream in BYTES]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "shard.parquet"
        with ScreenWriter(file, dataset="benchmark", boxes="none") as writer:
            writer.write(_frames())
        cached = _cached(file, Path(folder) / "cache")
        megabytes = sum(map(len, _picture_like(0).values())) * FRAMES / 1e6

        def read(place: Place) -> list[object]:
            reader = RowReader(place, columns)
            return [reader.row(number) for number in range(FRAMES)]

        timings = interleaved(
            {"published": lambda: read(file), "ours": lambda: read(cached)}, rounds, torch.device("cpu")
        )
        same = read(file) == read(cached)
    return Result(
        name="pictures of a shard, from the cache instead of a file",
        unit="MB",
        units=megabytes,
        timings=timings,
        goals={"ours": 0.3},
        difference=0.0 if same else 1.0,
        tolerance=0.0,
        limits={},
    )


def _picture_like(frame: int) -> dict[str, bytes]:
    """For each stream bytes as many as a JPEG of it has, which like its own can't be made fewer."""
    draws = generator(frame)
    return {
        stream: torch.randint(256, (length,), dtype=torch.uint8, generator=draws).numpy().tobytes()
        for stream, length in BYTES.items()
    }


def _frames() -> Iterator[ScreenSample]:
    for frame in range(FRAMES):
        crops = _picture_like(frame)
        yield ScreenSample("benchmark", "nobody", "r", frame, split="train", **crops)  # type: ignore[arg-type]


def _cached(file: Path, folder: Path) -> Remote:
    """The file as one of a store that is never asked: all pieces are in the cache."""
    data = file.read_bytes()
    cache = Cache(folder, 100 * len(data))
    remote = Remote(Store("s3://nowhere/shard.parquet"), "nowhere/shard.parquet", cache, Found("", len(data), 0))
    pieces = Pieces(remote)
    for number in range(-(-len(data) // PIECE)):
        cache.put(pieces.key(number), data[number * PIECE : (number + 1) * PIECE])
    return remote
