"""Survival and cumulative incidence by prognostic group, for cohorts without treatment arms."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sorafenib_rfa.estimates.ard import ard_id as ard_name
from sorafenib_rfa.exhibits.figures.canvas import (
    INK,
    RULE,
    Drawn,
    Inputs,
    Look,
    looks_of,
    mark_synthetic,
    month_ticks,
    months_label,
    new_figure,
)
from sorafenib_rfa.exhibits.figures.survival import ROW_IN, draw_risk_table, draw_survival, incidence
from sorafenib_rfa.vocabulary import ENDPOINTS

EVERYONE = Look(INK, "-", "o")
PUBLISHED_MONTH = 60
"""Month to which the published event percentages belong (`estimates.prognosis.EVENT_MONTH`)."""


def draw_km_prognostic(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw Kaplan-Meier curves by prognostic group, a row an endpoint, a column a factor, with risk tables.

    Curves ``km_prognostic, risk_table_prognostic``; log-rank tests and published event percentages from ARD
    ``prognosis.<endpoint>_group.*``. A published percentage is drawn as 100 minus itself, at its month.
    """
    curves, risk = inputs.curve("km_prognostic"), inputs.curve("risk_table_prognostic")
    curves = curves[curves["variable"] != ""]
    endpoints, variables = list(dict.fromkeys(curves["endpoint"])), _variables(curves)
    longest = float(curves["time_months"].max())
    most = max(curves.groupby("variable")["group"].nunique())
    below = 0.52 + ROW_IN * (most + 1)
    panel = 1.9
    height = 0.28 + len(endpoints) * (panel + below + 0.32)
    figure, drawn = new_figure(height), Drawn()
    names_in = 1.3
    each = (7.0 - 0.12) / len(variables)
    axes = []
    for i, endpoint in enumerate(endpoints):
        top = height - 0.28 - i * (panel + below + 0.32) - 0.32
        for j, (variable, label) in enumerate(variables.items()):
            place = ((0.06 + j * each + names_in) / 7.0, (top - panel) / height, (each - names_in - 0.12) / 7.0)
            ax = figure.add_axes((*place, panel / height))
            axes.append(ax)
            title = f"{ENDPOINTS[endpoint]}, by {label}"
            # the title belongs to the whole panel, names of the risk table included
            ax.set_title(f"{label}", x=0)
            mine = curves[(curves["endpoint"] == endpoint) & (curves["variable"] == variable)]
            looks, labels = _looks(mine)
            for group in labels:
                draw_survival(ax, mine[mine["group"] == group], looks[group], labels[group], title, drawn)
            _months(ax, inputs, longest, month_ticks(longest))
            ax.set_ylim(0, 102)
            ax.set_ylabel(f"{ENDPOINTS[endpoint]} (%)" if j == 0 else "")
            _log_rank(ax, inputs, endpoint, variable, title, drawn)
            for group in labels:
                _published_survival(ax, inputs, endpoint, variable, labels[group], looks[group], title, drawn)
            table = risk[(risk["endpoint"] == endpoint) & (risk["variable"] == variable)]
            draw_risk_table(ax, table, list(labels), looks, labels, "Number at risk", title, drawn, names=True)
    _published_legend(figure, axes, height)
    if inputs.cohort.synthetic:
        mark_synthetic(figure, axes, size=14)
    return figure, drawn.frame()


def draw_cif_prognostic(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the cumulative incidence of recurrence (above) and of death without recurrence (below).

    The first column shows all patients, with 1 - Kaplan-Meier of recurrence (deaths censored) at the plan's horizons;
    the others the declared groups, with the published percentages. Curve ``cif_prognostic``; points from ARD
    ``prognosis.first_event.recurrence.<month>.one_minus_km`` and ``prognosis.rfs_group.*_published``.
    """
    curves = inputs.curve("cif_prognostic")
    variables = {"": "All patients"} | _variables(curves[curves["variable"] != ""])
    causes = dict(zip(curves["cause"], curves["cause_label"], strict=True))
    longest = float(curves["time_months"].max())
    height = 1.1 + 2.0 * len(causes)
    figure, drawn = new_figure(height), Drawn()
    grid = {
        "left": 0.085,
        "right": 0.985,
        "bottom": 0.42 / height,
        "top": 1 - 0.95 / height,
        "wspace": 0.08,
        "hspace": 0.16,
    }
    axes = figure.subplots(len(causes), len(variables), sharex=True, sharey=True, squeeze=False, gridspec_kw=grid)
    for i, (cause, cause_label) in enumerate(causes.items()):
        for j, (variable, label) in enumerate(variables.items()):
            ax = axes[i, j]
            panel = f"{cause_label}, {label}"
            mine = curves[(curves["cause"] == cause) & (curves["variable"] == variable)]
            looks, labels = ({"overall": EVERYONE}, {"overall": "All patients"}) if j == 0 else _looks(mine)
            for group in labels:
                incidence(ax, mine[mine["group"] == group], looks[group], labels[group], panel, drawn)
            if cause == "recurrence" and j == 0:
                _one_minus_km(ax, inputs, panel, drawn)
            if j > 0:
                _gray(ax, inputs, variable, cause, panel, drawn)
            if cause == "recurrence" and j > 0:
                for group in labels:
                    _published_incidence(ax, inputs, variable, labels[group], looks[group], panel, drawn)
            # a narrow panel has room for every second year
            ticks = [month for month in month_ticks(longest) if month % 24 == 0]
            _months(ax, inputs, longest, ticks, label=i == len(causes) - 1)
            if i == 0:
                ax.set_title(label, pad=22)
                _group_legend(ax, labels, looks, own_points=j == 0)
        axes[i, 0].set_ylabel(f"{cause_label} (%)")
    axes[0, 0].set_ylim(0, 100)
    if _any_published(drawn):
        figure.legend(
            handles=[_published_handle(MUTED_MARK)], loc="upper right", borderaxespad=0,
            bbox_to_anchor=(0.985, 1 - 0.25 / height), fontsize=7,
        )  # fmt: skip
    if inputs.cohort.synthetic:
        mark_synthetic(figure, list(axes.flat), size=13)
    return figure, drawn.frame()


def draw_calibration(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw observed against predicted risk of the prognostic model by quarter of predicted risk, a panel an endpoint.

    Curve ``calibration``; Harrell's C and the calibration slope, both corrected for optimism, from ARD
    ``prognosis.<endpoint>_performance.*.corrected``. On the diagonal prediction and observation agree.
    """
    curves = inputs.curve("calibration")
    endpoints = list(dict.fromkeys(curves["endpoint"]))
    figure, drawn = new_figure(3.75), Drawn()
    grid = {"left": 0.085, "right": 0.97, "bottom": 0.125, "top": 0.92, "wspace": 0.12}
    axes = list(figure.subplots(1, len(endpoints), sharey=True, squeeze=False, gridspec_kw=grid).flat)
    for ax, endpoint in zip(axes, endpoints, strict=True):
        mine = curves[curves["endpoint"] == endpoint]
        title = ENDPOINTS[endpoint]
        ax.set_title(title)
        ax.plot([0, 100], [0, 100], color=RULE, linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)
        x, y, low, high = (mine[name].to_numpy(dtype=float) for name in ("predicted", "observed", "ci_low", "ci_high"))
        ax.vlines(x, low, high, color=INK, linewidth=1.2, zorder=2)
        ax.plot(x, y, "o", color=INK, markersize=5, zorder=3)
        drawn.add(
            "interval", panel=title, series="quarters of predicted risk", x=x, y=y, low=low, high=high,
            ard_id=list(mine["ard_id"]),
        )  # fmt: skip
        ax.set_xlim(0, 100)
        ax.set_ylim(0, 100)
        ax.set_aspect("equal", adjustable="box")
        month = float(mine["month"].iloc[0])
        ax.set_xlabel(f"Predicted with the event by month {month:g} (%)")
        lines = []
        for name, words in (("harrell_c", "Harrell's C"), ("slope", "Calibration slope")):
            row = ard_name("prognosis", f"{endpoint}_performance", name, "corrected")
            lines.append(f"{words} {inputs.number(row, 'ci')}")
            drawn.add("text", panel=title, text=lines[-1], ard_id=row)
        text = "\n".join(["Corrected for optimism:", *lines])
        ax.text(0.97, 0.04, text, transform=ax.transAxes, ha="right", va="bottom", fontsize=7, linespacing=1.35)
    axes[0].set_ylabel("Observed, 1 − Kaplan-Meier (%)")
    if inputs.cohort.synthetic:
        mark_synthetic(figure, axes)
    return figure, drawn.frame()


MUTED_MARK = "#5f6670"


def _variables(curves: pd.DataFrame) -> dict[str, str]:
    """Return variable -> label in the order of the frame."""
    return dict(zip(curves["variable"], curves["variable_label"], strict=True))


def _looks(curves: pd.DataFrame) -> tuple[dict[str, Look], dict[str, str]]:
    """Return look and label of each group, in the order of the frame."""
    labels = dict(zip(curves["group"], curves["label"], strict=True))
    return looks_of(labels), labels


def _months(ax: Axes, inputs: Inputs, longest: float, ticks: list[float], *, label: bool = True) -> None:
    ax.set_xlim(0, longest * 1.01)
    ax.set_xticks(ticks)
    ax.set_xlabel(months_label(inputs.cohort) if label else "", labelpad=2)


def _log_rank(ax: Axes, inputs: Inputs, endpoint: str, variable: str, panel: str, drawn: Drawn) -> None:
    """Print the log-rank test, and the published one below it where there is one."""
    test = ard_name("prognosis", f"{endpoint}_group", "contrast", variable, "chi2")
    text = f"Log-rank {inputs.number(test, 'p')}"
    drawn.add("text", panel=panel, text=text, ard_id=test)
    published = ard_name("prognosis", f"{endpoint}_group", variable, "log_rank_p_published")
    if published in inputs.rows:
        words = f"published {inputs.number(published, 'p')}"
        drawn.add("text", panel=panel, text=words, ard_id=published)
        text += f"\n({words})"
    ax.text(0.04, 0.05, text, transform=ax.transAxes, va="bottom", fontsize=7, linespacing=1.3)


def _published_row(inputs: Inputs, endpoint: str, variable: str, level: str) -> str | None:
    """Return the id of the published event percentage of one level, if there is one."""
    name = ard_name("prognosis", f"{endpoint}_group", f"{variable}_{level}", "event_percent_published")
    return name if name in inputs.rows else None


def _published_survival(
    ax: Axes, inputs: Inputs, endpoint: str, variable: str, level: str, look: Look, panel: str, drawn: Drawn
) -> None:
    """Mark the published event percentage on the scale of survival."""
    name = _published_row(inputs, endpoint, variable, level)
    if name is not None:
        y = 100.0 - inputs.rows[name]["value"]
        _point(ax, y, look)
        drawn.add("published", panel=panel, series=level, x=PUBLISHED_MONTH, y=y, ard_id=name)


def _published_incidence(
    ax: Axes, inputs: Inputs, variable: str, level: str, look: Look, panel: str, drawn: Drawn
) -> None:
    """Mark the published event percentage, which counts deaths, beside the incidence of recurrence."""
    name = _published_row(inputs, "RFS", variable, level)
    if name is not None:
        y = inputs.rows[name]["value"]
        _point(ax, y, look)
        drawn.add("published", panel=panel, series=level, x=PUBLISHED_MONTH, y=y, ard_id=name)


def _point(ax: Axes, y: float, look: Look) -> None:
    ax.plot(
        [PUBLISHED_MONTH], [y], "D", markersize=5, markerfacecolor="white", markeredgecolor=look.colour,
        markeredgewidth=1.4, zorder=5,
    )  # fmt: skip


def _published_handle(colour: str) -> Line2D:
    return Line2D(
        [], [], linestyle="", marker="D", markersize=5, markerfacecolor="white", markeredgecolor=colour,
        markeredgewidth=1.4, label="as published (counts deaths as events)",
    )  # fmt: skip


def _any_published(drawn: Drawn) -> bool:
    return any((rows["element"] == "published").any() for rows in drawn.rows)


def _published_legend(figure: Figure, axes: list[Axes], height: float) -> None:
    """Explain the published points, where there are any."""
    if any(line.get_marker() == "D" for ax in axes for line in ax.lines):
        figure.legend(
            handles=[_published_handle(MUTED_MARK)], loc="upper left", borderaxespad=0,
            bbox_to_anchor=(0.012, 1 - 0.06 / height), fontsize=7,
        )  # fmt: skip


def _one_minus_km(ax: Axes, inputs: Inputs, panel: str, drawn: Drawn) -> None:
    """Mark 1 - Kaplan-Meier of recurrence at the plan's horizons."""
    for row in inputs.ard.itertuples():
        if not str(row.ard_id).endswith(".one_minus_km"):
            continue
        month = float(str(row.ard_id).split(".")[-2].removeprefix("m").replace("_", "."))
        ax.plot([month], [row.value], "x", color="#8a3b00", markersize=5.5, markeredgewidth=1.5, zorder=5)
        drawn.add(
            "one_minus_km", panel=panel, series="1 - Kaplan-Meier", x=month, y=row.value, low=row.ci_low,
            high=row.ci_high, ard_id=row.ard_id,
        )  # fmt: skip


def _gray(ax: Axes, inputs: Inputs, variable: str, cause: str, panel: str, drawn: Drawn) -> None:
    name = ard_name("prognosis", "first_event_group", "contrast", f"{variable}_{cause}", "gray_chi2")
    text = f"Gray's test, {inputs.number(name, 'p')}"
    ax.text(0.05, 0.96, text, transform=ax.transAxes, va="top", fontsize=7)
    drawn.add("text", panel=panel, text=text, ard_id=name)


def _group_legend(ax: Axes, labels: dict[str, str], looks: dict[str, Look], *, own_points: bool) -> None:
    """Name the groups above a column."""
    handles = [
        Line2D([], [], color=looks[group].colour, linestyle=looks[group].line, label=label)
        for group, label in labels.items()
    ]
    if own_points:
        handles = [
            Line2D([], [], color=INK, label="competing risks"),
            Line2D([], [], color="#8a3b00", linestyle="", marker="x", markersize=5.5, markeredgewidth=1.5,
                   label="1 − Kaplan-Meier, deaths censored"),
        ]  # fmt: skip
    ax.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(-0.02, 1.0), borderaxespad=0.1, fontsize=6.8,
        labelspacing=0.25, handlelength=2.2, ncols=1,
    )  # fmt: skip
