"""From a cohort to what the cells of a comparison learn from: folds, scans on the grid, the record, the scores."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pefuse.cohort import make_folds
from pefuse.ct import PreparedScans
from pefuse.ehr import FeatureOptions, RawRecord, ScoreValues, check_useful, extract, read_score_values
from pefuse.errors import UsageError
from pefuse.models.zoo import Row, with_needs
from pefuse.training.cells import digest
from pefuse.training.config import RunConfig
from pefuse.training.griddata import GridData
from pefuse.training.pretrained import with_pretrained
from pefuse.types import Cohort

__all__ = ["gather"]


def gather(
    cohort: Cohort,
    *,
    out: Path,
    config: RunConfig,
    pretrained: Path | None,
    prepared: Callable[[], PreparedScans | None],
) -> GridData:
    """All that the cells of these settings learn from. Nothing is written.

    Args:
        prepared: gives the scans on the config's grid; asked only where a model takes them.

    Raises:
        UsageError: a model cannot run with these settings, or the cohort lacks what a model takes.
        CohortError: the cohort cannot be split into the wanted folds.
    """
    config.check_models()
    config = with_pretrained(config, pretrained)
    folds = make_folds(cohort, folds=config.folds, seed=config.fold_seed)
    rows = with_needs(config.all_models)
    _check_scans(cohort, rows)
    record = _record(cohort, rows, config.features)
    scans = prepared() if any(row.scan for row in rows) else None
    return GridData(
        run=out,
        config=config,
        folds=folds,
        labels=cohort.studies["label"],
        patients=cohort.studies["patient_id"],
        record=record,
        scans=scans,
        scores=_scores(cohort, rows, config),
        fingerprint=_fingerprint(cohort, record, scans),
        pretrained=pretrained,
    )


def _check_scans(cohort: Cohort, rows: Sequence[Row]) -> None:
    if any(row.scan for row in rows) and not cohort.studies["ct"].ne("").any():
        others = ",".join(row.name for row in rows if not row.scan)
        raise UsageError(f"The cohort has no scans, but a chosen model takes them.{_choose(others)}")


def _record(cohort: Cohort, rows: Sequence[Row], options: FeatureOptions) -> RawRecord | None:
    if not any(row.record for row in rows):
        return None
    if cohort.events is None and cohort.features is None:
        others = ",".join(row.name for row in rows if not row.record)
        raise UsageError(
            "The cohort has no record (events.parquet, events.csv or features.csv), but a chosen model takes it."
            f"{_choose(others)}"
        )
    record = extract(cohort, options=options)
    check_useful(record)
    return record


def _choose(others: str) -> str:
    return f" Without it: `--models {others}`." if others else " Choose others with `--models`."


def _scores(cohort: Cohort, rows: Sequence[Row], config: RunConfig) -> ScoreValues | None:
    if not any(row.kind == "score" for row in rows):
        return None
    if cohort.no_scores:
        others = ",".join(row.name for row in rows if row.kind != "score")
        raise UsageError(f"Scores cannot be computed for this cohort: {cohort.no_scores}.{_choose(others)}")
    wanted = [row.name for row in rows if row.kind == "score"]
    return read_score_values(cohort, scores=wanted, lag_hours=config.features.lag_hours)


def _fingerprint(cohort: Cohort, record: RawRecord | None, scans: PreparedScans | None) -> str:
    """Of the data that cells learn from."""
    labels = cohort.studies["label"]
    return digest(
        [list(labels.index), [None if np.isnan(label) else label for label in labels]],
        _record_digest(record) if record is not None else None,
        sorted(scans.table["checksum"].items()) if scans is not None else None,
    )


def _record_digest(record: RawRecord) -> str:
    values = record.values
    parts = (values.data.tobytes(), values.indices.tobytes(), values.indptr.tobytes())
    names = [record.study_ids, [column.key for column in record.columns], record.texts.tolist()]
    return digest(names, *(hashlib.sha256(part).hexdigest() for part in parts))
