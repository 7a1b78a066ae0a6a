"""Tables of adverse events, one function each, and what tables by exposure share."""

from __future__ import annotations

import pandas as pd

from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.estimates.common import horizon
from sorafenib_rfa.exhibits.draft import Cell, Draft, Number, Source, with_n
from sorafenib_rfa.exhibits.format import present

GROUPS = {"exposed": "Any sorafenib", "unexposed": "No sorafenib"}


def by_exposure(source: Source, first: str = "Patients, n (%)") -> Draft:
    """Return a draft with a column for the exposed, one for the unexposed and one for the risk difference."""
    header: list[Cell] = [
        [first],
        *(with_n(label, source, "safety", "population", group, "n") for group, label in GROUPS.items()),
        ["Risk difference (95% CI)"],
    ]
    return Draft(header)


def count_line(
    draft: Draft,
    source: Source,
    label: str,
    part: str,
    analysis: str,
    *parts: object,
    level: int = 1,
    more: tuple[str, ...] = (),
) -> None:
    """Add a line of counts and percentages of both groups, with their difference where the ARD has it, and `more`.

    The counts stand in the ARD as ``<part>.<analysis>.<group>.<parts>.n|percent``, as
    :meth:`sorafenib_rfa.estimates.safety_context.SafetyContext.proportion` adds them.
    """
    cells = [source.count_percent(part, analysis, group, *parts) for group in GROUPS]
    where = (part, analysis, "contrast", *parts, "risk_difference")
    further = [source.interval(*where[:-1], stat) for stat in more]
    draft.add(label, *cells, source.interval(*where) if source.has(*where) else [], *further, level=level)


# --- adverse events --------------------------------------------------------------------

_SUMMARY = {
    "any": "Any adverse event",
    "grade_3_5": "Grade 3 or above",
    "not_rfa_related": "Not judged related to ablation",
    "serious": "Serious",
    "grade_3_5_worst_case": "Grade 3 or above, if every ungraded event were",
    "grade_3_5_not_rfa": "Grade 3 or above, not judged related to ablation",
    "serious_not_rfa": "Serious, not judged related to ablation",
    "drug_related": "Related to sorafenib",
    "drug_related_grade_3_5": "Related to sorafenib, grade 3 or above",
    "dose_changed": "Led to dose reduction or interruption",
    "stopped": "Led to stopping sorafenib",
    "fatal": "Fatal",
}
_PER_PATIENT = {"0": "None", "1": "One", "2": "Two", "3_or_more": "Three or more"}


def _window_note(plan: Plan) -> str:
    """Return which events are counted."""
    days = plan.treatment_emergent_days
    return (
        f"Events are treatment-emergent: from the first dose to {days} days after the last in the exposed, from RFA in "
        "the unexposed, so that the days after ablation count in the unexposed only; in both to "
        f"{days} days after recurrence at the latest. Time at risk is counted alike."
    )


_CRUDE = (
    "Percentages and their differences and ratios are of patients who ever had the event, over unequal observation "
    "(shorter in the exposed): they do not compare the groups. Rates and cumulative incidence do."
)


def safety_table(source: Source, cohort: CohortConfig, plan: Plan) -> Draft:
    """Return the overview of adverse events by exposure."""
    draft = by_exposure(source)
    draft.header.append(["Ratio (95% CI)"])

    def line(analysis: str, label: str, *parts: object) -> None:
        cells = [source.count_percent("safety", analysis, group, *parts) for group in GROUPS]
        for stat in ("risk_difference", "risk_ratio"):
            where = ("safety", analysis, "contrast", *parts, stat)
            cells.append(source.interval(*where) if source.has(*where) else [])
        draft.add(label, *cells, level=1)

    draft.head("Treatment-emergent adverse events")
    ungraded = [source.get("safety", "summary", group, "grade_unknown", "events") for group in GROUPS]
    for key, label in _SUMMARY.items():
        if key != "grade_3_5_worst_case" or any(present(row) for row in ungraded):
            line("summary", label, key)
    draft.head(f"Any event from RFA to day {plan.rfa_complication_days}, before any drug")
    for key in ("any", "grade_3_5", "serious", "fatal"):
        line("after_rfa", _SUMMARY[key] if key != "any" else "Any grade", key)
    draft.head("First events per 100 patient-years (95% CI)")
    for key in ("any", "grade_3_5", "serious", "grade_3_5_not_rfa", "serious_not_rfa"):
        cells = [source.interval("safety", "summary", g, key, "rate_per_100_patient_years") for g in GROUPS]
        draft.add(
            _SUMMARY[key], *cells, [], source.interval("safety", "summary", "contrast", key, "rate_ratio"), level=1
        )
    draft.head("By current exposure, on the drug and not on it, first events per 100 patient-years (95% CI)")
    for key in ("grade_3_5", "serious"):
        where = ("safety", "current_exposure")
        cells = [
            source.interval(*where, state, key, "rate_per_100_patient_years") for state in ("on_drug", "not_on_drug")
        ]
        draft.add(_SUMMARY[key], *cells, [], source.interval(*where, "contrast", key, "rate_ratio"), level=1)
    draft.head("Cumulative incidence (95% CI)")
    last = plan.adverse_event_months[-1]
    for key in ("any", "grade_3_5", "serious"):
        for month in plan.adverse_event_months if key == "grade_3_5" else (last,):
            where = [("safety", f"incidence_{key}", group, horizon(month)) for group in (*GROUPS, "contrast")]
            cells = [source.interval(*parts, "incidence") for parts in where[:2]]
            difference = source.interval(*where[2], "incidence_difference")
            draft.add(f"{_SUMMARY[key]}, by month {month:g}", *cells, difference, level=1)
    draft.head("Grade 3 or above, events per patient")
    for level, label in _PER_PATIENT.items():
        line("events_per_patient", label, "grade_3_5", level)
    recurrent = ("safety", "recurrent_grade_3_5")
    cells = [source.interval(*recurrent, group, "events_per_patient_year", digits=2) for group in GROUPS]
    ratio = source.interval(*recurrent, "contrast", "rate_ratio")
    draft.add("All events per patient-year (95% CI)", *cells, [], ratio, level=1)
    month = plan.adverse_event_months[-1]
    cells = [source.interval(*recurrent, group, horizon(month), "mean_events", digits=2) for group in GROUPS]
    draft.add(f"Mean number by month {month:g} (95% CI)", *cells, level=1)
    draft.notes += [
        f"Percentages are of all patients of the group, each counted once. {_CRUDE} "
        f"{_window_note(plan)} Differences are percentage points (Newcombe; of cumulative incidence by its principle), "
        "ratios of risks have score "
        "intervals (Koopman), ratios of rates exact (first events) or robust ones (all events); all are unadjusted. "
        "By current exposure, the time between RFA and the first dose is not on the drug, nor are its events. "
        "Cumulative incidence and mean number are from the start of that window, with death and the end of "
        f"treatment-emergence as competing or terminal events. Grades by CTCAE v{plan.ctcae_version}.",
        [
            "Without a grade, and so in the first line only: ",
            Number(source.get("safety", "summary", "exposed", "grade_unknown", "events")),
            " events of exposed and ",
            Number(source.get("safety", "summary", "unexposed", "grade_unknown", "events")),
            " of unexposed patients.",
        ],
    ]
    return draft


def ae_interest_table(source: Source, cohort: CohortConfig, plan: Plan) -> Draft:
    """Return the events of interest: risks, rates and cumulative incidence of each group, and their contrasts."""
    months = plan.adverse_event_months
    month = months[len(months) // 2]
    draft = Draft([
        ["Event of interest"],
        ["n"],
        ["Any grade, % (95% CI)"],
        ["Grade 3 or above, % (95% CI)"],
        ["First events per 100 patient-years (95% CI)"],
        [f"Cumulative incidence by month {month:g}, % (95% CI)"],
    ])  # fmt: skip
    for key, interest in plan.events_of_interest.items():
        draft.head(interest.label)
        for group, label in GROUPS.items():
            where = ("safety", "interest", group, key)
            draft.add(
                label,
                source.value(*where, "any", "n"),
                source.interval(*where, "any", "percent"),
                source.interval(*where, "grade_3_5", "percent"),
                source.interval(*where, "any", "rate_per_100_patient_years"),
                source.interval("safety", f"incidence_{key}", group, horizon(month), "incidence"),
                level=1,
            )
        where = ("safety", "interest", "contrast", key)
        incidence = ("safety", f"incidence_{key}", "contrast", horizon(month))
        for label, stat, rate in (
            ("Difference", "risk_difference", None),
            ("Ratio", "risk_ratio", "rate_ratio"),
        ):
            draft.add(
                label,
                [],
                source.interval(*where, "any", stat),
                source.interval(*where, "grade_3_5", stat),
                source.interval(*where, "any", rate) if rate else [],
                [] if rate else source.interval(*incidence, "incidence_difference"),
                level=1,
            )
    groups = [
        piece
        for group, label in GROUPS.items()
        for piece in (f"{label}: ", Number(source.get("safety", "population", group, "n")), " patients, ",
                      Number(source.get("safety", "population", group, "patient_years")), " patient-years at risk. ")
    ]  # fmt: skip
    draft.notes += [
        groups,
        f"{_CRUDE} {_window_note(plan)} Intervals: exact (Clopper-Pearson) of percentages, Newcombe of differences, "
        "Koopman's score of risk ratios, exact Poisson (Garwood) of rates and exact of their ratios, log-log of "
        "cumulative incidence (Aalen-Johansen; death and the end of treatment-emergence compete), whose differences "
        "follow Newcombe's principle. Unadjusted. Events of interest "
        f"are terms of CTCAE v{plan.ctcae_version} counted together: "
        + "; ".join(f"{interest.label} ({', '.join(interest.terms)})" for interest in plan.events_of_interest.values())
        + ".",
    ]
    return draft


def ae_terms_table(source: Source, cohort: CohortConfig, plan: Plan) -> Draft:
    """Return every system organ class and every term within it, any grade and grade 3 or above."""
    draft = by_exposure(source, "Class and term, patients, n (%)")
    draft.header.append(["Rate ratio (95% CI)"])
    ratio = ("rate_ratio",)
    for soc, terms in _by_class(source).items():
        for analysis, name, level in (("soc", soc, 0), *(("term", term, 1) for term in terms)):
            count_line(draft, source, name, "safety", analysis, name, "any", level=level, more=ratio)
            severe = [source.get("safety", analysis, group, name, "grade_3_5", "n") for group in GROUPS]
            if any(present(row) for row in severe):
                where = ("safety", analysis, name, "grade_3_5")
                count_line(draft, source, "Grade 3 or above", *where, level=level + 1, more=ratio)
    draft.notes.append(
        f"A patient counts once in a class and once in each of its terms. {_CRUDE} {_window_note(plan)} Differences "
        "are percentage points (Newcombe), ratios those of first events per patient-year (exact), unadjusted; with "
        "this many of them some exclude none by chance. "
        "Where no line says grade 3 or above nobody had the event so severely. "
        f"Classes and grades by CTCAE v{plan.ctcae_version}; classes in alphabetical order, terms by their frequency."
    )
    return draft


def _by_class(source: Source) -> dict[str, list[str]]:
    """Return the classes that somebody had in order, each with the terms that somebody had, the most frequent first."""
    found: dict[str, list[str]] = {}
    counts: dict[str, float] = {}
    classes: dict[str, str] = {}
    for row in source.rows.values():
        name = str(row["variable"]).removesuffix("=any")
        if row["stat_name"] != "n" or name == row["variable"] or not present(row):
            continue
        if row["analysis_id"] == "soc":
            found[name] = []
        elif row["analysis_id"] == "term":
            said = str(row["method"])
            classes[name] = said.removeprefix(f"patients with {name} (").removesuffix("), any grade")
            counts[name] = counts.get(name, 0.0) + (0.0 if pd.isna(row["value"]) else float(row["value"]))
    for name in sorted(counts, key=lambda term: (-counts[term], term)):
        found[classes[name]].append(name)
    return dict(sorted(found.items()))
