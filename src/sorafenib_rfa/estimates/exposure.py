"""Exposure to sorafenib: how long it was taken, at which dose, why it ended, and how those fared who took it longer.

The course of a patient begins with the first dose. It is permanently stopped on the last day with a dose; days without
a dose before that are interruptions, whether the record has an interval of 0 mg or none. Where intervals overlap the
later record holds. Drug that is started again after a recurrence treats the recurrence and belongs to no course here;
a course that goes on across a recurrence without a gap does.

Whoever takes a drug for a year has lived a year without a reason to stop it. A comparison by the duration that was
reached in the end credits the drug with that time (immortal time; Anderson JR, et al. J Clin Oncol 1983;1:710-719;
Suissa S. Am J Epidemiol 2008;167:492-499). The comparison made here divides patients on a day, by what was known on
that day, and follows them from it; the other is computed too, to show the difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from sorafenib_rfa.clean.exposure import course_intervals
from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.estimates.ard import Estimates
from sorafenib_rfa.estimates.common import NAN, attempt, hazard_ratio, horizon, quantile_values, untested
from sorafenib_rfa.estimates.contrasts import TREATMENT
from sorafenib_rfa.estimates.counted import Members
from sorafenib_rfa.estimates.covariates import covariate_design, numbers, texts
from sorafenib_rfa.estimates.safety_context import SafetyContext
from sorafenib_rfa.estimates.survival import add_curve, add_incidence, curve_frame
from sorafenib_rfa.stats.cox import cox_fit
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH, SORAFENIB

COUNTED = "sorafenib_rfa.estimates.exposure"
COX = "sorafenib_rfa.stats.cox"
ESTIMAND = "S4_EXPOSURE"
DURATION = "S5_DURATION"
POPULATION = "Patients with any sorafenib before recurrence"

STOP_REASONS: Final = {
    "adverse_event": "Adverse event",
    "progression": "Progression",
    "patient_choice": "Patient's choice",
    "planned": "Planned end",
    "death": "Death",
    "not_recorded": "Reason not recorded",
}
"""Why a course ended: code of ADEX.EXADJ -> label."""

CHANGE_REASONS: Final = ("adverse_event", "patient_choice", "planned", "progression", "not_recorded")

DOSE_CLASSES: Final = {
    "ge_90": ("90% or more", 90.0, np.inf),
    "ge_70_lt_90": ("70 to below 90%", 70.0, 90.0),
    "ge_50_lt_70": ("50 to below 70%", 50.0, 70.0),
    "lt_50": ("below 50%", -np.inf, 50.0),
}
"""Relative dose intensity: slug -> label, lower bound (included), upper bound (excluded), in percent."""

PERIOD_MONTHS: Final = 3
LAST_PERIOD_MONTHS: Final = 24

SWIMMERS: Final = 60
"""How many patients a swimmer plot shows so that a line is still told from the next."""

_DAY = pd.Timedelta(days=1)


def estimate_exposure(
    adex: pd.DataFrame,
    adsl: pd.DataFrame,
    adtte: pd.DataFrame,
    adae: pd.DataFrame,
    plan: Plan,
    cohort_name: str,
    record: str,
) -> Estimates:
    """Describe the drug taken by those who took any before a recurrence, and its duration's relation to recurrence.

    Parameters
    ----------
    adex, adsl, adtte, adae : DataFrame
        ADaM datasets.
    plan : Plan
        Confidence level, labelled dose, landmarks, adjustment set.
    cohort_name : str
        Its name.
    record : str
        Path of the job record.

    Returns
    -------
    Estimates
        ARD part ``exposure``. Curves:

        ``km_stop``: as ``km_*`` of :mod:`sorafenib_rfa.estimates.survival`, in months since the first dose.

        ``duration_landmark``: ``months, analysis`` (landmark, naive)``, adjusted`` (Y, N)``, hr, lo, hi`` (NaN
        where not estimable)``, n_longer, n_shorter, events_longer, events_shorter`` (longer: on the drug at the
        landmark, or for that long in the end)``, ard_id``.

        ``swimmer``: ``patient`` (position from the longest course down; no identifier)``, kind`` (follow_up, dose,
        stop, recurrence, death, event)``, start_months, end_months`` (since RFA)``, dose_mg, reason, of`` (how many
        patients the shown were chosen from).
    """
    context = SafetyContext.prepare(
        "exposure", ESTIMAND, adsl, adae, adex, plan, cohort_name=cohort_name, record=record
    )
    courses = courses_of(adex, context.patients["exposed"])
    km_stop = _add_duration(context, courses)
    _add_dose(context, courses)
    _add_changes(context, courses)
    effect = _add_effect_of_duration(context, courses, adsl, adtte)
    return context.ard.estimates(
        {"km_stop": km_stop, "duration_landmark": effect, "swimmer": _swimmer(courses, adsl, adae)}
    )


# --- courses ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Courses:
    """The drug as it was taken.

    Attributes
    ----------
    taken : DataFrame
        One row an interval with a dose (or one of unknown size): ``USUBJID, start, end`` (dates, both with drug)``,
        dose`` (mg a day)``, days, offset`` (days from the first dose to its start)``, reason`` (why it ended)``,
        off_days`` (days without drug before it).
    patients : DataFrame
        Index USUBJID: ``first, end`` (dates)``, days, ongoing, reason`` (of the stop; missing while ongoing)``,
        paused_days`` (at the end, of an interruption that was still going on).
    """

    taken: pd.DataFrame
    patients: pd.DataFrame


def courses_of(adex: pd.DataFrame, exposed: pd.DataFrame) -> Courses:
    """Return the courses of the patients `exposed` (rows of ADSL); see the head of this module for what a course is.

    A patient without a dated dose has none. A patient whose last record is an interruption that still goes on is on
    the drug, to the last contact; one whose last record is an interruption that ended stopped on the last day with
    drug.
    """
    by_patient = exposed.set_index("USUBJID")
    rows = course_intervals(adex, exposed)
    adjustment = texts(rows["EXADJ"])
    frame = pd.DataFrame(
        {
            "USUBJID": rows["USUBJID"],
            "start": rows["start"],
            "end": rows["end"],
            "dose": numbers(rows["EXDOSE"]),
            "ongoing": (rows["EXENDT"].isna() | (adjustment == "ongoing").fillna(False)).astype(bool),
            "reason": adjustment.where(adjustment != "ongoing"),
        }
    )
    has_drug = ~(frame["dose"] == 0)
    last = frame.drop_duplicates("USUBJID", keep="last").set_index("USUBJID")
    taken = frame[has_drug].copy()
    first = taken.groupby("USUBJID")["start"].min()
    final = taken.drop_duplicates("USUBJID", keep="last").set_index("USUBJID")
    last = last.reindex(final.index)
    ongoing = last["ongoing"].astype(bool)
    stop = final["end"].where(~ongoing, last["end"])
    reason = final["reason"].mask(final["reason"].isna() & (by_patient["DTHDT"].reindex(final.index) <= stop), "death")
    reason = reason.where(reason.isin(list(STOP_REASONS)), "not_recorded").where(~ongoing)
    patients = pd.DataFrame(
        {
            "first": first.reindex(final.index),
            "end": stop,
            "days": ((stop - first.reindex(final.index)).dt.days + 1).astype(float),
            "ongoing": ongoing,
            "reason": reason,
            "paused_days": (stop - final["end"]).dt.days.astype(float),
        }
    ).sort_index()
    taken["days"] = ((taken["end"] - taken["start"]).dt.days + 1).astype(float)
    taken["offset"] = (taken["start"] - taken["USUBJID"].map(first)).dt.days.astype(float)
    taken["off_days"] = (taken["start"] - taken.groupby("USUBJID")["end"].shift()).dt.days.sub(1).clip(lower=0)
    columns = ["USUBJID", "start", "end", "dose", "days", "offset", "reason", "off_days"]
    return Courses(taken[columns].reset_index(drop=True), patients)


# --- duration -----------------------------------------------------------------------------------------------------


def _months_reported(plan: Plan) -> list[float]:
    return sorted({*plan.exposure.duration_landmarks_months, *plan.horizons_months})


def _common(engine: str = COUNTED) -> dict[str, str]:
    return {"group": "exposed", "population": POPULATION, "estimand_id": ESTIMAND, "engine": engine}


def _add_size(context: SafetyContext, analysis: str, members: Members, method: str, **where: object) -> None:
    context.ard.add(analysis, "n", len(members), unit="count", method=method, members=members, **{**_common(), **where})


def _add_duration(context: SafetyContext, courses: Courses) -> pd.DataFrame:
    """Add the time to permanent stop, by Kaplan-Meier and by reason; return the curve."""
    plan, patients = context.plan, courses.patients
    label = "Any sorafenib"
    months = _months_reported(plan)
    rows = pd.DataFrame(
        {
            "USUBJID": patients.index,
            "time": patients["days"].to_numpy(dtype=float) / DAYS_PER_MONTH,
            "event": ~patients["ongoing"].to_numpy(dtype=bool),
        }
    )
    _add_size(context, "dosing", patients.index, "exposed patients with dosing records", variable="with_dosing_records")
    _add_size(context, "on_drug", patients.index, "exposed patients with dosing records")
    curve = add_curve(
        context.ard,
        "on_drug",
        "exposed",
        rows,
        plan,
        words="from the first dose to permanent stop for any reason (death included), patients still on the drug "
        "censored; an interruption is no stop",
        population=POPULATION,
        estimand_id=ESTIMAND,
        months=months,
    )
    words = (
        "months from first to last dose by Kaplan-Meier, stopping for any reason (death included) as the event, "
        "patients still on the drug censored; limits by Brookmeyer and Crowley"
    )
    for stat, probability in (("q1", 0.25), ("median", 0.5), ("q3", 0.75)):
        values = quantile_values(None if curve is None else curve.quantile(probability))
        context.ard.add(
            "dosing",
            stat,
            values[0],
            ci_low=values[1],
            ci_high=values[2],
            unit="months",
            variable="duration",
            method="not estimable: nobody has dosing records" if curve is None else words,
            **_common("sorafenib_rfa.stats.kaplan_meier"),
        )
    code = {reason: number for number, reason in enumerate(STOP_REASONS, start=1)}
    rows["cause"] = patients["reason"].map(code).fillna(0).astype(int).to_numpy()
    _add_size(context, "stop_reason", patients.index, "exposed patients with dosing records")
    add_incidence(
        context.ard,
        "stop_reason",
        rows,
        {"exposed": (label, pd.Series(True, index=rows.index))},
        plan,
        causes={reason: (f"Stop: {STOP_REASONS[reason].lower()}", (number,)) for reason, number in code.items()},
        population=POPULATION,
        estimand_id=ESTIMAND,
        reason="",
        words="Aalen-Johansen from the first dose, other reasons for the stop competing",
        months=months,
    )
    ongoing = patients["ongoing"].to_numpy(dtype=bool)
    counts = {
        "stopped": (patients.index[~ongoing], "patients who stopped for good, for any reason"),
        "ongoing": (patients.index[ongoing], "patients still on the drug at last contact"),
    }
    for reason in STOP_REASONS:
        own = patients.index[(patients["reason"] == reason).fillna(False).to_numpy(dtype=bool)]
        counts[f"stopped_{reason}"] = (own, f"patients who stopped for good; reason: {STOP_REASONS[reason].lower()}")
    for key, (members, what) in counts.items():
        _add_share(context, patients, key, members, what)
    return curve_frame(curve, "exposed", label, "none", 0.0)


def _add_share(context: SafetyContext, of: pd.DataFrame, variable: str, members: pd.Index, what: str) -> None:
    """Add count and percentage of the patients `of`."""
    context.proportion(
        "dosing",
        {"exposed": members},
        variable=variable,
        what=what,
        population=POPULATION,
        denominators={"exposed": of.index},
        contrast=False,
    )


# --- dose ---------------------------------------------------------------------------------------------------------


def _t_quantile(level: float, freedom: int) -> float:
    """Return Student's t quantile of a two-sided interval; NaN without degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + level / 2)) if freedom > 0 else NAN


def _add_mean(
    context: SafetyContext,
    analysis: str,
    variable: str,
    values: pd.Series,
    *,
    unit: str,
    said: str,
    spread: bool = True,
) -> None:
    """Add the mean of patients' values with Student's interval, and their standard deviation."""
    n = len(values)
    mean = float(values.mean()) if n else NAN
    deviation = float(values.std(ddof=1)) if n > 1 else NAN
    half = _t_quantile(context.plan.confidence_level, n - 1) * deviation / np.sqrt(max(n, 1))
    none = "" if n else "not estimable: nobody has the records it needs"
    context.ard.add(
        analysis,
        "mean",
        mean,
        ci_low=mean - half,
        ci_high=mean + half,
        unit=unit,
        variable=variable,
        method=none or f"{said}; mean of {n} patients, interval by Student's t",
        **_common(),
    )
    if spread:
        lone = "not estimable: one patient only" if n == 1 else f"{said}; standard deviation of {n} patients"
        context.ard.add(analysis, "sd", deviation, unit=unit, variable=variable, method=none or lone, **_common())


def _add_dose(context: SafetyContext, courses: Courses) -> None:
    """Add mean daily dose, relative dose intensity, cumulative dose, their classes and their course over time."""
    full = context.plan.exposure.full_dose_mg_per_day
    taken, patients = courses.taken, courses.patients
    unknown = pd.Index(taken.loc[taken["dose"].isna(), "USUBJID"].unique())
    known = patients.drop(unknown)
    _add_share(
        context,
        patients,
        "dose_unknown",
        patients.index.intersection(unknown),
        "patients with an interval of unknown dose, who are left out of what is said of doses",
    )
    _add_size(context, "dose", known.index, "exposed patients all of whose doses are recorded")
    total = (taken["dose"] * taken["days"]).groupby(taken["USUBJID"]).sum().reindex(known.index)
    daily = total / known["days"]
    intensity = 100 * daily / full
    over = "each patient's dose taken over the days from first to last dose, interruptions counted as 0 mg"
    _add_mean(context, "dose", "daily_dose_mg", daily, unit="measure", said=over)
    _add_mean(
        context,
        "dose",
        "relative_dose_intensity",
        intensity,
        unit="percent",
        said=f"mean daily dose relative to {full:.0f} mg; {over}",
    )
    _add_mean(context, "dose", "cumulative_dose_g", total / 1000, unit="measure", said="grams taken by each patient")
    for key, (label, low, high) in DOSE_CLASSES.items():
        members = known.index[((intensity >= low) & (intensity < high)).to_numpy(dtype=bool)]
        context.proportion(
            "dose_class",
            {"exposed": members},
            variable="relative_dose_intensity",
            level=key,
            what=f"patients with a relative dose intensity of {label}",
            population=POPULATION,
            denominators={"exposed": known.index},
            contrast=False,
        )
    _add_size(context, "dose_class", known.index, "exposed patients all of whose doses are recorded")
    first = taken[taken["USUBJID"].isin(known.index)].drop_duplicates("USUBJID")
    below = pd.Index(first.loc[(first["dose"] < full).to_numpy(dtype=bool), "USUBJID"])
    _add_share(
        context, patients, "started_below_full", below, f"patients whose first dose was below {full:.0f} mg a day"
    )
    _add_dose_by_period(context, taken, known)


def _add_dose_by_period(context: SafetyContext, taken: pd.DataFrame, known: pd.DataFrame) -> None:
    """Add the mean daily dose in each period since the first dose, of patients whose course reaches into it."""
    full = context.plan.exposure.full_dose_mg_per_day
    starts, ends = taken["offset"], taken["offset"] + taken["days"]
    for begin in range(0, LAST_PERIOD_MONTHS, PERIOD_MONTHS):
        low, high = begin * DAYS_PER_MONTH, (begin + PERIOD_MONTHS) * DAYS_PER_MONTH
        on = known[known["days"] > low]
        inside = (ends.clip(upper=high) - starts.clip(lower=low)).clip(lower=0)
        dose = (inside * taken["dose"]).groupby(taken["USUBJID"]).sum().reindex(on.index)
        intensity = 100 * dose / (on["days"].clip(upper=high) - low) / full
        name = f"m{begin}_{begin + PERIOD_MONTHS}"
        said = (
            f"dose in percent of {full:.0f} mg a day, months {begin} to {begin + PERIOD_MONTHS} since the first dose, "
            "interruptions counted as 0 mg, of patients not permanently stopped before"
        )
        _add_size(context, "dose_by_period", on.index, f"patients on the drug at month {begin}", variable=name)
        _add_mean(context, "dose_by_period", name, intensity, unit="percent", said=said, spread=False)


# --- changes ------------------------------------------------------------------------------------------------------


def _add_changes(context: SafetyContext, courses: Courses) -> None:
    """Add reductions, re-escalations and interruptions, with the reason of each patient's first."""
    taken, patients = courses.taken, courses.patients
    by_patient = taken.groupby("USUBJID")
    changes = taken.assign(before=by_patient["dose"].shift(), why=by_patient["reason"].shift())
    changes["why"] = changes["why"].where(changes["why"].isin(CHANGE_REASONS), "not_recorded")
    reduced = changes[(changes["dose"] < changes["before"]).to_numpy(dtype=bool)].drop_duplicates("USUBJID")
    raised = changes[(changes["dose"] > changes["before"]).to_numpy(dtype=bool)].drop_duplicates("USUBJID")
    pauses = changes[(changes["off_days"] > 0).to_numpy(dtype=bool)]
    paused_now = patients[patients["paused_days"] > 0]
    final = taken.drop_duplicates("USUBJID", keep="last").set_index("USUBJID")["reason"].reindex(paused_now.index)
    still = pd.DataFrame(
        {
            "USUBJID": paused_now.index,
            "off_days": paused_now["paused_days"].to_numpy(dtype=float),
            "why": final.where(final.isin(CHANGE_REASONS), "not_recorded").to_numpy(dtype=object),
        }
    )
    pauses = pd.concat([frame for frame in (pauses[still.columns], still) if len(frame)] or [still], ignore_index=True)
    interrupted = pauses.drop_duplicates("USUBJID")
    either = pd.Index(reduced["USUBJID"]).union(pd.Index(interrupted["USUBJID"]))
    for key, members, what in (
        ("reduced", pd.Index(reduced["USUBJID"]), "patients with a dose below their dose before"),
        ("re_escalated", pd.Index(raised["USUBJID"]), "patients with a dose above their dose before"),
        ("interrupted", pd.Index(interrupted["USUBJID"]), "patients with days without the drug between two doses"),
        ("modified", either, "patients with a reduction or an interruption"),
    ):
        _add_share(context, patients, key, members, what)
    for key, frame, what in (("reduced", reduced, "reduction"), ("interrupted", interrupted, "interruption")):
        for reason in CHANGE_REASONS:
            own = pd.Index(frame.loc[(frame["why"] == reason).to_numpy(dtype=bool), "USUBJID"])
            words = reason.replace("_", " ")
            _add_share(
                context, patients, f"{key}_{reason}", own, f"patients whose first {what} had the reason: {words}"
            )
    number = pauses.groupby("USUBJID").size().reindex(patients.index, fill_value=0).astype(float)
    _add_mean(
        context,
        "dosing",
        "interruptions",
        number,
        unit="measure",
        said="interruptions of each exposed patient's course",
    )
    _add_size(context, "interruption", pd.Index(interrupted["USUBJID"]), "patients with an interruption")
    days = pauses.groupby("USUBJID")["off_days"].sum().astype(float)
    _add_mean(
        context,
        "interruption",
        "days",
        days,
        unit="days",
        said="days without the drug of patients with an interruption",
    )
    _add_first_reduction(context, courses, reduced)


def _add_first_reduction(context: SafetyContext, courses: Courses, reduced: pd.DataFrame) -> None:
    """Add the cumulative incidence of a first reduction, the stop competing."""
    taken = courses.taken
    unknown = taken.loc[taken["dose"].isna(), "USUBJID"].unique()
    patients = courses.patients.drop(pd.Index(unknown))
    when = reduced.set_index("USUBJID")["offset"].reindex(patients.index)
    rows = pd.DataFrame(
        {
            "USUBJID": patients.index,
            "time": when.fillna(patients["days"]).clip(lower=0.5).to_numpy(dtype=float) / DAYS_PER_MONTH,
            "cause": np.where(when.notna(), 1, np.where(patients["ongoing"], 0, 2)),
        }
    )
    _add_size(context, "first_reduction", patients.index, "exposed patients all of whose doses are recorded")
    add_incidence(
        context.ard,
        "first_reduction",
        rows,
        {"exposed": ("Any sorafenib", pd.Series(True, index=rows.index))},
        context.plan,
        causes={"reduction": ("First dose reduction", (1,)), "stop": ("Stop before any reduction", (2,))},
        population=POPULATION,
        estimand_id=ESTIMAND,
        reason="",
        words="Aalen-Johansen from the first dose, permanent stop competing",
        months=_months_reported(context.plan),
    )


# --- the effect of duration ---------------------------------------------------------------------------------------

_STARTERS: Final = "Patients who started sorafenib within the grace period"
_CAUTION: Final = (
    "who stops differs from who goes on (adverse events, liver function, wish), of which only baseline is adjusted for"
)


def _add_effect_of_duration(
    context: SafetyContext, courses: Courses, adsl: pd.DataFrame, adtte: pd.DataFrame
) -> pd.DataFrame:
    """Add recurrence-free survival by duration: from landmarks, and the biased comparison by duration reached."""
    rfs = adtte[texts(adtte["PARAMCD"]) == "RFS"].set_index("USUBJID")
    starters = adsl[(texts(adsl["TRT01A"]) == SORAFENIB).fillna(False).to_numpy(dtype=bool)]
    starters = starters[starters["USUBJID"].isin(courses.patients.index) & starters["USUBJID"].isin(rfs.index)]
    time = starters["USUBJID"].map(rfs["AVAL"].astype(float))
    starters = starters.assign(
        time=numbers(time), event=(starters["USUBJID"].map(rfs["CNSR"].astype(float)) == 0).to_numpy(dtype=bool)
    )
    starters = starters[(starters["time"] > 0).to_numpy(dtype=bool)].reset_index(drop=True)
    months_taken = starters["USUBJID"].map(courses.patients["days"]) / DAYS_PER_MONTH
    drawn = []
    for month in context.plan.exposure.duration_landmarks_months:
        day = pd.to_datetime(starters["TRTSDT"]) + round(month * DAYS_PER_MONTH) * _DAY
        begun = starters["USUBJID"].map(courses.patients["first"]) <= day
        at_risk = starters[((starters["time"] > month) & begun).to_numpy(dtype=bool)]
        on_drug = _on_drug(courses, at_risk["USUBJID"], day.reindex(at_risk.index))
        later = at_risk["USUBJID"].map(courses.patients["end"]) > day.reindex(at_risk.index)
        population = f"{_STARTERS}, recurrence-free, alive and under observation {month:g} months after RFA"
        analysis = f"landmark_{horizon(month)}"
        resumed = at_risk.loc[(~on_drug & later).to_numpy(dtype=bool), "USUBJID"]
        context.ard.add(
            analysis,
            "n",
            len(resumed),
            unit="count",
            variable="resumed",
            population=population,
            estimand_id=DURATION,
            engine=COUNTED,
            method="patients in an interruption on that day, which counts as stopped since its end was not known then",
            members=resumed,
        )
        drawn += _compare(
            context,
            analysis,
            month,
            at_risk.assign(time=at_risk["time"] - month),
            on_drug,
            ("on_drug", "stopped"),
            population,
            f"hazard ratio of recurrence or death from month {month:g} on, on the drug then against not; {_CAUTION}",
        )
        drawn += _compare(
            context,
            f"naive_{horizon(month)}",
            month,
            starters,
            months_taken >= month,
            ("longer", "shorter"),
            f"{_STARTERS}, followed from RFA (biased by immortal time)",
            f"biased by immortal time, shown as a warning: hazard ratio of recurrence or death from RFA, at least "
            f"{month:g} months of sorafenib in the end against less",
        )
    columns = ["months", "analysis", "adjusted", "hr", "lo", "hi", "n_longer", "n_shorter", "events_longer",
               "events_shorter", "ard_id"]  # fmt: skip
    return pd.DataFrame(drawn, columns=columns)


def _on_drug(courses: Courses, subjects: pd.Series, day: pd.Series) -> pd.Series:
    """Return who had a dose on their day, by the index of `subjects`."""
    days = pd.Series(day.to_numpy(), index=subjects.to_numpy(dtype=object))
    own = courses.taken["USUBJID"].map(days)
    holding = courses.taken.loc[
        ((courses.taken["start"] <= own) & (courses.taken["end"] >= own)).to_numpy(dtype=bool), "USUBJID"
    ]
    return subjects.isin(holding)


def _compare(
    context: SafetyContext,
    analysis: str,
    month: float,
    rows: pd.DataFrame,
    longer: pd.Series,
    groups: tuple[str, str],
    population: str,
    words: str,
) -> list[dict]:
    """Add the hazard ratio of the longer treated, unadjusted and adjusted; return what is drawn of them."""
    plan = context.plan
    design = covariate_design(rows, plan, plan.adjustment_set)
    drawn = []
    for variable, inside, x in (
        ("unadjusted", pd.Series(True, index=rows.index), pd.DataFrame(index=rows.index)),
        ("adjusted", design.complete, design.x),
    ):
        own = rows[inside.to_numpy(dtype=bool)]
        treated = longer.reindex(own.index).astype(bool)
        counts = {}
        for group, chosen in zip(groups, (treated, ~treated), strict=True):
            members = own[chosen.to_numpy(dtype=bool)]
            for stat, who, what in (
                ("n", members["USUBJID"], "patients"),
                ("events", members.loc[members["event"].to_numpy(dtype=bool), "USUBJID"], "patients with an event"),
            ):
                context.ard.add(
                    analysis,
                    stat,
                    len(who),
                    unit="count",
                    group=group,
                    variable=variable,
                    population=population,
                    estimand_id=DURATION,
                    method=what if variable == "unadjusted" else f"{what}, with all covariates of the adjustment set",
                    engine=COUNTED,
                    members=who,
                )
                counts[stat, group] = len(who)
        why = untested({group: counts["n", group] for group in groups}, plan)
        fit = None
        if not why:
            matrix = x.reindex(own.index)
            matrix.insert(0, TREATMENT, treated.astype(float))
            fit, why = attempt(cox_fit, matrix, own["time"], own["event"])
        ratio, why = hazard_ratio(fit, TREATMENT, plan.confidence_level, why)
        said = f"{words}; Cox, adjusted at baseline for {design.words}" if variable == "adjusted" else f"{words}; Cox"
        values = (NAN, NAN, NAN) if ratio is None else (ratio.estimate, ratio.ci_low, ratio.ci_high)
        identifier = context.ard.add(
            analysis,
            "hr",
            values[0],
            ci_low=values[1],
            ci_high=values[2],
            p_value=NAN if ratio is None else ratio.p,
            unit="ratio",
            group="contrast",
            variable=variable,
            population=population,
            estimand_id=DURATION,
            method=why or said,
            engine=COX,
        )
        drawn.append(
            {
                "months": float(month),
                "analysis": analysis.partition("_")[0],
                "adjusted": "Y" if variable == "adjusted" else "N",
                "hr": values[0],
                "lo": values[1],
                "hi": values[2],
                "n_longer": counts["n", groups[0]],
                "n_shorter": counts["n", groups[1]],
                "events_longer": counts["events", groups[0]],
                "events_shorter": counts["events", groups[1]],
                "ard_id": identifier,
            }
        )
    return drawn


# --- swimmer plot -------------------------------------------------------------------------------------------------


def _swimmer(courses: Courses, adsl: pd.DataFrame, adae: pd.DataFrame) -> pd.DataFrame:
    """Return what a swimmer plot draws: at most :data:`SWIMMERS` patients, evenly spread over the lengths of courses.

    Patients are ranked from the longest course to the shortest (ties by USUBJID); of more than :data:`SWIMMERS` those
    at evenly spaced ranks are taken, the first and the last among them.
    """
    ranked = courses.patients.reset_index().sort_values(["days", "USUBJID"], ascending=[False, True], kind="stable")
    count = len(ranked)
    if count > SWIMMERS:
        ranked = ranked.iloc[np.round(np.linspace(0, count - 1, SWIMMERS)).astype(int)]
    position = pd.Series(np.arange(1, len(ranked) + 1), index=ranked["USUBJID"].to_numpy(dtype=object))
    by_patient = adsl.set_index("USUBJID").reindex(position.index)
    zero = pd.to_datetime(by_patient["TRTSDT"])

    def months(who: pd.Series, dates: pd.Series, add_days: int = 0) -> np.ndarray:
        since = pd.to_datetime(dates).to_numpy() - zero.reindex(who.to_numpy(dtype=object)).to_numpy()
        return (since / np.timedelta64(1, "D") + add_days) / DAYS_PER_MONTH

    def rows(kind: str, frame: pd.DataFrame, start: str, end: str | None = None) -> pd.DataFrame:
        who = frame["USUBJID"]
        return pd.DataFrame(
            {
                "patient": position.reindex(who.to_numpy(dtype=object)).to_numpy(dtype=int),
                "kind": kind,
                "start_months": months(who, frame[start]),
                "end_months": months(who, frame[end], add_days=1) if end else np.nan,
                "dose_mg": frame["dose"].to_numpy(dtype=float) if "dose" in frame else np.nan,
                "reason": frame["reason"].astype("string").to_numpy(dtype=object) if "reason" in frame else None,
            }
        )

    people = by_patient.rename_axis("USUBJID").reset_index()
    people["seen"] = pd.to_datetime(people["DTHDT"]).fillna(pd.to_datetime(people["LSTALVDT"]))
    stopped = ranked[~ranked["ongoing"].to_numpy(dtype=bool)]
    severe = adae[
        (numbers(adae["ATOXGR"]) >= 3)
        & (texts(adae["TRTEMFL"]) == "Y").fillna(False)
        & adae["USUBJID"].isin(position.index)
        & adae["ASTDT"].notna()
    ]
    inside = courses.taken[courses.taken["USUBJID"].isin(position.index)]
    parts = [
        rows("follow_up", people, "TRTSDT", "seen"),
        rows("dose", inside.drop(columns="reason"), "start", "end"),
        rows("stop", stopped, "end"),
        rows("recurrence", people[people["RECDT"].notna()], "RECDT"),
        rows("death", people[people["DTHDT"].notna()], "DTHDT"),
        rows("event", severe[["USUBJID", "ASTDT"]], "ASTDT"),
    ]
    frame = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    frame["of"] = count
    frame = frame.astype({"reason": "string", "dose_mg": "float64", "end_months": "float64"})
    order = ["patient", "kind", "start_months", "end_months", "dose_mg"]
    return frame.sort_values(order, kind="stable", ignore_index=True)
