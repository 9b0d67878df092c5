"""What was found where a scan should be, what was taken of it, and why: nothing in it names a patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = ["SeriesEntry", "SeriesReport"]

Kernel = Literal["soft", "sharp", "unknown"]
Plane = Literal["axial", "coronal", "sagittal", "unknown"]


@dataclass(frozen=True, kw_only=True)
class SeriesEntry:
    """One series of a study (or one part, where a series holds several volumes), kept or not, and why.

    `series` is a hash of the SeriesInstanceUID (the first 16 digits of its SHA-256), so that a site can find the
    series again and nobody else can; `number` is its SeriesNumber.
    """

    series: str
    number: int | None
    slices: int
    rows: int
    columns: int
    pixel_spacing_mm: tuple[float, float] | None
    slice_spacing_mm: float | None
    coverage_mm: float | None
    plane: Plane
    kernel: Kernel
    contrast: bool | None
    kept: bool
    reason: str


@dataclass(frozen=True, kw_only=True)
class SeriesReport:
    """All series of one study, best first, and what was done to the kept one.

    `source` says what was read; `other_files` counts the files that are no CT image, by what they are; `repairs`
    names everything that changed the data beyond the standard's own arithmetic (ct/repairs.py); `warnings` say
    what a person should look at.
    """

    source: Literal["DICOM", "image file"]
    entries: tuple[SeriesEntry, ...] = ()
    other_files: Mapping[str, int] = field(default_factory=dict)
    repairs: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def chosen(self) -> SeriesEntry | None:
        """The kept series; None when none is usable, or when the source is an image file."""
        return next((entry for entry in self.entries if entry.kept), None)

    def as_json(self) -> dict[str, Any]:
        """The report as JSON's own types."""
        return asdict(self)
