"""Heads, one by one: what is known of each and how good its prediction is."""

import pyarrow.parquet as pq
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gaze.comparison import compare
from gaze.evaluation import evaluate
from gaze.hardware import Hardware
from gaze.head_records import HeadRecorder, head_table, write_table
from gaze.metrics.heatmap_auc import HeatmapAUC
from gaze.metrics.heatmap_distance import HeatmapDistance
from gaze.metrics.inout_precision import InoutPrecision
from gaze.types import collate
from tests.stubs.heads import Guess, Heads
from tests.stubs.line import Line, Net, Seen

HARDWARE = Hardware("cpu", workers=0)


def metrics():
    return {"auc": HeatmapAUC(), "distance": HeatmapDistance(), "inout": InoutPrecision()}


def compared(dataset, model=None, batch_size=5):
    return compare({"guess": model or Guess()}, dataset, metrics(), HARDWARE, batch_size)


def test_heads_are_numbered_within_their_picture_whatever_the_batches():
    dataset = Heads()
    expected = [(i, head) for i in range(12) for head in range(1 + i % 3)]
    for batch_size in (1, 5, 12):
        records = compared(dataset, batch_size=batch_size).records["guess"]
        assert list(zip(records.index.tolist(), records.head.tolist(), strict=True)) == expected
        boxes = torch.cat([inputs.head_bbox for inputs, _ in dataset.scenes])
        assert torch.equal(records.head_bbox, boxes)


def test_each_head_has_the_figure_it_would_have_alone():
    dataset = Heads()
    records = compared(dataset).records["guess"]
    row = 0
    for inputs, targets in dataset.scenes:
        for head in range(len(inputs.head_bbox)):
            mine = slice(head, head + 1)
            here = type(targets)(targets.points[mine], targets.inout[mine], targets.image_size[mine])
            one = type(inputs)(inputs.image[None], inputs.head_bbox[mine], torch.zeros(1).long())
            for metric in (HeatmapAUC(), HeatmapDistance()):
                metric.update(Guess()(one), here)
                for name, value in metric.compute().items():
                    figure = records.figures[name]
                    kept = figure.value[row] if figure.counted[row] else torch.tensor(torch.nan).double()
                    torch.testing.assert_close(kept, value, equal_nan=True, atol=1e-12, rtol=0)
            row += 1


def test_figures_are_those_of_an_evaluation_without_records():
    plain = evaluate(Guess(), HARDWARE.loader(Heads(), batch_size=5), metrics(), HARDWARE)
    assert compared(Heads()).figures["guess"] == plain


def test_targets_are_the_mean_of_what_was_annotated():
    records = compared(Heads()).records["guess"]
    points = torch.cat([targets.points for _, targets in Heads().scenes])
    torch.testing.assert_close(records.target, points.nanmean(1), equal_nan=True)
    assert torch.equal(records.target.isnan().all(-1), records.inout == 0)


def test_other_tasks_have_figures_and_no_heads():
    found = compare({"net": Net()}, Line("val", 6), {"seen": Seen()}, HARDWARE)
    assert found.figures["net"]["seen"] == 6
    assert found.records == {}


class Waits(TorchDispatchMode):
    """Lists the operations whose result the host has to wait for."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket.__name__ in ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "bincount"):
            self.found.append(func)
        return func(*args, **(kwargs or {}))


def test_recording_never_waits_for_the_device():
    batch = collate([Heads()[i] for i in range(6)])
    prediction, recorder = Guess()(batch.inputs), HeadRecorder()
    with Waits() as waits:
        heads = HeatmapDistance("dark").heads(prediction, batch.targets)
        recorder.add(batch, prediction, heads)
    assert waits.found == []
    with waits:
        torch.ones(2).sum().item()
    assert waits.found


def test_the_table_tells_uncounted_heads_from_failed_ones(tmp_path):
    dataset = Heads()
    failed = next(i for i, (_, targets) in enumerate(dataset.scenes) if targets.inout[0] == 1)
    found = compared(dataset, Guess(break_at=float(dataset.scenes[failed][0].head_bbox[0, 0])))
    write_table(head_table(found.records, dataset.name), tmp_path / "heads.parquet")
    rows = pq.read_table(tmp_path / "heads.parquet").to_pylist()
    assert [file.name for file in tmp_path.iterdir()] == ["heads.parquet"]
    assert len(rows) == 24
    for row in rows:
        broken = (row["index"], row["head"]) == (failed, 0)
        assert row["image"] == f"room/{row['index']:02d}.png"
        assert (row["min_l2"] is None) == (row["inout"] == 0)
        assert (row["target_x"] is None) == (row["inout"] == 0)
        if row["min_l2"] is not None:
            assert (row["min_l2"] != row["min_l2"]) == broken
            assert (row["auc"] != row["auc"]) == broken
        assert (row["inout_accuracy"] != row["inout_accuracy"]) == broken
    assert str(found.figures["guess"]["min_l2"]) == "nan"
    kept = [r for r in rows if r["min_l2"] is not None and r["min_l2"] == r["min_l2"]]
    for row in kept:
        mean = (row["target_x"] - row["predicted_x"]) ** 2 + (row["target_y"] - row["predicted_y"]) ** 2
        assert row["avg_l2"] == pytest.approx(mean**0.5, abs=1e-6)


def test_models_share_one_table_by_name():
    records = compared(Heads()).records["guess"]
    table = head_table({"a": records, "b": records}, Heads().name)
    assert table["model"].to_pylist() == ["a"] * 24 + ["b"] * 24
    assert table.slice(0, 24).drop(["model"]) == table.slice(24).drop(["model"])
