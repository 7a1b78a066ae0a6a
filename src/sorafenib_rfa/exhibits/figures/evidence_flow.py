"""The flow of sources and studies after PRISMA 2020, as far as it was done: there was no systematic search."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sorafenib_rfa.exhibits.figures.canvas import INK, WIDTH_IN, Drawn, Inputs, new_figure
from sorafenib_rfa.exhibits.figures.evidence import BAND, no_synthetic
from sorafenib_rfa.exhibits.figures.flow import GAP_IN, PAD_IN, TEXT_PT, Box, draw_arrow, draw_box, wrapped

NO_SEARCH: Final = (
    "No systematic search was made: sources are those of the editorial, of the study question and of later updates."
)
STAGE: Final = (0.06, 0.24)
"""Left edge and width of the bars that name the stages, in inches."""
MAIN: Final = (0.42, 2.95)
"""Left edge and width of the boxes of what is kept."""
SIDE: Final = (3.65, 3.28)
"""Left edge and width of the boxes of what is left out."""
TOP_IN: Final = 0.42
BETWEEN_IN: Final = 0.1
ROOM_IN: Final = 2 * PAD_IN + 0.15
"""What text leaves free of a box: widths are measured on a coarse grid."""
ROLES: Final = ("narrative", "context")
"""Steps that take out the studies of one role: their names are told."""


def draw_evidence_flow(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw how many sources were found and read, how many studies they gave, and which of them are pooled.

    Curve ``evidence_flow`` (``order, box, step, label, parent, side, n, ard_id, reason``): a box a step on the main
    path, its parts as lines within it, beside it what is left out and why. What could be read of the sources stands
    beside them, for studies of sources that could not be read go on. Numbers from ARD ``review.flow.<step>.n``.
    """
    no_synthetic(inputs)
    rows = inputs.curve("evidence_flow").sort_values("order")
    levels = [(step, _kept(inputs, rows, step), _left_out(inputs, rows, step)) for step in _main(rows)]
    tall = [max(kept.height, sum(box.height for box in out) + BETWEEN_IN * (len(out) - 1)) for _, kept, out in levels]
    height = TOP_IN + sum(tall) + GAP_IN * (len(levels) - 1) + 0.1
    figure, drawn = new_figure(height), Drawn()
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_xlim(0, WIDTH_IN)
    ax.set_ylim(height, 0)  # inches from the top
    ax.set_axis_off()
    ax.text(STAGE[0], 0.2, NO_SEARCH, fontsize=TEXT_PT, va="center")
    drawn.add("text", text=NO_SEARCH)
    middle = MAIN[0] + MAIN[1] / 2
    y, spans = TOP_IN, {}
    for number, ((step, kept, out), own) in enumerate(zip(levels, tall, strict=True)):
        draw_box(ax, kept, MAIN[0], y, MAIN[1], drawn)
        top = y
        for box in out:
            turn = top + min(kept.height, box.height) / 2
            start = MAIN[0] + MAIN[1] if top == y else middle
            draw_arrow(ax, (start, turn), (SIDE[0], turn))
            draw_box(ax, box, SIDE[0], top, SIDE[1], drawn)
            top += box.height + BETWEEN_IN
        if number < len(levels) - 1:
            draw_arrow(ax, (middle, y + kept.height), (middle, y + own + GAP_IN))
        first, _ = spans.get(step.box, (y, y))
        spans[step.box] = (first, y + own)
        y += own + GAP_IN
    for name, (first, last) in spans.items():
        _draw_stage(ax, str(name), first, last)
    return figure, drawn.frame()


def _main(rows: pd.DataFrame) -> list[Any]:
    """Return the steps of the main path in their order."""
    return list(rows[rows["side"] == "main"].itertuples())


def _kept(inputs: Inputs, rows: pd.DataFrame, step: Any) -> Box:
    """Return the box of a step of the main path; the parts that it sums up are lines within it."""
    return Box(*_with_parts(inputs, rows, step, MAIN[1]))


def _with_parts(inputs: Inputs, rows: pd.DataFrame, step: Any, width: float) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the lines of a box, its step and the parts of that, and the ARD rows of the lines that have a number."""
    parts = rows[(rows["side"] == "part") & ((rows["parent"] == step.step) | (rows["parent"] == ""))]
    lines, ids = _lines(inputs, step.label, step.ard_id, width, "bold")
    for part in parts[parts["box"] == step.box].itertuples():
        more, more_ids = _lines(inputs, str(part.label).partition(": ")[2], part.ard_id, width)
        lines += more
        ids += more_ids
    return tuple(lines), tuple(ids)


def _left_out(inputs: Inputs, rows: pd.DataFrame, step: Any) -> list[Box]:
    """Return a box for each group beside a step: its number and parts, and which studies or why."""
    boxes = []
    for row in rows[rows["side"].isin(["left out", "beside"]) & (rows["parent"] == step.step)].itertuples():
        lines, ids = _with_parts(inputs, rows, row, SIDE[1])
        told = list(_studies_of(inputs, row.step)) if row.step in ROLES else [str(row.reason)] if row.reason else []
        more = [line for words in told for line in wrapped(words, SIDE[1] - ROOM_IN)]
        boxes.append(Box((*lines, *more), (*ids, *[""] * len(more))))
    return boxes


def _studies_of(inputs: Inputs, role: str) -> Iterator[str]:
    """Yield the studies of a role by setting; why each is not pooled stands in the table of studies."""
    studies = inputs.curve("evidence_studies")
    for setting, rows in studies[studies["role"] == role].groupby("setting_label", sort=False):
        yield f"{setting}: {', '.join(rows['label'])}"


def _lines(
    inputs: Inputs, words: str, ard_id: str, width: float, weight: str = "normal"
) -> tuple[list[str], list[str]]:
    """Return words with their number in lines, and the ARD row for the line that ends with the number."""
    lines = wrapped(f"{words} (n\u00a0=\u00a0{inputs.number(ard_id)})", width - ROOM_IN, weight)
    return lines, [*[""] * (len(lines) - 1), ard_id]


def _draw_stage(ax: Axes, name: str, first: float, last: float) -> None:
    """Draw the bar at the left that names a stage."""
    ax.add_patch(Rectangle((STAGE[0], first), STAGE[1], last - first, facecolor=BAND, edgecolor=INK, linewidth=0.5))
    ax.text(
        STAGE[0] + STAGE[1] / 2, (first + last) / 2, name.capitalize(), rotation=90, ha="center", va="center",
        fontsize=TEXT_PT - 0.5, fontweight="bold",
    )  # fmt: skip
