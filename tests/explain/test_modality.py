"""Risks with a modality replaced by its average, or left out."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import expit

from pefuse.errors import BundleError, UsageError
from pefuse.explain import modality as modality_module
from pefuse.explain.importance import NotExplained
from pefuse.explain.modality import ModalityRisks, modality_risks, modality_table

from ..models.bundle.conftest import FUSED, LATE, STUDIES, make_record

SHOWN, REFERENCE = STUDIES[:5], STUDIES[10:16]


@pytest.fixture(scope="module")
def awake(bundles):
    """The bundles; the bottleneck transformer, which starts with a classifier of zeros, has learned one."""
    random = torch.Generator().manual_seed(0)
    members = []
    for member in bundles["mbt"].members:
        fusion = copy.deepcopy(member.model.fusion)
        with torch.no_grad():
            fusion.classifier.weight.normal_(generator=random)
        members.append(replace(member, model=replace(member.model, fusion=fusion)))
    return {**bundles, "mbt": replace(bundles["mbt"], members=tuple(members))}


@pytest.fixture
def told(scans):
    """Risks of five studies against six others."""

    def tell(bundle, **changes) -> ModalityRisks:
        given = {"scans": scans[:5], "record": make_record(), "reference_ids": REFERENCE}
        found = modality_risks(bundle, SHOWN, **{**given, "reference_scans": scans[10:16], **changes})
        assert isinstance(found, ModalityRisks)
        return found

    return tell


@pytest.mark.parametrize("kind", [*LATE, *FUSED])
def test_the_risk_with_both_is_the_one_that_the_bundle_predicts(awake, scans, told, kind):
    """Mean over members of their risks, as the ensemble's."""
    predicted = awake[kind].predict(SHOWN, scans=scans[:5], record=make_record()).ensemble["risk"]

    found = told(awake[kind])

    np.testing.assert_allclose(found.risk, predicted, rtol=1e-5)
    assert found.references == 6
    for values in (found.without_scan, found.without_record):
        assert ((values > 0) & (values < 1)).all()


@pytest.mark.parametrize("kind", FUSED)
def test_without_the_scan_only_the_record_counts(awake, scans, told, kind):
    """Other scans of the shown studies change the risk without their records, not the one without the scan."""
    ours, others = told(awake[kind]), told(awake[kind], scans=scans[20:25])

    np.testing.assert_allclose(others.without_scan, ours.without_scan, rtol=1e-5)
    assert not np.allclose(others.without_record, ours.without_record, rtol=1e-6, atol=0)


def test_the_average_scan_is_the_mean_of_what_the_fusion_takes(awake, scans, told):
    """By hand for one member: mean embedding of the six references in place of each study's own."""
    bundle = replace(awake["pca"], members=awake["pca"].members[:1])
    model, record = bundle.members[0].model, make_record()
    with torch.inference_mode():
        image = model.scan.network(model.scan.input(scans[10:16])).embedding.mean(dim=0)
        rows = torch.from_numpy(model.preparation.transform(record, SHOWN).values)
        ehr = model.record.network(rows).embedding
        logit = model.fusion(image.expand(5, -1), ehr).logit.double().numpy() - model.logit_shift

    np.testing.assert_allclose(told(bundle).without_scan, expit(logit), rtol=1e-5)


def test_the_average_record_of_a_token_fusion_is_the_mean_of_its_tokens(awake, scans, told):
    """The bottleneck transformer takes TabNet's steps: their mean, step by step."""
    bundle = replace(awake["mbt"], members=awake["mbt"].members[:1])
    model, record = bundle.members[0].model, make_record()
    with torch.inference_mode():
        image = model.fusion.take_image(model.scan.network(model.scan.input(scans[:5])))
        rows = torch.from_numpy(model.preparation.transform(record, REFERENCE).values)
        steps = model.fusion.take_ehr(model.record.network(rows)).mean(dim=0)
        logit = model.fusion(image, steps.expand(5, -1, -1)).logit.double().numpy() - model.logit_shift

    np.testing.assert_allclose(told(bundle).without_record, expit(logit), rtol=1e-5)


def test_a_late_average_takes_the_mean_risk_of_the_modality(awake, scans, told):
    """Weights 0.25 and 0.75: a quarter of the scan's mean risk, three quarters of the record's own."""
    bundle = replace(awake["late-average"], members=awake["late-average"].members[:1])
    model, record = bundle.members[0].model, make_record()
    scan = expit(model.scan.logits(scans[10:16], None)).mean()
    own = expit(model.record.logits(None, model.preparation.transform(record, SHOWN).values))

    found = told(bundle)

    np.testing.assert_allclose(found.without_scan, 0.25 * scan + 0.75 * own, rtol=1e-5)
    np.testing.assert_allclose(found.scan_absent, own, rtol=1e-5)


@pytest.mark.parametrize("kind", ["late-tabnet", "late-xgboost", *FUSED])
def test_a_model_that_never_learned_to_do_without_is_not_asked_to(awake, told, kind):
    """What stands for an absent modality is still the zero it began with; stacked models need every risk."""
    found = told(awake[kind])

    assert found.scan_absent is None
    assert found.record_absent is None
    assert found.table()["scan_absent"].isna().all()


@pytest.mark.parametrize(("kind", "name"), [("pca", "no_image"), ("mbt", "image.absent")])
def test_a_learned_stand_in_is_used(awake, scans, told, kind, name):
    """Once it is not zero, the risk without a scan is what the fusion says with the flag."""
    member = awake[kind].members[0]
    fusion = copy.deepcopy(member.model.fusion)
    with torch.no_grad():
        fusion.get_parameter(name).fill_(0.5)
    bundle = replace(awake[kind], members=(replace(member, model=replace(member.model, fusion=fusion)),))

    found = told(bundle)

    assert found.record_absent is None
    assert found.scan_absent is not None
    assert not np.allclose(found.scan_absent, found.without_scan, rtol=1e-6, atol=0)


def test_one_study_against_one_reference_that_is_itself(awake, scans):
    """Its own scan and record are the average: nothing moves."""
    found = modality_risks(
        awake["pca"], ["S3"], scans=scans[3:4], record=make_record(), reference_ids=["S3"],
        reference_scans=scans[3:4],
    )  # fmt: skip

    np.testing.assert_allclose(found.without_scan, found.risk, rtol=1e-6)
    np.testing.assert_allclose(found.without_record, found.risk, rtol=1e-6)


def test_of_many_references_some_are_taken_evenly(awake, scans, told, monkeypatch):
    """Three of S0 to S29: the first, the middle, the last, each with its own scan."""
    monkeypatch.setattr(modality_module, "MOST_REFERENCES", 3)

    few = told(awake["pca"], reference_ids=STUDIES, reference_scans=scans)
    chosen = told(awake["pca"], reference_ids=["S0", "S14", "S29"], reference_scans=scans[[0, 14, 29]])

    assert few.references == 3
    np.testing.assert_array_equal(few.without_scan, chosen.without_scan)
    np.testing.assert_array_equal(few.without_record, chosen.without_record)


def test_models_of_one_modality_have_nothing_to_replace(awake, scans):
    for kind in ("sanet", "tabnet", "boosted-trees"):
        found = modality_risks(
            awake[kind], SHOWN, scans=scans[:5], record=make_record(), reference_ids=REFERENCE,
            reference_scans=scans[10:16],
        )  # fmt: skip
        assert isinstance(found, NotExplained)


def test_what_does_not_fit_is_refused(awake, scans, told):
    with pytest.raises(UsageError, match="no study to explain"):
        told(awake["pca"], reference_ids=[], reference_scans=scans[:0])
    with pytest.raises(UsageError, match=r"must be HU of type int16 and shape \(6, Z, Y, X\)"):
        told(awake["pca"], reference_scans=scans[:4])
    with pytest.raises(UsageError, match="S99 has no record"):
        told(awake["pca"], reference_ids=[*REFERENCE[:5], "S99"])


def test_a_risk_that_is_no_number_is_refused(awake, told):
    member = awake["pca"].members[0]
    fusion = copy.deepcopy(member.model.fusion)
    with torch.no_grad():
        fusion.image_norm.mean.fill_(torch.inf)
        fusion.image_norm.deviation.fill_(torch.inf)
    broken = replace(awake["pca"], members=(replace(member, model=replace(member.model, fusion=fusion)),))

    with pytest.raises((BundleError, FloatingPointError), match=r"not a number|TabNet's scores"):
        told(broken)


def test_the_table_has_the_labels_and_the_single_models(awake, scans):
    """Risks of the single models come from their own awake; without one the column is empty."""
    record = make_record()
    table = modality_table(
        awake["pca"], SHOWN, scans=scans[:5], record=record, labels={one: int(one == "S3") for one in SHOWN},
        reference_ids=REFERENCE, reference_scans=scans[10:16], scan_alone=awake["sanet"],
    )  # fmt: skip
    alone = awake["sanet"].predict(SHOWN, scans=scans[:5]).ensemble["risk"]

    assert list(table.columns) == [
        "model", "study_id", "label", "risk", "without_scan", "without_record", "scan_absent", "record_absent",
        "scan_alone", "record_alone",
    ]  # fmt: skip
    assert list(table["study_id"]) == list(SHOWN)
    assert list(table["label"]) == [0, 0, 0, 1, 0]
    assert (table["model"] == "test-pca").all()
    np.testing.assert_allclose(table["scan_alone"], alone)
    assert table["record_alone"].isna().all()
