"""The autoencoder has the names and sizes of published ones, its halves fit, and it does not work with random weights."""

import pytest
import torch
from safetensors.torch import save_file

from gaze.errors import UserError
from gaze.freezing import train_mode
from gaze.shapes_only import shapes_only
from gaze.vaes.autoencoder_kl import AutoencoderKL
from tests import groups
from tests.stubs.line import Net
from tests.stubs.training import line_trainer
from tests.stubs.vaes import CONFIG, FILE, SHAPE, tensors, tiny, written

PICTURES = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def parameters(vae):
    return sum(p.numel() for p in vae.parameters())


def test_the_published_shape_has_the_published_tensors():
    with shapes_only():
        vae = groups.build(groups.node("vae", "diffusers"))
    assert parameters(vae) == 83_653_863
    assert (vae.factor, vae.latent_channels) == (8, 4)
    shapes = {name: tuple(tensor.shape) for name, tensor in vae.state_dict().items()}
    assert len(shapes) == 248 + 1  # and scaling_factor
    expected = {
        "encoder.conv_in.weight": (128, 3, 3, 3),
        "encoder.down_blocks.0.resnets.1.conv2.weight": (128, 128, 3, 3),
        "encoder.down_blocks.1.resnets.0.conv_shortcut.weight": (256, 128, 1, 1),
        "encoder.down_blocks.2.downsamplers.0.conv.bias": (512,),
        "encoder.mid_block.attentions.0.group_norm.weight": (512,),
        "encoder.mid_block.attentions.0.to_out.0.weight": (512, 512),
        "encoder.mid_block.resnets.1.norm2.bias": (512,),
        "encoder.conv_norm_out.weight": (512,),
        "encoder.conv_out.weight": (8, 512, 3, 3),
        "quant_conv.weight": (8, 8, 1, 1),
        "post_quant_conv.weight": (4, 4, 1, 1),
        "decoder.conv_in.weight": (512, 4, 3, 3),
        "decoder.up_blocks.0.resnets.2.conv1.weight": (512, 512, 3, 3),
        "decoder.up_blocks.2.resnets.0.conv_shortcut.weight": (256, 512, 1, 1),
        "decoder.up_blocks.2.upsamplers.0.conv.weight": (256, 256, 3, 3),
        "decoder.mid_block.attentions.0.to_v.bias": (512,),
        "decoder.conv_out.weight": (3, 128, 3, 3),
    }
    assert {name: shapes.get(name) for name in expected} == expected
    assert "encoder.down_blocks.3.downsamplers.0.conv.weight" not in shapes
    assert "decoder.up_blocks.3.upsamplers.0.conv.weight" not in shapes


def test_the_small_one_is_small():
    with shapes_only():
        assert 200_000 < parameters(groups.build(groups.node("vae", "tiny"))) < 400_000


@pytest.mark.parametrize(("widths", "factor"), [([8, 16], 2), ([8, 8, 16], 4), ([4, 8, 8, 16], 8)])
def test_latents_are_smaller_by_the_factor_and_pictures_come_back(widths, factor):
    vae = tiny(widths=widths, attention=False)
    mean, log_variance = vae.encode(PICTURES)
    assert vae.factor == factor
    assert mean.shape == log_variance.shape == (2, 4, 16 // factor, 16 // factor)
    assert vae.decode(vae.latents(PICTURES)).shape == PICTURES.shape
    assert torch.allclose(vae.latents(PICTURES), 0.5 * mean)
    assert torch.allclose(vae.decode(0.5 * mean), vae.draw(mean))


def test_the_encoder_pads_on_the_right_and_below():
    """A symmetric padding would see another pixel first: published weights were trained with this one."""
    vae = tiny()
    halve = vae.encoder.down_blocks[0].downsamplers[0]
    x = torch.rand(1, 8, 6, 6)
    first = torch.nn.functional.conv2d(x[:, :, :3, :3], halve.conv.weight, halve.conv.bias)
    assert torch.allclose(halve(x)[:, :, :1, :1], first, atol=1e-6)
    assert halve(x).shape == (1, 8, 3, 3)


def test_pictures_are_brought_from_0_1_to_minus_1_1_and_back():
    vae = tiny()
    seen = []
    vae.encoder.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    vae.encode(torch.tensor([0.0, 0.5, 1.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4))
    assert seen[0][0, :, 0, 0].tolist() == [-1, 0, 1]
    vae.decoder.register_forward_hook(lambda *_: torch.tensor([-1.0, 0.0, 3.0]).view(1, 3, 1, 1))
    assert vae.decode(torch.zeros(1, 4, 2, 2)).flatten().tolist() == [0, 0.5, 2]  # beyond 1: a loss sees it


def test_a_frozen_decoder_passes_gradients_on_and_learns_nothing():
    vae = tiny(frozen=True)
    latent = torch.randn(1, 4, 8, 8, requires_grad=True)
    vae.decode(latent).square().sum().backward()
    assert latent.grad.abs().sum() > 0
    assert all(p.grad is None and not p.requires_grad for p in vae.parameters())


def test_recomputing_changes_no_gradient():
    gradients = []
    for recompute in (False, True):
        latent = torch.ones(1, 4, 8, 8, requires_grad=True)
        tiny(frozen=True, recompute=recompute).decode(latent).square().sum().backward()
        gradients.append(latent.grad)
    assert torch.equal(*gradients)


@pytest.mark.parametrize("ask", ["encode", "latents", "decode"])
def test_frozen_without_weights_is_refused_when_it_is_asked_and_names_the_command(ask):
    vae = tiny(frozen=True, known=False)
    train_mode(vae)
    asked = torch.rand(1, 4, 8, 8) if ask == "decode" else PICTURES
    with pytest.raises(UserError, match=r"(?s)random.*vae.weights.*python -m gaze.train model=gazegaussian_vae"):
        getattr(vae, ask)(asked)
    vae.load_state_dict(tiny(frozen=True).state_dict())  # as a checkpoint of a second stage does
    getattr(vae, ask)(asked)


def test_one_that_learns_may_begin_at_random_but_has_no_scale_yet():
    vae = tiny(known=False)
    mean, _ = vae.encode(PICTURES)
    with pytest.raises(UserError, match="random"):
        vae.latents(PICTURES)
    vae.measure(mean)
    assert vae.scaling_factor.item() == pytest.approx(1 / mean.std().item(), rel=1e-5)
    assert vae.latents(PICTURES).std().item() == pytest.approx(1, rel=1e-4)
    vae.measure(mean * 2)
    assert vae.scaling_factor.item() == pytest.approx(0.95 / mean.std().item(), rel=1e-5)


@pytest.mark.parametrize(
    "changes", [{"widths": []}, {"widths": [8, 18]}, {"layers": 0}, {"latent_channels": 0}, {"groups": 5}]
)
def test_shapes_that_make_no_sense_are_refused(changes):
    with pytest.raises(ValueError, match="vae.widths"):
        AutoencoderKL(**{**SHAPE, **changes})


def test_pictures_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="15x16 px.*factor 2"):
        tiny().encode(torch.rand(1, 3, 15, 16))


# --- files ---------------------------------------------------------------------------------


def as_before(name):
    for now, before in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
        name = name.replace(now, before)
    return name


@pytest.mark.parametrize("rename", [str, as_before])
@pytest.mark.parametrize("what", ["folder", "file", "pipeline"])
def test_a_file_of_diffusers_is_read(tmp_path, rename, what):
    original = tiny()
    folder = written(tmp_path / "vae", {rename(name): t for name, t in tensors(original).items()})
    weights = {"folder": folder, "file": folder / FILE, "pipeline": tmp_path}[what]
    vae = AutoencoderKL(**SHAPE, weights=str(weights))
    assert vae.scaling_factor.item() == 0.5
    assert torch.equal(vae.latents(PICTURES), original.latents(PICTURES))


def test_half_precision_files_become_float32_and_sd_s_scale_is_what_is_meant_by_none(tmp_path):
    folder = written(tmp_path, {name: t.half() for name, t in tensors(tiny()).items()})
    text = (folder / "config.json").read_text().replace('"scaling_factor": 0.5', '"shift_factor": null')
    (folder / "config.json").write_text(text)
    vae = AutoencoderKL(**SHAPE, weights=str(folder))
    assert vae.decoder.conv_in.weight.dtype == torch.float32
    assert vae.scaling_factor.item() == pytest.approx(0.18215)


def test_what_does_not_fit_is_said_by_name(tmp_path):
    state = tensors(tiny())
    wider = written(tmp_path / "wider", tensors(tiny(widths=[8, 24])), block_out_channels=[8, 24])
    with pytest.raises(ValueError, match=r"another shape.*set vae.widths=\[8,24\]$"):
        AutoencoderKL(**SHAPE, weights=str(wider))
    del state["quant_conv.bias"]
    with pytest.raises(ValueError, match=r"1 missing: quant_conv.bias"):
        AutoencoderKL(**SHAPE, weights=str(written(tmp_path / "lacking", state)))
    state["quant_conv.bias"] = torch.full((8,), torch.nan)
    with pytest.raises(ValueError, match="not finite: quant_conv.bias"):
        AutoencoderKL(**SHAPE, weights=str(written(tmp_path / "nan", state)))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"_class_name": "VQModel"}, "VQModel"),
        ({"use_quant_conv": False}, "use_quant_conv"),
        ({"shift_factor": 0.06}, "shift_factor"),
        ({"down_block_types": ["AttnDownEncoderBlock2D"]}, "AttnDownEncoderBlock2D"),
    ],
)
def test_other_kinds_of_autoencoders_are_refused(tmp_path, changes, named):
    with pytest.raises(ValueError, match=f"cannot be read.*{named}"):
        AutoencoderKL(**SHAPE, weights=str(written(tmp_path, tensors(tiny()), **changes)))


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_damaged_config_is_refused(tmp_path, text):
    (written(tmp_path, tensors(tiny())) / "config.json").write_text(text)
    with pytest.raises(ValueError, match="config.json"):
        AutoencoderKL(**SHAPE, weights=str(tmp_path))


def test_nothing_there_names_what_is_expected(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"{FILE}.*gazegaussian_vae.*vae.weights"):
        AutoencoderKL(**SHAPE, weights=str(tmp_path / "no"))
    save_file(tensors(tiny()), tmp_path / "alone.safetensors")
    with pytest.raises(FileNotFoundError, match="config.json"):
        AutoencoderKL(**SHAPE, weights=str(tmp_path / "alone.safetensors"))


def test_the_config_of_the_stub_is_what_our_shape_is():
    assert CONFIG["block_out_channels"] == SHAPE["widths"]


def test_frozen_without_weights_is_refused_before_the_first_step_of_any_stack(tmp_path):
    model = Net()
    model.vae = tiny(frozen=True, known=False)
    trainer = line_trainer(tmp_path, model=model)
    with pytest.raises(UserError, match="no weights but random ones"):
        trainer.fit()
    assert trainer.progress.step == 0
