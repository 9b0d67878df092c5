"""The page: one offline HTML file from a run's results, section by section."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import jinja2
from markupsafe import Markup

from pefuse.errors import PefuseError
from pefuse.report.figures import Plot, inline_svg
from pefuse.report.scripts import load_scripts, script_policy
from pefuse.report.sections import SECTIONS, Content, Material, Section
from pefuse.report.tables import format_estimate, format_number, format_p
from pefuse.report.wording import counted, question, without_paths

__all__ = ["Page", "build_page", "environment"]


@dataclass(frozen=True, kw_only=True)
class Page:
    """The whole HTML text, which fetches nothing, and the figures that are in it."""

    html: str = field(repr=False)
    plots: tuple[Plot, ...] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A section as it stands on the page; `problem` says why it has no content, "" = it has."""

    section: Section
    html: Markup
    plots: tuple[Plot, ...] = ()
    scripts: tuple[str, ...] = ()
    problem: str = ""


def build_page(material: Material, *, sections: Sequence[Section] = SECTIONS) -> Page:
    """Fill all sections that have something to say. One whose files cannot be used says so; the rest is shown."""
    templates = environment()
    common = {
        "run": material.run,
        "results": material.results,
        "seeds": material.seeds,
        "folds": material.folds,
        "reference": material.reference,
        "ideals": material.ideals,
    }
    parts = [part for section in sections if (part := _part(section, material, templates, common)) is not None]
    scripts = load_scripts(name for part in parts for name in part.scripts)
    html = templates.get_template("report.html").render(
        **common,
        scripts=scripts,
        script_policy=script_policy(scripts),
        question=question(material.run.outcome, material.run.horizon_days),
        models=[model for model in material.results.of_table(1) if model.family != "ideal"],
        parts=parts,
        navigation=_navigation([part.section for part in parts]),
    )
    return Page(html=html, plots=tuple(plot for part in parts for plot in part.plots))


def environment() -> jinja2.Environment:
    """The templates with our filters; every text that reaches a page is escaped and loses absolute paths."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("pefuse.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_without_paths,
    )
    templates.filters |= {"number": format_number, "estimate": format_estimate, "share": _share, "p": format_p}
    templates.globals |= {"svg": _markup, "counted": counted}
    return templates


def _part(
    section: Section, material: Material, templates: jinja2.Environment, common: dict[str, Any]
) -> _Part | None:
    try:
        content = section.build(material)
    except PefuseError as error:
        return _Part(section=section, html=Markup(), problem=str(error))
    if content is None:
        return None
    html = _rendered(section, content, templates, common)
    return _Part(section=section, html=html, plots=content.plots, scripts=content.scripts)


def _rendered(section: Section, content: Content, templates: jinja2.Environment, common: dict[str, Any]) -> Markup:
    template = templates.get_template(f"sections/{section.name}.html")
    # The template has escaped what it was given.
    return Markup(template.render(**common, plots=content.plots, **content.context))


def _navigation(sections: Sequence[Section]) -> list[tuple[str, list[Section]]]:
    """The sections that are there, by group."""
    return [(group, list(members)) for group, members in groupby(sections, key=lambda section: section.group)]


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _markup(plot: Plot) -> Markup:
    return Markup(inline_svg(plot))  # our own drawing: no text of a user is in it unescaped


def _without_paths(value: Any) -> Any:
    """Every text that reaches the page loses absolute paths; figures are ours and stay as drawn."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return without_paths(value)
