"""The config reaches the autoencoder from both stages."""

from hydra import compose, initialize_config_module

from gaze.runs import plain_config, without_weights
from gaze.signatures import problems


def composed(*overrides):
    with initialize_config_module("gaze.conf"):
        return plain_config(compose("train", overrides=[*overrides, "dir=unused", "data_root=data"]))


def test_the_first_stage_trains_it_on_any_data_set_of_heads():
    config = composed("model=gazegaussian_vae", "dataset@dataset.views=xgaze_render", "vae.widths=[8,8,16]")
    assert config["dataset"]["views"]["_target_"] == "gaze.datasets.head_views.HeadViews"
    assert config["dataset"]["views"]["root"] != "data/heads"
    assert config["model"]["vae"]["widths"] == [8, 8, 16]
    assert config["model"]["vae"]["frozen"] is False
    assert list(problems(config)) == []


def test_the_second_stage_draws_with_it_and_can_be_told_to_stay_near_its_latents():
    config = composed(
        "model=gazegaussian", "init.run=first", "vae=tiny", "vae.weights=second", "loss=[l1_head,latent_l1]"
    )
    assert config["model"]["head"]["vae"] == config["loss"]["latent_l1"]["vae"] == config["vae"]
    assert config["vae"]["weights"] == "second"
    assert without_weights(config["model"])["head"]["vae"]["weights"] is None
    assert [p for p in problems(config) if "vae" in p or "latent" in p] == []
