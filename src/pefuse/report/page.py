"""The page: one offline HTML file from a run's results, tables and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import jinja2
import pandas as pd
import yaml
from markupsafe import Markup

from pefuse.report.aggregation import ModelScores
from pefuse.report.figures import (
    Plot,
    calibration_panel,
    importance_panel,
    inline_svg,
    risk_panel,
    roc_panels,
    studies_by_year,
    training_panel,
    validation_against_test,
)
from pefuse.report.names import published_table1, published_table3, sorted_models
from pefuse.report.record_wording import record_sentence, record_warnings
from pefuse.report.results import ModelResult, Results
from pefuse.report.run_folder import RunFolder
from pefuse.report.tables import (
    RATE_NAMES,
    TOO_FEW,
    ablations,
    format_estimate,
    format_number,
    format_p,
    paper_auc,
    paper_auc_of_all,
)
from pefuse.report.wording import (
    apart_sentence,
    counted,
    drop_sentence,
    dropped_models,
    limits,
    question,
    without_paths,
)
from pefuse.types import DEATH

__all__ = ["Figures", "draw_figures", "render_page"]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """All figures of a report, by section."""

    years: tuple[Plot, ...]
    roc: tuple[Plot, ...]
    generalisation: tuple[Plot, ...]
    calibration: tuple[Plot, ...]
    risks: tuple[Plot, ...]
    training: tuple[Plot, ...]
    importance: tuple[Plot, ...]

    @property
    def all(self) -> tuple[Plot, ...]:
        return (
            *self.years,
            *self.roc,
            *self.generalisation,
            *self.calibration,
            *self.risks,
            *self.training,
            *self.importance,
        )


def draw_figures(run: RunFolder, results: Results, scores: Sequence[ModelScores]) -> Figures:
    """Draw what the run can show; a section without data stays empty."""
    # The rows of Table 3 have no figures of their own: there would be thirty of each.
    in_table1 = {model.name for model in results.of_table(1)}
    judged = {
        model.name: model.test
        for model in results.of_table(1)
        if model.test is not None and model.family != "ideal"
    }
    scores = [one for one in scores if one.name in in_table1]
    shown = [(one, judgement) for one in scores if (judgement := judged.get(one.name)) is not None]
    importance = run.importance
    importance = importance[importance["model"].isin(in_table1)]
    return Figures(
        years=_some(studies_by_year(run.cohort.get("by_year") or {})),
        roc=tuple(roc_panels(scores)),
        generalisation=_some(validation_against_test(results.of_table(1))),
        calibration=tuple(calibration_panel(one, judgement) for one, judgement in shown),
        risks=tuple(risk_panel(one, judgement) for one, judgement in shown),
        training=_training(run, in_table1),
        importance=tuple(
            importance_panel(name, importance[importance["model"] == name])
            for name in sorted_models([str(name) for name in importance["model"].unique()])
        ),
    )


def _lacking_scans(flow: Sequence[Mapping[str, Any]]) -> bool:
    """Whether some of the studies in a fold have no usable scan: the flow's last steps leave some out."""
    scans = [step for step in flow if "scan" in str(step.get("step", ""))]
    return any(step.get("left_out") for step in scans)


def render_page(run: RunFolder, results: Results, figures: Figures) -> str:
    """The report as one HTML text that fetches nothing."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pefuse.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_without_paths,
    )
    environment.filters |= {"number": format_number, "estimate": format_estimate, "share": _share, "p": format_p}
    environment.globals |= {"svg": _markup, "counted": counted}
    return environment.get_template("report.html").render(
        run=run,
        question=question(run.outcome, run.horizon_days),
        results=results,
        figures=figures,
        paper=published_table1()["auc"].to_dict() if run.outcome == DEATH else {},
        rate_names=RATE_NAMES,
        models=[model for model in results.of_table(1) if model.family != "ideal"],
        subgroups=results.subgroups,
        ablations=ablations(results),
        paper_auc=paper_auc,
        paper_auc_of_all=paper_auc_of_all,
        too_few=TOO_FEW,
        paper_table3=published_table3()[["auc", "significant"]].to_dict("index"),
        families=_families(results),
        regrets={model.name: model.regret for model in results.models},
        ideals=[model for model in results.of_table(1) if model.family == "ideal"],
        reference=next((model for model in results.models if model.name == results.reference), None),
        record=record_sentence(run.cohort.get("record") or {}),
        record_warnings=record_warnings(run.cohort.get("record") or {}),
        not_trained=[one.sentence for one in results.not_trained],
        apart=apart_sentence(results),
        dropped=[drop_sentence(model) for model in dropped_models(results)],
        ideal_auc=_ideal_auc(run.truth),
        limits=limits(results, seeds=int(run.predictions["seed"].nunique()), config=run.config),
        development=_development(run.predictions),
        folds=int(run.predictions["fold"].nunique()),
        seeds=int(run.predictions["seed"].nunique()),
        flow=run.cohort.get("flow") or [],
        lacking=_lacking_scans(run.cohort.get("flow") or []),
        splits=_splits(run.cohort),
        quarantine=_rows(run.quarantine),
        facts=_facts(run),
        config=_config(run.config),
    )


def _families(results: Results) -> list[list[ModelResult]]:
    """Rows of Table 1 in blocks, the ideal ones apart."""
    rows = [model for model in results.of_table(1) if model.family != "ideal"]
    return [list(group) for _, group in groupby(rows, key=lambda model: model.family)]


def _training(run: RunFolder, shown: set[str]) -> tuple[Plot, ...]:
    learnt = [cell for cell in run.cells if cell.model in shown and cell.history is not None and len(cell.history)]
    return tuple(
        training_panel(name, [cell for cell in learnt if cell.model == name])
        for name in sorted_models([cell.model for cell in learnt])
    )


def _ideal_auc(truth: Mapping[str, Any]) -> dict[str, float] | None:
    """The ideal AUCs of the population that was simulated, not of this sample; None where they were not saved."""
    saved = truth.get("ideal_auc")
    if not isinstance(saved, Mapping) or not {"ct", "ehr", "both"} <= set(saved):
        return None
    return {seen: float(saved[seen]) for seen in ("ct", "ehr", "both")}


def _some(plot: Plot | None) -> tuple[Plot, ...]:
    return (plot,) if plot is not None else ()


def _development(predictions: pd.DataFrame) -> dict[str, int]:
    """Studies that were trained on or validated with, and deaths among them."""
    rows = predictions[predictions["split"] != "test"].drop_duplicates("study_id")
    return {"studies": len(rows), "deaths": int(rows["label"].sum())}


def _splits(cohort: Mapping[str, Any]) -> list[dict[str, Any]]:
    named = {
        "development": "Training and validation",
        "train": "Training",
        "validation": "Validation",
        "test": "Test",
    }
    columns = ("studies", "patients", "deaths", "age_mean", "age_sd", "female_share")
    return [
        {"label": named.get(name, name), **{column: counts.get(column) for column in columns}}
        for name, counts in (cohort.get("by_split") or {}).items()
    ]


def _rows(table: pd.DataFrame) -> list[dict[str, str]]:
    return [{str(key): str(value) for key, value in row.items()} for row in table.fillna("").to_dict("records")]


def _facts(run: RunFolder) -> list[tuple[str, str]]:
    """Versions, machine, seeds and times as name and value; nothing that names a user or a folder."""
    environment = run.environment
    seconds = environment.get("seconds") or {}
    packages = environment.get("packages") or {}
    finished = sum(cell.status == "finished" for cell in run.cells)
    facts = {
        "pefuse": environment.get("pefuse"),
        "Preset": environment.get("preset"),
        "Seeds": ", ".join(str(seed) for seed in environment.get("seeds") or []),
        "Trained models (model × fold × seed)": f"{finished} of {len(run.cells)} finished" if run.cells else None,
        "Time": ", ".join(f"{name} {_duration(float(value))}" for name, value in seconds.items()),
        "Machine": environment.get("machine"),
        "Cores": environment.get("cores"),
        "Memory": f"{environment['memory_gib']} GiB" if "memory_gib" in environment else None,
        "Python": environment.get("python"),
        "Packages": ", ".join(f"{name} {number}" for name, number in packages.items()),
    }
    return [(name, str(value)) for name, value in facts.items() if value not in (None, "")]


def _config(config: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True, width=80) if config else ""


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _markup(plot: Plot) -> Markup:
    return Markup(inline_svg(plot))  # our own drawing: no text of a user is in it unescaped


def _without_paths(value: Any) -> Any:
    """Every text that reaches the page loses absolute paths; figures are ours and stay as drawn."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return without_paths(value)
