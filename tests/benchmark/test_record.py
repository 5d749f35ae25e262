"""What a benchmark leaves behind."""

import io
import json
import math

import pytest
import torch
from hydra import compose, initialize_config_module
from PIL import Image

from gaze.benchmark import command
from gaze.benchmark import machine as machines
from gaze.benchmark.clock import Timing
from gaze.benchmark.machine import Limits, machine, measured
from gaze.benchmark.picture import costs_picture, ratios_picture
from gaze.benchmark.record import Record, rows_of
from gaze.benchmark.result import Cost, Result, largest
from gaze.benchmark.step_speed import Stack, steps
from gaze.benchmark.suite import Workload, run, workloads
from gaze.errors import UserError
from gaze.hardware import Hardware
from gaze.runs import plain_config

LIMITS = Limits({"float32": 1e11, "bfloat16": 2e11}, 2e10, 800.0)
TIMES = {"published": Timing(6.0, 8.0, 0.1), "fair": Timing(3.0, 3.0), "fast": Timing(2.0, 4.0, 0.25)}
COST = Cost("a step", "step", 1, {"bare": Timing(2.0, 2.0), "ours": Timing(3.0, 3.0)}, {"ours": 2.5})


def work(ours=2.0):
    times = {**TIMES, "fast": Timing(ours, 4.0, 0.25)}
    return Result("work", "people", 4, times, {"fast": 2.5}, 1e-6, 1e-5, {"fast": 0.4})


def suite(*results):
    return {"work": Workload("pog", lambda: iter(results))}


def test_rows_are_kept_with_the_machine_its_limits_a_table_and_pictures(tmp_path, capsys):
    record = Record(tmp_path / "a", {"processor": "P"}, LIMITS, {"rounds": 3})
    run(suite(work(), COST), ["pog"], record)
    kept = json.loads((tmp_path / "a" / "benchmark.json").read_text())
    assert kept["machine"] == {"processor": "P"}
    assert kept["limits"]["products"] == LIMITS.products
    (row,), (cost,) = kept["results"], kept["costs"]
    assert (row["system"], row["key"], row["ratio"], row["published_ms"]) == ("pog", "work", 3.0, 1500.0)
    assert (row["spread"], row["before"], cost["more_ms"]) == (0.25, None, 1000.0)
    table = (tmp_path / "a" / "benchmark.md").read_text()
    assert "| work | fast | 2 people | 3.00 (2.00) | 2.5 | 1.5 | 40% | 25% | 1.0e-06 |" in table
    assert "| a step | ours | 3000 (3000) | 2.5e+03 | 2000 | 1e+03 | 50.0% (50.0%) | 0% | TOO LONG |" in table
    assert {file.name for file in (tmp_path / "a").iterdir()} == {
        "benchmark.json",
        "benchmark.md",
        "ratios.png",
        "costs.png",
    }
    assert "work, fast: 3.00 x" in capsys.readouterr().out


def test_an_earlier_run_stands_beside_and_is_never_written_over(tmp_path):
    run(suite(work()), ["work"], Record(tmp_path / "a", {}, LIMITS, {}))
    earlier = rows_of(tmp_path / "a" / "benchmark.json")
    record = Record(tmp_path / "b", {}, LIMITS, {}, earlier)
    run(suite(work(ours=1.0), COST), ["work"], record)
    assert [(row["ratio"], row["before"]) for row in record.results] == [(6.0, 3.0)]
    assert record.costs[0]["before"] is None
    assert "| 6.00 (2.00) | 3 |" in (tmp_path / "b" / "benchmark.md").read_text()
    with pytest.raises(UserError, match="holds the figures of an earlier run; give another folder as out="):
        Record(tmp_path / "a", {}, LIMITS, {})
    for text in ("[]", '{"results": [{"ours": "fast"}], "costs": []}', ""):
        (tmp_path / "c.json").write_text(text)
        with pytest.raises(UserError, match=r"before=.*c.json: .*expected the benchmark.json of an earlier benchmark"):
            rows_of(tmp_path / "c.json")


def test_bytes_are_not_told_as_times(tmp_path):
    times = {"published": Timing(600.0, 600.0), "columns": Timing(100.0, 100.0)}
    record = Record(tmp_path / "a", {}, LIMITS, {})
    record.add("shared", "labels", Result("labels", "rows", 10, times, {}, 0.0, 0.0, {}, quantity="bytes"))
    (row,) = record.results
    assert (row["bytes"], row["published_bytes"], row["ratio"]) == (10.0, 60.0, 6.0)
    assert not {"ms", "per_second"} & set(row)
    record.close()
    assert "| 10 bytes each |" in (tmp_path / "a" / "benchmark.md").read_text()


def test_a_difference_that_is_no_number_is_not_small():
    assert math.isnan(largest([0.0, math.nan, 1.0]))
    assert largest([0.0, 2.0, 1.0]) == 2.0
    assert not Result("w", "u", 1, TIMES, {}, largest([0.0, math.nan]), 1.0, {}).rows()[0]["same"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["only=trian"], "only=['trian']: no such workload"),
        (["rounds=0"], "rounds is 0; expected 1 or more"),
        (["device=cuda:9"], "use device=cpu"),
        (
            ["only=[steps]", "+steps.mine.model=pog_tiny"],
            "steps.mine has model; expected system, overrides, world, batch, compiled",
        ),
        (["before=nowhere.json"], "before=nowhere.json: "),
    ],
)
def test_what_can_not_be_measured_is_a_sentence_before_anything_is(words, sentence, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "measured", lambda *given: pytest.fail("measured"))
    with initialize_config_module("gaze.conf"):
        config = compose("benchmark", overrides=[*words, f"out={tmp_path}"])
    with pytest.raises(UserError) as told:
        command.measure(config)
    assert sentence in str(told.value)


def test_rows_that_came_before_a_failure_are_kept(tmp_path):
    def broken():
        yield work()
        raise UserError("gone")

    with pytest.raises(UserError, match="gone"):
        run({"work": Workload("pog", broken)}, ["work"], Record(tmp_path / "a", {}, LIMITS, {}))
    assert (tmp_path / "a" / "ratios.png").is_file()
    assert len(json.loads((tmp_path / "a" / "benchmark.json").read_text())["results"]) == 1


def test_bars_grow_with_the_rows_and_hold_any_figures(tmp_path):
    record = Record(tmp_path / "a", {}, LIMITS, {})
    for ours in (2.0, 12.0, 1e-3):
        record.add("gazelle", "work", work(ours))
        record.add("shared", "work", COST)
    sizes = [Image.open(io.BytesIO(ratios_picture(record.results[:n]))).size for n in (1, 3)]
    assert sizes[0][0] == sizes[1][0]
    assert sizes[0][1] < sizes[1][1]
    assert Image.open(io.BytesIO(costs_picture(record.costs))).size == sizes[1]


def test_limits_are_measured_and_the_machine_has_no_name(monkeypatch):
    monkeypatch.setattr(machines, "COPIED", 2**16)
    limits = measured(Hardware("cpu"), rounds=1)
    assert all(rate > 0 for rate in (*limits.products.values(), limits.copying, limits.decoding))
    assert next(name for name, _ in limits.rows()) == "matrix products in float32"
    facts = machine(Hardware("cpu"))
    assert facts["torch"] == torch.__version__
    assert facts["processor"]
    assert "host" not in facts


@pytest.mark.parametrize("preset", ["full", "quick", "gpu"])
def test_each_preset_names_what_there_is(preset):
    with initialize_config_module("gaze.conf"):
        config = plain_config(compose("benchmark", overrides=[f"benchmark={preset}"]))
    stacks = {name: Stack(**stack) for name, stack in config["steps"].items()}
    every = workloads(lambda: pytest.fail("nothing is built"), (64, 64), {}, Hardware("cpu"), 1)
    known = {*every, *(w.system for w in every.values()), *(["steps"] if stacks else [])}
    assert set(config["only"]) <= known
    assert {stack.system for stack in stacks.values()} in (set(), {"gazelle", "pog", "gazeformer", "gazegaussian"})


def test_a_stack_takes_the_steps_of_its_trainer_in_both_formats():
    with initialize_config_module("gaze.conf"):
        stack = Stack(**plain_config(compose("benchmark", overrides=["benchmark=quick"]))["steps"]["pog_tiny"])
    stack = Stack(stack.system, stack.overrides, [*stack.world[:4], "world.frames.train=2", "world.frames.val=2"], 2)
    found = list(steps({"pog": stack}, 1, Hardware("cpu"), LIMITS.products))
    assert [result.name for result in found] == ["pog, training step of 2", "pog, prediction of 2"]
    assert all(row["same"] and row["ratio"] > 0 and row["limit_share"] > 0 for r in found for row in r.rows())
    with pytest.raises(UserError, match=r"^steps.bad: .*Could not find 'model/nothing'"):
        list(steps({"bad": Stack("pog", ["model=nothing"], stack.world, 2)}, 1, Hardware("cpu"), LIMITS.products))
