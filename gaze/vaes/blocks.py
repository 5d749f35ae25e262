"""What a KL autoencoder is built of. Names of parts are those of the files that diffusers writes, so that these fit."""

from __future__ import annotations

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

EPS = 1e-6  # of group norms, as published autoencoders were trained with


class Resnet(nn.Module):
    """Norm, SiLU and convolution, twice, added to what came in.

    Args:
        channels: of what comes in.
        out_channels: of what goes out; where they differ, a 1x1 convolution takes the short way.
        groups: of the norms.
    """

    def __init__(self, channels: int, out_channels: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, channels, EPS)
        self.conv1 = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, out_channels, EPS)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(channels, out_channels, 1) if channels != out_channels else None

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        y = self.conv1(F.silu(self.norm1(x)))
        y = self.conv2(F.silu(self.norm2(y)))
        return y + (x if self.conv_shortcut is None else self.conv_shortcut(x))


class Attention(nn.Module):
    """Every place of a map looks at every other, with one head; added to what came in.

    Args:
        channels: of the map.
        groups: of the norm.
    """

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.group_norm = nn.GroupNorm(groups, channels, EPS)
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])  # diffusers keeps a dropout behind it

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        places = self.group_norm(x).flatten(2).mT  # [b hw c]
        seen = F.scaled_dot_product_attention(self.to_q(places), self.to_k(places), self.to_v(places))
        return x + self.to_out[0](seen).mT.unflatten(2, x.shape[2:])


class Middle(nn.Module):
    """Two residual blocks at the coarsest scale, with attention between them or not."""

    def __init__(self, channels: int, groups: int, attention: bool) -> None:
        super().__init__()
        self.resnets = nn.ModuleList([Resnet(channels, channels, groups) for _ in range(2)])
        self.attentions = nn.ModuleList([Attention(channels, groups)] if attention else [])

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        x = self.resnets[0](x)
        for attention in self.attentions:
            x = attention(x)
        out: Tensor = self.resnets[1](x)
        return out


class Halve(nn.Module):
    """A convolution of stride 2 to half the height and width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c _h _w"]:
        # Published autoencoders pad on the right and below only; a symmetric padding shifts what they see by a pixel.
        out: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return out


class Double(nn.Module):
    """Each pixel repeated to twice the height and width, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c _h _w"]:
        out: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out


class Down(nn.Module):
    """The residual blocks of one scale on the way in, then half the size if there is a next scale."""

    def __init__(self, channels: int, out_channels: int, layers: int, groups: int, last: bool) -> None:
        super().__init__()
        widths = [channels, *[out_channels] * layers]
        self.resnets = nn.ModuleList([Resnet(a, b, groups) for a, b in pairwise(widths)])
        self.downsamplers = nn.ModuleList([] if last else [Halve(out_channels)])

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d _h _w"]:
        for part in (*self.resnets, *self.downsamplers):
            x = part(x)
        return x


class Up(nn.Module):
    """The residual blocks of one scale on the way out, then twice the size if there is a next scale."""

    def __init__(self, channels: int, out_channels: int, layers: int, groups: int, last: bool) -> None:
        super().__init__()
        widths = [channels, *[out_channels] * layers]
        self.resnets = nn.ModuleList([Resnet(a, b, groups) for a, b in pairwise(widths)])
        self.upsamplers = nn.ModuleList([] if last else [Double(out_channels)])

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d _h _w"]:
        for part in (*self.resnets, *self.upsamplers):
            x = part(x)
        return x
