"""GazeFormer puts its parts together as its config says, and takes them away again."""

from __future__ import annotations

import pytest
import torch
from hydra import compose, initialize_config_module

from gaze.geometry import angular_error, pitch_yaw_to_vector
from gaze.losses.direction_distill import DirectionDistillation
from gaze.losses.direction_text import PrototypeCE
from gaze.runs import build
from gaze.types import Batch, DirectionInputs, DirectionTargets, Progress

FACES = torch.randint(0, 256, (3, 3, 32, 32), generator=torch.Generator().manual_seed(0)) / 255
NOW = Progress(0, 10, 5)


def built(*overrides: str, model: str = "gazeformer_tiny"):
    with initialize_config_module("gaze.conf"):
        cfg = compose("train", overrides=[f"model={model}", *overrides, "dir=unused"])
    torch.manual_seed(0)
    return build(cfg.model).eval()


def test_an_untrained_model_looks_about_into_the_camera_and_says_how_sure_it_is():
    prediction = built()(DirectionInputs(FACES))
    assert torch.allclose(prediction.gaze.norm(dim=1), torch.ones(3))
    assert (angular_error(prediction.gaze, torch.tensor([[0.0, 0.0, -1.0]]).expand(3, 3)) < 0.6).all()
    assert (prediction.concentration > 0).all()
    assert prediction.class_logits.shape == (3, 8)
    assert prediction.class_angle.shape == (8,)
    assert prediction.context_logits.shape == (3, 3 + 2 + 2)
    assert prediction.steered.shape[:2] == (3, 2)
    assert prediction.balance > 0


def test_everything_but_the_frozen_tower_learns_from_every_term_of_the_loss_together():
    model = built().train()
    assert not any(module.training for module in model.clip.modules())
    said = model(DirectionInputs(FACES))
    parts = [said.gaze, said.concentration, said.class_logits, said.context_logits, said.steered]
    sum(part.square().sum() for part in [*parts, said.balance, said.router_z]).backward()
    without = {name for name, p in model.named_parameters() if p.grad is None}
    assert without == {name for name, p in model.named_parameters() if name.startswith("clip.")}
    assert not [name for name in model.state_dict() if "text" in name]  # no text tower, at training or test


def test_each_gaze_is_taught_the_text_of_its_own_corner():
    """Who looks up is to fit the text of the picture's top: texts, labels and loss agree on every axis."""
    model = built()
    (bank,) = model.steering.prompts.of_role("gaze")
    up, left = torch.tensor([0.5, 0.0, -0.5, 0.0]), torch.tensor([0.0, 0.5, 0.0, -0.5])
    gaze = pitch_yaw_to_vector(torch.stack([up, left], 1))
    target, _ = PrototypeCE().targets(gaze, model(DirectionInputs(FACES)).class_angle)
    texts = [bank.entries[i].text for i in target.argmax(1)]
    for text, word in zip(texts, ("top", "left", "bottom", "right"), strict=True):
        assert word in text, texts
    mirrored, _ = PrototypeCE().targets(gaze * torch.tensor([-1.0, 1.0, 1.0]), model.steering.class_angle)
    swapped = [bank.entries[i].text for i in mirrored.argmax(1)]
    assert swapped == [texts[0], texts[3], texts[2], texts[1]]


@pytest.mark.parametrize(
    ("overrides", "gone"),
    [
        (["fusion.ablate.f3=off"], {"backbone"}),
        (["~backbone"], {"backbone"}),
        (["fusion.ablate.f1=off", "fusion.ablate.f2=off"], {"steering"}),
        (["~clip", "~prompts"], {"clip", "steering"}),
        (["fusion.ablate.f1=off", "fusion.ablate.f2=off", "fusion.ablate.f4=off"], {"clip", "steering"}),
    ],
)
def test_what_no_stream_comes_from_is_not_kept(overrides, gone):
    model = built(*overrides)
    assert {name for name in ("clip", "steering", "backbone") if getattr(model, name) is None} == gone
    assert model(DirectionInputs(FACES)).gaze.isfinite().all()


def test_no_stream_at_all_is_refused():
    with pytest.raises(Exception, match="stream"):
        built("~clip", "~backbone")


def test_a_clip_is_read_by_its_centre_and_one_frame_gives_what_a_single_face_gives():
    model = built("temporal=transformer")
    alone = model(DirectionInputs(FACES)).gaze
    assert torch.equal(model(DirectionInputs(FACES[:, None])).gaze, alone)
    clip = torch.stack([FACES.flip(0), FACES, FACES.flip(0)], 1)
    torch.testing.assert_close(model(DirectionInputs(clip)).gaze, alone)  # at first the others add nothing
    torch.nn.init.normal_(model.temporal.out.weight)
    assert not torch.allclose(model(DirectionInputs(clip)).gaze, alone, atol=1e-3)
    only = torch.tensor([False, True, False]).expand(3, -1)
    torch.testing.assert_close(model(DirectionInputs(clip, only)).gaze, alone)
    with pytest.raises(ValueError, match="choose temporal=transformer, or dataset.window=1"):
        built()(DirectionInputs(clip))


def test_the_student_reads_embedding_and_map_and_matches_a_teacher():
    student = built("clip=tiny_random", "backbone=conv_tower", model="gazeformer_linear")
    alone = built("clip=tiny_random", "~backbone", model="gazeformer_linear")
    assert (student.channels, alone.channels) == (32 + 32, 32)
    assert sum(p.numel() for p in alone.parameters() if p.requires_grad) < 300
    teacher = built()
    batch = Batch(DirectionInputs(FACES), DirectionTargets(torch.zeros(3, 3)), torch.arange(3))
    loss = DirectionDistillation(teacher, sureness=0.2)
    truth = teacher(DirectionInputs(FACES))
    assert loss(truth, batch, NOW) < 2e-3  # float16
    found, said = loss(student(batch.inputs), batch, NOW), student(batch.inputs)
    wanted = angular_error(said.gaze, truth.gaze) + 0.2 * (said.concentration / truth.concentration).log().abs()
    torch.testing.assert_close(found, wanted.mean(), atol=2e-3, rtol=0)
    asked = []
    teacher.register_forward_hook(lambda *args: asked.append(1))
    loss(said, batch, NOW)
    assert not asked  # remembered


def test_a_teacher_that_says_nothing_of_its_sureness_is_not_compared_in_it():
    batch = Batch(DirectionInputs(FACES), DirectionTargets(torch.zeros(3, 3)), torch.arange(3))
    plain = built("head=direction_plain")
    with pytest.raises(ValueError, match="needs head=direction_vmf of student and teacher"):
        DirectionDistillation(plain)(built()(batch.inputs), batch, NOW)
    assert DirectionDistillation(plain, sureness=0)(built()(batch.inputs), batch, NOW) > 0
