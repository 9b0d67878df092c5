"""What this process may use: the cores that the scheduler really allows, and the memory."""

from __future__ import annotations

import os

import psutil

__all__ = ["allowed_cores", "available_memory_bytes"]


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
