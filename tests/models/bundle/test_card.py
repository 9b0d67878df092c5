"""The report reads a bundle without the models: it must find in it what the models put there."""

from __future__ import annotations

import pytest

from pefuse.models.bundle import load_bundle
from pefuse.report.bundle_facts import read_bundle_facts

from .conftest import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_the_report_finds_what_the_bundle_has(kind, saved):
    folder = saved(kind)
    (folder / "MODEL_CARD.md").write_text("a card that no hash stands for")
    bundle, facts = load_bundle(folder), read_bundle_facts(folder)

    assert facts.sha256 == bundle.sha256
    assert (facts.model, facts.architecture, facts.grid) == (bundle.model, bundle.architecture, bundle.grid)
    assert [one.value for one in facts.thresholds] == [one.value for one in bundle.thresholds.values()]
    assert [one.name for one in facts.features] == [one.name for one in bundle.features]
    assert len(facts.members) == len(bundle.members)
    assert facts.cohort.model_dump() == bundle.about.cohort.model_dump()
