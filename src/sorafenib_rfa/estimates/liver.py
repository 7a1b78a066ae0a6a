"""Liver function by exposure: shifts from baseline, ALBI in time, and signals of severe liver injury."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sorafenib_rfa.clinical.ctcae import LAB_TERMS, grade
from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.estimates.albi import ORIGIN, add_albi, albi_scores
from sorafenib_rfa.estimates.ard import Estimates
from sorafenib_rfa.estimates.counted import Members
from sorafenib_rfa.estimates.covariates import numbers, texts
from sorafenib_rfa.estimates.liver_injury import add_liver_injury
from sorafenib_rfa.estimates.safety_context import (
    AT_RISK,
    BY_EXPOSURE,
    COUNTED,
    DAYS_PER_YEAR,
    GROUPS,
    SafetyContext,
)
from sorafenib_rfa.vocabulary import LAB_TESTS

ESTIMAND = "S3_LIVER"
GRADES = (0.0, 1.0, 2.0, 3.0, 4.0, float("nan"))
"""Rows and columns of a shift table; NaN: no grade."""

_WHEN = "while at risk up to recurrence"
_AWAY = "results within the plan's days after an ablation left out"
_BY_LIMIT = "CTCAE v5.0 grades by the limits of normal before and after"
_SHIFT_POPULATION = f"Patients with a graded result at baseline and {_WHEN}, away from ablations"


def estimate_liver(
    adlb: pd.DataFrame,
    adsl: pd.DataFrame,
    adae: pd.DataFrame,
    adex: pd.DataFrame,
    plan: Plan,
    cohort_name: str,
    record: str,
) -> Estimates:
    """Describe liver function: shifts of laboratory grades and liver signals by exposure, ALBI by arm at the landmark.

    Parameters
    ----------
    adlb, adsl, adae, adex : DataFrame
        ADaM datasets.
    plan : Plan
        Windows, landmark, months of ALBI, confidence level.
    cohort_name : str
        Its name.
    record : str
        Path of the job record.

    Returns
    -------
    Estimates
        ARD part ``liver``. Curve ``lab_shift``: ``test, test_label, group, label, base_grade, worst_grade`` (0 to 4,
        missing)``, n, total`` (patients with both)``, percent`` (NaN where one is missing)``, ard_id``. Curve
        ``liver_peaks``: :func:`.liver_injury.add_liver_injury`; curves ``albi_course, albi_patients, albi_worsening``:
        :func:`.albi.add_albi`. None holds an identifier, but ``liver_peaks`` and ``albi_patients`` have one row or line
        a patient.
    """
    context = SafetyContext.prepare("liver", ESTIMAND, adsl, adae, adex, plan, cohort_name=cohort_name, record=record)
    observed = Observed.of(context, adsl)
    _add_observation(context, observed)
    results = results_at_risk(adlb, observed.start, observed.end)
    _add_results(context, results)
    _add_worst_grades(context, results)
    shift = _add_shifts(context, results, adlb)
    _add_albi_worsened(context, observed, adlb, adsl)
    curves = {"lab_shift": shift, "liver_peaks": add_liver_injury(context, results)}
    return context.ard.estimates(curves | add_albi(context.ard, adlb, adsl, plan, ESTIMAND))


@dataclass(frozen=True, eq=False)
class Observed:
    """First and last day on which results count, by USUBJID: at risk, and untreated for recurrence.

    The window of adverse events goes on after a recurrence, in the unexposed to the last contact; what is measured then
    is due to the recurrence and to its treatment as well. Results of the day of recurrence count.
    """

    start: pd.Series
    end: pd.Series

    @classmethod
    def of(cls, context: SafetyContext, adsl: pd.DataFrame) -> Observed:
        """Cut the windows of `context`, made of the same ADSL, at recurrence."""
        window = context.window
        recurrence = pd.Series(pd.to_datetime(adsl["RECDT"]).to_numpy(), index=window.end.index)
        return cls(window.start, window.end.mask(recurrence < window.end, recurrence))

    @property
    def years(self) -> pd.Series:
        """Time observed, both days included."""
        return ((self.end - self.start).dt.days + 1).clip(lower=0).fillna(0) / DAYS_PER_YEAR


def _add_observation(context: SafetyContext, observed: Observed) -> None:
    """Add for how long results could count: percentages of patients who ever had one are to be read beside it."""
    for group, patients in context.patients.items():
        subjects = texts(patients["USUBJID"])
        common = {"group": group, "population": BY_EXPOSURE}
        _add_count(context, "observation", "n", subjects, variable="", method="analysed patients", **common)
        context.ard.add(
            "observation",
            "patient_years",
            float(observed.years.reindex(subjects).sum()),
            unit="years",
            estimand_id=context.estimand,
            engine=COUNTED,
            method=f"{AT_RISK.format(days=context.plan.treatment_emergent_days)}; here at the latest to the day of "
            "recurrence",
            **common,
        )


def results_at_risk(adlb: pd.DataFrame, start: pd.Series, end: pd.Series) -> pd.DataFrame:
    """Return post-baseline results within each patient's time at risk up to recurrence.

    Parameters
    ----------
    adlb : DataFrame
        ADaM laboratory results.
    start, end : Series of datetime64
        First and last day on which results count, by USUBJID (:class:`Observed`).

    Returns
    -------
    DataFrame
        ``USUBJID, test, date, value, uln, base, grade, grade_by_limit`` (by the limits of normal, whatever the
        baseline)``, near_rfa`` (within the plan's days after an ablation)``, SRCFILE, SRCSHEET, SRCROW``. A result from
        the day of RFA was taken before it (day 1) and is none of them.
    """
    frame = pd.DataFrame(
        {
            "USUBJID": texts(adlb["USUBJID"]),
            "test": texts(adlb["PARAMCD"]),
            "date": pd.to_datetime(adlb["ADT"]),
            "value": numbers(adlb["AVAL"]),
            "uln": numbers(adlb["ANRHI"]),
            "base": numbers(adlb["BASE"]),
            "grade": numbers(adlb["ATOXGR"]),
            "near_rfa": (texts(adlb["PERIRFFL"]) == "Y").fillna(False).astype(bool),
            **{name: adlb[name] for name in ORIGIN},
        }
    )
    frame["grade_by_limit"] = numbers(grade(frame["test"], frame["value"], frame["uln"], pd.NA))
    inside = (numbers(adlb["ADY"]) > 1) & (frame["date"] >= frame["USUBJID"].map(start))
    inside &= frame["date"] <= frame["USUBJID"].map(end)
    return frame[inside.fillna(False).astype(bool)].reset_index(drop=True)


def _tested(rows: pd.DataFrame, patients: Mapping[str, pd.DataFrame]) -> dict[str, pd.Series]:
    """Return the patients of each group who have one of `rows`."""
    return {group: frame.loc[frame["USUBJID"].isin(rows["USUBJID"]), "USUBJID"] for group, frame in patients.items()}


def _add_count(
    context: SafetyContext,
    analysis: str,
    stat: str,
    members: Members,
    *,
    group: str,
    variable: str,
    method: str,
    level: object = None,
    population: str = BY_EXPOSURE,
) -> str:
    """Add one count of patients, or of results."""
    return context.ard.add(
        analysis,
        stat,
        len(members),
        unit="count",
        group=group,
        variable=variable,
        level=level,
        population=population,
        estimand_id=context.estimand,
        method=method,
        engine=COUNTED,
        members=members,
    )


def _add_results(context: SafetyContext, results: pd.DataFrame) -> None:
    """Add how many results there are, how many an ablation takes out, and how many cannot be graded."""
    for test, rows in results.groupby("test", sort=True):
        label = LAB_TESTS[str(test)][0]
        lines = {
            "results": (rows, _WHEN),
            "near_rfa": (rows[rows["near_rfa"]], f"{_WHEN}, within the plan's days after an ablation: left out"),
            "without_uln": (
                rows[~rows["near_rfa"] & ~(rows["uln"] > 0)],
                f"{_WHEN}, away from ablations, without an upper limit of normal: in no multiple of it",
            ),
        }
        if str(test) in LAB_TERMS:
            lines["not_graded"] = (
                rows[~rows["near_rfa"] & rows["grade"].isna()],
                f"{_WHEN}, away from ablations, that CTCAE cannot grade: no upper limit of normal, or no value",
            )
        for group, patients in context.patients.items():
            for stat, (chosen, what) in lines.items():
                own = chosen[chosen["USUBJID"].isin(patients["USUBJID"])]
                _add_count(
                    context,
                    "results",
                    stat,
                    own,
                    group=group,
                    variable=str(test),
                    method=f"results of {label} {what}",
                    population="Laboratory results of analysed patients",
                )


def _add_worst_grades(context: SafetyContext, results: pd.DataFrame) -> None:
    """Add, of patients with a graded result away from ablations, those whose worst was grade 3 or above.

    Aminotransferases rise after every ablation, and only the unexposed are at risk from that day on: counted in, those
    results would speak for the drug.
    """
    graded = results[results["grade"].notna() & ~results["near_rfa"]]
    population = f"Patients with a graded result {_WHEN}, away from ablations"
    for test, rows in graded.groupby("test", sort=True):
        tested = _tested(rows, context.patients)
        _add_totals(context, "lab", str(test), tested, "patients with a graded result", population)
        context.proportion(
            "lab",
            _tested(rows[rows["grade"] >= 3], context.patients),
            variable=str(test),
            level="grade_3_4",
            what=f"patients with a worst {LAB_TESTS[str(test)][0]} of grade 3 or above {_WHEN}, {_AWAY}",
            population=population,
            denominators=tested,
        )


def _add_totals(
    context: SafetyContext, analysis: str, variable: str, members: Mapping[str, Members], what: str, population: str
) -> None:
    """Add the denominators of percentages."""
    for group, who in members.items():
        _add_count(context, analysis, "total", who, group=group, variable=variable, method=what, population=population)


# --- shifts from baseline ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Shift:
    """Grades of one test in one group, an element a patient: at baseline, and the worst while at risk; NaN if unknown.

    CTCAE v5.0 grades a result after an abnormal baseline in multiples of that baseline, but the baseline itself by the
    limit of normal: between the two a patient whose result does not move would improve. Here both are by the limit.
    """

    subjects: pd.Index
    base: np.ndarray
    worst: np.ndarray

    @classmethod
    def of(cls, base: pd.Series, worst: pd.Series, patients: pd.Series) -> Shift:
        """Return the shifts of `patients` from grades by USUBJID."""
        subjects = pd.Index(texts(patients).astype(object))
        return cls(subjects, *(grades.reindex(subjects).to_numpy(dtype=float) for grades in (base, worst)))

    @property
    def rise(self) -> np.ndarray:
        """Grades gained; NaN where one is unknown."""
        return self.worst - self.base

    @property
    def both(self) -> pd.Index:
        """Patients with both grades."""
        return self.subjects[~np.isnan(self.rise)]

    def who(self, *, base: float | None = None, worst: float | None = None) -> pd.Index:
        """Return the patients with these grades; NaN: without a grade, None: with any or none."""
        chosen = np.ones(len(self.subjects), dtype=bool)
        for grades, wanted in ((self.base, base), (self.worst, worst)):
            if wanted is not None:
                chosen &= np.isnan(grades) if np.isnan(wanted) else grades == wanted
        return self.subjects[chosen]


def _add_shifts(context: SafetyContext, results: pd.DataFrame, adlb: pd.DataFrame) -> pd.DataFrame:
    """Add, by graded test and group, patients by grade at baseline and worst grade since; return the curve.

    A test that nobody has while at risk has no shifts: its total of zero says so.
    """
    curve = []
    subject, recorded = (texts(adlb[name]).astype(object) for name in ("USUBJID", "PARAMCD"))
    base = numbers(adlb["BTOXGR"]).groupby([recorded, subject]).max()
    away = results[~results["near_rfa"]]
    worst = away["grade_by_limit"].groupby([away["test"].astype(object), away["USUBJID"].astype(object)]).max()
    for test in (name for name in LAB_TESTS if name in LAB_TERMS and name in set(recorded)):
        own = [
            grades.xs(test) if test in grades.index.get_level_values(0) else grades.iloc[:0] for grades in (base, worst)
        ]
        shifts = {group: Shift.of(*own, frame["USUBJID"]) for group, frame in context.patients.items()}
        _add_totals(
            context,
            "shift",
            test,
            {group: shift.both for group, shift in shifts.items()},
            f"patients with a grade of {LAB_TESTS[test][0]} at baseline and {_WHEN}, {_AWAY}",
            _SHIFT_POPULATION,
        )
        if all(np.isnan(shift.worst).all() for shift in shifts.values()):
            continue
        _add_margins(context, test, shifts)
        _add_directions(context, test, shifts)
        for before in GRADES:
            for after in GRADES:
                curve += _add_cell(context, test, shifts, before, after)
    columns = ["test", "test_label", "group", "label", "base_grade", "worst_grade", "n", "total", "percent", "ard_id"]
    return pd.DataFrame(curve, columns=columns)


def _grade_slug(at: float) -> str:
    return "missing" if np.isnan(at) else f"g{at:g}"


def _add_margins(context: SafetyContext, test: str, shifts: Mapping[str, Shift]) -> None:
    """Add the totals of rows and of columns of a shift table."""
    label = LAB_TESTS[test][0]
    margins = {"base": ("from", "at baseline"), "worst": ("to", f"as the worst {_WHEN}, {_AWAY}; {_BY_LIMIT}")}
    for group, shift in shifts.items():
        for column, (side, when) in margins.items():
            for at in GRADES:
                which = "without a grade" if np.isnan(at) else f"with grade {at:g}"
                _add_count(
                    context,
                    "shift",
                    "n",
                    shift.who(**{column: at}),
                    group=group,
                    variable=test,
                    level=f"{side}_{_grade_slug(at)}",
                    method=f"patients {which} of {label} {when}",
                )


def _add_directions(context: SafetyContext, test: str, shifts: Mapping[str, Shift]) -> None:
    """Add how many ended up worse, the same, or better than at baseline."""
    label = LAB_TESTS[test][0]
    lines = {
        "worse_1": (lambda rise: rise >= 1, "at least one grade above that at baseline"),
        "worse_2": (lambda rise: rise >= 2, "at least two grades above that at baseline"),
        "unchanged": (lambda rise: rise == 0, "of the grade at baseline"),
        "better": (lambda rise: rise < 0, "below the grade at baseline"),
    }
    for level, (chosen, what) in lines.items():
        context.proportion(
            "shift",
            {group: shift.subjects[chosen(shift.rise)] for group, shift in shifts.items()},
            variable=test,
            level=level,
            what=f"patients with a worst {label} {_WHEN} {what}, {_AWAY}; {_BY_LIMIT}",
            population=_SHIFT_POPULATION,
            denominators={group: shift.both for group, shift in shifts.items()},
            contrast=level.startswith("worse"),
        )


def _add_cell(context: SafetyContext, test: str, shifts: Mapping[str, Shift], base: float, worst: float) -> list[dict]:
    """Add one cell of a shift table for both groups; return its rows of the curve."""
    label = LAB_TESTS[test][0]
    level = f"{_grade_slug(base)}_to_{_grade_slug(worst)}"
    said = ["no grade" if np.isnan(at) else f"grade {at:g}" for at in (base, worst)]
    what = f"patients with {said[0]} of {label} at baseline and {said[1]} as the worst {_WHEN}, {_AWAY}; {_BY_LIMIT}"
    members = {group: shift.who(base=base, worst=worst) for group, shift in shifts.items()}
    drawn: dict[str, dict]
    if np.isnan(base) or np.isnan(worst):
        drawn = {
            group: {
                "n": len(who),
                "percent": float("nan"),
                "count_id": _add_count(
                    context, "shift", "n", who, group=group, variable=test, level=level, method=what
                ),
            }
            for group, who in members.items()
        }
    else:
        drawn = context.proportion(
            "shift",
            members,
            variable=test,
            level=level,
            what=what,
            population=_SHIFT_POPULATION,
            denominators={group: shift.both for group, shift in shifts.items()},
            contrast=False,
        )
    return [
        {
            "test": test,
            "test_label": label,
            "group": group,
            "label": GROUPS[group],
            "base_grade": _grade_slug(base).removeprefix("g"),
            "worst_grade": _grade_slug(worst).removeprefix("g"),
            "n": line["n"],
            "total": len(shifts[group].both),
            "percent": line["percent"],
            "ard_id": line["count_id"],
        }
        for group, line in drawn.items()
    ]


# --- ALBI while at risk --------------------------------------------------------------------------------------------


def _add_albi_worsened(context: SafetyContext, observed: Observed, adlb: pd.DataFrame, adsl: pd.DataFrame) -> None:
    """Add patients whose ALBI grade, from albumin and bilirubin of one day, rose above that at baseline."""
    from sorafenib_rfa.clinical.liver import albi_grade

    scores = albi_scores(adlb)
    inside = scores["date"] >= scores["USUBJID"].map(observed.start)
    inside &= scores["date"] <= scores["USUBJID"].map(observed.end)
    by_patient = adsl.assign(USUBJID=texts(adsl["USUBJID"])).set_index("USUBJID")
    # day 1 is the day of RFA, and its results were taken before it
    inside &= scores["date"] > scores["USUBJID"].map(pd.to_datetime(by_patient["TRTSDT"]))
    scores = scores[inside & ~scores["near_rfa"]]
    before = scores["USUBJID"].map(numbers(albi_grade(by_patient["ALBISC"])))
    comparable = _tested(scores[before.notna()], context.patients)
    population = f"Patients with an ALBI score at baseline and {_WHEN}, away from ablations"
    _add_totals(context, "lab", "ALBI", comparable, "patients with an ALBI score before and after", population)
    context.proportion(
        "lab",
        _tested(scores[scores["grade"] > before], context.patients),
        variable="ALBI",
        level="worsened",
        what=f"patients whose ALBI grade (albumin and bilirubin of one day) rose above that at baseline {_WHEN}, "
        f"{_AWAY}",
        population=population,
        denominators=comparable,
    )
