"""Records in: what was known of a study before its scan, as features and as clinical scores."""

from pefuse.ehr.characteristics import Characteristic, characteristics
from pefuse.ehr.extract import extract
from pefuse.ehr.options import FeatureOptions
from pefuse.ehr.overview import RecordOverview, record_overview
from pefuse.ehr.preparation import FeaturePreparation, PreparationConfig, PreparedColumn
from pefuse.ehr.record import RawColumn, RawRecord
from pefuse.ehr.score_listing import list_points
from pefuse.ehr.score_table import SCORES, ScoreClass, ScorePart, score_classes, score_parts
from pefuse.ehr.score_values import ScoreValues, read_score_values
from pefuse.ehr.scores import MissingParts, clinical_scores, count_scores
from pefuse.ehr.usefulness import check_useful, record_summary

__all__ = [
    "SCORES",
    "Characteristic",
    "FeatureOptions",
    "FeaturePreparation",
    "MissingParts",
    "PreparationConfig",
    "PreparedColumn",
    "RawColumn",
    "RawRecord",
    "RecordOverview",
    "ScoreClass",
    "ScorePart",
    "ScoreValues",
    "characteristics",
    "check_useful",
    "clinical_scores",
    "count_scores",
    "extract",
    "list_points",
    "read_score_values",
    "record_overview",
    "record_summary",
    "score_classes",
    "score_parts",
]
