"""Where each setting of a run came from: the paper's text, its authors' code, ourselves, or the user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

__all__ = ["SOURCES", "commented_yaml", "leaves", "merged"]

# In a preset: which of its parts a value stands in. Then what a user gave.
SOURCES = {
    "default": "pefuse's default",
    "ours": "ours",
    "text": "the paper's text",
    "code": "the authors' code",
    "file": "your file",
    "set": "your option",
    "weights": "the pretrained weights",
}


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`, mapping by mapping."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def leaves(settings: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The dotted name of each value, such as `sanet.loop.epochs`."""
    for key, value in settings.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{name}.")
        else:
            yield name


def commented_yaml(settings: Mapping[str, Any], sources: Mapping[str, str]) -> str:
    """The settings as YAML, each value with a comment that says where it came from."""
    return "".join(_lines(settings, sources, "", 0))


def _lines(settings: Mapping[str, Any], sources: Mapping[str, str], above: str, depth: int) -> Iterator[str]:
    for key, value in settings.items():
        name, indent = f"{above}{key}", "  " * depth
        if isinstance(value, Mapping) and value:
            yield f"{indent}{key}:\n"
            yield from _lines(value, sources, f"{name}.", depth + 1)
        else:
            yield f"{indent}{key}: {_scalar(value)} # {SOURCES[_source(name, sources)]}\n"


def _source(name: str, sources: Mapping[str, str]) -> str:
    """Of the value, or of the mapping that it was given in."""
    while name:
        if name in sources:
            return sources[name]
        name = name.rpartition(".")[0]
    return "default"


def _scalar(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
