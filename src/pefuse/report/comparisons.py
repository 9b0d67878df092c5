"""Comparisons of a run: the nouns of how each model stands against the reference, as `results.json` holds them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pefuse.report.estimates import Estimate, Frozen

__all__ = ["Comparison", "Discordance", "Gain", "TestSize"]


class Discordance(Frozen):
    """How many studies only the reference, or only the other model, called right; McNemar's exact p."""

    only_reference: int
    only_other: int
    p_value: float


class Gain(Frozen):
    """What the reference gains over the other model among deaths, among survivors, and both added."""

    of_deaths: Estimate
    of_survivors: Estimate
    total: Estimate


class TestSize(Frozen):
    """Studies and deaths that a test set needs to show the difference seen with 80 % power at p < 0.05.

    `power_now` is the power of the studies at hand. All are None where the difference is 0 or has no variance.
    `at_most`: fewer might do, but with fewer than ten deaths or survivors it cannot be told.
    """

    __test__ = False  # pytest takes it for a test by its name

    studies: int | None = None
    deaths: int | None = None
    power_now: float | None = None
    at_most: bool = False


class Comparison(Frozen):
    """A model against the reference, on the studies that both judged; None = cannot be told.

    `difference` (reference minus other) and `p_value` are the paired DeLong test's, `p_permutation` a paired
    permutation test's, `bootstrap_difference` and `p_bootstrap` a paired bootstrap's; `_holm` allows for the
    comparisons of the same table. `precision_difference` is of average precisions. `discordance` has sensitivity,
    specificity and accuracy, each model at its own threshold of Table 1; empty where one has none. The three gains
    are the NRI at these thresholds, the NRI without categories and the IDI. `paper_p` is the paper's
    Kolmogorov-Smirnov test, which is no test of the models.
    """

    name: str
    label: str
    table: Literal[0, 1, 3] = 1
    studies: int
    difference: Estimate
    p_value: float | None = None
    p_holm: float | None = None
    p_permutation: float | None = None
    p_permutation_holm: float | None = None
    bootstrap_difference: Estimate | None = None
    p_bootstrap: float | None = None
    p_bootstrap_holm: float | None = None
    precision_difference: Estimate | None = None
    test_size: TestSize = Field(default_factory=TestSize)
    discordance: dict[str, Discordance] = Field(default_factory=dict)
    net_reclassification: Gain | None = None
    continuous_reclassification: Gain | None = None
    integrated_discrimination: Gain | None = None
    paper_p: float | None = None
