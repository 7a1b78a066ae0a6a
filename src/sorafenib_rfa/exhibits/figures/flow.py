"""The STROBE flow diagram: who was seen, who left at which step and why, who was analysed."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from sorafenib_rfa.arms import Arms, arms_of
from sorafenib_rfa.exhibits.figures.canvas import (
    INK,
    WIDTH_IN,
    Drawn,
    Inputs,
    mark_synthetic,
    new_figure,
    text_width_in,
)

LINE_IN = 0.15
PAD_IN = 0.09
GAP_IN = 0.24
MAIN = (0.1, 3.3)
"""Left edge and width of the boxes of those who stay, in inches."""
SIDE = (3.6, 3.3)
"""Left edge and width of the boxes of those who leave."""
TEXT_PT = 7.5


@dataclass(frozen=True)
class Box:
    """One box: its lines (the first one bold) and, for each line with a number, the ARD row."""

    lines: tuple[str, ...]
    ard_ids: tuple[str, ...]

    @property
    def height(self) -> float:
        """Height in inches."""
        return 2 * PAD_IN + LINE_IN * len(self.lines)


def draw_flow(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the flow of patients from the ledger: seen, unusable, not eligible, analysed, and the arms.

    Curve ``flow``; counts from ARD ``flow.patients.*`` and ``flow.step.*``; with arms formed by exposure also the
    patients at risk on the landmark, ``efficacy.landmark.<arm>.n``.
    """
    steps = inputs.curve("flow")
    steps = steps[(steps["group"] == "overall") & (steps["site"] == "all")].sort_values("step_no")
    levels = [
        (
            _one(inputs, "Patients with any record", "flow.patients.screened"),
            _left(
                inputs, steps[steps["stage"] == "clean"], "Records that could not be used", "flow.patients.quarantined"
            ),
        ),
        (
            _assessed(inputs, steps),
            _left(inputs, steps[steps["stage"] == "eligibility"], "Not eligible", "flow.patients.excluded"),
        ),
    ]
    analysed = _one(inputs, "Analysed", "flow.patients.analysed")
    own = arms_of(inputs.cohort)
    arms = [box for label in own.labels if (box := _arm(inputs, own, label)) is not None]

    heights = [max(stay.height, leave.height if leave else 0.0) for stay, leave in levels]
    total = 0.25 + sum(heights) + GAP_IN * len(heights) + analysed.height + 0.1
    if arms:
        total += GAP_IN * 1.6 + max(box.height for box in arms)
    figure, drawn = new_figure(total), Drawn()
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_xlim(0, WIDTH_IN)
    ax.set_ylim(total, 0)  # inches from the top
    ax.set_axis_off()
    middle = MAIN[0] + MAIN[1] / 2
    y = 0.25
    for (stay, leave), height in zip(levels, heights, strict=True):
        draw_box(ax, stay, MAIN[0], y, MAIN[1], drawn)
        bottom = y + height + GAP_IN
        draw_arrow(ax, (middle, y + stay.height), (middle, bottom))
        if leave is not None:
            turn = y + min(stay.height, leave.height) / 2
            draw_arrow(ax, (MAIN[0] + MAIN[1], turn), (SIDE[0], turn))
            draw_box(ax, leave, SIDE[0], y, SIDE[1], drawn)
        y = bottom
    draw_box(ax, analysed, MAIN[0], y, MAIN[1], drawn)
    if arms:
        _draw_arms(ax, arms, (middle, y + analysed.height), drawn)
    if inputs.cohort.synthetic:
        mark_synthetic(figure, [ax], size=30)
    return figure, drawn.frame()


def _one(inputs: Inputs, words: str, ard_id: str) -> Box:
    """Return a box with one count."""
    return Box((f"{words} (n = {inputs.number(ard_id)})",), (ard_id,))


def _assessed(inputs: Inputs, steps: pd.DataFrame) -> Box:
    """Return the box of those assessed for eligibility: who remained after the last step of cleaning."""
    clean = steps[steps["stage"] == "clean"]
    if clean.empty:
        return _one(inputs, "Assessed for eligibility", "flow.patients.screened")
    return _one(inputs, "Assessed for eligibility", f"flow.step.{clean['step_id'].iloc[-1]}.remaining")


def _left(inputs: Inputs, steps: pd.DataFrame, words: str, total: str) -> Box | None:
    """Return the box of those who left in one stage, a line a reason; None when the stage has no steps."""
    if steps.empty:
        return None
    lines, ids = [f"{words} (n = {inputs.number(total)})"], [total]
    for step in steps.itertuples():
        reason = f"{step.reason} (n = {inputs.number(step.ard_id)})"
        because = wrapped(reason, SIDE[1] - 2 * PAD_IN)
        lines += because
        ids += [*[""] * (len(because) - 1), step.ard_id]  # the number stands at the end
    return Box(tuple(lines), tuple(ids))


def wrapped(text: str, width_in: float, weight: str = "normal") -> list[str]:
    """Return `text` in lines that fit into `width_in`; lines after the first are indented."""
    ruler = new_figure(1.0)
    lines = [""]
    for word in text.split(" "):  # a space that does not break stays
        longer = f"{lines[-1]} {word}" if lines[-1].strip() else lines[-1] + word
        if text_width_in(ruler, [longer], TEXT_PT, weight) > width_in and lines[-1].strip():
            lines.append("   " + word)
        else:
            lines[-1] = longer
    return lines


def _arm(inputs: Inputs, arms: Arms, label: str) -> Box | None:
    """Return the box of one arm; None in a cohort without arms."""
    slug = arms.slug(label)
    ard_id = f"flow.patients.{slug}.analysed"
    if ard_id not in inputs.rows:
        return None
    lines, ids = [f"{label} (n = {inputs.number(ard_id)})"], [ard_id]
    landmark = f"efficacy.landmark.{slug}.n"
    if inputs.plan.landmark_day and landmark in inputs.rows:
        lines.append(f"at risk on day {inputs.plan.landmark_day}, the landmark (n = {inputs.number(landmark)})")
        ids.append(landmark)
    return Box(tuple(lines), tuple(ids))


def draw_box(ax: Axes, box: Box, x: float, y: float, width: float, drawn: Drawn) -> None:
    """Draw a box whose upper left corner is at `x`, `y` (inches from the upper left corner)."""
    ax.add_patch(Rectangle((x, y), width, box.height, facecolor="none", edgecolor=INK, linewidth=0.8, zorder=2))
    for number, (line, ard_id) in enumerate(zip(box.lines, box.ard_ids, strict=True)):
        ax.text(
            x + PAD_IN,
            y + PAD_IN + LINE_IN * (number + 0.5),
            line,
            va="center_baseline",
            fontsize=TEXT_PT,
            fontweight="bold" if number == 0 else "normal",
            zorder=3,
        )
        drawn.add("box", series=box.lines[0], x=x, y=y, text=line, ard_id=ard_id)


def draw_arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw an arrow between two points."""
    ax.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=8, color=INK, linewidth=0.8, shrinkA=0, shrinkB=0, zorder=2
        )
    )


def _draw_arms(ax: Axes, arms: list[Box], start: tuple[float, float], drawn: Drawn) -> None:
    """Draw the arms side by side below the point `start`, each under an arrow."""
    x, y = start
    width, gap = MAIN[1], SIDE[0] - MAIN[0] - MAIN[1]
    fork, top = y + GAP_IN * 0.8, y + GAP_IN * 1.6
    ax.plot([x, x], [y, fork], color=INK, linewidth=0.8)
    centres = []
    for number, box in enumerate(arms):
        left = MAIN[0] + number * (width + gap)
        centres.append(left + width / 2)
        draw_arrow(ax, (centres[-1], fork), (centres[-1], top))
        draw_box(ax, box, left, top, width, drawn)
    ax.plot([min(*centres, x), max(*centres, x)], [fork, fork], color=INK, linewidth=0.8)
