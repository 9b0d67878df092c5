"""What a comparison writes of itself into its run folder, so that the report needs the run folder alone."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from pefuse.ct import PreparedScans
from pefuse.ehr import Characteristic, RawRecord, characteristics, record_summary
from pefuse.errors import UsageError
from pefuse.machine import allowed_cores, available_memory_bytes
from pefuse.storage import atomic_file, make_folder, write_json, write_text
from pefuse.training.cells import CellKey, CellStore, digest
from pefuse.training.config import RunConfig
from pefuse.training.griddata import GridData
from pefuse.training.summary import counts, flow_step
from pefuse.types import PREDICTION_COLUMNS, Cohort, Fold

__all__ = ["check_folder", "claim_folder", "write_cohort", "write_environment", "write_predictions"]

_PACKAGES = (
    "pefuse",
    "torch",
    "monai",
    "numpy",
    "pandas",
    "scikit-learn",
    "xgboost-cpu",
    "pydicom",
    "SimpleITK",
    "duckdb",
)
_NOT_IN_A_FOLD = "the patient has a later study among the test studies"
SUBGROUP_COLUMNS = ("sex", "age_years", "year", "site")


def check_folder(out: Path, cohort: Cohort) -> None:
    """A folder belongs to one cohort: a second one would mix their cells.

    Raises:
        UsageError: it holds something else.
    """
    marker = out / "cohort.json"
    if out.exists() and any(out.iterdir()) and not (out / "config.yaml").exists():
        raise UsageError("The output folder holds something else than a run: name a new one.")
    if marker.exists():
        known = json.loads(marker.read_text(encoding="utf-8"))
        if known.get("studies_digest") != _studies_digest(cohort):
            raise UsageError("The output folder holds a run of another cohort: name a new one.")


def claim_folder(out: Path, cohort: Cohort, config: RunConfig) -> None:
    """Make the folder this run's, and take away results of other settings."""
    check_folder(out, cohort)
    make_folder(out)
    settings, written = config.to_yaml(), out / "config.yaml"
    if written.exists() and written.read_text(encoding="utf-8") != settings:
        # Results of other settings must not stand beside this config, should this run be stopped half-way.
        for name in ("predictions.csv", "failed.csv", "results.json", "report.html"):
            (out / name).unlink(missing_ok=True)
        for name in (
            "embeddings",
            "tables",
            "figures",
            "explanations",
        ):  # a bundle says itself what it was made from
            shutil.rmtree(out / name, ignore_errors=True)
    write_text(written, settings)


def _studies_digest(cohort: Cohort) -> str:
    return digest(cohort.name, list(cohort.studies.index))


def write_cohort(data: GridData, cohort: Cohort) -> None:
    """What the report says of the cohort: counts, and of each study, by our id, what subgroups are made of."""
    out, folds, scans = data.run, data.folds, data.scans
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
    _write_table(cohort.studies[list(SUBGROUP_COLUMNS)].reset_index(), out / "studies.csv")
    known = characteristics(data.record, data.scores)
    _write_characteristics(known, out / "characteristics.csv")
    write_json(out / "cohort.json", _cohort_summary(cohort, folds, scans, data.record, known))
    _copy_truth(cohort, out)


def _cohort_summary(
    cohort: Cohort,
    folds: Sequence[Fold],
    scans: PreparedScans | None,
    record: RawRecord | None,
    known: Sequence[Characteristic],
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
        flow_step(
            "outcome known at the horizon",
            labelled,
            before=studies,
            reason="neither dead nor followed to the horizon",
        ),
    ]
    folded = labelled.loc[list(first.train + first.validation + first.test)]
    flow.append(flow_step("in a fold (no patient on both sides)", folded, before=labelled, reason=_NOT_IN_A_FOLD))
    if scans is not None:
        scanned = folded[folded["ct"] != ""]
        flow.append(flow_step("with a scan", scanned, before=folded, reason="no scan is named"))
        usable = scanned[scanned.index.isin(scans.available)]
        flow.append(flow_step("with a usable scan", usable, before=scanned, reason="the scan is in quarantine"))
    return {
        "name": cohort.name,
        "simulated": cohort.simulated,
        "horizon_days": cohort.horizon_days,
        "outcome": cohort.outcome,
        "studies_digest": _studies_digest(cohort),
        "studies": len(studies),
        "labelled": len(labelled),
        "deaths": int(labelled["label"].sum()),
        "by_split": {name: counts(table) for name, table in split_of.items()},
        "by_year": {str(year): counts(table) for year, table in labelled.groupby("year")},
        "folds": len(folds),
        "record": record_summary(record) if record is not None else None,
        "characteristics": [
            {"name": one.name, "label": one.label, "unit": one.unit, "group": one.group, "kind": one.kind}
            for one in known
        ],
        "flow": flow,
    }


def _write_characteristics(known: Sequence[Characteristic], path: Path) -> None:
    """A row a study, a column a characteristic; what they are stands in cohort.json."""
    if not known:
        path.unlink(missing_ok=True)
        return
    table = pd.concat({one.name: one.values for one in known}, axis=1)
    with atomic_file(path) as partial:
        table.rename_axis(index="study_id").to_csv(partial, float_format="%.6g")  # the record is of float32


def _copy_truth(cohort: Cohort, out: Path) -> None:
    """Of a simulated cohort: the ideal risks and AUCs, for the report to compare with."""
    truth = cohort.folder / "truth.csv"
    if not cohort.simulated or not truth.exists():
        return
    table = pd.read_csv(truth, dtype={"study_id": str})
    columns = ["study_id", "ideal_risk_ct", "ideal_risk_ehr", "ideal_risk_both"]
    _write_table(table[columns], out / "ideal.csv")
    write_text(out / "truth.json", (cohort.folder / "truth.json").read_text(encoding="utf-8"))


def write_predictions(out: Path, keys: Sequence[CellKey], cohort: Cohort) -> None:
    """`predictions.csv` of these cells."""
    table = CellStore(out).collect(keys)
    table["patient_id"] = table["study_id"].map(cohort.studies["patient_id"])
    table["label"] = table["study_id"].map(cohort.studies["label"]).astype(int)
    _write_table(table[list(PREDICTION_COLUMNS)], out / "predictions.csv")


def write_environment(out: Path, config: RunConfig, seconds: dict[str, float]) -> None:
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
