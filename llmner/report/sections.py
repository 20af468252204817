"""The sections of a page of figures: a title, a note, a plot, a table.

Invariant: what stands in a section is escaped by the templates, but for ``Markup`` and the pictures that our own
templates have made.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from llmner.evaluation.bootstrap import Interval

Cell = str | int | float | Interval | Markup  # text is escaped; rates and intervals are rounded to three digits


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page.

    Attributes:
        title: Its heading.
        note: What it shows.
        head: Names of the table's columns; none for no table.
        rows: The table.
        plot: An SVG, or nothing.
        picture: A picture that a template has made; None for none.
    """

    title: str
    note: str = ""
    head: Sequence[str] = ()
    rows: Sequence[Sequence[Cell]] = ()
    plot: str = ""
    picture: Markup | None = None

    @property
    def plot_url(self) -> str:
        """The plot as a data URL: what an image holds has names of its own and can run nothing."""
        return f"data:image/svg+xml;base64,{base64.b64encode(self.plot.encode()).decode()}"
