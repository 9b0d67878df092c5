"""A volume as a DICOM CT series, with the headers and the habits of one of several invented scanners.

Plain CT Image Storage, explicit VR little endian. What all images of a series share is encoded once.
All identifiers follow from the seed: the same request gives the same bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

__all__ = ["SCANNERS", "Scanner", "Series", "StudyHeader", "choose_scanner", "write_series"]

IMPLEMENTATION_UID = generate_uid(entropy_srcs=["pefuse", "simulator"])
LOWEST_HU, HIGHEST_HU = -1024, 3071
Vector = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Scanner:
    """How one make of scanner writes its images. The makes are invented."""

    manufacturer: str
    model: str
    soft_kernel: str
    lung_kernel: str
    soft_blur_mm: float  # of the soft kernel; the lung kernel has a third of it
    intercept_hu: int
    signed: bool
    numbered_from_head: bool
    patient_position: str
    kilovolt_peak: int


SCANNERS = (
    Scanner(
        manufacturer="SIMULATED ALPHA", model="Alpha 64", soft_kernel="B30f", lung_kernel="B70f", soft_blur_mm=1.1,
        intercept_hu=-1024, signed=False, numbered_from_head=True, patient_position="HFS", kilovolt_peak=100,
    ),
    Scanner(
        manufacturer="SIMULATED BETA", model="Beta Volume", soft_kernel="STANDARD", lung_kernel="LUNG",
        soft_blur_mm=0.9, intercept_hu=-1024, signed=True, numbered_from_head=True, patient_position="FFS",
        kilovolt_peak=120,
    ),
    Scanner(
        manufacturer="SIMULATED GAMMA", model="Gamma One", soft_kernel="FC08", lung_kernel="FC52",
        soft_blur_mm=1.3, intercept_hu=0, signed=True, numbered_from_head=False, patient_position="FFS",
        kilovolt_peak=120,
    ),
    Scanner(
        manufacturer="SIMULATED DELTA", model="Delta 128", soft_kernel="B", lung_kernel="YA", soft_blur_mm=1.0,
        intercept_hu=-1024, signed=False, numbered_from_head=False, patient_position="HFS", kilovolt_peak=100,
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class StudyHeader:
    """What all series of a study share."""

    study_id: str
    patient_id: int
    time: pd.Timestamp
    sex: str
    age_years: float
    seed: int
    site: str
    scanner: Scanner

    def uid(self, *parts: object) -> str:
        """A UID that follows from the study, the seed and `parts`."""
        return str(generate_uid(entropy_srcs=["pefuse", self.study_id, str(self.seed), *map(str, parts)]))


@dataclass(frozen=True, kw_only=True)
class Series:
    """Parallel images `(image, row, column)` in HU with their place in the patient, LPS mm."""

    number: int
    description: str
    image_type: tuple[str, ...]
    kernel: str
    hu: NDArray[np.int16]
    first_mm: Vector  # centre of the first voxel of the first image
    along_row: Vector  # unit direction from column to column
    along_column: Vector  # unit direction from row to row
    step_mm: Vector  # from image to image
    pixel_mm: tuple[float, float]  # between rows, between columns
    thickness_mm: float
    contrast: bool = True


def choose_scanner(*, site: str, seed: int) -> Scanner:
    """The scanner of a study: a site has two of them; without a site any may come."""
    rng = np.random.default_rng([seed, 20])
    if not site:
        return SCANNERS[int(rng.integers(len(SCANNERS)))]
    first = zlib.crc32(site.encode()) % len(SCANNERS)
    return SCANNERS[(first + int(rng.integers(2))) % len(SCANNERS)]


def write_series(series: Series, study: StudyHeader, *, folder: Path, names: Sequence[str]) -> None:
    """Write one file an image under `names` (one each, in image order)."""
    stored = np.clip(series.hu, LOWEST_HU, HIGHEST_HU).astype(np.int32) - study.scanner.intercept_hu
    pixels = stored.astype("<i2" if study.scanner.signed else "<u2")
    # Encoded once: pydicom would spend most of its time on what all images share.
    constant = _encode_elements(_series_dataset(series, study))
    # Images are held from feet to head (or front to back); some scanners count the other way.
    reverse = study.scanner.numbered_from_head and series.step_mm[2] > 0
    for index, name in enumerate(names):
        changing = Dataset()
        changing.SOPInstanceUID = study.uid("instance", series.number, index)
        changing.InstanceNumber = len(pixels) - index if reverse else index + 1
        position = [a + index * b for a, b in zip(series.first_mm, series.step_mm, strict=True)]
        changing.ImagePositionPatient = [_decimal(value) for value in position]
        changing.SliceLocation = _decimal(position[2] if series.step_mm[2] else position[1])
        changing.add_new("PixelData", "OW", pixels[index].tobytes())
        with (folder / name).open("wb") as file:
            file.write(_preamble(changing.SOPInstanceUID))
            elements = {**constant, **_encode_elements(changing)}
            file.writelines(elements[tag] for tag in sorted(elements))


def _encode_elements(dataset: Dataset) -> dict[int, bytes]:
    """Each element by its tag, as explicit VR little endian bytes."""
    encoded = {}
    for element in dataset:
        alone = Dataset()
        alone.add(element)
        encoded[int(element.tag)] = _encode(alone)
    return encoded


def _encode(dataset: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, dataset)
    return buffer.getvalue()


def _preamble(instance_uid: str) -> bytes:
    """The first 128 bytes, the magic word and the file's meta information."""
    meta = _file_meta()
    meta.MediaStorageSOPInstanceUID = UID(instance_uid)
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_file_meta_info(buffer, meta)
    return b"\0" * 128 + b"DICM" + buffer.getvalue()


def _series_dataset(series: Series, study: StudyHeader) -> Dataset:
    dataset = Dataset()
    _fill_patient(dataset, study)
    _fill_acquisition(dataset, series, study)
    _fill_image(dataset, series, study)
    return dataset


def _file_meta() -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_UID
    meta.ImplementationVersionName = "PEFUSE_SIM"
    return meta


def _fill_patient(dataset: Dataset, study: StudyHeader) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientName = f"Simulated^Patient {study.patient_id}"
    dataset.PatientID = f"SIM{study.patient_id:07d}"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = study.sex if study.sex in ("F", "M") else ""
    if np.isfinite(study.age_years):
        dataset.PatientAge = f"{int(study.age_years):03d}Y"
    dataset.StudyInstanceUID = study.uid("study")
    dataset.StudyID = study.study_id[:16]
    dataset.AccessionNumber = f"A{study.seed % 10**9:09d}"
    dataset.StudyDescription = "CT ANGIOGRAPHY CHEST (SIMULATED)"
    dataset.ReferringPhysicianName = ""
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = f"{study.time:%Y%m%d}"
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = f"{study.time:%H%M%S}"


def _fill_acquisition(dataset: Dataset, series: Series, study: StudyHeader) -> None:
    scanner = study.scanner
    dataset.SOPClassUID = CTImageStorage
    dataset.Modality = "CT"
    dataset.Manufacturer = scanner.manufacturer
    dataset.ManufacturerModelName = scanner.model
    dataset.InstitutionName = study.site
    dataset.StationName = scanner.model.upper().replace(" ", "")[:16]
    dataset.SoftwareVersions = "1.0"
    dataset.SeriesInstanceUID = study.uid("series", series.number)
    dataset.SeriesNumber = series.number
    dataset.SeriesDescription = series.description
    dataset.ImageType = list(series.image_type)
    dataset.BodyPartExamined = "CHEST"
    dataset.PatientPosition = scanner.patient_position
    dataset.KVP = scanner.kilovolt_peak
    dataset.ConvolutionKernel = series.kernel
    dataset.RescaleType = "HU"
    dataset.AcquisitionNumber = 1 if "LOCALIZER" in series.image_type else 2
    if series.contrast:
        dataset.ContrastBolusAgent = "IOHEXOL 350"
        dataset.ContrastBolusRoute = "IV"


def _fill_image(dataset: Dataset, series: Series, study: StudyHeader) -> None:
    dataset.FrameOfReferenceUID = study.uid("frame")
    dataset.PositionReferenceIndicator = ""
    dataset.ImageOrientationPatient = [*series.along_row, *series.along_column]
    dataset.PixelSpacing = [_decimal(value) for value in series.pixel_mm]
    dataset.SliceThickness = _decimal(series.thickness_mm)
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = series.hu.shape[1:]
    dataset.BitsAllocated = 16
    dataset.BitsStored = 16 if study.scanner.signed else 12
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(study.scanner.signed)
    dataset.RescaleIntercept = study.scanner.intercept_hu
    dataset.RescaleSlope = 1
    dataset.WindowCenter, dataset.WindowWidth = 100, 700


def _decimal(value: float) -> str:
    """A DICOM decimal string: at most 16 characters, no more digits than a geometry needs."""
    return f"{value:.6f}".rstrip("0").rstrip(".") if round(value, 6) else "0"
