"""The page of several runs, with its numbers and figures beside it. The run folders are only read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pefuse.errors import UsageError
from pefuse.report.figures import Plot, write_plot
from pefuse.report.figures.run_differences import run_differences
from pefuse.report.page import environment
from pefuse.report.runs.comparing import RunPair, compare_runs
from pefuse.report.runs.loading import LoadedRun, load_runs
from pefuse.report.runs.numbers import pair_numbers
from pefuse.report.tables import RATE_NAMES
from pefuse.report.wording import ENOUGH_DEATHS
from pefuse.storage import atomic_file, write_text

__all__ = ["report_runs"]

_MARK = '<meta name="generator" content="pefuse report of several runs">'


def report_runs(folders: Sequence[Path], out: Path) -> list[RunPair]:
    """Compare each later run with the first: `out`, a CSV of the same name, and each figure as SVG and CSV beside.

    Args:
        folders: two or more runs.
        out: the page; a page of an earlier comparison is replaced.

    Returns:
        The comparisons, in the order of the runs.

    Raises:
        UsageError: `out` is a folder or another file; a run named twice; no model in common.
        RunError: a folder that is no run, or a damaged one.
    """
    _check_out(out)
    runs = load_runs(folders)
    pairs = compare_runs(runs)
    plots = [_plot(pair, out) for pair in pairs]
    for plot in plots:
        if plot is not None:
            write_plot(plot, out.parent)
    with atomic_file(out.with_suffix(".csv")) as partial:
        numbers = pd.concat([pair_numbers(pair) for pair in pairs], ignore_index=True)
        numbers.to_csv(partial, index=False, float_format="%.6g", lineterminator="\n")
    write_text(out, _page(runs, pairs, plots, out))
    return pairs


def _check_out(out: Path) -> None:
    if out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(
            f"The page's name ({out.name}) does not end in .html: name a file such as comparison.html."
        )
    if out.is_dir():
        raise UsageError("The page's name is that of a folder: name a file, such as comparison.html.")
    if out.exists() and _MARK not in out.read_text(encoding="utf-8", errors="replace")[:2000]:
        raise UsageError("A file of the page's name is there, and is no comparison of runs: name another one.")
    if not out.exists() and out.with_suffix(".csv").exists():
        raise UsageError(
            f"{out.with_suffix('.csv').name} is there, and the page's numbers would replace it: name another page."
        )


def _plot(pair: RunPair, out: Path) -> Plot | None:
    first, second = pair.first.letter, pair.second.letter
    stem = re.sub(r"[^\w.-]", "-", out.stem)  # the name also stands in the drawing
    return run_differences(
        [(model.label, model.difference) for model in pair.models if not model.same],
        first=first,
        second=second,
        name=f"{stem}-{second}-against-{first}",
    )


def _page(runs: Sequence[LoadedRun], pairs: Sequence[RunPair], plots: Sequence[Plot | None], out: Path) -> str:
    return (
        environment()
        .get_template("comparison.html")
        .render(
            mark=_MARK,
            runs=runs,
            pairs=list(zip(pairs, plots, strict=True)),
            simulated=[one.letter for one in runs if one.run.simulated],
            enough_deaths=ENOUGH_DEATHS,
            fewest_deaths=min(sum(one.test_labels.values()) for one in runs),
            rate_names={name: RATE_NAMES[name] for name in ("sensitivity", "specificity", "ppv", "npv")},
            numbers=out.with_suffix(".csv").name,
        )
    )
