"""From a cohort to predictions: folds, cells, the loop."""

from pefuse.training.compare import Run, compare, fit
from pefuse.training.config import PRESETS, RunConfig, resolve_config
from pefuse.training.plan import Plan, plan_run

__all__ = ["PRESETS", "Plan", "Run", "RunConfig", "compare", "fit", "plan_run", "resolve_config"]
