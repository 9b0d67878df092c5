"""What a report must not say: paths of users and machines."""

from __future__ import annotations

import re

__all__ = ["without_paths"]

# A word that begins as an absolute path of Unix or Windows does and has a second slash: not "mg/dL", not "/HPF".
_PATH = re.compile(r"(?<![\w.])(?:~[/\\]|[A-Za-z]:[/\\]|[/\\]{1,2}(?=[^\s/\\]+[/\\]))[^\s'\",;()]+")


def without_paths(text: str) -> str:
    """The text with absolute paths cut out: they tell of users and machines, and a report travels."""
    return _PATH.sub("(path)", text)
