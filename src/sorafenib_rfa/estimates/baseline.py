"""Baseline: Table 1, the propensity score with its weights, and balance before and after weighting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sorafenib_rfa.arms import Arms, arms_of
from sorafenib_rfa.config.models import CohortConfig, Covariate, Plan
from sorafenib_rfa.estimates.ard import ArdBuilder, Estimates
from sorafenib_rfa.estimates.common import NAN, attempt, untested
from sorafenib_rfa.estimates.comparison import WEIGHTS, entered, entrants
from sorafenib_rfa.estimates.covariates import covariate_design, levels_of, logarithm, numbers, texts
from sorafenib_rfa.estimates.parts import compares_arms
from sorafenib_rfa.stats.balance import (
    effective_sample_size,
    smd_binary,
    smd_categorical,
    smd_continuous,
    variance_ratio,
    weighted_moments,
)
from sorafenib_rfa.stats.propensity import LogisticFit, logistic_fit, propensity_weights, within_score_range
from sorafenib_rfa.stats.proportions import wilson

COUNTED = "sorafenib_rfa.estimates.baseline"
BALANCE = "sorafenib_rfa.stats.balance"
PROPENSITY = "sorafenib_rfa.stats.propensity"
WEIGHTINGS = {
    "overlap": (
        "w_overlap",
        "overlap weights: 1 - e for the treated, e for the others (Li, Morgan and Zaslavsky 2018)",
    ),
    "iptw": ("w_iptw", "stabilised inverse probability of treatment weights"),
    "att": ("w_att", "weights to the treated: 1 for the treated, e / (1 - e) for the others"),
    "trimmed": (
        "w_trimmed",
        "stabilised inverse probability of treatment weights among patients whose score lies within the plan's limits, "
        "the score fitted anew among them (Crump 2009)",
    ),
}
SCORE_BINS = 20
"""Bins of the propensity score, 0 to 1, in the histogram."""

_EMPTY_WEIGHTS = {"USUBJID": "string", "treated": "bool", **dict.fromkeys(WEIGHTS, "float64")}


@dataclass(frozen=True)
class _Line:
    """One variable of Table 1."""

    name: str
    covariate: Covariate
    levels: tuple[str, ...]
    """Levels that occur in the cohort, the same for every group."""


def estimate_baseline(adsl: pd.DataFrame, plan: Plan, cohort: CohortConfig, cohort_name: str, record: str) -> Estimates:
    """Describe patients at baseline; where there are arms, weigh them to be alike and show how far that goes.

    Parameters
    ----------
    adsl : DataFrame
        ADaM subject level.
    plan : Plan
        Variables of Table 1, adjustment set and codings.
    cohort : CohortConfig
        What it offers; its extra variables end Table 1.
    cohort_name : str
        Its name.
    record : str
        Path of the job record.

    Returns
    -------
    Estimates
        ARD part ``baseline``. For cohorts with treatment also curves: ``balance`` (``variable, label, level,
        weighting`` (none, overlap, iptw, att, trimmed)``, smd, ard_id``), ``propensity`` (histogram: ``group, label,
        weighting, bin_low, bin_high, n, share``) and ``weights`` (``USUBJID, treated, ps, w_overlap, w_iptw, w_att,
        w_trimmed``: the patients who enter the comparison, with all covariates; ``w_trimmed`` is 0 for the trimmed).
    """
    ard = ArdBuilder(cohort_name, "baseline", record)
    lines = _table_one(adsl, plan, cohort)
    everyone = "All analysed patients"
    _describe(ard, "table1", adsl, lines, "overall", everyone, plan)
    ard.add(
        "table1",
        "n",
        len(adsl),
        unit="count",
        method="analysed patients",
        engine=COUNTED,
        population=everyone,
        members=adsl["USUBJID"],
    )
    if not compares_arms(cohort):
        return ard.estimates({})

    arms = arms_of(cohort)
    arm = texts(adsl["TRT01A"])
    for name in arms.labels:
        own = adsl[arm == name]
        ard.add(
            "table1",
            "n",
            len(own),
            unit="count",
            group=arms.slug(name),
            method="analysed patients of the arm",
            engine=COUNTED,
            population=everyone,
            members=own["USUBJID"],
        )
        _describe(ard, "table1", own, lines, arms.slug(name), everyone, plan)
    with_arm = adsl[arm.isin(arms.labels)]
    _add_smds(ard, "table1", with_arm, texts(with_arm["TRT01A"]) == arms.treated, lines, plan, everyone)

    landmark = entered(adsl)
    treated = texts(landmark["LMTRT"]) == arms.treated
    weights = _add_propensity(ard, landmark, treated, arms, plan)
    balance = _add_balance(ard, landmark, treated, weights, lines, arms, plan)
    curves = {"balance": balance, "propensity": _histogram(weights, arms), "weights": weights.reset_index(drop=True)}
    return ard.estimates(curves)


def _table_one(adsl: pd.DataFrame, plan: Plan, cohort: CohortConfig) -> list[_Line]:
    """Return the variables described: the plan's, then the cohort's own.

    In a cohort without treatment arms, variables that its source does not have at all are left out.
    """
    described = {name: plan.covariates[name] for name in plan.table_one}
    if not compares_arms(cohort):
        described = {name: covariate for name, covariate in described.items() if adsl[covariate.variable].notna().any()}
    for name, extra in cohort.extra_variables.items():
        kind = "categorical" if extra.kind == "categorical" else "continuous"
        label = f"{extra.label}, {extra.unit}" if extra.unit else extra.label
        digits = 0 if extra.kind == "integer" else 1
        covariate = Covariate(variable=name.upper(), label=label, kind=kind, levels=extra.levels, digits=digits)
        described[name.upper()] = covariate
    return [_Line(name, covariate, _levels(adsl, covariate)) for name, covariate in described.items()]


def _levels(adsl: pd.DataFrame, covariate: Covariate) -> tuple[str, ...]:
    """Return the levels of a binary or categorical variable, declared ones first."""
    if covariate.kind == "continuous":
        return ()
    return tuple(levels_of(adsl[covariate.variable], covariate.levels))


def _describe(
    ard: ArdBuilder,
    analysis: str,
    frame: pd.DataFrame,
    lines: list[_Line],
    group: str,
    population: str,
    plan: Plan,
) -> None:
    """Add mean, SD, quartiles or counts of every variable in one group."""
    common = {"group": group, "population": population, "engine": COUNTED}
    subjects = frame["USUBJID"]
    for line in lines:
        name, covariate = line.name, line.covariate
        column = frame[covariate.variable]
        known = int(column.notna().sum())
        ard.add(
            analysis,
            "n",
            known,
            unit="count",
            variable=name,
            method=f"patients with {covariate.label} recorded",
            members=subjects[column.notna()],
            **common,
        )
        ard.add(
            analysis,
            "missing",
            len(column) - known,
            unit="count",
            variable=name,
            method=f"patients without {covariate.label}",
            members=subjects[column.isna()],
            **common,
        )
        if covariate.kind == "continuous":
            _describe_numbers(ard, analysis, name, numbers(column).dropna().to_numpy(), plan, common)
            continue
        values = texts(column).dropna()
        for level in line.levels:
            own = subjects[values.index[values == level]]
            count = len(own)
            ard.add(
                analysis,
                "n",
                count,
                unit="count",
                variable=name,
                level=level,
                method=f"patients with {covariate.label}: {level}",
                members=own,
                **common,
            )
            share, reason = attempt(wilson, count, known, plan.confidence_level)
            percents = [NAN] * 3 if share is None else [100 * v for v in (share.estimate, share.ci_low, share.ci_high)]
            ard.add(
                analysis,
                "percent",
                percents[0],
                ci_low=percents[1],
                ci_high=percents[2],
                unit="percent",
                variable=name,
                level=level,
                method=reason or "of patients with the variable recorded; Wilson interval",
                **common,
            )


def _describe_numbers(
    ard: ArdBuilder, analysis: str, name: str, values: np.ndarray, plan: Plan, common: Mapping
) -> None:
    """Add mean with interval, SD, median, quartiles and range."""
    none = "" if values.size else "not estimable: no value is recorded"
    q1, median, q3 = np.quantile(values, [0.25, 0.5, 0.75]) if values.size else (NAN,) * 3
    mean = float(values.mean()) if values.size else NAN
    spread = float(values.std(ddof=1)) if values.size > 1 else NAN
    half = NAN
    if values.size > 1:
        from scipy.special import stdtrit

        half = float(stdtrit(values.size - 1, 0.5 + plan.confidence_level / 2)) * spread / np.sqrt(values.size)
    stats = {
        "mean": (mean, mean - half, mean + half, "mean; interval by Student's t"),
        "sd": (spread, NAN, NAN, "standard deviation, n - 1"),
        "median": (median, NAN, NAN, "median"),
        "q1": (q1, NAN, NAN, "first quartile, R's type 7"),
        "q3": (q3, NAN, NAN, "third quartile, R's type 7"),
        "min": (values.min() if values.size else NAN, NAN, NAN, "smallest value"),
        "max": (values.max() if values.size else NAN, NAN, NAN, "largest value"),
    }
    for stat, (value, low, high, words) in stats.items():
        lone = "not estimable: one value only" if stat == "sd" and values.size == 1 else ""
        ard.add(
            analysis,
            stat,
            value,
            ci_low=low,
            ci_high=high,
            unit="measure",
            variable=name,
            method=none or lone or words,
            **common,
        )


# --- standardised differences ----------------------------------------------------------------------


def _smds(
    frame: pd.DataFrame, treated: pd.Series, line: _Line, weights: pd.Series | None, reason: str
) -> list[tuple[str | None, float, str]]:
    """Return ``level, smd, reason`` of one variable; for a categorical one the whole, then each level."""
    covariate = line.covariate
    column = frame[covariate.variable]
    if covariate.transform == "log10":
        column = logarithm(numbers(column))
    known = column.notna()
    values, side = column[known], treated[known].to_numpy(dtype=bool)
    if not known.any():
        reason = reason or "not estimable: no value is recorded"
    case = None if weights is None else weights[known].to_numpy()

    def one(function: object, data: object, **how: object) -> tuple[float, str]:
        if reason:
            return NAN, reason
        value, why = attempt(function, data, side, case, **how)  # type: ignore[arg-type]
        return (NAN if value is None else value), why

    if covariate.kind == "continuous":
        x = numbers(values).to_numpy()
        return [(None, *one(smd_continuous, x, unweighted_spread=True))]
    if covariate.kind == "binary":
        flags = (texts(values) == covariate.positive).to_numpy(dtype=float)
        return [(None, *one(smd_binary, flags, unweighted_spread=True))]
    found: list[tuple[str | None, float, str]] = [(None, *one(smd_categorical, texts(values).to_numpy(dtype=str)))]
    for level in line.levels:
        flags = (texts(values) == level).to_numpy(dtype=float)
        found.append((level, *one(smd_binary, flags, unweighted_spread=True)))
    return found


def _add_smds(
    ard: ArdBuilder,
    analysis: str,
    frame: pd.DataFrame,
    treated: pd.Series,
    lines: list[_Line],
    plan: Plan,
    population: str,
    weights: pd.Series | None = None,
    weighting: str = "none",
) -> list[dict]:
    """Add the standardised difference of every variable; return the rows of the love plot."""
    reason = "" if treated.any() and not treated.all() else "not estimable: an arm has no patients"
    words = "standardised difference, treated minus control; unweighted standard deviations of the arms"
    if weights is not None:
        words += f"; {WEIGHTINGS[weighting][1]}"
    drawn = []
    for line in lines:
        for level, value, why in _smds(frame, treated, line, weights, reason):
            if level is None and line.covariate.kind == "categorical":
                said = "standardised difference of all levels together (Mahalanobis distance, Yang and Dalton 2012)"
            else:
                said = words + ("; on log10" if line.covariate.transform == "log10" else "")
            if np.isinf(value):
                value, why = NAN, "not estimable: the arms differ without spread within them"
            if line.covariate.kind == "continuous":
                _add_variance_ratio(ard, analysis, frame, treated, line, weights, population, why)
            identifier = ard.add(
                analysis,
                "smd",
                value,
                unit="statistic",
                group="contrast",
                variable=line.name,
                level=level,
                method=why or said,
                engine=BALANCE,
                population=population,
            )
            drawn.append(
                {
                    "variable": line.name,
                    "label": line.covariate.label,
                    "level": "" if level is None else level,
                    "weighting": weighting,
                    "smd": value,
                    "adjusted_for": line.name in plan.adjustment_set,
                    "ard_id": identifier,
                }
            )
    return drawn


def _add_variance_ratio(
    ard: ArdBuilder,
    analysis: str,
    frame: pd.DataFrame,
    treated: pd.Series,
    line: _Line,
    weights: pd.Series | None,
    population: str,
    reason: str,
) -> None:
    """Add the variance of a continuous variable among the treated over that among the controls."""
    column = numbers(frame[line.covariate.variable])
    column = logarithm(column) if line.covariate.transform == "log10" else column
    known = column.notna()
    value = None
    if not reason:
        case = None if weights is None else weights[known].to_numpy()
        value, reason = attempt(variance_ratio, column[known], treated[known].to_numpy(dtype=bool), case)
    if value is not None and np.isnan(value):
        reason = "not estimable: the variable does not vary in an arm"
    ard.add(
        analysis,
        "variance_ratio",
        NAN if value is None else value,
        unit="ratio",
        group="contrast",
        variable=line.name,
        method=reason or "variance among the treated over variance among the controls",
        engine=BALANCE,
        population=population,
    )


def _add_balance(
    ard: ArdBuilder,
    landmark: pd.DataFrame,
    treated: pd.Series,
    weights: pd.DataFrame,
    lines: list[_Line],
    arms: Arms,
    plan: Plan,
) -> pd.DataFrame:
    """Add descriptions of the landmark population and balance without and with weights, on the scored patients."""
    population = entrants(plan)
    ard.add(
        "landmark",
        "n",
        len(landmark),
        unit="count",
        method="at risk at the landmark" if plan.landmark_day else "at risk at time zero",
        engine=COUNTED,
        population=population,
        members=landmark["USUBJID"],
    )
    for name in arms.labels:
        own = landmark[texts(landmark["LMTRT"]) == name]
        ard.add(
            "landmark",
            "n",
            len(own),
            unit="count",
            group=arms.slug(name),
            method="at risk at the landmark, by arm" if plan.landmark_day else "at risk at time zero, by arm",
            engine=COUNTED,
            population=population,
            members=own["USUBJID"],
        )
        _describe(ard, "landmark", own, lines, arms.slug(name), population, plan)
    if weights.empty:
        drawn = _add_smds(ard, "landmark", landmark, treated, lines, plan, population)
        _add_largest(ard, drawn, population)
        return pd.DataFrame(drawn)
    # before and after weighting must be about the same patients
    scored, side = landmark.loc[weights.index], treated.loc[weights.index]
    population = f"{entrants(plan)} with all covariates of the adjustment set"
    drawn = _add_smds(ard, "landmark", scored, side, lines, plan, population)
    for weighting, (column, _) in WEIGHTINGS.items():
        drawn += _add_smds(ard, weighting, scored, side, lines, plan, population, weights[column], weighting)
        for name in arms.labels:
            inside = texts(scored["LMTRT"]) == name
            _describe_weighted(
                ard, weighting, scored[inside], weights.loc[inside, column], lines, arms.slug(name), population
            )
    _add_largest(ard, drawn, population)
    return pd.DataFrame(drawn)


def _add_largest(ard: ArdBuilder, drawn: list[dict], population: str) -> None:
    """Add the largest absolute standardised difference, of all and of adjusted variables, and extreme variance ratios.

    Overlap weights from a logistic score balance what is in the score exactly; only the others can tell how far
    weighting goes.
    """
    for weighting in ("none", *WEIGHTINGS):
        whole = [
            row for row in drawn if row["weighting"] == weighting and not row["level"] and not np.isnan(row["smd"])
        ]
        for stat, rows, words in (
            ("largest_smd", whole, "all variables described, adjusted for or not"),
            ("largest_smd_adjusted", [row for row in whole if row["adjusted_for"]], "those adjusted for"),
        ):
            ard.add(
                "landmark" if weighting == "none" else weighting,
                stat,
                max((abs(row["smd"]) for row in rows), default=NAN),
                unit="statistic",
                group="contrast",
                method=f"largest absolute standardised difference of a variable, of {words}"
                if rows
                else "not estimable: no standardised difference could be estimated",
                engine=BALANCE,
                population=population,
            )
        analysis = "landmark" if weighting == "none" else weighting
        found = [
            row["value"]
            for row in ard.rows
            if row["analysis_id"] == analysis and row["stat_name"] == "variance_ratio" and not np.isnan(row["value"])
        ]
        for stat, function in (("smallest", min), ("largest", max)):
            ard.add(
                analysis,
                f"{stat}_variance_ratio",
                function(found) if found else NAN,
                unit="ratio",
                group="contrast",
                method=f"{stat} variance ratio of a continuous variable described"
                if found
                else "not estimable: no variance ratio could be estimated",
                engine=BALANCE,
                population=population,
            )


def _describe_weighted(
    ard: ArdBuilder,
    analysis: str,
    frame: pd.DataFrame,
    weights: pd.Series,
    lines: list[_Line],
    group: str,
    population: str,
) -> None:
    """Add weighted mean and SD, or weighted percent, of every variable in one arm."""
    words = WEIGHTINGS[analysis][1]
    common = {"group": group, "population": population, "engine": BALANCE}
    for line in lines:
        column = frame[line.covariate.variable]
        known = column.notna()
        case = weights[known].to_numpy()
        none = "" if case.sum() > 0 else "not estimable: nobody with weight has the variable recorded"
        if line.covariate.kind == "continuous":
            mean, variance = (NAN, NAN) if none else weighted_moments(numbers(column[known]).to_numpy(), case)
            for stat, value in (("mean", mean), ("sd", np.sqrt(variance))):
                lone = "not estimable: one value only" if np.isnan(value) else ""
                ard.add(
                    analysis,
                    stat,
                    value,
                    unit="measure",
                    variable=line.name,
                    method=none or lone or f"weighted {stat}; {words}",
                    **common,
                )
            continue
        values = texts(column[known])
        for level in line.levels:
            hit = (values == level).to_numpy(dtype=bool)
            ard.add(
                analysis,
                "percent",
                NAN if none else 100 * float(case[hit].sum() / case.sum()),
                unit="percent",
                variable=line.name,
                level=level,
                method=none or f"weighted percent; {words}",
                **common,
            )


# --- propensity score ------------------------------------------------------------------------------


def _add_propensity(
    ard: ArdBuilder, landmark: pd.DataFrame, treated: pd.Series, arms: Arms, plan: Plan
) -> pd.DataFrame:
    """Fit the propensity score; add its coefficients, range and effective sample sizes; return the weights.

    The frame is indexed by USUBJID, and empty when the score cannot be estimated.
    """
    design = covariate_design(landmark, plan, plan.adjustment_set)
    side = treated[design.complete]
    population = f"{entrants(plan)} with all covariates of the adjustment set"
    common = {"population": population, "engine": PROPENSITY}
    sizes = {arms.treated: int(side.sum()), arms.control: int((~side).sum())}
    cases = {"overall": side.index} | {arms.slug(arm): side.index[side == (arm == arms.treated)] for arm in sizes}
    for group, members in cases.items():
        ard.add(
            "propensity",
            "n",
            len(members),
            unit="count",
            group=group,
            method="complete cases",
            members=members,
            **common,
        )
    for name, members in design.missing.items():
        ard.add(
            "propensity",
            "missing",
            len(members),
            unit="count",
            variable=name,
            method=f"patients without {plan.covariates[name].label}",
            members=members,
            **{**common, "population": entrants(plan)},
        )
    fit, reason = None, untested(sizes, plan)
    if not reason and design.x.empty:
        reason = "not estimable: no covariate varies"
    if not reason:
        fit, reason = attempt(logistic_fit, design.x, side.to_numpy(dtype=bool))
    by = f" by day {plan.landmark_day}" if plan.landmark_day else ""
    words = f"logistic regression of {arms.treated}{by} on {design.words}"
    weights = _weights(side, fit)
    if fit is not None:
        weights["w_trimmed"] = _trimmed(design.x, side.to_numpy(dtype=bool), fit, plan)
    _add_coefficients(ard, fit, reason, words, plan, common)
    _add_scores(ard, weights, arms, reason, words, common)
    return weights


def _trimmed(x: pd.DataFrame, treated: np.ndarray, fit: LogisticFit, plan: Plan) -> np.ndarray:
    """Return the weights of the trimmed analysis; all 0 when the score cannot be fitted among those who stay."""
    inside = within_score_range(fit.fitted, *plan.trim_scores)
    weights = np.zeros(len(x))
    kept = x.loc[inside, x[inside].nunique() > 1]
    again, _ = attempt(logistic_fit, kept, treated[inside])
    if again is not None:
        weights[inside] = propensity_weights(again.fitted, treated[inside], "ATE", stabilised=True)
    return weights


def _weights(side: pd.Series, fit: LogisticFit | None) -> pd.DataFrame:
    """Return the weights but for the trimmed ones, indexed by USUBJID."""
    if fit is None:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in _EMPTY_WEIGHTS.items()})
    flags = side.to_numpy(dtype=bool)
    frame = pd.DataFrame(
        {
            "USUBJID": side.index.astype("string"),
            "treated": flags,
            "ps": fit.fitted,
            "w_overlap": propensity_weights(fit.fitted, flags, "overlap"),
            "w_iptw": propensity_weights(fit.fitted, flags, "ATE", stabilised=True),
            "w_att": propensity_weights(fit.fitted, flags, "ATT"),
        },
        index=side.index,
    )
    return frame


def _add_coefficients(
    ard: ArdBuilder, fit: LogisticFit | None, reason: str, words: str, plan: Plan, common: Mapping
) -> None:
    """Add the odds ratio of every term of the propensity score."""
    from scipy.special import ndtr, ndtri

    if fit is None:
        ard.add("propensity", "odds_ratio", NAN, unit="ratio", variable="all_terms", method=reason, **common)
        return
    z = float(ndtri(0.5 + plan.confidence_level / 2))
    for name, coefficient, error in zip(fit.names[1:], fit.coef[1:], fit.se[1:], strict=True):
        ard.add(
            "propensity_model",
            "odds_ratio",
            float(np.exp(coefficient)),
            ci_low=float(np.exp(coefficient - z * error)),
            ci_high=float(np.exp(coefficient + z * error)),
            p_value=float(2 * ndtr(-abs(coefficient / error))),
            unit="ratio",
            variable=name.replace("'", "_spline"),
            method=f"odds ratio of a unit of the term; {words}; Wald interval",
            **common,
        )


def _add_scores(ard: ArdBuilder, weights: pd.DataFrame, arms: Arms, reason: str, words: str, common: Mapping) -> None:
    """Add discrimination, range and overlap of the score, and effective sample sizes under each weighting."""
    known = len(weights) > 0
    sides = {arms.treated: weights[weights["treated"]], arms.control: weights[~weights["treated"].astype(bool)]}
    for name, own in sides.items():
        group = arms.slug(name)
        for stat, function in (("min", np.min), ("median", np.median), ("max", np.max)):
            value = float(function(own["ps"])) if known else NAN
            ard.add(
                "propensity",
                stat,
                value,
                unit="proportion",
                group=group,
                variable="score",
                method=reason or words,
                **common,
            )
        for weighting, (column, meaning) in WEIGHTINGS.items():
            size, none = attempt(effective_sample_size, own[column]) if known else (None, reason)
            ard.add(
                "propensity",
                "effective_n",
                NAN if size is None else size,
                unit="count",
                group=group,
                variable=weighting,
                method=none or f"effective sample size (Kish): squared sum over sum of squares of {meaning}",
                **{**common, "engine": BALANCE},
            )
            ard.add(
                "propensity",
                "largest_weight",
                NAN if size is None else float(own[column].max()),
                unit="measure",
                group=group,
                variable=weighting,
                method=none or f"largest of {meaning}",
                **common,
            )
    shared = discrimination = NAN
    if known:
        treated, control = sides[arms.treated]["ps"].to_numpy(), sides[arms.control]["ps"].to_numpy()
        low, high = max(treated.min(), control.min()), min(treated.max(), control.max())
        shared = 100 * float(((weights["ps"] >= low) & (weights["ps"] <= high)).mean())
        ranks = weights["ps"].rank().to_numpy()[weights["treated"].to_numpy(dtype=bool)]
        discrimination = float((ranks.sum() - treated.size * (treated.size + 1) / 2) / (treated.size * control.size))
    ard.add(
        "propensity",
        "in_common_range",
        shared,
        unit="percent",
        variable="score",
        method=reason or "patients whose score lies within the range of both arms",
        **common,
    )
    ard.add(
        "propensity",
        "c_statistic",
        discrimination,
        unit="proportion",
        variable="score",
        method=reason or "probability that the treated of a pair has the higher score (Mann-Whitney)",
        **common,
    )


def _histogram(weights: pd.DataFrame, arms: Arms) -> pd.DataFrame:
    """Return the distribution of the score by arm, unweighted and weighted."""
    edges = np.linspace(0.0, 1.0, SCORE_BINS + 1)
    drawn = []
    for name in arms.labels:
        own = weights[weights["treated"].astype(bool) == (name == arms.treated)]
        for weighting in ("none", *WEIGHTINGS):
            case = np.ones(len(own)) if weighting == "none" else own[WEIGHTINGS[weighting][0]].to_numpy()
            counts = np.histogram(own["ps"].to_numpy(dtype=float), bins=edges, weights=case)[0]
            total = counts.sum()
            drawn.append(
                pd.DataFrame(
                    {
                        "group": arms.slug(name),
                        "label": name,
                        "weighting": weighting,
                        "bin_low": edges[:-1],
                        "bin_high": edges[1:],
                        "n": counts,
                        "share": counts / total if total > 0 else NAN,
                    }
                )
            )
    return pd.concat(drawn, ignore_index=True)
