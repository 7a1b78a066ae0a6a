"""What all figures share: their input, the record of what is drawn, colours, panels, the synthetic mark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import cycle
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from sorafenib_rfa.arms import Arms
from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.errors import NotOfferedError, Problem
from sorafenib_rfa.exhibits.format import Form, format_value
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH

WIDTH_IN: Final = 7.0
SYNTHETIC: Final = "Synthetic data"
INK: Final = "#222222"
MUTED: Final = "#5f6670"
RULE: Final = "#9aa1a9"

FEWEST_AT_RISK: Final = 10
"""Where fewer are at risk, one event moves a curve by more than a tenth of what is left: it is not drawn on."""

NOT_TOLD: Final = "*"
"""Printed for a number of patients that a public release withholds."""

DRAWN_COLUMNS: Final = ("element", "panel", "series", "x", "y", "low", "high", "text", "ard_id")


class Look(NamedTuple):
    """How one series is told apart: by colour (Okabe and Ito), and without colour by line and marker."""

    colour: str
    line: str | tuple[int, tuple[float, ...]]
    marker: str


LOOKS: Final = (
    Look("#D55E00", "-", "o"),
    Look("#0072B2", (0, (5, 1.8)), "s"),
    Look("#009E73", (0, (1, 1.2)), "^"),
    Look("#CC79A7", (0, (5, 1.5, 1, 1.5)), "D"),
    Look("#000000", (0, (8, 2)), "v"),
)


def looks_of(groups: Iterable[str]) -> dict[str, Look]:
    """Return the look of each group; beyond five groups looks repeat, and the order of the legend tells them apart."""
    return dict(zip(groups, cycle(LOOKS), strict=False))


def arm_looks(groups: Iterable[str], arms: Arms) -> dict[str, Look]:
    """Return the look of each arm: an arm looks the same when the other one has no patients."""
    return looks_of(dict.fromkeys([*(arms.slug(label) for label in arms.labels), *groups]))


@dataclass(frozen=True)
class Inputs:
    """What a figure is drawn from.

    Attributes
    ----------
    name : str
        Name of the figure.
    ard : DataFrame
        All ARD rows of the cohort.
    curves : mapping
        Tidy curve frames by name, as :mod:`sorafenib_rfa.estimates` makes them.
    cohort : CohortConfig
    plan : Plan
    """

    name: str
    ard: pd.DataFrame
    curves: Mapping[str, pd.DataFrame]
    cohort: CohortConfig
    plan: Plan

    @cached_property
    def rows(self) -> dict[str, dict[str, Any]]:
        """ARD rows by id."""
        return {row["ard_id"]: row for row in self.ard.to_dict("records")}

    def number(self, ard_id: str, form: Form = "value", **how: Any) -> str:
        """Return the ARD row `ard_id` as it is printed everywhere.

        Raises
        ------
        KeyError
            If there is no such row: the figure and the estimates disagree, a defect.
        """
        return format_value(self.rows[ard_id], form=form, **how)

    def curve(self, name: str) -> pd.DataFrame:
        """Return a curve frame.

        Raises
        ------
        NotOfferedError
            If the cohort has no such curve.
        """
        frame = self.curves.get(name)
        if frame is None or frame.empty:
            raise NotOfferedError(
                Problem(
                    f"the figure {self.name!r} is drawn from the curve {name!r}, which this cohort does not have",
                    found=f"curves {sorted(key for key, value in self.curves.items() if not value.empty)}",
                    hint="take the figure out of `figures` in the cohort's cohort.yaml",
                )
            )
        return frame

    @property
    def landmark_months(self) -> float:
        """Landmark on the axis of months since time zero."""
        return self.plan.landmark_day / DAYS_PER_MONTH


@dataclass
class Drawn:
    """Collects what a figure shows; becomes the CSV beside it.

    One row a thing drawn: `element` (curve, point, at_risk, text, box ...), the panel and series it belongs to, its
    place in the units of the axes (`x`, `y`; `low` and `high` of its interval), the text printed and the ARD row.
    """

    rows: list[pd.DataFrame] = field(default_factory=list)

    def add(self, element: str, *, panel: str = "", series: str = "", **values: Any) -> None:
        """Add one thing or, with arrays, several of one kind."""
        length = max((len(value) for value in values.values() if _is_column(value)), default=1)
        columns = {"element": element, "panel": panel, "series": series} | values
        # a copy each: a figure must not change when its source frame does
        frame = {name: list(value) if _is_column(value) else [value] * length for name, value in columns.items()}
        self.rows.append(pd.DataFrame(frame))

    def frame(self) -> pd.DataFrame:
        """Return everything added, in the order of drawing."""
        if not self.rows:
            return pd.DataFrame(columns=list(DRAWN_COLUMNS))
        frame = pd.concat([rows.reindex(columns=list(DRAWN_COLUMNS)).astype("object") for rows in self.rows])
        numeric = ("x", "y", "low", "high")
        return frame.astype({name: "float64" if name in numeric else "string" for name in DRAWN_COLUMNS}).reset_index(
            drop=True
        )


def _is_column(value: Any) -> bool:
    return isinstance(value, np.ndarray | pd.Series | list)


def new_figure(height_in: float, *, width_in: float = WIDTH_IN) -> Figure:
    """Return an empty figure; nothing is registered with pyplot, so nothing leaks between figures."""
    return Figure(figsize=(width_in, height_in))


def count_text(count: float) -> str:
    """Return a number of patients as the formatter prints it; an asterisk where a public release withholds it."""
    if np.isnan(count):
        return NOT_TOLD
    return format_value({"value": count, "unit": "count"}, digits=0)


def mark_synthetic(figure: Figure, axes: Sequence[Axes], *, size: float = 20) -> None:
    """Say "Synthetic data" across each of `axes` and in the corner, so that a cropped figure still says it."""
    for ax, height in [(panel, height) for panel in axes for height in _heights(panel)]:
        ax.text(
            0.5,
            height,
            SYNTHETIC,
            transform=ax.transAxes,
            rotation=28,
            ha="center",
            va="center",
            fontsize=size,
            fontweight="bold",
            color="#e4e4e4",
            zorder=-5,
            gid="synthetic",
        )
    figure.text(
        0.995, 0.992, SYNTHETIC, ha="right", va="top", fontsize=7, fontweight="bold", color="#8a3b00", gid="synthetic"
    )


def _heights(ax: Axes) -> list[float]:
    """Return where on a panel the mark stands: once, or every few inches on a tall one."""
    tall_in = ax.get_position().height * ax.get_figure().get_figheight()
    marks = max(1, round(tall_in / 3.0))
    return [(number + 0.5) / marks for number in range(marks)]


def month_ticks(longest: float) -> list[float]:
    """Return ticks every year, or every second year on a long axis."""
    step = 12 if longest <= 96 else 24
    return [float(month) for month in range(0, int(longest) + 1, step)]


def months_label(cohort: CohortConfig) -> str:
    """Return the label of the time axis: ``Months since index RFA``."""
    return f"Months since {cohort.index_event}"


def steps(ax: Axes, x: np.ndarray, y: np.ndarray, look: Look, **how: Any) -> None:
    """Draw a curve that keeps its value until the next step."""
    kept = _turns(y)
    ax.plot(x[kept], y[kept], drawstyle="steps-post", color=look.colour, linestyle=look.line, **how)


def band(ax: Axes, x: np.ndarray, low: np.ndarray, high: np.ndarray, look: Look) -> None:
    """Draw the confidence band of a step curve."""
    kept = _turns(low, high)
    ax.fill_between(x[kept], low[kept], high[kept], step="post", color=look.colour, alpha=0.15, linewidth=0, zorder=1)


def _turns(*values: np.ndarray) -> np.ndarray:
    """Return which points of step curves show: those at which one of `values` changes, appears or is about to end.

    At most times of a Kaplan-Meier curve someone is censored and nothing changes; the picture is the same without
    them, in a fraction of the bytes.
    """
    kept = np.zeros(len(values[0]), dtype=bool)
    kept[[0, -1][: len(kept)]] = True
    for value in values:
        missing = np.isnan(value)
        kept[1:] |= (value[1:] != value[:-1]) & ~(missing[1:] & missing[:-1])
        kept[:-1] |= missing[1:] & ~missing[:-1]
    return kept


def enough_at_risk(curve: pd.DataFrame) -> pd.DataFrame:
    """Return a curve as long as :data:`FEWEST_AT_RISK` patients, or as much weight, were at risk (``n_risk``)."""
    return curve[curve["n_risk"] >= FEWEST_AT_RISK]


def too_few(ax: Axes) -> None:
    """Say that a panel is empty because fewer were at risk than curves are drawn for."""
    ax.text(
        0.5, 0.5, f"Fewer than {FEWEST_AT_RISK} at risk", transform=ax.transAxes, ha="center", va="center", color=MUTED
    )


def not_estimable(ax: Axes) -> None:
    """Say that a panel is empty because nothing could be estimated."""
    ax.text(0.5, 0.5, "Not estimable", transform=ax.transAxes, ha="center", va="center", color=MUTED)


def draw_not_estimable(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the page of a figure of whose curve nothing could be estimated: it says so; tables give the reason."""
    return _draw_words(inputs, "Not estimable")


def draw_not_run(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the page of a figure of a study that was not run: it says so; the tables give the reason."""
    return _draw_words(inputs, "Not run")


def draw_withheld(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the page of a figure that a public release withholds: it says so; ``disclosure.md`` gives the reason."""
    return _draw_words(inputs, "Withheld from the public release")


def _draw_words(inputs: Inputs, words: str) -> tuple[Figure, pd.DataFrame]:
    figure, drawn = new_figure(1.6, width_in=5.2), Drawn()
    ax = figure.add_axes((0.02, 0.04, 0.96, 0.9))
    ax.set(xticks=[], yticks=[])
    ax.text(0.5, 0.5, words, transform=ax.transAxes, ha="center", va="center", color=MUTED)
    drawn.add("text", text=words)
    if inputs.cohort.synthetic:
        mark_synthetic(figure, [ax], size=14)
    return figure, drawn.frame()


def text_width_in(figure: Figure, texts: Sequence[str], size: float, weight: str = "normal") -> float:
    """Return the width in inches of the widest of `texts` (which may have several lines)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    renderer = FigureCanvasAgg(figure).get_renderer()
    widest = 0.0
    for text in texts:
        artist = Text(0, 0, text, fontsize=size, fontweight=weight, figure=figure)
        widest = max(widest, artist.get_window_extent(renderer).width)
    return widest / figure.dpi
