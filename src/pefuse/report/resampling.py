"""The bootstrap of a run: all models that judged the same studies, on the same resamples of their patients."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pefuse.evaluation import Bootstrap, BootstrapDifference, Interval, bootstrap_scores
from pefuse.report.aggregation import ModelScores
from pefuse.report.estimates import Estimate, estimate, told
from pefuse.report.run_folder import RunFolder

__all__ = ["RunBootstrap", "bootstrap_estimate", "patients_of", "resamples_for"]

Statistic = Literal["auroc", "average_precision"]

MANY_STUDIES = 2000
"""With more the interval hardly needs the bootstrap, and each resample takes longer."""


def resamples_for(studies: int) -> int:
    """10,000, or 2,000 of a large test set."""
    return 10_000 if studies <= MANY_STUDIES else 2000


def patients_of(run: RunFolder) -> pd.Series[int]:
    """The patient of each study as a number, indexed by study_id; without one a study is its own patient."""
    rows = run.predictions.drop_duplicates("study_id").set_index("study_id")["patient_id"]
    own = pd.Series(rows.index, index=rows.index, dtype=object)
    return pd.Series(pd.factorize(rows.astype(object).where(rows.notna(), own))[0], index=rows.index)


def bootstrap_estimate(value: float, interval: Interval) -> Estimate:
    """A number and its bootstrap interval; without bounds where all resamples are equal.

    The bootstrap of a perfect score, or of a change that happened to nobody, says that nothing is uncertain.
    """
    if interval.low == interval.high:
        return Estimate(value=told(value), method="none")
    return estimate(value, interval)


class RunBootstrap:
    """Intervals of models, and of their differences, by resampling patients.

    Args:
        scores: the run's models; those that cannot be judged are left aside.
        patients: as `patients_of`.
    """

    def __init__(self, scores: Sequence[ModelScores], patients: pd.Series[int]) -> None:
        self._able = [one for one in scores if not one.problem]
        self._patients = patients
        self._of_group = cache(self._bootstrap)

    def average_precision(self, one: ModelScores) -> Estimate:
        """Average precision with its interval."""
        found, rows = self._of_group("average_precision", tuple(one.test.index))
        return bootstrap_estimate(float(found.observed[rows[one.name]]), found.interval(rows[one.name]))

    def difference(self, a: ModelScores, b: ModelScores, statistic: Statistic = "auroc") -> BootstrapDifference:
        """Statistic of `a` minus that of `b` on the studies that both judged; both classes have to be there."""
        if a.test.index.equals(b.test.index):
            found, rows = self._of_group(statistic, tuple(a.test.index))
            return found.difference(rows[a.name], rows[b.name])
        common = a.test.index.intersection(b.test.index)
        return self._of(statistic, [one.test.loc[common] for one in (a, b)]).difference(0, 1)

    def clusters(self, studies: pd.Index) -> NDArray[Any]:
        """The patient of each study."""
        return self._patients.reindex(studies).to_numpy()

    def _bootstrap(self, statistic: Statistic, studies: tuple[str, ...]) -> tuple[Bootstrap, dict[str, int]]:
        members = [one for one in self._able if tuple(one.test.index) == studies]
        rows = {one.name: row for row, one in enumerate(members)}
        return self._of(statistic, [one.test for one in members]), rows

    def _of(self, statistic: Statistic, tables: Sequence[pd.DataFrame]) -> Bootstrap:
        first = tables[0]
        return bootstrap_scores(
            first["label"],
            np.stack([table["score"].to_numpy() for table in tables]),
            statistic=statistic,
            clusters=self.clusters(first.index),
            resamples=resamples_for(len(first)),
        )
