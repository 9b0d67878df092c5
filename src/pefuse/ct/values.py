"""Values of DICOM elements as plain text and numbers, straight from their bytes.

pydicom's own conversion takes four times as long, and believes what it finds. A number that is missing, malformed
or not finite becomes None here: what needs it refuses the slice, and says so.
"""

from __future__ import annotations

import math
import re
import struct
from typing import Any

import pydicom
from pydicom.datadict import tag_for_keyword

__all__ = ["integer", "number", "numbers", "text", "texts"]

_BINARY = {  # 16-bit numbers; all else that is read here is text
    "Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation",
    "PixelPaddingValue", "FrameAcquisitionNumber",
}  # fmt: skip
_DECIMAL = re.compile(
    r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,4})?"
)  # Python's float takes 1_000 too


def texts(dataset: pydicom.Dataset, keyword: str) -> list[str]:
    """The element's values as text; none where it is absent or empty."""
    tag = tag_for_keyword(keyword)
    if tag is None or tag not in dataset:
        return []
    raw: Any = dataset.get_item(tag)
    if not isinstance(raw.value, bytes):
        return [] if raw.value is None else [str(raw.value)]
    if keyword in _BINARY:
        order = "<" if raw.is_little_endian else ">"
        return [str(value) for (value,) in struct.iter_unpack(f"{order}H", raw.value)]
    content = raw.value.decode("latin-1").strip(" \0")
    return [value.strip() for value in content.split("\\")] if content else []


def text(dataset: pydicom.Dataset, keyword: str) -> str:
    """All values of the element, as they stand in the file."""
    return "\\".join(texts(dataset, keyword))


def numbers(dataset: pydicom.Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """Exactly `count` finite numbers; None otherwise."""
    values = texts(dataset, keyword)
    if not all(map(_DECIMAL.fullmatch, values)):
        return None
    found = tuple(map(float, values))
    return found if len(found) == count and all(map(math.isfinite, found)) else None


def number(dataset: pydicom.Dataset, keyword: str) -> float | None:
    """One finite number; None otherwise."""
    found = numbers(dataset, keyword, 1)
    return found[0] if found else None


def integer(dataset: pydicom.Dataset, keyword: str) -> int | None:
    """One whole number; None otherwise."""
    found = number(dataset, keyword)
    return int(found) if found is not None and found == int(found) else None
