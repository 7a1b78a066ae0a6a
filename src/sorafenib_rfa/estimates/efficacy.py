"""Efficacy: the arms compared from the landmark on, and the biased comparison from RFA to be warned of.

Patients enter at the landmark (alive, recurrence-free, under observation on that day) in the arm of their exposure up
to it, so nobody is credited with time in which they had to survive to be treated. Everything is conditional on
reaching the landmark; times are printed in months since RFA.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.estimates.ard import ArdBuilder, Estimates
from sorafenib_rfa.estimates.bootstrap import BootstrapDifference, OverlapResamples
from sorafenib_rfa.estimates.common import NAN, attempt, hazard_ratio, horizon, untested
from sorafenib_rfa.estimates.covariates import Design, covariate_design, numbers, texts
from sorafenib_rfa.estimates.survival import (
    add_curve,
    add_follow_up,
    add_incidence,
    add_log_rank,
    add_size,
    curve_frame,
    risk_table,
)
from sorafenib_rfa.stats.cox import CoxFit, cox_fit
from sorafenib_rfa.stats.kaplan_meier import rmst_contrast
from sorafenib_rfa.stats.proportional_hazards import cox_zph
from sorafenib_rfa.vocabulary import ARM_SLUGS, ARMS, CONTROL, DAYS_PER_MONTH, ENDPOINTS, SORAFENIB

COX = "sorafenib_rfa.stats.cox"
ZPH = "sorafenib_rfa.stats.proportional_hazards"
KM = "sorafenib_rfa.stats.kaplan_meier"
COMPARED = {"RFS": "E1_RFS", "OS": "E2_OS", "TTR": "E3_TTR"}
"""Endpoints compared between arms, and the estimand of each."""

RESAMPLES = 2000
TREATMENT = "treatment"
_COX_WORDS = "Cox model with Efron's ties, follow-up from the landmark"


@dataclass(frozen=True)
class Model:
    """One way to estimate the hazard ratio."""

    key: str
    label: str
    role: str
    words: str
    weight: str | None = None
    adjusted: bool = False


MODELS = (
    Model(
        "overlap",
        "Overlap-weighted",
        "primary",
        "weighted by overlap of the propensity score; robust (Lin-Wei) variance, the weights taken as known",
        weight="w_overlap",
    ),
    Model(
        "iptw",
        "Inverse probability weighted",
        "sensitivity",
        "weighted by the stabilised inverse of the propensity score; robust (Lin-Wei) variance, the weights taken as "
        "known",
        weight="w_iptw",
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
    weights: pd.DataFrame
    design: Design
    landmark_months: float
    resamples: OverlapResamples | None
    curves: dict[str, pd.DataFrame] = field(default_factory=dict)


@dataclass(frozen=True)
class _AtRisk:
    """Patients at risk of one endpoint after the landmark.

    `frame` holds ``USUBJID, arm, treated, time`` (months since RFA)``, from_landmark, event, cause, w_overlap,
    w_iptw`` (NaN for patients without a propensity score).
    """

    endpoint: str
    estimand: str
    population: str
    frame: pd.DataFrame

    @property
    def sizes(self) -> dict[str, int]:
        """Patients of each arm, arms without patients included."""
        return {arm: int((self.frame["arm"] == arm).sum()) for arm in ARMS}


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
        ``USUBJID, ps, w_overlap, w_iptw`` as :func:`estimate_baseline` made them; empty when the propensity score
        could not be estimated.
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
    landmark = adsl[(texts(adsl["LMFL"]) == "Y") & adsl["LMTRT"].notna()].set_index("USUBJID")
    design = covariate_design(landmark, plan, plan.adjustment_set)
    part = _Part(
        ard=ArdBuilder(cohort_name, "efficacy", record),
        plan=plan,
        adsl=adsl,
        weights=weights,
        design=design,
        landmark_months=plan.landmark_day / DAYS_PER_MONTH,
        resamples=None if weights.empty else _resamples(design, landmark, seed),
    )
    _add_landmark(part, adtte)
    for endpoint in (e for e in COMPARED if e in cohort.endpoints):
        _compare(part, adtte, endpoint)
    if "RFS" in cohort.endpoints:
        _add_first_event(part, adtte)
        _add_naive(part, adtte)
    _add_all_follow_up(part, adtte, cohort)
    return Estimates(part.ard.frame(), part.curves)


def _resamples(design: Design, landmark: pd.DataFrame, seed: int) -> OverlapResamples:
    """Return the resamples of the patients who have a propensity score, in the order of the design."""
    treated = (texts(landmark["LMTRT"]) == SORAFENIB)[design.complete].to_numpy(dtype=bool)
    return OverlapResamples.draw(design.x.to_numpy(), treated, seed=seed, replicates=RESAMPLES)


# --- populations -----------------------------------------------------------------------------------


def _parameter(adtte: pd.DataFrame, paramcd: str) -> pd.DataFrame:
    """Return ``USUBJID, time, event, cause, LMFL, LMTRT, TRT01A`` of one parameter."""
    rows = adtte[texts(adtte["PARAMCD"]) == paramcd]
    return pd.DataFrame(
        {
            "USUBJID": texts(rows["USUBJID"]),
            "time": numbers(rows["AVAL"]),
            "event": numbers(rows["CNSR"]) == 0,
            "cause": numbers(rows["EVNTCD"]).astype(int),
            "LMFL": texts(rows["LMFL"]),
            "LMTRT": texts(rows["LMTRT"]),
            "TRT01A": texts(rows["TRT01A"]),
        }
    ).reset_index(drop=True)


def _at_risk(part: _Part, adtte: pd.DataFrame, endpoint: str, estimand: str) -> _AtRisk:
    """Return the landmark population of one endpoint: those followed for it beyond the landmark."""
    rows = _parameter(adtte, endpoint)
    rows = rows[(rows["LMFL"] == "Y") & rows["LMTRT"].notna() & (rows["time"] > part.landmark_months)]
    frame = rows.assign(
        arm=rows["LMTRT"],
        treated=rows["LMTRT"] == SORAFENIB,
        from_landmark=rows["time"] - part.landmark_months,
    )
    weights = part.weights.assign(USUBJID=texts(part.weights["USUBJID"]))
    frame = frame.merge(weights[["USUBJID", "w_overlap", "w_iptw"]], on="USUBJID", how="left")
    return _AtRisk(
        endpoint,
        estimand,
        f"Alive, recurrence-free and under observation on day {part.plan.landmark_day}, followed for "
        f"{ENDPOINTS[endpoint].lower()} beyond it",
        frame.sort_values("USUBJID", ignore_index=True),
    )


def _add_landmark(part: _Part, adtte: pd.DataFrame) -> None:
    """Add who reached the landmark and why others did not."""
    adsl, plan = part.adsl, part.plan
    day = plan.landmark_day
    common = {
        "unit": "count",
        "engine": "sorafenib_rfa.estimates.efficacy",
        "population": "All analysed patients",
        "estimand_id": "E1_RFS",
    }
    reached = texts(adsl["LMFL"]) == "Y"
    part.ard.add("landmark", "n", int(reached.sum()), method=f"alive, recurrence-free, observed on day {day}", **common)
    for arm in ARMS:
        part.ard.add(
            "landmark",
            "n",
            int((reached & (texts(adsl["LMTRT"]) == arm)).sum()),
            group=ARM_SLUGS[arm],
            method=f"at risk on day {day}, arm by exposure up to it",
            **common,
        )
    limit = pd.to_datetime(adsl["TRTSDT"]) + pd.Timedelta(days=day)
    recurred = ~reached & (pd.to_datetime(adsl["RECDT"]) <= limit)
    died = ~reached & ~recurred & (pd.to_datetime(adsl["DTHDT"]) <= limit)
    lost = ~reached & ~recurred & ~died
    for key, flags, what in (
        ("recurred", recurred, "recurrence seen"),
        ("died", died, "died without recurrence"),
        ("lost", lost, "no longer under observation"),
    ):
        part.ard.add("landmark", key, int(flags.sum()), variable="not_reached", method=f"{what} by day {day}", **common)
    not_scored = int((~part.design.complete).sum())
    part.ard.add(
        "landmark",
        "without_propensity_score",
        not_scored,
        method="at the landmark but a covariate of the adjustment set is missing: not in weighted or adjusted analyses",
        **{**common, "population": "Landmark population"},
    )


# --- one endpoint ----------------------------------------------------------------------------------


def _compare(part: _Part, adtte: pd.DataFrame, endpoint: str) -> None:
    """Add everything about one endpoint, and its curves."""
    at_risk = _at_risk(part, adtte, endpoint, COMPARED[endpoint])
    key = endpoint.lower()
    frame = at_risk.frame
    reason = untested(at_risk.sizes, part.plan)
    scored = frame[frame["w_overlap"].notna()]
    common = {"population": at_risk.population, "estimand_id": at_risk.estimand}
    words = "patients enter at the landmark; months since RFA"
    drawn: list[pd.DataFrame] = []
    for arm, group in ((None, "overall"), *((arm, ARM_SLUGS[arm]) for arm in ARMS)):
        own = frame if arm is None else frame[frame["arm"] == arm]
        add_size(part.ard, key, group, own, part.landmark_months, level=part.plan.confidence_level, **common)
        if arm is None:
            continue
        curve = add_curve(
            part.ard,
            f"{key}_km",
            group,
            own["time"],
            own["event"],
            part.plan,
            start=part.landmark_months,
            words=words,
            **common,
        )
        drawn.append(curve_frame(curve, group, arm, "none", part.landmark_months))
        weighted_own = scored[scored["arm"] == arm]
        curve = add_curve(
            part.ard,
            f"{key}_km_overlap",
            group,
            weighted_own["time"],
            weighted_own["event"],
            part.plan,
            start=part.landmark_months,
            weights=weighted_own["w_overlap"],
            words=f"{words}; weighted by overlap of the propensity score",
            **common,
        )
        drawn.append(curve_frame(curve, group, arm, "overlap", part.landmark_months))
    part.curves[f"km_{key}"] = pd.concat(drawn, ignore_index=True)
    part.curves[f"risk_table_{key}"] = risk_table(
        {ARM_SLUGS[arm]: (arm, frame[frame["arm"] == arm]) for arm in ARMS}, part.landmark_months
    )
    add_log_rank(
        part.ard,
        f"{key}_log_rank",
        frame,
        "arm",
        reason,
        start=part.landmark_months,
        words="from the landmark",
        **common,
    )
    part.curves[f"forest_{key}"] = _add_models(part, at_risk, reason)
    _add_rmst(part, at_risk, reason)


def _add_models(part: _Part, at_risk: _AtRisk, reason: str) -> pd.DataFrame:
    """Add the hazard ratios of all models with their checks; return the rows of the forest plot."""
    rows = []
    for model in MODELS:
        frame, x, terms = _model_data(part, at_risk, model)
        weights = frame[model.weight] if model.weight else None
        sizes = {arm: int((frame["arm"] == arm).sum()) for arm in ARMS}
        why = reason or (_no_scores(part) if model.weight else "") or untested(sizes, part.plan)
        fit = None
        if not why:
            fit, why = attempt(
                cox_fit, x, frame["from_landmark"], frame["event"], weights=weights, robust=model.weight is not None
            )
        rows.append(_add_fit(part, at_risk, model, frame, fit, terms, why))
    return pd.DataFrame(rows)


def _no_scores(part: _Part) -> str:
    """Return why there are no weighted analyses, or ''."""
    return "" if len(part.weights) else "not estimable: the propensity score could not be estimated"


def _model_data(part: _Part, at_risk: _AtRisk, model: Model) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, list[str]]]:
    """Return rows, covariates and terms (columns tested together) of one model."""
    frame = at_risk.frame
    if model.weight:
        frame = frame[frame[model.weight].notna()]
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
    at_risk: _AtRisk,
    model: Model,
    frame: pd.DataFrame,
    fit: CoxFit | None,
    terms: Mapping[str, list[str]],
    why: str,
) -> dict:
    """Add one fitted model: patients, events, hazard ratio, tests of proportional hazards."""
    analysis = f"{at_risk.endpoint.lower()}_cox_{model.key}"
    common = {"group": "contrast", "population": at_risk.population, "estimand_id": at_risk.estimand}
    words = f"{_COX_WORDS}, {model.words}"
    if model.adjusted:
        words += f" ({part.design.words}; complete cases)"
    n, events = len(frame), int(frame["event"].sum())
    for stat, count in (("n", n), ("events", events)):
        part.ard.add(analysis, stat, count, unit="count", method=f"{stat} in the model: {words}", engine=COX, **common)
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
        method=why or f"{SORAFENIB} against {CONTROL}: {words}; Wald interval and p value",
        engine=COX,
        **common,
    )
    _add_zph(part, analysis, None if ratio is None else fit, terms, why, common)
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


def _add_zph(
    part: _Part, analysis: str, fit: CoxFit | None, terms: Mapping[str, list[str]], why: str, common: Mapping
) -> None:
    """Add the test of proportional hazards of each term and of all together."""
    table = None
    if fit is not None:
        table, why = attempt(cox_zph, fit, terms=dict(terms))
    wanted = list(table.index) if table is not None else [TREATMENT, "GLOBAL"]
    for term in wanted:
        row = None if table is None else table.loc[term]
        part.ard.add(
            analysis,
            "zph_chi2",
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


def _add_rmst(part: _Part, at_risk: _AtRisk, reason: str) -> None:
    """Add restricted means from the landmark to the plan's horizon: unweighted, and weighted with a bootstrap."""
    plan, frame = part.plan, at_risk.frame
    end = plan.rmst_horizon_months
    tau = end - part.landmark_months
    key = at_risk.endpoint.lower()
    span = f"months {'' if at_risk.endpoint == 'OS' else 'without the event '}between the landmark and month {end:g}"
    for weighting in ("none", "overlap"):
        analysis = f"{key}_rmst" + ("" if weighting == "none" else "_overlap")
        rows = frame if weighting == "none" else frame[frame["w_overlap"].notna()]
        why = reason or (_no_scores(part) if weighting == "overlap" else "")
        why = why or untested({arm: int((rows["arm"] == arm).sum()) for arm in ARMS}, plan)
        contrast = spread = None
        if not why:
            contrast, why = attempt(
                rmst_contrast,
                rows["from_landmark"],
                rows["event"],
                rows["arm"],
                tau,
                reference=CONTROL,
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
            "estimand_id": at_risk.estimand,
            "engine": KM if weighting == "none" else "sorafenib_rfa.estimates.bootstrap",
            "method": why or words,
        }
        _add_contrast(part, analysis, contrast, spread, common)


def _spread(part: _Part, rows: pd.DataFrame, tau: float) -> tuple[BootstrapDifference | None, str]:
    """Return the bootstrap spread of the weighted restricted means, or why there is none."""
    assert part.resamples is not None  # weighted rows exist only with a propensity score
    followed = rows.set_index("USUBJID")
    inside = part.design.x.index.isin(followed.index)
    followed = followed.loc[part.design.x.index[inside]]
    return attempt(
        part.resamples.rmst_difference,
        inside,
        followed["from_landmark"].to_numpy(dtype=float),
        followed["event"].to_numpy(dtype=bool),
        tau,
    )


def _add_contrast(
    part: _Part, analysis: str, contrast: object, spread: BootstrapDifference | None, common: Mapping
) -> None:
    """Add the two restricted means and their difference, with bootstrap standard errors where given."""
    from scipy.special import ndtr, ndtri

    z = float(ndtri(0.5 + part.plan.confidence_level / 2))
    estimates = {"sorafenib": (NAN, NAN), "control": (NAN, NAN), "contrast": (NAN, NAN)}
    if contrast is not None:
        treated, control = contrast.rmst_group, contrast.rmst_reference
        estimates = {
            "sorafenib": (treated.estimate, treated.std_err if spread is None else spread.treated_std_err),
            "control": (control.estimate, control.std_err if spread is None else spread.control_std_err),
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


def _add_first_event(part: _Part, adtte: pd.DataFrame) -> None:
    """Add the cumulative incidence of each kind of first event by arm."""
    at_risk = _at_risk(part, adtte, "RFS", "E4_FIRST_EVENT")
    part.curves["cif_first_event"] = add_incidence(
        part.ard,
        "first_event",
        at_risk.frame,
        {ARM_SLUGS[arm]: (arm, at_risk.frame["arm"] == arm) for arm in ARMS},
        part.plan,
        start=part.landmark_months,
        population=at_risk.population,
        estimand_id=at_risk.estimand,
        reason=untested(at_risk.sizes, part.plan),
        words="Aalen-Johansen from the landmark, other first events competing",
    )


def _add_all_follow_up(part: _Part, adtte: pd.DataFrame, cohort: CohortConfig) -> None:
    """Add the median follow-up from RFA by the reverse Kaplan-Meier method: all patients, and arms at the landmark."""
    for endpoint in ("OS", "RFS"):
        if endpoint not in cohort.endpoints:
            continue
        rows = _parameter(adtte, endpoint)
        groups = {"overall": (rows, "All analysed patients")}
        reached = rows[(rows["LMFL"] == "Y") & rows["LMTRT"].notna()]
        for arm in ARMS:
            groups[ARM_SLUGS[arm]] = (reached[reached["LMTRT"] == arm], "Landmark population")
        for group, (own, population) in groups.items():
            add_follow_up(part.ard, "follow_up", group, own, endpoint, part.plan, population=population)


def _add_naive(part: _Part, adtte: pd.DataFrame) -> None:
    """Add the comparison from RFA by ever-exposure: biased by immortal time, shown to be warned of."""
    rows = _parameter(adtte, "RFS")
    exposed = part.adsl.assign(USUBJID=texts(part.adsl["USUBJID"])).set_index("USUBJID")["EXPOSFL"]
    labels = {"Ever sorafenib": "sorafenib", "Never sorafenib": "control"}
    ever = rows["USUBJID"].map(texts(exposed)) == "Y"
    rows["arm"] = np.where(ever, "Ever sorafenib", "Never sorafenib")
    population = "All analysed patients from RFA, by ever-exposure (biased)"
    common = {"population": population, "estimand_id": "N1_RFS_NAIVE"}
    biased = "BIASED by immortal time: who is ever exposed had to stay recurrence-free until the first dose"
    drawn = []
    for label, group in labels.items():
        own = rows[rows["arm"] == label]
        add_size(part.ard, "rfs_naive", group, own, 0.0, level=part.plan.confidence_level, **common)
        curve = add_curve(
            part.ard, "rfs_naive_km", group, own["time"], own["event"], part.plan, words=f"from RFA; {biased}", **common
        )
        drawn.append(curve_frame(curve, group, label, "none", 0.0))
    part.curves["km_rfs_naive"] = pd.concat(drawn, ignore_index=True)
    sizes = {label: int((rows["arm"] == label).sum()) for label in labels}
    reason = untested(sizes, part.plan)
    add_log_rank(part.ard, "rfs_naive_log_rank", rows, "arm", reason, words=f"from RFA; {biased}", **common)
    fit, why = None, reason
    if not reason:
        fit, why = attempt(cox_fit, pd.DataFrame({TREATMENT: ever.astype(float)}), rows["time"], rows["event"])
    ratio, why = hazard_ratio(fit, TREATMENT, part.plan.confidence_level, why)
    values = (NAN,) * 4 if ratio is None else (ratio.estimate, ratio.ci_low, ratio.ci_high, ratio.p)
    identifier = part.ard.add(
        "rfs_naive",
        "hr",
        values[0],
        ci_low=values[1],
        ci_high=values[2],
        p_value=values[3],
        unit="ratio",
        group="contrast",
        method=why or f"{biased}. Cox model with Efron's ties, unadjusted, from RFA",
        engine=COX,
        **common,
    )
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
