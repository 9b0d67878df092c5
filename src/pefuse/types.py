"""The nouns that the layers hand to one another: frozen, with axes and units stated once, here.

Axes of every array of a scan are `(Z, Y, X)`: Z from feet to head, Y from front to back, X from the patient's
right to left. That is the LPS frame of DICOM with its axes in reverse order, so no axis is ever flipped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = [
    "PREDICTION_COLUMNS",
    "STUDY_COLUMNS",
    "Cohort",
    "EhrFeatures",
    "FeatureColumn",
    "FeatureFamily",
    "FeatureKind",
    "Fold",
    "Predictions",
    "Progress",
    "Study",
    "Volume",
]

FloatArray = NDArray[np.float32]

Progress = Callable[[str, int, int], None]
"""Called as `progress(what, done, total)` by everything that takes long; the CLI draws bars from it."""

FeatureFamily = Literal[
    "demographic", "vital", "lab", "medication", "diagnosis", "procedure", "observation", "visit", "time",
    "arrival", "score", "table",
]  # fmt: skip
FeatureKind = Literal["continuous", "binary", "categorical"]
FieldOfView = Literal["whole", "lungs"]  # what of a scan is brought to the model's grid

STUDY_COLUMNS = (
    "patient_id",  # int64, the MEDS subject_id
    "index_time",  # datetime64[us]: when the scan was taken; nothing at or after it may be used
    "ct",  # str, relative to the cohort folder; "" = no scan
    "age_years",  # float64 at the index time, NaN = unknown
    "sex",  # "F", "M" or "" = unknown
    "label",  # float64: 1 died within the horizon, 0 did not, NaN = censored before it
    "year",  # int64, of the index time
    "split",  # "train", "validation", "test" or "" = not given
    "site",  # str, "" = not given
)


@dataclass(frozen=True, kw_only=True)
class Study:
    """One CTPA of one patient; a row of `Cohort.studies` with its paths resolved."""

    study_id: str
    patient_id: int
    index_time: pd.Timestamp
    ct: Path | None
    age_years: float
    sex: str
    label: float
    year: int
    split: str
    site: str


DEATH = "death"  # the usual outcome


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """A checked cohort folder.

    `studies` is indexed by `study_id` (str, unique, in file order) and has the columns of `STUDY_COLUMNS`.
    `events` is the path of the MEDS events (parquet or CSV), or None when the cohort brings `features` instead:
    a frame indexed by `study_id`, one column a ready-made feature. `codes` is `codes.csv` (columns code, concept,
    kind, unit, description; may be empty): what a local code means.
    """

    folder: Path
    name: str
    horizon_days: int
    simulated: bool
    studies: pd.DataFrame
    events: Path | None
    codes: pd.DataFrame
    features: pd.DataFrame | None
    outcome: str = DEATH  # what a label of 1 means; the word for pages and messages
    no_scores: str = ""  # why clinical scores cannot be computed; "" = they can

    def study(self, study_id: str) -> Study:
        """The study of that id, its `ct` as an absolute path (None = no scan)."""
        row: Any = self.studies.loc[study_id]
        return Study(
            study_id=study_id,
            patient_id=int(row["patient_id"]),
            index_time=row["index_time"],
            ct=self.folder / row["ct"] if row["ct"] else None,
            age_years=float(row["age_years"]),
            sex=str(row["sex"]),
            label=float(row["label"]),
            year=int(row["year"]),
            split=str(row["split"]),
            site=str(row["site"]),
        )


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A CT in Hounsfield units.

    `hu` is `(Z, Y, X)`; `affine` `(4, 4)` takes a voxel's index `(z, y, x, 1)` to LPS millimetres `(x, y, z, 1)`
    in the scanner's coordinates (voxel centres).
    """

    hu: NDArray[np.int16] | NDArray[np.float32]
    affine: NDArray[np.float64]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxel centres along `(Z, Y, X)`, mm."""
        z, y, x = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(z), float(y), float(x)


@dataclass(frozen=True, kw_only=True)
class FeatureColumn:
    """One column of the EHR features: a name that a clinician can read, its family, unit and kind."""

    name: str
    family: FeatureFamily
    kind: FeatureKind
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class EhrFeatures:
    """Features of some studies at their index times; `values` is `(N, D)` float32, NaN = missing."""

    study_ids: tuple[str, ...]
    values: FloatArray
    columns: tuple[FeatureColumn, ...]

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]


@dataclass(frozen=True, kw_only=True)
class Fold:
    """Study ids of one split; no patient is in two of its parts. Test studies are the same in every fold."""

    index: int
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


PREDICTION_COLUMNS = (
    "study_id",
    "patient_id",
    "model",
    "seed",
    "fold",
    "split",  # train, validation or test
    "label",  # 0 or 1
    "logit",  # for a clinical score: its points
    "risk",  # probability, higher is worse; for a clinical score: its class's published mortality
)


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """The table between models and evaluation: `table` has the columns of `PREDICTION_COLUMNS`."""

    table: pd.DataFrame = field(repr=False)
