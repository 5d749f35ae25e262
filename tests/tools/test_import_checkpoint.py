"""The command itself, from a file to a run that opens."""

from pathlib import Path

import pytest
import torch

import gaze
from gaze.backbones.hgnetv2 import HGNetV2
from gaze.heads.heatmap_decoder import HeatmapDecoder
from gaze.runs import load_model
from tests.processes import run_command

TOOL = Path(gaze.__file__).parents[1] / "tools" / "import_checkpoint.py"


def call(tmp_path, *arguments):
    return run_command(tmp_path, TOOL, *arguments)


@pytest.mark.slow
def test_a_checkpoint_becomes_a_run(tmp_path):
    backbone, head = HGNetV2(256, 3, 1), HeatmapDecoder(256, size=(32, 32))
    state = {f"backbone.{key}": value for key, value in backbone.state_dict().items()} | dict(head.state_dict())
    torch.save(state, tmp_path / "gazelle_hgnetv2_atto_distill.pt")
    done = call(tmp_path, "source=gazelle_hgnetv2_atto_distill.pt", "model=gazelle_hgnetv2_atto")
    assert done.returncode == 0, done.stderr
    run = "outputs/gazelle_hgnetv2_atto/imported_gazelle_hgnetv2_atto_distill"
    assert done.stdout.strip().startswith(f"{run}: gazelle_hgnetv2_atto, 2,926,024 parameters")
    model = load_model(tmp_path / run)
    assert torch.equal(model.head.linear.weight, head.linear.weight)

    failed = call(tmp_path, "source=gazelle_hgnetv2_atto_distill.pt", "model=gazelle_hgnetv2_femto")
    assert failed.returncode == 1
    assert failed.stderr.strip().startswith(
        "error: gazelle_hgnetv2_atto_distill.pt holds a head on 256 channels and a CNN"
    )
