"""The small bundles of the bundles' own tests, which serve explanations too, and a small run that was trained."""

from __future__ import annotations

import pytest

from pefuse.cohort import load_cohort
from pefuse.training import Run, compare, resolve_config

from ..models.bundle.conftest import bundles, one_thread, record, scans

__all__ = ["bundles", "one_thread", "record", "scans"]

SMALL = [
    "models=[sanet, tabnet, xgboost, intermediate-sanet]",
    "folds=2",
    "scan.grid=32",
    "sanet.network.stem_channels=4",
    "sanet.network.growth=2",
    "sanet.network.blocks=[1, 1, 1]",
    "sanet.network.embedding_dim=8",
    "sanet.loop.epochs=2",
    "tabnet.network.n_d=8",
    "tabnet.loop.epochs=3",
    "fusion.network.fitted={components: 4, neighbours: 8}",
    "fusion.loop.epochs=3",
    "xgboost.rounds=20",
]


@pytest.fixture(scope="session")
def trained(toy_cohort, tmp_path_factory) -> Run:
    """A run of four models on the toy cohort; read it, never write into it."""
    config = resolve_config("demo", overrides=SMALL)
    return compare(load_cohort(toy_cohort), out=tmp_path_factory.mktemp("runs") / "run", config=config)
