"""MEDS: `data/**/*.parquet` with subject_id, time, code, numeric_value; splits and descriptions in `metadata/`.

https://medical-event-data-standard.github.io, versions 0.3 and 0.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pefuse.cohort.importers.events import not_in_the_future
from pefuse.cohort.importers.people import TIME
from pefuse.cohort.importers.record import RecordImport, RecordSource, import_record
from pefuse.database import MEMORY_LIMIT, quoted
from pefuse.errors import RecordError
from pefuse.vocabulary import meaning

__all__ = ["add_meds_events", "import_meds", "meds_codes", "meds_people"]

SPLITS = {"train": "train", "tuning": "validation", "held_out": "test"}
_COLUMNS = ("subject_id", "time", "code", "numeric_value")


def import_meds(
    dataset: Path, out: Path, *, studies: Path, followed_days: int = 0, memory_limit: str = MEMORY_LIMIT
) -> RecordImport:
    """Make a cohort of a MEDS dataset's patients.

    Args:
        dataset: the folder that holds `data` and `metadata`, or one with parquet files alone.
        studies: the table of studies; patient_id is MEDS's subject_id.
        followed_days: for so long after a patient's last event the source would know of a death.

    Raises:
        CohortError, RecordError, StorageError: as `import_record`.
    """
    prepare = partial(_prepare, dataset=dataset, followed_days=followed_days)
    return import_record("meds", dataset, out, studies=studies, prepare=prepare, memory_limit=memory_limit)


def _prepare(database: Any, *, dataset: Path, followed_days: int) -> RecordSource:
    data = dataset / "data" if (dataset / "data").is_dir() else dataset
    shards = sorted(path for path in data.rglob("*.parquet") if not path.name.startswith("."))
    if not shards:
        raise RecordError("The dataset holds no parquet file: MEDS has them in data/.")
    add_meds_events(database, shards)
    people = meds_people(database, followed_days).join(_splits(database, dataset))
    return RecordSource(people=people, codes=meds_codes(database, dataset), notes={"files": len(shards)})


def add_meds_events(database: Any, shards: Sequence[Path]) -> None:
    """The view `imported` of these parquet files.

    Raises:
        RecordError: they lack a column of MEDS.
    """
    for place, shard in enumerate(shards, start=1):
        which = f"File {place} of {len(shards)} of the dataset, in the order of their names,"
        try:
            names = pq.read_schema(shard).names
        except (pa.ArrowInvalid, OSError) as error:
            raise RecordError(
                f"{which} is damaged, or not whole, and no parquet: copy or export it again."
            ) from error
        missing = [name for name in _COLUMNS if name not in names]
        if missing:
            raise RecordError(f"{which} lacks {', '.join(missing)}: MEDS has {', '.join(_COLUMNS)}.")
    source = f"read_parquet([{', '.join(map(quoted, shards))}], union_by_name = true)"
    columns = database.sql(f"SELECT * FROM {source} LIMIT 0").columns
    text = "CAST(text_value AS VARCHAR)" if "text_value" in columns else "NULL"
    # pandas writes a missing text as the word NaN.
    database.sql(f"""
        CREATE VIEW imported AS
        SELECT CAST(subject_id AS BIGINT) AS subject_id, CAST(time AS TIMESTAMP) AS time, code,
               CAST(numeric_value AS DOUBLE) AS numeric_value, nullif({text}, 'NaN') AS text_value
        FROM {source}
    """)


def meds_people(database: Any, followed_days: int) -> pd.DataFrame:
    """Birth, sex, death and end of record of each patient of the view `imported`, as text, "" = not known."""
    frame: pd.DataFrame = database.sql(f"""
        SELECT subject_id AS patient_id,
               strftime(min(time) FILTER (starts_with(code, 'MEDS_BIRTH')), '%Y-%m-%d') AS birth_date,
               strftime(min(time) FILTER (starts_with(code, 'MEDS_DEATH')), '{TIME}') AS death_time,
               strftime(max(time) FILTER (NOT starts_with(code, 'MEDS_') AND {not_in_the_future(database)})
                        + INTERVAL {int(followed_days)} DAY, '{TIME}')
                   AS last_follow_up,
               max(upper(nullif(regexp_extract(code, '^(?:GENDER|SEX)//?(F|M|FEMALE|MALE)$', 1, 'i'), ''))) AS sex
        FROM imported GROUP BY ALL
    """).df()
    return frame.set_index("patient_id").fillna("")


def _splits(database: Any, dataset: Path) -> pd.DataFrame:
    path = dataset / "metadata" / "subject_splits.parquet"
    if not path.is_file():
        return pd.DataFrame({"split": pd.Series(dtype=str)})
    frame: pd.DataFrame = database.sql(f"SELECT subject_id, split FROM read_parquet({quoted(path)})").df()
    return frame.set_index("subject_id").replace({"split": SPLITS})


def meds_codes(database: Any, dataset: Path) -> pd.DataFrame:
    """Descriptions, and for codes that we do not know the concept of a parent code that we do.

    Args:
        dataset: the folder that holds `metadata`; without a codes.parquet there nothing is said of codes.
    """
    path = dataset / "metadata" / "codes.parquet"
    if not path.is_file():
        return pd.DataFrame(columns=["code", "concept", "kind", "unit", "description"], dtype=str)
    columns = database.sql(f"SELECT * FROM read_parquet({quoted(path)}) LIMIT 0").columns
    parents = "parent_codes" if "parent_codes" in columns else "NULL"
    rows = database.sql(f"""
        SELECT code, coalesce(description, ''), {parents}
        FROM read_parquet({quoted(path)}) WHERE trim(coalesce(code, '')) <> ''
    """).fetchall()
    return pd.DataFrame(
        {
            "code": [code for code, _, _ in rows],
            "concept": [_concept(code, parents or []) for code, _, parents in rows],
            "kind": "",
            "unit": "",
            "description": [description for _, description, _ in rows],
        }
    )


def _concept(code: str, parents: Sequence[str]) -> str:
    """Of the first parent code whose concept we know, where we do not know the code's own."""
    if meaning(code, {}).concepts:
        return ""
    known = (meaning(parent, {}) for parent in parents if parent)
    return next((each.concepts[0] for each in known if each.concepts and each.kind in ("vital", "lab")), "")
