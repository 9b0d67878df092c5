"""From a cohort to predictions: folds, cells, the loop."""

from pefuse.training.compare import Run, compare, fit
from pefuse.training.config import PRESETS, RunConfig, resolve_config

__all__ = ["PRESETS", "Run", "RunConfig", "compare", "fit", "resolve_config"]
