"""The headers of a scan's files: read once, without their pixels."""

from __future__ import annotations

import struct
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.config import disable_value_validation
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pefuse.ct.finding import UNREADABLE
from pefuse.ct.multiframe import frame_headers
from pefuse.ct.slices import PixelPlace, SliceHeader
from pefuse.ct.values import integer, number, numbers, text, texts
from pefuse.storage import refused_by_system

__all__ = ["CUT_OFF", "DAMAGED", "begins_as_dicom", "quiet_pydicom", "read_header", "read_headers"]

DAMAGED = "unreadable DICOM"
CUT_OFF = "DICOM without a header, cut off perhaps"
_CT_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.2",  # CT Image
    "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT
    "1.2.840.10008.5.1.4.1.1.2.2",  # Legacy Converted Enhanced CT
}
_HEADER_BUFFER_BYTES = 16384  # most CT headers fit: one read of the disk
_UNDEFINED_LENGTH = 0xFFFFFFFF
_PIXEL_DATA_TAG = (0x7FE0, 0x0010)


def read_headers(paths: Iterable[Path]) -> tuple[list[SliceHeader], Counter[str]]:
    """Headers of the CT images among `paths`, and how many files are something else, by what they are."""
    headers: list[SliceHeader] = []
    others: Counter[str] = Counter()
    with quiet_pydicom():
        for path in paths:
            found = read_header(path)
            if isinstance(found, str):
                others[found] += 1
            else:
                headers.extend(found)
    return headers, others


def read_header(path: Path) -> list[SliceHeader] | str:
    """What a CT image says of its slice, or of each of its frames; or in words what the file is instead."""
    try:
        with path.open("rb", buffering=_HEADER_BUFFER_BYTES) as file:
            if not begins_as_dicom(file.read(132)):
                return "not DICOM"
            file.seek(0)
            # All elements rather than `specific_tags`, which pydicom compares one by one, at twice the time.
            dataset = pydicom.dcmread(file, stop_before_pixels=True, force=True)
            if not _is_ct(dataset):
                known = "SOPClassUID" in dataset or "Modality" in dataset
                return f"DICOM of modality {_modality(dataset)}" if known else CUT_OFF
            header = _header(path, dataset, _pixel_place(file, dataset))
            return [header] if header.frames == 1 else frame_headers(dataset, header)
    # Broken files raise nearly anything from inside the parser, RecursionError among it (pydicom #2330).
    except Exception as error:
        return UNREADABLE if refused_by_system(error) else DAMAGED


def begins_as_dicom(start: bytes) -> bool:
    """Whether a file's first 132 bytes are those of DICOM; old archives leave the preamble out (PS3.10 7.1)."""
    if start[128:] == b"DICM":
        return True
    if len(start) < 132:
        return False
    group, element, length = struct.unpack("<HHI", start[:8])
    explicit = start[4:6].isalpha() and start[4:6].isupper()
    return group in (0x0002, 0x0008) and element <= 0x0018 and (explicit or length <= 64)


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom from printing a patient's odd values; what matters is checked here anyway."""
    with warnings.catch_warnings(), disable_value_validation():
        warnings.simplefilter("ignore")
        yield


def _is_ct(dataset: pydicom.Dataset) -> bool:
    return text(dataset, "SOPClassUID") in _CT_CLASSES


def _modality(dataset: pydicom.Dataset) -> str:
    modality = text(dataset, "Modality").upper()
    if modality == "CT":
        return "CT, but no CT image"
    return modality if modality.isalnum() and len(modality) <= 16 else "unknown"


def _header(path: Path, dataset: pydicom.Dataset, pixels: PixelPlace | None) -> SliceHeader:
    return SliceHeader(
        path=path,
        patient=(text(dataset, "PatientID"), text(dataset, "PatientBirthDate"), text(dataset, "PatientSex")),
        study=text(dataset, "StudyInstanceUID"),
        series=text(dataset, "SeriesInstanceUID"),
        frame_of_reference=text(dataset, "FrameOfReferenceUID"),
        description=text(dataset, "SeriesDescription"),
        series_number=integer(dataset, "SeriesNumber"),
        instance=integer(dataset, "InstanceNumber"),
        slice_location_mm=number(dataset, "SliceLocation"),
        acquisition=integer(dataset, "AcquisitionNumber"),
        image_type=tuple(word.upper() for word in texts(dataset, "ImageType")),
        kernel=text(dataset, "ConvolutionKernel"),
        contrast_agent=text(dataset, "ContrastBolusAgent"),
        position_mm=numbers(dataset, "ImagePositionPatient", 3),
        orientation=numbers(dataset, "ImageOrientationPatient", 6),
        pixel_spacing_mm=numbers(dataset, "PixelSpacing", 2),
        gantry_tilt_degrees=number(dataset, "GantryDetectorTilt"),
        rows=integer(dataset, "Rows") or 0,
        columns=integer(dataset, "Columns") or 0,
        frames=integer(dataset, "NumberOfFrames") or 1,
        samples=integer(dataset, "SamplesPerPixel") or 1,
        photometric=text(dataset, "PhotometricInterpretation"),
        bits_allocated=integer(dataset, "BitsAllocated") or 0,
        bits_stored=integer(dataset, "BitsStored") or 0,
        signed=integer(dataset, "PixelRepresentation") == 1,
        slope=number(dataset, "RescaleSlope"),
        intercept=number(dataset, "RescaleIntercept"),
        rescale_type=text(dataset, "RescaleType").upper(),
        padding=integer(dataset, "PixelPaddingValue"),
        lossy=text(dataset, "LossyImageCompression") == "01",
        images_in_acquisition=integer(dataset, "ImagesInAcquisition"),
        transfer_syntax=_transfer_syntax(dataset),
        pixels=pixels,
    )


def _transfer_syntax(dataset: pydicom.Dataset) -> str:
    """As stated; where nothing is, as only a file without the standard's header may do, what its elements show."""
    stated = str(dataset.file_meta.get("TransferSyntaxUID", ""))
    implicit, little = dataset.original_encoding
    if stated or dataset.preamble or not little:
        return stated
    return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian


def _pixel_place(file: BinaryIO, dataset: pydicom.Dataset) -> PixelPlace | None:
    """Where the pixels lie, from the file's position: pydicom stops just before the pixel data element."""
    syntax = UID(_transfer_syntax(dataset))
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
