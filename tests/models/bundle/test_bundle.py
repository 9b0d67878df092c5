"""What a prediction needs, and what is said when it is not there or not of the kind that the model learned."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from pefuse.errors import BundleError, PefuseError, RecordError, UsageError


def test_needs_and_features_are_told(bundles):
    fusion, scan, record = bundles["pca"], bundles["sanet"], bundles["boosted-trees"]

    assert (fusion.needs_scan, fusion.needs_record, fusion.grid) == (True, True, 32)
    assert (scan.needs_scan, scan.needs_record, scan.grid) == (True, False, 32)
    assert (record.needs_scan, record.needs_record, record.grid) == (False, True, None)
    assert [column.unit for column in record.features] == ["mmol/L", "mmol/L", "", ""]
    assert fusion.thresholds["youden"].value == 0.25


def test_what_a_model_does_not_read_is_not_looked_at(bundles, record, scans):
    alone = bundles["sanet"].predict(["S0", "S1"], scans=scans[:2]).ensemble
    both = bundles["sanet"].predict(["S0", "S1"], scans=scans[:2], record=record).ensemble

    assert alone.equals(both)


def other_unit(record):
    columns = tuple(
        dataclasses.replace(column, unit="mg/dL") if column.key == "lactate" else column
        for column in record.columns
    )
    return dataclasses.replace(record, columns=columns)


def strange(record):
    columns = tuple(dataclasses.replace(column, key=f"x-{column.key}") for column in record.columns)
    return dataclasses.replace(record, columns=columns)


@pytest.mark.parametrize(
    ("kind", "change", "error", "message"),
    [
        ("sanet", {"scans": None}, UsageError, "Study S0 has no scan"),
        ("tabnet", {"record": None}, UsageError, "Study S0 has no record"),
        ("tabnet", {"study_ids": ["S1", "S99"]}, UsageError, "Study S99 has no record"),
        ("sanet", {"study_ids": []}, UsageError, "no study to predict"),
        ("sanet", {"study_ids": ["S1", "S1"]}, UsageError, "Study S1 is asked for twice"),
        ("sanet", {"batch_size": 0}, UsageError, "at least 1"),
        ("sanet", {"scans": np.zeros((2, 8, 32, 32), np.int16)}, UsageError, "grid of 8×32×32 .* `--grid 32`"),
        ("sanet", {"scans": np.zeros((2, 32, 32, 32), np.float32)}, UsageError, "type int16"),
        ("sanet", {"scans": np.zeros((3, 32, 32, 32), np.int16)}, UsageError, r"shape \(2, Z, Y, X\)"),
        ("boosted-trees", {"record": other_unit}, RecordError, "'mg/dL' but was in 'mmol/L'"),
        ("pca", {"record": strange}, RecordError, "none of the 4 columns"),
    ],
)
def test_what_is_missing_or_of_another_kind_is_named(kind, change, error, message, bundles, record, scans):
    given = {"study_ids": ["S0", "S1"], "scans": scans[:2], "record": record}
    given |= {name: value(record) if callable(value) else value for name, value in change.items()}
    with pytest.raises(error, match=message) as caught:
        bundles[kind].predict(given.pop("study_ids"), **given)

    assert isinstance(caught.value, PefuseError)


def test_an_answer_that_is_no_number_is_not_passed_on(bundles, scans):
    network = bundles["sanet"].members[2].model.scan.network
    bias = network.head.classifier.bias
    kept = bias.detach().clone()
    try:
        with torch.no_grad():
            bias.fill_(torch.nan)
        with pytest.raises(BundleError, match=r"Study S0: .* gave no number"):
            bundles["sanet"].predict(["S0"], scans=scans[:1])
    finally:
        with torch.no_grad():
            bias.copy_(kept)
