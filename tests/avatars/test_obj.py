"""Meshes as files."""

import torch

from gaze.avatars.obj import save_obj


def test_a_mesh_reads_back(tmp_path):
    points = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 2.5, 0.0]])
    file = tmp_path / "new" / "mesh.obj"
    save_obj(file, points, torch.tensor([[0, 1, 2]]), torch.tensor([[1.0, 0.5, 0.0]] * 3))
    rows = [line.split() for line in file.read_text().splitlines()]
    assert [[float(x) for x in row[1:4]] for row in rows if row[0] == "v"] == points.tolist()
    assert [float(x) for x in rows[0][4:]] == [1.0, 0.5, 0.0]
    assert rows[-1] == ["f", "1", "2", "3"]
    assert [f.name for f in file.parent.iterdir()] == ["mesh.obj"]
    save_obj(file, points, torch.tensor([[0, 1, 2]]))
    assert file.read_text().splitlines()[0] == "v 0 0 0"
