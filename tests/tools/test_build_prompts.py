"""Texts are embedded once, by a command."""

from pathlib import Path

from gaze.prompts.bank import digest, read_banks
from gaze.prompts.embeddings import read_vectors
from tests.processes import run_command
from tests.prompts.banks import WIDTH, banks

TOOL = Path(__file__).parents[2] / "tools" / "build_prompts.py"


def test_a_file_is_written_for_the_texts_and_the_tower_of_the_config(tmp_path):
    done = run_command(tmp_path, TOOL, "clip=tiny_random", "source=hash", "out=new/prompts.safetensors")
    assert done.returncode == 0, done.stderr
    made = read_banks(banks())
    assert f"15 texts in 4 banks, 32 wide, sha256 of the prompts {digest(made, ['{}'])}" in done.stdout
    vectors, facts = read_vectors(tmp_path / "new" / "prompts.safetensors", made, ["{}"], WIDTH)
    assert [tuple(v.shape) for v in vectors.values()] == [(3, 32), (2, 32), (2, 32), (8, 32)]
    assert facts["provider"] == "hash"


def test_a_broken_rule_names_the_file_and_the_line(tmp_path):
    wrong = ("prompts/bank@prompts.banks.gaze=head_pose", "prompts.banks.gaze.role=gaze")
    done = run_command(tmp_path, TOOL, "clip=tiny_random", "source=hash", "out=x.safetensors", *wrong)
    assert done.returncode == 1
    assert "prompts.banks.gaze, entry 1 (frontal): it has no dir" in done.stderr
    assert "head_pose.yaml:4)" in done.stderr
