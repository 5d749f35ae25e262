"""Our drawing of Gaussians against a slow reference, and what must hold of any."""

from __future__ import annotations

import logging
from dataclasses import fields, replace

import pytest
import torch

from gaze.errors import UserError
from gaze.rasterize import gsplat_backend, torch_backend
from gaze.rasterize.gaussians import Gaussians, joined
from gaze.rasterize.rasterizer import Rasterizer
from tests.rasterize.brute import drawn
from tests.rasterize.clouds import cloud, view

SIZE = (20, 28)  # neither side is a multiple of the other, nor both of a tile's
close = torch.testing.assert_close


def parts(rendered):
    return rendered.feature, rendered.alpha, rendered.depth


def gradients(pictures, gaussians):
    """Of a fixed random sum of all that was drawn, by each input."""
    draws = torch.Generator().manual_seed(1)
    pull = sum((p * torch.randn(p.shape, generator=draws, dtype=torch.float64).to(p)).sum() for p in pictures)
    return torch.autograd.grad(pull, [getattr(gaussians, f.name) for f in fields(Gaussians)])


@pytest.mark.parametrize("antialiased", [False, True])
@pytest.mark.parametrize("kind", [{}, {"number": 90, "opacity": (0.9, 1.0)}], ids=["sparse", "opaque"])
def test_pictures_and_gradients_are_those_of_the_reference(kind, antialiased):
    gaussians = cloud(**kind).map(lambda t: t.requires_grad_())
    turn, camera = view()
    ours = [p[0] for p in parts(Rasterizer("torch", antialiased=antialiased)(gaussians, turn, camera, SIZE))]
    theirs = drawn(gaussians, turn, camera, SIZE, antialiased=antialiased)
    for found, expected in zip(ours, theirs, strict=True):
        close(found, expected, rtol=1e-9, atol=1e-9)
    for one, other in zip(gradients(ours, gaussians), gradients(theirs, gaussians), strict=True):
        close(one, other, rtol=1e-4, atol=1e-8 * float(other.abs().max()))


def test_float32_is_close_to_the_reference():
    gaussians, (turn, camera) = cloud(number=90, opacity=(0.3, 1.0)), view()
    exact = gaussians.map(lambda t: t.requires_grad_())
    single = gaussians.map(lambda t: t.detach().float().requires_grad_())
    expected = parts(Rasterizer("torch")(exact, turn, camera, SIZE))
    found = parts(Rasterizer("torch")(single, turn.float(), camera.float(), SIZE))
    for one, other in zip(found[:2], expected[:2], strict=True):
        assert one.dtype == torch.float32
        close(one.double(), other, rtol=1e-4, atol=1e-4)
    for one, other in zip(gradients(found, single), gradients(expected, exact), strict=True):
        assert float((one - other).norm() / other.norm()) < 1e-3


def test_gradients_are_those_of_finite_differences():
    gaussians, (turn, camera) = cloud(number=6, channels=2, opacity=(0.3, 0.8)), view()
    inputs = [getattr(gaussians, f.name).requires_grad_() for f in fields(Gaussians)]
    # the cut at 1/255 is a step, over which differences would stumble: these Gaussians are larger than the picture
    inputs[2] = (inputs[2].detach() + 1.5).requires_grad_()

    def draw(*tensors):
        return parts(Rasterizer("torch")(Gaussians(*tensors), turn, camera, (5, 6)))

    assert torch.autograd.gradcheck(draw, inputs, eps=1e-6, atol=1e-5, rtol=1e-4, fast_mode=True)


def test_a_batch_is_its_samples():
    gaussians, (turn, camera) = cloud(samples=3), view(samples=3)
    together = Rasterizer("torch")(gaussians, turn, camera, SIZE)
    for i in range(3):
        alone = Rasterizer("torch")(
            gaussians.map(lambda t, i=i: t[i : i + 1]), turn[i : i + 1], camera[i : i + 1], SIZE
        )
        for one, other in zip(parts(together), parts(alone), strict=True):
            close(one[i], other[0], rtol=1e-12, atol=1e-12)


def test_the_order_of_gaussians_does_not_matter():
    gaussians, (turn, camera) = cloud(), view()
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0))
    found = Rasterizer("torch")(gaussians.map(lambda t: t[:, order]), turn, camera, SIZE)
    for one, other in zip(parts(found), parts(Rasterizer("torch")(gaussians, turn, camera, SIZE)), strict=True):
        close(one, other, rtol=1e-12, atol=1e-12)


def test_joined_clouds_hide_each_other():
    near, far = cloud(number=5, seed=1), cloud(number=8, seed=2)
    together = joined(near, far)
    assert together.feature.shape == (1, 13, 4)
    turn, camera = view()
    expected = drawn(together, turn, camera, SIZE)
    close(Rasterizer("torch")(joined(far, near), turn, camera, SIZE).feature[0], expected[0], rtol=1e-9, atol=1e-9)


def test_a_shifted_principal_point_shifts_the_picture():
    gaussians = cloud(spread=0.3)
    turn, camera = view()
    still = Rasterizer("torch")(gaussians, turn, camera, SIZE)
    moved = Rasterizer("torch")(gaussians, turn, view(shift=(5.0, -3.0))[1], SIZE)
    for one, other in zip(parts(moved), parts(still), strict=True):
        close(one[..., :-3, 5:], other[..., 3:, :-5], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (33, 7), (16, 16)])
def test_any_size_is_drawn(size):
    gaussians, (turn, camera) = cloud(number=8), view(size=size)
    rendered = Rasterizer("torch")(gaussians, turn, camera, size)
    for one, other in zip(parts(rendered), drawn(gaussians, turn, camera, size), strict=True):
        close(one[0], other, rtol=1e-9, atol=1e-9)


def away(where):
    """Where no camera of `view` sees them: behind it, or far to the side; or too faint, or none at all."""
    gaussians = cloud()
    return {
        "behind": replace(gaussians, mean=gaussians.mean + torch.tensor([0.0, 0.0, -9.0])),
        "aside": replace(gaussians, mean=gaussians.mean + torch.tensor([40.0, 0.0, 0.0])),
        "faint": replace(gaussians, opacity=gaussians.opacity * 0 + 0.003),
        "none": gaussians.map(lambda t: t[:, :0]),
    }[where]


@pytest.mark.parametrize("where", ["behind", "aside", "faint", "none"])
def test_an_empty_view_is_background_with_gradients_of_zero(where):
    gaussians = away(where).map(lambda t: t.requires_grad_())
    rendered = Rasterizer("torch")(gaussians, *view(), SIZE, background=0.25)
    assert (rendered.feature == 0.25).all()
    assert (rendered.alpha == 0).all()
    assert (rendered.depth == 0).all()
    assert all((gradient == 0).all() for gradient in gradients(parts(rendered), gaussians))


def test_what_is_off_screen_changes_nothing_and_has_no_gradient():
    seen, hidden = cloud(seed=1), away("behind").map(lambda t: t.requires_grad_())
    alone = Rasterizer("torch")(seen, *view(), SIZE)
    beside = Rasterizer("torch")(joined(seen, hidden, away("aside")), *view(), SIZE)
    for one, other in zip(parts(beside), parts(alone), strict=True):
        close(one, other, rtol=1e-12, atol=1e-12)
    assert all((gradient == 0).all() for gradient in gradients(parts(beside), hidden))


@pytest.mark.parametrize("name", ["mean", "quaternion", "scale", "opacity"])
def test_a_gaussian_that_is_not_finite_shows_in_its_picture_only(name):
    gaussians = cloud(samples=2)
    broken = getattr(gaussians, name).clone()
    broken[1, 3] = float("nan")
    rendered = Rasterizer("torch")(replace(gaussians, **{name: broken}), *view(samples=2), SIZE)
    assert rendered.feature[0].isfinite().all()
    assert rendered.feature[1].isnan().all()


def test_it_computes_in_float32_under_autocast():
    gaussians, (turn, camera) = cloud(dtype=torch.float32), view(dtype=torch.float32)
    expected = Rasterizer("torch")(gaussians, turn, camera, SIZE)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = Rasterizer("torch")(gaussians.map(lambda t: t), turn, camera, SIZE)
    assert found.feature.dtype == torch.float32
    assert (found.feature == expected.feature).all()
    half = Rasterizer("torch")(gaussians.map(lambda t: t.bfloat16()), turn, camera, SIZE)
    assert half.feature.dtype == torch.float32


def test_a_picture_that_no_gradient_is_asked_of_is_the_same():
    gaussians, cameras = cloud(number=90, opacity=(0.9, 1.0)).map(lambda t: t.requires_grad_()), view()
    with torch.no_grad():
        found = Rasterizer("torch")(gaussians, *cameras, SIZE)
    assert (found.feature == Rasterizer("torch")(gaussians, *cameras, SIZE).feature).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"backend": "inria"}, "rasterize.backend is 'inria'; expected one of"), ({"near": 0.0}, "rasterize.near is 0.0")],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Rasterizer(**arguments)


def test_gsplat_without_a_cuda_device_is_refused_and_says_what_to_install():
    gaussians, cameras = cloud(dtype=torch.float32), view(dtype=torch.float32)
    with pytest.raises(UserError, match=r"not on a CUDA device.*pip install 'gaze\[gsplat\]'.*rasterize.backend=torch"):
        Rasterizer("gsplat")(gaussians, *cameras, SIZE)


def test_auto_falls_back_and_says_so_once(caplog):
    rasterizer = Rasterizer("auto")
    with caplog.at_level(logging.INFO, "gaze.rasterize.rasterizer"):
        for _ in range(2):
            rasterizer(cloud(dtype=torch.float32), *view(dtype=torch.float32), SIZE)
    assert [r.message for r in caplog.records] == [
        "Gaussians are drawn by PyTorch: the tensors are not on a CUDA device"
    ]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory")])
def test_memory_that_does_not_suffice_names_the_settings(error, monkeypatch):
    def fails(*_):
        raise error

    monkeypatch.setattr(torch_backend, "project", fails)
    with pytest.raises(UserError, match="backbone.face_points, trainer.batch_size or model.feature_size"):
        Rasterizer("torch")(cloud(), *view(), SIZE)


def test_another_error_stays_what_it_is(monkeypatch):
    def fails(*_):
        raise RuntimeError("sizes do not match")

    monkeypatch.setattr(torch_backend, "project", fails)
    with pytest.raises(RuntimeError, match="^sizes do not match$"):
        Rasterizer("torch")(cloud(), *view(), SIZE)


cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@cuda
@pytest.mark.gpu
def test_cuda_and_cpu_draw_the_same():
    gaussians, cameras = cloud(samples=2, number=90).map(lambda t: t.requires_grad_()), view(samples=2)
    here = parts(Rasterizer("torch")(gaussians, *cameras, SIZE))
    there = parts(Rasterizer("torch")(gaussians.to("cuda"), *(t.cuda() for t in cameras), SIZE))
    for one, other in zip(there, here, strict=True):
        close(one.cpu(), other, rtol=1e-9, atol=1e-9)
    for one, other in zip(gradients(there, gaussians), gradients(here, gaussians), strict=True):
        close(one, other, rtol=1e-6, atol=1e-8)


@cuda
@pytest.mark.gpu
@pytest.mark.parametrize("antialiased", [False, True])
def test_gsplat_and_ours_draw_the_same(antialiased):
    if reason := gsplat_backend.missing():
        pytest.skip(reason)
    gaussians = cloud(samples=2, number=90, channels=32, dtype=torch.float32).map(lambda t: t.cuda().requires_grad_())
    cameras = [t.cuda() for t in view(samples=2, dtype=torch.float32)]
    ours = parts(Rasterizer("torch", antialiased=antialiased)(gaussians, *cameras, SIZE))
    theirs = parts(Rasterizer("gsplat", antialiased=antialiased)(gaussians, *cameras, SIZE))
    for one, other in zip(ours, theirs, strict=True):
        assert float((one - other).norm() / other.norm()) < 1e-3
    for one, other in zip(gradients(ours, gaussians), gradients(theirs, gaussians), strict=True):
        assert float((one - other).norm() / other.norm()) < 1e-2
