"""From a run folder to its results, Table 1, figures and page: nothing is trained, only the run is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pefuse.report.aggregation import collect_scores
from pefuse.report.characteristics import cohort_table
from pefuse.report.evidence import ELSEWHERE
from pefuse.report.figures import Plot, write_plot
from pefuse.report.formats import check_formats, write_formats
from pefuse.report.page import build_page
from pefuse.report.results import Results, inputs_digest, load_results
from pefuse.report.run_folder import RunFolder, read_run
from pefuse.report.sections import Material
from pefuse.report.summarise import summarise_scores
from pefuse.report.tables import table1_numbers, table1_text, write_cohort_table, write_tables
from pefuse.report.tables.evidence import write_evidence_tables
from pefuse.storage import write_json, write_text

__all__ = ["build_report", "summarise", "table1", "table1_readable"]


def summarise(run: Path) -> None:
    """Write `results.json` and `tables/table1.csv` and `.md` of a run folder.

    Raises:
        RunError: no such run, or one that is damaged.
    """
    _summarise(run, read_run(run))


def build_report(
    run: Path,
    *,
    subgroups: Sequence[str] = (),
    prevalence: float = ELSEWHERE,
    formats: Sequence[str] = (),
) -> Path:
    """Write `results.json`, `tables/`, `figures/` and `report.html` of a run folder, all from the same numbers.

    Args:
        run: the run's folder.
        subgroups: columns to make subgroups of, beside sex, age and site.
        prevalence: mortality elsewhere, in (0, 1), at which PPV and NPV are told too.
        formats: of `md`, `tex` and `pdf` those to write too; others of an older report are taken away.

    Returns:
        The page's path.

    Raises:
        RunError: no such run, one that is damaged, or a column that no subgroups can be made of.
        UsageError: a format needs a package that is not installed.
    """
    check_formats(formats)
    content = read_run(run)
    results = _summarise(run, content, subgroups=subgroups, prevalence=prevalence)
    material = Material(run=content, results=results, scores=tuple(collect_scores(content)), folder=run)
    page = build_page(material)
    _write_figures(page.plots, run / "figures")
    write_text(run / "report.html", page.html)
    write_formats(page.html, run, formats)
    return run / "report.html"


def table1(run: Path) -> pd.DataFrame:
    """Table 1 of a run as numbers, one row a model: AUC, rates, bounds, validation AUC, the paper's figures."""
    return table1_numbers(_results(run))


def table1_readable(run: Path) -> pd.DataFrame:
    """Table 1 of a run as people read it, all text: to be printed as it is."""
    return table1_text(_results(run))


def _results(run: Path) -> Results:
    return load_results(run) or _summarise(run, read_run(run))


def _summarise(
    run: Path, content: RunFolder, *, subgroups: Sequence[str] = (), prevalence: float = ELSEWHERE
) -> Results:
    results = summarise_scores(content, inputs=inputs_digest(run), subgroups=subgroups, prevalence=prevalence)
    write_json(run / "results.json", results.model_dump(mode="json"))
    write_tables(results, run / "tables")
    write_evidence_tables(results.evidence, run / "tables")
    write_cohort_table(cohort_table(content), run / "tables", simulated=content.simulated)
    return results


def _write_figures(plots: tuple[Plot, ...], folder: Path) -> None:
    for plot in plots:
        write_plot(plot, folder)
    ours = {f"{plot.name}{ending}" for plot in plots for ending in (".svg", ".csv")}
    for path in folder.glob("*.*"):
        if path.suffix in (".svg", ".csv") and path.name not in ours:
            path.unlink()  # of a model that is no longer in the run
