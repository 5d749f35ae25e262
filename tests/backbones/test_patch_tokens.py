"""Maps of patch tokens: which blocks they show, and where their positions come from."""

import pytest
import timm
import torch
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer

from gaze.backbones.patch_tokens import PatchTokens, keep_periods, resample_positions


def table():
    """DINOv2's kind, 3 blocks of width 16 on patches of 14 px."""
    return VisionTransformer(
        img_size=70,
        patch_size=14,
        embed_dim=16,
        depth=3,
        num_heads=2,
        num_classes=0,
        init_values=0.1,
        dynamic_img_size=True,
    )


def rotary():
    """DINOv3's kind, 3 blocks of width 32 on patches of 16 px, with two registers."""
    return Eva(
        embed_dim=32, depth=3, num_heads=2, num_classes=0, num_reg_tokens=2, init_values=0.1, use_abs_pos_emb=False,
        use_rot_pos_emb=True, rope_type="dinov3", rope_rotate_half=True, use_fc_norm=False, dynamic_img_size=True,
    )  # fmt: skip


def made(make, **options):
    torch.manual_seed(0)
    return PatchTokens(make(), **options).eval()


MAKERS = pytest.mark.parametrize(("make", "stride"), [(table, 14), (rotary, 16)])


@MAKERS
def test_the_last_chosen_block_ends_the_network(make, stride):
    image = torch.rand(2, 3, 5 * stride, 5 * stride)
    trimmed = made(make, interaction_indexes=[0, 1])
    assert len(trimmed.vit.blocks) == len(trimmed.blocks()) == 2
    assert trimmed.channels == made(make).channels
    whole = make_intermediates(made(make), image)
    torch.testing.assert_close(trimmed(image), whole[1])


@MAKERS
def test_fused_features_are_those_of_each_block_channel_upon_channel(make, stride):
    image = torch.rand(2, 3, 5 * stride, 5 * stride)
    fused = made(make, interaction_indexes=[0, 2], fuse=True)
    whole = make_intermediates(made(make), image)
    assert fused.channels == 2 * made(make).channels
    torch.testing.assert_close(fused(image), torch.cat([whole[0], whole[2]], 1))
    torch.testing.assert_close(fused(image)[:, fused.channels // 2 :], made(make)(image))


def make_intermediates(backbone, image):
    """What timm itself gives for all blocks after the final norm; tables are at their own size here."""
    return backbone.vit.forward_intermediates(backbone.normalize(image), norm=True, intermediates_only=True)


@MAKERS
def test_all_blocks_is_the_default(make, stride):
    image = torch.rand(1, 3, 4 * stride, 3 * stride)
    assert torch.equal(made(make)(image), made(make, interaction_indexes=[0, 1, 2])(image))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interaction_indexes": [1, 3]}, r"interaction_indexes is \[1, 3\]; expected rising numbers .* from 0 to 2"),
        ({"interaction_indexes": [1, 0]}, "expected rising"),
        ({"interaction_indexes": [-1]}, "expected rising"),
        ({"interaction_indexes": []}, "expected rising"),
        ({"interaction_indexes": [1], "fuse": True}, r"fuse is on with one block, \[1\]"),
        ({"fuse": True}, "name several in backbone.interaction_indexes"),
    ],
)
def test_impossible_choices_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        made(table, **options)


def cubic_rows(cells, side):
    """Rows of weights that sample `side` values at `cells` places (i + 0.5) side / (cells + 0.1) - 0.5."""
    at = (torch.arange(cells) + 0.5) * side / (cells + 0.1) - 0.5
    rows = torch.zeros(cells, side)
    for tap in range(-1, 3):
        index = at.floor() + tap
        t = (at - index).abs()
        inner, outer = 1.25 * t**3 - 2.25 * t**2 + 1, -0.75 * (t**3 - 5 * t**2 + 8 * t - 4)  # Keys, a = -0.75
        rows[torch.arange(cells), index.clamp(0, side - 1).long()] += torch.where(t <= 1, inner, outer)
    return rows


@pytest.mark.parametrize("grid", [(32, 32), (24, 40)])
def test_positions_are_resampled_as_dinov2_does(grid):
    torch.manual_seed(0)
    table = torch.randn(1, 1 + 37 * 37, 3)
    resampled = resample_positions(table, grid)
    assert torch.equal(resampled[0, 0], table[0, 0])  # the class token's
    rows, columns = cubic_rows(grid[0], 37), cubic_rows(grid[1], 37)
    expected = torch.einsum("hi,wj,ijc->hwc", rows, columns, table[0, 1:].reshape(37, 37, 3))
    torch.testing.assert_close(resampled[0, 1:].reshape(*grid, 3), expected, atol=1e-4, rtol=0)


def test_a_table_at_its_own_size_is_left_alone():
    table = torch.randn(1, 1 + 37 * 37, 3)
    assert resample_positions(table, (37, 37)) is table


def test_every_grid_gets_a_position_per_cell():
    table = torch.rand(1, 1 + 37 * 37, 1)
    for cells in range(1, 80):
        assert resample_positions(table, (cells, 3)).shape[1] == 1 + 3 * cells


def test_rotary_periods_are_the_published_ones_and_part_of_the_state():
    """The published files hold them in bfloat16: 1.3359 and 75 where the formula gives 1.3335 and 74.989."""
    rope = timm.create_model("vit_small_patch16_dinov3_qkvb", depth=1).rope
    assert rope.periods[[1, 15]].tolist() == pytest.approx([1.3335, 74.989], abs=1e-3)
    keep_periods(rope, published=True)
    assert rope.state_dict()["periods"][[0, 1, 15]].tolist() == [1.0, 1.3359375, 75.0]
