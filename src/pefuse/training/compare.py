"""A whole comparison: every model on the same folds, from a cohort folder to a run folder, bundles included.

The run folder is complete without the cohort: the report is made from it alone.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pefuse.cohort import make_folds
from pefuse.ct import PreparedScans, prepare
from pefuse.ehr import RawRecord, check_useful, clinical_scores, extract, record_summary
from pefuse.errors import IncompleteRunError, RunError, UsageError
from pefuse.machine import allowed_cores, available_memory_bytes
from pefuse.models.zoo import Row, with_needs
from pefuse.storage import atomic_file, write_json, write_text
from pefuse.training.bundles import write_bundles
from pefuse.training.cells import CellKey, CellStore, digest
from pefuse.training.config import RunConfig
from pefuse.training.embeddings import write_embeddings
from pefuse.training.failures import not_trained_error, trained_rows, write_failed
from pefuse.training.grid import run_cells
from pefuse.training.griddata import GridData
from pefuse.training.run_log import log_event
from pefuse.training.summary import counts, flow_step
from pefuse.types import PREDICTION_COLUMNS, Cohort, Fold, Predictions, Progress

__all__ = ["Run", "compare", "fit"]

_PACKAGES = ("pefuse", "torch", "numpy", "pandas", "scikit-learn", "xgboost-cpu", "pydicom", "SimpleITK", "duckdb")


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run folder."""

    folder: Path

    @property
    def predictions(self) -> Predictions:
        """All models' predictions, `PREDICTION_COLUMNS`."""
        table = pd.read_csv(self.folder / "predictions.csv", dtype={"study_id": str})
        return Predictions(table=table)

    def bundle(self, model: str) -> Path:
        """The folder of a trained model's bundle."""
        return self.folder / "bundles" / model


def fit(cohort: Cohort, model: str, *, out: Path, config: RunConfig, progress: Progress | None = None) -> Run:
    """Train one model (and what it starts from) on every fold."""
    return compare(cohort, out=out, config=config.model_copy(update={"models": (model,)}), progress=progress)


def compare(cohort: Cohort, *, out: Path, config: RunConfig, progress: Progress | None = None) -> Run:
    """Train all models of the config on shared folds; resumes where it stopped.

    Raises:
        UsageError: the folder holds a run of other data.
        CohortError: the cohort cannot be split into the wanted folds.
        IncompleteRunError: some models could not be trained; the results of the others are written.
        RunError: no model could be trained.
        StorageError: the disk is full or the folder cannot be written.
    """
    started = time.perf_counter()
    folds = make_folds(cohort, folds=config.folds, seed=config.fold_seed)
    rows = with_needs(config.models)
    scans = _scans(cohort, rows, config, progress)
    record = _record(cohort, rows)
    data = GridData(
        run=out,
        config=config,
        folds=folds,
        labels=cohort.studies["label"],
        record=record,
        scans=scans,
        scores=_scores(cohort, rows, config),
        fingerprint=_fingerprint(cohort, record, scans),
    )
    _claim(out, cohort, config)
    _describe(out, cohort, folds, scans, record)
    log_event(
        out, "run started", preset=config.preset, models=len(rows), folds=len(folds), seeds=len(config.seeds)
    )
    prepared = time.perf_counter()
    keys = [CellKey(model=r.name, seed=s, fold=f.index) for s in config.seeds for f in folds for r in rows]
    failed = run_cells(_scheduled(keys), data, progress=progress)
    trained = trained_rows(rows, failed)
    write_failed(out, rows, failed)
    if not trained:
        raise not_trained_error(RunError, rows, failed)
    keys = [key for key in keys if key.model in {row.name for row in trained}]
    _collect(out, keys, cohort)
    write_embeddings(out, keys)
    run = Run(folder=out)
    write_bundles(data, cohort, trained, run.predictions.table)
    log_event(out, "run finished", seconds=round(time.perf_counter() - started, 1))
    _environment(out, config, {"data": prepared - started, "models": time.perf_counter() - prepared})
    if failed:
        raise not_trained_error(IncompleteRunError, rows, failed)
    return run


def _scheduled(keys: Sequence[CellKey]) -> list[CellKey]:
    """Long cells first, so that no core waits for a late long one."""
    return sorted(keys, key=lambda key: (key.model != "sanet", key))


def _scans(
    cohort: Cohort, rows: Sequence[Row], config: RunConfig, progress: Progress | None
) -> PreparedScans | None:
    if not any(row.scan for row in rows):
        return None
    if not cohort.studies["ct"].ne("").any():
        others = ",".join(row.name for row in rows if not row.scan)
        raise UsageError(f"The cohort has no scans, but a chosen model takes them.{_choose(others)}")
    return prepare(cohort, grid=config.scan.grid, progress=progress)


def _record(cohort: Cohort, rows: Sequence[Row]) -> RawRecord | None:
    if not any(row.record for row in rows):
        return None
    if cohort.events is None and cohort.features is None:
        others = ",".join(row.name for row in rows if not row.record)
        raise UsageError(
            "The cohort has no record (events.parquet, events.csv or features.csv), but a chosen model takes it."
            f"{_choose(others)}"
        )
    record = extract(cohort)
    check_useful(record)
    return record


def _choose(others: str) -> str:
    return f" Without it: `--models {others}`." if others else " Choose others with `--models`."


def _scores(cohort: Cohort, rows: Sequence[Row], config: RunConfig) -> pd.DataFrame:
    if not any(row.kind == "score" for row in rows):
        return pd.DataFrame()
    return clinical_scores(cohort, list(cohort.studies.index), missing=config.score_missing)


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


def _claim(out: Path, cohort: Cohort, config: RunConfig) -> None:
    """A folder belongs to one cohort: a second one would mix their cells."""
    marker = out / "cohort.json"
    if out.exists() and any(out.iterdir()) and not (out / "config.yaml").exists():
        raise UsageError("The output folder holds something else than a run: name a new one.")
    if marker.exists():
        known = json.loads(marker.read_text(encoding="utf-8"))
        if known.get("studies_digest") != _studies_digest(cohort):
            raise UsageError("The output folder holds a run of another cohort: name a new one.")
    out.mkdir(parents=True, exist_ok=True)
    settings, written = config.to_yaml(), out / "config.yaml"
    if written.exists() and written.read_text(encoding="utf-8") != settings:
        # Results of other settings must not stand beside this config, should this run be stopped half-way.
        for name in ("predictions.csv", "results.json", "report.html"):
            (out / name).unlink(missing_ok=True)
    write_text(written, settings)


def _studies_digest(cohort: Cohort) -> str:
    return digest(cohort.name, list(cohort.studies.index))


def _describe(
    out: Path, cohort: Cohort, folds: Sequence[Fold], scans: PreparedScans | None, record: RawRecord | None
) -> None:
    """What the report says of the cohort: counts only, nothing of a single patient but our study ids."""
    members = [
        {"study_id": study_id, "fold": fold.index, "split": split}
        for fold in folds
        for split in ("train", "validation", "test")
        for study_id in getattr(fold, split)
    ]
    _write_table(pd.DataFrame(members), out / "folds.csv")
    quarantine = scans.quarantine if scans is not None else None
    columns = ["study_id", "step", "reason", "remedy"]
    _write_table(quarantine if quarantine is not None else pd.DataFrame(columns=columns), out / "quarantine.csv")
    write_json(out / "cohort.json", _cohort_summary(cohort, folds, scans, record))
    _copy_truth(cohort, out)


def _cohort_summary(
    cohort: Cohort, folds: Sequence[Fold], scans: PreparedScans | None, record: RawRecord | None
) -> dict[str, Any]:
    studies = cohort.studies
    labelled = studies[studies["label"].notna()]
    first = folds[0]
    split_of = {
        "development": labelled.loc[list(first.train + first.validation)],
        "test": labelled.loc[list(first.test)],
    }
    flow = [
        flow_step("studies in the cohort", studies),
        flow_step("outcome known at the horizon", labelled, before=studies),
    ]
    folded = labelled.loc[list(first.train + first.validation + first.test)]
    flow.append(flow_step("in a fold (no patient on both sides)", folded, before=labelled))
    if scans is not None:
        scanned = folded[folded["ct"] != ""]
        flow.append(flow_step("with a scan", scanned, before=folded))
        usable = scanned[scanned.index.isin(scans.available)]
        flow.append(flow_step("with a usable scan", usable, before=scanned))
    return {
        "name": cohort.name,
        "simulated": cohort.simulated,
        "horizon_days": cohort.horizon_days,
        "studies_digest": _studies_digest(cohort),
        "studies": len(studies),
        "labelled": len(labelled),
        "deaths": int(labelled["label"].sum()),
        "by_split": {name: counts(table) for name, table in split_of.items()},
        "by_year": {str(year): counts(table) for year, table in labelled.groupby("year")},
        "folds": len(folds),
        "record": record_summary(record) if record is not None else None,
        "flow": flow,
    }


def _copy_truth(cohort: Cohort, out: Path) -> None:
    """Of a simulated cohort: the ideal risks and AUCs, for the report to compare with."""
    truth = cohort.folder / "truth.csv"
    if not cohort.simulated or not truth.exists():
        return
    table = pd.read_csv(truth, dtype={"study_id": str})
    columns = ["study_id", "ideal_risk_ct", "ideal_risk_ehr", "ideal_risk_both"]
    _write_table(table[columns], out / "ideal.csv")
    write_text(out / "truth.json", (cohort.folder / "truth.json").read_text(encoding="utf-8"))


def _collect(out: Path, keys: Sequence[CellKey], cohort: Cohort) -> None:
    table = CellStore(out).collect(keys)
    table["patient_id"] = table["study_id"].map(cohort.studies["patient_id"])
    table["label"] = table["study_id"].map(cohort.studies["label"]).astype(int)
    _write_table(table[list(PREDICTION_COLUMNS)], out / "predictions.csv")


def _environment(out: Path, config: RunConfig, seconds: dict[str, float]) -> None:
    """Versions, machine and times. A resumed run adds its times to those of before."""
    path = out / "environment.json"
    before = json.loads(path.read_text(encoding="utf-8")).get("seconds", {}) if path.exists() else {}
    write_json(
        path,
        {
            "pefuse": version("pefuse"),
            "python": platform.python_version(),
            "packages": {name: version(name) for name in _PACKAGES},
            "machine": f"{platform.machine()}, {platform.system()}",
            "cores": allowed_cores(),
            "memory_gib": round(available_memory_bytes() / 2**30, 1),
            "seeds": list(config.seeds),
            "preset": config.preset,
            "seconds": {name: round(before.get(name, 0.0) + value, 1) for name, value in seconds.items()},
        },
    )


def _write_table(table: pd.DataFrame, path: Path) -> None:
    with atomic_file(path) as partial:
        table.to_csv(partial, index=False)
