"""The bottleneck transformer: its equations in NumPy, and modalities that meet in the bottleneck alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import erf
from torch import Tensor, nn

from pefuse.errors import UsageError
from pefuse.models.bottleneck import BottleneckConfig, BottleneckFusion
from pefuse.models.swin import Swin, SwinConfig
from pefuse.models.tabnet import TabNet, TabNetConfig

SMALL = BottleneckConfig(
    image_dim=6, image_tokens=5, ehr_dim=4, ehr_tokens=3, width=8, layers=3, heads=2, bottleneck_tokens=2
)


def built(**changes) -> BottleneckFusion:
    torch.manual_seed(0)
    fusion = BottleneckFusion(BottleneckConfig(**{**SMALL.__dict__, **changes}))
    for parameter in fusion.parameters():  # none of them zero, so that nothing is tested by a nought
        nn.init.normal_(parameter, std=0.6)
    fusion.eval()
    return fusion if fusion.config.normalise == "layer" else fusion.prepare(*tokens(20, seed=5))


def tokens(count: int, *, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 5, 6, generator=generator), torch.randn(count, 3, 4, generator=generator)


def layer_norm(x, norm):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + norm.eps) * array(norm.weight) + array(norm.bias)


def array(tensor):
    return tensor.detach().double().numpy()


def linear(x, layer):
    return x @ array(layer.weight).T + array(layer.bias)


def attention(x, layer, heads):
    """Multi-head attention of tokens (T, D), written out."""
    width = x.shape[1]
    projected = x @ array(layer.in_proj_weight).T + array(layer.in_proj_bias)
    q, k, v = (part.reshape(len(x), heads, -1).transpose(1, 0, 2) for part in np.split(projected, 3, axis=1))
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(width / heads)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return linear((weights @ v).transpose(1, 0, 2).reshape(len(x), width), layer.out_proj)


def block(x, module, heads):
    x = x + attention(layer_norm(x, module.attention_norm), module.attention, heads)
    hidden = linear(layer_norm(x, module.mlp_norm), module.mlp[0])
    return x + linear(0.5 * hidden * (1 + erf(hidden / np.sqrt(2))), module.mlp[3])


def in_numpy(fusion: BottleneckFusion, image: Tensor, ehr: Tensor) -> float:
    """One case, as the paper's equations have it: each modality's block over its tokens and the bottleneck."""
    own = fusion.config

    def start(part, x):
        scaled = (array(x) - array(part.scale.mean)) / array(part.scale.deviation)
        known = linear(scaled, part.project) + array(part.place)[0]
        return np.concatenate([array(part.first)[0], known]) if part.first is not None else known

    x, y, shared = start(fusion.image, image), start(fusion.ehr, ehr), array(fusion.bottleneck)[0]
    for index, layer in enumerate(fusion.layers):
        if index < own.fusion_layer:
            x, y = block(x, layer.image, own.heads), block(y, layer.ehr, own.heads)
            continue
        new_x = block(np.concatenate([x, shared]), layer.image, own.heads)
        new_y = block(np.concatenate([y, shared]), layer.ehr, own.heads)
        x, y = new_x[: len(x)], new_y[: len(y)]
        shared = (new_x[len(x) :] + new_y[len(y) :]) / 2
    read = [layer_norm(each, fusion.norm) for each in (x, y)]
    logits = [
        linear(each[:1] if own.readout == "token" else each.mean(0, keepdims=True), fusion.classifier)
        for each in read
    ]
    return float(np.mean(logits))


@pytest.mark.parametrize("readout", ["token", "mean"])
@pytest.mark.parametrize("fusion_layer", [0, 1])
def test_it_is_its_equations(readout, fusion_layer):
    fusion = built(readout=readout, fusion_layer=fusion_layer)
    image, ehr = tokens(3)

    out = fusion(image, ehr).logit

    expected = [in_numpy(fusion, image[row], ehr[row]) for row in range(3)]
    np.testing.assert_allclose(out.detach().numpy(), expected, atol=1e-5)


def test_modalities_meet_in_the_bottleneck_alone():
    """With the record changed, the image's own readout changes after two fused layers, not after one.

    In the first, the image sees the bottleneck as it was before the record wrote to it.
    """

    def image_read(layers: int, ehr: Tensor) -> Tensor:
        fusion = built(layers=layers)
        return fusion(tokens(1)[0], ehr).fused[:, : SMALL.width]

    one, other = tokens(1)[1], tokens(1, seed=9)[1]
    assert torch.equal(image_read(1, one), image_read(1, other))
    assert not torch.allclose(image_read(2, one), image_read(2, other), atol=1e-3)


def test_a_closed_bottleneck_lets_nothing_through():
    """If what the record writes to the bottleneck is thrown away, the image's readout never hears of it."""
    fusion = built()

    def deaf(module, inputs, output):
        x, y, _ = output
        return x, y, inputs[2]  # the bottleneck as it came in

    hooks = [layer.register_forward_hook(deaf) for layer in fusion.layers]
    image, (one, other) = tokens(1)[0], (tokens(1)[1], tokens(1, seed=9)[1])
    read = [fusion(image, ehr).fused[:, : SMALL.width] for ehr in (one, other)]
    assert torch.equal(*read)

    for hook in hooks:
        hook.remove()
    read = [fusion(image, ehr).fused[:, : SMALL.width] for ehr in (one, other)]
    assert not torch.allclose(*read, atol=1e-3)


def test_layers_before_the_fusion_are_each_modality_s_own():
    """With all but the last layer alone, the last fused layer is the first: nothing can have passed yet."""
    fusion = built(fusion_layer=2)
    image, (one, other) = tokens(1)[0], (tokens(1)[1], tokens(1, seed=9)[1])

    assert torch.equal(fusion(image, one).fused[:, : SMALL.width], fusion(image, other).fused[:, : SMALL.width])


def test_both_update_the_bottleneck_from_the_same_one():
    """In parallel: swapping the two modalities' blocks and tokens swaps their readouts and nothing else."""
    torch.manual_seed(0)
    same = {"image_dim": 4, "image_tokens": 3, "normalise": "layer"}
    fusion = built(**same)
    swapped = built(**same)
    state = fusion.state_dict()
    swap = {"image": "ehr", "ehr": "image"}
    swapped.load_state_dict(
        {".".join(swap.get(part, part) for part in name.split(".")): v for name, v in state.items()}
    )
    a, b = torch.randn(2, 3, 4), torch.randn(2, 3, 4)

    torch.testing.assert_close(fusion(a, b).fused, swapped(b, a).fused.roll(SMALL.width, dims=1))


def test_tokens_are_swin_s_patches_and_tabnet_s_steps():
    swin = Swin(SwinConfig.demo(window=2, hidden_dim=8, depths=(1, 1, 1, 1))).eval()
    record = TabNet(TabNetConfig(input_dim=5, n_d=4, n_steps=3)).eval()
    scan, row = swin(torch.randn(2, 1, 32, 32, 32)), record(torch.randn(2, 5))

    image, ehr = BottleneckFusion.take_image(scan), BottleneckFusion.take_ehr(row)

    assert image.shape == (2, 8, 96)
    torch.testing.assert_close(image[0, 3], scan.features[0, :, 0, 1, 1])  # tokens count z, y, x
    assert ehr.shape == (2, 3, 4)
    torch.testing.assert_close(ehr[:, 1], row.steps[1])
    assert BottleneckFusion.taken_shapes(swin, record, 32) == ((8, 96), (3, 4))


def test_a_fresh_one_knows_nothing():
    """The output layer starts at zero, as in the reference: logit 0, whatever the case."""
    torch.manual_seed(0)
    fusion = BottleneckFusion(SMALL).eval()
    assert torch.equal(fusion(*tokens(4)).logit, torch.zeros(4))


def test_what_an_absent_modality_holds_does_not_matter():
    fusion, (image, ehr) = built(), tokens(3)
    has_image, has_ehr = torch.tensor([True, False, True]), torch.tensor([True, True, False])
    other_image, other_ehr = image.clone(), ehr.clone()
    other_image[1], other_ehr[2] = torch.nan, 1e6

    out = fusion(image, ehr, has_image, has_ehr).logit
    other = fusion(other_image.requires_grad_(), other_ehr, has_image, has_ehr).logit
    other.sum().backward()

    torch.testing.assert_close(other, out)
    assert other_image.grad[1].eq(0).all()
    assert fusion.image.absent.grad.abs().sum() > 0
    assert all(each.grad.isfinite().all() for each in fusion.parameters() if each.grad is not None)


def test_a_batch_gives_what_its_cases_give_one_by_one():
    fusion, (image, ehr) = built(), tokens(4)
    alone = torch.cat([fusion(image[i : i + 1], ehr[i : i + 1]).logit for i in range(4)])
    torch.testing.assert_close(fusion(image, ehr).logit, alone)


def test_it_learns_ten_pairs_that_need_both():
    image, ehr = tokens(10, seed=3)
    label = (image[:, 0, 0] * ehr[:, 0, 0] > 0).float()
    torch.manual_seed(0)
    fusion = BottleneckFusion(BottleneckConfig(**{**SMALL.__dict__, "dropout": 0.0})).prepare(image, ehr)
    optimiser = torch.optim.Adam(fusion.parameters(), lr=5e-3)

    for _ in range(150):
        optimiser.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(fusion(image, ehr).logit, label)
        loss.backward()
        optimiser.step()

    assert loss < 0.05


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 3}, "3 heads do not divide"),
        ({"fusion_layer": 3}, r"0\.\.2"),
        ({"bottleneck_tokens": 0}, "bottleneck_tokens is 0"),
        ({"dropout": 1.0}, "dropout is 1"),
    ],
)
def test_impossible_options_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        BottleneckConfig(**{**SMALL.__dict__, **changes})
