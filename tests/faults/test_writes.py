"""Checkpoints that are not written to their end: a kill at any byte, a power cut, a full disk, no permission."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from pathlib import Path

import pytest
import torch

from gaze.checkpoints import CheckpointError, Checkpoints
from gaze.durable import write_text
from gaze.runs import Run
from tests.disks import fill, small_disk
from tests.processes import exit_code
from tests.stubs.line import Net
from tests.stubs.training import line_trainer

KILLS = 100


def ended(job) -> int:
    """Status of a fork of this process, which must have one thread, that does a job."""
    child = os.fork()
    if child == 0:
        job()
        os._exit(0)
    return os.waitpid(child, 0)[1]


class Killed(BaseException):
    """Stands for a kill: nothing tidies up after it."""


def at_offsets(path: Path, kills: int, die) -> tuple[int, int]:
    """Die so many times in a save, each time at another byte of its files; how often, and how often nothing was left.

    Args:
        die: is given a save, and a number of bytes that no file can grow beyond; did it die?
    """
    kept, net = Checkpoints(path / "last"), Net(width=16)
    state = {"moments": torch.arange(512.0)}
    kept.save(1, net, {"step": 1, **state})
    kept.save(2, net, {"step": 2, **state})
    largest = max(file.stat().st_size for file in kept.path(2).iterdir())
    unreadable = deaths = 0
    for number in range(kills):
        step = 2 + number % 2  # replaces one of the same step, or adds one
        deaths += die(lambda step=step: kept.save(step, net, {"step": -1, **state}), largest * number // kills)
        found = kept.load(Net(width=16))
        unreadable += found is None or found["step"] != 2
    kept.save(3, net, {"step": 3, **state})
    assert sorted(file.name for file in kept.directory.iterdir()) == ["step-00000002", "step-00000003"]
    return deaths, unreadable


def die_for_real(save, size: int) -> bool:
    """A limit on the size of files ends a process as soon as a library comes back from a write that went beyond it."""

    def job():
        signal.signal(signal.SIGXFSZ, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        save()

    return os.WTERMSIG(ended(job)) == signal.SIGKILL


def killed_at_offsets(path: Path, kills: int) -> None:
    assert at_offsets(path, kills, die_for_real) == (kills, 0)


@pytest.mark.fault("K4")
def test_a_kill_amid_a_file_leaves_the_previous_checkpoint(tmp_path):
    assert exit_code(killed_at_offsets, tmp_path, 4) == 0


@pytest.mark.fault("K4")
def test_an_end_at_any_byte_leaves_the_previous_checkpoint(tmp_path, monkeypatch):
    def killed(_):
        raise Killed

    monkeypatch.setattr("gaze.checkpoints.shutil.disk_usage", killed)  # the first thing after a failed write

    def die(save, size):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            save()
        except Killed:
            return True
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        return False

    assert at_offsets(tmp_path, KILLS, die) == (KILLS, 0)


class Disk:
    """What a power cut leaves: of a file what it held when it was last flushed, of a directory the names it held then."""

    def __init__(self, root: Path, monkeypatch) -> None:
        self.root = root
        self.files: dict[int, bytes] = {}
        self.names: dict[int, dict[str, tuple[int, bool]]] = {}  # of a directory: name -> number, is it a directory
        self.moments: list[tuple[dict, dict]] = []
        self.sync = os.fsync
        monkeypatch.setattr(os, "fsync", self._fsync)
        self._keep(root)

    def _fsync(self, descriptor: int) -> None:
        self._keep(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        self.moments.append((dict(self.files), dict(self.names)))

    def _keep(self, path: Path) -> None:
        number = path.stat().st_ino
        if path.is_dir():
            self.names[number] = {p.name: (p.stat().st_ino, p.is_dir()) for p in path.iterdir()}
        else:
            self.files[number] = path.read_bytes()

    def restore(self, moment: int, where: Path) -> None:
        """Write the tree as it is when the power goes just after a flush."""
        files, names = self.moments[moment]

        def write(number: int, folder: Path) -> None:
            folder.mkdir(parents=True)
            for name, (inner, is_directory) in names.get(number, {}).items():
                if is_directory:
                    write(inner, folder / name)
                else:
                    (folder / name).write_bytes(files.get(inner, b""))

        write(self.root.stat().st_ino, where)


@pytest.mark.fault("K5")
def test_a_power_cut_after_any_flush_costs_one_checkpoint_at_most(tmp_path, monkeypatch):
    root = tmp_path / "disk"
    root.mkdir()
    disk, saved = Disk(root, monkeypatch), []
    run = Run(root / "outputs" / "run")
    with run.locked():
        write_text(run.path / "config.yaml", "seed: 3\n")
        for step in (3, 6, 6, 9, 12):
            run.journal.write(step, {"train/loss": 1.0 / step})
            run.journal.flush()
            run.last.save(step, Net(), {"step": step, "journal": run.journal.size()})
            saved.append((len(disk.moments), step))
    for moment in range(len(disk.moments)):
        disk.restore(moment, tmp_path / "after")
        left = Run(tmp_path / "after" / "outputs" / "run")
        safe = [step for count, step in saved if count <= moment + 1]
        state = left.last.load(Net())
        if safe:
            assert state is not None, f"power cut after flush {moment}: step {safe[-1]} is lost"
            assert state["step"] >= safe[-1]
            assert (left.path / "config.yaml").read_text() == "seed: 3\n"
        if state is not None:
            assert [e.step for e in left.journal.read() if e.step <= state["step"]][-1] == state["step"]
            assert left.journal.size() >= state["journal"]
        shutil.rmtree(tmp_path / "after")


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", size="1m", files=40) as place:
        yield place


@pytest.mark.fault("K6")
def test_a_full_disk_costs_no_checkpoint_and_training_goes_on(disk, caplog):
    run = line_trainer(disk / "run", epochs=1)
    run.fit()
    before = run.run.last.newest()
    filler = fill(disk, 8 * 1024)  # less than a checkpoint takes
    again = line_trainer(disk / "run", epochs=2)
    with pytest.raises(CheckpointError, match=rf"could not write checkpoint {disk}/run/last/step-.*MiB free.*intact"):
        again.fit()
    assert again.progress.step == 12, "training did not go on"
    assert "the disk is full" in caplog.text
    assert again.run.last.newest() == before
    filler.unlink()
    rest = line_trainer(disk / "run", epochs=2)
    rest.fit()
    assert rest.run.last.steps()[-1] == 12
    assert len([e for e in rest.run.journal.read() if "val/mae" in e.values]) == 2


@pytest.mark.fault("K6")
@pytest.mark.fault("P2")
def test_a_disk_without_free_inodes_is_said(disk):
    kept = Checkpoints(disk / "last")
    kept.save(1, Net(), {"step": 1})
    try:
        for number in range(100):
            (disk / str(number)).touch()
    except OSError:
        pass
    with pytest.raises(CheckpointError, match=r"could not write.*No space left on device.*intact"):
        kept.save(2, Net(), {"step": 2})
    assert kept.load(Net())["step"] == 1


def save_as_nobody(path: Path) -> None:
    os.chdir(path)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
    kept = Checkpoints(Path("last"))
    with pytest.raises(CheckpointError, match=r"could not write checkpoint last/step-00000002: .*Permission denied"):
        kept.save(2, Net(), {"step": 2})
    assert kept.load(Net())["step"] == 1


@pytest.mark.fault("K8")
def test_a_directory_that_may_only_be_read_still_gives_its_checkpoint(tmp_path):
    kept = Checkpoints(tmp_path / "last")
    kept.save(1, Net(), {"step": 1})
    for file in [tmp_path, *tmp_path.rglob("*")]:
        file.chmod(0o555 if file.is_dir() else 0o444)
    assert exit_code(save_as_nobody, tmp_path) == 0
