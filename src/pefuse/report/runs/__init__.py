"""Several runs beside each other: the same models, and what differs in how they were made."""

from pefuse.report.runs.comparing import RunPair, compare_runs
from pefuse.report.runs.loading import LoadedRun, load_runs
from pefuse.report.runs.numbers import pair_numbers, pair_text
from pefuse.report.runs.writing import report_runs

__all__ = ["LoadedRun", "RunPair", "compare_runs", "load_runs", "pair_numbers", "pair_text", "report_runs"]
