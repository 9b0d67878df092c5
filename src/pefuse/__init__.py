"""30-day mortality after acute pulmonary embolism, from CT pulmonary angiography and the patient's record.

    import pefuse

    cohort = pefuse.load_cohort("COHORT")
    run = pefuse.fit(cohort, "intermediate-sanet", out="RUN", preset="demo")
    print(pefuse.evaluate(run.predictions))

The names below are loaded when they are asked for, so that `import pefuse` (and `pefuse --help`) takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pefuse.api import compare, evaluate, fit
    from pefuse.cohort import load_cohort, make_folds
    from pefuse.cohort.simulate import SimulationConfig, simulate_cohort
    from pefuse.ct import prepare
    from pefuse.errors import PefuseError
    from pefuse.models.bundle import load_bundle
    from pefuse.report import build_report, table1

__all__ = [
    "PefuseError",
    "SimulationConfig",
    "build_report",
    "compare",
    "evaluate",
    "fit",
    "load_bundle",
    "load_cohort",
    "make_folds",
    "prepare",
    "simulate_cohort",
    "table1",
]

__version__ = "0.1.0"

_HOME = {
    "PefuseError": "errors",
    "SimulationConfig": "cohort.simulate",
    "build_report": "report",
    "compare": "api",
    "evaluate": "api",
    "fit": "api",
    "load_bundle": "models.bundle",
    "load_cohort": "cohort",
    "make_folds": "cohort",
    "prepare": "ct",
    "simulate_cohort": "cohort.simulate",
    "table1": "report",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'pefuse' has no attribute {name!r}")
    return getattr(import_module(f"pefuse.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
