"""Small pictures of a volume: three planes as radiologists hold them, in two windows, with lines and letters."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from matplotlib.image import imsave
from numpy.typing import NDArray
from scipy import sparse

from pefuse.ct.resample import axis_weights
from pefuse.ct.window import windowed
from pefuse.types import Volume

__all__ = ["PLANES", "WINDOWS_HU", "Line", "Thumbnail", "draw_thumbnails"]

PLANES = ("axial", "coronal", "sagittal")  # plane k is cut across axis k
WINDOWS_HU = {"mediastinal": (-160.0, 240.0), "lung": (-1350.0, 150.0)}
LONGEST_SIDE_PIXELS = 160  # of the volume's longest side; all planes share one scale
JPEG_QUALITY = 60  # small vessels stay; six pictures of a noisy scan take under 25 kB
_ENDS = (("F", "H"), ("A", "P"), ("R", "L"))  # what lies at the low and the high end of Z, Y and X


@dataclass(frozen=True, kw_only=True)
class Line:
    """Where another plane cuts this picture: a whole row (or column) of it, in pixels from its top (or left)."""

    plane: str
    horizontal: bool
    at_pixels: float


@dataclass(frozen=True, kw_only=True)
class Thumbnail:
    """One plane: a JPEG for each window, letters (left, right, top, bottom), and where the other planes cut."""

    plane: str
    width: int
    height: int
    letters: tuple[str, str, str, str]
    lines: tuple[Line, Line]
    pictures: dict[str, bytes]


def draw_thumbnails(volume: Volume, planes: tuple[int, int, int]) -> list[Thumbnail]:
    """Axial, coronal and sagittal pictures in true proportions.

    The patient's right is at the left of the picture, as seen from the feet or from the front; a sagittal plane is
    seen from the patient's left.

    Args:
        volume: HU in the design's axes; its spacings may differ.
        planes: index `(z, y, x)` of the axial, coronal and sagittal plane.
    """
    sides = _sides_pixels(volume)
    return [_draw(volume, planes, sides, across) for across in range(3)]


def _sides_pixels(volume: Volume) -> tuple[int, ...]:
    """Pixels for each axis, square ones, all of one size."""
    extent_mm = np.multiply(volume.hu.shape, volume.spacing_mm)
    return tuple(max(1, round(float(side))) for side in extent_mm * LONGEST_SIDE_PIXELS / extent_mm.max())


def _draw(volume: Volume, planes: tuple[int, int, int], sides: tuple[int, ...], across: int) -> Thumbnail:
    down, right = (axis for axis in range(3) if axis != across)
    hu = _resized(np.take(volume.hu, planes[across], axis=across), sides[down], sides[right])
    at_row, at_column = ((planes[axis] + 0.5) / volume.hu.shape[axis] * sides[axis] for axis in (down, right))
    top, bottom = _ENDS[down]
    if down == 0:  # Z runs to the head, and the head belongs at the top
        hu, at_row, top, bottom = hu[::-1], sides[down] - at_row, bottom, top
    return Thumbnail(
        plane=PLANES[across],
        width=sides[right],
        height=sides[down],
        letters=(*_ENDS[right], top, bottom),
        lines=(
            Line(plane=PLANES[down], horizontal=True, at_pixels=at_row),
            Line(plane=PLANES[right], horizontal=False, at_pixels=at_column),
        ),
        pictures={name: _jpeg(windowed(hu, window_hu=window)) for name, window in WINDOWS_HU.items()},
    )


def _resized(plane: NDArray[np.int16] | NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    along_rows, along_columns = (
        sparse.csr_array(axis_weights(size, side)) for size, side in zip(plane.shape, (rows, columns), strict=True)
    )
    # Sparse, as in ct/resample.py: BLAS would start threads for a matrix that is not worth them.
    resized: NDArray[np.float32] = (along_columns @ (along_rows @ plane.astype(np.float32, order="C")).T).T
    return resized


def _jpeg(grey: NDArray[np.float32]) -> bytes:
    file = io.BytesIO()
    options = {"quality": JPEG_QUALITY, "optimize": True}
    imsave(file, grey, format="jpeg", cmap="gray", vmin=0, vmax=1, pil_kwargs=options)
    return file.getvalue()
