"""Vectors of texts: from hashes, from files that are held to what they were made for, and as a model has them."""

import logging

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gaze.errors import UserError
from gaze.prompts.bank import read_banks
from gaze.prompts.building import TextTower, build_file, open_clip_tower
from gaze.prompts.embeddings import hashed, read_vectors
from gaze.prompts.prompts import Prompts, class_angles, shuffled, unit
from tests.prompts.banks import WIDTH, banks

TEMPLATES = ("{}", "a photo: {}")
FACTS = {"provider": "fake 1", "model": "M", "tag": "t"}


def fake(texts):
    """A text tower in which every letter counts."""
    return torch.stack([torch.tensor([float(t.count(chr(97 + i % 26))) + i / 9 for i in range(WIDTH)]) for t in texts])


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "prompts.safetensors"
    build_file(path, read_banks(banks()), TEMPLATES, WIDTH, TextTower(fake, FACTS))
    return path


def prompts(**options):
    return Prompts(**{"width": WIDTH, "banks": banks(), "templates": TEMPLATES, **options})


def test_hashes_are_the_same_on_every_machine():
    drawn = np.random.Generator(np.random.PCG64(0xCA978112CA1BBDCA)).standard_normal(4)  # the sha256 of "a" begins so
    expected = torch.from_numpy(drawn / np.linalg.norm(drawn)).float()
    assert torch.equal(hashed("a", 4), expected)
    assert abs(float(hashed("a", 512) @ hashed("b", 512))) < 0.2


def test_hashes_say_that_they_mean_nothing_and_a_saved_run_need_not(caplog, tmp_path):
    build_file(tmp_path / "hashes", read_banks(banks()), TEMPLATES, WIDTH, None)
    for weights in (str(tmp_path / "hashes"), "hash"):
        with caplog.at_level(logging.WARNING):
            chosen = prompts(weights=weights, text_model="ViT-B-32-quickgelu/openai")
        assert f"prompts.weights={weights}: the vectors only tell texts apart and carry no meaning" in caplog.text
        caplog.clear()
    loaded = prompts(weights=None)
    assert not caplog.text
    assert loaded.load_state_dict(chosen.state_dict()) is not None
    assert not any("text" in name for name, _ in loaded.named_parameters())


def test_a_file_gives_the_mean_of_the_templates_and_a_run_needs_it_no_more(file):
    made = prompts(weights=str(file), text_model="M/t", center=False)
    text = banks()["gaze"]["entries"][0]["text"]
    expected = unit(unit(fake([template.format(text) for template in TEMPLATES])).mean(0))
    torch.testing.assert_close(made().get("gaze").keys[0], expected)
    again = prompts(weights=None, center=False)
    again.load_state_dict(made.state_dict())
    assert torch.equal(again()["gaze"].values, made()["gaze"].values)


def test_a_file_for_something_else_is_refused_with_both_hashes(file, tmp_path):
    other = read_banks(banks(background=None))
    with pytest.raises(
        UserError, match=r"made for other texts: the sha256 of its prompts is [0-9a-f]{64}, .*'s [0-9a-f]{64};"
    ):
        read_vectors(file, other, TEMPLATES, WIDTH)
    with pytest.raises(UserError, match="made for other texts"):
        prompts(weights=str(file), templates=("{}",))
    with pytest.raises(UserError, match="holds texts of width 32, but pictures are embedded in 64"):
        prompts(weights=str(file), width=64)
    with pytest.raises(UserError, match=r"holds texts of M/t, but the image tower belongs to RN50-quickgelu/openai"):
        prompts(weights=str(file), text_model="RN50-quickgelu/openai")
    with pytest.raises(
        UserError, match=r"no embeddings of texts at .*tools/build_prompts.py.* or set prompts.weights=hash"
    ):
        prompts(weights=str(tmp_path / "none"))
    (tmp_path / "text").write_text("no tensors")
    with pytest.raises(UserError, match="cannot be read"):
        prompts(weights=str(tmp_path / "text"))
    save_file({"x": torch.zeros(1)}, tmp_path / "bare")
    with pytest.raises(UserError, match="has version None of prompts, this program 1"):
        prompts(weights=str(tmp_path / "bare"))


def test_a_tower_of_another_width_is_refused_before_a_file_is_written(tmp_path):
    with pytest.raises(UserError, match=r"bank illumination vectors of width 32.* embedded in 64"):
        build_file(tmp_path / "x", read_banks(banks()), TEMPLATES, 64, TextTower(fake, FACTS))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text_model", "message"),
    [
        (None, "expected MODEL/TAG of open_clip"),
        ("ViT-B-32/openai", "has GELU; set clip.text_model to ViT-B-32-quickgelu/openai"),
        ("ViT-B-32-quickgelu/openai", r"pip install 'gaze\[prompts\]'"),
    ],
)
def test_without_a_text_tower_there_is_a_sentence(monkeypatch, text_model, message):
    monkeypatch.setitem(__import__("sys").modules, "open_clip", None)
    with pytest.raises(UserError, match=message):
        open_clip_tower(text_model)


@pytest.mark.parametrize(("delta", "count"), [("shared", 1), ("per_bank", 4)])
def test_a_shift_starts_at_nothing_and_is_counted(delta, count):
    made, fixed = prompts(delta=delta), prompts()
    assert torch.equal(made()["gaze"].values, fixed()["gaze"].values)
    assert fixed.shift() is None
    assert len(list(made.parameters())) == count
    for shift in made.parameters():
        torch.nn.init.constant_(shift, 0.5)
    assert made.shift().item() == pytest.approx(count * WIDTH * 0.25)
    assert not torch.allclose(made()["gaze"].keys, fixed()["gaze"].keys, atol=1e-2)
    torch.testing.assert_close(made()["gaze"].keys.norm(dim=-1), torch.ones(8))


def test_the_mean_of_a_bank_is_taken_off_what_is_added_and_not_off_what_is_compared():
    vocabulary = prompts(center=True)()["illumination"]
    torch.testing.assert_close(vocabulary.values.mean(0), torch.zeros(WIDTH))
    torch.testing.assert_close(vocabulary.keys, prompts(center=False)()["illumination"].values)


def test_shuffling_leaves_no_text_at_its_entry_and_loses_none():
    plain, mixed, again = prompts(), prompts(shuffle=True), prompts(shuffle=True)
    rows, moved = (torch.cat([v.keys for v in made().values()]) for made in (plain, mixed))
    assert (rows @ moved.T).argmax(0).sort().values.tolist() == list(range(15))
    assert not (rows @ moved.T).argmax(0).eq(torch.arange(15)).any()
    assert torch.equal(mixed()["gaze"].keys, again()["gaze"].keys)
    assert not torch.equal(mixed()["gaze"].keys, prompts(shuffle=True, shuffle_seed=1)()["gaze"].keys)
    assert len(shuffled({"only": torch.ones(1, 4)}, 0)["only"]) == 1


def test_angles_are_in_the_plane_of_the_picture():
    angles = class_angles(prompts().of_role("gaze")) * 4 / torch.pi
    assert angles.round().int().tolist() == [0, 1, 2, 3, 4, -3, -2, -1]  # e, ne, n, nw, w, sw, s, se
