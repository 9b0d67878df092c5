"""A corpus of faulty chest CT series: each fault writes a study's folder and says which volume, if any, it holds.

All are made from one phantom that is drawn in millimetres, so that a tilted or unevenly spaced series cuts the
same body as the clean one, and a volume in the wrong place shows other values. Whatever is random has a seed.

A fault's truths are what a right reader may give. There are none where the files contradict themselves: then only
a refusal is right. `recoverable` says that the files determine the volume, so that a good reader gives it; without
it a reader may also refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    MediaStorageDirectoryStorage,
    RLELossless,
    RTStructureSetStorage,
    SegmentationStorage,
    generate_uid,
)

from .synthetic import Edit, SeriesWriter
from .verdicts import Truth

__all__ = ["FAULTS", "SHAPE", "Fault", "chest_series", "chest_truth"]

SHAPE = (60, 64, 64)
SPACING_MM = (3.0, 6.0, 5.5)  # three different ones: swapped axes show
ORIGIN_MM = (-170.0, -195.0, -210.0)
MIDDLE = 30
Write = Callable[[Path], Sequence[Truth]]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One way to be faulty: `write` fills a folder and gives the volumes that a reader may make of it."""

    name: str
    summary: str
    write: Write
    recoverable: bool


FAULTS: dict[str, Fault] = {}


def fault(*, recoverable: bool = False) -> Callable[[Write], Write]:
    """Enter a function into the corpus, under its own name and docstring."""

    def enter(write: Write) -> Write:
        name = write.__name__.strip("_").replace("_", "-")
        summary = (write.__doc__ or "").strip()
        FAULTS[name] = Fault(name=name, summary=summary, write=write, recoverable=recoverable)
        return write

    return enter


# --- the body, and series of it ----------------------------------------------------------------------------------


def body_hu(x: Any, y: Any, z: Any) -> NDArray[np.float32]:
    """HU at LPS mm: body, lungs, heart, liver and spine, with soft edges and a texture that tells places apart."""
    hu = np.full(np.broadcast_shapes(np.shape(x), np.shape(y), np.shape(z)), -1000.0)
    body = _inside((x - 4) / 150, (y + 6) / 120)
    parts = [
        (body, 30.0),
        (_inside((x - 75) / 48, (y + 8) / 78), -850.0),
        (_inside((x + 67) / 54, (y + 8) / 78), -850.0),
        (_inside((x + 60) / 60, (y + 5) / 75, (z + 230) / 70), 60.0),
        (_inside((x - 30) / 50, (y + 30) / 45, (z + 130) / 60), 250.0),
        (_inside((x - 4) / 20, (y - 82) / 20), 600.0),
    ]
    for share, value in parts:
        hu += share * (value - hu)
    waves = ((0.02, 0.03, 0.075), (0.06, -0.02, -0.065), (-0.035, 0.06, 0.05))  # radians per mm along x, y, z
    texture = sum(np.sin(a * x + b * y + c * z + k) for k, (a, b, c) in enumerate(waves))
    return (hu + 30 * body * texture).astype(np.float32)


def _inside(*coordinates: Any) -> Any:
    """1 inside the unit ellipsoid, 0 outside, with an edge of about a fifth of its radius."""
    squared = sum(np.square(coordinate) for coordinate in coordinates)
    return 1 / (1 + np.exp(np.clip(25 * (squared - 1), -50, 50)))


def grid(shape: tuple[int, int, int] = SHAPE, spacing_mm: Sequence[float] = SPACING_MM) -> list[Any]:
    """The places x, y, z (LPS mm) of an upright grid's voxels, `(Z, Y, X)` when broadcast."""
    z, y, x = (
        start + step * np.arange(side)
        for start, step, side in zip(ORIGIN_MM[::-1], spacing_mm, shape, strict=True)
    )
    return [x[None, None, :], y[None, :, None], z[:, None, None]]


@lru_cache(maxsize=8)
def chest_hu(**moved_mm: float) -> NDArray[np.int16]:
    """The body on the common grid, or one that lies elsewhere: `x`, `y`, `z` say by how many mm."""
    places = [place - moved_mm.get(axis, 0.0) for axis, place in zip("xyz", grid(), strict=True)]
    hu = np.rint(body_hu(*places)).astype(np.int16)
    hu.flags.writeable = False  # all who ask get the same array
    return hu


def upright(spacing_mm: Sequence[float] = SPACING_MM, origin_mm: Sequence[float] = ORIGIN_MM) -> NDArray[Any]:
    """The affine of an upright volume."""
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing_mm
    affine[:3, 3] = origin_mm
    affine[3, 3] = 1
    return affine


def chest_truth(hu: NDArray[Any] | None = None, **options: Any) -> Truth:
    """The volume of the common grid."""
    values = chest_hu() if hu is None else hu
    return Truth(hu=values.astype(np.float32), affine=upright(), **options)


def uid(*names: object) -> UID:
    """The same names give the same UID."""
    return generate_uid(entropy_srcs=["pefuse fault corpus", *map(str, names)])


def chest_series(*edits: Edit, series: str = "chest", **options: Any) -> SeriesWriter:
    """A writer of the common grid, whose slices go through `edits` one after another."""

    def edit(i: int, dataset: Dataset) -> None:
        dataset.SOPInstanceUID = uid(series, i)
        dataset.InstanceNumber = i + 1
        dataset.PatientPosition, dataset.KVP, dataset.AccessionNumber = "HFS", 120, ""
        dataset.StudyID, dataset.StudyDate, dataset.StudyTime = "", "20000101", "120000"
        dataset.ReferringPhysicianName, dataset.Manufacturer = "", ""
        for change in edits:
            change(i, dataset)

    common = {
        "hu": chest_hu(),
        "spacing_mm": SPACING_MM,
        "origin_mm": ORIGIN_MM,
        "study_uid": uid("study"),
        "series_uid": uid(series),
        "frame_uid": uid("frame"),
        "edit": edit,
    }
    return SeriesWriter(**{**common, **options})


def setting(which: Callable[[int], bool] = lambda i: True, **values: Any) -> Edit:
    """An edit that sets elements in some slices; None removes them. Text goes past pydicom's checks of numbers."""

    def edit(i: int, dataset: Dataset) -> None:
        for keyword, value in values.items() if which(i) else ():
            if value is None:
                delattr(dataset, keyword)
            elif isinstance(value, str) and keyword in dataset:
                dataset[keyword]._value = value
            else:
                setattr(dataset, keyword, value)

    return edit


def named(series: str) -> Edit:
    """An edit that gives each slice a SOPInstanceUID of its own."""

    def edit(i: int, dataset: Dataset) -> None:
        dataset.SOPInstanceUID = uid(series, i)

    return edit


def only(*slices: int) -> Callable[[int], bool]:
    """Whether a slice is one of these."""
    return lambda i: i in slices


def moved(axis: int, by_mm: Callable[[int], float]) -> Edit:
    """An edit that changes positions along LPS `axis`."""

    def edit(i: int, dataset: Dataset) -> None:
        position = [float(value) for value in dataset.ImagePositionPatient]
        position[axis] = round(position[axis] + by_mm(i), 6)
        dataset.ImagePositionPatient = position

    return edit


def plain(folder: Path, *edits: Edit, **options: Any) -> list[Truth]:
    """Write the series with these edits; it holds what a clean one holds."""
    chest_series(*edits, **options).write(folder)
    return [chest_truth()]


def contradictory(folder: Path, *edits: Edit, **options: Any) -> list[Truth]:
    """Write the series with these edits; no volume can be known from it."""
    chest_series(*edits, **options).write(folder)
    return []


def slice_path(folder: Path, i: int) -> Path:
    """The file of slice `i`."""
    wanted = uid("chest", i)
    return next(
        path
        for path in sorted(folder.iterdir())
        if pydicom.dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID == wanted
    )


def lost(*slices: int) -> list[Truth]:
    """Of these slices there are only the neighbours."""
    return [chest_truth(interpolated=frozenset(slices))]


# --- order and completeness --------------------------------------------------------------------------------------


@fault(recoverable=True)
def clean(folder: Path) -> list[Truth]:
    """Nothing wrong; files are named in another order than the slices lie"""
    return plain(folder)


@fault(recoverable=True)
def instance_numbers_shuffled(folder: Path) -> list[Truth]:
    """InstanceNumbers in random order"""
    numbers = np.random.default_rng(7).permutation(SHAPE[0])
    return plain(folder, lambda i, dataset: setattr(dataset, "InstanceNumber", int(numbers[i])))


@fault(recoverable=True)
def instance_numbers_missing(folder: Path) -> list[Truth]:
    """No InstanceNumber at all"""
    return plain(folder, setting(InstanceNumber=None))


@fault(recoverable=True)
def reversed_order(folder: Path) -> list[Truth]:
    """Numbered from the head to the feet"""
    return plain(folder, lambda i, dataset: setattr(dataset, "InstanceNumber", SHAPE[0] - i))


@fault(recoverable=True)
def identical_duplicate(folder: Path) -> list[Truth]:
    """Three slices exported twice"""
    for i in (5, MIDDLE, 50):
        chest_series(series="chest", skip=tuple(k for k in range(SHAPE[0]) if k != i)).write(
            folder, prefix="again"
        )
    return plain(folder)


@fault()
def different_slices_at_one_place(folder: Path) -> list[Truth]:
    """Two different slices claim one position"""
    others = tuple(k for k in range(SHAPE[0]) if k != MIDDLE)
    other = chest_series(setting(SOPInstanceUID=uid("other")), hu=chest_hu(z=40), skip=others)
    other.write(folder, prefix="other")
    return contradictory(folder)


@fault(recoverable=True)
def one_slice_missing(folder: Path) -> list[Truth]:
    """One slice missing in the middle"""
    chest_series(skip=(MIDDLE,)).write(folder)
    return lost(MIDDLE)


@fault(recoverable=True)
def two_slices_missing(folder: Path) -> list[Truth]:
    """Two neighbouring slices missing"""
    chest_series(skip=(MIDDLE, MIDDLE + 1)).write(folder)
    return lost(MIDDLE, MIDDLE + 1)


@fault()
def many_slices_missing(folder: Path) -> list[Truth]:
    """Twelve neighbouring slices missing: what lay there cannot be known"""
    return contradictory(folder, skip=tuple(range(24, 36)))


@fault()
def uneven_spacing(folder: Path) -> list[Truth]:
    """3 mm apart up to half-way, 4.5 mm from there"""
    z_mm = ORIGIN_MM[2] + np.concatenate([3.0 * np.arange(30), 87 + 4.5 * np.arange(1, 31)])
    x, y, _ = grid()
    hu = np.rint(body_hu(x, y, z_mm[:, None, None])).astype(np.int16)
    chest_series(moved(2, lambda i: z_mm[i] - ORIGIN_MM[2] - 3.0 * i), hu=hu).write(folder)
    regular = body_hu(*grid((75, *SHAPE[1:])))
    return [Truth(hu=regular, affine=upright(), interpolated=frozenset(range(75)))]


@fault(recoverable=True)
def localizer_inside(folder: Path) -> list[Truth]:
    """A localizer with the series' own UID"""
    scout = setting(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], SOPInstanceUID=uid("scout"))
    lying = setting(ImageOrientationPatient=[0, 1, 0, 0, 0, -1], ImagePositionPatient=[0, -195, -30])
    chest_series(scout, lying, skip=tuple(range(1, SHAPE[0]))).write(folder, prefix="scout")
    return plain(folder)


@fault()
def too_short(folder: Path) -> list[Truth]:
    """20 slices, 60 mm of the body"""
    hu = chest_hu()[20:40]
    origin_mm = (*ORIGIN_MM[:2], ORIGIN_MM[2] + 60)
    chest_series(hu=hu, origin_mm=origin_mm).write(folder)
    return [Truth(hu=hu.astype(np.float32), affine=upright(origin_mm=origin_mm))]


def _two_acquisitions(folder: Path, *, apart_mm: float, second_number: int = 2) -> list[Truth]:
    """The second after the patient breathed: its body lies 25 mm higher and 10 mm to the side."""
    first, second = chest_hu(), chest_hu(x=10, z=25 - apart_mm)
    chest_series(setting(AcquisitionNumber=1, AcquisitionTime="120000")).write(folder)
    later = setting(AcquisitionNumber=second_number, AcquisitionTime="120100")
    chest_series(named("second"), later, moved(2, lambda i: apart_mm), hu=second).write(folder, prefix="second")
    raised = upright(origin_mm=(*ORIGIN_MM[:2], ORIGIN_MM[2] + apart_mm))
    return [chest_truth(first), Truth(hu=second.astype(np.float32), affine=raised)]


@fault(recoverable=True)
def two_acquisitions_same_places(folder: Path) -> list[Truth]:
    """Two acquisitions in one series, at the same places"""
    return _two_acquisitions(folder, apart_mm=0)


@fault()
def two_acquisitions_half_way(folder: Path) -> list[Truth]:
    """Two acquisitions in one series, the second's slices half-way between the first's"""
    return _two_acquisitions(folder, apart_mm=SPACING_MM[0] / 2)


@fault()
def two_acquisitions_half_way_unnumbered(folder: Path) -> list[Truth]:
    """The same, told apart only by AcquisitionTime and by InstanceNumbers that come twice"""
    return _two_acquisitions(folder, apart_mm=SPACING_MM[0] / 2, second_number=1)


# --- position and orientation ------------------------------------------------------------------------------------


def _tilted(folder: Path, degrees: float, *, stated: bool = True) -> list[Truth]:
    """Planes turned about X, moved along the table. The truth: an upright box inside what was scanned."""
    cosine, sine = float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))
    x, down, feed = grid()
    y, z = ORIGIN_MM[1] + (down - ORIGIN_MM[1]) * cosine, feed - (down - ORIGIN_MM[1]) * sine
    column = (0.0, round(cosine, 8), round(-sine, 8))
    tilt = setting(GantryDetectorTilt=degrees) if stated else setting()
    hu = np.rint(body_hu(x, y, z)).astype(np.int16)
    chest_series(tilt, hu=hu, column=column).write(folder)
    lowest_mm, highest_mm = feed.min(), feed.max() - (down.max() - ORIGIN_MM[1]) * sine
    rows = int((SHAPE[1] - 1) * cosine) - 1
    planes = int((highest_mm - lowest_mm) / SPACING_MM[0])
    inner = body_hu(*grid((planes, rows, SHAPE[2])))
    return [Truth(hu=inner, affine=upright(), interpolated=frozenset(range(planes)), may_be_larger=True)]


@fault(recoverable=True)
def gantry_tilt_12(folder: Path) -> list[Truth]:
    """Gantry tilted by 12 degrees"""
    return _tilted(folder, 12)


@fault(recoverable=True)
def gantry_tilt_18(folder: Path) -> list[Truth]:
    """Gantry tilted by 18 degrees"""
    return _tilted(folder, 18)


@fault(recoverable=True)
def gantry_tilt_not_stated(folder: Path) -> list[Truth]:
    """Gantry tilted by 12 degrees, without GantryDetectorTilt"""
    return _tilted(folder, 12, stated=False)


@fault()
def gantry_tilt_stated_but_not_in_positions(folder: Path) -> list[Truth]:
    """A tilt of 12 degrees is stated, but positions and orientation are upright"""
    return contradictory(folder, setting(GantryDetectorTilt=12))


@fault(recoverable=True)
def orientation_jitter(folder: Path) -> list[Truth]:
    """Direction cosines that differ by 1e-6"""
    return plain(
        folder,
        lambda i, d: setattr(d, "ImageOrientationPatient", [1, 1e-6 * (i % 3), 0, 0, 1, -1e-6 * (i % 2)]),
    )


@fault()
def orientation_noise(folder: Path) -> list[Truth]:
    """Direction cosines that differ by some degrees from slice to slice"""
    degrees = np.random.default_rng(11).normal(0, 3, SHAPE[0])

    def edit(i: int, dataset: Dataset) -> None:
        cosine, sine = np.cos(np.radians(degrees[i])), np.sin(np.radians(degrees[i]))
        dataset.ImageOrientationPatient = [round(float(v), 6) for v in (cosine, sine, 0, -sine, cosine, 0)]

    return contradictory(folder, edit)


@fault()
def orientation_missing(folder: Path) -> list[Truth]:
    """No ImageOrientationPatient in any slice"""
    return contradictory(folder, setting(ImageOrientationPatient=None))


@fault()
def positions_missing(folder: Path) -> list[Truth]:
    """No ImagePositionPatient in any slice"""
    return contradictory(folder, setting(ImagePositionPatient=None))


@fault()
def one_position_missing(folder: Path) -> list[Truth]:
    """One slice without ImagePositionPatient"""
    chest_series(setting(only(MIDDLE), ImagePositionPatient=None)).write(folder)
    return lost(MIDDLE)


@fault()
def one_position_not_a_number(folder: Path) -> list[Truth]:
    """One slice whose ImagePositionPatient is NaN"""
    chest_series(setting(only(MIDDLE), ImagePositionPatient="nan\\nan\\nan")).write(folder)
    return lost(MIDDLE)


@fault()
def two_positions_exchanged(folder: Path) -> list[Truth]:
    """Slices 10 and 40 have each other's position, but SliceLocation and InstanceNumber of their own"""
    by_mm = {10: 30 * SPACING_MM[0], 40: -30 * SPACING_MM[0]}

    def edit(i: int, dataset: Dataset) -> None:
        dataset.SliceLocation = float(dataset.ImagePositionPatient[2])

    return plain(folder, edit, moved(2, lambda i: by_mm.get(i, 0.0)))


@fault()
def table_moved_sideways(folder: Path) -> list[Truth]:
    """The upper half lies 8 mm to the side, as positions say"""
    hu = np.concatenate([chest_hu()[:30], chest_hu(x=-8)[30:]])
    chest_series(moved(0, lambda i: 8.0 if i >= 30 else 0.0), hu=hu).write(folder)
    x, y, z = grid()
    inner = body_hu(x[..., 2:], y, z).astype(np.float32)
    affine = upright(origin_mm=(ORIGIN_MM[0] + 2 * SPACING_MM[2], *ORIGIN_MM[1:]))
    return [Truth(hu=inner, affine=affine, interpolated=frozenset(range(60)), may_be_larger=True)]


@fault(recoverable=True)
def positions_rounded(folder: Path) -> list[Truth]:
    """Positions rounded to a tenth of a millimetre, slices 2.96 mm apart"""
    spacing_mm = (2.96, *SPACING_MM[1:])
    hu = np.rint(body_hu(*grid(spacing_mm=spacing_mm))).astype(np.int16)

    def edit(i: int, dataset: Dataset) -> None:
        dataset.ImagePositionPatient = [round(float(value), 1) for value in dataset.ImagePositionPatient]

    chest_series(edit, hu=hu, spacing_mm=spacing_mm).write(folder)
    return [Truth(hu=hu.astype(np.float32), affine=upright(spacing_mm))]


@fault(recoverable=True)
def feet_first(folder: Path) -> list[Truth]:
    """Feet first, supine: rows run to the patient's right"""
    return plain(folder, setting(PatientPosition="FFS"), row=(-1.0, 0.0, 0.0))


@fault(recoverable=True)
def prone(folder: Path) -> list[Truth]:
    """Head first, prone: rows run to the right, columns to the front"""
    return plain(folder, setting(PatientPosition="HFP"), row=(-1.0, 0.0, 0.0), column=(0.0, -1.0, 0.0))


@fault(recoverable=True)
def decubitus(folder: Path) -> list[Truth]:
    """Head first, on the left side: rows run to the front, columns to the left"""
    hu = chest_hu()

    def edit(i: int, dataset: Dataset) -> None:
        plane = hu[i][::-1].T
        dataset.PatientPosition, dataset.ImageOrientationPatient = "HFDL", [0, -1, 0, 1, 0, 0]
        dataset.PixelSpacing = [SPACING_MM[2], SPACING_MM[1]]
        dataset.Rows, dataset.Columns = plane.shape
        dataset.PixelData = (plane.astype(int) + 1024).astype("<u2").tobytes()

    return plain(folder, moved(1, lambda i: (SHAPE[1] - 1) * SPACING_MM[1]), edit)


@fault()
def coronal_reformat(folder: Path) -> list[Truth]:
    """A coronal reformat as the only series"""
    hu = chest_hu()

    def edit(i: int, dataset: Dataset) -> None:
        dataset.ImageType = ["DERIVED", "PRIMARY", "REFORMATTED"]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
        top_mm = ORIGIN_MM[2] + (SHAPE[0] - 1) * SPACING_MM[0]
        dataset.ImagePositionPatient = [ORIGIN_MM[0], ORIGIN_MM[1] + i * SPACING_MM[1], top_mm]
        dataset.PixelSpacing, dataset.SliceThickness = [SPACING_MM[0], SPACING_MM[2]], SPACING_MM[1]

    chest_series(edit, hu=hu[::-1].transpose(1, 0, 2)).write(folder)
    return [chest_truth(hu)]


# --- spacing -----------------------------------------------------------------------------------------------------


@fault()
def pixel_spacing_7000(folder: Path) -> list[Truth]:
    """PixelSpacing of 7000 mm"""
    return contradictory(folder, setting(PixelSpacing="7000\\7000"))


@fault()
def pixel_spacing_zero(folder: Path) -> list[Truth]:
    """PixelSpacing of 0"""
    return contradictory(folder, setting(PixelSpacing="0\\0"))


@fault()
def pixel_spacing_nan(folder: Path) -> list[Truth]:
    """PixelSpacing that is NaN"""
    return contradictory(folder, setting(PixelSpacing="nan\\nan"))


@fault()
def pixel_spacing_missing(folder: Path) -> list[Truth]:
    """No PixelSpacing"""
    return contradictory(folder, setting(PixelSpacing=None))


@fault()
def one_other_pixel_spacing(folder: Path) -> list[Truth]:
    """One slice states another PixelSpacing"""
    return contradictory(folder, setting(only(MIDDLE), PixelSpacing=[4.0, 4.0]))


@fault(recoverable=True)
def thickness_lies(folder: Path) -> list[Truth]:
    """SliceThickness 1.25 and SpacingBetweenSlices 7, while positions are right"""
    return plain(folder, setting(SliceThickness=1.25, SpacingBetweenSlices=7))


@fault(recoverable=True)
def long_fractions(folder: Path) -> list[Truth]:
    """Spacing and positions with as many digits as fit"""
    spacing_mm = (3.14159265359, 5.99609375, 5.507812500001)
    hu = np.rint(body_hu(*grid(spacing_mm=spacing_mm))).astype(np.int16)

    def edit(i: int, dataset: Dataset) -> None:
        z_mm = ORIGIN_MM[2] + i * spacing_mm[0]
        dataset.ImagePositionPatient = [*ORIGIN_MM[:2], f"{z_mm:.10f}"]
        dataset.PixelSpacing = [f"{value:.12f}" for value in spacing_mm[1:]]

    chest_series(edit, hu=hu, spacing_mm=(3.0, *SPACING_MM[1:])).write(folder)
    return [Truth(hu=hu.astype(np.float32), affine=upright(spacing_mm))]


# --- values ------------------------------------------------------------------------------------------------------


def _own_slopes(i: int, dataset: Dataset) -> None:
    chest_series().set_pixels(dataset, chest_hu()[i], slope=0.2 + 0.1 * (i % 7))


@fault(recoverable=True)
def slope_for_each_slice(folder: Path) -> list[Truth]:
    """RescaleSlope from 0.2 to 0.8, another in each slice"""
    return plain(folder, _own_slopes)


@fault(recoverable=True)
def intercept_for_each_slice(folder: Path) -> list[Truth]:
    """RescaleIntercept from -1024 to -1021, another in each slice"""

    def edit(i: int, dataset: Dataset) -> None:
        dataset.RescaleIntercept = -1024 + i % 4
        stored = np.frombuffer(dataset.PixelData, "<u2") - np.uint16(i % 4)
        dataset.PixelData = stored.astype("<u2").tobytes()

    return plain(folder, edit)


@fault()
def slope_nan(folder: Path) -> list[Truth]:
    """RescaleSlope that is NaN"""
    return contradictory(folder, setting(RescaleSlope="nan"))


@fault()
def slope_infinite(folder: Path) -> list[Truth]:
    """RescaleSlope that is infinite"""
    return contradictory(folder, setting(RescaleSlope="inf"))


@fault()
def slope_huge(folder: Path) -> list[Truth]:
    """RescaleSlope of 1e30"""
    return contradictory(folder, setting(RescaleSlope="1e30"))


@fault()
def slope_zero(folder: Path) -> list[Truth]:
    """RescaleSlope of 0"""
    return contradictory(folder, setting(RescaleSlope="0"))


@fault()
def slope_negative(folder: Path) -> list[Truth]:
    """RescaleSlope of -1 on values stored with 1"""
    return contradictory(folder, setting(RescaleSlope="-1"))


@fault()
def slope_wrong_in_one_slice(folder: Path) -> list[Truth]:
    """RescaleSlope of 1.4 in one slice, on values stored with 1"""
    return contradictory(folder, setting(only(MIDDLE), RescaleSlope="1.4"))


@fault()
def intercept_missing(folder: Path) -> list[Truth]:
    """No RescaleIntercept: values are off by 1024"""
    return contradictory(folder, setting(RescaleIntercept=None))


@fault()
def rescale_missing(folder: Path) -> list[Truth]:
    """Neither RescaleSlope nor RescaleIntercept"""
    return contradictory(folder, setting(RescaleIntercept=None, RescaleSlope=None))


@fault()
def intercept_zero(folder: Path) -> list[Truth]:
    """RescaleIntercept of 0 on values stored with -1024"""
    return contradictory(folder, setting(RescaleIntercept="0"))


@fault()
def intercept_too_low(folder: Path) -> list[Truth]:
    """RescaleIntercept of -2048 on values stored with -1024"""
    return contradictory(folder, setting(RescaleIntercept="-2048"))


@fault()
def intercept_wrong_in_one_slice(folder: Path) -> list[Truth]:
    """RescaleIntercept of 0 in one slice, on values stored with -1024"""
    return contradictory(folder, setting(only(MIDDLE), RescaleIntercept="0"))


@fault()
def intercept_slightly_wrong_in_two_slices(folder: Path) -> list[Truth]:
    """RescaleIntercept of -1004 in two slices, on values stored with -1024"""
    return contradictory(folder, setting(lambda i: i in (MIDDLE, MIDDLE + 9), RescaleIntercept="-1004"))


@fault()
def intercept_200_too_high(folder: Path) -> list[Truth]:
    """RescaleIntercept of -824 on values stored with -1024"""
    return contradictory(folder, setting(RescaleIntercept="-824"))


@fault()
def slope_a_fifth_too_large(folder: Path) -> list[Truth]:
    """RescaleSlope of 1.2 on values stored with 1"""
    return contradictory(folder, setting(RescaleSlope="1.2"))


def _rearranged(folder: Path, *, places: Sequence[int], mirrored: Sequence[int] = ()) -> list[Truth]:
    """The pixels of slice `places[i]` at the place of slice i."""
    hu = chest_hu()[list(places)].copy()
    hu[list(mirrored)] = hu[list(mirrored)][:, :, ::-1]
    chest_series(hu=hu).write(folder)
    return []


@fault()
def halves_exchanged(folder: Path) -> list[Truth]:
    """The pixels of the lower and of the upper half lie in each other's place"""
    return _rearranged(folder, places=[*range(30, 60), *range(30)])


@fault()
def half_mirrored(folder: Path) -> list[Truth]:
    """The pixels of the upper half are mirrored, right to left"""
    return _rearranged(folder, places=range(60), mirrored=range(30, 60))


@fault()
def pairs_exchanged(folder: Path) -> list[Truth]:
    """The pixels of each two slices lie in each other's place"""
    return _rearranged(folder, places=[i ^ 1 for i in range(60)])


@fault()
def pixels_twice(folder: Path) -> list[Truth]:
    """One slice has the pixels of the one below it"""
    return _rearranged(folder, places=[29 if i == MIDDLE else i for i in range(60)])


@fault()
def half_of_another_without_a_trace(folder: Path) -> list[Truth]:
    """The upper half is of another body, under the same identifiers"""
    return _upper_half_of_another(folder, PatientID="P1", SeriesInstanceUID=uid("chest"))


@fault()
def neighbours_exchanged_but_for_slice_location(folder: Path) -> list[Truth]:
    """Two neighbours have each other's position, but SliceLocation of their own"""

    def edit(i: int, dataset: Dataset) -> None:
        dataset.SliceLocation = f"{3.0 * i:.1f}"
        if i in (MIDDLE, MIDDLE + 1):
            place = ORIGIN_MM[2] + 3.0 * (2 * MIDDLE + 1 - i)
            dataset.ImagePositionPatient = [*ORIGIN_MM[:2], place]

    return contradictory(folder, edit)


@fault()
def spacing_wrong_along_columns(folder: Path) -> list[Truth]:
    """PixelSpacing with one of its numbers 0.6 times what it is"""
    return contradictory(folder, setting(PixelSpacing=[6.0, 3.3]))


def _round_field_of_view(plane: NDArray[Any], filling: int) -> NDArray[Any]:
    """Fill what lies outside of the scanner's circle."""
    rows, columns = np.indices(plane.shape)
    centre = (np.array(plane.shape) - 1) / 2
    return np.where(np.hypot(rows - centre[0], columns - centre[1]) > centre[0] + 0.5, filling, plane)


@fault(recoverable=True)
def padding_low(folder: Path) -> list[Truth]:
    """Filled with -2000 outside the scanner's circle, signed"""
    hu = chest_hu()

    def edit(i: int, dataset: Dataset) -> None:
        dataset.PixelRepresentation, dataset.RescaleIntercept = 1, 0
        dataset.PixelData = _round_field_of_view(hu[i], -2000).astype("<i2").tobytes()
        dataset.add_new("PixelPaddingValue", "SS", -2000)

    chest_series(edit).write(folder)
    return [chest_truth(np.stack([_round_field_of_view(plane, -1024) for plane in hu]))]


@fault(recoverable=True)
def padding_bright(folder: Path) -> list[Truth]:
    """Filled with 63536 outside the scanner's circle, unsigned: -2000 written by mistake"""

    def edit(i: int, dataset: Dataset) -> None:
        stored = np.frombuffer(dataset.PixelData, "<u2").reshape(SHAPE[1:])
        dataset.PixelData = _round_field_of_view(stored, 63536).astype("<u2").tobytes()
        dataset.add_new("PixelPaddingValue", "US", 63536)

    chest_series(edit).write(folder)
    return [chest_truth(np.stack([_round_field_of_view(plane, -1024) for plane in chest_hu()]))]


@fault(recoverable=True)
def bits_above_bits_stored(folder: Path) -> list[Truth]:
    """12 bits stored, an overlay in the four above"""

    def edit(i: int, dataset: Dataset) -> None:
        dataset.BitsStored, dataset.HighBit = 12, 11
        overlay = np.random.default_rng(i).integers(0, 16, SHAPE[1] * SHAPE[2]).astype(np.uint16)
        stored = np.frombuffer(dataset.PixelData, "<u2") | (overlay << 12)
        dataset.PixelData = stored.astype("<u2").tobytes()

    return plain(folder, edit)


@fault()
def monochrome1(folder: Path) -> list[Truth]:
    """MONOCHROME1, which says how to show values and does not change them"""
    return plain(folder, setting(PhotometricInterpretation="MONOCHROME1"))


@fault()
def colour(folder: Path) -> list[Truth]:
    """Colour images, as screenshots of a chest"""

    def edit(i: int, dataset: Dataset) -> None:
        grey = np.clip((chest_hu()[i].astype(float) + 1024) / 8, 0, 255).astype(np.uint8)
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit, dataset.PixelData = 7, np.stack([grey] * 3, axis=-1).tobytes()

    return contradictory(folder, edit)


# --- identity ----------------------------------------------------------------------------------------------------


@fault(recoverable=True)
def frame_of_reference_missing(folder: Path) -> list[Truth]:
    """No FrameOfReferenceUID, as after de-identification"""
    return plain(folder, setting(FrameOfReferenceUID=None))


def _upper_half_of_another(folder: Path, **values: Any) -> list[Truth]:
    """From another body, at the places that this one leaves free."""
    chest_series(skip=tuple(range(30, 60))).write(folder)
    other = chest_series(named("another"), setting(**values), hu=chest_hu(x=15, z=40), skip=tuple(range(30)))
    other.write(folder, prefix="other")
    return []


@fault()
def two_patients(folder: Path) -> list[Truth]:
    """One series' upper half has another PatientID"""
    return _upper_half_of_another(folder, PatientID="P2")


@fault()
def two_studies(folder: Path) -> list[Truth]:
    """One series' upper half has another StudyInstanceUID"""
    return _upper_half_of_another(folder, StudyInstanceUID=uid("another study"))


# --- damaged files -----------------------------------------------------------------------------------------------


@fault()
def truncated_pixels(folder: Path) -> list[Truth]:
    """One file ends in the middle of its pixels"""
    chest_series().write(folder)
    path = slice_path(folder, MIDDLE)
    path.write_bytes(path.read_bytes()[:-4000])
    return lost(MIDDLE)


@fault()
def cut_in_the_header(folder: Path) -> list[Truth]:
    """One file ends within its header"""
    chest_series().write(folder)
    path = slice_path(folder, MIDDLE)
    path.write_bytes(path.read_bytes()[:600])
    return lost(MIDDLE)


@fault()
def empty_file(folder: Path) -> list[Truth]:
    """One file is empty"""
    chest_series().write(folder)
    slice_path(folder, MIDDLE).write_bytes(b"")
    return lost(MIDDLE)


@fault()
def blank_slice(folder: Path) -> list[Truth]:
    """One slice's pixels are all zero, as after a broken transfer"""
    chest_series(lambda i, d: setattr(d, "PixelData", bytes(len(d.PixelData))) if i == MIDDLE else None).write(
        folder
    )
    return lost(MIDDLE)


@fault()
def kernel_lost_at_the_end(folder: Path) -> list[Truth]:
    """ConvolutionKernel is missing in the last 8 slices: they are of the same series all the same"""
    return plain(folder, setting(lambda i: i >= 52, ConvolutionKernel=None))


@fault()
def one_other_bit_depth(folder: Path) -> list[Truth]:
    """One slice states 8 bits stored instead of 16"""
    chest_series(setting(only(MIDDLE), BitsStored=8, HighBit=7)).write(folder)
    return lost(MIDDLE)


@fault()
def one_other_sign(folder: Path) -> list[Truth]:
    """One slice of a signed series says that its pixels are unsigned"""
    hu = chest_hu()

    def edit(i: int, dataset: Dataset) -> None:
        dataset.PixelRepresentation, dataset.RescaleIntercept = int(i != MIDDLE), 0
        dataset.PixelData = hu[i].astype("<i2").tobytes()

    chest_series(edit).write(folder)
    return lost(MIDDLE)


@fault()
def one_other_size(folder: Path) -> list[Truth]:
    """One slice has half the rows"""

    def edit(i: int, dataset: Dataset) -> None:
        if i == MIDDLE:
            dataset.Rows, dataset.PixelData = 32, dataset.PixelData[: len(dataset.PixelData) // 2]

    chest_series(edit).write(folder)
    return lost(MIDDLE)


@fault()
def nested_sequences(folder: Path) -> list[Truth]:
    """One file holds sequences nested 400 deep"""
    chest_series().write(folder)
    path = slice_path(folder, MIDDLE)
    unknown_length = b"\xff" * 4
    opening = b"\x00\x54\x00\x01SQ\0\0" + unknown_length + b"\xfe\xff\x00\xe0" + unknown_length
    closing = b"\xfe\xff\x0d\xe0" + bytes(4) + b"\xfe\xff\xdd\xe0" + bytes(4)
    content = path.read_bytes()
    pixels = content.index(b"\xe0\x7f\x10\x00OW")
    path.write_bytes(content[:pixels] + opening * 400 + closing * 400 + content[pixels:])
    return lost(MIDDLE)


@fault()
def wrong_element_length(folder: Path) -> list[Truth]:
    """One file in which an element claims to be longer than it is"""
    chest_series().write(folder)
    path = slice_path(folder, MIDDLE)
    content = bytearray(path.read_bytes())
    length_at = content.index(b"\x08\x00\x3e\x10LO") + 6
    content[length_at : length_at + 2] = (0x1234).to_bytes(2, "little")
    path.write_bytes(bytes(content))
    return lost(MIDDLE)


# --- encodings ---------------------------------------------------------------------------------------------------


def compressed(syntax: UID) -> Edit:
    """An edit that compresses the pixels."""
    return lambda i, dataset: dataset.compress(syntax, generate_instance_uid=False)


@fault(recoverable=True)
def implicit_vr(folder: Path) -> list[Truth]:
    """Implicit VR little endian"""
    return plain(folder, lambda i, d: setattr(d.file_meta, "TransferSyntaxUID", ImplicitVRLittleEndian))


@fault(recoverable=True)
def big_endian(folder: Path) -> list[Truth]:
    """Explicit VR big endian, retired"""

    def edit(i: int, dataset: Dataset) -> None:
        dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").byteswap().tobytes()
        dataset["PixelData"].VR = "OW"

    return plain(folder, edit)


@fault(recoverable=True)
def rle(folder: Path) -> list[Truth]:
    """Compressed by run lengths (RLE)"""
    return plain(folder, compressed(RLELossless))


@fault(recoverable=True)
def jpeg_2000(folder: Path) -> list[Truth]:
    """Compressed by JPEG 2000, lossless"""
    return plain(folder, compressed(JPEG2000Lossless))


def _without_preamble(folder: Path, which: Callable[[int], bool]) -> list[Truth]:
    """Strip preamble and file meta information, as archives from before PS3.10 hold slices."""
    truths = plain(folder)
    for path in [slice_path(folder, i) for i in filter(which, range(SHAPE[0]))]:
        dataset = pydicom.dcmread(path)
        del dataset.preamble, dataset.file_meta
        dataset.save_as(path, implicit_vr=True, little_endian=True, enforce_file_format=False)
    return truths


@fault(recoverable=True)
def no_preamble(folder: Path) -> list[Truth]:
    """Files without preamble and file meta information, implicit VR"""
    return _without_preamble(folder, lambda i: True)


@fault(recoverable=True)
def no_preamble_at_the_end(folder: Path) -> list[Truth]:
    """The last 8 slices have no preamble and no file meta information"""
    return _without_preamble(folder, lambda i: i >= 52)


@fault()
def encapsulated_in_a_native_syntax(folder: Path) -> list[Truth]:
    """RLE in all slices, but the files say explicit VR little endian"""

    def edit(i: int, dataset: Dataset) -> None:
        compressed(RLELossless)(i, dataset)
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian

    return contradictory(folder, edit)


@fault()
def truncated_jpeg_2000(folder: Path) -> list[Truth]:
    """One JPEG 2000 stream ends half-way, in a file whose lengths are right"""

    def edit(i: int, dataset: Dataset) -> None:
        dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
        if i == MIDDLE:
            (stream,) = pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1)
            dataset.PixelData = pydicom.encaps.encapsulate([stream[: len(stream) // 4 * 2]])

    chest_series(edit).write(folder)
    return lost(MIDDLE)


def _multi_frame(folder: Path, *edits: Edit) -> Dataset:
    """All slices as frames of one legacy converted enhanced CT; the file is left to be written."""
    chest_series(*edits).write(folder)
    paths = sorted(folder.iterdir())
    slices = [pydicom.dcmread(path) for path in paths]
    for path in paths:
        path.unlink()
    return highdicom.legacy.LegacyConvertedEnhancedCTImage(
        legacy_datasets=slices,
        series_instance_uid=uid("frames"),
        series_number=1,
        sop_instance_uid=uid("frames", 1),
        instance_number=1,
    )


@fault(recoverable=True)
def multi_frame(folder: Path) -> list[Truth]:
    """Enhanced CT: all slices as frames of one file"""
    _multi_frame(folder).save_as(folder / "frames", enforce_file_format=True)
    return [chest_truth()]


@fault(recoverable=True)
def multi_frame_slopes(folder: Path) -> list[Truth]:
    """Enhanced CT with a RescaleSlope for each frame"""
    _multi_frame(folder, _own_slopes).save_as(folder / "frames", enforce_file_format=True)
    return [chest_truth()]


@fault()
def multi_frame_without_places(folder: Path) -> list[Truth]:
    """Enhanced CT whose frames have no position"""
    dataset = _multi_frame(folder)
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        del frame.PlanePositionSequence
    dataset.save_as(folder / "frames", enforce_file_format=True)
    return []


# --- other files beside ------------------------------------------------------------------------------------------


def _beside(sop_class: UID, modality: str) -> Dataset:
    dataset = chest_series().dataset(0)
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, uid(modality)
    dataset.Modality, dataset.SeriesInstanceUID, dataset.SeriesNumber = modality, uid("series", modality), 9
    return dataset


@fault(recoverable=True)
def segmentation_beside(folder: Path) -> list[Truth]:
    """A segmentation of the same study lies beside"""
    truths = plain(folder)
    dataset = _beside(SegmentationStorage, "SEG")
    dataset.SegmentationType, dataset.NumberOfFrames = "BINARY", 60
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit, dataset.PixelData = 0, bytes(60 * 64 * 64 // 8)
    dataset["PixelData"].VR = "OB"
    dataset.save_as(folder / "segmentation", enforce_file_format=True)
    return truths


@fault(recoverable=True)
def structure_set_beside(folder: Path) -> list[Truth]:
    """An RTSTRUCT of the same study lies beside"""
    truths = plain(folder)
    dataset = _beside(RTStructureSetStorage, "RTSTRUCT")
    for keyword in ("PixelData", "Rows", "Columns", "ImagePositionPatient", "PixelSpacing"):
        delattr(dataset, keyword)
    dataset.StructureSetLabel = "contours"
    dataset.save_as(folder / "structures", enforce_file_format=True)
    return truths


@fault(recoverable=True)
def dicomdir_beside(folder: Path) -> list[Truth]:
    """A DICOMDIR lies beside"""
    truths = plain(folder)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = uid("directory")
    dataset.FileSetID, dataset.DirectoryRecordSequence = "CHEST", []
    dataset.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = 0
    dataset.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity = 0
    dataset.FileSetConsistencyFlag = 0
    dataset.save_as(folder / "DICOMDIR", enforce_file_format=True)
    return truths


@fault(recoverable=True)
def other_files_beside(folder: Path) -> list[Truth]:
    """Text, a picture's first bytes and a hidden file lie beside"""
    truths = plain(folder)
    (folder / "README.txt").write_text("exported by hand", encoding="utf-8")
    (folder / "key.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(200))
    (folder / ".DS_Store").write_bytes(bytes(64))
    return truths
