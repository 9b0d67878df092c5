"""What a series may do otherwise than a plain one without being faulty; reading takes it into account, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pefuse.ct.repairs import Repair
from pefuse.ct.slices import SliceHeader

__all__ = ["unusual_conventions", "with_the_series_kernel"]


def unusual_conventions(headers: Sequence[SliceHeader]) -> tuple[Repair, ...]:
    """The repairs that reading these slices implies, whatever their geometry."""
    return (
        *_many_frames(headers),
        *_own_rescale(headers),
        *_no_frame_of_reference(headers),
        *_no_kernel(headers),
        *_turned(headers),
    )


def with_the_series_kernel(headers: Sequence[SliceHeader]) -> list[SliceHeader]:
    """The headers, where those without a kernel have that of their series, if it is the only one.

    Otherwise a series whose last slices lost it would be read without them, as if it were whole.
    """
    stated: dict[str, set[str]] = {}
    for header in headers:
        if header.kernel:
            stated.setdefault(header.series, set()).add(header.kernel)
    return [_completed(header, stated.get(header.series, set())) for header in headers]


def _completed(header: SliceHeader, kernels: set[str]) -> SliceHeader:
    if header.kernel or len(kernels) != 1:
        return header
    return replace(header, kernel=next(iter(kernels)), kernel_stated=False)


def _many_frames(headers: Sequence[SliceHeader]) -> tuple[Repair, ...]:
    frames = sum(header.frame is not None for header in headers)
    files = len({header.path for header in headers if header.frame is not None})
    return (Repair(name="multi-frame", detail=f"{frames} frames of {files} files"),) if frames else ()


def _own_rescale(headers: Sequence[SliceHeader]) -> tuple[Repair, ...]:
    pairs = len({(header.slope, header.intercept) for header in headers})
    detail = f"{pairs} different pairs of slope and intercept"
    return (Repair(name="rescale-per-slice", detail=detail),) if pairs > 1 else ()


def _no_frame_of_reference(headers: Sequence[SliceHeader]) -> tuple[Repair, ...]:
    without = sum(not header.frame_of_reference for header in headers)
    detail = f"missing in {without} slices"
    return (Repair(name="frame-of-reference", detail=detail),) if without else ()


def _no_kernel(headers: Sequence[SliceHeader]) -> tuple[Repair, ...]:
    without = sum(not header.kernel_stated for header in headers)
    return (Repair(name="kernel", detail=f"missing in {without} slices"),) if without else ()


def _turned(headers: Sequence[SliceHeader]) -> tuple[Repair, ...]:
    """Rows run to the patient's left and columns to the back when the patient lies supine, head first."""
    row, column = np.array(headers[0].orientation or np.zeros(6)).reshape(2, 3)
    turns = [
        words
        for words, direction in (
            ("rows run to the right", row[0]),
            ("columns run to the front", column[1]),
        )
        if direction < 0
    ]
    return (Repair(name="turned-axes", detail=", ".join(turns)),) if turns else ()
