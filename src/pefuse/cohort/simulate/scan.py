"""A requested CTPA as files: a folder of DICOM series and, beside it, the mask of the truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK
from numpy.typing import NDArray

from pefuse.cohort.simulate.anatomy import Anatomy, draw_anatomy
from pefuse.cohort.simulate.canvas import Grid
from pefuse.cohort.simulate.dicom_writer import Scanner, Series, StudyHeader, choose_scanner, write_series
from pefuse.cohort.simulate.phantom import Phantom, draw_phantom, expose, scan_grid
from pefuse.storage import atomic_file, atomic_folder
from pefuse.types import Volume

__all__ = ["ScanRequest", "SimulatedScan", "simulate_scan", "write_scan"]

SECOND_SERIES = ("thick", "lung", "coronal")
SECOND_SERIES_SHARE = 0.3
AXIAL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
CORONAL = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0))


@dataclass(frozen=True, kw_only=True)
class ScanRequest:
    """One CTPA to simulate: whose, when, how strained the heart, how much clot, how large the images."""

    study_id: str
    patient_id: int
    index_time: pd.Timestamp
    sex: str
    age_years: float
    strain: float  # standard normal latent: RV strain
    clot_burden: float  # standard normal latent
    seed: int
    matrix: int = 128
    slices: int = 64
    full_size: bool = False  # 512 x 512 x about 300 at 0.7 x 0.7 x 1 mm
    site: str = ""
    shortcut_mark: bool = False


@dataclass(frozen=True, kw_only=True)
class SimulatedScan:
    """The main series as a volume, with what it was made from. `labels` is uint8, see `phantom.LABELS`."""

    volume: Volume
    labels: NDArray[np.uint8]
    anatomy: Anatomy
    scanner: Scanner
    phantom: Phantom


def simulate_scan(request: ScanRequest) -> SimulatedScan:
    """Draw and expose the main series, without writing it: HU int16 `(Z, Y, X)`."""
    anatomy = draw_anatomy(
        strain=request.strain,
        clot_burden=request.clot_burden,
        sex=request.sex,
        age_years=request.age_years,
        seed=request.seed,
        shortcut_mark=request.shortcut_mark,
    )
    nuisance = anatomy.nuisance
    grid = scan_grid(nuisance, matrix=request.matrix, slices=request.slices, full_size=request.full_size)
    phantom = draw_phantom(anatomy, grid)
    scanner = choose_scanner(site=request.site, seed=request.seed)
    hu = expose(phantom, nuisance, blur_mm=scanner.soft_blur_mm, noise_hu=nuisance.noise_hu, seed=10)
    return SimulatedScan(
        volume=Volume(hu=_whole(hu), affine=grid.affine),
        labels=phantom.labels,
        anatomy=anatomy,
        scanner=scanner,
        phantom=phantom,
    )


def write_scan(request: ScanRequest, *, folder: Path, truth_mask: Path) -> None:
    """Write a study's DICOM files into `folder` and its masks (NIfTI, same geometry) to `truth_mask`.

    The main series, a localizer and, in about a third of the studies, a second reconstruction (thick slices, lung
    kernel or coronal) lie side by side in one folder under names that say nothing.

    Raises:
        StorageError: `folder` holds something already, or the disk is full.
    """
    scan = simulate_scan(request)
    study = _study_header(request, scan.scanner)
    all_series = [_localizer(scan), _main_series(scan), *_second_series(scan, request)]
    names = _file_names(sum(len(series.hu) for series in all_series), request.seed)
    with atomic_folder(folder) as partial:
        for series in all_series:
            own, names = names[: len(series.hu)], names[len(series.hu) :]
            write_series(series, study, folder=partial, names=own)
    _write_mask(scan.labels, scan.phantom.grid, truth_mask)


def _study_header(request: ScanRequest, scanner: Scanner) -> StudyHeader:
    return StudyHeader(
        study_id=request.study_id,
        patient_id=request.patient_id,
        time=request.index_time,
        sex=request.sex,
        age_years=request.age_years,
        seed=request.seed,
        site=request.site,
        scanner=scanner,
    )


def _main_series(scan: SimulatedScan) -> Series:
    grid = scan.phantom.grid
    return Series(
        number=3,
        description="CTPA",
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
        kernel=scan.scanner.soft_kernel,
        hu=_whole(scan.volume.hu),
        first_mm=_lps(grid.origin_mm),
        along_row=AXIAL[0],
        along_column=AXIAL[1],
        step_mm=(0.0, 0.0, grid.spacing_mm[0]),
        pixel_mm=grid.spacing_mm[1:],
        thickness_mm=grid.spacing_mm[0],
    )


def _localizer(scan: SimulatedScan) -> Series:
    """The scout from the front: attenuation summed from front to back, head up."""
    grid = scan.phantom.grid
    through = (scan.volume.hu.astype(np.float32) + 1000.0).mean(axis=1)[::-1]
    scout = through * (1200.0 / max(float(through.max()), 1.0)) - 1000.0
    z, _, x = grid.origin_mm
    head = z + grid.spacing_mm[0] * (grid.shape[0] - 1)
    return Series(
        number=1,
        description="SCOUT",
        image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"),
        kernel=scan.scanner.soft_kernel,
        hu=_whole(scout[None]),
        first_mm=(x, 0.0, head),
        along_row=CORONAL[0],
        along_column=CORONAL[1],
        step_mm=(0.0, 1.0, 0.0),
        pixel_mm=(grid.spacing_mm[0], grid.spacing_mm[2]),
        thickness_mm=grid.spacing_mm[1] * grid.shape[1],
        contrast=False,
    )


def _second_series(scan: SimulatedScan, request: ScanRequest) -> list[Series]:
    rng = np.random.default_rng([request.seed, 21])
    if rng.uniform() >= SECOND_SERIES_SHARE:
        return []
    kind = SECOND_SERIES[int(rng.integers(len(SECOND_SERIES)))]
    return [{"thick": _thick, "lung": _lung, "coronal": _coronal}[kind](scan)]


def _thick(scan: SimulatedScan) -> Series:
    """Slabs averaged from neighbouring slices, about 8 mm or two slices thick."""
    grid = scan.phantom.grid
    together = max(2, round(8.0 / grid.spacing_mm[0]))
    count = grid.shape[0] // together
    hu = scan.volume.hu[: count * together].astype(np.float32)
    slabs = hu.reshape(count, together, *hu.shape[1:]).mean(axis=1)
    z, y, x = grid.origin_mm
    step = grid.spacing_mm[0] * together
    return Series(
        number=5,
        description="CHEST THICK",
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
        kernel=scan.scanner.soft_kernel,
        hu=_whole(slabs),
        first_mm=(x, y, z + grid.spacing_mm[0] * (together - 1) / 2),
        along_row=AXIAL[0],
        along_column=AXIAL[1],
        step_mm=(0.0, 0.0, step),
        pixel_mm=grid.spacing_mm[1:],
        thickness_mm=step,
    )


def _lung(scan: SimulatedScan) -> Series:
    """The same slices through a sharp kernel: crisper and much noisier."""
    grid, nuisance = scan.phantom.grid, scan.anatomy.nuisance
    blur = scan.scanner.soft_blur_mm / 3
    hu = expose(scan.phantom, nuisance, blur_mm=blur, noise_hu=2.6 * nuisance.noise_hu, seed=11)
    return Series(
        number=4,
        description="LUNG",
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
        kernel=scan.scanner.lung_kernel,
        hu=_whole(hu),
        first_mm=_lps(grid.origin_mm),
        along_row=AXIAL[0],
        along_column=AXIAL[1],
        step_mm=(0.0, 0.0, grid.spacing_mm[0]),
        pixel_mm=grid.spacing_mm[1:],
        thickness_mm=grid.spacing_mm[0],
    )


def _coronal(scan: SimulatedScan) -> Series:
    """A reformat with square pixels, front to back, head up, each image two rows thick."""
    grid = scan.phantom.grid
    hu = scan.volume.hu.astype(np.float32)
    depth, rows, columns = hu.shape
    pairs = hu[:, : rows // 2 * 2].reshape(depth, rows // 2, 2, columns).mean(axis=2)
    pixel = grid.spacing_mm[2]
    height = int((depth - 1) * grid.spacing_mm[0] / pixel) + 1
    at = (depth - 1) - np.arange(height) * (pixel / grid.spacing_mm[0])  # fractional slice, head first
    low = np.clip(np.floor(at).astype(int), 0, depth - 2)
    share = (at - low).astype(np.float32)[:, None, None]
    images = (pairs[low] * (1 - share) + pairs[low + 1] * share).transpose(1, 0, 2)
    z, y, x = grid.origin_mm
    return Series(
        number=6,
        description="COR MPR",
        image_type=("DERIVED", "SECONDARY", "REFORMATTED"),
        kernel=scan.scanner.soft_kernel,
        hu=_whole(images),
        first_mm=(x, y + grid.spacing_mm[1] / 2, z + grid.spacing_mm[0] * (depth - 1)),
        along_row=CORONAL[0],
        along_column=CORONAL[1],
        step_mm=(0.0, 2 * grid.spacing_mm[1], 0.0),
        pixel_mm=(pixel, pixel),
        thickness_mm=2 * grid.spacing_mm[1],
    )


def _file_names(count: int, seed: int) -> list[str]:
    """Names whose order has nothing to do with the slices'."""
    order = np.random.default_rng([seed, 22]).permutation(count)
    return [f"IM{number + 1:06d}" for number in order]


def _write_mask(labels: NDArray[np.uint8], grid: Grid, path: Path) -> None:
    image = SimpleITK.GetImageFromArray(labels)
    image.SetSpacing(  # type: ignore[no-untyped-call]
        _lps(grid.spacing_mm)
    )
    image.SetOrigin(  # type: ignore[no-untyped-call]
        _lps(grid.origin_mm)
    )
    with atomic_file(path) as partial:
        SimpleITK.WriteImage(image, str(partial), useCompression=True)


def _lps(triple: tuple[float, float, float]) -> tuple[float, float, float]:
    """From array order `(Z, Y, X)` to LPS order `(x, y, z)`."""
    return triple[2], triple[1], triple[0]


def _whole(hu: NDArray[np.float32] | NDArray[np.int16]) -> NDArray[np.int16]:
    whole: NDArray[np.int16] = np.clip(np.rint(hu), -1024, 3071).astype(np.int16)
    return whole
