"""What the headers of a usable series give a person cause to look at; nothing is refused for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pefuse.ct.headers import CUT_OFF, DAMAGED
from pefuse.ct.slices import SliceHeader

__all__ = ["damage_doubts", "header_doubts"]


def header_doubts(headers: Sequence[SliceHeader]) -> tuple[str, ...]:
    """Warnings on the slices of one volume."""
    return (*_fewer_than_stated(headers), *_lossy(headers))


def damage_doubts(others: Mapping[str, int]) -> tuple[str, ...]:
    """A warning where files beside the slices, counted by what they are, may be slices that were damaged."""
    count = sum(others.get(what, 0) for what in (CUT_OFF, DAMAGED))
    return (
        (f"{count} files are damaged DICOM and were left out: an end of the scan may be missing",) if count else ()
    )


def _fewer_than_stated(headers: Sequence[SliceHeader]) -> tuple[str, ...]:
    """An export that was cut off leaves a shorter scan that is regular in itself."""
    stated = max((header.images_in_acquisition or 0 for header in headers), default=0)
    one = len({header.acquisition for header in headers}) == 1
    if not one or stated <= len(headers):
        return ()
    return (f"{len(headers)} images are here, but the scanner states {stated} for the acquisition",)


def _lossy(headers: Sequence[SliceHeader]) -> tuple[str, ...]:
    lossy = sum(header.lossy for header in headers)
    return (f"{lossy} slices were compressed with loss",) if lossy else ()
