"""Calibration of each model's risks on the test studies, and what recalibrating them on validation would bring."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pefuse.evaluation import (
    WeightShift,
    brier_score,
    calibration_bins,
    calibration_distances,
    calibration_line,
    can_be_ranked,
    expected_calibration_error,
    fit_isotonic,
    fit_platt,
    mean_by_study,
    observed_to_expected,
    scaled_brier_score,
)
from pefuse.report.aggregation import ModelScores
from pefuse.report.estimates import Estimate, Frozen, estimate, told
from pefuse.report.names import model_name

__all__ = ["CalibrationRow", "Recalibrated", "calibration_rows"]

Apply = Callable[[NDArray[np.float64]], NDArray[np.float64]]

# Models whose logit was trained with deaths weighted, and brought back by ln(weight); the others have no weight.
WEIGHTED_FAMILIES = ("single", "joint")
WEIGHTED_LATE = ("late-tabnet", "late-xgboost")


class CalibrationMeasures(Frozen):
    """How well risks match what happened; None = cannot be told."""

    brier: float
    scaled_brier: float | None
    expected_error: float
    bins: int
    slope: Estimate
    intercept: Estimate
    observed_to_expected: Estimate
    ici: float
    e50: float
    e90: float
    emax: float


class Recalibrated(Frozen):
    """The model after one way of recalibration: `platt`, `isotonic`, or `weighted` (class weight left in)."""

    method: str
    label: str
    measures: CalibrationMeasures


class CalibrationRow(Frozen):
    """A model's risks as they are, and recalibrated."""

    name: str
    label: str
    deaths: int
    expected_deaths: float
    validation_deaths: int
    measures: CalibrationMeasures
    recalibrated: tuple[Recalibrated, ...]


def calibration_rows(
    scores: Sequence[ModelScores], predictions: pd.DataFrame, config: Mapping[str, Any]
) -> tuple[CalibrationRow, ...]:
    """Each model's calibration. `predictions` and `config` are the run's: they tell of class weights."""
    return tuple(_row(one, predictions, config) for one in scores)


def _row(scores: ModelScores, predictions: pd.DataFrame, config: Mapping[str, Any]) -> CalibrationRow:
    label, risk = (scores.test[column].to_numpy(dtype=np.float64) for column in ("label", "risk"))
    return CalibrationRow(
        name=scores.name,
        label=model_name(scores.name).label,
        deaths=int(label.sum()),
        expected_deaths=float(risk.sum()),
        validation_deaths=int(scores.validation["label"].sum()),
        measures=_measures(label, risk),
        recalibrated=tuple(_recalibrated(scores, label, risk, predictions, config)),
    )


def _measures(label: NDArray[np.float64], risk: NDArray[np.float64]) -> CalibrationMeasures:
    line, distances = calibration_line(label, risk), calibration_distances(label, risk)
    ratio = observed_to_expected(label, risk)
    return CalibrationMeasures(
        brier=brier_score(label, risk),
        scaled_brier=told(scaled_brier_score(label, risk)),
        expected_error=expected_calibration_error(label, risk),
        bins=int(calibration_bins(label, risk).cases.size),
        slope=estimate(line.slope, line.slope_interval),
        intercept=estimate(line.intercept, line.intercept_interval),
        observed_to_expected=estimate(ratio.ratio, ratio.interval),
        ici=distances.ici,
        e50=distances.e50,
        e90=distances.e90,
        emax=distances.emax,
    )


def _recalibrated(
    scores: ModelScores,
    label: NDArray[np.float64],
    risk: NDArray[np.float64],
    predictions: pd.DataFrame,
    config: Mapping[str, Any],
) -> list[Recalibrated]:
    found = []
    validation = scores.validation
    if can_be_ranked(validation) and validation["risk"].notna().all():
        platt = fit_platt(validation["label"], validation["risk"])
        isotonic = fit_isotonic(validation["label"], validation["risk"])
        found += [
            Recalibrated(method="platt", label="Platt", measures=_measures(label, platt.apply(risk))),
            Recalibrated(method="isotonic", label="isotonic", measures=_measures(label, isotonic.apply(risk))),
        ]
    weighted = _with_weight(scores, predictions) if _was_weighted(scores.name, config) else None
    if weighted is not None:
        measures = _measures(label, weighted)
        found.append(Recalibrated(method="weighted", label="class weight left in", measures=measures))
    return found


def _was_weighted(name: str, config: Mapping[str, Any]) -> bool:
    shown = model_name(name)
    if shown.family not in WEIGHTED_FAMILIES and name not in WEIGHTED_LATE:
        return False
    if "xgboost" not in name:
        return True
    settings = config.get("xgboost") or {}
    return settings.get("positive_weight") is None and bool(settings.get("prior_correction", True))


def _with_weight(scores: ModelScores, predictions: pd.DataFrame) -> NDArray[np.float64] | None:
    """Test risks with ln(survivors / deaths of each fold's training studies) put back onto the logit."""
    rows = predictions[predictions["model"] == scores.name]
    train = rows[rows["split"] == "train"].groupby(["seed", "fold"])["label"].agg(["sum", "size"])
    weights = (train["size"] - train["sum"]) / train["sum"]
    test = rows[(rows["split"] == "test") & rows["study_id"].isin(scores.test.index)]
    of_row = test.set_index(["seed", "fold"]).index.map(weights.to_dict()).to_numpy(dtype=np.float64)
    if not len(test) or not np.isfinite(of_row).all() or (of_row <= 0).any():
        return None  # the run did not save its training rows
    risk = test["risk"].to_numpy(dtype=np.float64, copy=True)
    for weight in np.unique(of_row):
        these = of_row == weight
        risk[these] = WeightShift(1 / float(weight)).apply(risk[these])
    means = mean_by_study(test.assign(risk=risk)[["study_id", "risk"]], "risk")["risk"]
    return means.reindex(scores.test.index).to_numpy(dtype=np.float64)
