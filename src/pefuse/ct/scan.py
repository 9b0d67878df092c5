"""One scan, from a DICOM folder or an image file to a volume in HU, with the reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pefuse.ct.axes import to_axes
from pefuse.ct.candidates import Candidate, ranked
from pefuse.ct.continuity import ContinuityCheck
from pefuse.ct.doubts import damage_doubts
from pefuse.ct.finding import UNREADABLE, is_file_list, scan_files
from pefuse.ct.geometry import SliceStack
from pefuse.ct.headers import read_headers
from pefuse.ct.image_files import is_image_file, read_image_file
from pefuse.ct.planes import PlaneReader, read_planes
from pefuse.ct.plausibility import check_chest, check_extent, check_slice_count
from pefuse.ct.repairs import Repair, check_allowed
from pefuse.ct.reports import SeriesReport
from pefuse.ct.rules import ScanRules
from pefuse.ct.series import DEFAULT_RULES, check_one_patient, judge_series
from pefuse.ct.slices import SliceHeader
from pefuse.ct.unpacking import opened
from pefuse.errors import ScanAccessError, ScanError, ScanReadError, SeriesError
from pefuse.types import Volume

__all__ = ["ScanPlan", "plan_scan", "read_best", "read_best_or_raise", "read_planned", "read_scan"]

Scan = TypeVar("Scan")


@dataclass(frozen=True, kw_only=True)
class ScanPlan:
    """What will be read, decided from headers alone; `refusal` says why nothing will be.

    Of an image file there are no `candidates`; of DICOM they stand in their order, the one to read first.
    `set_aside` has the reasons of those that seemed usable until their pixels were read.
    """

    path: Path
    report: SeriesReport
    candidates: tuple[Candidate, ...] = ()
    refusal: ScanError | None = None
    rules: ScanRules = DEFAULT_RULES
    set_aside: tuple[ScanError, ...] = ()

    @property
    def stack(self) -> SliceStack | None:
        """The slices to read; None where there are none, or an image file."""
        return self.candidates[0].stack if self.candidates else None

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

    def without_the_first(self, refusal: ScanError) -> ScanPlan:
        """The plan once the first series' pixels turned out unusable: to read the next usable one, if any."""
        if not self.candidates:
            return replace(self, refusal=refusal)
        first, *others = self.candidates
        candidates = ranked([first.refused(refusal), *others], self.rules)
        return _plan(self.path, candidates, self.report.other_files, self.rules, (*self.set_aside, refusal))

    @classmethod
    def nothing(cls, path: Path) -> ScanPlan:
        """The plan before anything was looked at."""
        return cls(path=path, report=SeriesReport(source="DICOM"))


def read_scan(path: Path, *, rules: ScanRules = DEFAULT_RULES) -> tuple[Volume, SeriesReport]:
    """Read a CT of the chest, in HU and in the design's axes.

    Args:
        path: a folder with the DICOM files of one study, however nested, an archive or a list (`.files`) of
            them, or a NIfTI, NRRD, MHA or NPY file.
        rules: which series to prefer, and which repairs not to make.

    Returns:
        The volume at its own resolution (int16, or float32 where the rescale values are not whole), and which
        series it is and why.

    Raises:
        ScanError: what lies there cannot become a right volume; one of its kinds, with the reason.
    """
    with opened(path) as found:
        return read_best_or_raise(plan_scan(found, rules), read_planned)


def plan_scan(path: Path, rules: ScanRules = DEFAULT_RULES) -> ScanPlan:
    """Decide from headers what to read; what is wrong with them becomes the plan's `refusal`, never raised."""
    if is_image_file(path) and path.is_file():
        return ScanPlan(path=path, report=SeriesReport(source="image file"), rules=rules)
    if not path.exists():
        return _refused(path, ScanReadError("There is nothing at the scan's path.", remedy=_CORRECT_PATH))
    if not path.is_dir() and not is_file_list(path):
        return _refused(
            path,
            ScanReadError(
                "The scan is a single file and no NIfTI, NRRD, MHA or NPY: of DICOM, its folder is needed.",
                remedy=_CORRECT_PATH,
            ),
        )
    others: Counter[str] = Counter()
    try:
        files = list(scan_files(path))
        headers, others = read_headers(files)
        _check_access(others)
        if not headers and (images := list(filter(is_image_file, files))):
            return _of_image_files(path, images, others, rules)
        _check_found(headers, others)
        check_one_patient(headers)
    except ScanError as refusal:
        return _refused(path, refusal, others)
    return _plan(path, judge_series(headers, rules), others, rules)


def read_best(plan: ScanPlan, read: Callable[[ScanPlan], Scan]) -> tuple[Scan | None, ScanPlan]:
    """Read the plan's first series; where its pixels are refused, the next usable one.

    Returns:
        What was read and the plan by which it was; None where nothing could be: the plan's `refusal` says why.
    """
    while plan.refusal is None:
        try:
            return read(plan), plan
        except ScanError as refusal:
            plan = plan.without_the_first(refusal)
    return None, plan


def read_best_or_raise(plan: ScanPlan, read: Callable[[ScanPlan], Scan]) -> Scan:
    """As `read_best`.

    Raises:
        ScanError: nothing could be read.
    """
    scan, plan = read_best(plan, read)
    if plan.refusal is not None:
        raise plan.refusal
    assert scan is not None
    return scan


def read_planned(plan: ScanPlan) -> tuple[Volume, SeriesReport]:
    """Read the pixels of a plan and check that they are a chest in HU.

    Raises:
        ScanError: what is wrong with the pixels.
    """
    if plan.stack is None:
        volume = read_image_file(plan.path, plan.rules.arrays)
        check_slice_count(volume.hu.shape[0])
        z, y, x = (side * mm for side, mm in zip(volume.hu.shape, volume.spacing_mm, strict=True))
        check_extent((z, y, x), volume.spacing_mm[0])
        repairs: tuple[Repair, ...] = ()
    else:
        reader = PlaneReader(plan.stack.headers, plan.stack.planes, plan.stack.shape)
        volume = to_axes(read_planes(reader), plan.stack.affine)
        repairs = reader.repairs
    warnings = (*_check_continuity(volume), *check_chest(volume))
    return volume, plan.read_with(repairs, warnings)


def _check_continuity(volume: Volume) -> tuple[str, ...]:
    check = ContinuityCheck(volume.hu.shape)
    for z, plane in enumerate(volume.hu):
        check.add(z, plane)
    return check.finish()


_CORRECT_PATH = "Correct the study's ct column."


def _check_access(others: Counter[str]) -> None:
    """Refuse a scan of which some files may not be read: they may be slices, and the rest look whole."""
    if count := others[UNREADABLE]:
        raise ScanAccessError(f"{count} files or folders of the scan could not be read.")


def _of_image_files(path: Path, images: list[Path], others: Counter[str], rules: ScanRules) -> ScanPlan:
    """The plan for a folder without DICOM that holds NIfTI, NRRD, MHA or NPY files."""
    if len(images) == 1:
        return ScanPlan(path=images[0], report=SeriesReport(source="image file"), rules=rules)
    reason = (
        f"The folder holds {len(images)} image files (NIfTI, NRRD, MHA or NPY), and which is meant cannot be "
        "known."
    )
    return _refused(path, ScanReadError(reason, remedy="Name the file in the study's ct column."), others)


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


def _plan(
    path: Path,
    candidates: list[Candidate],
    others: Mapping[str, int],
    rules: ScanRules,
    set_aside: tuple[ScanError, ...] = (),
) -> ScanPlan:
    best = candidates[0]
    refused_before = (f"A series that came before the kept one was refused: {error.reason}" for error in set_aside)
    report = SeriesReport(
        source="DICOM",
        entries=tuple(candidate.entry for candidate in candidates),
        other_files=dict(others),
        repairs=tuple(map(str, best.repairs)),
        warnings=() if best.refusal else (*best.warnings, *damage_doubts(others), *refused_before),
    )
    return ScanPlan(
        path=path,
        report=report,
        candidates=tuple(candidates),
        refusal=_refusal(candidates, set_aside) if best.refusal else None,
        rules=rules,
        set_aside=set_aside,
    )


def _refusal(candidates: list[Candidate], set_aside: tuple[ScanError, ...]) -> ScanError:
    """The reason of the series that came first by its headers, else of the largest not refused for its kind."""
    refusals = [candidate.refusal for candidate in candidates if candidate.refusal is not None]
    telling = (refusal for refusal in refusals if not isinstance(refusal, SeriesError))
    chief = [*set_aside, *telling, *refusals][0]
    if len(candidates) == 1:
        return chief
    which = "The preferred" if set_aside else "The largest"
    reason = f"None of {len(candidates)} series is usable. {which}: {chief.reason}"
    return type(chief)(reason, remedy=chief.remedy)
