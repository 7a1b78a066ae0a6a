"""The table on ablation: complications by each classification, technique efficacy, local tumour progression."""

from __future__ import annotations

from sorafenib_rfa.clinical.complications import SCALES
from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.estimates.common import horizon
from sorafenib_rfa.exhibits.draft import Draft, Number, Source
from sorafenib_rfa.exhibits.format import present
from sorafenib_rfa.exhibits.safety_tables import GROUPS

_UNITS = {
    "session": "Sessions",
    "session_index": "Index sessions",
    "session_repeat": "Repeat sessions",
    "patient": "Patients",
}
_LINES = {
    "clavien_dindo": {"minor": "I or II (minor)", "major": "III or above (major)"},
    "cirse": {"grade_3_6": "3 or above"},
    "sir": {"severe_or_worse": "severe or worse"},
}
"""Classification -> lines of several grades; the last of them is compared by exposure."""

_EFFICACY = {
    "efficacy_tumour": ("Tumours", 1),
    "efficacy_tumour_le_2_cm": ("2 cm or less", 2),
    "efficacy_tumour_gt_2_to_3_cm": ("Above 2 to 3 cm", 2),
    "efficacy_tumour_gt_3_cm": ("Above 3 cm", 2),
    "efficacy_patient": ("Patients, all tumours", 1),
    "efficacy_tumour_repeat": ("Tumours of repeat sessions", 1),
}
_PROGRESSION = {
    ("ltp", None): "All tumours",
    ("ltp_le_2_cm", None): "2 cm or less",
    ("ltp_gt_2_to_3_cm", None): "Above 2 to 3 cm",
    ("ltp_gt_3_cm", None): "Above 3 cm",
    ("ltp_all_tumours", None): "If all progressed where it is unknown which",
    ("ltp_landmark", "sorafenib"): "RFA + sorafenib, from the landmark",
    ("ltp_landmark", "control"): "RFA alone, from the landmark",
}


def ablation_table(source: Source, cohort: CohortConfig, plan: Plan) -> Draft:
    """Return complications of ablation, technique efficacy and local tumour progression, each with its denominator."""
    draft = Draft([["Result"], ["n"], ["Of"], ["Share (95% CI)"]])
    _complications(draft, source, plan)
    for scale in SCALES:
        _classification(draft, source, scale)
    draft.head("Sessions by term of the (worst) complication")
    named = [row for row in source.starting("ablation", "term_session", "term") if row["stat_name"] == "percent"]
    for row in sorted(named, key=lambda row: (-row["value"], row["variable"])):
        count = source.get(str(row["ard_id"]).removesuffix(".percent"), "n")
        total = source.value("ablation", "session", "total")
        draft.add(str(row["variable"]).partition("=")[2], [Number(count)], total, source.with_interval(row), level=1)
    draft.head("Complete ablation on contrast imaging at one month")
    for analysis, (label, level) in _EFFICACY.items():
        _line(draft, source, label, analysis, "complete", of=(analysis, "recorded", "n"), level=level)
    draft.head("Local tumour progression, cumulative incidence, death competing")
    months = [month for month in plan.horizons_months if month <= plan.rmst_horizon_months]
    for (analysis, arm), label in _PROGRESSION.items():
        where = ("ablation", analysis, arm)
        draft.add(label, source.value(*where, "events"), source.value(*where, "n"), level=1)
        for month in months:
            incidence = source.interval(*where, "ltp", horizon(month), "incidence")
            draft.add(f"At {month:g} months", [], [], incidence, level=2)
    draft.notes.append(
        "Intervals of sessions and tumours take those of a patient together. Grades are as each centre recorded them, "
        "the worst of a session or patient; no classification is translated into another, and grades that nobody had "
        "are not listed. The comparison by exposure is descriptive: exposure follows the index session. Complete "
        "ablation includes patients who were not analysed because it was not reached, and leaves out results that "
        f"are not recorded. Deaths are of sessions followed for {plan.rfa_complication_days} days. Curves of the arms "
        f"begin at the landmark, day {plan.landmark_day}."
    )
    return draft


def _line(draft: Draft, source: Source, label: str, *parts: object, of: tuple[object, ...], level: int = 1) -> None:
    """Add what was counted, of how many, and the percentage with its interval."""
    where = ("ablation", *parts)
    draft.add(
        label,
        source.value(*where, "n"),
        source.value("ablation", *of),
        source.interval(*where, "percent"),
        level=level,
    )


def _complications(draft: Draft, source: Source, plan: Plan) -> None:
    """Add complications of any grade, and deaths."""
    days = plan.rfa_complication_days
    draft.head(f"Complication within {days} days, or without a date")
    for unit, label in _UNITS.items():
        _line(draft, source, label, unit, "any", of=(unit, "total"))
    for group, label in GROUPS.items():
        _line(draft, source, label, "patient", group, "any", of=("patient", group, "total"), level=2)
    _line(draft, source, f"Sessions with one after {days} days only", "session", "late", of=("session", "total"))
    draft.head(f"Death from any cause within {days} days")
    for unit in ("session", "session_index", "session_repeat"):
        analysis = f"mortality_{unit}"
        _line(draft, source, _UNITS[unit], analysis, "died", of=(analysis, "followed", "n"))


def _classification(draft: Draft, source: Source, scale: str) -> None:
    """Add the complications of one classification, of the centres that record it."""
    draft.head(f"{SCALES[scale].label}, at centres that record it")
    *_, severe = lines = _LINES[scale]
    for unit, label in _UNITS.items():
        analysis = f"{scale}_{unit}"
        for variable, words in lines.items():
            if variable == severe or unit in ("session", "patient"):
                _line(draft, source, f"{label}, {words}", analysis, variable, of=(analysis, "total"))
    for group, label in GROUPS.items():
        _line(draft, source, label, analysis, group, severe, of=(analysis, group, "total"), level=2)
    difference = source.interval("ablation", analysis, "contrast", severe, "risk_difference")
    draft.add("Risk difference", [], [], difference, level=2)
    analysis = f"{scale}_session"
    for code in SCALES[scale].codes:
        if present(source.get("ablation", analysis, "grade", code, "n")):
            words = f"Sessions, {code.replace('_', ' ')}"
            _line(draft, source, words, analysis, "grade", code, of=(analysis, "total"))
    _line(draft, source, "Sessions, not graded", analysis, "ungraded", of=(analysis, "total"))
