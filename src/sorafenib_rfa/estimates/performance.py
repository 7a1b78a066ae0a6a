"""How well the declared prognostic model predicts: discrimination, calibration, accuracy, corrected for optimism.

A model looks better on the patients it was fitted to than on others. Following Harrell, Lee and Mark (1996), the whole
fit is repeated in bootstrap resamples of the patients; by how much each refitted model does better in its own resample
than on the original patients is the optimism, which is subtracted. The variables are declared in advance, so there is
no selection to repeat.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.estimates.ard import ArdBuilder
from sorafenib_rfa.estimates.common import NAN, attempt, horizon
from sorafenib_rfa.stats.cox import CoxDesign
from sorafenib_rfa.stats.discrimination import (
    Concordance,
    brier_weights,
    censoring_survival,
    comparable_pairs,
    concordance,
)
from sorafenib_rfa.stats.errors import EstimationError
from sorafenib_rfa.stats.kaplan_meier import kaplan_meier

FloatArray = NDArray[np.float64]

ENGINE = "sorafenib_rfa.stats.discrimination"
MOST_RESAMPLES = 500
"""Resamples are capped here: the mean optimism is known to the third digit long before (Harrell 1996 used 200)."""
MOST_FAILED = 0.05
"""Share of resamples in which the model may fail before the correction is given up."""
RISK_GROUPS = 4
MEASURES = ("harrell_c", "uno_c", "slope", "observed_expected", "brier", "ipa")


@dataclass(frozen=True)
class Performance:
    """Measures of one fitted model on the patients it was fitted to, and corrected.

    Attributes
    ----------
    apparent : mapping of str to float
        The :data:`MEASURES`.
    optimism : mapping of str to float
        Mean over the resamples, to be subtracted from `apparent`.
    spread : mapping of str to float
        Standard deviation of the apparent measure over resamples; of ``slope``, of that on the original patients.
    replicates, failed : int
        Resamples used, and those in which the model could not be fitted.
    survival : ndarray, shape (n,)
        Predicted survival at the horizon.
    """

    apparent: Mapping[str, float]
    optimism: Mapping[str, float]
    spread: Mapping[str, float]
    replicates: int
    failed: int
    survival: FloatArray


def predicted_survival(
    score: FloatArray,
    time: FloatArray,
    event: NDArray[np.bool_],
    at: float,
    multiplicity: FloatArray,
    of: FloatArray | None = None,
) -> FloatArray:
    """Return survival at time `at` predicted by a Cox model with Breslow's baseline hazard.

    Parameters
    ----------
    score, time, event : ndarray, shape (n,)
        Linear predictor, time and event of the patients the model was fitted to.
    at : float
        The time.
    multiplicity : ndarray, shape (n,)
        How often each of them counts.
    of : ndarray, shape (m,), optional
        Linear predictors to predict for; `score` when not given.
    """
    points, where = np.unique(time, return_inverse=True)
    exposed = np.cumsum(np.bincount(where, multiplicity * np.exp(score), len(points))[::-1])[::-1]
    events = np.bincount(where, multiplicity * event, len(points))
    had = (points <= at) & (events > 0)
    hazard = float((events[had] / exposed[had]).sum())
    return np.exp(-hazard * np.exp(score if of is None else of))


def model_performance(
    x: pd.DataFrame, time: FloatArray, event: NDArray[np.bool_], at: float, *, resamples: int, seed: int
) -> Performance:
    """Return how well a Cox model with covariates `x` predicts, apparent and its optimism.

    Parameters
    ----------
    x : DataFrame, shape (n, p)
        Covariates without missing values.
    time, event : ndarray, shape (n,)
        Positive times in months; whether they are events.
    at : float
        Horizon in months: of calibration, Brier score and tau of Uno's C.
    resamples : int
        Bootstrap resamples of patients.
    seed : int
        Of the resampling.

    Raises
    ------
    EstimationError
        If the model cannot be fitted, nobody is followed to the horizon, or the model fails in more than
        :data:`MOST_FAILED` of the resamples.
    """
    n = len(time)
    design = CoxDesign.prepare(x, time, event)
    matrix = x.to_numpy(dtype=float)
    matrix = matrix - matrix.mean(axis=0)
    coefficients = design.coefficients(tol=1e-9)
    pairs = comparable_pairs(time, event)
    early = time[pairs.first] <= at  # the pairs of Uno's C

    def measures(agrees: FloatArray, survival: FloatArray, counts: FloatArray) -> dict[str, float]:
        """Return the measures of predictions in patients who count `counts` times; `agrees` says so of each pair.

        Sums of products instead of dot products: threads of the linear algebra cost more than they save here.
        """
        followed = censoring_survival(time, event, time, counts)
        # a pair's weight 1 / G^2 belongs to the patient with the event
        known = np.divide(1.0, followed, out=np.zeros(n), where=(counts > 0) & (followed > 0)) ** 2
        together = counts[pairs.first] * counts[pairs.second]
        weighted = early * together * known[pairs.first]
        brier = brier_weights(time, event, at, counts)
        observed = 1 - brier.null
        return {
            "harrell_c": float((agrees * together).sum() / together.sum()),
            "uno_c": float((agrees * weighted).sum() / weighted.sum()),
            "observed_expected": observed / float(((1 - survival) * counts).sum() / counts.sum()),
            "brier": brier.score(survival),
            "ipa": brier.accuracy(survival),
        }

    once = np.ones(n)
    score = matrix @ coefficients
    survival = predicted_survival(score, time, event, at, once)
    # the slope of a model on its own patients is 1: that is what maximum likelihood means
    apparent = {**measures(pairs.agreement(score), survival, once), "slope": 1.0}
    rng = np.random.default_rng(seed)
    optimism: dict[str, list[float]] = {name: [] for name in MEASURES}
    own: dict[str, list[float]] = {name: [] for name in MEASURES}
    failed = 0
    for _ in range(resamples):
        counts = np.bincount(rng.integers(0, n, n), minlength=n).astype(float)
        try:
            fitted = matrix @ design.coefficients(multiplicity=counts.astype(int), init=coefficients)
            agrees = pairs.agreement(fitted)
            predicted = predicted_survival(fitted, time, event, at, counts)
            inside, outside = measures(agrees, predicted, counts), measures(agrees, predicted, once)
            slope = float(CoxDesign.prepare(fitted[:, None], time, event).coefficients(init=[1.0])[0])
        except EstimationError:
            failed += 1
            continue
        for name in inside:
            optimism[name].append(inside[name] - outside[name])
            own[name].append(inside[name])
        optimism["slope"].append(1.0 - slope)
        own["slope"].append(slope)
    if failed > MOST_FAILED * resamples:
        raise EstimationError(f"the model could not be fitted in {failed} of {resamples} bootstrap resamples")
    return Performance(
        apparent,
        {name: float(np.mean(values)) for name, values in optimism.items()},
        {name: float(np.std(values, ddof=1)) for name, values in own.items()},
        resamples - failed,
        failed,
        survival,
    )


def add_performance(
    ard: ArdBuilder,
    x: pd.DataFrame,
    rows: pd.DataFrame,
    endpoint: str,
    plan: Plan,
    common: Mapping[str, str],
    *,
    seed: int,
) -> pd.DataFrame:
    """Add discrimination, calibration and accuracy of the multivariable model; return its calibration curve.

    Parameters
    ----------
    ard : ArdBuilder
        Rows ``<endpoint>_performance``: ``<measure>_apparent``, ``<measure>_optimism`` and ``<measure>`` (corrected);
        rows ``<endpoint>_calibration`` by risk group.
    x : DataFrame, shape (n, p)
        Covariates of the complete cases.
    rows : DataFrame
        ``USUBJID, time`` (months)``, event`` of the complete cases, in the same order.
    endpoint : str
        PARAMCD.
    plan : Plan
        Horizon (``rmst_horizon_months``), level, resamples, small-group rule.
    common : mapping
        ``group, population, estimand_id`` of the rows.
    seed : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        ``endpoint, month, risk_group, n, predicted, observed, ci_low, ci_high, ard_id``: percent with the event.
    """
    time, event = rows["time"].to_numpy(dtype=float), rows["event"].to_numpy(dtype=bool)
    at = plan.rmst_horizon_months
    reason = f"not estimable: fewer than {plan.small_group} patients" if len(time) < plan.small_group else ""
    found: Performance | None = None
    resamples = min(plan.bootstrap_resamples, MOST_RESAMPLES)
    if not reason:
        found, reason = attempt(model_performance, x, time, event, at, resamples=resamples, seed=seed)
    key = f"{endpoint.lower()}_performance"
    month = horizon(at)
    names = {
        "harrell_c": ("Harrell's C", None),
        "uno_c": (f"Uno's C up to month {at:g}, pairs weighted by the inverse probability of censoring", month),
        "slope": ("calibration slope: Cox coefficient of the model's linear predictor", None),
        "observed_expected": (f"events observed (1 - Kaplan-Meier) over expected at month {at:g}", month),
        "brier": (f"Brier score at month {at:g}, weighted by the inverse probability of censoring", month),
        "ipa": (f"index of prediction accuracy at month {at:g}: 1 - Brier score over that of Kaplan-Meier", month),
    }
    intervals = _apparent_intervals(x, time, event, found, at, plan)
    shift = -ndtri((1 - plan.confidence_level) / 2)
    how = ""
    if found is not None:
        how = f"; bootstrap of {found.replicates} resamples of patients (Harrell 1996)"
    for name, (words, level) in names.items():
        unit = "ratio" if name in ("slope", "observed_expected") else "proportion"
        where = {"unit": unit, "variable": name, "level": level, "engine": ENGINE, **common}
        values = (NAN, NAN, NAN)
        corrected, limits = NAN, (NAN, NAN)
        if found is not None:
            low, high = intervals[name]
            values = (found.apparent[name], low, high)
            corrected = found.apparent[name] - found.optimism[name]
            if name == "slope":
                limits = (corrected - shift * found.spread[name], corrected + shift * found.spread[name])
            else:
                limits = (low - found.optimism[name], high - found.optimism[name])
        if name != "slope":
            ard.add(
                key,
                "apparent",
                values[0],
                ci_low=values[1],
                ci_high=values[2],
                method=reason or f"{words}, on the patients of the model; {_INTERVALS[name]}",
                **where,
            )
        ard.add(
            key,
            "optimism",
            NAN if found is None else found.optimism[name],
            method=reason or f"{words}: in its own resample minus on all patients, mean over models refitted{how}",
            **where,
        )
        said = "Wald interval from the spread over resamples" if name == "slope" else "interval shifted by the optimism"
        ard.add(
            key,
            "corrected",
            corrected,
            ci_low=limits[0],
            ci_high=limits[1],
            method=reason or f"{words}, corrected for optimism{how}; {said}",
            **where,
        )
    return _add_calibration(ard, found, rows, endpoint, plan, common, reason)


_INTERVALS = {
    "harrell_c": "Wald interval, infinitesimal jackknife",
    "uno_c": "Wald interval, infinitesimal jackknife",
    "observed_expected": "limits of Kaplan-Meier over the expected, which is taken as known",
    "brier": "Wald interval from the spread over resamples",
    "ipa": "Wald interval from the spread over resamples",
}


def _apparent_intervals(
    x: pd.DataFrame,
    time: FloatArray,
    event: NDArray[np.bool_],
    found: Performance | None,
    at: float,
    plan: Plan,
) -> dict[str, tuple[float, float]]:
    """Return the limits of the apparent measures."""
    if found is None:
        return {}
    level = plan.confidence_level
    # less survival is more risk: the order of the linear predictor
    risk = -found.survival
    out: dict[str, tuple[float, float]] = {"slope": (NAN, NAN)}
    for name, found_c in (
        ("harrell_c", concordance(time, event, risk, level=level)),
        ("uno_c", concordance(time, event, risk, "uno", tau=at, level=level)),
    ):
        assert isinstance(found_c, Concordance)
        out[name] = (found_c.ci_low, found_c.ci_high)
    observed = kaplan_meier(time, event, level=level).at([at])
    expected = float((1 - found.survival).mean())
    out["observed_expected"] = (
        (1 - float(observed.ci_high[0])) / expected,
        (1 - float(observed.ci_low[0])) / expected,
    )
    reach = -ndtri((1 - level) / 2)
    for name in ("brier", "ipa"):
        out[name] = (
            found.apparent[name] - reach * found.spread[name],
            found.apparent[name] + reach * found.spread[name],
        )
    return out


def _add_calibration(
    ard: ArdBuilder,
    found: Performance | None,
    rows: pd.DataFrame,
    endpoint: str,
    plan: Plan,
    common: Mapping[str, str],
    reason: str,
) -> pd.DataFrame:
    """Add predicted and observed percentages with the event by quarter of predicted risk."""
    at = plan.rmst_horizon_months
    columns = ["endpoint", "month", "risk_group", "n", "predicted", "observed", "ci_low", "ci_high", "ard_id"]
    if found is None:
        return pd.DataFrame(columns=columns)
    risk = 1 - found.survival
    edges = np.quantile(risk, np.linspace(0, 1, RISK_GROUPS + 1)[1:-1])
    group = np.searchsorted(edges, risk, side="left")
    drawn = []
    for number in range(RISK_GROUPS):
        chosen = group == number
        if not chosen.any():
            continue
        own = rows[chosen]
        curve, why = attempt(kaplan_meier, own["time"], own["event"], level=plan.confidence_level)
        read = None if curve is None else curve.at([at])
        observed = [NAN] * 3
        if read is not None:
            observed = [100 * (1 - float(v)) for v in (read.survival[0], read.ci_high[0], read.ci_low[0])]
            if np.isnan(observed[0]):
                why = f"not estimable: follow-up of the group ends at {curve.time[-1]:.1f} months"  # type: ignore[union-attr]
        words = f"quarter {number + 1} of predicted risk"
        where = {"variable": f"risk_group_{number + 1}", "level": horizon(at), "engine": ENGINE, **common}
        predicted = 100 * float(risk[chosen].mean())
        key = f"{endpoint.lower()}_calibration"
        ard.add(key, "n", len(own), unit="count", method=f"patients, {words}", members=own["USUBJID"], **where)
        ard.add(
            key,
            "predicted",
            predicted,
            unit="percent",
            method=f"mean predicted to have the event by month {at:g}, {words}: Cox model, Breslow's baseline",
            **where,
        )
        identifier = ard.add(
            key,
            "observed",
            observed[0],
            ci_low=observed[1],
            ci_high=observed[2],
            unit="percent",
            method=why or f"1 - Kaplan-Meier at month {at:g}, {words}; log-log interval",
            **where,
        )
        drawn.append([endpoint, at, number + 1, len(own), predicted, *observed, identifier])
    return pd.DataFrame(drawn, columns=columns)
