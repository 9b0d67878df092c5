"""Records in: what was known of a study before its scan, as features and as clinical scores."""

from pefuse.ehr.extract import extract
from pefuse.ehr.preparation import FeaturePreparation, PreparationConfig, PreparedColumn
from pefuse.ehr.record import RawColumn, RawRecord
from pefuse.ehr.scores import ScoreClass, ScorePart, clinical_scores, score_classes, score_parts
from pefuse.ehr.usefulness import check_useful, record_summary

__all__ = [
    "FeaturePreparation",
    "PreparationConfig",
    "PreparedColumn",
    "RawColumn",
    "RawRecord",
    "ScoreClass",
    "ScorePart",
    "check_useful",
    "clinical_scores",
    "extract",
    "record_summary",
    "score_classes",
    "score_parts",
]
