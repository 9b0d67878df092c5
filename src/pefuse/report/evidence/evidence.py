"""All evidence of a run in one noun, as `results.json` holds it."""

from __future__ import annotations

from collections.abc import Sequence

from pefuse.report.aggregation import ModelScores
from pefuse.report.estimates import Frozen
from pefuse.report.evidence.benefit import BenefitRow, benefit_rows
from pefuse.report.evidence.calibration import CalibrationRow, calibration_rows
from pefuse.report.evidence.fairness import FairnessRow, fairness_rows
from pefuse.report.evidence.grouping import groupings_of
from pefuse.report.evidence.operating_points import OperatingRow, operating_rows
from pefuse.report.evidence.regret import RegretRow, regret_rows
from pefuse.report.evidence.uncertainty import (
    ConformalRow,
    EnsembleRow,
    SpreadRow,
    conformal_rows,
    ensemble_rows,
    spread_rows,
)
from pefuse.report.names import model_name
from pefuse.report.run_folder import RunFolder

__all__ = ["ELSEWHERE", "Evidence", "gather_evidence"]

ELSEWHERE = 0.05  # mortality of patients elsewhere: about that of an unselected registry of pulmonary embolism


FEW = 3  # models in subgroups where no reference and no Table 2 says which


class Evidence(Frozen):
    """What stands behind Table 1; a part without rows could not be worked out.

    `prevalence` is the mortality that PPV and NPV are re-expressed at.
    """

    prevalence: float = ELSEWHERE
    operating_points: tuple[OperatingRow, ...] = ()
    calibration: tuple[CalibrationRow, ...] = ()
    benefit: tuple[BenefitRow, ...] = ()
    fairness: tuple[FairnessRow, ...] = ()
    conformal: tuple[ConformalRow, ...] = ()
    ensembles: tuple[EnsembleRow, ...] = ()
    spreads: tuple[SpreadRow, ...] = ()
    regrets: tuple[RegretRow, ...] = ()


def gather_evidence(
    run: RunFolder,
    scores: Sequence[ModelScores],
    *,
    compared: Sequence[str],
    subgroups: Sequence[str] = (),
    prevalence: float = ELSEWHERE,
) -> Evidence:
    """Work out all evidence on models that could be judged.

    Args:
        run: what the run saved.
        scores: the models of Table 1, the ideal ones among them.
        compared: names of the models that subgroups are looked at for; none of them there = the first of Table 1.
        subgroups: columns that the user wants groups of.
        prevalence: mortality to re-express PPV and NPV at, in (0, 1).

    Raises:
        RunError: a column of `subgroups` that is nowhere, or has too many values.
    """
    groupings = groupings_of(run, asked=subgroups)
    able = [one for one in scores if not one.problem]
    ideals = [one for one in able if model_name(one.name).family == "ideal"]
    models = [one for one in able if model_name(one.name).family != "ideal"]
    by_name = {one.name: one for one in models}
    shown = [name for name in dict.fromkeys(compared) if name in by_name] or list(by_name)[:FEW]
    learnt = [one for one in models if model_name(one.name).family != "score"]
    return Evidence(
        prevalence=prevalence,
        operating_points=operating_rows(models, prevalence=prevalence),
        calibration=calibration_rows(models, run.predictions, run.config),
        benefit=benefit_rows(models),
        fairness=fairness_rows([by_name[name] for name in shown], groupings),
        conformal=conformal_rows(models),
        ensembles=ensemble_rows(learnt, run.predictions),
        spreads=spread_rows(learnt),
        regrets=regret_rows(models, ideals),
    )
