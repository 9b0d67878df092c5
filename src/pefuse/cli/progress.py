"""Progress on stderr: a bar for each task on a terminal, elsewhere a line now and then; pace and time left."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import timedelta
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
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[pace]}"),
    )
    with RichProgress(*columns, console=console) as bars:
        yield ProgressBars(bars)


class ProgressBars:
    """One bar for each `what`; finished ones make room as the next one starts."""

    def __init__(self, bars: RichProgress) -> None:
        self.bars = bars
        self.tasks: dict[str, TaskID] = {}
        self.paces: dict[str, Pace] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        if what not in self.tasks:
            self._hide_finished()
            self.tasks[what] = self.bars.add_task(what, total=total, pace="")
        pace = self.paces.setdefault(what, Pace(done)).text(done, total)
        self.bars.update(self.tasks[what], completed=done, total=total, pace=pace)

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
        self.paces: dict[str, Pace] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        now_s = time.monotonic()
        pace = self.paces.setdefault(what, Pace(done))
        finished = done >= total
        if what in self.finished or not (finished or now_s - self.last_line_s >= SECONDS_BETWEEN_LINES):
            return
        if finished:
            self.finished.add(what)
        self.last_line_s = now_s
        typer.echo(", ".join(filter(None, (f"{what}: {done} of {total}", pace.text(done, total)))), err=True)


class Pace:
    """How fast one task goes, from when it was first heard of."""

    def __init__(self, done: int) -> None:
        self.first_done, self.start_s = done, time.monotonic()

    def text(self, done: int, total: int) -> str:
        """Such as "11 a second, 1:45 left"; empty at the beginning and the end, where there is nothing to say."""
        seconds, made = time.monotonic() - self.start_s, done - self.first_done
        if made < 1 or seconds <= 0 or done >= total:
            return ""
        rate = made / seconds
        left = timedelta(seconds=round((total - done) / rate))
        return f"{rate:.2g} a second, {left} left" if rate >= 1 else f"{1 / rate:.2g} s each, {left} left"
