"""The bundles of the run: each with its model card and hash, or why it cannot be used."""

from __future__ import annotations

from pefuse.report.model_card import model_cards, write_model_cards
from pefuse.report.sections.contract import Content, Material, Section

__all__ = ["SECTION"]


def build(material: Material) -> Content | None:
    cards = model_cards(material.run, material.results, material.folder)
    write_model_cards(cards, material.folder)
    return Content(context={"cards": cards}) if cards else None


SECTION = Section(name="bundles", title="Bundles and model cards", group="Run", build=build)
