"""RadFusion (Stanford): embolism found on the CT or not, tables keyed by `idx`, scans as bare arrays.

There is no mortality in it, so the label is its own. Its vital signs look like changes rather than values, and no
score can be computed. It has no times either: all studies stand at one moment, and the tables' features are taken
as they are. Which studies are of one patient is not told; each counts as a patient.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pefuse.cohort.importers.csv_cells import numbers_or_words
from pefuse.cohort.importers.record import RecordImport, RecordSource, import_record
from pefuse.database import MEMORY_LIMIT
from pefuse.errors import RecordError

__all__ = ["import_radfusion"]

OUTCOME = "pulmonary embolism on the CT (RadFusion's label)"
NO_SCORES = "RadFusion's vital signs look like changes, not values"
NO_TIME = "2000-01-01T00:00"  # of every study: only a split by year would read it, and RadFusion has its own
# Names of ICD columns that hold the codes of embolism and of thrombosis: by words, by codes, by chapters' ranges.
TELLS_THE_LABEL = re.compile(
    r"embol|thromb|pulmonary circulation|pulmonary heart|of veins|\b(?:pe|dvt|vte)\b"
    r"|\b(?:415|45[1-3]|i26|i80|i82)\b|\b(?:415|416|i26|i27)\s*-|\b(?:45[1-9]|i8\d)\s*-|-\s*(?:417|45[1-9]|i28|i8\d)\b",
    re.IGNORECASE,
)
SPLITS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
# PENet, whose studies these are, took slices of 1.25 mm; the size of a pixel is not published: 360 mm over 512.
ARRAYS = {"spacing_mm": [1.25, 0.7, 0.7], "first_slice": "head"}
STORED_INTERCEPT = -1024  # of arrays that hold what the scanner stored, which is never below 0

_SEXES = {"m": "M", "male": "M", "f": "F", "female": "F"}
_LABELS = ("labels", "vision")
_TABLES = ("demographics", "icd", "inp_med", "out_med", "labs", "vitals")
_NUMBERS = ("icd", "inp_med", "out_med", "labs", "vitals")
_NEVER = ("idx", "split", "label", "pred", "pe_type")


def import_radfusion(
    folder: Path, out: Path, *, keep_embolism_codes: bool = False, memory_limit: str = MEMORY_LIMIT
) -> RecordImport:
    """Make a cohort of RadFusion: one study an `idx`, with a ready table of features and its array if there.

    Args:
        folder: with `Labels.csv` (or `Vision.csv`), any of `Demographics.csv`, `ICD.csv`, `INP_MED.csv`,
            `OUT_MED.csv`, `LABS.csv`, `Vitals.csv`, and `<idx>.npy` anywhere below.
        keep_embolism_codes: the groups of ICD codes that hold the label's own, as in published baselines.

    Raises:
        CohortError, RecordError, StorageError: as `import_record`.
    """
    prepare = partial(_prepare, folder=folder, keep_embolism_codes=keep_embolism_codes)
    return import_record("radfusion", folder, out, studies=None, prepare=prepare, memory_limit=memory_limit)


def _prepare(database: Any, *, folder: Path, keep_embolism_codes: bool) -> RecordSource:
    notes: Counter[str] = Counter()
    paths = {path.stem.lower(): path for path in sorted(folder.rglob("*.csv"), reverse=True)}
    labels = _labels(paths, notes)
    tables = {name: _table(paths[name], notes, labels.index) for name in _TABLES if name in paths}
    for name in _TABLES:
        notes[f"no table {name}"] = int(name not in tables)
    if not tables:
        raise RecordError("RadFusion's tables are not there: name the folder with Demographics.csv, ICD.csv …")
    scans = _scans(folder, labels.index, notes)
    features, codes = _features(tables, labels.index, notes, keep_embolism_codes=keep_embolism_codes)
    database.sql("""
        CREATE VIEW imported AS SELECT 0::BIGINT AS subject_id, NULL::TIMESTAMP AS time, NULL::VARCHAR AS code,
            NULL::DOUBLE AS numeric_value, NULL::VARCHAR AS text_value WHERE false
    """)
    return RecordSource(
        people=pd.DataFrame(index=pd.Index([], dtype="int64", name="patient_id")),
        codes=codes,
        notes={name: count for name, count in notes.items() if count},
        studies=_studies(labels, tables.get("demographics"), scans),
        features=features,
        scans=scans,
        about={"outcome": OUTCOME, "no_scores": NO_SCORES},
        rules={"arrays": {**ARRAYS, "intercept": _intercept(scans)}} if scans else {},
    )


def _labels(paths: dict[str, Path], notes: Counter[str]) -> pd.DataFrame:
    """`label` and `split`, indexed by idx; of an idx told twice, one row where they agree and none else."""
    name = next((name for name in _LABELS if name in paths), None)
    if name is None:
        raise RecordError("RadFusion's labels are not there: it needs Labels.csv (or Vision.csv).")
    table = _read(paths[name])
    missing = [column for column in ("label", "split") if column not in table]
    if missing:
        raise RecordError(f"RadFusion's {paths[name].name} lacks {' and '.join(missing)}: is it the release's?")
    rows = table[["idx", "label", "split"]].drop_duplicates()
    doubled = rows["idx"].duplicated(keep=False)
    notes["left out: rows of one idx contradict each other"] = rows[doubled]["idx"].nunique()
    rows = rows[~doubled].set_index("idx")
    split = rows["split"].str.lower().map(SPLITS)
    notes["left out: no split"] = int(split.isna().sum())
    label = rows["label"].str.replace(r"\.0+$", "", regex=True)
    known = label.isin(["0", "1"])
    notes["without a label"] = int((~known).sum())
    labels = pd.DataFrame({"label": label.where(known, ""), "split": split})[split.notna()]
    if labels.empty:
        raise RecordError("RadFusion's labels have no study with a split of train, val or test.")
    return labels


def _table(path: Path, notes: Counter[str], idx: pd.Index) -> pd.DataFrame:
    """One row an idx; rows told twice that do not agree are left out, and of unknown idx too."""
    rows = _read(path).drop(columns=["split"], errors="ignore").drop_duplicates()
    doubled = rows["idx"].duplicated(keep=False)
    notes[f"{path.name}: contradicting rows of one idx left out"] = rows[doubled]["idx"].nunique()
    rows = rows[~doubled].set_index("idx")
    notes[f"{path.name}: studies without a row"] = len(idx.difference(rows.index))
    return rows.reindex(idx)


def _read(path: Path) -> pd.DataFrame:
    """Cells as text; pandas' own unnamed columns of row numbers dropped."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise RecordError(f"RadFusion's {path.name} cannot be read as CSV: download it again.") from error
    table.columns = pd.Index([str(column).strip() for column in table.columns])
    table = table[[column for column in table if column and not str(column).startswith("Unnamed")]]
    if "idx" not in table:
        raise RecordError(f"RadFusion's {path.name} has no column idx: is it the release's?")
    table = table.apply(lambda column: column.str.strip()).astype(object)
    table["idx"] = table["idx"].str.replace(r"\.0+$", "", regex=True)
    wrong = ~table["idx"].str.fullmatch(r"\d{1,12}")
    if wrong.any():
        raise RecordError(f"RadFusion's {path.name}, row {int(wrong.argmax()) + 2}: idx is no number.")
    checked: pd.DataFrame = table
    return checked


def _studies(labels: pd.DataFrame, people: pd.DataFrame | None, scans: dict[str, list[Path]]) -> pd.DataFrame:
    study_ids = ["R" + idx for idx in labels.index]
    return pd.DataFrame(
        {
            "study_id": study_ids,
            "patient_id": labels.index.to_numpy(),
            "index_time": NO_TIME,
            "ct": [f"scans/{study_id}.files" if study_id in scans else "" for study_id in study_ids],
            "age_years": _ages(people, len(labels)),
            "sex": _sexes(people, len(labels)),
            "died": labels["label"].to_numpy(),
            "split": labels["split"].to_numpy(),
        }
    )


def _column(people: pd.DataFrame | None, *names: str) -> pd.Series | None:
    """A column of the demographics by its name in any case, as numbers."""
    if people is None:
        return None
    by_name = {str(column).lower(): column for column in people}
    found = next((by_name[name] for name in names if name in by_name), None)
    return None if found is None else pd.to_numeric(people[found], errors="coerce")


def _ages(people: pd.DataFrame | None, count: int) -> list[str]:
    age = _column(people, "current_age_yrs", "age")
    return [""] * count if age is None else ["" if np.isnan(years) else f"{years:g}" for years in age]


def _sexes(people: pd.DataFrame | None, count: int) -> list[str]:
    male = _column(people, "male")
    words = (
        None if people is None else next((people[c] for c in people if str(c).lower() in ("sex", "gender")), None)
    )
    if male is None and words is not None:
        return [_SEXES.get(str(word).strip().lower(), "") for word in words.fillna("")]
    return [""] * count if male is None else [{1.0: "M", 0.0: "F"}.get(value, "") for value in male]


def _features(
    tables: dict[str, pd.DataFrame], idx: pd.Index, notes: Counter[str], *, keep_embolism_codes: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table of features, and what its columns are."""
    columns: dict[str, pd.Series] = {}
    for name, table in tables.items():
        for column in table:
            if str(column).lower() in _NEVER:
                continue
            told = re.sub(r"[_/]", " ", str(column))
            if name == "icd" and not keep_embolism_codes and TELLS_THE_LABEL.search(told):
                notes["columns left out: they hold the codes of embolism and thrombosis"] += 1
                continue
            cells = table[column]
            if name == "labs":
                if str(column).endswith(":Binary"):
                    continue
                cells = _present(cells, table.get(str(column).removesuffix(":Value") + ":Binary"))
            shown = _shown(name, str(column))
            columns[shown] = numbers_or_words(shown, cells.fillna(""), notes, measured=name in _NUMBERS)
    features = pd.DataFrame(columns)
    features.insert(0, "study_id", ["R" + each for each in idx])
    codes = pd.DataFrame({"code": list(columns), "concept": "", "kind": "", "unit": "", "description": ""})
    return features.reset_index(drop=True), codes


def _present(values: pd.Series, measured: pd.Series | None) -> pd.Series:
    """Blank where it was not measured: the release writes 0 there."""
    told = pd.to_numeric(values if measured is None else measured, errors="coerce").fillna(0)
    return values.where(told != 0, "")


def _shown(table: str, column: str) -> str:
    """A name that says of which table a column is, and is no concept's: units are not told."""
    what = column.removesuffix(":presence").removesuffix(":Value").removesuffix(":frequency")
    tail = " (frequency)" if column.endswith(":frequency") else ""
    return f"{_BEGINNINGS[table]}: {what}{tail}"


_BEGINNINGS = {
    "demographics": "demographic",
    "icd": "diagnosis",
    "inp_med": "inpatient drug",
    "out_med": "outpatient drug",
    "labs": "lab",
    "vitals": "vital sign, change",
}


def _scans(folder: Path, idx: pd.Index, notes: Counter[str]) -> dict[str, list[Path]]:
    known = set(idx)
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*.npy")):
        number = re.sub(r"^0+(?=\d)", "", path.stem)
        if number in known:
            found.setdefault(f"R{number}", []).append(path)
        else:
            notes["arrays of no study"] += 1
    doubled = [study_id for study_id, paths in found.items() if len(paths) > 1]
    notes["studies without a scan: several arrays of one idx"] = len(doubled)
    scans = {study_id: paths for study_id, paths in found.items() if len(paths) == 1}
    notes["studies without a scan"] = len(known) - len(scans)
    return scans


def _intercept(scans: dict[str, list[Path]]) -> int:
    """What makes HU of the arrays: 0 where the first that can be read has values below 0."""
    for (path,) in scans.values():
        try:
            return 0 if np.load(path, mmap_mode="r", allow_pickle=False).min() < 0 else STORED_INTERCEPT
        except (OSError, ValueError, EOFError, TypeError):
            continue  # `pefuse prepare` will say so of the study
    return 0
