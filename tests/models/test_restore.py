"""A network built again gives the same answers, and options that are not those of the weights cost nothing."""

from __future__ import annotations

import resource
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from pefuse.errors import RunError
from pefuse.models import (
    BottleneckConfig,
    BottleneckFusion,
    EarlyFusion,
    IntermediateFusion,
    SANet,
    SANetConfig,
    Swin,
    SwinConfig,
    TabNet,
    TabNetConfig,
    VectorFusionConfig,
)
from pefuse.models.config import config_to_json
from pefuse.models.reduction import REDUCTIONS, ReductionConfig
from pefuse.models.restore import network_arrays, restore_fusion, restore_sanet, restore_swin, restore_tabnet


def fused(reduction):
    return VectorFusionConfig(
        image_dim=4, ehr_dim=3, reduction=reduction, training_rows=9, fitted=ReductionConfig(components=2)
    )


SMALL = SANetConfig.demo(stem_channels=4, growth=2, blocks=(1, 1), attention_blocks=1, embedding_dim=4)
SMALL_SWIN = SwinConfig.demo(window=2, hidden_dim=8, embedding_dim=4, depths=(1, 1, 1, 1))


def _fitted(reduction: str) -> IntermediateFusion:
    rows = torch.randn(9, 7, generator=torch.Generator().manual_seed(0))
    config = replace(fused(reduction), fitted=ReductionConfig(components=2, neighbours=4))
    return IntermediateFusion(config).prepare(rows[:, :4], rows[:, 4:])


NETWORKS = {
    "sanet": (lambda: SANet(SMALL), restore_sanet),
    "tabnet": (lambda: TabNet(TabNetConfig(input_dim=5)), restore_tabnet),
    "tabnet with levels": (lambda: TabNet(TabNetConfig(input_dim=5, categorical=((1, 3, 2),))), restore_tabnet),
    "swin": (lambda: Swin(SMALL_SWIN), restore_swin),
    "swin flattened": (
        lambda: Swin(replace(SMALL_SWIN, grid=32, residual_block=True, merging="legacy")),
        restore_swin,
    ),
    "plain": (lambda: IntermediateFusion(fused("none")), partial(restore_fusion, "intermediate")),
    "bilinear": (lambda: IntermediateFusion(fused("bilinear")), partial(restore_fusion, "intermediate")),
    "early": (lambda: EarlyFusion(replace(fused("none"), head="cnn1d")), partial(restore_fusion, "early")),
    "bottleneck": (
        lambda: BottleneckFusion(BottleneckConfig(image_dim=4, image_tokens=2, ehr_dim=3, width=8, heads=2)),
        partial(restore_fusion, "bottleneck"),
    ),
    **{name: (partial(_fitted, name), partial(restore_fusion, "intermediate")) for name in REDUCTIONS},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_restored_network_has_the_same_weights_in_eval_mode(name):
    build, restore = NETWORKS[name]
    network = build()
    restored = restore(config_to_json(network.config), network_arrays(network))

    assert type(restored) is type(network)
    assert restored.config == network.config
    assert not restored.training
    for (_, before), (_, after) in zip(network.state_dict().items(), restored.state_dict().items(), strict=True):
        assert torch.equal(before, after)


def test_restoring_draws_no_more_random_numbers_than_building():
    """What is trained afterwards must not depend on how the options were checked."""
    network = SANet(SMALL)
    torch.manual_seed(3)
    SANet(SMALL)
    expected = torch.rand(1)
    torch.manual_seed(3)
    restore_sanet(config_to_json(SMALL), network_arrays(network))

    assert torch.equal(torch.rand(1), expected)


def test_a_lone_number_saved_as_a_row_of_one_is_taken():
    network = TabNet(TabNetConfig(input_dim=5))
    arrays = {name: np.ascontiguousarray(value) for name, value in network_arrays(network).items()}

    assert arrays["input_norm.num_batches_tracked"].shape == (1,)
    restore_tabnet({"input_dim": 5}, arrays)


@pytest.mark.skipif(sys.platform == "win32", reason="counts the process's memory")
@pytest.mark.parametrize(
    "options",
    [
        {"growth": 100_000},  # one 3×3×3 convolution of it: about 4 TB
        {"stem_channels": 900_000},
        {"blocks": [400]},
        {"blocks": [10**6]},
        {"embedding_dim": 10**6},
    ],
)
def test_absurd_options_take_neither_memory_nor_long(options):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RunError, match="train it again"):
        restore_sanet({**config_to_json(SMALL), **options}, network_arrays(SANet(SMALL)))

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": float("nan")}, "a number that none can have"),
        ({"input_dim": 10**9}, "a number that none can have"),
        ({"input_dim": 10**6}, "columns, more than"),
        ({"n_steps": 10**6}, "layers, more than"),
        ({"categorical": [[0, 2, 10**6]]}, "columns, more than"),
        ({"input_dim": 0}, "input_dim is 0"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_options_outside_any_use_are_refused(options, message):
    network = TabNet(TabNetConfig(input_dim=5))
    with pytest.raises(RunError, match=message):
        restore_tabnet({**config_to_json(network.config), **options}, network_arrays(network))
