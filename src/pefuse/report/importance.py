"""What models of the record went by: one panel for models that went by the same, and what they agree on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from pefuse.report.names import model_name, sorted_models

__all__ = ["ImportancePanel", "agreement_sentence", "importance_panels", "reasons_sentences", "same_sentence"]

FIRST = 10  # features of each model that are held against those of the others
METHODS = {"masks": "TabNet's masks", "shap": "SHAP values", "": ""}


@dataclass(frozen=True, kw_only=True)
class ImportancePanel:
    """Importance of features (feature, importance, highest first), the same in all of these models."""

    models: tuple[str, ...]
    method: str
    table: pd.DataFrame = field(repr=False)

    @property
    def title(self) -> str:
        """What was measured, as people read it; "" for a model's own measure."""
        return METHODS.get(self.method, self.method)


def importance_panels(explained: pd.DataFrame | None, own: pd.DataFrame, names: set[str]) -> list[ImportancePanel]:
    """Panels of the models in `names`, in the order of a table.

    Args:
        explained: model, method, feature, importance over the test studies; None where nothing was explained.
        own: model, feature, importance as training kept it: used for models that `explained` does not have.
    """
    parts = [] if explained is None else [explained]
    missing = own[~own["model"].isin([] if explained is None else explained["model"])]
    parts.append(missing.assign(method=""))
    table = pd.concat([part for part in parts if len(part)] or [own.assign(method="")], ignore_index=True)
    found: dict[tuple[object, ...], list[str]] = {}
    tables: dict[tuple[object, ...], pd.DataFrame] = {}
    for model in sorted_models([str(name) for name in table["model"].unique() if name in names]):
        rows = table[table["model"] == model]
        for method in rows["method"].unique():
            part = rows.loc[rows["method"] == method, ["feature", "importance"]]
            part = part.sort_values(["importance", "feature"], ascending=[False, True], ignore_index=True)
            same = (method, *part["feature"], *part["importance"].round(6))
            found.setdefault(same, []).append(model)
            tables[same] = part
    return [
        ImportancePanel(models=tuple(models), method=str(same[0]), table=tables[same])
        for same, models in found.items()
    ]


def same_sentence(panel: ImportancePanel) -> str:
    """Which other models have the very same importance; "" where none has."""
    if len(panel.models) == 1:
        return ""
    first, *others = (model_name(model).label for model in panel.models)
    return (
        f"{_listed(others)} {'has' if len(others) == 1 else 'have'} the same as {first}: the record's network "
        "inside is that one, and was not trained further."
    )


def agreement_sentence(panels: Sequence[ImportancePanel]) -> str:
    """Which features are among the first ten of every panel; "" with fewer than two panels."""
    if len(panels) < 2:
        return ""
    firsts = [set(panel.table.loc[panel.table["importance"] > 0, "feature"].head(FIRST)) for panel in panels]
    common = [
        feature for feature in panels[0].table["feature"].head(FIRST) if all(feature in one for one in firsts)
    ]
    if not common:
        return f"No feature is among the first {FIRST} of all of them: read none of these lists alone."
    return f"Among the first {FIRST} of all of them: {_listed(common)}."


def reasons_sentences(reasons: Mapping[str, str], names: set[str]) -> list[str]:
    """Why models of the record have no importance, those with the same reason together."""
    by_reason: dict[str, list[str]] = {}
    for model in sorted_models([name for name in reasons if name in names]):
        by_reason.setdefault(reasons[model], []).append(model_name(model).label)
    return [f"{_listed(labels)}: {reason}" for reason, labels in by_reason.items()]


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
