"""The same question asked by several designs, side by side; and the curves of the emulated target trial."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from sorafenib_rfa.arms import arms_of
from sorafenib_rfa.exhibits.figures.canvas import (
    FEWEST_AT_RISK,
    MUTED,
    RULE,
    Drawn,
    Inputs,
    arm_looks,
    count_text,
    mark_synthetic,
    new_figure,
    too_few,
)
from sorafenib_rfa.exhibits.figures.forest import MARKERS, draw_interval, ratio_ticks
from sorafenib_rfa.exhibits.figures.survival import (
    axis_of_months,
    draw_risk_table,
    draw_survival,
    roomier_corner,
    top_legend,
    weighted_risk,
)
from sorafenib_rfa.vocabulary import ENDPOINTS

ROW_IN = 0.4
_N_RIGHT = 0.392
"""Right edge of the numbers of patients."""
_CLONED = ("target_trial.cloning.patients",)
_PATIENTS = {
    "landmark": ("efficacy.{endpoint}_cox_overlap.contrast.n",),
    "time_varying": ("target_trial.{endpoint}_time_varying_adjusted.contrast.n",),
    "naive": ("efficacy.{endpoint}_naive.{treated}.n", "efficacy.{endpoint}_naive.{control}.n"),
}
"""Design -> the ARD rows that add up to its patients; the others are of the patients cloned."""
TRUTH = "#0072B2"
_RISK_STEP_MONTHS = 12
_LINE = 52
_NOTE = 140
"""Letters to a line of explanation, and of the notes."""
_NOTE_IN = 0.115
"""Height of a line of the notes."""
_MARGINAL = (
    "Hazard ratios are marginal, but that of the time-varying exposure, which is conditional on the covariates it is "
    "adjusted for."
)
_ONE_TRUTH = (
    "The truth drawn through all rows is that of the primary analysis: from RFA, in patients in equipoise. Designs "
    "with another time zero or population estimate a truth of their own."
)


class Truth(NamedTuple):
    """A true value to draw: the ARD row it is in, and its label."""

    ard_id: str
    label: str


class _Interval(NamedTuple):
    """An estimate as :func:`draw_interval` takes it."""

    hr: float
    lo: float
    hi: float


class _Panel(NamedTuple):
    """One measure: where its axes and its numbers stand (shares of the width), and its value without an effect."""

    measure: str
    title: str
    left: float
    width: float
    numbers: float
    none: float
    better: str
    worse: str


def draw_designs(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the effect on recurrence-free survival by design: restricted mean difference and hazard ratio.

    Curve ``designs_rfs``; numbers from the ARD rows it names.
    """
    return designs_figure(inputs, "RFS")


def designs_figure(
    inputs: Inputs, endpoint: str, truths: Mapping[str, Truth] | None = None
) -> tuple[Figure, pd.DataFrame]:
    """Draw designs as rows and measures as panels, the primary first, the naive one apart and flagged.

    Parameters
    ----------
    inputs : Inputs
        With the curve ``designs_<endpoint>``.
    endpoint : str
        RFS or OS.
    truths : mapping, optional
        Measure (``rmst_difference``, ``hr``) -> a true value of the primary estimand, drawn as a line through its
        panel. Only a simulation has one.

    Notes
    -----
    The number of patients of a design comes from :data:`_PATIENTS`.
    """
    rows = inputs.curve(f"designs_{endpoint.lower()}")
    designs = rows.drop_duplicates("key")[["key", "label", "role", "explains"]].reset_index(drop=True)
    naive = (designs["role"] == "naive").to_numpy()
    places = np.arange(len(designs), dtype=float) + np.where(naive, 0.3, 0.0)
    above_in = 0.7 if truths is None else 0.82
    notes = _notes(rows, truths)
    below_in = 0.6 + _NOTE_IN * len(notes)
    height = below_in + above_in + ROW_IN * (places.max() + 1)
    figure, drawn = new_figure(height), Drawn()
    bottom, top = below_in / height, 1 - above_in / height
    arms = arms_of(inputs.cohort)
    panels = (
        _Panel("rmst_difference", "Difference, months", 0.415, 0.128, 0.550, 0.0, arms.treated, arms.control),
        _Panel("hr", "Hazard ratio", 0.708, 0.128, 0.843, 1.0, arms.treated, arms.control),
    )
    level = f"({100 * inputs.plan.confidence_level:g}% CI)"
    header = {"fontsize": 7.5, "fontweight": "bold", "va": "bottom", "linespacing": 1.2}
    above = top + (0.06 if truths is None else 0.19) / height
    figure.text(0.012, 1 - 0.05 / height, ENDPOINTS[endpoint], fontsize=9, fontweight="bold", va="top")
    figure.text(0.012, above, "Design and what it compares", **header)
    figure.text(_N_RIGHT, above, "n", ha="right", **header)
    span = f"Restricted mean to month {inputs.plan.rmst_horizon_months:g},\ndifference in months {level}"
    for panel, words in zip(panels, (span, f"Hazard ratio {level}"), strict=True):
        figure.text(panel.left, above, words, **header)
    axes = []
    for panel in panels:
        ax = figure.add_axes((panel.left, bottom, panel.width, top - bottom))
        axes.append(ax)
        ax.set_ylim(places.max() + 0.55, -0.55)
        own = rows[rows["measure"] == panel.measure].set_index("key")["ard_id"]
        values = {key: inputs.rows[ard_id] for key, ard_id in own.items()}
        truth = (truths or {}).get(panel.measure)
        _scale(ax, panel, values, None if truth is None else float(inputs.rows[truth.ard_id]["value"]))
        ax.axvline(panel.none, color=RULE, linewidth=0.8, zorder=0)
        for side, who in ((1, "treated"), (-1, "control")) if panel.none == 0 else ((-1, "treated"), (1, "control")):
            ax.annotate(
                f"favours\n{panel.better if who == 'treated' else panel.worse}", (panel.none, 0),
                xycoords=("data", "axes fraction"), xytext=(3 * side, -19), textcoords="offset points",
                ha="left" if side > 0 else "right", va="top", fontsize=6, color=MUTED, linespacing=1.1,
            )  # fmt: skip
        if truth is not None:
            _truth(ax, inputs, truth, panel, drawn)
        for place, design in zip(places, designs.itertuples(), strict=True):
            y = _height(ax, place, bottom, top)
            look = MARKERS[design.role]
            if design.key not in own:
                figure.text(panel.numbers, y, "not applicable", fontsize=6.5, color=MUTED, va="center")
                continue
            row, ard_id = values[design.key], own[design.key]
            if np.isfinite(row["value"]):
                draw_interval(ax, _Interval(row["value"], row["ci_low"], row["ci_high"]), place, look)
            text = inputs.number(ard_id, "ci").replace(f"{level[1:-1]} ", "")
            figure.text(
                panel.numbers, y, text, fontsize=7, va="center", color=look["color"],
                fontweight="bold" if design.role == "primary" else "normal",
            )  # fmt: skip
            drawn.add(
                "interval", panel=panel.title, series=design.label, x=row["value"], y=place, low=row["ci_low"],
                high=row["ci_high"], text=text, ard_id=ard_id,
            )  # fmt: skip
    _names(figure, axes[0], designs, places, bottom, top, drawn)
    heights = [_height(axes[0], place, bottom, top) for place in places]
    _write_patients(figure, inputs, designs, heights, endpoint, drawn)
    figure.text(
        0.012, 0.05 / height, "\n".join(notes), fontsize=6.2, color=MUTED, va="bottom", linespacing=1.2,
    )  # fmt: skip
    if inputs.cohort.synthetic:
        mark_synthetic(figure, axes, size=9)
    return figure, drawn.frame()


def _names(
    figure: Figure, ax: Axes, designs: pd.DataFrame, places: np.ndarray, bottom: float, top: float, drawn: Drawn
) -> None:
    """Write each design with its line of explanation, and set the naive one apart."""
    for place, design in zip(places, designs.itertuples(), strict=True):
        y = _height(ax, place, bottom, top)
        look = MARKERS[design.role]
        mark = {"primary": " (primary)", "naive": " (biased)"}.get(design.role, "")
        figure.text(
            0.012, y, design.label + mark, fontsize=7.5, va="bottom", color=look["color"],
            fontweight="bold" if design.role == "primary" else "normal",
        )  # fmt: skip
        # lines of about equal length: no word alone on the last
        width = len(design.explains) // -(-len(design.explains) // _LINE) + 8
        explained = textwrap.fill(design.explains, min(width, _LINE))
        figure.text(0.012, y, explained, fontsize=6, va="top", color=MUTED, linespacing=1.1)
        drawn.add(
            "text", panel="designs", series=design.label, y=place, text=f"{design.label}{mark}: {design.explains}"
        )
        if design.role == "naive":
            line = _height(ax, place - 0.65, bottom, top)
            figure.add_artist(Line2D([0.012, 0.99], [line, line], color=RULE, linewidth=0.6, linestyle=(0, (2, 2))))


def _notes(rows: pd.DataFrame, truths: Mapping[str, Truth] | None) -> list[str]:
    """Return the lines of the notes below the panels."""
    notes = [_MARGINAL] if (rows["key"] == "time_varying").any() else []
    notes += [_ONE_TRUTH] if truths else []
    return [line for note in notes for line in textwrap.wrap(note, _NOTE)]


def _write_patients(
    figure: Figure, inputs: Inputs, designs: pd.DataFrame, heights: list[float], endpoint: str, drawn: Drawn
) -> None:
    """Write how many patients each design uses; nothing where it could not be carried out."""
    arms = arms_of(inputs.cohort)
    names = {"endpoint": endpoint.lower(), "treated": arms.slug(arms.treated), "control": arms.slug(arms.control)}
    for y, design in zip(heights, designs.itertuples(), strict=True):
        ids = [ard_id.format(**names) for ard_id in _PATIENTS.get(design.key, _CLONED)]
        patients = float(sum(inputs.rows[ard_id]["value"] for ard_id in ids))
        if not np.isfinite(patients):
            continue
        look = MARKERS[design.role]
        figure.text(
            _N_RIGHT, y, count_text(patients), fontsize=7, ha="right", va="center", color=look["color"],
            fontweight="bold" if design.role == "primary" else "normal",
        )  # fmt: skip
        drawn.add(
            "patients", panel="designs", series=design.label, x=patients, text=count_text(patients),
            ard_id=ids[0] if len(ids) == 1 else pd.NA,
        )  # fmt: skip


def _height(ax: Axes, place: float, bottom: float, top: float) -> float:
    """Return where a row stands on the page."""
    low, high = ax.get_ylim()
    return bottom + (top - bottom) * (low - place) / (low - high)


def _scale(ax: Axes, panel: _Panel, values: Mapping[str, Mapping[str, Any]], truth: float | None) -> None:
    """Set the axis: logarithmic for ratios, symmetric room about no effect for differences."""
    numbers = [float(row[name]) for row in values.values() for name in ("value", "ci_low", "ci_high")]
    numbers = [number for number in [*numbers, *([] if truth is None else [truth])] if np.isfinite(number)]
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    if panel.none == 1.0:
        ax.set_xscale("log")
        low, high = min([*numbers, 0.7]) / 1.08, max([*numbers, 1.4]) * 1.08
        ax.set_xlim(max(low, 0.08), min(high, 12))
        ratio_ticks(ax.xaxis, *ax.get_xlim(), gap=0.28)
    else:
        low, high = min([*numbers, -1.0]), max([*numbers, 1.0])
        room = 0.06 * (high - low)
        ax.set_xlim(low - room, high + room)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("-", "\u2212"))
    ax.tick_params(axis="x", labelsize=7)


def _truth(ax: Axes, inputs: Inputs, truth: Truth, panel: _Panel, drawn: Drawn) -> None:
    """Draw a true value through a panel, its label above."""
    value = float(inputs.rows[truth.ard_id]["value"])
    ax.axvline(value, color=TRUTH, linewidth=1.3, linestyle=(0, (4, 1.5)), zorder=1)
    text = f"{truth.label} {inputs.number(truth.ard_id)}"
    ax.annotate(
        text, (value, 1), xycoords=("data", "axes fraction"), xytext=(0, 1), textcoords="offset points",
        ha="center", va="bottom", fontsize=6.5, color=TRUTH,
    )  # fmt: skip
    drawn.add("truth", panel=panel.title, series=truth.label, x=value, text=text, ard_id=truth.ard_id)


def draw_km_ccw_rfs(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw recurrence-free survival under the two strategies of the emulated trial, from time zero on.

    Curves ``km_ccw_rfs`` and ``ccw_weights``; ARD rows of ``target_trial.rfs_ccw_overlap``. Bands are pointwise
    bootstrap intervals; numbers below are sums of weights at risk, and Kish's effective numbers of copies. A curve ends
    at the last month of ``ccw_weights`` at which the effective number is
    :data:`~sorafenib_rfa.exhibits.figures.canvas.FEWEST_AT_RISK` or more.
    """
    curves, weights = inputs.curve("km_ccw_rfs"), inputs.curve("ccw_weights")
    weights = weights[(weights["endpoint"] == "RFS") & (weights["form"] == "overlap")]
    groups = list(dict.fromkeys(curves["group"]))
    labels = dict(zip(curves["group"], curves["label"], strict=True))
    looks = arm_looks(groups, arms_of(inputs.cohort))
    enough = weights[weights["effective_n"] >= FEWEST_AT_RISK]
    ends = enough.groupby("group")["time_months"].max()
    longest = float(ends.max()) if len(ends) else inputs.plan.rmst_horizon_months
    figure, drawn = new_figure(4.7, width_in=5.2), Drawn()
    ax = figure.subplots(gridspec_kw={"left": 0.235, "right": 0.98, "bottom": 0.365, "top": 0.915})
    for group in groups:
        if group in ends:
            curve = curves[curves["group"] == group]
            draw_survival(ax, _until(curve, ends[group]), looks[group], labels[group], "", drawn)
    if ends.empty:
        too_few(ax)
    axis_of_months(ax, inputs, longest, landmark=False)
    ax.set_ylim(0, 102)
    ax.set_yticks(range(0, 101, 20))
    ax.set_ylabel(f"{ENDPOINTS['RFS']} (%)")
    month = f"m{inputs.plan.rmst_horizon_months:g}".replace(".", "_")
    parts = (
        (f"Restricted mean to month {inputs.plan.rmst_horizon_months:g}, difference", f"contrast.{month}.difference"),
        ("Hazard ratio", "contrast.hr"),
    )
    lines = []
    for words, stat in parts:
        ard_id = f"target_trial.rfs_ccw_overlap.{stat}"
        text = f"{words} {inputs.number(ard_id, 'ci', unit=True)}"
        lines.append(text)
        drawn.add("text", text=text, ard_id=ard_id)
    corner = roomier_corner(ax)
    where = {"x": 0.985, "y": 0.97, "ha": "right", "va": "top"} if corner == "top" else {"x": 0.03, "y": 0.04}
    ax.text(
        s="\n".join(line.replace(", difference ", ",\ndifference ") for line in lines), transform=ax.transAxes,
        fontsize=7.5, linespacing=1.35, zorder=4,
        bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.5}, **where,
    )  # fmt: skip
    months = np.arange(0, longest + 0.1, _RISK_STEP_MONTHS, dtype=float)
    risk = pd.DataFrame([{"group": group, "time_months": m} for group in groups for m in months])
    draw_risk_table(
        ax, weighted_risk(curves, risk), groups, looks, labels, "Sum of weights at risk", "", drawn, names=True
    )
    draw_risk_table(
        ax, _effective_risk(weights, risk), groups, looks, labels, "Effective number of copies at risk", "", drawn,
        names=True, element="effective_n", above=len(groups) + 1,
    )  # fmt: skip
    figure.text(
        0.98, 0.012, f"Curves end where the effective number falls below {FEWEST_AT_RISK}.", ha="right", va="bottom",
        fontsize=6.5, color=MUTED,
    )  # fmt: skip
    top_legend(figure, [(labels[group], looks[group]) for group in groups])
    if inputs.cohort.synthetic:
        mark_synthetic(figure, [ax])
    return figure, drawn.frame()


def _until(curve: pd.DataFrame, end: float) -> pd.DataFrame:
    """Return a survival curve up to a month, at which it keeps its last value."""
    kept = curve[curve["time_months"] <= end]
    last = kept.iloc[[-1]].assign(time_months=min(end, float(curve["time_months"].max())), n_event=0.0, n_censor=0.0)
    return pd.concat([kept, last], ignore_index=True)


def _effective_risk(weights: pd.DataFrame, risk: pd.DataFrame) -> pd.DataFrame:
    """Return the risk table of effective numbers: that of the last month of `weights` up to each month of `risk`."""
    rows = []
    for row in risk.itertuples():
        own = weights[weights["group"] == row.group]
        # beyond the last month nobody is at risk
        known = own[(own["time_months"] <= row.time_months) & (own["time_months"].max() >= row.time_months)]
        rows.append(0.0 if known.empty else float(known["effective_n"].iloc[-1]))
    return risk.assign(n_risk=rows)
