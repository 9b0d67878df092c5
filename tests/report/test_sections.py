"""The frame of the page: sections in order, left out where they have nothing, and told where they fail."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from itertools import groupby

import pytest

from pefuse.errors import RunError
from pefuse.report.aggregation import collect_scores
from pefuse.report.page import build_page
from pefuse.report.run_folder import read_run
from pefuse.report.sections import SECTIONS, Material
from pefuse.report.summarise import summarise_scores


@pytest.fixture(scope="module")
def material(make_run):
    folder = make_run(bare=True, models={"xgboost": 1.8, "early": 2.0})
    run = read_run(folder)
    results = summarise_scores(run, inputs="")
    return Material(run=run, results=results, scores=tuple(collect_scores(run)), folder=folder)


def named(name):
    return next(section for section in SECTIONS if section.name == name)


def test_names_are_unique_groups_stand_together_and_every_template_is_there():
    names = [section.name for section in SECTIONS]
    groups = [group for group, _ in groupby(section.group for section in SECTIONS)]
    templates = resources.files("pefuse.report") / "templates" / "sections"

    assert len(names) == len(set(names))
    assert len(groups) == len(set(groups))
    assert sorted(names) == sorted(path.name.removesuffix(".html") for path in templates.iterdir())


def test_a_section_with_nothing_to_say_is_neither_on_the_page_nor_in_its_navigation(material):
    html = build_page(material, sections=[named("limits"), replace(named("table3"), build=lambda _: None)]).html

    assert '<section id="limits">' in html
    assert "table3" not in html.split("</style>")[1]


def test_a_section_whose_file_is_damaged_says_so_and_the_rest_is_shown(material):
    def fail(_):
        raise RunError("ideal.csv of the run cannot be read, neither here nor in /home/someone/run.")

    page = build_page(material, sections=[replace(named("curves"), build=fail), named("limits")])

    assert "This cannot be shown. ideal.csv of the run cannot be read, neither here nor in (path)" in page.html
    assert '<a href="#curves">' in page.html
    assert "Only 9 deaths among 72 test studies" in page.html
    assert page.plots == ()


def test_a_mistake_of_ours_is_not_hidden(material):
    def fail(_):
        raise KeyError("x")

    with pytest.raises(KeyError):
        build_page(material, sections=[replace(named("curves"), build=fail)])


def test_the_figures_of_all_sections_are_those_of_the_page(material):
    """Two models of Table 1: a band each, a panel a family, and two figures of calibration and risk each."""
    page = build_page(material, sections=[named("curves"), named("calibration")])

    assert [plot.name for plot in page.plots] == [
        "roc-band-early",
        "roc-band-xgboost",
        "pr-band-early",
        "pr-band-xgboost",
        "roc-single",
        "roc-fusion",
        "pr-single",
        "pr-fusion",
        "calibration-xgboost",
        "calibration-early",
        "risks-xgboost",
        "risks-early",
    ]


def test_the_rival_is_none_of_those_that_were_fitted_on_validation(make_run):
    """Late vote is by far the best on validation, where its thresholds come from: XGBoost stands next."""
    folder = make_run(models={"xgboost": 1.6, "tabnet": 0.6, "late-vote": 4.0, "intermediate-sanet": 2.0})
    run = read_run(folder)
    results = summarise_scores(run, inputs="")
    reference = next(model for model in results.models if model.name == results.reference)
    content = named("comparison").build(
        Material(run=run, results=results, scores=tuple(collect_scores(run)), folder=folder)
    )

    best = max(
        (model for model in results.models if model.name != reference.name and model.family != "ideal"),
        key=lambda model: model.validation_auc.value,
    )
    assert best.name == "late-vote"
    assert content.context["rival_size"].startswith("XGBoost (record): ")
