"""The verbs that train: `compare` many models, `fit` one."""

from __future__ import annotations

from dataclasses import asdict
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pefuse.cli.explaining import explain_if_possible, tell_unexplained
from pefuse.cli.options import (
    CohortFolder,
    ConfigFile,
    Debug,
    Folds,
    Json,
    Lag,
    Preset,
    Pretrained,
    RunFolder,
    Seed,
    Settings,
    lag_setting,
)
from pefuse.cli.output import print_json, print_lines, print_table
from pefuse.cli.progress import show_progress
from pefuse.cli.results import show_results
from pefuse.errors import IncompleteRunError, UsageError

if TYPE_CHECKING:
    from pefuse.training import RunConfig

__all__ = ["MODELS", "compare", "fit"]

# As in models/zoo.py, which is too slow to import for a help text.
MODELS = (
    "pesi, spesi, xgboost, tabnet, sanet, swin, late-average, late-vote, late-tabnet, late-xgboost, early, "
    "intermediate-sanet, intermediate-swin, mbt"
)
Explain = Annotated[
    bool,
    typer.Option("--explain/--no-explain", help="Also explain the main model on test studies, for the report."),
]
VARIANTS = "A reduction, head or width may follow a fusion's name, as in intermediate-sanet-nmf."


def compare(
    cohort: CohortFolder,
    out: RunFolder,
    preset: Preset = "paper",
    models: Annotated[
        str | None, typer.Option(metavar="A,B,…", help=f"Of {MODELS}; all if not given. {VARIANTS}")
    ] = None,
    ablations: Annotated[
        bool, typer.Option("--ablations", help="The rows of Table 3 too: other heads, reductions and widths.")
    ] = False,
    folds: Folds = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Train each model from this many seeds (0, 1, …).")
    ] = None,
    seed: Seed = None,
    lag: Lag = None,
    pretrained: Pretrained = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be trained, and how long it may take.")
    ] = False,
    explain: Explain = True,
    config: ConfigFile = None,
    settings: Settings = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Train and compare the paper's models on a cohort: predictions, Tables 1 to 3, figures and a report."""
    if seed is not None and seeds is not None:
        raise UsageError("--seed trains from that one seed, --seeds from several: give one of the two.")
    given = [*lag_setting(lag), *(["ablations=true"] if ablations else [])]
    resolved = resolve(
        preset, config, [*(settings or ()), *given], models=models, folds=folds, seeds=seed_list(seed, seeds)
    )
    if dry_run:
        show_plan(cohort, out, resolved, pretrained=pretrained, json=json)
    else:
        train_and_report(cohort, out, resolved, pretrained=pretrained, explain=explain, json=json)


def fit(
    cohort: CohortFolder,
    out: RunFolder,
    model: Annotated[str, typer.Option(help=f"One of {MODELS}. {VARIANTS}", show_default=False)],
    preset: Preset = "paper",
    folds: Folds = None,
    seed: Seed = None,
    lag: Lag = None,
    pretrained: Pretrained = None,
    explain: Explain = True,
    config: ConfigFile = None,
    settings: Settings = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Train one model on a cohort."""
    given = [*(settings or ()), *lag_setting(lag)]
    resolved = resolve(preset, config, given, models=model, folds=folds, seeds=seed_list(seed, None))
    train_and_report(cohort, out, resolved, pretrained=pretrained, explain=explain, json=json)


def train_and_report(
    cohort: Path, out: Path, config: RunConfig, *, pretrained: Path | None = None, explain: bool, json: bool
) -> None:
    """Train the config's models, explain the main one, write the report and print Table 1.

    Raises:
        IncompleteRunError: after that, where some models could not be trained.
    """
    from pefuse.cohort import load_cohort
    from pefuse.report import build_report
    from pefuse.training import compare as compare_models

    failure: IncompleteRunError | None = None
    with show_progress() as progress:
        try:
            compare_models(load_cohort(cohort), out=out, config=config, pretrained=pretrained, progress=progress)
        except IncompleteRunError as error:
            failure = error
        unexplained = explain_if_possible(out, cohort, progress=progress) if explain else ""
        build_report(out)
    show_results(out, json=json)
    tell_unexplained(unexplained)
    if failure is not None:
        raise failure


def show_plan(cohort: Path, out: Path, config: RunConfig, *, pretrained: Path | None, json: bool) -> None:
    """Print what a comparison would train. Nothing is written."""
    import pandas as pd

    from pefuse.cohort import load_cohort
    from pefuse.training import plan_run

    plan = plan_run(load_cohort(cohort), out=out, config=config, pretrained=pretrained)
    if json:
        models = [asdict(model) for model in plan.models]
        left = {"seconds_left": plan.seconds_left, "of_unknown_time": list(plan.unknown)}
        print_json({"models": models, "workers": plan.workers, "scans_prepared": plan.scans_prepared, **left})
        return
    rows = [
        {
            "Model": model.model,
            "Cells": model.cells,
            "Finished": model.finished,
            "Each": "not known" if model.seconds_each is None else duration(model.seconds_each),
        }
        for model in plan.models
    ]
    print_table(pd.DataFrame(rows), title=f"{plan.cells} cells, {plan.finished} finished")
    more = f" Not known yet of {', '.join(plan.unknown)}: no cell of them is finished." if plan.unknown else ""
    least = "at least " if plan.unknown else ""
    rest = f"The rest takes {least}about {duration(plan.seconds_left)}, {plan.workers} cells side by side.{more}"
    if plan.unknown and not plan.seconds_left:
        rest = "How long it takes cannot be told yet: no cell is finished."
    print_lines(
        "",
        rest,
        *(() if plan.scans_prepared else ("The scans are not prepared yet: that comes first.",)),
    )


def duration(seconds: float) -> str:
    """`48 s`, `3 min` or `2 h 5 min`."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds:.1f} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def seed_list(seed: int | None, seeds: int | None) -> list[int] | None:
    """The seeds that `--seed S` or `--seeds N` stand for; None where neither was given."""
    if seed is not None:
        return [seed]
    return list(range(seeds)) if seeds is not None else None


def resolve(
    preset: str,
    file: Path | None,
    settings: list[str] | None,
    *,
    models: str | None = None,
    folds: int | None = None,
    seeds: list[int] | None = None,
) -> RunConfig:
    """The run's config: the preset, the file over it, then `--set`, then the options with a name of their own."""
    from pefuse.training import resolve_config

    overrides = list(settings or ())
    if models is not None:
        names = [name.strip() for name in models.split(",") if name.strip()]
        if not names:
            raise UsageError("--models names no model: give one or more, joined by commas.")
        overrides.append(f"models={dumps(names)}")
    if folds is not None:
        overrides.append(f"folds={folds}")
    if seeds is not None:
        overrides.append(f"seeds={seeds}")
    return resolve_config(preset, file=file, overrides=overrides)
