"""The attention's map is shown where its tokens mean something, and only there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pefuse.errors import BundleError
from pefuse.explain.bilinear import AttentionMap, attention_map
from pefuse.explain.importance import NotExplained
from pefuse.models import BilinearAttention, BilinearConfig, BottleneckConfig
from pefuse.models.fusion import Fusion, FusionOutput

from ..models.bundle.conftest import make_record

IDS = ("S0", "S1", "S2")
PLACES = tuple(f"patch {number}" for number in range(8))


class PatchAttention(Fusion):
    """Patches of the image against TabNet's steps: tokens that have names."""

    name = "patch-attention"
    Config = BottleneckConfig

    def __init__(self, image_dim: int, glimpses: int = 1) -> None:
        super().__init__()
        self.attention = BilinearAttention(BilinearConfig(image_dim=image_dim, ehr_dim=4, glimpses=glimpses))
        self.places = PLACES

    @staticmethod
    def take_image(output):
        return output.features.flatten(2).transpose(1, 2)

    @staticmethod
    def take_ehr(output):
        return output.steps.transpose(0, 1)

    def token_names(self):
        return self.places, ("step 1", "step 2")

    def forward(self, image, ehr, has_image=None, has_ehr=None):
        out = self.attention(image, ehr)
        return FusionOutput(
            logit=out.joint.sum(dim=1), fused=out.joint, sparsity_loss=torch.zeros(()), attention=out.attention
        )


@pytest.fixture
def named(bundles):
    """Two members of which each attends in its own way."""
    torch.manual_seed(0)
    members = []
    for member in bundles["mbt"].members[:2]:
        fusion = PatchAttention(member.model.scan.network.feature_channels, glimpses=2).eval()
        members.append(replace(member, model=replace(member.model, fusion=fusion)))
    return replace(bundles["mbt"], members=tuple(members))


def test_the_map_has_the_names_of_its_tokens_and_sums_to_one(named, scans):
    found = attention_map(named, IDS, scans=scans[:3], record=make_record())

    assert isinstance(found, AttentionMap)
    assert found.weights.shape == (3, 8, 2)
    assert (found.image, found.record) == (PLACES, ("step 1", "step 2"))
    np.testing.assert_allclose(found.weights.sum(axis=(1, 2)), 1, atol=1e-6)


def test_the_map_is_the_mean_of_glimpses_and_members(named, scans):
    record = make_record()
    maps = []
    for member in named.members:
        model = member.model
        with torch.inference_mode():
            image = model.fusion.take_image(model.scan.network(model.scan.input(scans[:3])))
            rows = torch.from_numpy(model.preparation.transform(record, IDS).values)
            maps.append(model.fusion(image, model.fusion.take_ehr(model.record.network(rows))).attention)
    expected = torch.stack(maps).mean(dim=(0, 2)).numpy()

    found = attention_map(named, IDS, scans=scans[:3], record=record)

    np.testing.assert_allclose(found.weights, expected, atol=1e-6)


def test_filters_over_embeddings_have_no_map(bundles, scans):
    """Tokens of `VectorTokens` are learned filters: a map of them would only look like an explanation."""
    found = attention_map(bundles["bilinear"], IDS, scans=scans[:3], record=make_record())

    assert isinstance(found, NotExplained)
    assert "no places of the scan" in found.reason


@pytest.mark.parametrize("kind", ["pca", "mbt", "tabnet", "late-average"])
def test_models_without_the_attention_have_no_map(bundles, scans, kind):
    found = attention_map(bundles[kind], IDS, scans=scans[:3], record=make_record())

    assert found == NotExplained(reason="The model has no bilinear attention.")


def test_names_that_do_not_fit_the_map_are_refused(named, scans):
    for member in named.members:
        member.model.fusion.places = PLACES[:5]

    with pytest.raises(BundleError, match="no map of that many pairs"):
        attention_map(named, IDS, scans=scans[:3], record=make_record())
