"""The parts of a study that could be its CT of the chest, in the order in which they are to be used.

The order is that of the rules' merits, then of numbers and of a hash of the series' UID: it never ties.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pefuse.ct.geometry import SliceStack
from pefuse.ct.repairs import Repair
from pefuse.ct.reports import SeriesEntry
from pefuse.ct.rules import Merit, ScanRules
from pefuse.ct.slices import SliceHeader
from pefuse.errors import ScanError

__all__ = ["Candidate", "ranked"]

SAME_COVERAGE_SHARE = 0.9  # of the longest usable series: smaller differences are no reason to prefer one


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One part of a series, its line in the report, and its stack or the reason why there is none."""

    entry: SeriesEntry
    first: SliceHeader
    stack: SliceStack | None = None
    repairs: tuple[Repair, ...] = ()
    warnings: tuple[str, ...] = ()
    refusal: ScanError | None = None

    def refused(self, refusal: ScanError) -> Candidate:
        """The same part, found unusable."""
        entry = replace(self.entry, reason=refusal.reason, kept=False)
        return Candidate(entry=entry, first=self.first, refusal=refusal)


def ranked(candidates: Sequence[Candidate], rules: ScanRules) -> list[Candidate]:
    """Best first, with the reasons; the first is marked as kept, unless every one is refused."""
    longest_mm = max((c.stack.extent_mm[0] for c in candidates if c.stack is not None), default=0.0)
    best, *others = sorted(candidates, key=lambda candidate: _preference(candidate, longest_mm, rules))
    if best.refusal is not None:
        return [best, *others]
    return [_with_reason(best, _merits(best.entry), kept=True)] + [
        _with_reason(other, _why_not(other, best, longest_mm, rules)) for other in others
    ]


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
