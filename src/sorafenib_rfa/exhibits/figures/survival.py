"""Kaplan-Meier curves and cumulative incidence of treatment arms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from sorafenib_rfa.arms import arms_of
from sorafenib_rfa.exhibits.figures.canvas import (
    FEWEST_AT_RISK,
    INK,
    MUTED,
    RULE,
    WIDTH_IN,
    Drawn,
    Inputs,
    Look,
    arm_looks,
    band,
    count_text,
    enough_at_risk,
    mark_synthetic,
    month_ticks,
    months_label,
    new_figure,
    not_estimable,
    steps,
    text_width_in,
    too_few,
)
from sorafenib_rfa.vocabulary import ENDPOINTS

ROW_IN = 0.155
"""Height of one line of a risk table."""


def draw_km(inputs: Inputs, endpoint: str) -> tuple[Figure, pd.DataFrame]:
    """Draw Kaplan-Meier curves by arm, unweighted and overlap-weighted, each with its risk table.

    Curves ``km_<endpoint>`` and ``risk_table_<endpoint>``; hazard ratios from ARD
    ``efficacy.<endpoint>_cox_unadjusted|overlap.contrast.hr``. Numbers at risk under weighted curves are sums of
    weights.
    """
    key = endpoint.lower()
    curves, risk = inputs.curve(f"km_{key}"), inputs.curve(f"risk_table_{key}")
    groups = list(dict.fromkeys(curves["group"]))
    labels = dict(zip(curves["group"], curves["label"], strict=True))
    looks = arm_looks(groups, arms_of(inputs.cohort))
    longest = float(curves["time_months"].max())
    figure, drawn = new_figure(3.9), Drawn()
    # room for the names of the arms beside the risk table
    names = max(0.155, (text_width_in(figure, list(labels.values()), 7) + 0.19) / WIDTH_IN)
    grid = {"left": names, "right": 0.985, "bottom": 0.255, "top": 0.87, "wspace": 0.09}
    axes = figure.subplots(1, 2, sharey=True, gridspec_kw=grid)
    panels = (
        ("none", "Unweighted", "unadjusted", "Number at risk"),
        ("overlap", "Overlap-weighted", "overlap", "Sum of weights at risk"),
    )
    for ax, (weighting, title, model, at_risk_title) in zip(axes, panels, strict=True):
        ax.set_title(title)
        mine = curves[curves["weighting"] == weighting]
        if mine.empty:
            not_estimable(ax)
        for group in groups:
            curve = mine[mine["group"] == group]
            if not curve.empty:
                draw_survival(ax, curve, looks[group], labels[group], title, drawn)
        axis_of_months(ax, inputs, longest, landmark=True)
        _hazard_ratio(ax, inputs, f"efficacy.{key}_cox_{model}.contrast.hr", title, drawn)
        table = risk if weighting == "none" else weighted_risk(mine, risk)
        if not mine.empty:
            draw_risk_table(ax, table, groups, looks, labels, at_risk_title, title, drawn, names=ax is axes[0])
    axes[0].set_ylim(0, 102)
    axes[0].set_ylabel(f"{ENDPOINTS[endpoint]} (%)")
    top_legend(figure, [(labels[group], looks[group]) for group in groups])
    if inputs.cohort.synthetic:
        mark_synthetic(figure, axes)
    return figure, drawn.frame()


def draw_survival(ax: Axes, curve: pd.DataFrame, look: Look, label: str, panel: str, drawn: Drawn) -> None:
    """Draw one Kaplan-Meier curve in percent, with its band and a tick for each time with a censoring."""
    x, y = curve["time_months"].to_numpy(dtype=float), 100 * curve["survival"].to_numpy(dtype=float)
    low, high = (100 * curve[name].to_numpy(dtype=float) for name in ("ci_low", "ci_high"))
    band(ax, x, low, high, look)
    steps(ax, x, y, look, zorder=3, label=label)
    censored = curve["n_censor"].to_numpy(dtype=float) > 0
    ax.plot(x[censored], y[censored], "|", color=look.colour, markersize=3.2, markeredgewidth=0.6, zorder=3)
    drawn.add("curve", panel=panel, series=label, x=x, y=y, low=low, high=high)
    drawn.add("censored", panel=panel, series=label, x=x[censored], y=y[censored])


def axis_of_months(ax: Axes, inputs: Inputs, longest: float, *, landmark: bool) -> None:
    """Label the time axis and mark the landmark."""
    ax.set_xlim(0, longest * 1.01)
    ax.set_xticks(month_ticks(longest))
    ax.set_xlabel(months_label(inputs.cohort), labelpad=2)
    if landmark and inputs.plan.landmark_day:
        ax.axvline(inputs.landmark_months, color=RULE, linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)


def landmark_text(ax: Axes, inputs: Inputs, *, top: float | None = None) -> None:
    """Say what the dotted line is: at its foot, or hanging from the height `top` of the axes; without one, nothing."""
    if not inputs.plan.landmark_day:
        return
    ax.annotate(
        f"landmark, day {inputs.plan.landmark_day}",
        (inputs.landmark_months, 0 if top is None else top),
        xycoords=("data", "axes fraction"),
        xytext=(2.5, 4 if top is None else 0),
        textcoords="offset points",
        fontsize=6.5,
        color=MUTED,
        rotation=90,
        ha="left",
        va="bottom" if top is None else "top",
    )


def _hazard_ratio(ax: Axes, inputs: Inputs, ard_id: str, panel: str, drawn: Drawn) -> None:
    """Print the hazard ratio with interval and p value where the curves leave room, and name the dotted line."""
    landmark_text(ax, inputs)
    text = f"Hazard ratio {inputs.number(ard_id, 'ci')}"
    if inputs.rows[ard_id]["p_value"] == inputs.rows[ard_id]["p_value"]:
        text += f"\n{inputs.number(ard_id, 'p')}"
    corner = roomier_corner(ax)
    where = {"x": 0.985, "y": 0.97, "ha": "right", "va": "top"} if corner == "top" else {"x": 0.12, "y": 0.04}
    ax.text(
        s=text,
        transform=ax.transAxes,
        fontsize=7.5,
        linespacing=1.35,
        bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.5},
        zorder=4,
        **where,
    )
    drawn.add("text", panel=panel, text=text.replace("\n", ", "), ard_id=ard_id)


def roomier_corner(ax: Axes) -> str:
    """Return where a short text hides less of the curves: ``top`` (right) or ``bottom`` (left)."""
    hidden = {"top": 0, "bottom": 0}
    boxes = {"top": (0.3, 1.0, 0.82, 1.1), "bottom": (0.1, 0.85, -0.1, 0.2)}
    grid = np.linspace(*ax.get_xlim(), 200)
    for line in ax.lines:
        x, y = (np.asarray(values, dtype=float) for values in line.get_data())
        if line.get_drawstyle() != "steps-post" or not len(x):
            continue
        seen = grid[(grid >= x[0]) & (grid <= x[-1])]
        at = y[np.searchsorted(x, seen, side="right") - 1]
        fraction_x, fraction_y = seen / ax.get_xlim()[1], at / 102
        for corner, (left, right, low, high) in boxes.items():
            inside = (fraction_x > left) & (fraction_x < right) & (fraction_y > low) & (fraction_y < high)
            hidden[corner] += int(inside.sum())
    return min(hidden, key=lambda corner: (hidden[corner], corner))


def weighted_risk(curves: pd.DataFrame, risk: pd.DataFrame) -> pd.DataFrame:
    """Return the risk table of weighted curves: the sum of weights at risk just before each month of `risk`."""
    rows = []
    for row in risk.itertuples():
        own = curves[curves["group"] == row.group]
        later = own[own["time_months"] >= row.time_months]
        rows.append(0.0 if later.empty else float(later["n_risk"].iloc[0]))
    return risk.assign(n_risk=rows)


def draw_risk_table(
    ax: Axes,
    table: pd.DataFrame,
    groups: list[str],
    looks: dict[str, Look],
    labels: dict[str, str],
    title: str,
    panel: str,
    drawn: Drawn,
    *,
    names: bool,
    element: str = "at_risk",
    above: int = 0,
) -> None:
    """Print numbers at risk below the time axis, each under its month, with `above` lines of another table between."""
    ticks = set(ax.get_xticks())
    months = [m for m in dict.fromkeys(table["time_months"]) if m in ticks or m == table["time_months"].min()]
    points = 72 * ROW_IN
    offset = -34.0 - above * points - (4.0 if above else 0.0)
    ax.annotate(
        title, (0, 0), xycoords="axes fraction", xytext=(0, offset), textcoords="offset points", fontsize=7, va="top",
        color=INK, fontweight="bold",
    )  # fmt: skip
    for line, group in enumerate(groups, start=1):
        height = offset - line * points
        if names:
            ax.annotate(
                labels[group], (0, 0), xycoords="axes fraction", xytext=(-12, height), textcoords="offset points",
                ha="right", va="top", fontsize=7, color=looks[group].colour,
            )  # fmt: skip
        own = table[table["group"] == group].set_index("time_months")["n_risk"]
        for month in months:
            text = count_text(own[month])
            ax.annotate(
                text, (month, 0), xycoords=("data", "axes fraction"), xytext=(0, height), textcoords="offset points",
                ha="center", va="top", fontsize=7, color=looks[group].colour,
            )  # fmt: skip
            drawn.add(element, panel=panel, series=labels[group], x=month, y=own[month], text=text)


def top_legend(
    figure: Figure, entries: list[tuple[str, Look]], extra: list[Line2D] | None = None, **where: object
) -> None:
    """Put one legend on top of the figure, in the order of the entries."""
    handles = [Line2D([], [], color=look.colour, linestyle=look.line, label=label) for label, look in entries]
    handles += extra or []
    figure.legend(
        handles=handles, loc="upper left", ncols=len(handles), borderaxespad=0, columnspacing=1.8,
        bbox_to_anchor=(0.155, 0.995), **where,
    )  # fmt: skip


def draw_cif_first_event(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the cumulative incidence of each kind of first event by arm, a panel a kind, each on its own scale.

    Curve ``cif_first_event``; Gray's tests from ARD ``efficacy.first_event.contrast.<cause>.gray_chi2``.
    """

    def test(cause: str) -> tuple[str, str]:
        ard_id = f"efficacy.first_event.contrast.{cause}.gray_chi2"
        return f"Gray's test, {inputs.number(ard_id, 'p')}", ard_id

    return draw_incidence_panels(inputs, inputs.curve("cif_first_event"), test, weighted=False)


def draw_incidence_panels(
    inputs: Inputs, curves: pd.DataFrame, text_of: Callable[[str], tuple[str, str]], *, weighted: bool
) -> tuple[Figure, pd.DataFrame]:
    """Draw cumulative incidence by arm, a panel a cause, each on its own scale: rare causes are seen beside frequent.

    Parameters
    ----------
    curves : DataFrame
        ``group, label, cause, cause_label, time_months, incidence, ci_low, ci_high, n_risk``. A curve ends where
        fewer than :data:`~sorafenib_rfa.exhibits.figures.canvas.FEWEST_AT_RISK` (by number or weight) are at risk.
    text_of : callable
        Cause -> the text printed above its panel and the ARD row it says.
    weighted : bool
        Whether ``n_risk`` is a sum of weights.
    """
    groups = list(dict.fromkeys(curves["group"]))
    labels = dict(zip(curves["group"], curves["label"], strict=True))
    looks = arm_looks(groups, arms_of(inputs.cohort))
    causes = dict(zip(curves["cause"], curves["cause_label"], strict=True))
    known = curves["incidence"].notna()
    seen = enough_at_risk(curves[known])
    longest = float(seen["time_months"].max()) if len(seen) else inputs.plan.rmst_horizon_months
    lines = max(text_of(cause)[0].count("\n") + 1 for cause in causes)
    n_columns = 2 if len(causes) <= 4 else 3
    n_rows = -(-len(causes) // n_columns)
    row_in, between_in = 1.6, 0.45 + 0.14 * lines
    height = 0.65 + (row_in + between_in) * n_rows
    figure, drawn = new_figure(height), Drawn()
    grid = {
        "left": 0.085, "right": 0.985, "bottom": 0.45 / height, "top": 1 - (0.2 + between_in) / height, "wspace": 0.2,
        "hspace": between_in / row_in,
    }  # fmt: skip
    axes = figure.subplots(n_rows, n_columns, sharex=True, squeeze=False, gridspec_kw=grid)
    used = list(axes.flat)[: len(causes)]
    for ax in list(axes.flat)[len(causes) :]:
        ax.remove()
    for ax, (cause, title) in zip(used, causes.items(), strict=True):
        ax.set_title(title, pad=6 + 10 * lines)
        own = seen[seen["cause"] == cause]
        if known[curves["cause"] == cause].any() and own.empty:
            too_few(ax)
        for group in groups:
            curve = own[own["group"] == group]
            if len(curve):
                incidence(ax, curve, looks[group], labels[group], title, drawn)
        _scale_of_incidence(ax, own)
        text, ard_id = text_of(cause)
        ax.annotate(
            text, (0, 1), xycoords="axes fraction", xytext=(0, 3), textcoords="offset points", va="bottom", fontsize=7,
            linespacing=1.2,
        )  # fmt: skip
        drawn.add("text", panel=title, text=text.replace("\n", ", "), ard_id=ard_id)
        axis_of_months(ax, inputs, longest, landmark=True)
        below = ax.get_subplotspec().rowspan.stop == n_rows or used.index(ax) + n_columns >= len(used)
        ax.tick_params(labelbottom=below)
        ax.set_xlabel(months_label(inputs.cohort) if below else "")
    for row in axes[:, 0]:
        row.set_ylabel("Cumulative incidence")
    ends = "the weights at risk sum to less than" if weighted else "fewer than"
    said = (
        f"Each panel has its own scale. Curves end where {ends} {FEWEST_AT_RISK}{'' if weighted else ' are at risk'}."
    )
    if inputs.plan.landmark_day:
        said += f" Dotted line: landmark, day {inputs.plan.landmark_day}."
    figure.text(0.985, 1 - 0.24 / height, said, ha="right", va="top", fontsize=6.5, color=MUTED)
    figure.legend(
        handles=[
            Line2D([], [], color=looks[group].colour, linestyle=looks[group].line, label=labels[group])
            for group in groups
        ],
        loc="upper left", ncols=len(groups), borderaxespad=0, bbox_to_anchor=(0.085, 1 - 0.05 / height),
    )  # fmt: skip
    if inputs.cohort.synthetic:
        mark_synthetic(figure, used, size=18)
    return figure, drawn.frame()


def _scale_of_incidence(ax: Axes, curves: pd.DataFrame) -> None:
    """Set the axis in percent, from the curves and their bands.

    Upper limits beyond one and a half times the highest curve are cut: late, sparse steps must not flatten the curves.
    """
    percent = 100 * curves[["incidence", "ci_high"]].astype(float).fillna(0.0)
    highest, limit = (float(percent[name].max()) if len(percent) else 0.0 for name in percent)
    ax.set_ylim(0, min(max(1.05 * min(limit, 1.5 * highest), 1.05 * highest, 2.0), 102.0))
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}%")


def incidence(ax: Axes, curve: pd.DataFrame, look: Look, label: str, panel: str, drawn: Drawn) -> None:
    """Draw one cumulative incidence curve in percent, with its band."""
    x = curve["time_months"].to_numpy(dtype=float)
    y, low, high = (100 * curve[name].to_numpy(dtype=float) for name in ("incidence", "ci_low", "ci_high"))
    band(ax, x, low, high, look)
    steps(ax, x, y, look, zorder=3, label=label)
    drawn.add("curve", panel=panel, series=label, x=x, y=y, low=low, high=high)
