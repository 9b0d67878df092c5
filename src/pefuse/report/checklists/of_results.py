"""Answers about the evaluation and its results: measures, intervals, subgroups, failures and limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pefuse.report.checklists.answer import Answer
from pefuse.report.results import ModelResult
from pefuse.report.tables import format_estimate
from pefuse.report.wording import counted, grouped

if TYPE_CHECKING:
    from pefuse.report.sections.contract import Material

__all__ = ["ANSWERS"]


def measures(material: Material) -> Answer:
    return Answer(
        text="AUC, sensitivity, specificity, PPV and NPV at one threshold, ROC curves, calibration and Brier "
        "score, each "
        "on the test studies; models are compared by paired tests.",
        section="table1",
    )


def uncertainty(material: Material) -> Answer:
    return Answer(
        text="95 % intervals: DeLong's for AUC, Wilson's for rates. Paired DeLong and bootstrap tests with Holm's "
        "correction. The spread over folds and seeds is shown apart.",
        section="table1",
    )


def clusters(material: Material) -> Answer | None:
    site = next(
        (group for row in material.results.subgroups for group in row.groups if _of_site(group.group)), None
    )
    if site is None:
        return None
    return Answer(text="Performance in each site, with intervals.", section="table2")


def fairness(material: Material) -> Answer:
    subgroups = bool(material.results.subgroups)
    measured = " Performance in subgroups is measured on the test studies." if subgroups else ""
    return Answer(
        text=f"Nothing was done in training to treat groups alike.{measured}",
        section="table2" if subgroups else "",
    )


def robustness(material: Material) -> Answer | None:
    parts = []
    if material.folds * material.seeds > 1:
        parts.append(f"the spread over {counted(material.folds * material.seeds, 'training')} of each model")
    if material.results.of_table(3):
        parts.append("the full model with one part another (Table 3)")
    if not parts:
        return None
    return Answer(
        text=f"{' and '.join(parts)[0].upper()}{' and '.join(parts)[1:]}.",
        section="table3" if material.results.of_table(3) else "table1",
    )


def explanation(material: Material) -> Answer | None:
    if not len(material.run.importance):
        return None
    return Answer(
        text="The importance of each column to the models of the record.",
        section="importance",
        rest="what the models of the scan looked at, and how that was checked",
    )


def internal(material: Material) -> Answer:
    return Answer(
        text="Validation studies were judged by the fold models that had not learnt from them; their AUCs "
        "stand beside "
        "those on test.",
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
    return Answer(text="Counts, deaths, age and sex, by split and by year.", section="cohort")


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
    return Answer(
        text=f"{model.label} missed {counted(model.test.fn, 'death')} and gave "
        f"{counted(model.test.fp or 0, 'false alarm')} on the test studies.",
        section="table1",
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


def _shown(material: Material) -> ModelResult | None:
    """The reference, else the first model that was judged."""
    judged = [
        model for model in material.results.of_table(1) if model.test is not None and model.family != "ideal"
    ]
    if material.reference is not None and material.reference.test is not None:
        return material.reference
    return judged[0] if judged else None


def _of_site(group: str) -> bool:
    return group.lower().startswith("site")


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
