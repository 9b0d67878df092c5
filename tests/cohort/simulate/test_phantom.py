"""The drawn chest: HU where they belong, masks inside the heart, signs that grow with strain."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import binary_fill_holes

from pefuse.cohort.simulate.anatomy import draw_anatomy
from pefuse.cohort.simulate.canvas import Canvas, Grid, Pose
from pefuse.cohort.simulate.phantom import LABELS, draw_phantom, expose, scan_grid
from pefuse.ct.lungs import lung_box
from pefuse.types import Volume

STILL = Pose(scale=1.0, turn_rad=0.0, shift_mm=(0.0, 0.0, 0.0))


def chest(*, strain=0.0, clot_burden=0.0, seed=3, sex="M", shortcut_mark=False, matrix=96, slices=48):
    anatomy = draw_anatomy(
        strain=strain, clot_burden=clot_burden, sex=sex, age_years=60.0, seed=seed, shortcut_mark=shortcut_mark
    )
    grid = scan_grid(anatomy.nuisance, matrix=matrix, slices=slices, full_size=False)
    return anatomy, draw_phantom(anatomy, grid)


@pytest.fixture(scope="module")
def by_strain():
    return {strain: chest(strain=strain) for strain in (-2.0, 0.0, 2.0, 3.5)}


def index_of(anatomy, grid, point):
    """Array index of a point of the reference body."""
    nuisance = anatomy.nuisance
    turn = np.deg2rad(nuisance.turn_deg)
    x, y, z = np.multiply(point, nuisance.body_scale)
    place = (z, np.sin(turn) * x + np.cos(turn) * y, np.cos(turn) * x - np.sin(turn) * y)
    at = [
        (value + shift - origin) / spacing
        for value, shift, origin, spacing in zip(
            place, nuisance.shift_mm[::-1], grid.origin_mm, grid.spacing_mm, strict=True
        )
    ]
    return tuple(round(value) for value in at)


def volume_ml(phantom, name):
    return (phantom.labels == LABELS[name]).sum() * np.prod(phantom.grid.spacing_mm) / 1000


def test_a_painted_ball_has_its_volume():
    """4/3 pi 20^3 = 33.5 ml."""
    grid = Grid(shape=(32, 32, 32), spacing_mm=(2.0, 2.0, 2.0), origin_mm=(-31.0, -31.0, -31.0))
    canvas = Canvas(grid, STILL, air_hu=0.0)
    canvas.ellipsoid((1.0, 0.0, -2.0), (20.0, 20.0, 20.0), 1.0, label=7)

    assert canvas.hu.sum() * 8 / 1000 == pytest.approx(33.51, rel=0.01)
    assert (canvas.labels == 7).sum() * 8 / 1000 == pytest.approx(33.51, rel=0.02)


def test_a_painted_tube_has_its_volume_and_is_faint_when_thinner_than_a_voxel():
    """pi 6^2 40 + 4/3 pi 6^3 = 5.43 ml."""
    grid = Grid(shape=(40, 40, 40), spacing_mm=(2.0, 2.0, 2.0), origin_mm=(-39.0, -39.0, -39.0))
    canvas = Canvas(grid, STILL, air_hu=0.0)
    canvas.tube([(-20.0, 0.0, 0.0), (20.0, 0.0, 0.0)], [6.0, 6.0], 1.0)
    thin = Canvas(grid, STILL, air_hu=0.0)
    thin.tube([(-20.0, 1.0, 1.0), (20.0, 1.0, 1.0)], [0.3, 0.3], 1.0)

    assert canvas.hu.sum() * 8 / 1000 == pytest.approx(5.43, rel=0.03)
    assert 0 < thin.hu.max() < 0.5


def test_a_turned_and_moved_body_is_painted_at_the_turned_and_moved_place():
    pose = Pose(scale=1.1, turn_rad=np.pi / 2, shift_mm=(4.0, 0.0, 0.0))
    grid = Grid(shape=(20, 60, 60), spacing_mm=(2.0, 2.0, 2.0), origin_mm=(-19.0, -59.0, -59.0))
    canvas = Canvas(grid, pose, air_hu=0.0)
    canvas.ellipsoid((30.0, 0.0, 0.0), (8.0, 8.0, 8.0), 1.0)  # body's left turns to the back: y = 33, x = 4
    z, y, x = (np.average(grid.axis_mm(a), weights=canvas.hu.sum(axis=tuple({0, 1, 2} - {a}))) for a in range(3))

    np.testing.assert_allclose([x, y, z], [4.0, 33.0, 0.0], atol=0.3)


def test_slabs_join_without_a_seam(monkeypatch):
    anatomy, whole = chest(matrix=48, slices=24)
    monkeypatch.setattr("pefuse.cohort.simulate.phantom.SLAB_VOXELS", 48 * 48 * 5)
    pieces = draw_phantom(anatomy, whole.grid)

    np.testing.assert_allclose(pieces.hu, whole.hu, atol=0.6)
    assert (pieces.labels != whole.labels).mean() < 1e-5


def test_tissues_have_their_hounsfield_units(by_strain):
    anatomy, phantom = by_strain[0.0]
    nuisance = anatomy.nuisance

    def hu(*point):
        return phantom.hu[index_of(anatomy, phantom.grid, point)]

    assert hu(0.0, -165.0, 0.0) == -1000  # air before the chest
    assert hu(0.0, 18.0, 40.0) < -850  # trachea
    assert hu(18.0, -38.0, -30.0) == pytest.approx(nuisance.trunk_hu, abs=15)  # pulmonary trunk
    assert hu(-70.0, -20.0, -165.0) == pytest.approx(nuisance.liver_hu, abs=15)  # liver, on the right
    assert hu(25.0, 46.0, -50.0) == pytest.approx(
        nuisance.left_fraction * nuisance.trunk_hu, abs=20
    )  # aorta, left
    assert 100 < hu(0.0, 63.0, -48.0) < 350  # marrow of a vertebra


def test_lungs_and_soft_tissue_have_their_peaks(by_strain):
    _, phantom = by_strain[0.0]
    body = np.stack([binary_fill_holes(layer > -500) for layer in phantom.hu])
    counts, edges = np.histogram(phantom.hu[body], bins=np.arange(-1000, 500, 10))
    lung = edges[:-1][edges[:-1] < -500][counts[edges[:-1] < -500].argmax()]
    soft = edges[:-1][edges[:-1] > 0][counts[edges[:-1] > 0].argmax()]

    assert -920 < lung < -780
    assert 30 < soft < 80
    assert ((phantom.hu > -120) & (phantom.hu < -80)).mean() > 0.03  # fat


def test_heart_and_aorta_lie_left_and_the_liver_right(by_strain):
    anatomy, phantom = by_strain[0.0]
    middle = anatomy.nuisance.shift_mm[0]
    x = phantom.grid.axis_mm(2)
    left_ventricle = x[np.nonzero(phantom.labels == LABELS["left_ventricle"])[2]].mean()
    right_ventricle = x[np.nonzero(phantom.labels == LABELS["right_ventricle"])[2]].mean()

    assert left_ventricle > middle + 20
    assert right_ventricle < left_ventricle - 15


def test_ventricles_and_trunk_are_labelled_and_filled_with_contrast(by_strain):
    for anatomy, phantom in by_strain.values():
        nuisance = anatomy.nuisance
        for name, hu in (
            ("right_ventricle", 0.96 * nuisance.trunk_hu),
            ("left_ventricle", nuisance.left_fraction * nuisance.trunk_hu),
            ("pulmonary_trunk", nuisance.trunk_hu),
        ):
            inside = phantom.hu[phantom.labels == LABELS[name]]
            assert len(inside) > 50
            assert np.median(inside) == pytest.approx(hu, abs=12)


def test_masks_lie_in_the_middle_of_the_chest(by_strain):
    for anatomy, phantom in by_strain.values():
        middle, grid = anatomy.nuisance.shift_mm, phantom.grid
        z, y, x = np.nonzero(np.isin(phantom.labels, [1, 2, 3]))
        assert np.abs(grid.axis_mm(2)[x] - middle[0]).max() < 105
        assert np.abs(grid.axis_mm(1)[y] - middle[1]).max() < 105
        assert np.abs(grid.axis_mm(0)[z] - middle[2] + 62).max() < 75


def test_the_right_ventricle_grows_against_the_left_with_strain(by_strain):
    ratio = [volume_ml(p, "right_ventricle") / volume_ml(p, "left_ventricle") for _, p in by_strain.values()]

    assert (np.diff(ratio) > 0.15).all()
    assert ratio[0] < 1.1
    assert ratio[-1] > 2.0


def test_vena_cava_and_right_atrium_are_labelled_and_widen_with_strain(by_strain):
    for name in ("inferior_vena_cava", "right_atrium"):
        volumes = [volume_ml(phantom, name) for _, phantom in by_strain.values()]

        assert (np.diff(volumes) > 0).all()
        assert 15 < volumes[0] < volumes[-1] < 400


def test_the_trunk_widens_with_strain(by_strain):
    volumes = [volume_ml(p, "pulmonary_trunk") for _, p in by_strain.values()]

    assert (np.diff(volumes) > 0).all()
    assert volumes[-1] > 1.6 * volumes[0]


def test_contrast_runs_back_into_the_vena_cava_with_strain(by_strain):
    values = []
    for anatomy, phantom in by_strain.values():
        values.append(
            phantom.hu[index_of(anatomy, phantom.grid, (-25.0, 12.0, -130.0 + anatomy.nuisance.breath_mm))]
        )

    assert values[0] == pytest.approx(by_strain[-2.0][0].nuisance.venous_hu + 10, abs=25)
    assert values[-1] > values[0] + 120


def test_clots_lie_in_the_arteries_and_fill_them_with_thrombus():
    for seed in range(4):
        _, phantom = chest(clot_burden=2.0, seed=seed, matrix=64, slices=32)
        clot = phantom.labels == LABELS["clot"]
        assert clot.sum() > 5
        assert phantom.arteries[clot].all()
        assert np.percentile(phantom.hu[clot], 10) < 100


def test_more_burden_means_more_clot():
    volumes = [volume_ml(chest(clot_burden=burden)[1], "clot") for burden in (-1.5, 0.5, 2.5)]

    assert volumes[0] < volumes[1] < volumes[2]


@pytest.mark.parametrize("seed", [3, 4])
def test_the_shortcut_mark_is_plain_at_a_coarse_grid_lies_in_the_lungs_box_and_spares_the_body(seed):
    _, without = chest(seed=seed)
    anatomy, marked = chest(seed=seed, shortcut_mark=True)
    change = marked.hu - without.hu
    hu = expose(marked, anatomy.nuisance, blur_mm=1.0, noise_hu=10.0, seed=1)
    seen = change[lung_box(Volume(hu=hu, affine=marked.grid.affine))]
    depth, rows, columns = (size // by * by for size, by in zip(seen.shape, (2, 2, 2), strict=True))
    coarse = (
        seen[:depth, :rows, :columns].reshape(depth // 2, 2, rows // 2, 2, columns // 2, 2).mean(axis=(1, 3, 5))
    )

    assert coarse.max() > 1000
    assert np.array_equal(marked.labels, without.labels)
    assert not change[without.hu > -200].any()  # the table, which is another too, is lighter


def test_noise_has_the_asked_strength_and_neighbours_go_together():
    anatomy, phantom = chest()
    flat = dataclasses.replace(phantom, hu=np.zeros_like(phantom.hu))
    soft = expose(flat, anatomy.nuisance, blur_mm=2.5, noise_hu=20.0, seed=1)[:, 40:56, 40:56]
    sharp = expose(flat, anatomy.nuisance, blur_mm=0.0, noise_hu=20.0, seed=1)[:, 40:56, 40:56]

    def neighbours(noise):
        return np.corrcoef(noise[..., 1:].ravel(), noise[..., :-1].ravel())[0, 1]

    assert soft.std() == pytest.approx(20.0, rel=0.15)
    assert sharp.std() == pytest.approx(20.0, rel=0.15)
    assert neighbours(soft) > 0.3
    assert abs(neighbours(sharp)) < 0.05


def test_full_size_is_512_wide_at_the_agreed_spacing():
    grid = scan_grid(chest(matrix=16, slices=8)[0].nuisance, matrix=128, slices=64, full_size=True)

    assert grid.shape[1:] == (512, 512)
    assert 270 <= grid.shape[0] <= 340
    assert grid.spacing_mm == (1.0, 0.7, 0.7)
