"""What differs in how two runs were made: settings, versions, machine. What is the same is left out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Changed", "changed_settings", "changed_versions"]

ABSENT = "–"
_VERSIONS = ("pefuse", "python", "machine", "cores", "packages")


@dataclass(frozen=True, kw_only=True)
class Changed:
    """One thing that differs; `ABSENT` where a run has none of it."""

    name: str
    first: str
    second: str


def changed_settings(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[Changed, ...]:
    """Settings that differ, such as `tabnet.loop.epochs`, in the order of the first run's."""
    return _changed(dict(_flat(first)), dict(_flat(second)))


def changed_versions(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[Changed, ...]:
    """Versions and machine that differ, from two `environment.json`."""
    a, b = ({name: each[name] for name in _VERSIONS if name in each} for each in (first, second))
    return tuple(
        Changed(name=one.name.removeprefix("packages."), first=one.first, second=one.second)
        for one in _changed(dict(_flat(a)), dict(_flat(b)))
    )


def _flat(content: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, value in content.items():
        key = f"{above}{name}"
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{key}.")
        else:
            yield key, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value) or "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _changed(first: Mapping[str, str], second: Mapping[str, str]) -> tuple[Changed, ...]:
    return tuple(
        Changed(name=name, first=first.get(name, ABSENT), second=second.get(name, ABSENT))
        for name in dict.fromkeys([*first, *second])
        if first.get(name, ABSENT) != second.get(name, ABSENT)
    )
