"""TabNet's masks in terms of the record: which features each step looked at, and how much rests on them.

Arik & Pfister (arXiv 1908.07442), section "interpretability": a step's mask says where it looked, and a step
counts by the sum of its decision. In a fusion the TabNet is the encoder of the record, in a late one its model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from pefuse.ehr import RawRecord
from pefuse.errors import BundleError, UsageError
from pefuse.explain.features import features_of
from pefuse.explain.importance import ColumnImportance, FeatureImportance, NotExplained, named, row_shares
from pefuse.models.bundle import Bundle, FusionModel, LateModel, Member, RecordModel, RecordPart
from pefuse.models.bundle.members import Features, Model
from pefuse.models.tabnet import TabNet, TabNetOutput, importance

__all__ = ["mask_importance", "record_part", "with_random_record_weights"]

ROWS_AT_ONCE = 1024
Array = NDArray[np.float64]

NO_RECORD = NotExplained(reason="The model does not read the record.")
NO_TABNET = NotExplained(reason="The model reads the record with trees, which have no masks.")
TAKES_COLUMNS = NotExplained(
    reason="The fusion takes the record's columns as they are: no mask chooses among them before they are used."
)


def mask_importance(
    bundle: Bundle, study_ids: Sequence[str], record: RawRecord
) -> FeatureImportance | NotExplained:
    """The masks of each member's TabNet, averaged over members, summed up from columns to features.

    A member none of whose steps spoke for a study leaves it to the others.

    Raises:
        UsageError: no study, or one that was not extracted.
        RecordError: the record is in another form than the model was trained on.
        BundleError: a mask is not a number.
    """
    parts = [record_part(member.model) for member in bundle.members]
    if bundle.members[0].model.preparation is None:
        return NO_RECORD
    if any(part is None for part in parts):
        return NO_TABNET
    features = features_of(bundle)
    keys = tuple(features)
    inputs = bundle.prepared_features(named(study_ids), record)
    whole: _Masks | None = None  # the sum over members
    by_member: list[Array] = []
    columns: list[ColumnImportance] = []
    for member, part in zip(bundle.members, parts, strict=True):
        assert part is not None
        masks = _masks(member.model, part, inputs[id(part.preparation)])
        if masks is None:
            return TAKES_COLUMNS
        columns.append(ColumnImportance.of(masks.shares.mean(axis=0), part.preparation.columns, keys))
        masks = masks.of_features(columns[-1].features, len(keys))
        by_member.append(masks.shares.mean(axis=0))
        whole = masks if whole is None else whole + masks
    assert whole is not None
    return FeatureImportance(
        method="masks",
        study_ids=tuple(study_ids),
        features=tuple(features.values()),
        shares=row_shares(whole.shares),
        by_member=np.stack(by_member),
        columns=tuple(columns),
        steps=whole.steps / len(bundle.members),
    )


def record_part(model: Model) -> RecordPart | None:
    """The network of the record inside a model; None where there is none, as in trees and models of the scan."""
    match model:
        case RecordModel() | FusionModel():
            return model.record
        case LateModel():
            return model.record.record
        case _:
            return None


def with_random_record_weights(bundle: Bundle, *, seed: int) -> Bundle:
    """The bundle with fresh weights in every network of the record, as before training; all else stays.

    The control of Adebayo et al. 2018 (arXiv 1810.03292): an explanation that does not change with the weights
    explains the data, not the model.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        members = tuple(replace(member, model=_with_random_weights(member)) for member in bundle.members)
    return replace(bundle, members=members, sha256="")


def _with_random_weights(member: Member) -> Model:
    match model := member.model:
        case RecordModel() | FusionModel():
            return replace(model, record=_fresh(model.record))
        case LateModel():
            return replace(model, record=replace(model.record, record=_fresh(model.record.record)))
        case _:
            raise UsageError("The model has no network of the record whose weights could be drawn anew.")


def _fresh(part: RecordPart) -> RecordPart:
    return replace(part, network=TabNet(part.network.config).eval())


@dataclass(frozen=True, kw_only=True)
class _Masks:
    """Of one member: `shares` (N, D) and `steps` (S, N, D)."""

    shares: Array
    steps: Array

    def __add__(self, other: _Masks) -> _Masks:
        return _Masks(shares=self.shares + other.shares, steps=self.steps + other.steps)

    def of_features(self, places: NDArray[np.intp], count: int) -> _Masks:
        """Columns (D) added up to features (F)."""
        to_feature = np.zeros((len(places), count))
        to_feature[np.arange(len(places)), places] = 1.0
        return _Masks(shares=self.shares @ to_feature, steps=self.steps @ to_feature)


@torch.inference_mode()
def _masks(model: Model, part: RecordPart, rows: Features) -> _Masks | None:
    """None where the model does not take what the masks let through."""
    shares, steps = [], []
    for start in range(0, len(rows), ROWS_AT_ONCE):
        output = _output(part.network, rows[start : start + ROWS_AT_ONCE])
        if isinstance(model, FusionModel) and model.fusion.take_ehr(output) is output.columns:
            return None
        shares.append(importance(output).double().numpy())
        steps.append(output.masks.double().numpy())
    return _Masks(shares=np.concatenate(shares), steps=np.concatenate(steps, axis=1))


def _output(network: TabNet, rows: Features) -> TabNetOutput:
    try:
        output: TabNetOutput = network.eval()(torch.from_numpy(np.ascontiguousarray(rows)))
    except FloatingPointError as error:
        raise BundleError(
            "The masks of the record's network are not numbers: check the model's weights."
        ) from error
    return output
