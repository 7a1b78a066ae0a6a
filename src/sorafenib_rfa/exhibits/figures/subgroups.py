"""Forest plot of subgroups: a block for each endpoint, a line for each level."""

from __future__ import annotations

from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from sorafenib_rfa.arms import arms_of
from sorafenib_rfa.exhibits.figures.canvas import (
    INK,
    MUTED,
    RULE,
    Drawn,
    Inputs,
    count_text,
    mark_synthetic,
    new_figure,
)
from sorafenib_rfa.exhibits.figures.forest import axis_limits, draw_interval, style_ratio_axis
from sorafenib_rfa.vocabulary import ENDPOINTS

ROW_IN = 0.185
HEAD_IN = 0.62
FOOT_IN = 0.68
NOTE_IN = 0.125
NOTE_WIDTH = 140
"""Height and letters of a line of the notes."""
DAGGER = "\u2020"
LARGEST, SMALLEST = 8.5, 2.5
"""Sides of the squares in points: area goes with the information, 1 / (standard error of the log ratio) squared."""
AXES = (0.475, 0.225)
COLUMNS = {"treated": (0.358, "right"), "control": (0.462, "right"), "ratio": (0.715, "left"), "p": (0.985, "right")}


def draw_subgroups(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the overlap-weighted hazard ratios by subgroup, with events over patients and p values of interaction.

    Curve ``subgroups`` (columns in :mod:`sorafenib_rfa.estimates.subgroups`); hazard ratios and p values are those of
    the ARD rows named there. The dashed line is the ratio in all patients. A dagger marks levels whose weights are
    those of all patients; patients who are in no level of a subgroup (ARD ``subgroups.<endpoint>.<subgroup>.outside``)
    are counted below.
    """
    rows = inputs.curve("subgroups")
    endpoints = list(dict.fromkeys(rows["endpoint"]))
    blocks = [rows[rows["endpoint"] == endpoint].reset_index(drop=True) for endpoint in endpoints]
    heights = [HEAD_IN + FOOT_IN + ROW_IN * len(block) for block in blocks]
    drawn = Drawn()
    notes = _notes(inputs, rows, drawn)
    total = sum(heights) + NOTE_IN * len(notes) + 0.05
    figure = new_figure(total)
    limits = axis_limits(rows)
    top, axes = total, []
    for endpoint, block, height in zip(endpoints, blocks, heights, strict=True):
        low = (top - height + FOOT_IN) / total
        ax = figure.add_axes((AXES[0], low, AXES[1], ROW_IN * len(block) / total))
        ax.set_ylim(len(block) - 0.5, -0.5)
        ax.set_xlim(*limits)
        style_ratio_axis(ax, inputs, f"Hazard ratio, {ENDPOINTS[endpoint].lower()} (log scale)")
        _head(figure, inputs, endpoint, (top - HEAD_IN) / total, total)
        _block(ax, inputs, block, drawn)
        axes.append(ax)
        top -= height
    figure.text(
        0.012, 0.05 / total, "\n".join(notes), fontsize=6.5, color=MUTED, va="bottom", linespacing=1.25
    )  # fmt: skip
    if inputs.cohort.synthetic:
        mark_synthetic(figure, axes, size=15)
    return figure, drawn.frame()


def _notes(inputs: Inputs, rows: pd.DataFrame, drawn: Drawn) -> list[str]:
    """Return the lines below the blocks: what the dashed line and the dagger are, and who is in no level."""
    notes = ["Diamond and dashed line: all patients."]
    if _borrowed(rows).any():
        notes.append(
            f"{DAGGER} Overlap weights of all patients, since the level cannot carry a propensity score of its own; "
            "the other levels have the weights of theirs."
        )
    counts: dict[str, dict[str, str]] = {}
    for row in rows[rows["role"] == "heading"].itertuples():
        part, endpoint, _, subgroup = row.ard_id.split(".")[:4]
        ard_id = f"{part}.{endpoint}.{subgroup}.outside"
        if inputs.rows[ard_id]["value"] > 0:
            counts.setdefault(row.subgroup, {})[row.endpoint] = inputs.number(ard_id)
            drawn.add("text", panel=row.endpoint, series=row.subgroup, text=inputs.number(ard_id), ard_id=ard_id)
    for subgroup, by_endpoint in counts.items():
        said = list(dict.fromkeys(by_endpoint.values()))
        if len(said) > 1 or len(by_endpoint) < rows["endpoint"].nunique():
            said = [f"{count} ({endpoint})" for endpoint, count in by_endpoint.items()]
        notes.append(f"In no level of {subgroup} (a value is missing or not listed): {', '.join(said)} patients.")
    return [line for note in notes for line in wrap(note, NOTE_WIDTH)]


def _borrowed(rows: pd.DataFrame) -> pd.Series:
    """Return which lines are levels estimated with the weights of all patients."""
    return (rows["role"] == "level") & (rows["weights"] == "all_patients") & rows["hr"].notna()


def _head(figure: Figure, inputs: Inputs, endpoint: str, y: float, total: float) -> None:
    """Print the endpoint and the titles of the columns above a block."""
    arms = arms_of(inputs.cohort)
    how = {"va": "bottom", "fontweight": "bold", "fontsize": 7, "linespacing": 1.1}
    figure.text(0.012, y + 0.3 / total, ENDPOINTS[endpoint], va="bottom", fontweight="bold", fontsize=8.5)
    titles = {
        "treated": "\n".join([*_two_lines(arms.treated), "events/n"]),
        "control": "\n".join([*_two_lines(arms.control), "events/n"]),
        "ratio": "Hazard ratio\n(95% CI)",
        "p": "Interaction p\n(Holm-adjusted)",
    }
    for name, (x, ha) in COLUMNS.items():
        figure.text(x, y + 0.04 / total, titles[name], ha=ha, **how)


def _two_lines(label: str) -> list[str]:
    """Return a label on two lines, parted at the space nearest its middle."""
    spaces = [place for place, letter in enumerate(label) if letter == " "]
    if len(label) < 10 or not spaces:
        return [label]
    middle = min(spaces, key=lambda place: abs(place - len(label) / 2))
    return [label[:middle], label[middle + 1 :]]


def _block(ax: Axes, inputs: Inputs, block: pd.DataFrame, drawn: Drawn) -> None:
    """Draw the lines of one endpoint."""
    figure = ax.get_figure()
    box = ax.get_position()
    information = _information(block)
    borrowed = _borrowed(block)
    most = information[block["role"] == "level"].max()
    for place, row in enumerate(block.itertuples()):
        y = box.y1 - box.height * (place + 0.5) / len(block)
        texts = _texts(inputs, row)
        name = {"overall": row.level, "heading": row.subgroup, "level": row.level}[row.role]
        shown = f"{name} {DAGGER}" if borrowed[place] else name
        bold = "bold" if row.role == "overall" else "normal"
        style = {"va": "center", "fontsize": 7.2, "color": INK}
        figure.text(
            0.03 if row.role == "level" else 0.012, y, shown,
            fontweight="normal" if row.role == "level" else "bold", **style,
        )  # fmt: skip
        for column, text in texts.items():
            x, ha = COLUMNS[column]
            figure.text(x, y, text, ha=ha, fontweight=bold, **style)
        if row.role == "overall" and np.isfinite(row.hr):
            _diamond(ax, row, place)
            ax.axvline(row.hr, color=RULE, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
        elif np.isfinite(row.hr):
            share = float(information[place] / most)
            size = max(SMALLEST, LARGEST * np.sqrt(share))
            look = {"marker": "s", "color": INK, "markerfacecolor": INK, "markersize": size, "linewidth": 1.1}
            draw_interval(ax, row, place, look)
        drawn.add(
            "test" if row.role == "heading" else "interval", panel=row.endpoint,
            series=name if row.role != "level" else f"{row.subgroup}: {row.level}",
            x=row.hr, y=float(place), low=row.lo, high=row.hi, text="; ".join(texts.values()), ard_id=row.ard_id,
        )  # fmt: skip


def _information(block: pd.DataFrame) -> pd.Series:
    """Return what each log hazard ratio weighs: the inverse of its variance, from the width of its interval."""
    return (np.log(block["hi"].astype(float)) - np.log(block["lo"].astype(float))) ** -2


def _texts(inputs: Inputs, row: Any) -> dict[str, str]:
    """Return what is printed in the columns of a line."""
    if row.role == "heading":
        raw = inputs.number(row.ard_id, "p").removeprefix("p ").removeprefix("= ").replace("> ", ">").replace("< ", "<")
        adjusted = row.ard_id.removesuffix("_chi2") + "_p_holm"
        return {"p": raw if np.isnan(row.p_interaction) else f"{raw} ({inputs.number(adjusted)})"}
    counts = {
        side: f"{count_text(getattr(row, f'events_{side}'))}/{count_text(getattr(row, f'n_{side}'))}"
        for side in ("treated", "control")
    }
    return counts | {"ratio": inputs.number(row.ard_id, "ci").replace("95% CI ", "")}


def _diamond(ax: Axes, row: Any, place: int) -> None:
    """Draw the ratio in all patients as a diamond as wide as its interval."""
    left, right = ax.get_xlim()
    low, high = max(row.lo, left), min(row.hi, right)
    ax.add_patch(
        Polygon(
            [(low, place), (row.hr, place - 0.3), (high, place), (row.hr, place + 0.3)],
            closed=True, facecolor=INK, edgecolor=INK, linewidth=0.8, zorder=4,
        )
    )  # fmt: skip
