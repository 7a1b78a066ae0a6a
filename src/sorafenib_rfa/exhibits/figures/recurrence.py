"""Mean cumulative function of repeat RFA sessions by arm."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sorafenib_rfa.arms import arms_of
from sorafenib_rfa.exhibits.figures.canvas import (
    FEWEST_AT_RISK,
    MUTED,
    Drawn,
    Inputs,
    Look,
    arm_looks,
    band,
    enough_at_risk,
    mark_synthetic,
    new_figure,
    not_estimable,
    steps,
    too_few,
)
from sorafenib_rfa.exhibits.figures.survival import (
    axis_of_months,
    draw_risk_table,
    landmark_text,
    top_legend,
    weighted_risk,
)


def draw_mcf_repeat_rfa(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the mean number of repeat RFA sessions by arm, unweighted and overlap-weighted, with numbers at risk.

    Curves ``mcf_repeat_rfa`` and ``risk_table_repeat_rfa``; rate ratios from ARD
    ``repeat_rfa.rate[_overlap].contrast.rate_ratio``, ratios of means from ``repeat_rfa.mean[_overlap].contrast
    .mean_ratio``. Numbers at risk under weighted curves are sums of weights. Curves end where fewer than
    :data:`~sorafenib_rfa.exhibits.figures.canvas.FEWEST_AT_RISK` (by number or weight) are at risk.
    """
    curves, risk = inputs.curve("mcf_repeat_rfa"), inputs.curve("risk_table_repeat_rfa")
    groups = list(dict.fromkeys(risk["group"]))
    labels = dict(zip(risk["group"], risk["label"], strict=True))
    looks = arm_looks(groups, arms_of(inputs.cohort))
    seen = enough_at_risk(curves)
    longest = float(seen["time_months"].max()) if len(seen) else inputs.plan.rmst_horizon_months
    figure, drawn = new_figure(4.05), Drawn()
    grid = {"left": 0.155, "right": 0.985, "bottom": 0.285, "top": 0.875, "wspace": 0.09}
    axes = figure.subplots(1, 2, sharey=True, gridspec_kw=grid)
    panels = (
        ("none", "Unweighted", "", "Number at risk"),
        ("overlap", "Overlap-weighted", "_overlap", "Sum of weights at risk"),
    )
    for ax, (weighting, title, suffix, at_risk_title) in zip(axes, panels, strict=True):
        ax.set_title(title)
        mine = curves[curves["weighting"] == weighting]
        shown = seen[seen["weighting"] == weighting]
        if mine.empty:
            not_estimable(ax)
        elif shown.empty:
            too_few(ax)
        for group in groups:
            curve = shown[shown["group"] == group]
            if not curve.empty:
                _mean_curve(ax, curve, looks[group], labels[group], title, drawn)
        axis_of_months(ax, inputs, longest, landmark=True)
        landmark_text(ax, inputs, top=0.62)
        _ratios(ax, inputs, suffix, title, drawn)
        if not mine.empty:
            table = risk if weighting == "none" else weighted_risk(mine, risk)
            draw_risk_table(ax, table, groups, looks, labels, at_risk_title, title, drawn, names=ax is axes[0])
    # the upper limits of the last few patients must not flatten the curves
    top = max(float(np.nanmax(seen["mcf"], initial=0.0)) * 1.35, 0.1)
    axes[0].set_ylim(0, np.ceil(10 * top) / 10)
    axes[0].set_ylabel("Repeat RFA sessions per patient, mean")
    figure.text(
        0.985, 0.012, f"Curves end where fewer than {FEWEST_AT_RISK} are at risk.", ha="right", va="bottom",
        fontsize=6.5, color=MUTED,
    )  # fmt: skip
    top_legend(figure, [(labels[group], looks[group]) for group in groups])
    if inputs.cohort.synthetic:
        mark_synthetic(figure, axes)
    return figure, drawn.frame()


def _mean_curve(ax: Axes, curve: pd.DataFrame, look: Look, label: str, panel: str, drawn: Drawn) -> None:
    """Draw one mean cumulative function with its band."""
    x, y, low, high = (curve[name].to_numpy(dtype=float) for name in ("time_months", "mcf", "ci_low", "ci_high"))
    band(ax, x, low, high, look)
    steps(ax, x, y, look, zorder=3, label=label)
    drawn.add("curve", panel=panel, series=label, x=x, y=y, low=low, high=high)


def _ratios(ax: Axes, inputs: Inputs, suffix: str, panel: str, drawn: Drawn) -> None:
    """Print the two ratios with intervals, top left, where a curve that starts at zero leaves room."""
    for line, (name, ard_id) in enumerate(
        (
            ("Rate ratio, while alive", f"repeat_rfa.rate{suffix}.contrast.rate_ratio"),
            ("Ratio of means", f"repeat_rfa.mean{suffix}.contrast.mean_ratio"),
        )
    ):
        text = f"{name}: {inputs.number(ard_id, 'ci')}"
        ax.text(
            0.05, 0.97 - 0.075 * line, text, transform=ax.transAxes, fontsize=7, va="top", zorder=4,
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.0},
        )  # fmt: skip
        drawn.add("text", panel=panel, text=text, ard_id=ard_id)
