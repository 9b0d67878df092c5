"""Single cases, as in the paper's Figure 5: slices with the heat, features, risks, and a viewer of the scan."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from pefuse.report.case_wording import (
    RiskBar,
    case_sentence,
    case_title,
    hottest_structures,
    moved_sentence,
    peak_sentence,
    risk_bars,
    risk_text,
    scale_of,
    unlabelled_sentence,
)
from pefuse.report.explanations import Case, CaseFiles, Explanations, HeatSummary, StructureHeat, read_explanations
from pefuse.report.figures import case_risks
from pefuse.report.heat_truth import METHODS, structure_label
from pefuse.report.names import model_name
from pefuse.report.pictures import picture_uris
from pefuse.report.sections.contract import Content, Material, Section
from pefuse.report.volumes import STEP_HU, fitting_pairs

__all__ = ["SECTION"]

# Before base64, which adds a third. With 2.3 MB of viewer this leaves a page of 15 MB 4 MB for everything else.
MOST_BYTES_OF_VOLUMES = 4_500_000
MOST_BYTES_OF_SLICES = 2_000_000

WINDOWS_HU = {  # name: width and level
    "Mediastinum": (350, 40),
    "CTPA": (700, 100),
    "Lung": (1500, -600),
}
HEAT_FROM = 0.3  # of a case's hottest voxel: what is colder is not drawn, until the reader asks for it
FEATURES = 6  # that a card shows at once


@dataclass(frozen=True, kw_only=True)
class Card:
    """A case as its card shows it."""

    case: Case
    title: str
    sentence: str
    moved: str
    structures: list[StructureHeat]
    unlabelled: str
    peak: str
    bars: list[RiskBar]
    threshold_percent: float | None
    slices: Markup | None = field(repr=False)
    in_viewer: bool


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """A scan and its heat as they lie in the page: base64 of gzipped NIfTI, and the hottest point in RAS mm."""

    study_id: str
    title: str
    ct: Markup = field(repr=False)
    heat: Markup = field(repr=False)
    hottest_mm: str


def build(material: Material) -> Content | None:
    explanations = read_explanations(material.folder)
    if explanations is None:
        return None
    summary, cases = explanations.summary, [one.case for one in explanations.cases]
    label = model_name(summary.model).label
    embedded, longest = _embedded(explanations.cases)
    plots = (case_risks(cases, label=label, threshold=summary.threshold),) if cases else ()
    return Content(
        context={
            "label": label,
            "threshold": summary.threshold,
            "how": _how(summary),
            "cards": _cards(explanations, material.run.horizon_days),
            "problems": explanations.problems,
            "embedded": embedded,
            "longest": longest,
            "step_hu": STEP_HU,
            "windows": _windows(),
            "heat_from": HEAT_FROM,
            "first_features": FEATURES,
            "percent": risk_text,
            "structure_label": structure_label,
        },
        plots=plots,
        scripts=("niivue.umd.js", "viewer.js") if embedded else (),
    )


def _cards(explanations: Explanations, horizon_days: int) -> list[Card]:
    threshold = explanations.summary.threshold
    drawn = [one.slices for one in explanations.cases if one.slices is not None]
    uris = iter(picture_uris(drawn, most_bytes=MOST_BYTES_OF_SLICES))
    return [
        Card(
            case=case,
            title=case_title(case),
            sentence=case_sentence(case, horizon_days=horizon_days, threshold=threshold),
            moved=moved_sentence(case),
            structures=hottest_structures(case.heat) if case.heat else [],
            unlabelled=unlabelled_sentence(case.heat) if case.heat else "",
            peak=peak_sentence(case.heat) if case.heat else "",
            bars=risk_bars(case, label=model_name(explanations.summary.model).label, threshold=threshold),
            threshold_percent=None if threshold is None else 100 * threshold / scale_of(case, threshold=threshold),
            slices=next(uris) if one.slices is not None else None,
            in_viewer=one.volumes is not None,
        )
        for one in explanations.cases
        for case in [one.case]
    ]


def _embedded(cases: Sequence[CaseFiles]) -> tuple[list[Embedded], int]:
    """All scans that the viewer can show, and the longest side of their grids in voxels."""
    shown = [(one.case, one.volumes) for one in cases if one.volumes is not None]
    if not shown:
        return [], 0
    pairs = fitting_pairs([volumes for _, volumes in shown], most_bytes=MOST_BYTES_OF_VOLUMES)
    embedded = [
        Embedded(
            study_id=case.study_id,
            title=case_title(case),
            ct=_base64(pair.ct),
            heat=_base64(pair.heat),
            hottest_mm=" ".join(f"{value:.3f}" for value in pair.hottest_mm),
        )
        for (case, _), pair in zip(shown, pairs, strict=True)
    ]
    return embedded, max(pair.longest for pair in pairs)


def _how(summary: HeatSummary) -> str:
    """`LayerCAM, layer stage-3, evidence for the model's risk`."""
    parts = [METHODS.get(summary.method, summary.method) or "a map of evidence"]
    if summary.layer:
        parts.append(f"layer {summary.layer}")
    if summary.through:
        parts.append(f"evidence for {summary.through}")
    return ", ".join(parts)


def _windows() -> list[tuple[str, str, str]]:
    """Each window's name, width / level, and its lower and upper end in HU."""
    return [
        (name, f"{width} / {level}".replace("-", "−"), f"{level - width / 2:g} {level + width / 2:g}")
        for name, (width, level) in WINDOWS_HU.items()
    ]


def _base64(content: bytes) -> Markup:
    return Markup(base64.b64encode(content).decode())


SECTION = Section(name="cases", title="Cases", group="Explanation", build=build)
