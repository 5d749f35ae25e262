"""A student of the point of gaze and its teacher, through the entry, on a handful of rendered frames."""

import pytest
import torch

from gaze.runs import RunError, load_model
from gaze.synthesis.screen_world import ScreenWorld
from gaze.synthesis.screens import write_screens
from gaze.types import collate


@pytest.fixture
def small(tmp_path):
    """Overrides for twelve frames of 16 px."""
    world = ScreenWorld(face_size=16, eye_size=16, frames={"train": 4, "val": 4, "test": 1}, closed=0.0)
    write_screens(world, tmp_path / "screens", {"train": 2, "val": 1, "test": 0})
    sizes = ("dataset.face_size=16", "dataset.eye_size=16")
    return (f"dataset.path={tmp_path / 'screens'}", *sizes, "trainer.effective_batch_size=4", "trainer.lr_batch_size=4")


def test_a_student_learns_from_a_finished_run_and_stands_alone(train, tmp_path, small):
    teacher = train(tmp_path / "teacher", "model=pog_mobile_tiny", "head.hidden=[24]", *small)
    named = f"loss.point_distillation.teacher.run={tmp_path / 'teacher'}"
    student = train(tmp_path / "student", "experiment=screens_distill", named, "head.width=24", *small)
    assert {"output.projection.weight", "output.output.point.weight"} <= student.moved
    for split in ("train", "val"):
        assert student.journal(f"{split}/point_distillation")
    kept = load_model(tmp_path / "teacher").state_dict()
    asked = student.trainer.objective.terms["point_distillation"].teacher
    assert all(torch.equal(tensor, asked.state_dict()[name]) for name, tensor in kept.items())
    inputs = student.trainer.hardware.place(collate([student.trainer.val_set[0]])).inputs
    alone = load_model(tmp_path / "student")(inputs)
    assert alone.projection is None
    assert torch.equal(alone.point, student.trainer.eval_model.eval()(inputs).point)
    assert (tmp_path / "student" / "pictures" / "epoch_001.png").is_file()
    assert teacher.figure is not None


def test_a_teacher_that_is_not_there_is_told_before_training(train, tmp_path, small):
    named = f"loss.point_distillation.teacher.run={tmp_path / 'nowhere'}"
    with pytest.raises(RunError, match="nowhere holds no run: there is no config.yaml"):
        train(tmp_path / "student", "experiment=screens_distill", named, *small)
    assert not (tmp_path / "student" / "last").exists()
