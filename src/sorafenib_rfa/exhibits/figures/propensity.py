"""The distribution of the propensity score in both arms: whether like can be compared with like."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sorafenib_rfa.arms import Arms, arms_of
from sorafenib_rfa.exhibits.figures.canvas import (
    INK,
    MUTED,
    RULE,
    Drawn,
    Inputs,
    arm_looks,
    mark_synthetic,
    new_figure,
    not_estimable,
)

PANELS = {
    "none": "Unweighted",
    "iptw": "Inverse probability weighted",
    "overlap": "Overlap-weighted",
}


def draw_overlap(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the propensity score of both arms before and after weighting, the treated upwards, the controls downwards.

    Curve ``propensity`` (shares of an arm's weight by class of the score); effective sample sizes from ARD
    ``baseline.propensity.<arm>.<weighting>.effective_n``.
    """
    rows = inputs.curve("propensity")
    arms = arms_of(inputs.cohort)
    figure, drawn = new_figure(2.75), Drawn()
    axes = figure.subplots(1, len(PANELS), sharey=True)
    figure.subplots_adjust(left=0.075, right=0.99, bottom=0.19, top=0.86, wspace=0.08)
    largest = max(100 * float(np.nanmax([*rows["share"], 0.0])), 1.0) * 1.3
    for ax, (weighting, title) in zip(axes, PANELS.items(), strict=True):
        _panel(ax, inputs, rows[rows["weighting"] == weighting], arms, weighting, drawn)
        ax.set_title(title, loc="left")
        ax.set_xlim(0, 1)
        ax.set_ylim(-largest, largest)
        ax.axhline(0, color=RULE, linewidth=0.8)
        ax.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
        ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes[0].set_ylabel("Percent of the arm")
    figure.supxlabel("Propensity score", y=0.02, fontsize=8)
    if inputs.cohort.synthetic:
        mark_synthetic(figure, list(axes), size=13)
    return figure, drawn.frame()


def _panel(ax: Axes, inputs: Inputs, rows: pd.DataFrame, arms: Arms, weighting: str, drawn: Drawn) -> None:
    """Draw one weighting."""
    looks = arm_looks([], arms)
    if rows["share"].isna().all():
        not_estimable(ax)
        return
    for label, sign, va in ((arms.treated, 1, "top"), (arms.control, -1, "bottom")):
        group = arms.slug(label)
        own = rows[rows["group"] == group]
        height = sign * 100 * own["share"].to_numpy(dtype=float)
        left, width = own["bin_low"].to_numpy(), (own["bin_high"] - own["bin_low"]).to_numpy()
        ax.bar(
            left, height, width, align="edge", color=looks[group].colour, alpha=0.75 if sign > 0 else 0.5,
            edgecolor="white", linewidth=0.4,
        )  # fmt: skip
        number = "n" if weighting == "none" else f"{weighting}.effective_n"
        ard_id = f"baseline.propensity.{group}.{number}"
        said = inputs.number(ard_id)
        text = f"{label}\n{'n' if weighting == 'none' else 'effective n'} = {said}"
        ax.text(
            0.97, 0.96 if sign > 0 else 0.04, text, transform=ax.transAxes, ha="right", va=va, fontsize=6.5,
            color=INK if sign > 0 else MUTED, linespacing=1.25,
        )  # fmt: skip
        drawn.add("bar", panel=PANELS[weighting], series=label, x=left, y=height, low=left, high=left + width)
        drawn.add("text", panel=PANELS[weighting], series=label, text=text.replace("\n", ", "), ard_id=ard_id)
