import math
from dataclasses import replace

import pytest
import torch

from gaze.geometry import angular_error, vector_to_pitch_yaw
from gaze.synthesis.direction_light import DIM, EVEN, SHADOW, WORDS
from gaze.synthesis.direction_motions import Clips
from gaze.synthesis.direction_shots import FACE_CENTRE, ray_frame
from gaze.synthesis.direction_world import EYE_PX, DirectionWorld
from gaze.synthesis.face_renderer import render_faces

FRAMES = {"train": 20, "val": 10, "test": 10}
CLIPS = {"train": 90, "val": 30, "test": 30}


@pytest.fixture(scope="module")
def world():
    return DirectionWorld(size=24, frames=FRAMES, glasses=0.0)


@pytest.fixture(scope="module")
def drawn(world):
    return world.render(0, "train", range(400))


@pytest.fixture(scope="module")
def walks():
    return DirectionWorld(frames=CLIPS, clips=Clips(dropped=0.2), hidden=0.2).shots(0, "train", range(900))


def iris_place(faces, boxes):
    """(x, y) of the middle of the visible iris in a crop, px."""
    iris = render_faces(faces, boxes, EYE_PX).iris
    rows, columns = (torch.arange(n, dtype=torch.float32) for n in EYE_PX)
    across, down = (iris.sum(1) * columns).sum(1), (iris.sum(2) * rows).sum(1)
    return torch.stack([across, down], 1) / iris.sum((1, 2))[:, None]


def test_a_sample_is_a_function_of_its_number(world, drawn):
    shots, crops = drawn
    alone, pictures = world.render(0, "train", [31])
    assert torch.equal(alone.gaze[0], shots.gaze[31])
    assert all(torch.equal(one[0], many[31]) for one, many in zip(pictures, crops, strict=True))
    assert crops.face.shape[1:] == (3, 24, 24)
    assert crops.left_eye.shape[1:] == crops.right_eye.shape[1:] == (3, *EYE_PX)
    other = torch.cat([world.shots(1, "train", range(20)).gaze, world.shots(0, "val", range(20)).gaze])
    assert (other[:, None] != shots.gaze).any(-1).all()


def test_irises_go_where_the_gaze_goes(world, drawn):
    frontal = (drawn[0].words[:, 1] == 0).nonzero()[:12, 0]
    shots = drawn[0].rows(frontal)
    faces = shots.faces
    ahead = faces.position + 100 * torch.tensor([0.0, 0.0, -1.0])
    boxes = world.boxes(shots, 0, "train")
    for eye in (1, 2):
        place = iris_place(faces.looking_at(ahead), boxes[:, eye])
        right = iris_place(faces.looking_at(ahead + torch.tensor([25.0, 0.0, 0.0])), boxes[:, eye])
        down = iris_place(faces.looking_at(ahead + torch.tensor([0.0, 25.0, 0.0])), boxes[:, eye])
        assert (right - place)[:, 0].min() > 2
        assert (down - place)[:, 1].min() > 0.5


def test_gaze_is_head_and_eyes_within_their_ranges(world, drawn):
    shots = drawn[0]
    torch.testing.assert_close(shots.gaze, torch.nn.functional.normalize(shots.faces.target - shots.faces.position))
    in_head = vector_to_pitch_yaw((shots.gaze[:, None] @ shots.head)[:, 0]).abs().amax(0).rad2deg()
    assert (in_head < torch.tensor([12.01, 18.01])).all()
    assert (in_head > torch.tensor([11.0, 17.0])).all()
    yaw = vector_to_pitch_yaw(-shots.head[:, :, 2])[:, 1].abs().rad2deg()
    turned = shots.words[:, 1] == 1
    assert ((yaw > 19.9) == turned).all()
    assert yaw[~turned].max() < 12.01
    assert 0.25 < turned.double().mean() < 0.55
    mean = shots.gaze.mean(0).expand_as(shots.gaze)
    assert 17 < angular_error(mean, shots.gaze).mean().rad2deg() < 23  # what always saying the same would give


def test_a_normalised_face_is_level_and_in_the_middle(drawn):
    faces = drawn[0].faces
    assert faces.rotation[:, 1, 0].abs().max() < 1e-12
    centre = faces.position + faces.rotation @ torch.tensor(FACE_CENTRE, dtype=torch.float64)
    torch.testing.assert_close(faces.view.project(centre[:, None])[:, 0], faces.view.centre)


def test_a_face_beside_the_axis_is_labelled_along_its_ray():
    world = DirectionWorld(size=16, frames=FRAMES, normalised=False)
    shots = world.shots(0, "train", range(40))
    position = shots.faces.position
    turn = ray_frame(position)
    towards_camera = (turn @ -torch.nn.functional.normalize(position)[..., None])[..., 0]
    torch.testing.assert_close(towards_camera, torch.tensor([0.0, 0.0, -1.0]).double().expand(40, 3))
    assert turn[:, 0, 1].abs().max() < 1e-12  # level
    torch.testing.assert_close(torch.linalg.det(turn), torch.ones(40).double())
    seen = torch.nn.functional.normalize(shots.faces.target - position)
    torch.testing.assert_close((turn.mT @ shots.gaze[..., None])[..., 0], seen)
    assert angular_error(seen, shots.gaze).max().rad2deg() > 5
    roll = torch.atan2(shots.faces.rotation[:, 1, 0], shots.faces.rotation[:, 0, 0]).rad2deg()
    assert roll.std() > 5


def test_each_word_is_true_of_the_picture(drawn):
    shots, crops = drawn
    grey = crops.face.float().mean(1) / 255
    light, _, wall, _ = shots.words.unbind(1)
    middle = grey[:, 8:18, 7:17].mean((1, 2))
    assert middle[light == DIM].mean() < 0.5 * middle[light == EVEN].mean()
    corner = grey[:, -3:, :2].mean((1, 2))
    for word in range(len(WORDS["illumination"])):
        assert corner[(light == word) & (wall == 0)].mean() > corner[(light == word) & (wall == 1)].mean() + 0.2
    apart = ((grey[:, 8:18, 5:9] - grey[:, 8:18, 15:19]).mean((1, 2)).abs() / middle)[shots.words[:, 1] == 0]
    frontal = light[shots.words[:, 1] == 0]
    assert apart[frontal == SHADOW].median() > 2 * apart[frontal == EVEN].median()
    assert all(
        len(shots.words[:, i].unique()) == len(words) for i, words in enumerate(WORDS.values()) if words[0] != "seen"
    )


def test_a_hand_hides_the_eyes_and_difficulty_brings_noise_and_blur(world):
    hard = DirectionWorld(size=24, frames=FRAMES, glasses=0.0, difficulty=1.0)
    shots = world.shots(0, "train", range(16))
    boxes = world.boxes(shots, 0, "train")
    behind = world.crops(replace(shots, hidden=torch.ones(16, dtype=torch.bool)), boxes)
    plain = world.crops(shots, boxes)
    assert behind.left_eye.float().std((1, 2, 3)).median() < 0.4 * plain.left_eye.float().std((1, 2, 3)).median()
    assert (hard.habits.noise, hard.habits.blur, hard.habits.hidden) == (0.05, 24 * 0.02, 0.15)
    assert hard.shots(0, "train", range(400)).hidden.double().mean() == pytest.approx(0.15, abs=0.06)


def test_clips_are_smooth_and_lose_frames(walks):
    assert walks.context.tolist()[:30] == [i < 3 or i >= 27 for i in range(30)]
    step = angular_error(walks.gaze[1:], walks.gaze[:-1]).rad2deg()
    follows = walks.frame[1:] == walks.frame[:-1] + 1
    assert follows.sum() == 900 - 30
    assert 0.3 < step[follows].mean() < 3
    assert step[follows].max() < 8
    assert step[~follows].mean() > 10
    assert 0.1 < walks.dropped.double().mean() < 0.3
    hidden = walks.hidden.reshape(300, 3)
    assert (hidden.all(1) | ~hidden.any(1)).all()
    assert 0.1 < walks.hidden.double().mean() < 0.3
    assert torch.equal(walks.words[:, 3].bool(), walks.hidden)
    assert walks.gaze[:, 0].std() > math.sin(math.radians(8))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 8}, "size is 8"),
        ({"eye_yaw_deg": 70.0}, "eye_yaw_deg is 70.0; expected 0 to 45"),
        ({"frontal_deg": 25.0}, "so that the two words differ"),
        ({"turned_deg": (20.0,)}, "the least and the most"),
        ({"frames": {"train": 3}}, "frames names train"),
        ({"noise": -1.0}, "noise is -1.0"),
        ({"clips": Clips()}, r"frames.train is 40; expected whole clips of 30"),
    ],
)
def test_impossible_worlds_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        DirectionWorld(**options)


def test_impossible_clips_are_refused():
    with pytest.raises(ValueError, match="length is 6"):
        Clips(length=6)
