"""The 1×1×1 convolution against torch's own, in both memory layouts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pefuse.models.pointwise import HalvingPool3d, PointwiseConv3d


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize("bias", [False, True])
def test_equals_torchs_convolution_in_value_gradient_and_layout(layout: torch.memory_format, bias: bool) -> None:
    torch.manual_seed(0)
    ours = PointwiseConv3d(5, 3, bias=bias)
    theirs = nn.Conv3d(5, 3, 1, bias=bias)
    theirs.load_state_dict(ours.state_dict())  # the same parameters by name and shape
    scans = torch.randn(2, 5, 4, 3, 2).to(memory_format=layout)
    ours_in, theirs_in = scans.clone().requires_grad_(), scans.clone().requires_grad_()

    mapped, expected = ours(ours_in), theirs(theirs_in)
    weights = torch.randn_like(expected)
    (mapped * weights).sum().backward()
    (expected * weights).sum().backward()

    assert mapped.is_contiguous(memory_format=layout)
    torch.testing.assert_close(mapped, expected)
    torch.testing.assert_close(ours_in.grad, theirs_in.grad)
    for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad)


def test_a_map_of_one_voxel_keeps_its_shape() -> None:
    assert PointwiseConv3d(4, 6)(torch.randn(2, 4, 1, 1, 1)).shape == (2, 6, 1, 1, 1)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_halving_is_average_pooling_in_the_layout_of_its_input(layout):
    x = torch.randn(2, 5, 4, 7, 6).contiguous(memory_format=layout).requires_grad_()
    pooled = HalvingPool3d()(x)
    pooled.square().sum().backward()
    expected = torch.nn.functional.avg_pool3d(x.detach(), 2)

    assert torch.equal(pooled, expected)
    assert pooled.is_contiguous(memory_format=layout)
    assert x.grad is not None
    torch.testing.assert_close(x.grad[:, :, 0, 0, 0], expected[:, :, 0, 0, 0] / 4)
