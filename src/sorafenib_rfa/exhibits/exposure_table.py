"""The table on exposure: duration, dose, changes, and the comparisons by duration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.estimates.common import horizon
from sorafenib_rfa.exhibits.draft import Draft, Source, with_n

_STOPS = {
    "stopped_adverse_event": "Adverse event",
    "stopped_progression": "Progression",
    "stopped_patient_choice": "Patient's choice",
    "stopped_planned": "Planned end",
    "stopped_death": "Death",
    "stopped_not_recorded": "Reason not recorded",
    "ongoing": "None: on the drug at last contact",
}
_CLASSES = {
    "ge_90": "90% or more",
    "ge_70_lt_90": "70 to below 90%",
    "ge_50_lt_70": "50 to below 70%",
    "lt_50": "Below 50%",
}
_CHANGES = {
    "started_below_full": ("Started below the labelled dose", 1),
    "reduced": ("Reduced", 1),
    "reduced_adverse_event": ("First for an adverse event", 2),
    "re_escalated": ("Raised again", 1),
    "interrupted": ("Interrupted", 1),
    "interrupted_adverse_event": ("First for an adverse event", 2),
    "modified": ("Reduced or interrupted", 1),
}
_BY_DURATION = {
    "landmark": ("From month {0:g}: on the drug then, against stopped", ("on_drug", "stopped")),
    "naive": ("Biased: {0:g} months or more in the end, against less", ("longer", "shorter")),
}


def exposure_table(source: Source, cohort: CohortConfig, plan: Plan) -> Draft:
    """Return what is known of the drug taken, and the comparisons by its duration."""
    dosing, dose = ("exposure", "dosing", "exposed"), ("exposure", "dose", "exposed")
    draft = Draft([["Exposure to sorafenib"], with_n("Any sorafenib", source, *dosing, "with_dosing_records", "n")])
    draft.head("Duration (95% CI)")
    draft.add("Months to permanent stop, median", source.interval(*dosing, "duration", "median"), level=1)
    for month in sorted({*plan.exposure.duration_landmarks_months, *plan.horizons_months}):
        if month <= plan.rmst_horizon_months:
            on_drug = source.interval("exposure", "on_drug", "exposed", horizon(month), "survival")
            draft.add(f"On the drug at {month:g} months", on_drug, level=1)
    draft.head("Reason for permanent stop, n (%)")
    for key, label in _STOPS.items():
        draft.add(label, source.count_percent(*dosing, key), level=1)
    draft.head("Dose (95% CI)")
    draft.add("Daily dose, mg, mean", source.interval(*dose, "daily_dose_mg", "mean", digits=0), level=1)
    draft.add("Cumulative dose, g, mean", source.interval(*dose, "cumulative_dose_g", "mean", digits=0), level=1)
    draft.add("Relative dose intensity, mean", source.interval(*dose, "relative_dose_intensity", "mean"), level=1)
    means = [row for row in source.starting("exposure", "dose_by_period", "exposed") if row["stat_name"] == "mean"]
    for begin, end, row in sorted((*_period(row), row) for row in means):
        draft.add(f"Months {begin} to {end}", source.with_interval(row), level=2)
    draft.head("Relative dose intensity, n (%)")
    for key, label in _CLASSES.items():
        where = ("exposure", "dose_class", "exposed", "relative_dose_intensity", key)
        draft.add(label, source.count_percent(*where), level=1)
    draft.add("A dose not recorded", source.count_percent(*dosing, "dose_unknown"), level=1)
    draft.head("Changes of the dose, n (%)")
    for key, (label, level) in _CHANGES.items():
        draft.add(label, source.count_percent(*dosing, key), level=level)
    days = source.interval("exposure", "interruption", "exposed", "days", "mean")
    draft.add("Days of interruption, mean of those interrupted (95% CI)", days, level=1)
    for month in plan.exposure.duration_landmarks_months:
        reduced = source.interval("exposure", "first_reduction", "exposed", "reduction", horizon(month), "incidence")
        draft.add(f"Reduced by {month:g} months, cumulative (95% CI)", reduced, level=1)
    draft.head("Recurrence or death, adjusted hazard ratio (95% CI)")
    for analysis, (words, groups) in _BY_DURATION.items():
        for month in plan.exposure.duration_landmarks_months:
            where = ("exposure", f"{analysis}_{horizon(month)}")
            draft.add(words.format(month), source.interval(*where, "contrast", "adjusted", "hr"), level=1)
            longer, shorter = (source.value(*where, group, "adjusted", "n") for group in groups)
            draft.add("Patients", [*longer, " against ", *shorter], level=2)
    draft.notes.append(
        "Duration by Kaplan-Meier from the first dose, death counted as a stop; an interruption is none. Doses are "
        "over the days from first to last dose, interruptions counted as 0 mg, and relative to "
        f"{plan.exposure.full_dose_mg_per_day:.0f} mg a day; months are since the first dose, of patients not "
        "permanently stopped. Hazard ratios are among patients who started within "
        f"{plan.grace_period_days} days of RFA; those marked as biased credit the drug with the time it takes to reach "
        "a duration, and are shown as a warning."
    )
    return draft


def _period(row: Mapping[str, Any]) -> tuple[int, int]:
    """Return the months between which a row of ``exposure.dose_by_period`` lies."""
    begin, _, end = str(row["variable"]).removeprefix("m").partition("_")
    return int(begin), int(end)
