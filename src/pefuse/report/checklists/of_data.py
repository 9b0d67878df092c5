"""Answers about the patients and their data: where they come from, how they were prepared and split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pefuse.report.checklists.answer import Answer, setting
from pefuse.report.wording import counted, grouped, question
from pefuse.types import DEATH

if TYPE_CHECKING:
    from pefuse.report.sections.contract import Material

__all__ = ["ANSWERS"]

_VIEWS = {"whole": "of the whole scan", "lungs": "of the box around the lungs"}
_SCORE_GAPS = {
    "normal": "counts as normal",
    "refuse": "leaves the study without a score",
    "impute": "is filled in from the training studies",
}


def objectives(material: Material) -> Answer:
    models = [model for model in material.results.models if model.family != "ideal"]
    asked = question(material.run.outcome, material.run.horizon_days)
    against = f" All others are compared with {material.reference.label}." if material.reference else ""
    return Answer(
        text=f"{counted(len(models), 'model')} for {asked} {'is' if len(models) == 1 else 'are'} developed and "
        f"evaluated.{against}",
        section="asked",
    )


def source(material: Material) -> Answer | None:
    name = material.run.cohort.get("name")
    if material.run.simulated:
        return Answer(
            text=f"All patients of the cohort {name} are simulated: scans and records were made by pefuse.",
            section="cohort",
            rest="",
        )
    return Answer(text=f"One cohort, {name}, for development and evaluation.", section="cohort") if name else None


def design(material: Material) -> Answer:
    if material.run.simulated:
        return Answer(text="Neither: the patients are simulated.", section="cohort")
    return Answer(text="Retrospective: models were trained and tested on studies with a known outcome.")


def dates(material: Material) -> Answer | None:
    years = sorted(material.run.cohort.get("by_year") or {})
    if not years:
        return None
    return Answer(
        text=f"Scans from {years[0]} to {years[-1]}. Each patient was followed for "
        f"{material.run.horizon_days} days or until the outcome.",
        section="cohort",
        rest="" if material.run.simulated else None,
    )


def sites(material: Material) -> Answer | None:
    studies = material.run.studies
    known = studies["site"].dropna().astype(str) if "site" in studies else studies.index[:0].to_series()
    count = int(known[known != ""].nunique())
    return Answer(text=f"The studies come from {counted(count, 'site')}.", section="cohort") if count else None


def eligibility(material: Material) -> Answer | None:
    flow = material.run.cohort.get("flow") or []
    if len(flow) < 2:
        return None
    steps = "; ".join(f"{step['step']} ({grouped(step['left_out'])} left out)" for step in flow[1:])
    return Answer(text=f"Of the cohort's studies those that passed these steps: {steps}.", section="cohort")


def preparation(material: Material) -> Answer | None:
    config = material.run.config
    grid, view = setting(config, "scan.grid"), setting(config, "scan.field_of_view")
    window = setting(config, "scan.window_hu")
    if grid is None:
        return None
    seen = f", {_VIEWS[view]}" if view in _VIEWS else ""
    clipped = f", window {_hu(window[0])} to {_hu(window[1])} HU" if window else ""
    return Answer(
        text=f"Each scan was checked and brought to {grid}×{grid}×{grid} voxels{seen}{clipped}; "
        f"{counted(material.results.quarantined, 'scan')} did not pass. The record was brought to one unit a "
        "quantity, and numbers outside the human range were not used. The steps are the same for every patient.",
        section="quarantine",
    )


def subsets(material: Material) -> Answer | None:
    view = setting(material.run.config, "scan.field_of_view")
    seen = {"whole": "the whole of it", "lungs": "of that the box around the lungs"}.get(str(view))
    return Answer(text=f"One series a study, and {seen}.", section="facts") if seen else None


def deidentification(material: Material) -> Answer | None:
    if material.run.simulated:
        return Answer(text="There is nobody to identify: the patients are simulated.", section="cohort")
    return None


def outcome(material: Material) -> Answer:
    asked = question(material.run.outcome, material.run.horizon_days)
    simulated = material.run.simulated
    return Answer(
        text=f"{asked[0].upper()}{asked[1:]}, counted from the scan"
        + (
            "; drawn from each patient's true risk." if simulated else ". Whoever was not followed so long is out."
        ),
        section="asked",
        rest="" if simulated else None,
    )


def judgement(material: Material) -> Answer | None:
    if material.run.outcome != DEATH:
        return None
    return Answer(text="Nobody: death needs no judgement, and nothing was annotated by readers.", section="asked")


def predictor_choice(material: Material) -> Answer | None:
    config = material.run.config
    share = setting(config, "record.min_diagnosis_share")
    if share is None:
        return None
    screen = setting(config, "tabnet.screen")
    kept = (
        f" TabNet then sees the {screen} columns that differ most between the outcomes of its training part."
        if screen
        else ""
    )
    return Answer(
        text="All that the record holds before the scan. Constants and identifiers are dropped, and diagnoses of "
        f"fewer than {100 * share:g} % of the training part; each fold decides on its training part alone.{kept}",
        section="facts",
    )


def predictors(material: Material) -> Answer | None:
    lag = setting(material.run.config, "features.lag_hours")
    if lag is None:
        return None
    until = "the scan" if not lag else f"{lag:g} hours before the scan"
    return Answer(
        text=f"Columns of the record up to {until} (nothing later is used), and the scan. Each model card "
        "lists the "
        "columns that its model reads, with their units.",
        section="facts",
        rest="" if material.run.simulated else None,
    )


def sample_size(material: Material) -> Answer:
    results, split = material.results, material.run.predictions
    rows = split[split["split"] != "test"].drop_duplicates("study_id")
    counts = (
        f"{grouped(len(rows))} studies with {counted(int(rows['label'].sum()), 'death')} to develop on, "
        f"{grouped(results.test_studies)} with {counted(results.test_deaths, 'death')} to test on."
    )
    if material.reference is None or not results.comparisons:
        return Answer(text=counts, section="limits")
    needed = " How many test studies would show each difference is told beside the comparisons."
    return Answer(text=counts + needed, section="comparison", rest="how the size came about")


def missing(material: Material) -> Answer | None:
    config = material.run.config
    impute = setting(config, "record.impute")
    if impute is None:
        return None
    marked = ", and a column marks it" if setting(config, "record.missing_indicators") else ""
    gap = _SCORE_GAPS.get(str(setting(config, "score_missing")), "")
    scores = f" A missing part of a clinical score {gap}." if gap else ""
    apart = material.results.all_test_studies - material.results.test_studies
    without = (
        f" {counted(apart, 'test study', 'test studies')} that some model could not judge {_is(apart)} kept apart."
    )
    return Answer(
        text=f"A missing number becomes the {impute} of the fold's training part{marked}; boosted trees see it as "
        f"missing.{scores}{without if apart else ' No test study was left out for want of a scan or a record.'}",
        section="cohort",
    )


def partitions(material: Material) -> Answer:
    folds = material.folds
    rest = f"the others were split into {folds} stratified folds" if folds > 1 else "the others once, stratified"
    return Answer(
        text=f"Test studies were set apart before anything was learnt ({_test_years(material)}); {rest} for "
        "training "
        "and validation. Whatever learns from data saw its training part alone; thresholds come from validation.",
        section="cohort",
    )


def disjoint(material: Material) -> Answer:
    return Answer(text="The patient: all studies of one are on the same side.", section="cohort")


def differences(material: Material) -> Answer | None:
    splits: Mapping[str, Any] = material.run.cohort.get("by_split") or {}
    earlier, test = splits.get("development"), splits.get("test")
    if not earlier or not test or not earlier["studies"] or not test["studies"]:
        return None
    shares = [100 * part["deaths"] / part["studies"] for part in (earlier, test)]
    return Answer(
        text=f"Test: {_test_years(material)}. {shares[0]:.1f} % died in development, {shares[1]:.1f} % in "
        "test. The "
        "outcome, the predictors and their preparation are the same.",
        section="cohort",
        rest="" if material.run.simulated else None,
    )


def data_sharing(material: Material) -> Answer | None:
    if material.run.simulated:
        return Answer(text="The simulated cohort can be made again with pefuse from its seed.", section="cohort")
    return None


def _test_years(material: Material) -> str:
    studies, predictions = material.run.studies, material.run.predictions
    ids = predictions.loc[predictions["split"] == "test", "study_id"].unique()
    years = sorted(int(year) for year in studies.reindex(ids)["year"].dropna().unique()) if len(studies) else []
    if not years:
        return "the same in every fold"
    return f"those of {years[0]}" if len(years) == 1 else f"from {years[0]} to {years[-1]}"


def _hu(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


ANSWERS: dict[str, Callable[[Material], Answer | None]] = {
    function.__name__: function
    for function in (
        objectives,
        source,
        design,
        dates,
        sites,
        eligibility,
        preparation,
        subsets,
        deidentification,
        outcome,
        judgement,
        predictor_choice,
        predictors,
        sample_size,
        missing,
        partitions,
        disjoint,
        differences,
        data_sharing,
    )
}
