"""Figures of parts are what an evaluation of that part alone would say."""

import json
import math

import pytest

from gaze.breakdown import as_dicts, break_down
from gaze.comparison import compare
from gaze.hardware import Hardware
from gaze.metrics.heatmap_auc import HeatmapAUC
from gaze.metrics.heatmap_distance import HeatmapDistance
from gaze.metrics.inout_precision import InoutPrecision
from gaze.metrics.vat import VAT
from gaze.subsets import SUBSETS, subsets
from gaze.types import collate
from tests.stubs.heads import Guess, Heads


@pytest.fixture(scope="module")
def whole():
    metrics = {"auc": HeatmapAUC(), "l2": HeatmapDistance(), "inout": InoutPrecision(), "vat": VAT()}
    return compare({"guess": Guess()}, Heads(), metrics, Hardware("cpu", workers=0), 5)


def test_each_part_has_the_figures_of_its_heads_evaluated_alone(whole):
    records = whole.records["guess"]
    found = break_down(records, whole.figures["guess"], list(SUBSETS), resamples=0)
    batch = collate([Heads()[i] for i in range(12)])
    prediction = Guess()(batch.inputs)
    parts = subsets(records, list(SUBSETS))
    assert [(p.kind, p.name) for p in found.parts] == [(p.kind, p.name) for p in parts]
    assert len(parts) == 8
    for part, told in zip(parts, found.parts, strict=True):
        expected = {}
        for metric in (HeatmapAUC(), HeatmapDistance(), InoutPrecision(), VAT()):
            metric.update(prediction.map(lambda t, m=part.mask: t[m]), batch.targets.map(lambda t, m=part.mask: t[m]))
            expected |= {key: float(value) for key, value in metric.compute().items()}
        assert told.heads == int(part.mask.sum())
        assert told.intervals == {}
        for name, value in told.figures.items():
            if name != "inout_accuracy":
                assert value == pytest.approx(expected[name], abs=1e-12)
        if part.kind == "inout":  # of one side alone, the precision is 1 or undefined, and says nothing
            assert "inout_ap" not in told.figures
            assert ("min_l2" in told.figures) == (part.name == "in")


def test_accuracy_of_in_and_out_is_by_the_sign_of_the_logit(whole):
    records = whole.records["guess"]
    parts = {p.name: p for p in break_down(records, {}, ["inout"], resamples=0).parts}
    assert parts["in"].figures["inout_accuracy"] == pytest.approx(
        float((records.inout_logit[records.inout == 1] > 0).double().mean())
    )
    assert parts["out"].figures["inout_accuracy"] == pytest.approx(
        float((records.inout_logit[records.inout == 0] <= 0).double().mean())
    )


def test_intervals_of_the_whole_are_of_its_own_figures_and_hold_them(whole):
    figures = whole.figures["guess"]
    found = break_down(whole.records["guess"], figures, ["head_size"], resamples=200)
    assert found.intervals.keys() == figures.keys() == {"auc", "avg_l2", "min_l2", "inout_ap", "vat_auc", "vat_l2"}
    for name, (low, high) in found.intervals.items():
        assert low < figures[name] < high
    for part in found.parts:
        for name, (low, high) in part.intervals.items():
            assert low <= part.figures[name] <= high
    assert found == break_down(whole.records["guess"], figures, ["head_size"], resamples=200)


def test_a_failed_prediction_shows_in_its_parts_and_in_no_interval():
    dataset = Heads()
    index = next(i for i, (_, targets) in enumerate(dataset.scenes) if targets.inout[0] == 1)
    broken = Guess(break_at=float(dataset.scenes[index][0].head_bbox[0, 0]))
    metrics = {"l2": HeatmapDistance(), "inout": InoutPrecision()}
    found = compare({"guess": broken}, dataset, metrics, Hardware("cpu", workers=0))
    told = break_down(found.records["guess"], found.figures["guess"], ["distance"], resamples=50)
    assert all(math.isnan(value) for value in found.figures["guess"].values())
    assert told.intervals == {}
    failed = [part for part in told.parts if math.isnan(part.figures["min_l2"])]
    assert len(failed) == 1
    assert "min_l2" not in failed[0].intervals
    assert all("min_l2" in part.intervals for part in told.parts if part is not failed[0])


def test_a_file_has_it_by_model_kind_and_name(whole):
    found = {"guess": break_down(whole.records["guess"], whole.figures["guess"], ["head_size", "inout"], resamples=20)}
    document = json.loads(json.dumps(as_dicts(found)))
    assert document["intervals"]["guess"]["min_l2"][0] < document["intervals"]["guess"]["min_l2"][1]
    small = document["subsets"]["guess"]["head_size"]["small"]
    assert small.keys() == {"heads", "from", "to", "figures", "intervals"}
    assert set(document["subsets"]["guess"]["inout"]) == {"in", "out"}
    assert as_dicts({}) == {}


def test_samples_that_belong_together_are_drawn_together(whole):
    """Clips of several frames: fewer independent things, so wider intervals; one clip alone says nothing."""
    records, figures = whole.records["guess"], whole.figures["guess"]

    def width(group):
        found = break_down(records, figures, resamples=400, group=group).intervals
        return {name: high - low for name, (low, high) in found.items()}

    assert width(lambda i: i) == width(lambda i: f"frame {i}")
    alone = break_down(records, figures, resamples=50, group=lambda i: "one clip").intervals
    assert all(math.isnan(low) and math.isnan(high) for low, high in alone.values()) or not alone
