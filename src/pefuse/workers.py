"""Worker processes: each does one task at a time, and one that crashes or hangs costs that task alone.

They are started as plain commands, so that a user's script needs no `if __name__ == "__main__"`. A task is sent as
a pickle (from us to ourselves), an answer comes back as a line of JSON (from a process that a broken file may have
upset). What a worker prints goes nowhere: decoders and solvers print paths.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

from pefuse.errors import StorageError
from pefuse.storage import disk_error

__all__ = [
    "StoppedError",
    "TaskFailedError",
    "Worker",
    "WorkerDiedError",
    "WorkerTimedOutError",
    "Workers",
    "received",
    "serve",
]

Answer = dict[str, Any]
_THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_Result = TypeVar("_Result")


class TaskFailedError(Exception):
    """The task raised an error; the text is its traceback, for developers: it may hold paths."""


class WorkerDiedError(TaskFailedError):
    """The process ended in the middle of a task."""


class WorkerTimedOutError(WorkerDiedError):
    """The process was ended since the task took too long."""


class StoppedError(Exception):
    """The run was stopped; nothing is known of the task."""


class Worker:
    """One process, started when it is first needed and again after it died."""

    def __init__(self, main: str, *, threads: int = 1, first: bytes = b"") -> None:
        """`main` is the function to run, such as `pefuse.ct.worker.main`; `first` goes before all tasks."""
        module, _, function = main.rpartition(".")
        self._command = [sys.executable, "-P", "-c", f"from {module} import {function}; {function}()"]
        self._threads = threads
        self._first = first
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def do(self, task: object, *, limit_seconds: float | None = None) -> Answer:
        """Have one task done; what its process answers.

        Raises:
            StorageError: the disk is full or a folder cannot be written: it concerns all tasks.
            TaskFailedError: the task raised another error. WorkerDiedError: its process crashed.
            WorkerTimedOutError: it was killed at the limit.
            StoppedError: `stop` was called meanwhile.
        """
        process, message = self._started()
        overdue = threading.Event()

        def end_it() -> None:
            overdue.set()
            process.kill()

        timer = threading.Timer(limit_seconds, end_it) if limit_seconds is not None else None
        if timer is not None:
            timer.start()
        try:
            line = _exchange(process, message + pickle.dumps(task))
        finally:
            if timer is not None:
                timer.cancel()
        if self._stopping:
            raise StoppedError
        if not line:
            self.close()
            raise WorkerTimedOutError if overdue.is_set() else WorkerDiedError
        said = json.loads(line)
        if storage := said.get("storage"):
            raise StorageError(storage)
        if fault := said.get("fault"):
            raise TaskFailedError(fault)
        answer: Answer = said["answer"]
        return answer

    def stop(self) -> None:
        """End the process in the middle of a task, and start no other. Who waits in `do` is woken."""
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

    def _started(self) -> tuple[subprocess.Popen[bytes], bytes]:
        """The process, and what must be sent before the next task."""
        if self._stopping:
            raise StoppedError
        if self._process is not None:
            return self._process, b""
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **{name: str(self._threads) for name in _THREAD_SETTINGS}},
            start_new_session=True,  # Ctrl-C reaches the parent alone, which then ends its workers
        )
        return self._process, self._first


class Workers:
    """As many workers as tasks may be done at once, and a thread for each that waits on it.

    A context: on leaving it, however that happens, all processes are gone and write nothing any more.
    """

    def __init__(self, count: int, main: str, *, threads: int = 1, first: object = None) -> None:
        """`threads` are each process's; `first`, where there is one, is what it gets before its tasks."""
        start = pickle.dumps(first) if first is not None else b""
        self._all = [Worker(main, threads=threads, first=start) for _ in range(count)]
        self._free: SimpleQueue[Worker] = SimpleQueue()
        for worker in self._all:
            self._free.put(worker)
        self._threads = ThreadPoolExecutor(count)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._all:
            worker.stop()
        self._threads.shutdown(wait=True)
        for worker in self._all:
            worker.close()

    def submit(self, use: Callable[[Worker], _Result]) -> Future[_Result]:
        """Have `use` called in a thread, with a worker that is free; tasks begin in the order of submission."""
        return self._threads.submit(self._lend, use)

    def _lend(self, use: Callable[[Worker], _Result]) -> _Result:
        worker = self._free.get()
        try:
            return use(worker)
        finally:
            self._free.put(worker)


def _exchange(process: subprocess.Popen[bytes], message: bytes) -> bytes:
    """Send a message and wait for the answer; empty when the process is gone."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(message)
        process.stdin.flush()
        return process.stdout.readline()
    except (BrokenPipeError, ValueError):
        return b""


# --- in the worker -----------------------------------------------------------------------------------------------


def received() -> Any:
    """The next object that the parent sent.

    Raises:
        EOFError: the parent is gone or wants no more.
    """
    return pickle.load(sys.stdin.buffer)


def serve(begin: Callable[[], Callable[[Any], Answer]]) -> None:
    """Answer each task with what the function that `begin` gives makes of it, until the parent wants no more."""
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a library prints is no answer
    with suppress(EOFError):
        do = begin()
        while True:
            answers.write(json.dumps(_answer(do, received())) + "\n")
            answers.flush()


def _answer(do: Callable[[Any], Answer], task: Any) -> dict[str, Any]:
    try:
        return {"answer": do(task)}
    except Exception as error:
        storage = error if isinstance(error, StorageError) else disk_error(error)
        return {"storage": str(storage)} if storage else {"fault": traceback.format_exc()}


def _end_with_parent(parent: int) -> None:
    """A parent that is killed ends nobody: without this a worker would go on, for hours perhaps."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)
