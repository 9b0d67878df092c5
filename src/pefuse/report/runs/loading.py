"""The runs that are compared: read, told apart by letters, and checked to be different ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_uppercase

from pefuse.errors import RunError, UsageError
from pefuse.report.aggregation import ModelScores, collect_scores
from pefuse.report.run_folder import RunFolder, read_run

__all__ = ["LoadedRun", "load_runs"]


@dataclass(frozen=True, kw_only=True)
class LoadedRun:
    """A run under its letter. Its folder is not told: folders are often named after people."""

    letter: str
    run: RunFolder = field(repr=False)
    scores: dict[str, ModelScores] = field(repr=False)

    @property
    def cohort(self) -> str:
        return str(self.run.cohort.get("name", "without a name"))

    @property
    def test_labels(self) -> dict[str, int]:
        """Outcome of each test study."""
        test = self.run.predictions[self.run.predictions["split"] == "test"].drop_duplicates("study_id")
        return dict(zip(test["study_id"], test["label"].astype(int), strict=True))

    @property
    def seeds(self) -> int:
        return int(self.run.predictions["seed"].nunique())

    @property
    def folds(self) -> int:
        return int(self.run.predictions["fold"].nunique())


def load_runs(folders: Sequence[Path]) -> list[LoadedRun]:
    """Read two or more runs; the first is A, the next B.

    Raises:
        UsageError: too many runs, or two that are the same.
        RunError: a folder that is no run, or a damaged one; which one is said.
    """
    if len(folders) > len(ascii_uppercase):
        raise UsageError(f"{len(folders)} runs are too many to compare: at most {len(ascii_uppercase)}.")
    loaded = [_load(letter, folder) for letter, folder in zip(ascii_uppercase, folders, strict=False)]
    seen: dict[str, LoadedRun] = {}
    for folder, one in zip(folders, loaded, strict=True):
        same = seen.setdefault(hashlib.sha256((folder / "predictions.csv").read_bytes()).hexdigest(), one)
        if same is not one:
            raise UsageError(
                f"Runs {same.letter} and {one.letter}, in the order that you named them, are the same run: their "
                "predictions are the same. Name runs that differ."
            )
    return loaded


def _load(letter: str, folder: Path) -> LoadedRun:
    try:
        run = read_run(folder)
        scores = {one.name: one for one in collect_scores(run)}
    except RunError as error:
        raise RunError(f"Run {letter}, in the order that you named them: {error}") from error
    return LoadedRun(letter=letter, run=run, scores=scores)
