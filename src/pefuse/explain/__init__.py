"""Why a model says what it says: of the scan, of the record, and of both against each other."""

from pefuse.explain.bilinear import AttentionMap, attention_map
from pefuse.explain.importance import FeatureImportance, NotExplained
from pefuse.explain.modality import ModalityRisks, modality_risks, modality_table
from pefuse.explain.record import mask_importance
from pefuse.explain.record_truth import record_truth_table
from pefuse.explain.shares import FeatureShare, feature_importance, feature_shares, record_importance_table
from pefuse.explain.signal import FeatureSignal, signal_of_record
from pefuse.explain.trees import tree_importance

__all__ = [
    "AttentionMap",
    "FeatureImportance",
    "FeatureShare",
    "FeatureSignal",
    "ModalityRisks",
    "NotExplained",
    "attention_map",
    "feature_importance",
    "feature_shares",
    "mask_importance",
    "modality_risks",
    "modality_table",
    "record_importance_table",
    "record_truth_table",
    "signal_of_record",
    "tree_importance",
]
