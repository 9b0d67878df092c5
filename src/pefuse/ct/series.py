"""Which series of a study is the CT of the chest to use, and why each other one is not.

A CTPA study holds a localizer, bolus tracking, thin and thick reconstructions, lung and soft kernels, reformats,
projections and dose sheets. Series are split into parts that can be one volume, unfit parts are dropped with a
reason, and the rest is ordered by `_preference`, which never ties.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pefuse.ct.conventions import unusual_conventions, with_the_series_kernel
from pefuse.ct.doubts import header_doubts
from pefuse.ct.duplicates import split_acquisitions, without_duplicates
from pefuse.ct.geometry import SliceStack, mean_orientation, positions_along_normal, stack_slices
from pefuse.ct.plausibility import check_extent
from pefuse.ct.repairs import Repair, check_allowed
from pefuse.ct.reports import Kernel, Plane, SeriesEntry
from pefuse.ct.rules import Merit, ScanRules
from pefuse.ct.slice_checks import check_slices
from pefuse.ct.slices import SliceHeader
from pefuse.errors import GeometryError, ScanError, SeriesError

__all__ = ["DEFAULT_RULES", "Candidate", "check_one_patient", "judge_series"]

DEFAULT_RULES = ScanRules()
AXIAL_COSINE = 0.9  # 25 degrees: no gantry tilts further, no reformat lies nearer
JITTER = 1e-3  # of direction cosines and mm of pixel spacing within one volume
BOLUS_TRACKING_POSITIONS = 3  # a monitoring series watches the same one to three places
SAME_COVERAGE_SHARE = 0.9  # of the longest usable series: smaller differences are no reason to prefer one
_PROJECTIONS = {"MIP", "MINIP", "MNIP", "AVERAGE", "PROJECTION IMAGE", "MPR", "REFORMATTED", "VRT", "CURVED"}
_LOCALIZER_WORDS = re.compile(r"\b(scout|topogram|localizer|localiser|surview|scanogram|pilot)\b", re.IGNORECASE)
_TRACKING_WORDS = re.compile(r"(monitoring|smart ?prep|bolus ?track|test ?bolus|timing ?bolus|care ?bolus)", re.I)
_PROJECTION_WORDS = re.compile(r"\b(mip|minip|mpr|vrt)\b", re.IGNORECASE)
_WITHOUT_CONTRAST = re.compile(r"\b(non[- ]?(contrast|con|enhanced)|unenhanced|without|w/o|native|nativ)\b", re.I)
_WITH_CONTRAST = re.compile(r"\b(cta|ctpa|angio\w*|pulm\w* ?art\w*|with contrast|arterial|contrast|c\+)", re.I)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One part of a series, its line in the report, and its stack or the reason why there is none."""

    entry: SeriesEntry
    stack: SliceStack | None
    repairs: tuple[Repair, ...]
    warnings: tuple[str, ...]
    refusal: ScanError | None
    first: SliceHeader


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
    candidates = [_judge(part, parts, rules) for part in parts]
    longest_mm = max((c.stack.extent_mm[0] for c in candidates if c.stack is not None), default=0.0)
    candidates.sort(key=lambda candidate: _preference(candidate, longest_mm, rules))
    if not candidates or candidates[0].refusal is not None:
        return candidates
    best = candidates[0]
    return [_with_reason(best, _merits(best.entry), kept=True)] + [
        _with_reason(other, _why_not(other, best, longest_mm, rules)) for other in candidates[1:]
    ]


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
    kind = (_is_localizer(header), _is_secondary(header), _is_projection(header))
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
        _refuse_kind(part)
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
    except ScanError as refusal:
        return Candidate(
            entry=replace(entry, reason=refusal.reason),
            stack=None,
            repairs=(),
            warnings=(),
            refusal=refusal,
            first=first,
        )
    warnings = header_doubts(part)
    return Candidate(entry=entry, stack=stack, repairs=repairs, warnings=warnings, refusal=None, first=first)


def _refuse_kind(part: Sequence[SliceHeader]) -> None:
    """Refuse what is no reconstruction of the chest by its kind.

    Raises:
        SeriesError: with the kind.
    """
    first = part[0]
    if _is_localizer(first):
        raise SeriesError("It is a localizer.")
    if _TRACKING_WORDS.search(first.description) or _is_tracking(part):
        raise SeriesError("It is bolus tracking.")
    if _is_secondary(first):
        raise SeriesError("It is a secondary capture or a secondary reformat.")
    if _is_projection(first):
        raise SeriesError("It is a projection or a reformat, not a reconstruction.")


def _refuse_other_planes(part: Sequence[SliceHeader]) -> None:
    normal = mean_orientation(part)[2]
    if abs(float(normal[2])) < AXIAL_COSINE:
        raise SeriesError(f"It is not axial ({_plane(part[0])}).")


def _is_localizer(header: SliceHeader) -> bool:
    return "LOCALIZER" in header.image_type or bool(_LOCALIZER_WORDS.search(header.description))


def _is_secondary(header: SliceHeader) -> bool:
    return "SECONDARY" in header.image_type[:2]


def _is_projection(header: SliceHeader) -> bool:
    return bool(_PROJECTIONS & set(header.image_type)) or bool(_PROJECTION_WORDS.search(header.description))


def _is_tracking(part: Sequence[SliceHeader]) -> bool:
    """Many images of a few places, taken one after another."""
    places = {header.position_mm for header in part}
    return len(places) <= BOLUS_TRACKING_POSITIONS and len({header.acquisition for header in part}) > len(places)


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
    kinds = (
        (_is_localizer(h), _is_secondary(h), _is_projection(h), h.kernel, h.acquisition) for h in (one, other)
    )
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
        slices=len(part),
        rows=first.rows,
        columns=first.columns,
        pixel_spacing_mm=(spacing[0], spacing[1]) if spacing else None,
        slice_spacing_mm=None,
        coverage_mm=None,
        plane=_plane(first),
        kernel=rules.kernel_kind(first.kernel) or kernel_kind(first.kernel),
        contrast=_contrast(first),
        kept=False,
        reason="",
    )


def _plane(header: SliceHeader) -> Plane:
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


def _contrast(header: SliceHeader) -> bool | None:
    """Whether contrast was given; None where neither the agent nor the description tells."""
    if _WITHOUT_CONTRAST.search(header.description):
        return False
    agent = header.contrast_agent.upper()
    if agent and agent not in {"NONE", "NO", "N"}:
        return True
    return True if _WITH_CONTRAST.search(header.description) else None


def _preference(candidate: Candidate, longest_mm: float, rules: ScanRules) -> tuple[object, ...]:
    """Smaller is better."""
    entry, stack, first = candidate.entry, candidate.stack, candidate.first
    number = 1 << 31 if first.series_number is None else first.series_number
    order = (number, entry.series, first.acquisition or 0, -entry.slices, str(first.position_mm))
    if stack is None:
        return (1, -entry.slices, *order)
    return (0, *_merit_ranks(candidate, longest_mm, rules), *order)


def _merit_ranks(candidate: Candidate, longest_mm: float, rules: ScanRules) -> tuple[float, ...]:
    """One number for each merit, in the rules' order; smaller is better."""
    entry, derived = candidate.entry, "DERIVED" in candidate.first.image_type
    assert entry.slice_spacing_mm is not None
    assert entry.coverage_mm is not None
    short = entry.coverage_mm < SAME_COVERAGE_SHARE * longest_mm
    ranks: dict[Merit, float] = {
        "description": rules.rank_of_description(candidate.first.description),
        "contrast": {True: 0, None: 1, False: 2}[entry.contrast],
        "thin": float(entry.slice_spacing_mm > rules.thin_mm),
        "kernel": {"soft": 0, "unknown": 1, "sharp": 2}[entry.kernel],
        "original": float(derived),
        "coverage": -entry.coverage_mm if short else -longest_mm,
        "spacing": entry.slice_spacing_mm,
        "pixels": min(entry.pixel_spacing_mm or (0.0, 0.0)),
    }
    return tuple(ranks[merit] for merit in rules.prefer)


_REASONS: dict[Merit, str] = {
    "description": "has a description that the site's rules prefer",
    "contrast": "shows contrast, or more surely",
    "thin": "has slices of at most {thin_mm:g} mm",
    "kernel": "has a softer kernel",
    "original": "is original, not derived",
    "coverage": "covers more",
    "spacing": "has thinner slices",
    "pixels": "has smaller pixels",
}


def _why_not(other: Candidate, best: Candidate, longest_mm: float, rules: ScanRules) -> str:
    if other.refusal is not None:
        return other.entry.reason
    ranks = [_merit_ranks(candidate, longest_mm, rules) for candidate in (other, best)]
    differ = (merit for merit, mine, theirs in zip(rules.prefer, *ranks, strict=True) if mine != theirs)
    merit = next(differ, None)
    reason = _REASONS[merit].format(thin_mm=rules.thin_mm) if merit else "comes first by its number"
    return f"usable, but the kept series {reason}"


def _merits(entry: SeriesEntry) -> str:
    contrast = {True: "contrast", None: "contrast unknown", False: "no contrast"}[entry.contrast]
    return (
        f"kept: axial, {contrast}, {entry.kernel} kernel, slices every {entry.slice_spacing_mm:g} mm, "
        f"{entry.coverage_mm:g} mm covered"
    )


def _with_reason(candidate: Candidate, reason: str, *, kept: bool = False) -> Candidate:
    return replace(candidate, entry=replace(candidate.entry, reason=reason, kept=kept))
