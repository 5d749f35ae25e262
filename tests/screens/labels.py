"""Labels of a small split: two phones' users and one tablet's, four frames each."""

import torch

from gaze.datasets.screen_labels import ScreenLabels
from gaze.label_units import UNITS
from gaze.screens.rows import PointRows


def labels(seed=0, slope=None):
    """Points are `slope` times the place of the face, if there is a slope; else random."""
    draw = torch.Generator().manual_seed(seed)
    geometry = torch.rand(12, 12, generator=draw)
    point = 4 * torch.rand(12, 2, generator=draw) - 2
    if slope is not None:
        point = slope * geometry[:, :2] + torch.tensor([1.0, -5.0])
    kind = torch.tensor([0] * 8 + [1] * 4)
    return ScreenLabels(
        point=point,
        geometry=geometry,
        screen_cm=torch.tensor([[6.0, 12.0]] * 8 + [[15.0, 20.0]] * 4),
        screen_px=torch.tensor([[600.0, 1200.0]] * 8 + [[1500.0, 2000.0]] * 4),
        centre=torch.tensor([[0.0, -7.0]] * 8 + [[0.0, -11.0]] * 4),
        orientation=torch.ones(12, dtype=torch.int64),
        kind=kind,
        device=kind.clone(),
        subject=torch.arange(3).repeat_interleave(4),
        recording=torch.arange(3).repeat_interleave(4),
        fixation=torch.arange(6).repeat_interleave(2),
        dot=torch.arange(6).repeat_interleave(2) % 2,
        calibration=torch.zeros(12, dtype=torch.int64),
        weight=torch.ones(12),
        sample_id=[f"made/{i // 4}/{i:05d}" for i in range(12)],
        devices=["phone, small", "tablet"],
        subjects=["a", "b", "c"],
        recordings=["0001", "0002", "0003"],
    )


def rows(of, point):
    """What an evaluation knows of these frames, with predicted points."""
    n = len(of)
    nan = torch.full((n,), torch.nan).double()
    return PointRows(
        point=point.double(),
        truth=of.point.double(),
        screen_cm=of.screen_cm.double(),
        screen_px=of.screen_px.double(),
        centre=of.centre.double(),
        origin=nan[:, None].expand(n, 3),
        distance_cm=torch.full((n,), 30.0).double(),
        orientation=of.orientation,
        kind=of.kind,
        device=of.device,
        subject=of.subject,
        fixation=of.fixation,
        unit=torch.full((n,), UNITS.index(of.unit)),
    )
