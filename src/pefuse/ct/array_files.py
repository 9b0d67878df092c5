"""Read a bare array (.npy) of a CT: what it does not say of itself, spacing above all, the site's rules must."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pefuse.ct.rules import ArrayRules
from pefuse.errors import GeometryError, ScanReadError

__all__ = ["ARRAY_SUFFIX", "array_shape", "read_array"]

ARRAY_SUFFIX = ".npy"


def array_shape(path: Path) -> tuple[int, ...]:
    """The shape that the file's header states; its values are not read.

    Raises:
        ScanReadError: it is no array of numbers, or shorter than its header says.
    """
    return tuple(_mapped(path).shape)


def read_array(path: Path, rules: ArrayRules | None, *, most_voxels: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Values with the rules' intercept added, `(slices, rows, columns)`, and the affine of that order.

    Rows run to the back and columns to the patient's left, as in axial DICOM of a patient who lies supine.

    Args:
        rules: None = the site has stated none, and so no spacing.
        most_voxels: a larger array is refused.

    Raises:
        ScanReadError: it is no array of numbers in three dimensions, or not whole.
        GeometryError: its spacing is not stated.
    """
    stored = _mapped(path)
    if stored.ndim != 3:
        raise ScanReadError(f"The array has {stored.ndim} dimensions: it needs (slices, rows, columns).")
    if math.prod(stored.shape) > most_voxels:
        raise ScanReadError("The array is larger than any CT of the chest.")
    if rules is None:
        raise GeometryError(
            "An array (.npy) does not say its spacing.",
            remedy="State `arrays: {spacing_mm: [slices, rows, columns]}` in scan_rules.yaml (docs/scans.md).",
        )
    slices, rows, columns = rules.spacing_mm
    affine = np.array(
        [
            [0.0, 0.0, columns, 0.0],
            [0.0, rows, 0.0, 0.0],
            [-slices if rules.first_slice == "head" else slices, 0.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )
    values = np.array(stored)
    if rules.intercept:
        values = values.astype(np.int32 if _whole(values, rules.intercept) else np.float32)
        values += np.asarray(rules.intercept).astype(values.dtype)
    return values, affine


def _whole(values: NDArray[Any], intercept: float) -> bool:
    return bool(np.issubdtype(values.dtype, np.integer) and float(intercept).is_integer())


def _mapped(path: Path) -> NDArray[Any]:
    try:
        stored: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:  # a pickle within, or fewer values than the header says
        raise ScanReadError("The file is no whole NumPy array of numbers.") from error
    if not (np.issubdtype(stored.dtype, np.integer) or np.issubdtype(stored.dtype, np.floating)):
        raise ScanReadError("The array holds no plain numbers.")
    return stored
