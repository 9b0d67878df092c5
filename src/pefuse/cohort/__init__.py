"""Patients in: the cohort folder and its contract, and how it is split."""

from pefuse.cohort.folder import load_cohort
from pefuse.cohort.folds import make_folds, nested_folds

__all__ = ["load_cohort", "make_folds", "nested_folds"]
