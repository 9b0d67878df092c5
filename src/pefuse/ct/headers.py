"""The header of one CT slice: read once, without its pixels, as plain values that geometry can trust.

A number that is missing, malformed or not finite becomes None: what needs it refuses the slice, and says so.
"""

from __future__ import annotations

import math
import re
import struct
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from pydicom.config import disable_value_validation
from pydicom.datadict import tag_for_keyword
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

__all__ = ["PixelPlace", "SliceHeader", "quiet_pydicom", "read_header", "read_headers"]

_CT_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.2",  # CT Image
    "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT
    "1.2.840.10008.5.1.4.1.1.2.2",  # Legacy Converted Enhanced CT
}
_BINARY = {  # 16-bit numbers; all else that is read here is text
    "Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation",
    "PixelPaddingValue",
}  # fmt: skip
_DECIMAL = re.compile(
    r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,4})?"
)  # Python's float takes 1_000 too
_HEADER_BUFFER_BYTES = 16384  # most CT headers fit: one read of the disk
_UNDEFINED_LENGTH = 0xFFFFFFFF
_PIXEL_DATA_TAG = (0x7FE0, 0x0010)


@dataclass(frozen=True, kw_only=True)
class PixelPlace:
    """Where the pixel data's value lies in its file; `whole` is False when the file ends before it does."""

    offset: int
    length: int  # as declared; of compressed data: unknown, 0
    whole: bool


@dataclass(frozen=True, kw_only=True)
class SliceHeader:
    """What one CT image says of itself. Lengths in mm, directions and positions in LPS.

    `patient` and `study` identify people: they are compared, never shown.
    """

    path: Path = field(repr=False)
    patient: tuple[str, str, str] = field(repr=False)  # id, date of birth, sex
    study: str = field(repr=False)
    series: str = field(repr=False)
    frame_of_reference: str = field(repr=False)
    description: str = field(repr=False)
    series_number: int | None
    acquisition: int | None
    image_type: tuple[str, ...]
    kernel: str
    contrast_agent: str
    position_mm: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing_mm: tuple[float, ...] | None
    gantry_tilt_degrees: float | None
    rows: int
    columns: int
    frames: int
    samples: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    signed: bool
    slope: float | None
    intercept: float | None
    rescale_type: str
    padding: int | None
    transfer_syntax: str
    pixels: PixelPlace | None


def read_headers(paths: Iterable[Path]) -> tuple[list[SliceHeader], Counter[str]]:
    """Headers of the CT images among `paths`, and how many files are something else, by what they are."""
    headers: list[SliceHeader] = []
    others: Counter[str] = Counter()
    with quiet_pydicom():
        for path in paths:
            found = read_header(path)
            if isinstance(found, SliceHeader):
                headers.append(found)
            else:
                others[found] += 1
    return headers, others


def read_header(path: Path) -> SliceHeader | str:
    """The header of a CT image, or in words what the file is instead."""
    try:
        with path.open("rb", buffering=_HEADER_BUFFER_BYTES) as file:
            if file.read(132)[128:] != b"DICM":
                return "not DICOM"
            file.seek(0)
            # All elements rather than `specific_tags`, which pydicom compares one by one, at twice the time.
            dataset = pydicom.dcmread(file, stop_before_pixels=True)
            if not _is_ct(dataset):
                known = "SOPClassUID" in dataset or "Modality" in dataset
                return (
                    f"DICOM of modality {_modality(dataset)}"
                    if known
                    else "DICOM without a header, cut off perhaps"
                )
            return _header(path, dataset, _pixel_place(file, dataset))
    except InvalidDicomError:
        return "not DICOM"
    # Broken files raise nearly anything from inside the parser, RecursionError among it (pydicom #2330).
    except Exception:
        return "unreadable DICOM"


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom from printing a patient's odd values; what matters is checked here anyway."""
    with warnings.catch_warnings(), disable_value_validation():
        warnings.simplefilter("ignore")
        yield


def _is_ct(dataset: pydicom.Dataset) -> bool:
    return _text(dataset, "SOPClassUID") in _CT_CLASSES


def _modality(dataset: pydicom.Dataset) -> str:
    modality = _text(dataset, "Modality").upper()
    if modality == "CT":
        return "CT, but no CT image"
    return modality if modality.isalnum() and len(modality) <= 16 else "unknown"


def _header(path: Path, dataset: pydicom.Dataset, pixels: PixelPlace | None) -> SliceHeader:
    return SliceHeader(
        path=path,
        patient=(_text(dataset, "PatientID"), _text(dataset, "PatientBirthDate"), _text(dataset, "PatientSex")),
        study=_text(dataset, "StudyInstanceUID"),
        series=_text(dataset, "SeriesInstanceUID"),
        frame_of_reference=_text(dataset, "FrameOfReferenceUID"),
        description=_text(dataset, "SeriesDescription"),
        series_number=_integer(dataset, "SeriesNumber"),
        acquisition=_integer(dataset, "AcquisitionNumber"),
        image_type=tuple(word.upper() for word in _values(dataset, "ImageType")),
        kernel=_text(dataset, "ConvolutionKernel"),
        contrast_agent=_text(dataset, "ContrastBolusAgent"),
        position_mm=_numbers(dataset, "ImagePositionPatient", 3),
        orientation=_numbers(dataset, "ImageOrientationPatient", 6),
        pixel_spacing_mm=_numbers(dataset, "PixelSpacing", 2),
        gantry_tilt_degrees=_number(dataset, "GantryDetectorTilt"),
        rows=_integer(dataset, "Rows") or 0,
        columns=_integer(dataset, "Columns") or 0,
        frames=_integer(dataset, "NumberOfFrames") or 1,
        samples=_integer(dataset, "SamplesPerPixel") or 1,
        photometric=_text(dataset, "PhotometricInterpretation"),
        bits_allocated=_integer(dataset, "BitsAllocated") or 0,
        bits_stored=_integer(dataset, "BitsStored") or 0,
        signed=_integer(dataset, "PixelRepresentation") == 1,
        slope=_number(dataset, "RescaleSlope"),
        intercept=_number(dataset, "RescaleIntercept"),
        rescale_type=_text(dataset, "RescaleType").upper(),
        padding=_integer(dataset, "PixelPaddingValue"),
        transfer_syntax=str(dataset.file_meta.get("TransferSyntaxUID", "")),
        pixels=pixels,
    )


def _values(dataset: pydicom.Dataset, keyword: str) -> list[str]:
    """The element's values as text, straight from its bytes: pydicom's own conversion takes four times as long."""
    tag = tag_for_keyword(keyword)
    if tag is None or tag not in dataset:
        return []
    raw: Any = dataset.get_item(tag)
    if not isinstance(raw.value, bytes):
        return [] if raw.value is None else [str(raw.value)]
    if keyword in _BINARY:
        order = "<" if raw.is_little_endian else ">"
        return [str(value) for (value,) in struct.iter_unpack(f"{order}H", raw.value)]
    text = raw.value.decode("latin-1").strip(" \0")
    return [value.strip() for value in text.split("\\")] if text else []


def _text(dataset: pydicom.Dataset, keyword: str) -> str:
    return "\\".join(_values(dataset, keyword))


def _numbers(dataset: pydicom.Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    values = _values(dataset, keyword)
    if not all(map(_DECIMAL.fullmatch, values)):
        return None
    numbers = tuple(map(float, values))
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else None


def _number(dataset: pydicom.Dataset, keyword: str) -> float | None:
    numbers = _numbers(dataset, keyword, 1)
    return numbers[0] if numbers else None


def _integer(dataset: pydicom.Dataset, keyword: str) -> int | None:
    number = _number(dataset, keyword)
    return int(number) if number is not None and number == int(number) else None


def _pixel_place(file: BinaryIO, dataset: pydicom.Dataset) -> PixelPlace | None:
    """Where the pixels lie, from the file's position: pydicom stops just before the pixel data element."""
    syntax = UID(str(dataset.file_meta.get("TransferSyntaxUID", "")))
    if syntax.is_deflated:
        return PixelPlace(offset=0, length=0, whole=True)  # the place means nothing inside a deflated stream
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    head = file.read(8)
    if len(head) < 8 or struct.unpack(f"{order}HH", head[:4]) != _PIXEL_DATA_TAG:
        return None
    length_bytes = head[4:] if syntax == ImplicitVRLittleEndian else file.read(4)
    if len(length_bytes) < 4:
        return None
    (length,) = struct.unpack(f"{order}I", length_bytes)
    offset = file.tell()
    end_of_file = file.seek(0, 2)
    if length == _UNDEFINED_LENGTH:
        return PixelPlace(offset=offset, length=0, whole=_fragments_end(file, offset, end_of_file))
    return PixelPlace(offset=offset, length=length, whole=offset + length <= end_of_file)


def _fragments_end(file: BinaryIO, offset: int, end_of_file: int) -> bool:
    """Whether the chain of compressed fragments reaches its delimiter before the file ends (PS3.5 A.4)."""
    while offset + 8 <= end_of_file:
        file.seek(offset)
        group, element, length = struct.unpack("<HHI", file.read(8))
        if (group, element) == (0xFFFE, 0xE0DD):
            return True
        if (group, element) != (0xFFFE, 0xE000):
            return False
        offset += 8 + length
    return False


NATIVE_LITTLE_ENDIAN = frozenset({str(ImplicitVRLittleEndian), str(ExplicitVRLittleEndian)})
