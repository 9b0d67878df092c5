"""Thumbnails: the right way round, in true proportions, with lines where the other planes cut."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.image import imread
from numpy.typing import NDArray

from pefuse.audit.thumbnails import Thumbnail, draw_thumbnails
from pefuse.types import Volume

SPACING_MM = (5.0, 2.0, 1.0)


def volume_of(hu: NDArray[np.int16]) -> Volume:
    """Columns of the affine are the steps along Z, Y and X; its rows are x, y and z."""
    affine = np.zeros((4, 4))
    for axis, spacing_mm in enumerate(SPACING_MM):
        affine[2 - axis, axis] = spacing_mm
    affine[3, 3] = 1
    return Volume(hu=hu, affine=affine)


def grey(thumbnail: Thumbnail, window: str = "mediastinal") -> NDArray[np.uint8]:
    return np.asarray(imread(io.BytesIO(thumbnail.pictures[window]), format="jpeg"))[..., 0]


def air() -> NDArray[np.int16]:
    return np.full((10, 20, 40), -1000, np.int16)


@pytest.mark.parametrize(
    ("plane", "bright", "letters"),
    [
        ("axial", "top right", ("R", "L", "A", "P")),
        ("coronal", "top right", ("R", "L", "H", "F")),
        ("sagittal", "top left", ("A", "P", "H", "F")),
    ],
)
def test_planes_are_held_as_radiologists_do(plane: str, bright: str, letters: tuple[str, ...]) -> None:
    """Only the octant at the head (high Z), in front (low Y) and on the patient's left (high X) is bright."""
    hu = air()
    hu[5:, :10, 20:] = 1000

    thumbnail = next(one for one in draw_thumbnails(volume_of(hu), (7, 5, 30)) if one.plane == plane)
    picture = grey(thumbnail).astype(float)
    middle_row, middle_column = picture.shape[0] // 2, picture.shape[1] // 2
    quarters = {
        "top left": picture[:middle_row, :middle_column].mean(),
        "top right": picture[:middle_row, middle_column:].mean(),
        "bottom left": picture[middle_row:, :middle_column].mean(),
        "bottom right": picture[middle_row:, middle_column:].mean(),
    }

    assert thumbnail.letters == letters
    assert max(quarters, key=lambda name: quarters[name]) == bright
    assert quarters.pop(bright) > 200
    assert max(quarters.values()) < 40


def test_proportions_are_those_of_the_body() -> None:
    """10 × 5 = 50 mm, 20 × 2 = 40 mm and 40 × 1 = 40 mm: the longest takes 160 pixels, the others 128."""
    axial, coronal, sagittal = draw_thumbnails(volume_of(air()), (5, 10, 20))

    assert (axial.height, axial.width) == grey(axial).shape == (128, 128)
    assert (coronal.height, coronal.width) == grey(coronal).shape == (160, 128)
    assert (sagittal.height, sagittal.width) == grey(sagittal, "lung").shape == (160, 128)


def test_lines_run_through_the_voxel_where_the_planes_meet() -> None:
    """Voxel 2 of 10 from the feet ends at 160 × 2.5 / 10 = 40 from the bottom; 5 and 30 at 35.2 and 97.6."""
    hu = air()
    hu[2, 5, 30] = 3000

    thumbnails = draw_thumbnails(volume_of(hu), (2, 5, 30))

    lines = [[(line.plane, line.horizontal, round(line.at_pixels, 1)) for line in one.lines] for one in thumbnails]
    assert lines == [
        [("coronal", True, 35.2), ("sagittal", False, 97.6)],
        [("axial", True, 120.0), ("sagittal", False, 97.6)],
        [("axial", True, 120.0), ("coronal", False, 35.2)],
    ]
    for thumbnail in thumbnails:
        down, right = (line.at_pixels for line in thumbnail.lines)
        bright_rows, bright_columns = np.nonzero(grey(thumbnail) > 200)
        assert abs(bright_rows.mean() + 0.5 - down) < 1
        assert abs(bright_columns.mean() + 0.5 - right) < 1


def test_windows_show_what_they_are_for() -> None:
    """Lung at -850 HU: black in the mediastinal window (-160 to 240), a third of white in the lung's."""
    thumbnail = draw_thumbnails(volume_of(np.full((10, 20, 40), -850, np.int16)), (5, 10, 20))[0]

    assert grey(thumbnail).max() == 0
    assert abs(grey(thumbnail, "lung").mean() - 255 * 500 / 1500) < 2


def test_six_pictures_of_a_noisy_scan_are_small() -> None:
    """At the model's grid, with as much noise as a thin slice has."""
    noisy = np.random.default_rng(0).normal(40, 25, (128, 128, 128)).astype(np.int16)
    thumbnails = draw_thumbnails(Volume(hu=noisy, affine=np.eye(4)[[2, 1, 0, 3]]), (64, 64, 64))

    assert sum(len(picture) for one in thumbnails for picture in one.pictures.values()) < 25_000
