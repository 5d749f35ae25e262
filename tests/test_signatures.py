"""Mistakes in configs, found before anything is built."""

import pytest

from gaze.signatures import locate, problems


def found(node) -> str:
    return "\n".join(problems(node))


COSINE = "gaze.schedules.Cosine"


def test_a_right_config_has_no_problems():
    assert found({"lr": {"_target_": COSINE, "start": 1, "end": 0.5}}) == ""


def test_a_typo_gets_a_suggestion():
    assert (
        found({"lr": {"_target_": COSINE, "strat": 1.0}})
        == "lr.strat: Cosine has no argument 'strat'; did you mean 'start'?"
    )


def test_a_call_at_the_top_has_keys_without_a_dot():
    assert found({"_target_": COSINE, "end": "low", "strat": 1.0}).splitlines() == [
        "strat: Cosine has no argument 'strat'; did you mean 'start'?",
        "end: 'low' is no float",
    ]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("amp", "ture", "trainer.amp: 'ture' is no bool"),
        ("epochs", 1.5, "trainer.epochs: 1.5 is no int"),
        ("clip_norm", "big", "trainer.clip_norm: 'big' is no float | None"),
        ("epochs", None, "trainer.epochs: None is no int"),
        ("clip_norm", 1, ""),
        ("clip_norm", None, ""),
    ],
)
def test_values_are_checked_against_annotations(key, value, said):
    node = {"trainer": {"_target_": "gaze.trainer.Trainer", "_partial_": True, key: value}}
    assert found(node) == said


@pytest.mark.parametrize("place", range(4))
def test_every_item_of_a_container_is_checked_not_one_by_chance(place):
    epochs = [2, 4, 6, 8]
    epochs[place] = "eight"
    said = found({"_target_": "gaze.schedules.Step", "epochs": epochs, "values": [1.0]})
    assert said.startswith(f"epochs: {epochs} is no")
    overrides = {name: {"lr": 0.1} for name in "abcd"}
    overrides["abcd"[place]]["lr"] = "low"
    said = found({"_target_": "gaze.optimizers.grouped", "_partial_": True, "overrides": overrides})
    assert said.startswith("overrides: ")


def test_a_missing_argument_is_named():
    assert "Step needs 'values'" in found({"_target_": "gaze.schedules.Step", "epochs": [1]})
    assert found({"_target_": "gaze.schedules.Step", "_partial_": True, "epochs": [1]}) == ""


def test_a_missing_value_says_how_to_give_it():
    assert found({"init": {"run": "???"}}) == "init.run: a value is missing; give one with init.run=..."


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "subprocess.run",
        "builtins.exec",
        "torch.load",
        "torch.hub.load",
        "shutil.copy",
        "numpy.load",
        "gazebo.Thing",
        3,
    ],
)
def test_untrusted_targets_are_refused_without_importing_them(target):
    assert "is not trusted; a config may call only gaze.avatars" in found({"callback": {"x": {"_target_": target}}})


def test_a_target_that_does_not_exist_is_named():
    assert "'gaze.schedules.Cosin' cannot be called: module gaze.schedules has no Cosin" in found(
        {"_target_": "gaze.schedules.Cosin"}
    )
    with pytest.raises(ImportError, match="there is no module gazes"):
        locate("gazes.schedules.Cosine")
