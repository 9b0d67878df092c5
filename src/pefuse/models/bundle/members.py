"""One member of an ensemble: what was trained on one fold with one seed, and how it answers.

Every model takes the scans of B cases as HU `(B, Z, Y, X)` and their features `(B, D)`, prepared by its own
`preparation`, uses what it needs of them, and gives logits `(B,)` whose risks are those of the training fold's
prevalence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor

from pefuse.ehr import FeaturePreparation
from pefuse.models.boosting import BoostedTrees
from pefuse.models.fusion import EndToEndFusion, Fusion, VectorFusion
from pefuse.models.late import Combiner
from pefuse.models.sanet import SANet
from pefuse.models.scan_normalisation import ScanNormalisation
from pefuse.models.swin import Swin
from pefuse.models.tabnet import TabNet

__all__ = [
    "FusionModel",
    "LateKind",
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
ImageArchitecture = Literal["sanet", "swin"]
LateKind = Literal["late-average", "late-vote", "late-tabnet", "late-xgboost"]


@dataclass(frozen=True, kw_only=True)
class ScanPart:
    """A network of scans and how HU become its input."""

    network: SANet | Swin
    normalisation: ScanNormalisation

    @property
    def architecture(self) -> ImageArchitecture:
        return "sanet" if isinstance(self.network, SANet) else "swin"

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

    @property
    def architecture(self) -> ImageArchitecture:
        return self.scan.architecture

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
    """Each modality on its own, and what makes one risk of both theirs."""

    scan: ScanModel
    record: RecordModel
    kind: LateKind
    combiner: Combiner  # of two: the scan's risk, the record's

    @property
    def preparation(self) -> FeaturePreparation:
        return self.record.preparation

    def logits(self, scans: Scans | None, features: Features | None) -> Logits:
        members = [self.scan.logits(scans, features), self.record.logits(scans, features)]
        return self.combiner.predict_logit(expit(np.stack(members, axis=1)))


@dataclass(frozen=True, kw_only=True)
class FusionModel:
    """Both encoders and a fusion of what it takes of them. Trained end to end or not, it answers as one network.

    `trees` are the head of a fusion that has no network for one.
    """

    scan: ScanPart
    record: RecordPart
    fusion: Fusion
    end_to_end: bool
    logit_shift: float
    trees: BoostedTrees | None = None

    @property
    def preparation(self) -> FeaturePreparation:
        return self.record.preparation

    @torch.inference_mode()
    def logits(self, scans: Scans | None, features: Features | None) -> Logits:
        image, ehr = self.scan.input(scans), _tensor(features)
        if self.trees is None:
            network = EndToEndFusion(self.scan.network, self.record.network, self.fusion).eval()
            return _array(network(image, ehr).logit) - self.logit_shift
        assert isinstance(self.fusion, VectorFusion)
        taken = (
            self.fusion.take_image(self.scan.network(image)),
            self.fusion.take_ehr(self.record.network(ehr)),
        )
        return self.trees.predict_logit(self.fusion.eval().fuse(*taken)[0].numpy())


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
