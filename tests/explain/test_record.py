"""TabNet's masks as importance of features."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from pefuse.errors import BundleError, RecordError, UsageError
from pefuse.explain.importance import FeatureImportance, NotExplained
from pefuse.explain.record import mask_importance, record_part, with_random_record_weights

from ..models.bundle.conftest import COLUMNS, STUDIES, make_record

MASKED = (
    "tabnet",
    "late-average",
    "late-vote",
    "late-tabnet",
    "late-xgboost",
    "pca",
    "bilinear",
    "mbt",
    "nmf-xgboost",
)


def explained(bundle, ids=STUDIES, record=None) -> FeatureImportance:
    found = mask_importance(bundle, ids, record or make_record())
    assert isinstance(found, FeatureImportance)
    return found


@pytest.mark.parametrize("kind", MASKED)
def test_shares_and_steps_sum_to_one(bundles, kind):
    """Of every study, and the importance over all of them."""
    found = explained(bundles[kind])

    assert found.method == "masks"
    assert found.shares.shape == (30, 4)
    assert found.steps.shape == (2, 30, 4)
    np.testing.assert_allclose(found.shares.sum(axis=1), 1)
    np.testing.assert_allclose(found.steps.sum(axis=2), 1, atol=1e-6)
    np.testing.assert_allclose(found.overall.sum(), 1)
    assert (found.shares >= 0).all()


def test_shares_are_those_of_a_calculation_by_hand(bundles):
    """Each member's steps weighed by the sum of their decisions, columns added to features, members averaged."""
    bundle, record = bundles["tabnet"], make_record()
    keys = [column.key for column in COLUMNS]
    expected = np.zeros(4)
    for member in bundle.members:
        part = member.model.record
        row = part.preparation.transform(record, ["S7"]).values
        with torch.inference_mode():
            out = part.network(torch.from_numpy(row))
        whole = sum(float(out.steps[step, 0].sum()) for step in range(2))
        for step in range(2):
            for place, column in enumerate(part.preparation.columns):
                share = float(out.steps[step, 0].sum() * out.masks[step, 0, place]) / whole
                expected[keys.index(column.key)] += share / len(bundle.members)

    found = explained(bundle, ["S7"])

    np.testing.assert_allclose(found.shares[0], expected, rtol=1e-5)


def test_a_study_is_explained_alike_alone_and_among_others(bundles):
    whole, alone = explained(bundles["pca"]), explained(bundles["pca"], ["S4"])

    np.testing.assert_allclose(alone.shares[0], whole.shares[4], rtol=1e-5)


def test_members_that_saw_other_columns_are_brought_together(bundles):
    """A member without the lactate gives it nothing; the others' shares stay."""
    bundle = bundles["tabnet"]
    part = bundle.members[0].model.record
    kept = [place for place, column in enumerate(part.preparation.columns) if column.key != "lactate"]
    fewer = replace(part, preparation=part.preparation.only(kept), network=_narrow(part.network, len(kept)))
    alone = replace(
        bundle, members=(replace(bundle.members[0], model=replace(bundle.members[0].model, record=fewer)),)
    )
    mixed = replace(bundle, members=(*alone.members, bundle.members[1]))
    other = replace(bundle, members=(bundle.members[1],))

    assert explained(alone).overall[1] == 0
    np.testing.assert_allclose(explained(mixed).shares[:, 1], explained(other).shares[:, 1] / 2, rtol=1e-5)


def _narrow(network, columns):
    torch.manual_seed(5)
    return type(network)(replace(network.config, input_dim=columns)).eval()


class Silent(nn.Module):
    """A TabNet none of whose steps decides anything."""

    def __init__(self, network):
        super().__init__()
        self.network, self.config = network, network.config

    def forward(self, x):
        output = self.network(x)
        return replace(output, steps=torch.zeros_like(output.steps))


def _silenced(member):
    record = member.model.record
    return replace(member, model=replace(member.model, record=replace(record, network=Silent(record.network))))


def test_a_member_that_took_nothing_leaves_the_study_to_the_others(bundles):
    """Its shares are all 0, so those of the other one count alone."""
    bundle = bundles["tabnet"]
    mixed = replace(bundle, members=(_silenced(bundle.members[0]), bundle.members[1]))
    other = replace(bundle, members=(bundle.members[1],))

    np.testing.assert_allclose(explained(mixed).shares, explained(other).shares)


def test_where_no_member_took_anything_all_shares_are_zero(bundles):
    """Not NaN, and not equal shares that look like knowledge."""
    bundle = bundles["tabnet"]
    found = explained(replace(bundle, members=tuple(map(_silenced, bundle.members))))

    assert (found.shares == 0).all()
    assert (found.overall == 0).all()


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("sanet", "does not read the record"),
        ("boosted-trees", "with trees"),
        ("early", "takes the record's columns"),
    ],
)
def test_models_whose_masks_say_nothing_are_told_apart(bundles, kind, reason):
    """In early fusion the TabNet's masks are there, but what they let through is not used."""
    found = mask_importance(bundles[kind], STUDIES, make_record())

    assert isinstance(found, NotExplained)
    assert reason in found.reason


def test_weights_that_are_no_numbers_are_refused(bundles):
    bundle = bundles["tabnet"]
    broken = with_random_record_weights(bundle, seed=0)
    with torch.no_grad():
        broken.members[0].model.record.network.attentions[0].linear.weight.fill_(torch.nan)

    with pytest.raises(BundleError, match="not numbers"):
        mask_importance(broken, STUDIES, make_record())


def test_a_decision_that_is_no_number_is_refused(bundles):
    broken = with_random_record_weights(bundles["tabnet"], seed=0)
    with torch.no_grad():
        broken.members[0].model.record.network.transformers[1].own[1].weight.fill_(torch.nan)

    with pytest.raises(BundleError, match="not a number"):
        mask_importance(broken, STUDIES, make_record())


def test_studies_and_records_that_are_not_there_are_refused(bundles):
    with pytest.raises(UsageError, match="no study to explain"):
        mask_importance(bundles["tabnet"], [], make_record())
    with pytest.raises(UsageError, match="S99 has no record"):
        mask_importance(bundles["tabnet"], ["S99"], make_record())
    other_unit = (COLUMNS[0], replace(COLUMNS[1], unit="mg/dL"), *COLUMNS[2:])
    with pytest.raises(RecordError, match="convert it"):
        mask_importance(bundles["tabnet"], STUDIES, make_record(columns=other_unit))


@pytest.mark.parametrize("kind", ["tabnet", "late-vote", "pca"])
def test_random_weights_change_the_network_of_the_record_alone(bundles, kind):
    """Same preparations, other masks; the same seed draws the same; the bundle itself is not touched."""
    bundle, record = bundles[kind], make_record()
    before = explained(bundle).shares
    state = torch.get_rng_state()

    fresh = with_random_record_weights(bundle, seed=1)

    assert torch.equal(torch.get_rng_state(), state)
    for old, new in zip(bundle.members, fresh.members, strict=True):
        assert record_part(new.model).preparation is record_part(old.model).preparation
    assert not np.allclose(explained(fresh, record=record).shares, before)
    np.testing.assert_array_equal(explained(bundle).shares, before)
    again = with_random_record_weights(bundle, seed=1)
    np.testing.assert_array_equal(explained(again).shares, explained(fresh).shares)


def test_what_has_no_weights_cannot_be_drawn_anew(bundles):
    with pytest.raises(UsageError, match="no network of the record"):
        with_random_record_weights(bundles["boosted-trees"], seed=0)
