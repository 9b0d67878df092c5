"""Progress on stderr: a bar for each task on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:  # too slow for the door
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from pefuse.types import Progress

__all__ = ["ProgressBars", "ProgressLines", "show_progress"]

SECONDS_BETWEEN_LINES = 10.0


@contextlib.contextmanager
def show_progress() -> Iterator[Progress]:
    """Yield a `progress(what, done, total)` that draws on stderr until the block ends."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    console = Console(stderr=True)
    if not console.is_terminal:
        yield ProgressLines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with RichProgress(*columns, console=console) as bars:
        yield ProgressBars(bars)


class ProgressBars:
    """One bar for each `what`; finished ones make room as the next one starts."""

    def __init__(self, bars: RichProgress) -> None:
        self.bars = bars
        self.tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        if what not in self.tasks:
            self._hide_finished()
            self.tasks[what] = self.bars.add_task(what, total=total)
        self.bars.update(self.tasks[what], completed=done, total=total)

    def _hide_finished(self) -> None:
        for task in self.bars.tasks:
            if task.finished and task.visible:
                self.bars.update(task.id, visible=False)
                self.bars.print(f"{task.description}: {task.completed:g} done in {task.elapsed or 0:.1f} s")


class ProgressLines:
    """For logs: the end of each `what`, and where it stands every 10 seconds before that."""

    def __init__(self) -> None:
        self.last_line_s = time.monotonic()
        self.finished: set[str] = set()

    def __call__(self, what: str, done: int, total: int) -> None:
        now_s = time.monotonic()
        finished = done >= total
        if what in self.finished or not (finished or now_s - self.last_line_s >= SECONDS_BETWEEN_LINES):
            return
        if finished:
            self.finished.add(what)
        self.last_line_s = now_s
        typer.echo(f"{what}: {done} of {total}", err=True)
