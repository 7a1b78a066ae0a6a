"""Benefits and harms side by side, and how life is parted under both strategies."""

from __future__ import annotations

import re
import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MultipleLocator

from sorafenib_rfa.arms import arms_of
from sorafenib_rfa.estimates.common import horizon
from sorafenib_rfa.exhibits.figures.canvas import (
    INK,
    MUTED,
    RULE,
    WIDTH_IN,
    Drawn,
    Inputs,
    mark_synthetic,
    month_ticks,
    months_label,
    new_figure,
    not_estimable,
    text_width_in,
)

ROW_IN, HEAD_IN = 0.185, 0.26
NUMBERS_PT = 7.0
_KINDS = {"benefit": "Benefits sought", "harm": "Harms"}
_MARKERS = ("o", "s", "D", "^", "v")
"""Markers of the horizons, in their order."""


def draw_benefit_risk(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the risk difference of every effect at the horizons, per 100 patients, benefits above and harms below.

    Curve ``benefit_risk_effects``. The risks under both strategies stand as numbers beside the intervals.
    """
    rows = inputs.curve("benefit_risk_effects")
    arms = arms_of(inputs.cohort)
    months = sorted(rows["month"].unique())
    looks = dict(zip(months, _MARKERS, strict=False))
    lines, heads = _places(rows)
    depth = max([line["y"] for line in lines]) + 0.5
    top_in, bottom_in = 0.62, 0.72
    height = top_in + bottom_in + depth * ROW_IN
    figure, drawn = new_figure(height), Drawn()
    # a number stays with its word
    labels = [textwrap.fill(re.sub(r" (?=\d)", "\u00a0", label), 26) for label in dict.fromkeys(rows["label"])]
    names_in = text_width_in(figure, labels, 7.5) + 0.16
    texts = {
        "treated": [inputs.number(line["row"].treated_id) for line in lines],
        "control": [inputs.number(line["row"].control_id) for line in lines],
        "difference": [inputs.number(line["row"].difference_id, "ci").replace("95% CI ", "") for line in lines],
    }
    month_in, risk_in = 0.5, 0.64
    right_in = text_width_in(figure, texts["difference"], NUMBERS_PT) + 0.14
    left_in = names_in + month_in + 2 * risk_in
    ax = figure.add_axes(
        (
            left_in / WIDTH_IN,
            bottom_in / height,
            (WIDTH_IN - left_in - right_in - 0.06) / WIDTH_IN,
            depth * ROW_IN / height,
        )
    )
    ax.set_ylim(depth, 0)
    ax.set_xlim(*_limits(rows))
    columns = {
        "month": ("Month", names_in + month_in / 2, "center"),
        "treated": (textwrap.fill(arms.treated, 9), names_in + month_in + risk_in - 0.12, "right"),
        "control": (textwrap.fill(arms.control, 9), names_in + month_in + 2 * risk_in - 0.12, "right"),
        "difference": ("Difference\n(95% CI)", WIDTH_IN - 0.06, "right"),
    }
    head_y = 1 - (top_in - 0.06) / height
    for title, x, align in columns.values():
        figure.text(x / WIDTH_IN, head_y, title, ha=align, va="bottom", fontsize=NUMBERS_PT, fontweight="bold")
    figure.text(0.012, head_y, "Outcome", va="bottom", fontsize=NUMBERS_PT, fontweight="bold")

    def beside(x_in: float, y: float, text: str, **how: object) -> None:
        at = (bottom_in + (depth - y) * ROW_IN) / height
        figure.text(x_in / WIDTH_IN, at, text, va="center", **how)

    for y, kind in heads:
        beside(0.08, y, _KINDS[kind], fontsize=8, fontweight="bold")
        ax.axhspan(y - 0.62, y + 0.62, color="#eceef0", zorder=-7, linewidth=0)
        _band(figure, ax, (bottom_in + (depth - y) * ROW_IN) / height, 1.24 * ROW_IN / height)
    for label, text in zip(dict.fromkeys(rows["label"]), labels, strict=True):
        own = [line["y"] for line in lines if line["row"].label == label]
        beside(0.12, float(np.mean(own)), text, fontsize=7.5, linespacing=1.0)
        if min(own) > lines[0]["y"] and not any(y < min(own) < y + 1.5 for y, _ in heads):
            ax.axhline(min(own) - 0.6, color="#d5d9dd", linewidth=0.6, zorder=-6)
    for line, one, other, difference in zip(lines, *texts.values(), strict=True):
        row, y = line["row"], line["y"]
        beside(columns["month"][1], y, f"{row.month:g}", fontsize=NUMBERS_PT, ha="center")
        beside(columns["difference"][1], y, difference, fontsize=NUMBERS_PT, ha="right")
        _draw_difference(ax, row, y, looks[row.month])
        drawn.add(
            "risk_difference", panel=_KINDS[row.kind], series=f"{row.label}, month {row.month:g}", x=row.difference,
            y=y, low=row.difference_low, high=row.difference_high, text=difference, ard_id=row.difference_id,
        )  # fmt: skip
        for column, text, arm in (("treated", one, arms.treated), ("control", other, arms.control)):
            # the difference says that there is none
            if np.isfinite(getattr(row, f"{column}_risk")):
                beside(columns[column][1], y, text, fontsize=NUMBERS_PT, ha="right")
                identifier = getattr(row, f"{column}_id")
                drawn.add("risk", panel=_KINDS[row.kind], series=arm, y=y, text=text, ard_id=identifier)
    _finish_effects(inputs, figure, ax, looks)
    if inputs.cohort.synthetic:
        mark_synthetic(figure, [ax], size=15)
    return figure, drawn.frame()


def _places(rows: pd.DataFrame) -> tuple[list[dict], list[tuple[float, str]]]:
    """Return every effect and horizon with its place from the top, and the places of the headings, in rows."""
    lines, heads, y = [], [], 0.0
    for kind in _KINDS:
        own = rows[rows["kind"] == kind]
        if own.empty:
            continue
        y += 0.75
        heads.append((y, kind))
        y += 0.55
        for _, effect in own.groupby("effect", sort=False):
            y += 0.25
            for row in effect.sort_values("month").itertuples():
                y += 0.9
                lines.append({"row": row, "y": y - 0.3})
            y += 0.05
        y += 0.15
    return lines, heads


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Return limits that hold every interval, and no difference with room on both sides."""
    low, high = np.nanmin([*rows["difference_low"], -5.0]), np.nanmax([*rows["difference_high"], 5.0])
    margin = 0.05 * (high - low)
    return low - margin, high + margin


def _band(figure: Figure, ax: Axes, y: float, height: float) -> None:
    """Shade the heading across the page."""
    from matplotlib.patches import Rectangle

    figure.add_artist(Rectangle((0.008, y - height / 2), 0.984, height, color="#eceef0", linewidth=0, zorder=-10))
    ax.patch.set_alpha(0)


def _draw_difference(ax: Axes, row: object, y: float, marker: str) -> None:
    """Draw one interval."""
    if not np.isfinite(row.difference):  # type: ignore[attr-defined]
        return
    ax.plot([row.difference_low, row.difference_high], [y, y], color=INK, linewidth=1.2, solid_capstyle="butt")  # type: ignore[attr-defined]
    ax.plot([row.difference], [y], marker, color=INK, markerfacecolor=INK, markersize=4.2, zorder=4)  # type: ignore[attr-defined]


def _finish_effects(inputs: Inputs, figure: Figure, ax: Axes, looks: dict[float, str]) -> None:
    """Label the axis, mark no difference, say which side favours whom."""
    arms = arms_of(inputs.cohort)
    ax.axvline(0, color=RULE, linewidth=0.9, zorder=0)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    low, high = ax.get_xlim()
    ax.xaxis.set_major_locator(MultipleLocator(10 if high - low < 90 else 20))
    ax.set_xlabel("Difference in patients with the event, per 100", labelpad=19)
    for side, align, words in ((-1, "right", f"fewer with\n{arms.treated}"), (1, "left", f"more with\n{arms.treated}")):
        ax.annotate(
            words, (0, 0), xycoords=("data", "axes fraction"), xytext=(6 * side, -14), textcoords="offset points",
            ha=align, va="top", fontsize=6.5, color=MUTED, linespacing=1.05,
        )  # fmt: skip
    handles = [
        Line2D([], [], color=INK, marker=marker, linewidth=1.2, markersize=4.2, label=f"Month {month:g}")
        for month, marker in looks.items()
    ]
    figure.legend(
        handles=handles, loc="upper left", ncols=len(handles), borderaxespad=0,
        bbox_to_anchor=(0.012, 1 - 0.05 / figure.get_figheight()), columnspacing=1.5,
    )  # fmt: skip


# --- Q-TWiST -------------------------------------------------------------------------------------------------------

_STATES = (
    ("tox", "With toxicity (TOX)", "#4d4d4d", "////"),
    ("twist", "Without (TWiST)", "#c7dff0", ""),
    ("rel", "After recurrence (REL)", "#f2d7c4", "\\\\\\"),
)


def draw_qtwist(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw life parted into its three states under both strategies, and the difference over all utilities.

    Curves ``partitioned_survival`` (panels A and B) and ``utility_threshold`` (panel C).
    """
    curves, grid = inputs.curve("partitioned_survival"), inputs.curve("utility_threshold")
    height = 3.55
    figure, drawn = new_figure(height), Drawn()
    bottom, tall = 0.98 / height, 1.98 / height
    panels = []
    for j, (group, own) in enumerate(curves.groupby("group", sort=False)):
        ax = figure.add_axes((0.068 + j * 0.303, bottom, 0.272, tall))
        panels.append(ax)
        _draw_states(inputs, ax, own, str(group), drawn)
        figure.text(
            0.068 + j * 0.303, 1 - 0.38 / height, f"{'AB'[j]}  {own['label'].iloc[0]}", fontsize=8, fontweight="bold"
        )
        if j:
            ax.tick_params(labelleft=False)
        else:
            ax.set_ylabel("Patients (%)")
    threshold = figure.add_axes((0.735, bottom, 0.25, tall))
    _draw_threshold(inputs, threshold, grid, drawn)
    figure.text(0.69, 1 - 0.38 / height, "C  Difference in Q-TWiST", fontsize=8, fontweight="bold")
    handles: list[Patch | Line2D] = [
        Patch(facecolor=colour, edgecolor="white" if key == "tox" else INK, linewidth=0.3, hatch=hatch, label=label)
        for key, label, colour, hatch in _STATES
    ]
    figure.legend(
        handles=handles, loc="lower left", ncols=3, bbox_to_anchor=(0.06, 0.03), borderaxespad=0, columnspacing=1.4,
        handlelength=1.8, fontsize=7,
    )  # fmt: skip
    if inputs.cohort.synthetic:
        mark_synthetic(figure, [*panels, threshold], size=13)
        for mark in (text for ax in panels for text in ax.texts if text.get_gid() == "synthetic"):
            mark.set(y=0.34, zorder=2, color="white", alpha=0.9)  # the areas would hide it
    return figure, drawn.frame()


def _draw_states(inputs: Inputs, ax: Axes, own: pd.DataFrame, group: str, drawn: Drawn) -> None:
    """Draw the areas of one strategy, each labelled with its months."""
    time = own["time_months"].to_numpy()
    toxic, free, alive = (100 * own[name].to_numpy() for name in ("toxic", "relapse_free", "alive"))
    floor = np.zeros_like(time)
    # survival may fall below recurrence-free survival by a hair, as they are censored on different days
    layers = {"tox": (floor, toxic), "twist": (toxic, free), "rel": (free, np.maximum(alive, free))}
    for key, _, colour, hatch in _STATES:
        low, high = layers[key]
        turns = _turns(low, high)
        ax.fill_between(
            time[turns], low[turns], high[turns], step="post", facecolor=colour, hatch=hatch, linewidth=0,
            edgecolor="white" if key == "tox" else "#b58a6c", zorder=1,
        )  # fmt: skip
    for line, style in ((alive, "-"), (free, (0, (4, 1.5)))):
        turns = _turns(line)
        ax.plot(time[turns], line[turns], drawstyle="steps-post", color=INK, linewidth=1.1, linestyle=style, zorder=3)
    tau = float(time[-1])
    ax.set(xlim=(0, tau), ylim=(0, 100))
    ax.set_xticks([tick for tick in month_ticks(tau) if tick <= tau])
    ax.set_xlabel(months_label(inputs.cohort))
    month = horizon(inputs.plan.rmst_horizon_months)
    early, at = (int(np.searchsorted(time, share * tau, side="right")) - 1 for share in (0.3, 0.84))
    places = {
        "tox": (0.62, 9.0, " "),
        "twist": (0.3, 0.62 * free[early], " "),
        "rel": (0.84, (free[at] + alive[at]) / 2, "\n"),
    }
    for key, label, *_ in _STATES:
        identifier = f"benefit_risk.partition.{group}.{month}.{key}.months"
        text = inputs.number(identifier, unit=True)
        short = label[label.index("(") + 1 : -1]
        x, y, between = places[key]
        ax.text(
            x * tau, y, f"{short}{between}{text}", fontsize=7, ha="center", va="center", color=INK, zorder=5,
            linespacing=1.05, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.2},
        )  # fmt: skip
        drawn.add("months", panel=group, series=short, text=text, ard_id=identifier)
    for name, values in (("alive", alive), ("relapse_free", free), ("toxic", toxic)):
        drawn.add("curve", panel=group, series=name, x=time, y=values)


def _turns(*curves: np.ndarray) -> np.ndarray:
    """Return at which points one of step curves changes, and the two ends."""
    kept = np.zeros(curves[0].size, dtype=bool)
    kept[[0, -1]] = True
    for curve in curves:
        kept[1:] |= np.diff(curve) != 0
    return kept


def _draw_threshold(inputs: Inputs, ax: Axes, grid: pd.DataFrame, drawn: Drawn) -> None:
    """Draw lines of equal difference over both utilities; shaded where the interval excludes zero."""
    wide = grid.pivot(index="utility_relapse", columns="utility_toxicity", values="difference")
    x, y, z = wide.columns.to_numpy(float), wide.index.to_numpy(float), wide.to_numpy()
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.set_xticks([0, 0.5, 1])
    ax.set_yticks([0, 0.5, 1])
    ax.set_xlabel("Utility with toxicity")
    ax.set_ylabel("Utility after recurrence")
    for spine in ("top", "right"):
        ax.spines[spine].set_visible(True)
    for limit, sign, colour, hatch in (("ci_low", 1, "#dfeeda", "\\\\"), ("ci_high", -1, "#f6dad8", "//")):
        beyond = sign * grid.pivot(index="utility_relapse", columns="utility_toxicity", values=limit).to_numpy()
        if (beyond > 0).any():
            area = ax.contourf(x, y, beyond, levels=[0, np.inf], colors=[colour], hatches=[hatch], zorder=0)
            area.set(edgecolor="#a9a9a9", linewidth=0)
    span = float(z.max() - z.min())
    if not np.isfinite(span):
        not_estimable(ax)
        return
    step = next(size for size in (0.1, 0.25, 0.5, 1, 2, 5, 10) if span / size <= 7)
    levels = np.arange(np.floor(z.min() / step), np.ceil(z.max() / step) + 1) * step
    if span > 0:
        lines = ax.contour(
            x, y, z, levels=levels, colors=INK, linewidths=[1.6 if abs(level) < 1e-9 else 0.7 for level in levels],
            linestyles=["-" if level >= 0 else (0, (4, 2)) for level in levels],
        )  # fmt: skip
        named = ax.clabel(lines, fontsize=6.5, fmt=_signed)
        for text in named:
            text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.6})
    settings = inputs.plan.benefit_risk
    if settings is not None:
        here = (settings.utility_toxicity, settings.utility_relapse)
        ax.plot(*here, "D", color=INK, markerfacecolor="white", markersize=6, zorder=6, clip_on=False)
        identifier = f"benefit_risk.qtwist.contrast.{horizon(inputs.plan.rmst_horizon_months)}.difference"
        text = inputs.number(identifier, "ci").replace("95% CI ", "")
        ax.annotate(
            f"\u25c7 assumed: {text}", (0.5, 0), xycoords="axes fraction", xytext=(0, -34), textcoords="offset points",
            ha="center", va="top", fontsize=6.5,
        )  # fmt: skip
        drawn.add("assumed", panel="threshold", x=here[0], y=here[1], text=text, ard_id=identifier)
    ax.annotate(
        "Lines: months gained (dashed: lost).\n" + _zones(grid), (0.5, 0), xycoords="axes fraction", xytext=(0, -43),
        textcoords="offset points", ha="center", va="top", fontsize=6.5, linespacing=1.15, color=MUTED,
    )  # fmt: skip
    drawn.add(
        "difference", panel="threshold", series=grid["zone"].to_numpy(), x=grid["utility_toxicity"].to_numpy(),
        y=grid["utility_relapse"].to_numpy(), low=grid["ci_low"].to_numpy(), high=grid["ci_high"].to_numpy(),
        text=[f"{value:.6g}" for value in grid["difference"]],
    )  # fmt: skip


def _signed(level: float) -> str:
    """Return the months of a line."""
    return f"{level + 0.0:g}".replace("-", "\u2212")


def _zones(grid: pd.DataFrame) -> str:
    """Say where the interval excludes zero."""
    if (grid["zone"] == "neither").all():
        return "At no pair the interval excludes zero."
    return "Shaded: the interval excludes zero."
