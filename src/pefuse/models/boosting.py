"""Gradient-boosted trees on the record: XGBoost, set for a few hundred patients and a thousand columns."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import xgboost
from numpy.typing import ArrayLike, NDArray

from pefuse.errors import RunError, UsageError
from pefuse.machine import allowed_cores
from pefuse.models.config import ModelConfig, config_from_json, config_to_json
from pefuse.models.tree_file import check_tree_file
from pefuse.storage import atomic_file

__all__ = ["BoostedTrees", "BoostedTreesConfig", "Contributions"]

_UNREADABLE = "The saved boosted trees cannot be read: the file is damaged or not ours."


@dataclass(frozen=True, kw_only=True)
class BoostedTreesConfig(ModelConfig):
    """Options of `BoostedTrees`. The paper gives none of its own, so these are chosen for its size of data.

    With 23 to 40 deaths a tree can tell only a few things apart: trees are shallow, learn slowly, and each split
    sees a random quarter of the columns, so that a thousand binary columns do not all lose to the few strongest.
    """

    rounds: int = 600  # at most; fewer when validation stops it
    patience: int = 60  # rounds without a better validation loss
    learning_rate: float = 0.05
    max_depth: int = 2
    min_child_weight: float = 2.0  # about two deaths, or 15 survivors, in the balanced weights below
    columns_a_split: float = 0.25
    rows_a_tree: float = 0.8
    l2: float = 3.0
    positive_weight: float | None = (
        None  # of a death against a survivor; None: as many times as survivors outnumber
    )
    prior_correction: bool = True  # take the weighting's shift, ln(positive_weight), out of the logits again
    seed: int = 0
    threads: int | None = None  # None: all the cores that this process may use

    def __post_init__(self) -> None:
        for name in ("rounds", "patience", "max_depth"):
            if getattr(self, name) < 1:
                raise UsageError(f"Boosted trees: {name} is {getattr(self, name)}; it must be at least 1.")
        for name in ("learning_rate", "columns_a_split", "rows_a_tree"):
            if not 0 < getattr(self, name) <= 1:
                raise UsageError(f"Boosted trees: {name} is {getattr(self, name)}; it must lie in (0, 1].")
        if self.positive_weight is not None and self.positive_weight <= 0:
            raise UsageError(f"Boosted trees: positive_weight is {self.positive_weight}; it must be above 0.")


@dataclass(frozen=True, kw_only=True)
class Contributions:
    """What each column added to the logits of N rows: `columns` (N, D) and `base` (N,), together the logits."""

    columns: NDArray[np.float64]
    base: NDArray[np.float64]


class BoostedTrees:
    """Rows of a table (NaN = missing, which the trees handle themselves) to logits."""

    def __init__(self, config: BoostedTreesConfig | None = None) -> None:
        self.config = config or BoostedTreesConfig()
        self.positive_weight = math.nan  # the one used, known once fitted
        # After each round, when there was a validation set: weighted log-losses, and the validation AUC.
        self.training_loss: list[float] = []
        self.validation_loss: list[float] = []
        self.validation_auc: list[float] = []
        self._booster: xgboost.Booster | None = None

    def fit(
        self,
        values: ArrayLike,
        labels: ArrayLike,
        *,
        validation: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> Self:
        """Learn from training rows `values` (N, D) and `labels` (N,), 0 or 1.

        `validation` (rows, labels) stops early and keeps the best number of rounds; without it, or with a single
        outcome in it, all `rounds` are used.

        Raises:
            UsageError: the training rows have a single outcome.
        """
        outcome = _checked_labels(labels)
        positives = int(outcome.sum())
        if positives in (0, len(outcome)):
            raise UsageError(
                f"All {len(outcome)} training cases have the same outcome; a classifier needs both kinds."
            )
        self.positive_weight = self.config.positive_weight or (len(outcome) - positives) / positives
        train = self._matrix(values, outcome)
        watched = self._watched(validation)
        history: dict[str, dict[str, list[float]]] = {}
        booster = xgboost.train(
            self._parameters(),
            train,
            num_boost_round=self.config.rounds,
            evals=[(train, "training"), *watched] if watched else [],
            early_stopping_rounds=self.config.patience if watched else None,
            evals_result=history,
            verbose_eval=False,
        )
        self.training_loss = history.get("training", {}).get("logloss", [])
        self.validation_loss = history.get("validation", {}).get("logloss", [])
        self.validation_auc = history.get("validation", {}).get("auc", [])
        self._booster = booster[: booster.best_iteration + 1] if watched else booster
        return self

    def predict_logit(self, values: ArrayLike) -> NDArray[np.float64]:
        """Logits (N,) of rows (N, D); with `prior_correction` they fit the training fold's own death rate."""
        margin = self._fitted().predict(
            xgboost.DMatrix(_rows(values), nthread=self._threads()), output_margin=True
        )
        return np.asarray(margin, dtype=np.float64) - self._shift

    def predict(self, values: ArrayLike) -> NDArray[np.float64]:
        """Risks (N,)."""
        return np.asarray(1 / (1 + np.exp(-self.predict_logit(values))))

    def contributions(self, values: ArrayLike) -> Contributions:
        """SHAP values of rows (N, D) (Lundberg et al. 2020): together `predict_logit`, to single precision."""
        found = self._fitted().predict(
            xgboost.DMatrix(_rows(values), nthread=self._threads()), pred_contribs=True
        )  # (N, D + 1), the last column is the base
        whole = np.asarray(found, dtype=np.float64)
        return Contributions(columns=whole[:, :-1], base=whole[:, -1] - self._shift)

    @property
    def rounds_kept(self) -> int:
        """Trees in the fitted model."""
        return int(self._fitted().num_boosted_rounds())

    def gain(self) -> NDArray[np.float64]:
        """Each column's share (D,) of the loss that all splits took away; a column never split on has 0."""
        booster = self._fitted()
        total = np.zeros(booster.num_features())
        for name, gain in booster.get_score(importance_type="total_gain").items():
            total[int(name.removeprefix("f"))] = gain
        return np.asarray(total / total.sum()) if total.any() else total

    def save(self, path: Path) -> None:
        """Write `to_bytes`, whole or not at all."""
        with atomic_file(path) as partial:
            partial.write_bytes(self.to_bytes())

    def to_bytes(self) -> bytes:
        """Trees and config as one XGBoost JSON file."""
        booster = self._fitted()
        booster.set_attr(pefuse=None)
        own = {
            "config": config_to_json(self.config),
            "weight": self.positive_weight,
            "digest": _digest(json.loads(booster.save_raw("json"))),
        }
        booster.set_attr(pefuse=json.dumps(own))
        return bytes(booster.save_raw("json"))

    @classmethod
    def load(cls, path: Path) -> Self:
        """What `save` wrote.

        Raises:
            RunError: the file is damaged, or not one of ours.
        """
        try:
            return cls.from_bytes(path.read_bytes())
        except OSError as error:
            raise RunError(_UNREADABLE) from error

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """What `save` wrote, as read from the file; else as `load`."""
        try:
            content: Any = json.loads(raw)
            own: Any = json.loads(content["learner"]["attributes"].pop("pefuse"))
            model = cls(config_from_json(BoostedTreesConfig, own["config"]))
            model.positive_weight = float(own["weight"])
            if not 0 < model.positive_weight < math.inf:
                raise ValueError("the weight is not a positive number")
            # XGBoost ends the whole process on some damaged files, so it only gets to see what we wrote.
            if own["digest"] != _digest(content):
                raise ValueError("the trees are not those that were saved")
            check_tree_file(content)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, UsageError) as error:
            raise RunError(_UNREADABLE) from error
        try:
            model._booster = xgboost.Booster({"nthread": model._threads()}, model_file=bytearray(raw))
        except ValueError as error:  # XGBoost's own are of this kind
            raise RunError(_UNREADABLE) from error
        return model

    @property
    def columns(self) -> int:
        """Columns of the table that the trees were fitted on."""
        return int(self._fitted().num_features())

    def _parameters(self) -> dict[str, Any]:
        config = self.config
        return {
            "objective": "binary:logistic",
            "eval_metric": ["auc", "logloss"],  # the last one stops it
            "tree_method": "hist",
            "learning_rate": config.learning_rate,
            "max_depth": config.max_depth,
            "min_child_weight": config.min_child_weight,
            "colsample_bynode": config.columns_a_split,
            "subsample": config.rows_a_tree,
            "reg_lambda": config.l2,
            "seed": config.seed,
            "nthread": self._threads(),
        }

    def _watched(self, validation: tuple[ArrayLike, ArrayLike] | None) -> list[tuple[xgboost.DMatrix, str]]:
        if validation is None:
            return []
        labels = _checked_labels(validation[1])
        if len(set(labels)) < 2:
            return []
        return [(self._matrix(validation[0], labels), "validation")]

    def _matrix(self, values: ArrayLike, labels: NDArray[np.float64]) -> xgboost.DMatrix:
        """Rows with weights whose mean is near 1; validation is weighted alike, so it stops on the same loss."""
        odds = self.positive_weight
        weights = np.where(labels == 1, (1 + odds) / 2, (1 + odds) / (2 * odds))
        return xgboost.DMatrix(_rows(values), label=labels, weight=weights, nthread=self._threads())

    @property
    def _shift(self) -> float:
        """What the weighting of deaths added to the logits."""
        return math.log(self.positive_weight) if self.config.prior_correction else 0.0

    def _threads(self) -> int:
        return self.config.threads or allowed_cores()

    def _fitted(self) -> xgboost.Booster:
        if self._booster is None:
            raise UsageError("The boosted trees are not fitted yet: call fit first.")
        return self._booster


def _digest(content: Any) -> str:
    """A hash of what a JSON file says, however it is laid out."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _rows(values: ArrayLike) -> NDArray[np.float32]:
    rows = np.asarray(values, dtype=np.float32)
    if rows.ndim != 2:
        raise UsageError(f"Boosted trees need a table of rows and columns; they were given shape {rows.shape}.")
    return rows


def _checked_labels(labels: ArrayLike) -> NDArray[np.float64]:
    outcome = np.asarray(labels, dtype=np.float64)
    if outcome.ndim != 1 or not np.isin(outcome, (0.0, 1.0)).all():
        raise UsageError("Labels must be 0 or 1, one a case.")
    return outcome
