"""Trees under a right digest that XGBoost could not take: it would end the process or read beyond its arrays."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pefuse.errors import RunError
from pefuse.models.boosting import BoostedTrees, BoostedTreesConfig, _digest


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    """The file of three trees on four columns."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(80, 4))
    config = BoostedTreesConfig(rounds=3, threads=1, columns_a_split=1.0)
    parsed: dict[str, Any] = json.loads(BoostedTrees(config).fit(values, values[:, 1] > 0).to_bytes())
    return parsed


def sealed(content: dict[str, Any]) -> bytes:
    """With the digest that its trees have now, as someone who knows the format would."""
    content = copy.deepcopy(content)
    own = json.loads(content["learner"]["attributes"].pop("pefuse"))
    own["digest"] = _digest(content)
    content["learner"]["attributes"]["pefuse"] = json.dumps(own)
    return json.dumps(content).encode()


def model(content: dict[str, Any]) -> Any:
    return content["learner"]["gradient_booster"]["model"]


def tree(content: dict[str, Any]) -> Any:
    return model(content)["trees"][1]


def setting(name: str, place: int, value: object) -> Callable[[dict[str, Any]], object]:
    def change(content: dict[str, Any]) -> None:
        tree(content)[name][place] = value

    return change


def test_trees_that_nobody_touched_are_taken(content):
    assert BoostedTrees.from_bytes(sealed(content)).columns == 4


@pytest.mark.parametrize(
    "change",
    [
        setting("left_children", 0, 0),  # round and round
        setting("left_children", 0, 10**6),
        setting("right_children", 0, -1),  # one child
        setting("right_children", 0, 1),  # the same child twice
        setting("split_indices", 0, 4),
        setting("split_indices", 0, -1),
        setting("split_indices", 0, 1.0),
        setting("split_conditions", 0, float("nan")),
        setting("base_weights", 0, "1"),
        setting("parents", 0, 0),
        setting("parents", 1, 2),
        setting("default_left", 0, 7),
        setting("split_type", 0, 1),  # by category
        lambda content: tree(content)["base_weights"].pop(),
        lambda content: tree(content)["categories"].append(1),
        lambda content: tree(content)["tree_param"].update(num_nodes="1000000"),
        lambda content: tree(content)["tree_param"].update(num_feature="5"),
        lambda content: tree(content).update(id=0),
        lambda content: tree(content).pop("parents"),
        lambda content: model(content)["trees"].pop(),
        lambda content: model(content).update(iteration_indptr=[0, 100]),
        lambda content: model(content).update(tree_info=[5, 0, 0]),
        lambda content: content["learner"]["learner_model_param"].update(num_class="3"),
        lambda content: content["learner"]["learner_model_param"].update(num_feature="999999999999"),
        lambda content: content["learner"]["learner_model_param"].update(base_score="[2E0]"),
        lambda content: content["learner"]["objective"].update(name="multi:softmax"),
        lambda content: content["learner"]["gradient_booster"].update(name="dart"),
        lambda content: content.update(version=[]),
        lambda content: content.pop("learner"),
    ],
)
def test_other_trees_are_refused_before_xgboost_sees_them(change, content, monkeypatch):
    spoilt = copy.deepcopy(content)
    change(spoilt)
    raw = sealed(spoilt) if "learner" in spoilt else json.dumps(spoilt).encode()
    monkeypatch.setattr("xgboost.Booster", None)

    with pytest.raises(RunError, match="damaged or not ours"):
        BoostedTrees.from_bytes(raw)


@pytest.mark.parametrize("weight", [0, -1, None, float("nan"), "x"])
def test_a_weight_that_has_no_logarithm_is_refused(weight, content):
    spoilt = copy.deepcopy(content)
    own = json.loads(spoilt["learner"]["attributes"]["pefuse"])
    spoilt["learner"]["attributes"]["pefuse"] = json.dumps({**own, "weight": weight})

    with pytest.raises(RunError, match="damaged or not ours"):
        BoostedTrees.from_bytes(sealed(spoilt))
