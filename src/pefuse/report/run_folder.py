"""A run folder, read back and checked: all that a report may know.

    predictions.csv         needed: `PREDICTION_COLUMNS`, one row a study x model x seed x fold
    cohort.json             name, simulated, horizon_days, studies, labelled, deaths, by_split, by_year, flow,
                            characteristics (name, label, unit, group, kind of each column of characteristics.csv)
    config.yaml             the resolved config
    environment.json        versions, cores, seeds, seconds of each stage
    quarantine.csv          study_id, step, reason, remedy
    failed.csv              model, seed, fold, reason: what could not be trained
    cells/<key>/            manifest.json, history.csv, importance.csv
    studies.csv             study_id, sex, age_years, year, site: what subgroups are made of
    subgroups.csv           the user's own: study_id and one column a grouping, for `pefuse report --subgroup`
    characteristics.csv     study_id, and what was known before the scan that a cohort table tells of
    ideal.csv, truth.json   of a simulated cohort

All but the predictions may be absent: the report then shows the rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import yaml

from pefuse.errors import RunError
from pefuse.types import DEATH, PREDICTION_COLUMNS

__all__ = ["Cell", "RunFolder", "read_predictions", "read_run"]

_Content = TypeVar("_Content")

QUARANTINE_COLUMNS = ("study_id", "step", "reason", "remedy")
IDEAL_COLUMNS = ("study_id", "ideal_risk_ct", "ideal_risk_ehr", "ideal_risk_both")
FAILED_COLUMNS = ("model", "seed", "fold", "reason")
STUDY_COLUMNS = ("study_id", "sex", "age_years", "year", "site")
HISTORY_COLUMNS = ("epoch", "train_loss", "validation_loss", "validation_auc")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One trained model of one fold and seed: how its training went and what it found important."""

    model: str
    seed: int
    fold: int
    status: str
    seconds: float
    best_epoch: int | None
    history: pd.DataFrame | None = field(repr=False)  # HISTORY_COLUMNS
    importance: pd.DataFrame | None = field(repr=False)  # model, feature, importance


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """What a run saved. Tables that were not there are empty, mappings that were not there too."""

    predictions: pd.DataFrame = field(repr=False)
    cohort: dict[str, Any]
    config: dict[str, Any]
    environment: dict[str, Any]
    quarantine: pd.DataFrame = field(repr=False)
    failed: pd.DataFrame = field(repr=False)  # FAILED_COLUMNS
    ideal: pd.DataFrame = field(repr=False)  # indexed by study_id
    studies: pd.DataFrame = field(repr=False)  # STUDY_COLUMNS, indexed by study_id
    truth: dict[str, Any]
    cells: tuple[Cell, ...]
    characteristics: pd.DataFrame = field(repr=False, default_factory=pd.DataFrame)  # indexed by study_id
    subgroups: pd.DataFrame = field(repr=False, default_factory=pd.DataFrame)  # indexed by study_id

    @property
    def simulated(self) -> bool:
        return bool(self.cohort.get("simulated", False))

    @property
    def outcome(self) -> str:
        """What is predicted; anything but death is told, since pages and tables speak of deaths."""
        return str(self.cohort.get("outcome", DEATH))

    @property
    def horizon_days(self) -> int:
        return int(self.cohort.get("horizon_days", 30))

    @property
    def importance(self) -> pd.DataFrame:
        """Mean importance of each feature over folds and seeds: model, feature, importance."""
        parts = [cell.importance for cell in self.cells if cell.importance is not None and len(cell.importance)]
        if not parts:
            return pd.DataFrame(columns=["model", "feature", "importance"])
        table = pd.concat(parts, ignore_index=True)
        # A feature that one fold's fit dropped counts there as 0, so the sum is divided by all folds.
        folds = pd.Series([str(part["model"].iloc[0]) for part in parts]).value_counts()
        total = table.groupby(["model", "feature"], sort=True)["importance"].sum().reset_index()
        total["importance"] /= total["model"].map(folds)
        return total


def read_run(folder: Path) -> RunFolder:
    """Read and check a run folder.

    Raises:
        RunError: no such folder, no predictions in it, or a file in it that is damaged.
    """
    predictions = read_predictions(folder)
    return RunFolder(
        predictions=predictions,
        cohort=_optional(folder / "cohort.json", _json_mapping) or {},
        config=_optional(folder / "config.yaml", _yaml_mapping) or {},
        environment=_optional(folder / "environment.json", _json_mapping) or {},
        quarantine=_or_empty(_optional(folder / "quarantine.csv", _table(QUARANTINE_COLUMNS)), QUARANTINE_COLUMNS),
        failed=_or_empty(_optional(folder / "failed.csv", _table(FAILED_COLUMNS)), FAILED_COLUMNS),
        ideal=_by_study(folder / "ideal.csv", IDEAL_COLUMNS),
        studies=_by_study(folder / "studies.csv", STUDY_COLUMNS),
        characteristics=_by_study(folder / "characteristics.csv", ("study_id",)),
        subgroups=_by_study(folder / "subgroups.csv", ("study_id",)),
        truth=_optional(folder / "truth.json", _json_mapping) or {},
        cells=_cells(folder, predictions),
    )


def _cells(folder: Path, predictions: pd.DataFrame) -> tuple[Cell, ...]:
    """Those that the predictions come from: the folder may also hold some of an earlier run with other models."""
    folders = (path.parent for path in sorted(folder.glob("cells/*/manifest.json")))
    # A nested part serves a late fusion and has no row in any table.
    cells = (_read_cell(one) for one in folders if "-part" not in one.name)
    ours = set(predictions[["model", "seed", "fold"]].itertuples(index=False, name=None))
    return tuple(cell for cell in cells if (cell.model, cell.seed, cell.fold) in ours)


def read_predictions(folder: Path) -> pd.DataFrame:
    """The predictions of a run; rows whose outcome is not known are left out.

    Raises:
        RunError: not there, damaged, or against their contract.
    """
    if not folder.is_dir():
        raise RunError("There is no such run folder. Name the one given to `pefuse compare --out`.")
    table = _optional(folder / "predictions.csv", _table(PREDICTION_COLUMNS))
    if table is None:
        raise RunError(
            "The folder has no predictions.csv: it is not a run, or its training has not finished. "
            "Run `pefuse compare` again; it goes on where it stopped."
        )
    table = _as_numbers(table)
    table = table[table["label"].notna()]
    _check_predictions(table)
    return table


_CUT = (
    "The file seems to be cut or mixed: run `pefuse compare` again, which makes it anew from the run's cells, and "
    "trains again what is damaged of those."
)


def _as_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its measured columns as numbers; text among them is told by its line, not repeated."""
    for column in ("label", "logit", "risk"):
        numbers = pd.to_numeric(table[column], errors="coerce")
        if (text := numbers.isna() & table[column].notna()).any():
            line = int(text.to_numpy().argmax()) + 2  # counted from 1, after the header
            raise RunError(
                f"predictions.csv: line {line} has text in the column {column}, where a number is needed. "
                "Put it right, or run `pefuse compare` again, which makes the file anew."
            )
        table = table.assign(**{column: numbers})
    return table


def _check_predictions(table: pd.DataFrame) -> None:
    if table.empty:
        raise RunError("predictions.csv has no row with a known outcome: there is nothing to report.")
    if not table["label"].isin((0, 1)).all():
        raise RunError("predictions.csv: a label is neither 0 nor 1. Run `pefuse compare` again in a new folder.")
    if strange := sorted(set(table["split"].astype(str)) - {"train", "validation", "test"}):
        raise RunError(f'predictions.csv: the split "{strange[0]}" is none of train, validation, test.')
    if untested := sorted(set(table["model"].astype(str)) - set(table.loc[table["split"] == "test", "model"])):
        raise RunError(f"predictions.csv has no test study of {untested[0]}. {_CUT}")
    known = table["risk"].dropna()
    if not known.between(0, 1).all():
        raise RunError(f"predictions.csv: risks run from {known.min():g} to {known.max():g}, not within [0, 1].")
    keys = ["study_id", "model", "seed", "fold", "split"]
    if (twice := table.duplicated(keys)).any():
        row = table[twice].iloc[0]
        raise RunError(
            f"predictions.csv: study {row['study_id']} stands twice in {row['model']}, fold {row['fold']}."
        )
    straddling = set(table.loc[table["split"] == "test", "study_id"]) & set(
        table.loc[table["split"] != "test", "study_id"]
    )
    if straddling:
        raise RunError(
            f"predictions.csv: study {min(straddling)} is a test study and also trained on or validated with. "
            "Its results would not be honest: check the folds."
        )
    _check_whole(table)


def _check_whole(table: pd.DataFrame) -> None:
    """All models on the same folds and seeds, each with as many studies in all of them: else it was cut."""
    cells = table[["seed", "fold"]].drop_duplicates()
    for model, rows in table.groupby("model", sort=True):
        of_each = rows.assign(test=rows["split"] == "test").groupby(["seed", "fold"])["test"].agg(["size", "sum"])
        if len(of_each) < len(cells) or len(of_each.drop_duplicates()) > 1:
            raise RunError(f"predictions.csv: {model} does not have as many studies in each fold and seed. {_CUT}")


def _read_cell(folder: Path) -> Cell:
    manifest = _optional(folder / "manifest.json", _json_mapping) or {}
    try:
        model, seed, fold = str(manifest["model"]), int(manifest["seed"]), int(manifest["fold"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"The manifest of cell {folder.name} is damaged: remove the cell and run again.") from error
    best = manifest.get("best_epoch")
    importance = _optional(folder / "importance.csv", _table(("feature", "importance")))
    return Cell(
        model=model,
        seed=seed,
        fold=fold,
        status=str(manifest.get("status", "")),
        seconds=float(manifest.get("seconds") or 0.0),
        best_epoch=int(best) if best is not None else None,
        history=_optional(folder / "history.csv", _table(HISTORY_COLUMNS)),
        importance=importance.assign(model=model) if importance is not None else None,
    )


def _optional(path: Path, read: Callable[[Path], _Content]) -> _Content | None:
    """What `read` makes of a file; None where there is none."""
    if not path.is_file():
        return None
    try:
        return read(path)
    except (OSError, ValueError, yaml.YAMLError) as error:
        detail = f": {error}" if isinstance(error, _MissingColumnError) else " cannot be read."
        raise RunError(
            f"{path.name} of the run{detail} The run is damaged: run `pefuse compare` again."
        ) from error


class _MissingColumnError(ValueError):
    """A table lacks a column that its contract promises."""


def _table(columns: tuple[str, ...]) -> Callable[[Path], pd.DataFrame]:
    def read(path: Path) -> pd.DataFrame:
        table = pd.read_csv(
            path, dtype={"study_id": str, "model": str, "feature": str, "site": str}, keep_default_na=True
        )
        for column in columns:
            if column not in table.columns:
                raise _MissingColumnError(f'the column "{column}" is missing.')
        return table

    return read


def _by_study(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """A table of one row a study, indexed by study_id; empty where there is none."""
    table = _or_empty(_optional(path, _table(columns)), columns)
    if (twice := table["study_id"].duplicated()).any():
        study = table.loc[twice, "study_id"].iloc[0]
        raise RunError(f"{path.name} of the run: study {study} stands twice. Leave one row of it.")
    return table.set_index("study_id")


def _or_empty(table: pd.DataFrame | None, columns: tuple[str, ...]) -> pd.DataFrame:
    return table if table is not None else pd.DataFrame(columns=list(columns))


def _json_mapping(path: Path) -> dict[str, Any]:
    return _mapping(json.loads(path.read_text(encoding="utf-8")))


def _yaml_mapping(path: Path) -> dict[str, Any]:
    return _mapping(yaml.safe_load(path.read_text(encoding="utf-8")))


def _mapping(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise ValueError("not a mapping")
    return content
