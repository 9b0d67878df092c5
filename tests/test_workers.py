"""Worker processes: their answers, and what becomes of a task whose process crashes, hangs or is stopped."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pefuse.errors import StorageError
from pefuse.workers import StoppedError, TaskFailedError, Worker, WorkerDiedError, Workers, WorkerTimedOutError

HANDLERS = """
import os, time
from pefuse.workers import received, serve

def double(): serve(lambda: lambda task: {"twice": 2 * task})
def add(): serve(begin)
def begin():
    first = received()
    return lambda task: {"sum": first + task}
def chatter():
    def greet():
        print("a library greets", flush=True)
        return lambda task: (os.write(1, b"noise"), {"said": task})[1]
    serve(greet)
def crash(): serve(lambda: lambda task: os._exit(3) if task == "crash" else {"pid": os.getpid()})
def fail(task=None):
    def do(task):
        if task == "fault": raise ValueError("no")
        if task == "disk": raise OSError(28, "No space left on device")
        return {}
    serve(lambda: do)
def sleep(): serve(lambda: lambda task: time.sleep(task) or {})
"""


@pytest.fixture(autouse=True)
def _python_path(tmp_path, monkeypatch):
    """A module of handlers that worker processes can import."""
    (tmp_path / "handlers.py").write_text(HANDLERS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def make(name):
    return Worker(f"handlers.{name}")


def test_tasks_are_answered_in_turn():
    worker = make("double")
    try:
        assert [worker.do(number) for number in (1, 20)] == [{"twice": 2}, {"twice": 40}]
    finally:
        worker.close()


def test_what_is_sent_first_reaches_every_process():
    """More of it than a pipe holds, and also to the process that follows one that ended."""
    with Workers(1, "handlers.add", first="x" * 300_000) as workers:
        assert workers.submit(lambda worker: worker.do("y")).result() == {"sum": "x" * 300_000 + "y"}
        workers.submit(Worker.close).result()
        assert workers.submit(lambda worker: worker.do("z")).result()["sum"].endswith("xz")


def test_what_a_library_prints_is_no_answer():
    worker = make("chatter")
    try:
        assert [worker.do(word) for word in ("hello", "again")] == [{"said": "hello"}, {"said": "again"}]
    finally:
        worker.close()


def test_a_crash_costs_one_task_and_the_next_gets_a_new_process():
    worker = make("crash")
    try:
        first = worker.do("fine")["pid"]
        with pytest.raises(WorkerDiedError):
            worker.do("crash")
        assert worker.do("fine")["pid"] != first
    finally:
        worker.close()


def test_a_task_that_hangs_is_ended_at_its_limit():
    worker = make("sleep")
    try:
        with pytest.raises(WorkerTimedOutError):
            worker.do(600.0, limit_seconds=0.5)
    finally:
        worker.close()


def test_a_fault_is_told_with_its_traceback_and_a_full_disk_as_such():
    worker = make("fail")
    try:
        with pytest.raises(TaskFailedError, match=r"line \d+, in do"):
            worker.do("fault")
        with pytest.raises(StorageError, match="disk is full"):
            worker.do("disk")
        assert worker.do("fine") == {}
    finally:
        worker.close()


def test_leaving_ends_what_is_at_work_and_wakes_who_waits():
    with Workers(2, "handlers.sleep") as workers:
        waiting = [workers.submit(lambda worker: worker.do(600.0)) for _ in range(3)]
        time.sleep(0.5)
    outcomes = [future.cancelled() or isinstance(future.exception(), StoppedError) for future in waiting]
    assert outcomes == [True, True, True]


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_worker_in_the_middle_of_a_task_ends_with_a_parent_that_is_killed():
    """By `kill -9`, so that the parent cannot tell it; it would hold its memory until the task is done."""
    code = (
        "from pefuse.workers import Worker\n"
        "worker = Worker('handlers.sleep')\n"
        "worker.do(0.0)\n"
        "print(worker._process.pid, flush=True)\n"
        "worker.do(600.0)\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert running(child)
        parent.kill()

    until = time.monotonic() + 20
    while running(child) and time.monotonic() < until:
        time.sleep(0.1)
    assert not running(child)


def running(pid: int) -> bool:
    """Whether the process is at work: one that ended and waits to be collected is not."""
    try:
        state = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
