"""From a run folder to its results, Table 1, figures and page: nothing is trained, only the run is read."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pefuse.report.aggregation import collect_scores
from pefuse.report.figures import Plot, write_plot
from pefuse.report.page import build_page
from pefuse.report.results import Results, inputs_digest, load_results
from pefuse.report.run_folder import RunFolder, read_run
from pefuse.report.sections import Material
from pefuse.report.summarise import summarise_scores
from pefuse.report.tables import table1_numbers, table1_text, write_tables
from pefuse.storage import write_json, write_text

__all__ = ["build_report", "summarise", "table1", "table1_readable"]


def summarise(run: Path) -> None:
    """Write `results.json` and `tables/table1.csv` and `.md` of a run folder.

    Raises:
        RunError: no such run, or one that is damaged.
    """
    _summarise(run, read_run(run))


def build_report(run: Path) -> Path:
    """Write `results.json`, `tables/`, `figures/` and `report.html` of a run folder, all from the same numbers.

    Returns:
        The page's path.

    Raises:
        RunError: no such run, or one that is damaged.
    """
    content = read_run(run)
    results = _summarise(run, content)
    material = Material(run=content, results=results, scores=tuple(collect_scores(content)), folder=run)
    page = build_page(material)
    _write_figures(page.plots, run / "figures")
    write_text(run / "report.html", page.html)
    return run / "report.html"


def table1(run: Path) -> pd.DataFrame:
    """Table 1 of a run as numbers, one row a model: AUC, rates, bounds, validation AUC, the paper's figures."""
    return table1_numbers(_results(run))


def table1_readable(run: Path) -> pd.DataFrame:
    """Table 1 of a run as people read it, all text: to be printed as it is."""
    return table1_text(_results(run))


def _results(run: Path) -> Results:
    return load_results(run) or _summarise(run, read_run(run))


def _summarise(run: Path, content: RunFolder) -> Results:
    results = summarise_scores(content, inputs=inputs_digest(run))
    write_json(run / "results.json", results.model_dump(mode="json"))
    write_tables(results, run / "tables")
    return results


def _write_figures(plots: tuple[Plot, ...], folder: Path) -> None:
    for plot in plots:
        write_plot(plot, folder)
    ours = {f"{plot.name}{ending}" for plot in plots for ending in (".svg", ".csv")}
    for path in folder.glob("*.*"):
        if path.suffix in (".svg", ".csv") and path.name not in ours:
            path.unlink()  # of a model that is no longer in the run
