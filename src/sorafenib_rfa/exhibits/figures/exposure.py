"""Exposure to the drug: a swimmer plot, and how long it was taken beside what that seems to do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from sorafenib_rfa.exhibits.figures.canvas import (
    FEWEST_AT_RISK,
    INK,
    LOOKS,
    MUTED,
    RULE,
    Drawn,
    Inputs,
    count_text,
    enough_at_risk,
    mark_synthetic,
    month_ticks,
    months_label,
    new_figure,
    not_estimable,
    too_few,
)
from sorafenib_rfa.exhibits.figures.forest import MARKERS, axis_limits, draw_interval, ratio_ticks
from sorafenib_rfa.exhibits.figures.survival import draw_risk_table, draw_survival, weighted_risk

_ALL_COURSES = "exposure.dosing.exposed.with_dosing_records.n"
LANE_IN = 0.1
"""Height of a patient's lane."""

_MARKS = {
    "recurrence": ("Recurrence", {"marker": "^", "markersize": 4.2, "markerfacecolor": "#D55E00"}),
    "death": ("Death", {"marker": "X", "markersize": 4.2, "markerfacecolor": INK}),
    "event": ("Adverse event, grade 3 or above", {"marker": "o", "markersize": 3.0, "markerfacecolor": "white"}),
}
_STOP = {"marker": "|", "markersize": 5.5, "markeredgewidth": 1.4, "color": INK}
_ONGOING = {"marker": ">", "markersize": 3.6, "markerfacecolor": INK, "markeredgewidth": 0, "color": INK}


def draw_swimmer(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw a lane a patient, from the longest course to the shortest: doses by shade, and what happened when.

    Curve ``swimmer``. The axis ends a little after the last day with drug of those shown; what came later is not drawn.
    """
    rows = inputs.curve("swimmer")
    dosed = rows[rows["kind"] == "dose"]
    lanes = int(rows["patient"].max())
    longest = float(np.ceil((dosed["end_months"].max() + 1) / 6) * 6)
    height = 1.35 + LANE_IN * lanes
    figure, drawn = new_figure(height), Drawn()
    bottom, top = 0.42 / height, 1 - 0.86 / height
    ax = figure.add_axes((0.035, bottom, 0.95, top - bottom))
    ax.set_ylim(lanes + 0.9, 0.1)
    ax.set_xlim(-longest * 0.004, longest)
    shades = _shades(dosed["dose_mg"], inputs.plan.exposure.full_dose_mg_per_day)
    _lanes(ax, rows, longest, shades, drawn)
    _marks(ax, rows, longest, drawn)
    ax.set_xticks(month_ticks(longest))
    ax.set_xlabel(months_label(inputs.cohort), labelpad=2)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_ylabel("Patients, from the longest course to the shortest", labelpad=4)
    of = inputs.number(_ALL_COURSES)
    shown = (
        f"All {of} patients with any sorafenib before recurrence."
        if lanes == int(rows["of"].iloc[0])
        else f"{count_text(lanes)} of {of} patients, at even steps from the longest course to the shortest."
    )
    note = f"{shown}\nNothing is drawn after month {longest:g}, nor drug that was started again after a recurrence."
    figure.text(0.035, 1 - 0.62 / height, note, fontsize=6.5, color=MUTED, va="top", linespacing=1.25)
    drawn.add("text", text=note.replace("\n", " "), ard_id=_ALL_COURSES)
    _swimmer_legends(figure, shades, height)
    if inputs.cohort.synthetic:
        mark_synthetic(figure, [ax])
    return figure, drawn.frame()


def _shades(doses: pd.Series, full: float) -> dict[float, tuple[float, ...]]:
    """Return a shade for each dose, the darker the higher: lightness alone tells them apart."""
    levels = sorted(dose for dose in doses.dropna().unique() if dose > 0)
    return {dose: colormaps["Blues"](0.2 + 0.7 * min(dose / full, 1.0)) for dose in levels}


def _lanes(ax: Axes, rows: pd.DataFrame, longest: float, shades: dict[float, tuple[float, ...]], drawn: Drawn) -> None:
    """Draw follow-up as thin lines, doses as bars, and what ends a course."""
    for row in rows[rows["kind"] == "follow_up"].itertuples():
        end = min(row.end_months, longest)
        ax.plot([row.start_months, end], [row.patient] * 2, color=RULE, linewidth=0.6, zorder=1)
        drawn.add("follow_up", series=str(row.patient), x=row.start_months, y=row.patient, high=row.end_months)
    dosed = rows[rows["kind"] == "dose"]
    for row in dosed.itertuples():
        known = row.dose_mg in shades
        ax.barh(
            row.patient, row.end_months - row.start_months, left=row.start_months, height=0.72, zorder=2, linewidth=0,
            color=shades[row.dose_mg] if known else "white", hatch=None if known else "//////",
        )  # fmt: skip
        drawn.add(
            "dose", series=str(row.patient), x=row.start_months, y=row.patient, high=row.end_months,
            text=f"{row.dose_mg:g} mg" if known else "dose not recorded",
        )  # fmt: skip
    ends = dosed.groupby("patient")["end_months"].max()
    stops = rows[rows["kind"] == "stop"]
    going = ends[~ends.index.isin(stops["patient"])]
    for kind, places, look in (("stop", ends.reindex(stops["patient"]), _STOP), ("ongoing", going, _ONGOING)):
        ax.plot(places, places.index, linestyle="none", zorder=3, **look)
        drawn.add(kind, series=list(places.index.astype(str)), x=list(places), y=list(places.index))


def _marks(ax: Axes, rows: pd.DataFrame, longest: float, drawn: Drawn) -> None:
    """Draw recurrences, deaths and severe adverse events, events under the others."""
    for order, kind in enumerate(("event", "recurrence", "death"), start=4):
        own = rows[(rows["kind"] == kind) & (rows["start_months"] <= longest)]
        _, look = _MARKS[kind]
        ax.plot(
            own["start_months"], own["patient"], linestyle="none", color=INK, markeredgewidth=0.5, zorder=order,
            clip_on=False, **look,
        )  # fmt: skip
        drawn.add(kind, series=list(own["patient"].astype(str)), x=list(own["start_months"]), y=list(own["patient"]))


def _swimmer_legends(figure: Figure, shades: dict[float, tuple[float, ...]], height: float) -> None:
    """Say what shades and marks mean, in two lines above the lanes."""
    doses = [Patch(facecolor=shade, label=f"{dose:g} mg a day") for dose, shade in sorted(shades.items(), reverse=True)]
    doses.append(Line2D([], [], color=RULE, linewidth=0.8, label="Followed, no drug"))
    marks = [
        Line2D([], [], linestyle="none", color=INK, markeredgewidth=0.5, label=label, **look)
        for label, look in _MARKS.values()
    ]
    marks.append(Line2D([], [], linestyle="none", label="Permanent stop", **_STOP))
    marks.append(Line2D([], [], linestyle="none", label="On the drug at last contact", **_ONGOING))
    for line, handles in enumerate((doses, marks)):
        figure.add_artist(
            figure.legend(
                handles=handles, loc="upper left", ncols=len(handles), borderaxespad=0, fontsize=7, handlelength=1.6,
                columnspacing=1.4, handletextpad=0.5, bbox_to_anchor=(0.035, 1 - (0.2 + 0.24 * line) / height),
            )
        )  # fmt: skip


# --- duration -----------------------------------------------------------------------------------------------------

_RISK_STEP_MONTHS = 12
_ANALYSES = {
    "landmark": ("From landmarks", "main"),
    "naive": ("By duration reached: biased", "naive"),
}
_ROW = "Month {0:g}: on the drug,\nagainst stopped"
_BIASED_ROW = "{0:g} months or more,\nagainst less"


def draw_duration(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the time to permanent stop, and hazard ratios of recurrence or death by duration, sound beside biased.

    Curves ``km_stop`` and ``duration_landmark``; numbers from the ARD rows the latter names and from
    ``exposure.dosing.exposed.duration.median``.
    """
    figure, drawn = new_figure(3.95), Drawn()
    left = figure.add_axes((0.085, 0.285, 0.36, 0.635))
    right = figure.add_axes((0.68, 0.285, 0.14, 0.635))
    _stop_curve(left, inputs, drawn)
    _ratios(figure, right, inputs, drawn)
    if inputs.cohort.synthetic:
        mark_synthetic(figure, [left, right], size=15)
    return figure, drawn.frame()


def _stop_curve(ax: Axes, inputs: Inputs, drawn: Drawn) -> None:
    """Draw the Kaplan-Meier curve of remaining on the drug, with numbers at risk."""
    title, look = "On sorafenib", LOOKS[0]
    curve = inputs.curves.get("km_stop", pd.DataFrame())
    ax.set_title("Time to permanent stop")
    ax.set(ylim=(0, 102), ylabel="Still on the drug (%)")
    if curve.empty:
        not_estimable(ax)
        return
    seen = enough_at_risk(curve)
    if seen.empty:
        too_few(ax)
        return
    longest = float(seen["time_months"].max())
    ax.set_xlim(0, longest * 1.02)
    ax.set_xticks(month_ticks(longest))
    ax.set_xlabel("Months since the first dose", labelpad=2)
    draw_survival(ax, seen, look, title, "stop", drawn)
    ax.axhline(50, color=RULE, linewidth=0.6, linestyle=(0, (2, 2)), zorder=0)
    median = "exposure.dosing.exposed.duration.median"
    text = f"Median {inputs.number(median, 'ci', unit=True)}"
    ax.text(
        0.97, 0.95, text, transform=ax.transAxes, ha="right", va="top", fontsize=7.5,
        bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.0},
    )  # fmt: skip
    drawn.add("text", panel="stop", text=text, ard_id=median)
    ticks = [float(month) for month in range(0, int(longest) + 1, _RISK_STEP_MONTHS)]
    table = pd.DataFrame({"group": curve["group"].iloc[0], "time_months": ticks})
    table = weighted_risk(curve, table)
    group = str(curve["group"].iloc[0])
    draw_risk_table(ax, table, [group], {group: look}, {group: ""}, "Number on the drug", "stop", drawn, names=False)
    ax.figure.text(
        0.085, 0.012, f"Interruptions are no stop. The curve ends where\nfewer than {FEWEST_AT_RISK} are on the drug.",
        fontsize=6.5, color=MUTED, va="bottom", linespacing=1.25,
    )  # fmt: skip


def _ratios(figure: Figure, ax: Axes, inputs: Inputs, drawn: Drawn) -> None:
    """Draw the adjusted hazard ratios from each landmark and, apart, those by duration reached."""
    rows = inputs.curve("duration_landmark")
    rows = rows[rows["adjusted"] == "Y"]
    groups = [rows[rows["analysis"] == analysis] for analysis in _ANALYSES]
    places = _places(groups)
    ax.set_xlim(*axis_limits(rows))
    ax.set_ylim(max(max(own) for own in places if own) + 0.6, -0.9)
    ax.set_xscale("log")
    ratio_ticks(ax.xaxis, *ax.get_xlim(), gap=0.28)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.axvline(1.0, color=RULE, linewidth=0.8, zorder=0)
    ax.set_xlabel("Hazard ratio,\nrecurrence or death", labelpad=2)
    figure.text(
        0.475, 0.012, "Adjusted for baseline. Biased: the comparison credits the drug with the time\n"
        "that it takes to reach a duration.", fontsize=6.5, color=MUTED, va="bottom", linespacing=1.25,
    )  # fmt: skip
    box, level = ax.get_position(), 100 * inputs.plan.confidence_level
    for (analysis, (title, role)), own, heights in zip(_ANALYSES.items(), groups, places, strict=True):
        look = MARKERS[role]
        words = _ROW if analysis == "landmark" else _BIASED_ROW
        for x, ha, text in (
            (0.475, "left", title),
            (0.665, "right", "n" if analysis == "landmark" else ""),
            (box.x1 + 0.015, "left", f"HR ({level:g}% CI)" if analysis == "landmark" else ""),
        ):
            _say(figure, ax, heights[0] - 0.72, text, x, ha, look["color"], bold=True)
        for place, row in zip(heights, own.itertuples(), strict=True):
            if np.isfinite(row.hr):
                draw_interval(ax, row, place, look)
            label = words.format(row.months)
            counts = f"{count_text(row.n_longer)}\n{count_text(row.n_shorter)}"
            number = inputs.number(row.ard_id, "ci").replace(" (95% CI ", "\n(")
            _say(figure, ax, place, label, 0.475, "left", look["color"])
            _say(figure, ax, place, counts, 0.665, "right", look["color"])
            _say(figure, ax, place, number, box.x1 + 0.015, "left", look["color"])
            drawn.add(
                "interval", panel=title, series=label.replace("\n", " "), x=row.hr, y=place, low=row.lo, high=row.hi,
                text=f"{number}; {counts}".replace("\n", " "), ard_id=row.ard_id,
            )  # fmt: skip
    figure.text(0.475, box.y1 + 0.018, "Duration and recurrence", ha="left", va="bottom", fontsize=8, fontweight="bold")


def _places(groups: Sequence[pd.DataFrame]) -> list[list[float]]:
    """Return the height of each row, with a gap for the heading of the second group."""
    found, at = [], 0.0
    for own in groups:
        found.append([at + number for number in range(len(own))])
        at += len(own) + 0.85
    return found


def _say(figure: Figure, ax: Axes, place: float, text: str, x: float, ha: str, colour: str, bold: bool = False) -> None:
    """Write beside the axes at the height `place` of its scale."""
    low, high = ax.get_ylim()
    box = ax.get_position()
    y = box.y0 + box.height * (low - place) / (low - high)
    figure.text(
        x, y, text, ha=ha, va="center", fontsize=7, color=colour, linespacing=1.15,
        fontweight="bold" if bold else "normal",
    )  # fmt: skip
