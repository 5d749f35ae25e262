"""A transformer of DINOv3's kind written out in a few lines, from tensors under the names of the original code."""

import math

import torch
import torch.nn.functional as F

DEPTH, REGISTERS = 2, 4


def random_state(width, *, registers=REGISTERS, scale=True, gated=False, norm=True, depth=DEPTH, device="cpu"):
    """A state dict of the original layout, all values random: `registers` and so on say what this model has."""
    generator = torch.Generator().manual_seed(width) if device == "cpu" else None
    hidden = 4 * width  # of S+ too: two thirds of six times the width

    def draw(*shape, spread=0.3):
        return torch.randn(*shape, generator=generator, device=device) * spread

    def linear(name, inputs, outputs):
        return {f"{name}.weight": draw(outputs, inputs, spread=inputs**-0.5), f"{name}.bias": draw(outputs)}

    def layer_norm(name):
        return {f"{name}.weight": 1 + draw(width), f"{name}.bias": draw(width)}

    state = {"cls_token": draw(1, 1, width), "patch_embed.proj.weight": draw(width, 3, 16, 16, spread=0.02)}
    state |= {"patch_embed.proj.bias": draw(width)}
    state["rope_embed.periods"] = (100 ** (torch.arange(16) / 16)).bfloat16()
    if registers:
        state |= {"storage_tokens": draw(1, registers, width), "mask_token": draw(1, width)}
    for i in range(depth):
        parts = layer_norm("norm1") | layer_norm("norm2") | linear("attn.qkv", width, 3 * width)
        parts |= linear("attn.proj", width, width)
        if registers:
            parts["attn.qkv.bias_mask"] = torch.tensor([1.0, 0.0, 1.0]).repeat_interleave(width)
        if gated:
            parts |= linear("mlp.w1", width, hidden) | linear("mlp.w2", width, hidden) | linear("mlp.w3", hidden, width)
        else:
            parts |= linear("mlp.fc1", width, hidden) | linear("mlp.fc2", hidden, width)
        if scale:
            parts |= {"ls1.gamma": draw(width), "ls2.gamma": draw(width)}
        state |= {f"blocks.{i}.{name}": value for name, value in parts.items()}
    return state | (layer_norm("norm") if norm else {})


def plain_features(state, image, eps):
    """The map of patch tokens of normalised images [b 3 H W], the long way."""
    width = state["cls_token"].shape[-1]
    patches = F.conv2d(image, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=16)
    b, _, h, w = patches.shape
    prefix = [state["cls_token"].expand(b, -1, -1)]
    if "storage_tokens" in state:
        prefix.append(state["storage_tokens"].expand(b, -1, -1))
    x = torch.cat([*prefix, patches.flatten(2).transpose(1, 2)], 1)
    skip = x.shape[1] - h * w
    angles = _angles(h, w, state["rope_embed.periods"].float())
    for i in range(sum(name.endswith("norm1.weight") for name in state)):
        block = {name.removeprefix(f"blocks.{i}."): v for name, v in state.items() if name.startswith(f"blocks.{i}.")}
        y = F.layer_norm(x, (width,), block["norm1.weight"], block["norm1.bias"], eps)
        x = x + block.get("ls1.gamma", 1) * _attend(block, y, angles, skip)
        y = F.layer_norm(x, (width,), block["norm2.weight"], block["norm2.bias"], eps)
        x = x + block.get("ls2.gamma", 1) * _mlp(block, y)
    if "norm.weight" in state:
        x = F.layer_norm(x, (width,), state["norm.weight"], state["norm.bias"], eps)
    return x[:, skip:].transpose(1, 2).reshape(b, width, h, w)


def _angles(h, w, periods):
    """Angle of each patch and channel of a head, [h*w, 64]: rows in a quarter of them, columns in one, twice."""
    rows = 2 * (torch.arange(h) + 0.5) / h - 1
    columns = 2 * (torch.arange(w) + 0.5) / w - 1
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2, 1)
    return (2 * math.pi * grid / periods).flatten(1).repeat(1, 2)


def _attend(block, x, angles, skip):
    b, n, width = x.shape
    bias = block["attn.qkv.bias"] * block.get("attn.qkv.bias_mask", 1)
    qkv = F.linear(x, block["attn.qkv.weight"], bias).view(b, n, 3, width // 64, 64).permute(2, 0, 3, 1, 4)
    q, k, v = qkv[0].clone(), qkv[1].clone(), qkv[2]
    for t in (q, k):
        patches = t[:, :, skip:].clone()
        turned = torch.cat([-patches[..., 32:], patches[..., :32]], -1)
        t[:, :, skip:] = patches * angles.cos() + turned * angles.sin()
    y = (q @ k.transpose(-1, -2) / 8).softmax(-1) @ v
    return F.linear(y.transpose(1, 2).reshape(b, n, width), block["attn.proj.weight"], block["attn.proj.bias"])


def _mlp(block, x):
    def linear(name, value):
        return F.linear(value, block[f"mlp.{name}.weight"], block[f"mlp.{name}.bias"])

    if "mlp.w1.weight" in block:
        return linear("w3", F.silu(linear("w1", x)) * linear("w2", x))
    return linear("fc2", F.gelu(linear("fc1", x)))
