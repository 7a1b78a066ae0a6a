"""Sensitivity analyses: how far the comparison of the arms depends on what was chosen and on what was not seen.

Matching instead of weighting; missing covariates imputed instead of left out; how strong an unmeasured confounder, or
how much worse the fate of censored patients, would have to be to change the conclusion; a negative control; and the
specification curve (:mod:`sorafenib_rfa.estimates.specifications`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from sorafenib_rfa.arms import Arms, arms_of
from sorafenib_rfa.config.models import CohortConfig, Plan, Sensitivity
from sorafenib_rfa.estimates.ard import ArdBuilder, Estimates
from sorafenib_rfa.estimates.bootstrap import OverlapResamples
from sorafenib_rfa.estimates.common import NAN, attempt, hazard_ratio, horizon, untested
from sorafenib_rfa.estimates.comparison import COMPARED, Comparison, Target, compare, entered, in_population
from sorafenib_rfa.estimates.covariates import Design, covariate_design, logarithm, numbers, texts
from sorafenib_rfa.estimates.evalue import add_evalue
from sorafenib_rfa.estimates.imputation import Completed, complete, outcome_columns
from sorafenib_rfa.estimates.specifications import add_specifications
from sorafenib_rfa.estimates.target_trial import conduct, followed
from sorafenib_rfa.stats.balance import smd_binary, smd_categorical, smd_continuous
from sorafenib_rfa.stats.cox import CoxFit, HazardRatio, cox_fit
from sorafenib_rfa.stats.errors import ConvergenceError, EstimationError
from sorafenib_rfa.stats.kaplan_meier import rmst_contrast
from sorafenib_rfa.stats.matching import Matching, caliper_match, paired_rmst
from sorafenib_rfa.stats.multiple_imputation import Pooled, pool
from sorafenib_rfa.stats.propensity import logistic_fit, propensity_weights
from sorafenib_rfa.stats.tipping import CensoringModel, confounding_bias, tipping_prevalence
from sorafenib_rfa.stats.weighted_risk import WeightedRisks, weighted_risks

COX = "sorafenib_rfa.stats.cox"
MATCHING = "sorafenib_rfa.stats.matching"
BALANCE = "sorafenib_rfa.stats.balance"
IMPUTATION = "sorafenib_rfa.stats.multiple_imputation"
TIPPING = "sorafenib_rfa.stats.tipping"
RISKS = "sorafenib_rfa.stats.weighted_risk"

TREATMENT = "treatment"
_MOST_FAILED = 0.05
_CHANGED = (
    "the interval lies on another side of the value of no effect, or holds it where it did not, or no longer does"
)


@dataclass
class _Part:
    """What every analysis of the part needs."""

    ard: ArdBuilder
    plan: Plan
    settings: Sensitivity
    arms: Arms
    landmark: pd.DataFrame
    comparisons: dict[str, Comparison]
    weights: pd.DataFrame
    seed: int
    curves: dict[str, list[pd.DataFrame]] = field(default_factory=dict)

    @property
    def level(self) -> float:
        """Confidence level."""
        return self.plan.confidence_level

    @property
    def treated(self) -> pd.Series:
        """Arm of the patients at the landmark."""
        return (texts(self.landmark["LMTRT"]) == self.arms.treated).astype(bool)

    def horizon_of(self, comparison: Comparison) -> float:
        """Return the plan's horizon in months since entry."""
        return self.plan.rmst_horizon_months - comparison.start_months

    def reason(self, comparison: Comparison, frame: pd.DataFrame) -> str:
        """Return why the patients of `frame` are not compared, or ''."""
        if self.weights.empty:
            return "not estimable: the propensity score could not be estimated"
        return untested({arm: int((frame["arm"] == arm).sum()) for arm in comparison.arms.labels}, self.plan)


def estimate_sensitivity(
    adsl: pd.DataFrame,
    adtte: pd.DataFrame,
    ablations: pd.DataFrame,
    weights: pd.DataFrame,
    plan: Plan,
    cohort: CohortConfig,
    cohort_name: str,
    record: str,
    *,
    seed: int,
) -> Estimates:
    """Run the sensitivity analyses that the plan declares.

    Parameters
    ----------
    adsl, adtte : DataFrame
        ADaM datasets.
    ablations : DataFrame
        Clean table; ``USUBJID, ablation_date, complication_term`` of the index session are the negative control.
    weights : DataFrame
        As :func:`sorafenib_rfa.estimates.baseline.estimate_baseline` made them; empty without a propensity score.
    plan : Plan
        Its ``sensitivity`` declares what is done.
    cohort : CohortConfig
        Its arms and endpoints.
    cohort_name, record : str
        Name of the cohort; path of the job record.
    seed : int
        Of imputation and bootstrap.

    Returns
    -------
    Estimates
        ARD part ``sensitivity``. Curves: ``matching`` (``endpoint, pair, treated_subject, control_subject,
        treated_logit, control_logit, caliper``); ``tipping_confounding`` (``endpoint, kind`` (grid, boundary,
        benchmark)``, label, crosses`` (boundary: estimate, low or high limit)``, prevalence_treated,
        prevalence_control, confounder_hr, hr, lo, hi, changes, ard_id``); ``tipping_censoring`` (``endpoint, arm,
        label, delta, difference, difference_lo, difference_hi, hr, lo, hi, difference_changes, hr_changes, ard_id``);
        ``specifications`` (:func:`sorafenib_rfa.estimates.specifications.add_specifications`).

    Raises
    ------
    ValueError
        If the plan has no section ``sensitivity``.
    """
    if plan.sensitivity is None:
        raise ValueError("the plan declares no sensitivity analyses (section `sensitivity`)")
    endpoints = [e for e in plan.sensitivity.specifications.endpoints if e in COMPARED and e in cohort.endpoints]
    part = _Part(
        ard=ArdBuilder(cohort_name, "sensitivity", record),
        plan=plan,
        settings=plan.sensitivity,
        arms=arms_of(cohort),
        landmark=entered(adsl),
        comparisons={endpoint: compare(adsl, adtte, weights, plan, cohort, endpoint) for endpoint in endpoints},
        weights=weights,
        seed=seed,
    )
    sizes = {arm: int((texts(part.landmark["LMTRT"]) == arm).sum()) for arm in part.arms.labels}
    completed, not_imputed = None, untested(sizes, plan)
    if not not_imputed:
        completed, not_imputed = attempt(_completed, part, adsl, adtte)
    _add_imputed(part, completed, not_imputed)
    resamples, no_resamples = _resamples(part)
    for comparison in part.comparisons.values():
        _add_matched(part, comparison)
        ratio, why = _overlap_ratio(part, comparison)
        add_evalue(
            part.ard,
            f"evalue_{comparison.endpoint.lower()}",
            None if ratio is None else (ratio.estimate, ratio.ci_low, ratio.ci_high),
            float(comparison.scored["event"].mean()) if len(comparison.scored) else NAN,
            reason=why,
            of="the overlap-weighted hazard ratio from entry",
            common=_common(comparison),
        )
        _add_confounding(part, comparison, ratio, why)
        _add_censoring(part, comparison, resamples, no_resamples)
    _add_negative_control(part, ablations)
    curves = {name: pd.concat(frames, ignore_index=True) for name, frames in part.curves.items()}
    curves["specifications"] = add_specifications(part.ard, adsl, adtte, plan, cohort, completed, not_imputed)
    return part.ard.estimates(curves)


def _common(comparison: Comparison, extra: str = "", target: Target = "overlap") -> dict[str, Any]:
    """Return what all rows of one endpoint share."""
    estimand = in_population(comparison.estimand, target)
    return {"group": "contrast", "population": comparison.population + extra, "estimand_id": estimand}


def _add_ratio(
    part: _Part, analysis: str, fit: CoxFit | None, why: str, words: str, common: Mapping[str, Any]
) -> HazardRatio | None:
    """Add the treatment's hazard ratio of a fit, or why there is none."""
    ratio, why = hazard_ratio(fit, TREATMENT, part.level, why)
    values = (NAN,) * 4 if ratio is None else (ratio.estimate, ratio.ci_low, ratio.ci_high, ratio.p)
    part.ard.add(
        analysis,
        "hr",
        values[0],
        ci_low=values[1],
        ci_high=values[2],
        p_value=values[3],
        unit="ratio",
        method=why or f"{part.arms.treated} against {part.arms.control}: {words}; Wald interval and p value",
        engine=COX,
        **common,
    )
    return ratio


def _exposure(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({TREATMENT: frame["treated"].astype(float)})


def _overlap_ratio(part: _Part, comparison: Comparison) -> tuple[HazardRatio | None, str]:
    """Return the overlap-weighted hazard ratio from the landmark on, or why there is none."""
    frame = comparison.scored
    fit, why = None, part.reason(comparison, frame)
    if not why:
        fit, why = attempt(
            cox_fit, _exposure(frame), frame["from_start"], frame["event"], weights=frame["w_overlap"], robust=True
        )
    return hazard_ratio(fit, TREATMENT, part.level, why)


# --- matching --------------------------------------------------------------------------------------


def _add_matched(part: _Part, comparison: Comparison) -> None:
    """Add the comparison of matched pairs: who found a partner, balance, hazard ratio, restricted means."""
    key = f"matched_{comparison.endpoint.lower()}"
    frame = comparison.scored.reset_index(drop=True)
    matching, why = None, part.reason(comparison, frame)
    if not why:
        matching, why = attempt(caliper_match, frame["ps"], frame["treated"], part.settings.caliper_sd)
    words = (
        f"one-to-one nearest-neighbour matching without replacement on the logit of the propensity score, caliper "
        f"{part.settings.caliper_sd:g} standard deviations, highest score first; effect in the treated who can be "
        "matched"
    )
    population = "; treated patients with a partner and their partners"
    common = _common(comparison, population, "treated")
    counts: list[tuple[float, pd.Series | None]] = [(NAN, None)] * 3
    if matching is not None:
        who, lone = frame["USUBJID"], ~matching.matched
        counts = [
            # a pair is named by its treated patient; the partners are in the curve `matching`
            (len(matching.pairs), who[matching.pairs[:, 0]]),
            (matching.unmatched_treated, who[lone & frame["treated"]]),
            (matching.unmatched_control, who[lone & ~frame["treated"]]),
        ]
    for (stat, group, said), (count, members) in zip(
        (
            ("pairs", "contrast", "matched pairs"),
            ("unmatched", part.arms.slug(part.arms.treated), "patients without a partner within the caliper"),
            ("unmatched", part.arms.slug(part.arms.control), "patients nobody was matched with"),
        ),
        counts,
        strict=True,
    ):
        part.ard.add(
            key,
            stat,
            count,
            unit="count",
            method=why or f"{said}: {words}",
            engine=MATCHING,
            members=members,
            **{**common, "group": group},
        )
    if matching is not None:
        part.curves.setdefault("matching", []).append(_pairs(comparison, frame, matching))
    matched = None if matching is None else frame.iloc[matching.members].reset_index(drop=True)
    events = None if matched is None else matched.loc[matched["event"], "USUBJID"]
    part.ard.add(
        key,
        "events",
        NAN if events is None else len(events),
        unit="count",
        method=why or f"events among matched patients: {words}",
        engine=MATCHING,
        members=events,
        **common,
    )
    _add_matched_balance(part, key, frame, matching, why, common)
    fit, no_fit = None, why
    mean, no_mean = None, why
    tau = part.horizon_of(comparison)
    if matching is not None and matched is not None:
        small = untested({arm: len(matching.pairs) for arm in part.arms.labels}, part.plan)
        no_fit = no_mean = small
        if not small:
            fit, no_fit = attempt(
                cox_fit,
                _exposure(matched),
                matched["from_start"],
                matched["event"],
                cluster=matching.pair_of_member,
            )
            mean, no_mean = attempt(paired_rmst, frame["from_start"], frame["event"], matching, tau, part.level)
    model = (
        f"Cox model with Efron's ties {comparison.start_words} in matched pairs ({words}); variance clustered by pair"
    )
    _add_ratio(part, key, fit, no_fit, model, common)
    values = (NAN,) * 4 if mean is None else (mean.difference, mean.ci_low, mean.ci_high, mean.p)
    part.ard.add(
        key,
        "difference",
        values[0],
        ci_low=values[1],
        ci_high=values[2],
        p_value=values[3],
        unit="months",
        variable=horizon(part.plan.rmst_horizon_months),
        method=no_mean
        or f"difference in restricted mean survival time to month {part.plan.rmst_horizon_months:g} in matched pairs "
        f"({words}); influence-function variance clustered by pair, Wald interval",
        engine=MATCHING,
        **common,
    )


def _pairs(comparison: Comparison, frame: pd.DataFrame, matching: Matching) -> pd.DataFrame:
    treated, control = matching.pairs.T
    return pd.DataFrame(
        {
            "endpoint": comparison.endpoint,
            "pair": np.arange(1, len(matching.pairs) + 1),
            "treated_subject": frame["USUBJID"].to_numpy()[treated],
            "control_subject": frame["USUBJID"].to_numpy()[control],
            "treated_logit": matching.score[treated],
            "control_logit": matching.score[control],
            "caliper": matching.caliper,
        }
    )


def _add_matched_balance(
    part: _Part, key: str, frame: pd.DataFrame, matching: Matching | None, why: str, common: Mapping[str, Any]
) -> None:
    """Add standardised differences of the adjustment set in the pairs, and the largest of them."""
    largest = NAN
    for name in part.plan.adjustment_set:
        value, reason = None, why
        if matching is not None:
            value, reason = attempt(_matched_smd, part, name, frame, matching)
            if value is not None and np.isinf(value):
                value, reason = None, "not estimable: the arms differ without spread within them"
        value = NAN if value is None else value
        largest = float(np.nanmax([largest, abs(value)])) if np.isfinite([largest, value]).any() else NAN
        part.ard.add(
            key,
            "smd",
            value,
            unit="statistic",
            variable=name,
            method=reason or "standardised difference in matched pairs, standard deviations of all scored patients",
            engine=BALANCE,
            **common,
        )
    part.ard.add(
        key,
        "largest_smd",
        largest,
        unit="statistic",
        method=why or "largest absolute standardised difference of the adjustment set in matched pairs",
        engine=BALANCE,
        **common,
    )


def _matched_smd(part: _Part, name: str, frame: pd.DataFrame, matching: Matching) -> float:
    covariate = part.plan.covariates[name]
    column = part.landmark.loc[frame["USUBJID"], covariate.variable]
    treated = frame["treated"].to_numpy(dtype=bool)
    kept = matching.matched.astype(float)
    if covariate.kind == "continuous":
        x = logarithm(numbers(column)) if covariate.transform == "log10" else numbers(column)
        return smd_continuous(x.to_numpy(), treated, kept, unweighted_spread=True)
    if covariate.kind == "binary":
        flags = (texts(column) == covariate.positive).to_numpy(dtype=float)
        return smd_binary(flags, treated, kept, unweighted_spread=True)
    return smd_categorical(texts(column).to_numpy(dtype=str), treated, kept)


# --- multiple imputation ---------------------------------------------------------------------------


def _completed(part: _Part, adsl: pd.DataFrame, adtte: pd.DataFrame) -> Completed:
    """Impute the covariates of all adjustment sets in all analysed patients, once for all analyses."""
    choices = part.settings.specifications
    subjects = adsl.assign(USUBJID=texts(adsl["USUBJID"]).astype(object)).set_index("USUBJID", drop=False).sort_index()
    exposure = {"exposed": texts(subjects["EXPOSFL"]) == "Y"}
    for days in sorted({part.plan.landmark_day, *choices.grace_period_days}):
        exposure[f"started by day {days}"] = np.isfinite(conduct(adsl, days)["start"])
    outcome = {endpoint: followed(adtte, endpoint, subjects.index) for endpoint in part.comparisons}
    sets = [part.plan.adjustment_set, *choices.adjustment_sets.values()]
    return complete(
        subjects,
        pd.DataFrame(exposure, index=subjects.index).astype(float),
        outcome_columns(subjects.index, outcome),
        part.plan,
        list(dict.fromkeys(name for names in sets for name in names)),
        imputations=part.settings.imputations,
        seed=part.seed,
    )


def _add_imputed(part: _Part, completed: Completed | None, why: str) -> None:
    """Add the overlap-weighted comparison with missing covariates imputed."""
    plan = part.plan
    for name in plan.adjustment_set:
        label = plan.covariates[name].label
        imputed = None if completed is None else completed.missing[name]
        part.ard.add(
            "imputed",
            "n",
            NAN if imputed is None else len(imputed),
            unit="count",
            variable=name,
            method=why or f"analysed patients in whom {label} was missing and imputed",
            members=imputed,
            engine=IMPUTATION,
            population="All analysed patients",
        )
    part.ard.add(
        "imputation",
        "imputations",
        part.settings.imputations,
        unit="count",
        method="completed data sets that the plan asks for",
        engine=IMPUTATION,
        population="All analysed patients",
    )
    scores: list[np.ndarray] = []
    if completed is not None:
        found, why = attempt(_overlap_weights, part, completed)
        scores = found or []
    for comparison in part.comparisons.values():
        _add_pooled(part, comparison, scores, why)


def _overlap_weights(part: _Part, completed: Completed) -> list[np.ndarray]:
    """Return the overlap weights of each completed data set, in the order of the landmark population."""
    if all(completed.missing[name].empty for name in part.plan.adjustment_set):
        raise EstimationError("no covariate of the adjustment set is missing: there is nothing to impute")
    treated = part.treated.to_numpy(dtype=bool)
    weights = []
    for frame in completed.frames:
        design = covariate_design(frame.loc[part.landmark.index], part.plan, part.plan.adjustment_set)
        weights.append(propensity_weights(logistic_fit(design.x, treated).fitted, treated, "overlap"))
    return weights


def _add_pooled(part: _Part, comparison: Comparison, weights: list[np.ndarray], why: str) -> None:
    """Add hazard ratio and difference of restricted means over the imputations."""
    key = f"imputed_{comparison.endpoint.lower()}"
    frame = comparison.frame
    common = _common(comparison, ", missing covariates imputed")
    why = why or untested(comparison.sizes, part.plan)
    inside = part.landmark.index.get_indexer(frame["USUBJID"])
    imputations = part.settings.imputations
    words = (
        f"weighted by overlap of the propensity score, {imputations} imputations of the missing covariates by "
        "chained equations (predictive mean matching; Bayesian logistic models) that hold arm, all covariates, event "
        "indicators and Nelson-Aalen cumulative hazards; the score fitted in each; robust variance within, weights "
        "taken as known; Rubin's rules"
    )
    part.ard.add(
        key,
        "n",
        len(frame),
        unit="count",
        method="patients, with imputed covariates",
        engine=IMPUTATION,
        members=frame["USUBJID"],
        **common,
    )
    estimates: dict[str, Pooled | None] = {"hr": None, "difference": None}
    reasons = {"hr": why, "difference": why}
    if not why:
        own = [w[inside] for w in weights]
        estimates["hr"], reasons["hr"] = attempt(_pooled_ratio, part, frame, own)
        estimates["difference"], reasons["difference"] = attempt(
            _pooled_difference, part, frame, own, part.horizon_of(comparison)
        )
    for stat, pooled in estimates.items():
        variable = "" if stat == "hr" else horizon(part.plan.rmst_horizon_months)
        what = (
            f"Cox model with Efron's ties {comparison.start_words}"
            if stat == "hr"
            else f"difference in restricted mean survival time to month {part.plan.rmst_horizon_months:g}"
        )
        turned: Callable[[float], float] = np.exp if stat == "hr" else float
        values = (NAN,) * 4
        if pooled is not None:
            values = (turned(pooled.estimate), turned(pooled.ci_low), turned(pooled.ci_high), pooled.p)
        part.ard.add(
            key,
            stat,
            values[0],
            ci_low=values[1],
            ci_high=values[2],
            p_value=values[3],
            unit="ratio" if stat == "hr" else "months",
            variable=variable,
            method=reasons[stat] or f"{what}, {words} (Barnard and Rubin's degrees of freedom)",
            engine=IMPUTATION,
            **common,
        )
        for extra, value, unit, said in (
            ("fmi", NAN if pooled is None else pooled.fmi, "proportion", "fraction of missing information"),
            ("df", NAN if pooled is None else pooled.df, "statistic", "degrees of freedom (Barnard and Rubin 1999)"),
        ):
            part.ard.add(
                key,
                f"{stat}_{extra}",
                value,
                unit=unit,
                variable=variable,
                method=reasons[stat] or f"{said} of the estimate over {imputations} imputations",
                engine=IMPUTATION,
                **common,
            )


def _pooled_ratio(part: _Part, frame: pd.DataFrame, weights: list[np.ndarray]) -> Pooled:
    """Return the pooled log hazard ratio; complete-data degrees of freedom: events less one coefficient."""
    fits = [cox_fit(_exposure(frame), frame["from_start"], frame["event"], weights=w, robust=True) for w in weights]
    coefficients, errors = [fit.coef[0] for fit in fits], [fit.se[0] for fit in fits]
    return pool(coefficients, np.square(errors), max(int(frame["event"].sum()) - 1, 1), part.level)


def _pooled_difference(part: _Part, frame: pd.DataFrame, weights: list[np.ndarray], tau: float) -> Pooled:
    """Return the pooled difference of restricted means; complete-data degrees of freedom: patients less two."""
    contrasts = [
        rmst_contrast(
            frame["from_start"],
            frame["event"],
            frame["arm"],
            tau,
            reference=part.arms.control,
            weights=w,
            level=part.level,
        )
        for w in weights
    ]
    return pool(
        [contrast.difference for contrast in contrasts],
        np.square([contrast.difference_std_err for contrast in contrasts]),
        len(frame) - 2,
        part.level,
    )


# --- E-value ---------------------------------------------------------------------------------------


# --- unmeasured confounding ------------------------------------------------------------------------


def _side(low: np.ndarray | float, high: np.ndarray | float, null: float) -> np.ndarray:
    """Return -1, 0 or 1: the interval lies below the value of no effect, holds it, or lies above."""
    return np.where(np.asarray(high) < null, -1, np.where(np.asarray(low) > null, 1, 0))


def _add_confounding(part: _Part, comparison: Comparison, ratio: HazardRatio | None, why: str) -> None:
    """Add how an unmeasured binary confounder would change the hazard ratio over the plan's grid."""
    key, tipping = f"tipping_confounding_{comparison.endpoint.lower()}", part.settings.tipping
    common = _common(comparison)
    grid = pd.DataFrame(
        [
            ("grid", treated, control, strength)
            for strength in tipping.hazard_ratios
            for treated in tipping.prevalence_treated
            for control in tipping.prevalence_control
        ],
        columns=["kind", "prevalence_treated", "prevalence_control", "confounder_hr"],
    )
    if ratio is not None:
        bias = confounding_bias(grid["prevalence_treated"], grid["prevalence_control"], grid["confounder_hr"])
        grid = grid.assign(hr=ratio.estimate / bias, lo=ratio.ci_low / bias, hi=ratio.ci_high / bias)
        grid["changes"] = _side(grid["lo"], grid["hi"], 1.0) != _side(ratio.ci_low, ratio.ci_high, 1.0)
    drawn: list[dict[str, Any]] = grid.to_dict("records")
    if ratio is not None:
        for strength in tipping.hazard_ratios:
            for crosses, value in (("estimate", ratio.estimate), ("low", ratio.ci_low), ("high", ratio.ci_high)):
                control = np.linspace(0.0, 1.0, 101)
                treated = tipping_prevalence(value, strength, control)
                drawn += [
                    {"kind": "boundary", "crosses": crosses, "confounder_hr": strength, "prevalence_treated": t,
                     "prevalence_control": c}
                    for t, c in zip(treated, control, strict=True)
                    if np.isfinite(t)
                ]  # fmt: skip
    words = (
        "correction for an unmeasured binary confounder (Lin, Psaty and Kronmal 1998) of the overlap-weighted hazard "
        f"ratio and its interval; changed means: {_CHANGED}"
    )
    for strength in tipping.hazard_ratios:
        own = grid[grid["confounder_hr"] == strength]
        changed = own[own["changes"]] if ratio is not None else own.iloc[:0]
        apart = (changed["prevalence_treated"] - changed["prevalence_control"]).abs().round(9)
        said = f"confounder with hazard ratio {strength:g}: {words}"
        for stat, value, unit, method in (
            ("combinations", NAN if why else len(own), "count", f"pairs of prevalences examined: {said}"),
            (
                "changing",
                NAN if why else len(changed),
                "count",
                f"pairs of prevalences that change the conclusion: {said}",
            ),
            (
                "least_difference",
                apart.min() if len(apart) else NAN,
                "proportion",
                f"smallest difference of prevalence between the arms that changes the conclusion: {said}"
                if len(apart)
                else "not estimable: no pair of prevalences in the grid changes the conclusion",
            ),
        ):
            part.ard.add(
                key, stat, value, unit=unit, variable="confounder_hr", level=f"{strength:g}", method=why or method,
                engine=TIPPING, **common,
            )  # fmt: skip
    drawn += _add_benchmarks(part, comparison)
    columns = ["endpoint", "kind", "label", "crosses", "prevalence_treated", "prevalence_control", "confounder_hr",
               "hr", "lo", "hi", "changes", "ard_id"]  # fmt: skip
    frame = pd.DataFrame([{"endpoint": comparison.endpoint, **row} for row in drawn]).reindex(columns=columns)
    text = ("endpoint", "kind", "label", "crosses", "ard_id")
    frame = frame.astype(
        {name: "string" if name in text else "boolean" if name == "changes" else "float64" for name in columns}
    )
    part.curves.setdefault("tipping_confounding", []).append(frame)


def _add_benchmarks(part: _Part, comparison: Comparison) -> list[dict[str, Any]]:
    """Add how strong the measured covariates are, each as a binary confounder, and return them as points."""
    frame = comparison.scored
    rows = part.landmark.loc[frame["USUBJID"]]
    flags, labels = _binary_covariates(part, rows)
    flags = flags.set_index(frame.index)
    varying = [name for name in flags if flags[name].nunique() > 1]
    fit, why = None, part.reason(comparison, frame)
    if not why:
        fit, why = attempt(cox_fit, _exposure(frame).join(flags[varying]), frame["from_start"], frame["event"])
    points = []
    for name in varying:
        ratio, reason = (None, why) if fit is None else hazard_ratio(fit, name, part.level, why)
        values = (NAN,) * 4 if ratio is None else (ratio.estimate, ratio.ci_low, ratio.ci_high, ratio.p)
        identifier = part.ard.add(
            f"benchmark_{comparison.endpoint.lower()}",
            "hr",
            values[0],
            ci_low=values[1],
            ci_high=values[2],
            p_value=values[3],
            unit="ratio",
            variable=name,
            method=reason
            or f"{labels[name]}: Cox model {comparison.start_words} with treatment and all covariates of the "
            "adjustment set, each as a binary one",
            engine=COX,
            **_common(comparison),
        )
        if ratio is not None:
            shares = [float(flags.loc[frame["treated"] == side, name].mean()) for side in (True, False)]
            if values[0] < 1:  # the same covariate the other way round, so that all raise the hazard
                shares = [1 - share for share in shares]
            points.append(
                {
                    "kind": "benchmark",
                    "label": labels[name] if values[0] >= 1 else f"not: {labels[name]}",
                    "prevalence_treated": shares[0],
                    "prevalence_control": shares[1],
                    "confounder_hr": max(values[0], 1 / values[0]),
                    "ard_id": identifier,
                }
            )
    return points


def _binary_covariates(part: _Part, rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return each covariate of the adjustment set as 0/1 columns, and their labels."""
    columns, labels = {}, {}
    for name in part.plan.adjustment_set:
        covariate = part.plan.covariates[name]
        column = rows[covariate.variable]
        short = covariate.label.split(",")[0]
        if covariate.kind == "continuous":
            values = numbers(column)
            columns[name] = (values > values.median()).to_numpy(dtype=float)
            labels[name] = f"{short} above its median"
            continue
        values = texts(column)
        if covariate.kind == "binary":
            columns[name] = (values == covariate.positive).to_numpy(dtype=float)
            labels[name] = short
            continue
        counts = values.value_counts()
        for level in sorted(counts.index, key=lambda level: (-counts[level], level))[1:]:
            columns[f"{name}={level}"] = (values == level).to_numpy(dtype=float)
            labels[f"{name}={level}"] = f"{short}: {level}"
    return pd.DataFrame(columns), labels


# --- informative censoring -------------------------------------------------------------------------


def _resamples(part: _Part) -> tuple[tuple[OverlapResamples, Design] | None, str]:
    """Return the bootstrap resamples of the scored patients with the design they were drawn for, or why not."""
    if part.weights.empty:
        return None, "not estimable: the propensity score could not be estimated"
    design = covariate_design(part.landmark, part.plan, part.plan.adjustment_set)
    treated = part.treated[design.complete].to_numpy(dtype=bool)
    drawn = OverlapResamples.draw(
        design.x.to_numpy(), treated, seed=part.seed, replicates=part.plan.bootstrap_resamples
    )
    return (drawn, design), ""


def _add_censoring(
    part: _Part, comparison: Comparison, resamples: tuple[OverlapResamples, Design] | None, no_resamples: str
) -> None:
    """Add the comparison if the hazard after censoring were higher or lower than among patients still followed."""
    endpoint, tipping = comparison.endpoint, part.settings.tipping
    frame = comparison.scored
    why = no_resamples or part.reason(comparison, frame)
    models = None
    if not why and resamples is not None:
        models, why = attempt(_censoring_models, part, comparison, frame, *resamples)
    drawn = []
    reference, no_reference = _completed_estimates(part, models, (1.0, 1.0), why)
    for arm in part.arms.labels:
        found: dict[float, dict[str, tuple[float, float, float]]] = {}
        reasons = {}
        for delta in tipping.censoring_hazard_ratios:
            if delta == 1.0:  # the same for both arms
                found[delta], reasons[delta] = reference, no_reference
                continue
            deltas = (delta, 1.0) if arm == part.arms.treated else (1.0, delta)
            found[delta], reasons[delta] = _completed_estimates(part, models, deltas, why)
        for delta, values in found.items():
            ids = _add_delta(part, comparison, arm, delta, values, reasons[delta])
            row = {"endpoint": endpoint, "arm": part.arms.slug(arm), "label": arm, "delta": delta, "ard_id": ids["hr"]}
            for stat, prefix in (("difference", "difference_"), ("hr", "")):
                row |= {stat: values[stat][0], f"{prefix}lo": values[stat][1], f"{prefix}hi": values[stat][2]}
                row[f"{stat}_changes"] = _changed(values[stat], reference[stat], stat)
            drawn.append(row)
        _add_tipping_delta(part, comparison, arm, found, reference, why)
    part.curves.setdefault("tipping_censoring", []).append(pd.DataFrame(drawn))


def _changed(values: tuple[float, float, float], reference: tuple[float, float, float], stat: str) -> bool:
    null = 1.0 if stat == "hr" else 0.0
    known = np.isfinite([*values, *reference]).all()
    return bool(known and _side(*values[1:], null) != _side(*reference[1:], null))


def _censoring_models(
    part: _Part, comparison: Comparison, frame: pd.DataFrame, resamples: OverlapResamples, design: Design
) -> tuple[CensoringModel, CensoringModel]:
    """Return the arms with their overlap weights, and the same in every resample."""
    followed = frame.set_index("USUBJID")
    inside = design.x.index.isin(followed.index)
    followed = followed.loc[design.x.index[inside]]
    data = (followed["from_start"].to_numpy(dtype=float), followed["event"].to_numpy(dtype=bool),
            followed["treated"].to_numpy(dtype=bool))  # fmt: skip
    tau = part.horizon_of(comparison)
    weights = resamples.weights[resamples.usable][:, inside]
    for side in (data[2], ~data[2]):
        weights = weights[weights[:, side].sum(axis=1) > 0]
    _refuse_failures(len(resamples.usable) - len(weights), len(resamples.usable))
    return (
        CensoringModel(*data, followed["w_overlap"].to_numpy(dtype=float), tau),
        CensoringModel(*data, weights, tau),
    )


def _refuse_failures(failed: int, replicates: int) -> None:
    if failed > _MOST_FAILED * replicates:
        raise ConvergenceError(f"{failed} of {replicates} bootstrap resamples have no estimate")


def _completed_estimates(
    part: _Part, models: tuple[CensoringModel, CensoringModel] | None, deltas: tuple[float, float], why: str
) -> tuple[dict[str, tuple[float, float, float]], str]:
    """Return difference of restricted means and hazard ratio with bootstrap Wald intervals."""
    from scipy.special import ndtri

    none = {"difference": (NAN,) * 3, "hr": (NAN,) * 3}
    if models is None:
        return none, why
    estimate, spread = (model.completed(*deltas) for model in models)
    logs = spread.log_hazard_ratio[np.isfinite(spread.log_hazard_ratio)]
    replicates = len(spread.log_hazard_ratio)
    if len(logs) < (1 - _MOST_FAILED) * replicates or not np.isfinite(estimate.log_hazard_ratio[0]):
        return none, "not estimable: too many bootstrap resamples have no hazard ratio"
    z = float(ndtri(0.5 + part.level / 2))
    difference, log = float(estimate.rmst_difference[0]), float(estimate.log_hazard_ratio[0])
    half = z * float(np.std(spread.rmst_difference, ddof=1))
    log_half = z * float(np.std(logs, ddof=1))
    return {
        "difference": (difference, difference - half, difference + half),
        "hr": (float(np.exp(log)), float(np.exp(log - log_half)), float(np.exp(log + log_half))),
    }, ""


def _add_delta(
    part: _Part,
    comparison: Comparison,
    arm: str,
    delta: float,
    values: Mapping[str, tuple[float, float, float]],
    why: str,
) -> dict[str, str]:
    """Add both measures at one hazard ratio after censoring; return their ids."""
    end = part.plan.rmst_horizon_months
    said = (
        f"if the hazard of censored patients of {arm} were {delta:g} times that of those still followed "
        "(delta-adjusted completion of the weighted Kaplan-Meier curves, after Jackson and others 2014; the other "
        f"arm's censoring taken as uninformative) and everyone were followed to month {end:g}; overlap weights; "
        f"standard error from {part.plan.bootstrap_resamples} bootstrap resamples of patients, the propensity score "
        "fitted anew in each, Wald interval"
    )
    ids = {}
    for stat, unit, what in (
        ("difference", "months", "difference in restricted mean survival time"),
        ("hr", "ratio", "hazard ratio of a Cox model with Breslow's ties"),
    ):
        value, low, high = values[stat]
        ids[stat] = part.ard.add(
            f"tipping_censoring_{comparison.endpoint.lower()}",
            stat,
            value,
            ci_low=low,
            ci_high=high,
            unit=unit,
            variable=part.arms.slug(arm),
            level=f"{delta:g}",
            method=why or f"{what}, {part.arms.treated} against {part.arms.control}, {said}",
            engine=TIPPING,
            **_common(comparison),
        )
    return ids


def _add_tipping_delta(
    part: _Part,
    comparison: Comparison,
    arm: str,
    found: Mapping[float, Mapping[str, tuple[float, float, float]]],
    reference: Mapping[str, tuple[float, float, float]],
    why: str,
) -> None:
    """Add the hazard ratio after censoring nearest to 1 that changes the conclusion, on either measure."""
    for stat in ("difference", "hr"):
        tips = [delta for delta, values in found.items() if _changed(values[stat], reference[stat], stat)]
        nearest = min(tips, key=lambda delta: (abs(np.log(delta)), delta)) if tips else NAN
        examined = ", ".join(f"{delta:g}" for delta in found)
        part.ard.add(
            f"tipping_censoring_{comparison.endpoint.lower()}",
            f"{stat}_tips_at",
            nearest,
            unit="ratio",
            variable=part.arms.slug(arm),
            method=why
            or (
                f"hazard ratio after censoring of {arm}, of {examined} the nearest to 1, at which the conclusion "
                f"changes: {_CHANGED}"
                if tips
                else f"not estimable: no hazard ratio after censoring among {examined} changes the conclusion"
            ),
            engine=TIPPING,
            **_common(comparison),
        )


# --- negative control ------------------------------------------------------------------------------


def _add_negative_control(part: _Part, ablations: pd.DataFrame) -> None:
    """Add the complications of the index session by arm: it came before the drug, so the drug cannot be their cause."""
    scored = part.weights.assign(USUBJID=texts(part.weights["USUBJID"]))
    frame = part.landmark[["TRTSDT", "LMTRT"]].reset_index().merge(scored[["USUBJID", "w_overlap"]], on="USUBJID")
    index_date = frame.set_index("USUBJID")["TRTSDT"]
    sessions = ablations.assign(USUBJID=texts(ablations["USUBJID"]))
    index_session = sessions["ablation_date"] == sessions["USUBJID"].map(index_date)
    complicated = sessions.loc[index_session & sessions["complication_term"].notna(), "USUBJID"]
    arm = texts(frame["LMTRT"])
    outcome = frame["USUBJID"].isin(set(complicated)).to_numpy(dtype=bool)
    treated = (arm == part.arms.treated).to_numpy(dtype=bool)
    common = {
        "population": "Landmark population with all covariates of the adjustment set",
        "estimand_id": "NC_COMPLICATION",
        "engine": RISKS,
    }
    sizes = {label: int((arm == label).sum()) for label in part.arms.labels}
    what = "a complication recorded for the index RFA session, which precedes sorafenib"
    for label, side in zip(part.arms.labels, (treated, ~treated), strict=True):
        for stat, flags in (("n", side), ("events", side & outcome)):
            part.ard.add(
                "negative_control",
                stat,
                int(flags.sum()),
                unit="count",
                group=part.arms.slug(label),
                method="patients" if stat == "n" else f"patients with {what}",
                members=frame.loc[flags, "USUBJID"],
                **common,
            )
    why = "not estimable: the propensity score could not be estimated" if part.weights.empty else ""
    why = why or untested(sizes, part.plan)
    if not why and not outcome.any():
        why = "not estimable: no complication of an index session is recorded"
    found: WeightedRisks | None = None
    if not why:
        found, why = attempt(weighted_risks, outcome, treated, frame["w_overlap"], part.level)
    words = (
        f"weighted by overlap of the propensity score; sandwich variance, weights taken as known; Wald interval: {what}"
    )
    rows = [
        (part.arms.slug(part.arms.treated), "percent", "percent", None if found is None else found.treated, "risk"),
        (part.arms.slug(part.arms.control), "percent", "percent", None if found is None else found.control, "risk"),
        ("contrast", "risk_difference", "percent", None if found is None else found.difference, "risk difference"),
        ("contrast", "risk_ratio", "ratio", None if found is None else found.ratio, "risk ratio"),
    ]
    for group, stat, unit, estimate, said in rows:
        reason = why
        if not reason and estimate is None:
            reason = "not estimable: an arm has no patient with a complication of the index session"
        scale = 100.0 if unit == "percent" else 1.0
        values = (NAN,) * 4
        if estimate is not None:
            values = (
                scale * estimate.estimate,
                scale * estimate.ci_low,
                scale * estimate.ci_high,
                estimate.p if group == "contrast" else NAN,
            )
        part.ard.add(
            "negative_control",
            stat,
            values[0],
            ci_low=values[1],
            ci_high=values[2],
            p_value=values[3],
            unit=unit,
            group=group,
            method=reason or f"{said}, {words}",
            **common,
        )
