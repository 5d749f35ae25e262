import pytest
import torch

from gaze.synthesis.head_shots import ring
from gaze.synthesis.head_world import SPLITS, HeadWorld

FRAMES = {"train": 4, "val": 2, "test": 6}


def test_a_picture_depends_on_nothing_but_its_place():
    world = HeadWorld(size=32, frames=FRAMES, code_noise=0.02, background="random", principal_shift=0.05)
    whole, part = world.shots(3, "test", 1, range(6)), world.shots(3, "test", 1, [4, 2])
    for name in ("gaze", "identity", "expression", "pose", "camera"):
        assert torch.equal(getattr(part.inputs, name), getattr(whole.inputs, name)[[4, 2]]), name
    assert torch.equal(part.background, whole.background[[4, 2]])
    assert not torch.equal(world.shots(4, "test", 1, range(6)).inputs.gaze, whole.inputs.gaze)


def test_nobody_is_in_two_splits_and_everybody_keeps_their_code():
    world = HeadWorld(frames=FRAMES)
    codes = [world.shots(0, split, person, range(2)).inputs.identity for split in SPLITS for person in range(3)]
    assert all(torch.equal(code[0], code[1]) for code in codes)
    assert len({tuple(code[0].tolist()) for code in codes}) == 9
    assert torch.cat(codes)[:, :16].abs().max() <= 2
    assert torch.cat(codes)[:, 16:].abs().max() == 0


def test_unused_numbers_of_codes_can_be_noise_that_changes_no_picture():
    plain, noisy = (HeadWorld(size=16, frames=FRAMES, code_noise=noise) for noise in (0.0, 0.02))
    a, b = (world.shots(0, "val", 0, range(2)) for world in (plain, noisy))
    assert 0.01 < b.inputs.identity[:, 16:].std() < 0.03
    assert torch.equal(a.inputs.expression[:, :4], b.inputs.expression[:, :4])
    assert torch.equal(plain.render(a).image, noisy.render(b).image)


def test_cameras_in_a_ring_see_the_same_moment():
    world = HeadWorld(frames=FRAMES, cameras=3, ring_rad=0.5)
    shots = world.shots(0, "train", 0, range(world.rows("train")))
    assert shots.frame.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert shots.view.tolist() == [0, 1, 2] * 4
    for name in ("gaze", "expression", "pose"):
        first, second, third = getattr(shots.inputs, name).unflatten(0, (4, 3)).unbind(1)
        assert torch.equal(first, second)
        assert torch.equal(second, third)
    assert len(shots.inputs.gaze.unique(dim=0)) == 4


def test_cameras_look_at_the_middle_from_left_to_right():
    pose = ring(5, 0.6)
    places = -(pose[:, :3, :3].mT @ pose[:, :3, 3:])[..., 0]
    torch.testing.assert_close(places.norm(dim=1), torch.full((5,), 8.0).double())
    assert (places[1:, 0] > places[:-1, 0]).all()
    assert places[0, 0] == pytest.approx(-8 * torch.tensor(0.6).sin().item(), abs=1e-5)
    torch.testing.assert_close(pose[:, :3, 3], torch.tensor([[0.0, 0, 8]]).double().expand(5, 3))  # (0, 0, 0) seen
    torch.testing.assert_close(
        ring(1, 0.6)[0], torch.tensor([[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 8], [0, 0, 0, 1]]).double()
    )


def test_a_person_can_have_a_few_expressions():
    world = HeadWorld(frames=FRAMES, expressions=2)
    codes = world.shots(0, "test", 0, range(6)).inputs.expression
    assert torch.equal(codes[:2].repeat(3, 1), codes)
    assert not torch.equal(codes[0], codes[1])
    assert not torch.equal(codes, world.shots(0, "test", 1, range(6)).inputs.expression)


def test_ranges_hold_for_each_split():
    narrow = {"train": 0.25, "val": 0.25, "test": 0.7}
    world = HeadWorld(frames=dict.fromkeys(SPLITS, 200), gaze_yaw_rad=narrow, head_roll_rad=0.0)
    for split, most in narrow.items():
        inputs = world.shots(0, split, 0, range(200)).inputs
        assert 0.9 * most < inputs.gaze[:, 1].abs().max() <= most
        assert 0.3 < inputs.gaze[:, 0].abs().max() <= 0.35
        assert 0.4 < inputs.pose[:, 1].abs().max() <= 0.5
        assert inputs.pose[:, 2].abs().max() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gaze_yaw_rad": dict.fromkeys(SPLITS, 0.9)}, r"gaze_yaw_rad.train is 0.9, beyond what eyes can do.*0 to 0.8"),
        ({"gaze_pitch_rad": {"train": 0.3, "val": 0.3, "test": 0.6}}, "gaze_pitch_rad.test is 0.6, beyond"),
        ({"gaze_pitch_rad": {"train": 0.3}}, "gaze_pitch_rad names train; expected train, val, test"),
        ({"frames": {**FRAMES, "val": 257}}, "frames.val is 257; expected a whole number from 1 to 256"),
        ({"size": 8}, "size is 8"),
        ({"cameras": 6}, "cameras is 6; expected a whole number from 1 to 5"),
        ({"expressions": 50}, "expressions is 50; expected a whole number from 1 to 20"),
        ({"eye_scale": 2.0}, "eye_scale is 2.0; expected a number from 1 to 1.6"),
        ({"position": (0.1, 0.1)}, r"position is \[0.1, 0.1\]; expected three"),
        ({"background": "black"}, "background is 'black'; expected white or random"),
    ],
)
def test_bad_worlds_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        HeadWorld(**options)
