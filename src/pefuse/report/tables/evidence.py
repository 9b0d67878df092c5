"""The numbers behind Table 1 as CSV: operating points, calibration, benefit, fairness, uncertainty, regret."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pefuse.report.evidence import Evidence
from pefuse.storage import atomic_file

__all__ = ["evidence_tables", "write_evidence_tables"]


def evidence_tables(evidence: Evidence) -> dict[str, pd.DataFrame]:
    """Each part as a flat table: an estimate has three columns (value, `_low`, `_high`); NaN = cannot be told."""
    saved = evidence.model_dump(mode="json")
    return {
        "operating-points": _table(_pairs(saved["operating_points"], "points")),
        "calibration": _table(_as_is_and_recalibrated(saved["calibration"])),
        "net-benefit": _table(_pairs(saved["benefit"], "at")),
        "fairness": _table(_pairs(saved["fairness"], "groups")),
        "fairness-gaps": _table(_pairs(saved["fairness"], "gaps")),
        "conformal": _table(saved["conformal"]),
        "ensembles": _table(saved["ensembles"]),
        "training-spread": _table(saved["spreads"]),
        "regret": _table(saved["regrets"]),
    }


def write_evidence_tables(evidence: Evidence, folder: Path) -> None:
    """Write each table as .csv; one without rows is taken away."""
    for name, table in evidence_tables(evidence).items():
        path = folder / f"{name}.csv"
        if table.empty:
            path.unlink(missing_ok=True)
            continue
        with atomic_file(path) as partial:
            table.to_csv(partial, index=False, float_format="%.6g", lineterminator="\n")


def _pairs(rows: Iterable[Mapping[str, Any]], part: str) -> list[dict[str, Any]]:
    """Each of a row's parts with what the row says of all of them."""
    common = [{key: value for key, value in row.items() if not isinstance(value, list)} for row in rows]
    return [of_row | one for of_row, row in zip(common, rows, strict=True) for one in row[part]]


def _as_is_and_recalibrated(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for row in rows:
        about = {key: row[key] for key in ("name", "label", "deaths", "validation_deaths")}
        found.append(about | {"recalibrated": ""} | row["measures"])
        found += [about | {"recalibrated": one["method"]} | one["measures"] for one in row["recalibrated"]]
    return found


def _table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame([dict(_flat("", row)) for row in rows])


def _flat(name: str, value: Any) -> Iterable[tuple[str, Any]]:
    """Nested mappings as one row; an estimate's value bears its own name."""
    if not isinstance(value, Mapping):
        yield name, value
        return
    is_estimate = {"value", "low", "high", "method"} == set(value)
    for key, inner in value.items():
        if is_estimate and key == "method":
            continue
        whole = name if key == "value" or key == "rates" else f"{name}_{key}" if name else str(key)
        yield from _flat(whole, inner)
