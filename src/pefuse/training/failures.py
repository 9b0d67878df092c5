"""Models that could not be trained on every fold: which, why, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from pefuse.errors import BundleError, IncompleteRunError, RunError
from pefuse.models.zoo import Row, model_row
from pefuse.storage import atomic_file
from pefuse.training.grid import FailedCell

__all__ = ["no_bundle_error", "not_trained_error", "trained_rows", "write_failed"]

FAILED_COLUMNS = ("model", "seed", "fold", "reason")


def trained_rows(rows: Sequence[Row], failed: Sequence[FailedCell]) -> list[Row]:
    """The models that were trained on every fold and seed, and that start from none that was not."""
    lost = {failure.key.model for failure in failed if failure.key.part < 0}
    # A nested part is of use to the late fusions that learn, and to nobody else.
    parts = {failure.key.model for failure in failed if failure.key.part >= 0}
    lost |= {row.name for row in rows if row.stacked and parts & set(row.needs)}
    while more := {row.name for row in rows if lost & set(row.needs)} - lost:
        lost |= more
    return [row for row in rows if row.name not in lost]


def write_failed(run: Path, rows: Sequence[Row], failed: Sequence[FailedCell]) -> None:
    """`failed.csv`: one row a failed cell, and one (without fold) a model that starts from one of those."""
    whole = [failure for failure in failed if failure.key.part < 0]
    own = [(one.key.model, one.key.seed, one.key.fold, one.error) for one in sorted(whole, key=lambda f: f.key)]
    told = {failure.key.model for failure in whole}
    trained = {row.name for row in trained_rows(rows, failed)}
    others = [(row.name, None, None, _starts_from(row, trained)) for row in rows if row.name not in trained | told]
    table = pd.DataFrame([*own, *others], columns=list(FAILED_COLUMNS))
    with atomic_file(run / "failed.csv") as partial:
        table.astype({"seed": "Int64", "fold": "Int64"}).to_csv(partial, index=False)


def _starts_from(row: Row, trained: set[str]) -> str:
    if lost := sorted(set(row.needs) - trained):
        return f"It starts from {' and '.join(lost)}."
    return (
        f"It learns from out-of-fold risks of {' and '.join(row.needs)}, and a part of them could not be trained."
    )


def not_trained_error(kind: type[RunError], rows: Sequence[Row], failed: Sequence[FailedCell]) -> RunError:
    """One line with the first cause; the worker's traceback is its `__cause__`."""
    first = min(failed, key=lambda failure: (len(model_row(failure.key.model).needs), failure.key))
    left = len(trained_rows(rows, failed))
    count = len(rows) - left
    others = "the others are reported" if left else "nothing is left to report"
    error = kind(
        f"{count} of {len(rows)} models could not be trained, {others}. {first.key.model}, fold {first.key.fold}: "
        f"{first.error.rstrip('.')}. Mend it and run the same command again."
    )
    error.__cause__ = WorkerTraceback(first.details) if first.details else None
    return error


def no_bundle_error(lost: Mapping[str, BundleError]) -> IncompleteRunError:
    """One line with the first cause."""
    first, error = next(iter(lost.items()))
    count = f"{len(lost)} trained models have" if len(lost) > 1 else "A trained model has"
    return IncompleteRunError(f"{count} no bundle; all else is written. {first}: {error}")


class WorkerTraceback(Exception):  # noqa: N818 - it only carries text
    """What a worker's failure looked like there."""
