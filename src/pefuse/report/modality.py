"""Which modality moved the risk: what a model says with its scan, or its record, replaced by an average one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit

from pefuse.evaluation import auroc, delong_test
from pefuse.report.names import model_name
from pefuse.report.tables import format_number, format_p

__all__ = ["LEAST_RISK", "ModalityFinding", "modality_findings"]

LEAST_RISK = 1e-4  # risks are kept this far from 0 and 1 where their log-odds are taken
FEW_DEATHS = 20
REPLACED = {"without_scan": "scan", "without_record": "record"}
Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ModalityFinding:
    """What the figure of one model shows, in sentences; `model` is its label."""

    model: str
    sentences: tuple[str, ...]


def modality_findings(table: pd.DataFrame, *, outcome: str) -> list[ModalityFinding]:
    """For each model what replacing its modalities does to its AUC and to its risks.

    Args:
        table: as `read_modality` gives it.
        outcome: what a label of 1 means.
    """
    return [
        ModalityFinding(model=model_name(str(model)).label, sentences=_sentences(rows, outcome))
        for model, rows in table.groupby("model", sort=False)
    ]


def _sentences(rows: pd.DataFrame, outcome: str) -> tuple[str, ...]:
    told = [_auc_sentence(rows, column) for column in REPLACED if rows["label"].nunique() == 2]
    if not told:
        told = ["All studies have the same outcome, so an AUC cannot be told."]
    told.append(_size_sentence(rows))
    cases = rows[rows["label"] == 1]
    if len(cases):
        told.append(_direction_sentence(cases, outcome))
    if 0 < len(cases) < FEW_DEATHS and rows["label"].nunique() == 2:
        told.append(f"With {len(cases)} such patients the AUCs are uncertain.")
    return tuple(told)


def _auc_sentence(rows: pd.DataFrame, column: str) -> str:
    labels = rows["label"].to_numpy()
    with_both, without = auroc(labels, rows["risk"]), auroc(labels, rows[column])
    test = delong_test(labels, rows["risk"], rows[column])
    verb = "falls" if without < with_both else "rises" if without > with_both else "stays"
    told = f"With an average {REPLACED[column]} in place of the patient's own the AUC {verb}"
    told += (
        f" at {format_number(with_both)}"
        if verb == "stays"
        else f" from {format_number(with_both)} to {format_number(without)}"
    )
    if np.isfinite(test.p_value):
        p = format_p(test.p_value)
        told += f" (DeLong p {p if p.startswith('<') else '= ' + p})"
    return f"{told}."


def _size_sentence(rows: pd.DataFrame) -> str:
    """How far each moves the odds, up or down: the geometric mean of the factor."""
    moved = {column: np.abs(_moved(rows, column)) for column in REPLACED}
    scan, record = (float(np.exp(values.mean())) for values in moved.values())
    larger = int((moved["without_scan"] > moved["without_record"]).sum())
    return (
        f"The patient's own scan moves the odds {scan:.1f}-fold up or down on average, the own record "
        f"{record:.1f}-fold; in {larger} of {len(rows)} studies the scan moves them more."
    )


def _direction_sentence(cases: pd.DataFrame, outcome: str) -> str:
    who = "Of the patients who died" if outcome == "death" else f"Of the patients with {outcome}"
    up = {column: int((_moved(cases, column) > 0).sum()) for column in REPLACED}
    return (
        f"{who}, the scan raised the risk of {up['without_scan']} of {len(cases)} and the record that of "
        f"{up['without_record']}."
    )


def _moved(rows: pd.DataFrame, column: str) -> Array:
    """Log-odds that the modality added, (N,)."""
    return _log_odds(rows["risk"]) - _log_odds(rows[column])


def _log_odds(risks: pd.Series) -> Array:
    clipped = risks.to_numpy(dtype=np.float64).clip(LEAST_RISK, 1 - LEAST_RISK)
    return np.asarray(logit(clipped))
