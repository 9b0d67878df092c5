"""The few calls behind the README's Python example: what the CLI's verbs do, with names in place of configs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pefuse.report.results import RATES
from pefuse.report.run_folder import RunFolder
from pefuse.report.summarise import summarise_scores
from pefuse.report.tables import table1_numbers
from pefuse.training import Run, RunConfig, resolve_config
from pefuse.training import compare as compare_models
from pefuse.training import fit as fit_model
from pefuse.types import Cohort, Predictions, Progress

__all__ = ["compare", "evaluate", "fit"]


def fit(
    cohort: Cohort,
    model: str,
    *,
    out: str | Path,
    preset: str = "paper",
    settings: Mapping[str, Any] | None = None,
    pretrained: str | Path | None = None,
    progress: Progress | None = None,
) -> Run:
    """Train one model, and what it starts from, on every fold; resumes where it stopped.

    Args:
        cohort: from `load_cohort` or `simulate_cohort`.
        model: a name such as "intermediate-sanet".
        out: folder of the run.
        preset: "paper", "released" or "demo".
        settings: over the preset, such as `{"folds": 3, "sanet.loop.epochs": 20}`.
        pretrained: weights that the Swin encoder starts from, MONAI's model_swinvit.pt.
        progress: called as `progress(what, done, total)`.

    Raises:
        PefuseError: an unknown name, or a cohort that cannot be used.
    """
    return fit_model(
        cohort,
        model,
        out=Path(out),
        config=_config(preset, settings),
        pretrained=Path(pretrained) if pretrained is not None else None,
        progress=progress,
    )


def compare(
    cohort: Cohort,
    models: Sequence[str] | None = None,
    *,
    out: str | Path,
    preset: str = "paper",
    ablations: bool = False,
    settings: Mapping[str, Any] | None = None,
    pretrained: str | Path | None = None,
    progress: Progress | None = None,
) -> Run:
    """Train several models (those of Table 1 if none is named) on the same folds; else as `fit`.

    `ablations` adds the rows of Table 3: other heads, reductions and widths of the intermediate fusion.

    Raises:
        IncompleteRunError: some models could not be trained; the results of the others lie in `out`.
    """
    chosen = dict(settings or {})
    if ablations:
        chosen["ablations"] = True
    if models is not None:
        chosen["models"] = list(models)
    return compare_models(
        cohort,
        out=Path(out),
        config=_config(preset, chosen),
        pretrained=Path(pretrained) if pretrained is not None else None,
        progress=progress,
    )


def evaluate(predictions: Predictions) -> pd.DataFrame:
    """Judge each model on its test studies, as the report's Table 1 does.

    Args:
        predictions: of a run; folds and seeds are averaged for each study.

    Returns:
        Indexed by model, in the order of the paper's table: `studies` and `deaths`; `auc` with `auc_low` and
        `auc_high` (DeLong, 95 %); `accuracy`, `specificity`, `sensitivity`, `ppv`, `npv` at the Youden threshold
        of the validation studies. NaN where something cannot be told, such as an AUC with a single outcome.
    """
    alone = RunFolder(
        predictions=predictions.table[predictions.table["label"].notna()],
        cohort={},
        config={},
        environment={},
        quarantine=pd.DataFrame(),
        failed=pd.DataFrame(columns=["model", "reason"]),
        ideal=pd.DataFrame(),
        studies=pd.DataFrame(),
        truth={},
        cells=(),
    )
    columns = ["studies", "deaths", "auc", "auc_low", "auc_high", *RATES]
    return table1_numbers(summarise_scores(alone, inputs="")).set_index("model")[columns]


def _config(preset: str, settings: Mapping[str, Any] | None) -> RunConfig:
    # JSON is YAML too, so any value reaches the one parser of settings unchanged.
    overrides = [f"{name}={json.dumps(value)}" for name, value in (settings or {}).items()]
    return resolve_config(preset, overrides=overrides)
