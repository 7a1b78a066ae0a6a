"""Liver function: eDISH, the course of ALBI, shifts of laboratory grades from baseline."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, NullLocator

from sorafenib_rfa.arms import arms_of
from sorafenib_rfa.clinical.liver import ALBI_GRADE_1_AT_MOST, ALBI_GRADE_2_AT_MOST
from sorafenib_rfa.estimates.common import horizon
from sorafenib_rfa.exhibits.figures.canvas import (
    INK,
    LOOKS,
    MUTED,
    RULE,
    Drawn,
    Inputs,
    Look,
    count_text,
    enough_at_risk,
    looks_of,
    mark_synthetic,
    months_label,
    new_figure,
    not_estimable,
)
from sorafenib_rfa.exhibits.figures.survival import incidence

_SCALES = {
    "uln": "Multiples of the upper limit of normal",
    "baseline": "Multiples of the larger of limit and baseline",
}
_QUADRANT_NAMES = {
    "normal": "Neither",
    "temple": "Temple's corollary",
    "hyperbilirubinaemia": "Hyperbilirubinaemia\n(cholestasis)",
    "potential_hy": "Potential Hy's law,\nneeds adjudication",
}
_CORNERS = {
    "normal": (0.025, 0.02, "left", "bottom"),
    "temple": (0.98, 0.02, "right", "bottom"),
    "hyperbilirubinaemia": (0.025, 0.985, "left", "top"),
    "potential_hy": (0.98, 0.985, "right", "top"),
}
AMINOTRANSFERASE_LINE = 3.0
BILIRUBIN_LINE = 2.0


# --- eDISH ---------------------------------------------------------------------------------------------------------


def draw_edish(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw peak aminotransferase against peak bilirubin of each patient, by the limit of normal and by baseline.

    Curve ``liver_peaks``; counts of the quadrants from ``liver.edish.<group>.<scale>.<quadrant>.n``. Patients in whom
    bilirubin rose within thirty days after the aminotransferase are ringed.
    """
    peaks = inputs.curve("liver_peaks")
    labels = dict(zip(peaks["group"], peaks["label"], strict=True))
    groups = [group for group in ("exposed", "unexposed") if group in labels]
    looks = looks_of(["exposed", "unexposed"])
    figure, drawn = new_figure(3.95), Drawn()
    axes = figure.subplots(
        1, 2, gridspec_kw={"left": 0.08, "right": 0.985, "bottom": 0.115, "top": 0.875, "wspace": 0.16}
    )
    for ax, (scale, title) in zip(axes, _SCALES.items(), strict=True):
        shown = peaks.dropna(subset=[f"aminotransferase_{scale}", f"bilirubin_{scale}"])
        ax.set_title(title)
        _log_axes(ax, shown, scale)
        for group in groups:
            own = shown[shown["group"] == group]
            x, y = own[f"aminotransferase_{scale}"], own[f"bilirubin_{scale}"]
            look = looks[group]
            fill = "none" if group == "unexposed" else look.colour
            ax.plot(
                x, y, look.marker, color=look.colour, markersize=3.2, markerfacecolor=fill, markeredgewidth=0.7,
                alpha=0.75, zorder=3,
            )  # fmt: skip
            drawn.add("point", panel=title, series=labels[group], x=x, y=y)
            both = own[own[f"concurrent_{scale}"]]
            ring_x, ring_y = both[f"aminotransferase_{scale}"], both[f"bilirubin_{scale}"]
            ax.plot(
                ring_x, ring_y, "o", color=INK, markersize=8.5, markerfacecolor="none", markeredgewidth=0.9, zorder=4
            )
            if len(both):
                drawn.add("concurrent", panel=title, series=labels[group], x=ring_x, y=ring_y)
        ax.axvline(AMINOTRANSFERASE_LINE, color=INK, linewidth=0.8, linestyle=(0, (4, 2)), zorder=1)
        ax.axhline(BILIRUBIN_LINE, color=INK, linewidth=0.8, linestyle=(0, (4, 2)), zorder=1)
        _quadrants(ax, inputs, scale, title, labels, drawn)
        ax.set_xlabel("Peak ALT or AST (multiple)")
        ax.set_ylabel("Peak total bilirubin (multiple)")
    handles = [
        Line2D(
            [], [], color=looks[group].colour, marker=looks[group].marker, linestyle="", markersize=4.5,
            markerfacecolor="none" if group == "unexposed" else looks[group].colour, label=labels[group],
        )
        for group in groups
    ]  # fmt: skip
    handles.append(
        Line2D([], [], color=INK, marker="o", linestyle="", markersize=8, markerfacecolor="none", markeredgewidth=0.9,
               label="Both within 30 days")
    )  # fmt: skip
    figure.legend(
        handles=handles, loc="upper left", ncols=3, borderaxespad=0, bbox_to_anchor=(0.075, 0.985), columnspacing=1.8,
        handletextpad=0.3,
    )  # fmt: skip
    if inputs.cohort.synthetic:
        mark_synthetic(figure, axes)
    return figure, drawn.frame()


def _log_axes(ax: Axes, shown: pd.DataFrame, scale: str) -> None:
    """Set both axes to logarithms, wide enough for all points and both lines."""
    for name, line, place in (
        ("aminotransferase", AMINOTRANSFERASE_LINE, ax.set_xlim),
        ("bilirubin", BILIRUBIN_LINE, ax.set_ylim),
    ):
        values = shown[f"{name}_{scale}"]
        values = values[values > 0]
        low = min(float(values.min()), 0.5) if len(values) else 0.1
        high = max(float(values.max()), 2.5 * line) if len(values) else 10.0
        (ax.set_xscale if name == "aminotransferase" else ax.set_yscale)("log")
        # the names of the quadrants need room above and below the points, and beyond the lines
        low, high = (low / 1.6, high * 1.25) if name == "aminotransferase" else (low / 2.3, high * 2.3)
        share = 0.38 if name == "aminotransferase" else 0.3
        place(low, max(high, line * (line / low) ** (share / (1 - share))))
    for axis in (ax.xaxis, ax.yaxis):
        ticks = (0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 20, 50, 100)
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(lambda value, _: f"{value:g}")


def _quadrants(ax: Axes, inputs: Inputs, scale: str, panel: str, labels: dict[str, str], drawn: Drawn) -> None:
    """Name the quadrants, with the number of patients of each group."""
    for name, said in _QUADRANT_NAMES.items():
        x, y, ha, va = _CORNERS[name]
        lines = [said]
        for group, label in labels.items():
            ard_id = f"liver.edish.{group}.{scale}.{name}.n"
            lines.append(f"{label}: {inputs.number(ard_id)}")
            drawn.add("count", panel=panel, series=said.replace("\n", " "), y=inputs.rows[ard_id]["value"],
                      text=lines[-1], ard_id=ard_id)  # fmt: skip
        ax.text(
            x, y, "\n".join(lines), transform=ax.transAxes, ha=ha, va=va, fontsize=6.5, linespacing=1.25, color=INK,
            zorder=5, bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.2},
        )  # fmt: skip


# --- course of ALBI ------------------------------------------------------------------------------------------------

_COURSE_NUMBERS = ("months", "change", "change_low", "change_high", "albi", "albi_low", "albi_high")


def draw_albi_course(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw ALBI of each patient with the model's means by arm; below, the difference, and time to a worse grade.

    Curves ``albi_patients``, ``albi_course``, ``albi_worsening``; ARD ``liver.albi_course.contrast.<month>.difference``
    and ``liver.albi_course.<arm>.<month>.n``. Incidence ends where fewer than
    :data:`~sorafenib_rfa.exhibits.figures.canvas.FEWEST_AT_RISK` are at risk.
    """
    patients, course = inputs.curves.get("albi_patients"), inputs.curves.get("albi_course")
    if patients is None or patients.empty:  # a public release shows no single patient
        course = inputs.curve("albi_course")
        patients = course.iloc[:0].assign(line=0)
    if course is None or course.empty:  # too few patients for a model
        course = pd.DataFrame(columns=["group", "label", *_COURSE_NUMBERS]).astype(
            dict.fromkeys(_COURSE_NUMBERS, float)
        )
    labels = {slug: label for label, slug in arms_of(inputs.cohort).slugs.items()}
    looks = looks_of(["sorafenib", "control"])
    last = max(inputs.plan.liver.albi_months)
    figure, drawn = new_figure(6.3), Drawn()
    grid = figure.add_gridspec(
        2, 2, left=0.085, right=0.97, bottom=0.07, top=0.955, hspace=0.33, wspace=0.2, height_ratios=(1.25, 1)
    )
    top = [figure.add_subplot(grid[0, column]) for column in range(2)]
    for ax, arm in zip(top, ("sorafenib", "control"), strict=True):
        _spaghetti(ax, inputs, patients, course, arm, labels[arm], looks[arm], last, drawn)
    # wide enough for nearly all: one value far off must not flatten the others
    shown = patients.loc[patients["months"] <= last, "albi"]
    if shown.empty:
        shown = course[["albi_low", "albi_high"]].stack()
    low, high = np.quantile(shown, [0.002, 0.998]) if len(shown) else (-3.6, ALBI_GRADE_2_AT_MOST)
    for ax in top:
        ax.set_ylim(min(low, -3.6), max(high, ALBI_GRADE_2_AT_MOST) + 0.35)
        _name_grades(ax)
    top[0].set_ylabel("ALBI score (higher: worse)")
    difference, worse = figure.add_subplot(grid[1, 0]), figure.add_subplot(grid[1, 1])
    _difference(difference, inputs, course, last, drawn)
    _worsening(worse, inputs, looks, last, drawn)
    panels = [*top, difference, worse]
    for ax in panels:
        ax.set_xlim(0, last * 1.045)
        ax.set_xticks(np.arange(0, last + 1, 6 if last >= 12 else 3))
        ax.set_xlabel(months_label(inputs.cohort), labelpad=2)
    for letter, ax in zip("ABCD", panels, strict=True):
        ax.set_title(f"{letter}  {ax.get_title(loc='left')}")
    if inputs.cohort.synthetic:
        mark_synthetic(figure, panels, size=15)
    return figure, drawn.frame()


def _spaghetti(
    ax: Axes,
    inputs: Inputs,
    patients: pd.DataFrame,
    course: pd.DataFrame,
    arm: str,
    label: str,
    look: Look,
    last: float,
    drawn: Drawn,
) -> None:
    """Draw the lines of patients, thin, and the model's mean with its band."""
    own = patients[patients["group"] == arm]
    title = label
    ax.set_title(title)
    for number, line in own.groupby("line", sort=True):
        ax.plot(line["months"], line["albi"], color="#8c939b", linewidth=0.35, alpha=0.45, zorder=1)
        drawn.add("patient", panel=title, series=str(number), x=line["months"], y=line["albi"])
    mean = course[course["group"] == arm]
    if mean.empty:
        not_estimable(ax)
    else:
        ax.fill_between(mean["months"], mean["albi_low"], mean["albi_high"], color=look.colour, alpha=0.35, linewidth=0,
                        zorder=3)  # fmt: skip
        ax.plot(mean["months"], mean["albi"], color=look.colour, linestyle=look.line, linewidth=2.0, zorder=4)
        drawn.add("mean", panel=title, series=title, x=mean["months"], y=mean["albi"], low=mean["albi_low"],
                  high=mean["albi_high"])  # fmt: skip
    for cut in (ALBI_GRADE_1_AT_MOST, ALBI_GRADE_2_AT_MOST):
        ax.axhline(cut, color=INK, linewidth=0.7, linestyle=(0, (4, 2)), zorder=2)
    _numbers_with_score(ax, inputs, arm, title, last, drawn)


def _name_grades(ax: Axes) -> None:
    """Name the grades at the right edge, each between its limits."""
    low, high = ax.get_ylim()
    limits = [low, ALBI_GRADE_1_AT_MOST, ALBI_GRADE_2_AT_MOST, high]
    for grade, (below, above) in enumerate(pairwise(limits), start=1):
        ax.annotate(f"grade {grade}", (1.0, (below + above) / 2), xycoords=("axes fraction", "data"), xytext=(2, 0),
                    textcoords="offset points", rotation=270, ha="left", va="center", fontsize=6.5, color=MUTED,
                    annotation_clip=False)  # fmt: skip


def _numbers_with_score(ax: Axes, inputs: Inputs, arm: str, panel: str, last: float, drawn: Drawn) -> None:
    """Print, below the top edge, how many patients have a score near each planned month."""
    for month in inputs.plan.liver.albi_months:
        ard_id = f"liver.albi_course.{arm}.{horizon(month)}.n"
        text = inputs.number(ard_id)
        ax.annotate(text, (month, 1.0), xycoords=("data", "axes fraction"), xytext=(0, -1), textcoords="offset points",
                    ha="center", va="top", fontsize=6.3, color=INK, zorder=5,
                    bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6})  # fmt: skip
        drawn.add("patients_with_score", panel=panel, x=month, y=inputs.rows[ard_id]["value"], text=text, ard_id=ard_id)
    ax.annotate("n", (0, 1.0), xycoords="axes fraction", xytext=(3, -1), textcoords="offset points", va="top",
                fontsize=6.3, color=INK, fontstyle="italic")  # fmt: skip


def _difference(ax: Axes, inputs: Inputs, course: pd.DataFrame, last: float, drawn: Drawn) -> None:
    """Draw the difference in adjusted mean change, with its band, and the estimates of the planned months."""
    title = "Difference in mean change, A minus B"
    ax.set_title(title)
    own = course[course["group"] == "contrast"]
    if own.empty:
        not_estimable(ax)
    else:
        ax.fill_between(own["months"], own["change_low"], own["change_high"], color="#9aa1a9", alpha=0.35, linewidth=0)
        ax.plot(own["months"], own["change"], color=INK, linewidth=1.2)
        drawn.add("difference", panel=title, x=own["months"], y=own["change"], low=own["change_low"],
                  high=own["change_high"])  # fmt: skip
    for month in inputs.plan.liver.albi_months:
        row = inputs.rows[f"liver.albi_course.contrast.{horizon(month)}.difference"]
        if pd.isna(row["value"]):
            continue
        ax.plot([month, month], [row["ci_low"], row["ci_high"]], color=INK, linewidth=1.0)
        ax.plot([month], [row["value"]], "D", color=INK, markersize=3.6)
        drawn.add("estimate", panel=title, x=month, y=row["value"], low=row["ci_low"], high=row["ci_high"],
                  ard_id=row["ard_id"])  # fmt: skip
    ax.axhline(0, color=RULE, linewidth=0.8, zorder=0)
    ax.set_ylabel("ALBI points (95% CI)")


def _worsening(ax: Axes, inputs: Inputs, looks: dict[str, Look], last: float, drawn: Drawn) -> None:
    """Draw the cumulative incidence of a worse ALBI grade: first, and (thin) confirmed by the next score."""
    title = "Worse ALBI grade, cumulative incidence"
    ax.set_title(title)
    curves = inputs.curves["albi_worsening"]
    seen = enough_at_risk(curves[curves["time_months"] <= last])
    if seen.empty:
        not_estimable(ax)
    handles = []
    for arm, look in looks.items():
        own = seen[(seen["group"] == arm) & (seen["definition"] == "first")]
        if own.empty:
            continue
        label = str(own["label"].iloc[0])
        incidence(ax, own, look, label, title, drawn)
        confirmed = seen[(seen["group"] == arm) & (seen["definition"] == "confirmed")]
        x, y = confirmed["time_months"].to_numpy(float), 100 * confirmed["incidence"].to_numpy(float)
        ax.plot(x, y, drawstyle="steps-post", color=look.colour, linestyle=look.line, linewidth=0.8, zorder=3)
        drawn.add("curve", panel=title, series=f"{label}, confirmed", x=x, y=y)
        handles.append(Line2D([], [], color=look.colour, linestyle=look.line, label=label))
    handles.append(Line2D([], [], color=MUTED, linewidth=0.8, label="thin: confirmed by the next score"))
    ax.legend(handles=handles, loc="upper left", fontsize=6.8, handlelength=2.4, borderaxespad=0.2, labelspacing=0.3)
    if len(seen):
        highest = 100 * float(seen[["incidence", "ci_high"]].max().max())
        ax.set_ylim(0, min(highest * 1.3, 100))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}%")
    ax.set_ylabel("Patients")
    if inputs.plan.landmark_day:
        ax.axvline(inputs.landmark_months, color=RULE, linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)


# --- shifts of grade -----------------------------------------------------------------------------------------------

_GRADES = ("0", "1", "2", "3", "4", "missing")
_COLUMNS_OF_PANELS = 3
_PANEL_IN = 1.45


def draw_lab_shift(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw, by test and group, how many patients went from each grade at baseline to each worst grade.

    Curve ``lab_shift``; a cell is the darker the larger its share of the patients with both grades. Cells above the
    diagonal's frame (to the right of it) are worse than baseline.
    """
    rows = inputs.curve("lab_shift")
    tests = list(dict.fromkeys(rows["test"]))
    groups = list(dict.fromkeys(rows["group"]))
    labels = dict(zip(rows["group"], rows["label"], strict=True))
    names = dict(zip(rows["test"], rows["test_label"], strict=True))
    columns = min(len(tests), _COLUMNS_OF_PANELS)
    blocks = -(-len(tests) // columns)
    left_in, gap_in, head_in, foot_in = 0.62, 0.12, 0.22, 0.42
    block_in = head_in + len(groups) * _PANEL_IN + (len(groups) - 1) * gap_in + foot_in
    width, height = left_in + columns * (_PANEL_IN + gap_in), 0.15 + blocks * block_in + 0.32
    figure, drawn = new_figure(height, width_in=width), Drawn()
    axes = []
    for index, test in enumerate(tests):
        block, column = divmod(index, columns)
        for line, group in enumerate(groups):
            left = left_in + column * (_PANEL_IN + gap_in)
            top = 0.15 + block * block_in + head_in + line * (_PANEL_IN + gap_in)
            ax = figure.add_axes((left / width, 1 - (top + _PANEL_IN) / height, _PANEL_IN / width, _PANEL_IN / height))
            own = rows[(rows["test"] == test) & (rows["group"] == group)]
            _shift_panel(ax, own, names[test], labels[group], drawn)
            if line == 0:
                ax.set_title(_short(test, names[test]), fontsize=7, pad=3, loc="left")
            ax.set_yticks(range(len(_GRADES)), [_tick(grade) for grade in _GRADES] if column == 0 else [])
            last = line == len(groups) - 1
            ax.set_xticks(range(len(_GRADES)), [_tick(grade) for grade in _GRADES] if last else [])
            if column == 0:
                ax.set_ylabel(f"{labels[group]}\nGrade at baseline", fontsize=7, labelpad=2)
            if last:
                ax.set_xlabel("Worst grade", fontsize=7, labelpad=1.5)
            axes.append(ax)
    figure.text(
        0.99, 0.06 / height, "Darker: larger share of those with both grades. Framed: as at baseline; to the right:\n"
        "worse. –: no grade.", ha="right", va="bottom", fontsize=6.5, color=MUTED,
    )  # fmt: skip
    if inputs.cohort.synthetic:
        mark_synthetic(figure, axes, size=10)
    return figure, drawn.frame()


def _short(test: str, name: str) -> str:
    return {"ALB": "Albumin (low)", "BILI": "Bilirubin", "PLT": "Platelets (low)", "CREA": "Creatinine"}.get(test, test)


def _tick(grade: str) -> str:
    return "–" if grade == "missing" else grade


def _shift_panel(ax: Axes, rows: pd.DataFrame, test: str, group: str, drawn: Drawn) -> None:
    """Draw one table of counts as shaded cells."""
    ax.set_xlim(-0.5, len(_GRADES) - 0.5)
    ax.set_ylim(len(_GRADES) - 0.5, -0.5)
    ax.tick_params(length=0, labelsize=6.3, pad=1.5)
    for spine in ax.spines.values():
        spine.set_visible(True)
        spine.set_color(RULE)
    for row in rows.itertuples():
        y, x = _GRADES.index(row.base_grade), _GRADES.index(row.worst_grade)
        share = 0.0 if pd.isna(row.percent) else row.percent / 100
        if share > 0:
            # the square root lets small shares be seen beside the usual many of grade 0
            ax.add_patch(
                Rectangle((x - 0.5, y - 0.5), 1, 1, color=LOOKS[1].colour, alpha=0.12 + 0.6 * share**0.5, linewidth=0)
            )
        if x == y and row.base_grade != "missing":
            ax.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, edgecolor=INK, linewidth=0.7, zorder=3))
        if row.n:
            ax.text(x, y, count_text(row.n), ha="center", va="center", fontsize=6.6, color=INK, zorder=4)
        drawn.add("cell", panel=test, series=group, x=x, y=y, text=count_text(row.n), ard_id=row.ard_id)
    for at in np.arange(0.5, len(_GRADES) - 1):
        ax.axhline(at, color="#dfe3e7", linewidth=0.4, zorder=0)
        ax.axvline(at, color="#dfe3e7", linewidth=0.4, zorder=0)
    for line in (ax.axhline, ax.axvline):
        line(len(_GRADES) - 1.5, color=RULE, linewidth=0.7, zorder=1)
