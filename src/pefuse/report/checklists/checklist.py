"""A reporting checklist, item by item: answered by the run, in part, or left to the authors.

Items and numbers are those of TRIPOD+AI (Collins et al., BMJ 2024;385:e078378) and of the update of CLAIM (Tejani
et al., Radiology: Artificial Intelligence 2024;6(4):e240300). What they ask is told in our words: read the
originals before you submit.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd

from pefuse.report.checklists import of_data, of_models, of_results
from pefuse.report.checklists.answer import Answer
from pefuse.report.wording import without_paths
from pefuse.storage import atomic_file

if TYPE_CHECKING:
    from pefuse.report.sections.contract import Material

__all__ = ["Checklist", "Entry", "fill_checklists", "write_checklists"]

Status = Literal["answered", "in part", "for the authors"]

_LISTS = (
    ("tripod-ai", "TRIPOD+AI", "Collins et al., BMJ 2024;385:e078378"),
    ("claim", "CLAIM, 2024 update", "Tejani et al., Radiology: Artificial Intelligence 2024;6(4):e240300"),
)
_ANSWERS = {**of_data.ANSWERS, **of_models.ANSWERS, **of_results.ANSWERS}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One item. `answer` is None where the run cannot tell; `rest` is what is left for the authors."""

    item: str
    section: str
    topic: str
    asks: str
    answer: Answer | None
    rest: str

    @property
    def status(self) -> Status:
        if self.answer is None:
            return "for the authors"
        return "in part" if self.rest else "answered"


@dataclass(frozen=True, kw_only=True)
class Checklist:
    """A whole list for one run; `name` is its file's."""

    name: str
    title: str
    reference: str
    entries: tuple[Entry, ...]

    @property
    def sections(self) -> list[tuple[str, list[Entry]]]:
        """The entries by the list's sections, in its order."""
        return [(name, list(members)) for name, members in groupby(self.entries, key=lambda entry: entry.section)]

    @property
    def count(self) -> str:
        """`21 of 52 items answered by the run, 9 more in part`."""
        answered = sum(entry.status == "answered" for entry in self.entries)
        partly = sum(entry.status == "in part" for entry in self.entries)
        more = f", {partly} more in part" if partly else ""
        return f"{answered} of {len(self.entries)} items answered by the run{more}"


def fill_checklists(material: Material) -> tuple[Checklist, ...]:
    """Both lists, filled where the run knows the answer."""
    return tuple(
        Checklist(
            name=name,
            title=title,
            reference=reference,
            entries=tuple(_entry(row, material) for row in _items(name).to_dict("records")),
        )
        for name, title, reference in _LISTS
    )


def write_checklists(checklists: tuple[Checklist, ...], folder: Path) -> None:
    """Write `<name>.csv` of each list: one row an item, for the authors to go on with."""
    for checklist in checklists:
        rows = [
            {
                "item": entry.item,
                "section": entry.section,
                "topic": entry.topic,
                "asks": entry.asks,
                "status": entry.status,
                "answer": without_paths(entry.answer.text) if entry.answer else "",
                "where": f"report.html#{entry.answer.section}" if entry.answer and entry.answer.section else "",
                "for_the_authors": entry.rest,
            }
            for entry in checklist.entries
        ]
        with atomic_file(folder / f"{checklist.name}.csv") as partial:
            pd.DataFrame(rows).to_csv(partial, index=False, lineterminator="\n")


def _entry(row: Mapping[Hashable, str], material: Material) -> Entry:
    answer = _ANSWERS[row["answer"]](material) if row["answer"] else None
    rest = row["authors"] if answer is None or answer.rest is None else answer.rest
    return Entry(
        item=row["item"],
        section=row["section"],
        topic=row["topic"],
        asks=row["asks"],
        answer=answer,
        rest=row["asks"] if answer is None else rest,
    )


@cache
def _items(name: str) -> pd.DataFrame:
    """The items of a list: item, section, topic, asks, answer (a name in `_ANSWERS`, "" = none), authors."""
    with resources.as_file(resources.files("pefuse.report.checklists") / f"{name}.csv") as path:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
