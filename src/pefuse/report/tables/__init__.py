"""The tables of a run: Tables 1 to 3, the repeats, the comparisons with the reference, the cohort."""

from pefuse.report.tables.cohort import cohort_note, cohort_numbers, cohort_text, format_summary
from pefuse.report.tables.comparisons import comparison_numbers, comparison_text
from pefuse.report.tables.formatting import format_estimate, format_number, format_p, two_digits
from pefuse.report.tables.repeats import repeats_numbers, repeats_text
from pefuse.report.tables.table1 import RATE_NAMES, table1_numbers, table1_text
from pefuse.report.tables.table2 import TOO_FEW, paper_auc, paper_auc_of_all, table2_numbers, table2_text
from pefuse.report.tables.table3 import Ablation, ablations, table3_numbers, table3_text
from pefuse.report.tables.writing import latex, markdown, write_cohort_table, write_tables

__all__ = [
    "RATE_NAMES",
    "TOO_FEW",
    "Ablation",
    "ablations",
    "cohort_note",
    "cohort_numbers",
    "cohort_text",
    "comparison_numbers",
    "comparison_text",
    "format_estimate",
    "format_number",
    "format_p",
    "format_summary",
    "latex",
    "markdown",
    "paper_auc",
    "paper_auc_of_all",
    "repeats_numbers",
    "repeats_text",
    "table1_numbers",
    "table1_text",
    "table2_numbers",
    "table2_text",
    "table3_numbers",
    "table3_text",
    "two_digits",
    "write_cohort_table",
    "write_tables",
]
