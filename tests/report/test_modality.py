"""Which modality moved the risk, in sentences and figures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pefuse.errors import RunError
from pefuse.report.aggregation import collect_scores
from pefuse.report.explanations import read_modality
from pefuse.report.figures import modality_panels
from pefuse.report.modality import modality_findings
from pefuse.report.page import build_page
from pefuse.report.run_folder import read_run
from pefuse.report.sections import SECTIONS, Material
from pefuse.report.summarise import summarise_scores


def odds(value: float) -> float:
    return value / (1 + value)


def rows(label, risk, without_scan, without_record) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model": "intermediate-sanet",
            "study_id": [f"S{number}" for number in range(len(label))],
            "label": label,
            "risk": risk,
            "without_scan": without_scan,
            "without_record": without_record,
        }
    )


def sentences(table: pd.DataFrame, outcome: str = "death") -> str:
    (finding,) = modality_findings(table, outcome=outcome)
    assert finding.model == "Intermediate SANet"
    return " ".join(finding.sentences)


def test_how_far_the_odds_move_is_a_geometric_mean():
    """Odds 4 and 1/4 against 1 with an average scan: four-fold each. Against 2 and 1/8: two-fold each."""
    table = rows([1, 0], [odds(4), odds(0.25)], [odds(1), odds(1)], [odds(2), odds(0.125)])

    told = sentences(table)

    assert "scan moves the odds 4.0-fold up or down on average, the own record 2.0-fold" in told
    assert "in 2 of 2 studies the scan moves them more" in told


def test_the_auc_with_each_modality_replaced_is_told():
    """Both: all four pairs right. Average scan: one of four wrong. Average record: all alike, 0.5."""
    table = rows([1, 1, 0, 0], [0.9, 0.8, 0.2, 0.1], [0.9, 0.15, 0.2, 0.1], [0.3, 0.3, 0.3, 0.3])

    told = sentences(table)

    assert "With an average scan in place of the patient's own the AUC falls from 1.00 to 0.75" in told
    assert "With an average record in place of the patient's own the AUC falls from 1.00 to 0.50" in told
    assert "With 2 such patients the AUCs are uncertain." in told


def test_a_modality_that_changes_no_rank_leaves_the_auc():
    """Half of every risk: the same order."""
    risk = np.array([0.9, 0.8, 0.2, 0.1])
    told = sentences(rows([1, 1, 0, 0], risk, risk / 2, risk))

    assert "own the AUC stays at 1.00 (DeLong p = 1.000)" in told
    assert "the own record 1.0-fold" in told


def test_of_those_who_died_it_is_told_whose_risk_was_raised():
    """Scan: raised in two of three; record: in one."""
    table = rows([1, 1, 1, 0], [0.5] * 4, [0.2, 0.2, 0.6, 0.5], [0.4, 0.6, 0.5, 0.5])

    assert "Of the patients who died, the scan raised the risk of 2 of 3 and the record that of 1." in sentences(
        table
    )
    assert "Of the patients with transfer, the scan raised" in sentences(table, outcome="transfer")


def test_risks_of_zero_and_one_have_odds_that_end_somewhere():
    """Kept within 0.0001 and 0.9999: odds of 9999, and a figure."""
    table = rows([1, 0], [1.0, 0.0], [0.5, 0.5], [1.0, 0.0])

    assert "moves the odds 9999.0-fold" in sentences(table)
    assert len(modality_panels("intermediate-sanet", table, outcome="death")) == 2


def test_with_one_outcome_no_auc_is_told():
    nobody = sentences(rows([0, 0], [0.1, 0.2], [0.2, 0.1], [0.1, 0.2]))

    assert nobody.startswith("All studies have the same outcome, so an AUC cannot be told.")
    assert "Of the patients who died" not in nobody
    assert "uncertain" not in nobody


def test_one_study_is_shown():
    table = rows([1], [0.3], [0.1], [0.2])

    assert "in 1 of 1 studies" in sentences(table)
    scan, record = modality_panels("intermediate-sanet", table, outcome="death")
    assert (scan.name, record.name) == ("modality-intermediate-sanet-scan", "modality-intermediate-sanet-record")
    assert list(scan.numbers.columns) == ["study_id", "label", "risk", "without_scan"]
    assert scan.numbers["risk"].tolist() == [0.3]


def test_the_page_has_both_figures_and_the_findings(make_run):
    folder = make_run(bare=True, models={"intermediate-sanet": 2.6, "late-average": 2.0})
    (folder / "explanations").mkdir()
    table = rows([1, 1, 0, 0], [0.9, 0.8, 0.2, 0.1], [0.9, 0.15, 0.2, 0.1], [0.3, 0.3, 0.3, 0.3])
    late = table.assign(model="late-average")
    pd.concat([table, late]).to_csv(folder / "explanations" / "modality.csv", index=False)
    run = read_run(folder)
    material = Material(
        run=run, results=summarise_scores(run, inputs=""), scores=tuple(collect_scores(run)), folder=folder
    )

    page = build_page(material, sections=[one for one in SECTIONS if one.name == "modality"])

    assert [plot.name for plot in page.plots] == [
        "modality-late-average-scan",
        "modality-late-average-record",
        "modality-intermediate-sanet-scan",
        "modality-intermediate-sanet-record",
    ]
    assert "<strong>Late average.</strong> With an average scan" in page.html
    assert page.html.count("AUC falls from 1.00 to 0.75") == 2


def test_damaged_tables_are_refused_and_absent_ones_not_missed(tmp_path):
    assert read_modality(tmp_path) is None
    (tmp_path / "explanations").mkdir()
    path = tmp_path / "explanations" / "modality.csv"
    rows([1], [1.2], [0.1], [0.2]).to_csv(path, index=False)
    with pytest.raises(RunError, match='"risk" is not always within 0 and 1'):
        read_modality(tmp_path)
    rows([1], [0.2], [0.1], [np.nan]).to_csv(path, index=False)
    with pytest.raises(RunError, match='"without_record" is not always within 0 and 1'):
        read_modality(tmp_path)
