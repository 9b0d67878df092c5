"""What a section of the page is, what it may read, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pefuse.report.aggregation import ModelScores
from pefuse.report.figures import Plot
from pefuse.report.results import Judgement, ModelResult, Results
from pefuse.report.run_folder import RunFolder

__all__ = ["Content", "Group", "Material", "Section"]

Group = Literal["Question", "Results", "Quality", "Explanation", "Run"]


@dataclass(frozen=True, kw_only=True)
class Material:
    """All that a section may read: a run, its results, the scores behind them, its folder for further files."""

    run: RunFolder
    results: Results
    scores: tuple[ModelScores, ...] = field(repr=False)
    folder: Path

    @cached_property
    def seeds(self) -> int:
        return int(self.run.predictions["seed"].nunique())

    @cached_property
    def folds(self) -> int:
        return int(self.run.predictions["fold"].nunique())

    @property
    def reference(self) -> ModelResult | None:
        """The model that the others are compared with."""
        return next((model for model in self.results.models if model.name == self.results.reference), None)

    @property
    def ideals(self) -> list[ModelResult]:
        """The ideal predictors of a simulated cohort."""
        return [model for model in self.results.of_table(1) if model.family == "ideal"]

    @property
    def in_table1(self) -> list[ModelScores]:
        """Table 1's models, the ideal ones last. Those of Table 3 get no figures: thirty of each are too many."""
        names = {model.name for model in self.results.of_table(1)}
        return [one for one in self.scores if one.name in names]

    @property
    def judged(self) -> list[tuple[ModelScores, Judgement]]:
        """Models of Table 1 that could be judged on the test studies, without the ideal ones."""
        tests = {model.name: model.test for model in self.results.of_table(1) if model.family != "ideal"}
        pairs = ((one, tests.get(one.name)) for one in self.in_table1)
        return [(one, test) for one, test in pairs if test is not None]


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a section's template is given by name, its figures, which the template finds as `plots`, and scripts.

    `scripts` are names of files in `assets/`, which the page runs once, at its end, in this order.
    """

    context: Mapping[str, Any] = field(default_factory=dict)
    plots: tuple[Plot, ...] = ()
    scripts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page. `name` is its anchor and template, `title` and `group` are for the navigation."""

    name: str
    title: str
    group: Group
    build: Callable[[Material], Content | None]
