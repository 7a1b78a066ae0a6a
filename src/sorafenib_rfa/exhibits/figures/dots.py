"""Dot plot of the balance of the arms."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from sorafenib_rfa.exhibits.figures.canvas import (
    LOOKS,
    MUTED,
    RULE,
    WIDTH_IN,
    Drawn,
    Inputs,
    mark_synthetic,
    new_figure,
    not_estimable,
    text_width_in,
)

BALANCED = 0.1
"""Absolute standardised difference below which a covariate is commonly called balanced (Austin 2009)."""


def draw_love(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw absolute standardised mean differences before and after overlap weighting, largest first.

    Curve ``balance``; a categorical covariate has one row, of all its levels together.
    """
    import seaborn as sns

    rows = inputs.curve("balance")
    rows = rows[(rows["level"] == "") & rows["weighting"].isin(["none", "overlap"])]
    before = rows[rows["weighting"] == "none"].set_index("variable")["smd"].abs()
    order = list(before.sort_values(ascending=False, kind="stable", na_position="last").index)
    label = rows.drop_duplicates("variable").set_index("variable")
    names = [label.loc[name, "label"] + ("" if label.loc[name, "adjusted_for"] else "*") for name in order]
    shown = rows.assign(
        absolute=rows["smd"].abs(),
        place=rows["variable"].map({name: place for place, name in enumerate(order)}),
        Weighting=rows["weighting"].map({"none": "Unweighted", "overlap": "Overlap-weighted"}),
    ).sort_values(["Weighting", "place"], ascending=[False, True], kind="stable")

    height = 1.05 + 0.2 * len(order)
    figure, drawn = new_figure(height, width_in=WIDTH_IN * 0.86), Drawn()
    left = text_width_in(figure, names, 7.5) + 0.25
    width = figure.get_figwidth()
    ax = figure.add_axes((left / width, 0.55 / height, 1 - (left + 0.15) / width, 1 - 0.9 / height))
    for place, name in enumerate(order):
        pair = shown.loc[shown["variable"] == name, "absolute"]
        ax.plot([pair.min(), pair.max()], [place, place], color="#c9ced4", linewidth=1.0, zorder=1)
    known = shown.dropna(subset=["absolute"])
    if known.empty:
        not_estimable(ax)
    else:
        sns.scatterplot(
            known,
            x="absolute",
            y="place",
            hue="Weighting",
            style="Weighting",
            hue_order=["Unweighted", "Overlap-weighted"],
            style_order=["Unweighted", "Overlap-weighted"],
            palette={"Unweighted": LOOKS[0].colour, "Overlap-weighted": LOOKS[1].colour},
            markers={"Unweighted": "o", "Overlap-weighted": "s"},
            s=30,
            linewidth=0,
            ax=ax,
            zorder=3,
        )
    ax.axvline(BALANCED, color=RULE, linewidth=0.8, linestyle=(0, (3, 2)), zorder=0)
    ax.axvline(0, color=RULE, linewidth=0.5, zorder=0)
    ax.set_yticks(range(len(order)), names)
    ax.set_ylim(len(order) - 0.4, -0.6)
    ax.set_xlim(-0.012, max(0.25, float(shown["absolute"].max()) * 1.08))
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("Absolute standardised mean difference")
    ax.set_ylabel("")
    if not known.empty:
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.3, handletextpad=0.2, title=None)
    if not label["adjusted_for"].all():
        figure.text(0.02, 0.08 / height, "* not in the propensity score", fontsize=6.5, color=MUTED)
    for row in shown.itertuples():
        drawn.add("point", series=row.Weighting, x=row.absolute, y=row.place, text=row.label, ard_id=row.ard_id)
    if inputs.cohort.synthetic:
        mark_synthetic(figure, [ax])
    return figure, drawn.frame()
