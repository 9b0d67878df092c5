"""The workers of a run: what becomes of them when the run itself is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_workers_end_with_a_run_that_is_killed(toy_cohort: Path, tmp_path: Path) -> None:
    """By `kill -9`, so that the run cannot tell them; each would hold its memory until the machine restarts."""
    settings = ["--set", "folds=2", "--set", "tabnet.loop.epochs=1000000", "--set", "tabnet.loop.patience=1000000"]
    command = [sys.executable, "-m", "pefuse", "compare", toy_cohort, "--out", "run", "--preset", "demo"]
    run = subprocess.Popen(
        [*command, "--models", "pesi,tabnet", *settings],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        # A score's cell is there at once, TabNet's never: now the workers are at work.
        began = within(240, lambda: any(tmp_path.glob("run/cells/pesi*/manifest.json")) or run.poll() is not None)
        assert began
        assert run.poll() is None
        run.kill()
        run.wait()

        assert within(30, lambda: not alive(run.pid))
    finally:
        if alive(run.pid):
            os.killpg(run.pid, signal.SIGKILL)


def within(seconds: float, happened: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def alive(group: int) -> bool:
    """Whether any process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
