"""Results of a run: the nouns of every number that the tables and the page show, as written to `results.json`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import Field

from pefuse.report.comparisons import Comparison
from pefuse.report.estimates import Estimate, Frozen, estimate, told
from pefuse.report.evidence import Evidence
from pefuse.report.names import Family, Modality

__all__ = [
    "Calibration",
    "Comparison",
    "Estimate",
    "Judgement",
    "ModelResult",
    "NotTrained",
    "Repeats",
    "Results",
    "Subgroup",
    "SubgroupRow",
    "estimate",
    "inputs_digest",
    "load_results",
    "told",
]

FORMAT = 5  # of results.json: an older one is computed again
RATES = ("accuracy", "specificity", "sensitivity", "ppv", "npv")
INPUTS = (
    "predictions.csv",
    "ideal.csv",
    "cohort.json",
    "config.yaml",
    "quarantine.csv",
    "failed.csv",
    "studies.csv",
    "subgroups.csv",
    "characteristics.csv",
)


class Calibration(Frozen):
    """How well risks match what happened on the test studies; None = cannot be told."""

    brier: float
    expected_error: float
    slope: float | None
    intercept: float | None


class Judgement(Frozen):
    """A model on the test studies; rates at the Youden threshold of its validation studies."""

    auc: Estimate
    average_precision: Estimate
    calibration: Calibration
    threshold: float | None = None
    tp: int | None = None
    fn: int | None = None
    fp: int | None = None
    tn: int | None = None
    rates: dict[str, Estimate] = Field(default_factory=dict)


class ModelResult(Frozen):
    """One row of Table 1, or of Table 3; in neither (`table` 0) an encoder that only a row of Table 3 starts from.

    `drop` is validation AUC minus test AUC; `dropped` says that its interval lies above 0. `regret` is the ideal
    AUC of what the model sees minus its own (simulated cohorts). `problem` says why `test` is None. `studies` and
    `deaths` are those that all models judged; `own_studies` are all that this model did, `own_auc` is its AUC
    there, None where they are the same. `all_equal`: it gives all test studies one risk, or one number of points.
    """

    name: str
    label: str
    table: Literal[0, 1, 3] = 1
    variant: str = ""
    family: Family
    modality: Modality
    studies: int
    deaths: int
    own_studies: int
    own_auc: Estimate | None = None
    problem: str = ""
    test: Judgement | None = None
    all_equal: bool = False
    validation_studies: int
    validation_auc: Estimate | None = None
    fold_auc_mean: float | None = None
    fold_auc_sd: float | None = None
    fold_models: int
    drop: Estimate | None = None
    dropped: bool = False
    regret: float | None = None


class Subgroup(Frozen):
    """A model in one subgroup of the test studies; `auc` None = too few of an outcome to say."""

    group: str
    studies: int
    deaths: int
    auc: Estimate | None


class SubgroupRow(Frozen):
    """A row of Table 2. `chosen_by` says why this model is in it."""

    name: str
    label: str
    chosen_by: str
    full: Estimate
    groups: tuple[Subgroup, ...]


class Repeats(Frozen):
    """A model over all folds and seeds, each judged alone on the test studies; see evaluation/repeats.py."""

    name: str
    label: str
    repeats: int
    mean: float
    sd: float | None
    to_best: Estimate | None
    mean_rank: float


class NotTrained(Frozen):
    """A model that has no row, and why."""

    name: str
    label: str
    reason: str

    @property
    def sentence(self) -> str:
        """`SANet (scan): why it could not be trained`, without a full stop."""
        return f"{self.label}: {self.reason.rstrip('.')}"


class Results(Frozen):
    """All numbers of a run.

    `test_studies` and `test_deaths` are those that Table 1 is about: the ones that all models judged, of
    `all_test_studies`. `quarantined` counts scans that could not be used. `reference` is the model that the others
    are compared with.
    """

    format: int = FORMAT
    inputs: str
    level: float = 0.95
    simulated: bool
    horizon_days: int
    test_studies: int
    test_deaths: int
    all_test_studies: int
    quarantined: int = 0
    not_trained: tuple[NotTrained, ...] = ()
    models: tuple[ModelResult, ...]
    reference: str | None = None
    comparisons: tuple[Comparison, ...] = ()
    subgroups: tuple[SubgroupRow, ...] = ()
    repeats: tuple[Repeats, ...] = ()
    evidence: Evidence = Field(default_factory=Evidence)

    def of_table(self, number: int) -> tuple[ModelResult, ...]:
        """The models of Table 1 or 3."""
        return tuple(model for model in self.models if model.table == number)


def inputs_digest(folder: Path) -> str:
    """A hash of the files that results are computed from."""
    digest = hashlib.sha256()
    for name in INPUTS:
        path = folder / name
        digest.update(name.encode() + b"\0" + (path.read_bytes() if path.is_file() else b"-") + b"\0")
    return digest.hexdigest()


def load_results(folder: Path) -> Results | None:
    """The saved results; None where there are none or they belong to other inputs."""
    path = folder / "results.json"
    if not path.is_file():
        return None
    try:
        results = Results.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # of an older version, or damaged: they are computed again
    return results if (results.format, results.inputs) == (FORMAT, inputs_digest(folder)) else None
