"""Read a NIfTI, NRRD or MHA file, or a bare array (.npy), that holds a CT in Hounsfield units."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pefuse.ct.array_files import ARRAY_SUFFIX, read_array
from pefuse.ct.axes import to_axes
from pefuse.ct.nifti_files import whole_nifti
from pefuse.ct.pixels import HIGHEST_HU, LOWEST_HU
from pefuse.ct.rules import ArrayRules
from pefuse.errors import GeometryError, PlausibilityError, ScanReadError
from pefuse.types import Volume

__all__ = ["IMAGE_SUFFIXES", "is_image_file", "read_image_file"]

IMAGE_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha", ARRAY_SUFFIX)
MAX_VOXELS = 1024 * 1024 * 4096  # more cannot be a CT of one chest; a crafted header could ask for any amount


def is_image_file(path: Path) -> bool:
    """Whether the name ends as one of the formats read here does."""
    return path.name.lower().endswith(IMAGE_SUFFIXES)


def read_image_file(path: Path, arrays: ArrayRules | None = None) -> Volume:
    """Read HU and orient them to the design's axes; int16 where the file holds whole numbers.

    Args:
        arrays: what a bare array does not say of itself.

    Raises:
        ScanReadError: the file cannot be read, or it is no scalar 3D image.
        GeometryError: it does not say how it lies in the patient, or lies askew.
        PlausibilityError: values that are not finite.
    """
    if path.name.lower().endswith(ARRAY_SUFFIX):
        values, affine = read_array(path, arrays, most_voxels=MAX_VOXELS)
        return to_axes(_clip_hu(values), affine)
    import SimpleITK  # a quarter of a second, which DICOM cohorts need not wait

    itk: Any = SimpleITK  # half typed
    whole = whole_nifti(path) if ".nii" in path.name.lower() else nullcontext(path)
    with _quiet(itk), whole as file:
        image = _read(itk, file)
    hu = _clip_hu(itk.GetArrayFromImage(image))
    affine = np.eye(4)
    directions = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, :3] = directions[:, ::-1]  # ITK counts (i, j, k) with i fastest; its array is (k, j, i)
    affine[:3, 3] = image.GetOrigin()
    return to_axes(hu, affine)


def _read(itk: Any, path: Path) -> Any:
    reader = itk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        _check_header(reader, path)
        return reader.Execute()
    except RuntimeError as error:  # ITK's message holds the path
        raise ScanReadError("The image file is damaged or of an unknown kind.") from error


def _check_header(reader: Any, path: Path) -> None:
    if reader.GetDimension() != 3 or reader.GetNumberOfComponents() != 1:
        raise ScanReadError("The image file holds no single 3D volume of one value a voxel.")
    if math.prod(reader.GetSize()) > MAX_VOXELS:
        raise ScanReadError("The image file claims to be larger than any CT of the chest.")
    keys = set(reader.GetMetaDataKeys())
    codes = [reader.GetMetaData(key).strip() for key in ("qform_code", "sform_code") if key in keys]
    if codes and all(code == "0" for code in codes):
        raise GeometryError("The NIfTI file does not say how it lies in the patient (qform and sform are 0).")
    if "NRRD_space" not in keys and path.suffix.lower() == ".nrrd":
        raise GeometryError("The NRRD file does not say how it lies in the patient (no space).")


def _clip_hu(values: NDArray[Any]) -> NDArray[np.int16] | NDArray[np.float32]:
    if np.issubdtype(values.dtype, np.integer):
        limits = np.iinfo(values.dtype)
        low, high = max(LOWEST_HU, limits.min), min(HIGHEST_HU, limits.max)
        whole: NDArray[np.int16] = np.clip(values, low, high).astype(np.int16)
        return whole
    if not np.issubdtype(values.dtype, np.floating):
        raise ScanReadError("The image file holds no plain numbers.")
    if not np.isfinite(values.astype(np.float32, copy=False)).all():
        raise PlausibilityError("It holds values that are not finite numbers.")
    fractions: NDArray[np.float32] = np.clip(values, LOWEST_HU, HIGHEST_HU).astype(np.float32)
    return fractions


@contextmanager
def _quiet(itk: Any) -> Iterator[None]:
    """ITK prints its warnings, paths among them, to stderr."""
    before = itk.ProcessObject.GetGlobalWarningDisplay()
    itk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        itk.ProcessObject.SetGlobalWarningDisplay(before)
