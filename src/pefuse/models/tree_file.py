"""Whether a file of trees is one that XGBoost can take: on others it ends the process or reads past its arrays.

A digest only tells that a file is what someone wrote. Here its content is checked: every node's children lie
behind it and inside the tree, every split asks for a column that there is, every array has one entry a node.
"""

from __future__ import annotations

import math
from typing import Any

__all__ = ["check_tree_file"]

MOST_NODES = 1_000_000  # of all trees together
MOST_COLUMNS = 1_000_000
NUMBERS = ("base_weights", "loss_changes", "split_conditions", "sum_hessian")
WHOLE_NUMBERS = ("default_left", "left_children", "parents", "right_children", "split_indices", "split_type")
CATEGORIES = ("categories", "categories_nodes", "categories_segments", "categories_sizes")
ROOT = 2**31 - 1  # the parent of a root


def check_tree_file(content: Any) -> None:
    """Check the JSON content of XGBoost's own format, as `BoostedTrees` writes it.

    Raises:
        ValueError: something in it is not as XGBoost writes it.
        LookupError, TypeError, AttributeError: a part is missing or of another kind.
    """
    learner = content["learner"]
    _need(content["version"][0] >= 3 and len(content["version"]) == 3, "the version")
    _need(learner["objective"]["name"] == "binary:logistic", "the objective")
    _need(not learner["feature_names"] and not learner["feature_types"], "named columns")
    shape = learner["learner_model_param"]
    columns = int(shape["num_feature"])
    _need(0 < columns <= MOST_COLUMNS, "the number of columns")
    _need(int(shape["num_class"]) == 0 and int(shape["num_target"]) == 1, "the number of outcomes")
    _need(all(0 < value < 1 for value in map(float, shape["base_score"].strip("[]").split(","))), "the base score")
    _need(learner["gradient_booster"]["name"] == "gbtree", "the booster")
    _check_trees(learner["gradient_booster"]["model"], columns)


def _check_trees(model: Any, columns: int) -> None:
    trees = model["trees"]
    count = len(trees)
    _need(int(model["gbtree_model_param"]["num_trees"]) == count, "the number of trees")
    _need(int(model["gbtree_model_param"]["num_parallel_tree"]) == 1, "trees side by side")
    _need(model["tree_info"] == [0] * count, "a tree of another outcome")
    _need(model["iteration_indptr"] == list(range(count + 1)), "the rounds")
    _need(not any(model.get("cats", {}).values()), "categories")
    _need(sum(len(tree["left_children"]) for tree in trees) <= MOST_NODES, "the number of nodes")
    for number, tree in enumerate(trees):
        _need(tree["id"] == number, "the order of trees")
        _check_tree(tree, columns)


def _check_tree(tree: Any, columns: int) -> None:
    shape = tree["tree_param"]
    nodes = len(tree["left_children"])
    _need(nodes > 0 and int(shape["num_nodes"]) == nodes and int(shape["num_deleted"]) == 0, "the number of nodes")
    _need(int(shape["num_feature"]) == columns and int(shape["size_leaf_vector"]) <= 1, "the shape of a tree")
    _need(not any(tree[name] for name in CATEGORIES), "categories")
    for name in (*NUMBERS, *WHOLE_NUMBERS):
        _need(isinstance(tree[name], list) and len(tree[name]) == nodes, name)
    _need(all(type(value) is int for name in WHOLE_NUMBERS for value in tree[name]), "a whole number")
    _need(all(type(value) in (int, float) and math.isfinite(value) for name in NUMBERS for value in tree[name]),
          "a number")  # fmt: skip
    _need(all(0 <= column < columns for column in tree["split_indices"]), "a split's column")
    _need(set(tree["split_type"]) == {0} and set(tree["default_left"]) <= {0, 1}, "a split's kind")
    _check_links(tree["left_children"], tree["right_children"], tree["parents"])


def _check_links(left: list[int], right: list[int], parents: list[int]) -> None:
    """Each node but the root is the child of exactly one earlier node: no walk can leave the tree or go round."""
    _need(parents[0] == ROOT, "the root")
    parent_of: dict[int, int] = {}
    for node, children in enumerate(zip(left, right, strict=True)):
        if children == (-1, -1):
            continue
        for child in children:
            _need(node < child < len(left) and child not in parent_of, "a node's children")
            parent_of[child] = node
    _need(parents[1:] == [parent_of.get(node) for node in range(1, len(left))], "a node's parent")


def _need(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"not a file of our trees: {what}")
