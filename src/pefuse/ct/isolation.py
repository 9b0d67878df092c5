"""Keep worker processes: each does one study at a time, and one that crashes or hangs costs that study alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue

from pefuse.ct.worker import Task, as_line
from pefuse.errors import StorageError

__all__ = ["Worker", "WorkerDiedError", "WorkerTimedOutError", "Workers"]

_COMMAND = [sys.executable, "-P", "-c", "from pefuse.ct.worker import main; main()"]


class WorkerDiedError(Exception):
    """The process ended in the middle of a study."""


class WorkerTimedOutError(WorkerDiedError):
    """The process was ended since the study took too long."""


class StoppedError(Exception):
    """The run was stopped; nothing is known of the study."""


class Worker:
    """One process, started when it is first needed and again after it died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._stopping = False

    def do(self, task: Task, *, limit_seconds: float) -> None:
        """Have one study prepared.

        Raises:
            WorkerDiedError: the process crashed; WorkerTimedOutError: it was killed at the limit.
            StoppedError: `stop` was called meanwhile.
            StorageError: the disk is full or the folder cannot be written.
        """
        process = self._started()
        overdue = threading.Event()

        def end_it() -> None:
            overdue.set()
            process.kill()

        timer = threading.Timer(limit_seconds, end_it)
        timer.start()
        try:
            answer = _exchange(process, as_line(task))
        finally:
            timer.cancel()
        if self._stopping:
            raise StoppedError
        if not answer:
            self.close()
            raise WorkerTimedOutError if overdue.is_set() else WorkerDiedError
        if problem := json.loads(answer)["storage"]:
            raise StorageError(problem)

    def stop(self) -> None:
        """End the process in the middle of a study, and start no other. Who waits in `do` is woken."""
        self._stopping = True
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the process and close its pipes; only when nobody waits in `do`."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _started(self) -> subprocess.Popen[str]:
        if self._stopping:
            raise StoppedError
        if self._process is None:
            self._process = subprocess.Popen(
                _COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # codecs and ITK print warnings with paths in them
                text=True,
                encoding="utf-8",
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                start_new_session=True,  # Ctrl-C reaches the parent alone, which then ends its workers
            )
        return self._process


class Workers:
    """As many workers as studies may be read at once."""

    def __init__(self, count: int) -> None:
        self._all = [Worker() for _ in range(count)]
        self._free: SimpleQueue[Worker] = SimpleQueue()
        for worker in self._all:
            self._free.put(worker)

    @contextmanager
    def one(self) -> Iterator[Worker]:
        """Lend a free worker."""
        worker = self._free.get()
        try:
            yield worker
        finally:
            self._free.put(worker)

    def stop(self) -> None:
        """End all processes in the middle of their studies."""
        for worker in self._all:
            worker.stop()

    def close(self) -> None:
        """Let go of all processes; only when nobody waits for one."""
        for worker in self._all:
            worker.close()


def _exchange(process: subprocess.Popen[str], line: str) -> str:
    """Send a line and wait for the answer; empty when the process is gone."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(line)
        process.stdin.flush()
        return process.stdout.readline()
    except (BrokenPipeError, ValueError):
        return ""
