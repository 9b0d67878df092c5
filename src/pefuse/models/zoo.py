"""The rows of the paper's tables by name: what each needs, and which recipe trains it.

A new model is one architecture file and one `Row` here; `training/recipes.py` says how a kind is trained.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal

from pefuse.errors import UsageError

__all__ = ["ZOO", "Kind", "Row", "model_row", "with_needs"]

Kind = Literal["score", "trees", "record", "scan", "late", "intermediate"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One model of a comparison."""

    name: str
    kind: Kind
    scan: bool  # takes the CT
    record: bool  # takes the EHR
    needs: tuple[str, ...] = ()  # rows whose finished cells of the same fold and seed it starts from
    options: Mapping[str, str] = field(default_factory=dict)  # what the row fixes, whatever the config says


ZOO: dict[str, Row] = {
    row.name: row
    for row in (
        Row(name="pesi", kind="score", scan=False, record=True),
        Row(name="spesi", kind="score", scan=False, record=True),
        Row(name="xgboost", kind="trees", scan=False, record=True),
        Row(name="tabnet", kind="record", scan=False, record=True),
        Row(name="sanet", kind="scan", scan=True, record=False),
        Row(name="late-average", kind="late", scan=True, record=True, needs=("sanet", "tabnet")),
        Row(name="intermediate-sanet", kind="intermediate", scan=True, record=True, needs=("sanet", "tabnet")),
        *(
            Row(
                name=f"intermediate-sanet-{reduction}",
                kind="intermediate",
                scan=True,
                record=True,
                needs=("sanet", "tabnet"),
                options={"reduction": reduction},
            )
            for reduction in ("none", "pca", "bilinear")
        ),
    )
}


def model_row(name: str) -> Row:
    """The row of that name.

    Raises:
        UsageError: there is no such model.
    """
    if name not in ZOO:
        near = get_close_matches(name, ZOO, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(f'There is no model "{name}". {hint}Models: {", ".join(ZOO)}.')
    return ZOO[name]


def with_needs(names: Iterable[str]) -> list[Row]:
    """These rows and all that they start from, each once, needs before those who need them."""
    ordered: dict[str, Row] = {}

    def add(name: str) -> None:
        row = model_row(name)
        for need in row.needs:
            add(need)
        ordered.setdefault(name, row)

    for name in names:
        add(name)
    return list(ordered.values())
