"""Adverse events by exposure: how many patients, how severe, and when."""

from __future__ import annotations

import textwrap
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from sorafenib_rfa.estimates.ard import ard_id
from sorafenib_rfa.estimates.common import NAN, horizon
from sorafenib_rfa.exhibits.figures.canvas import (
    FEWEST_AT_RISK,
    INK,
    MUTED,
    RULE,
    WIDTH_IN,
    Drawn,
    Inputs,
    Look,
    band,
    count_text,
    enough_at_risk,
    looks_of,
    mark_synthetic,
    new_figure,
    steps,
    text_width_in,
    too_few,
)

MOST_OTHER_TERMS = 14
"""Adverse events shown besides those of interest, the most frequent ones."""

NUMBERS_PT = 6.3

_NOTE_IN = 0.13
"""Height of one line of the notes below a figure."""

SINCE_START = "Months since the first dose (no sorafenib: since RFA)"


def draw_ae_dot(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the percent of exposed and unexposed patients with each adverse event, and the incidence difference.

    Percentages are of patients who ever had the event, over unequal observation, as tables print them; the difference
    is that of cumulative incidence by the plan's last month, the same time in both groups. Events of interest come
    first, then the most frequent others, each set by that difference. Curve ``ae_dot``.
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
    below = 0.61 + _NOTE_IN * (1 + left_out.count("\n"))
    height = 0.63 + below + 0.27 * (last + 1)
    figure, drawn = new_figure(height), Drawn()
    left = text_width_in(figure, names, 7.5) + 0.2
    bottom, top = below / height, 1 - 0.5 / height
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
    difference.plot(contrast["incidence_difference"], contrast["place"], "D", color=INK, markersize=3.6)
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
            "incidence_difference", panel="incidence difference", series=row.term, x=row.incidence_difference,
            y=row.place, low=row.difference_low, high=row.difference_high, text=text, ard_id=row.contrast_id,
        )  # fmt: skip
    if inputs.cohort.synthetic:
        mark_synthetic(figure, [percent, difference], size=15)
    return figure, drawn.frame()


def _terms(rows: pd.DataFrame) -> tuple[list[tuple[str, bool]], str]:
    """Return the terms shown, with whether they are of interest, in order; and which are not shown, in words."""
    any_grade = rows[rows["severity"] == "any"]
    by_term = any_grade.groupby("term", sort=True).agg(
        of_interest=("of_interest", "first"), difference=("incidence_difference", "first"), most=("percent", "max")
    )
    interest = by_term[by_term["of_interest"]]
    unseen = interest.index[interest["most"] == 0] if (by_term["most"] > 0).any() else interest.index[:0]
    interest = interest.drop(unseen)
    other = by_term[~by_term["of_interest"]].sort_values("most", ascending=False, kind="stable")
    kept = other.head(MOST_OTHER_TERMS)
    order = [
        (str(term), flag)
        for flag, part in ((True, interest), (False, kept))
        for term in part.sort_values("difference", ascending=False, kind="stable", na_position="last").index
    ]
    left_out = len(other) - len(kept)
    words = [f"{left_out} less frequent term{' is' if left_out == 1 else 's are'} not shown."] if left_out else []
    if len(unseen):
        words.append(f"Of interest, and had by nobody: {', '.join(unseen)}.")
    return order, textwrap.fill(" ".join(words), 120)


def _finish_ae(
    inputs: Inputs,
    figure: Figure,
    percent: Axes,
    difference: Axes,
    names: list[str],
    places: list[float],
    looks: dict[str, Look],
    left_out: str,
) -> None:
    """Label axes, draw guides, and explain what the marks are."""
    height = figure.get_figheight()
    percent.set_yticks(places, names, linespacing=0.95)
    percent.set_ylim(max(places) + 0.6, -0.6)
    percent.tick_params(axis="y", length=0)
    percent.set_ylabel("")
    percent.set_xlim(left=-0.02 * percent.get_xlim()[1])
    percent.set_xlabel("Patients ever (%),\nunequal observation")
    difference.tick_params(axis="y", left=False, labelleft=False)
    difference.spines["left"].set_visible(False)
    difference.axvline(0, color=RULE, linewidth=0.8, zorder=0)
    difference.set_xlabel(
        f"Cumulative incidence by month\n{inputs.plan.adverse_event_months[-1]:g}: difference (points)"
    )
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
        figure.text(0.012, 0.06 / height, left_out, fontsize=6.5, color=MUTED, va="bottom")


# --- severity --------------------------------------------------------------------

_SEVERITIES = (
    # label, grades, colour, hatch; from the middle outwards, so that severe events share a base line
    ("Grade 5", (5,), "#000000", ""),
    ("Grade 4", (4,), "#ffffff", "////////"),
    ("Grade 3", (3,), "#5f6873", ""),
    ("Grade 1 or 2", (1, 2), "#cfd5db", ""),
    ("Not graded", (None,), "#ffffff", "...."),
)


def draw_ae_butterfly(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw patients by the worst grade of each adverse event: exposed to the left, unexposed to the right.

    Curve ``ae_grade``; terms and their order as in :func:`draw_ae_dot`. Shades and hatches tell grades apart in print.
    """
    rows = inputs.curve("ae_grade")
    order, left_out = _terms(inputs.curve("ae_dot"))
    place = {term: number + (0.6 if not interest else 0.0) for number, (term, interest) in enumerate(order)}
    rows = rows[rows["term"].isin(list(place))]
    names = [textwrap.fill(term, 30) for term in place]
    below = 0.64 + _NOTE_IN * (1 + left_out.count("\n"))
    height = 0.63 + below + 0.27 * (max(place.values()) + 1)
    figure, drawn = new_figure(height), Drawn()
    middle_in = text_width_in(figure, names, 7.5) + 0.3
    side_in, edge_in = (WIDTH_IN - middle_in - 0.16) / 2, 0.08
    bottom, top = below / height, 1 - 0.62 / height
    left = figure.add_axes((edge_in / WIDTH_IN, bottom, side_in / WIDTH_IN, top - bottom))
    right = figure.add_axes(
        ((edge_in + side_in + middle_in) / WIDTH_IN, bottom, side_in / WIDTH_IN, top - bottom), sharey=left
    )
    numbers_pt_room = 1.22
    highest = max(float(rows.groupby(["term", "group"])["percent"].sum().max()), 1.0)
    for ax, group in ((left, "exposed"), (right, "unexposed")):
        own = rows[rows["group"] == group]
        label = str(own["label"].iloc[0])
        _stacks(inputs, ax, own, place, label, drawn)
        ax.set_title(label, loc="right" if ax is left else "left", pad=4)
        ax.set_xlim(*((highest * numbers_pt_room, 0) if ax is left else (0, highest * numbers_pt_room)))
        ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        ax.set_xlabel("Patients (%)")
        ax.tick_params(axis="y", left=False, labelleft=False)
        ax.spines["left"].set_visible(ax is right)
        ax.spines["right"].set_visible(ax is left)
        for place_ in place.values():
            ax.axhline(place_, color="#edeff1", linewidth=0.6, zorder=-6)
    left.set_ylim(max(place.values()) + 0.6, -0.6)
    centre = (edge_in + side_in + middle_in / 2) / WIDTH_IN
    for name, at in zip(names, place.values(), strict=True):
        y = figure.transFigure.inverted().transform(left.transData.transform((0, at)))[1]
        figure.text(centre, y, name, ha="center", va="center", fontsize=7.5, linespacing=0.95)
    shown = [entry for entry in _SEVERITIES if rows.loc[_of_grade(rows, entry[1]), "n"].sum() > 0]
    figure.legend(
        handles=[
            Patch(facecolor=colour, hatch=hatch, edgecolor=INK, linewidth=0.5, label=label)
            for label, _, colour, hatch in reversed(shown)
        ],
        loc="upper center", ncols=len(shown) or 1, borderaxespad=0, bbox_to_anchor=(0.5, 1 - 0.08 / height),
        columnspacing=1.5, handlelength=1.6,
    )  # fmt: skip
    said = f"Each patient once a term, at the worst grade (CTCAE v{inputs.plan.ctcae_version})."
    figure.text(0.012, 0.06 / height, f"{said}\n{left_out}".strip(), fontsize=6.5, color=MUTED, va="bottom")
    if inputs.cohort.synthetic:
        mark_synthetic(figure, [left, right], size=15)
    return figure, drawn.frame()


def _of_grade(rows: pd.DataFrame, grades: tuple[int | None, ...]) -> pd.Series:
    """Return which rows are of some grades; None: of no recorded one."""
    return rows["grade"].isna() if grades == (None,) else rows["grade"].isin(grades).fillna(False)


def _stacks(inputs: Inputs, ax: Axes, own: pd.DataFrame, place: dict[str, float], label: str, drawn: Drawn) -> None:
    """Draw the bars of one group, severe grades first, and print the percent with any grade at their ends."""
    base = pd.Series(0.0, index=list(place))
    at = np.array(list(place.values()))
    group = str(own["group"].iloc[0])
    for name, grades, colour, hatch in _SEVERITIES:
        percent = own[_of_grade(own, grades)].groupby("term")["percent"].sum().reindex(base.index).fillna(0.0)
        ax.barh(
            at, percent, left=base, height=0.62, facecolor=colour, hatch=hatch, edgecolor=INK, linewidth=0.4, zorder=2
        )
        drawn.add(
            "bar", panel=label, series=name, x=(base + percent).to_numpy(), y=at, low=base.to_numpy(),
            high=(base + percent).to_numpy(), text=list(base.index),
        )  # fmt: skip
        base = base + percent
    for term, end in base.items():
        identifier = ard_id("safety", "term", group, term, "any", "percent")
        text = inputs.number(identifier)
        away = -3 if group == "exposed" else 3
        ax.annotate(
            text, (end, place[str(term)]), xytext=(away, 0), textcoords="offset points", va="center",
            ha="right" if group == "exposed" else "left", fontsize=NUMBERS_PT,
        )  # fmt: skip
        drawn.add("text", panel=label, series=str(term), x=end, y=place[str(term)], text=text, ard_id=identifier)


# --- over time --------------------------------------------------------------------

_COLUMNS = 4
_ROW_IN = 0.155


def draw_ae_incidence(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw adverse events over time: the first of grade 3 or above, all of them, and the first of each of interest.

    Curves ``ae_incidence`` (Aalen-Johansen, with bands) and ``ae_mcf`` (mean cumulative function). Curves end where
    fewer than :data:`~sorafenib_rfa.exhibits.figures.canvas.FEWEST_AT_RISK` are at risk, or at the horizon of the
    restricted mean.
    """
    curves, means = inputs.curve("ae_incidence"), inputs.curves.get("ae_mcf")
    if means is None or means.empty:  # nobody had an event
        means = curves.iloc[:0].assign(mcf=NAN)
    events = dict(zip(curves["event"], curves["event_label"], strict=True))
    main, *others = events
    labels = dict(zip(curves["group"], curves["label"], strict=True))
    looks = dict(zip(labels, looks_of(labels.values()).values(), strict=True))
    longest = min(float(curves["time_months"].max()), inputs.plan.rmst_horizon_months)
    lines = -(-len(others) // _COLUMNS)
    top_in, main_in, small_in, gap_in, small_gap_in = 0.76, 1.75, 0.95, 1.5, 0.42
    height = top_in + main_in + gap_in + lines * (small_in + small_gap_in) + 0.42
    figure, drawn = new_figure(height), Drawn()
    names_in = text_width_in(figure, list(labels.values()), 7) + 0.19
    width_in = (WIDTH_IN - names_in - 0.15 - 0.5) / 2
    axes = []
    for number in range(2):
        x = (names_in + number * (width_in + 0.5)) / WIDTH_IN
        axes.append(figure.add_axes((x, 1 - (top_in + main_in) / height, width_in / WIDTH_IN, main_in / height)))
    first, mean = axes
    first.set_title(f"First {_lower(events[main])}", pad=26)
    mean.set_title("All such events, mean number per patient", pad=26)
    month = inputs.plan.adverse_event_months[-1]
    for line, (group, look) in enumerate(looks.items()):
        identifier = ard_id("safety", f"incidence_{main}", group, horizon(month), "incidence")
        text = f"{labels[group]}, month {month:g}: {inputs.number(identifier, 'ci')}"
        _above(first, text, 1 - line, look.colour, events[main], identifier, drawn)
    identifier = ard_id("safety", f"recurrent_{main}", "contrast", "rate_ratio")
    _above(mean, f"Rate ratio: {inputs.number(identifier, 'ci')}", 1, INK, "mean number", identifier, drawn)
    for group, look in looks.items():
        own = enough_at_risk(curves[(curves["event"] == main) & (curves["group"] == group)])
        _incidence(first, own, look, labels[group], events[main], drawn, longest)
        own = enough_at_risk(means[means["group"] == group])
        _steps_with_band(mean, own, "mcf", 1.0, look, labels[group], "mean number", drawn, longest)
    _percent_axis(first)
    first.set_ylabel("Cumulative incidence")
    mean.set_ylim(bottom=0)
    mean.yaxis.set_major_locator(MaxNLocator(5))
    for ax in axes:
        _months(ax, longest)
        ax.set_xlabel(SINCE_START, labelpad=2)
    at_risk = curves[curves["event"] == main]
    _risk_table(first, at_risk, looks, labels, "Free of the event and at risk", events[main], drawn, names=True)
    _risk_table(mean, means, looks, labels, "At risk of an event", "mean number", drawn, names=False)
    left_in, room_in = 0.42, WIDTH_IN - 0.42 - 0.1
    each_in = (room_in - 0.36 * (_COLUMNS - 1)) / _COLUMNS
    for number, event in enumerate(others):
        line, column = divmod(number, _COLUMNS)
        down = top_in + main_in + gap_in + line * (small_in + small_gap_in) + small_in
        x = left_in + column * (each_in + 0.36)
        ax = figure.add_axes((x / WIDTH_IN, 1 - down / height, each_in / WIDTH_IN, small_in / height))
        ax.set_title(textwrap.fill(events[event], 24), fontsize=7.5)
        for group, look in looks.items():
            own = enough_at_risk(curves[(curves["event"] == event) & (curves["group"] == group)])
            _incidence(ax, own, look, labels[group], events[event], drawn, longest)
        _months(ax, longest)
        _percent_axis(ax, most=4)
        ax.tick_params(labelsize=6.5)
        if number + _COLUMNS >= len(others):
            ax.set_xlabel("Months", fontsize=7, labelpad=1)
        axes.append(ax)
    figure.legend(
        handles=[
            Line2D([], [], color=look.colour, linestyle=look.line, label=labels[group]) for group, look in looks.items()
        ],
        loc="upper left", ncols=2, borderaxespad=0, bbox_to_anchor=(names_in / WIDTH_IN, 1 - 0.06 / height),
    )  # fmt: skip
    heading = 1 - (top_in + main_in + gap_in - 0.3) / height
    figure.text(0.012, heading, "First event of interest, any grade: cumulative incidence", fontsize=8, weight="bold")
    said = (
        "Death and the end of treatment-emergence compete with a first event, and end the counting of events.\nEach "
        f"panel has its own scale. Curves end where fewer than {FEWEST_AT_RISK} are at risk."
    )
    figure.text(0.012, 0.06 / height, said, fontsize=6.5, color=MUTED, va="bottom")
    if inputs.cohort.synthetic:
        mark_synthetic(figure, axes[:2], size=18)
        for ax in axes[2:]:
            mark_synthetic_small(ax)
    return figure, drawn.frame()


def _above(ax: Axes, text: str, line: int, colour: str, panel: str, identifier: str, drawn: Drawn) -> None:
    """Print a number of the ARD above a panel, `line` lines up."""
    ax.annotate(
        text, (0, 1), xycoords="axes fraction", xytext=(0, 4 + 10 * line), textcoords="offset points", fontsize=6.5,
        color=colour, va="bottom",
    )  # fmt: skip
    drawn.add("text", panel=panel, text=text, ard_id=identifier)


def mark_synthetic_small(ax: Axes) -> None:
    """Say "Synthetic data" across a small panel; the corner of the figure says it already."""
    ax.text(
        0.5, 0.5, "Synthetic data", transform=ax.transAxes, rotation=20, ha="center", va="center", fontsize=10,
        fontweight="bold", color="#e4e4e4", zorder=-5, gid="synthetic",
    )  # fmt: skip


def _lower(label: str) -> str:
    """Return a label as it continues a sentence."""
    return label[:1].lower() + label[1:]


def _incidence(ax: Axes, curve: pd.DataFrame, look: Look, label: str, panel: str, drawn: Drawn, longest: float) -> None:
    """Draw one cumulative incidence curve in percent."""
    _steps_with_band(ax, curve, "incidence", 100.0, look, label, panel, drawn, longest)


def _steps_with_band(
    ax: Axes,
    curve: pd.DataFrame,
    column: str,
    scale: float,
    look: Look,
    label: str,
    panel: str,
    drawn: Drawn,
    longest: float,
) -> None:
    """Draw a step curve with its band up to `longest`; say so where too few are at risk to draw one."""
    own = curve[curve["time_months"] <= longest]
    if own.empty:
        return
    x = own["time_months"].to_numpy(dtype=float)
    y, low, high = (scale * own[name].to_numpy(dtype=float) for name in (column, "ci_low", "ci_high"))
    band(ax, x, low, high, look)
    steps(ax, x, y, look, zorder=3, label=label)
    drawn.add("curve", panel=panel, series=label, x=x, y=y, low=low, high=high)


def _percent_axis(ax: Axes, most: int = 5) -> None:
    """Start the axis at zero and print percent."""
    ax.set_ylim(0, max(ax.get_ylim()[1], 2.0))
    ax.yaxis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}%")


def _months(ax: Axes, longest: float) -> None:
    """Put ticks every six months, or every year where a panel is long or small."""
    if not ax.lines:
        too_few(ax)
    step = 6 if longest <= 36 and ax.get_position().width > 0.3 else 12
    if longest < step:
        step = max(int(longest) // 3, 1)
    ax.set_xlim(0, longest * 1.01)
    ax.set_xticks(np.arange(0, longest + 0.01, step))


def _risk_table(
    ax: Axes,
    curves: pd.DataFrame,
    looks: dict[str, Look],
    labels: dict[str, str],
    title: str,
    panel: str,
    drawn: Drawn,
    *,
    names: bool,
) -> None:
    """Print who is at risk below a main panel, each under its month."""
    offset, points = -34.0, 72 * _ROW_IN
    ax.annotate(
        title, (0, 0), xycoords="axes fraction", xytext=(0, offset), textcoords="offset points", fontsize=7, va="top",
        fontweight="bold",
    )  # fmt: skip
    for line, (group, look) in enumerate(looks.items(), start=1):
        height = offset - line * points
        if names:
            ax.annotate(
                labels[group], (0, 0), xycoords="axes fraction", xytext=(-12, height), textcoords="offset points",
                ha="right", va="top", fontsize=7, color=look.colour,
            )  # fmt: skip
        own = curves[curves["group"] == group]
        for month in ax.get_xticks():
            later = own.loc[own["time_months"] >= month, "n_risk"]
            count = 0.0 if later.empty else float(later.iloc[0])
            text = count_text(count)
            ax.annotate(
                text, (month, 0), xycoords=("data", "axes fraction"), xytext=(0, height), textcoords="offset points",
                ha="center", va="top", fontsize=7, color=look.colour,
            )  # fmt: skip
            drawn.add("at_risk", panel=panel, series=labels[group], x=month, y=count, text=text)
