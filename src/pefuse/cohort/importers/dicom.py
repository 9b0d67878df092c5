"""From an index of DICOM files and a table of studies to a cohort folder, and a report of what did not match."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import yaml

from pefuse.cohort.folder import check_events
from pefuse.cohort.importers.matching import Matches, dicom_studies, match
from pefuse.cohort.importers.publishing import REPORT, check_out, published, write_file_lists
from pefuse.cohort.importers.table import HORIZON_DAYS, StudiesTable
from pefuse.errors import CohortError
from pefuse.storage import write_json, write_text

__all__ = ["DicomImport", "check_import", "import_dicom", "import_source"]

UNREADABLE = "a file or folder that could not be read"  # the index's word (ct/finding.py)
UNMATCHED_COLUMNS = ("what", "study_id", "dicom_study", "files", "modalities", "reason")
_EVENTS = (".csv", ".parquet")
_CODES = (".csv",)


@dataclass(frozen=True, kw_only=True)
class DicomImport:
    """What an import found, in counts; it is also `import_report.json`."""

    importer: str
    source: str  # a hash of where the files lie: the same import goes on, another is refused
    files: int
    files_by_kind: dict[str, int]
    dicom_studies: int
    matched: int
    rows_without_scan: dict[str, int]  # by reason
    studies_without_row: dict[str, int]  # by reason
    scans_on_another_day: int  # matched, but DICOM's study date is not the date of index_time


def import_source(tree: Path) -> str:
    """What stands for the place of the files in a report: a hash, since paths may name patients."""
    return hashlib.sha256(os.fsencode(tree.resolve())).hexdigest()[:16]


def check_import(out: Path, *, source: str, events: Path | None, codes: Path | None) -> None:
    """Refuse what `import_dicom` would, before files are read for hours.

    Raises:
        CohortError: `out` holds another cohort, or the record is not there.
    """
    check_out(out, source)
    for path, name, suffixes in ((events, "events", _EVENTS), (codes, "codes", _CODES)):
        if path is not None and not (path.is_file() and path.suffix.lower() in suffixes):
            raise CohortError(f"The file after --{name} is not there, or is not named {' or '.join(suffixes)}.")
    if events is not None:
        check_events(events)


def import_dicom(
    index: pd.DataFrame,
    table: StudiesTable,
    out: Path,
    *,
    root: Path,
    source: str,
    events: Path | None = None,
    codes: Path | None = None,
    record: Path | None = None,
) -> DicomImport:
    """Write a cohort folder whose scans are lists of the files of each matched study.

    Args:
        index: one row a file: path, kind ("CT" for a CT image), study_uid, patient_id, accession_number,
            study_date, modality; text, "" where there is none.
        table: from `read_studies_table`.
        out: the cohort folder; an earlier import from the same `source` is replaced.
        root: the folder that the index's paths are relative to.
        source: from `import_source`.
        events, codes: the record (CSV or parquet) and what its codes mean (CSV), copied in.
        record: in their place, a cohort that a record import made: its record is copied.

    Raises:
        CohortError: `out` holds another cohort, or events or codes break the contract.
        StorageError: the disk is full, or `out` cannot be written.
    """
    check_import(out, source=source, events=events, codes=codes)
    studies = dicom_studies(index)
    matches = match(table.keys, studies)
    report = _report(index, table, matches, source=source)
    with published(out) as aside:
        beside = _unreadable_beside(index)
        files = {
            study_id: [root / file for file in [*scan.files, *beside.get(scan.uid, [])]]
            for study_id, scan in matches.scans.items()
        }
        write_file_lists(files, aside / "scans", final=out / "scans")
        rows = table.rows.assign(ct=_scan_paths(table, matches))
        write_text(aside / "studies.csv", rows.to_csv(index=False))
        write_text(aside / "unmatched.csv", _unmatched(table, matches).to_csv(index=False))
        write_text(aside / "cohort.yaml", _about())
        _copy_record(events, codes, aside)
        if record is not None:
            _copy_cohort(record, aside)
        write_json(aside / REPORT, asdict(report))
    return report


def _report(index: pd.DataFrame, table: StudiesTable, matches: Matches, *, source: str) -> DicomImport:
    scans = matches.scans
    return DicomImport(
        importer="dicom",
        source=source,
        files=len(index),
        files_by_kind={str(kind): int(count) for kind, count in index["kind"].value_counts().sort_index().items()},
        dicom_studies=len(scans) + len(matches.studies_without_row),
        matched=len(scans),
        rows_without_scan=dict(sorted(Counter(matches.rows_without_scan.values()).items())),
        studies_without_row=dict(sorted(Counter(reason for _, reason in matches.studies_without_row).items())),
        scans_on_another_day=len(_on_another_day(table, matches)),
    )


def _unreadable_beside(index: pd.DataFrame) -> dict[str, list[str]]:
    """Files that could not be read, by the StudyInstanceUID of the one study that shares their folder.

    They may be slices of it: `prepare` then refuses it rather than read it without them.
    """
    unreadable = index[index["kind"] == UNREADABLE]["path"]
    if unreadable.empty:
        return {}
    named = index[index["study_uid"] != ""]
    studies = named.groupby(named["path"].map(os.path.dirname))["study_uid"].agg(lambda uids: sorted(set(uids)))
    beside: dict[str, list[str]] = {}
    for path in unreadable:
        found = studies.get(os.path.dirname(path), [])
        if len(found) == 1:
            beside.setdefault(found[0], []).append(path)
    return beside


def _scan_paths(table: StudiesTable, matches: Matches) -> list[str]:
    return [f"scans/{study_id}.files" if study_id in matches.scans else "" for study_id in table.keys.index]


def _on_another_day(table: StudiesTable, matches: Matches) -> list[str]:
    """Rows whose scan was made, as DICOM has it, on another day than index_time."""
    return [
        study_id for study_id, scan in matches.scans.items() if scan.days and table.days[study_id] not in scan.days
    ]


def _unmatched(table: StudiesTable, matches: Matches) -> pd.DataFrame:
    rows = [("row", study_id, "", "", "", reason) for study_id, reason in matches.rows_without_scan.items()]
    rows += [
        ("row", study_id, matches.scans[study_id].alias, "", "", "matched, but on another day than index_time")
        for study_id in _on_another_day(table, matches)
    ]
    studies = [
        ("DICOM study", "", study.alias, len(study.files), " ".join(study.modalities), reason)
        for study, reason in matches.studies_without_row
    ]
    return pd.DataFrame([*rows, *studies], columns=list(UNMATCHED_COLUMNS))


def _about() -> str:
    about = {
        "name": "DICOM import",
        "horizon_days": HORIZON_DAYS,
        "simulated": False,
        "source": "pefuse import dicom",
    }
    return yaml.safe_dump(about, sort_keys=False)


def _copy_cohort(record: Path, folder: Path) -> None:
    for name in ("events.parquet", "events.csv", "features.csv", "codes.csv", "cohort.yaml"):
        if (record / name).is_file():
            shutil.copyfile(record / name, folder / name)


def _copy_record(events: Path | None, codes: Path | None, folder: Path) -> None:
    for path, name in ((events, "events"), (codes, "codes")):
        if path is not None:
            shutil.copyfile(path, folder / f"{name}{path.suffix.lower()}")
