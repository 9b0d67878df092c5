"""Residual attention: the order of pooling, merging and resizing, against the equations written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate, max_pool3d, relu

from pefuse.models.attention3d import SANET_ATTENTION, ResidualAttention, ResidualUnit


def pool(x: Tensor) -> Tensor:
    return max_pool3d(x, 3, 2, 1)


def resize(x: Tensor, like: Tensor) -> Tensor:
    return interpolate(x, like.shape[2:], mode="trilinear", align_corners=False)


def written_out(block: ResidualAttention, x: Tensor, which: int) -> Tensor:
    """The blocks of the table in the released code, line by line."""
    trunk = block.trunk[1](block.trunk[0](x))
    m = block.before_mask(x)
    if which == 1:
        a1 = block.down[0](pool(m))
        s1 = block.skip[0](a1)
        a2 = block.down[1](pool(s1))
        s2 = block.skip[1](a2)
        a3 = block.down[2](pool(s2))
        s3 = block.skip[2](a3)
        z = block.bottom[1](block.bottom[0](pool(s3)))
        z = block.up[2][0](resize(z, a3) + s3 + a3)
        z = block.up[1][1](block.up[1][0](resize(z, a2) + s2 + a2))  # two units after this merge
        z = block.up[0][0](resize(z, a1) + s1 + a1)
    elif which == 2:
        a1 = block.down[0](pool(m))
        s1 = block.skip[0](a1)
        a2 = block.down[1](pool(a1))  # the first unit's output, not the second's
        s2 = block.skip[1](a2)
        z = block.bottom[1](block.bottom[0](pool(s2)))
        z = block.up[1][0](resize(z, a2) + s2 + a2)
        z = block.up[0][0](resize(z, a1) + s1 + a1)
    elif which == 3:
        a1 = block.down[0](pool(m))
        s1 = block.skip[0](a1)
        z = block.bottom[0](pool(s1))
        z = block.up[0][0](resize(z, a1) + s1 + a1)
    else:
        z = block.bottom[1](block.bottom[0](pool(m)))
    z = resize(z, trunk) + trunk
    norm_1, _, conv_1, norm_2, _, conv_2, _ = block.mask
    mask = torch.sigmoid(conv_2(relu(norm_2(conv_1(relu(norm_1(z)))))))
    return block.after((1 + mask) * trunk)


@pytest.mark.parametrize("which", [1, 2, 3, 4])
def test_block_computes_its_row_of_the_table(which):
    torch.manual_seed(which)
    block = ResidualAttention(8, SANET_ATTENTION[which - 1]).eval()
    for module in block.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            torch.nn.init.normal_(module.running_mean)
    x = torch.randn(2, 8, 19, 16, 17)

    torch.testing.assert_close(block(x), written_out(block, x, which))


def test_unit_is_post_activated_and_keeps_the_shape():
    torch.manual_seed(0)
    unit = ResidualUnit(8).eval()
    x = torch.randn(1, 8, 3, 4, 5)

    conv_1, norm_1, _, conv_2, norm_2, _, conv_3, norm_3 = unit.body
    expected = relu(x + norm_3(conv_3(relu(norm_2(conv_2(relu(norm_1(conv_1(x)))))))))

    torch.testing.assert_close(unit(x.clone()), expected)


def test_input_is_left_as_it_was():
    """Additions in place must not reach what the caller still holds."""
    torch.manual_seed(0)
    block = ResidualAttention(8, SANET_ATTENTION[1]).train()
    x = torch.randn(2, 8, 8, 8, 8)
    before = x.clone()

    block(x)

    assert torch.equal(x, before)


def test_two_channels_still_have_a_quarter():
    assert ResidualUnit(2)(torch.randn(2, 2, 2, 2, 2)).shape == (2, 2, 2, 2, 2)
