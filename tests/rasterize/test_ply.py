"""Gaussians written as .ply read back the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gaze.rasterize.ply import write_ply
from tests.rasterize.clouds import cloud


def read(file):
    """Columns by name of a binary little-endian .ply of floats."""
    header, _, body = file.read_bytes().partition(b"end_header\n")
    lines = header.decode().splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    names = [line.split()[2] for line in lines if line.startswith("property float ")]
    table = np.frombuffer(body, "<f4").reshape(int(lines[2].removeprefix("element vertex ")), len(names))
    return {name: torch.tensor(table[:, i].copy()) for i, name in enumerate(names)}


def test_a_file_reads_back_as_the_gaussians_it_was_written_of(tmp_path):
    gaussians = cloud(number=7, dtype=torch.float32)
    write_ply(gaussians, tmp_path / "there" / "head.ply")
    found = read(tmp_path / "there" / "head.ply")
    assert [*found][:10] == ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"]

    def columns(*names):
        return torch.stack([found[name] for name in names], 1)

    close = torch.testing.assert_close
    close(columns("x", "y", "z"), gaussians.mean[0])
    close(columns("f_dc_0", "f_dc_1", "f_dc_2") * 0.28209479177387814 + 0.5, gaussians.feature[0, :, :3])
    close(found["opacity"].sigmoid(), gaussians.opacity[0])
    close(columns("scale_0", "scale_1", "scale_2").exp(), gaussians.scale[0])
    turn = columns("rot_0", "rot_1", "rot_2", "rot_3")
    close(turn * gaussians.quaternion[0].norm(dim=-1, keepdim=True), gaussians.quaternion[0])


@pytest.mark.parametrize(
    ("gaussians", "message"),
    [
        (cloud(samples=2), "2 samples to write .* expected 1"),
        (cloud(channels=2), "2 features .* expected 3 or more, RGB first"),
        (cloud().map(lambda t: t * float("nan")), "30 of 30 Gaussians .* not finite"),
    ],
)
def test_what_no_file_can_hold_is_refused(gaussians, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        write_ply(gaussians, tmp_path / "head.ply")
    assert not [*tmp_path.iterdir()]
