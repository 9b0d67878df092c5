"""A trained model as one thing: the ensemble of its folds and seeds, and the risks that it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit

from pefuse.ct import PreparedScans
from pefuse.ehr import FeaturePreparation, RawRecord
from pefuse.errors import BundleError, RecordError, UsageError
from pefuse.evaluation import mean_by_study
from pefuse.models.bundle.manifest import About, Architecture, Threshold
from pefuse.models.bundle.members import (
    FusionModel,
    LateModel,
    Member,
    RecordModel,
    ScanModel,
    TreesModel,
)
from pefuse.types import FeatureColumn, FieldOfView

__all__ = ["Bundle", "BundlePredictions", "architecture_of"]

SCANS_AT_ONCE = 4  # at 128³ a SANet holds about 150 MB of activations for each
ROWS_AT_ONCE = 1024

_ARCHITECTURES: dict[type, Architecture] = {
    ScanModel: "scan",
    RecordModel: "record",
    TreesModel: "trees",
    LateModel: "late",
    FusionModel: "fusion",
}


@dataclass(frozen=True, kw_only=True)
class BundlePredictions:
    """Risks of some studies, in the order asked for.

    `members`: one row a study and member, with study_id, seed, fold, logit, risk. `ensemble`: indexed by study_id,
    the mean of the members' risks, as the report has it for test studies, and that risk as a logit.
    """

    members: pd.DataFrame = field(repr=False)
    ensemble: pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A trained model. `about` is what it says of itself; `sha256` stands for the whole bundle, "" = not saved."""

    about: About
    members: tuple[Member, ...] = field(repr=False)
    sha256: str = ""

    @property
    def model(self) -> str:
        """The model's name in its run."""
        return self.about.model

    @property
    def architecture(self) -> Architecture:
        return architecture_of(self.members)

    @property
    def needs_scan(self) -> bool:
        return self.about.grid is not None

    @property
    def needs_record(self) -> bool:
        return self.members[0].model.preparation is not None

    @property
    def grid(self) -> int | None:
        """Voxels along each axis of the scans that it reads; None where it reads none."""
        return self.about.grid

    @property
    def field_of_view(self) -> FieldOfView:
        """What of a scan it reads; meaningless where it reads none."""
        return self.about.field_of_view or "whole"

    @property
    def features(self) -> tuple[FeatureColumn, ...]:
        """The columns of the record that it reads, with name, family, kind and unit."""
        return tuple(
            FeatureColumn(name=one.name, family=one.family, kind=one.kind, unit=one.unit)
            for one in self.about.features
        )

    @property
    def thresholds(self) -> dict[str, Threshold]:
        """By name; none where the validation studies had a single outcome."""
        return {threshold.name: threshold for threshold in self.about.thresholds}

    def predict(
        self,
        study_ids: Sequence[str],
        *,
        scans: NDArray[np.int16] | PreparedScans | None = None,
        record: RawRecord | None = None,
        batch_size: int | None = None,
    ) -> BundlePredictions:
        """Risks of these studies by each member and by their ensemble.

        Args:
            study_ids: which studies, each once.
            scans: prepared scans that hold them, or HU `(N, Z, Y, X)` int16 in their order, on the bundle's grid
                and of its field of view. Needed where `needs_scan`, else not looked at.
            record: extracted by `pefuse.ehr.extract`; likewise with `needs_record`.
            batch_size: studies at once; None is 4 where scans are read, else 1024. It decides memory, and the
                order of sums and so the last digits: batches as in training give the digits of the run.

        Raises:
            UsageError: something needed is not given, the scans are of another grid or kind, or batch_size is
                below 1.
            RecordError: a column is in another unit or form, or the record holds nothing that the model knows.
            BundleError: an answer is not a number.
        """
        ids = _checked_ids(study_ids)
        if batch_size is not None and batch_size < 1:
            raise UsageError(f"A batch of {batch_size} studies cannot be predicted: at least 1 is needed.")
        if self.needs_scan:
            self.check_scans(ids, scans)
        features = self.prepared_features(ids, record) if self.needs_record else {}
        logits = np.empty((len(self.members), len(ids)))
        step = batch_size or (SCANS_AT_ONCE if self.needs_scan else ROWS_AT_ONCE)
        for start in range(0, len(ids), step):
            part = slice(start, start + step)
            hu = _load(scans, ids, part) if self.needs_scan else None
            for row, member in enumerate(self.members):
                own = features.get(id(member.model.preparation))
                logits[row, part] = member.model.logits(hu, own[part] if own is not None else None)
        return self._predictions(ids, logits)

    def check_scans(self, ids: Sequence[str], scans: NDArray[np.int16] | PreparedScans | None) -> None:
        """Raise UsageError unless `scans` are those of these studies as `predict` takes them."""
        if scans is None:
            raise UsageError(f"Study {ids[0]} has no scan, and the model {self.model} needs one: give `scans`.")
        if isinstance(scans, PreparedScans):
            available = set(scans.available)
            if missing := [study_id for study_id in ids if study_id not in available]:
                raise UsageError(
                    f"Study {missing[0]} has no prepared scan, and the model {self.model} needs one: "
                    "see quarantine.csv, or leave the study out."
                )
            if scans.field_of_view != self.about.field_of_view:
                raise UsageError(
                    f"The scans were prepared with the field of view {scans.field_of_view}, but the model "
                    f"{self.model} was trained on {self.about.field_of_view}: prepare them with "
                    f"`--field-of-view {self.about.field_of_view}`."
                )
            grid = (scans.grid,) * 3
        else:
            if scans.dtype != np.int16 or scans.ndim != 4 or len(scans) != len(ids):
                raise UsageError(
                    f"Scans of {len(ids)} studies must be HU of type int16 and shape ({len(ids)}, Z, Y, X); "
                    f"these are {scans.dtype} of shape {scans.shape}."
                )
            grid = scans.shape[1:]
        if grid != (self.grid,) * 3:
            raise UsageError(
                f"The scans have a grid of {'×'.join(map(str, grid))} voxels, but the model {self.model} was "
                f"trained on {self.grid}×{self.grid}×{self.grid}: prepare them with `--grid {self.grid}`."
            )

    def prepared_features(self, ids: Sequence[str], record: RawRecord | None) -> dict[int, NDArray[np.float32]]:
        """What members take of the record, `(N, D)` for each preparation by its `id`: folds differ, seeds do not.

        Raises:
            UsageError: a study has no record.
            RecordError: a column is in another unit or form, or the record holds nothing that the model knows.
        """
        known = set(record.study_ids) if record is not None else set()
        if record is None or (missing := [study_id for study_id in ids if study_id not in known]):
            name = ids[0] if record is None else missing[0]
            raise UsageError(
                f"Study {name} has no record, and the model {self.model} needs one: extract it, or leave the "
                "study out."
            )
        if all(record.place(feature.key) is None for feature in self.about.features):
            raise RecordError(
                f"The record has none of the {len(self.about.features)} columns that the model {self.model} "
                "reads: its codes or names are not those of the training cohort. Map them in codes.csv."
            )
        scaled = self.architecture != "trees"
        preparations: list[FeaturePreparation] = [
            member.model.preparation for member in self.members if member.model.preparation is not None
        ]
        return {
            key: preparation.transform(record, ids, scale=scaled, impute=scaled).values
            for key, preparation in {id(each): each for each in preparations}.items()
        }

    def _predictions(self, ids: list[str], logits: NDArray[np.float64]) -> BundlePredictions:
        if not np.isfinite(logits).all():
            study_id = ids[int(np.argmin(np.isfinite(logits).all(axis=0)))]
            raise BundleError(
                f"Study {study_id}: the model {self.model} gave no number: check its scan and record."
            )
        members = pd.concat(
            [
                pd.DataFrame(
                    {"study_id": ids, "seed": member.seed, "fold": member.fold, "logit": row, "risk": expit(row)}
                )
                for member, row in zip(self.members, logits, strict=True)
            ],
            ignore_index=True,
        )
        ensemble = mean_by_study(members, "risk").loc[ids]
        return BundlePredictions(members=members, ensemble=ensemble.assign(logit=logit(ensemble["risk"])))


def architecture_of(members: Sequence[Member]) -> Architecture:
    """What kind of model the members are."""
    return _ARCHITECTURES[type(members[0].model)]


def _checked_ids(study_ids: Sequence[str]) -> list[str]:
    ids = [str(study_id) for study_id in study_ids]
    if not ids:
        raise UsageError("There is no study to predict: name at least one.")
    if len(set(ids)) < len(ids):
        twice = next(study_id for study_id in ids if ids.count(study_id) > 1)
        raise UsageError(f"Study {twice} is asked for twice: name each once.")
    return ids


def _load(scans: NDArray[np.int16] | PreparedScans | None, ids: list[str], part: slice) -> NDArray[np.int16]:
    assert scans is not None
    return scans.load(ids[part]) if isinstance(scans, PreparedScans) else scans[part]
