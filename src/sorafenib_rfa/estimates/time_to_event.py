"""Time to event beyond one hazard ratio: competing risks, restricted means, effects over time, intervals, centres.

Who is compared, and from when, is :mod:`sorafenib_rfa.estimates.comparison`: patients at the landmark where arms are
formed by exposure, all patients of a randomised trial. Times are printed in months since time zero.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from sorafenib_rfa.arms import arms_of
from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.estimates.ard import ArdBuilder, Estimates
from sorafenib_rfa.estimates.bootstrap import BootstrapDifference, BootstrapIncidence, OverlapResamples
from sorafenib_rfa.estimates.centres import add_centres
from sorafenib_rfa.estimates.common import NAN, attempt, hazard_ratio, horizon
from sorafenib_rfa.estimates.comparison import COMPARED, Comparison, compare, entered
from sorafenib_rfa.estimates.contrasts import (
    KNOWN_WEIGHTS,
    TREATMENT,
    WEIGHTED,
    ComparedPart,
    add_basis,
    add_ratio,
    comparison_common,
    treatment,
)
from sorafenib_rfa.estimates.covariates import covariate_design, texts
from sorafenib_rfa.estimates.effect_over_time import add_effect_over_time
from sorafenib_rfa.estimates.imaging_intervals import add_imaging_intervals
from sorafenib_rfa.estimates.survival import FIRST_EVENTS, RECURRENCE_OR_DEATH
from sorafenib_rfa.stats.competing_risks import CumulativeIncidence, aalen_johansen, fine_gray
from sorafenib_rfa.stats.cox import cox_fit
from sorafenib_rfa.stats.errors import EstimationError
from sorafenib_rfa.stats.kaplan_meier import RmstContrast, confidence_limits, rmst_contrast
from sorafenib_rfa.vocabulary import EVENT_EHS, EVENT_IDR, EVENT_LTP

FIRST_EVENT = "E4_FIRST_EVENT"
BOOTSTRAP = "sorafenib_rfa.estimates.bootstrap"
_RESAMPLED = "bootstrap resamples of patients, the propensity score fitted anew in each"


def estimate_time_to_event(
    adsl: pd.DataFrame,
    adtte: pd.DataFrame,
    weights: pd.DataFrame,
    plan: Plan,
    cohort: CohortConfig,
    cohort_name: str,
    record: str,
    *,
    seed: int,
) -> Estimates:
    """Compare the arms in time to event, beyond one hazard ratio.

    Parameters
    ----------
    adsl, adtte : DataFrame
        ADaM datasets.
    weights : DataFrame
        As :func:`estimate_baseline` made them; empty when the propensity score could not be estimated.
    plan : Plan
        Landmark, horizons, ``effect_over_time``, covariates, confidence level.
    cohort : CohortConfig
        Arms and endpoints.
    cohort_name : str
        Its name.
    record : str
        Path of the job record.
    seed : int
        Of the bootstraps.

    Returns
    -------
    Estimates
        ARD part ``time_to_event``. Curves:

        ``cif_weighted``: ``group, label, cause, cause_label, time_months, incidence, ci_low, ci_high, n_risk``, as
        ``cif_first_event``, weighted; one row of NaN for each curve that cannot be estimated.

        ``effect_over_time``: ``endpoint, kind`` (piecewise, spline, event)``, time_months, end_months`` (of a piece;
        infinite in the last)``, hr, lo, hi`` (NaN where not estimable)``, events_treated, events_control, ard_id``; a
        row of kind event is one event, with 1 under its arm.

        ``centres``: ``endpoint, label, key, role`` (centre, pooled, prediction, left_out)``, n, events, hr, lo, hi,
        weight_percent, reason, ard_id``.
    """
    landmark = entered(adsl)
    design = covariate_design(landmark, plan, plan.adjustment_set)
    treated = (texts(landmark["LMTRT"]) == arms_of(cohort).treated)[design.complete].to_numpy(dtype=bool)
    part = ComparedPart(
        ard=ArdBuilder(cohort_name, "time_to_event", record),
        plan=plan,
        comparisons={
            endpoint: compare(adsl, adtte, weights, plan, cohort, endpoint)
            for endpoint in COMPARED
            if endpoint in cohort.endpoints
        },
        design=design,
        resamples=None
        if weights.empty
        else OverlapResamples.draw(design.x.to_numpy(), treated, seed=seed, replicates=plan.bootstrap_resamples),
        seed=seed,
    )
    if "RFS" in part.comparisons:
        part.curves["cif_weighted"] = _add_incidence(part, part.comparisons["RFS"], cohort)
        _add_competing(part, part.comparisons["RFS"])
    for comparison in part.comparisons.values():
        _add_rmst(part, comparison)
        if comparison.endpoint in ("RFS", "TTR"):
            add_imaging_intervals(part, comparison)
    followed = [part.comparisons[endpoint] for endpoint in ("RFS", "OS") if endpoint in part.comparisons]
    part.curves["effect_over_time"] = pd.concat(
        [add_effect_over_time(part, comparison) for comparison in followed], ignore_index=True
    )
    part.curves["centres"] = pd.concat([add_centres(part, comparison) for comparison in followed], ignore_index=True)
    return part.ard.estimates(part.curves)


# --- weighted cumulative incidence -----------------------------------------------------------------


def causes_of(cause: pd.Series, cohort: CohortConfig) -> Mapping[str, tuple[str, tuple[int, ...]]]:
    """Return the causes to tell apart: kinds of first event, or recurrence and death where no site is recorded.

    Where a recurrence lay is known from imaging only. A kind that nobody had keeps its rows, unless recurrences were
    recorded and none with its site.
    """
    unspecified = FIRST_EVENTS["recurrence_unspecified"][1]
    sites_lost = cause.isin(unspecified).any() and not cause.isin([EVENT_LTP, EVENT_IDR, EVENT_EHS]).any()
    if sites_lost or not cohort.offers("imaging"):
        return RECURRENCE_OR_DEATH
    return {
        key: value
        for key, value in FIRST_EVENTS.items()
        if key != "recurrence_unspecified" or cause.isin(value[1]).any()
    }


def _add_incidence(part: ComparedPart, comparison: Comparison, cohort: CohortConfig) -> pd.DataFrame:
    """Add the weighted cumulative incidence of each first event by arm and their difference; return the curves."""
    plan, arms = part.plan, comparison.arms
    rows = comparison.scored
    causes = causes_of(comparison.frame["cause"], cohort)
    number = {code: j + 1 for j, (_, codes) in enumerate(causes.values()) for code in codes}
    codes = rows["cause"].map(number).fillna(0).astype(int)
    common = comparison_common(comparison, FIRST_EVENT)
    analysis = "first_event_overlap"
    add_basis(part.ard, analysis, rows, codes > 0, True, common, what="a first event")
    why = part.why_not(comparison, rows, weighted=True)
    own = {arm: rows["arm"] == arm for arm in arms.labels}
    curves: dict[str, CumulativeIncidence] = {}
    spread, at = None, np.zeros(0)
    if not why:
        for arm in arms.labels:
            chosen = own[arm]
            fitted, reason = attempt(
                aalen_johansen,
                rows["from_start"][chosen],
                codes[chosen],
                weights=rows["w_overlap"][chosen],
                n_causes=len(causes),
                level=plan.confidence_level,
            )
            why = why or reason
            if fitted is not None:
                curves[arm] = fitted
    if not why:
        assert part.resamples is not None
        horizons = [month - comparison.start_months for month in plan.horizons_months]
        at = np.unique(np.concatenate([*(curve.time for curve in curves.values()), horizons]))
        inside, followed = part.resampled(rows)
        spread, why = attempt(
            part.resamples.incidence,
            inside,
            followed["from_start"].to_numpy(dtype=float),
            followed["cause"].map(number).fillna(0).to_numpy(dtype=np.intp),
            len(causes),
            at,
        )
    words = f"weighted Aalen-Johansen {comparison.start_words}, other first events competing, {WEIGHTED}"
    drawn = []
    for j, (key, (cause_label, _)) in enumerate(causes.items()):
        for arm in arms.labels:
            members = rows.loc[own[arm] & (codes == j + 1), "USUBJID"]
            part.ard.add(
                analysis,
                "n",
                len(members),
                unit="count",
                group=arms.slug(arm),
                variable=key,
                method=f"patients whose first event was: {cause_label} (unweighted count)",
                engine=BOOTSTRAP,
                members=members,
                **common,
            )
        for month in plan.horizons_months:
            _add_incidence_at(part, comparison, analysis, key, j + 1, month, curves, spread, at, why, words)
        for arm in arms.labels:
            curve = (
                _no_incidence(comparison)
                if spread is None
                else _incidence_frame(part, comparison, curves[arm], spread, at, j + 1, arm == arms.treated)
            )
            names = {"group": arms.slug(arm), "label": arm, "cause": key, "cause_label": cause_label}
            drawn.append(pd.concat([pd.DataFrame(names, index=curve.index), curve], axis=1))
    return pd.concat(drawn, ignore_index=True)


def _add_incidence_at(
    part: ComparedPart,
    comparison: Comparison,
    analysis: str,
    key: str,
    cause: int,
    month: float,
    curves: Mapping[str, CumulativeIncidence],
    spread: BootstrapIncidence | None,
    at: np.ndarray,
    why: str,
    words: str,
) -> None:
    """Add the weighted incidence of one cause at one horizon: by arm, and the difference."""
    from scipy.special import ndtr, ndtri

    arms, level = comparison.arms, part.plan.confidence_level
    elapsed = month - comparison.start_months
    found = dict.fromkeys(arms.labels, NAN)
    if spread is not None and elapsed <= 0:
        why = f"not estimable: month {month:g} is before observation starts"
    elif spread is not None:
        found = {arm: float(curves[arm].at([elapsed], cause).incidence[0]) for arm in arms.labels}
    place = {"variable": key, "level": horizon(month), "unit": "percent", "engine": BOOTSTRAP}
    common = comparison_common(comparison, FIRST_EVENT)
    position = int(np.searchsorted(at, elapsed)) if spread is not None else 0
    reasons = {}
    for arm, errors in zip(arms.labels, ("treated_std_err", "control_std_err"), strict=True):
        value, method = found[arm], why
        low = high = NAN
        if not method and np.isnan(value):
            method = f"not estimable: follow-up of the group ends before month {month:g}"
        reasons[arm] = method
        if not method:
            assert spread is not None
            error = getattr(spread, errors)[cause - 1, position]
            low, high = (
                float(limit[0]) for limit in confidence_limits(np.array([value]), np.array([error]), level, "log-log")
            )
            method = f"{words}; log-log interval with the standard error of {spread.replicates} {_RESAMPLED}"
            if np.isnan(low):
                method = f"{words}; no interval: nobody has had the event"
        part.ard.add(
            analysis,
            "incidence",
            100 * value,
            ci_low=100 * low,
            ci_high=100 * high,
            group=arms.slug(arm),
            method=method,
            **place,
            **common,
        )
    method = why or next((reason for reason in reasons.values() if reason), "")
    difference, error = NAN, NAN
    if not method:
        assert spread is not None
        difference = found[arms.treated] - found[arms.control]
        error = float(spread.difference_std_err[cause - 1, position])
        if not error > 0:
            difference, error, method = NAN, NAN, "not estimable: nobody in either arm has had the event"
    z = float(ndtri(0.5 + level / 2))
    part.ard.add(
        analysis,
        "difference",
        100 * difference,
        ci_low=100 * (difference - z * error),
        ci_high=100 * (difference + z * error),
        p_value=float(2 * ndtr(-abs(difference / error))),
        group="contrast",
        method=method
        or f"percentage points, {arms.treated} minus {arms.control}; {words}; Wald interval with the standard error of "
        f"{spread.replicates} {_RESAMPLED}",  # type: ignore[union-attr]
        **place,
        **common,
    )


def _incidence_frame(
    part: ComparedPart,
    comparison: Comparison,
    curve: CumulativeIncidence,
    spread: BootstrapIncidence,
    at: np.ndarray,
    cause: int,
    treated: bool,
) -> pd.DataFrame:
    """Return one weighted incidence curve with its pointwise bootstrap band."""
    errors = spread.treated_std_err if treated else spread.control_std_err
    incidence = curve.incidence[:, cause - 1]
    own_errors = errors[cause - 1, np.searchsorted(at, curve.time)]
    low, high = confidence_limits(incidence, own_errors, part.plan.confidence_level, "log-log")
    certain = incidence == 0  # the transformed interval is undefined; it is drawn closed
    start = comparison.start_months
    return pd.DataFrame(
        {
            "time_months": np.concatenate([[start], start + curve.time]),
            "incidence": np.concatenate([[0.0], incidence]),
            "ci_low": np.concatenate([[0.0], np.where(certain, 0.0, low)]),
            "ci_high": np.concatenate([[0.0], np.where(certain, 0.0, high)]),
            "n_risk": np.concatenate([curve.n_risk[:1], curve.n_risk]),
        }
    )


def _no_incidence(comparison: Comparison) -> pd.DataFrame:
    """Return the row that stands for a curve that cannot be estimated."""
    columns = dict.fromkeys(("incidence", "ci_low", "ci_high", "n_risk"), NAN)
    return pd.DataFrame([{"time_months": comparison.start_months} | columns])


# --- hazards of recurrence and of death ------------------------------------------------------------


def _add_competing(part: ComparedPart, comparison: Comparison) -> None:
    """Add cause-specific and subdistribution hazard ratios of recurrence and of death without recurrence."""
    number = {code: j + 1 for j, (_, codes) in enumerate(RECURRENCE_OR_DEATH.values()) for code in codes}
    for j, key in enumerate(RECURRENCE_OR_DEATH):
        for weighted in (False, True):
            _add_competing_models(part, comparison, key, j + 1, number, weighted)


def _add_competing_models(
    part: ComparedPart, comparison: Comparison, key: str, cause: int, number: Mapping[int, int], weighted: bool
) -> None:
    """Add both hazard ratios of one cause, covariate-adjusted or overlap-weighted."""
    if weighted:
        rows = comparison.scored
        x = treatment(rows)
    else:
        rows, x = part.adjusted(comparison.frame)
    codes = rows["cause"].map(number).fillna(0).astype(int)
    happened = codes == cause
    why = part.why_not(comparison, rows, weighted)
    if not why and not weighted and int(happened.sum()) <= x.shape[1]:
        why = f"not estimable: {int(happened.sum())} events do not determine {x.shape[1]} coefficients"
    suffix = "overlap" if weighted else "adjusted"
    common = comparison_common(comparison, FIRST_EVENT)
    event_words = "recurrence" if key == "recurrence" else "death without recurrence"
    shared = {"weights": rows["w_overlap"] if weighted else None}
    how = WEIGHTED if weighted else f"adjusted for the plan's covariates ({part.design.words}; complete cases)"

    fit, reason = None, why
    if not why:
        fit, reason = attempt(cox_fit, x, rows["from_start"], happened, robust=weighted, **shared)
    ratio, reason = hazard_ratio(fit, TREATMENT, part.plan.confidence_level, reason)
    analysis = f"{key}_cause_specific_{suffix}"
    add_basis(part.ard, analysis, rows, happened, weighted, common, what=event_words)
    add_ratio(
        part.ard,
        analysis,
        "hr",
        ratio,
        reason,
        f"cause-specific hazard ratio of {event_words}, the other first event censoring; Cox model with Efron's ties "
        f"{comparison.start_words}, {how}; {KNOWN_WEIGHTS if weighted else 'model-based variance'}; Wald interval",
        "sorafenib_rfa.stats.cox",
        common,
    )

    grey, reason = None, why
    if not why:
        grey, reason = attempt(
            fine_gray,
            x,
            rows["from_start"],
            codes,
            cause_of_interest=cause,
            convention="survival" if weighted else "cmprsk",
            **shared,
        )
    ratio, reason = hazard_ratio(
        None if grey is None else grey.weighted_cox, TREATMENT, part.plan.confidence_level, reason
    )
    analysis = f"{key}_fine_gray_{suffix}"
    add_basis(part.ard, analysis, rows, happened, weighted, common, what=event_words)
    variance = (
        "as finegray and coxph of R's survival: Efron's ties, sandwich variance clustered by patient, the weights and "
        "the censoring distribution taken as known"
        if weighted
        else "as crr of R's cmprsk: Breslow's ties, variance with the censoring distribution estimated"
    )
    add_ratio(
        part.ard,
        analysis,
        "shr",
        ratio,
        reason,
        f"Fine-Gray subdistribution hazard ratio of {event_words}, the other first event competing, "
        f"{comparison.start_words}, {how}; {variance}; Wald interval",
        "sorafenib_rfa.stats.competing_risks",
        common,
    )


# --- restricted means ------------------------------------------------------------------------------


def _add_rmst(part: ComparedPart, comparison: Comparison) -> None:
    """Add ratios of restricted means at all horizons, and the means and differences that efficacy does not give."""
    plan = part.plan
    months = sorted({*plan.horizons_months, plan.rmst_horizon_months})
    for weighted in (False, True):
        analysis = f"{comparison.endpoint.lower()}_rmst" + ("_overlap" if weighted else "")
        rows = part.rows(comparison, weighted)
        add_basis(part.ard, analysis, rows, rows["event"], weighted, comparison_common(comparison))
        why = part.why_not(comparison, rows, weighted)
        for month in months:
            contrast, spread, reason = _restricted_means(part, comparison, rows, month, weighted, why)
            _add_rmst_at(part, comparison, analysis, month, contrast, spread, weighted, reason)


def _restricted_means(
    part: ComparedPart, comparison: Comparison, rows: pd.DataFrame, month: float, weighted: bool, why: str
) -> tuple[RmstContrast | None, BootstrapDifference | None, str]:
    """Return the contrast to `month` with its bootstrap spread where weighted, or why there is none."""
    tau = month - comparison.start_months
    if why:
        return None, None, why
    if tau <= 0:
        return None, None, f"not estimable: month {month:g} is before observation starts"
    try:
        contrast = rmst_contrast(
            rows["from_start"],
            rows["event"],
            rows["arm"],
            tau,
            reference=comparison.arms.control,
            weights=rows["w_overlap"] if weighted else None,
            level=part.plan.confidence_level,
        )
        if not contrast.log_ratio_std_err > 0:
            return None, None, f"not estimable: no events up to month {month:g}, hence no standard error"
        if not weighted:
            return contrast, None, ""
        assert part.resamples is not None
        inside, followed = part.resampled(rows)
        spread = part.resamples.rmst_difference(
            inside, followed["from_start"].to_numpy(dtype=float), followed["event"].to_numpy(dtype=bool), tau
        )
    except EstimationError as error:
        return None, None, f"not estimable: {error}"
    return contrast, spread, ""


def _add_rmst_at(
    part: ComparedPart,
    comparison: Comparison,
    analysis: str,
    month: float,
    contrast: RmstContrast | None,
    spread: BootstrapDifference | None,
    weighted: bool,
    why: str,
) -> None:
    """Add the rows of one horizon."""
    from scipy.special import ndtr, ndtri

    arms = comparison.arms
    z = float(ndtri(0.5 + part.plan.confidence_level / 2))
    free = "" if comparison.endpoint == "OS" else "without the event "
    words = f"restricted mean months {free}{comparison.start_words} to month {month:g}"
    if spread is None:
        errors = "Greenwood standard errors"
    else:
        words += f", {WEIGHTED}"
        errors = f"standard error of {spread.replicates} {_RESAMPLED}"
    common = {
        "variable": horizon(month),
        "engine": BOOTSTRAP if weighted else "sorafenib_rfa.stats.kaplan_meier",
        **comparison_common(comparison),
    }

    def add(stat: str, group: str, unit: str, value: float, error: float, method: str, tested: bool = True) -> None:
        part.ard.add(
            analysis,
            stat,
            value,
            ci_low=value - z * error,
            ci_high=value + z * error,
            p_value=float(2 * ndtr(-abs(value / error))) if tested and error > 0 else NAN,
            group=group,
            unit=unit,
            method=why or method,
            **common,
        )

    log_ratio = log_error = NAN
    if contrast is not None:
        log_ratio = float(np.log(contrast.ratio))
        log_error = contrast.log_ratio_std_err if spread is None else spread.log_ratio_std_err
    part.ard.add(
        analysis,
        "ratio",
        float(np.exp(log_ratio)),
        ci_low=float(np.exp(log_ratio - z * log_error)),
        ci_high=float(np.exp(log_ratio + z * log_error)),
        p_value=float(2 * ndtr(-abs(log_ratio / log_error))) if log_error > 0 else NAN,
        group="contrast",
        unit="ratio",
        method=why
        or f"ratio, {arms.treated} over {arms.control}, of the {words}; Wald interval on the log scale, "
        + ("delta method with " if spread is None else "")
        + errors,
        **common,
    )
    if month == part.plan.rmst_horizon_months:
        return  # the means and their difference at the plan's horizon are the part efficacy's
    values = {arms.treated: (NAN, NAN), arms.control: (NAN, NAN), "": (NAN, NAN)}
    if contrast is not None:
        treated, control = contrast.rmst_group, contrast.rmst_reference
        values = {
            arms.treated: (treated.estimate, treated.std_err if spread is None else spread.treated_std_err),
            arms.control: (control.estimate, control.std_err if spread is None else spread.control_std_err),
            "": (contrast.difference, contrast.difference_std_err if spread is None else spread.std_err),
        }
    for arm in arms.labels:
        add("rmst", arms.slug(arm), "months", *values[arm], f"{words}; {errors}, Wald interval", tested=False)
    add(
        "difference",
        "contrast",
        "months",
        *values[""],
        f"difference, {arms.treated} minus {arms.control}, of the {words}; {errors}, Wald interval",
    )
