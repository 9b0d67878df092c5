"""What a series is by its headers: localizer, bolus tracking, capture, projection; its plane, kernel and contrast.

Names and descriptions are free text that differs between makers and sites; the words here are those in common use.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from pefuse.ct.reports import Kernel, Plane
from pefuse.ct.slices import SliceHeader
from pefuse.errors import SeriesError

__all__ = [
    "contrast_of",
    "is_localizer",
    "is_projection",
    "is_secondary",
    "kernel_kind",
    "plane_of",
    "refuse_kind",
]

_PROJECTIONS = {"MIP", "MINIP", "MNIP", "AVERAGE", "PROJECTION IMAGE", "MPR", "REFORMATTED", "VRT", "CURVED"}
_LOCALIZER_WORDS = re.compile(r"\b(scout|topogram|localizer|localiser|surview|scanogram|pilot)\b", re.IGNORECASE)
_TRACKING_WORDS = re.compile(r"(monitoring|smart ?prep|bolus ?track|test ?bolus|timing ?bolus|care ?bolus)", re.I)
_PROJECTION_WORDS = re.compile(r"\b(mip|minip|mpr|vrt)\b", re.IGNORECASE)
_WITHOUT_CONTRAST = re.compile(r"\b(non[- ]?(contrast|con|enhanced)|unenhanced|without|w/o|native|nativ)\b", re.I)
_WITH_CONTRAST = re.compile(r"\b(cta|ctpa|angio\w*|pulm\w* ?art\w*|with contrast|arterial|contrast|c\+)", re.I)
BOLUS_TRACKING_POSITIONS = 3  # a monitoring series watches the same one to three places


def refuse_kind(part: Sequence[SliceHeader]) -> None:
    """Refuse what is no reconstruction of the chest by its kind.

    Raises:
        SeriesError: with the kind.
    """
    first = part[0]
    if is_localizer(first):
        raise SeriesError("It is a localizer.")
    if _TRACKING_WORDS.search(first.description) or _is_tracking(part):
        raise SeriesError("It is bolus tracking.")
    if is_secondary(first):
        raise SeriesError("It is a secondary capture or a secondary reformat.")
    if is_projection(first):
        raise SeriesError("It is a projection or a reformat, not a reconstruction.")


def is_localizer(header: SliceHeader) -> bool:
    return "LOCALIZER" in header.image_type or bool(_LOCALIZER_WORDS.search(header.description))


def is_secondary(header: SliceHeader) -> bool:
    return "SECONDARY" in header.image_type[:2]


def is_projection(header: SliceHeader) -> bool:
    return bool(_PROJECTIONS & set(header.image_type)) or bool(_PROJECTION_WORDS.search(header.description))


def _is_tracking(part: Sequence[SliceHeader]) -> bool:
    """Many images of a few places, taken one after another."""
    places = {header.position_mm for header in part}
    return len(places) <= BOLUS_TRACKING_POSITIONS and len({header.acquisition for header in part}) > len(places)


def plane_of(header: SliceHeader) -> Plane:
    if header.orientation is None:
        return "unknown"
    normal = np.abs(np.cross(header.orientation[:3], header.orientation[3:]))
    planes: tuple[Plane, Plane, Plane] = ("sagittal", "coronal", "axial")
    return planes[int(normal.argmax())]


def kernel_kind(kernel: str) -> Kernel:
    """Soft or sharp, from the names that the large makers give their reconstruction kernels."""
    name = kernel.upper().split("\\")[0].strip()
    if name in {"LUNG", "BONE", "BONEPLUS", "EDGE", "ULTRA", "CHST", "L", "D", "E", "YC", "YD", "YE", "YL"}:
        return "sharp"
    if name in {"STANDARD", "STND", "SOFT", "DETAIL", "STD", "A", "B", "C", "YA", "YB", "XCA", "XCB"}:
        return "soft"
    if siemens := re.match(r"[A-Z][A-Z]?(\d{2})", name):
        return "soft" if int(siemens[1]) < 50 else "sharp"
    if canon := re.match(r"FC(\d{2})", name):
        return "soft" if int(canon[1]) < 30 else "sharp"
    return "unknown"


def contrast_of(header: SliceHeader) -> bool | None:
    """Whether contrast was given; None where neither the agent nor the description tells."""
    if _WITHOUT_CONTRAST.search(header.description):
        return False
    agent = header.contrast_agent.upper()
    if agent and agent not in {"NONE", "NO", "N"}:
        return True
    return True if _WITH_CONTRAST.search(header.description) else None
