"""Records in: what was known of a study before its scan, as features and as clinical scores."""

from pefuse.ehr.extract import extract
from pefuse.ehr.preparation import FeaturePreparation, PreparationConfig, PreparedColumn
from pefuse.ehr.record import RawColumn, RawRecord
from pefuse.ehr.scores import ScoreClass, ScorePart, clinical_scores, score_classes, score_parts

__all__ = [
    "FeaturePreparation",
    "PreparationConfig",
    "PreparedColumn",
    "RawColumn",
    "RawRecord",
    "ScoreClass",
    "ScorePart",
    "clinical_scores",
    "extract",
    "score_classes",
    "score_parts",
]
