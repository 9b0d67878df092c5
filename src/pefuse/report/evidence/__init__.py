"""What stands behind Table 1: operating points, calibration, benefit, fairness, uncertainty, regret.

One module each: its nouns, as `results.json` holds them, and the function that works them out from a run's scores.
"""

from pefuse.report.evidence.benefit import BENEFIT_THRESHOLDS, curve_of
from pefuse.report.evidence.evidence import ELSEWHERE, Evidence, gather_evidence
from pefuse.report.evidence.fairness import FairnessRow, GroupRow
from pefuse.report.evidence.operating_points import RULES
from pefuse.report.evidence.uncertainty import ConformalRow

__all__ = [
    "BENEFIT_THRESHOLDS",
    "ELSEWHERE",
    "RULES",
    "ConformalRow",
    "Evidence",
    "FairnessRow",
    "GroupRow",
    "curve_of",
    "gather_evidence",
]
