"""The verb `report`, and what every verb that ends with results prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pefuse.cli.options import Debug, Json
from pefuse.cli.output import RESEARCH_USE_ONLY, print_json, print_lines, print_table, table_rows

if TYPE_CHECKING:
    from pefuse.report.results import Results

__all__ = ["report", "show_results"]


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.", show_default=False)],
    subgroup: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Also show subgroups by this column of the run's studies.csv, characteristics.csv or your own "
            "subgroups.csv beside them; can be given several times.",
            show_default=False,
        ),
    ] = None,
    prevalence: Annotated[
        float,
        typer.Option(min=0.0001, max=0.9999, help="Mortality elsewhere at which PPV and NPV are told too."),
    ] = 0.05,
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="LIST",
            help="What to write, of html, md, tex and pdf, parted by commas; html is always written.",
        ),
    ] = "html",
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Build report.html again from a run's saved results."""
    from pefuse.report import build_report
    from pefuse.report.formats import parse_formats

    named = parse_formats(formats)
    build_report(run, subgroups=subgroup or (), prevalence=prevalence, formats=named)
    show_results(run, json=json, formats=named)


def show_results(run: Path, *, json: bool, seconds: float | None = None, formats: Sequence[str] = ()) -> None:
    """Print Table 1 of a run, and where its report is (as the user named the folder)."""
    from pefuse.report import table1, table1_readable
    from pefuse.report.results import load_results
    from pefuse.report.run_folder import read_run
    from pefuse.types import DEATH

    record = read_run(run).cohort.get("record") or {}
    results, page, outcome = load_results(run), run / "report.html", read_run(run).outcome
    others = [str(run / f"report.{name}") for name in formats if name != "html"]
    assert results is not None  # just written
    about = {
        "simulated": results.simulated,
        "outcome": outcome,
        "studies": results.test_studies,
        "deaths": results.test_deaths,
        "studies_apart": results.all_test_studies - results.test_studies,
        "quarantined": results.quarantined,
        "record": record,
        "not_trained": [one.model_dump() for one in results.not_trained],
    }
    if json:
        rows = table_rows(table1(run))
        took = {} if seconds is None else {"seconds": seconds}
        also = {"other_formats": others} if others else {}
        print_json({"run": str(run), "report": str(page), **also, **took, **about, "table1": rows})
        return
    died = f"{results.test_studies} test studies, {results.test_deaths} deaths within {results.horizon_days} days"
    print_table(table1_readable(run), title=f"Table 1: {died}")
    print_lines(
        "",
        *([] if outcome == DEATH else [f"Outcome: {outcome}. Where deaths are spoken of, it is meant."]),
        *notices(results, record),
        f"{'Simulated data. ' if results.simulated else ''}{RESEARCH_USE_ONLY}",
        f"Report: {page}",
        *(f"        {other}" for other in others),
    )
    if seconds is not None:
        print_lines(f"Time: {seconds:.0f} s")


def notices(results: Results, record: Mapping[str, Any]) -> list[str]:
    """What a reader of Table 1 must know before the numbers are believed."""
    from pefuse.report.record_wording import record_warnings
    from pefuse.report.wording import apart_sentence, counted

    lines = [f"Not trained: {model.sentence}." for model in results.not_trained]
    if results.quarantined:
        lines.append(f"{counted(results.quarantined, 'scan')} in quarantine: quarantine.csv says why.")
    lines += record_warnings(record)
    if apart := apart_sentence(results):
        lines.append(apart)
    return lines
