"""Rankings of features against the truth: one verdict for models that hold the same network of the record."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pefuse.report.explanations import read_record_truth
from pefuse.report.heat_truth import distinct_rankings, record_verdicts


def truth(model: str, precision: float, *, rank: float = np.nan, method: str = "masks") -> pd.DataFrame:
    """Precision at 10 with a chance of 0.6, and the control's of 0.5 and rank of 0."""
    return pd.DataFrame(
        {
            "model": model,
            "method": [method, f"{method} randomised"],
            "k": 10,
            "precision": [precision, 0.5],
            "chance": 0.6,
            "rank": [rank, -0.01],
        }
    )


def test_models_with_the_same_numbers_are_judged_once():
    """Two hold TabNet's network; the third was trained further and ranks otherwise."""
    table = pd.concat([truth("late-vote", 0.9), truth("tabnet", 0.9), truth("mbt", 0.8)])

    kept, sentences = distinct_rankings(table)

    assert list(kept["model"].unique()) == ["tabnet", "mbt"]
    assert sentences == ["The same holds for Late vote: the record's network inside is that of TabNet (record)."]
    assert distinct_rankings(truth("tabnet", 0.9))[1] == []


def test_a_difference_in_any_number_keeps_models_apart():
    kept, sentences = distinct_rankings(pd.concat([truth("tabnet", 0.9), truth("mbt", 0.9, rank=0.3)]))

    assert len(kept) == 4
    assert sentences == []


def test_the_rank_correlation_is_told_beside_that_of_random_weights():
    (verdict,) = record_verdicts(truth("tabnet", 0.9, rank=0.284))

    assert verdict.found is True
    assert "importance with the strength of the signal is 0.28, with randomised weights −0.01." in verdict.sentence


def test_without_a_rank_nothing_is_said_of_it():
    """Tables of before there was one, and models of which it cannot be told."""
    for table in (truth("tabnet", 0.9), truth("tabnet", 0.9).drop(columns="rank")):
        (verdict,) = record_verdicts(table)
        assert "rank correlation" not in verdict.sentence


def test_the_table_is_read_with_its_rank_or_without(tmp_path):
    (tmp_path / "explanations").mkdir()
    path = tmp_path / "explanations" / "record_truth.csv"
    columns = ["model", "method", "k", "precision", "chance"]

    truth("tabnet", 0.9, rank=0.3).assign(p=0.5).to_csv(path, index=False)
    assert list(read_record_truth(tmp_path).columns) == [*columns, "rank"]
    truth("tabnet", 0.9).drop(columns="rank").to_csv(path, index=False)
    assert list(read_record_truth(tmp_path).columns) == columns
