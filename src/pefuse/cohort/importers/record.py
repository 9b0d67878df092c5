"""A record import, from a view of events and a table of people to a cohort folder and a report."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import yaml

from pefuse.cohort.importers.dicom import import_source
from pefuse.cohort.importers.events import EventCounts, write_events
from pefuse.cohort.importers.people import completed, read_named_studies
from pefuse.cohort.importers.publishing import REPORT, check_out, published, write_file_lists
from pefuse.cohort.importers.table import HORIZON_DAYS, KEY_COLUMNS, KEYS, SCAN_KEYS
from pefuse.cohort.studies import patient_ids
from pefuse.database import spilling_database
from pefuse.errors import CohortError, RecordError
from pefuse.storage import write_json, write_text

__all__ = ["RecordImport", "RecordSource", "import_record"]


@dataclass(frozen=True, kw_only=True)
class RecordSource:
    """What an importer makes of its source, in the database: the view `imported`, the people, the codes.

    people: indexed by patient_id, text columns of PEOPLE_COLUMNS. codes: code, concept, kind, unit, description
    (text, "" = nothing said) of codes that may occur. notes: what else was found, a count or a word each.
    studies: of a source that has them, columns of a cohort as text; scans: the files of each, by study_id.
    """

    people: pd.DataFrame
    codes: pd.DataFrame
    notes: Mapping[str, int | str]
    studies: pd.DataFrame | None = None
    numbers: Mapping[str, int] | None = None  # of patients whose ids in the table of studies are text
    features: pd.DataFrame | None = None  # a ready table in place of events: study_id and one column a feature
    scans: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    about: Mapping[str, str] = field(default_factory=dict)  # more for cohort.yaml
    rules: Mapping[str, Any] = field(default_factory=dict)  # for scan_rules.yaml


@dataclass(frozen=True, kw_only=True)
class RecordImport:
    """What an import found, in counts; it is also `import_report.json`."""

    importer: str
    source: str  # a hash of where the source lies
    studies: int
    patients: int
    patients_without_events: int
    filled: dict[str, int]  # blanks of the table of studies that the source filled, by column
    events: EventCounts
    notes: dict[str, int | str]


def import_record(
    name: str,
    source: Path,
    out: Path,
    *,
    studies: Path | None,
    prepare: Callable[[Any], RecordSource],
    memory_limit: str,
) -> RecordImport:
    """Write a cohort folder from what `prepare` makes of a source.

    Args:
        name: of the importer.
        source: where it lies.
        studies: the user's table, one row a study: patient_id, index_time, and what else is known; None where the
            source has its own.
        prepare: fills the database that it is given.

    Raises:
        CohortError: `out` holds another cohort, or the table breaks the contract.
        RecordError: the source is not of its form, or damaged.
        StorageError: the disk is full, or `out` cannot be written.
    """
    if not source.exists():
        raise RecordError("There is nothing at the source's path: check it.")
    if out.resolve() == source.resolve() or (source.is_dir() and out.resolve().is_relative_to(source.resolve())):
        raise CohortError("OUT is the source or lies inside it: name a folder elsewhere.")
    listed = None if studies is None else read_named_studies(studies)
    digest = import_source(source)
    check_out(out, digest)
    with spilling_database(memory_limit) as database, published(out) as aside, _told(name, memory_limit):
        made = prepare(database)
        raw = made.studies if listed is None else listed
        assert raw is not None
        if made.numbers is not None:
            raw = _numbered(raw, made.numbers)
        patients = patient_ids(raw)
        named = completed(raw, made.people)
        counts = write_events(database, patients.tolist(), aside / "events.parquet")
        if made.features is not None:
            (aside / "events.parquet").unlink()
            write_text(aside / "features.csv", made.features.to_csv(index=False))
        present = {row[0] for row in database.sql("SELECT DISTINCT subject_id FROM kept").fetchall()}
        if not present and made.features is None and (listed is not None or counts.read):
            raise CohortError(
                "The source has no event of any patient of the table of studies: patient_id must be the source's."
            )
        report = RecordImport(
            importer=name,
            source=digest,
            studies=len(raw),
            patients=patients.nunique(),
            patients_without_events=0 if made.features is not None else len(set(patients) - present),
            filled=named.filled,
            events=counts,
            notes={**made.notes, **named.doubts},
        )
        write_file_lists(made.scans, aside / "scans", final=out / "scans")
        _write_studies(named.rows, aside)
        _write_codes(database, made, aside)
        write_text(aside / "cohort.yaml", _about(name, made.about))
        if made.rules:
            write_text(aside / "scan_rules.yaml", yaml.safe_dump(dict(made.rules), sort_keys=False))
        write_json(aside / REPORT, asdict(report))
    return report


def _numbered(raw: pd.DataFrame, numbers: Mapping[str, int]) -> pd.DataFrame:
    """The table with the numbers of its patients; those whom the source does not have get further ones."""
    unknown = sorted(set(raw["patient_id"]) - set(numbers))
    further = dict(zip(unknown, range(max(numbers.values()) + 1, 2**62), strict=False))
    return raw.assign(patient_id=[str({**numbers, **further}[each]) for each in raw["patient_id"]])


def _write_studies(rows: pd.DataFrame, folder: Path) -> None:
    """The cohort's table; keys to find scans by apart, since they are of the hospital's own numbers."""
    keys = [name for name in KEY_COLUMNS if name in rows]
    write_text(folder / "studies.csv", rows.drop(columns=keys).to_csv(index=False))
    if set(keys) & set(KEYS):
        write_text(folder / SCAN_KEYS, rows[["study_id", *keys]].to_csv(index=False))
        (folder / SCAN_KEYS).chmod(0o600)


def _write_codes(database: Any, made: RecordSource, folder: Path) -> None:
    """Of the codes that occur, those of which the source says something."""
    occur = {row[0] for row in database.sql("SELECT DISTINCT code FROM whole").fetchall()}
    occur |= set(() if made.features is None else made.features.columns)
    told = made.codes[made.codes["code"].isin(occur)].drop_duplicates("code").sort_values("code")
    write_text(folder / "codes.csv", told.to_csv(index=False))


def _about(name: str, more: Mapping[str, str]) -> str:
    about = {"name": f"{name} import", "horizon_days": HORIZON_DAYS, "simulated": False, **more}
    return yaml.safe_dump({**about, "source": f"pefuse import {name}"}, sort_keys=False)


@contextmanager
def _told(name: str, memory_limit: str) -> Iterator[None]:
    """What DuckDB finds wrong with a source's files, without the content that it quotes."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise RecordError(f"The source's events do not fit into {memory_limit}: allow more memory.") from error
    except duckdb.Error as error:
        raise RecordError(
            f"The source is not {name} as it is understood here, or a file of it is damaged{_where(str(error))}: "
            "see docs/records.md."
        ) from error


def _where(text: str) -> str:
    """What of an error of DuckDB may be told: it quotes rows and paths."""
    if "unicode" in text.lower() or "utf-8" in text.lower():
        return " (it is not UTF-8)"
    row = re.search(r"CSV Error on Line: (\d+)", text)
    if row is None:
        return ""
    what = {"Expected Number of Columns": "other cells than the header", "quote": "a quote that does not end"}
    why = next((words for key, words in what.items() if key.lower() in text.lower()), "")
    return f" (row {row[1]}{f': {why}' if why else ''})"
