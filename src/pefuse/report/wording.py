"""What the page says in words: the findings that need a warning, and the limits of this run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pefuse.report.redaction import without_paths
from pefuse.report.results import ModelResult, Results
from pefuse.report.tables import format_estimate, format_number
from pefuse.types import DEATH

__all__ = [
    "apart_sentence",
    "counted",
    "drop_sentence",
    "dropped_models",
    "grouped",
    "limits",
    "unjudged_sentences",
    "without_paths",
]

ENOUGH_DEATHS = 100
"""Below this many deaths, external validation is imprecise (Collins, Ogundimu & Altman 2016)."""


def counted(number: int, one: str, many: str = "") -> str:
    """`1 death`, `10 deaths`."""
    return f"{grouped(number)} {one if number == 1 else many or one + 's'}"


def dropped_models(results: Results) -> list[ModelResult]:
    """Models whose test AUC lies below the validation AUC by more than chance explains; never the ideal ones."""
    return [model for model in results.of_table(1) if model.dropped and model.family != "ideal"]


def apart_sentence(results: Results) -> str:
    """What is said of test studies that not all models judged; "" where there are none."""
    models = [model for model in results.of_table(1) if not model.problem and model.family != "ideal"]
    sentences = []
    if apart := results.all_test_studies - results.test_studies:
        sentences.append(
            f"{counted(apart, 'test study', 'test studies')} of {grouped(results.all_test_studies)} had no usable "
            "scan or no record for some model: all models are compared without them."
        )
        more = [
            f"{model.label} {format_estimate(model.own_auc)} on {grouped(model.own_studies)}"
            for model in models
            if model.own_auc
        ]
        if more:
            sentences.append(f"AUC on all test studies that a model could judge: {'; '.join(more)}.")
    fewer = [model for model in models if model.studies < results.test_studies]
    if fewer:
        listed = ", ".join(
            f"{model.label} ({grouped(model.studies)} of {grouped(results.test_studies)})" for model in fewer
        )
        sentences.append(f"Judged on fewer studies, so not comparable with the other rows: {listed}.")
    return " ".join(sentences)


def unjudged_sentences(results: Results) -> list[str]:
    """Models without a result, those of one reason together, and models whose result means nothing."""
    problems = dict.fromkeys(model.problem for model in results.models if model.problem)
    sentences = [
        f"Not judged: {', '.join(model.label for model in results.models if model.problem == problem)}: {problem}."
        for problem in problems
    ]
    if equal := [model.label for model in results.models if model.all_equal]:
        sentences.append(f"All its risks are equal, so that it ranks no patient: {', '.join(equal)}.")
    return sentences


def question(outcome: str, horizon_days: int) -> str:
    """What is predicted: `death within 30 days of pulmonary embolism`, or the cohort's own outcome."""
    return f"death within {horizon_days} days of pulmonary embolism" if outcome == DEATH else outcome


def grouped(value: int) -> str:
    """`12 345`, with narrow no-break spaces."""
    return f"{value:,}".replace(",", "\u202f")


def limits(results: Results, *, seeds: int, config: Mapping[str, Any]) -> list[str]:
    """What to know before believing a number of this run, the gravest first."""
    deaths, survivors = results.test_deaths, results.test_studies - results.test_deaths
    notes = []
    if results.simulated:
        notes.append("All patients are simulated. The numbers tell how methods behave, nothing about people.")
    if deaths < ENOUGH_DEATHS and deaths and survivors:
        notes.append(
            f"Only {counted(deaths, 'death')} among {grouped(results.test_studies)} test studies: "
            f"one death called otherwise moves sensitivity by {1 / deaths:.2f}, and intervals are wide. "
            f"{ENOUGH_DEATHS} deaths or more are advised for a sound external validation."
        )
    if results.not_trained:
        notes.append(f"Not trained: {'; '.join(one.sentence for one in results.not_trained)}.")
    notes += unjudged_sentences(results)
    if apart := apart_sentence(results):
        notes.append(apart)
    notes.append(
        "Validation studies chose each network's stopping epoch and all thresholds, so validation AUCs are a "
        "little too good. Pooling them over folds mixes models, which makes them a little too bad."
    )
    if results.repeats and results.repeats[0].repeats > 1:
        notes.append(
            "Models of several folds and seeds are judged on the same test studies: their spread is that of "
            "training alone, and folds share most of their training studies."
        )
    if any(model.name == "swin" for model in results.models) and not (config.get("swin") or {}).get("pretrained"):
        notes.append(
            "Swin UNETR was trained from scratch; the paper's was pretrained on 5,050 CTs. Its rows, and those of "
            "the fusions that start from it, may do it wrong (`--pretrained`)."
        )
    if seeds <= 1:
        notes.append("One seed only: how much a result owes to the luck of initialisation cannot be seen.")
    notes.append(
        "Training lets deaths count as much as survivors; that weight is taken off the logits again, and nothing "
        "else is done to make risks true: look at calibration before reading one as a percentage."
    )
    notes.append(
        "The paper's figures come from other, private patients (72 test studies, 10 deaths). "
        "They stand beside for orientation and are no target."
    )
    return notes


def drop_sentence(model: ModelResult) -> str:
    """`SANet (scan): 0.95 on validation, 0.61 on test, a drop of 0.34 [0.20–0.47]`."""
    validation = format_number(model.validation_auc.value if model.validation_auc else None)
    test = format_number(model.test.auc.value if model.test else None)
    return f"{model.label}: {validation} on validation, {test} on test, a drop of {format_estimate(model.drop)}"
