"""The effect over time, its spread over centres, and weighted cumulative incidence."""

from __future__ import annotations

from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Polygon, Rectangle
from matplotlib.ticker import FixedLocator, NullLocator

from sorafenib_rfa.arms import arms_of
from sorafenib_rfa.exhibits.figures.canvas import (
    INK,
    MUTED,
    RULE,
    WIDTH_IN,
    Drawn,
    Inputs,
    arm_looks,
    count_text,
    mark_synthetic,
    months_label,
    new_figure,
    not_estimable,
)
from sorafenib_rfa.exhibits.figures.forest import axis_limits, draw_interval, ratio_ticks, style_ratio_axis
from sorafenib_rfa.exhibits.figures.survival import draw_incidence_panels
from sorafenib_rfa.exhibits.format import format_value
from sorafenib_rfa.vocabulary import ENDPOINTS

SPLINE_COLOUR = "#0072B2"
ROW_IN = 0.24
_RUG_IN = 0.11
_AXES_WIDTH = 0.87
_LABEL_IN, _LABEL_WIDTH_IN = 0.27, 0.82
_EXPLAINED = {
    "pooled": "diamond: Hartung-Knapp interval",
    "prediction": "bar: where a new centre is expected",
}
_MONTHS = (0.25, 0.5, 1, 2, 3, 4, 6, 9, 12, 18, 24, 36, 48, 60, 96, 120, 180, 240)


def draw_effect_over_time(inputs: Inputs, endpoint: str = "RFS") -> tuple[Figure, pd.DataFrame]:
    """Draw the hazard ratio against time, constant within pieces and as a spline, with bands and a rug of events.

    Curve ``effect_over_time`` (columns in :mod:`sorafenib_rfa.estimates.time_to_event`); the hazard ratios of the
    pieces and the p values of the Wald tests are printed from the ARD. Bands that leave the axis are cut at its edge.
    """
    curve = inputs.curve("effect_over_time")
    curve = curve[curve["endpoint"] == endpoint]
    pieces, spline, events = (curve[curve["kind"] == kind] for kind in ("piecewise", "spline", "event"))
    pieces = pieces[pieces["hr"].notna()]
    # a public release has no rug: its curves end where the spline does
    timed = events if len(events) else spline
    longest = float(timed["time_months"].max()) if len(timed) else inputs.plan.rmst_horizon_months
    # from entry, or where that is time zero, which has no logarithm, from the first event
    first = inputs.landmark_months or (float(events["time_months"].min()) if len(events) else 1.0)
    pieces = pieces.assign(left=pieces["time_months"].clip(lower=first), right=pieces["end_months"].clip(upper=longest))
    lines = _label_lines(pieces, WIDTH_IN * _AXES_WIDTH / np.log(longest / first))
    height = 4.0 + _LABEL_IN * max(lines, default=0)
    figure, drawn = new_figure(height), Drawn()
    arms = arms_of(inputs.cohort)
    rug_in = _RUG_IN * 2 + 0.06
    bottom = 1.1 / height
    top_in = 0.77 + _LABEL_IN * max(lines, default=0)
    ax = figure.add_axes((0.115, bottom, _AXES_WIDTH, 1 - (1.1 + top_in) / height))
    ax.set_xscale("log")
    ax.set_xlim(first, longest)
    ax.xaxis.set_major_locator(FixedLocator([month for month in _MONTHS if first <= month <= longest]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_xlabel(f"{months_label(inputs.cohort)} (log scale)")
    ax.xaxis.set_label_coords(0.5, -(rug_in + 0.27) / (height * ax.get_position().height))
    ax.tick_params(axis="x", pad=72 * rug_in + 2)
    ax.set_yscale("log")
    ax.set_ylim(*axis_limits(pd.concat([pieces, spline])))
    ratio_ticks(ax.yaxis, *ax.get_ylim(), gap=0.07)
    ax.set_ylabel(f"Hazard ratio, {ENDPOINTS[endpoint].lower()}\n(log scale)")
    ax.axhline(1.0, color=RULE, linewidth=0.8, zorder=0)
    for y, va, words in ((0.985, "top", arms.control), (0.02, "bottom", arms.treated)):
        ax.text(0.992, y, f"favours {words}", transform=ax.transAxes, ha="right", va=va, fontsize=6.5, color=MUTED)
    if pieces.empty and spline.empty:
        not_estimable(ax)
    _draw_spline(ax, spline, endpoint, drawn)
    _draw_pieces(ax, inputs, pieces, lines, endpoint, drawn)
    if len(events):
        _draw_rug(ax, inputs, events, height, endpoint, drawn)
    _say_tests(figure, inputs, endpoint, drawn)
    figure.legend(
        handles=[
            (Patch(facecolor="#bdbdbd", linewidth=0), Line2D([], [], color=INK, linewidth=1.8)),
            (
                Patch(facecolor=SPLINE_COLOUR, alpha=0.18, linewidth=0),
                Line2D([], [], color=SPLINE_COLOUR, linestyle=(0, (5, 1.8))),
            ),
        ],
        labels=["constant within pieces", "spline of log time"],
        loc="upper left", ncols=2, borderaxespad=0, bbox_to_anchor=(0.115, 0.995),
    )  # fmt: skip
    if inputs.cohort.synthetic:
        mark_synthetic(figure, [ax])
    return figure, drawn.frame()


def _draw_spline(ax: Axes, spline: pd.DataFrame, panel: str, drawn: Drawn) -> None:
    x, y, low, high = (spline[name].to_numpy(dtype=float) for name in ("time_months", "hr", "lo", "hi"))
    ax.fill_between(x, low, high, color=SPLINE_COLOUR, alpha=0.18, linewidth=0, zorder=1)
    ax.plot(x, y, color=SPLINE_COLOUR, linestyle=(0, (5, 1.8)), zorder=3)
    drawn.add("curve", panel=panel, series="spline", x=x, y=y, low=low, high=high)


def _label_lines(pieces: pd.DataFrame, inches_per_log: float) -> list[int]:
    """Return on which line above the axis each piece's hazard ratio stands, so that none overlap."""
    ends: list[float] = []
    lines = []
    for piece in pieces.itertuples():
        middle = (np.log(piece.left) + np.log(piece.right)) / 2 * inches_per_log
        line = next((j for j, end in enumerate(ends) if middle - _LABEL_WIDTH_IN / 2 >= end), len(ends))
        ends[line : line + 1] = [middle + _LABEL_WIDTH_IN / 2]
        lines.append(line)
    return lines


def _draw_pieces(ax: Axes, inputs: Inputs, pieces: pd.DataFrame, lines: list[int], panel: str, drawn: Drawn) -> None:
    """Draw each piece as a step with its band, and print its hazard ratio above the axis."""
    for line, piece in zip(lines, pieces.itertuples(), strict=True):
        x = np.array([piece.left, piece.right])
        ax.fill_between(x, piece.lo, piece.hi, color="#bdbdbd", alpha=0.55, linewidth=0, zorder=0.5)
        ax.plot(x, [piece.hr] * 2, color=INK, linewidth=1.8, zorder=4)
        ax.axvline(x[0], color=RULE, linewidth=0.5, linestyle=(0, (2, 2)), zorder=0.6)
        text = inputs.number(piece.ard_id, "ci").replace("95% CI ", "")
        ax.annotate(
            text.replace(" (", "\n("), (np.sqrt(x.prod()), 1), xycoords=("data", "axes fraction"),
            xytext=(0, 4 + 72 * _LABEL_IN * line), textcoords="offset points", ha="center", va="bottom", fontsize=6.5,
            color=INK, linespacing=1.15,
        )  # fmt: skip
        drawn.add("piece", panel=panel, series="piecewise", x=x[0], y=piece.hr, low=piece.lo, high=piece.hi, text=text,
                  ard_id=piece.ard_id)  # fmt: skip


def _draw_rug(ax: Axes, inputs: Inputs, events: pd.DataFrame, height: float, panel: str, drawn: Drawn) -> None:
    """Draw a tick for each event below the axis, a line an arm, with their numbers at the left."""
    arms = arms_of(inputs.cohort)
    looks = arm_looks([], arms)
    unit = 1 / (height * ax.get_position().height)  # an inch in axes fractions
    for line, (arm, column) in enumerate(zip(arms.labels, ("events_treated", "events_control"), strict=True)):
        look = looks[arms.slug(arm)]
        own = events.loc[events[column] == 1, "time_months"].to_numpy(dtype=float)
        top = -(0.05 + line * (_RUG_IN + 0.02)) * unit
        ax.vlines(
            own, top - _RUG_IN * unit, top, transform=ax.get_xaxis_transform(), color=look.colour, linewidth=0.5,
            clip_on=False,
        )  # fmt: skip
        text = f"{arm}: {count_text(len(own))} events"
        ax.annotate(
            text, (0, 0), xycoords="axes fraction", xytext=(0, -72 * (0.72 + 0.14 * line)), textcoords="offset points",
            va="top", fontsize=7, color=look.colour,
        )  # fmt: skip
        drawn.add("event", panel=panel, series=arm, x=own, y=np.full(len(own), np.nan))
    ax.annotate(
        "Rug: events, upper line " + ", lower line ".join(arms.labels), (1, 0), xycoords="axes fraction",
        xytext=(0, -72 * 0.72), textcoords="offset points", ha="right", va="top", fontsize=6.5, color=MUTED,
    )  # fmt: skip


def _say_tests(figure: Figure, inputs: Inputs, endpoint: str, drawn: Drawn) -> None:
    """Print the Wald tests on a line of their own below the legend."""
    tests = {"pieces_equal": "pieces equal", "spline_constant": "spline constant"}
    said = []
    for variable, words in tests.items():
        ard_id = f"time_to_event.{endpoint.lower()}_effect_over_time.contrast.{variable}.chi2"
        text = f"{words}: {inputs.number(ard_id, 'p')}"
        said.append(text)
        drawn.add("text", panel=endpoint, text=text, ard_id=ard_id)
    y = 1 - 0.24 / figure.get_figheight()
    figure.text(0.115, y, "Wald tests, " + "; ".join(said), ha="left", va="top", fontsize=7)


def draw_centres(inputs: Inputs, endpoint: str = "RFS") -> tuple[Figure, pd.DataFrame]:
    """Draw the hazard ratio within each centre, the random-effects summary and the prediction interval.

    Curve ``centres`` (columns in :mod:`sorafenib_rfa.estimates.time_to_event`). The side of a square goes with its
    weight; a centre left out is listed with the reason. What diamond and bar are is said in their rows.
    """
    rows = inputs.curve("centres")
    rows = rows[rows["endpoint"] == endpoint].reset_index(drop=True)
    summary = rows["role"].isin(["pooled", "prediction"])
    # the two rows of the summary have a line of explanation each
    heights = np.arange(len(rows), dtype=float) + 0.5 * np.cumsum(summary)
    height = 1.55 + ROW_IN * (heights.max() + 1)
    figure, drawn = new_figure(height), Drawn()
    bottom, top = 1.0 / height, 1 - 0.5 / height
    ax = figure.add_axes((0.43, bottom, 0.28, top - bottom))
    ax.set_ylim(heights.max() + 0.6, -0.6)
    ax.set_xlim(*axis_limits(rows))
    style_ratio_axis(ax, inputs, f"Hazard ratio, {ENDPOINTS[endpoint].lower()} (log scale)")
    columns = {"Centre": (0.012, "left"), "n": (0.265, "right"), "Events": (0.345, "right"),
               "Weight": (0.418, "right"), "Hazard ratio (95% CI)": (0.73, "left")}  # fmt: skip
    for title, (x, ha) in columns.items():
        figure.text(x, top + 0.06 / height, title, ha=ha, va="bottom", fontweight="bold", fontsize=7.5)
    for place, row in zip(heights, rows.itertuples(), strict=True):
        _draw_centre(ax, row, place)
        y = bottom + (top - bottom) * (ax.get_ylim()[0] - place) / (ax.get_ylim()[0] - ax.get_ylim()[1])
        texts = _centre_texts(inputs, row)
        if row.role in _EXPLAINED:
            figure.text(
                columns["Centre"][0], y - 0.065 / height, _EXPLAINED[row.role], va="top", fontsize=6.2, color=MUTED
            )
        for title, text in texts.items():
            x, ha = columns[title]
            figure.text(
                x, y, text, ha=ha, va="center", linespacing=1.0,
                fontsize=6.5 if "\n" in text else 7.5, color=MUTED if row.role == "left_out" else INK,
                fontweight="bold" if row.role == "pooled" else "normal",
            )  # fmt: skip
        drawn.add(
            "interval", panel=endpoint, series=row.label, x=row.hr, y=place, low=row.lo, high=row.hi,
            text=texts["Hazard ratio (95% CI)"].replace("\n", " "), ard_id=row.ard_id,
        )  # fmt: skip
    pooled = rows[rows["role"] == "pooled"]
    if len(pooled):
        ax.axvline(pooled["hr"].iloc[0], color=INK, linewidth=0.7, linestyle=(0, (3, 2)), zorder=0.5)
    _say_heterogeneity(figure, inputs, rows, endpoint, height, drawn)
    if inputs.cohort.synthetic:
        mark_synthetic(figure, [ax], size=15)
    return figure, drawn.frame()


def _centre_texts(inputs: Inputs, row: Any) -> dict[str, str]:
    """Return what is printed beside a row; a prediction interval has no counts of its own."""
    texts = {"Centre": row.label}
    if row.role != "prediction":
        texts |= {"n": count_text(row.n), "Events": count_text(row.events)}
    if row.role == "centre":
        texts["Weight"] = format_value({"value": row.weight_percent, "unit": "percent"}, digits=1)
    ratio = inputs.number(row.ard_id, "ci").replace("95% CI ", "")
    if row.role == "left_out":
        ratio = fill(row.reason.removeprefix("not estimable: "), 32)
    if row.role == "prediction":
        ratio = inputs.number(row.ard_id, "interval").replace("95% CI ", "")
    return texts | {"Hazard ratio (95% CI)": ratio}


def _draw_centre(ax: Axes, row: Any, place: float) -> None:
    """Draw a square with its interval, the diamond of the summary, or the bar of the prediction interval."""
    if row.role == "centre":
        size = 2.5 + 6.5 * np.sqrt(row.weight_percent / 100)
        look = {"marker": "s", "markersize": size, "markerfacecolor": "#555555", "color": INK, "linewidth": 1.2}
        draw_interval(ax, row, place, look)
    elif row.role == "pooled":
        corners = [(row.lo, place), (row.hr, place - 0.3), (row.hi, place), (row.hr, place + 0.3)]
        ax.add_patch(Polygon(corners, closed=True, facecolor=INK, edgecolor=INK, linewidth=0.5, zorder=4))
    elif row.role == "prediction":
        left, right = ax.get_xlim()
        low, high = max(row.lo, left), min(row.hi, right)
        bar = Rectangle(
            (low, place - 0.13), high - low, 0.26, facecolor="#dddddd", edgecolor=INK, linewidth=0.8, zorder=3
        )
        ax.add_patch(bar)
        for end, limit, marker in ((row.lo, left, "<"), (row.hi, right, ">")):
            if (end < limit) if marker == "<" else (end > limit):
                ax.plot([limit], [place], marker, color=INK, markersize=4, clip_on=False)


def _say_heterogeneity(
    figure: Figure, inputs: Inputs, rows: pd.DataFrame, endpoint: str, height: float, drawn: Drawn
) -> None:
    """Print Q, I squared and tau squared under the rows."""
    if not (rows["role"] == "pooled").any():
        return
    prefix = f"time_to_event.{endpoint.lower()}_centres.contrast"
    texts = {
        f"{prefix}.i2": f"I² {inputs.number(f'{prefix}.i2', 'ci')}",
        f"{prefix}.tau2": f"τ² {inputs.number(f'{prefix}.tau2', 'ci')}",
        f"{prefix}.q": f"Q {inputs.number(f'{prefix}.q')}, {inputs.number(f'{prefix}.q', 'p')}",
    }
    for ard_id, text in texts.items():
        drawn.add("text", panel=endpoint, text=text, ard_id=ard_id)
    figure.text(
        0.012, 0.06 / height, "Between centres: " + "; ".join(texts.values()), va="bottom", fontsize=7, color=MUTED
    )


def draw_cif_weighted(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the overlap-weighted cumulative incidence of each first event by arm, with bootstrap bands.

    Curve ``cif_weighted``; the difference at the plan's horizon from ARD
    ``time_to_event.first_event_overlap.contrast.<cause>.<horizon>.difference``.
    """
    from sorafenib_rfa.estimates.common import horizon

    month = _shown_horizon(inputs)

    def difference(cause: str) -> tuple[str, str]:
        ard_id = f"time_to_event.first_event_overlap.contrast.{cause}.{horizon(month)}.difference"
        return f"Difference at {month:g} months\n{inputs.number(ard_id, 'ci')}", ard_id

    return draw_incidence_panels(inputs, inputs.curve("cif_weighted"), difference, weighted=True)


def _shown_horizon(inputs: Inputs) -> float:
    """Return the plan's horizon at which differences are printed: that of the restricted means if it is one."""
    months = inputs.plan.horizons_months
    return min(months, key=lambda month: (abs(month - inputs.plan.rmst_horizon_months), month))
