"""One fold's cases, ready for any model: who takes part, their labels, features and scans.

Everything fitted here (features, scan mean and SD) has seen the training part of the fold only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pefuse.ehr import FeaturePreparation, PreparationConfig, RawRecord
from pefuse.errors import RunError
from pefuse.models.scan_normalisation import ScanNormalisation
from pefuse.training.data import CaseSource, ScanArrays
from pefuse.types import EhrFeatures, Fold

__all__ = ["SPLITS", "FoldData"]

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class FoldData:
    """The cases of `fold` that have what a model takes.

    `labels` is indexed by study_id; `record` and `scans` are None where the cohort has none.
    """

    fold: Fold
    labels: pd.Series[float]
    record: RawRecord | None
    scans: ScanArrays | None
    has_scan: frozenset[str]
    window_hu: tuple[float, float]
    preparation_config: PreparationConfig

    def studies(self, split: str, *, scan: bool, record: bool) -> tuple[str, ...]:
        """Study ids of a part of the fold, in order, that have the asked modalities."""
        ids: tuple[str, ...] = getattr(self.fold, split)
        has_record = frozenset(self.record.study_ids) if self.record is not None else frozenset()
        return tuple(
            study_id
            for study_id in ids
            if (not scan or study_id in self.has_scan) and (not record or study_id in has_record)
        )

    def check_enough(self, *, scan: bool, record: bool) -> None:
        """Refuse a fold on which nothing can be learnt, stopped or judged.

        Raises:
            RunError: a part without a single study, or training or validation without both outcomes.
        """
        what = " and ".join(["a usable scan"] * scan + ["a record"] * record)
        for split in SPLITS:
            ids = self.studies(split, scan=scan, record=record)
            deaths = int(self.label_array(ids).sum())
            needed, enough = (
                ("one", bool(ids)) if split == "test" else ("one death and one survivor", 0 < deaths < len(ids))
            )
            if not enough:
                whole = len(getattr(self.fold, split))
                found = f"Of {whole} {split} studies, {len(ids)} have {what}, {deaths} of them died"
                lookup = ": quarantine.csv says which scans were left out and why" if scan else ""
                raise RunError(f"{found}; {needed} at least is needed{lookup}.")

    def label_array(self, study_ids: Sequence[str]) -> NDArray[np.float32]:
        return self.labels.loc[list(study_ids)].to_numpy(dtype=np.float32)

    @cached_property
    def preparation(self) -> FeaturePreparation:
        """Feature preparation for the networks, fitted on the training part."""
        return self._fitted(self.preparation_config)

    @cached_property
    def tree_preparation(self) -> FeaturePreparation:
        """The same for boosted trees, which cannot embed a code: a column a level."""
        if self.preparation_config.categorical == "one-hot":
            return self.preparation
        return self._fitted(replace(self.preparation_config, categorical="one-hot"))

    def _fitted(self, config: PreparationConfig) -> FeaturePreparation:
        assert self.record is not None
        return FeaturePreparation.fit(self.record, self.studies("train", scan=False, record=True), config=config)

    @cached_property
    def normalisation(self) -> ScanNormalisation:
        """Mean and SD of the windowed scans of the training part."""
        assert self.scans is not None
        low, high = self.window_hu
        total, squares, count = 0.0, 0.0, 0
        for study_id in self.studies("train", scan=True, record=False):
            values = (np.clip(self.scans.load([study_id]), low, high).astype(np.float32) - low) / (high - low)
            total += float(values.sum(dtype=np.float64))
            squares += float(np.square(values, dtype=np.float64).sum())
            count += values.size
        mean = total / count
        return ScanNormalisation(
            window_hu=self.window_hu, mean=mean, sd=max(1e-6, float(np.sqrt(squares / count - mean**2)))
        )

    def features(self, study_ids: Sequence[str]) -> EhrFeatures:
        """Fitted features for the networks: scaled, nothing missing."""
        assert self.record is not None
        return self.preparation.transform(self.record, study_ids)

    def tree_features(self, study_ids: Sequence[str]) -> EhrFeatures:
        """Fitted features for boosted trees: in their own units, NaN where missing."""
        assert self.record is not None
        return self.tree_preparation.transform(self.record, study_ids, scale=False, impute=False)

    def source(self, split: str, *, scan: bool, record: bool, **settings: Any) -> CaseSource:
        """The cases of a part of the fold as a network takes them."""
        ids = self.studies(split, scan=scan, record=record)
        source = CaseSource(study_ids=ids, labels=self.label_array(ids))
        if record:
            codes = [place for place, column in enumerate(self.preparation.columns) if column.role == "category"]
            source = replace(source, ehr=self.features(ids).values, ehr_categories=tuple(codes))
        if scan:
            source = replace(source, scans=self.scans, normalisation=self.normalisation)
        return replace(source, **settings)
