"""A model card for each bundle of a run: what it is for, whom it learnt from, what it reads and how well it did.

Written to `model_cards/<model>.md`, and beside the bundle's own files as `MODEL_CARD.md`, so that it travels with
them. That copy is not among the files that the bundle's hash stands for: it tells of test results, which came
later, and a report that is built again must not make it another bundle. Whoever opens a bundle never reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import jinja2

from pefuse.errors import BundleError
from pefuse.report.bundle_facts import BundleFacts, FeatureFacts, read_bundle_facts
from pefuse.report.escaping import markdown_cell
from pefuse.report.evidence.fairness import GroupMeasures
from pefuse.report.names import model_name
from pefuse.report.results import ModelResult, Results
from pefuse.report.run_folder import RunFolder
from pefuse.report.tables import RATE_NAMES, TOO_FEW, format_estimate, format_number
from pefuse.report.wording import counted, grouped, limits, question
from pefuse.storage import write_text

__all__ = ["ModelCard", "model_cards", "write_model_cards"]

COPY = "MODEL_CARD.md"

_ARCHITECTURES = {
    "scan": "an image network of the scan",
    "record": "a TabNet of the record",
    "trees": "boosted trees of the record",
    "late": "a late fusion: the risks of a network of the scan and a TabNet of the record, joined",
    "fusion": "a fusion of what a network of the scan and a TabNet of the record see",
}
_VIEWS = {"whole": "the whole scan", "lungs": "the box around the lungs"}


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """A bundle and its card; `problem` says why it has none, "" = it has."""

    model: str
    label: str
    facts: BundleFacts | None
    text: str
    problem: str = ""


def model_cards(run: RunFolder, results: Results, folder: Path) -> tuple[ModelCard, ...]:
    """The cards of the run's models that have a bundle, in the order of its tables."""
    return tuple(
        _card(model, run, results, folder / "bundles" / model.name)
        for model in results.models
        if (folder / "bundles" / model.name).is_dir()
    )


def write_model_cards(cards: tuple[ModelCard, ...], folder: Path) -> None:
    """Write the cards, and take away those of other models and of bundles that were damaged since."""
    for card in cards:
        copy = folder / "bundles" / card.model / COPY
        if card.problem:
            copy.unlink(missing_ok=True)
        else:
            write_text(folder / "model_cards" / f"{card.model}.md", card.text)
            write_text(copy, card.text)
    ours = {f"{card.model}.md" for card in cards if not card.problem}
    for path in (folder / "model_cards").glob("*.md"):
        if path.name not in ours:
            path.unlink()


def _card(model: ModelResult, run: RunFolder, results: Results, folder: Path) -> ModelCard:
    try:
        facts = read_bundle_facts(folder)
        if facts.model != model.name:
            raise BundleError(f"The bundle says that it is of {facts.model}: the folder was renamed.")
    except BundleError as error:
        return ModelCard(model=model.name, label=model.label, facts=None, text="", problem=str(error))
    return ModelCard(model=model.name, label=model.label, facts=facts, text=_text(model, facts, run, results))


def _text(model: ModelResult, facts: BundleFacts, run: RunFolder, results: Results) -> str:
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("pefuse.report", "templates"),
        autoescape=False,  # Markdown, not HTML: every text from outside goes through `cell`
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "number": format_number,
        "estimate": format_estimate,
        "cell": markdown_cell,
        "measure": _measure,
    }
    templates.globals |= {"counted": counted, "grouped": grouped}
    return templates.get_template("model_card.md").render(
        model=model,
        facts=facts,
        results=results,
        question=question(facts.cohort.outcome, facts.cohort.horizon_days),
        architecture=_ARCHITECTURES.get(facts.architecture, facts.architecture),
        field_of_view=_VIEWS.get(facts.field_of_view or "", ""),
        tested_on=_tested_on(run),
        rate_names=RATE_NAMES,
        calibration=next((row for row in results.evidence.calibration if row.name == model.name), None),
        subgroups=[row for row in results.evidence.fairness if row.name == model.name],
        families=_families(facts.features),
        starts_from=_starts_from(facts),
        limits=limits(results, seeds=int(run.predictions["seed"].nunique()), config=run.config),
        folds=len({member.get("fold") for member in facts.members}),
        seeds=len({member.get("seed") for member in facts.members}),
    )


def _measure(found: GroupMeasures | None) -> str:
    return format_estimate(found.value) if found else TOO_FEW


def _families(features: tuple[FeatureFacts, ...]) -> list[tuple[str, list[FeatureFacts]]]:
    ordered = sorted(features, key=lambda feature: feature.family)
    return [(name, list(members)) for name, members in groupby(ordered, key=lambda feature: feature.family)]


def _starts_from(facts: BundleFacts) -> str:
    """Which image network it has, if it has one."""
    kinds = {str(scan.get("network_kind", "")) for scan in _scans(facts)} - {""}
    return " and ".join(sorted(model_name(kind).label.split(" (")[0] for kind in kinds))


def _scans(facts: BundleFacts) -> Iterator[dict[str, object]]:
    for member in facts.members:
        if isinstance(scan := member.get("scan"), dict):
            yield scan


def _tested_on(run: RunFolder) -> str:
    """`test studies of 2018`, or without a year where none is known."""
    ids = run.predictions.loc[run.predictions["split"] == "test", "study_id"].unique()
    if run.studies.empty or (years := run.studies.reindex(ids)["year"].dropna()).empty:
        return "test studies"
    first, last = int(min(years)), int(max(years))
    return f"test studies of {first}" if first == last else f"test studies of {first} to {last}"
