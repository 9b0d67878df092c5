"""Whether each slice of a series can be turned into Hounsfield units at all, from its header alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from pefuse.ct.slices import NATIVE_LITTLE_ENDIAN, SliceHeader
from pefuse.errors import PlausibilityError, ScanReadError

__all__ = ["check_slices"]

FEW_SHARE = 0.1  # of the slices: so few with a scale of their own are damage, no scanner's doing
SLOPE_RANGE = (1e-3, 100.0)  # CT scanners write 1; packed floats of 16 bits need down to 0.03
INTERCEPT_RANGE_HU = (-10_000.0, 10_000.0)  # extended HU scales start at -8192 or -10240 + 240
MAX_SIDE_VOXELS = 4096
_HU_TYPES = {"", "HU", "US"}  # US, "unspecified", is what some scanners write for plain HU


def check_slices(headers: Sequence[SliceHeader]) -> None:
    """Refuse slices whose pixels cannot be read, or whose values cannot be HU.

    Raises:
        ScanReadError: multi-frame, colour, truncated or missing pixels.
        PlausibilityError: rescale values missing, not finite, outside physical ranges, or others in a few slices.
    """
    for wrong, reason in _READABLE:
        _refuse(headers, wrong, reason, ScanReadError)
    for wrong, reason in _IN_HU:
        _refuse(headers, wrong, reason, PlausibilityError)
    _refuse_a_few_scales(headers)


def _refuse_a_few_scales(headers: Sequence[SliceHeader]) -> None:
    """Refuse a series in one scale but for a few slices; where every slice has its own, the scanner chose them."""
    scales = Counter((header.slope, header.intercept) for header in headers)
    usual, count = scales.most_common(1)[0]
    few = len(headers) - count
    if 0 < few <= FEW_SHARE * len(headers):
        raise PlausibilityError(
            f"RescaleSlope and RescaleIntercept are {usual[0]:g} and {usual[1]:g} but for "
            f"{few} of {len(headers)} slices, which state others."
        )


def _refuse(
    headers: Sequence[SliceHeader],
    wrong: Callable[[SliceHeader], bool],
    reason: str,
    error: type[ScanReadError] | type[PlausibilityError],
) -> None:
    count = sum(wrong(header) for header in headers)
    if count:
        raise error(f"{reason} in {count} of {len(headers)} slices.")


def _encapsulated_natively(header: SliceHeader) -> bool:
    return (
        header.pixels is not None and header.transfer_syntax in NATIVE_LITTLE_ENDIAN and not header.pixels.length
    )


def _truncated(header: SliceHeader) -> bool:
    place = header.pixels
    if place is None:
        return False
    short = header.transfer_syntax in NATIVE_LITTLE_ENDIAN and place.length < _bytes_needed(header)
    return not place.whole or short


def _bytes_needed(header: SliceHeader) -> int:
    return header.rows * header.columns * header.samples * header.bits_allocated // 8


def _outside(value: float | None, limits: tuple[float, float]) -> bool:
    return value is None or not limits[0] <= value <= limits[1]


_READABLE: tuple[tuple[Callable[[SliceHeader], bool], str], ...] = (
    (
        lambda header: header.frames != 1 and header.frame is None,
        "Several frames in one file that does not place each of them",
    ),
    (lambda header: header.pixels is None, "The pixel data are missing"),
    (lambda header: min(header.rows, header.columns) < 1, "Rows or Columns are missing"),
    (lambda header: max(header.rows, header.columns) > MAX_SIDE_VOXELS, "More than 4096 rows or columns"),
    (
        lambda header: header.samples != 1 or header.photometric != "MONOCHROME2",
        "Pixels that are not plain grey values (MONOCHROME2)",
    ),
    (
        lambda header: (
            header.bits_allocated not in (8, 16, 32) or not 0 < header.bits_stored <= header.bits_allocated
        ),
        "Impossible bit depth",
    ),
    (_encapsulated_natively, "Encapsulated pixel data in a transfer syntax without any"),
    (_truncated, "Truncated pixel data"),
)
_IN_HU: tuple[tuple[Callable[[SliceHeader], bool], str], ...] = (
    (
        lambda header: header.slope is None or header.intercept is None,
        "RescaleSlope or RescaleIntercept is missing or not a finite number, so values are not known in HU,",
    ),
    (
        lambda header: _outside(header.slope, SLOPE_RANGE),
        f"RescaleSlope outside {SLOPE_RANGE[0]:g} to {SLOPE_RANGE[1]:g}",
    ),
    (
        lambda header: _outside(header.intercept, INTERCEPT_RANGE_HU),
        f"RescaleIntercept outside {INTERCEPT_RANGE_HU[0]:g} to {INTERCEPT_RANGE_HU[1]:g} HU",
    ),
    (lambda header: header.rescale_type not in _HU_TYPES, "A RescaleType other than HU"),
)
