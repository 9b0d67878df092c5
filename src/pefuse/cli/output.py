"""What a verb prints when it is done: JSON for programs, a table or a few lines for people."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RESEARCH_USE_ONLY", "print_json", "print_lines", "print_table", "table_rows"]

RESEARCH_USE_ONLY = "Research use only, not a medical device."


def print_json(content: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout. NaN and infinities, which JSON lacks, become null."""
    typer.echo(json.dumps(_plain(content), ensure_ascii=False, indent=2, allow_nan=False))


def print_lines(*lines: str) -> None:
    """Print lines on stdout, as they are."""
    for line in lines:
        typer.echo(line)


def print_table(table: pd.DataFrame, *, title: str) -> None:
    """Print a frame as it is, one row a line; numbers with two decimals."""
    from rich.console import Console
    from rich.table import Table

    view = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in table.columns:
        numeric = table[column].dtype.kind in "iuf"
        view.add_column(str(column), justify="right" if numeric else "left", overflow="fold")
    for row in table.itertuples(index=False):
        view.add_row(*(_cell(value) for value in row))
    console = Console()
    if not console.is_terminal:
        console.width = 200  # a log has no width: fold nothing
    console.print(view)


def table_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame as JSON objects."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict(orient="records")]


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    """Only what JSON knows: numpy's scalars become Python's, paths and times text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
