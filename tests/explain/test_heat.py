"""Heat of a bundle: every kind of model that reads scans, and the control that has learned nothing."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from pefuse.errors import BundleError, UsageError
from pefuse.explain import find_heat, find_occlusion
from pefuse.explain.branch import image_branch, unlearned

from ..models.bundle.conftest import FUSED, LATE, STUDIES, make_record

SHOWN = STUDIES[:3]


@pytest.fixture
def heat(bundles, scans):
    def find(kind, **options):
        return find_heat(bundles[kind], SHOWN, scans=scans[:3], record=make_record(), **options)

    return find


@pytest.mark.parametrize("kind", ["sanet", "swin", *LATE, *FUSED])
def test_heat_is_shares_of_each_scan_on_the_models_grid(heat, bundles, kind):
    found = heat(kind)
    total = found.values.sum(axis=(1, 2, 3))

    assert found.values.shape == (3, 32, 32, 32)
    assert (found.values >= 0).all()
    assert total[found.members > 0] == pytest.approx(1.0, abs=1e-4)
    assert not total[found.members == 0].any()


def test_the_logit_is_the_models_where_a_gradient_passes_and_else_the_scans(bundles):
    said = {kind: image_branch(bundles[kind].members[0].model).through for kind in ("sanet", "pca", "late-vote")}

    assert said == {
        "sanet": "the model's risk",
        "pca": "the model's risk",
        "late-vote": "the risk by the scan's own network",
    }


def test_trees_behind_a_reduction_are_explained_by_the_scans_own_network(heat):
    assert heat("nmf-xgboost").through == "the risk by the scan's own network"


def test_a_study_explained_alone_has_the_heat_that_it_has_among_others(bundles, scans):
    together = find_heat(bundles["pca"], SHOWN, scans=scans[:3], record=make_record())
    alone = find_heat(bundles["pca"], SHOWN[1:2], scans=scans[1:2], record=make_record())

    assert alone.of(SHOWN[1]) == pytest.approx(together.of(SHOWN[1]), abs=1e-6)


def test_members_count_alike_however_steep_their_logits_are(bundles, scans):
    """A member whose logit is a thousand times as steep has the same say."""
    bundle = bundles["sanet"]
    first = bundle.members[0]
    steep = copy.deepcopy(first)
    with torch.no_grad():
        steep.model.scan.network.head.classifier.weight.mul_(1000)
    twice = replace(bundle, members=(first, steep))
    once = replace(bundle, members=(first,))

    both = find_heat(twice, SHOWN, scans=scans[:3]).values

    assert both == pytest.approx(find_heat(once, SHOWN, scans=scans[:3]).values, abs=1e-6)


def test_the_record_has_a_say_in_the_heat_of_a_fusion(bundles, scans):
    """The gradient runs through the fusion with this patient's record in its place."""
    other = make_record(study_ids=tuple(reversed(STUDIES)))
    found = [
        find_heat(bundles["early"], SHOWN, scans=scans[:3], record=record).values
        for record in (make_record(), other)
    ]
    through_bilinear = [
        find_heat(bundles["bilinear"], SHOWN, scans=scans[:3], record=record).values
        for record in (make_record(), other)
    ]

    assert found[0].shape == found[1].shape
    assert not np.allclose(through_bilinear[0], through_bilinear[1], atol=1e-9)


def test_the_control_has_other_weights_and_the_same_rest(bundles):
    model = bundles["pca"].members[0].model
    branch = image_branch(model)
    control = unlearned(branch, model, seed=1)
    again = unlearned(branch, model, seed=1)

    drawn, kept = control.network.state_dict(), branch.network.state_dict()
    assert not torch.equal(drawn["stem.0.weight"], kept["stem.0.weight"])
    assert torch.equal(drawn["stem.0.weight"], again.network.state_dict()["stem.0.weight"])
    assert control.network.config == branch.network.config
    assert control.scan.normalisation == branch.scan.normalisation


def test_drawing_the_control_leaves_the_random_numbers_of_others_alone(bundles):
    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    unlearned(image_branch(bundles["sanet"].members[0].model), bundles["sanet"].members[0].model, seed=1)

    assert torch.rand(1) == wanted


def test_a_model_without_a_scan_is_refused(bundles, scans):
    with pytest.raises(UsageError, match="reads no scan"):
        find_heat(bundles["tabnet"], SHOWN, scans=scans[:3], record=make_record())


def test_heat_that_is_not_a_number_is_refused(bundles, scans):
    broken = copy.deepcopy(bundles["sanet"].members[0])
    with torch.no_grad():
        broken.model.scan.network.head.classifier.weight.fill_(float("nan"))

    with pytest.raises(BundleError, match="not a number"):
        find_heat(replace(bundles["sanet"], members=(broken,)), SHOWN, scans=scans[:3])


@pytest.mark.parametrize("kind", ["sanet", "late-average", "pca"])
def test_occlusion_of_any_model_has_the_same_form(bundles, scans, kind):
    found = find_occlusion(bundles[kind], SHOWN[:1], scans=scans[:1], record=make_record(), cubes=2)

    assert found.method == "occlusion"
    assert found.values.shape == (1, 32, 32, 32)
    assert found.values.sum() == pytest.approx(float(found.members[0] > 0), abs=1e-4)
