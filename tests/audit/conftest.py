"""Small cohorts of image files that the tests of `pefuse check` share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray

from pefuse.cohort import load_cohort
from pefuse.types import Cohort

PATIENT_ID = 48213007
DATE = "2018-03-05T14:30"


def chest(*, shape: tuple[int, int, int] = (80, 48, 48), seed: int = 0) -> NDArray[np.int16]:
    """A body with two lungs and a heart on its left, `(Z, Y, X)` HU."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij")
    hu = np.full(shape, -1000.0)
    hu[(x / 0.85) ** 2 + (y / 0.65) ** 2 < 1] = 40
    for side in (-1, 1):
        hu[((x - side * 0.4) / 0.28) ** 2 + (y / 0.42) ** 2 + (z / 0.8) ** 2 < 1] = -850
    hu[((x - 0.15) / 0.25) ** 2 + ((y + 0.1) / 0.25) ** 2 + ((z + 0.3) / 0.5) ** 2 < 1] = 250
    return np.rint(hu + np.random.default_rng(seed).normal(0, 8, shape)).astype(np.int16)


def write_cohort(folder: Path, scans: Mapping[str, float | str]) -> Cohort:
    """A study for each name: a chest of that slice spacing in mm, "broken" for a cut-off file, "" for no scan."""
    folder.mkdir()
    lines = ["study_id,patient_id,index_time,ct,age_years,sex,died"]
    for number, (study_id, kind) in enumerate(scans.items()):
        ct = f"{study_id}.nrrd" if kind else ""
        lines.append(f"{study_id},{PATIENT_ID + number},{DATE},{ct},60,F,0")
        if kind:
            image = SimpleITK.GetImageFromArray(chest(seed=number))
            image.SetSpacing((8.0, 8.0, kind if isinstance(kind, float) else 3.0))
            SimpleITK.WriteImage(image, str(folder / ct))
        if kind == "broken":
            (folder / ct).write_bytes((folder / ct).read_bytes()[:5000])
    (folder / "studies.csv").write_text("\n".join(lines), encoding="utf-8")
    (folder / "features.csv").write_text("study_id,heart_rate\n", encoding="utf-8")
    return load_cohort(folder)


@pytest.fixture
def make_cohort(tmp_path: Path) -> Callable[..., Cohort]:
    """`make_cohort({"a": 2.5, "b": "broken", "c": ""})`, see `write_cohort`."""
    return lambda scans: write_cohort(tmp_path / "cohort", scans)


@pytest.fixture(scope="session")
def chest_hu() -> NDArray[np.int16]:
    return chest()


@pytest.fixture
def identifiers(tmp_path: Path) -> tuple[str, ...]:
    """What must never stand on a page made of `make_cohort`'s studies."""
    return (str(PATIENT_ID)[:6], DATE[:10], str(tmp_path), ".nrrd")
