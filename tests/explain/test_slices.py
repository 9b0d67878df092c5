"""The slices that are shown, and the figure of them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pefuse.explain.slices import draw_slices, hot_slices


def size_of(path):
    with Image.open(path) as image:
        return image.size


def test_the_hottest_slices_are_taken_from_the_feet_up_and_not_side_by_side():
    heat = np.zeros((32, 4, 4), np.float32)
    for place, value in {5: 4.0, 6: 3.9, 20: 9.0, 28: 1.0}.items():
        heat[place] = value

    assert hot_slices(heat, count=3) == [5, 20, 28]


def test_fewer_slices_with_heat_are_fewer_slices():
    heat = np.zeros((32, 4, 4), np.float32)
    heat[7] = 1.0

    assert hot_slices(heat, count=4) == [7]


def test_without_heat_they_are_spread():
    assert hot_slices(np.zeros((32, 4, 4), np.float32), count=4) == [4, 12, 20, 28]


def test_the_figure_shows_heat_in_colour_on_a_grey_scan(tmp_path):
    """A grey scan alone has no colour; with heat there are reddish pixels, and only a part of them."""
    hu = np.full((8, 32, 32), 40, np.int16)
    heat = np.zeros((8, 32, 32), np.float32)
    heat[4, 8:16, 8:16] = 1.0
    path = tmp_path / "slices.png"

    draw_slices(path, hu, heat, [2, 4, 6], spacing_mm=(5.0, 1.0, 1.0), note="Simulated scan")

    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    coloured = (pixels.max(axis=2) - pixels.min(axis=2)) > 60
    assert 0.001 < coloured.mean() < 0.3
    assert pixels.shape[1] > pixels.shape[0] > 200


def test_occlusion_has_a_row_of_its_own(tmp_path):
    hu, heat = np.zeros((4, 16, 16), np.int16), np.ones((4, 16, 16), np.float32)
    draw_slices(tmp_path / "one.png", hu, heat, [1, 2], spacing_mm=(1.0, 1.0, 1.0))
    draw_slices(tmp_path / "two.png", hu, heat, [1, 2], spacing_mm=(1.0, 1.0, 1.0), occlusion=heat)

    one, two = (size_of(tmp_path / name) for name in ("one.png", "two.png"))
    assert two[0] == one[0]
    assert two[1] > 1.3 * one[1]


@pytest.mark.parametrize("heat", [np.zeros((4, 16, 16), np.float32), np.ones((4, 16, 16), np.float32)])
def test_no_heat_and_heat_everywhere_are_drawn_too(tmp_path, heat):
    draw_slices(tmp_path / "s.png", np.zeros((4, 16, 16), np.int16), heat, [1], spacing_mm=(1.0, 1.0, 1.0))

    assert (tmp_path / "s.png").stat().st_size > 1000
