"""Bilinear attention against its equations in plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from pefuse.errors import UsageError
from pefuse.models.bilinear import BilinearAttention, BilinearConfig, VectorTokens

Array = NDArray[np.float64]


def numpy_of(layer: nn.Module) -> tuple[Array, Array]:
    """Weight, g * v / |v| over the whole tensor, and bias."""
    g = layer.parametrizations.weight.original0.detach().double().numpy()
    v = layer.parametrizations.weight.original1.detach().double().numpy()
    return g * v / np.sqrt((v**2).sum()), layer.bias.detach().double().numpy()


def mapped(projection: nn.Sequential, tokens: Array, *, relu: bool = True) -> Array:
    weight, bias = numpy_of(projection[1])
    out = tokens @ weight.T + bias
    return np.maximum(out, 0) if relu else out


def by_hand(net: BilinearAttention, v: Array, q: Array) -> tuple[Array, Array]:
    """One case, tokens v (N, C) and q (M, E): loops and sums as in Kim et al. 2018."""
    config, (tokens_v, tokens_q) = net.config, (len(v), len(q))
    h, c = numpy_of(net.attention.pairing)
    v_att, q_att = mapped(net.attention.image, v), mapped(net.attention.ehr, q)
    maps = np.zeros((config.glimpses, tokens_v, tokens_q))
    for g in range(config.glimpses):
        for i in range(tokens_v):
            for j in range(tokens_q):
                absent = (v[i] == 0).all()
                maps[g, i, j] = -np.inf if absent else (h[g] * v_att[i] * q_att[j]).sum() + c[g]
        weights = np.exp(maps[g] - maps[g].max())
        maps[g] = weights / weights.sum()  # over all pairs at once
    for g, glimpse in enumerate(net.glimpses):
        v_g, q_g = mapped(glimpse.image, v), mapped(glimpse.ehr, q)
        pooled = np.zeros(config.hidden * config.k_joint)
        for i in range(tokens_v):
            for j in range(tokens_q):
                pooled += maps[g, i, j] * v_g[i] * q_g[j]
        grouped = pooled.reshape(config.hidden, config.k_joint).sum(axis=1)
        q = q + mapped(glimpse.out, grouped, relu=False)
    return q.sum(axis=0), maps


@pytest.mark.parametrize(("k_attention", "k_joint", "glimpses"), [(1, 3, 1), (3, 1, 2), (2, 2, 3)])
def test_equals_its_equations(k_attention, k_joint, glimpses):
    torch.manual_seed(0)
    config = BilinearConfig(
        image_dim=6, ehr_dim=4, hidden=5, k_attention=k_attention, k_joint=k_joint, glimpses=glimpses
    )
    net = BilinearAttention(config).eval()
    image, ehr = torch.randn(3, 7, 6), torch.randn(3, 2, 4)
    image[1, 2:4] = 0  # two absent tokens

    out = net(image, ehr)

    assert out.attention.shape == (3, glimpses, 7, 2)
    for case in range(3):
        joint, maps = by_hand(net, image[case].double().numpy(), ehr[case].double().numpy())
        np.testing.assert_allclose(out.joint[case].detach(), joint, atol=1e-5, rtol=1e-5)
        np.testing.assert_allclose(out.attention[case].detach(), maps, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("glimpses", "number"), [(1, 283_271), (3, 710_287)])
def test_released_preset_has_the_released_parameters(glimpses, number):
    net = BilinearAttention(BilinearConfig.released(glimpses=glimpses))

    assert sum(each.numel() for each in net.parameters()) == number


def test_one_token_each_is_gated_low_rank_pooling():
    """The softmax over one pair is 1, so f = q + W (relu(U v) * relu(V q)) is left."""
    torch.manual_seed(0)
    net = BilinearAttention(BilinearConfig(image_dim=6, ehr_dim=4, hidden=5, k_joint=1)).eval()
    image, ehr = torch.randn(2, 1, 6), torch.randn(2, 1, 4)

    out = net(image, ehr)

    glimpse = net.glimpses[0]
    expected = ehr + glimpse.out(glimpse.image(image) * glimpse.ehr(ehr))
    torch.testing.assert_close(out.joint, expected.squeeze(1))
    torch.testing.assert_close(out.attention, torch.ones(2, 1, 1, 1))


def test_absent_image_leaves_the_record_alone_and_a_finite_gradient():
    torch.manual_seed(0)
    net = BilinearAttention(BilinearConfig(image_dim=6, ehr_dim=4, hidden=5)).eval()
    image, ehr = torch.zeros(2, 3, 6, requires_grad=True), torch.randn(2, 2, 4)

    out = net(image, ehr)
    out.joint.sum().backward()

    assert out.attention.eq(0).all()
    expected = (ehr + net.glimpses[0].out[1].bias).sum(dim=1)
    torch.testing.assert_close(out.joint, expected)
    assert all(each.grad is None or each.grad.isfinite().all() for each in net.parameters())


def test_order_of_image_tokens_does_not_matter():
    torch.manual_seed(0)
    net = BilinearAttention(BilinearConfig(image_dim=6, ehr_dim=4)).eval()
    image, ehr = torch.randn(2, 9, 6), torch.randn(2, 3, 4)
    order = torch.randperm(9)

    out, shuffled = net(image, ehr), net(image[:, order], ehr)

    torch.testing.assert_close(shuffled.joint, out.joint)
    torch.testing.assert_close(shuffled.attention, out.attention[:, :, order])


@pytest.mark.parametrize("normalisation", ["batch", "layer"])
def test_vectors_become_tokens_as_wide_as_themselves(normalisation):
    tokens = VectorTokens(image_tokens=5, ehr_tokens=3, normalisation=normalisation)

    image, ehr = tokens(torch.randn(2, 10), torch.randn(2, 7))

    assert image.shape == (2, 5, 10)
    assert ehr.shape == (2, 3, 7)
    assert image.min() >= 0


def test_layer_normalised_tokens_depend_on_their_own_case_only():
    tokens = VectorTokens(image_tokens=5, ehr_tokens=3).train()
    image, ehr = torch.randn(4, 10), torch.randn(4, 7)

    together, alone = tokens(image, ehr), tokens(image[2:3], ehr[2:3])

    torch.testing.assert_close(together[0][2:3], alone[0])
    torch.testing.assert_close(together[1][2:3], alone[1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"hidden": 0}, "hidden is 0"), ({"dropout": 1.0}, "dropout is 1"), ({"glimpses": 0}, "glimpses")],
)
def test_impossible_options_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        BilinearConfig(image_dim=2, ehr_dim=2, **changes)
