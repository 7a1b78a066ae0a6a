"""Adverse events by exposure: overview, system organ classes, terms, events of interest.

How they come over time (time to the first, recurrent events) is :mod:`sorafenib_rfa.estimates.safety_course`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from sorafenib_rfa.clinical.ctcae import ctcae_soc
from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.estimates.ard import Estimates
from sorafenib_rfa.estimates.common import NAN
from sorafenib_rfa.estimates.safety_context import (
    AT_RISK,
    BY_EXPOSURE,
    DAYS_PER_YEAR,
    GROUPS,
    EventTable,
    SafetyContext,
)
from sorafenib_rfa.estimates.safety_course import FirstEvent, add_course, add_incidence_by
from sorafenib_rfa.estimates.safety_windows import add_windows

COUNTED = "sorafenib_rfa.estimates.safety"
ESTIMAND = "S1_SAFETY"
NOT_CLASSIFIED = "Not classified"
"""Stands for the system organ class of events that have none."""

CATEGORIES: Mapping[str, str] = {
    "any": "any grade",
    "grade_3_5": "grade 3 or above",
    "not_rfa_related": "not judged related to ablation",
    "serious": "serious",
    "grade_3_5_worst_case": "grade 3 or above, or without a grade (worst case)",
    "grade_3_5_not_rfa": "grade 3 or above, not judged related to ablation",
    "serious_not_rfa": "serious, not judged related to ablation",
    "drug_related": "related to the drug",
    "drug_related_grade_3_5": "related to the drug, grade 3 or above",
    "dose_changed": "led to dose reduction or interruption",
    "stopped": "led to stopping the drug",
    "fatal": "fatal (outcome fatal or grade 5)",
}
"""Kinds of adverse events of the overview."""

DETAILED = ("any", "grade_3_5", "serious", "drug_related", "dose_changed", "stopped", "fatal")
"""Kinds that are counted of each system organ class, term and event of interest."""

_ABOUT_THE_DRUG = frozenset({"drug_related", "drug_related_grade_3_5", "dose_changed", "stopped"})
"""Kinds in which the unexposed cannot appear: no difference is made of them."""

_RATED = frozenset({"any", "grade_3_5"})
"""Kinds of which rates are given by class and term."""


def estimate_safety(
    adae: pd.DataFrame, adsl: pd.DataFrame, adex: pd.DataFrame, plan: Plan, cohort_name: str, record: str
) -> Estimates:
    """Describe adverse events by exposure.

    Parameters
    ----------
    adae, adsl, adex : DataFrame
        ADaM datasets.
    plan : Plan
        Windows, confidence level, events of interest, months at which incidence is reported.
    cohort_name : str
        Its name.
    record : str
        Path of the job record.

    Returns
    -------
    Estimates
        ARD part ``safety``. Curve ``ae_dot``: ``term, soc, of_interest, severity`` (any, grade_3_5)``, group, label,
        n, total, percent, ci_low, ci_high, incidence_difference, difference_low, difference_high, ard_id, contrast_id``
        (the difference is that of the cumulative incidence by the last of ``plan.adverse_event_months``).
        Curve ``ae_grade``: ``term, soc, of_interest, group, label, grade`` (NA: none recorded)``, n, total, percent,
        ard_id`` (each patient at their worst grade of the term). Curves ``ae_incidence`` and ``ae_mcf``:
        :func:`sorafenib_rfa.estimates.safety_course.add_course`.
    """
    context = SafetyContext.prepare("safety", ESTIMAND, adsl, adae, adex, plan, cohort_name=cohort_name, record=record)
    events = EventTable.of(context.events, context.subjects)
    _add_population(context)
    _add_summary(context, events)
    dot, grade = _add_terms(context, events)
    _add_classes(context, events)
    queries = _add_events_of_interest(context, events)
    overall = {
        "grade_3_5": ("Event of grade 3 or above", events.kinds["grade_3_5"]),
        "any": ("Event of any grade", events.kinds["any"]),
        "serious": ("Serious event", events.kinds["serious"]),
    }
    incidence = {key: (label, events.first_day(chosen)) for key, (label, chosen) in {**overall, **queries}.items()}
    recurring = {
        key: (words, events.patient[events.kinds[key]], events.day[events.kinds[key]])
        for key, words in (("any", "adverse events"), ("grade_3_5", "adverse events of grade 3 or above"))
    }
    curves = add_course(context, incidence, recurring)
    shown = curves["ae_incidence"]
    curves["ae_incidence"] = shown[~shown["event"].isin(["any", "serious"])].reset_index(drop=True)
    labels = {key: label for key, (label, _) in incidence.items() if key != "any"}
    add_windows(context, adsl, adae, events, labels)
    return context.ard.estimates({"ae_dot": dot, "ae_grade": grade, **curves})


def _add_population(context: SafetyContext) -> None:
    """Add patients and time at risk of each group."""
    for group, frame in context.patients.items():
        common = {
            "group": group,
            "population": BY_EXPOSURE,
            "engine": COUNTED,
            "estimand_id": context.estimand,
        }
        meaning = "any sorafenib before recurrence" if group == "exposed" else "no sorafenib before recurrence"
        said = f"patients with {meaning}"
        context.ard.add("population", "n", len(frame), unit="count", method=said, members=frame["USUBJID"], **common)
        years = float(context.window.days.to_numpy()[context.inside[group]].sum()) / DAYS_PER_YEAR
        context.ard.add(
            "population",
            "patient_years",
            years,
            unit="years",
            method=AT_RISK.format(days=context.plan.treatment_emergent_days),
            **common,
        )


def _line(
    context: SafetyContext,
    events: EventTable,
    chosen: np.ndarray,
    analysis: str,
    variable: str,
    kind: str,
    what: str,
    *,
    level: str | None = None,
    rated: bool,
) -> dict[str, dict]:
    """Add one line: patients with one of the `chosen` events, difference and ratio, and rates if `rated`."""
    first = events.first_day(chosen)
    had = np.isfinite(first)
    counts = {group: context.subjects[had & inside] for group, inside in context.inside.items()}
    compared = kind not in _ABOUT_THE_DRUG
    drawn = context.proportion(
        analysis, counts, variable=variable, level=level, what=what, contrast=compared, ratio=compared
    )
    if rated:
        context.rates(analysis, first, variable=variable, level=level, what=what, contrast=compared)
    return drawn


def _add_events(context: SafetyContext, events: EventTable, chosen: np.ndarray, variable: str, method: str) -> None:
    """Add how many of the `chosen` events, not patients, there were."""
    context.count_events(
        "summary", events.frame, chosen, events.patient, variable=variable, method=method, engine=COUNTED
    )


def _add_summary(context: SafetyContext, events: EventTable) -> None:
    """Add the overview of adverse events, and what is not known of them."""
    for kind, words in CATEGORIES.items():
        chosen = events.kinds[kind]
        said = f"patients with a treatment-emergent adverse event, {words}"
        _line(context, events, chosen, "summary", kind, kind, said, rated=True)
        _add_events(context, events, chosen, kind, f"treatment-emergent adverse events (not patients), {words}")
    unknown = {
        "grade_unknown": (
            np.isnan(events.grade),
            "without a grade: counted under any grade, not under grade 3 or above",
        ),
        "start_unknown": (
            ~events.frame["start_known"].to_numpy(dtype=bool),
            "without a date of onset, and not over before the window: taken to have begun with it",
        ),
        "term_unknown": (events.labels("AEDECOD") == "", "without a term: counted in the overview, not by term"),
    }
    for variable, (chosen, words) in unknown.items():
        _add_events(context, events, chosen, variable, f"treatment-emergent events {words}")


def _class_of_terms(terms: np.ndarray, classes: np.ndarray) -> dict[str, str]:
    """Return the class under which each term is listed: the one it was recorded with most often."""
    counts = pd.DataFrame({"term": terms, "soc": classes}).value_counts().reset_index()
    counts = counts.sort_values(["count", "soc"], ascending=[False, True], kind="stable")
    return dict(counts.drop_duplicates("term")[["term", "soc"]].itertuples(index=False))


def _add_terms(context: SafetyContext, events: EventTable) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add every term by kind, and patients by their worst grade.

    A term of an event of interest that nobody had is a result too: no patients, with its exact interval. Of the other
    kinds, those are left out in which nobody of either group had the term.
    """
    interest = set(context.plan.query_of())
    recorded, classes = events.labels("AEDECOD"), _classes(events)
    class_of = _class_of_terms(recorded, classes)
    last = context.plan.adverse_event_months[-1]
    dots: list[dict] = []
    grades: list[dict] = []
    for term in sorted({*recorded, *interest} - {""}):
        mine = recorded == term
        head = {"term": term, "soc": class_of.get(term) or ctcae_soc().get(term, NOT_CLASSIFIED)}
        head["of_interest"] = term in interest
        for kind in DETAILED:
            chosen = mine & events.kinds[kind]
            if kind not in _RATED and not chosen.any():
                continue
            what = f"patients with {term} ({head['soc']}), {CATEGORIES[kind]}"
            drawn = _line(context, events, chosen, "term", term, kind, what, level=kind, rated=kind in _RATED)
            if kind not in _RATED:
                continue
            both = {group: FirstEvent.of(context, events.first_day(chosen), group) for group in GROUPS}
            difference = add_incidence_by(context, "term", both, last, what, variable=term, level=kind)
            for group, label in GROUPS.items():
                row = {k: v for k, v in drawn[group].items() if k != "count_id"}
                dots.append({**head, "severity": kind, "group": group, "label": label, **row, **difference})
        grades += [{**head, **row} for row in _worst_grades(context, events, term, mine)]
    head_columns = ["term", "soc", "of_interest"]
    dot_columns = [
        *head_columns,
        "severity",
        "group",
        "label",
        "n",
        "total",
        "percent",
        "ci_low",
        "ci_high",
        "ard_id",
        "incidence_difference",
        "difference_low",
        "difference_high",
        "contrast_id",
    ]
    grade_columns = [*head_columns, "group", "label", "grade", "n", "total", "percent", "ard_id"]
    worst = pd.DataFrame(grades, columns=grade_columns).astype({"grade": "Int64"})
    return pd.DataFrame(dots, columns=dot_columns), worst


def _worst_grades(context: SafetyContext, events: EventTable, term: str, mine: np.ndarray) -> list[dict]:
    """Add patients by their worst grade of a term; return them for the curve."""
    worst = np.full(events.n_subjects, -1.0)
    np.maximum.at(worst, events.patient[mine], np.where(np.isnan(events.grade[mine]), 0.0, events.grade[mine]))
    rows = []
    for group, inside in context.inside.items():
        total = context.sizes[group]
        for grade in (*range(1, 6), None):
            members = context.subjects[inside & (worst == (grade or 0))]
            said = f"grade {grade}" if grade else "of no recorded grade"
            identifier = context.ard.add(
                "term_worst_grade",
                "n",
                len(members),
                unit="count",
                group=group,
                variable=term,
                level=f"g{grade}" if grade else "unknown",
                population=BY_EXPOSURE,
                estimand_id=context.estimand,
                method=f"patients whose worst {term} was {said} (CTCAE v{context.plan.ctcae_version})",
                engine=COUNTED,
                members=members,
            )
            percent = 100 * len(members) / total if total else NAN
            rows.append(
                {
                    "group": group,
                    "label": GROUPS[group],
                    "grade": grade,
                    "n": len(members),
                    "total": total,
                    "percent": percent,
                    "ard_id": identifier,
                }
            )
    return rows


def _classes(events: EventTable) -> np.ndarray:
    """Return the system organ class of each event."""
    classes = events.labels("AEBODSYS")
    classes[classes == ""] = NOT_CLASSIFIED
    return classes


def _add_classes(context: SafetyContext, events: EventTable) -> None:
    """Add every system organ class by kind."""
    classes = _classes(events)
    for soc in sorted(set(classes)):
        for kind in DETAILED:
            what = f"patients with an event of {soc}, {CATEGORIES[kind]}"
            chosen = (classes == soc) & events.kinds[kind]
            _line(context, events, chosen, "soc", soc, kind, what, level=kind, rated=kind in _RATED)


def _add_events_of_interest(context: SafetyContext, events: EventTable) -> dict[str, tuple[str, np.ndarray]]:
    """Add every event of interest by kind; return the label and the events of each."""
    found = {}
    chosen_of = events.of_interest(context.plan)
    for key, interest in context.plan.events_of_interest.items():
        mine = chosen_of[key]
        found[key.lower()] = (interest.label, mine)
        for kind in DETAILED:
            terms = f" ({', '.join(interest.terms)})" if kind == "any" else ""
            what = f"patients with {interest.label}{terms}, {CATEGORIES[kind]}"
            chosen = mine & events.kinds[kind]
            rated = kind in _RATED or kind == "serious"
            _line(context, events, chosen, "interest", key, kind, what, level=kind, rated=rated)
    return found
