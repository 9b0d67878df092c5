"""How the run was made: versions, machine, seeds, times and settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from pefuse.report.run_folder import RunFolder
from pefuse.report.sections.contract import Content, Material, Section

__all__ = ["SECTION"]


def build(material: Material) -> Content:
    return Content(context={"facts": _facts(material.run), "config": _config(material.run.config)})


def _facts(run: RunFolder) -> list[tuple[str, str]]:
    """Versions, machine, seeds and times as name and value; nothing that names a user or a folder."""
    environment = run.environment
    seconds = environment.get("seconds") or {}
    packages = environment.get("packages") or {}
    finished = sum(cell.status == "finished" for cell in run.cells)
    facts = {
        "pefuse": environment.get("pefuse"),
        "Preset": environment.get("preset"),
        "Seeds": ", ".join(str(seed) for seed in environment.get("seeds") or []),
        "Trained models (model × fold × seed)": f"{finished} of {len(run.cells)} finished" if run.cells else None,
        "Time": ", ".join(f"{name} {_duration(float(value))}" for name, value in seconds.items()),
        "Machine": environment.get("machine"),
        "Cores": environment.get("cores"),
        "Memory": f"{environment['memory_gib']} GiB" if "memory_gib" in environment else None,
        "Python": environment.get("python"),
        "Packages": ", ".join(f"{name} {number}" for name, number in packages.items()),
    }
    return [(name, str(value)) for name, value in facts.items() if value not in (None, "")]


def _config(config: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True, width=80) if config else ""


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


SECTION = Section(name="facts", title="How it was run", group="Run", build=build)
