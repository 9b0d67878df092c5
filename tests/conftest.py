"""What every test may use."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with the most slow tests first: no core waits at the end for a long one that was begun late."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of real files to test with; a test that needs it is skipped where it is absent."""
    folder = Path(os.environ.get("PEFUSE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the real test files are not here: set PEFUSE_TEST_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def toy_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small simulated cohort with scans and record; read it, never write into it."""
    from pefuse.cohort.simulate import SimulationConfig, simulate_cohort

    folder = tmp_path_factory.mktemp("toy") / "cohort"
    config = SimulationConfig(patients=50, prevalence=0.25, seed=3, matrix=48, slices=40)
    simulate_cohort(folder, config=config)
    return folder
