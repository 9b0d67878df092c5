"""The process that reads headers for the index: a few identifying elements of each file, as plain text.

A process of its own, with a limit on its memory: a file that makes the parser crash or hang costs that file alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
from pydicom import FileDataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag, Tag
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage

from pefuse.ct.finding import UNREADABLE
from pefuse.ct.headers import CUT_OFF, DAMAGED, begins_as_dicom, quiet_pydicom
from pefuse.ct.unpacking import is_archive
from pefuse.ct.values import text
from pefuse.machine import limit_memory
from pefuse.storage import refused_by_system
from pefuse.workers import Answer, serve

__all__ = ["ARCHIVE", "CT_KIND", "HEADER_COLUMNS", "describe", "main"]

HEADER_COLUMNS = {  # of the index, and the DICOM elements that they are
    "study_uid": "StudyInstanceUID",
    "series_uid": "SeriesInstanceUID",
    "patient_id": "PatientID",
    "accession_number": "AccessionNumber",
    "study_date": "StudyDate",
    "study_time": "StudyTime",
    "modality": "Modality",
}
ARCHIVE = "an archive, which is not opened"
CT_KIND = "CT"

_CT_CLASSES = {CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage}
_LAST_TAG = Tag(0x0020, 0x000E)  # SeriesInstanceUID: all that is wanted stands at or before it
_LONGEST_VALUE = 128  # an identifier has 64 characters at most (PS3.5 6.2); a crafted one may have any number
_MEMORY_BYTES = 1 << 30  # beyond what the process has when it begins; a header has some kB, deflated ones more
_BUFFER_BYTES = 4096  # the elements wanted stand near the file's beginning


def main() -> None:
    """Describe the files that the parent names, a list of paths at a time."""
    serve(_begin)


def _begin() -> Any:
    limit_memory(psutil.Process().memory_info().vms + _MEMORY_BYTES)
    return _described


def _described(paths: Sequence[str]) -> Answer:
    with quiet_pydicom():
        return {"files": [describe(Path(path)) for path in paths]}


def describe(path: Path) -> list[str]:
    """What a file is, in words, then its values of `HEADER_COLUMNS`, "" where there is none."""
    nothing = [""] * len(HEADER_COLUMNS)
    if "\n" in str(path) or "\r" in str(path):
        return ["a file with a line break in its name", *nothing]  # no list of paths can hold it
    try:
        with path.open("rb", buffering=_BUFFER_BYTES) as file:
            if not begins_as_dicom(file.read(132)):
                return [ARCHIVE if is_archive(path) else "not DICOM", *nothing]
            file.seek(0)
            dataset = read_partial(file, stop_when=_is_beyond, force=True)
            return [_kind(dataset), *(_value(dataset, keyword) for keyword in HEADER_COLUMNS.values())]
    # Broken files raise nearly anything from inside the parser, RecursionError and MemoryError among it.
    except Exception as error:
        return [UNREADABLE if refused_by_system(error) else DAMAGED, *nothing]


def _is_beyond(tag: BaseTag, vr: str | None, length: int) -> bool:
    return bool(tag > _LAST_TAG)


def _kind(dataset: FileDataset) -> str:
    if text(dataset, "SOPClassUID") in _CT_CLASSES:
        return CT_KIND
    if not {"SOPClassUID", "Modality"} & set(dataset.dir()):
        return CUT_OFF
    modality = text(dataset, "Modality").upper()
    if modality == "CT":
        return "DICOM of modality CT, but no CT image"
    plain = modality.isascii() and modality.isalnum() and len(modality) <= 16
    return f"DICOM of modality {modality if plain else 'unknown'}"


def _value(dataset: FileDataset, keyword: str) -> str:
    value = text(dataset, keyword)
    if not value.isascii():  # of the file's own character set, which pydicom knows; a list of studies is in UTF-8
        value = str(dataset.get(keyword)).strip()
    return value if len(value) <= _LONGEST_VALUE else ""
