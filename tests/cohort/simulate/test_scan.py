"""A request as files: the main series and its mask are read back exactly; other series lie beside it."""

from __future__ import annotations

import hashlib
from collections import defaultdict

import highdicom
import numpy as np
import pandas as pd
import pydicom
import pytest
import SimpleITK

from pefuse.cohort.simulate.scan import ScanRequest, simulate_scan, write_scan
from pefuse.errors import StorageError

SEEDS = range(16)


def request(seed=1, **changes):
    given = {
        "study_id": f"case-{seed}",
        "patient_id": seed,
        "index_time": pd.Timestamp("2015-03-04 10:11:12"),
        "sex": "F",
        "age_years": 66.0,
        "strain": 1.0,
        "clot_burden": 0.5,
        "seed": seed,
        "matrix": 40,
        "slices": 20,
    }
    return ScanRequest(**(given | changes))


def series_of(folder):
    groups = defaultdict(list)
    for file in sorted(folder.iterdir()):
        image = pydicom.dcmread(file)
        image.filename = str(file)
        groups[image.SeriesDescription].append(image)
    return dict(groups)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    for seed in SEEDS:
        write_scan(request(seed), folder=folder / str(seed), truth_mask=folder / f"{seed}.nii.gz")
    return {seed: (folder / str(seed), folder / f"{seed}.nii.gz") for seed in SEEDS}


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4, 5])
def test_highdicom_reads_back_the_values_and_the_geometry(seed, written):
    scan = simulate_scan(request(seed))
    read = highdicom.get_volume_from_series(series_of(written[seed][0])["CTPA"], dtype=np.float32)
    # highdicom may count from the head; put its first axis from feet to head.
    order = slice(None) if read.affine[2, 0] > 0 else slice(None, None, -1)
    first = 0 if read.affine[2, 0] > 0 else read.shape[0] - 1
    affine = scan.volume.affine

    np.testing.assert_array_equal(read.array[order], scan.volume.hu)
    np.testing.assert_allclose(np.abs(read.affine[:3, :3]), affine[:3, :3], atol=1e-5)
    np.testing.assert_allclose((read.affine @ [first, 0, 0, 1])[:3], affine[:3, 3], atol=1e-5)


def test_simpleitk_reads_the_same_volume_and_the_mask_lies_on_it(written):
    folder, mask_file = written[2]
    files = sorted(series_of(folder)["CTPA"], key=lambda image: float(image.ImagePositionPatient[2]))
    image = SimpleITK.ReadImage([file.filename for file in files])
    mask = SimpleITK.ReadImage(str(mask_file))
    scan = simulate_scan(request(2))

    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), scan.volume.hu)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(mask), scan.labels)
    assert mask.GetSize() == image.GetSize()
    np.testing.assert_allclose(mask.GetOrigin(), image.GetOrigin(), atol=1e-3)
    np.testing.assert_allclose(mask.GetSpacing(), image.GetSpacing(), atol=1e-4)
    np.testing.assert_allclose(mask.GetDirection(), image.GetDirection(), atol=1e-6)


def test_every_study_has_a_localizer_and_some_a_second_series(written):
    found = [series_of(folder) for folder, _ in written.values()]
    extra = [tuple(set(groups) - {"SCOUT", "CTPA"}) for groups in found]

    for groups in found:
        assert len(groups["SCOUT"]) == 1
        assert "LOCALIZER" in groups["SCOUT"][0].ImageType
        assert len(groups["CTPA"]) == 20
    assert 2 <= sum(map(bool, extra)) <= 9
    assert () in extra


@pytest.fixture(scope="module")
def second_series(tmp_path_factory):
    """One study of each kind of second series."""
    folder, found = tmp_path_factory.mktemp("second"), {}
    for seed in range(100, 200):
        target = folder / str(seed)
        write_scan(request(seed, matrix=24, slices=12), folder=target, truth_mask=folder / f"{seed}.nii.gz")
        groups = series_of(target)
        for name in set(groups) - {"SCOUT", "CTPA"}:
            found.setdefault(name, (seed, groups))
        if len(found) == 3:
            break
    return found


def test_thick_slices_are_the_mean_of_thin_ones_at_their_middle(second_series):
    seed, groups = second_series["CHEST THICK"]
    scan = simulate_scan(request(seed, matrix=24, slices=12))
    thick = highdicom.get_volume_from_series(groups["CHEST THICK"], dtype=np.float32)
    array = thick.array if thick.affine[2, 0] > 0 else thick.array[::-1]
    lowest = min(float(image.ImagePositionPatient[2]) for image in groups["CHEST THICK"])
    spacing = scan.volume.spacing_mm[0]

    np.testing.assert_allclose(array[0], scan.volume.hu[:2].mean(axis=0), atol=0.51)
    assert lowest == pytest.approx(scan.volume.affine[2, 3] + spacing / 2, abs=1e-4)
    assert float(groups["CHEST THICK"][0].SliceThickness) == pytest.approx(2 * spacing)


def test_the_lung_kernel_is_noisier_than_the_soft_one(second_series):
    """Standard deviation over all voxels that are nothing but liver."""
    seed, groups = second_series["LUNG"]
    scan = simulate_scan(request(seed, matrix=24, slices=12))
    liver = np.abs(scan.phantom.hu - scan.anatomy.nuisance.liver_hu) < 0.1

    def noise(images):
        volume = highdicom.get_volume_from_series(images, dtype=np.float32)
        return (volume.array if volume.affine[2, 0] > 0 else volume.array[::-1])[liver].std()

    assert liver.sum() > 100
    assert noise(groups["LUNG"]) > 1.7 * noise(groups["CTPA"])
    assert groups["LUNG"][0].ConvolutionKernel != groups["CTPA"][0].ConvolutionKernel


def test_the_coronal_reformat_shows_the_same_body_head_up(second_series):
    """Its top row is the highest slice, averaged over each image's two rows of voxels."""
    seed, groups = second_series["COR MPR"]
    scan = simulate_scan(request(seed, matrix=24, slices=12))
    coronal = sorted(groups["COR MPR"], key=lambda image: float(image.ImagePositionPatient[1]))
    array = np.stack([image.pixel_array + float(image.RescaleIntercept) for image in coronal])
    head = scan.volume.affine[2, 3] + scan.volume.spacing_mm[0] * (len(scan.volume.hu) - 1)

    assert len(coronal) == 12
    assert "REFORMATTED" in coronal[0].ImageType
    assert float(coronal[0].ImagePositionPatient[2]) == pytest.approx(head, abs=1e-4)
    np.testing.assert_allclose(array[:, 0], scan.volume.hu[-1].reshape(12, 2, 24).mean(axis=1), atol=0.51)


def test_the_localizer_shows_the_head_end_first(written):
    """The top row of the scout is the highest slice: its mean attenuation goes with that slice's."""
    scan = simulate_scan(request(4))
    image = series_of(written[4][0])["SCOUT"][0]
    rows = image.pixel_array.astype(float).mean(axis=1)
    slices = scan.volume.hu.astype(float).mean(axis=(1, 2))[::-1]

    assert np.corrcoef(rows, slices)[0, 1] > 0.99


def test_the_same_request_gives_the_same_bytes(tmp_path):
    def digest(name):
        folder, mask = tmp_path / name, tmp_path / f"{name}.nii.gz"
        write_scan(request(7), folder=folder, truth_mask=mask)
        files = [*sorted(folder.iterdir()), mask]
        return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]

    assert digest("one") == digest("two")


def test_file_names_do_not_tell_the_order(written):
    images = series_of(written[3][0])["CTPA"]
    by_name = [float(image.ImagePositionPatient[2]) for image in images]

    assert by_name != sorted(by_name)
    assert by_name != sorted(by_name, reverse=True)


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "precious").write_text("keep")

    with pytest.raises(StorageError):
        write_scan(request(), folder=folder, truth_mask=tmp_path / "mask.nii.gz")

    assert [file.name for file in folder.iterdir()] == ["precious"]


@pytest.mark.slow
def test_strain_can_be_learned_from_a_coarse_volume():
    """Ridge regression on windowed volumes of 16 x 16 x 16, 150 scans: it explains most of 60 others' strain."""
    rng = np.random.default_rng(0)
    strain, burden = rng.standard_normal((2, 210))
    volumes = []
    for seed, (s, b) in enumerate(zip(strain, burden, strict=True)):
        scan = simulate_scan(
            request(
                seed, strain=s, clot_burden=b, sex="FM"[seed % 2], age_years=40.0 + seed % 45, matrix=64, slices=32
            )
        )
        window = np.clip((scan.volume.hu.astype(np.float32) + 150) / 600, 0, 1)
        volumes.append(window.reshape(16, 2, 16, 4, 16, 4).mean(axis=(1, 3, 5)).ravel())
    train, test = slice(0, 150), slice(150, 210)
    centred = np.array(volumes) - np.mean(volumes[train], axis=0)
    kernel = centred @ centred.T
    weights = np.linalg.solve(kernel[train, train] + np.eye(150), strain[train] - strain[train].mean())
    predicted = kernel[test, train] @ weights + strain[train].mean()
    unexplained = ((predicted - strain[test]) ** 2).mean() / strain[test].var()

    assert 1 - unexplained > 0.6
