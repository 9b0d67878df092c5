"""TRIPOD+AI and CLAIM: their items are those of the originals, and the run answers only what it knows."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest

from pefuse.report import build_report
from pefuse.report.aggregation import collect_scores
from pefuse.report.build import summarise
from pefuse.report.checklists import checklist, fill_checklists
from pefuse.report.results import load_results
from pefuse.report.run_folder import read_run
from pefuse.report.sections import Material

# The sub-items of TRIPOD+AI; all other numbers up to 27 stand alone.
LETTERS = {
    3: "abc",
    5: "ab",
    6: "abc",
    8: "abc",
    9: "abc",
    12: "abcdefg",
    18: "abcdef",
    20: "abc",
    23: "ab",
    27: "abc",
}


def filled(run):
    if load_results(run) is None:
        summarise(run)
    content = read_run(run)
    material = Material(run=content, results=load_results(run), scores=tuple(collect_scores(content)), folder=run)
    return {one.name: {entry.item: entry for entry in one.entries} for one in fill_checklists(material)}


@pytest.fixture(scope="module")
def simulated(make_run):
    return make_run()


@pytest.fixture(scope="module")
def real(make_run):
    return make_run(simulated=False)


def test_tripod_ai_has_its_52_items_in_order():
    """27 numbers; ten of them have sub-items: 17 alone + 35 letters."""
    expected = [f"{number}{letter}" for number in range(1, 28) for letter in LETTERS.get(number, [""])]

    assert checklist._items("tripod-ai")["item"].tolist() == expected
    assert len(expected) == 52


def test_claim_has_its_44_items_in_order():
    assert checklist._items("claim")["item"].tolist() == [str(number) for number in range(1, 45)]


def test_each_answer_that_a_list_names_is_there_and_each_is_used():
    named = {name for each in ("tripod-ai", "claim") for name in checklist._items(each)["answer"] if name}

    assert named == set(checklist._ANSWERS)


def test_what_is_left_beside_an_answer_is_told_only_where_there_can_be_one():
    for name in ("tripod-ai", "claim"):
        items = checklist._items(name)
        assert not ((items["answer"] == "") & (items["authors"] != "")).any()
        assert (items["asks"] != "").all()


def test_outcome_and_horizon_are_answered(real):
    entry = filled(real)["tripod-ai"]["8a"]

    assert entry.status == "in part"
    assert "within 30 days" in entry.answer.text


def test_numbers_of_studies_are_those_of_the_run(simulated):
    """286 in five folds: about 57 to validate, 229 to train; 72 with round(72 x 0.13) = 9 deaths to test."""
    text = filled(simulated)["tripod-ai"]["21"].answer.text

    trained, validated = map(int, re.findall(r"(\d+) \(", text)[:2])
    assert trained + validated == 286
    assert "72 (9 deaths) to test" in text


def test_performance_is_that_of_table_1(simulated):
    model = next(one for one in load_results(simulated).models if one.name == "intermediate-sanet")

    assert f"AUC {model.test.auc.value:.2f}" in filled(simulated)["claim"]["37"].answer.text


def test_what_only_authors_know_is_never_answered(simulated):
    entries = filled(simulated)

    for item in ("1", "2", "17", "18a", "18b", "18d", "19", "25"):
        assert entries["tripod-ai"][item].status == "for the authors"
    assert entries["claim"]["44"].status == "for the authors"


def test_real_patients_leave_to_the_authors_what_simulated_ones_answer(simulated, real):
    """Nobody has to be de-identified in a simulation, and its data can be made again."""
    for name, item in (("claim", "11"), ("tripod-ai", "18e")):
        assert filled(simulated)[name][item].status == "answered"
        assert filled(real)[name][item].status == "for the authors"


def test_an_outcome_that_is_not_death_may_need_judgement(make_run):
    run = make_run(simulated=False)
    cohort = json.loads((run / "cohort.json").read_text())
    (run / "cohort.json").write_text(json.dumps(cohort | {"outcome": "clinical worsening"}))

    assert filled(run)["tripod-ai"]["8b"].status == "for the authors"


def test_predictions_alone_answer_less_and_nothing_fails(make_run, simulated):
    bare = filled(make_run(bare=True))

    for name, entries in filled(simulated).items():
        answered = sum(entry.answer is not None for entry in entries.values())
        assert 0 < sum(entry.answer is not None for entry in bare[name].values()) < answered


def test_the_page_and_the_files_tell_the_same_and_every_link_leads_somewhere(make_run):
    run = make_run(models={"xgboost": 1.5, "intermediate-sanet": 2.0})
    page = build_report(run).read_text()

    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(re.findall(r'id="([^"]+)"', page))
    for name, size in (("tripod-ai", 52), ("claim", 44)):
        table = pd.read_csv(run / "checklists" / f"{name}.csv", dtype=str, keep_default_na=False)
        answered = (table["status"] == "answered").sum()
        assert f"{answered} of {size} items answered by the run" in page
        assert (table.loc[table["status"] != "answered", "for_the_authors"] != "").all()
        anchors = {where.removeprefix("report.html#") for where in table["where"] if where}
        assert anchors <= set(re.findall(r'<section id="([^"]+)"', page))
