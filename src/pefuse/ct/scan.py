"""One scan, from a DICOM folder or an image file to a volume in HU, with the reasons."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from pefuse.ct.axes import to_axes
from pefuse.ct.finding import find_files
from pefuse.ct.geometry import SliceStack
from pefuse.ct.headers import SliceHeader, read_headers
from pefuse.ct.image_files import is_image_file, read_image_file
from pefuse.ct.pixels import read_hu
from pefuse.ct.plausibility import check_chest, check_extent, check_slice_count
from pefuse.ct.reports import SeriesReport
from pefuse.ct.series import Candidate, check_one_patient, judge_series
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

    @classmethod
    def nothing(cls, path: Path) -> ScanPlan:
        """The plan before anything was looked at."""
        return cls(path=path, report=SeriesReport(source="DICOM"))


def read_scan(path: Path) -> tuple[Volume, SeriesReport]:
    """Read a CT of the chest, in HU and in the design's axes.

    Args:
        path: a folder with the DICOM files of one study, however nested, or a NIfTI, NRRD or MHA file.

    Returns:
        The volume at its own resolution (int16, or float32 where the rescale values are not whole), and which
        series it is and why.

    Raises:
        ScanError: what lies there cannot become a right volume; one of its kinds, with the reason.
    """
    return read_planned(plan_scan(path))


def plan_scan(path: Path) -> ScanPlan:
    """Decide from headers what to read; what is wrong with them becomes the plan's `refusal`, never raised."""
    if is_image_file(path) and path.is_file():
        return ScanPlan(path=path, report=SeriesReport(source="image file"))
    if not path.exists():
        return _refused(path, ScanReadError("There is nothing at the scan's path.", remedy=_CORRECT_PATH))
    if not path.is_dir():
        return _refused(
            path,
            ScanReadError(
                "The scan is a single file and no NIfTI, NRRD or MHA: of DICOM, its folder is needed.",
                remedy=_CORRECT_PATH,
            ),
        )
    headers, others = read_headers(find_files(path))
    try:
        _check_found(headers, others)
        check_one_patient(headers)
    except ScanError as refusal:
        return _refused(path, refusal, others)
    return _plan(path, judge_series(headers), others)


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
        repairs: tuple[str, ...] = ()
    else:
        hu, repairs = read_hu(plan.stack.headers)
        volume = to_axes(hu, plan.stack.affine)
    check_chest(volume)
    return volume, replace(plan.report, repairs=(*plan.report.repairs, *repairs))


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


def _plan(path: Path, candidates: list[Candidate], others: Counter[str]) -> ScanPlan:
    best = candidates[0]
    report = SeriesReport(
        source="DICOM",
        entries=tuple(candidate.entry for candidate in candidates),
        other_files=dict(others),
        repairs=best.repairs,
    )
    refusal = _refusal(candidates) if best.refusal is not None else None
    return ScanPlan(path=path, report=report, stack=best.stack, refusal=refusal)


def _refusal(candidates: list[Candidate]) -> ScanError:
    """The reason of the largest refused series that is not refused for its kind alone, else of the largest."""
    best = next((c for c in candidates if not isinstance(c.refusal, SeriesError)), candidates[0])
    assert best.refusal is not None
    if len(candidates) == 1:
        return best.refusal
    reason = f"None of {len(candidates)} series is usable. The largest: {best.refusal.reason}"
    return type(best.refusal)(reason, remedy=best.refusal.remedy)
