"""Layers that heat can be read from, and where their voxels lie."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from pefuse.errors import UsageError
from pefuse.explain.layers import MapCatcher, chosen_layer, image_layers
from pefuse.models import SANet, SANetConfig, Swin, SwinConfig

NARROW = {"stem_channels": 4, "growth": 2, "embedding_dim": 6}


@pytest.fixture(scope="module")
def sanet():
    torch.manual_seed(0)
    return SANet(SANetConfig.demo(**NARROW)).eval()


@pytest.fixture(scope="module")
def swin():
    torch.manual_seed(0)
    return Swin(SwinConfig.demo(depths=(1, 1, 1, 1), hidden_dim=8, embedding_dim=6)).eval()


def map_of(network, layer, image):
    catcher = MapCatcher()
    with catcher.listening(layer):
        network(image)
    return catcher.map.detach()


@pytest.mark.parametrize("name", ["block-1", "block-2", "block-3", "features"])
def test_a_sanet_layer_has_the_grid_that_it_says(sanet, name):
    layer = image_layers(sanet)[name]

    assert map_of(sanet, layer, torch.zeros(1, 1, 64, 64, 64)).shape[2:] == layer.grid((64, 64, 64))


@pytest.mark.parametrize("name", ["stage-1", "stage-2", "features"])
def test_a_swin_layer_has_the_grid_that_it_says(swin, name):
    layer = image_layers(swin)[name]

    assert map_of(swin, layer, torch.zeros(1, 1, 64, 64, 64)).shape[2:] == layer.grid((64, 64, 64))


@pytest.mark.parametrize("name", ["block-1", "block-2", "block-3"])
def test_what_a_voxel_sees_is_centred_where_the_layer_says(name):
    """A voxel's receptive field, by the gradient of the map to the input, has its middle at stride * i + offset.

    Weights are all alike, and the stem's pooling takes the mean instead of the largest, so the field is symmetric.
    """
    network = SANet(SANetConfig.demo(**NARROW, attention_blocks=0)).eval()
    network.stem[3] = nn.AvgPool3d(3, stride=2, padding=1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(0.01)
    layer = image_layers(network)[name]
    maps = []
    handle = layer.module.register_forward_hook(lambda module, inputs, output: maps.append(output))
    image = torch.rand(1, 1, 96, 96, 96, requires_grad=True)
    network(image)
    handle.remove()
    middle = [side // 2 for side in maps[0].shape[2:]]

    (seen,) = torch.autograd.grad(maps[0][0, :, middle[0], middle[1], middle[2]].sum(), image)

    weight = seen[0, 0].abs().double().numpy()
    centre = [np.average(np.arange(96), weights=weight.sum(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    wanted = [stride * i + offset for stride, i, offset in zip(layer.stride, middle, layer.offset, strict=True)]
    assert centre == pytest.approx(wanted, abs=0.1)


@pytest.mark.parametrize("name", ["stage-1", "stage-2", "features"])
def test_swin_s_patches_join_neighbours_so_its_edges_are_the_scan_s(swin, name):
    layer = image_layers(swin)[name]

    assert layer.offset == tuple((stride - 1) / 2 for stride in layer.stride)
    assert [stride * side for stride, side in zip(layer.stride, layer.grid((64, 64, 64)), strict=True)] == [
        64.0
    ] * 3


def test_the_layer_taken_is_the_deepest_of_at_least_eight_voxels_a_side(sanet):
    """At 32³ the first block has 16×8×8; at 64³ the second has; at 128³ the third."""
    assert [chosen_layer(sanet, (side,) * 3).name for side in (32, 64, 128)] == ["block-1", "block-2", "block-3"]


def test_of_a_scan_too_small_for_any_the_finest_is_taken(sanet):
    assert chosen_layer(sanet, (16, 16, 16)).name == "block-1"


def test_an_unknown_layer_is_refused_with_those_there_are(sanet):
    with pytest.raises(UsageError, match="choose one of block-1, block-2, block-3, features"):
        chosen_layer(sanet, (32, 32, 32), "block-9")


def test_a_map_goes_to_the_input_linearly_between_centres(sanet):
    """block-2 of SANet: stride 8 and offset 2 along Y, so the centres of voxels 1 and 2 are 10 and 18."""
    layer = image_layers(sanet)["block-2"]
    heat = np.zeros((1, 16, 8, 8), np.float32)
    heat[0, :, 1, :] = 1.0

    along = layer.to_input_grid(heat, (64, 64, 64))[0, 30, :, 30]

    assert (layer.stride[1], layer.offset[1]) == (8.0, 2.0)
    assert along[10] == pytest.approx(1.0)
    assert along[14] == pytest.approx(0.5)
    assert along[18] == pytest.approx(0.0)
