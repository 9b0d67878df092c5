"""Which modality moved the risk: what a model would say with its scan, or its record, replaced by an average one.

For a fusion the average is that of what it takes of an encoder (a vector, or a map of tokens) over reference
studies; for a late one that of the modality's own risk. Where a model can do without a modality and has learned
what stands for it, the risk without it is told too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor

from pefuse.ct import PreparedScans
from pefuse.ehr import RawRecord
from pefuse.errors import BundleError
from pefuse.explain.importance import NotExplained, named
from pefuse.models.bottleneck import BottleneckFusion
from pefuse.models.bundle import Bundle, FusionModel, LateModel
from pefuse.models.bundle.members import Features, Scans
from pefuse.models.fusion import VectorFusion
from pefuse.models.late import MajorityVote, WeightedAverage

__all__ = ["ModalityRisks", "modality_risks", "modality_table"]

STUDIES_AT_ONCE = 4  # as a bundle predicts
MOST_REFERENCES = 64  # studies: a mean of more costs time and moves little
Array = NDArray[np.float64]
AnyScans = Scans | PreparedScans

ONE_MODALITY = NotExplained(reason="The model reads one modality alone, so there is no other to set it against.")


@dataclass(frozen=True, kw_only=True)
class ModalityRisks:
    """Risks (N,) of some studies, each the mean of the members' risks, as the ensemble's is.

    `risk` with both modalities; `without_scan` and `without_record` with one replaced by its average over
    `references` studies; `scan_absent` and `record_absent` with one not there, None where the model cannot do
    without it or has never learned to.
    """

    study_ids: tuple[str, ...]
    references: int
    risk: Array = field(repr=False)
    without_scan: Array = field(repr=False)
    without_record: Array = field(repr=False)
    scan_absent: Array | None = field(default=None, repr=False)
    record_absent: Array | None = field(default=None, repr=False)

    def table(self) -> pd.DataFrame:
        """study_id, risk, without_scan, without_record, scan_absent, record_absent (NaN where None)."""
        return pd.DataFrame(
            {
                "study_id": list(self.study_ids),
                "risk": self.risk,
                "without_scan": self.without_scan,
                "without_record": self.without_record,
                "scan_absent": np.nan if self.scan_absent is None else self.scan_absent,
                "record_absent": np.nan if self.record_absent is None else self.record_absent,
            }
        )


def modality_risks(
    bundle: Bundle,
    study_ids: Sequence[str],
    *,
    scans: AnyScans,
    record: RawRecord,
    reference_ids: Sequence[str],
    reference_scans: AnyScans | None = None,
) -> ModalityRisks | NotExplained:
    """Risks with both modalities and with each replaced. Each modality is encoded once a member.

    Args:
        scans: prepared scans, or HU `(N, Z, Y, X)` int16 in the order of `study_ids`.
        record: of these and of the reference studies.
        reference_ids: studies that the averages are of, say those that the model learned from; of more than 64,
            64 spread evenly over them.
        reference_scans: of `reference_ids`, in their order; None where `scans` are prepared ones that hold them.

    Raises:
        UsageError: no study, no reference, or scans that do not fit the model.
        RecordError: the record is in another form than the model was trained on.
        BundleError: a risk is not a number.
    """
    if bundle.architecture not in ("fusion", "late"):
        return ONE_MODALITY
    chosen, shown = _references(reference_ids, scans if reference_scans is None else reference_scans)
    averages = _averages(bundle, chosen, shown, record)
    ids = named(study_ids)
    bundle.check_scans(ids, scans)
    features = bundle.prepared_features(ids, record)
    sides = [_side(member.model) for member in bundle.members]
    risks: dict[str, list[list[Array]]] = {}  # of each kind, for each batch, by member
    for start in range(0, len(ids), STUDIES_AT_ONCE):
        part = slice(start, start + STUDIES_AT_ONCE)
        hu = _load(scans, ids, part)
        rows: dict[str, list[Array]] = {}
        for side, (mean_image, mean_ehr) in zip(sides, averages, strict=True):
            image, ehr = side.image(hu), side.ehr(features[id(side.model.preparation)][part])
            for kind, found in side.risks(image, ehr, mean_image, mean_ehr).items():
                rows.setdefault(kind, []).append(found)
        for kind, members in rows.items():
            risks.setdefault(kind, []).append(members)
    mean = {
        kind: np.concatenate([np.mean(members, axis=0) for members in batches])
        for kind, batches in risks.items()
        if all(len(members) == len(sides) for members in batches)  # some members cannot: the ensemble cannot
    }
    if any(not np.isfinite(values).all() for values in mean.values()):
        raise BundleError(
            f"The model {bundle.model} gave a risk that is not a number: check its scans and record."
        )
    return ModalityRisks(study_ids=tuple(ids), references=len(chosen), **mean)


def modality_table(
    bundle: Bundle,
    study_ids: Sequence[str],
    *,
    scans: AnyScans,
    record: RawRecord,
    labels: Mapping[str, int],
    reference_ids: Sequence[str],
    reference_scans: AnyScans | None = None,
    scan_alone: Bundle | None = None,
    record_alone: Bundle | None = None,
) -> pd.DataFrame | NotExplained:
    """`modality_risks` as rows: model, study_id, label, risk, without_scan, without_record, and what else is told.

    Args:
        labels: 0 or 1 for each study.
        scan_alone, record_alone: bundles of the single modalities; their risks become columns of these names, NaN
            without a bundle.
    """
    found = modality_risks(
        bundle,
        study_ids,
        scans=scans,
        record=record,
        reference_ids=reference_ids,
        reference_scans=reference_scans,
    )
    if isinstance(found, NotExplained):
        return found
    table = found.table()
    table.insert(0, "model", bundle.model)
    table.insert(2, "label", [int(labels[study_id]) for study_id in found.study_ids])
    for name, alone in (("scan_alone", scan_alone), ("record_alone", record_alone)):
        table[name] = np.nan
        if alone is not None:
            told = alone.predict(study_ids, scans=scans, record=record).ensemble["risk"]
            table[name] = told.loc[list(found.study_ids)].to_numpy()
    return table


# --- the two sides of a model: what it takes of each modality, and what it makes of both


@dataclass(frozen=True)
class _FusionSides:
    model: FusionModel

    @torch.inference_mode()
    def image(self, hu: Scans) -> Tensor:
        taken: Tensor = self.model.fusion.take_image(self.model.scan.network.eval()(self.model.scan.input(hu)))
        return taken

    @torch.inference_mode()
    def ehr(self, rows: Features) -> Tensor:
        values = torch.from_numpy(np.ascontiguousarray(rows))
        taken: Tensor = self.model.fusion.take_ehr(self.model.record.network.eval()(values))
        return taken

    def risks(self, image: Tensor, ehr: Tensor, mean_image: Tensor, mean_ehr: Tensor) -> dict[str, Array]:
        """Risks (B,) by the names of `ModalityRisks`."""
        found = {
            "risk": self._risk(image, ehr),
            "without_scan": self._risk(mean_image.expand_as(image), ehr),
            "without_record": self._risk(image, mean_ehr.expand_as(ehr)),
        }
        knows_no_image, knows_no_ehr = _learned_stand_ins(self.model)
        nobody = torch.zeros(len(image), dtype=torch.bool)
        if knows_no_image:
            found["scan_absent"] = self._risk(image, ehr, has_image=nobody)
        if knows_no_ehr:
            found["record_absent"] = self._risk(image, ehr, has_ehr=nobody)
        return found

    @torch.inference_mode()
    def _risk(self, image: Tensor, ehr: Tensor, **flags: Tensor) -> Array:
        fusion = self.model.fusion.eval()
        if self.model.trees is None:
            return np.asarray(expit(fusion(image, ehr, **flags).logit.double().numpy() - self.model.logit_shift))
        assert isinstance(fusion, VectorFusion)
        return np.asarray(expit(self.model.trees.predict_logit(fusion.fuse(image, ehr, **flags)[0].numpy())))


def _learned_stand_ins(model: FusionModel) -> tuple[bool, bool]:
    """Whether what stands for an absent scan, and record, was ever trained: until then it is zero."""
    fusion = model.fusion
    if isinstance(fusion, VectorFusion):
        return bool(fusion.no_image.any()), bool(fusion.no_ehr.any())
    if isinstance(fusion, BottleneckFusion):
        return bool(fusion.image.absent.any()), bool(fusion.ehr.absent.any())
    return False, False


@dataclass(frozen=True)
class _LateSides:
    model: LateModel

    def image(self, hu: Scans) -> Tensor:
        """The scan's own risk (B,)."""
        return torch.from_numpy(expit(self.model.scan.logits(hu, None)))

    def ehr(self, rows: Features) -> Tensor:
        """The record's own risk (B,)."""
        return torch.from_numpy(expit(self.model.record.logits(None, rows)))

    def risks(self, image: Tensor, ehr: Tensor, mean_image: Tensor, mean_ehr: Tensor) -> dict[str, Array]:
        """Risks (B,) by the names of `ModalityRisks`."""
        found = {
            "risk": self._risk(image, ehr),
            "without_scan": self._risk(mean_image.expand_as(image), ehr),
            "without_record": self._risk(image, mean_ehr.expand_as(ehr)),
        }
        if isinstance(self.model.combiner, WeightedAverage | MajorityVote):  # these leave out what is missing
            missing = torch.full_like(image, torch.nan)
            found |= {"scan_absent": self._risk(missing, ehr), "record_absent": self._risk(image, missing)}
        return found

    def _risk(self, image: Tensor, ehr: Tensor) -> Array:
        return np.asarray(expit(self.model.combiner.predict_logit(torch.stack([image, ehr], dim=1).numpy())))


def _side(model: Any) -> _FusionSides | _LateSides:
    return _FusionSides(model) if isinstance(model, FusionModel) else _LateSides(model)


# --- averages over the reference studies


def _references(ids: Sequence[str], scans: AnyScans) -> tuple[list[str], AnyScans]:
    """At most `MOST_REFERENCES` of the studies, evenly over their order, with their scans."""
    count = len(named(ids))
    rows = np.unique(np.linspace(0, count - 1, min(count, MOST_REFERENCES)).round().astype(int))
    chosen = [ids[row] for row in rows]
    if isinstance(scans, PreparedScans) or len(scans) != count:  # the bundle says what is wrong with the others
        return chosen, scans
    return chosen, scans[rows]


def _averages(
    bundle: Bundle, ids: Sequence[str], scans: AnyScans, record: RawRecord
) -> list[tuple[Tensor, Tensor]]:
    """For each member the mean of what it takes of the scans, and of the records, each (1, ...)."""
    bundle.check_scans(ids, scans)
    features = bundle.prepared_features(ids, record)
    sides = [_side(member.model) for member in bundle.members]
    totals: list[Tensor | None] = [None] * len(sides)
    for start in range(0, len(ids), STUDIES_AT_ONCE):
        hu = _load(scans, ids, slice(start, start + STUDIES_AT_ONCE))
        for place, side in enumerate(sides):
            total = side.image(hu).double().sum(dim=0, keepdim=True)
            before = totals[place]
            totals[place] = total if before is None else before + total
    means = []
    for side, whole in zip(sides, totals, strict=True):
        assert whole is not None
        ehr = side.ehr(features[id(side.model.preparation)])
        kind = torch.float32 if isinstance(side, _FusionSides) else torch.float64
        means.append(((whole / len(ids)).to(kind), ehr.double().mean(dim=0, keepdim=True).to(kind)))
    return means


def _load(scans: AnyScans, ids: Sequence[str], part: slice) -> Scans:
    return scans.load(list(ids[part])) if isinstance(scans, PreparedScans) else scans[part]
