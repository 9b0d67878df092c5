"""What a run answers to an item of a checklist: a sentence and where on the page to look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Answer", "setting"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`section` is the page's anchor, "" = none. `rest`: what is left for the authors; None = as the list says."""

    text: str
    section: str = ""
    rest: str | None = None


def setting(config: Mapping[str, Any], name: str) -> Any:
    """A setting of the run by its dotted name; None where the run did not save it."""
    value: Any = config
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
