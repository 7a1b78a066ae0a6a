"""Adverse events by exposure: overview, system organ classes and terms."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from sorafenib_rfa.clinical.ctcae import ctcae_soc
from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.estimates.ard import Estimates
from sorafenib_rfa.estimates.common import NAN
from sorafenib_rfa.estimates.covariates import texts
from sorafenib_rfa.estimates.safety_context import (
    AT_RISK,
    BY_EXPOSURE,
    DAYS_PER_YEAR,
    GROUPS,
    SafetyContext,
    counted_events,
    those_with,
)

COUNTED = "sorafenib_rfa.estimates.safety"
ESTIMAND = "S1_SAFETY"

_ABOUT_THE_DRUG = frozenset({"drug_related", "drug_related_grade_3_5", "dose_changed", "stopped"})
"""Lines in which the unexposed cannot appear: no difference is made of them."""


def estimate_safety(
    adae: pd.DataFrame, adsl: pd.DataFrame, adex: pd.DataFrame, plan: Plan, cohort_name: str, record: str
) -> Estimates:
    """Describe adverse events by exposure.

    Parameters
    ----------
    adae, adsl, adex : DataFrame
        ADaM datasets.
    plan : Plan
        Windows, confidence level, events of interest.
    cohort_name : str
        Its name.
    record : str
        Path of the job record.

    Returns
    -------
    Estimates
        ARD part ``safety``. Curve ``ae_dot``: ``term, soc, of_interest, severity`` (any, grade_3_5)``, group, label,
        n, total, percent, ci_low, ci_high, risk_difference, difference_low, difference_high, ard_id, contrast_id``.
        Curve ``ae_grade``: ``term, soc, of_interest, group, label, grade, n, total, percent, ard_id`` (each patient
        at their worst grade of the term).
    """
    context = SafetyContext.prepare("safety", ESTIMAND, adsl, adae, adex, plan, cohort_name=cohort_name, record=record)
    events = counted_events(adae, context.window)
    _add_population(context)
    _add_summary(context, events)
    dot, grade = _add_terms(context, events)
    _add_classes(context, events)
    return context.ard.estimates({"ae_dot": dot, "ae_grade": grade})


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
        years = float(context.window.days.reindex(frame["USUBJID"]).sum()) / DAYS_PER_YEAR
        context.ard.add(
            "population",
            "patient_years",
            years,
            unit="years",
            method=AT_RISK.format(days=context.plan.treatment_emergent_days),
            **common,
        )


def _categories(events: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, str]]:
    """Yield the lines of the overview: key, events, words."""
    fatal = (texts(events["AEOUT"]) == "fatal") | (events["grade"] == 5)
    action = texts(events["AEACN"])
    yield "any", events, "patients with a treatment-emergent adverse event"
    yield "grade_3_5", events[events["grade"] >= 3], "patients with a treatment-emergent event of grade 3 or above"
    apart = events[texts(events["ARELRFA"]) != "Y"]
    yield "not_rfa_related", apart, "patients with a treatment-emergent event not judged related to ablation"
    yield "serious", events[texts(events["AESER"]) == "Y"], "patients with a serious treatment-emergent event"
    related = events[texts(events["AREL"]) == "Y"]
    yield "drug_related", related, "patients with a treatment-emergent event related to the drug"
    severe = related[related["grade"] >= 3]
    yield "drug_related_grade_3_5", severe, "patients with a drug-related event of grade 3 or above"
    changed = events[action.isin(["reduced", "interrupted"])]
    yield "dose_changed", changed, "patients with an event that led to dose reduction or interruption"
    yield "stopped", events[action == "stopped"], "patients with an event that led to stopping the drug"
    yield "fatal", events[fatal], "patients with a fatal treatment-emergent event (outcome fatal or grade 5)"


def _add_summary(context: SafetyContext, events: pd.DataFrame) -> None:
    """Add the overview of adverse events."""
    for key, chosen, what in _categories(events):
        counts = {group: those_with(chosen, frame) for group, frame in context.patients.items()}
        context.proportion("summary", counts, variable=key, what=what, contrast=key not in _ABOUT_THE_DRUG)
        context.rates("summary", chosen, variable=key, level=None, what=what)
        for group, frame in context.patients.items():
            own = chosen[chosen["USUBJID"].isin(frame["USUBJID"])]
            context.ard.add(
                "summary",
                "events",
                len(own),
                unit="count",
                group=group,
                variable=key,
                population=BY_EXPOSURE,
                estimand_id=context.estimand,
                method=f"events, not patients: {what.removeprefix('patients with ')}",
                engine=COUNTED,
                members=own,
            )
    for group, frame in context.patients.items():
        ungraded = events[events["USUBJID"].isin(frame["USUBJID"]) & events["grade"].isna()]
        context.ard.add(
            "summary",
            "events",
            len(ungraded),
            unit="count",
            group=group,
            variable="grade_unknown",
            population=BY_EXPOSURE,
            estimand_id=context.estimand,
            method="treatment-emergent events without a grade: counted under any grade, not under grade 3 or above",
            engine=COUNTED,
            members=ungraded,
        )


def _add_terms(context: SafetyContext, events: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add every term: any grade, grade 3 or above, and patients by their worst grade.

    An event of interest that nobody had is a result too: no patients, with its exact interval.
    """
    interest = set(context.plan.query_of())
    classes = ctcae_soc()
    recorded = texts(events["AEDECOD"])
    dots: list[dict] = []
    grades: list[dict] = []
    for term in sorted({*recorded.dropna(), *interest}):
        mine = events[(recorded == term).fillna(False).to_numpy(dtype=bool)]
        soc = str(mine["AEBODSYS"].iloc[0]) if len(mine) else classes.get(term, "")
        head = {"term": term, "soc": soc, "of_interest": term in interest}
        for severity, chosen in (("any", mine), ("grade_3_5", mine[mine["grade"] >= 3])):
            words = "any grade" if severity == "any" else "grade 3 or above"
            what = f"patients with {term}, {words}"
            counts = {group: those_with(chosen, frame) for group, frame in context.patients.items()}
            drawn = context.proportion("term", counts, variable=str(term), level=severity, what=what)
            context.rates("term", chosen, variable=str(term), level=severity, what=what)
            for group, label in GROUPS.items():
                row = {k: v for k, v in drawn[group].items() if k != "count_id"}
                dots.append({**head, "severity": severity, "group": group, "label": label, **row, **drawn["contrast"]})
        worst = mine.groupby("USUBJID")["grade"].max()
        for group, frame in context.patients.items():
            own = worst.reindex(frame["USUBJID"]).dropna()
            for grade in range(1, 6):
                members = own.index[own == grade]
                count = len(members)
                identifier = context.ard.add(
                    "term_worst_grade",
                    "n",
                    count,
                    unit="count",
                    group=group,
                    variable=str(term),
                    level=f"g{grade}",
                    population=BY_EXPOSURE,
                    estimand_id=context.estimand,
                    method=f"patients whose worst {term} was grade {grade} (CTCAE v{context.plan.ctcae_version})",
                    engine=COUNTED,
                    members=members,
                )
                total = context.sizes[group]
                grades.append(
                    {
                        **head,
                        "group": group,
                        "label": GROUPS[group],
                        "grade": grade,
                        "n": count,
                        "total": total,
                        "percent": 100 * count / total if total else NAN,
                        "ard_id": identifier,
                    }
                )
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
        "risk_difference",
        "difference_low",
        "difference_high",
        "contrast_id",
    ]
    grade_columns = [*head_columns, "group", "label", "grade", "n", "total", "percent", "ard_id"]
    return pd.DataFrame(dots, columns=dot_columns), pd.DataFrame(grades, columns=grade_columns)


def _add_classes(context: SafetyContext, events: pd.DataFrame) -> None:
    """Add every system organ class: any grade and grade 3 or above."""
    for soc, mine in events.groupby(texts(events["AEBODSYS"]), sort=True):
        for severity, chosen in (("any", mine), ("grade_3_5", mine[mine["grade"] >= 3])):
            words = "any grade" if severity == "any" else "grade 3 or above"
            counts = {group: those_with(chosen, frame) for group, frame in context.patients.items()}
            context.proportion(
                "soc", counts, variable=str(soc), level=severity, what=f"patients with an event of {soc}, {words}"
            )
