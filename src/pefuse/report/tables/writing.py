"""Tables as files: numbers as CSV, text as Markdown and LaTeX."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pefuse.report.characteristics import CohortTable
from pefuse.report.escaping import latex_text, markdown_cell
from pefuse.report.results import Results
from pefuse.report.tables.cohort import cohort_note, cohort_numbers, cohort_text
from pefuse.report.tables.comparisons import comparison_numbers, comparison_text
from pefuse.report.tables.repeats import repeats_numbers, repeats_text
from pefuse.report.tables.table1 import table1_numbers, table1_text
from pefuse.report.tables.table2 import table2_numbers, table2_text
from pefuse.report.tables.table3 import table3_numbers, table3_text
from pefuse.storage import atomic_file, write_text

__all__ = ["latex", "markdown", "write_cohort_table", "write_tables"]

_OWN_NOTES = {
    "table2": (
        " Beside the scores: the learned model with the highest validation AUC, those that are fitted on "
        "validation (late average, late vote) left out. The paper's figures are of its multimodal model and its "
        "patients."
    ),
    "comparisons": (
        " The reference against each model. Permutation test: ranks exchanged in a patient. Studies needed: to "
        "show the difference seen with 80 % power at p < 0.05 (≤: or fewer). McNemar's test, NRI and IDI stand "
        "in the CSV."
    ),
    "table3": (
        " Each row: the full model with one part another; paired DeLong test, Holm's correction. "
        "* marked significant in the paper, by its Kolmogorov–Smirnov test."
    ),
}


def write_tables(results: Results, folder: Path) -> None:
    """Write `table1` to `table3`, `repeats` and `comparisons` as .csv, .md and .tex; an empty one is removed."""
    tables = {
        "table1": (table1_numbers(results), table1_text(results)),
        "table2": (table2_numbers(results), table2_text(results)),
        "table3": (table3_numbers(results), table3_text(results)),
        "repeats": (repeats_numbers(results), repeats_text(results)),
        "comparisons": (comparison_numbers(results), comparison_text(results)),
    }
    for name, (numbers, text) in tables.items():
        if numbers.empty:
            for ending in (".csv", ".md", ".tex"):
                (folder / f"{name}{ending}").unlink(missing_ok=True)
            continue
        _write(folder, name, numbers, text, _footnote(results) + _OWN_NOTES.get(name, ""))


def write_cohort_table(table: CohortTable, folder: Path, *, simulated: bool) -> None:
    """Write `cohort` as .csv, .md and .tex."""
    note = cohort_note(table) + (" Simulated data." if simulated else "")
    _write(folder, "cohort", cohort_numbers(table), cohort_text(table), note)


def _write(folder: Path, name: str, numbers: pd.DataFrame, text: pd.DataFrame, note: str) -> None:
    with atomic_file(folder / f"{name}.csv") as partial:
        numbers.to_csv(partial, index=False, float_format="%.6g", lineterminator="\n")
    write_text(folder / f"{name}.md", markdown(text) + "\n" + note.replace("*", r"\*") + "\n")
    write_text(folder / f"{name}.tex", f"% {note}\n{latex(text)}")


def markdown(table: pd.DataFrame) -> str:
    """A frame of text as a Markdown table, the first column to the left."""
    cells = table.astype(str).map(markdown_cell)
    heads = [markdown_cell(str(name)) for name in table.columns]
    lines = [heads, ["---"] + ["--:"] * (table.shape[1] - 1), *cells.to_numpy().tolist()]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def latex(table: pd.DataFrame) -> str:
    """A frame of text as a LaTeX tabular with booktabs rules."""
    rows = [[latex_text(str(cell)) for cell in row] for row in [list(table.columns), *table.to_numpy().tolist()]]
    head, *body = [" & ".join(row) + r" \\" for row in rows]
    columns = "l" + "r" * (table.shape[1] - 1)
    begin, end = rf"\begin{{tabular}}{{{columns}}}", r"\end{tabular}"
    return "\n".join([begin, r"\toprule", head, r"\midrule", *body, r"\bottomrule", end]) + "\n"


def _footnote(results: Results) -> str:
    apart = results.all_test_studies - results.test_studies
    of_all = f" of {results.all_test_studies} (the others lack a usable scan or a record)" if apart else ""
    note = (
        f"{results.test_studies} test studies{of_all}, "
        f"{results.test_deaths} deaths within {results.horizon_days} days. "
        "Test risk: mean over folds and seeds. Threshold: Youden on pooled validation, risk >= threshold. "
        "Research use only, not a medical device."
    )
    if results.not_trained:
        note += f" Not trained, so without a row: {'; '.join(one.sentence for one in results.not_trained)}."
    return note + (" Simulated data." if results.simulated else "")
