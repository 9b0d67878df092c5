"""Which table a model stands in."""

from __future__ import annotations

import pytest

from pefuse.report.summarise import table_of


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("intermediate-sanet", 1),
        ("intermediate-sanet-nmf", 3),
        ("intermediate-sanet-dim256", 3),
        # Two parts changed at once: no row of Table 3, but a model that was asked for.
        ("intermediate-sanet-nmf-fc", 1),
        # An encoder that was only trained for a wider fusion.
        ("sanet-dim256", 0),
        ("early-nmf", 1),
    ],
)
def test_with_ablations_a_single_changed_part_is_table_3(name, table):
    assert table_of(name, {"ablations": True}) == table


def test_without_ablations_every_model_is_of_table_1():
    assert {table_of(name, {}) for name in ("sanet-dim256", "intermediate-sanet-nmf")} == {1}
