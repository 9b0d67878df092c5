"""Features of a study in order, and the table over a cohort."""

from __future__ import annotations

import numpy as np

from pefuse.explain.importance import NotExplained
from pefuse.explain.shares import feature_importance, feature_shares, record_importance_table

from ..models.bundle.conftest import STUDIES, make_record


def test_the_highest_share_comes_first_with_value_and_unit(bundles):
    """S4 has no lactate, as every fourth study, and its wing is the south one."""
    record = make_record()
    found = feature_shares(bundles["tabnet"], ["S4"], record, reference=STUDIES)
    rows = [one.to_json() for one in found["S4"]]
    by_name = {row["name"]: row for row in rows}
    sodium = record.frame().loc["S4", "sodium (mmol/L)"]

    assert [row["share"] for row in rows] == sorted((row["share"] for row in rows), reverse=True)
    assert abs(sum(row["share"] for row in rows) - 1) < 1e-3
    assert by_name["lactate"]["text"] == "lactate not measured"
    assert by_name["lactate"]["value"] is None
    assert by_name["sodium"]["text"] == f"sodium {sodium:.0f} mmol/L"
    assert abs(by_name["sodium"]["value"] - sodium) < 1e-3
    assert by_name["wing"]["text"] == "wing: south"
    assert " to " in by_name["sodium"]["usual"]
    assert [len(row["steps"]) for row in rows] == [2] * len(rows)
    assert "effect" not in rows[0]


def test_trees_tell_their_log_odds_and_no_steps(bundles):
    found = feature_shares(bundles["boosted-trees"], ["S4"], make_record())
    importance = feature_importance(bundles["boosted-trees"], ["S4"], make_record())

    assert all(one.steps == () for one in found["S4"])
    assert abs(sum(one.effect for one in found["S4"]) - importance.effects.sum()) < 1e-9


def test_only_so_many_are_told_and_none_without_a_share(bundles):
    record = make_record()

    assert len(feature_shares(bundles["pca"], ["S1"], record, most=2)["S1"]) == 2
    everything = feature_shares(bundles["boosted-trees"], STUDIES, record)
    assert all(one.share > 0 for study in everything.values() for one in study)


def test_what_cannot_be_explained_says_why(bundles):
    found = feature_shares(bundles["early"], ["S1"], make_record())

    assert isinstance(found, NotExplained)


def test_the_table_sums_to_one_for_every_model(bundles):
    chosen = [bundles[kind] for kind in ("tabnet", "boosted-trees", "early", "sanet")]

    table, reasons = record_importance_table(chosen, STUDIES, make_record())

    assert list(table.columns) == ["model", "method", "feature", "importance"]
    np.testing.assert_allclose(table.groupby("model")["importance"].sum(), 1)
    assert dict(table.groupby("model")["method"].first()) == {"test-boosted-trees": "shap", "test-tabnet": "masks"}
    assert list(reasons) == ["test-early", "test-sanet"]
    mine = table[table["model"] == "test-tabnet"]
    assert mine["importance"].is_monotonic_decreasing
    assert set(mine["feature"]) == {"sodium (mmol/L)", "lactate (mmol/L)", "cancer", "wing"}


def test_without_any_model_of_the_record_the_table_is_empty(bundles):
    table, reasons = record_importance_table([bundles["sanet"]], STUDIES, make_record())

    assert table.empty
    assert list(table.columns) == ["model", "method", "feature", "importance"]
    assert reasons == {"test-sanet": "The model does not read the record."}
