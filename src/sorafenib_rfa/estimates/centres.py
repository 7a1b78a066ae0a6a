"""Does the effect depend on the centre: strata, clustered variance, and a two-stage meta-analysis of centres."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sorafenib_rfa.estimates.ard import slug
from sorafenib_rfa.estimates.common import NAN, attempt, hazard_ratio
from sorafenib_rfa.estimates.comparison import Comparison
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
from sorafenib_rfa.stats.cox import CoxFit, HazardRatio, cox_fit
from sorafenib_rfa.stats.meta_analysis import MetaAnalysis, Pooled, meta_analysis

COX = "sorafenib_rfa.stats.cox"
META = "sorafenib_rfa.stats.meta_analysis"
FEW_CLUSTERS = 40
"""Below this many clusters the sandwich variance is known to be too small (Cameron and Miller 2015)."""

COLUMNS = ["endpoint", "label", "key", "role", "n", "events", "hr", "lo", "hi", "weight_percent", "reason", "ard_id"]


def add_centres(part: ComparedPart, comparison: Comparison) -> pd.DataFrame:
    """Add the overlap-weighted effect stratified and clustered by centre, and pooled over centres; return the forest.

    Returns
    -------
    DataFrame
        ``endpoint, label, key, role`` (centre, pooled, prediction, left_out)``, n, events, hr, lo, hi,
        weight_percent, reason, ard_id``. The row of role ``prediction`` has the pooled hazard ratio and the limits of
        the prediction interval.
    """
    rows = comparison.scored
    why = part.why_not(comparison, rows, weighted=True)
    # all centres are listed, also where nobody has a propensity score
    centres = sorted(comparison.frame["SITEID"].dropna().unique())
    if not why and rows["SITEID"].nunique() < 2:
        why = "not estimable: all patients are of one centre"
    _add_stratified(part, comparison, rows, why, rows["SITEID"].nunique())
    frame = pd.DataFrame(_add_two_stage(part, comparison, rows, centres, why), columns=COLUMNS)
    frame["endpoint"] = comparison.endpoint
    for column in ("n", "events", "hr", "lo", "hi", "weight_percent"):
        frame[column] = frame[column].astype(float)
    for column in ("reason", "ard_id"):
        frame[column] = frame[column].astype("string")
    return frame


def _add_stratified(part: ComparedPart, comparison: Comparison, rows: pd.DataFrame, why: str, clusters: int) -> None:
    """Add the hazard ratio with a baseline hazard for each centre, and with variance clustered by centre."""
    common = comparison_common(comparison)
    key = comparison.endpoint.lower()
    words = f"Cox model with Efron's ties {comparison.start_words}, {WEIGHTED}"

    analysis = f"{key}_stratified_by_centre_overlap"
    fit, reason = _fit(rows, why, strata=rows["SITEID"], robust=True)
    ratio, reason = hazard_ratio(fit, TREATMENT, part.plan.confidence_level, reason)
    add_basis(part.ard, analysis, rows, rows["event"], True, common)
    add_ratio(
        part.ard,
        analysis,
        "hr",
        ratio,
        reason,
        f"{words}, stratified by centre; {KNOWN_WEIGHTS}; Wald interval",
        COX,
        common,
    )

    analysis = f"{key}_clustered_by_centre_overlap"
    fit, reason = _fit(rows, why, cluster=rows["SITEID"])
    ratio, reason = hazard_ratio(fit, TREATMENT, part.plan.confidence_level, reason)
    if ratio is not None:
        ratio = _with_t(ratio, clusters - 1)
    method = (
        f"{words}; variance clustered by centre, interval and p value from t on {clusters - 1} degrees of freedom "
        f"({clusters} centres less one)"
    )
    if clusters < FEW_CLUSTERS:
        method += f"; with as few as {clusters} clusters the sandwich variance tends to be too small: read with caution"
    add_basis(part.ard, analysis, rows, rows["event"], True, common)
    add_ratio(part.ard, analysis, "hr", ratio, reason, method, COX, common)


def _fit(rows: pd.DataFrame, why: str, **options: object) -> tuple[CoxFit | None, str]:
    if why:
        return None, why
    return attempt(cox_fit, treatment(rows), rows["from_start"], rows["event"], weights=rows["w_overlap"], **options)


def _with_t(ratio: HazardRatio, df: int) -> HazardRatio:
    """Return the ratio with interval and p value from Student's t."""
    from dataclasses import replace

    from scipy.special import stdtr, stdtrit

    reach = float(stdtrit(df, 0.5 + ratio.level / 2)) * ratio.log_se
    return replace(
        ratio,
        ci_low=float(np.exp(ratio.log_estimate - reach)),
        ci_high=float(np.exp(ratio.log_estimate + reach)),
        p=float(2 * stdtr(df, -abs(ratio.log_estimate / ratio.log_se))),
    )


def _centre_ratio(part: ComparedPart, comparison: Comparison, own: pd.DataFrame) -> tuple[HazardRatio | None, str]:
    """Return the hazard ratio within one centre, or why it is left out."""
    if len(own) < part.plan.small_group:
        return None, f"not estimable: fewer than {part.plan.small_group} patients"
    for arm in comparison.arms.labels:
        chosen = own["arm"] == arm
        if not chosen.any():
            return None, f"not estimable: no patients of the arm {arm}"
        if not own["event"][chosen].any():
            return None, f"not estimable: no events in the arm {arm}"
    fit, reason = _fit(own, "", robust=True)
    return hazard_ratio(fit, TREATMENT, part.plan.confidence_level, reason)


def _add_two_stage(
    part: ComparedPart, comparison: Comparison, rows: pd.DataFrame, centres: list[str], why: str
) -> list[dict]:
    """Add the effect within each centre and the random-effects summary; return the rows of the forest plot."""
    common = comparison_common(comparison)
    analysis = f"{comparison.endpoint.lower()}_centres"
    drawn, used = [], {}
    for centre in centres:
        own = rows[rows["SITEID"] == centre]
        ratio, reason = (None, why) if why else _centre_ratio(part, comparison, own)
        identifier = add_ratio(
            part.ard,
            analysis,
            "hr",
            ratio,
            reason,
            f"within centre {centre}: Cox model with Efron's ties {comparison.start_words}, {WEIGHTED}, the score of "
            f"the whole cohort; {KNOWN_WEIGHTS}; Wald interval",
            COX,
            common,
            variable="centre",
            level=centre,
        )
        counts = {"n": len(own), "events": int(own["event"].sum())}
        for stat, count in counts.items():
            part.ard.add(
                analysis,
                stat,
                count,
                unit="count",
                group="contrast",
                variable="centre",
                level=centre,
                method=f"the centre's patients with a propensity score{'' if stat == 'n' else ' who had an event'}",
                members=own.loc[own["event"] | (stat == "n"), "USUBJID"],
                engine="sorafenib_rfa.estimates.centres",
                **common,
            )
        if ratio is not None:
            used[centre] = ratio
        drawn.append(
            {
                "label": str(centre),
                "key": slug(centre),
                "role": "centre" if ratio is not None else "left_out",
                **counts,
                "hr": NAN if ratio is None else ratio.estimate,
                "lo": NAN if ratio is None else ratio.ci_low,
                "hi": NAN if ratio is None else ratio.ci_high,
                "reason": reason,
                "ard_id": identifier,
            }
        )
    pooled, reason = None, why
    if not why:
        pooled, reason = attempt(
            meta_analysis,
            [ratio.log_estimate for ratio in used.values()],
            [ratio.log_se for ratio in used.values()],
            list(used),
            level=part.plan.confidence_level,
            at_least_wald=True,
        )
    if pooled is not None:
        shares = dict(zip(used, pooled.weights_random, strict=True))
        for row in drawn:
            row["weight_percent"] = shares.get(row["label"], NAN)
    inside = rows[rows["SITEID"].isin(list(used))]
    add_basis(part.ard, analysis, inside, inside["event"], True, common)
    return drawn + _add_pooled(part, comparison, analysis, pooled, reason, len(centres) - len(used), inside)


def _add_pooled(
    part: ComparedPart,
    comparison: Comparison,
    analysis: str,
    pooled: MetaAnalysis | None,
    why: str,
    left_out: int,
    inside: pd.DataFrame,
) -> list[dict]:
    """Add the summaries of the second stage; return their rows of the forest plot."""
    common = comparison_common(comparison)
    words = (
        ""
        if pooled is None
        else f"two-stage meta-analysis of {pooled.k} centres' log hazard ratios, {left_out} left out"
    )
    part.ard.add(
        analysis,
        "k",
        NAN if pooled is None else pooled.k,
        unit="count",
        group="contrast",
        method=why or f"centres in the {words}",
        engine=META,
        **common,
    )

    def add(variable: str, result: Pooled | None, method: str) -> str:
        known = result is not None
        return part.ard.add(
            analysis,
            "hr",
            float(np.exp(result.estimate)) if known else NAN,
            ci_low=float(np.exp(result.ci_low)) if known else NAN,
            ci_high=float(np.exp(result.ci_high)) if known else NAN,
            p_value=result.p if known else NAN,
            unit="ratio",
            group="contrast",
            variable=variable,
            method=why or f"{words}; {method}",
            engine=META,
            **common,
        )

    none = pooled is None
    add("common", None if none else pooled.common, "common effect, inverse variance, Wald interval")
    identifier = add(
        "random",
        None if none else pooled.random,
        "random effects, tau squared by restricted maximum likelihood; Hartung-Knapp interval (t on k - 1 df), its "
        "standard error at least Wald's"
        + ("" if none else f" (variance {pooled.hartung_knapp_factor:.2f} times Wald's before that)"),
    )
    add("random_wald", None if none else pooled.random_wald, "random effects, tau squared by REML; Wald interval")
    predicted = part.ard.add(
        analysis,
        "prediction",
        NAN if none else float(np.exp(pooled.random.estimate)),
        ci_low=NAN if none else float(np.exp(pooled.prediction_low)),
        ci_high=NAN if none else float(np.exp(pooled.prediction_high)),
        unit="ratio",
        group="contrast",
        variable="random",
        method=why
        or f"{words}; where the hazard ratio of a new centre is expected: prediction interval from t on k - 1 df with "
        "the Hartung-Knapp variance (as R's metafor)",
        engine=META,
        **common,
    )
    for stat, unit, method in (
        ("q", "statistic", "Cochran's Q on k - 1 df"),
        ("i2", "percent", "I squared: share of the variance that is between centres, from tau squared by REML"),
        ("tau2", "statistic", "variance of log hazard ratios between centres, REML; Q-profile interval"),
    ):
        value = low = high = p = NAN
        if pooled is not None:
            value = getattr(pooled, stat)
            low, high = (NAN, NAN) if stat == "q" else (getattr(pooled, f"{stat}_low"), getattr(pooled, f"{stat}_high"))
            p = pooled.q_p if stat == "q" else NAN
        part.ard.add(
            analysis,
            stat,
            value,
            ci_low=low,
            ci_high=high,
            p_value=p,
            unit=unit,
            group="contrast",
            method=why or f"{words}; {method}",
            engine=META,
            **common,
        )
    if pooled is None:
        return []
    counts = {"n": len(inside), "events": int(inside["event"].sum())}
    summary = {"hr": float(np.exp(pooled.random.estimate)), "reason": "", **counts}
    return [
        {
            "label": "Random-effects mean",
            "key": "random",
            "role": "pooled",
            "lo": float(np.exp(pooled.random.ci_low)),
            "hi": float(np.exp(pooled.random.ci_high)),
            "weight_percent": 100.0,
            "ard_id": identifier,
            **summary,
        },
        {
            "label": "Prediction interval",
            "key": "prediction",
            "role": "prediction",
            "lo": float(np.exp(pooled.prediction_low)),
            "hi": float(np.exp(pooled.prediction_high)),
            "ard_id": predicted,
            **summary,
        },
    ]
