"""`pefuse check`: what to look at before training, on one page."""

from pefuse.audit.check import CheckSummary, check_cohort

__all__ = ["CheckSummary", "check_cohort"]
