"""One scan, from a DICOM folder or an image file to a volume in HU, with the reasons."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from pefuse.ct.axes import to_axes
from pefuse.ct.continuity import ContinuityCheck
from pefuse.ct.finding import is_file_list, scan_files
from pefuse.ct.geometry import SliceStack
from pefuse.ct.headers import read_headers
from pefuse.ct.image_files import is_image_file, read_image_file
from pefuse.ct.planes import PlaneReader, read_planes
from pefuse.ct.plausibility import check_chest, check_extent, check_slice_count
from pefuse.ct.repairs import Repair, check_allowed
from pefuse.ct.reports import SeriesReport
from pefuse.ct.rules import ScanRules
from pefuse.ct.series import DEFAULT_RULES, Candidate, check_one_patient, judge_series
from pefuse.ct.slices import SliceHeader
from pefuse.ct.unpacking import opened
from pefuse.errors import ScanError, ScanReadError, SeriesError
from pefuse.types import Volume

__all__ = ["ScanPlan", "plan_scan", "read_planned", "read_scan"]


@dataclass(frozen=True, kw_only=True)
class ScanPlan:
    """What will be read, decided from headers alone; `refusal` says why nothing will be."""

    path: Path
    report: SeriesReport
    stack: SliceStack | None = None
    refusal: ScanError | None = None
    rules: ScanRules = DEFAULT_RULES

    def read_with(self, repairs: tuple[Repair, ...], warnings: tuple[str, ...]) -> SeriesReport:
        """The report once pixels are read, which may have needed `repairs` more and given cause for `warnings`.

        Raises:
            GeometryError: one of them is forbidden.
        """
        check_allowed(repairs, self.rules.forbid_repairs)
        return replace(
            self.report,
            repairs=(*self.report.repairs, *map(str, repairs)),
            warnings=(*self.report.warnings, *warnings),
        )

    @classmethod
    def nothing(cls, path: Path) -> ScanPlan:
        """The plan before anything was looked at."""
        return cls(path=path, report=SeriesReport(source="DICOM"))


def read_scan(path: Path, *, rules: ScanRules = DEFAULT_RULES) -> tuple[Volume, SeriesReport]:
    """Read a CT of the chest, in HU and in the design's axes.

    Args:
        path: a folder with the DICOM files of one study, however nested, an archive or a list (`.files`) of
            them, or a NIfTI, NRRD or MHA file.
        rules: which series to prefer, and which repairs not to make.

    Returns:
        The volume at its own resolution (int16, or float32 where the rescale values are not whole), and which
        series it is and why.

    Raises:
        ScanError: what lies there cannot become a right volume; one of its kinds, with the reason.
    """
    with opened(path) as found:
        return read_planned(plan_scan(found, rules))


def plan_scan(path: Path, rules: ScanRules = DEFAULT_RULES) -> ScanPlan:
    """Decide from headers what to read; what is wrong with them becomes the plan's `refusal`, never raised."""
    if is_image_file(path) and path.is_file():
        return ScanPlan(path=path, report=SeriesReport(source="image file"))
    if not path.exists():
        return _refused(path, ScanReadError("There is nothing at the scan's path.", remedy=_CORRECT_PATH))
    if not path.is_dir() and not is_file_list(path):
        return _refused(
            path,
            ScanReadError(
                "The scan is a single file and no NIfTI, NRRD or MHA: of DICOM, its folder is needed.",
                remedy=_CORRECT_PATH,
            ),
        )
    others: Counter[str] = Counter()
    try:
        headers, others = read_headers(scan_files(path))
        _check_found(headers, others)
        check_one_patient(headers)
    except ScanError as refusal:
        return _refused(path, refusal, others)
    return _plan(path, judge_series(headers, rules), others, rules)


def read_planned(plan: ScanPlan) -> tuple[Volume, SeriesReport]:
    """Read the pixels of a plan and check that they are a chest in HU.

    Raises:
        ScanError: the plan's refusal, or what is wrong with the pixels.
    """
    if plan.refusal is not None:
        raise plan.refusal
    if plan.stack is None:
        volume = read_image_file(plan.path)
        check_slice_count(volume.hu.shape[0])
        z, y, x = (side * mm for side, mm in zip(volume.hu.shape, volume.spacing_mm, strict=True))
        check_extent((z, y, x), volume.spacing_mm[0])
        repairs: tuple[Repair, ...] = ()
    else:
        reader = PlaneReader(plan.stack.headers, plan.stack.planes, plan.stack.shape)
        volume = to_axes(read_planes(reader), plan.stack.affine)
        repairs = reader.repairs
    _check_continuity(volume)
    warnings = check_chest(volume)
    return volume, plan.read_with(repairs, warnings)


def _check_continuity(volume: Volume) -> None:
    check = ContinuityCheck(volume.hu.shape)
    for z, plane in enumerate(volume.hu):
        check.add(z, plane)
    check.finish()


_CORRECT_PATH = "Correct the study's ct column."


def _check_found(headers: list[SliceHeader], others: Counter[str]) -> None:
    if headers:
        return
    dicom = {what: count for what, count in others.items() if "DICOM" in what and what != "not DICOM"}
    if not dicom:
        raise ScanReadError("The folder holds no DICOM file.", remedy=_CORRECT_PATH)
    found = ", ".join(f"{count} {what}" for what, count in sorted(dicom.items()))
    raise SeriesError(f"The folder holds no CT image, only {found}.", remedy=_CORRECT_PATH)


def _refused(path: Path, refusal: ScanError, others: Counter[str] | None = None) -> ScanPlan:
    return ScanPlan(
        path=path, report=SeriesReport(source="DICOM", other_files=dict(others or {})), refusal=refusal
    )


def _plan(path: Path, candidates: list[Candidate], others: Counter[str], rules: ScanRules) -> ScanPlan:
    best = candidates[0]
    report = SeriesReport(
        source="DICOM",
        entries=tuple(candidate.entry for candidate in candidates),
        other_files=dict(others),
        repairs=tuple(map(str, best.repairs)),
        warnings=best.warnings,
    )
    refusal = _refusal(candidates) if best.refusal is not None else None
    return ScanPlan(path=path, report=report, stack=best.stack, refusal=refusal, rules=rules)


def _refusal(candidates: list[Candidate]) -> ScanError:
    """The reason of the largest refused series that is not refused for its kind alone, else of the largest."""
    best = next((c for c in candidates if not isinstance(c.refusal, SeriesError)), candidates[0])
    assert best.refusal is not None
    if len(candidates) == 1:
        return best.refusal
    reason = f"None of {len(candidates)} series is usable. The largest: {best.refusal.reason}"
    return type(best.refusal)(reason, remedy=best.refusal.remedy)
