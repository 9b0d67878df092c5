"""Which series of a study is the CT of the chest to use, and why each other one is not.

A CTPA study holds a localizer, bolus tracking, thin and thick reconstructions, lung and soft kernels, reformats,
projections and dose sheets. Series are split into parts that can be one volume, unfit parts are dropped with a
reason (ct/kinds.py, the checks), and the rest is put in order (ct/candidates.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pefuse.ct.candidates import Candidate, ranked
from pefuse.ct.conventions import unusual_conventions, with_the_series_kernel
from pefuse.ct.doubts import header_doubts
from pefuse.ct.duplicates import split_acquisitions, without_duplicates
from pefuse.ct.geometry import mean_orientation, positions_along_normal, stack_slices
from pefuse.ct.kinds import (
    contrast_of,
    is_localizer,
    is_projection,
    is_secondary,
    kernel_kind,
    plane_of,
    refuse_kind,
)
from pefuse.ct.numbering import check_locations, numbering_doubts
from pefuse.ct.plausibility import check_extent, check_pixels
from pefuse.ct.repairs import check_allowed
from pefuse.ct.reports import SeriesEntry
from pefuse.ct.rules import ScanRules
from pefuse.ct.slice_checks import check_slices
from pefuse.ct.slices import SliceHeader
from pefuse.errors import GeometryError, ScanError, SeriesError

__all__ = ["DEFAULT_RULES", "check_one_patient", "judge_series"]

DEFAULT_RULES = ScanRules()
AXIAL_COSINE = 0.9  # 25 degrees: no gantry tilts further, no reformat lies nearer
JITTER = 1e-3  # of direction cosines and mm of pixel spacing within one volume


def check_one_patient(headers: Sequence[SliceHeader]) -> None:
    """Refuse a folder that mixes patients or studies: any choice of a series could be somebody else's.

    Raises:
        SeriesError: more than one patient id, date of birth, sex, or study.
    """
    for which, what in enumerate(("patient identifiers", "dates of birth", "sexes")):
        found = {header.patient[which] for header in headers} - {""}
        if len(found) > 1:
            raise SeriesError(
                f"The folder holds {len(found)} different {what}, but a study is of one patient.",
                remedy="Export each patient's study into a folder of its own.",
            )
    studies = {header.study for header in headers} - {""}
    if len(studies) > 1:
        raise SeriesError(
            f"The folder holds {len(studies)} DICOM studies, and which one is meant cannot be known.",
            remedy="Point to the folder of one study.",
        )


def judge_series(headers: Sequence[SliceHeader], rules: ScanRules = DEFAULT_RULES) -> list[Candidate]:
    """All parts of all series, the one to use first and marked as kept, unless every one is refused."""
    parts = _parts(with_the_series_kernel(headers))
    return ranked([_judge(part, parts, rules) for part in parts], rules)


def _parts(headers: Sequence[SliceHeader]) -> list[list[SliceHeader]]:
    """Split into sets that could be one volume each: same series, kind, size, kernel, spacing and orientation."""
    parts: dict[tuple[object, ...], list[list[SliceHeader]]] = {}
    for header in headers:
        alike = parts.setdefault(_identity(header), [])
        part = next((part for part in alike if _same_frame(part[0], header)), None)
        if part is None:
            alike.append([header])
        else:
            part.append(header)
    return [split for alike in parts.values() for part in alike for split in split_acquisitions(part)]


def _identity(header: SliceHeader) -> tuple[object, ...]:
    size = (header.rows, header.columns)
    kind = (is_localizer(header), is_secondary(header), is_projection(header))
    return (header.series, header.frame_of_reference, size, kind, header.kernel)


def _same_frame(one: SliceHeader, other: SliceHeader) -> bool:
    pairs = ((one.orientation, other.orientation), (one.pixel_spacing_mm, other.pixel_spacing_mm))
    return all(
        a is b or (a is not None and b is not None and np.allclose(a, b, rtol=0, atol=JITTER)) for a, b in pairs
    )


def _judge(part: list[SliceHeader], parts: list[list[SliceHeader]], rules: ScanRules) -> Candidate:
    first = part[0]
    entry = _describe(part, rules)
    try:
        refuse_kind(part)
        if rules.forbids_description(first.description):
            raise SeriesError("The site's rules never take a series of its description.")
        check_slices(part)
        _refuse_other_planes(part)
        part, repairs = without_duplicates(part)
        _refuse_interleaved(part, parts)
        stack = stack_slices(part)
        repairs = (*repairs, *unusual_conventions(part), *stack.repairs)
        check_allowed(repairs, rules.forbid_repairs)
        entry = replace(
            entry, slice_spacing_mm=round(stack.spacing_mm, 4), coverage_mm=round(stack.extent_mm[0], 2)
        )
        check_extent(stack.extent_mm, stack.spacing_mm)
        if entry.pixel_spacing_mm is not None:
            check_pixels(entry.pixel_spacing_mm)
        check_locations(part)
    except ScanError as refusal:
        return Candidate(entry=entry, first=first).refused(refusal)
    alone = sum(other[0].series == first.series for other in parts) == 1
    warnings = (*header_doubts(part), *(numbering_doubts(part) if alone else ()))
    return Candidate(entry=entry, first=first, stack=stack, repairs=repairs, warnings=warnings)


def _refuse_other_planes(part: Sequence[SliceHeader]) -> None:
    normal = mean_orientation(part)[2]
    if abs(float(normal[2])) < AXIAL_COSINE:
        raise SeriesError(f"It is not axial ({plane_of(part[0])}).")


def _refuse_interleaved(part: Sequence[SliceHeader], parts: Sequence[Sequence[SliceHeader]]) -> None:
    """Refuse a part between whose slices lie others of the same series that differ in size or orientation.

    Half of a mixed series may look regular, at twice its spacing.

    Raises:
        GeometryError: the series is mixed.
    """
    normal = mean_orientation(part)[2]
    own = np.sort(positions_along_normal(part, normal))
    for other in parts:
        if other[0].series != part[0].series or other[0] in part or not _alike_but_for_shape(part[0], other[0]):
            continue
        theirs = np.array([header.position_mm for header in other if header.position_mm is not None])
        if len(theirs) and _between(own, theirs.reshape(-1, 3) @ normal):
            raise GeometryError("Slices of another size, spacing or orientation lie between those of this series.")


def _alike_but_for_shape(one: SliceHeader, other: SliceHeader) -> bool:
    """Same kind, kernel and roughly axial: a localizer or a second kernel may share the series' number."""
    if other.orientation is None or abs(np.cross(other.orientation[:3], other.orientation[3:])[2]) < AXIAL_COSINE:
        return False
    kinds = ((is_localizer(h), is_secondary(h), is_projection(h), h.kernel, h.acquisition) for h in (one, other))
    return next(kinds) == next(kinds)


def _between(own: np.ndarray[tuple[int], np.dtype[np.float64]], theirs: object) -> bool:
    """Whether one of `theirs` lies inside the range of `own`, away from each of them."""
    nearest = np.abs(np.asarray(theirs)[:, None] - own).min(axis=1)
    inside = (np.asarray(theirs) > own[0]) & (np.asarray(theirs) < own[-1])
    usual = float(np.median(np.diff(own))) if len(own) > 1 else 0.0
    return bool((inside & (nearest > 0.1 * usual)).any())


def _describe(part: Sequence[SliceHeader], rules: ScanRules) -> SeriesEntry:
    first = part[0]
    spacing = first.pixel_spacing_mm
    return SeriesEntry(
        series=hashlib.sha256(first.series.encode()).hexdigest()[:16],
        number=first.series_number,
        slices=len(part),
        rows=first.rows,
        columns=first.columns,
        pixel_spacing_mm=(spacing[0], spacing[1]) if spacing else None,
        slice_spacing_mm=None,
        coverage_mm=None,
        plane=plane_of(first),
        kernel=rules.kernel_kind(first.kernel) or kernel_kind(first.kernel),
        contrast=contrast_of(first),
        kept=False,
        reason="",
    )
