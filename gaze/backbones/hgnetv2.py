"""HGNetV2, the convolutional backbone of D-FINE and DEIMv2, in the four sizes of GazeLLE's DINOv3 successor."""

from __future__ import annotations

from collections.abc import Mapping

from jaxtyping import Float
from timm.models.hgnet import HighPerfGpuNet
from torch import Tensor, nn

from gaze.backbones.weights import load_weights

# in, mid and out channels, blocks, downsample, light, kernel size, layers of a block
STAGE1 = (16, 16, 64, 1, False, False, 3, 3)
STAGE2 = (64, 32, 256, 1, True, False, 3, 3)
STAGE4 = (512, 128, 1024, 1, True, True, 5, 3)


class HGNetV2(nn.Module):
    """The output of the third stage, at stride 16. Images are only scaled to [0, 1], as the published ones are.

    Its tensors have the names of the public files. The largest, N, is HGNetV2-B0 with all four stages,
    the last of which nobody reads: it is there so that files load and counts agree, is never computed,
    and never trains.

    Args:
        width: channels of the third stage, and of the features.
        kernel: size of its convolutions.
        repeats: its blocks.
        stage4: have the unread fourth stage.
        weights: None for random, ``pretrained`` for timm's HGNetV2-B0, or a file or its address.
        subset: take from the weights what fits, for those that start from HGNetV2-B0's and are smaller.

    Raises:
        ValueError: the weights don't fit.
        UserError, FileNotFoundError: the weights can't be had.
    """

    stride = 16

    def __init__(
        self,
        width: int = 512,
        kernel: int = 5,
        repeats: int = 2,
        stage4: bool = False,
        weights: str | None = None,
        subset: bool = False,
    ) -> None:
        super().__init__()
        stages = [STAGE1, STAGE2, (256, 64, width, repeats, True, True, kernel, 3), STAGE4]
        # timm wants four stages in any case, and gives its class no annotations to check this against.
        table = {"stem_type": "v2", "stem_chs": [16, 16], **{f"stage{i + 1}": s for i, s in enumerate(stages)}}
        network = HighPerfGpuNet(table, num_classes=0, use_lab=True)
        self.channels = width
        self.stem, self.stages = network.stem, network.stages[: 4 if stage4 else 3]
        self.stages[3:].requires_grad_(False)
        if weights is not None:
            load_weights(self, "hgnetv2_b0", weights, self.published, subset)

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b c h w"]:
        """Features of RGB images in [0, 1]; h = H / 16, w = W / 16."""
        height, width = image.shape[-2:]
        if height % self.stride or width % self.stride:
            raise ValueError(
                f"an image of {height} x {width} px; expected multiples of the stride {self.stride}: set dataset.image_size"
            )
        features = self.stem(image)
        for stage in list(self.stages)[:3]:
            features = stage(features)
        return features

    def blocks(self) -> list[list[nn.Parameter]]:
        """The parameters that are used, stage by stage; the stem goes with the first."""
        first, *others = ([*stage.parameters()] for stage in self.stages[:3])
        return [[*self.stem.parameters(), *first], *others]

    def published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of a public file, which have our names already, without a classifier and an unread stage."""
        unread = ("head.",) if len(self.stages) == 4 else ("head.", "stages.3.")
        return {name: value for name, value in state.items() if not name.startswith(unread)}
