"""The verb `report`, and what every verb that ends with results prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pefuse.cli.options import Debug, Json
from pefuse.cli.output import RESEARCH_USE_ONLY, print_json, print_lines, print_table, table_rows
from pefuse.errors import UsageError

if TYPE_CHECKING:
    from pefuse.report.results import Results

__all__ = ["report", "show_results"]

ELSEWHERE = 0.05  # as in report/evidence, which takes too long to import before it is needed


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Folder of a finished run; of several, the later ones are compared with the first.",
            show_default=False,
        ),
    ],
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
    ] = ELSEWHERE,
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="LIST",
            help="What to write, of html, md, tex and pdf, parted by commas; html is always written.",
        ),
    ] = "html",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The page of several runs, with a CSV and its figures beside; by default comparison.html here.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Build report.html again from a run's saved results, or compare several runs on one page."""
    from pefuse.report import build_report
    from pefuse.report.formats import parse_formats

    named = parse_formats(formats)
    if len(runs) > 1:
        if subgroup or named != ("html",) or prevalence != ELSEWHERE:
            raise UsageError(
                "--subgroup, --prevalence and --format are for the report of one run: leave them out."
            )
        compare_on_page(runs, out or Path("comparison.html"), json=json)
        return
    if out is not None:
        raise UsageError("--out is for several runs; the report of one run is report.html in its folder.")
    run = runs[0]
    build_report(run, subgroups=subgroup or (), prevalence=prevalence, formats=named)
    show_results(run, json=json, formats=named)


def compare_on_page(runs: list[Path], out: Path, *, json: bool) -> None:
    """Write the page of several runs and print what it says of each model."""
    from pefuse.report.runs import pair_numbers, pair_text, report_runs

    pairs = report_runs(runs, out)
    if json:
        told = [
            {
                "first": str(runs[0]),
                "second": str(folder),
                "relation": pair.relation,
                "statement": pair.statement,
                "models": table_rows(pair_numbers(pair)),
                "settings": {one.name: [one.first, one.second] for one in pair.settings},
                "versions": {one.name: [one.first, one.second] for one in pair.versions},
            }
            for folder, pair in zip(runs[1:], pairs, strict=True)
        ]
        print_json({"page": str(out), "comparisons": told})
        return
    print_lines(*(f"{letter}: {folder}" for letter, folder in zip(ascii_uppercase, runs, strict=False)))
    for pair in pairs:
        print_lines("")
        print_table(pair_text(pair), title=f"{pair.second.letter} against {pair.first.letter}")
        print_lines(pair.statement)
    simulated = any(one.run.simulated for pair in pairs for one in (pair.first, pair.second))
    print_lines("", f"{'Simulated data. ' if simulated else ''}{RESEARCH_USE_ONLY}", f"Comparison: {out}")


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
    from pefuse.report.wording import apart_sentence, counted, unjudged_sentences

    lines = [f"Not trained: {model.sentence}." for model in results.not_trained]
    lines += unjudged_sentences(results)
    if results.quarantined:
        lines.append(f"{counted(results.quarantined, 'scan')} in quarantine: quarantine.csv says why.")
    lines += record_warnings(record)
    if apart := apart_sentence(results):
        lines.append(apart)
    return lines
