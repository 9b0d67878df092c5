"""Arguments and options that several verbs share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from pefuse.errors import UsageError

__all__ = [
    "CohortFolder",
    "ConfigFile",
    "Debug",
    "DebugState",
    "Folds",
    "Jobs",
    "Json",
    "Lag",
    "Preset",
    "Pretrained",
    "RunFolder",
    "Seed",
    "Settings",
    "lag_hours",
    "lag_setting",
]


@dataclass(kw_only=True)
class DebugState:
    """Whether `--debug` was given; made anew for each command."""

    on: bool = False


def _remember_debug(context: typer.Context, value: bool) -> bool:
    if isinstance(context.obj, DebugState):
        context.obj.on = value
    return value


Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON; progress goes to stderr.")]
Debug = Annotated[
    bool, typer.Option("--debug", callback=_remember_debug, is_eager=True, help="Show the traceback of an error.")
]
CohortFolder = Annotated[
    Path,
    typer.Argument(metavar="COHORT", help="Cohort folder: studies.csv, events and scans.", show_default=False),
]
RunFolder = Annotated[
    Path, typer.Option("--out", metavar="RUN", help="Folder of the results.", show_default=False)
]
Preset = Annotated[
    str,
    typer.Option(
        help="paper: as its text says; released: as its authors' code does; demo: narrow, minutes on two cores."
    ),
]
Pretrained = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Swin's pretrained weights, MONAI's model_swinvit.pt; from scratch if not given."
    ),
]
Folds = Annotated[int | None, typer.Option(help="Folds for cross-validation; the preset's if not given.", min=1)]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random; 0 if not given.", min=0)]
Jobs = Annotated[int | None, typer.Option(help="Studies handled at once; all allowed cores if not given.", min=1)]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="YAML file with settings over the preset's.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One setting, such as sanet.loop.epochs=20; may be repeated."),
]


Lag = Annotated[
    str | None,
    typer.Option(metavar="24h", help="Read the record up to so long before the scan: hours (h) or days (d)."),
]


def lag_setting(lag: str | None) -> list[str]:
    """`--lag 24h` as the setting that it is.

    Raises:
        UsageError: it is no length of time.
    """
    return [] if lag is None else [f"features.lag_hours={lag_hours(lag):g}"]


def lag_hours(lag: str | None) -> float:
    """Hours of `--lag 24h` or `2d`; 0 of none.

    Raises:
        UsageError: it is no length of time.
    """
    if lag is None:
        return 0.0
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([hd])", lag.strip().lower())
    if found is None:
        raise UsageError(f"--lag is '{lag}': it must be hours or days, such as 24h or 2d.")
    return float(found[1]) * (24 if found[2] == "d" else 1)
