"""`log.jsonl`: what happened in a run and when, one JSON object a line; also from several processes at once."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["log_event"]


def log_event(run: Path, event: str, **fields: str | float) -> None:
    """Add a line. It may hold names of models and numbers, never a path, a message of a library, or a study."""
    line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **fields}
    # One write of one line: appended whole, whoever else is writing.
    handle = os.open(run / "log.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(handle, (json.dumps(line) + "\n").encode())
    finally:
        os.close(handle)
