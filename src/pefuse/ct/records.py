"""What `prepare` knows of a study it is done with: one JSON file, written after the volume that it describes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pefuse.storage import write_json

__all__ = ["Record", "Refusal", "read_record", "write_record"]

RECORD_VERSION = 4  # raised whenever the same files would give another volume


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a study has no volume: in which step, what was found, and what to do."""

    step: str
    reason: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """One finished study. `affine` has 16 numbers, row by row: index (z, y, x, 1) of the grid to LPS mm."""

    signature: str
    grid: int
    field_of_view: str
    rules: str  # their fingerprint
    status: Literal["ready", "refused"]
    report: dict[str, Any]
    refusal: Refusal | None = None
    affine: tuple[float, ...] = ()
    original_shape: tuple[int, ...] = ()
    original_spacing_mm: tuple[float, ...] = ()
    checksum: str = ""
    version: int = RECORD_VERSION

    @property
    def final(self) -> bool:
        """Whether reading again would give the same: the other steps may have failed for a moment."""
        return self.refusal is None or self.refusal.step not in ("access", "crash", "time", "internal")


def write_record(path: Path, record: Record) -> None:
    """Write it, whole or not at all."""
    write_json(path, asdict(record))


def read_record(path: Path) -> Record | None:
    """The record; None where there is none, or one that this version did not write."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("version") != RECORD_VERSION:
            return None
        refusal = content.pop("refusal")
        return Record(**content, refusal=Refusal(**refusal) if refusal else None)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
