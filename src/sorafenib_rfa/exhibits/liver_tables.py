"""Tables on liver function: laboratory grades and signals of injury by exposure, ALBI by arm at the landmark."""

from __future__ import annotations

from sorafenib_rfa.arms import arms_of
from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.estimates.common import horizon
from sorafenib_rfa.exhibits.draft import Cell, Draft, Number, Source, with_n
from sorafenib_rfa.exhibits.safety_tables import GROUPS, by_exposure, count_line
from sorafenib_rfa.vocabulary import LAB_TESTS

_EDISH = {
    "uln": "Peaks in multiples of the limit of normal (eDISH)",
    "baseline": "Peaks in multiples of the larger of limit and baseline",
}
_QUADRANTS = {
    "normal": "Aminotransferase below 3, bilirubin up to 2",
    "temple": "Aminotransferase 3 or above only (Temple's corollary)",
    "hyperbilirubinaemia": "Bilirubin above 2 only (cholestasis)",
    "potential_hy": "Both: potential Hy's law, needs adjudication",
}
_SIGNALS = {
    "concurrent": "Bilirubin within 30 days after the aminotransferase",
    "without_cholestasis": "Of these, alkaline phosphatase below 2",
    "with_cholestasis": "Of these, alkaline phosphatase 2 or above",
    "alp_unknown": "Of these, alkaline phosphatase not known",
}


def liver_table(source: Source, cohort: CohortConfig, plan: Plan) -> Draft:
    """Return worst grades and shifts of the laboratory tests, decline of ALBI and signals of liver injury."""
    draft = by_exposure(source)
    years = [[Number(source.get("liver", "observation", group, "patient_years"))] for group in GROUPS]
    draft.add("Patient-years observed", *years, [])
    tests = [test for test in LAB_TESTS if source.has("liver", "lab", "exposed", test, "grade_3_4", "n")]
    draft.head("Worst grade 3 or above (CTCAE, baseline considered)")
    for test in tests:
        count_line(draft, source, LAB_TESTS[test][0], "liver", "lab", test, "grade_3_4")
    for level, label in (("worse_1", "Worse than at baseline"), ("worse_2", "Worse by two grades or more")):
        shifted = [test for test in tests if source.has("liver", "shift", "exposed", test, level, "n")]
        if shifted:
            draft.head(f"{label} (grades by limits of normal)")
        for test in shifted:
            count_line(draft, source, LAB_TESTS[test][0], "liver", "shift", test, level)
    draft.head("Liver function")
    count_line(draft, source, "ALBI grade above that at baseline", "liver", "lab", "ALBI", "worsened")
    for scale, label in _EDISH.items():
        draft.head(label)
        for quadrant, said in _QUADRANTS.items():
            count_line(draft, source, said, "liver", "edish", scale, quadrant)
        for signal, said in _SIGNALS.items():
            count_line(draft, source, said, "liver", "hy", scale, signal, level=1 if signal == "concurrent" else 2)
        with_rfa = ("liver", "edish_with_peri_rfa", scale, "potential_hy")
        count_line(draft, source, "Both, days after ablations counted too", *with_rfa)
    draft.notes.append(
        f"Results while at risk and up to recurrence, those of the {plan.rfa_complication_days} days after any "
        "ablation left out unless said; percentages are of patients with such results. The groups were observed for "
        "unequal times: differences, in percentage points, are adjusted neither for that nor for anything else. No "
        "signal was adjudicated, and other causes are not excluded."
    )
    return draft


def albi_table(source: Source, cohort: CohortConfig, plan: Plan) -> Draft:
    """Return the course of ALBI and the time to a worse grade, by arm at the landmark."""
    slugs = arms_of(cohort).slugs
    header: list[Cell] = [
        ["From the landmark"],
        *(with_n(arm, source, "liver", "albi_course", slugs[arm], "n") for arm in slugs),
        ["Difference (95% CI)"],
    ]
    draft = Draft(header)
    draft.head("Adjusted mean change of ALBI, points (95% CI)")
    for month in plan.liver.albi_months:
        at = horizon(month)
        draft.add(
            f"Month {month:g}",
            *(source.interval("liver", "albi_course", slugs[arm], at, "mean_change") for arm in slugs),
            source.interval("liver", "albi_course", "contrast", at, "difference"),
            level=1,
        )
    for analysis, label in (
        ("albi_worsening", "Worse ALBI grade than at baseline, cumulative incidence (95% CI)"),
        ("albi_worsening_confirmed", "The same, confirmed by the next score"),
    ):
        draft.head(label)
        counts = [
            [
                *source.value("liver", analysis, slugs[arm], "events"),
                " of ",
                *source.value("liver", analysis, slugs[arm], "n"),
            ]
            for arm in slugs
        ]
        draft.add("Patients with it, of all followed", *counts, level=1)
        for month in plan.liver.albi_months:
            at = horizon(month)
            draft.add(
                f"Month {month:g}",
                *(source.interval("liver", analysis, slugs[arm], at, "incidence") for arm in slugs),
                source.interval("liver", analysis, "contrast", at, "risk_difference"),
                level=1,
            )
    draft.notes.append(
        "Months since RFA; patients alive and recurrence-free at the landmark, scores until recurrence, n with one or "
        "more of them. Means: linear mixed model adjusted for the baseline score, missing scores assumed to be missing "
        "at random. Incidence: death without recurrence competes, however long after the last score; dated by the "
        "visit that showed it, grade 3 at baseline left out. Whether a next score confirms it depends on how soon that "
        "came. Differences of incidence are percentage points, unadjusted."
    )
    return draft
