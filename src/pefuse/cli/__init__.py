"""The door: `pefuse` on the command line. One file a group of verbs; heavy imports happen inside the verbs."""

from __future__ import annotations

from pefuse.cli.door import main

__all__ = ["main"]
