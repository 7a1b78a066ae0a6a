"""Propensity scores by logistic regression, spline terms, and the weights made of them.

Own Newton iterations (a few lines, equal to R's ``glm`` and to statsmodels, tested) because a bootstrap refits the
score thousands of times and statsmodels costs a second to import and a millisecond and more a fit; and because they
must refuse, naming the covariate, when treatment is perfectly predicted.

References
----------
Rosenbaum PR, Rubin DB. Biometrika 1983;70:41-55. Robins JM, Hernan MA, Brumback B. Epidemiology 2000;11:550-560
(stabilised weights). Li F, Morgan KL, Zaslavsky AM. J Am Stat Assoc 2018;113:390-400 (overlap weights). Crump RK,
et al. Biometrika 2009;96:187-199 (trimming). Harrell FE. Regression Modeling Strategies, 2nd ed. Springer 2015,
section 2.4 (restricted cubic splines and where to put knots).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs
from scipy.special import expit

from ._inputs import as_events, as_float_vector, as_matrix, as_weights, check_length
from ._linalg import combine_rows, cross_product, inverse_from_cholesky, weighted_row_sums
from .errors import (
    CollinearCovariatesError,
    ConstantCovariateError,
    ConvergenceError,
    EmptyGroupError,
    EstimationError,
    InvalidCovariatesError,
    SeparationError,
)

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    FloatArray = NDArray[np.float64]

Estimand = Literal["ATE", "ATT", "overlap"]

# Quantiles at which Harrell (2015, table 2.3) puts knots.
HARRELL_QUANTILES: dict[int, tuple[float, ...]] = {
    3: (0.10, 0.50, 0.90),
    4: (0.05, 0.35, 0.65, 0.95),
    5: (0.05, 0.275, 0.50, 0.725, 0.95),
    6: (0.05, 0.23, 0.41, 0.59, 0.77, 0.95),
    7: (0.025, 0.1833, 0.3417, 0.50, 0.6583, 0.8167, 0.975),
}

_FLAT = 1e-6  # as in the Cox model: no finite maximum when the likelihood is flat
_RUNAWAY = 0.1  # but a coefficient still moves by this much a standard deviation
_COLLINEAR = 1e-11


@dataclass(frozen=True, eq=False)
class LogisticFit:
    """A fitted logistic regression.

    Attributes
    ----------
    names : tuple of str
        ``(intercept)`` and the p covariates.
    coef, se : ndarray, shape (p + 1,)
    covariance : ndarray, shape (p + 1, p + 1)
    fitted : ndarray, shape (n,)
        Probabilities.
    loglik : float
    iterations : int
    """

    names: tuple[str, ...]
    coef: FloatArray
    se: FloatArray
    covariance: FloatArray = field(repr=False)
    fitted: FloatArray = field(repr=False)
    loglik: float
    iterations: int

    def predict(self, x: ArrayLike) -> FloatArray:
        """Return the probabilities for rows of covariates, in the order of the fit."""
        matrix, _ = as_matrix(x)
        if matrix.shape[1] != self.coef.size - 1:
            raise InvalidCovariatesError(f"{self.coef.size - 1} covariates expected, found {matrix.shape[1]}")
        return expit(self.coef[0] + matrix @ self.coef[1:])


def logistic_fit(
    x: ArrayLike,
    y: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    names: Any = None,
    max_iter: int = 50,
    tol: float = 1e-9,
) -> LogisticFit:
    """Fit a logistic regression with intercept by maximum likelihood.

    Parameters
    ----------
    x : DataFrame or array_like, shape (n, p)
        Covariates as numbers.
    y : array_like of 0 and 1, shape (n,)
        Outcome (here: treatment received).
    weights : array_like, shape (n,), optional
        Case weights or multiplicities; rows with weight 0 are predicted but do not count.
    names : sequence of str, optional
    max_iter : int
    tol : float
        Converged when the next Newton step is shorter than this many standard errors.

    Returns
    -------
    LogisticFit

    Raises
    ------
    EmptyGroupError
        If all outcomes are the same.
    SeparationError, ConstantCovariateError, CollinearCovariatesError
        The covariate is named.
    InvalidCovariatesError, InvalidEventsError, InvalidWeightsError
        Values are missing or impossible.
    """
    matrix, labels = as_matrix(x, names)
    n = matrix.shape[0]
    outcome = as_events(y, n)
    w = as_weights(weights, n)
    counted = np.ones(n, dtype=bool) if w is None else w > 0
    if outcome[counted].all() or not outcome[counted].any():
        raise EmptyGroupError(f"everyone has outcome {int(outcome[counted][0])}: there is nothing to predict")
    centre = matrix[counted].mean(axis=0)
    scale = matrix[counted].std(axis=0)
    constant = scale <= 1e-12 * np.maximum(1e-300, np.abs(centre))
    if constant.any():
        raise ConstantCovariateError(
            f"covariate {', '.join(labels[j] for j in np.flatnonzero(constant))} does not vary"
        )
    design = np.empty((len(labels) + 1, n))
    design[0] = 1.0
    design[1:] = ((matrix - centre) / scale).T
    case = np.ones(n) if w is None else w
    target = outcome.astype(float)
    sign = np.where(outcome, 1.0, -1.0)

    def loglik_at(eta: FloatArray) -> float:
        return -float(np.sum(case * np.logaddexp(0.0, -sign * eta)))

    share = float(np.sum(case * target) / case.sum())
    beta = np.zeros(len(labels) + 1)
    beta[0] = np.log(share / (1 - share))
    eta = combine_rows(beta, design)
    loglik = loglik_at(eta)
    previous = np.inf
    iterations = 0
    while True:
        fitted = expit(eta)
        score = weighted_row_sums(design, case * (target - fitted))
        information = cross_product(design * (case * fitted * (1 - fitted)), design)
        factor, failed = dpotrf(information, lower=1, clean=1)
        pivots, diagonal = np.diagonal(factor) ** 2, np.diagonal(information)
        singular = failed != 0 or not (pivots > _COLLINEAR * diagonal).all()
        if singular and iterations > 0:  # regular at the start: the fitted probabilities have run to 0 and 1
            raise _separation(labels, beta[1:])
        if singular:
            j = failed - 1 if failed > 0 else int(np.argmin(pivots / diagonal))
            raise CollinearCovariatesError(f"covariate {labels[j - 1]} is a linear combination of the others")
        step = dpotrs(factor, score, lower=1)[0]
        gain = float(score @ step)
        if gain < _FLAT and np.abs(step).max() > _RUNAWAY:
            raise _separation(labels, step[1:])
        if gain <= tol * tol or (gain < 1e-12 and gain >= 0.25 * previous):
            beta = beta + step
            break
        if iterations >= max_iter:
            raise ConvergenceError(f"no convergence of the logistic model in {max_iter} iterations")
        previous = gain
        iterations += 1
        length = 1.0
        while (raised := loglik_at(combine_rows(beta + length * step, design))) < loglik - 1e-9 * (1 + abs(loglik)):
            length /= 2
            if length < 1e-10:
                raise ConvergenceError("Newton's method found no direction that raises the likelihood")
        beta = beta + length * step
        eta = combine_rows(beta, design)
        loglik = raised
    inverse = inverse_from_cholesky(factor)
    # back to the scale of the covariates
    back = np.diag(np.concatenate([[1.0], 1 / scale]))
    back[0, 1:] = -centre / scale
    covariance = back @ inverse @ back.T
    return LogisticFit(
        names=("(intercept)", *labels),
        coef=back @ beta,
        se=np.sqrt(np.diagonal(covariance)),
        covariance=covariance,
        fitted=expit(combine_rows(beta, design)),
        loglik=loglik,
        iterations=iterations,
    )


def _separation(labels: tuple[str, ...], speed: FloatArray) -> SeparationError:
    """Return the error that names the covariates whose coefficients run, the fastest first."""
    size = np.abs(speed)
    culprits = tuple(labels[j] for j in np.argsort(-size, kind="stable") if size[j] > _RUNAWAY)
    return SeparationError(
        "the logistic model has no finite fit: the outcome of some is perfectly predicted by "
        + (", ".join(culprits) or "the covariates together"),
        culprits,
    )


def harrell_knots(x: ArrayLike, n_knots: int = 4) -> tuple[float, ...]:
    """Knots at Harrell's quantiles of `x` (quantiles as R's type 7).

    Raises
    ------
    InvalidCovariatesError
        If values are missing, or so tied that knots coincide.
    """
    if n_knots not in HARRELL_QUANTILES:
        raise ValueError(f"between 3 and 7 knots are possible, found {n_knots}")
    values = as_float_vector(x, "spline covariate", InvalidCovariatesError)
    if not np.isfinite(values).all():
        raise InvalidCovariatesError("a spline covariate has missing or infinite values")
    knots = np.quantile(values, HARRELL_QUANTILES[n_knots])
    if (np.diff(knots) <= 0).any():
        raise InvalidCovariatesError(f"the values are too tied for {n_knots} knots: {np.unique(knots)}")
    return tuple(float(knot) for knot in knots)


def restricted_cubic_spline(x: ArrayLike, knots: Sequence[float]) -> FloatArray:
    """Restricted (natural) cubic spline: linear beyond the outer knots.

    Parameters
    ----------
    x : array_like, shape (n,)
    knots : sequence of float
        k >= 3 increasing knots.

    Returns
    -------
    ndarray, shape (n, k - 1)
        x itself, then k - 2 cubic terms in Harrell's basis, divided by the squared range of the knots so that all
        are on the scale of x. It spans what R's ``splines::ns`` spans with the same knots.
    """
    values = as_float_vector(x, "spline covariate", InvalidCovariatesError)
    t = np.asarray(knots, dtype=float)
    if t.size < 3 or (np.diff(t) <= 0).any():
        raise ValueError(f"at least three increasing knots are needed, found {list(map(float, t))}")

    def cubed(knot: FloatArray | float) -> FloatArray:
        return np.maximum(values[:, None] - knot, 0.0) ** 3

    inner, last, outer = t[:-2], t[-2], t[-1]
    terms = (
        cubed(inner) - cubed(last) * (outer - inner) / (outer - last) + cubed(outer) * (last - inner) / (outer - last)
    )
    return np.column_stack([values, terms / (outer - t[0]) ** 2])


def covariate_matrix(
    frame: pd.DataFrame,
    *,
    linear: Sequence[str] = (),
    splines: Mapping[str, int | Sequence[float]] | None = None,
    categorical: Sequence[str] = (),
) -> tuple[pd.DataFrame, dict[str, tuple[float, ...]]]:
    """Turn columns of a table into numeric covariates.

    Parameters
    ----------
    frame : DataFrame
        One row a person.
    linear : sequence of str
        Numeric columns entered as they are.
    splines : mapping of str to int or sequence of float
        Columns entered as restricted cubic splines: the number of knots (at Harrell's quantiles) or the knots.
    categorical : sequence of str
        Columns entered as one dummy a level but the first (sorted, or the order of a categorical).

    Returns
    -------
    matrix : DataFrame
        ``NAME``, ``NAME'``, ``NAME''`` ... for a spline, ``NAME=level`` for dummies; the index of `frame`.
    knots : dict
        Knots used, to be reported.

    Raises
    ------
    InvalidCovariatesError
        If a column is absent or has missing values (all such are named), or a category has one level.
    """
    import pandas as pd

    asked = [*linear, *(splines or {}), *categorical]
    absent = [name for name in asked if name not in frame.columns]
    if absent:
        raise InvalidCovariatesError(f"no columns {', '.join(absent)}; there are {', '.join(map(str, frame.columns))}")
    missing = {name: int(frame[name].isna().sum()) for name in asked if frame[name].isna().any()}
    if missing:
        raise InvalidCovariatesError(
            "missing values in " + ", ".join(f"{name} ({count})" for name, count in missing.items())
        )
    columns: dict[str, FloatArray] = {}
    knots: dict[str, tuple[float, ...]] = {}
    for name in linear:
        columns[name] = as_float_vector(frame[name], f"column {name}", InvalidCovariatesError)
    for name, given in (splines or {}).items():
        values = as_float_vector(frame[name], f"column {name}", InvalidCovariatesError)
        knots[name] = harrell_knots(values, given) if isinstance(given, int) else tuple(map(float, given))
        for order, term in enumerate(restricted_cubic_spline(values, knots[name]).T):
            columns[name + "'" * order] = term
    for name in categorical:
        series = frame[name]
        levels = (
            [c for c in series.cat.categories if (series == c).any()]
            if isinstance(series.dtype, pd.CategoricalDtype)
            else sorted(series.unique().tolist())
        )
        if len(levels) < 2:
            raise InvalidCovariatesError(f"column {name} has one level only: {levels[0]}")
        for level in levels[1:]:
            columns[f"{name}={level}"] = (series == level).to_numpy(dtype=float)
    return pd.DataFrame(columns, index=frame.index), knots


def _scores(score: ArrayLike, treated: ArrayLike) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return validated propensity scores, strictly between 0 and 1, and treatment."""
    values = as_float_vector(score, "propensity scores", EstimationError)
    if not ((values > 0) & (values < 1)).all():  # NaN is neither
        raise EstimationError("propensity scores must lie strictly between 0 and 1 (positivity)")
    return values, as_events(treated, values.size)


def propensity_weights(
    score: ArrayLike,
    treated: ArrayLike,
    estimand: Estimand = "ATE",
    *,
    stabilised: bool = True,
    sample_weights: ArrayLike | None = None,
) -> FloatArray:
    """Weights that balance the groups for an estimand.

    Parameters
    ----------
    score : array_like, shape (n,)
        Probability of treatment, strictly between 0 and 1.
    treated : array_like of 0 and 1, shape (n,)
    estimand : {"ATE", "ATT", "overlap"}
        ``ATE``: 1/e and 1/(1 - e), times the share treated or untreated if `stabilised`; ``ATT``: 1 and e/(1 - e);
        ``overlap``: 1 - e and e (Li, Morgan & Zaslavsky 2018), bounded, for those who could have had either.
    stabilised : bool
        For ``ATE`` only.
    sample_weights : array_like, shape (n,), optional
        Multiplicities of a resample: the shares are then those of the resample. The result does not contain them.

    Raises
    ------
    EmptyGroupError
        If no one, or everyone, is treated.
    EstimationError
        If a score is missing, 0 or 1.
    """
    e, indicator = _scores(score, treated)
    sample = as_weights(sample_weights, e.size)
    share = float(indicator.mean() if sample is None else sample @ indicator / sample.sum())
    if share in (0.0, 1.0):
        raise EmptyGroupError(f"no one is {'treated' if share == 0 else 'untreated'}: weights are not defined")
    if estimand == "ATE":
        if stabilised:
            return np.where(indicator, share / e, (1 - share) / (1 - e))
        return np.where(indicator, 1 / e, 1 / (1 - e))
    if estimand == "ATT":
        return np.where(indicator, 1.0, e / (1 - e))
    if estimand == "overlap":
        return np.where(indicator, 1 - e, e)
    raise ValueError(f"estimand must be 'ATE', 'ATT' or 'overlap', found {estimand!r}")


def truncate_weights(weights: ArrayLike, low: float = 0.01, high: float = 0.99) -> FloatArray:
    """Pull weights beyond two quantiles in to them (no one is left out; Cole & Hernan, Am J Epidemiol 2008;168:656)."""
    if not 0 <= low < high <= 1:
        raise ValueError(f"quantiles must satisfy 0 <= low < high <= 1, found {low} and {high}")
    array = np.asarray(weights, dtype=float)
    checked = as_weights(array, array.size)
    assert checked is not None
    return np.clip(checked, *np.quantile(checked, [low, high]))


def within_score_range(score: ArrayLike, low: float = 0.1, high: float = 0.9) -> NDArray[np.bool_]:
    """Who stays when scores outside [low, high] are trimmed (Crump et al. 2009)."""
    if not 0 <= low < high <= 1:
        raise ValueError(f"bounds must satisfy 0 <= low < high <= 1, found {low} and {high}")
    values = as_float_vector(score, "propensity scores", EstimationError)
    return (values >= low) & (values <= high)


def common_support(score: ArrayLike, treated: ArrayLike) -> NDArray[np.bool_]:
    """Who has a score that both the treated and the untreated reach.

    Raises
    ------
    EmptyGroupError
        If no one, or everyone, is treated.
    """
    values, indicator = _scores(score, treated)
    check_length(values, indicator.size, "propensity scores", EstimationError)
    if indicator.all() or not indicator.any():
        raise EmptyGroupError("common support needs treated and untreated people")
    low = max(values[indicator].min(), values[~indicator].min())
    high = min(values[indicator].max(), values[~indicator].max())
    return (values >= low) & (values <= high)
