"""A KL autoencoder of a few thousand parameters, and the files that others keep theirs in."""

import json

import torch
from safetensors.torch import save_file

from gaze.vaes.autoencoder_kl import AutoencoderKL

SHAPE = {"widths": [8, 16], "layers": 1, "latent_channels": 4, "groups": 4, "attention": True}
CONFIG = {
    "_class_name": "AutoencoderKL",
    "act_fn": "silu",
    "block_out_channels": [8, 16],
    "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D"],
    "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D"],
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "sample_size": 16,
    "scaling_factor": 0.5,
}
FILE = "diffusion_pytorch_model.safetensors"


def tiny(frozen=False, known=True, **changes):
    """With random weights, but a scaling factor as if they were trained."""
    torch.manual_seed(0)
    vae = AutoencoderKL(**{**SHAPE, **changes}, frozen=frozen)
    vae.scaling_factor.fill_(0.5 if known else 0.0)
    return vae


def tensors(vae):
    return {name: tensor.clone() for name, tensor in vae.state_dict().items() if name != "scaling_factor"}


def written(folder, state, **changes):
    """A folder in the format of diffusers."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**CONFIG, **changes}))
    save_file(state, folder / FILE)
    return folder
