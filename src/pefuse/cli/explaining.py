"""The verb `explain`: of a run its main model on the test studies, of a bundle one new patient."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from pefuse.cli.options import Debug, Json
from pefuse.cli.output import RESEARCH_USE_ONLY, print_json, print_lines
from pefuse.cli.progress import show_progress
from pefuse.errors import PefuseError, UsageError

if TYPE_CHECKING:
    from pefuse.types import Progress

__all__ = ["explain", "explain_if_possible", "tell_unexplained"]

METHODS = "grad-cam, hires-cam, layer-cam"


def explain(
    target: Annotated[
        Path, typer.Argument(metavar="RUN|BUNDLE", help="A finished run, or a bundle of one.", show_default=False)
    ],
    cohort: Annotated[
        Path | None, typer.Option(metavar="COHORT", help="Of a run: the cohort that it was trained on.")
    ] = None,
    model: Annotated[str, typer.Option(help="Of a run: which model; the paper's full one if not given.")] = "",
    cases: Annotated[int, typer.Option(min=1, help="Of a run: how many patients to show, mistakes first.")] = 8,
    study: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Of a run: show this test study; may be repeated.")
    ] = None,
    ct: Annotated[Path | None, typer.Option(metavar="PATH", help="Of a bundle: the patient's scan.")] = None,
    ehr: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Of a bundle: one patient's events (MEDS columns) or row of features."),
    ] = None,
    index_time: Annotated[
        str,
        typer.Option("--index-time", metavar="TIME", help="When the scan was taken; later events do not count."),
    ] = "",
    age: Annotated[float | None, typer.Option(min=0, max=130, help="The patient's age in years.")] = None,
    sex: Annotated[str, typer.Option(metavar="F|M", help="The patient's sex.")] = "",
    codes: Annotated[
        Path | None, typer.Option(metavar="CSV", help="What local codes mean, as a cohort's codes.csv.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Of a bundle: folder of the results.")] = None,
    method: Annotated[str, typer.Option(help=f"How heat is made: {METHODS}.")] = "layer-cam",
    layer: Annotated[
        str, typer.Option(help="Layer of the image network; the deepest that can point at a heart if not given.")
    ] = "",
    occlusion: Annotated[
        bool | None,
        typer.Option("--occlusion/--no-occlusion", help="A second opinion; of a run by default, of a bundle not."),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show what a model goes by: where in the scan, what in the record, and which of the two moved the risk."""
    from pefuse.explain import HeatMethod

    if method not in get_args(HeatMethod):
        raise UsageError(f"--method is '{method}': it must be one of {METHODS}.")
    if (target / "predictions.csv").is_file():
        if cohort is None:
            raise UsageError("A run does not hold its scans and records: name its cohort with --cohort.")
        if any(given is not None for given in (ct, ehr, out, codes, age)) or index_time or sex:
            raise UsageError("--ct, --ehr and what belongs to them are of a bundle: name RUN/bundles/MODEL.")
        options = {
            "model": model,
            "method": method,
            "layer": layer,
            "cases": cases,
            "studies": tuple(study or ()),
            "occlusion": occlusion is not False,
        }
        _explain_run(target, cohort, options, json=json)
        return
    if not (target / "bundle.json").is_file():
        raise UsageError("There is neither a run nor a bundle: name a run's folder, or RUN/bundles/MODEL.")
    if cohort is not None or study or model:
        raise UsageError("--cohort, --study and --model are of a run: name the run's folder, or leave them out.")
    if out is None:
        raise UsageError("Name a folder for the results with --out.")
    given = {
        "ct": ct,
        "record": ehr,
        "index_time": index_time,
        "age_years": age,
        "sex": sex,
        "codes": codes,
    }
    options = {"method": method, "layer": layer, "occlusion": bool(occlusion)}
    _explain_patient(target, given, out, options, json=json)


def explain_if_possible(run: Path, cohort: Path, *, progress: Progress) -> str:
    """Explain a run that was just trained, unless its model is explained already.

    What stands in the way is told, and takes nothing from the results.
    """
    from pefuse.explain import explain_run, is_explained

    try:
        if not is_explained(run):
            explain_run(run, cohort, progress=progress)
    except PefuseError as error:
        return f"No explanations: {error}"
    return ""


def tell_unexplained(line: str) -> None:
    """On stderr, so that a program's JSON stays what it is."""
    if line:
        typer.echo(line, err=True)


def _explain_run(run: Path, cohort: Path, options: dict[str, Any], *, json: bool) -> None:
    from pefuse.explain import ExplainOptions, explain_run
    from pefuse.report import build_report

    with show_progress() as progress:
        folder = explain_run(run, cohort, options=ExplainOptions(**options), progress=progress)
    page = build_report(run)
    if json:
        print_json({"run": str(run), "explanations": str(folder), "report": str(page)})
        return
    print_lines(f"Explanations: {folder}", f"Report: {page}", RESEARCH_USE_ONLY)


def _explain_patient(
    folder: Path, given: dict[str, Any], out: Path, options: dict[str, Any], *, json: bool
) -> None:
    from pefuse.explain import HeatMethod, PatientFiles, explain_patient
    from pefuse.models.bundle import load_bundle

    found = explain_patient(
        load_bundle(folder),
        PatientFiles(**given),
        out,
        method=cast(HeatMethod, options["method"]),
        layer=options["layer"],
        occlusion=options["occlusion"],
    )
    if json:
        print_json({"out": str(out), **found})
        return
    called = "" if found["called"] is None else f", {'above' if found['called'] else 'below'} the threshold"
    print_lines(
        f"{found['model']}: risk {found['risk']:.3f} ({found['outcome']}, {found['horizon_days']} days){called}.",
        *(f"  {note}" for note in found["record_notes"]),
        *(f"  {feature['text']} ({100 * feature['share']:.0f} %)" for feature in found["features"][:6]),
        f"Scan, heat and figure: {out}",
        *(["The model was trained on simulated data."] if found["simulated_training"] else []),
        RESEARCH_USE_ONLY,
    )
