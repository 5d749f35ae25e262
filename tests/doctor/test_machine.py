"""Machines that are too small, and environments that are half set."""

from __future__ import annotations

import shutil
from collections import namedtuple

import pytest
from omegaconf import OmegaConf

from gaze.doctor import machine, surroundings
from gaze.doctor.case import Case
from tests.doctor.conftest import lines, only

Usage = namedtuple("Usage", "total used free")


def case(**config) -> Case:
    return Case(config=OmegaConf.create(config))


def test_more_workers_and_threads_than_cores(monkeypatch):
    monkeypatch.setattr(machine, "cores_to_use", lambda: 4.0)
    assert only(machine.processor, case(hardware={"workers": 4}))[0] == "ok"
    found = lines(machine.processor, case(hardware={"workers": 8, "threads": 6}))
    assert [f.level.value for f in found] == ["warning", "warning"]
    assert found[0].said.endswith("hardware.workers=3")
    assert found[1].said.endswith("hardware.threads=4")


def test_limits_of_a_container_count(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    for name, text in {
        "cpu.max": "50000 100000",
        "memory.max": "1000000000",
        "memory.current": "400000000",
        "memory.stat": "anon 1\ninactive_file 100000000\n",
    }.items():
        (tmp_path / name).write_text(text)
    assert machine.cores_to_use() == 0.5
    assert machine.memory_to_use() == (700_000_000, 1_000_000_000)
    assert only(machine.memory)[1] == "only 700 MB of 1 GB free; end other programs before you train"


def test_memory_that_is_promised_to_caches(monkeypatch):
    monkeypatch.setattr(machine, "memory_to_use", lambda: (6e9, 8e9))
    asked = {"feature_cache": {"_target_": "x", "gigabytes": 8.0}}
    level, said = only(machine.memory, case(callback=asked))
    assert level == "warning"
    assert "takes up to 8 GB, and 6 GB are free; lower gigabytes" in said
    assert only(machine.memory, case(callback={"feature_cache": {"gigabytes": 8.0}}))[0] == "ok"  # it is not chosen
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    level, said = only(machine.memory, case(callback=asked, hardware={"distributed": True}))
    assert "takes up to 32 GB in 4 replicas, and 6 GB are free" in said
    on_disk = {"feature_cache": {"_target_": "x", "gigabytes": 8.0, "dir": "features"}}
    assert only(machine.memory, case(callback=on_disk))[0] == "ok"


def test_shared_memory_for_workers(monkeypatch):
    monkeypatch.setattr(machine, "batch_bytes", lambda case: 20e6)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(64e6, 0, 64e6))
    level, said = only(machine.shared_memory, case(hardware={"workers": 2}))
    assert level == "problem"
    assert said == f"2 workers keep 80 MB there, and 64 MB are free; {machine.SHARED_REMEDY}"
    assert only(machine.shared_memory, case(hardware={"workers": 1}))[0] == "ok"
    assert lines(machine.shared_memory, case(hardware={"workers": 0})) == []


@pytest.mark.parametrize(
    ("free", "need", "level"),
    [(50e9, 1e9, "ok"), (2.5e9, 1e9, "warning"), (0.5e9, 1e9, "problem"), (0.5e9, None, "warning")],
)
def test_disk_for_checkpoints(monkeypatch, tmp_path, free, need, level):
    monkeypatch.setattr(machine, "checkpoint_bytes", lambda case: need)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1e12, 0, free))
    found = only(machine.disk, case(dir=str(tmp_path / "new" / "run")))
    assert found[0] == level
    assert level == "ok" or found[1].endswith("delete old runs, or choose another place with dir=")


def test_few_open_files(monkeypatch):
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, 4096))
    assert only(machine.open_files) == ("warning", "a process may open 256; expected 1024 or more: ulimit -n 4096")


@pytest.fixture
def bare(monkeypatch):
    for name in (*surroundings.REPLICA, "OMP_NUM_THREADS", "GAZE_DATA", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_torchruns_variables_are_all_there_or_none(bare):
    assert lines(surroundings.replicas) == []
    bare.setenv("WORLD_SIZE", "2")
    level, said = only(surroundings.replicas)
    assert level == "warning"
    assert said.startswith("WORLD_SIZE set, but not RANK, LOCAL_RANK")
    assert said.endswith("unset WORLD_SIZE")
    for name in surroundings.REPLICA:
        bare.setenv(name, "0")
    assert lines(surroundings.replicas) == []


@pytest.mark.parametrize(
    ("name", "value", "level", "said"),
    [
        ("OMP_NUM_THREADS", "many", "warning", "it is 'many' on"),
        ("OMP_NUM_THREADS", "100000", "warning", "or unset it"),
        ("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1", "problem", "unset TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"),
        ("GAZE_DATA", "/no/such/folder", "warning", "set it to the folder of the data sets"),
    ],
)
def test_variables_that_can_not_be_meant(bare, name, value, level, said):
    assert lines(surroundings.variables) == []
    bare.setenv(name, value)
    found = only(surroundings.variables)
    assert found[0] == level
    assert said in found[1]


def test_encodings_other_than_utf8(monkeypatch):
    monkeypatch.setattr(surroundings.locale, "getpreferredencoding", lambda _: "ISO-8859-1")
    assert only(surroundings.encoding) == (
        "warning",
        "texts are ISO-8859-1 instead of UTF-8; names may break: export PYTHONUTF8=1",
    )


def test_clocks_that_disagree(monkeypatch, tmp_path):
    there = case(dir=str(tmp_path))
    assert lines(surroundings.clock, there) == []
    real = surroundings.time.time
    monkeypatch.setattr(surroundings.time, "time", lambda: real() + 60)
    level, said = only(surroundings.clock, there)
    assert level == "warning"
    assert "-60 s off this machine's clock" in said
    monkeypatch.setattr(surroundings.time, "time", lambda: 0.0)
    assert "it says 1970-01-01" in lines(surroundings.clock, there)[0].said
    assert list(tmp_path.iterdir()) == []
