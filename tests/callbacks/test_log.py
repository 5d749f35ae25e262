"""What could not be used is listed in the run, also when only a loader worker found out."""

import pytest

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
