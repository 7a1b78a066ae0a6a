"""Figures of the validation study: zip plots of the intervals, and nested-loop plots of the performance measures.

References
----------
Morris TP, White IR, Crowther MJ. Using simulation studies to evaluate statistical methods. Stat Med 2019;38:2074-2102
(zip plot: figure 5). Rücker G, Schwarzer G. Presenting simulation results in a nested loop plot. BMC Med Res Methodol
2014;14:129.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.exhibits.draw import styled
from sorafenib_rfa.exhibits.figures.canvas import (
    INK,
    MUTED,
    RULE,
    Drawn,
    Inputs,
    draw_not_run,
    mark_synthetic,
    new_figure,
)
from sorafenib_rfa.validation.cells import PRIMARY, Cell, Series, Study

MEASURE_OF: Final = {
    "study_zip_rmst": "rmst_difference",
    "study_zip_hr": "log_hr",
    "study_loop_rmst": "rmst_difference",
    "study_loop_hr": "log_hr",
}
"""Figures of the study, and the measure that each is of."""
COVERS, MISSES = "#7f9bb3", "#8c2d04"
_SHORT: Final = {
    "ccw_overlap": "Clone-censor-weight,\noverlap (primary)",
    "ccw_ate": "Clone-censor-weight,\nall patients",
    "landmark_overlap": "Landmark,\noverlap weights",
    "landmark_iptw": "Landmark, inverse\nprobability weights",
    "landmark_unadjusted": "Landmark,\nunadjusted",
    "landmark_adjusted": "Landmark,\ncovariate-adjusted",
    "time_varying": "Time-varying exposure,\nadjusted",
    "naive": "Naive,\never against never",
}
_WORDS: Final = {"rmst_difference": "Difference of restricted means", "log_hr": "Log hazard ratio"}


class _Look(NamedTuple):
    """Colour (Okabe and Ito) and marker of an estimator: each has a shape of its own, so colour is not needed."""

    colour: str
    marker: str
    filled: bool = True

    @property
    def size(self) -> float:
        """Points across: shapes of little surface are drawn larger."""
        return 4.6 if self.marker in "XP" else 3.8


LOOKS: Final = {
    ("rfs", "ccw_overlap"): _Look(INK, "D"),
    ("rfs", "ccw_ate"): _Look("#0072B2", "s"),
    ("rfs", "landmark_overlap"): _Look("#009E73", "^"),
    ("rfs", "landmark_iptw"): _Look("#009E73", "v", filled=False),
    ("rfs", "landmark_unadjusted"): _Look("#E69F00", "P"),
    ("rfs", "landmark_adjusted"): _Look("#56B4E9", "<", filled=False),
    ("rfs", "time_varying"): _Look("#CC79A7", "p"),
    ("rfs", "naive"): _Look("#D55E00", "X"),
    ("os", "ccw_overlap"): _Look(INK, "o", filled=False),
}


def draw_validation(
    name: str, ard: pd.DataFrame, intervals: pd.DataFrame | None, cohort: CohortConfig, plan: Plan
) -> tuple[Figure, pd.DataFrame]:
    """Draw a figure of the validation study.

    Parameters
    ----------
    name : str
        One of :data:`MEASURE_OF`.
    ard : DataFrame
        Rows ``validation.study*``.
    intervals : DataFrame or None
        One row an interval: ``scenario, screened, endpoint, estimator, measure, replicate, estimate, std_err,
        covers``; needed by a zip plot of a study that was run.
    cohort : CohortConfig
    plan : Plan
        Confidence level.

    Returns
    -------
    figure : Figure
        Says so where the study was not run.
    drawn : DataFrame
        ``element, panel, series, x, y, low, high, text, ard_id``.
    """
    study = Study.of(ard)
    inputs = Inputs(name, ard, {}, cohort, plan)
    with styled():
        if study.not_run:
            return draw_not_run(inputs)
        if name.startswith("study_zip"):
            if intervals is None:
                raise ValueError(f"{name} needs the intervals of the study")
            return _zip(inputs, study, intervals, MEASURE_OF[name])
        return _nested_loop(inputs, study, MEASURE_OF[name])


# --- zip plot --------------------------------------------------------------------------------------------------------

_ZIP_COLUMNS = 3
_ZIP_PANEL_IN = 1.75
_ZIP_HEAD_IN, _ZIP_FOOT_IN, _ZIP_GAP_IN = 0.76, 0.68, 0.7


def zipped(intervals: pd.DataFrame, truth: float) -> pd.DataFrame:
    """Return the intervals of one estimator in one cell in the order of a zip plot.

    Parameters
    ----------
    intervals : DataFrame
        ``replicate, estimate, std_err, covers``; rows without an estimate are left out.
    truth : float

    Returns
    -------
    DataFrame
        ``replicate, error`` (estimate minus truth)``, std_err, covers, centile``: the place of the interval's |z|,
        the distance of estimate and truth in standard errors, among all, in percent (Morris et al. 2019, figure 5).
    """
    found = intervals.dropna(subset=["estimate", "std_err"]).assign(error=lambda rows: rows["estimate"] - truth)
    # what holds the truth comes before what does not: rounded stored limits must not mix them at the border
    order = found.assign(z=(found["error"] / found["std_err"]).abs(), misses=~found["covers"].astype(bool))
    order = order.sort_values(["misses", "z", "replicate"], ignore_index=True)
    order["centile"] = 100 * (np.arange(len(order)) + 0.5) / len(order)
    return order[["replicate", "error", "std_err", "covers", "centile"]]


def _zip(inputs: Inputs, study: Study, intervals: pd.DataFrame, measure: str) -> tuple[Figure, pd.DataFrame]:
    """Draw the intervals of each estimator in the main cell by the centile of |z|; only the upper centiles."""
    from scipy.special import ndtri

    cell, series = study.main, study.series(measure)
    z = float(ndtri(0.5 + inputs.plan.confidence_level / 2))
    coverage = [float(study.get(one, cell, measure, "coverage")["ci_low"]) for one in series]
    # below the lowest coverage all intervals hold the truth: a picture of them would show nothing
    floor = float(max(0.0, min(80.0, 10 * math.floor((np.nanmin(coverage) - 2) / 10))))
    rows = -(-len(series) // _ZIP_COLUMNS)
    height = _ZIP_HEAD_IN + _ZIP_FOOT_IN + rows * _ZIP_PANEL_IN + (rows - 1) * _ZIP_GAP_IN
    figure, drawn = new_figure(height), Drawn()
    left, right, gap = 0.075, 0.99, 0.035
    width = (right - left - gap * (_ZIP_COLUMNS - 1)) / _ZIP_COLUMNS
    own = intervals[
        (intervals["scenario"] == cell.scenario)
        & (intervals["screened"] == cell.screened)
        & (intervals["measure"] == measure)
    ]
    panels = []
    for one in series:
        lines = own[(own["endpoint"].str.lower() == one.endpoint) & (own["estimator"] == one.estimator)]
        panels.append(zipped(lines, float(study.get(one, cell, measure, "truth")["value"])))
    ends = np.concatenate([
        np.abs(panel["error"]) + z * panel["std_err"] for panel in panels
    ])  # fmt: skip
    reach = 1.02 * float(np.max(ends, initial=1e-9))
    axes: list[Axes] = []
    for place, (one, panel) in enumerate(zip(series, panels, strict=True)):
        row, column = divmod(place, _ZIP_COLUMNS)
        bottom = _ZIP_FOOT_IN + (rows - 1 - row) * (_ZIP_PANEL_IN + _ZIP_GAP_IN)
        ax = figure.add_axes((left + column * (width + gap), bottom / height, width, _ZIP_PANEL_IN / height))
        axes.append(ax)
        _zip_panel(ax, inputs, study, one, measure, panel, floor, z, drawn)
        ax.set_xlim(-reach, reach)
        ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        ax.xaxis.set_major_formatter(_signed)
        if column:
            ax.tick_params(axis="y", labelleft=False)
        if place + _ZIP_COLUMNS < len(series):
            ax.tick_params(axis="x", labelleft=False)
    unit = ", months" if measure == "rmst_difference" else ""
    figure.supxlabel(f"{_WORDS[measure]}: interval minus true value{unit}", fontsize=8, y=0.3 / height)
    figure.supylabel("Centile of |z|", fontsize=8, x=0.008)
    figure.text(left, 1 - 0.06 / height, f"{cell.title}, {_patients(inputs, cell)} patients analysed on average",
                fontsize=8.5, fontweight="bold", va="top")  # fmt: skip
    keys = [
        Line2D([], [], color=COVERS, linewidth=3, label="Interval holds the truth"),
        Line2D([], [], color=MISSES, linewidth=3, label="Interval misses it"),
        Line2D([], [], color=INK, linewidth=1.1, label="Coverage"),
        Patch(facecolor=RULE, alpha=0.5, label="its Monte Carlo interval"),
        Line2D([], [], color=INK, linewidth=0.9, linestyle=(0, (3, 2)), label=f"{_nominal(inputs):g}%"),
    ]
    figure.legend(
        handles=keys, loc="lower left", bbox_to_anchor=(left - 0.01, 0.0), ncols=5, fontsize=7, handlelength=1.6,
        columnspacing=1.3, handletextpad=0.5, borderaxespad=0.2,
    )  # fmt: skip
    if inputs.cohort.synthetic:
        mark_synthetic(figure, axes, size=12)
    return figure, drawn.frame()


def _zip_panel(
    ax: Axes,
    inputs: Inputs,
    study: Study,
    one: Series,
    measure: str,
    panel: pd.DataFrame,
    floor: float,
    z: float,
    drawn: Drawn,
) -> None:
    shown = panel[panel["centile"] >= floor]
    low, high = shown["error"] - z * shown["std_err"], shown["error"] + z * shown["std_err"]
    for covers, colour in ((True, COVERS), (False, MISSES)):
        at = (shown["covers"].astype(bool) == covers).to_numpy()
        segments = [((a, y), (b, y)) for a, b, y in zip(low[at], high[at], shown["centile"][at], strict=True)]
        # as high as its share of the centiles, so that the intervals make one surface
        thick = 0.9 * 72 * _ZIP_PANEL_IN * (100 / max(len(panel), 1)) / (100 - floor)
        ax.add_collection(LineCollection(segments, colors=colour, linewidths=thick, zorder=2))
        drawn.add(
            "interval", panel=one.label, series="holds the truth" if covers else "misses it",
            x=shown["error"][at], y=shown["centile"][at], low=low[at], high=high[at],
        )  # fmt: skip
    row = study.get(one, study.main, measure, "coverage")
    ard_id = study.id_of(one, study.main, measure, "coverage")
    ax.axhspan(row["ci_low"], row["ci_high"], color=RULE, alpha=0.5, linewidth=0, zorder=3)
    ax.axhline(row["value"], color=INK, linewidth=1.1, zorder=4)
    ax.axhline(_nominal(inputs), color=INK, linewidth=0.9, linestyle=(0, (3, 2)), zorder=5)
    ax.axvline(0, color="white", linewidth=1.8, zorder=5)
    ax.axvline(0, color=INK, linewidth=0.7, zorder=6)
    ax.set_ylim(floor, 100)
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2.5, 5, 10], integer=True))
    text = inputs.number(ard_id, "ci", digits=1).replace("95% CI ", "")
    weight = "bold" if one.primary else "normal"
    name = (
        _SHORT[one.estimator] if one.endpoint == "rfs" else f"{_SHORT[one.estimator].split(',')[0]},\noverall survival"
    )
    ax.text(0, 1.115, name, transform=ax.transAxes, fontsize=7.5, fontweight=weight, va="bottom", linespacing=1.15)
    ax.text(0, 1.025, f"Coverage {text}", transform=ax.transAxes, fontsize=7, va="bottom", color=INK)
    drawn.add(
        "coverage", panel=one.label, y=row["value"], low=row["ci_low"], high=row["ci_high"], text=text, ard_id=ard_id
    )


def _nominal(inputs: Inputs) -> float:
    """Return the share of intervals that should hold the truth, in percent."""
    return 100 * inputs.plan.confidence_level


def _patients(inputs: Inputs, cell: Cell) -> str:
    """Return how many patients of a cell are analysed on average."""
    return inputs.number(f"validation.study.patients.n{cell.screened}", digits=0)


def _signed(value: float, _: object = None) -> str:
    return f"{value:g}".replace("-", "\u2212")


# --- nested-loop plot ------------------------------------------------------------------------------------------------

_LOOP_PANEL_IN = {3: 1.85, 4: 1.6, 5: 1.4}
"""Height of a panel by their number."""
_LOOP_GAP_IN, _LOOP_LOOPS_IN = 0.26, 0.62


class _Panel(NamedTuple):
    """A performance measure, its value if all is right and, in an enlarged panel, how far from that it reaches."""

    stat: str
    label: str
    right: float
    reach: float = np.inf


def _nested_loop(inputs: Inputs, study: Study, measure: str) -> tuple[Figure, pd.DataFrame]:
    """Draw bias, error of the standard error and coverage of each estimator over sizes nested in scenarios."""
    series, cells = study.series(measure), study.cells
    unit = ", months" if measure == "rmst_difference" else ""
    panels = [
        *_enlarged(study, measure, _Panel("bias", f"Bias{unit}", 0.0)),
        _Panel("se_error", "Error of\nmodel SE, %", 0.0),
        *_enlarged(study, measure, _Panel("coverage", "Coverage, %", _nominal(inputs))),
    ]
    each_in = _LOOP_PANEL_IN[len(panels)]
    columns = 3
    legend_in = 0.19 * -(-len(series) // columns)
    head_in, foot_in = 0.34 + legend_in, 0.06 + _LOOP_LOOPS_IN
    height = head_in + foot_in + len(panels) * each_in + (len(panels) - 1) * _LOOP_GAP_IN + 0.1
    figure, drawn = new_figure(height), Drawn()
    left, width = 0.12, 0.87
    figure.text(0.012, 1 - 0.06 / height, _WORDS[measure], fontsize=8.5, fontweight="bold", va="top")
    axes = []
    for place, panel in enumerate(panels):
        bottom = height - head_in - (place + 1) * each_in - place * _LOOP_GAP_IN
        ax = figure.add_axes((left, bottom / height, width, each_in / height))
        axes.append(ax)
        _loop_panel(ax, study, series, cells, measure, panel, drawn)
    loops = figure.add_axes((left, 0.06 / height, width, _LOOP_LOOPS_IN / height))
    _loops(loops, inputs, cells, drawn)
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, markersize=look.size + 0.7, linewidth=0.9,
               label=one.label, markerfacecolor=look.colour if look.filled else "white")
        for one, look in ((one, LOOKS[one]) for one in series)
    ]  # fmt: skip
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.0, 1 - 0.24 / height), ncols=columns, fontsize=7,
        handlelength=1.8, columnspacing=1.2, handletextpad=0.5, borderaxespad=0.2, labelspacing=0.35,
    )  # fmt: skip
    if inputs.cohort.synthetic:
        mark_synthetic(figure, axes, size=14)
    return figure, drawn.frame()


def _enlarged(study: Study, measure: str, panel: _Panel) -> list[_Panel]:
    """Return a panel and, where others dwarf the primary design, a second one that reaches about as far as it does."""

    def farthest(series: Sequence[Series]) -> float:
        rows = [study.get(one, cell, measure, panel.stat) for one in series for cell in study.cells]
        ends = np.array([row[end] for row in rows for end in ("ci_low", "ci_high")], dtype=float)
        return float(np.nanmax(np.abs(ends - panel.right), initial=0.0))

    every = study.series(measure)
    reach = 1.6 * farthest([one for one in every if one.estimator == PRIMARY.estimator])
    if not 0 < 2 * reach < farthest(every):
        return [panel]
    return [panel, panel._replace(label=f"{panel.label}\n(enlarged)", reach=reach)]


def _loop_panel(
    ax: Axes, study: Study, series: Sequence[Series], cells: Sequence[Cell], measure: str, panel: _Panel, drawn: Drawn
) -> None:
    ax.axhline(panel.right, color=INK, linewidth=0.8, zorder=1)
    dodge = 0.84 / len(series)
    for number, one in enumerate(series):
        look = LOOKS[one]
        rows = [study.get(one, cell, measure, panel.stat) for cell in cells]
        value, low, high = (np.array([row[key] for row in rows], float) for key in ("value", "ci_low", "ci_high"))
        strong = one.primary
        for begin, end in _scenarios(cells):
            # the loop within a scenario: a step a size
            x, y = np.arange(begin, end + 1, dtype=float), np.append(value[begin:end], value[end - 1])
            ax.plot(x, y, drawstyle="steps-post", color=look.colour, linewidth=1.2 if strong else 0.7,
                    alpha=0.9 if strong else 0.55, zorder=2)  # fmt: skip
        x = np.arange(len(cells)) + 0.08 + (number + 0.5) * dodge
        ax.vlines(x, low, high, color=look.colour, linewidth=0.9, zorder=3)
        ax.plot(
            x, value, linestyle="none", marker=look.marker, markersize=look.size, color=look.colour,
            markeredgewidth=0.8, markerfacecolor=look.colour if look.filled else "white", zorder=5 if strong else 4,
        )  # fmt: skip
        if np.isfinite(panel.reach):  # the same points again
            continue
        drawn.add(
            "point", panel=panel.label, series=one.label, x=x, y=value, low=low, high=high,
            text=[cell.name for cell in cells],
            ard_id=[study.id_of(one, cell, measure, panel.stat) for cell in cells],
        )  # fmt: skip
    ax.set_xlim(0, len(cells))
    ax.set_xticks([])
    ax.set_ylabel(panel.label)
    ax.yaxis.set_label_coords(-0.086, 0.5)
    ax.yaxis.set_major_locator(MaxNLocator(6))
    ax.yaxis.set_major_formatter(_signed)
    ax.margins(y=0.06)
    if np.isfinite(panel.reach):
        ax.set_ylim(panel.right - panel.reach, panel.right + panel.reach)
        drawn.add("limits", panel=panel.label, low=panel.right - panel.reach, high=panel.right + panel.reach)
    _rules(ax, cells)


def _scenarios(cells: Sequence[Cell]) -> list[tuple[int, int]]:
    """Return where each scenario begins and ends."""
    names = [cell.scenario for cell in cells]
    return [(names.index(name), names.index(name) + names.count(name)) for name in dict.fromkeys(names)]


def _rules(ax: Axes, cells: Sequence[Cell]) -> None:
    """Part the scenarios by a line and the sizes by a fainter one."""
    begins = {begin for begin, _ in _scenarios(cells)}
    for at in range(1, len(cells)):
        outer = at in begins
        ax.axvline(at, color=RULE if outer else "#e3e6ea", linewidth=0.9 if outer else 0.6, zorder=0)


def _loops(ax: Axes, inputs: Inputs, cells: Sequence[Cell], drawn: Drawn) -> None:
    """Draw the loops: the scenario, and within it the size as a rising step with its number of patients."""
    ax.set_xlim(0, len(cells))
    ax.set_ylim(0, 1)
    ax.axis("off")
    _rules(ax, cells)
    for begin, end in _scenarios(cells):
        title = cells[begin].title
        ax.text((begin + end) / 2, 0.1, title, ha="center", va="center", fontsize=7.5, fontweight="bold")
        steps = 0.36 + 0.12 * np.arange(end - begin)
        ax.plot(np.arange(begin, end + 1), [*steps, steps[-1]], drawstyle="steps-post", color=MUTED, linewidth=1.0)
        drawn.add("loop", panel="scenario", series=title, x=begin, low=begin, high=end, text=title)
        for at, step in zip(range(begin, end), steps, strict=True):
            text = f"n = {_patients(inputs, cells[at])}"
            ax.text(at + 0.5, step + 0.06, text, ha="center", va="bottom", fontsize=6.5, color=INK)
            drawn.add(
                "loop", panel="size", series=title, x=at + 0.5, text=text,
                ard_id=f"validation.study.patients.n{cells[at].screened}",
            )  # fmt: skip
