"""What one CT slice says of itself: plain values that geometry can trust.

A number that is missing, malformed or not finite is None: what needs it refuses the slice, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

__all__ = ["NATIVE_LITTLE_ENDIAN", "PixelPlace", "SliceHeader"]

NATIVE_LITTLE_ENDIAN = frozenset({str(ImplicitVRLittleEndian), str(ExplicitVRLittleEndian)})


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
    instance: int | None
    slice_location_mm: float | None
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
    kernel_stated: bool = True  # False: taken from the other slices of the series
    frame: int | None = None  # which of the file's, from 0; None: the file is this one slice
    samples: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    signed: bool
    slope: float | None
    intercept: float | None
    rescale_type: str
    padding: int | None
    lossy: bool
    images_in_acquisition: int | None
    transfer_syntax: str
    pixels: PixelPlace | None
