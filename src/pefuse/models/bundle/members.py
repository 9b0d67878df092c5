"""One member of an ensemble: what was trained on one fold with one seed, and how it answers.

Every model takes the scans of B cases as HU `(B, Z, Y, X)` and their features `(B, D)`, prepared by its own
`preparation`, uses what it needs of them, and gives logits `(B,)` whose risks are those of the training fold's
prevalence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor

from pefuse.ehr import FeaturePreparation
from pefuse.models.boosting import BoostedTrees
from pefuse.models.fusion import EndToEndFusion, IntermediateFusion
from pefuse.models.late import WeightedAverage
from pefuse.models.sanet import SANet
from pefuse.models.scan_normalisation import ScanNormalisation
from pefuse.models.tabnet import TabNet

__all__ = [
    "FusionModel",
    "LateModel",
    "Member",
    "Model",
    "RecordModel",
    "RecordPart",
    "ScanModel",
    "ScanPart",
    "TreesModel",
]

Scans = NDArray[np.int16]  # (B, Z, Y, X), HU
Features = NDArray[np.float32]  # (B, D)
Logits = NDArray[np.float64]  # (B,)


@dataclass(frozen=True, kw_only=True)
class ScanPart:
    """A network of scans and how HU become its input."""

    network: SANet
    normalisation: ScanNormalisation

    def input(self, scans: Scans | None) -> Tensor:
        assert scans is not None
        return self.normalisation(scans)[:, None]  # (B, 1, Z, Y, X)


@dataclass(frozen=True, kw_only=True)
class RecordPart:
    """A network of the record and how the record becomes its input: the columns that passed the screening."""

    network: TabNet
    preparation: FeaturePreparation


@dataclass(frozen=True, kw_only=True)
class ScanModel:
    """The scan alone."""

    scan: ScanPart
    logit_shift: float

    @property
    def preparation(self) -> None:
        return None

    @torch.inference_mode()
    def logits(self, scans: Scans | None, features: Features | None) -> Logits:
        return _array(self.scan.network(self.scan.input(scans)).logit) - self.logit_shift


@dataclass(frozen=True, kw_only=True)
class RecordModel:
    """The record alone."""

    record: RecordPart
    logit_shift: float

    @property
    def preparation(self) -> FeaturePreparation:
        return self.record.preparation

    @torch.inference_mode()
    def logits(self, scans: Scans | None, features: Features | None) -> Logits:
        return _array(self.record.network(_tensor(features)).logit) - self.logit_shift


@dataclass(frozen=True, kw_only=True)
class TreesModel:
    """Boosted trees on the record: features in their own units, missing ones NaN."""

    trees: BoostedTrees
    preparation: FeaturePreparation

    def logits(self, scans: Scans | None, features: Features | None) -> Logits:
        assert features is not None
        return self.trees.predict_logit(features)


@dataclass(frozen=True, kw_only=True)
class LateModel:
    """Each modality on its own, and the weighted mean of their risks."""

    scan: ScanModel
    record: RecordModel
    average: WeightedAverage  # of two: the scan's risk, the record's

    @property
    def preparation(self) -> FeaturePreparation:
        return self.record.preparation

    def logits(self, scans: Scans | None, features: Features | None) -> Logits:
        members = [self.scan.logits(scans, features), self.record.logits(scans, features)]
        return self.average.predict_logit(expit(np.stack(members, axis=1)))


@dataclass(frozen=True, kw_only=True)
class FusionModel:
    """Both embeddings fused. Whether all was trained end to end or not, it answers as one network."""

    scan: ScanPart
    record: RecordPart
    fusion: IntermediateFusion
    end_to_end: bool
    logit_shift: float

    @property
    def preparation(self) -> FeaturePreparation:
        return self.record.preparation

    @torch.inference_mode()
    def logits(self, scans: Scans | None, features: Features | None) -> Logits:
        network = EndToEndFusion(self.scan.network, self.record.network, self.fusion).eval()
        return _array(network(self.scan.input(scans), _tensor(features)).logit) - self.logit_shift


Model = ScanModel | RecordModel | TreesModel | LateModel | FusionModel


@dataclass(frozen=True, kw_only=True)
class Member:
    """A model, and the seed and fold that it was trained with."""

    seed: int
    fold: int
    model: Model


def _tensor(features: Features | None) -> Tensor:
    assert features is not None
    return torch.from_numpy(np.ascontiguousarray(features))


def _array(logit: Tensor) -> Logits:
    return logit.double().numpy()
