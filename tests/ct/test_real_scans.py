"""Real scans: two chests as NRRD and written out as DICOM, a tilted head, and a folder of one slice many times."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pydicom
import pytest
import SimpleITK

from pefuse.ct import read_scan, to_grid
from pefuse.ct.finding import find_files
from pefuse.ct.headers import read_headers
from pefuse.ct.pixels import read_stored
from pefuse.ct.plausibility import NO_CONTRAST
from pefuse.errors import GeometryError, ScanError, SeriesError
from pefuse.types import Volume

CHESTS = ("lung1", "lung2")


@pytest.fixture(scope="module", params=CHESTS)
def nrrd(request: pytest.FixtureRequest, test_data: Path) -> Path:
    return test_data / "pyradiomics_lung" / f"{request.param}_image.nrrd"


@pytest.fixture(scope="module")
def chest(nrrd: Path) -> tuple[Volume, Volume]:
    """The scan and its grid, from NRRD."""
    volume, _ = read_scan(nrrd)
    return volume, to_grid(volume)


def written_as_dicom(synthetic: ModuleType, nrrd: Path, folder: Path, **options: object) -> Path:
    image = SimpleITK.ReadImage(str(nrrd))
    x, y, z = image.GetSpacing()
    hu = SimpleITK.GetArrayFromImage(image)
    writer = synthetic.SeriesWriter(hu=hu, spacing_mm=(z, y, x), origin_mm=image.GetOrigin(), **options)
    written: Path = writer.write(folder)
    return written


def same(dicom: Path, chest: tuple[Volume, Volume]) -> None:
    volume, grid = chest
    again, report = read_scan(dicom)
    from_dicom = to_grid(again)
    assert np.abs(from_dicom.hu.astype(int) - grid.hu).mean() < 1
    np.testing.assert_allclose(again.affine, volume.affine, atol=1e-4)
    np.testing.assert_allclose(from_dicom.affine, grid.affine, atol=1e-4)
    assert report.chosen is not None
    assert report.chosen.slices == len(volume.hu)


@pytest.mark.slow
def test_shuffled_dicom_gives_the_same_grid(synthetic, nrrd, chest, tmp_path):
    same(written_as_dicom(synthetic, nrrd, tmp_path / "scan", seed=5), chest)


@pytest.mark.slow
def test_a_slope_for_each_slice_gives_the_same_grid(synthetic, nrrd, chest, tmp_path):
    """Slopes of 0.2 to 0.9, as PET/CT and some reconstructions write: an error in one would be hundreds of HU."""
    writer = synthetic.SeriesWriter()

    def own_slope(i, dataset):
        stored = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)
        writer.set_pixels(dataset, stored.astype(float) - 1024, slope=0.2 + 0.7 * (i % 7) / 6)

    same(written_as_dicom(synthetic, nrrd, tmp_path / "scan", edit=own_slope), chest)


@pytest.mark.slow
def test_feet_first_and_prone_give_the_same_grid(synthetic, nrrd, chest, tmp_path):
    """Lying prone, feet first: rows run to the patient's right, columns to the front."""
    turned = {"row": (-1.0, 0.0, 0.0), "column": (0.0, -1.0, 0.0)}
    same(written_as_dicom(synthetic, nrrd, tmp_path / "prone", **turned), chest)
    feet_first = {"row": (-1.0, 0.0, 0.0)}
    same(written_as_dicom(synthetic, nrrd, tmp_path / "feet-first", **feet_first), chest)


# Where the heart lies between the lungs, and the level of the shoulders, as seen in pictures of the two grids.
HEART = {
    "lung1": (slice(22, 42), slice(65, 95)),
    "lung2": (slice(50, 66), slice(38, 70)),
}
SIDES = (slice(32, 54), slice(74, 96))  # X: the patient's right of the spine, and the left


def soft(hu: np.ndarray) -> int:
    return int(((hu > -100) & (hu < 300)).sum())


def test_the_grid_is_the_right_way_up(chest, nrrd):
    """By anatomy: the spine is behind, the heart on the left, and lungs taper to the head."""
    hu = chest[1].hu
    bone = hu[:, :, 52:76] > 250
    body_y = np.nonzero(soft_rows(hu))[0]
    middle_y = (body_y[0] + body_y[-1]) // 2
    assert bone[:, middle_y:].sum() > 2 * bone[:, :middle_y].sum(), "Y does not run to the back"
    z, y = HEART[nrrd.name[:5]]
    right, left = (soft(hu[z, y, x]) for x in SIDES)
    assert left > 1.5 * right, "X does not run to the patient's left"
    lung = ((hu > -950) & (hu < -650)).sum(axis=(1, 2))
    assert lung[104:112].mean() < 0.6 * lung[56:72].mean(), "Z does not run to the head"


def soft_rows(hu: np.ndarray) -> np.ndarray:
    """Rows (Y) of the grid in which the body lies."""
    rows: np.ndarray = ((hu > -200) & (hu < 300)).mean(axis=(0, 2)) > 0.3
    return rows


def test_the_liver_is_low(test_data):
    """Only the second scan reaches it; there, lungs taper to both ends."""
    hu = to_grid(read_scan(test_data / "pyradiomics_lung" / "lung2_image.nrrd")[0]).hu
    assert soft(hu[15:33, 35:75, SIDES[0]]) > 2 * soft(hu[95:113, 35:75, SIDES[0]])


def test_the_affine_is_in_the_designs_axes(chest):
    """Z runs to the head (+z), Y to the back (+y), X to the patient's left (+x), in LPS."""
    for volume in chest:
        directions = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
        np.testing.assert_allclose(directions, [[0, 0, 1], [0, 1, 0], [1, 0, 0]], atol=1e-6)


def test_a_tilted_head_with_uneven_gaps_is_refused_by_name(test_data):
    with pytest.raises(GeometryError) as refusal:
        read_scan(test_data / "dcm_qa_ct_ge")
    assert "tilted by 18.5 degrees too" in refusal.value.reason
    assert "one gap" in refusal.value.reason


def test_one_slice_in_many_compressions_is_no_volume(test_data):
    with pytest.raises(ScanError, match="patient"):
        read_scan(test_data / "ct_transfer_syntaxes")


def test_real_chests_without_contrast_are_warned_of(nrrd):
    """Their blood has 35 to 60 HU, as seen in pictures and histograms of both."""
    assert read_scan(nrrd)[1].warnings == (NO_CONTRAST,)


def pydicom_files(folder: str) -> Path:
    return Path(pydicom.__file__).parent / "data" / folder


def test_pydicom_s_own_files_are_sorted_and_none_stops_the_reading():
    """Big endian, without a header, cut off, of a dozen modalities and patients."""
    headers, others = read_headers(find_files(pydicom_files("test_files")))
    assert len(headers) >= 10
    assert sum(others.values()) + len({header.path for header in headers}) == sum(
        1 for _ in find_files(pydicom_files("test_files"))
    )
    assert {"DICOM of modality MR", "DICOM of modality RTPLAN", "not DICOM"} <= set(others)
    with pytest.raises(SeriesError, match="different patient identifiers"):
        read_scan(pydicom_files("test_files"))
    with pytest.raises(SeriesError, match="no CT image"):
        read_scan(pydicom_files("charset_files"))


def test_the_ct_slices_of_pydicom_s_own_files_are_those_it_decodes():
    """Explicit VR and JPEG 2000, one with a stream that contradicts its header."""
    headers, _ = read_headers(find_files(pydicom_files("test_files")))
    whole = [header for header in headers if header.pixels is not None and header.frame is None]
    assert len(whole) >= 10
    for header in whole:
        expected = pydicom.dcmread(header.path).pixel_array
        np.testing.assert_array_equal(read_stored(header), expected, err_msg=header.path.name)
