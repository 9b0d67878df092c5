"""Statistics on plain arrays: discrimination, thresholds, comparison, calibration."""

from pefuse.evaluation.calibration import (
    CalibrationBins,
    CalibrationLine,
    brier_score,
    calibration_bins,
    calibration_line,
    expected_calibration_error,
    smoothed_calibration,
)
from pefuse.evaluation.comparison import (
    BootstrapDifference,
    DelongTest,
    bootstrap_aucs,
    bootstrap_difference,
    delong_test,
    difference_interval,
    holm,
)
from pefuse.evaluation.discrimination import (
    DelongResult,
    RocCurve,
    auroc,
    average_precision,
    delong,
    delong_interval,
    placements,
    roc_curve,
)
from pefuse.evaluation.ensemble import can_be_ranked, mean_by_study, validation_threshold
from pefuse.evaluation.intervals import Interval, clopper_pearson_interval, wilson_interval
from pefuse.evaluation.paper_method import paper_ks_p_value
from pefuse.evaluation.repeats import RepeatSummary, summarise_repeats
from pefuse.evaluation.subgroups import SubgroupAuc, age_groups, subgroup_aucs
from pefuse.evaluation.thresholds import OperatingPoint, operating_point, youden_threshold

__all__ = [
    "BootstrapDifference",
    "CalibrationBins",
    "CalibrationLine",
    "DelongResult",
    "DelongTest",
    "Interval",
    "OperatingPoint",
    "RepeatSummary",
    "RocCurve",
    "SubgroupAuc",
    "age_groups",
    "auroc",
    "average_precision",
    "bootstrap_aucs",
    "bootstrap_difference",
    "brier_score",
    "calibration_bins",
    "calibration_line",
    "can_be_ranked",
    "clopper_pearson_interval",
    "delong",
    "delong_interval",
    "delong_test",
    "difference_interval",
    "expected_calibration_error",
    "holm",
    "mean_by_study",
    "operating_point",
    "paper_ks_p_value",
    "placements",
    "roc_curve",
    "smoothed_calibration",
    "subgroup_aucs",
    "summarise_repeats",
    "validation_threshold",
    "wilson_interval",
    "youden_threshold",
]
