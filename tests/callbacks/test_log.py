"""What could not be used is listed in the run, also when only a loader worker found out."""

import pytest
import torch

from gaze.callbacks.log import Log
from gaze.datasets.dataset import Dataset
from gaze.datasets.gazefollow import GazeFollow
from gaze.hardware import Hardware
from gaze.loading import Key, Views, release
from tests.datasets.folders import write_gazefollow_folder
from tests.stubs.line import Line
from tests.stubs.training import line_trainer


class Faulty(Line):
    """A data set that finds one more fault each time it is asked."""

    found = 0

    @property
    def faults(self):
        self.found += 1
        return [f"row {i}:\n  broken" for i in range(self.found)]


def test_late_faults_join_the_list_once_and_a_resumed_run_keeps_it(tmp_path):
    first = line_trainer(tmp_path, {"log": Log()}, train_set=Faulty("train"), epochs=1)
    first.fit()
    lines = (tmp_path / "left_out.txt").read_text().splitlines()
    assert lines[0] == "train: row 0: broken"
    assert len(lines) >= 2
    again = line_trainer(tmp_path, {"log": Log()}, train_set=Faulty("train"), epochs=1)
    again.fit()
    assert (tmp_path / "left_out.txt").read_text().splitlines() == lines
    assert not Dataset().faults


@pytest.mark.parametrize("workers", [0, 2])
def test_a_worker_tells_which_images_it_replaced(tmp_path, workers):
    write_gazefollow_folder(tmp_path, images={"train": 6}, people=1)
    dataset = GazeFollow(str(tmp_path), "train", (32, 32), val_fraction=0.0, check="headers", on_corrupt="skip")
    assert dataset.faults == []
    (tmp_path / "train" / "00000004.png").unlink()
    loader = Hardware("cpu", workers=workers).loader(Views(dataset, 0), sampler=[Key(0, i, i) for i in range(6)])
    seen = sorted(int(batch.index) for batch in loader)
    release(loader)
    assert seen == [0, 1, 2, 3, 5, 5]
    assert [fault.where for fault in dataset.faults] == ["train/00000004.png"]


def figures(step):
    """Of a step: one is left out, and a term joins later."""
    terms = {
        "loss": torch.tensor(0.1 * step),
        "grad_norm": torch.tensor(float("nan") if step == 3 else 1.0 / (step + 1)),
    }
    return terms | ({"late": torch.tensor(step / 3)} if step >= 5 else {})


def test_averages_are_those_of_sums_made_step_by_step_wherever_the_run_was_interrupted(tmp_path):
    sums, counts = {}, {}
    for step in range(9):
        for name, value in figures(step).items():
            fine = value.isfinite()
            sums[name] = sums.get(name, torch.zeros(())) + torch.where(fine, value, 0.0)
            counts[name] = counts.get(name, torch.zeros(())) + fine
    trainer = line_trainer(tmp_path, {})
    trainer.progress = trainer.progress._replace(step=1)  # at which no line is due
    for stops in ((), (2,), (4, 7)):
        log = Log(every_steps=100)
        for step in range(9):
            log.step_end(trainer, figures(step))
            if step in stops:
                state, log = log.state_dict(), Log(every_steps=100)
                log.load_state_dict(state)
        assert log.state_dict() == {"sums": sums, "counts": counts}
