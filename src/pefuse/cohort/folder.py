"""Reading a cohort folder and holding it to its contract (docs/cohort-format.md)."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from pefuse.cohort.studies import checked_studies, name_cases
from pefuse.errors import CohortError
from pefuse.types import DEATH, Cohort
from pefuse.vocabulary import CODE_KINDS, concepts

__all__ = ["check_events", "load_cohort", "read_csv_as_text"]

CODE_COLUMNS = ("code", "concept", "kind", "unit", "description")
ABOUT = (
    "name",
    "horizon_days",
    "simulated",
    "outcome",
    "no_scores",
    "source",
    "units",
    "licence",
)  # others are the user's own
LARGEST = 1e12  # a number beyond this is none
EVENT_COLUMNS = ("subject_id", "time", "code", "numeric_value")  # text_value may be left out, as in MEDS


def load_cohort(folder: Path) -> Cohort:
    """Read `folder` and check it: what comes back can be relied on by every other layer.

    A scan that does not exist is not an error here (`pefuse prepare` quarantines that study).

    Raises:
        CohortError: a file or column is missing, or a row breaks the contract.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CohortError("There is no such cohort folder: check the path, or make one with `pefuse simulate`.")
    about = _about(folder / "cohort.yaml")
    studies = checked_studies(_studies_table(folder), horizon_days=about["horizon_days"])
    events = _events_path(folder)
    features = _features(folder, studies.index)
    if events is not None and features is not None:
        raise CohortError("The cohort has both events and features.csv: keep one of them.")
    return Cohort(
        folder=folder,
        name=about["name"],
        horizon_days=about["horizon_days"],
        simulated=about["simulated"],
        outcome=about["outcome"],
        no_scores=about["no_scores"],
        studies=studies,
        events=events,
        codes=_codes(folder / "codes.csv"),
        features=features,
    )


def _about(path: Path) -> dict[str, Any]:
    """`cohort.yaml`, which may be left out: then it is a real cohort with a horizon of 30 days."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig")) if path.exists() else {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CohortError("cohort.yaml is not readable as YAML in UTF-8: mend it or leave it out.") from error
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise CohortError("cohort.yaml must hold `key: value` lines, such as `horizon_days: 30`.")
    for key in content:
        if key not in ABOUT and (near := get_close_matches(str(key), ABOUT, n=1, cutoff=0.8)):
            raise CohortError(f"cohort.yaml has the key '{key}': if it is meant as '{near[0]}', name it so.")
    horizon = content.get("horizon_days", 30)
    if isinstance(horizon, bool) or not isinstance(horizon, int) or horizon < 1:
        raise CohortError("cohort.yaml: horizon_days must be a whole number of days, 1 or more.")
    simulated = content.get("simulated", False)
    if not isinstance(simulated, bool):
        raise CohortError("cohort.yaml: simulated must be true or false.")
    texts = {"name": "cohort", "outcome": DEATH, "no_scores": ""}
    return {
        **{key: str(content.get(key) or usual) for key, usual in texts.items()},
        "horizon_days": horizon,
        "simulated": simulated,
    }


def _studies_table(folder: Path) -> pd.DataFrame:
    paths = _only_one(folder, "studies.csv", "studies.parquet")
    if paths is None:
        raise CohortError("The cohort folder has no studies.csv (or studies.parquet): it needs one row a CTPA.")
    return read_csv_as_text(paths) if paths.suffix == ".csv" else _read_parquet(paths)


def _only_one(folder: Path, *names: str) -> Path | None:
    found = [folder / name for name in names if (folder / name).exists()]
    if len(found) > 1:
        raise CohortError(f"The cohort folder has {' and '.join(names)}: keep one of them.")
    return found[0] if found else None


def read_csv_as_text(path: Path) -> pd.DataFrame:
    """All cells as text, "" where empty; the byte order mark of Excel is dropped."""
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True)
    except UnicodeDecodeError as error:
        raise CohortError(f"{path.name} is not UTF-8: export it again as 'CSV UTF-8'.") from error
    except pd.errors.EmptyDataError as error:
        raise CohortError(f"{path.name} is empty: it needs a header line and one row a study.") from error
    except pd.errors.ParserError as error:
        raise CohortError(f"{path.name} is not a regular CSV: some row has more cells than the header.") from error
    frame.columns = [str(name).strip() for name in frame.columns]
    if len(frame.columns) == 1 and ";" in frame.columns[0]:
        raise CohortError(f"{path.name} is separated by semicolons: export it again with commas.")
    if len(frame.columns) == 1 and "\t" in frame.columns[0]:
        raise CohortError(f"{path.name} is separated by tabs: export it again with commas.")
    if not isinstance(frame.index, pd.RangeIndex):
        raise CohortError(f"{path.name} is not a regular CSV: its rows have more cells than the header.")
    _check_rows(path)
    stripped: pd.DataFrame = frame.apply(lambda column: column.str.strip())
    return stripped


def _check_rows(path: Path) -> None:
    """pandas renames a doubled column, and fills a row that is too short."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, skipinitialspace=True)
        names = [name.strip() for name in next(rows)]
        short = [place for place, row in enumerate(rows, start=2) if row and len(row) < len(names)]
    if doubled := [name for place, name in enumerate(names) if name in names[:place]]:
        raise CohortError(f"{path.name} has the column '{doubled[0]}' more than once: keep one of them.")
    if short:
        raise CohortError(
            f"{path.name}, row {short[0]}: it has fewer cells than the header. Rows that are so: {len(short)}."
        )


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        frame: pd.DataFrame = pq.read_table(path).to_pandas()
    except (pa.ArrowInvalid, OSError) as error:
        raise CohortError(f"{path.name} cannot be read as parquet: it is damaged or of another format.") from error
    return frame


def _events_path(folder: Path) -> Path | None:
    path = _only_one(folder, "events.parquet", "events.csv")
    if path is not None:
        check_events(path)
    return path


def check_events(path: Path) -> None:
    """Refuse a file of events, by its header alone, that has not the contract's columns.

    Raises:
        CohortError: with what is missing.
    """
    names = _event_columns_parquet(path) if path.suffix == ".parquet" else _event_columns_csv(path)
    missing = [name for name in EVENT_COLUMNS if name not in names]
    if missing:
        raise CohortError(f"{path.name} lacks {_columns(missing)}: it needs {', '.join(EVENT_COLUMNS)}.")


def _event_columns_parquet(path: Path) -> list[str]:
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise CohortError(f"{path.name} cannot be read as parquet: it is damaged or of another format.") from error
    wanted = {
        "subject_id": (pa.types.is_integer, "whole numbers"),
        "time": (lambda kind: pa.types.is_timestamp(kind) and kind.tz is None, "timestamps without a time zone"),
        "code": (_is_text, "text"),
        "numeric_value": (_is_number, "numbers"),
        "text_value": (lambda kind: _is_text(kind) or pa.types.is_null(kind), "text"),
    }
    for name in schema.names:
        if name not in wanted or wanted[name][0](schema.field(name).type):
            continue
        if name != "text_value" or not _is_empty(path, name):
            raise CohortError(f"{path.name}: column {name} must hold {wanted[name][1]}.")
    return list(schema.names)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind))


def _is_empty(path: Path, name: str) -> bool:
    """Whether a column says nothing, whatever its type: pandas writes texts that are all missing as numbers."""
    return bool(pd.isna(pq.read_table(path, columns=[name]).column(0).to_numpy()).all())


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _event_columns_csv(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            names = [name.strip() for name in next(csv.reader(file), [])]
    except UnicodeDecodeError as error:
        raise CohortError(f"{path.name} is not UTF-8: export it again as 'CSV UTF-8'.") from error
    if len(names) == 1 and ";" in names[0]:
        raise CohortError(f"{path.name} is separated by semicolons: export it again with commas.")
    if not names:
        raise CohortError(f"{path.name} is empty: it needs a header line and one row an event.")
    return names


def _codes(path: Path) -> pd.DataFrame:
    """`codes.csv`; only `code` is required, the other columns come back empty where they are not there."""
    if not path.exists():
        return pd.DataFrame(columns=list(CODE_COLUMNS), dtype=str)
    frame = read_csv_as_text(path)
    if "code" not in frame.columns:
        raise CohortError(f"codes.csv lacks the column code: it needs {', '.join(CODE_COLUMNS)}.")
    if frame["code"].duplicated().any():
        doubled = frame.loc[frame["code"].duplicated(), "code"].iloc[0]
        raise CohortError(f"codes.csv has the code '{doubled}' more than once: each code needs one meaning.")
    frame = frame.reindex(columns=list(CODE_COLUMNS), fill_value="")
    unknown = sorted(set(frame["kind"]) - {"", *CODE_KINDS})
    if unknown:
        raise CohortError(f"codes.csv: '{unknown[0]}' is not a kind; it must be one of {', '.join(CODE_KINDS)}.")
    _check_concepts(frame["concept"])
    return frame


def _check_concepts(column: pd.Series) -> None:
    """A name of the user's own groups codes; one that is almost ours is a slip, and would group nothing."""
    for cell in column[column != ""].unique():
        for name in re.split(r"[;| ]+", cell):
            near = get_close_matches(name, concepts(), n=1, cutoff=0.85)
            if near and name not in concepts():
                raise CohortError(
                    f"codes.csv has the concept '{name}': if it is meant as '{near[0]}', name it so; else choose "
                    "a name that is less like it."
                )


def _features(folder: Path, study_ids: pd.Index) -> pd.DataFrame | None:
    """`features.csv`: numbers where the whole column is numbers, text otherwise; indexed by study_id."""
    path = folder / "features.csv"
    if not path.exists():
        return None
    frame = read_csv_as_text(path)
    if "study_id" not in frame.columns:
        raise CohortError("features.csv lacks the column study_id: it needs one row a study.")
    frame = frame.set_index("study_id")
    doubled = frame.index[frame.index.duplicated()]
    if len(doubled):
        raise CohortError(f"features.csv has more than one row for {name_cases(doubled)}: it needs one a study.")
    foreign = frame.index.difference(study_ids)
    if len(foreign):
        raise CohortError(
            f"features.csv has {len(foreign)} rows of studies that studies.csv does not know: "
            "remove them or add the studies."
        )
    table = frame.apply(_number_or_text)
    _check_numbers(table)
    return table


def _check_numbers(table: pd.DataFrame) -> None:
    numbers = table.select_dtypes("number")
    absurd = numbers.abs() > LARGEST
    if absurd.any(axis=None):
        column = absurd.columns[absurd.any()][0]
        raise CohortError(
            f"features.csv: column '{column}' has a number that is infinite or beyond {LARGEST:g} for "
            f"{name_cases(table.index[absurd[column]])}: leave the cell empty where nothing is known."
        )


def _number_or_text(column: pd.Series) -> pd.Series:
    empty = column.str.lower().isin(["", "na", "nan", "null"])
    numbers = pd.to_numeric(column.mask(empty), errors="coerce")
    if bool((numbers.notna() | empty).all()):
        return numbers.astype("float64")
    return column.mask(empty, "")


def _columns(names: Sequence[str]) -> str:
    return f"the column{'s' if len(names) > 1 else ''} {', '.join(names)}"
