"""Majority voting: by hand, with ties and missing voters."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pefuse.errors import RunError, UsageError
from pefuse.evaluation import auroc
from pefuse.models.late import MajorityVote

LABELS = np.array([0, 0, 0, 1, 1])
RISKS = np.array([[0.1, 0.6], [0.2, 0.2], [0.4, 0.3], [0.5, 0.9], [0.9, 0.4]])  # both separate the classes badly


def test_each_model_votes_at_its_own_youden_threshold():
    """The first is right from 0.5 on, after 0.4; the second from 0.4 on, after 0.3. Half-way between decides."""
    vote = MajorityVote(["scan", "record"]).fit(RISKS, LABELS)

    assert vote.thresholds == pytest.approx([0.45, 0.35])
    assert vote.predict(RISKS).tolist() == [0.5, 0.0, 0.0, 1.0, 1.0]
    assert auroc(LABELS, vote.predict(RISKS)) == 1.0


def test_all_votes_and_none_stay_finite():
    vote = MajorityVote(["scan", "record"]).fit(RISKS, LABELS)

    assert np.isfinite(vote.predict_logit(RISKS)).all()
    assert vote.predict_logit([[0.9, 0.1]]) == pytest.approx([0.0])  # one of two: a risk of one half


def test_a_missing_voter_leaves_it_to_the_other():
    vote = MajorityVote(["scan", "record"]).fit(RISKS, LABELS)

    assert vote.predict([[np.nan, 0.9], [0.1, np.nan]]).tolist() == [1.0, 0.0]
    assert np.isnan(vote.predict([[np.nan, np.nan]])).all()


def test_a_single_outcome_leaves_one_half():
    assert MajorityVote(["scan", "record"]).fit(RISKS, np.zeros(5)).thresholds.tolist() == [0.5, 0.5]


def test_it_comes_back_from_json():
    vote = MajorityVote(["scan", "record"]).fit(RISKS, LABELS)
    restored = MajorityVote.from_json(json.loads(json.dumps(vote.to_json())))
    assert restored.predict(RISKS).tolist() == vote.predict(RISKS).tolist()


@pytest.mark.parametrize(
    "content",
    [{}, {"names": ["a"], "thresholds": [0.5, 0.5]}, {"names": ["a"], "thresholds": [float("nan")]}, {"names": 3}],
)
def test_a_damaged_one_is_refused(content):
    with pytest.raises(RunError, match="damaged"):
        MajorityVote.from_json(content)


def test_what_cannot_be_voted_on_is_refused():
    with pytest.raises(UsageError, match="at least one model"):
        MajorityVote([])
    with pytest.raises(UsageError, match="probabilities, not logits"):
        MajorityVote(["a"]).predict([[-2.0]])
    with pytest.raises(UsageError, match=r"shape \(cases, 2\)"):
        MajorityVote(["a", "b"]).predict([[0.5]])
