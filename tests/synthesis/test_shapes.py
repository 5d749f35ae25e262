import math

import pytest
import torch

from gaze.synthesis.boxes import boxes
from gaze.synthesis.camera import Camera
from gaze.synthesis.canvas import compose, evaluate
from gaze.synthesis.ellipsoids import ellipsoids
from gaze.synthesis.frustums import frustums
from gaze.synthesis.primitives import merge
from gaze.synthesis.shadows import shadows

SIZE = 96
CAMERA = Camera(SIZE, SIZE, 200.0, torch.full((2,), SIZE / 2, dtype=torch.float64))


def rows(*values):
    return torch.tensor(values, dtype=torch.float64)


def shared(depths, scene=0):
    count = len(depths)
    return {
        "toward_light": rows(*[[0.0, -0.6, -0.8]] * count),
        "ambient": rows(*[1.0] * count),
        "scene": torch.full((count,), scene),
        "depth": rows(*depths),
        "layer": torch.zeros(count, dtype=torch.int64),
    }


def ball(center, radius, color=(1.0, 1.0, 1.0), **options):
    axes = rows([radius] * 3)
    turn = torch.eye(3, dtype=torch.float64)[None]
    return ellipsoids(CAMERA, rows(center), axes, turn, color=rows(color), **shared([center[2]]), **options)


def covered(shape):
    """How much of each pixel the shapes cover."""
    picture = torch.zeros(3, SIZE, SIZE)
    compose(picture, [p._replace(color=torch.full_like(p.color, 255.0) * (1 - p.transparency)) for p in drawn(shape)])
    return picture[0] / 255


def drawn(*shapes):
    return evaluate(shapes, 2, SIZE, SIZE)[0]


def painted(*shapes):
    picture = torch.zeros(3, SIZE, SIZE)
    compose(picture, drawn(*shapes))
    return picture


def test_a_ball_covers_its_disc():
    radius_px = 200 * 1.0 / 10
    assert covered(ball((0, 0, 10.0), 1.0)).sum().item() == pytest.approx(math.pi * radius_px**2, rel=0.01)


def test_a_box_covers_its_face_and_half_a_pixel():
    face = boxes(
        CAMERA, rows([0, 0, 10.0]), rows([1.0, 0.5, 0.5]), rows(0.0), color=rows([1, 1, 1.0]), **shared([10.0])
    )
    assert covered(face).sum().item() == pytest.approx((400 / 9.5 + 1) * (200 / 9.5 + 1), rel=0.01)


def test_a_cylinder_covers_rectangle_and_ellipses():
    post = frustums(
        CAMERA, rows([0, 1.5, 10.0]), rows(1.0), rows([0.5, 0.5]), color=rows([1, 1, 1.0]), **shared([10.0])
    )
    width, length = 10.0, 20.0
    lower, upper = (width * y / 10 for y in (1.5, 0.5))
    area = 2 * width * length + math.pi / 2 * width * (lower + upper)
    assert covered(post).sum().item() == pytest.approx(area, rel=0.02)


def test_a_cone_is_about_half_its_cylinder():
    options = {"color": rows([1, 1, 1.0]), **shared([10.0])}
    cone = frustums(CAMERA, rows([0, 1.0, 10.0]), rows(1.8), rows([0.6, 0.0]), **options)
    post = frustums(CAMERA, rows([0, 1.0, 10.0]), rows(1.8), rows([0.6, 0.6]), **options)
    assert 0.45 < (covered(cone).sum() / covered(post).sum()).item() < 0.6


def test_the_nearer_shape_covers_whatever_order_they_come_in():
    near, far = ball((0, 0, 9.0), 0.5, (1.0, 0, 0)), ball((0, 0, 10.0), 1.0, (0, 1.0, 0))
    assert torch.equal(painted(near, far), painted(far, near))
    middle = painted(near, far)[:, SIZE // 2, SIZE // 2]
    assert middle[0] > 100
    assert middle[1] == 0


def test_a_host_hides_what_is_behind_it_and_shows_what_sticks_out():
    host = ball((0, 0, 10.0), 1.0)
    hidden = ball((0, 0, 10.9), 0.3, host=host)
    sticking_out = ball((0, 0, 9.1), 0.3, host=host)
    assert covered(hidden).sum() == 0
    assert covered(sticking_out).sum() > 0.9 * math.pi * (200 * 0.3 / 9.1) ** 2


def test_a_cut_leaves_half():
    cut = rows([1.0, 0, 0, 0.0])
    half = covered(ball((0, 0, 10.0), 1.0, cut=cut))
    assert half.sum().item() == pytest.approx(math.pi * 20**2 / 2, rel=0.03)
    assert half[:, : SIZE // 2 - 2].sum() == 0


def test_shapes_are_cut_off_at_the_frame():
    assert painted(ball((2.4, 0, 10.0), 1.0))[:, :, -1].max() > 0
    assert drawn(ball((9.0, 0, 10.0), 1.0)) == []


def test_a_shadow_darkens_and_fades():
    light = torch.full((3, SIZE, SIZE), 200.0)
    floor = shadows(CAMERA, rows([0, 2.0, 10.0]), rows(1.0), rows(0.5), torch.zeros(1, dtype=torch.int64))
    compose(light, drawn(floor))
    line = light[0, SIZE // 2 + 40]
    assert line[SIZE // 2].item() == pytest.approx(100, abs=5)
    assert (line[SIZE // 2 :].diff() >= 0).all()
    assert line[-1] == 200


def test_batching_changes_no_bit():
    balls = [ball((0.2 * i - 1, 0.1 * i, 9.0 + i), 0.2 + 0.11 * i, (0.1 * i, 0.5, 1.0)) for i in range(8)]
    one_by_one = torch.zeros(3, SIZE, SIZE)
    for shape in reversed(balls):
        compose(one_by_one, drawn(shape))
    assert len(merge(balls)) == 1
    assert torch.equal(painted(*balls), one_by_one)


def test_each_scene_gets_its_own():
    there = ball((0, 0, 10.0), 1.0).take(torch.tensor([0]))
    first, second = evaluate([there], 2, SIZE, SIZE)
    assert len(first) == 1
    assert second == []
