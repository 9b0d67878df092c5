"""Answers about the evaluation and its results: measures, intervals, subgroups, failures and limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pefuse.errors import RunError
from pefuse.report.checklists.answer import Answer
from pefuse.report.explanations import HeatSummary, read_summary
from pefuse.report.names import model_name
from pefuse.report.results import ModelResult
from pefuse.report.tables import format_estimate
from pefuse.report.wording import counted, grouped

if TYPE_CHECKING:
    from pefuse.report.sections.contract import Material

__all__ = ["ANSWERS"]


def measures(material: Material) -> Answer:
    return Answer(
        text="Discrimination (AUC, average precision, curves), rates, predictive values and likelihood ratios at "
        "thresholds chosen on validation, calibration (slope, intercept, deaths seen for each expected, Brier "
        "score, smoothed curves) and net benefit, all on the test studies. Models are compared by paired tests.",
        section="table1",
    )


def uncertainty(material: Material) -> Answer:
    return Answer(
        text="95 % intervals stand beside every estimate, with their method. Paired tests with Holm's correction. "
        "The spread over folds and seeds is shown apart.",
        section="table1",
    )


def clusters(material: Material) -> Answer | None:
    if not any(row.grouping == "site" for row in material.results.evidence.fairness):
        return None
    return Answer(
        text="AUC, sensitivity, specificity and calibration in each site, and the largest gap between two sites.",
        section="fairness",
        rest="" if material.run.simulated else "whether the models' parameters differ between centres",
    )


def fairness(material: Material) -> Answer:
    groupings = dict.fromkeys(row.grouping_label.lower() for row in material.results.evidence.fairness)
    measured = f" Gaps between groups ({'; '.join(groupings)}) are measured on the test studies."
    return Answer(
        text=f"Nothing was done in training to treat groups alike.{measured if groupings else ''}",
        section="fairness" if groupings else "",
    )


def robustness(material: Material) -> Answer | None:
    parts = []
    if material.folds * material.seeds > 1:
        parts.append(f"the spread over {counted(material.folds * material.seeds, 'training')} of each model")
    if material.results.of_table(3):
        parts.append("the full model with one part another (Table 3)")
    if not parts:
        return None
    joined = " and ".join(parts)
    return Answer(
        text=f"{joined[0].upper()}{joined[1:]}.",
        section="table3" if material.results.of_table(3) else "table1",
    )


def explanation(material: Material) -> Answer | None:
    summary = _explained(material)
    if summary is not None:
        checked = " Both are held against the truth of the simulation." if material.run.simulated else ""
        return Answer(
            text=f"{model_name(summary.model).label}: where in the scan its risk comes from ({summary.method}), "
            f"and which columns of the record it looked at, for single patients.{checked}",
            section="cases",
            rest="" if material.run.simulated else "how the explanations were checked",
        )
    if not len(material.run.importance):
        return None
    return Answer(
        text="The importance of each column to the models of the record.",
        section="importance",
        rest="what the models of the scan looked at, and how that was checked (pefuse explain tells the first)",
    )


def internal(material: Material) -> Answer:
    return Answer(
        text="Validation studies were judged by the fold models that had not learnt from them; their AUCs "
        "stand beside those on test.",
        section="generalisation",
    )


def external(material: Material) -> Answer:
    if material.run.simulated:
        return Answer(
            text="None: test and training studies come from the same simulated population.", section="cohort"
        )
    return Answer(
        text="None within this run: the test studies are of the same cohort as the others.",
        section="cohort",
        rest="whether the models were tested elsewhere",
    )


def flow(material: Material) -> Answer | None:
    run = material.run
    if not run.cohort.get("flow"):
        return None
    labelled, deaths = run.cohort.get("labelled"), run.cohort.get("deaths")
    return Answer(
        text=f"{grouped(int(run.cohort['studies']))} studies, {grouped(int(labelled or 0))} with a known outcome, "
        f"{grouped(int(deaths or 0))} of whom died; each step is drawn. All were followed to the horizon or "
        "to death.",
        section="cohort",
    )


def characteristics(material: Material) -> Answer | None:
    if not material.run.cohort.get("by_split"):
        return None
    return Answer(
        text="Counts, deaths, age, sex and more, by split and by outcome, with standardised differences and how "
        "often a value is missing.",
        section="cohort",
    )


def comparison_of_splits(material: Material) -> Answer | None:
    if not {"development", "test"} <= set(material.run.cohort.get("by_split") or {}):
        return None
    return Answer(text="Studies of development and of test side by side.", section="cohort")


def numbers(material: Material) -> Answer:
    predictions, results = material.run.predictions, material.results
    first = predictions[predictions["fold"] == predictions["fold"].min()].drop_duplicates("study_id")
    parts = []
    for split, called in (("train", "train"), ("validation", "validate")):
        rows = first[first["split"] == split]
        parts.append(f"{grouped(len(rows))} ({counted(int(rows['label'].sum()), 'death')}) to {called}")
    tested = f"{grouped(results.test_studies)} ({counted(results.test_deaths, 'death')}) to test"
    return Answer(text=f"In the first fold {' and '.join(parts)}; in all folds {tested}.", section="table1")


def performance(material: Material) -> Answer | None:
    model = _shown(material)
    if model is None or model.test is None:
        return None
    return Answer(
        text=f"{model.label}: AUC {format_estimate(model.test.auc)}; all models in Table 1"
        + (", subgroups in Table 2." if material.results.subgroups else "."),
        section="table1",
    )


def accuracy(material: Material) -> Answer | None:
    model = _shown(material)
    if model is None or model.test is None or "sensitivity" not in model.test.rates:
        return None
    rates = model.test.rates
    return Answer(
        text=f"{model.label}: sensitivity {format_estimate(rates['sensitivity'])}, specificity "
        f"{format_estimate(rates['specificity'])}; all models with counts below Table 1.",
        section="table1",
    )


def failures(material: Material) -> Answer | None:
    model = _shown(material)
    if model is None or model.test is None or model.test.fn is None:
        return None
    explained = _explained(material) is not None
    shown = " The worst of them are shown one by one, with what the model saw." if explained else ""
    return Answer(
        text=f"{model.label} missed {counted(model.test.fn, 'death')} and gave "
        f"{counted(model.test.fp or 0, 'false alarm')} on the test studies.{shown}",
        section="cases" if explained else "table1",
        rest="what the missed deaths and false alarms have in common",
    )


def limitations(material: Material) -> Answer:
    return Answer(text="Those that the numbers show are listed, the gravest first.", section="limits")


def poor_input(material: Material) -> Answer:
    return Answer(
        text="A scan that cannot become a right volume is refused with its reason; a record in another unit "
        "is refused; "
        "missing values are filled in as in training. A study without what the model needs gets no risk.",
        section="quarantine",
    )


def _explained(material: Material) -> HeatSummary | None:
    """What was explained; None where nothing was, or where its section says that it is damaged."""
    try:
        return read_summary(material.folder)
    except RunError:
        return None


def _shown(material: Material) -> ModelResult | None:
    """The reference, else the first model that was judged."""
    judged = [
        model for model in material.results.of_table(1) if model.test is not None and model.family != "ideal"
    ]
    if material.reference is not None and material.reference.test is not None:
        return material.reference
    return judged[0] if judged else None


ANSWERS: dict[str, Callable[[Material], Answer | None]] = {
    function.__name__: function
    for function in (
        measures,
        uncertainty,
        clusters,
        fairness,
        robustness,
        explanation,
        internal,
        external,
        flow,
        characteristics,
        comparison_of_splits,
        numbers,
        performance,
        accuracy,
        failures,
        limitations,
        poor_input,
    )
}
