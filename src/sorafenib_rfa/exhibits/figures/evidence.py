"""Published evidence: forest plots by design, what changes with each study, hazard ratios by interval, small studies.

Nothing here is made of patients' records. A synthetic cohort is never drawn as evidence, and no diamond holds studies
of two designs.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Polygon, Rectangle
from matplotlib.ticker import FixedLocator, NullLocator

from sorafenib_rfa.errors import NotOfferedError, Problem
from sorafenib_rfa.estimates.evidence_common import DESIGN_GROUPS, ENDPOINTS, SETTINGS
from sorafenib_rfa.exhibits.figures.canvas import (
    INK,
    MUTED,
    RULE,
    WIDTH_IN,
    Drawn,
    Inputs,
    month_ticks,
    new_figure,
    text_width_in,
)
from sorafenib_rfa.exhibits.figures.forest import ratio_ticks, style_ratio_axis

ROW_IN: Final = 0.185
TEXT_PT: Final = 7.5
NUMBERS_PT: Final = 7.0
NOTES_PT: Final = 6.5
NOTES_WIDTH: Final = 136
"""Letters of a line of notes across the page."""

TICKS: Final = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
BAND: Final = "#eceef0"
DIAMOND: Final = "#555555"
UNVERIFIED: Final = "(unverified)"
DERIVED: Final = "\u2020"
"""Set at a study whose interval was not read but computed from its hazard ratio and p value."""

WIDER: Final = "\u2021"
"""Set at an interval whose level is not 95 percent."""

NUMBER_WORDS: Final = {3: "three", 4: "four", 5: "five"}
NO_VERIFIED: Final = "No verified estimate"
NOTHING: Final = "nothing to pool"
RANDOMISED: Final = "randomised"
DERIVED_BASIS: Final = "estimate and p"
HEADLINE, EVERYTHING = "headline", "with_unverified"
LOOKS: Final = {
    "primary": "", "interim_1": ", first interim", "interim_2": ", second interim", "final": ", final",
    "updated": ", updated", "subset": ", subset",
}  # fmt: skip
"""Which look at a trial's data an effect is from, as it follows a name; the first full one goes without."""


def no_synthetic(inputs: Inputs) -> None:
    """Refuse a synthetic cohort.

    Raises
    ------
    NotOfferedError
        If the cohort is synthetic.
    """
    if inputs.cohort.synthetic:
        raise NotOfferedError(
            Problem(
                f"the figure {inputs.name!r} shows published evidence: a synthetic cohort is never drawn as evidence",
                found="a cohort whose `synthetic` is true",
                hint="take the figure out of `figures` in the cohort's cohort.yaml",
            )
        )


# --- forest plots ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One line of a forest plot.

    `kind` is head, study, diamond, prediction or words; `texts` go into the columns; `value` is the ratio with its
    interval; what is not `solid` rests on something unverified; `size` is the side of a study's square in points.
    """

    kind: str
    label: str
    panel: str = ""
    texts: dict[str, str] = field(default_factory=dict)
    value: tuple[float, float, float] = (np.nan, np.nan, np.nan)
    solid: bool = True
    size: float = 0.0
    ard_id: str = ""
    indent: int = 0

    @property
    def rows(self) -> float:
        """Height in rows."""
        if self.kind == "head":
            return 1.75
        return 0.15 + 0.85 * (1 + self.label.count("\n"))


@dataclass(frozen=True)
class Column:
    """A column of texts: its title, where it stands in inches from the left, how it is aligned."""

    title: str
    x_in: float
    align: str


def _draw_page(
    inputs: Inputs,
    lines: Sequence[Line],
    columns: dict[str, Column],
    plot_in: tuple[float, float],
    sides: tuple[str, str],
    legend: Sequence[Any],
    notes: Sequence[str],
) -> tuple[Figure, pd.DataFrame]:
    """Draw lines below each other, texts in columns beside one plot whose axis is a ratio's."""
    notes = [part for note in notes for part in textwrap.wrap(note, NOTES_WIDTH)]
    top_in = 0.5 if legend else 0.3
    bottom_in = 0.78 + 0.125 * len(notes) + 0.06
    deep = sum(line.rows for line in lines) + 0.3
    height = top_in + bottom_in + deep * ROW_IN
    figure, drawn = new_figure(height), Drawn()
    left, right = plot_in
    ax = figure.add_axes(
        (left / WIDTH_IN, bottom_in / height, (right - left) / WIDTH_IN, deep * ROW_IN / height), facecolor="none"
    )
    ax.set_ylim(deep, 0)
    ax.set_xlim(*_limits(lines))
    style_ratio_axis(ax, inputs, "Hazard ratio (log scale)", sides)
    ax.xaxis.set_major_locator(FixedLocator([tick for tick in TICKS if ax.get_xlim()[0] <= tick <= ax.get_xlim()[1]]))

    def write(x_in: float, y: float, text: str, **how: Any) -> None:
        at = (bottom_in + (deep - y) * ROW_IN) / height
        figure.text(x_in / WIDTH_IN, at, text, va="center", **({"fontsize": TEXT_PT} | how))

    for column in columns.values():
        figure.text(
            column.x_in / WIDTH_IN, 1 - (top_in - 0.03) / height, column.title, ha=column.align, va="bottom",
            fontsize=NUMBERS_PT, fontweight="bold", linespacing=1.05,
        )  # fmt: skip
    y = 0.0
    for line in lines:
        place = y + line.rows / 2 + (0.15 if line.kind == "head" else 0.0)
        y += line.rows
        if line.kind == "head":
            middle = (bottom_in + (deep - place) * ROW_IN) / height
            tall = 1.2 * ROW_IN / height
            figure.add_artist(Rectangle((0.008, middle - tall / 2), 0.984, tall, color=BAND, linewidth=0, zorder=-10))
        ink = MUTED if line.kind == "words" or not line.solid else INK
        weight = "bold" if line.kind in ("head", "diamond") and line.solid else "normal"
        size = TEXT_PT if line.kind != "words" else NUMBERS_PT
        write(
            0.08 + 0.13 * line.indent, place, line.label, color=ink, fontweight=weight, fontsize=size, linespacing=1.15
        )
        for key, text in line.texts.items():
            column = columns[key]
            write(column.x_in, place, text, ha=column.align, fontsize=NUMBERS_PT, color=ink, fontweight=weight)
        _draw_value(ax, line, place)
        estimate, low, high = line.value
        drawn.add(
            line.kind, panel=line.panel, series=line.label, x=estimate, y=place, low=low, high=high,
            text="; ".join(f"{columns[key].title}: {text}".replace("\n", " ") for key, text in line.texts.items()),
            ard_id=line.ard_id,
        )  # fmt: skip
    if legend:
        figure.legend(
            handles=list(legend), loc="upper left", ncols=len(legend), borderaxespad=0, fontsize=NOTES_PT,
            bbox_to_anchor=(0.012, 1 - 0.04 / height), columnspacing=1.4, handletextpad=0.5, handlelength=1.6,
        )  # fmt: skip
    for number, note in enumerate(notes):
        figure.text(
            0.012, (0.06 + 0.125 * (len(notes) - number)) / height, note, va="top", fontsize=NOTES_PT, color=MUTED
        )
    return figure, drawn.frame()


def _draw_value(ax: Axes, line: Line, place: float) -> None:
    """Draw a study's square with its interval, a pooled diamond, or the bar of a prediction interval."""
    estimate, low, high = line.value
    dashes = "-" if line.solid else (0, (2, 1))
    if line.kind == "study" and np.isfinite(low) and np.isfinite(high):
        ax.plot([low, high], [place, place], color=INK, linewidth=1.1, linestyle=dashes, zorder=2)
    if line.kind == "study" and np.isfinite(estimate):
        face = INK if line.solid else "white"
        ax.plot(
            [estimate],
            [place],
            "s",
            color=INK,
            markerfacecolor=face,
            markersize=line.size,
            markeredgewidth=0.9,
            zorder=4,
        )
    if line.kind == "diamond" and np.isfinite(estimate):
        corners = [(low, place), (estimate, place - 0.33), (high, place), (estimate, place + 0.33)]
        ax.add_patch(
            Polygon(
                corners, closed=True, facecolor=DIAMOND if line.solid else "white", edgecolor=INK, linewidth=0.9,
                linestyle=dashes, zorder=4, gid="diamond",
            )
        )  # fmt: skip
    if line.kind == "prediction" and np.isfinite(low):
        ax.plot([low, high], [place, place], color=INK, linewidth=3.2, alpha=0.45, zorder=3, gid="prediction")
    left, right = ax.get_xlim()
    for end, limit, beyond in ((left, low, low < left), (right, high, high > right)):
        if beyond:  # the axis cuts it off
            ax.plot([end], [place], "<" if limit == low else ">", color=INK, markersize=3.5, clip_on=False, zorder=5)


def _limits(lines: Sequence[Line]) -> tuple[float, float]:
    """Return limits that hold every interval within a tenth and ten, and 1 with room on both sides."""
    ends = np.array([line.value for line in lines], dtype=float)
    low, high = np.nanmin([np.nanmin(ends, initial=np.inf), 0.5]), np.nanmax([np.nanmax(ends, initial=-np.inf), 2.0])
    return max(0.1, low / 1.08), min(10.0, high * 1.08)


def _ratio(inputs: Inputs, ard_id: str) -> str:
    """Return a ratio with its interval: ``0.94 (0.78 to 1.13)``."""
    row = inputs.rows[ard_id]
    if pd.isna(row["ci_low"]) and pd.isna(row["ci_high"]):
        return inputs.number(ard_id) if pd.isna(row["value"]) else f"{inputs.number(ard_id)} (no interval)"
    return inputs.number(ard_id, "ci").replace("95% CI ", "")


def _square(precision: float, most: float) -> float:
    """Return the side, in points, of a square whose area tells the precision against the most precise of its panel."""
    return 3.0 + 6.5 * float(np.sqrt(precision / most)) if np.isfinite(precision) and most > 0 else 3.0


def draw_evidence_adjuvant(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the randomised trials of sorafenib after resection or ablation, an endpoint a panel, with what is pooled.

    Curves ``evidence_effects`` and ``evidence_pooled``; weights from ARD ``synthesis.<id>.<study>.weight_*``.
    """
    return _draw_syntheses(inputs, "adjuvant")


def draw_evidence_tace(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the randomised trials of sorafenib with TACE, an endpoint a panel, with what is pooled."""
    return _draw_syntheses(inputs, "tace")


def _draw_syntheses(inputs: Inputs, setting: str) -> tuple[Figure, pd.DataFrame]:
    """Draw the syntheses of randomised trials of one setting."""
    no_synthetic(inputs)
    effects, pooled = inputs.curve("evidence_effects"), inputs.curve("evidence_pooled")
    pooled = pooled[(pooled["setting"] == setting) & (pooled["design_group"] == RANDOMISED)]
    if pooled.empty:
        raise NotOfferedError(
            Problem(
                f"the figure {inputs.name!r} shows syntheses of randomised trials of the setting {setting!r}",
                found="none in the plan",
                hint="declare one under `evidence.syntheses`, or take the figure out of `figures`",
            )
        )
    lines = [line for _, rows in pooled.groupby("synthesis_id", sort=False) for line in _panel(inputs, effects, rows)]
    lines += _unpooled_panels(inputs, effects, setting, set(pooled["endpoint"]))
    columns = {
        "n": Column("Patients,\ntreated / control", 2.42, "center"),
        "common": Column("Weight,\ncommon", 3.46, "right"),
        "random": Column("Weight,\nrandom", 4.0, "right"),
        "ratio": Column("Hazard ratio\n(95% CI)", WIDTH_IN - 0.06, "right"),
    }
    ratios = [line.texts.get("ratio", "") for line in lines]
    right = WIDTH_IN - 0.16 - text_width_in(new_figure(1.0), ratios, NUMBERS_PT, "bold")
    notes = list(_forest_notes(inputs, lines))
    return _draw_page(inputs, lines, columns, (4.14, right), ("sorafenib", "control"), _forest_legend(lines), notes)


def _panel(inputs: Inputs, effects: pd.DataFrame, rows: pd.DataFrame) -> Iterator[Line]:
    """Yield the lines of one synthesis: its studies, what they give together, and that with unverified rows."""
    first = rows.iloc[0]
    synthesis, endpoint = str(first["synthesis_id"]), ENDPOINTS[str(first["endpoint"])]
    studies = effects[(effects["pooled_in"] == synthesis) | (effects["pooled_in_all"] == synthesis)]
    groups = {DESIGN_GROUPS.get(design, "none") for design in studies["design"]}
    if groups - {first["design_group"]}:
        raise ValueError(
            f"the synthesis {synthesis!r} holds studies of designs {sorted(groups)}: they are never pooled"
        )
    yield Line("head", endpoint, panel=endpoint)
    yield from _study_lines(inputs, studies, synthesis, endpoint)
    headline, everything = (rows[rows["scope"] == scope] for scope in (HEADLINE, EVERYTHING))
    alone = "One study" if studies["verified"].all() else "One verified study"
    yield from _pooled_lines(inputs, headline, endpoint, alone, solid=True)
    if not studies["verified"].all():
        yield from _pooled_lines(inputs, everything, endpoint, "With unverified, one study", solid=False)


def _unpooled_panels(inputs: Inputs, effects: pd.DataFrame, setting: str, pooled: set[str]) -> Iterator[Line]:
    """Yield the randomised results on endpoints for which no synthesis is declared, so that none is left out."""
    group = effects["design"].map(DESIGN_GROUPS)
    own = effects[(effects["setting"] == setting) & (group == RANDOMISED) & effects["hr"].notna()]
    for code, rows in own[~own["endpoint"].isin(pooled)].groupby("endpoint", sort=True):
        yield Line("head", ENDPOINTS[str(code)], panel=ENDPOINTS[str(code)])
        yield from _study_lines(inputs, rows, "", ENDPOINTS[str(code)])
        yield Line("words", "No synthesis declared for this endpoint", panel=ENDPOINTS[str(code)], indent=1)


def _study_lines(inputs: Inputs, studies: pd.DataFrame, synthesis: str, endpoint: str) -> Iterator[Line]:
    """Yield a line a study, by year."""
    studies = studies.sort_values(["year", "label"], kind="stable")
    precision = 1 / studies["se"] ** 2
    for study, own in zip(studies.itertuples(), precision, strict=True):
        yield Line(
            "study",
            _study_label(study),
            panel=endpoint,
            texts=_study_texts(inputs, synthesis, study),
            value=(study.hr, study.lo, study.hi),
            solid=bool(study.verified),
            size=_square(own, precision.max()),
            ard_id=study.ard_id,
            indent=1,
        )


def _study_label(study: Any) -> str:
    """Return a study with its year, its look, and what is to be known of its numbers."""
    mark = DERIVED if study.basis == DERIVED_BASIS else ""
    return f"{_named(study)}{LOOKS[study.look]}{mark}{_flag(study)}"


def _named(study: Any) -> str:
    """Return a study with its year."""
    return str(study.label) if pd.isna(study.year) else f"{study.label} {study.year:.0f}"


def _flag(study: Any) -> str:
    """Return the flag of an effect that is not verified; one that was read without an interval says that instead."""
    recalled = any("estimate" in part and "recalled" in part for part in study.status.split("; "))
    return f" {UNVERIFIED}" if not study.verified and (np.isfinite(study.lo) or recalled) else ""


def _study_texts(inputs: Inputs, synthesis: str, study: Any) -> dict[str, str]:
    """Return patients, weights and the ratio of a study; in brackets weights of the analysis with unverified rows."""
    sizes = [f"effects.{study.study_id}.n_{arm}" for arm in ("treated", "control")]
    texts = {"n": " / ".join(inputs.number(size) for size in sizes)} if all(s in inputs.rows for s in sizes) else {}
    for model in ("common", "random"):
        own = f"synthesis.{synthesis}.{study.study_id}.weight_{model}"
        every = f"synthesis.{synthesis}.with_unverified.{study.study_id}.weight_{model}"
        if own in inputs.rows:
            texts[model] = inputs.number(own)
        elif every in inputs.rows:
            texts[model] = f"[{inputs.number(every)}]"
    return texts | {"ratio": _ratio(inputs, study.ard_id)}


def _pooled_lines(inputs: Inputs, rows: pd.DataFrame, endpoint: str, alone: str, *, solid: bool) -> Iterator[Line]:
    """Yield the diamonds of one scope, its prediction interval and heterogeneity, or why there are none."""
    k = int(rows["k"].iloc[0])
    scope = "" if solid else ", with unverified"
    if k < 2:
        yield Line("words", f"{alone}: {NOTHING}" if k else NO_VERIFIED, panel=endpoint, solid=solid, indent=1)
        return
    names = {"common": "Common effect", "random": "Random effects, Hartung-Knapp"}
    for row in rows.itertuples():
        yield Line(
            "diamond",
            names[row.model] + scope,
            panel=endpoint,
            texts={"ratio": _ratio(inputs, row.ard_id)},
            value=(row.hr, row.lo, row.hi),
            solid=solid,
            ard_id=row.ard_id,
            indent=1,
        )
    random = rows[rows["model"] == "random"].iloc[0]
    yield _prediction(inputs, random, endpoint, solid=solid)
    yield Line("words", _heterogeneity(inputs, random), panel=endpoint, solid=solid, indent=1)


def _prediction(inputs: Inputs, random: Any, endpoint: str, *, solid: bool) -> Line:
    """Return the prediction interval as a bar, or the words that there is none."""
    if not np.isfinite(random["prediction_lo"]):
        fewest = inputs.plan.evidence.prediction_min_studies if inputs.plan.evidence else 3
        words = f"Prediction interval: not with fewer than {NUMBER_WORDS.get(fewest, fewest)} studies"
        return Line("words", words, panel=endpoint, solid=solid, indent=1)
    return Line(
        "prediction",
        "95% prediction interval" + ("" if solid else ", with unverified"),
        panel=endpoint,
        texts={"ratio": inputs.number(random["prediction_id"], "interval")},
        value=(np.nan, random["prediction_lo"], random["prediction_hi"]),
        solid=solid,
        ard_id=random["prediction_id"],
        indent=1,
    )


def _heterogeneity(inputs: Inputs, random: Any) -> str:
    """Return I squared and tau squared with their intervals, and the p value of Cochran's Q."""
    i2, tau2 = (
        inputs.number(random[f"{name}_id"], "ci", digits=digits).replace("95% CI ", "")
        for name, digits in (("i2", 0), ("tau2", 2))
    )
    return f"Heterogeneity: I\u00b2 {i2}, \u03c4\u00b2 {tau2}, Q {inputs.number(random['q_id'], 'p')}"


def _forest_notes(inputs: Inputs, lines: Sequence[Line]) -> Iterator[str]:
    """Yield what has to be known to read the plot."""
    yield (
        "Randomised trials only; designs are never pooled. The area of a square tells the inverse variance within its "
        "panel. Random effects: restricted maximum likelihood, Hartung-Knapp interval"
        + (", never narrower than Wald's." if inputs.plan.evidence and inputs.plan.evidence.at_least_wald else ".")
    )
    pairs = inputs.curve("evidence_pooled").query("k == 2 and model == 'random'")["ard_id"]
    if any(line.ard_id in set(pairs) for line in lines):
        yield "With two studies the random-effects interval rests on one degree of freedom and is very wide."
    if any(DERIVED in line.label for line in lines):
        yield (
            f"{DERIVED} Interval computed from the hazard ratio and p value that were read (sidedness respected); its "
            "printed limits could not be read."
        )
    if any(not line.solid for line in lines):
        bracketed = any(text.startswith("[") for line in lines for text in line.texts.values())
        yield (
            f"{UNVERIFIED[1:-1].capitalize()}: the estimate or its interval is recalled and was not read. "
            "Such rows enter no headline estimate; hollow diamonds are the sensitivity analysis that has them"
            + (" (weights in square brackets)." if bracketed else ".")
        )


def _forest_legend(lines: Sequence[Line]) -> list[Any]:
    """Return the marks that the plot has."""
    has = {(line.kind, line.solid) for line in lines}
    marks: list[Any] = []
    for kind, marker, dark, words in (
        ("study", "s", INK, ("Study, verified", "Study, unverified")),
        ("diamond", "D", DIAMOND, ("Pooled, verified", "Pooled, with unverified")),
    ):
        for solid, label in zip((True, False), words, strict=True):
            if (kind, solid) in has:
                whisker = ("-" if solid else (0, (2, 1))) if kind == "study" else "none"
                look = {"color": INK, "markerfacecolor": dark if solid else "white", "markersize": 5, "linewidth": 1.1}
                marks.append(Line2D([], [], marker=marker, linestyle=whisker, label=label, **look))
    if any(kind == "prediction" for kind, _ in has):
        marks.append(Line2D([], [], color=INK, linewidth=3.2, alpha=0.45, label="95% prediction interval"))
    return marks


# --- what is shown and never pooled ---------------------------------------------------------------------------------


def draw_evidence_context(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the hazard ratios that no randomised synthesis takes: other drugs, another cancer, cohorts; no diamond.

    Curve ``evidence_effects``; grouped by setting and design.
    """
    no_synthetic(inputs)
    effects = inputs.curve("evidence_effects")
    group = effects["design"].map(DESIGN_GROUPS).fillna("none")
    aside = ~effects["setting"].isin(["adjuvant", "tace"]) | (group != RANDOMISED)
    shown = effects[effects["hr"].notna() & aside].assign(group=group)
    if shown.empty:
        raise NotOfferedError(
            Problem(f"the figure {inputs.name!r} shows hazard ratios outside of the syntheses", found="none")
        )
    order = {name: place for place, name in enumerate(SETTINGS)}
    shown = shown.assign(place=shown["setting"].map(order)).sort_values(
        ["place", "group", "year", "label"], ascending=[True, False, True, True], kind="stable"
    )
    lines: list[Line] = []
    most = (1 / shown["se"] ** 2).max()
    for _, rows in shown.groupby(["place", "group"], sort=False):
        words = {RANDOMISED: "randomised", "cohorts": "cohorts, not randomised"}.get(
            rows["group"].iloc[0], "no comparison"
        )
        panel = f"{SETTINGS[rows['setting'].iloc[0]]}: {words}"
        lines.append(Line("head", panel, panel=panel))
        for _, own in rows.groupby("study_id", sort=False):
            lines += _context_study(inputs, own, panel, most)
    columns = {
        "n": Column("Patients,\ntreated / control", 3.3, "center"),
        "ratio": Column("Hazard ratio\n(95% CI)", WIDTH_IN - 0.06, "right"),
    }
    ratios = [line.texts.get("ratio", "") for line in lines]
    right = WIDTH_IN - 0.16 - text_width_in(new_figure(1.0), ratios, NUMBERS_PT, "bold")
    notes = [
        "Not in the forest plots of trials: other drugs and another cancer, which are never pooled, and groups formed "
        "without randomisation, which are never pooled with trials.",
        *list(_context_notes(lines, shown)),
    ]
    return _draw_page(inputs, lines, columns, (3.85, right), ("treated", "control"), _forest_legend(lines), notes)


def _context_study(inputs: Inputs, own: pd.DataFrame, panel: str, most: float) -> Iterator[Line]:
    """Yield a study with what it compared, then its hazard ratios."""
    first = next(own.itertuples())
    compared = textwrap.wrap(f"{first.treated} against {_within(first.comparator)}", 62)
    sizes = [f"effects.{first.study_id}.n_{arm}" for arm in ("treated", "control")]
    texts = {"n": " / ".join(inputs.number(size) for size in sizes)} if all(s in inputs.rows for s in sizes) else {}
    yield Line("study", _named(first), panel=panel, texts=texts, indent=1)
    yield Line("words", "\n".join(compared), panel=panel, indent=1)
    for effect in own.itertuples():
        mark = DERIVED if effect.basis == DERIVED_BASIS else ""
        later = "" if pd.isna(effect.year) or effect.year == first.year else f" {effect.year:.0f}"
        wide = WIDER if np.isfinite(effect.lo) and effect.ci_level != 95 else ""
        yield Line(
            "study",
            f"{ENDPOINTS[effect.endpoint]}{LOOKS[effect.look]}{later}{mark}{wide}{_flag(effect)}",
            panel=panel,
            texts={"ratio": _ratio(inputs, effect.ard_id)},
            value=(effect.hr, effect.lo, effect.hi),
            solid=bool(effect.verified),
            size=_square(1 / effect.se**2, most),
            ard_id=effect.ard_id,
            indent=2,
        )


def _within(words: str) -> str:
    """Return words as they stand within a sentence: `Placebo` as `placebo`, `TACE + placebo` as it is."""
    return words[:1].lower() + words[1:] if words[1:2].islower() else words


def _context_notes(lines: Sequence[Line], shown: pd.DataFrame) -> Iterator[str]:
    """Yield which rows have a synthesis of their own, and the meaning of the marks that the plot has."""
    own = dict.fromkeys(_named(row) for row in shown[shown["pooled_in"] != ""].itertuples())
    if own:
        yield f"In a synthesis of cohorts, which the table of syntheses has: {', '.join(own)}."
    if any(DERIVED in line.label for line in lines):
        yield f"{DERIVED} Interval computed from the hazard ratio and p value that were read (sidedness respected)."
    if any(WIDER in line.label for line in lines):
        levels = sorted(set(shown.loc[shown["lo"].notna() & (shown["ci_level"] != 95), "ci_level"]))
        yield f"{WIDER} An interval of {' or '.join(f'{level:g}%' for level in levels)}, as printed."
    if any(not line.solid for line in lines):
        yield f"{UNVERIFIED[1:-1].capitalize()}: the estimate or its interval is recalled and was not read."


# --- what each study changes ----------------------------------------------------------------------------------------


def draw_evidence_cumulative(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the synthesis of most studies as they came year by year, and without each of them.

    Curves ``evidence_pooled`` (to choose), ``evidence_cumulative`` and ``evidence_leave_one_out``. Where a synthesis
    with unverified rows has more studies than every headline one, it is drawn, hollow, and named so.
    """
    no_synthetic(inputs)
    pooled = inputs.curve("evidence_pooled")
    largest = _largest(pooled)
    if largest["k"] < 2:
        raise NotOfferedError(
            Problem(
                f"the figure {inputs.name!r} shows a synthesis of two studies or more",
                found=f"at most {largest['k']:.0f}",
                hint="take the figure out of `figures` in the cohort's cohort.yaml",
            )
        )
    solid = largest["scope"] == HEADLINE
    steps = inputs.curve("evidence_cumulative")
    without = inputs.curves.get("evidence_leave_one_out", pd.DataFrame({"synthesis_id": [], "scope": []}))
    lines: list[Line] = []
    for panel, frame, word in (("A  Cumulative, by year", steps, "up to"), ("B  Leave one out", without, "without")):
        own = frame[(frame["synthesis_id"] == largest["synthesis_id"]) & (frame["scope"] == largest["scope"])]
        lines.append(Line("head", panel, panel=panel))
        if own.empty:
            lines.append(Line("words", "Not with fewer than three studies", panel=panel, indent=1))
        lines += [_step(inputs, row, panel, word, solid=solid) for row in own.itertuples()]
    columns = {
        "k": Column("Studies", 2.72, "right"),
        "ratio": Column("Hazard ratio\n(95% CI)", WIDTH_IN - 0.06, "right"),
    }
    right = (
        WIDTH_IN
        - 0.16
        - text_width_in(new_figure(1.0), [line.texts.get("ratio", "") for line in lines], NUMBERS_PT, "bold")
    )
    scope = (
        "All of its studies are verified."
        if solid
        else "It is a sensitivity analysis: some of its studies are unverified (hollow), because no synthesis of "
        "verified studies alone is as large."
    )
    notes = [
        f"{largest['title']}: the synthesis of most studies. {scope} Random effects, Hartung-Knapp interval, with the "
        "studies known at the time, or all but one.",
    ]
    return _draw_page(inputs, lines, columns, (2.9, right), ("sorafenib", "control"), _forest_legend(lines), notes)


def _step(inputs: Inputs, row: Any, panel: str, word: str, *, solid: bool) -> Line:
    """Return a synthesis of some of the studies as a diamond; the first study alone is none and has a square."""
    alone = row.k < 2
    if alone:
        effects = inputs.curve("evidence_effects").set_index("ard_id")
        solid = bool(effects.loc[row.ard_id, "verified"])
    count = row.ard_id.removesuffix("random_hr") + "k"
    return Line(
        "study" if alone else "diamond",
        f"{_named(row)} alone" if alone else f"{word} {_named(row)}",
        panel=panel,
        texts={"k": "1" if alone else inputs.number(count), "ratio": _ratio(inputs, row.ard_id)},
        value=(row.hr, row.lo, row.hi),
        solid=solid,
        size=5.0,
        ard_id=row.ard_id,
        indent=1,
    )


def _largest(pooled: pd.DataFrame) -> pd.Series:
    """Return the synthesis of most studies; a headline one, and then the first declared, where several have as many."""
    rows = pooled[pooled["model"] == "random"].assign(sensitivity=lambda frame: frame["scope"] != HEADLINE)
    return rows.sort_values(["k", "sensitivity"], ascending=[False, True], kind="stable").iloc[0]


# --- hazard ratios by interval --------------------------------------------------------------------------------------

_ARM_LOOKS: Final = {
    "treated": ("RFA + sorafenib", "-", "o", INK),
    "control": ("RFA alone", (0, (4, 1.6)), "s", "#777777"),
}


def draw_evidence_intervals(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw survival and hazard ratios by interval of the cohorts whose percentages are published, a column each.

    Curves ``evidence_survival`` (fitted curves, published percentages) and ``evidence_intervals`` (hazard ratios with
    their intervals).
    """
    no_synthetic(inputs)
    intervals, survival = inputs.curve("evidence_intervals"), inputs.curve("evidence_survival")
    pairs = list(intervals.groupby(["study_id", "endpoint"], sort=False))
    height = 4.55
    figure, drawn = new_figure(height), Drawn()
    left, gap = 0.085, 0.035
    width = (0.985 - left - gap * (len(pairs) - 1)) / len(pairs)
    low, high = _limits([Line("study", "", value=(row.hr, row.lo, row.hi)) for row in intervals.itertuples()])
    for column, ((study, code), own) in enumerate(pairs):
        name = f"{own['label'].iloc[0]}"
        panel = f"{name}: {ENDPOINTS[str(code)].lower()}"
        x = left + column * (width + gap)
        upper = figure.add_axes((x, 2.82 / height, width, 1.28 / height))
        lower = figure.add_axes((x, 0.95 / height, width, 1.42 / height))
        curves = survival[(survival["study_id"] == study) & (survival["endpoint"] == code)]
        _draw_survival(upper, curves, panel, drawn)
        _draw_interval_ratios(lower, own, panel, drawn)
        _say_average(inputs, lower, f"reconstruction.{study}_{str(code).lower()}", panel, drawn)
        end = float(own["to_month"].max())
        for ax in (upper, lower):
            ax.set_xlim(0, end)
            ax.set_xticks([tick for tick in month_ticks(end) if tick <= end])
        upper.tick_params(labelbottom=False)
        upper.set_ylim(0, 100)
        lower.set_yscale("log")
        lower.set_ylim(low, high)
        lower.yaxis.set_major_locator(FixedLocator([tick for tick in TICKS if low <= tick <= high]))
        lower.yaxis.set_minor_locator(NullLocator())
        lower.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        lower.set_xlabel("Months")
        upper.set_title(
            f"{'ABCDEFGH'[column]}  {textwrap.fill(name, 28)}\n{ENDPOINTS[str(code)]}",
            fontsize=TEXT_PT,
            linespacing=1.2,
        )
        if column:
            upper.tick_params(labelleft=False)
            lower.tick_params(labelleft=False)
        else:
            upper.set_ylabel("Free of the event (%)")
            lower.set_ylabel("Hazard ratio (log scale)")
    handles: list[Any] = [
        Line2D([], [], color=ink, linestyle=line, marker=marker, markersize=4, label=label, linewidth=1.2)
        for label, line, marker, ink in _ARM_LOOKS.values()
    ]
    handles += [
        Line2D([], [], color=INK, linewidth=2, label="hazard ratio of the interval"),
        Patch(facecolor="#d0d4d8", edgecolor="none", label="95% interval"),
    ]
    figure.legend(
        handles=handles, loc="lower left", ncols=4, bbox_to_anchor=(0.03, 0.36 / height), borderaxespad=0,
        fontsize=NUMBERS_PT, columnspacing=1.4,
    )  # fmt: skip
    notes = (
        "Symbols: published percentages; lines: exponential between them. Below 1 favours RFA + sorafenib. Cohorts, "
        "not randomised: an early difference that wanes fits an effect that wears off, and it fits immortal time or "
        "selection as well."
    )
    for number, note in enumerate(textwrap.wrap(notes, NOTES_WIDTH)):
        figure.text(0.012, (0.3 - 0.125 * number) / height, note, va="top", fontsize=NOTES_PT, color=MUTED)
    return figure, drawn.frame()


def _draw_survival(ax: Axes, curves: pd.DataFrame, panel: str, drawn: Drawn) -> None:
    """Draw the fitted curves of both arms and, as symbols, the percentages that were published."""
    for arm, (_, line, marker, ink) in _ARM_LOOKS.items():
        own = curves[curves["arm"] == arm].sort_values("month", kind="stable")
        fitted, published = (own[own["kind"] == kind] for kind in ("fitted", "published"))
        ax.plot(fitted["month"], 100 * fitted["survival"], color=ink, linestyle=line, linewidth=1.2)
        ax.plot(
            published["month"], 100 * published["survival"], marker, color=ink, markersize=4.2, linestyle="none",
            clip_on=False, zorder=5,
        )  # fmt: skip
        for kind, rows in (("curve", fitted), ("published", published)):
            drawn.add(kind, panel=panel, series=arm, x=rows["month"].to_numpy(), y=100 * rows["survival"].to_numpy())


def _draw_interval_ratios(ax: Axes, own: pd.DataFrame, panel: str, drawn: Drawn) -> None:
    """Draw a step an interval of time with the band of its uncertainty."""
    ax.axhline(1.0, color=INK, linewidth=0.9, linestyle=(0, (1, 1.5)), zorder=1)
    for row in own.itertuples():
        if not np.isfinite(row.hr):
            continue
        ends = [row.from_month, row.to_month]
        ax.fill_between(ends, [row.lo] * 2, [row.hi] * 2, color="#d0d4d8", linewidth=0, zorder=0)
        ax.plot(ends, [row.hr] * 2, color=INK, linewidth=2, solid_capstyle="butt", zorder=3)
    months = [f"months {start:g} to {end:g}" for start, end in zip(own["from_month"], own["to_month"], strict=True)]
    drawn.add(
        "interval_ratio", panel=panel, series=months, x=own["from_month"].to_numpy(), y=own["hr"].to_numpy(),
        low=own["lo"].to_numpy(), high=own["hi"].to_numpy(), ard_id=own["ard_id"].to_numpy(),
    )  # fmt: skip


def _say_average(inputs: Inputs, ax: Axes, key: str, panel: str, drawn: Drawn) -> None:
    """Print the average hazard ratio above a panel, and the test that it is the same in all intervals."""
    average, constant = _ratio(inputs, f"{key}.hr"), inputs.number(f"{key}.heterogeneity", "p")
    ax.set_title(
        f"average {average}\nequal in all intervals: {constant}", fontsize=NOTES_PT, fontweight="normal", pad=3
    )
    drawn.add("text", panel=panel, series="average", text=average, ard_id=f"{key}.hr")
    drawn.add("text", panel=panel, series="equal in all intervals", text=constant, ard_id=f"{key}.heterogeneity")


# --- small studies --------------------------------------------------------------------------------------------------


def draw_evidence_small_studies(inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the funnel of the synthesis of most studies with Egger's line, where there are enough studies to look.

    Curve ``evidence_small_studies``; how many are enough stands in the plan (`small_study_min`).

    Raises
    ------
    NotOfferedError
        If no synthesis has as many; says how many the largest has.
    """
    no_synthetic(inputs)
    fewest = inputs.plan.evidence.small_study_min if inputs.plan.evidence else 10
    rows = inputs.curves.get("evidence_small_studies", pd.DataFrame())
    if rows.empty:
        largest = _largest(inputs.curve("evidence_pooled"))
        raise NotOfferedError(
            Problem(
                f"the figure {inputs.name!r} needs a synthesis of {fewest} studies: with fewer, chance alone makes a "
                "funnel lopsided",
                found=f"{largest['k']:.0f} in the largest, {largest['title']!r}",
                hint="take the figure out of `figures` in the cohort's cohort.yaml",
            )
        )
    pooled = inputs.curve("evidence_pooled")
    rows = _largest_of(rows, pooled)
    common = pooled[
        (pooled["synthesis_id"] == rows["synthesis_id"].iloc[0])
        & (pooled["scope"] == rows["scope"].iloc[0])
        & (pooled["model"] == "common")
    ].iloc[0]
    figure, drawn = new_figure(3.6, width_in=5.2), Drawn()
    ax = figure.add_axes((0.13, 0.2, 0.84, 0.68))
    deepest = float(rows["se"].max()) * 1.08
    centre = float(np.log(common["hr"]))
    grid = np.linspace(0, deepest, 50)
    for side in (-1, 1):
        ax.plot(np.exp(centre + side * 1.96 * grid), grid, color=RULE, linewidth=0.8, linestyle=(0, (3, 2)))
    ax.axvline(np.exp(centre), color=RULE, linewidth=0.8)
    # Egger's regression of y / s on 1 / s: the effect that it expects at a standard error
    expected = np.exp(float(rows["egger_slope"].iloc[0]) + float(rows["egger_intercept"].iloc[0]) * grid)
    ax.plot(expected, grid, color=INK, linewidth=1.4)
    for row in rows.itertuples():
        face = INK if row.verified else "white"
        ax.plot([np.exp(row.log_hr)], [row.se], "o", color=INK, markerfacecolor=face, markersize=4.5, zorder=4)
    ax.set(xscale="log", ylim=(deepest, 0), xlabel="Hazard ratio (log scale)", ylabel="Standard error of its logarithm")
    ratio_ticks(ax.xaxis, *ax.get_xlim())
    egger = str(rows["ard_id"].iloc[0])
    words = f"Egger's test: {inputs.number(egger, 'p')}"
    figure.text(0.13, 0.93, f"{common['title']}. {words}", fontsize=TEXT_PT)
    drawn.add("study", series=rows["label"].to_numpy(), x=np.exp(rows["log_hr"].to_numpy()), y=rows["se"].to_numpy())
    drawn.add("egger", x=expected, y=grid)
    drawn.add("text", text=words, ard_id=egger)
    return figure, drawn.frame()


def _largest_of(rows: pd.DataFrame, pooled: pd.DataFrame) -> pd.DataFrame:
    """Return the points of one synthesis: that of most studies, a headline one where several have as many."""
    counts = pooled[pooled["model"] == "random"].merge(rows[["synthesis_id", "scope"]].drop_duplicates())
    largest = _largest(counts)
    return rows[(rows["synthesis_id"] == largest["synthesis_id"]) & (rows["scope"] == largest["scope"])]
