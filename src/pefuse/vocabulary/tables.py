"""The tables that ship with the package, read as text."""

from __future__ import annotations

import csv
from importlib import resources

__all__ = ["read_table"]


def read_table(name: str, package: str = "pefuse.vocabulary") -> list[dict[str, str]]:
    """Rows of a CSV file that ships inside `package`, each a dict of text."""
    text = resources.files(package).joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
