"""Dot plots: balance of the arms, and adverse events by exposure."""

from __future__ import annotations

import textwrap
from itertools import pairwise

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sorafenib_rfa.exhibits.figures.canvas import (
    INK,
    LOOKS,
    MUTED,
    RULE,
    WIDTH_IN,
    Drawn,
    Inputs,
    Look,
    looks_of,
    mark_synthetic,
    new_figure,
    not_estimable,
    text_width_in,
)

BALANCED = 0.1
"""Absolute standardised difference below which a covariate is commonly called balanced (Austin 2009)."""

MOST_OTHER_TERMS = 14
"""Adverse events shown besides those of interest, the most frequent ones."""

NUMBERS_PT = 6.3


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


def draw_ae_dot(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the percent of exposed and unexposed patients with each adverse event, and the risk difference.

    Events of interest come first, then the most frequent others, each set by risk difference. Curve ``ae_dot``.
    """
    import seaborn as sns

    rows = inputs.curve("ae_dot")
    order, left_out = _terms(rows)
    place = {term: number + (0.6 if not interest else 0.0) for number, (term, interest) in enumerate(order)}
    rows = rows[rows["term"].isin(list(place))].copy()
    rows["place"] = rows["term"].map(place)
    labels = list(dict.fromkeys(rows["label"]))
    looks = looks_of(labels)
    any_grade, severe = (rows[rows["severity"] == severity] for severity in ("any", "grade_3_5"))

    names = [textwrap.fill(term, 34) for term, _ in order]
    last = max(place.values())
    height = 1.25 + 0.27 * (last + 1)
    figure, drawn = new_figure(height), Drawn()
    left = text_width_in(figure, names, 7.5) + 0.2
    bottom, top = 0.62 / height, 1 - 0.5 / height
    contrast = any_grade.drop_duplicates("term").sort_values("place")
    numbers = {row.term: inputs.number(row.contrast_id, "ci").replace("95% CI ", "") for row in contrast.itertuples()}
    right = text_width_in(figure, list(numbers.values()), NUMBERS_PT) + 0.15
    room = WIDTH_IN - left - right - 0.18
    widths = (room * 0.58, room * 0.42)
    percent = figure.add_axes((left / WIDTH_IN, bottom, widths[0] / WIDTH_IN, top - bottom))
    difference = figure.add_axes(
        ((left + widths[0] + 0.18) / WIDTH_IN, bottom, widths[1] / WIDTH_IN, top - bottom), sharey=percent
    )
    shift = {label: offset for label, offset in zip(labels, (-0.14, 0.14), strict=False)}
    spread = any_grade.assign(at=any_grade["place"] + any_grade["label"].map(shift))
    for label, look in looks.items():
        own = spread[spread["label"] == label]
        percent.hlines(own["at"], own["ci_low"], own["ci_high"], color=look.colour, linewidth=0.9, alpha=0.7, zorder=2)
    sns.scatterplot(
        spread,
        x="percent",
        y="at",
        hue="label",
        style="label",
        hue_order=labels,
        style_order=labels,
        palette={label: look.colour for label, look in looks.items()},
        markers={label: look.marker for label, look in looks.items()},
        s=26,
        linewidth=0,
        ax=percent,
        zorder=3,
        legend=False,
    )
    worse = severe.assign(at=severe["place"] + severe["label"].map(shift))
    for label, look in looks.items():
        own = worse[(worse["label"] == label) & (worse["percent"] > 0)]
        percent.plot(own["percent"], own["at"], "|", color=look.colour, markersize=7, markeredgewidth=1.6, zorder=3)
    difference.hlines(
        contrast["place"], contrast["difference_low"], contrast["difference_high"], color=INK, linewidth=1.0
    )
    difference.plot(contrast["risk_difference"], contrast["place"], "D", color=INK, markersize=3.6)
    _finish_ae(inputs, figure, percent, difference, names, list(place.values()), looks, left_out)
    for row in pd.concat([spread, worse]).sort_values(["severity", "place", "at"], kind="stable").itertuples():
        drawn.add(
            "percent", panel="any grade" if row.severity == "any" else "grade 3 or above", series=row.label,
            x=row.percent, y=row.at, low=row.ci_low, high=row.ci_high, text=row.term, ard_id=row.ard_id,
        )  # fmt: skip
    for row in contrast.itertuples():
        text = numbers[row.term]
        difference.annotate(
            text, (1.0, row.place), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
            va="center", fontsize=NUMBERS_PT, annotation_clip=False,
        )  # fmt: skip
        drawn.add(
            "risk_difference", panel="risk difference", series=row.term, x=row.risk_difference, y=row.place,
            low=row.difference_low, high=row.difference_high, text=text, ard_id=row.contrast_id,
        )  # fmt: skip
    if inputs.cohort.synthetic:
        mark_synthetic(figure, [percent, difference], size=15)
    return figure, drawn.frame()


def _terms(rows: pd.DataFrame) -> tuple[list[tuple[str, bool]], int]:
    """Return the terms shown, with whether they are of interest, in order; and how many are not shown."""
    any_grade = rows[rows["severity"] == "any"]
    by_term = any_grade.groupby("term", sort=True).agg(
        of_interest=("of_interest", "first"), difference=("risk_difference", "first"), most=("percent", "max")
    )
    interest = by_term[by_term["of_interest"]]
    other = by_term[~by_term["of_interest"]].sort_values("most", ascending=False, kind="stable")
    kept = other.head(MOST_OTHER_TERMS)
    order = [
        (str(term), flag)
        for flag, part in ((True, interest), (False, kept))
        for term in part.sort_values("difference", ascending=False, kind="stable", na_position="last").index
    ]
    return order, len(other) - len(kept)


def _finish_ae(
    inputs: Inputs,
    figure: Figure,
    percent: Axes,
    difference: Axes,
    names: list[str],
    places: list[float],
    looks: dict[str, Look],
    left_out: int,
) -> None:
    """Label axes, draw guides, and explain what the marks are."""
    height = figure.get_figheight()
    percent.set_yticks(places, names, linespacing=0.95)
    percent.set_ylim(max(places) + 0.6, -0.6)
    percent.tick_params(axis="y", length=0)
    percent.set_ylabel("")
    percent.set_xlim(left=-0.02 * percent.get_xlim()[1])
    percent.set_xlabel("Patients (%)")
    difference.tick_params(axis="y", left=False, labelleft=False)
    difference.spines["left"].set_visible(False)
    difference.axvline(0, color=RULE, linewidth=0.8, zorder=0)
    difference.set_xlabel("Risk difference\n(percentage points)")
    for ax in (percent, difference):
        for place in places:
            ax.axhline(place, color="#edeff1", linewidth=0.6, zorder=-6)
        for above, below in pairwise(places):
            if below - above > 1.3:  # the gap between the parts; places are floats
                ax.axhline((above + below) / 2, color=RULE, linewidth=0.6, linestyle=(0, (2, 2)), zorder=0)
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, markersize=4.5, linewidth=0.9, label=label)
        for label, look in looks.items()
    ]
    handles.append(
        Line2D(
            [], [], color=MUTED, marker="|", linestyle="", markersize=7, markeredgewidth=1.6, label="Grade 3 or above"
        )
    )
    figure.legend(
        handles=handles, loc="upper left", ncols=3, borderaxespad=0, bbox_to_anchor=(0.012, 1 - 0.06 / height),
        columnspacing=1.5,
    )  # fmt: skip
    figure.text(0.99, 1 - 0.47 / height, "difference (95% CI)", ha="right", va="bottom", fontsize=6.5, color=MUTED)
    if left_out:
        words = "term that was less frequent is" if left_out == 1 else "less frequent terms are"
        figure.text(0.012, 0.06 / height, f"{left_out} {words} not shown", fontsize=6.5, color=MUTED, va="bottom")
