"""Forest plots: one hazard ratio a row, its numbers at the right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from sorafenib_rfa.arms import arms_of
from sorafenib_rfa.exhibits.figures.canvas import (
    INK,
    MUTED,
    RULE,
    Drawn,
    Inputs,
    count_text,
    mark_synthetic,
    new_figure,
)
from sorafenib_rfa.vocabulary import ENDPOINTS

ROW_IN = 0.3
MARKERS = {
    "primary": {"marker": "D", "markersize": 6.5, "markerfacecolor": INK, "color": INK, "linewidth": 2.0},
    "main": {"marker": "s", "markersize": 6, "markerfacecolor": INK, "color": INK, "linewidth": 2.0},
    "sensitivity": {"marker": "o", "markersize": 5, "markerfacecolor": "white", "color": INK, "linewidth": 1.2},
    "naive": {"marker": "X", "markersize": 6, "markerfacecolor": "#a33", "color": "#a33", "linewidth": 1.2},
}
"""The diamond is kept for the primary analysis of the study; the main one of its kind is a filled square."""
_TICKS = (0.1, 0.2, 0.25, 0.33, 0.5, 0.67, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 10.0)


def draw_forest(inputs: Inputs, endpoint: str) -> tuple[Figure, pd.DataFrame]:
    """Draw the hazard ratios of an endpoint by analysis on a log axis, the biased naive one apart and flagged.

    Curve ``forest_<endpoint>`` (``label, key, role, hr, lo, hi, p, n, events, ard_id``); the numbers printed are those
    of the ARD rows named there.
    """
    rows = inputs.curve(f"forest_{endpoint.lower()}")
    order = {"main": 0, "sensitivity": 1, "naive": 2}
    rows = rows.sort_values("role", key=lambda role: role.map(order), kind="stable", ignore_index=True)
    naive = rows["role"] == "naive"
    heights = np.arange(len(rows), dtype=float) + np.where(naive, 0.75, 0.0)
    height = 1.25 + ROW_IN * (heights.max() + 1)
    figure, drawn = new_figure(height), Drawn()
    bottom, top = 0.72 / height, 1 - 0.5 / height
    ax = figure.add_axes((0.425, bottom, 0.265, top - bottom))
    ax.set_ylim(heights.max() + 0.6, -0.6)
    ax.set_xlim(*axis_limits(rows))
    style_ratio_axis(ax, inputs, f"Hazard ratio, {ENDPOINTS[endpoint].lower()} (log scale)")
    columns = {"Analysis": (0.012, "left"), "n": (0.345, "right"), "Events": (0.415, "right"),
               "Hazard ratio (95% CI)": (0.70, "left"), "p": (0.985, "right")}  # fmt: skip
    for title, (x, ha) in columns.items():
        figure.text(x, top + 0.06 / height, title, ha=ha, va="bottom", fontweight="bold", fontsize=7.5)
    for place, row in zip(heights, rows.itertuples(), strict=True):
        look = MARKERS[row.role]
        if np.isfinite(row.hr):
            draw_interval(ax, row, place, look)
        ard_id = row.ard_id
        texts = {
            "Analysis": row.label,
            "n": count_text(row.n),
            "Events": count_text(row.events),
            "Hazard ratio (95% CI)": inputs.number(ard_id, "ci").replace("95% CI ", ""),
            "p": inputs.number(ard_id, "p").removeprefix("p ").removeprefix("= "),
        }
        weight = "bold" if row.role == "main" else "normal"
        y = bottom + (top - bottom) * (ax.get_ylim()[0] - place) / (ax.get_ylim()[0] - ax.get_ylim()[1])
        for title, text in texts.items():
            x, ha = columns[title]
            figure.text(x, y, text, ha=ha, va="center", fontsize=7.5, fontweight=weight, color=look["color"])
        drawn.add(
            "interval", panel=endpoint, series=row.label, x=row.hr, y=place, low=row.lo, high=row.hi,
            text="; ".join(f"{title}: {text}" for title, text in list(texts.items())[1:]), ard_id=ard_id,
        )  # fmt: skip
    if naive.any():
        y = bottom + (top - bottom) * (ax.get_ylim()[0] - (heights[naive].min() - 0.85)) / (
            ax.get_ylim()[0] - ax.get_ylim()[1]
        )
        figure.add_artist(_rule(y))
    if inputs.cohort.synthetic:
        mark_synthetic(figure, [ax], size=15)
    return figure, drawn.frame()


def style_ratio_axis(ax: Axes, inputs: Inputs, label: str, sides: tuple[str, str] | None = None) -> None:
    """Make the x axis, whose limits are set, one of ratios: logarithmic, with 1 marked and what each side favours.

    `sides` are the names of what is favoured below 1 and above it; the cohort's arms when not given.
    """
    ax.set_xscale("log")
    ratio_ticks(ax.xaxis, *ax.get_xlim())
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.axvline(1.0, color=RULE, linewidth=0.8, zorder=0)
    ax.set_xlabel(label, labelpad=25)
    below, above = arms_of(inputs.cohort).labels if sides is None else sides
    for side, ha, words in ((-1, "right", below), (1, "left", above)):
        ax.annotate(
            f"favours\n{words}", (1.0, 0), xycoords=("data", "axes fraction"), xytext=(8 * side, -17),
            textcoords="offset points", ha=ha, va="top", fontsize=6.5, color=MUTED, linespacing=1.1,
        )  # fmt: skip


def ratio_ticks(axis: Axis, low: float, high: float, gap: float = 0.15) -> None:
    """Give a logarithmic axis round ratios as ticks, at least `gap` (a share of the axis) apart."""
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    axis.set_major_locator(FixedLocator(_thinned(ticks, gap * np.log(high / low))))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(lambda value, _: f"{value:g}")


def _rule(y: float) -> Line2D:
    """Return the line that sets the naive analysis apart."""
    return Line2D([0.012, 0.985], [y, y], color=RULE, linewidth=0.6, linestyle=(0, (2, 2)))


def draw_interval(ax: Axes, row: Any, place: float, look: dict[str, Any]) -> None:
    """Draw one hazard ratio; an interval that leaves the axis ends in an arrow."""
    left, right = ax.get_xlim()
    low, high = max(row.lo, left), min(row.hi, right)
    ax.plot([low, high], [place, place], color=look["color"], linewidth=look["linewidth"], solid_capstyle="butt")
    for end, limit, marker in ((row.lo, left, "<"), (row.hi, right, ">")):
        if (end < limit) if marker == "<" else (end > limit):
            ax.plot([limit], [place], marker, color=look["color"], markersize=4, clip_on=False)
    ax.plot(
        [row.hr], [place], look["marker"], color=look["color"], markerfacecolor=look["markerfacecolor"],
        markersize=look["markersize"], zorder=4,
    )  # fmt: skip


def axis_limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Return limits of the axis that hold every interval within a tenth and ten, and 1 with room beside it."""
    low = np.nanmin([*rows["lo"], 0.5])
    high = np.nanmax([*rows["hi"], 2.0])
    return max(0.1, low / 1.1), min(10.0, high * 1.1)


def _thinned(ticks: list[float], gap: float) -> list[float]:
    """Return the ticks whose logarithms are at least `gap` apart, keeping 1."""
    kept = [1.0]
    for tick in sorted(ticks, key=lambda value: abs(np.log(value))):
        if all(abs(np.log(tick / other)) >= gap for other in kept):
            kept.append(tick)
    return sorted(kept)
