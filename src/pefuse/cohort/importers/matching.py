"""Which DICOM study is a row's scan: found by its key, never guessed."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import pandas as pd

from pefuse.cohort.importers.table import KEYS, Key

__all__ = ["DicomStudy", "Matches", "dicom_studies", "match"]


@dataclass(frozen=True, kw_only=True)
class DicomStudy:
    """What the index says of one StudyInstanceUID; `files` are paths as in the index."""

    uid: str = field(repr=False)
    files: list[str] = field(repr=False)
    modalities: list[str]
    ct_images: int
    keys: frozenset[Key] = field(repr=False)  # all by which a row may name it
    days: frozenset[str] = field(repr=False)  # its study dates, YYYYMMDD

    @property
    def alias(self) -> str:
        """A name that can be shown to those who know the UID, and tells nothing to others."""
        return hashlib.sha256(self.uid.encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Matches:
    """`scans`: the study of each matched row, by study_id. Others with the reason: rows by study_id, studies."""

    scans: dict[str, DicomStudy]
    rows_without_scan: dict[str, str]
    studies_without_row: list[tuple[DicomStudy, str]]


def dicom_studies(index: pd.DataFrame) -> list[DicomStudy]:
    """The studies of an index (columns path, kind, study_uid, patient_id, accession_number, study_date, modality).

    Sorted by UID; files that name no study are in none.
    """
    named = index[index["study_uid"] != ""]
    named = named.assign(day=named["study_date"].str.replace(r"[.-]", "", regex=True))  # once it was 2018.03.05
    return [_study(str(uid), files) for uid, files in named.groupby("study_uid", sort=True)]


def match(keys: pd.Series, studies: list[DicomStudy]) -> Matches:
    """Find the one DICOM study with CT images that each row's key names.

    Args:
        keys: of each row, indexed by study_id; None where it has none.
        studies: all DICOM studies. Those without a CT image (an X-ray of the same day) are nobody's scan.

    Returns:
        A row that names several studies, and rows that name the same one, are ambiguous: none of them is matched.
    """
    named = defaultdict(list)
    for study in studies:
        for key in study.keys:
            named[key].append(study)
    wanted = {study_id: [s for s in named[key] if s.ct_images] for study_id, key in keys.items() if key}
    rows_of = Counter(study.uid for found in wanted.values() for study in found)
    scans: dict[str, DicomStudy] = {}
    reasons: dict[str, str] = {}
    for study_id, key in keys.items():
        found = wanted.get(study_id, [])
        if len(found) == 1 and rows_of[found[0].uid] == 1:
            scans[str(study_id)] = found[0]
        else:
            reasons[str(study_id)] = _row_reason(key, found, other_images=key is not None and bool(named[key]))
    taken = {study.uid for study in scans.values()}
    left = [(study, _study_reason(study, rows_of[study.uid])) for study in studies if study.uid not in taken]
    return Matches(scans=scans, rows_without_scan=reasons, studies_without_row=left)


def _study(uid: str, files: pd.DataFrame) -> DicomStudy:
    accessions = {("accession_number", value) for value in files["accession_number"].unique() if value}
    patients = {
        ("dicom_patient_id", patient, day)
        for patient, day in set(zip(files["patient_id"], files["day"], strict=True))
        if patient and day
    }
    return DicomStudy(
        uid=uid,
        files=files["path"].tolist(),
        modalities=sorted({_plain(modality) for modality in files["modality"].unique()}),
        ct_images=int((files["kind"] == "CT").sum()),
        keys=frozenset({("study_instance_uid", uid), *accessions, *patients}),
        days=frozenset(day for day in files["day"].unique() if day),
    )


def _plain(modality: str) -> str:
    """A header may hold anything; what is shown is a short code."""
    return modality.upper() if modality.isascii() and modality.isalnum() and len(modality) <= 16 else "unknown"


def _row_reason(key: Key | None, found: list[DicomStudy], *, other_images: bool) -> str:
    if key is None:
        return "the row has no key"
    if not found:
        what = "the DICOM study with" if other_images else "no DICOM study has"
        return f"{what} {KEYS[key[0]]}{' has no CT image' if other_images else ''}"
    if len(found) > 1:
        return f"ambiguous: {len(found)} DICOM studies have {KEYS[key[0]]}"
    return "ambiguous: another row names the same DICOM study"


def _study_reason(study: DicomStudy, rows: int) -> str:
    if not study.ct_images:
        return "no CT image"
    if rows > 1:
        return f"ambiguous: {rows} rows name it"
    return "ambiguous: its row names other studies too" if rows else "no row names it"
