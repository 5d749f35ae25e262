"""Replicas: two processes on one machine equal one process, whatever hardware a run began and goes on with."""

import json
import shutil

import pytest
import torch
from torch import nn

from gaze.checkpoints import Checkpoints
from gaze.hardware import Hardware
from gaze.manifests import CheckpointError, verify, write_manifest
from gaze.replicas import first_host, place
from tests.stubs.line import Net
from tests.stubs.pair import run_pair
from tests.stubs.replicas import everything, flat, train, trainer_of, unit_names


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """The folder in which one process and two replicas trained, and what each of the two says."""
    folder = tmp_path_factory.mktemp("replicas")
    train(folder / "one-cut", Hardware(device="cpu", workers=0), cut=True)
    return folder, run_pair(everything, folder)


@pytest.fixture(scope="module")
def alone(asked):
    """The same run in one process."""
    return train(asked[0] / "alone", Hardware(device="cpu", workers=0))


RUNS = ["ddp", "fsdp", "one-ddp", "one-fsdp", "ddp-ddp", "ddp-fsdp", "fsdp-ddp", "fsdp-fsdp"]


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS)
def test_two_replicas_equal_one_process(asked, alone, run):
    first, second = (told[run] for told in asked[1])
    assert first == second
    assert first["open"] == 2  # the frozen block thawed in epoch 1
    assert first["validated"]["seen"] == 17  # an odd number: each counted once, none padded
    assert first["validated"] == pytest.approx(alone["validated"], abs=1e-6)
    for what in ("weights", "average"):
        assert torch.allclose(torch.tensor(first[what]), torch.tensor(alone[what]), rtol=0, atol=1e-6), what
    assert first["weights divided"] == (["DTensor"] if run.endswith("fsdp") else ["Parameter"])


@pytest.mark.fault("R4")
@pytest.mark.slow
@pytest.mark.parametrize("before", ["ddp", "fsdp"])
def test_one_process_goes_on_with_what_two_began(asked, alone, before):
    folder, _ = asked
    shutil.copytree(folder / f"{before}-cut", folder / f"{before}-one")
    rest = train(folder / f"{before}-one", Hardware(device="cpu", workers=0))
    assert torch.allclose(torch.tensor(rest["weights"]), torch.tensor(alone["weights"]), rtol=0, atol=1e-6)
    assert torch.allclose(torch.tensor(rest["average"]), torch.tensor(alone["average"]), rtol=0, atol=1e-6)


@pytest.mark.slow
def test_the_best_of_divided_weights_is_one_file_that_anybody_loads(asked):
    folder, told = asked
    assert sorted(p.name for p in Checkpoints(folder / "fsdp" / "best").newest().iterdir()) == [
        "manifest.json",
        "model.safetensors",
        "state.pt",
    ]
    model = Net(dropout=0.0)
    for layer in model.backbone.layers:
        layer[0] = nn.Identity()
    Checkpoints(folder / "fsdp" / "best").load(model)
    assert flat(model) == pytest.approx(told[0]["fsdp"]["average"], abs=1e-6)


@pytest.mark.slow
def test_gradients_are_added_up_once_in_a_step_however_many_passes_it_has(asked):
    for told in asked[1]:
        assert told["ddp reductions"][0] == told["ddp reductions"][1] > 0
        assert told["fsdp reductions"][0] == told["fsdp reductions"][1] > 0


@pytest.mark.slow
def test_no_two_replicas_see_the_same_sample(asked):
    samples = [set(told["samples"]) for told in asked[1]]
    assert len(samples[0]) == len(samples[1]) == 24
    assert not samples[0] & samples[1]


@pytest.mark.slow
def test_a_bad_loss_on_one_replica_is_skipped_on_all(asked):
    first, second = (told["broken"] for told in asked[1])
    assert first["skipped"] == second["skipped"] == 1
    assert first["weights"] == second["weights"]
    assert torch.tensor(first["weights"]).isfinite().all()


@pytest.mark.fault("R2")
@pytest.mark.slow
def test_replicas_that_differ_are_refused_and_the_one_that_fails_is_named(asked):
    for told in asked[1]:
        assert told["refusals"] == [
            "replicas 0 and 1 differ in data: train.samples: 10 / 11; start them alike",
            "replica 1: integer division or modulo by zero",
        ]


@pytest.mark.slow
def test_only_the_replica_with_the_bad_loss_names_its_samples(asked):
    first, second = (told["raised"] for told in asked[1])
    assert first.startswith("step 1: the loss of another replica is not finite, which names its samples.")
    assert "a = nan" in second
    assert "samples [" in second


@pytest.mark.fault("K6")
@pytest.mark.slow
def test_all_replicas_hear_that_one_could_not_write_and_train_on(asked):
    for told in asked[1]:
        assert len(told["full disk"]["said"]) == 1
        assert "could not write checkpoint" in told["full disk"]["said"][0]
        assert "replica 0: [Errno 28] No space left on device" in told["full disk"]["said"][0]
        assert told["full disk"]["at"] == 3
        assert told["full disk"]["steps"] == [1, 3]


@pytest.mark.slow
def test_a_part_whose_weights_others_read_is_gathered_with_them(asked):
    for told in asked[1]:
        whole, part = torch.tensor(told["read by others"]).chunk(2)
        assert torch.allclose(whole, part, rtol=0, atol=1e-6)


@pytest.mark.fault("R1")
@pytest.mark.slow
def test_a_replica_that_hangs_is_named_by_the_others(asked):
    assert asked[1][0]["hang"].startswith("replica 1 of 2 died, or did not come within 60 s (hardware.timeout_s)")


@pytest.mark.fault("K7")
@pytest.mark.fault("R4")
@pytest.mark.slow
def test_a_damaged_part_is_found_and_the_step_before_is_used(asked, tmp_path, caplog):
    shutil.copytree(asked[0] / "fsdp-cut" / "last", tmp_path / "last")
    kept = Checkpoints(tmp_path / "last")
    part = next(kept.path(4).glob("shard-00002-*"))
    part.write_bytes(part.read_bytes()[:-1] + b"?")
    trainer = trainer_of(tmp_path / "run", Hardware(device="cpu", workers=0))
    assert kept.load(trainer.model)["step"] == 3
    assert "step 4 is lost" in caplog.text
    part.unlink()
    assert "is missing" in verify(kept.path(4))
    with pytest.raises(CheckpointError, match="another model: .*shapes differ for backbone.stem.weight"):
        kept.load(Net(width=4))


@pytest.mark.fault("X1")
@pytest.mark.slow
def test_no_code_in_a_checkpoint_of_parts_is_run(asked, tmp_path):
    """torch.distributed.checkpoint's own reader unpickles `.metadata`; an attacker can compute checksums, too."""
    import pickle

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    shutil.copytree(asked[0] / "fsdp-cut" / "last", tmp_path / "last")
    kept = Checkpoints(tmp_path / "last")
    path = kept.newest()
    model = trainer_of(tmp_path / "run", Hardware(device="cpu", workers=0)).model
    for name in (".metadata", "state.pt"):
        (path / name).write_bytes(pickle.dumps(Evil()))
        (path / "manifest.json").unlink()
        write_manifest(path, 4)
        if name == ".metadata":
            assert kept.load(model)["step"] == 4
        else:
            with pytest.raises(CheckpointError, match="is not trusted"):
                kept.load(model)
    assert not (tmp_path / "ran").exists()
    json.loads((path / "sharded.json").read_text())


def test_units_are_large_members_of_lists_inner_ones_first_or_what_globs_name():
    model = nn.ModuleDict({"a": nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(9, 9), nn.ReLU())), "b": Net()})
    assert unit_names(model, 80) == ["a.1.0", "b.backbone.layers.0", "b.backbone.layers.1"]
    assert unit_names(model, 10**6) == []
    assert unit_names(model, ["b.backbone.layers.?", "b.backbone"]) == [
        "b.backbone.layers.0",
        "b.backbone.layers.1",
        "b.backbone",
    ]
    model.reads_weights_of = ("a",)
    assert unit_names(model, 80) == ["b.backbone.layers.0", "b.backbone.layers.1"]
    with pytest.raises(
        ValueError, match=r"a\.0 can't be gathered by itself, as the module around it reads its weights"
    ):
        unit_names(model, ["a.0"])
    with pytest.raises(ValueError, match="hardware.shard_units: 'x.\\*' matches no module of the model; there are a"):
        unit_names(model, ["x.*"])


def test_a_task_of_slurm_finds_its_place_and_the_first_host(monkeypatch):
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    monkeypatch.delenv("MASTER_PORT", raising=False)
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.setenv(name, "")
    with pytest.raises(ValueError, match="srun did not start this process; use 'srun"):
        place(True, "slurm")
    facts = {"PROCID": 5, "NTASKS": 8, "LOCALID": 1, "JOB_ID": 77, "JOB_NODELIST": "gpu[003-004]"}
    for name, value in facts.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    import os

    assert place(True, "slurm") == (5, 8, 1)
    assert (os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"]) == ("gpu003", "10539")
    assert os.environ["RANK"] == "5"


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("a,b", "a"),
        ("n[01-04,9]", "n01"),
        ("gpu[7],x1", "gpu7"),
        ("r[1-2]n[05,06].site", "r1n05.site"),
        ("solo", "solo"),
    ],
)
def test_the_first_host_of_a_list_of_slurms(nodes, first):
    assert first_host(nodes) == first


def test_unknown_launchers_are_refused():
    with pytest.raises(ValueError, match="hardware.launcher is 'mpi'; expected torchrun or slurm"):
        place(True, "mpi")
