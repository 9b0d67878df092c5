"""What this process may use: the cores that the scheduler really allows, and the memory."""

from __future__ import annotations

import os
from contextlib import suppress

import psutil

__all__ = ["allowed_cores", "available_memory_bytes", "limit_memory"]


def allowed_cores() -> int:
    """Cores for this process: SLURM's allotment, else the affinity mask; never all that the machine has."""
    slurm = os.environ.get("SLURM_CPUS_PER_TASK", "")
    if slurm.isdigit() and int(slurm) > 0:
        return int(slurm)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_memory_bytes() -> int:
    """Memory that can be taken without swapping."""
    return int(psutil.virtual_memory().available)


def limit_memory(most_bytes: int) -> None:
    """Have this process refused more address space than that, where the system can."""
    with suppress(ImportError, ValueError, OSError):  # no such module, or a lower limit is set already
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
