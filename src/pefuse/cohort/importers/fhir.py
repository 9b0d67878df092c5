"""FHIR, R4 and R5: Bundles (.json) and bulk exports (.ndjson), a folder of either."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd

from pefuse.cohort.importers.events import not_in_the_future
from pefuse.cohort.importers.fhir_imaging import ImagingStudy, imaging_study, studies_table
from pefuse.cohort.importers.fhir_resources import Context, FhirEvent, Resource, events_of, known_time
from pefuse.cohort.importers.people import TIME
from pefuse.cohort.importers.record import RecordImport, RecordSource, import_record
from pefuse.database import MEMORY_LIMIT
from pefuse.errors import RecordError, UsageError

__all__ = ["import_fhir"]

CHUNK_EVENTS = 100_000
_SUFFIXES = (".json", ".ndjson", ".jsonl", ".ndjson.gz", ".json.gz")
_OF_PATIENT = ("gender", "birthDate", "deceasedDateTime", "deceasedBoolean")
_SEXES = {"female": "F", "male": "M"}


def import_fhir(
    source: Path,
    out: Path,
    *,
    studies: Path | None = None,
    described: str = "",
    time_zone: str = "",
    followed_days: int = 0,
    memory_limit: str = MEMORY_LIMIT,
) -> RecordImport:
    """Make a cohort of FHIR resources: Patient, Encounter, Observation, Condition, Procedure and medications.

    Args:
        source: a Bundle, a file of NDJSON, or a folder of them.
        studies: the table of studies; patient_id is the id of the Patient resource. None = the CT studies that
            the source's ImagingStudy resources tell of.
        described: a regular expression that their description, procedure or reason must match.
        time_zone: such as Europe/Berlin: times with an offset become its local times; by default they keep the
            hour that they state.
        followed_days: for so long after a patient's last event a death would be known.

    Raises:
        UsageError: there is no such time zone, or `described` is no regular expression or has no use.
        CohortError, RecordError, StorageError: as `import_record`.
    """
    try:
        zone = ZoneInfo(time_zone) if time_zone else None
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(f"There is no time zone '{time_zone}': name one such as Europe/Berlin.") from error
    if described and studies is not None:
        raise UsageError("--described chooses among ImagingStudy resources: leave it out, or leave out --studies.")
    try:
        re.compile(described)
    except re.error as error:
        raise UsageError("--described is no regular expression: write such as 'pulm|CTPA'.") from error
    chosen = described if studies is None else None
    prepare = partial(_prepare, source=source, zone=zone, followed_days=followed_days, described=chosen)
    return import_record("fhir", source, out, studies=studies, prepare=prepare, memory_limit=memory_limit)


def _prepare(
    database: Any, *, source: Path, zone: ZoneInfo | None, followed_days: int, described: str | None
) -> RecordSource:
    files = _files(source)
    if not files:
        raise RecordError("There is no FHIR here: it comes as .json (a Bundle) or .ndjson.")
    notes: Counter[str] = Counter()
    patients, imaging, context = _first_pass(files, zone, notes)
    if not patients:
        raise RecordError("The source holds no Patient resource: export it too, it tells birth and sex.")
    studies = None
    if described is not None:
        known = [study for study in imaging if study.patient in patients]
        notes["left out: CT studies of a patient without a Patient resource"] = len(imaging) - len(known)
        studies = studies_table(known, described, zone, notes)
    numbers = _numbers(patients)
    names: dict[str, tuple[str, str]] = {}
    database.sql(
        "CREATE TABLE fhir_events (subject_id BIGINT, time TIMESTAMP, code VARCHAR, numeric_value DOUBLE, "
        "text_value VARCHAR)"
    )
    for chunk in _chunks(files, context, numbers, names, notes):
        database.register("chunk_frame", chunk)
        database.sql("INSERT INTO fhir_events SELECT * FROM chunk_frame")
        database.unregister("chunk_frame")
    database.sql("CREATE VIEW imported AS SELECT * FROM fhir_events")
    people = _people(database, patients, numbers, zone, followed_days)
    notes["patients who died at a time that is not told: no outcome"] = sum(map(_undated, patients.values()))
    notes["codes of systems that are not known"] = sum(code.startswith("FHIR//") for code in names)
    codes = pd.DataFrame(
        [
            {"code": code, "concept": "", "kind": kind, "unit": "", "description": name}
            for code, (name, kind) in names.items()
        ],
        columns=["code", "concept", "kind", "unit", "description"],
    )
    return RecordSource(
        people=people,
        codes=codes,
        notes={name: count for name, count in notes.items() if count},
        studies=studies,
        numbers=numbers,
    )


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    return sorted(path for path in source.rglob("*") if path.is_file() and path.name.lower().endswith(_SUFFIXES))


def _resources(files: Sequence[Path], notes: Counter[str]) -> Iterator[Resource]:
    """Every resource; a line that is no JSON is counted, a file that is none refuses the import.

    A file's name may be that of a patient: it is told by its place among the names.
    """
    for place, path in enumerate(files, start=1):
        try:
            yield from _of_file(path, notes)
        except (OSError, EOFError, UnicodeDecodeError, ValueError, RecursionError) as error:
            raise RecordError(
                f"File {place} of {len(files)} of the source, in the order of their names, cannot be read as JSON "
                f"({type(error).__name__}): export it again."
            ) from error


def _of_file(path: Path, notes: Counter[str]) -> Iterator[Resource]:
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    with opened(path, "rt", encoding="utf-8-sig") as file:
        if ".ndjson" in path.name.lower() or ".jsonl" in path.name.lower():
            for line in file:
                if line.strip():
                    yield from _parsed(line, notes)
            return
        content = json.load(file)
    yield from _unbundled(content)


def _parsed(line: str, notes: Counter[str]) -> Iterator[Resource]:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        notes["left out: lines that are no JSON"] += 1
        return
    if not isinstance(content, dict):
        notes["left out: lines that are no resource"] += 1
    yield from _unbundled(content)


def _unbundled(content: Any) -> Iterator[Resource]:
    for each in content if isinstance(content, list) else [content]:
        if not isinstance(each, dict):
            continue
        if each.get("resourceType") == "Bundle":
            for entry in each.get("entry", []):
                yield from _unbundled(entry.get("resource") if isinstance(entry, dict) else None)
        else:
            yield each


def _first_pass(
    files: list[Path], zone: ZoneInfo | None, notes: Counter[str]
) -> tuple[dict[str, Resource], list[ImagingStudy], Context]:
    """Patients, their CT studies, and what other resources refer to."""
    patients: dict[str, Resource] = {}
    medications: dict[str, Resource] = {}
    imaging: list[ImagingStudy] = []
    ends = {}
    for resource in _resources(files, Counter()):
        kind, key = resource.get("resourceType"), str(resource.get("id", ""))
        notes[f"{kind} resources" if kind else "left out: resources without a type"] += 1
        if kind == "Patient" and key:
            patients[key] = {name: resource.get(name) for name in _OF_PATIENT}
        elif kind == "Medication":
            medications[key] = {"code": resource.get("code")}
        elif kind == "Encounter":
            period = resource.get("period") or resource.get("actualPeriod") or {}
            end = known_time(period.get("end"), zone)
            if end is not None:
                ends[key] = end
        elif kind == "ImagingStudy":
            imaging += _ct_of(resource, notes)
    return patients, imaging, Context(medications=medications, encounter_ends=ends, zone=zone)


def _ct_of(resource: Resource, notes: Counter[str]) -> list[ImagingStudy]:
    try:
        study = imaging_study(resource)
    except (AttributeError, TypeError):
        notes["left out: resources that are not as FHIR has them"] += 1
        return []
    return [study] if study is not None else []


def _numbers(patients: dict[str, Resource]) -> dict[str, int]:
    """Whole numbers for the patients' ids: their own where all have one, else by their order."""
    if all(key.isdecimal() and len(key) <= 18 for key in patients):
        return {key: int(key) for key in patients}
    return {key: place for place, key in enumerate(sorted(patients), start=1)}


def _chunks(
    files: list[Path],
    context: Context,
    numbers: dict[str, int],
    names: dict[str, tuple[str, str]],
    notes: Counter[str],
) -> Iterator[pd.DataFrame]:
    rows: list[FhirEvent] = []
    for resource in _resources(files, notes):
        try:
            found = list(events_of(resource, context))
        except (AttributeError, TypeError, KeyError, ValueError):
            notes["left out: resources that are not as FHIR has them"] += 1
            continue
        if not found and resource.get("resourceType") == "Observation":
            notes["left out: observations without a code or value, or that were not made"] += 1
        for event in found:
            if event.time is None:
                notes["left out: events without a time"] += 1
            elif event.patient not in numbers:
                notes["left out: events of a patient without a Patient resource"] += 1
            else:
                rows.append(event)
                _keep_name(names, event)
        if len(rows) >= CHUNK_EVENTS:
            yield _frame(rows, numbers)
            rows = []
    yield _frame(rows, numbers)


def _keep_name(names: dict[str, tuple[str, str]], event: FhirEvent) -> None:
    """Of a code that has numbers somewhere the kind is a measured one."""
    name, kind = names.get(event.code, ("", ""))
    if event.kind and (not kind or (event.kind == "lab" and kind == "observation")):
        kind = event.kind
    names[event.code] = (name or event.name, kind)


def _frame(rows: list[FhirEvent], numbers: dict[str, int]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "subject_id": pd.array([numbers[row.patient] for row in rows], dtype="int64"),
            "time": pd.array([row.time for row in rows], dtype="datetime64[us]"),
            "code": pd.array([row.code for row in rows], dtype="object"),
            "numeric_value": pd.array(
                [float("nan") if row.number is None else row.number for row in rows], dtype="float64"
            ),
            "text_value": pd.array([row.text for row in rows], dtype="object"),
        }
    )


def _undated(patient: Resource) -> bool:
    """Whether a patient has died, and when is not told."""
    return patient["deceasedBoolean"] is True and not patient["deceasedDateTime"]


def _people(
    database: Any,
    patients: dict[str, Resource],
    numbers: dict[str, int],
    zone: ZoneInfo | None,
    followed_days: int,
) -> pd.DataFrame:
    possible = not_in_the_future(database)
    last = dict(
        database.sql(f"""
            SELECT subject_id,
                strftime(max(time) FILTER ({possible}) + INTERVAL {int(followed_days)} DAY, '{TIME}')
            FROM fhir_events GROUP BY ALL
        """).fetchall()
    )
    rows = {}
    for key, patient in patients.items():
        died = patient["deceasedDateTime"]
        moment = known_time(died, zone) if died and "T" in str(died) else None
        rows[numbers[key]] = {
            "birth_date": str(patient["birthDate"] or "") if len(str(patient["birthDate"] or "")) == 10 else "",
            "sex": _SEXES.get(str(patient["gender"]), ""),
            "death_time": moment.strftime(TIME) if moment else str(died or "")[:10],
            # Who died at a time that is not told has no outcome that could be told.
            "last_follow_up": "" if _undated(patient) else last.get(numbers[key]) or "",
        }
    frame = pd.DataFrame.from_dict(rows, orient="index", dtype=object)
    return frame.rename_axis("patient_id")
