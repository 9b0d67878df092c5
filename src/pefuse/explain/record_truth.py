"""Do explanations of the record find what carries signal? Precision at k on simulated cohorts, with two controls.

Chance deals each member's importance out at random among its columns, numbers among numbers and marks among marks:
which columns there are, and of which kind, is decided by the data before training, and importance shall be judged
for what it adds to that. The other control draws the network's weights anew (Adebayo et al., arXiv 1810.03292):
masks that find as much without any training show the data, not the model. For trees there is none, since they have
no weights to draw: they would have to be grown anew on shuffled outcomes, and explanations never train.

Networks that never learned score high, and it is known why. A step counts by how loudly it decides; steps that
look at numbers are louder than those that look at marks, which are mostly 0; and of the numbers in this record
nearly all carry signal, of the marks few. Their precision is that of chance, so a precision means nothing without
chance beside it. What training taught shows among the numbers: does importance rise with the signal's strength?
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from pefuse.ehr import RawRecord
from pefuse.errors import UsageError
from pefuse.explain.importance import FeatureImportance, NotExplained
from pefuse.explain.record import mask_importance, with_random_record_weights
from pefuse.explain.shares import feature_importance
from pefuse.explain.signal import CLEAR, STRONG, FeatureSignal, signal_of_record
from pefuse.models.bundle import Bundle, TreesModel

__all__ = ["TOP", "carrying_features", "precision_at", "rank_among_numbers", "record_truth_table"]

TOP = (5, 10, 20)
CONTROL = "masks randomised"
DEALS = 200  # of importance at random
RANDOM_NETWORKS = 10  # draws of weights
Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
SignalLevel = Literal["strong", "clear", "any"]
LEAST: dict[SignalLevel, float] = {"strong": STRONG, "clear": CLEAR, "any": 1e-12}
MEASURES = ("precision", "chance", "p", "share")
COLUMNS = (
    "model", "method", "k", *MEASURES, "rank",
    *(f"{level}_{name}" for level in ("strong", "any") for name in MEASURES),
)  # fmt: skip


def record_truth_table(
    bundles: Iterable[Bundle],
    study_ids: Sequence[str],
    record: RawRecord,
    *,
    codes: pd.DataFrame,
    truth: Mapping[str, Any],
    seed: int = 0,
) -> pd.DataFrame:
    """How many of the k most important features carry signal, for every model whose importance can be told.

    Args:
        study_ids: that the importance is over, say the test studies.
        record: of the whole cohort: shares of the features are taken from it.
        codes, truth: the cohort's `codes.csv` and `truth.json`.

    Returns:
        A row a model, method (masks, shap, masks randomised) and k:
        precision: of the first k features, those that carry clear signal, a correlation of 0.1 or more with the
            record's part of the outcome;
        chance: its mean where importance is dealt out at random, and p: how often such a deal does as well;
        share: of such features among all that the model has;
        rank: Spearman's correlation of importance with the strength of signal among the numbers, mean over
            members, the same for each k;
        strong_... and any_...: precision, chance, p and share for strong signal (0.3 or more), and for whatever
            the truth lists, most of which is too weak to be found.

    Raises:
        CohortError: the truth is not that of this cohort.
        UsageError, RecordError, BundleError: as `feature_importance`.
    """
    signal = signal_of_record(record, codes, truth)
    rows: list[dict[str, Any]] = []
    judged: dict[bytes, list[dict[str, Any]]] = {}
    for bundle in bundles:
        found = feature_importance(bundle, study_ids, record)
        if isinstance(found, NotExplained):
            continue
        # A fusion on a fixed encoder has the masks of that encoder: they are judged once.
        same = found.by_member.tobytes()
        if same not in judged:
            judged[same] = _truth_of(bundle, found, study_ids, record, signal, seed=seed)
        rows += [{"model": bundle.model, **row} for row in judged[same]]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _truth_of(
    bundle: Bundle,
    found: FeatureImportance,
    study_ids: Sequence[str],
    record: RawRecord,
    signal: Mapping[str, FeatureSignal],
    *,
    seed: int,
) -> list[dict[str, Any]]:
    """The rows of one model: of its importance, and of the control where there is one."""
    carries = {level: carrying_features(bundle, found, signal, level=level) for level in LEAST}
    rows = [{"method": found.method, **row} for row in _judged([found], carries, signal, seed=seed)]
    if found.method == "masks":
        drawn = _randomised(bundle, study_ids, record, seed=seed)
        rows += [{"method": CONTROL, **row} for row in _judged(drawn, carries, signal, seed=seed)]
    return rows


def carrying_features(
    bundle: Bundle, found: FeatureImportance, signal: Mapping[str, FeatureSignal], *, level: SignalLevel
) -> Flags:
    """Which of the features (F,) carry signal in what the members see of them.

    A network is given a number with its gaps filled, so the gaps speak only through a column "missing"; trees see
    the gaps of every number.
    """
    strongest = dict.fromkeys((feature.key for feature in found.features), 0.0)
    for member in bundle.members:
        sees_gaps = isinstance(member.model, TreesModel)
        for column in member.model.preparation.columns if member.model.preparation is not None else ():
            own = signal.get(column.key, FeatureSignal())
            gaps = own.measured if sees_gaps or column.role == "missing" else 0.0
            strength = gaps if column.role == "missing" else max(own.value, gaps)
            strongest[column.key] = max(strongest[column.key], strength)
    return np.array([strongest[feature.key] >= LEAST[level] for feature in found.features], dtype=np.bool_)


def precision_at(importance: Array, carries: Flags, k: int) -> float:
    """Share of the k most important features (F,) that carry signal; NaN with fewer than k features.

    Of those that tie at the end of the list as many count as have room there, each for the share of all of them
    that carry: the mean over the orders in which they could stand.
    """
    if not np.isfinite(importance).all():
        raise UsageError("An importance is not a number: precision cannot be told.")
    if len(importance) < k:
        return float("nan")
    last = np.sort(importance)[-k]
    above, tied = importance > last, importance == last
    return float((carries[above].sum() + (k - above.sum()) * carries[tied].mean()) / k)


def rank_among_numbers(found: FeatureImportance, signal: Mapping[str, FeatureSignal]) -> float:
    """Spearman's correlation of importance with the strength of signal, among a member's columns of numbers.

    The mean over members; NaN where no member has two numbers of different importance.
    """
    strength = np.array([signal.get(feature.key, FeatureSignal()).value for feature in found.features])
    ranks = []
    for one in found.columns:
        importance, own = one.importance[one.numeric], strength[one.features[one.numeric]]
        if len(np.unique(importance)) > 1 and len(np.unique(own)) > 1:
            ranks.append(float(spearmanr(importance, own).statistic))
    return float(np.mean(ranks)) if ranks else float("nan")


def _judged(
    found: Sequence[FeatureImportance],
    carries: Mapping[SignalLevel, Flags],
    signal: Mapping[str, FeatureSignal],
    *,
    seed: int,
) -> list[dict[str, Any]]:
    """The mean over what was found, for each k; chance is the mean over deals of all of it."""
    random = np.random.default_rng(seed)
    dealt = [_dealt(one, random) for one in found]
    rank = float(np.mean([rank_among_numbers(one, signal) for one in found]))
    return [
        {
            "k": k,
            **_at(found, dealt, carries["clear"], k),
            "rank": rank,
            **{f"strong_{name}": value for name, value in _at(found, dealt, carries["strong"], k).items()},
            **{f"any_{name}": value for name, value in _at(found, dealt, carries["any"], k).items()},
        }
        for k in TOP
    ]


def _at(found: Sequence[FeatureImportance], dealt: Sequence[Array], carries: Flags, k: int) -> dict[str, float]:
    precision = float(np.mean([precision_at(one.overall, carries, k) for one in found]))
    by_chance = np.mean([[precision_at(one, carries, k) for one in deals] for deals in dealt], axis=0)
    # With the one seen among them, so that it is never 0 (Phipson & Smyth 2010).
    p = float((1 + (by_chance >= precision - 1e-12).sum()) / (1 + DEALS))
    return {
        "precision": precision,
        "chance": float(by_chance.mean()),
        "p": p if np.isfinite(precision) else float("nan"),
        "share": float(carries.mean()),
    }


def _dealt(found: FeatureImportance, random: np.random.Generator) -> Array:
    """Importance (DEALS, F) over all members, each member's dealt out at random among its columns of one kind."""
    total = np.zeros((DEALS, len(found.features)))
    for one in found.columns:
        importance = np.tile(one.importance, (DEALS, 1))
        for kind in (one.numeric, ~one.numeric):
            importance[:, kind] = random.permuted(importance[:, kind], axis=1)
        np.add.at(total.T, one.features, importance.T)
    return total


def _randomised(
    bundle: Bundle, study_ids: Sequence[str], record: RawRecord, *, seed: int
) -> list[FeatureImportance]:
    drawn = []
    for draw in range(RANDOM_NETWORKS):
        fresh = with_random_record_weights(bundle, seed=seed + draw)
        found = mask_importance(fresh, study_ids, record)
        assert isinstance(found, FeatureImportance)  # it was one with the trained weights
        drawn.append(found)
    return drawn
