"""Every config of a model through JSON and back, strictly; every network's weights through safetensors."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load, save

from pefuse.errors import UsageError
from pefuse.models.bilinear import BilinearAttention, BilinearConfig
from pefuse.models.boosting import BoostedTreesConfig
from pefuse.models.bottleneck import BottleneckConfig
from pefuse.models.config import config_from_json, config_to_json
from pefuse.models.fusion import VectorFusionConfig
from pefuse.models.reduction import ReductionConfig
from pefuse.models.sanet import SANet, SANetConfig
from pefuse.models.swin import SwinConfig
from pefuse.models.tabnet import TabNet, TabNetConfig

CONFIGS = [
    SANetConfig.paper(),
    SANetConfig.released(),
    SANetConfig.demo(recompute=True),
    TabNetConfig.released_encoder(12, categorical=((1, 3, 2), (4, 2, 1))),
    BilinearConfig.released(),
    VectorFusionConfig(
        reduction="bilinear",
        bilinear=BilinearConfig(image_dim=64, ehr_dim=64, glimpses=2),
        tabnet=TabNetConfig(input_dim=64, normalisation="frozen"),
    ),
    VectorFusionConfig(reduction="nmf", fitted=ReductionConfig(components=7, shift=False), head="cnn1d"),
    SwinConfig.released(),
    BottleneckConfig(readout="mean"),
    BoostedTreesConfig(positive_weight=3.0),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_config_comes_back_from_json(config):
    restored = config_from_json(type(config), json.loads(json.dumps(config_to_json(config))))

    assert restored == config
    assert hash(restored) == hash(config)  # tuples again, not lists


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        (SANetConfig, {"grwoth": 3}, "grwoth"),
        (SANetConfig, {"growth": "wide"}, "growth"),
        (TabNetConfig, {"input_dim": 3, "mask_type": "softmax"}, "mask_type"),
        (TabNetConfig, {}, "input_dim"),
        (VectorFusionConfig, {"tabnet": {"input_dim": 16, "n_dd": 3}}, r"tabnet\.n_dd"),
        (SANetConfig, {"growth": 0}, "at least 1"),
    ],
)
def test_misspelt_or_impossible_options_are_refused(kind, content, message):
    with pytest.raises(UsageError, match=message):
        config_from_json(kind, content)


@pytest.mark.parametrize(
    "build",
    [
        lambda: SANet(SANetConfig.demo()),
        lambda: TabNet(TabNetConfig(input_dim=5)),
        lambda: BilinearAttention(BilinearConfig(image_dim=4, ehr_dim=3)),
    ],
    ids=["sanet", "tabnet", "bilinear"],
)
def test_weights_come_back_through_safetensors(build):
    torch.manual_seed(0)
    net = build()
    torch.manual_seed(1)
    other = build()

    saved = net.state_dict()
    other.load_state_dict(load(save(saved)))

    assert all(torch.equal(value, saved[name]) for name, value in other.state_dict().items())
