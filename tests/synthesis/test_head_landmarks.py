import torch

from gaze.synthesis.head_anatomy import CENTRE_Y, CENTRE_Z, NOSE_Y, anatomy_of
from gaze.synthesis.head_landmarks import landmarks_of, vertices_of
from tests.synthesis.some_heads import some_heads

# iBUG's points as a mirror exchanges them
MIRRORED = [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31, 45, 44, 43, 42, 47, 46]
MIRRORED += [39, 38, 37, 36, 41, 40, 54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]


def some_anatomy(count=8):
    heads = some_heads(count, seed=1)
    return anatomy_of(heads.identity, heads.expression)


def ellipsoid(points, centre, axes):
    """1 on the surface."""
    return ((points - centre) / axes).square().sum(-1)


def test_landmarks_lie_on_skull_nose_and_eyeballs():
    anatomy = some_anatomy()
    points = landmarks_of(anatomy)
    skull = ellipsoid(points, points.new_tensor([0, CENTRE_Y, CENTRE_Z]), anatomy.axes[:, None])
    zero = torch.zeros_like(anatomy.nose_z)
    nose = ellipsoid(points, torch.stack([zero, zero + NOSE_Y, anatomy.nose_z], -1)[:, None], anatomy.nose[:, None])
    on_skull, on_nose = (skull - 1).abs() < 1e-9, (nose - 1).abs() < 1e-9
    assert on_skull[:, :27].all()
    assert on_skull[:, 48:].all()
    assert (on_skull | on_nose)[:, 27:36].all()
    assert on_nose[:, 30].all()
    for first, side in ((36, -1), (42, 1)):
        centre = anatomy.eye * anatomy.eye.new_tensor([side, 1, 1])
        distance = (points[:, first : first + 6] - centre[:, None]).norm(dim=-1)
        torch.testing.assert_close(distance, anatomy.eye_radius[:, None].expand_as(distance))


def test_landmarks_come_in_ibugs_order():
    points = landmarks_of(some_anatomy())
    torch.testing.assert_close(points[:, MIRRORED] * points.new_tensor([-1, 1, 1]), points)
    x, y = points[0, :, 0], points[0, :, 1]
    assert x[0] < x[8] < x[16]  # from the picture's left over the chin to its right
    assert y[8] == y.min()
    assert x[36] < x[39] < x[42] < x[45]
    assert y[37] > y[41]  # the upper lid is above the lower one
    assert x[48] < x[54]
    assert y[51] > y[62] > y[66] > y[57]  # outer and inner lips, from above


def test_mouths_smile_and_open():
    heads = some_heads(2)
    for number, change in ((3, lambda p: p[:, [48, 54], 1].sum(-1)), (0, lambda p: p[:, 62, 1] - p[:, 66, 1])):
        expression = heads.expression.clone()
        expression[:, number] = expression.new_tensor([-1.0, 1.0])
        low, high = change(landmarks_of(anatomy_of(heads.identity, expression)))
        assert high > low + 0.05


def test_vertices_cover_the_skull_evenly():
    anatomy = some_anatomy(2)
    points = vertices_of(anatomy)
    assert points.shape == (2, 2000, 3)
    centre = points.new_tensor([0, CENTRE_Y, CENTRE_Z])
    inside = ellipsoid(points, centre, anatomy.axes[:, None])
    torch.testing.assert_close(inside, torch.ones_like(inside))
    few = ((points - centre) / anatomy.axes[:, None])[0, ::100]  # what readers keep
    assert few.mean(0).norm() < 0.1
