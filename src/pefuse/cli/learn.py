"""The verbs that train: `compare` many models, `fit` one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pefuse.cli.options import CohortFolder, ConfigFile, Debug, Folds, Json, Preset, RunFolder, Seed, Settings
from pefuse.cli.progress import show_progress
from pefuse.cli.results import show_results
from pefuse.errors import IncompleteRunError, UsageError

if TYPE_CHECKING:
    from pefuse.training import RunConfig

__all__ = ["MODELS", "compare", "fit"]

# As in models/zoo.py, which is too slow to import for a help text.
MODELS = (
    "pesi, spesi, xgboost, tabnet, sanet, late-average, intermediate-sanet, intermediate-sanet-none, "
    "intermediate-sanet-pca, intermediate-sanet-bilinear"
)


def compare(
    cohort: CohortFolder,
    out: RunFolder,
    preset: Preset = "paper",
    models: Annotated[
        str | None, typer.Option(metavar="A,B,…", help=f"Of {MODELS}; those of Table 1 if not given.")
    ] = None,
    folds: Folds = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Train each model from this many seeds (0, 1, …).")
    ] = None,
    seed: Seed = None,
    config: ConfigFile = None,
    settings: Settings = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Train and compare the paper's models on a cohort: predictions, Table 1, figures and a report."""
    if seed is not None and seeds is not None:
        raise UsageError("--seed trains from that one seed, --seeds from several: give one of the two.")
    chosen = seed_list(seed, seeds)
    train_and_report(
        cohort, out, resolve(preset, config, settings, models=models, folds=folds, seeds=chosen), json=json
    )


def fit(
    cohort: CohortFolder,
    out: RunFolder,
    model: Annotated[str, typer.Option(help=f"One of {MODELS}.", show_default=False)],
    preset: Preset = "paper",
    folds: Folds = None,
    seed: Seed = None,
    config: ConfigFile = None,
    settings: Settings = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Train one model on a cohort."""
    resolved = resolve(preset, config, settings, models=model, folds=folds, seeds=seed_list(seed, None))
    train_and_report(cohort, out, resolved, json=json)


def train_and_report(cohort: Path, out: Path, config: RunConfig, *, json: bool) -> None:
    """Train the config's models, write the report and print Table 1.

    Raises:
        IncompleteRunError: after that, where some models could not be trained.
    """
    from pefuse.cohort import load_cohort
    from pefuse.report import build_report
    from pefuse.training import compare as compare_models

    failure: IncompleteRunError | None = None
    with show_progress() as progress:
        try:
            compare_models(load_cohort(cohort), out=out, config=config, progress=progress)
        except IncompleteRunError as error:
            failure = error
        build_report(out)
    show_results(out, json=json)
    if failure is not None:
        raise failure


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
        overrides.append(f"models=[{models}]")
    if folds is not None:
        overrides.append(f"folds={folds}")
    if seeds is not None:
        overrides.append(f"seeds={seeds}")
    return resolve_config(preset, file=file, overrides=overrides)
