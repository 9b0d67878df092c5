"""Scripts that stand in the page: each whole, once, and no other may run there."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.resources import files

from markupsafe import Markup

__all__ = ["Script", "load_scripts", "script_policy"]


@dataclass(frozen=True, kw_only=True)
class Script:
    """A file of `assets/` and its text, which no HTML parser ends early."""

    name: str
    text: Markup = field(repr=False)


def load_scripts(names: Iterable[str]) -> list[Script]:
    """The scripts of those names in their order, each once."""
    return [Script(name=name, text=_text(name)) for name in dict.fromkeys(names)]


def script_policy(scripts: Iterable[Script]) -> Markup:
    """What the page's security policy says of scripts: these run, whatever a text of the run may hold."""
    hashes = [f"'sha256-{_hash(script.text)}'" for script in scripts]
    return Markup(f"; script-src {' '.join(hashes)}" if hashes else "")


def _text(name: str) -> Markup:
    text = (files("pefuse.report") / "assets" / name).read_text(encoding="utf-8")
    assert "</script" not in text.lower()
    assert "<!--" not in text
    return Markup(text)  # ours, or a vendored library


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
