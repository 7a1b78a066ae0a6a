"""Recurrence lies between two examinations: how much the estimates owe to taking the date of detection for it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sorafenib_rfa.estimates.common import NAN, attempt, horizon
from sorafenib_rfa.estimates.comparison import Comparison
from sorafenib_rfa.estimates.contrasts import (
    TREATMENT,
    WEIGHTED,
    ComparedPart,
    add_basis,
    add_ratio,
    comparison_common,
    treatment,
)
from sorafenib_rfa.stats.interval_censoring import turnbull, turnbull_resampled, weibull_interval
from sorafenib_rfa.vocabulary import EVENT_DEATH

ENGINE = "sorafenib_rfa.stats.interval_censoring"
TURNBULL_RESAMPLES = 200
"""Fewer than the plan's: each resample is an iterative fit, and percentile limits of a description need no more."""


def add_imaging_intervals(part: ComparedPart, comparison: Comparison) -> None:
    """Add Weibull hazard ratios on intervals and on dates of detection, and Turnbull's curves for RFS."""
    key = comparison.endpoint.lower()
    common = comparison_common(comparison)
    rows = comparison.scored
    low, high = recurrence_intervals(rows, comparison.start_months)
    unknown = _unknown(comparison.frame)
    why = unknown or part.why_not(comparison, rows, weighted=True)
    _add_widths(part, comparison, unknown)
    entry = (
        f"time {comparison.start_words}; recurrence lies after the last clear and up to the first positive imaging, an "
        "interval that begins before entry being cut there, since who enters is free of recurrence then; deaths have "
        "their dates (a recurrence between the last examination and a death is not known)"
    )
    on_dates = np.where(rows["event"], rows["from_start"], np.inf)
    models = {
        f"{key}_interval_censored_overlap": (low, high, entry),
        f"{key}_detection_dates_overlap": (
            rows["from_start"].to_numpy(dtype=float),
            on_dates,
            f"time {comparison.start_words}; recurrence taken to happen on the day of its detection: beside the "
            "interval-censored model, so that the difference is due to interval censoring alone",
        ),
    }
    for analysis, (lower, upper, words) in models.items():
        add_basis(part.ard, analysis, rows, rows["event"], True, common)
        fit, reason = None, why
        if not reason:
            fit, reason = attempt(weibull_interval, treatment(rows), lower, upper, weights=rows["w_overlap"])
        add_ratio(
            part.ard,
            analysis,
            "hr",
            None if fit is None else fit.hazard_ratio(TREATMENT, part.plan.confidence_level),
            reason,
            f"Weibull proportional hazards model, {WEIGHTED}; {words}; sandwich variance, the weights taken as known, "
            "delta method, Wald interval",
            ENGINE,
            common,
        )
    if comparison.endpoint == "RFS":
        _add_turnbull(part, comparison, unknown)


def recurrence_intervals(rows: pd.DataFrame, start: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the limits (lower, upper] of every event, in months from entry.

    A recurrence of unknown last clear imaging lies between entry and its detection; one of unknown first positive
    imaging has its date; upper is infinite for the censored.
    """
    time = rows["from_start"].to_numpy(dtype=float)
    event = rows["event"].to_numpy(dtype=bool)
    recurred = event & (rows["cause"] != EVENT_DEATH).to_numpy(dtype=bool)
    detected = rows["INTHI"].to_numpy(dtype=float) - start
    upper = np.where(recurred & (detected > 0), detected, time)
    clear = np.nan_to_num(rows["INTLO"].to_numpy(dtype=float) - start, nan=0.0)
    lower = np.where(recurred, np.clip(clear, 0.0, upper), time)
    return lower, np.where(event, upper, np.inf)


def _recurrences(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["event"] & (frame["cause"] != EVENT_DEATH)]


def _unknown(frame: pd.DataFrame) -> str:
    """Return why there are no intervals, or ''."""
    recurrences = _recurrences(frame)
    if recurrences.empty:
        return "not estimable: no recurrences"
    if recurrences["INTLO"].isna().all() or recurrences["INTHI"].isna().all():
        return "not estimable: the dates of examinations are not recorded"
    return ""


def _add_widths(part: ComparedPart, comparison: Comparison, unknown: str) -> None:
    """Add quartiles of the time between the last clear and the first positive imaging, by arm."""
    recurrences = _recurrences(comparison.frame)
    for arm in comparison.arms.labels:
        own = recurrences[recurrences["arm"] == arm]
        width = (own["INTHI"] - own["INTLO"]).dropna()
        common = {
            "group": comparison.arms.slug(arm),
            "engine": "sorafenib_rfa.estimates.imaging_intervals",
            **comparison_common(comparison),
        }
        analysis = f"{comparison.endpoint.lower()}_imaging_interval"
        part.ard.add(
            analysis,
            "n",
            len(width),
            unit="count",
            method="recurrences with a last clear and a first positive imaging",
            members=own.loc[width.index, "USUBJID"],
            **common,
        )
        reason = unknown or ("not estimable: no recurrences in the group" if width.empty else "")
        for stat, share in (("q1", 0.25), ("median", 0.5), ("q3", 0.75)):
            part.ard.add(
                analysis,
                stat,
                NAN if reason else float(width.quantile(share)),
                unit="months",
                method=reason or "between the last clear and the first positive imaging of a recurrence (description)",
                **common,
            )


def _add_turnbull(part: ComparedPart, comparison: Comparison, unknown: str) -> None:
    """Add the nonparametric survival at the horizons by arm, without a model and without imputation."""
    plan, start = part.plan, comparison.start_months
    months = list(plan.horizons_months)
    for arm in comparison.arms.labels:
        own = comparison.frame[comparison.frame["arm"] == arm]
        low, high = recurrence_intervals(own, start)
        fitted, why = None, unknown
        if not why:
            fitted, why = attempt(turnbull, low, high)
        limits = np.full((2, len(months)), NAN)
        inside = [month for month in months if start < month <= start + own["from_start"].max()] if fitted else []
        if fitted is not None and inside:
            drawn = turnbull_resampled(
                low, high, np.array(inside) - start, seed=part.seed, replicates=TURNBULL_RESAMPLES
            )
            tail = (1 - plan.confidence_level) / 2
            where = [months.index(month) for month in inside]
            limits[:, where] = np.quantile(drawn, [tail, 1 - tail], axis=0)
        for j, month in enumerate(months):
            reason, value = why, NAN
            if fitted is not None and month not in inside:
                reason = (
                    f"not estimable: month {month:g} is before observation starts or after the group's follow-up ends"
                )
            elif fitted is not None:
                lowest, highest = (float(bound[0]) for bound in fitted.survival([month - start]))
                value = (lowest + highest) / 2
                within = (
                    f"; the month lies in an interval within which survival is between {100 * lowest:.1f} and "
                    f"{100 * highest:.1f} percent, the middle is given"
                    if highest - lowest > 1e-9
                    else ""
                )
            part.ard.add(
                "rfs_turnbull",
                "survival",
                100 * value,
                ci_low=100 * limits[0, j] if not reason else NAN,
                ci_high=100 * limits[1, j] if not reason else NAN,
                unit="percent",
                group=comparison.arms.slug(arm),
                variable=horizon(month),
                method=reason
                or f"Turnbull's nonparametric estimate of intervals {comparison.start_words}, unweighted{within}; "
                f"percentile interval of {TURNBULL_RESAMPLES} bootstrap resamples, approximate because the estimate "
                "converges more slowly than the bootstrap assumes",
                engine=ENGINE,
                **comparison_common(comparison),
            )
