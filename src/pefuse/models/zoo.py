"""The rows of the paper's tables by name: what each sees, what it starts from, and what it fixes.

A new fusion is one architecture file and one `Row` here (docs/add-a-model.md). A name may carry a variant: that
of a reduction, a head or an embedding's width, in this order, as in `intermediate-sanet-nmf-fc` or
`sanet-dim256`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Literal, get_args

from pefuse.errors import UsageError
from pefuse.models.bottleneck import BottleneckFusion
from pefuse.models.fusion import EarlyFusion, Fusion, IntermediateFusion, VectorFusion
from pefuse.models.fusion.vectors import HeadName, ReductionName

__all__ = ["REFERENCE", "TABLE_1", "ZOO", "Kind", "Row", "Variant", "model_row", "table3_names", "with_needs"]

Kind = Literal["score", "trees", "record", "scan", "late", "fusion"]

REDUCTION_NAMES: tuple[ReductionName, ...] = get_args(ReductionName)
HEAD_NAMES: tuple[HeadName, ...] = get_args(HeadName)
EMBEDDING_DIMS = (64, 256, 1024)  # the paper's; any other width is a setting


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What a name fixes whatever the settings say; None = as they say."""

    reduction: ReductionName | None = None
    head: HeadName | None = None
    embedding_dim: int | None = None

    @property
    def suffix(self) -> str:
        dim = f"dim{self.embedding_dim}" if self.embedding_dim else None
        return "".join(f"-{part}" for part in (self.reduction, self.head, dim) if part)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One model of a comparison. `base` is its name without a variant: the part of the settings that it has."""

    name: str
    kind: Kind
    scan: bool  # takes the CT
    record: bool  # takes the EHR
    needs: tuple[str, ...] = ()  # rows whose finished cells of the same fold and seed it starts from: scan, record
    fusion: type[Fusion] | None = None  # of kind "fusion": its network
    stacked: bool = (
        False  # of kind "late": it learns from the needs' predictions on cases that they did not train on
    )
    variant: Variant = Variant()

    @property
    def base(self) -> str:
        return self.name.removesuffix(self.variant.suffix)


_BOTH = ("sanet", "tabnet")

ZOO: dict[str, Row] = {
    row.name: row
    for row in (
        Row(name="pesi", kind="score", scan=False, record=True),
        Row(name="spesi", kind="score", scan=False, record=True),
        Row(name="xgboost", kind="trees", scan=False, record=True),
        Row(name="tabnet", kind="record", scan=False, record=True),
        Row(name="sanet", kind="scan", scan=True, record=False),
        Row(name="swin", kind="scan", scan=True, record=False),
        Row(name="late-average", kind="late", scan=True, record=True, needs=_BOTH),
        Row(name="late-vote", kind="late", scan=True, record=True, needs=_BOTH),
        Row(name="late-tabnet", kind="late", scan=True, record=True, needs=_BOTH, stacked=True),
        Row(name="late-xgboost", kind="late", scan=True, record=True, needs=_BOTH, stacked=True),
        Row(name="early", kind="fusion", scan=True, record=True, needs=_BOTH, fusion=EarlyFusion),
        Row(
            name="intermediate-sanet",
            kind="fusion",
            scan=True,
            record=True,
            needs=_BOTH,
            fusion=IntermediateFusion,
        ),
        Row(
            name="intermediate-swin",
            kind="fusion",
            scan=True,
            record=True,
            needs=("swin", "tabnet"),
            fusion=IntermediateFusion,
        ),
        Row(name="mbt", kind="fusion", scan=True, record=True, needs=("swin", "tabnet"), fusion=BottleneckFusion),
    )
}

TABLE_1: tuple[str, ...] = tuple(ZOO)
REFERENCE = "intermediate-sanet"  # the model that Table 3 takes apart


def table3_names(*, reduction: ReductionName, head: HeadName) -> list[str]:
    """The rows of Table 3 besides the full model, whose reduction and head are given."""
    heads = [
        Variant(head=name) for name in HEAD_NAMES if name != head and (name, reduction) != ("xgboost", "bilinear")
    ]
    reductions = [
        Variant(reduction=name)
        for name in REDUCTION_NAMES
        if name != reduction and (head, name) != ("xgboost", "bilinear")
    ]
    dims = [Variant(embedding_dim=dim) for dim in (1024, 256)]
    return [f"{REFERENCE}{variant.suffix}" for variant in (*heads, *reductions, *dims)]


def model_row(name: str) -> Row:
    """The row of that name, with its variant.

    Raises:
        UsageError: there is no such model, or it has no such variant.
    """
    if name in ZOO:
        return ZOO[name]
    bases = [base for base in ZOO if name.startswith(f"{base}-")]
    if not bases:
        near = get_close_matches(name, ZOO, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(f'There is no model "{name}". {hint}Models: {", ".join(ZOO)}.')
    row = ZOO[max(bases, key=len)]
    variant = _variant(name, name.removeprefix(row.name), row)
    needs = tuple(f"{need}-dim{variant.embedding_dim}" if variant.embedding_dim else need for need in row.needs)
    return replace(row, name=name, variant=variant, needs=needs)


def _variant(name: str, suffix: str, row: Row) -> Variant:
    """What a suffix such as `-nmf-fc` stands for."""
    for variant in _variants(row):
        if variant.suffix == suffix:
            return variant
    able = " or ".join(f'"{row.name}{variant.suffix}"' for variant in _variants(row)[:3])
    like = f"It has variants such as {able}: docs/models.md lists them." if able else "It has no variants."
    raise UsageError(f'There is no model "{name}": "{suffix}" is no variant of {row.name}. {like}')


def _variants(row: Row) -> list[Variant]:
    fused = row.fusion is not None and issubclass(row.fusion, VectorFusion)
    encoder = row.kind in ("scan", "record")
    reductions = (None, *REDUCTION_NAMES) if fused else (None,)
    heads = (None, *HEAD_NAMES) if fused else (None,)
    dims = (None, *EMBEDDING_DIMS) if fused or encoder else (None,)
    every = (Variant(reduction=r, head=h, embedding_dim=d) for d in dims for h in heads for r in reductions)
    return [
        variant
        for variant in every
        if variant.suffix and (variant.reduction, variant.head) != ("bilinear", "xgboost")
    ]


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
