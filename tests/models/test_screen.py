"""The model of the point of gaze: its streams, its shared trunk, its own eye crops, and its way into a file."""

import jaxtyping
import pytest
import torch

from gaze.export.baked import baked_devices
from gaze.export.screen_graph import ScreenGraph
from gaze.fusions.channel_attention import ChannelAttention
from gaze.fusions.hybrid_gaze import HybridGaze
from gaze.fusions.itracker import ITracker
from gaze.fusions.mixing import ResidualNormMixing
from gaze.fusions.pooled_gaze import PooledGaze
from gaze.fusions.stream_encoder import StreamEncoder
from gaze.heads.point import PointHead
from gaze.heads.point_geometric import PointGeometricHead
from gaze.heads.point_heatmap import PointHeatmapHead
from gaze.heads.point_laplace import PointLaplaceHead
from gaze.models.eye_crops import EyeCrops
from gaze.models.screen import ScreenModel
from gaze.types import ScreenInputs
from tests.stubs.screen import Trunk

SMALL = {"width": 16, "heads": 2, "hidden": 16}


def model_of(fusion, output=PointHead, shared=True, **options):
    torch.manual_seed(0)
    eyes = ("eyes",) if shared else ("left_eye", "right_eye")
    trunks = {"face": Trunk(8, (4, 4))} | {name: Trunk(8, (2, 2)) for name in eyes}
    return ScreenModel(trunks, fusion, output, **options).eval()


def inputs_of(samples=3):
    draws = torch.Generator().manual_seed(0)
    face, left, right = (torch.rand(samples, 3, n, n, generator=draws) for n in (32, 16, 16))
    boxes = torch.tensor([0.2, 0.2, 0.6, 0.6, 0.55, 0.35, 0.15, 0.15, 0.3, 0.35, 0.15, 0.15])
    return ScreenInputs(
        *(face, left, right, boxes + 0.02 * torch.rand(samples, 12, generator=draws)),
        landmarks=torch.rand(samples, 5, 2, generator=draws),
        imu=torch.randn(samples, 9, generator=draws),
        imu_valid=torch.ones(samples),
    )


def test_a_shared_trunk_sees_mirrored_right_eyes():
    model = model_of(lambda channels: PooledGaze(channels, **SMALL))
    inputs = inputs_of()
    features = model.encode(inputs)
    assert torch.equal(features["left_eye"], model.trunks["eyes"](inputs.left_eye))
    torch.testing.assert_close(features["right_eye"], model.trunks["eyes"](inputs.right_eye.flip(-1)))


def test_trunks_that_contradict_each_other_and_missing_crops_are_said():
    fusion = lambda channels: PooledGaze(channels, **SMALL)  # noqa: E731
    with pytest.raises(ValueError, match=r"model\.trunks are face, eyes, left_eye; expected face, and either"):
        ScreenModel({n: Trunk(8, (2, 2)) for n in ("face", "eyes", "left_eye")}, fusion, PointHead)
    with pytest.raises(ValueError, match=r"looks at face, which the samples do not hold; add it to dataset\.streams"):
        model_of(fusion)(ScreenInputs(left_eye=torch.rand(1, 3, 8, 8), right_eye=torch.rand(1, 3, 8, 8)))


def test_eyes_are_cut_out_of_the_face_where_their_boxes_are():
    ramp = torch.linspace(0, 1, 40)
    face = torch.stack([ramp.expand(40, 40), ramp[:, None].expand(40, 40), torch.zeros(40, 40)])[None]
    geometry = torch.tensor([[0.1, 0.2, 0.8, 0.4, 0.5, 0.3, 0.2, 0.1, 0.2, 0.3, 0.2, 0.1]])
    left, right = EyeCrops(size=8)(face, geometry)
    assert left.shape == right.shape == (1, 3, 8, 8)
    # In the face's own fractions the eyes are centred at x of 0.625 and 0.25, y of 0.375, and a quarter wide and high
    for crop, x in ((left, 0.625), (right, 0.25)):
        assert crop[0, 0].mean() == pytest.approx((x * 40 - 0.5) / 39, abs=1e-3)
        assert crop[0, 1].mean() == pytest.approx((0.375 * 40 - 0.5) / 39, abs=1e-3)
        assert crop[0, 0, 0, -1] - crop[0, 0, 0, 0] == pytest.approx(0.25 * 40 / 39 * 7 / 8, abs=1e-3)


def test_eyes_from_the_face_replace_those_of_the_samples_and_unknown_boxes_are_survived():
    model = model_of(lambda channels: PooledGaze(channels, **SMALL), shared=False, eye_crops=EyeCrops(16))
    inputs = inputs_of()
    only = ScreenInputs(face=inputs.face, geometry=inputs.geometry)
    assert torch.equal(model(inputs).point, model(only).point)
    lost = ScreenInputs(face=inputs.face, geometry=inputs.geometry.index_fill(0, torch.tensor([0]), torch.nan))
    assert model(lost).point.isfinite().all()
    torch.testing.assert_close(model(lost).point[1:], model(only).point[1:])
    with pytest.raises(ValueError, match=r"cuts out the eyes by their boxes; add geometry"):
        model(ScreenInputs(face=inputs.face))


MODELS = {
    "spatial": lambda: model_of(
        lambda channels: HybridGaze(channels, {"face": 16, "eyes": 4}, query_pool=2, **SMALL), PointLaplaceHead
    ),
    "pooled": lambda: model_of(lambda channels: PooledGaze(channels, **SMALL), PointGeometricHead),
    "classic": lambda: model_of(lambda channels: ITracker({**channels}, None, grid=[8]), PointHeatmapHead),
    "v1": lambda: model_of(
        lambda channels: ITracker(channels, mixing=lambda width: ResidualNormMixing(width, 2, 4, 8)),
        shared=False,
        eye_crops=EyeCrops(16),
    ),
    "v3": lambda: model_of(lambda channels: StreamEncoder(channels, landmarks=5, imu=True, **SMALL)),
    "channels": lambda: model_of(lambda channels: ChannelAttention(channels, inner=4)),
}


@pytest.mark.parametrize("name", MODELS)
def test_it_exports_for_any_batch_and_with_no_device_in_the_graph(name, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # comparing sizes would make them constants

    def tensors(inputs):
        names = ("face", "left_eye", "right_eye", "geometry", "landmarks", "imu", "imu_valid")
        return {n: getattr(inputs, n) for n in names}

    model = ScreenGraph(MODELS[name](), inside=False).eval()
    batch = torch.export.Dim("b")
    example = tensors(inputs_of(3))
    with torch.no_grad():
        program = torch.export.export(model, (), example, dynamic_shapes={name: {0: batch} for name in example})
        other = tensors(inputs_of(5))
        found, wanted = program.module()(**other), model(**other)
    assert list(found) == list(wanted)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    assert baked_devices(program) == []
