"""Exposure to sorafenib: how long it was taken, at which dose, and why it was reduced, interrupted or stopped."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.estimates.ard import Estimates
from sorafenib_rfa.estimates.common import NAN, attempt, quantile_values
from sorafenib_rfa.estimates.covariates import numbers, texts
from sorafenib_rfa.estimates.safety_context import SafetyContext
from sorafenib_rfa.stats.kaplan_meier import kaplan_meier
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH

COUNTED = "sorafenib_rfa.estimates.exposure"
ESTIMAND = "S4_EXPOSURE"
STOP_REASONS = ("adverse_event", "progression", "patient_choice", "planned", "death")


def estimate_exposure(
    adex: pd.DataFrame, adsl: pd.DataFrame, adae: pd.DataFrame, plan: Plan, cohort_name: str, record: str
) -> Estimates:
    """Describe the drug taken by those who took any before a recurrence.

    Parameters
    ----------
    adex, adsl, adae : DataFrame
        ADaM datasets.
    plan : Plan
        Confidence level, labelled dose.
    cohort_name : str
        Its name.
    record : str
        Path of the job record.

    Returns
    -------
    Estimates
        ARD part ``exposure``.
    """
    context = SafetyContext.prepare(
        "exposure", ESTIMAND, adsl, adae, adex, plan, cohort_name=cohort_name, record=record
    )
    _add_taken(context, adex)
    return context.ard.estimates({})


def _add_taken(context: SafetyContext, adex: pd.DataFrame) -> None:
    """Add duration, dose, reductions, interruptions and stops of the exposed."""
    frame = context.patients["exposed"]
    plan = context.plan
    common = {
        "group": "exposed",
        "population": "Patients with any sorafenib before recurrence",
        "estimand_id": context.estimand,
        "engine": COUNTED,
    }
    doses = adex[adex["USUBJID"].isin(frame["USUBJID"])].sort_values(["USUBJID", "EXSEQ"])
    last_seen = frame.set_index("USUBJID")
    last_seen = pd.to_datetime(last_seen["DTHDT"]).fillna(pd.to_datetime(last_seen["LSTALVDT"]))
    by_patient = doses.groupby("USUBJID")
    final = by_patient.tail(1).set_index("USUBJID")
    first = pd.to_datetime(by_patient["EXSTDT"].min())
    adjustments = texts(final["EXADJ"]).fillna("")  # a centre may record no reason
    ongoing = (final["EXENDT"].isna() | (adjustments == "ongoing")).astype(bool)
    end = pd.to_datetime(final["EXENDT"]).fillna(last_seen.reindex(final.index))
    days = (end - first.reindex(final.index)).dt.days + 1

    curve, reason = attempt(
        kaplan_meier,
        days.to_numpy(dtype=float) / DAYS_PER_MONTH,
        (~ongoing).to_numpy(dtype=bool),
        level=plan.confidence_level,
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
            method=reason or words,
            **{**common, "engine": "sorafenib_rfa.stats.kaplan_meier"},
        )

    dose = numbers(doses["EXDOSE"])
    length = numbers(doses["EXDURD"])
    taken = (dose * length).groupby(doses["USUBJID"]).sum(min_count=1)
    mean_dose = (taken / days.reindex(taken.index)).dropna()
    spread = float(mean_dose.std(ddof=1)) if len(mean_dose) > 1 else NAN
    half = _t_quantile(plan.confidence_level, len(mean_dose) - 1) * spread / np.sqrt(max(len(mean_dose), 1))
    mean = float(mean_dose.mean()) if len(mean_dose) else NAN
    none = "" if len(mean_dose) else "not estimable: nobody has dosing intervals with a dose"
    said = none or "each patient's dose taken over the days from first to last dose, interruptions counted as 0 mg"
    context.ard.add(
        "dosing",
        "mean",
        mean,
        ci_low=mean - half,
        ci_high=mean + half,
        unit="measure",
        variable="daily_dose_mg",
        method=said + ("" if none else "; interval by Student's t"),
        **common,
    )
    lone = "not estimable: one patient only" if len(mean_dose) == 1 else said
    context.ard.add("dosing", "sd", spread, unit="measure", variable="daily_dose_mg", method=lone, **common)
    context.ard.add(
        "dosing",
        "mean",
        100 * mean / plan.exposure.full_dose_mg_per_day,
        ci_low=100 * (mean - half) / plan.exposure.full_dose_mg_per_day,
        ci_high=100 * (mean + half) / plan.exposure.full_dose_mg_per_day,
        unit="percent",
        variable="relative_dose_intensity",
        method=none or f"mean daily dose relative to {plan.exposure.full_dose_mg_per_day:.0f} mg",
        **common,
    )

    previous = dose.where(dose > 0).groupby(doses["USUBJID"]).ffill().groupby(doses["USUBJID"]).shift()
    reduced = pd.Index(doses.loc[(dose > 0) & (dose < previous), "USUBJID"].unique())
    gap = (
        pd.to_datetime(doses["EXSTDT"]) - pd.to_datetime(doses["EXENDT"]).groupby(doses["USUBJID"]).shift()
    ).dt.days > 1
    interrupted = pd.Index(doses.loc[(dose == 0) | gap, "USUBJID"].unique())
    counts = {
        "reduced": (reduced, "patients with a dose below their dose before"),
        "interrupted": (interrupted, "patients with days without the drug between two doses"),
        "stopped": (final.index[~ongoing], "patients who stopped for good, for any reason"),
        "ongoing": (final.index[ongoing], "patients still on the drug at last contact"),
    }
    for adjustment in STOP_REASONS:
        own = final.index[~ongoing & (adjustments == adjustment)]
        counts[f"stopped_{adjustment}"] = (own, f"patients who stopped for good; reason {adjustment}")
    for key, (members, what) in counts.items():
        context.proportion(
            "dosing",
            {"exposed": members},
            variable=key,
            what=what,
            population=common["population"],
            denominators={"exposed": final.index},
            contrast=False,
        )
    context.ard.add(
        "dosing",
        "n",
        len(final),
        unit="count",
        variable="with_dosing_records",
        method="exposed patients with dosing records",
        members=final.index,
        **common,
    )


def _t_quantile(level: float, freedom: int) -> float:
    """Return Student's t quantile of a two-sided interval; NaN without degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + level / 2)) if freedom > 0 else NAN
