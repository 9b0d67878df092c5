"""Volumes that are regular and still no chest in HU."""

from __future__ import annotations

import numpy as np
import pytest

from pefuse.ct import read_scan
from pefuse.ct.plausibility import NO_CONTRAST, check_chest
from pefuse.errors import PlausibilityError, ScanError
from pefuse.types import Volume


def as_volume(hu: np.ndarray, spacing_mm: float = 6.0) -> Volume:
    return Volume(hu=hu, affine=np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])[[2, 1, 0, 3]])


def test_a_chest_passes(synthetic):
    check_chest(as_volume(synthetic.chest_hu()))


@pytest.mark.parametrize("offset", [1024, -1024, 400, -400])
def test_a_wrong_offset_is_caught(synthetic, offset):
    with pytest.raises(PlausibilityError):
        check_chest(as_volume(np.clip(synthetic.chest_hu() + offset, -1024, 4000).astype(np.int16)))


@pytest.mark.parametrize("factor", [0.5, 2.0, -1.0])
def test_a_wrong_slope_is_caught(synthetic, factor):
    stored = synthetic.chest_hu() + 1024.0
    with pytest.raises(PlausibilityError):
        check_chest(as_volume(np.clip(stored * factor - 1024, -1024, 4000).astype(np.int16)))


def test_an_offset_is_caught_from_files_too(synthetic, tmp_path):
    """Stored values taken for HU: what happens when a tool drops the rescale intercept."""

    def edit(i, dataset):
        dataset.RescaleIntercept = 0

    with pytest.raises(PlausibilityError, match="HU"):
        read_scan(synthetic.SeriesWriter(edit=edit).write(tmp_path / "scan"))


def test_a_body_without_lungs_is_no_chest(synthetic):
    """A head or a belly: air outside, tissue inside."""
    hu = synthetic.chest_hu()
    hu[
        (hu < -700)
        & (np.abs(np.linspace(-1, 1, 64)) < 0.75)[None, None]
        & (np.abs(np.linspace(-1, 1, 64)) < 0.45)[None, :, None]
    ] = 40
    with pytest.raises(PlausibilityError, match="no chest"):
        check_chest(as_volume(hu))


def test_noise_alone_is_no_chest():
    noise = np.random.default_rng(0).integers(-1024, 3000, (40, 64, 64)).astype(np.int16)
    with pytest.raises(PlausibilityError):
        check_chest(as_volume(noise))


def test_values_that_are_not_finite_are_refused(synthetic):
    hu = synthetic.chest_hu().astype(np.float32)
    hu[10, 20, 20:40] = np.nan
    with pytest.raises(PlausibilityError):
        check_chest(as_volume(hu))


@pytest.mark.parametrize(
    ("spacing_mm", "reason"),
    [
        ((3.0, 6.0, 6.0), "covers 120 mm"),
        ((6.0, 2.0, 2.0), "field of view is 128 x 128"),
        ((6.0, 18.0, 18.0), "field of view is 1152"),
        ((12.0, 6.0, 6.0), "12 mm apart"),
    ],
)
def test_an_extent_that_is_no_chest_is_refused(synthetic, tmp_path, spacing_mm, reason):
    with pytest.raises(ScanError, match=reason):
        read_scan(synthetic.SeriesWriter(spacing_mm=spacing_mm).write(tmp_path / "scan"))


def test_a_tiny_volume_of_something_else_is_refused(synthetic, tmp_path):
    writer = synthetic.SeriesWriter(hu=np.full((8, 16, 16), 30, np.int16), spacing_mm=(5.0, 1.0, 1.0))
    with pytest.raises(ScanError, match="8 slice positions"):
        read_scan(writer.write(tmp_path / "scan"))


def test_contrast_is_seen_and_its_absence_warned_of(synthetic):
    """The heart at 250 HU, and at the 45 HU of blood without contrast; bone stays bright in both."""
    hu = synthetic.chest_hu()
    assert check_chest(as_volume(hu)) == ()
    blood = (hu > 150) & (hu < 400)
    assert check_chest(as_volume(np.where(blood, 45, hu).astype(np.int16))) == (NO_CONTRAST,)


def test_a_warning_reaches_the_report(synthetic, tmp_path):
    hu = synthetic.chest_hu()
    hu = np.where((hu > 150) & (hu < 400), 45, hu).astype(np.int16)
    _, report = read_scan(synthetic.SeriesWriter(hu=hu).write(tmp_path / "scan"))
    assert report.warnings == (NO_CONTRAST,)
