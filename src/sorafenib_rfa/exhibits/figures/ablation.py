"""Local tumour progression by tumour."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sorafenib_rfa.arms import arms_of
from sorafenib_rfa.estimates.common import horizon
from sorafenib_rfa.exhibits.figures.canvas import (
    FEWEST_AT_RISK,
    LOOKS,
    MUTED,
    Drawn,
    Inputs,
    Look,
    arm_looks,
    enough_at_risk,
    mark_synthetic,
    new_figure,
    not_estimable,
    too_few,
)
from sorafenib_rfa.exhibits.figures.survival import (
    axis_of_months,
    draw_risk_table,
    incidence,
    landmark_text,
    top_legend,
    weighted_risk,
)

_OVERALL = Look(LOOKS[4].colour, "-", "o")
_PANELS = {"all": "All tumours, from RFA", "landmark": "By arm, from the landmark"}
_RISK_STEP_MONTHS = 12


def draw_ltp_tumour(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the cumulative incidence of local progression of tumours: of all from RFA, by arm from the landmark.

    Curve ``ltp_tumour``; death competes. Curves end where fewer than
    :data:`~sorafenib_rfa.exhibits.figures.canvas.FEWEST_AT_RISK` tumours are at risk.
    """
    curves = inputs.curve("ltp_tumour")
    curves = curves[curves["cause"] == "ltp"]
    seen = enough_at_risk(curves)
    longest = float(seen["time_months"].max()) if len(seen) else inputs.plan.rmst_horizon_months
    figure, drawn = new_figure(3.6), Drawn()
    grid = {"left": 0.125, "right": 0.985, "bottom": 0.295, "top": 0.85, "wspace": 0.42}
    axes = figure.subplots(1, 2, sharey=True, gridspec_kw=grid)
    labels = dict(zip(curves["group"], curves["label"], strict=True))
    arms = arms_of(inputs.cohort)
    looks = {"overall": _OVERALL, **arm_looks([arms.slug(label) for label in arms.labels], arms)}
    legend = []
    for ax, (panel, title) in zip(axes, _PANELS.items(), strict=True):
        mine, shown = curves[curves["panel"] == panel], seen[seen["panel"] == panel]
        ax.set_title(title)
        if mine.empty:
            not_estimable(ax)
        elif shown.empty:
            too_few(ax)
        groups = list(dict.fromkeys(mine["group"]))
        for group in groups:
            own = shown[shown["group"] == group]
            if len(own):
                incidence(ax, own, looks[group], labels[group], title, drawn)
        axis_of_months(ax, inputs, longest, landmark=panel == "landmark")
        if panel == "landmark":
            landmark_text(ax, inputs, top=0.7)
        if not mine.empty:
            months = [float(month) for month in range(0, int(longest) + 1, _RISK_STEP_MONTHS)]
            asked = pd.DataFrame([{"group": group, "time_months": month} for group in groups for month in months])
            start = float(mine["time_months"].min())
            # nobody is at risk before the landmark
            asked["time_months"] = asked["time_months"].where(asked["time_months"] > 0, start)
            table = weighted_risk(mine, asked)
            draw_risk_table(ax, table, groups, looks, labels, "Tumours at risk", title, drawn, names=True)
        _at_horizon(ax, inputs, panel, title, {group: labels[group] for group in groups}, drawn)
        legend += [(labels[group], looks[group]) for group in groups]
    highest = 100 * np.nanmax([*seen["ci_high"].astype(float), 0.02])
    # room above the curves for the numbers
    axes[0].set_ylim(0, min(np.ceil(1.25 * highest / 5) * 5, 102))
    axes[0].set_ylabel("Local progression (%)")
    figure.text(
        0.985, 0.012, f"Death competes. Curves end where fewer than {FEWEST_AT_RISK} tumours are at risk.", ha="right",
        va="bottom", fontsize=6.5, color=MUTED,
    )  # fmt: skip
    top_legend(figure, legend)
    if inputs.cohort.synthetic:
        mark_synthetic(figure, axes, size=16)
    return figure, drawn.frame()


def _at_horizon(ax: Axes, inputs: Inputs, panel: str, title: str, labels: Mapping[str, str], drawn: Drawn) -> None:
    """Print the incidence at the last horizon that the plan reports, top left, where the curves leave room."""
    months = [month for month in inputs.plan.horizons_months if month <= inputs.plan.rmst_horizon_months]
    month = months[-1] if months else inputs.plan.horizons_months[0]
    for line, (group, label) in enumerate(labels.items()):
        analysis = "ltp" if panel == "all" else f"ltp_landmark.{group}"
        ard_id = f"ablation.{analysis}.ltp.{horizon(month)}.incidence"
        text = f"{label}, month {month:g}:\n{inputs.number(ard_id, 'ci')}"
        ax.text(
            0.1, 0.97 - 0.125 * line, text, transform=ax.transAxes, fontsize=6.5, va="top", zorder=4, linespacing=1.15,
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.0},
        )  # fmt: skip
        drawn.add("text", panel=title, series=label, text=text.replace("\n", " "), ard_id=ard_id)
