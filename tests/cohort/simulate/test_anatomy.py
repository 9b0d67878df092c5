"""Strain and clot shape what they should; everything else stays as it was drawn."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pefuse.cohort.simulate.anatomy import ARTERIES, draw_anatomy, draw_clots, draw_nuisance, draw_signs

STRAINS = np.linspace(-2.5, 3.5, 25)
GROW_WITH_STRAIN = [
    "rv_lv_ratio",
    "rv_length_factor",
    "trunk_diameter_mm",
    "reflux_depth_mm",
    "reflux_density",
    "ivc_diameter_mm",
    "right_atrium_radius_mm",
    "svc_diameter_mm",
    "azygos_diameter_mm",
]


def signs_table(latents, *, noise=None):
    options = {} if noise is None else {"noise": noise}
    drawn = [draw_signs(strain=s, seed=seed, **options) for seed, s in enumerate(latents)]
    return {
        field.name: np.array([getattr(d, field.name) for d in drawn]) for field in dataclasses.fields(drawn[0])
    }


@pytest.mark.parametrize("sign", GROW_WITH_STRAIN)
def test_each_sign_grows_with_strain(sign):
    assert (np.diff(signs_table(STRAINS, noise=0.0)[sign]) > 0).all()


def test_the_septum_leaves_the_right_side_and_ends_in_the_left():
    offset = signs_table([-1.5, 0.0, 2.0, 3.5], noise=0.0)["septum_offset_mm"]

    assert (np.diff(offset) < 0).all()
    assert offset[1] > 5  # bulges to the right
    assert abs(offset[2]) < 2  # flat
    assert offset[3] < -3  # bows into the left


def test_the_signs_have_the_sizes_that_radiologists_know():
    """RV/LV about 0.75, 0.97 and 1.5 at strain -1.5, 0 and 2; trunk 24 to 36 mm; no reflux in the healthy."""
    table = signs_table([-1.5, 0.0, 2.0], noise=0.0)

    np.testing.assert_allclose(table["rv_lv_ratio"], [0.755, 0.972, 1.49], atol=0.02)
    np.testing.assert_allclose(table["trunk_diameter_mm"], [25.1, 29.0, 34.2], atol=0.1)
    assert table["reflux_density"][0] < 0.02
    assert table["reflux_density"][2] > 0.9
    assert table["reflux_depth_mm"][2] > 60


def test_no_sign_alone_is_the_truth_but_all_together_are():
    strain = np.random.default_rng(0).standard_normal(800)
    table = signs_table(strain)
    columns = np.stack([np.argsort(np.argsort(values)) / len(strain) for values in table.values()], axis=1)
    alone = [abs(np.corrcoef(column, strain)[0, 1]) for column in columns.T]
    design = np.column_stack([np.ones(len(strain)), columns])
    train, test = slice(0, 400), slice(400, 800)
    weights, *_ = np.linalg.lstsq(design[train], strain[train], rcond=None)

    assert max(alone) < 0.95
    assert np.corrcoef(design[test] @ weights, strain[test])[0, 1] > 0.95


def test_nuisance_is_the_same_whatever_the_latents():
    low = draw_anatomy(strain=-2.0, clot_burden=-1.0, sex="F", age_years=60.0, seed=5)
    high = draw_anatomy(strain=3.0, clot_burden=2.0, sex="F", age_years=60.0, seed=5)

    assert low.nuisance == high.nuisance
    assert low.signs != high.signs


def test_clot_burden_leaves_the_signs_alone_and_strain_leaves_the_clots_alone():
    one = draw_anatomy(strain=1.0, clot_burden=-1.0, sex="M", age_years=60.0, seed=5)
    other = draw_anatomy(strain=1.0, clot_burden=2.0, sex="M", age_years=60.0, seed=5)
    third = draw_anatomy(strain=-1.0, clot_burden=2.0, sex="M", age_years=60.0, seed=5)

    assert one.signs == other.signs
    assert other.clots == third.clots


def test_more_burden_means_more_clots_and_every_patient_has_one():
    counts = {b: [len(draw_clots(clot_burden=b, seed=seed)) for seed in range(100)] for b in (-2.5, 0.0, 2.0)}

    assert min(counts[-2.5]) >= 1
    assert np.mean(counts[-2.5]) + 2 < np.mean(counts[0.0]) < np.mean(counts[2.0]) - 2
    assert all(a <= b <= c for a, b, c in zip(*counts.values(), strict=True))


def test_a_saddle_clot_comes_only_with_a_high_burden():
    def saddles(burden):
        return sum(
            any(clot.artery == "saddle" for clot in draw_clots(clot_burden=burden, seed=seed))
            for seed in range(50)
        )

    assert saddles(0.0) == 0
    assert saddles(2.2) > 40


def test_clots_lie_in_known_arteries_and_leave_room_for_blood():
    for seed in range(30):
        for clot in draw_clots(clot_burden=1.0, seed=seed):
            assert clot.artery in (*ARTERIES, "saddle")
            assert 0 <= clot.start < clot.stop <= 1
            assert 0.3 < clot.fill < 1
            assert 40 <= clot.hu <= 60


def test_an_unknown_sex_or_age_is_drawn():
    nuisance = [draw_nuisance(sex="", age_years=float("nan"), seed=seed) for seed in range(40)]

    assert {n.female for n in nuisance} == {True, False}
    assert all(25 < n.age_years < 100 for n in nuisance)


def test_the_old_have_thinner_lungs_and_bones_and_more_calcium():
    young = draw_nuisance(sex="F", age_years=30.0, seed=8)
    old = draw_nuisance(sex="F", age_years=88.0, seed=8)

    assert old.lung_hu < young.lung_hu
    assert old.bone_hu < young.bone_hu
    assert old.calcification > young.calcification == 0
