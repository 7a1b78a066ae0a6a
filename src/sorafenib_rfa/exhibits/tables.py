"""Tables of the paper: every number in them is one ARD row, printed by the one formatter and bound to its id."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from sorafenib_rfa.arms import arms_of
from sorafenib_rfa.config.models import CohortConfig, Covariate, Plan
from sorafenib_rfa.errors import NotOfferedError, Problem
from sorafenib_rfa.estimates.ard import ard_id, slug
from sorafenib_rfa.estimates.common import horizon
from sorafenib_rfa.estimates.comparison import COMPARED, EMULATED, start_words
from sorafenib_rfa.exhibits.format import Form, escape_markdown, format_value, value_span
from sorafenib_rfa.files import write_csv
from sorafenib_rfa.vocabulary import ENDPOINTS, LAB_TESTS, TABLES

INDENT = "\u00a0\u00a0\u00a0"
WIDEST_COLUMN = 34
"""Characters beyond which a column asks for no more of the page."""

SAFETY_TERM_PERCENT = 5.0
"""A term that is no event of interest is listed when this share of a group had it."""


@dataclass(frozen=True)
class Table:
    """A table as markdown, and its cells as data.

    Attributes
    ----------
    markdown : str
        Pandoc pipe table; numbers are spans ``[12]{.val data-ard="cohort:id"}``; notes follow as one paragraph.
    data : DataFrame
        One row a cell: ``row`` (0: header)``, column`` (header text)``, text, ard_ids`` (separated by spaces).
    """

    markdown: str
    data: pd.DataFrame


@dataclass(frozen=True)
class _Number:
    """One ARD row within a cell, and how it is printed."""

    row: Mapping[str, Any]
    form: Form = "value"
    digits: int | None = None

    def text(self) -> str:
        return format_value(self.row, form=self.form, digits=self.digits)

    def markdown(self) -> str:
        return value_span(self.row, form=self.form, digits=self.digits)


@dataclass(frozen=True)
class _Heading:
    """The label of a row that heads those after it."""

    label: str

    def text(self) -> str:
        return self.label

    def markdown(self) -> str:
        return f"**{escape_markdown(self.label)}**"


_Piece = str | _Number | _Heading
_Cell = Sequence[_Piece]


@dataclass
class _Draft:
    """A table while it is put together."""

    header: list[_Cell]
    rows: list[list[_Cell]] = field(default_factory=list)
    notes: list[str | _Cell] = field(default_factory=list)
    citation: str | None = None

    def add(self, label: str, *cells: _Cell, level: int = 0) -> None:
        """Add a row; cells not given are empty."""
        empty: list[_Cell] = [[] for _ in range(len(self.header) - 1 - len(cells))]
        self.rows.append([[INDENT * level + label], *cells, *empty])

    def head(self, label: str) -> None:
        """Add a row that heads those after it."""
        self.rows.append([[_Heading(label)], *([] for _ in self.header[1:])])

    def finish(self, synthetic: bool) -> Table:
        """Return the table; what could not be estimated is explained in the notes."""
        lines = [self.header, *self.rows]
        reasons = sorted(
            {
                str(piece.row["method"])
                for row in self.rows
                for cell in row
                for piece in cell
                if isinstance(piece, _Number) and str(piece.row["method"]).startswith(("not estimable", "not tested"))
            }
        )
        notes = [*(["Synthetic data: says nothing about real patients."] if synthetic else []), *self.notes]
        notes += [f"{reason[0].upper()}{reason[1:]}." for reason in reasons]
        widths = [min(max(len(_text(line[j])) for line in lines), WIDEST_COLUMN) + 2 for j in range(len(self.header))]
        rule = "|".join((":" + "-" * width) if j == 0 else ("-" * width + ":") for j, width in enumerate(widths))
        body = [_line(self.header), f"|{rule}|", *(_line(row) for row in self.rows)]
        if notes:
            cited = [f"Source: [@{self.citation}]."] if self.citation else []
            body += ["", " ".join([*(_markdown([note] if isinstance(note, str) else note) for note in notes), *cited])]
        names = [_text(cell) for cell in self.header]
        cells = [
            {"row": i, "column": names[j], "text": _text(cell), "ard_ids": " ".join(_ids(cell))}
            for i, row in enumerate(lines)
            for j, cell in enumerate(row)
        ]
        return Table("\n".join(body) + "\n", pd.DataFrame(cells, columns=["row", "column", "text", "ard_ids"]))


def _text(cell: _Cell) -> str:
    return "".join(piece if isinstance(piece, str) else piece.text() for piece in cell)


def _ids(cell: _Cell) -> Iterator[str]:
    for piece in cell:
        if isinstance(piece, _Number):
            yield f"{piece.row['cohort']}:{piece.row['ard_id']}"


def _line(row: Sequence[_Cell]) -> str:
    """Return one line of the pipe table."""
    return "| " + " | ".join(_markdown(cell) for cell in row) + " |"


def _markdown(cell: _Cell) -> str:
    pieces = []
    for piece in cell:
        if not isinstance(piece, str):
            pieces.append(piece.markdown())
        else:
            stripped = piece.lstrip("\u00a0")
            # as an entity, for a leading space of any kind is cut off a cell
            pieces.append("&nbsp;" * (len(piece) - len(stripped)) + escape_markdown(stripped))
    return "".join(pieces)


class _Source:
    """The ARD of one cohort, by id."""

    def __init__(self, ard: pd.DataFrame) -> None:
        self.rows: dict[str, dict[str, Any]] = {str(row["ard_id"]): row for row in ard.to_dict("records")}

    def has(self, *parts: object) -> bool:
        return ard_id(*parts) in self.rows

    def get(self, *parts: object) -> dict[str, Any]:
        """Return the row whose id is made of `parts` (a part may be several joined by dots).

        Raises
        ------
        KeyError
            If there is no such row: table and estimates have come apart.
        """
        identifier = ard_id(*(piece for part in parts if part is not None for piece in str(part).split(".")))
        try:
            return self.rows[identifier]
        except KeyError:
            raise KeyError(f"the ARD has no row {identifier!r}") from None

    def value(self, *parts: object, digits: int | None = None) -> list[_Piece]:
        return [_Number(self.get(*parts), digits=digits)]

    def interval(self, *parts: object, digits: int | None = None) -> list[_Piece]:
        """Return an estimate with its interval: ``0.90 (0.72 to 1.12)``; the header says that it is one."""
        return self.with_interval(self.get(*parts), digits)

    @staticmethod
    def with_interval(row: Mapping[str, Any], digits: int | None = None) -> list[_Piece]:
        """Return a row's estimate with its interval; without one, or not estimable, the value alone."""
        if pd.isna(row["value"]):
            return [_Number(row)]
        if pd.isna(row["ci_low"]) and pd.isna(row["ci_high"]):
            return [_Number(row, digits=digits)]
        return [_Number(row, digits=digits), " (", _Number(row, "interval", digits), ")"]

    def p(self, *parts: object) -> list[_Piece]:
        """Return the p value of a row without the letter: the header has it."""
        row = self.get(*parts)
        if row["unit"] == "p":
            return [_Number(row)]
        return [_Number({**row, "value": row["p_value"], "unit": "p"})]

    def count_percent(self, *parts: object) -> list[_Piece]:
        """Return ``12 (34.1%)``."""
        count = self.get(*parts, "n")
        percent = self.get(*parts, "percent")
        if pd.isna(percent["value"]):
            return [_Number(count)]
        return [_Number(count), " (", _Number(percent), ")"]

    def starting(self, *parts: object) -> Iterator[dict[str, Any]]:
        """Yield the rows whose id starts with `parts`, in order."""
        prefix = ard_id(*parts) + "."
        return (row for identifier, row in sorted(self.rows.items()) if identifier.startswith(prefix))


def make_table(name: str, *, ard: pd.DataFrame, cohort: CohortConfig, plan: Plan) -> Table:
    """Make one table of a cohort.

    Parameters
    ----------
    name : str
        One of :data:`sorafenib_rfa.vocabulary.TABLES`.
    ard : DataFrame
        The cohort's ARD.
    cohort : CohortConfig
        What the cohort offers and how its own variables are called.
    plan : Plan
        Variables, horizons.

    Returns
    -------
    Table

    Raises
    ------
    NotOfferedError
        If there is no table of that name, or the cohort lacks what it shows.
    """
    if name not in _MAKERS:
        raise NotOfferedError(
            Problem("there is no table of this name", found=name, expected="one of " + ", ".join(_MAKERS))
        )
    maker, part = _MAKERS[name], TABLES[name]
    source = _Source(ard)
    if not any(identifier.startswith(f"{part}.") for identifier in source.rows):
        raise NotOfferedError(
            Problem(
                f"the table {name!r} needs the part {part!r} of the ARD, which this cohort does not have",
                file="cohort.yaml",
                found="modules: " + ", ".join(cohort.modules),
                hint=f"take {name!r} out of the cohort's tables",
            )
        )
    return maker(source, cohort, plan).finish(cohort.synthetic)


def write_table(table: Table, markdown: str, data: str) -> None:
    """Write a table as Markdown and its cells as CSV."""
    Path(markdown).write_text(table.markdown, encoding="utf-8")
    write_csv(table.data, data)


def _with_n(label: str, source: _Source, *parts: object) -> _Cell:
    """Return a header with the size of the group: ``RFA alone (n = 64)``."""
    return [f"{label} (n\u00a0=\u00a0", _Number(source.get(*parts)), ")"]


# --- baseline --------------------------------------------------------------------


def _baseline(source: _Source, cohort: CohortConfig, plan: Plan) -> _Draft:
    slugs = arms_of(cohort).slugs
    arms = [arm for arm in slugs if source.has("baseline", "table1", slugs[arm], "n")]
    groups = [(_with_n(arm, source, "baseline", "table1", slugs[arm], "n"), slugs[arm]) for arm in arms]
    everyone = "Overall" if arms else "All patients"
    groups.append((_with_n(everyone, source, "baseline", "table1", "n"), None))
    header: list[_Cell] = [["Characteristic"], *(head for head, _ in groups)]
    if arms:
        header += [["SMD"], ["SMD, weighted"]]
    draft = _Draft(header)
    skewed = False
    for name, covariate in _table_one(source, cohort, plan):
        differences = _differences(source, name) if arms else []
        label = covariate.label
        if covariate.kind == "continuous":
            skewed = covariate.transform == "log10"
            cells = [_centre(source, group, name, covariate, skewed) for _, group in groups]
            label += ", median (Q1 to Q3)" if skewed else ", mean (SD)"
            draft.add(label, *cells, *differences)
        elif covariate.kind == "binary":
            cells = [source.count_percent("baseline", "table1", group, name, covariate.positive) for _, group in groups]
            draft.add(f"{label}, n (%)", *cells, *differences)
        else:
            draft.add(f"{label}, n (%)", *([] for _ in groups), *differences)
            for level in _levels(source, name, covariate):
                cells = [source.count_percent("baseline", "table1", group, name, level) for _, group in groups]
                draft.add(level, *cells, level=1)
        if source.get("baseline", "table1", name, "missing")["value"] > 0:
            cells = [source.value("baseline", "table1", group, name, "missing") for _, group in groups]
            draft.add("Missing, n", *cells, level=1)
    draft.notes.append("Percentages are of patients with the variable recorded.")
    if arms:
        draft.notes.append(
            f"SMD: standardised mean difference, {arms[0]} minus {arms[-1]}, for variables with several levels their "
            "common distance (never negative). SMD, weighted: "
            + ("in the landmark population, " if plan.landmark_day else "")
            + "after overlap weighting. "
            "No p values: baseline differences are no hypotheses (STROBE)."
        )
    return draft


def _table_one(source: _Source, cohort: CohortConfig, plan: Plan) -> Iterator[tuple[str, Covariate]]:
    """Yield the variables that the ARD describes, in the plan's and then the cohort's order."""
    for name in plan.table_one:
        if source.has("baseline", "table1", name, "missing"):
            yield name, plan.covariates[name]
    for name, extra in cohort.extra_variables.items():
        kind = "categorical" if extra.kind == "categorical" else "continuous"
        label = f"{extra.label}, {extra.unit}" if extra.unit else extra.label
        # nothing is known of the shape of a cohort's own measurements: median and quartiles suit any
        transform = "none" if kind == "categorical" else "log10"
        covariate = Covariate(variable=name.upper(), label=label, kind=kind, levels=extra.levels, transform=transform)
        if list(extra.levels or []) == ["N", "Y"]:
            covariate = covariate.model_copy(update={"kind": "binary", "positive": "Y"})
        yield name.upper(), covariate


def _levels(source: _Source, name: str, covariate: Covariate) -> list[str]:
    """Return the levels of a variable that somebody has, declared ones first."""
    found = [
        str(row["variable"]).partition("=")[2]
        for row in source.starting("baseline", "table1", name)
        if row["stat_name"] == "percent" and source.get(str(row["ard_id"]).removesuffix(".percent"), "n")["value"] > 0
    ]
    declared = [level for level in covariate.levels or [] if level in found]
    return [*declared, *(level for level in found if level not in declared)]


def _centre(source: _Source, group: str | None, name: str, covariate: Covariate, skewed: bool) -> _Cell:
    """Return mean (SD) or median (Q1 to Q3)."""
    where = ("baseline", "table1", group, name)

    def number(stat: str) -> _Number:
        return _Number(source.get(*where, stat), digits=covariate.digits)

    if pd.isna(source.get(*where, "mean")["value"]):
        return [number("mean")]
    if skewed:
        return [number("median"), " (", number("q1"), " to ", number("q3"), ")"]
    return [number("mean"), " (", number("sd"), ")"]


def _differences(source: _Source, name: str) -> list[_Cell]:
    """Return the standardised differences without and with weights."""
    cells: list[_Cell] = []
    for analysis in ("table1", "overlap"):
        parts = ("baseline", analysis, "contrast", name, "smd")
        cells.append(source.value(*parts, digits=2) if source.has(*parts) else [])
    return cells


# --- efficacy --------------------------------------------------------------------

_MODELS = {
    "overlap": "Hazard ratio, overlap-weighted",
    "iptw": "Hazard ratio, IPT-weighted",
    "adjusted": "Hazard ratio, covariate-adjusted",
    "unadjusted": "Hazard ratio, unadjusted",
}


def _efficacy(source: _Source, cohort: CohortConfig, plan: Plan) -> _Draft:
    compared = arms_of(cohort)
    arms = [compared.slug(label) for label in compared.labels]
    header: list[_Cell] = [["Estimate (95% CI)"], *([label] for label in compared.labels), ["Contrast"], ["p"]]
    draft = _Draft(header)
    for endpoint in ("RFS", "OS", "TTR"):
        key = endpoint.lower()
        if not source.has("efficacy", key, "n"):
            continue
        emulated = source.has("target_trial", f"{key}_ccw_overlap", "contrast", "hr")
        if emulated:
            _emulated_trial(draft, source, endpoint, arms, plan)
        landmark = f": {start_words(plan, cohort)}" if emulated else ""
        draft.head(f"{ENDPOINTS[endpoint]}{landmark}{_role(plan, COMPARED[endpoint])}")
        patients = "Patients at the landmark, n" if plan.landmark_day else "Patients, n"
        for stat, label in (("n", patients), ("events", "Events, n")):
            draft.add(label, *(source.value("efficacy", key, arm, stat) for arm in arms), level=1)
        if endpoint != "TTR":
            _landmark_curves(draft, source, key, arms, plan, with_months=not emulated)
        for model, label in _MODELS.items():
            where = ("efficacy", f"{key}_cox_{model}", "contrast", "hr")
            draft.add(label, [], [], source.interval(*where), source.p(*where), level=1)
        where = ("efficacy", f"{key}_cox_overlap", "contrast", "treatment", "ph_chi2")
        draft.add("Proportional hazards, weighted model", [], [], [], source.p(*where), level=1)
    _first_events(draft, source, arms, plan)
    if source.has("efficacy", "rfs_naive", "contrast", "hr"):
        where = ("efficacy", "rfs_naive", "contrast", "hr")
        draft.head("Naive comparison from RFA, ever against never (biased)")
        draft.add("Hazard ratio of recurrence or death", [], [], source.interval(*where), source.p(*where), level=1)
    if plan.landmark_day:
        since = (
            f"From day {plan.landmark_day} after {cohort.index_event}, in patients then alive, recurrence-free and "
            f"under observation, by exposure up to that day; times in months since {cohort.index_event}, restricted "
            "means from the landmark on."
        )
    else:
        since = f"All patients by assigned arm, {start_words(plan, cohort)}; times in months."
    draft.notes += [
        f"{since} Hazard ratios and differences are {compared.treated} against {compared.control}. "
        "Weighted: overlap weights of the propensity score; IPT: stabilised "
        "inverse probability of treatment. The p value beside the median is that of the log-rank test, beside the "
        "incidence that of Gray's test.",
    ]
    if source.has("efficacy", "rfs_naive", "contrast", "hr"):
        draft.notes.append(
            "Emulated trial: clone-censor-weight from RFA in the population of clinical equipoise, with bootstrap "
            "intervals; the contrast at a month is the difference in the risk of the event. The naive comparison "
            "counts the time between RFA and the first dose as treated (immortal time) and is shown as a warning."
        )
    return draft


def _landmark_curves(
    draft: _Draft, source: _Source, key: str, arms: Sequence[str], plan: Plan, *, with_months: bool
) -> None:
    """Add median, survival at the horizons and restricted means from entry on."""
    draft.add(
        "Median",
        *(source.interval("efficacy", f"{key}_km", arm, "median") for arm in arms),
        [],
        source.p("efficacy", f"{key}_log_rank", "contrast", "chi2"),
        level=1,
    )
    for month in plan.horizons_months if with_months else ():
        draft.add(
            f"At {month:g} months, weighted",
            *(source.interval("efficacy", f"{key}_km_overlap", arm, horizon(month), "survival") for arm in arms),
            level=1,
        )
    at = horizon(plan.rmst_horizon_months)
    for suffix, words in (("_overlap", "weighted"), ("", "unweighted")):
        analysis = f"{key}_rmst{suffix}"
        draft.add(
            f"Restricted mean to month {plan.rmst_horizon_months:g}, {words}",
            *(source.interval("efficacy", analysis, arm, at, "rmst") for arm in arms),
            source.interval("efficacy", analysis, "contrast", at, "difference"),
            source.p("efficacy", analysis, "contrast", at, "difference"),
            level=1,
        )


def _role(plan: Plan, estimand: str) -> str:
    """Return the role of an estimand in brackets, or '' when the plan does not have it."""
    return f" ({plan.estimands[estimand].role})" if estimand in plan.estimands else ""


def _emulated_trial(draft: _Draft, source: _Source, endpoint: str, arms: Sequence[str], plan: Plan) -> None:
    """Add the clone-censor-weight estimates of one endpoint."""
    analysis = f"{endpoint.lower()}_ccw_overlap"
    draft.head(f"{ENDPOINTS[endpoint]}: emulated trial{_role(plan, EMULATED[endpoint])}")
    where = ("target_trial", analysis, "contrast", "hr")
    if endpoint == "TTR":  # with death censored a percentage is no risk: the measure is the hazard ratio alone
        draft.add("Cause-specific hazard ratio", [], [], source.interval(*where), source.p(*where), level=1)
        return
    for month in plan.horizons_months:
        at = horizon(month)
        draft.add(
            f"At {month:g} months, percent",
            *(source.interval("target_trial", analysis, arm, at, "survival") for arm in arms),
            source.interval("target_trial", analysis, "contrast", at, "risk_difference"),
            source.p("target_trial", analysis, "contrast", at, "risk_difference"),
            level=1,
        )
    at = horizon(plan.rmst_horizon_months)
    draft.add(
        f"Restricted mean to month {plan.rmst_horizon_months:g}",
        *(source.interval("target_trial", analysis, arm, at, "rmst") for arm in arms),
        source.interval("target_trial", analysis, "contrast", at, "difference"),
        source.p("target_trial", analysis, "contrast", at, "difference"),
        level=1,
    )
    draft.add("Hazard ratio", [], [], source.interval(*where), source.p(*where), level=1)


def _first_events(draft: _Draft, source: _Source, arms: Sequence[str], plan: Plan) -> None:
    """Add cumulative incidence of the first event by its kind at the horizon of the restricted mean."""
    at = horizon(plan.rmst_horizon_months)
    kinds = {
        "recurrence": "Recurrence",
        "ltp": ENDPOINTS["LTP"],
        "idr": ENDPOINTS["IDR"],
        "ehs": ENDPOINTS["EHS"],
        "death": "Death without recurrence",
    }
    kinds["recurrence_unspecified"] = "Recurrence, site not recorded"
    shown = [k for k in kinds if source.has("efficacy", "first_event", arms[0], k, at, "incidence")]
    if not shown:
        return
    draft.head(f"Cumulative incidence of the first event at {plan.rmst_horizon_months:g} months")
    for kind in shown:
        draft.add(
            kinds[kind],
            *(source.interval("efficacy", "first_event", arm, kind, at, "incidence") for arm in arms),
            [],
            source.p("efficacy", "first_event", "contrast", kind, "gray_chi2"),
            level=1,
        )


# --- safety --------------------------------------------------------------------

_SUMMARY = {
    "any": "Any adverse event",
    "grade_3_5": "Grade 3 or above",
    "not_rfa_related": "Not judged related to ablation",
    "serious": "Serious",
    "drug_related": "Related to sorafenib",
    "drug_related_grade_3_5": "Related to sorafenib, grade 3 or above",
    "dose_changed": "Led to dose reduction or interruption",
    "stopped": "Led to stopping sorafenib",
    "fatal": "Fatal",
}


def _safety(source: _Source, cohort: CohortConfig, plan: Plan) -> _Draft:
    groups = ("exposed", "unexposed")
    labels = {"exposed": "Any sorafenib", "unexposed": "No sorafenib"}
    header: list[_Cell] = [
        ["Patients, n (%)"],
        *(_with_n(labels[group], source, "safety", "population", group, "n") for group in groups),
        ["Risk difference (95% CI)"],
    ]
    draft = _Draft(header)

    def line(label: str, *parts: object, level: int = 1, part: str = "safety") -> None:
        cells = [source.count_percent(part, parts[0], group, *parts[1:]) for group in groups]
        where = (part, parts[0], "contrast", *parts[1:], "risk_difference")
        draft.add(label, *cells, source.interval(*where) if source.has(*where) else [], level=level)

    draft.head("Treatment-emergent adverse events")
    for key, label in _SUMMARY.items():
        line(label, "summary", key)
    draft.head("First events per 100 patient-years (95% CI)")
    for key in ("any", "grade_3_5", "serious"):
        stat = "rate_per_100_patient_years"
        draft.add(_SUMMARY[key], *(source.interval("safety", "summary", g, key, stat) for g in groups), level=1)
    interest, others = _terms(source, plan)
    for heading, terms in (
        ("Events of interest", interest),
        (f"Other events in {SAFETY_TERM_PERCENT:g}% of a group or more", others),
    ):
        if terms:
            draft.head(heading)
        for term in terms:
            line(term, "term", term, "any")
            line("Grade 3 or above", "term", term, "grade_3_5", level=2)
    if source.has("ablation", "patient", "total"):
        draft.head("Complications of ablation")
        line("Any", "patient", "any", part="ablation")
        line("Clavien-Dindo grade III or above", "patient", "major", part="ablation")
    _laboratory(draft, source, line)
    _exposure(draft, source)
    draft.notes.append(
        "Percentages are of all patients of the group, each counted once. Events are treatment-emergent: "
        f"from the first dose to {plan.treatment_emergent_days} days after the last in the exposed, from RFA in the "
        "unexposed, so that the days after ablation, with their pain and fever, count in the unexposed only; time at "
        "risk is counted alike. Differences are percentage points, unadjusted. Grades by CTCAE "
        f"v{plan.ctcae_version}."
    )
    if source.has("liver", "lab", "exposed", "HY", "uln", "n"):
        draft.notes.append(
            "Potential Hy's law: an aminotransferase of at least 3 and within 30 days bilirubin above 2 times the "
            "limit of normal, or the larger of limit and baseline, away from ablations; other causes are not excluded."
        )
    return draft


def _terms(source: _Source, plan: Plan) -> tuple[list[str], list[str]]:
    """Return the events of interest in the plan's order, then other frequent terms, the most frequent first."""
    percents: dict[str, float] = {}
    for row in source.rows.values():
        if row["analysis_id"] == "term" and row["stat_name"] == "percent":
            term, _, level = str(row["variable"]).rpartition("=")
            if level == "any":
                percents[term] = max(percents.get(term, 0.0), float(row["value"]))
    interest = [term for term in plan.query_of() if term in percents]
    others = [t for t, percent in percents.items() if t not in interest and percent >= SAFETY_TERM_PERCENT]
    return interest, sorted(others, key=lambda term: (-percents[term], term))


def _laboratory(draft: _Draft, source: _Source, line: Callable[..., None]) -> None:
    """Add worst grades of the laboratory tests, decline of liver function and signals of liver injury."""
    tests = [test for test in LAB_TESTS if source.has("liver", "lab", "exposed", test, "grade_3_4", "n")]
    if not tests:
        return
    draft.head("Laboratory, of patients with results away from ablations")
    for test in tests:
        line(f"{LAB_TESTS[test][0]}, grade 3 or above", "lab", test, "grade_3_4", part="liver")
    line("ALBI grade above that at baseline", "lab", "ALBI", "worsened", part="liver")
    line("Potential Hy's law, by the limit of normal", "lab", "HY", "uln", part="liver")
    line("Potential Hy's law, by the patient's baseline", "lab", "HY", "baseline", part="liver")


def _exposure(draft: _Draft, source: _Source) -> None:
    """Add what is known of the drug taken."""
    draft.head("Exposure to sorafenib")
    draft.add(
        "Months on the drug, median (95% CI)",
        source.interval("exposure", "dosing", "exposed", "duration", "median"),
        level=1,
    )
    mean = ("exposure", "dosing", "exposed", "daily_dose_mg", "mean")
    draft.add("Daily dose, mg, mean (95% CI)", source.interval(*mean, digits=0), level=1)
    for key, label in (
        ("reduced", "Dose reduced"),
        ("interrupted", "Dose interrupted"),
        ("stopped_adverse_event", "Stopped for an adverse event"),
        ("ongoing", "On the drug at last contact"),
    ):
        draft.add(label, source.count_percent("exposure", "dosing", "exposed", key), level=1)


# --- attrition and sites --------------------------------------------------------------------

_STEP = re.compile(r"^patients who left at step (?P<number>\d+): (?P<reason>.*)$", re.DOTALL)


def _attrition(source: _Source, cohort: CohortConfig, plan: Plan) -> _Draft:
    slugs = arms_of(cohort).slugs
    arms = [arm for arm in slugs if source.has("flow", "patients", slugs[arm], "screened")]
    groups: list[str | None] = [*(slugs[arm] for arm in arms), None]
    draft = _Draft([["Patients, n"], *([arm] for arm in arms), ["All"]])
    draft.add("Screened", *(source.value("flow", "patients", group, "screened") for group in groups))
    steps = []
    for row in source.starting("flow", "step"):
        said = _STEP.match(str(row["method"]))
        if said and row["group"] == "overall" and "=" not in str(row["variable"]):
            steps.append((int(said["number"]), str(row["variable"]), said["reason"]))
    for _, step_id, reason in sorted(steps):
        draft.add(reason, *(source.value("flow", "step", group, step_id, "excluded") for group in groups), level=1)
    draft.add("Analysed", *(source.value("flow", "patients", group, "analysed") for group in groups))
    draft.notes.append("Steps in the order applied; a patient leaves at the first that excludes them.")
    if arms:
        draft.notes.append(
            "Arms are those the patients would have had; patients of another arm or without a determinable one count "
            "in All."
        )
    return draft


def _sites(source: _Source, cohort: CohortConfig, plan: Plan) -> _Draft:
    sites = [
        str(row["variable"]).partition("=")[2]
        for row in source.starting("flow", "patients", "site")
        if row["stat_name"] == "screened"
    ]
    columns = ["Screened", "Quarantined", "Excluded", "Analysed", "Values quarantined", "Rows quarantined"]
    draft = _Draft([["Site"], *([column] for column in columns)])
    fates = ("screened", "quarantined", "excluded", "analysed")
    for site in sites:
        draft.add(
            site,
            *(source.value("flow", "patients", "site", site, fate) for fate in fates),
            *(source.value("flow", "quarantine_site", site, scope) for scope in ("values", "rows")),
        )
    draft.add(
        "All",
        *(source.value("flow", "patients", fate) for fate in fates),
        *(source.value("flow", "quarantine", scope) for scope in ("values", "rows")),
    )
    draft.notes.append(
        "The first four columns count patients. A quarantined value became missing and its row stayed; a quarantined "
        "row left as a whole."
    )
    return draft


# --- prognosis --------------------------------------------------------------------


def _published(source: _Source, cohort: CohortConfig, plan: Plan) -> _Draft:
    draft = _Draft([["Group"], ["Patients, n"], ["Events, n"], ["Here (95% CI)"], ["Published"]])
    for group in cohort.prognostic_groups:
        name = group.variable.upper()
        for endpoint in group.endpoints:
            key = f"{endpoint.lower()}_group"
            draft.head(f"{group.label}: {ENDPOINTS[endpoint]}")
            for level in group.levels:
                variable = f"{name}_{slug(level)}"
                row = next(r for r in source.starting("prognosis", key, variable) if r["stat_name"] == "event_percent")
                published = ("prognosis", key, variable, "event_percent_published")
                draft.add(
                    level,
                    source.value("prognosis", key, variable, "n"),
                    source.value("prognosis", key, variable, "events"),
                    source.with_interval(row),
                    source.value(*published) if source.has(*published) else [],
                    level=1,
                )
            published = ("prognosis", key, name, "log_rank_p_published")
            draft.add(
                "Log-rank test, p",
                [],
                [],
                source.p("prognosis", key, "contrast", name, "chi2"),
                source.value(*published) if source.has(*published) else [],
                level=1,
            )
    draft.notes.append(
        "Percentages are 1 - Kaplan-Meier at 60 months; for recurrence-free survival they count deaths as events. "
        "Published: as printed in the source, not computed here."
    )
    draft.citation = cohort.citation
    return draft


def _prognostic_model(source: _Source, cohort: CohortConfig, plan: Plan) -> _Draft:
    endpoints = [e for e in ("RFS", "OS") if source.has("prognosis", f"{e.lower()}_multivariable", "n")]
    models = [(endpoint, model) for endpoint in endpoints for model in ("univariable", "multivariable")]
    draft = _Draft([["Hazard ratio (95% CI)"], *([f"{endpoint}, {model}"] for endpoint, model in models)])
    if not endpoints:
        return draft
    for row in _model_terms(source, endpoints[0], cohort):
        term = str(row["variable"])
        label = str(row["method"]).partition(";")[0] if not str(row["method"]).startswith("not ") else term
        draft.add(label, *(source.interval("prognosis", f"{e.lower()}_{m}", term, "hr") for e, m in models))
    for stat, label in (("n", "Patients in the model, n"), ("events", "Events, n")):
        draft.add(
            label,
            *(source.value("prognosis", f"{e.lower()}_{m}", stat) if m == "multivariable" else [] for e, m in models),
        )
    draft.add(
        "Test of proportional hazards, p",
        *(
            source.p("prognosis", f"{e.lower()}_{m}", "global", "ph_chi2") if m == "multivariable" else []
            for e, m in models
        ),
    )
    draft.notes.append(
        "Cox models with robust variance in complete cases; the model was declared before it was fitted."
    )
    return draft


def _model_terms(source: _Source, endpoint: str, cohort: CohortConfig) -> list[dict[str, Any]]:
    """Return the hazard ratio rows of the multivariable model in the order the cohort declares its variables."""
    order = [name.upper() for name in cohort.prognostic_model]
    rows = [
        row for row in source.starting("prognosis", f"{endpoint.lower()}_multivariable") if row["stat_name"] == "hr"
    ]
    return sorted(rows, key=lambda row: order.index(str(row["variable"]).partition("=")[0]))


# --- recovery of a known truth --------------------------------------------------------------------

_RECOVERED_DESIGNS = {
    ("rfs", "ccw_overlap"): "Clone-censor-weight, overlap (primary)",
    ("rfs", "ccw_ate"): "Clone-censor-weight, all patients",
    ("rfs", "landmark_overlap"): "Landmark, overlap",
    ("rfs", "naive"): "Naive, ever against never",
    ("os", "ccw_overlap"): "Overall survival, primary design",
}
_RECOVERED_MEASURES = {"rmst_difference": "restricted mean difference, months", "log_hr": "log hazard ratio"}
_SCENARIOS = {
    "null": "No effect",
    "waning": "Effect that wanes",
    "harm": "Harm",
    "strong_confounding": "Effect that wanes, strong confounding",
}


def _recovery(source: _Source, cohort: CohortConfig, plan: Plan) -> _Draft:
    draft = _Draft(
        [["Scenario and design"], ["Truth"], ["Bias"], ["Empirical SE"], ["Model SE"], ["Coverage"], ["Power"]]
    )
    for scenario, title in _SCENARIOS.items():
        for measure, said in _RECOVERED_MEASURES.items():
            draft.head(f"{title}: {said}")
            digits = 2 if measure == "rmst_difference" else 3
            for (endpoint, design), label in _RECOVERED_DESIGNS.items():
                key = ("validation", f"recovery_{endpoint}_{design}", scenario, measure)
                draft.add(
                    label,
                    source.value(*key, "truth", digits=digits),
                    source.interval(*key, "bias", digits=digits),
                    source.value(*key, "empirical_se", digits=digits),
                    source.value(*key, "model_se", digits=digits),
                    source.interval(*key, "coverage", digits=1),
                    source.value(*key, "rejection", digits=1),
                    level=1,
                )
    draft.notes.append([
        _Number(source.get("validation", "recovery", "replicates")), " simulated cohorts a scenario; in brackets "
        "the 95% interval of Monte Carlo error. SE: standard error; the model's is the root mean square of those "
        "estimated. Coverage: percent of 95% intervals that hold the truth. Power: percent of intervals that "
        "exclude no difference, with no effect the type I error (recurrence is then seen a little "
        "sooner on sorafenib, because patients are examined more often).",
    ])  # fmt: skip
    return draft


# --- agreement --------------------------------------------------------------------


def _agreement(source: _Source, cohort: CohortConfig, plan: Plan) -> _Draft:
    draft = _Draft([["Reference function"], ["Data"], ["Quantities"], ["Numbers"], ["Largest relative difference"]])
    family = ""
    for row in source.starting("agreement"):
        if row["stat_name"] != "quantities" or row["analysis_id"] == "all":
            continue
        if row["analysis_id"] != family:
            family = str(row["analysis_id"])
            draft.head(family.replace("_", " ").capitalize())
        group = str(row["ard_id"]).removesuffix(".quantities")
        draft.add(
            str(row["engine"]),
            [str(row["population"])],
            *(source.value(group, stat) for stat in ("quantities", "values", "largest_difference")),
            level=1,
        )
    total = ("agreement", "all")
    draft.add("All", [], *(source.value(*total, stat) for stat in ("quantities", "values", "largest_difference")))
    draft.notes.append(
        f"Both sides computed by make crosscheck with {source.get(*total, 'quantities')['engine']}. A relative "
        "difference is the largest absolute difference of a quantity over its largest reference value. Every quantity "
        "with both values: validation/agreement.csv."
    )
    return draft


_MEASURES = {
    "harrell_c": "Harrell's C",
    "uno_c": "Uno's C",
    "slope": "Calibration slope",
    "observed_expected": "Observed over expected events",
    "brier": "Brier score",
    "ipa": "Index of prediction accuracy",
}


def _performance(source: _Source, cohort: CohortConfig, plan: Plan) -> _Draft:
    draft = _Draft([["Measure"], ["Apparent (95% CI)"], ["Optimism"], ["Corrected (95% CI)"]])
    at = horizon(plan.rmst_horizon_months)
    for endpoint in ("RFS", "OS"):
        key = f"{endpoint.lower()}_performance"
        if not source.has("prognosis", key, "harrell_c", "corrected"):
            continue
        draft.head(ENDPOINTS[endpoint])
        for name, label in _MEASURES.items():
            level = at if source.has("prognosis", key, name, at, "corrected") else None
            where = ("prognosis", key, name, level)
            # the slope of a model on its own patients is 1 by construction
            digits = 3 if name == "brier" else None
            apparent = (
                ["1 (by construction)"] if name == "slope" else source.interval(*where, "apparent", digits=digits)
            )
            optimism = source.value(*where, "optimism", digits=digits)
            draft.add(label, apparent, optimism, source.interval(*where, "corrected", digits=digits), level=1)
    draft.notes.append(
        "Multivariable model, complete cases. Uno's C, observed over expected events, Brier score and index of "
        f"prediction accuracy: at month {plan.rmst_horizon_months:g}. Optimism: how much better a model refitted in a "
        "bootstrap resample does there than on all patients; corrected: apparent minus optimism. Good: C, slope and "
        "ratio near 1, Brier score near 0, index above 0."
    )
    return draft


_MAKERS: Mapping[str, Callable[[_Source, CohortConfig, Plan], _Draft]] = {
    "baseline": _baseline,
    "efficacy": _efficacy,
    "safety": _safety,
    "agreement": _agreement,
    "recovery": _recovery,
    "attrition": _attrition,
    "sites": _sites,
    "published": _published,
    "prognostic_model": _prognostic_model,
    "performance": _performance,
}
