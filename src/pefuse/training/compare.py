"""A whole comparison: every model on the same folds, from a cohort folder to a run folder, bundles included.

The run folder is complete without the cohort: the report is made from it alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from pefuse.ct import prepare
from pefuse.errors import IncompleteRunError, RunError
from pefuse.models.zoo import with_needs
from pefuse.training.bundles import drop_bundles, write_bundles
from pefuse.training.config import RunConfig
from pefuse.training.embeddings import write_embeddings
from pefuse.training.failures import no_bundle_error, not_trained_error, trained_rows, write_failed
from pefuse.training.gather import gather
from pefuse.training.grid import run_cells
from pefuse.training.plan import cell_keys, scheduled
from pefuse.training.run_folder import (
    check_folder,
    claim_folder,
    write_cohort,
    write_environment,
    write_predictions,
)
from pefuse.training.run_log import log_event
from pefuse.types import Cohort, Predictions, Progress

__all__ = ["Run", "compare", "fit"]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run folder."""

    folder: Path

    @property
    def predictions(self) -> Predictions:
        """All models' predictions, `PREDICTION_COLUMNS`."""
        table = pd.read_csv(self.folder / "predictions.csv", dtype={"study_id": str})
        return Predictions(table=table)

    def bundle(self, model: str) -> Path:
        """The folder of a trained model's bundle."""
        return self.folder / "bundles" / model


def fit(
    cohort: Cohort,
    model: str,
    *,
    out: Path,
    config: RunConfig,
    pretrained: Path | None = None,
    progress: Progress | None = None,
) -> Run:
    """Train one model (and what it starts from) on every fold."""
    chosen = config.model_copy(update={"models": (model,), "ablations": False})
    return compare(cohort, out=out, config=chosen, pretrained=pretrained, progress=progress)


def compare(
    cohort: Cohort,
    *,
    out: Path,
    config: RunConfig,
    pretrained: Path | None = None,
    progress: Progress | None = None,
) -> Run:
    """Train all models of the config on shared folds; resumes where it stopped.

    Args:
        pretrained: the file that the Swin encoder starts from (MONAI's model_swinvit.pt); None = from scratch.

    Raises:
        UsageError: the folder holds a run of other data, or the pretrained file cannot be used.
        CohortError: the cohort cannot be split into the wanted folds.
        IncompleteRunError: some models could not be trained, or have no bundle; all other results are written.
        RunError: no model could be trained.
        StorageError: the disk is full or the folder cannot be written.
    """
    started = time.perf_counter()
    check_folder(out, cohort)
    view = config.scan
    scans = partial(prepare, cohort, grid=view.grid, field_of_view=view.field_of_view, progress=progress)
    data = gather(cohort, out=out, config=config, pretrained=pretrained, prepared=scans)
    rows = with_needs(data.config.all_models)
    claim_folder(out, cohort, data.config)
    write_cohort(data, cohort)
    counted = {"models": len(rows), "folds": len(data.folds), "seeds": len(data.config.seeds)}
    log_event(out, "run started", preset=data.config.preset, **counted)
    prepared = time.perf_counter()
    failed = run_cells(scheduled(cell_keys(data, rows), data), data, progress=progress)
    trained = trained_rows(rows, failed)
    write_failed(out, rows, failed)
    drop_bundles(out, [row for row in rows if row not in trained])
    if not trained:
        raise not_trained_error(RunError, rows, failed)
    keys = cell_keys(data, trained)
    write_predictions(out, keys, cohort)
    write_embeddings(out, keys)
    run = Run(folder=out)
    lost = write_bundles(data, cohort, trained, run.predictions.table)
    log_event(out, "run finished", seconds=round(time.perf_counter() - started, 1))
    write_environment(out, data.config, {"data": prepared - started, "models": time.perf_counter() - prepared})
    if failed:
        raise not_trained_error(IncompleteRunError, rows, failed)
    if lost:
        raise no_bundle_error(lost)
    return run
