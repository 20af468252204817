"""Plots as SVG for pages of the report.

Invariant: a plot depends on its data alone, down to the byte, and its names are shown as they are, never read as
formulas.
"""

import io
import warnings
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from llmner.evaluation.figures import Measured

INK, SOFT, LINE = "#1c2430", "#647082", "#e3e7ed"
ACCENT = "#2f6fde"
KIND_COLOURS = ("#2f6fde", "#7cb342", "#8e6bbf", "#e8a33d", "#b9c1cc")  # of kinds of mistakes, in their order
# What the colours become on a dark page; the others are seen on both.
_DARK = {INK: "#dfe5ee", SOFT: "#8f9bad", LINE: "#29313d", "#ffffff": "#181d25", ACCENT: "#7aa7f7"}
_WIDTH, _ROW = 4.5, 0.32  # inches
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text, in a font of the reader's
    "svg.hashsalt": "llmner",
    "font.sans-serif": ["Helvetica Neue", "Arial", "Liberation Sans", "DejaVu Sans"],
    "font.size": 9.5,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "xtick.color": SOFT,
    "ytick.color": INK,
}


def rates_plot(rows: Mapping[str, Measured]) -> str:
    """Draw F1 with its interval, precision and recall, one row for each name, as SVG."""
    with mpl.rc_context(_STYLE):
        figure, axes = _axes(list(rows))
        for y, measured in enumerate(rows.values()):
            interval = measured.intervals.f1
            axes.plot([interval.low, interval.high], [y, y], color=ACCENT, lw=2.5, alpha=0.45, solid_capstyle="butt")
        places = range(len(rows))
        scores = [m.score for m in rows.values()]
        light: dict[str, Any] = {"ls": "", "markerfacecolor": "white", "markeredgecolor": SOFT, "ms": 5, "zorder": 3}
        axes.plot([s.precision for s in scores], places, marker="<", label="precision", **light)
        axes.plot([s.recall for s in scores], places, marker=">", label="recall", **light)
        axes.plot([s.f1 for s in scores], places, "o", color=ACCENT, ms=7, zorder=4, label="F1, 95 % interval")
        axes.set_xlim(-0.02, 1.02)
        axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1])
        _legend(figure)
        return _svg(figure)


def shares_plot(rows: Mapping[str, Mapping[str, int]], parts: Sequence[str]) -> str:
    """Draw counts as stacked bars, one row for each name, as SVG.

    Args:
        rows: For each row its count of each part.
        parts: The parts, in the order of ``KIND_COLOURS``, no more than it has.
    """
    with mpl.rc_context(_STYLE):
        figure, axes = _axes(list(rows))
        left = [0] * len(rows)
        for part, colour in zip(parts, KIND_COLOURS, strict=False):
            counts = [row[part] for row in rows.values()]
            axes.barh(range(len(rows)), counts, left=left, height=0.62, color=colour, label=part)
            left = [a + b for a, b in zip(left, counts, strict=True)]
        axes.set_xlim(0, max(left) * 1.02)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        _legend(figure)
        return _svg(figure)


def square_plot(
    line: Sequence[tuple[float, float]],
    *,
    x: str,
    y: str,
    marks: Mapping[str, tuple[float, float]] = MappingProxyType({}),
    diagonal: bool = False,
) -> str:
    """Draw a line in the unit square, as SVG.

    Args:
        line: Its points.
        x: Name of the axis.
        y: Name of the axis.
        marks: Named points of their own.
        diagonal: Whether to draw where both are equal, the points of the line as dots.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, _WIDTH), layout="constrained")
        axes = figure.add_subplot(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=x, ylabel=y)
        axes.tick_params(length=0)
        axes.grid(color=LINE, lw=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        if diagonal:
            axes.plot([0, 1], [0, 1], color=SOFT, lw=1, ls=":")
        axes.plot([p[0] for p in line], [p[1] for p in line], color=ACCENT, lw=2, marker="o" if diagonal else "")
        for (name, point), colour in zip(marks.items(), KIND_COLOURS[1:], strict=False):
            axes.plot(*point, ls="", marker="o", ms=8, color=colour, label=name, zorder=4)
        if marks:
            _legend(figure)
        return _svg(figure)


def columns_plot(series: Mapping[str, Sequence[int]], names: Sequence[str], *, x: str, y: str) -> str:
    """Draw counts as columns, one above the other where there are several series, as SVG.

    Args:
        series: The counts of each, in the order of the names.
        names: What stands below the columns.
        x: Name of the axis.
        y: Name of the axis.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 0.62 * _WIDTH), layout="constrained")
        axes = figure.add_subplot(xlabel=x, ylabel=y)
        bottom = [0] * len(names)
        for (name, counts), colour in zip(series.items(), (ACCENT, "#b9c1cc"), strict=False):
            axes.bar(range(len(names)), counts, bottom=bottom, width=0.8, color=colour, label=name)
            bottom = [a + b for a, b in zip(bottom, counts, strict=True)]
        axes.set_xticks(range(len(names)), labels=names, rotation=35, ha="right", rotation_mode="anchor")
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.tick_params(length=0)
        axes.grid(axis="y", color=LINE, lw=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        if len(series) > 1:
            _legend(figure)
        return _svg(figure)


def curves_plot(curves: Mapping[str, Sequence[tuple[float, float]]], *, x: str, y: str) -> str:
    """Named lines through points, the first one drawn strong, as SVG.

    Args:
        curves: The points of each line, in the order of x.
        x: Name of the axis.
        y: Name of the axis.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(1.2 * _WIDTH, 0.75 * _WIDTH), layout="constrained")
        axes = figure.add_subplot(xlabel=x, ylabel=y)
        axes.tick_params(length=0)
        axes.grid(color=LINE, lw=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        for i, (name, points) in enumerate(curves.items()):
            style: dict[str, Any] = {"color": ACCENT, "lw": 2.5, "zorder": 4} if i == 0 else {"lw": 1.2}
            axes.plot([p[0] for p in points], [p[1] for p in points], marker="o", ms=3.5, label=name, **style)
        _legend(figure)
        return _svg(figure)


def _axes(names: Sequence[str]) -> tuple[Figure, Axes]:
    """Return a figure with one row for each name, from top to bottom."""
    figure = Figure(figsize=(_WIDTH, _ROW * len(names) + 0.75), layout="constrained")
    axes = figure.add_subplot()
    axes.set_yticks(range(len(names)), labels=names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(length=0)
    axes.grid(axis="x", color=LINE, lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    return figure, axes


def _legend(figure: Figure) -> None:
    figure.legend(
        loc="outside upper left", ncols=3, frameon=False, fontsize=9, labelcolor=SOFT,
        handletextpad=0.4, columnspacing=1.2, handlelength=1, borderpad=0,
    )  # fmt: skip


def _svg(figure: Figure) -> str:
    stream = io.StringIO()
    with warnings.catch_warnings():
        # Only this machine's font lacks it; the reader's will not.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    return stream.getvalue().replace("<defs>", f"{_dark_style()}<defs>", 1)


def _dark_style() -> str:
    """Return the style that lets an SVG follow the page that it is in."""
    rules = (
        f'[style*="{name}: {light}"] {{ {name}: {dark} !important }}'
        for light, dark in _DARK.items()
        for name in ("fill", "stroke")
    )
    return f"<style>@media (prefers-color-scheme: dark) {{ {' '.join(rules)} }}</style>"
