"""Efficacy: the arms compared from entry on, and the biased comparison from RFA to be warned of.

Arms by exposure are compared from the landmark (alive, recurrence-free, under observation on that day) in the arm of
exposure up to it, so nobody is credited with time in which they had to survive to be treated; everything is then
conditional on reaching the landmark. Assigned arms are compared from time zero. Times are printed in months since time
zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from sorafenib_rfa.arms import Arms, arms_of
from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.estimates.ard import ArdBuilder, Estimates
from sorafenib_rfa.estimates.bootstrap import BootstrapDifference, OverlapResamples
from sorafenib_rfa.estimates.common import NAN, attempt, hazard_ratio, horizon, untested
from sorafenib_rfa.estimates.comparison import (
    COMPARED,
    Comparison,
    Target,
    compare,
    entered,
    entrants,
    in_population,
    parameter,
)
from sorafenib_rfa.estimates.covariates import Design, covariate_design, texts
from sorafenib_rfa.estimates.survival import (
    FIRST_EVENTS,
    RECURRENCE_OR_DEATH,
    add_curve,
    add_follow_up,
    add_incidence,
    add_log_rank,
    add_size,
    curve_frame,
    risk_table,
)
from sorafenib_rfa.stats.cox import CoxFit, cox_fit
from sorafenib_rfa.stats.kaplan_meier import RmstContrast, rmst_contrast
from sorafenib_rfa.stats.proportional_hazards import cox_zph
from sorafenib_rfa.stats.time_varying import constancy_test

COX = "sorafenib_rfa.stats.cox"
ZPH = "sorafenib_rfa.stats.proportional_hazards"
KM = "sorafenib_rfa.stats.kaplan_meier"
TREATMENT = "treatment"


@dataclass(frozen=True)
class Model:
    """One way to estimate the hazard ratio."""

    key: str
    label: str
    role: str
    words: str
    weight: str | None = None
    adjusted: bool = False
    target: Target = "all"


_WEIGHTED = "robust (Lin-Wei) variance, the weights taken as known"
MODELS = (
    Model(
        "overlap",
        "Overlap-weighted",
        "main",
        "weighted by overlap of the propensity score",
        weight="w_overlap",
        target="overlap",
    ),
    Model(
        "iptw",
        "Inverse probability weighted",
        "sensitivity",
        "weighted by the stabilised inverse of the propensity score",
        weight="w_iptw",
    ),
    Model(
        "trimmed",
        "Inverse probability weighted, trimmed",
        "sensitivity",
        "weighted by the stabilised inverse of the propensity score among patients whose score lies within the plan's "
        "limits, the score fitted anew among them",
        weight="w_trimmed",
    ),
    Model(
        "att",
        "Weighted to the treated",
        "sensitivity",
        "weighted to the treated (ATT)",
        weight="w_att",
        target="treated",
    ),
    Model("adjusted", "Covariate-adjusted", "sensitivity", "adjusted for the plan's covariates", adjusted=True),
    Model("unadjusted", "Unadjusted", "sensitivity", "unadjusted"),
)


@dataclass
class _Part:
    """What every analysis of the part needs."""

    ard: ArdBuilder
    plan: Plan
    adsl: pd.DataFrame
    adtte: pd.DataFrame
    weights: pd.DataFrame
    cohort: CohortConfig
    design: Design
    resamples: OverlapResamples | None
    curves: dict[str, pd.DataFrame] = field(default_factory=dict)


def estimate_efficacy(
    adtte: pd.DataFrame,
    adsl: pd.DataFrame,
    weights: pd.DataFrame,
    plan: Plan,
    cohort: CohortConfig,
    cohort_name: str,
    record: str,
    *,
    seed: int,
) -> Estimates:
    """Compare recurrence and survival between the arms.

    Parameters
    ----------
    adtte, adsl : DataFrame
        ADaM datasets.
    weights : DataFrame
        As :func:`estimate_baseline` made them; empty when the propensity score could not be estimated.
    plan : Plan
        Landmark, horizons, covariates, confidence level.
    cohort : CohortConfig
        What the cohort offers.
    cohort_name : str
        Its name.
    record : str
        Path of the job record.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Estimates
        ARD part ``efficacy``. Curves ``km_rfs, km_os, km_ttr, cif_first_event, risk_table_rfs, risk_table_os,
        risk_table_ttr, forest_rfs, forest_os, forest_ttr`` (columns as in :mod:`sorafenib_rfa.estimates.survival`;
        forest: ``label, key, role, hr, lo, hi, p, n, events, ard_id``). Unweighted curves have ``weighting`` none.
    """
    landmark = entered(adsl)
    design = covariate_design(landmark, plan, plan.adjustment_set)
    treated = (texts(landmark["LMTRT"]) == arms_of(cohort).treated)[design.complete].to_numpy(dtype=bool)
    part = _Part(
        ard=ArdBuilder(cohort_name, "efficacy", record),
        plan=plan,
        adsl=adsl,
        adtte=adtte,
        weights=weights,
        cohort=cohort,
        design=design,
        resamples=None
        if weights.empty
        else OverlapResamples.draw(design.x.to_numpy(), treated, seed=seed, replicates=plan.bootstrap_resamples),
    )
    if plan.landmark_day:
        _add_landmark(part)
    else:
        _add_without_score(part)
    for endpoint in (e for e in COMPARED if e in cohort.endpoints):
        _compare(part, endpoint)
    if "RFS" in cohort.endpoints:
        _add_first_event(part)
    if cohort.offers("treatment"):
        for endpoint in (e for e in ("RFS", "OS") if e in cohort.endpoints):
            _add_naive(part, endpoint)
    _add_all_follow_up(part)
    return part.ard.estimates(part.curves)


# --- populations -----------------------------------------------------------------------------------


def _add_landmark(part: _Part) -> None:
    """Add who reached the landmark and why others did not."""
    adsl, plan, arms = part.adsl, part.plan, arms_of(part.cohort)
    day = plan.landmark_day
    common = {
        "unit": "count",
        "engine": "sorafenib_rfa.estimates.efficacy",
        "population": "All analysed patients",
        "estimand_id": COMPARED["RFS"],
    }
    reached, subjects = texts(adsl["LMFL"]) == "Y", adsl["USUBJID"]
    arrived = {"overall": (subjects[reached], f"alive, recurrence-free, observed on day {day}")}
    for arm in arms.labels:
        own = subjects[reached & (texts(adsl["LMTRT"]) == arm)]
        arrived[arms.slug(arm)] = (own, f"at risk on day {day}, arm by exposure up to it")
    for group, (members, method) in arrived.items():
        part.ard.add("landmark", "n", len(members), group=group, method=method, members=members, **common)
    limit = pd.to_datetime(adsl["TRTSDT"]) + pd.Timedelta(days=day)
    recurred = ~reached & (pd.to_datetime(adsl["RECDT"]) <= limit)
    died = ~reached & ~recurred & (pd.to_datetime(adsl["DTHDT"]) <= limit)
    lost = ~reached & ~recurred & ~died
    for key, flags, what in (
        ("recurred", recurred, "recurrence seen"),
        ("died", died, "died without recurrence"),
        ("lost", lost, "no longer under observation"),
    ):
        part.ard.add(
            "landmark",
            key,
            int(flags.sum()),
            variable="not_reached",
            method=f"{what} by day {day}",
            members=subjects[flags],
            **common,
        )
    _add_without_score(part)


def _add_without_score(part: _Part) -> None:
    """Add how many enter the comparison but lack a covariate."""
    part.ard.add(
        "landmark",
        "without_propensity_score",
        int((~part.design.complete).sum()),
        members=part.design.complete.index[~part.design.complete],
        method="enter the comparison but a covariate of the adjustment set is missing: not in weighted or adjusted "
        "analyses",
        unit="count",
        engine="sorafenib_rfa.estimates.efficacy",
        population="Landmark population" if part.plan.landmark_day else "All analysed patients",
        estimand_id=COMPARED["RFS"],
    )


# --- one endpoint ----------------------------------------------------------------------------------


def _compared(part: _Part, endpoint: str) -> Comparison:
    """Return the patients compared for one endpoint."""
    return compare(part.adsl, part.adtte, part.weights, part.plan, part.cohort, endpoint)


def _compare(part: _Part, endpoint: str) -> None:
    """Add everything about one endpoint, and its curves."""
    at_risk = _compared(part, endpoint)
    key, arms, start = endpoint.lower(), at_risk.arms, at_risk.start_months
    frame, scored = at_risk.frame, at_risk.scored
    reason = untested(at_risk.sizes, part.plan)
    weighted = {"population": at_risk.population, "estimand_id": at_risk.estimand}
    common = {**weighted, "estimand_id": in_population(at_risk.estimand, "all")}
    words = f"patients enter {at_risk.start_words}; months since {part.cohort.index_event}"
    drawn: list[pd.DataFrame] = []
    for arm, group in ((None, "overall"), *((arm, arms.slug(arm)) for arm in arms.labels)):
        own = frame if arm is None else frame[frame["arm"] == arm]
        add_size(part.ard, key, group, own, start, level=part.plan.confidence_level, **common)
        if arm is None:
            continue
        curve = add_curve(
            part.ard,
            f"{key}_km",
            group,
            own,
            part.plan,
            start=start,
            words=words,
            **common,
        )
        drawn.append(curve_frame(curve, group, arm, "none", start))
        weighted_own = scored[scored["arm"] == arm]
        curve = add_curve(
            part.ard,
            f"{key}_km_overlap",
            group,
            weighted_own,
            part.plan,
            start=start,
            weights=weighted_own["w_overlap"],
            words=f"{words}; weighted by overlap of the propensity score",
            **weighted,
        )
        drawn.append(curve_frame(curve, group, arm, "overlap", start))
    part.curves[f"km_{key}"] = pd.concat(drawn, ignore_index=True)
    part.curves[f"risk_table_{key}"] = risk_table(
        {arms.slug(arm): (arm, frame[frame["arm"] == arm]) for arm in arms.labels}, start
    )
    add_log_rank(
        part.ard,
        f"{key}_log_rank",
        frame,
        "arm",
        reason,
        start=start,
        words=at_risk.start_words,
        **common,
    )
    part.curves[f"forest_{key}"] = _add_models(part, at_risk, reason)
    _add_rmst(part, at_risk, reason)


def _add_models(part: _Part, at_risk: Comparison, reason: str) -> pd.DataFrame:
    """Add the hazard ratios of all models with their checks; return the rows of the forest plot."""
    rows = []
    for model in MODELS:
        frame, x, terms = _model_data(part, at_risk, model)
        weights = frame[model.weight] if model.weight else None
        sizes = {arm: int((frame["arm"] == arm).sum()) for arm in at_risk.arms.labels}
        why = reason or (_no_scores(part) if model.weight else "") or untested(sizes, part.plan)
        fit = None
        if not why:
            fit, why = attempt(
                cox_fit, x, frame["from_start"], frame["event"], weights=weights, robust=model.weight is not None
            )
        rows.append(_add_fit(part, at_risk, model, frame, fit, terms, why))
        if model.key == "overlap":
            _add_bootstrapped_ratio(part, at_risk, fit, why)
    return pd.DataFrame(rows)


def _add_bootstrapped_ratio(part: _Part, at_risk: Comparison, fit: CoxFit | None, why: str) -> None:
    """Add the overlap-weighted hazard ratio with the interval of a bootstrap that fits the propensity score anew."""
    from scipy.special import ndtr, ndtri

    value = error = NAN
    replicates = 0
    if fit is not None:
        assert part.resamples is not None  # a weighted fit exists only with a propensity score
        rows = at_risk.scored.set_index("USUBJID")
        inside = part.design.x.index.isin(rows.index)
        rows = rows.loc[part.design.x.index[inside]]
        spread, why = attempt(
            part.resamples.log_hazard_ratio,
            inside,
            rows["from_start"].to_numpy(dtype=float),
            rows["event"].to_numpy(dtype=bool),
        )
        if spread is not None:
            error, replicates = spread
            value = float(fit.coef[fit.names.index(TREATMENT)])
    z = float(ndtri(0.5 + part.plan.confidence_level / 2))
    part.ard.add(
        f"{at_risk.endpoint.lower()}_cox_overlap_bootstrap",
        "hr",
        float(np.exp(value)),
        ci_low=float(np.exp(value - z * error)),
        ci_high=float(np.exp(value + z * error)),
        p_value=float(2 * ndtr(-abs(value / error))) if error > 0 else NAN,
        unit="ratio",
        group="contrast",
        method=why
        or f"as the overlap-weighted model, standard error of the logarithm from {replicates} bootstrap resamples of "
        "patients, the propensity score fitted anew in each; Wald interval and p value",
        engine="sorafenib_rfa.estimates.bootstrap",
        population=at_risk.population,
        estimand_id=at_risk.estimand,
    )


def _no_scores(part: _Part) -> str:
    """Return why there are no weighted analyses, or ''."""
    return "" if len(part.weights) else "not estimable: the propensity score could not be estimated"


def _model_data(
    part: _Part, at_risk: Comparison, model: Model
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, list[str]]]:
    """Return rows, covariates and terms (columns tested together) of one model."""
    frame = at_risk.frame
    if model.weight:
        frame = frame[frame[model.weight] > 0]
    covariates = pd.DataFrame(index=frame.index)
    terms: dict[str, list[str]] = {}
    if model.adjusted:
        frame = frame[frame["USUBJID"].isin(part.design.x.index)]
        covariates = part.design.x.loc[frame["USUBJID"]].set_index(frame.index)
        # covariates may cease to vary among those at risk beyond the landmark
        covariates = covariates.loc[:, covariates.nunique() > 1]
        terms = {
            name: kept
            for name, columns in part.design.terms.items()
            if (kept := [column for column in columns if column in covariates])
        }
    covariates.insert(0, TREATMENT, frame["treated"].astype(float))
    return frame, covariates, terms


def _add_fit(
    part: _Part,
    at_risk: Comparison,
    model: Model,
    frame: pd.DataFrame,
    fit: CoxFit | None,
    terms: Mapping[str, list[str]],
    why: str,
) -> dict:
    """Add one fitted model: patients, events, hazard ratio, tests of proportional hazards."""
    analysis = f"{at_risk.endpoint.lower()}_cox_{model.key}"
    common = {
        "group": "contrast",
        "population": at_risk.population,
        "estimand_id": in_population(at_risk.estimand, model.target),
    }
    words = f"Cox model with Efron's ties, follow-up {at_risk.start_words}, {model.words}"
    if model.weight:
        words += f"; {_WEIGHTED}"
    if model.adjusted:
        words += f" ({part.design.words}; complete cases)"
    n, events = len(frame), int(frame["event"].sum())
    for stat, count, members in (("n", n, frame), ("events", events, frame[frame["event"]])):
        part.ard.add(
            analysis,
            stat,
            count,
            unit="count",
            method=f"{stat} in the model: {words}",
            engine=COX,
            members=members["USUBJID"],
            **common,
        )
    ratio, why = hazard_ratio(fit, TREATMENT, part.plan.confidence_level, why)
    values = (NAN,) * 4 if ratio is None else (ratio.estimate, ratio.ci_low, ratio.ci_high, ratio.p)
    identifier = part.ard.add(
        analysis,
        "hr",
        values[0],
        ci_low=values[1],
        ci_high=values[2],
        p_value=values[3],
        unit="ratio",
        method=why or f"{at_risk.arms.treated} against {at_risk.arms.control}: {words}; Wald interval and p value",
        engine=COX,
        **common,
    )
    _add_proportionality(part, analysis, model, frame, None if ratio is None else fit, terms, why, common)
    return {
        "label": model.label,
        "key": model.key,
        "role": model.role,
        "hr": values[0],
        "lo": values[1],
        "hi": values[2],
        "p": values[3],
        "n": n,
        "events": events,
        "ard_id": identifier,
    }


def _add_proportionality(
    part: _Part,
    analysis: str,
    model: Model,
    frame: pd.DataFrame,
    fit: CoxFit | None,
    terms: Mapping[str, list[str]],
    why: str,
    common: Mapping,
) -> None:
    """Add tests of proportional hazards: of a weighted model that of treatment, otherwise of each term and of all."""
    if model.weight:
        test = None
        if fit is not None:
            test, why = attempt(
                constancy_test,
                frame["treated"].astype(float),
                frame["from_start"],
                frame["event"],
                weights=frame[model.weight],
            )
        part.ard.add(
            analysis,
            "ph_chi2",
            NAN if test is None else test.chi2,
            p_value=NAN if test is None else test.p,
            unit="statistic",
            variable=TREATMENT,
            method=why
            or "robust Wald test of treatment times Kaplan-Meier time on 1 df (the score test of cox.zph takes weights "
            "as numbers of patients)",
            engine="sorafenib_rfa.stats.time_varying",
            **common,
        )
        return
    table = None
    if fit is not None:
        table, why = attempt(cox_zph, fit, terms=dict(terms))
    wanted = list(table.index) if table is not None else [TREATMENT, "GLOBAL"]
    for term in wanted:
        row = None if table is None else table.loc[term]
        part.ard.add(
            analysis,
            "ph_chi2",
            NAN if row is None else float(row["chi2"]),
            p_value=NAN if row is None else float(row["p"]),
            unit="statistic",
            variable=str(term).lower(),
            method=why
            or f"score test of proportional hazards (Grambsch-Therneau, as cox.zph of R's survival 3) on "
            f"{int(row['df'])} df, time transformed by Kaplan-Meier",
            engine=ZPH,
            **common,
        )


def _add_rmst(part: _Part, at_risk: Comparison, reason: str) -> None:
    """Add restricted means from the landmark to the plan's horizon: unweighted, and weighted with a bootstrap."""
    plan, frame = part.plan, at_risk.frame
    end = plan.rmst_horizon_months
    tau = end - at_risk.start_months
    key, arms = at_risk.endpoint.lower(), at_risk.arms
    free = "" if at_risk.endpoint == "OS" else "without the event "
    span = f"months {free}{at_risk.start_words} to month {end:g}"
    for weighting in ("none", "overlap"):
        analysis = f"{key}_rmst" + ("" if weighting == "none" else "_overlap")
        rows = frame if weighting == "none" else frame[frame["w_overlap"].notna()]
        why = reason or (_no_scores(part) if weighting == "overlap" else "")
        why = why or untested({arm: int((rows["arm"] == arm).sum()) for arm in arms.labels}, plan)
        contrast = spread = None
        if not why:
            contrast, why = attempt(
                rmst_contrast,
                rows["from_start"],
                rows["event"],
                rows["arm"],
                tau,
                reference=arms.control,
                weights=rows["w_overlap"] if weighting == "overlap" else None,
                level=plan.confidence_level,
            )
        if contrast is not None and weighting == "overlap":
            spread, why = _spread(part, rows, tau)
            contrast = contrast if spread is not None else None
        words = f"restricted mean {span}"
        if weighting == "overlap":
            words += ", weighted by overlap of the propensity score"
            if spread is not None:
                words += (
                    f"; standard error from {spread.replicates} bootstrap resamples of patients, the propensity score "
                    "fitted anew in each, Wald interval"
                )
        else:
            words += "; Greenwood standard error, Wald interval"
        common = {
            "unit": "months",
            "variable": horizon(end),
            "population": at_risk.population,
            "estimand_id": in_population(at_risk.estimand, "all" if weighting == "none" else "overlap"),
            "engine": KM if weighting == "none" else "sorafenib_rfa.estimates.bootstrap",
            "method": why or words,
        }
        _add_contrast(part, analysis, arms, contrast, spread, common)


def _spread(part: _Part, rows: pd.DataFrame, tau: float) -> tuple[BootstrapDifference | None, str]:
    """Return the bootstrap spread of the weighted restricted means, or why there is none."""
    assert part.resamples is not None  # weighted rows exist only with a propensity score
    followed = rows.set_index("USUBJID")
    inside = part.design.x.index.isin(followed.index)
    followed = followed.loc[part.design.x.index[inside]]
    return attempt(
        part.resamples.rmst_difference,
        inside,
        followed["from_start"].to_numpy(dtype=float),
        followed["event"].to_numpy(dtype=bool),
        tau,
    )


def _add_contrast(
    part: _Part,
    analysis: str,
    arms: Arms,
    contrast: RmstContrast | None,
    spread: BootstrapDifference | None,
    common: Mapping,
) -> None:
    """Add the two restricted means and their difference, with bootstrap standard errors where given."""
    from scipy.special import ndtr, ndtri

    z = float(ndtri(0.5 + part.plan.confidence_level / 2))
    first, second = arms.slug(arms.treated), arms.slug(arms.control)
    estimates = {first: (NAN, NAN), second: (NAN, NAN), "contrast": (NAN, NAN)}
    if contrast is not None:
        treated, control = contrast.rmst_group, contrast.rmst_reference
        estimates = {
            first: (treated.estimate, treated.std_err if spread is None else spread.treated_std_err),
            second: (control.estimate, control.std_err if spread is None else spread.control_std_err),
            "contrast": (contrast.difference, contrast.difference_std_err if spread is None else spread.std_err),
        }
    for group, (value, error) in estimates.items():
        p = float(2 * ndtr(-abs(value / error))) if group == "contrast" and error > 0 else NAN
        part.ard.add(
            analysis,
            "difference" if group == "contrast" else "rmst",
            value,
            ci_low=value - z * error,
            ci_high=value + z * error,
            p_value=p,
            group=group,
            **common,
        )
    if analysis.endswith("_overlap"):
        counted = "bootstrap resamples of patients in which the weighted restricted means could be estimated"
        replicates, method = (NAN, common["method"]) if spread is None else (spread.replicates, counted)
        part.ard.add(
            analysis, "resamples", replicates, group="contrast", **{**common, "unit": "count", "method": method}
        )


# --- first event, follow-up, naive -----------------------------------------------------------------


def _add_first_event(part: _Part) -> None:
    """Add the cumulative incidence of each kind of first event by arm."""
    at_risk = _compared(part, "RFS")
    arms = at_risk.arms
    part.curves["cif_first_event"] = add_incidence(
        part.ard,
        "first_event",
        at_risk.frame,
        {arms.slug(arm): (arm, at_risk.frame["arm"] == arm) for arm in arms.labels},
        part.plan,
        # where a recurrence lay is known from imaging only
        causes=FIRST_EVENTS if part.cohort.offers("imaging") else RECURRENCE_OR_DEATH,
        start=at_risk.start_months,
        population=at_risk.population,
        estimand_id=in_population("E4_FIRST_EVENT", "all"),
        reason=untested(at_risk.sizes, part.plan),
        words=f"Aalen-Johansen {at_risk.start_words}, other first events competing",
    )


def _add_all_follow_up(part: _Part) -> None:
    """Add the median follow-up from time zero by the reverse Kaplan-Meier method: all patients, and arms at entry."""
    arms = arms_of(part.cohort)
    for endpoint in ("OS", "RFS"):
        if endpoint not in part.cohort.endpoints:
            continue
        rows = parameter(part.adtte, endpoint)
        groups = {"overall": (rows, "All analysed patients")}
        reached = rows[(rows["LMFL"] == "Y") & rows["LMTRT"].notna()]
        for arm in arms.labels:
            groups[arms.slug(arm)] = (reached[reached["LMTRT"] == arm], entrants(part.plan))
        for group, (own, population) in groups.items():
            add_follow_up(part.ard, "follow_up", group, own, endpoint, part.plan, population=population)


_BIASED = "BIASED by immortal time: who is ever exposed had to stay recurrence-free until the first dose"


def _add_naive(part: _Part, endpoint: str) -> None:
    """Add the comparison from RFA by ever-exposure: biased by immortal time, shown to be warned of."""
    plan, key = part.plan, f"{endpoint.lower()}_naive"
    rows = parameter(part.adtte, endpoint)
    exposed = part.adsl.assign(USUBJID=texts(part.adsl["USUBJID"])).set_index("USUBJID")["EXPOSFL"]
    slugs = arms_of(part.cohort)
    ever = rows["USUBJID"].map(texts(exposed)) == "Y"
    arms = Arms(
        "Ever sorafenib",
        "Never sorafenib",
        {"Ever sorafenib": slugs.slug(slugs.treated), "Never sorafenib": slugs.slug(slugs.control)},
    )
    rows["arm"] = np.where(ever, arms.treated, arms.control)
    common = {
        "population": "All analysed patients from RFA, by ever-exposure (biased)",
        "estimand_id": "N1_RFS_NAIVE" if endpoint == "RFS" else "N2_OS_NAIVE",
    }
    words = f"from RFA; {_BIASED}"
    drawn = []
    for label, group in arms.slugs.items():
        own = rows[rows["arm"] == label]
        add_size(part.ard, key, group, own, 0.0, level=plan.confidence_level, **common)
        curve = add_curve(part.ard, f"{key}_km", group, own, plan, words=words, **common)
        drawn.append(curve_frame(curve, group, label, "none", 0.0))
    reason = untested({label: int((rows["arm"] == label).sum()) for label in arms.labels}, plan)
    add_log_rank(part.ard, f"{key}_log_rank", rows, "arm", reason, words=words, **common)
    fit, why = None, reason
    if not reason:
        fit, why = attempt(cox_fit, pd.DataFrame({TREATMENT: ever.astype(float)}), rows["time"], rows["event"])
    ratio, why = hazard_ratio(fit, TREATMENT, plan.confidence_level, why)
    values = (NAN,) * 4 if ratio is None else (ratio.estimate, ratio.ci_low, ratio.ci_high, ratio.p)
    identifier = part.ard.add(
        key,
        "hr",
        values[0],
        ci_low=values[1],
        ci_high=values[2],
        p_value=values[3],
        unit="ratio",
        group="contrast",
        method=why or f"{_BIASED}. Cox model with Efron's ties, unadjusted, from RFA",
        engine=COX,
        **common,
    )
    end, contrast, why = plan.rmst_horizon_months, None, reason
    if not reason:
        contrast, why = attempt(
            rmst_contrast, rows["time"], rows["event"], rows["arm"], end, reference=arms.control,
            level=plan.confidence_level,
        )  # fmt: skip
    said = f"{_BIASED}. Restricted mean from RFA to month {end:g}; Greenwood standard error, Wald interval"
    _add_contrast(
        part, f"{key}_rmst", arms, contrast, None,
        {"unit": "months", "variable": horizon(end), "engine": KM, "method": why or said, **common},
    )  # fmt: skip
    if endpoint != "RFS":
        return
    part.curves["km_rfs_naive"] = pd.concat(drawn, ignore_index=True)
    naive = {
        "label": "Naive, ever against never (biased)",
        "key": "naive",
        "role": "naive",
        "hr": values[0],
        "lo": values[1],
        "hi": values[2],
        "p": values[3],
        "n": len(rows),
        "events": int(rows["event"].sum()),
        "ard_id": identifier,
    }
    part.curves["forest_rfs"] = pd.concat([part.curves["forest_rfs"], pd.DataFrame([naive])], ignore_index=True)
