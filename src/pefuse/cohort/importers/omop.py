"""OMOP CDM 5.3 and 5.4: a table is a CSV or parquet file, or a folder of them; `omop.sql` makes events of it."""

from __future__ import annotations

import re
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd

from pefuse.cohort.importers.events import not_in_the_future
from pefuse.cohort.importers.people import TIME
from pefuse.cohort.importers.record import RecordImport, RecordSource, import_record
from pefuse.database import MEMORY_LIMIT, quoted
from pefuse.errors import RecordError
from pefuse.vocabulary import read_table

__all__ = ["import_omop"]

TABLES = {  # and the columns that are read of each; one that is not there is empty
    "person": """
        person_id gender_concept_id year_of_birth month_of_birth day_of_birth birth_datetime race_concept_id
        ethnicity_concept_id gender_source_value race_source_value ethnicity_source_value
    """,
    "visit_occurrence": """
        visit_occurrence_id person_id visit_concept_id visit_start_date visit_start_datetime visit_end_date
        visit_end_datetime
    """,
    "visit_detail": """
        person_id visit_detail_concept_id visit_detail_start_date visit_detail_start_datetime
        visit_detail_end_date visit_detail_end_datetime
    """,
    "condition_occurrence": """
        person_id condition_concept_id condition_start_date condition_start_datetime visit_occurrence_id
        condition_source_value condition_source_concept_id
    """,
    "drug_exposure": """
        person_id drug_concept_id drug_exposure_start_date drug_exposure_start_datetime drug_type_concept_id
        visit_occurrence_id drug_source_value drug_source_concept_id
    """,
    "measurement": """
        person_id measurement_concept_id measurement_date measurement_datetime value_as_number
        value_as_concept_id unit_concept_id measurement_source_value measurement_source_concept_id
        unit_source_value value_source_value
    """,
    "observation": """
        person_id observation_concept_id observation_date observation_datetime value_as_number
        value_as_string value_as_concept_id observation_source_value observation_source_concept_id
    """,
    "procedure_occurrence": """
        person_id procedure_concept_id procedure_date procedure_datetime procedure_source_value
        procedure_source_concept_id
    """,
    "death": """
        person_id death_date death_datetime
    """,
    "observation_period": """
        person_id observation_period_end_date
    """,
    "concept": """
        concept_id concept_name vocabulary_id concept_code
    """,
}
_VIEWS = {
    "conditions": "condition_occurrence",
    "drugs": "drug_exposure",
    "measured": "measurement",
    "observed": "observation",
    "procedures": "procedure_occurrence",
}
_KEYS = {name: columns.split()[0] for name, columns in TABLES.items()}
_SUFFIX = re.compile(r"\.(csv|csv\.gz|tsv|parquet)$", re.IGNORECASE)


def import_omop(
    folder: Path, out: Path, *, studies: Path, followed_days: int = 0, memory_limit: str = MEMORY_LIMIT
) -> RecordImport:
    """Make a cohort of an OMOP export's patients.

    Args:
        folder: with `person`, `visit_occurrence` and so on as .csv, .csv.gz or .parquet, in any case.
        studies: the table of studies; patient_id is OMOP's person_id.
        followed_days: for so long after the observation period (else the last event) a death would be known.

    Raises:
        CohortError, RecordError, StorageError: as `import_record`.
    """
    prepare = partial(_prepare, folder=folder, followed_days=followed_days)
    return import_record("omop", folder, out, studies=studies, prepare=prepare, memory_limit=memory_limit)


def _prepare(database: Any, *, folder: Path, followed_days: int) -> RecordSource:
    found = _files(folder)
    if "person" not in found:
        raise RecordError("The export has no table person (person.csv or person.parquet): it cannot do without.")
    for name, columns in TABLES.items():
        _add_table(database, name, columns.split(), found.get(name, []))
    settings = pd.DataFrame(read_table("omop_visits.csv", package="pefuse.cohort.importers"))
    database.register("settings_frame", settings.astype({"concept_id": "int64"}))
    database.sql("CREATE TABLE settings AS SELECT concept_id, setting FROM settings_frame")
    database.execute(resources.files("pefuse.cohort.importers").joinpath("omop.sql").read_text(encoding="utf-8"))
    absent = [name for name in TABLES if name not in found and name != "visit_detail"]
    notes = {f"no table {name}": 1 for name in absent} | _unusable(database, found)
    notes |= _undated(database)
    return RecordSource(people=_people(database, followed_days), codes=_codes(database), notes=notes)


def _files(folder: Path) -> dict[str, list[Path]]:
    """The files of each table: person.csv, PERSON.parquet, 2b_concept.csv, person/part-0.parquet."""
    found: dict[str, list[Path]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and _SUFFIX.search(path.name)):
        own = _SUFFIX.sub("", path.name).lower()
        for name in (own, re.sub(r"^\d+[a-z]?_", "", own), path.parent.name.lower()):
            if name in TABLES:
                found.setdefault(name, []).append(path)
                break
    for name, paths in found.items():
        if len({"".join(path.suffixes[-2:]).lower() for path in paths}) > 1:
            raise RecordError(f"The export has the table {name} in several formats: keep one of them.")
    return found


def _add_table(database: Any, name: str, columns: list[str], paths: list[Path]) -> None:
    """A view of the table with exactly these columns, all as text."""
    if not paths:
        empty = ", ".join(f"NULL::VARCHAR AS {column}" for column in columns)
        database.sql(f"CREATE VIEW {name} AS SELECT {empty} WHERE false")
        return
    files = "[" + ", ".join(map(quoted, paths)) + "]"
    if paths[0].suffix.lower() == ".parquet":
        source = f"read_parquet({files}, union_by_name = true)"
    else:
        source = f"read_csv({files}, header = true, all_varchar = true, union_by_name = true)"
    there = {column.lower(): column for column in database.sql(f"SELECT * FROM {source} LIMIT 0").columns}
    if _KEYS[name] not in there:
        raise RecordError(
            f"The export's table {name} has no column {_KEYS[name]}: it is not OMOP's, or has no header."
        )
    chosen = ", ".join(
        f'CAST("{there[column]}" AS VARCHAR) AS {column}' if column in there else f"NULL::VARCHAR AS {column}"
        for column in columns
    )
    database.sql(f"CREATE VIEW {name} AS SELECT {chosen} FROM {source}")


def _people(database: Any, followed_days: int) -> pd.DataFrame:
    frame: pd.DataFrame = database.sql(f"""
        WITH died AS (
            SELECT id(person_id) AS subject_id, min(coalesce(moment(death_datetime), moment(death_date))) AS at
            FROM death GROUP BY ALL
        ), seen AS (
            SELECT id(person_id) AS subject_id, max(moment(observation_period_end_date)) AS until
            FROM observation_period GROUP BY ALL
        ), last AS (
            SELECT subject_id, max(time) FILTER ({not_in_the_future(database)}) AS until FROM imported GROUP BY ALL
        )
        SELECT subject_id AS patient_id, birth_date, sex, strftime(died.at, '{TIME}') AS death_time,
               strftime(coalesce(seen.until, last.until) + INTERVAL {int(followed_days)} DAY, '{TIME}')
                   AS last_follow_up
        FROM facts LEFT JOIN died USING (subject_id) LEFT JOIN seen USING (subject_id)
                   LEFT JOIN last USING (subject_id)
    """).df()
    return frame.drop_duplicates("patient_id").set_index("patient_id").fillna("")


def _codes(database: Any) -> pd.DataFrame:
    """A description and kind for each code; of a measured one the unit stands in the code."""
    frame: pd.DataFrame = database.sql("""
        SELECT code, coalesce(max(name), '') AS description, max(kind) AS kind FROM coded
        WHERE code IS NOT NULL GROUP BY code
    """).df()
    return frame.assign(concept="", unit="")


def _undated(database: Any) -> dict[str, int]:
    """Rows without a date that is one, by table: nothing without a time may count.

    Raises:
        RecordError: most rows of a table are so.
    """
    counts = {}
    for view, name in _VIEWS.items():
        counted = database.sql(f"SELECT count(*), count(*) FILTER (time IS NULL) FROM {view}")
        rows, undated = counted.fetchall()[0]
        if undated > rows / 2:
            raise RecordError(
                f"The export's table {name}: {undated} of {rows} rows have no date that is one (ISO 8601 is "
                "needed)."
            )
        if undated:
            counts[f"left out: {name}, rows without a date"] = undated
    return counts


def _unusable(database: Any, found: dict[str, list[Path]]) -> dict[str, int]:
    """Rows whose person is no number, by table: they can be of nobody."""
    counts = {}
    for name in found:
        if name not in ("concept",):
            count = database.sql(f"SELECT count(*) FROM {name} WHERE id(person_id) IS NULL").fetchall()[0][0]
            if count:
                counts[f"{name}: rows without a person_id"] = count
    return counts
