"""Tables, figures and the page of a run, from its saved results only."""

from pefuse.report.build import build_report, summarise, table1, table1_readable

__all__ = ["build_report", "summarise", "table1", "table1_readable"]
