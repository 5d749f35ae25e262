"""A saved run holds its texts: the file they came from may go."""

import logging

import torch
import yaml
from omegaconf import OmegaConf

from gaze.prompts.bank import read_banks
from gaze.prompts.building import TextTower, build_file
from gaze.runs import Run, build_model, load_model
from tests.prompts.banks import WIDTH, banks


def test_a_run_opens_without_the_file_of_its_texts_and_without_a_warning(tmp_path, caplog):
    file = tmp_path / "texts.safetensors"
    tower = TextTower(lambda texts: torch.randn(len(texts), WIDTH), {"provider": "fake", "model": "M", "tag": "t"})
    build_file(file, read_banks(banks()), ["{}"], WIDTH, tower)
    prompts = {"_target_": "gaze.prompts.prompts.Prompts", "_partial_": True, "banks": banks(), "weights": str(file)}
    model = {
        "_target_": "gaze.clip.steering.Steering",
        "embed_width": WIDTH,
        "prompts": {**prompts, "delta": "per_bank"},
        "matching": {"_target_": "gaze.matching.Matching", "_partial_": True},
        "codebook": {"_target_": "gaze.codebooks.codebook.Codebook", "_partial_": True},
    }
    config = {"model": model, "dataset": {"face_size": 32}}
    made = build_model(OmegaConf.create(config), with_weights=True)
    run = Run(tmp_path / "run")
    run.best.save(1, made, {})
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(config))
    file.unlink()
    with caplog.at_level(logging.WARNING):
        again = load_model(tmp_path / "run")
    assert "prompts" not in caplog.text
    embed = torch.randn(3, WIDTH)
    assert torch.equal(again(embed).class_logits, made.eval()(embed).class_logits)
