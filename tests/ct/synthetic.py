"""Small synthetic chests and their DICOM files: everything a test may want to get wrong is a parameter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

Edit = Callable[[int, Dataset], None]


def chest_hu(shape: tuple[int, int, int] = (40, 64, 64), *, seed: int = 0) -> NDArray[np.int16]:
    """An elliptic body with two lungs, a spine behind and a heart left of the middle, `(Z, Y, X)` HU."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij")
    hu = np.full(shape, -1000.0)
    hu[(x / 0.85) ** 2 + (y / 0.65) ** 2 < 1] = 40
    for side in (-1, 1):
        hu[((x - side * 0.4) / 0.28) ** 2 + (y / 0.42) ** 2 + (z / 1.5) ** 2 < 1] = -850
    hu[((x - 0.15) / 0.25) ** 2 + ((y + 0.1) / 0.25) ** 2 + ((z + 0.3) / 0.5) ** 2 < 1] = 250
    hu[(x / 0.1) ** 2 + ((y - 0.48) / 0.1) ** 2 < 1] = 700
    hu += np.random.default_rng(seed).normal(0, 8, shape)
    return np.clip(np.rint(hu), -1024, 3071).astype(np.int16)


@dataclass(kw_only=True)
class SeriesWriter:
    """Writes one series. `edit(i, dataset)` may change each slice; `i` counts from the feet."""

    hu: NDArray[np.int16] = field(default_factory=chest_hu)
    spacing_mm: tuple[float, float, float] = (6.0, 6.0, 6.0)
    origin_mm: tuple[float, float, float] = (-190.0, -200.0, -300.0)
    row: tuple[float, float, float] = (1.0, 0.0, 0.0)
    column: tuple[float, float, float] = (0.0, 1.0, 0.0)
    slope: float = 1.0
    intercept: float = -1024.0
    patient: str = "P1"
    study_uid: str = field(default_factory=generate_uid)
    series_uid: str = field(default_factory=generate_uid)
    frame_uid: str = field(default_factory=generate_uid)
    kernel: str = "Br40"
    description: str = "CTPA"
    contrast: str = "IODINE"
    number: int = 2
    edit: Edit = lambda i, dataset: None
    skip: tuple[int, ...] = ()
    seed: int = 0

    def write(self, folder: Path, *, prefix: str = "") -> Path:
        """Files in shuffled order of names, with random InstanceNumbers."""
        folder.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng(self.seed)
        names = generator.permutation(len(self.hu))
        numbers = generator.permutation(len(self.hu))
        for i in range(len(self.hu)):
            if i in self.skip:
                continue
            dataset = self.dataset(i)
            dataset.InstanceNumber = int(numbers[i])
            self.edit(i, dataset)
            dataset.save_as(folder / f"{prefix}{names[i]:04d}", enforce_file_format=True)
        return folder

    def dataset(self, i: int) -> Dataset:
        """Slice `i` of the volume, which is `(Z, Y, X)` in LPS."""
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, generate_uid()
        dataset.Modality, dataset.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.PatientID, dataset.PatientName = self.patient, "SECRET^NAME"
        dataset.PatientBirthDate, dataset.PatientSex = "19500101", "F"
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = self.study_uid, self.series_uid
        dataset.FrameOfReferenceUID = self.frame_uid
        dataset.SeriesNumber, dataset.AcquisitionNumber = self.number, 1
        dataset.SeriesDescription, dataset.ConvolutionKernel = self.description, self.kernel
        dataset.ContrastBolusAgent = self.contrast
        self._place(dataset, i)
        dataset.SliceThickness = self.spacing_mm[0]
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
        self.set_pixels(dataset, self._oriented(self.hu[i]))
        return dataset

    def set_pixels(self, dataset: Dataset, hu: NDArray[Any], *, slope: float | None = None) -> None:
        """Store HU under a slope and the series' intercept, as unsigned 16-bit numbers."""
        slope = slope or self.slope
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, self.intercept
        dataset.Rows, dataset.Columns = hu.shape
        stored = np.rint((hu.astype(float) - self.intercept) / slope)
        dataset.PixelData = stored.astype("<u2").tobytes()

    def _place(self, dataset: Dataset, i: int) -> None:
        z, y, x = self.spacing_mm
        position = np.add(self.origin_mm, (0, 0, i * z))
        height, width = self.hu.shape[1:]
        if self.row[0] < 0:
            position[0] += (width - 1) * x
        if self.column[1] < 0:
            position[1] += (height - 1) * y
        dataset.ImagePositionPatient = [round(float(value), 6) for value in position]
        dataset.ImageOrientationPatient = [*self.row, *self.column]
        dataset.PixelSpacing = [y, x]

    def _oriented(self, plane: NDArray[Any]) -> NDArray[Any]:
        return plane[:: -1 if self.column[1] < 0 else 1, :: -1 if self.row[0] < 0 else 1]
