"""Balance of covariates between two groups: standardised differences, variance ratios, effective sample size.

A standardised difference does not shrink or grow with the number of patients, as a p value does; below 0.1 is
usually called balanced. Groups of zero weight are refused, constants have difference 0 by convention.

References
----------
Austin PC. Balance diagnostics for comparing the distribution of baseline covariates between treatment groups in
propensity-score matched samples. Stat Med 2009;28:3083-3107. Yang D, Dalton JE. A unified approach to measuring the
effect size between two groups using SAS. SAS Global Forum 2012, paper 335 (categories). Kish L. Survey Sampling. Wiley
1965 (effective sample size). Austin PC, Stuart EA. Stat Med 2015;34:3661-3679 (weighted forms).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._inputs import as_codes, as_events, as_float_vector, as_weights, check_length
from .errors import EmptyGroupError, InvalidCovariatesError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    FloatArray = NDArray[np.float64]


def _two_groups(treated: ArrayLike, n: int, weights: ArrayLike | None) -> tuple[NDArray[np.bool_], FloatArray]:
    """Return the validated group indicator and weights; both groups must have weight."""
    indicator = as_events(treated, n)
    w = as_weights(weights, n)
    w = np.ones(n) if w is None else w
    for side, name in ((indicator, "treated"), (~indicator, "untreated")):
        if not w[side].any():
            raise EmptyGroupError(f"no one (with weight) is {name}: balance is not defined")
    return indicator, w


def _values(x: ArrayLike) -> FloatArray:
    values = as_float_vector(x, "covariate values", InvalidCovariatesError)
    if not np.isfinite(values).all():
        raise InvalidCovariatesError(f"{int((~np.isfinite(values)).sum())} covariate values are missing or infinite")
    return values


def weighted_moments(values: FloatArray, weights: FloatArray) -> tuple[float, float]:
    """Weighted mean and variance.

    The variance has the denominator that is unbiased for reliability weights, ``sum(w) - sum(w^2) / sum(w)``, which
    is n - 1 without weights (Austin & Stuart 2015).
    """
    total = weights.sum()
    mean = float(weights @ values / total)
    freedom = total - (weights @ weights) / total
    variance = float(weights @ (values - mean) ** 2 / freedom) if freedom > 0 else float("nan")
    return mean, variance


def _standardise(difference: float, variance: float) -> float:
    """Difference over standard deviation; 0 for no difference, infinite for a difference without spread."""
    if difference == 0:
        return 0.0
    return float(difference / np.sqrt(variance)) if variance > 0 else float(np.copysign(np.inf, difference))


def smd_continuous(
    x: ArrayLike, treated: ArrayLike, weights: ArrayLike | None = None, *, unweighted_spread: bool = False
) -> float:
    """Standardised mean difference, treated minus untreated: over the root of the mean of the two variances.

    Parameters
    ----------
    x : array_like, shape (n,)
        Values, none missing.
    treated : array_like of 0 and 1, shape (n,)
    weights : array_like, shape (n,), optional
    unweighted_spread : bool
        Standardise by the unweighted standard deviation, so that before and after weighting share one yardstick
        (as R's cobalt does); by default means and variances are both weighted (Austin & Stuart 2015).

    Raises
    ------
    EmptyGroupError
        If a group has no one with weight.
    InvalidCovariatesError
        If values are missing.
    """
    values = _values(x)
    indicator, w = _two_groups(treated, values.size, weights)
    (mean1, var1), (mean0, var0) = (weighted_moments(values[g], w[g]) for g in (indicator, ~indicator))
    if unweighted_spread:
        var1, var0 = (weighted_moments(values[g], np.ones(int(g.sum())))[1] for g in (indicator, ~indicator))
    return _standardise(mean1 - mean0, (var1 + var0) / 2)


def smd_binary(
    x: ArrayLike, treated: ArrayLike, weights: ArrayLike | None = None, *, unweighted_spread: bool = False
) -> float:
    """Standardised difference of proportions, treated minus untreated, with variance p (1 - p) (Austin 2009).

    Arguments and errors as :func:`smd_continuous`; `x` holds 0 and 1.
    """
    values = _values(x)
    if not np.isin(values, (0.0, 1.0)).all():
        raise InvalidCovariatesError("a binary covariate must be 0 or 1")
    indicator, w = _two_groups(treated, values.size, weights)
    p1, p0 = (float(w[g] @ values[g] / w[g].sum()) for g in (indicator, ~indicator))
    s1, s0 = (p1, p0) if not unweighted_spread else (values[indicator].mean(), values[~indicator].mean())
    return _standardise(p1 - p0, float(s1 * (1 - s1) + s0 * (1 - s0)) / 2)


def smd_categorical(x: ArrayLike, treated: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Standardised difference of a multi-category covariate (Yang & Dalton 2012), never negative.

    With T and C the proportions of all categories but one, it is the root of (T - C)' S^-1 (T - C), where S is the
    mean of the two multinomial covariance matrices; for two categories the absolute value of :func:`smd_binary`.
    Categories that occur in neither group (with weight) are left out.

    Raises
    ------
    EmptyGroupError
        If a group has no one with weight.
    EstimationError
        If a label is missing.
    """
    n = len(x)  # type: ignore[arg-type]
    codes = as_codes(x, n, "covariate values", empty_allowed=True)[1]
    indicator, w = _two_groups(treated, n, weights)
    size = int(codes.max()) + 1
    p1, p0 = (np.bincount(codes[g], weights=w[g], minlength=size) / w[g].sum() for g in (indicator, ~indicator))
    seen = (p1 > 0) | (p0 > 0)
    p1, p0 = p1[seen][1:], p0[seen][1:]
    if p1.size == 0 or np.array_equal(p1, p0):
        return 0.0
    spread = (np.diag(p1) - np.outer(p1, p1) + np.diag(p0) - np.outer(p0, p0)) / 2
    difference = p1 - p0
    try:
        squared = float(difference @ np.linalg.solve(spread, difference))
    except np.linalg.LinAlgError:
        return float("inf")
    return float(np.sqrt(squared)) if squared >= 0 else float("inf")


def variance_ratio(x: ArrayLike, treated: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Variance among the treated over variance among the untreated (NaN if the latter is zero).

    Arguments and errors as :func:`smd_continuous`.
    """
    values = _values(x)
    indicator, w = _two_groups(treated, values.size, weights)
    var1, var0 = (weighted_moments(values[g], w[g])[1] for g in (indicator, ~indicator))
    return float(var1 / var0) if var0 > 0 else float("nan")


def effective_sample_size(weights: ArrayLike) -> float:
    """Kish's effective sample size, ``sum(w)^2 / sum(w^2)``.

    Raises
    ------
    InvalidWeightsError
        If a weight is missing or negative, or all are zero.
    """
    array = np.asarray(weights)
    check_length(array, array.shape[0], "weights", InvalidCovariatesError)
    w = as_weights(weights, array.shape[0])
    assert w is not None
    return float(w.sum() ** 2 / (w @ w))
