"""Tables on safety: adverse events, ablation, exposure, liver; one function each."""

from __future__ import annotations

from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.exhibits.draft import Cell, Draft, Source, with_n
from sorafenib_rfa.vocabulary import LAB_TESTS

GROUPS = {"exposed": "Any sorafenib", "unexposed": "No sorafenib"}

SAFETY_TERM_PERCENT = 5.0
"""A term that is no event of interest is listed when this share of a group had it."""


def by_exposure(source: Source, first: str = "Patients, n (%)") -> Draft:
    """Return a draft with a column for the exposed, one for the unexposed and one for the risk difference."""
    header: list[Cell] = [
        [first],
        *(with_n(label, source, "safety", "population", group, "n") for group, label in GROUPS.items()),
        ["Risk difference (95% CI)"],
    ]
    return Draft(header)


def count_line(
    draft: Draft, source: Source, label: str, part: str, analysis: str, *parts: object, level: int = 1
) -> None:
    """Add a line of counts and percentages of both groups, with their difference where the ARD has it.

    The counts stand in the ARD as ``<part>.<analysis>.<group>.<parts>.n|percent``, as
    :meth:`sorafenib_rfa.estimates.safety_context.SafetyContext.proportion` adds them.
    """
    cells = [source.count_percent(part, analysis, group, *parts) for group in GROUPS]
    where = (part, analysis, "contrast", *parts, "risk_difference")
    draft.add(label, *cells, source.interval(*where) if source.has(*where) else [], level=level)


# --- adverse events --------------------------------------------------------------------

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


def safety_table(source: Source, cohort: CohortConfig, plan: Plan) -> Draft:
    """Return the overview of adverse events by exposure."""
    draft = by_exposure(source)
    draft.head("Treatment-emergent adverse events")
    for key, label in _SUMMARY.items():
        count_line(draft, source, label, "safety", "summary", key)
    draft.head("First events per 100 patient-years (95% CI)")
    for key in ("any", "grade_3_5", "serious"):
        stat = "rate_per_100_patient_years"
        draft.add(_SUMMARY[key], *(source.interval("safety", "summary", g, key, stat) for g in GROUPS), level=1)
    interest, others = _terms(source, plan)
    for heading, terms in (
        ("Events of interest", interest),
        (f"Other events in {SAFETY_TERM_PERCENT:g}% of a group or more", others),
    ):
        if terms:
            draft.head(heading)
        for term in terms:
            count_line(draft, source, term, "safety", "term", term, "any")
            count_line(draft, source, "Grade 3 or above", "safety", "term", term, "grade_3_5", level=2)
    draft.notes.append(
        "Percentages are of all patients of the group, each counted once. Events are treatment-emergent: "
        f"from the first dose to {plan.treatment_emergent_days} days after the last in the exposed, from RFA in the "
        "unexposed, so that the days after ablation, with their pain and fever, count in the unexposed only; time at "
        "risk is counted alike. Differences are percentage points, unadjusted. Grades by CTCAE "
        f"v{plan.ctcae_version}."
    )
    return draft


def _terms(source: Source, plan: Plan) -> tuple[list[str], list[str]]:
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


# --- ablation --------------------------------------------------------------------


def ablation_table(source: Source, cohort: CohortConfig, plan: Plan) -> Draft:
    """Return complications of ablation by exposure."""
    draft = by_exposure(source)
    draft.head("Complications of ablation")
    count_line(draft, source, "Any", "ablation", "patient", "any")
    count_line(draft, source, "Clavien-Dindo grade III or above", "ablation", "patient", "major")
    return draft


# --- exposure --------------------------------------------------------------------


def exposure_table(source: Source, cohort: CohortConfig, plan: Plan) -> Draft:
    """Return what is known of the drug taken."""
    draft = Draft([["Exposure to sorafenib"], with_n("Any sorafenib", source, "safety", "population", "exposed", "n")])
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
    return draft


# --- liver --------------------------------------------------------------------


def liver_table(source: Source, cohort: CohortConfig, plan: Plan) -> Draft:
    """Return worst grades of the laboratory tests, decline of liver function and signals of liver injury."""
    draft = by_exposure(source)
    draft.head("Laboratory, of patients with results away from ablations")
    for test in LAB_TESTS:
        if source.has("liver", "lab", "exposed", test, "grade_3_4", "n"):
            label = f"{LAB_TESTS[test][0]}, grade 3 or above"
            count_line(draft, source, label, "liver", "lab", test, "grade_3_4")
    count_line(draft, source, "ALBI grade above that at baseline", "liver", "lab", "ALBI", "worsened")
    count_line(draft, source, "Potential Hy's law, by the limit of normal", "liver", "lab", "HY", "uln")
    count_line(draft, source, "Potential Hy's law, by the patient's baseline", "liver", "lab", "HY", "baseline")
    draft.notes.append(
        "Potential Hy's law: an aminotransferase of at least 3 and within 30 days bilirubin above 2 times the "
        "limit of normal, or the larger of limit and baseline, away from ablations; other causes are not excluded."
    )
    return draft
