"""Sections of a run's page: one module and one template each.

To add one, called `new`:

1. `sections/new.py` with `SECTION = Section(name="new", title="...", group="...", build=build)` and a function
   `build(material)` that returns `Content`: what its template is given, and its figures (written to `figures/`).
   None = there is nothing to say, and the page has no such section. It may raise `PefuseError` for a file that
   cannot be used: the page then says so in its place and shows the rest.
2. `templates/sections/new.html`: an `<h2>` and what follows; the page puts `<section id="new">` around it. Macros
   are in `templates/macros.html`. Beside the content, each template has `run`, `results`, `seeds`, `folds`,
   `reference`, `ideals` and `plots`; filters are `number`, `estimate`, `share` and `p`; functions are `svg` and
   `counted`.
3. A line in `sections/listing.py`, where it shall stand. The navigation follows by itself.
"""

from pefuse.report.sections.contract import Content, Material, Section
from pefuse.report.sections.listing import SECTIONS

__all__ = ["SECTIONS", "Content", "Material", "Section"]
