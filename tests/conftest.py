"""What every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of real files to test with; a test that needs it is skipped where it is absent."""
    folder = Path(os.environ.get("PEFUSE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the real test files are not here: set PEFUSE_TEST_DATA to their folder")
    return folder
