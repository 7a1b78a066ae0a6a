"""The specification curve, and how far what was not seen would have to go to change the conclusion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MultipleLocator, NullLocator, PercentFormatter

from sorafenib_rfa.exhibits.figures.canvas import (
    INK,
    LOOKS,
    MUTED,
    RULE,
    WIDTH_IN,
    Drawn,
    Inputs,
    count_text,
    mark_synthetic,
    new_figure,
    not_estimable,
)
from sorafenib_rfa.exhibits.figures.forest import ratio_ticks
from sorafenib_rfa.exhibits.format import format_value
from sorafenib_rfa.vocabulary import ENDPOINTS

ROW_IN = 0.145
CURVE_IN = 2.0
PRIMARY = "#D55E00"
NAIVE = "#a33"
BENCHMARKS_NAMED = 4
"""Measured covariates named in the contour plot: those that could bias most."""

_LABELS_LEFT = 0.30
_NEEDED_BY = {
    "adjustment_set": "uses_covariates",
    "missing": "uses_covariates",
    "grace_period_days": "uses_grace_period",
}
_MISSING = {"complete_case": "Complete cases", "imputed": "Multiple imputation"}


class _Row(NamedTuple):
    """One row of the choice matrix: a heading, or a choice and its place among the columns."""

    text: str
    column: str = ""
    value: Any = None


def draw_specifications(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the hazard ratio of every specification, sorted, above the choices it is made of; a column an endpoint.

    Curve ``specifications``; the primary analysis is marked. Combinations that were skipped, or have no estimate, have
    no column; how many there are is said above.
    """
    frame = inputs.curve("specifications")
    run = frame[frame["skipped"] == ""]
    endpoints = list(dict.fromkeys(run["endpoint"]))
    rows = list(_matrix_rows(inputs, run))
    matrix_in = ROW_IN * len(rows)
    height = 0.62 + CURVE_IN + 0.12 + matrix_in + 0.28
    figure, drawn = new_figure(height), Drawn()
    gap = 0.025
    width = (0.985 - _LABELS_LEFT - gap * (len(endpoints) - 1)) / len(endpoints)
    finite = run.dropna(subset=["hr", "lo", "hi"])
    limits = (max(0.2, finite["lo"].min() / 1.05), min(5.0, finite["hi"].max() * 1.05)) if len(finite) else (0.5, 2.0)
    panels = []
    for number, endpoint in enumerate(endpoints):
        left = _LABELS_LEFT + number * (width + gap)
        curve = figure.add_axes((left, (0.28 + matrix_in + 0.12) / height, width, CURVE_IN / height))
        matrix = figure.add_axes((left, 0.28 / height, width, matrix_in / height))
        panels += [curve, matrix]
        own = run[(run["endpoint"] == endpoint)].dropna(subset=["hr", "lo", "hi"])
        own = own.sort_values(["hr", "spec_id"], ignore_index=True)
        _draw_curve(curve, own, limits, endpoint, drawn)
        _draw_matrix(matrix, own, rows, endpoint, drawn)
        for ax in (curve, matrix):
            ax.set_xlim(-0.01 * max(len(own), 1) - 0.5, 1.01 * max(len(own), 1) - 0.5)
            ax.set_xticks([])
        if number:
            curve.set_yticklabels([])
        else:
            curve.set_ylabel("Hazard ratio (log scale)")
            _label_rows(figure, matrix, rows, run[run["primary"]])
        figure.text(left, 1 - 0.13 / height, ENDPOINTS[endpoint], fontsize=8, fontweight="bold", va="top")
        figure.text(left, 1 - 0.29 / height, _summary(inputs, endpoint, drawn), fontsize=6.5, color=MUTED, va="top")
        matrix.set_xlabel("Specifications, sorted by their hazard ratio", fontsize=7, labelpad=3)
    handles = [
        Line2D(
            [], [], marker="D", color=PRIMARY, linestyle="", markersize=6, markeredgecolor=INK, label="Primary analysis"
        ),
        Line2D([], [], marker="X", color=NAIVE, linestyle="", markersize=5, label="Naive (biased)"),
        Line2D([], [], marker=".", color=INK, linestyle="", markersize=4, label="Other specification"),
        Line2D([], [], color="#b9bec5", linewidth=3, label="Confidence interval"),
    ]
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.005, 1 - 0.5 / height),
        fontsize=7,
        labelspacing=0.7,
        handlelength=1.4,
    )
    if inputs.cohort.synthetic:
        mark_synthetic(figure, panels, size=15)
    return figure, drawn.frame()


def _summary(inputs: Inputs, endpoint: str, drawn: Drawn) -> str:
    """Return how many specifications there are and what they span, in the numbers of the ARD."""
    part = f"sensitivity.specifications.contrast.{endpoint.lower()}"
    number = {
        name: inputs.number(f"{part}.{name}")
        for name in ("estimated", "not_estimable", "skipped", "median", "min", "max", "below_one")
    }
    for name, text in number.items():
        drawn.add("text", panel=endpoint, series=name, text=text, ard_id=f"{part}.{name}")
    without = "" if number["not_estimable"] == "0" else f", {number['not_estimable']} not estimable"
    return (
        f"{number['estimated']} specifications{without}; {number['skipped']} combinations skipped\n"
        f"Median {number['median']}, range {number['min']} to {number['max']}; {number['below_one']} below 1"
    )


def _matrix_rows(inputs: Inputs, run: pd.DataFrame) -> Iterator[_Row]:
    """Yield the rows of the choice matrix in the order declared."""
    assert inputs.plan.sensitivity is not None
    sets = inputs.plan.sensitivity.specifications.adjustment_sets

    def named(value: str) -> str:
        return f"{value.replace('_', ' ').capitalize()} ({count_text(len(sets[value]))} covariates)"

    for heading, column, label in (
        ("Estimator", "estimator", None),
        ("Adjustment set", "adjustment_set", named),
        ("Grace period and landmark", "grace_period_days", lambda value: f"{value:g} days"),
        ("Missing covariates", "missing", lambda value: _MISSING[value]),
        ("Eligibility", "eligibility", None),
    ):
        yield _Row(heading)
        for value in dict.fromkeys(run[column]):
            if label is None:
                text = run.loc[run[column] == value, f"{column}_label"].iloc[0]
            else:
                text = label(value)
            yield _Row(text, column, value)


def _draw_curve(ax: Axes, own: pd.DataFrame, limits: tuple[float, float], endpoint: str, drawn: Drawn) -> None:
    """Draw hazard ratios with their intervals; those that leave the axis are cut at its edge."""
    ax.set_yscale("log")
    ax.set_ylim(*limits)
    ratio_ticks(ax.yaxis, *limits, gap=0.12)
    ax.axhline(1.0, color=RULE, linewidth=0.8, zorder=2)
    if own.empty:
        not_estimable(ax)
        return
    place = own.index.to_numpy(dtype=float)
    low, high = own["lo"].clip(*limits), own["hi"].clip(*limits)
    _upright(ax, place, low.to_numpy(), high.to_numpy(), "#b9bec5")
    naive, primary = own["estimator"] == "naive", own["primary"].astype(bool)
    plain = ~naive & ~primary
    ax.plot(place[plain], own.loc[plain, "hr"], ".", color=INK, markersize=2.2, markeredgewidth=0, zorder=3)
    ax.plot(place[naive], own.loc[naive, "hr"], "X", color=NAIVE, markersize=5, zorder=4)
    for x in place[primary]:
        ax.axvline(x, color=PRIMARY, linewidth=0.8, zorder=2)
    ax.plot(place[primary], own.loc[primary, "hr"], "D", color=PRIMARY, markersize=6, markeredgecolor=INK, zorder=5)
    drawn.add(
        "interval",
        panel=endpoint,
        series=own["spec_id"].to_numpy(),
        x=place,
        y=own["hr"].to_numpy(),
        low=own["lo"].to_numpy(),
        high=own["hi"].to_numpy(),
        text=np.where(primary, "primary", np.where(naive, "naive", "")),
        ard_id=own["ard_id"].to_numpy(),
    )


def _upright(ax: Axes, x: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str, *, of: int | None = None) -> None:
    """Draw upright lines side by side, `of` of which share the axes, as one path with gaps: hundreds weigh a lot."""
    thickness = min(2.0, 0.9 * 72 * 2.2 / max(len(x) if of is None else of, 1))
    gap = np.full(len(x), np.nan)
    ax.plot(
        np.column_stack([x, x, gap]).ravel(),
        np.column_stack([low, high, gap]).ravel(),
        color=colour,
        linewidth=thickness,
        zorder=1,
    )


def _draw_matrix(ax: Axes, own: pd.DataFrame, rows: list[_Row], endpoint: str, drawn: Drawn) -> None:
    """Draw a tick for each specification that makes a choice, on the row of the choice."""
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_yticks([])
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    shaded = False
    for at, row in enumerate(rows):
        if not row.column:
            shaded = False
            continue
        if shaded := not shaded:
            ax.axhspan(at - 0.5, at + 0.5, color="#f3f4f6", zorder=0, linewidth=0)
        chosen = own[own[row.column] == row.value]
        if row.column in _NEEDED_BY:  # no tick for a choice that plays no part
            chosen = chosen[chosen[_NEEDED_BY[row.column]].astype(bool)]
        x = chosen.index.to_numpy(dtype=float)
        ends = np.full(x.size, at - 0.34), np.full(x.size, at + 0.34)
        _upright(ax, x, *ends, NAIVE if row.value == "naive" else INK, of=len(own))
        primary = x[chosen["primary"].to_numpy(dtype=bool)]
        ax.plot(primary, np.full(primary.size, at), "D", color=PRIMARY, markersize=4, markeredgecolor=INK, zorder=3)
        drawn.add("choice", panel=endpoint, series=row.text, x=x, y=np.full(x.size, float(at)))
    for x in own.index[own["primary"].astype(bool)]:
        ax.axvline(x, color=PRIMARY, linewidth=0.8, zorder=2)


def _label_rows(figure: Figure, ax: Axes, rows: list[_Row], primary: pd.DataFrame) -> None:
    """Name the rows of the matrix; the choices of the primary analysis stand in bold."""
    box = ax.get_position()
    for at, row in enumerate(rows):
        y = box.y1 - box.height * (at + 0.5) / len(rows)
        if not row.column:
            figure.text(0.012, y, row.text, fontsize=7, fontweight="bold", va="center", color=INK)
            continue
        chosen = bool((primary[row.column] == row.value).any())
        figure.text(
            0.025,
            y,
            row.text,
            fontsize=6.8,
            va="center",
            color=PRIMARY if chosen else (NAIVE if row.value == "naive" else INK),
            fontweight="bold" if chosen else "normal",
        )


# --- tipping points --------------------------------------------------------------------------------


def draw_tipping(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the prevalences at which an unmeasured confounder would decide, and the effect of informative censoring.

    Curves ``tipping_confounding`` and ``tipping_censoring``, of the endpoint of the primary analysis.
    """
    confounding = inputs.curve("tipping_confounding")
    censoring = inputs.curve("tipping_censoring")
    endpoint = _endpoint(inputs, confounding)
    height = 4.85
    figure, drawn = new_figure(height), Drawn()
    left = figure.add_axes((0.092, 1.31 / height, 0.415, 0.415 * WIDTH_IN / height))
    ratio = figure.add_axes((0.665, 2.62 / height, 0.32, 1.33 / height))
    months = figure.add_axes((0.665, 0.78 / height, 0.32, 1.33 / height))
    _draw_contour(left, confounding[confounding["endpoint"] == endpoint], drawn)
    own = censoring[censoring["endpoint"] == endpoint]
    until = f"to month {inputs.plan.rmst_horizon_months:g}"
    for ax, stat, low, high, null, title, label in (
        (ratio, "hr", "lo", "hi", 1.0, f"Hazard ratio {until}", "Ratio (log scale)"),
        (
            months, "difference", "difference_lo", "difference_hi", 0.0,
            f"Difference in restricted mean {until}", "Difference, months",
        ),
    ):  # fmt: skip
        _draw_censoring(ax, own, stat, low, high, null, drawn)
        ax.set_title(title, fontsize=7.5, pad=7, x=-0.19)
        ax.set_ylabel(label)
        ax.yaxis.set_label_coords(-0.16, 0.5)
    months.set_xlabel("Hazard after censoring against\nthat of those still followed (log scale)", fontsize=7.5)
    ratio.set_xticklabels([])
    for x, words in (
        (0.012, f"A  Unmeasured confounder: {ENDPOINTS[endpoint].lower()}"),
        (0.603, "B  Informative censoring"),
    ):
        figure.text(x, 1 - 0.24 / height, words, fontsize=8, fontweight="bold", va="center")
    arms = list(dict.fromkeys(own["label"]))
    handles = [
        Line2D([], [], color=look.colour, linestyle=look.line, marker=look.marker, markersize=4, label=arm)
        for arm, look in zip(arms, LOOKS, strict=False)
    ]
    ratio.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(-0.21, 1.16), ncols=2, fontsize=7, columnspacing=1.2,
        title="Arm whose censored patients fare differently", title_fontsize=6.5, alignment="left", borderaxespad=0.1,
    )  # fmt: skip
    if inputs.cohort.synthetic:
        mark_synthetic(figure, [left, ratio, months], size=14)
    return figure, drawn.frame()


def _endpoint(inputs: Inputs, frame: pd.DataFrame) -> str:
    """Return the endpoint of the primary analysis, or the first there is."""
    found = list(dict.fromkeys(frame["endpoint"]))
    assert inputs.plan.sensitivity is not None
    primary = inputs.plan.sensitivity.specifications.primary.endpoint
    return primary if primary in found else str(found[0])


def _draw_contour(ax: Axes, own: pd.DataFrame, drawn: Drawn) -> None:
    """Draw, for each strength of a confounder, the prevalences at which the corrected interval touches 1."""
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.set_aspect("equal")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MultipleLocator(0.2))
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.set_xlabel("Prevalence of the confounder in the treated")
    ax.set_ylabel("Prevalence in the others")
    ax.plot([0, 1], [0, 1], color=RULE, linewidth=0.7, zorder=0)
    boundary = own[own["kind"] == "boundary"]
    if boundary.empty:
        not_estimable(ax)
        return
    strengths = sorted(boundary["confounder_hr"].unique())
    for strength, look in zip(strengths, _SHADES, strict=False):
        for crosses in ("low", "high"):
            line = boundary[(boundary["confounder_hr"] == strength) & (boundary["crosses"] == crosses)]
            if line.empty:
                continue
            x, y = line["prevalence_treated"].to_numpy(), line["prevalence_control"].to_numpy()
            ax.plot(x, y, color=look[0], linestyle=look[1], linewidth=1.3, zorder=2)
            _name_line(ax, x, y, format_value({"value": strength, "unit": "ratio"}), look[0])
            drawn.add("boundary", panel="confounding", series=f"{strength:g}, {crosses} limit", x=x, y=y)
    ax.text(
        1.015, 1.0, "Hazard\nratio of\nconfounder", transform=ax.transAxes, fontsize=6.5, ha="left", va="top",
        linespacing=1.1,
    )  # fmt: skip
    _write_below(ax, 0, "Below the lower lines the interval would lie below 1, above the upper ones above 1.")
    _draw_benchmarks(ax, own[own["kind"] == "benchmark"], drawn)


def _write_below(ax: Axes, line: int, words: str) -> None:
    """Write one line of the notes below a panel."""
    ax.annotate(
        words, (0.0, 0.0), xycoords="axes fraction", xytext=(-40, -35 - 9.5 * line), textcoords="offset points",
        fontsize=6.5, va="top", color=INK,
    )  # fmt: skip


def _name_line(ax: Axes, x: np.ndarray, y: np.ndarray, text: str, colour: str) -> None:
    """Write a line's name where it leaves the panel, or where it ends."""
    end = int(np.argmax(x + y))
    at_top = y[end] > 0.985
    ax.annotate(
        text,
        (x[end], y[end]),
        xytext=(0, 3) if at_top else (3, 0),
        textcoords="offset points",
        ha="center" if at_top else "left",
        va="bottom" if at_top else "center",
        fontsize=6.5,
        color=colour,
        annotation_clip=False,
    )


_SHADES = (
    ("#000000", (0, (1, 1.2))),
    ("#0072B2", (0, (5, 1.8))),
    ("#009E73", (0, (5, 1.5, 1, 1.5))),
    ("#D55E00", "-"),
    ("#CC79A7", (0, (8, 2))),
)


def _draw_benchmarks(ax: Axes, points: pd.DataFrame, drawn: Drawn) -> None:
    """Draw the measured covariates as confounders; name those that could bias most."""
    if points.empty:
        return
    treated, control, hr = (points[name].to_numpy(dtype=float) for name in
                            ("prevalence_treated", "prevalence_control", "confounder_hr"))  # fmt: skip
    bias = np.abs(np.log((hr * treated + 1 - treated) / (hr * control + 1 - control)))
    order = np.argsort(-bias, kind="stable")
    named = order[:BENCHMARKS_NAMED]
    ax.plot(treated, control, "o", color="white", markeredgecolor=INK, markersize=3.5, markeredgewidth=0.8, zorder=6)
    ax.plot(treated[named], control[named], "o", color=INK, markersize=4, zorder=7)
    for number, at in enumerate(named, start=1):
        above = control[at] > treated[at]
        ax.annotate(
            str(number), (treated[at], control[at]), xytext=(-3.5, 1) if above else (3.5, -1),
            textcoords="offset points", fontsize=6.5, fontweight="bold", zorder=8,
            ha="right" if above else "left", va="bottom" if above else "top",
        )  # fmt: skip
    labels = points["label"].to_numpy()
    texts = [
        f"{number}  {labels[at]} ({format_value({'value': hr[at], 'unit': 'ratio'})})"
        for number, at in enumerate(named, start=1)
    ]
    key = "\u25cb\u25cf  Measured covariates as binary confounders (hazard ratio); numbered: could bias most"
    for line, words in enumerate([key, *texts], start=1):
        _write_below(ax, line, words)
    drawn.add(
        "benchmark", panel="confounding", series=labels, x=treated, y=control,
        text=[format_value({"value": value, "unit": "ratio"}) for value in hr], ard_id=points["ard_id"].to_numpy(),
    )  # fmt: skip


def _draw_censoring(ax: Axes, own: pd.DataFrame, stat: str, low: str, high: str, null: float, drawn: Drawn) -> None:
    """Draw one measure over the hazard ratio after censoring, a line with its band an arm."""
    ax.set_xscale("log")
    deltas = sorted(own["delta"].unique())
    ax.xaxis.set_major_locator(FixedLocator(deltas))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.tick_params(axis="x", labelsize=7)
    if not np.isfinite(own[stat]).any():
        not_estimable(ax)
        return
    if stat == "hr":
        ax.set_yscale("log")
        limits = (min(0.8, own[low].min() / 1.05), max(1.25, own[high].max() * 1.05))
        ax.set_ylim(*limits)
        ratio_ticks(ax.yaxis, *limits, gap=0.14)
    ax.axhline(null, color=RULE, linewidth=0.8, zorder=0)
    ax.axvline(1.0, color=RULE, linewidth=0.6, linestyle=(0, (2, 2)), zorder=0)
    for (arm, rows), look in zip(own.groupby("label", sort=False), LOOKS, strict=False):
        rows = rows.sort_values("delta")
        ax.plot(rows["delta"], rows[stat], color=look.colour, linestyle=look.line, marker=look.marker, markersize=4)
        ax.fill_between(rows["delta"], rows[low], rows[high], color=look.colour, alpha=0.15, linewidth=0)
        drawn.add(
            "curve", panel=stat, series=str(arm), x=rows["delta"].to_numpy(), y=rows[stat].to_numpy(),
            low=rows[low].to_numpy(), high=rows[high].to_numpy(), ard_id=rows["ard_id"].to_numpy(),
        )  # fmt: skip
