"""The Swin encoder: MONAI's, with the shapes and counts measured of it, and the heads of paper and code."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from monai.networks.nets import SwinUNETR
from monai.networks.nets.swin_unetr import PatchMerging
from torch import nn

from pefuse.errors import UsageError
from pefuse.models.restore import Unfilled
from pefuse.models.swin import Swin, SwinConfig, _encoder, _legacy_merging

SMALL = SwinConfig.demo(window=2, hidden_dim=16, embedding_dim=8, depths=(1, 1, 1, 1))


def built(config: SwinConfig) -> Swin:
    torch.manual_seed(0)
    return Swin(config)


def count(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())


def test_the_paper_s_encoder_has_the_size_of_monai_s():
    """8,062,002 parameters, as measured on SwinUNETR(feature_size=48).swinViT."""
    with torch.device("meta"), Unfilled():
        ours = Swin(SwinConfig.paper())

    assert count(ours.encoder) == 8_062_002
    assert count(ours.embedding) == (768 + 1) * 1024 + (1024 + 1) * 64
    assert count(ours.classifier) == 65


def test_the_released_form_flattens_the_map_of_128_cubed():
    """Residual block 31,850,496; 768 channels x 4 x 4 x 4 = 49,152 numbers to 1024: 50,332,672."""
    with torch.device("meta"), Unfilled():
        ours = Swin(SwinConfig.released())

    assert count(ours.residual) == 31_850_496
    assert count(ours.embedding) == 50_332_672
    assert ours.embedding_dim == 1024


def test_copied_weights_give_what_monai_gives():
    """Stage by stage, on the same input, in eval mode."""
    config = replace(SMALL, depths=(2, 2, 2, 2), features_stage=3)
    ours = built(config).eval()
    theirs = SwinUNETR(in_channels=1, out_channels=2, feature_size=12, window_size=2, depths=(2, 2, 2, 2)).eval()
    theirs.swinViT.load_state_dict(ours.encoder.state_dict())
    x = torch.randn(1, 1, 32, 32, 32)

    with torch.no_grad():
        out, maps = ours(x), theirs.swinViT(x, normalize=True)

    torch.testing.assert_close(out.features, maps[3])
    vector = maps[3].mean(dim=(2, 3, 4))
    embedding = ours.embedding(vector)
    torch.testing.assert_close(out.embedding, embedding)
    torch.testing.assert_close(out.logit, ours.classifier(embedding).squeeze(1))


@pytest.mark.parametrize("stage", [1, 2, 3, 4])
def test_the_map_of_each_stage_is_half_the_one_before(stage):
    network = built(replace(SMALL, features_stage=stage)).eval()
    out = network(torch.randn(2, 1, 64, 32, 32))

    side = 32 // 2 ** (stage + 1)
    assert out.features.shape == (2, 12 * 2**stage, 2 * side, side, side)
    assert network.feature_grid((64, 32, 32)) == (2 * side, side, side)
    assert network.feature_channels == 12 * 2**stage
    assert out.embedding.shape == (2, 8)
    assert out.logit.shape == (2,)


def test_flattened_it_knows_where_in_the_map_something_is():
    """Averaged, a map and its mirror image are the same; flattened they are not."""
    averaged, flattened = built(SMALL).eval(), built(replace(SMALL, grid=32)).eval()
    features = torch.randn(1, 96, 2, 2, 2)

    torch.testing.assert_close(averaged._vector(features), averaged._vector(features.flip(2)))
    assert not torch.allclose(flattened._vector(features), flattened._vector(features.flip(2)))


def test_legacy_merging_repeats_two_of_eight_neighbours():
    """With weights of one output a neighbour: (0,1,0) and (0,0,1) come twice, (1,1,0) and (0,1,1) never."""
    legacy = _legacy_merging()(1, norm_layer=nn.Identity, spatial_dims=3)
    legacy.norm, legacy.reduction = nn.Identity(), nn.Identity()
    x = torch.arange(8.0).view(1, 2, 2, 2, 1)  # value = 4 z + 2 y + x

    assert legacy(x).flatten().tolist() == [0, 4, 2, 1, 5, 2, 1, 7]


def test_corrected_merging_is_monai_s_own():
    downsample = _encoder(SMALL).layers1[0].downsample
    assert type(downsample) is PatchMerging
    assert type(_encoder(replace(SMALL, merging="legacy")).layers1[0].downsample) is not PatchMerging


def test_gradient_reaches_every_parameter():
    network = built(SMALL).train()
    network(torch.randn(2, 1, 32, 32, 32)).logit.sum().backward()

    # A single patch has nothing to attend to but itself: keys and queries of the last stage get no gradient.
    unused = [name for name, each in network.named_parameters() if each.grad is None]
    assert all(name.startswith("encoder.layers4") for name in unused)


def test_a_batch_gives_what_its_cases_give_one_by_one():
    network, x = built(SMALL).eval(), torch.randn(3, 1, 32, 32, 32)
    with torch.no_grad():
        together = network(x).logit
        alone = torch.cat([network(x[i : i + 1]).logit for i in range(3)])

    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_recomputing_changes_memory_and_nothing_else(dropout):
    def gradients(recompute: bool) -> dict[str, torch.Tensor | None]:
        network = built(replace(SMALL, recompute=recompute, dropout=dropout, head_dropout=0.0)).train()
        torch.manual_seed(1)  # of the dropout
        network(torch.ones(1, 1, 32, 32, 32)).logit.sum().backward()
        return {name: each.grad for name, each in network.named_parameters()}

    kept, recomputed = gradients(False), gradients(True)
    for name, gradient in kept.items():
        if gradient is not None:
            torch.testing.assert_close(recomputed[name], gradient, msg=name)


@pytest.mark.parametrize("recompute", [False, True])
def test_windows_in_groups_give_what_all_at_once_give(recompute, monkeypatch):
    """64 windows of the first stage, five at a time, shifted ones with their masks; and the same gradients."""

    def step(most: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        monkeypatch.setattr("pefuse.models.swin_windows.MOST_WEIGHTS", most)
        config = replace(SMALL, depths=(2, 2, 1, 1), window=4, recompute=recompute, head_dropout=0.0, dropout=0.1)
        network = built(config).train()
        torch.manual_seed(1)
        out = network(torch.randn(2, 1, 32, 32, 32)).logit
        out.sum().backward()
        return out, {name: each.grad for name, each in network.named_parameters() if each.grad is not None}

    (at_once, expected), (grouped, found) = step(2**40), step(5 * 3 * 64**2)
    torch.testing.assert_close(grouped, at_once)
    assert set(found) == set(expected)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, msg=name)


def test_groups_are_really_smaller(monkeypatch):
    """No matrix product of attention is larger than asked for."""
    monkeypatch.setattr("pefuse.models.swin_windows.MOST_WEIGHTS", 5 * 3 * 64**2)
    network, sizes = built(replace(SMALL, window=4)).eval(), []
    for module in network.modules():
        if isinstance(module, nn.Softmax):
            module.register_forward_hook(lambda module, given, out: sizes.append(out.numel()))
    with torch.no_grad():
        network(torch.randn(1, 1, 32, 32, 32))

    assert len(sizes) > 4 + 5
    assert max(sizes) <= 5 * 3 * 64**2


@pytest.mark.slow
def test_narrow_net_learns_eight_scans_by_heart():
    x = torch.randn(8, 1, 32, 32, 32) * 0.5
    label = torch.arange(8) % 2
    x[label == 1, :, 12:20, 12:20, 12:20] += 2.0
    network = built(replace(SMALL, dropout=0.0, head_dropout=0.0, embedding_dim=32)).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)

    for _ in range(40):
        optimiser.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(network(x).logit, label.float())
        loss.backward()
        optimiser.step()

    assert loss < 0.1


@pytest.mark.parametrize("sides", [(48, 64, 64), (16, 16, 16), (128, 128, 100)])
def test_a_side_that_cannot_be_halved_five_times_is_refused(sides):
    with pytest.raises(UsageError, match=r"multiple of 32; the grid is .*set scan.grid to 32, 64"):
        built(SMALL)(torch.zeros(1, 1, *sides))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"feature_size": 20}, "multiple of 12"),
        ({"heads": (5, 6, 12, 24)}, "do not divide"),
        ({"features_stage": 5}, "1..4"),
        ({"grid": 48}, "multiple of 32"),
        ({"dropout": 1.0}, "dropout is 1"),
        ({"window": 0}, "window is 0"),
    ],
)
def test_impossible_options_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        replace(SMALL, **changes)
