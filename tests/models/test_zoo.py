"""Names of models: rows, what they start from, and their variants."""

from __future__ import annotations

import pytest

from pefuse.errors import UsageError
from pefuse.models.fusion import EarlyFusion, IntermediateFusion
from pefuse.models.zoo import TABLE_1, Variant, model_row, table3_names, with_needs


def test_table_1_has_fourteen_rows():
    assert len(TABLE_1) == 14
    assert {"pesi", "spesi", "mbt", "early", "late-vote", "intermediate-swin"} <= set(TABLE_1)


@pytest.mark.parametrize(
    ("name", "base", "variant"),
    [
        ("intermediate-sanet", "intermediate-sanet", Variant()),
        ("intermediate-sanet-nmf", "intermediate-sanet", Variant(reduction="nmf")),
        (
            "intermediate-sanet-sparse-pca-cnn1d",
            "intermediate-sanet",
            Variant(reduction="sparse-pca", head="cnn1d"),
        ),
        ("intermediate-swin-xgboost", "intermediate-swin", Variant(head="xgboost")),
        ("early-none-dim1024", "early", Variant(reduction="none", embedding_dim=1024)),
        ("tabnet-dim256", "tabnet", Variant(embedding_dim=256)),
        ("late-xgboost", "late-xgboost", Variant()),
    ],
)
def test_a_name_is_a_base_and_a_variant(name, base, variant):
    row = model_row(name)
    assert (row.name, row.base, row.variant) == (name, base, variant)
    assert variant.suffix == name.removeprefix(base)


def test_another_width_needs_encoders_of_that_width():
    assert model_row("intermediate-sanet-fc-dim256").needs == ("sanet-dim256", "tabnet-dim256")
    assert model_row("intermediate-sanet-fc").needs == ("sanet", "tabnet")


def test_needs_come_before_those_who_need_them_and_each_once():
    names = [row.name for row in with_needs(["mbt", "intermediate-swin", "late-tabnet"])]
    assert names == ["swin", "tabnet", "mbt", "intermediate-swin", "sanet", "late-tabnet"]


def test_early_and_intermediate_fusion_are_networks_of_their_own():
    assert model_row("early-nmf").fusion is EarlyFusion
    assert model_row("intermediate-swin-nmf").fusion is IntermediateFusion


def test_table_3_is_every_part_but_the_full_model_s_own():
    """Of the paper: 3 heads, 6 other reductions, 2 other widths."""
    names = table3_names(reduction="pca", head="tabnet")

    assert len(names) == len(set(names)) == 11
    assert "intermediate-sanet-bilinear" in names
    assert "intermediate-sanet-pca" not in names
    assert "intermediate-sanet-pca" in table3_names(reduction="bilinear", head="tabnet")
    # Trees give bilinear attention no gradient to learn from.
    assert "intermediate-sanet-xgboost" not in table3_names(reduction="bilinear", head="tabnet")
    assert "intermediate-sanet-bilinear" not in table3_names(reduction="pca", head="xgboost")
    for name in names:
        model_row(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sanett", "Did you mean sanet"),
        ("intermediate-sanet-fc-nmf", '"-fc-nmf" is no variant of intermediate-sanet'),
        ("sanet-nmf", '"-nmf" is no variant of sanet.*"sanet-dim64"'),
        ("pesi-dim64", "It has no variants"),
        ("mbt-nmf", "It has no variants"),
        ("intermediate-sanet-bilinear-xgboost", "is no variant"),
        ("intermediate-sanet-dim65", "is no variant"),
    ],
)
def test_what_there_is_not_is_told(name, message):
    with pytest.raises(UsageError, match=message):
        model_row(name)
