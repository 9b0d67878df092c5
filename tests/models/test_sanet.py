"""SANet: exact structure, shapes, reproducibility, and that it can learn."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pefuse.errors import UsageError
from pefuse.models.sanet import SANet, SANetConfig

NARROW = SANetConfig.demo(head_dropout=0.0)


def volumes(number: int, *grid: int, seed: int = 0) -> Tensor:
    return torch.randn(number, 1, *grid, generator=torch.Generator().manual_seed(seed))


def built(config: SANetConfig, *, seed: int = 0) -> SANet:
    torch.manual_seed(seed)
    return SANet(config)


def parameters(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())


def test_released_preset_has_the_released_codes_parameters():
    """DenseNet 11,243,649, attention 2,438,144 + 7,426,048 + 20,475,904: 41,583,745 that matter."""
    with torch.device("meta"):
        model = SANet(SANetConfig.released())

    attention = [parameters(stage.attention) for stage in model.stages if hasattr(stage, "attention")]
    assert attention == [2_438_144, 7_426_048, 20_475_904]
    assert parameters(model) == 11_243_649 + sum(attention) == 41_583_745


def test_paper_preset_adds_only_the_64d_layer():
    """1024 → 64 → 1 instead of 1024 → 1."""
    with torch.device("meta"):
        model = SANet(SANetConfig.paper())

    assert parameters(model) == 41_583_745 - 1025 + (1024 * 64 + 64) + (64 + 1)


def test_stages_have_the_published_shapes_at_128():
    """Meta tensors have shapes and no numbers, so the whole 128³ pass costs nothing."""
    with torch.device("meta"):
        model = SANet(SANetConfig.released()).eval()
        seen = []
        for part in (model.stem, *(child for stage in model.stages for child in stage)):
            part.register_forward_hook(lambda _part, _inputs, out: seen.append(tuple(out.shape[1:])))
        out = model(torch.empty(1, 1, 128, 128, 128))

    assert seen == [
        (64, 64, 32, 32),
        *[(256, 64, 32, 32)] * 2,  # dense block, attention
        (128, 32, 16, 16),
        *[(512, 32, 16, 16)] * 2,
        (256, 16, 8, 8),
        *[(1024, 16, 8, 8)] * 2,
        (512, 8, 4, 4),
        (1024, 8, 4, 4),
    ]
    assert out.features.shape == (1, 1024, 8, 4, 4)
    assert out.embedding.shape == (1, 1024)
    assert model.feature_grid((128, 128, 128)) == (8, 4, 4)


@pytest.mark.parametrize("blocks", [3, 4])
def test_every_attention_block_reaches_the_same_lowest_grid_at_128(blocks):
    """4×2×2 voxels, whatever the level the block starts on."""
    with torch.device("meta"):
        model = SANet(SANetConfig.paper(attention_blocks=blocks)).eval()
        lowest = []
        for stage in model.stages:
            if hasattr(stage, "attention"):
                stage.attention.bottom.register_forward_hook(
                    lambda _m, _i, out: lowest.append(tuple(out.shape[2:]))
                )
        model(torch.empty(1, 1, 128, 128, 128))

    assert lowest == [(4, 2, 2)] * blocks


@pytest.mark.parametrize("grid", [(32, 32, 32), (40, 40, 40), (48, 32, 37), (17, 33, 64)])
def test_any_grid_gives_one_logit_a_scan(grid):
    model = built(NARROW).eval()

    out = model(volumes(2, *grid))

    assert out.logit.shape == (2,)
    assert out.embedding.shape == (2, 64)
    assert out.features.shape == (2, model.feature_channels, *model.feature_grid(grid))
    assert out.features.min() >= 0
    assert out.logit.isfinite().all()


def test_too_small_a_grid_is_refused_with_the_least_that_works():
    with pytest.raises(UsageError, match=r"20×20×20 voxels is too small.*at least 16×32×32"):
        built(NARROW).eval()(volumes(1, 20, 20, 20))


def test_batch_gives_what_its_scans_give_one_by_one():
    model = built(NARROW).train()
    for seed in range(3):  # running statistics other than their start
        model(volumes(4, 32, 32, 32, seed=seed))
    model.eval()
    x = volumes(3, 32, 32, 32, seed=9)

    together = model(x)
    alone = [model(each[None]) for each in x]

    torch.testing.assert_close(together.logit, torch.cat([each.logit for each in alone]))
    torch.testing.assert_close(together.embedding, torch.cat([each.embedding for each in alone]))


def test_channels_last_gives_the_same_answer():
    model, x = built(NARROW).eval(), volumes(2, 32, 32, 32)

    plain = model(x).logit
    last = model.to(memory_format=torch.channels_last_3d)(x.to(memory_format=torch.channels_last_3d)).logit

    torch.testing.assert_close(last, plain)


def test_training_batch_of_one_on_a_tiny_grid_is_refused():
    with pytest.raises(UsageError, match="batch of at least 2"):
        built(NARROW).train()(volumes(1, 32, 32, 32))


def test_same_seed_gives_the_same_bits():
    def trained() -> Tensor:
        model = built(SANetConfig.demo(dropout=0.2)).train()
        optimiser = torch.optim.Adam(model.parameters())
        for seed in range(2):
            optimiser.zero_grad()
            nn.functional.softplus(model(volumes(2, 32, 32, 32, seed=seed)).logit).mean().backward()
            optimiser.step()
        return model.eval()(volumes(2, 32, 32, 32)).logit

    assert torch.equal(trained(), trained())


def test_every_parameter_gets_a_gradient():
    model = built(NARROW).train()

    model(volumes(2, 32, 32, 32)).logit.sum().backward()

    assert [name for name, each in model.named_parameters() if each.grad is None] == []


@pytest.mark.slow
def test_narrow_net_learns_ten_scans_by_heart():
    """A bright ball in half of the scans: nothing wrong lies between the loss and the first layer."""
    x = 0.5 * volumes(10, 32, 32, 32)
    label = torch.arange(10) % 2
    x[label == 1, :, 12:20, 12:20, 12:20] += 2.0
    model = built(SANetConfig.demo(stem_channels=8, head_dropout=0.0))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)

    for _ in range(12):
        optimiser.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(model.train()(x).logit, label.float())
        loss.backward()
        optimiser.step()

    assert loss < 0.05


def test_recomputing_changes_memory_and_nothing_else():
    """Same loss, gradients, dropout and running statistics with and without kept activations."""

    def step(recompute: bool) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        model = built(SANetConfig.demo(dropout=0.2, recompute=recompute)).train()
        logit = model(volumes(2, 32, 32, 32)).logit
        logit.sum().backward()
        return logit, {n: p.grad for n, p in model.named_parameters()}, dict(model.named_buffers())

    (logit, gradients, buffers), (logit_, gradients_, buffers_) = step(False), step(True)

    torch.testing.assert_close(logit_, logit)
    torch.testing.assert_close(gradients_, gradients)
    torch.testing.assert_close(buffers_, buffers)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"growth": 0}, "growth is 0"),
        ({"dropout": 1.0}, "dropout is 1"),
        ({"blocks": ()}, "at least one dense block"),
        ({"attention_blocks": 5}, "0..4"),
    ],
)
def test_impossible_options_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        SANetConfig(**changes)


def test_every_map_keeps_the_channels_last():
    """One layer that gives the layout up makes all after it slow, and nothing else would tell."""
    network = SANet(SANetConfig.demo()).train().to(memory_format=torch.channels_last_3d)
    lost = []

    def note(module, inputs, output):
        if output.dim() == 5 and not output.is_contiguous(memory_format=torch.channels_last_3d):
            lost.append(type(module).__name__)

    for module in network.modules():
        if not list(module.children()):
            module.register_forward_hook(note)
    network(torch.randn(2, 1, 32, 32, 32).contiguous(memory_format=torch.channels_last_3d))
    assert lost == []
