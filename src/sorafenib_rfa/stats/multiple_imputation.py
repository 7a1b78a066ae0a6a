"""Multiple imputation by chained equations, and Rubin's rules.

statsmodels' ``MICE`` was tried and not taken: it imputes every variable by predictive mean matching, also a category
of several levels, and costs a job two seconds to import. Here a continuous variable is imputed by predictive mean
matching on a Bayesian linear regression, a categorical one by a draw from a Bayesian multinomial logistic regression.
What the analysis model relates to each other must be in the imputation models, the outcome above all: for a survival
outcome its event indicator and the Nelson-Aalen cumulative hazard at the end of follow-up (White and Royston 2009).
Terms made of imputed variables, such as splines, are made afterwards (passively).

References
----------
Rubin DB. Multiple Imputation for Nonresponse in Surveys. Wiley 1987. Barnard J, Rubin DB. Biometrika 1999;86:948-955
(degrees of freedom). van Buuren S, Groothuis-Oudshoorn K. J Stat Softw 2011;45(3) (chained equations; the small ridge
and the matching of donors follow its R package mice). White IR, Royston P. Stat Med 2009;28:1982-1998. White IR,
Royston P, Wood AM. Stat Med 2011;30:377-399. Gelman A, et al. Ann Appl Stat 2008;2:1360-1383 (a weak prior against
separation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import stdtr, stdtrit

from ._inputs import as_events, as_float_vector, as_matrix, as_times, check_length, check_level
from ._linalg import cross_product
from .errors import ConvergenceError, EstimationError, InvalidCovariatesError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    FloatArray = NDArray[np.float64]

DONORS = 5
ITERATIONS = 5
"""Rounds through the variables of a chain; as mice."""
RIDGE = 1e-5
PRIOR_SD = 2.5
"""Standard deviation of the normal prior of a log odds ratio a standard deviation of its covariate."""

_MAX_STEPS = 60


@dataclass(frozen=True, eq=False)
class Incomplete:
    """A variable with missing values.

    Attributes
    ----------
    name : str
    values : ndarray, shape (n,)
        Numbers with NaN where missing; of a categorical variable the level's number, 0, 1, ... .
    levels : int
        0 for a continuous variable, else the number of levels.
    """

    name: str
    values: FloatArray
    levels: int = 0

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Where the value is missing."""
        return np.isnan(self.values)


def nelson_aalen(time: ArrayLike, event: ArrayLike) -> FloatArray:
    """Cumulative hazard of the whole sample at each person's own time (White and Royston 2009)."""
    stop, _ = as_times(time)
    dead = as_events(event, stop.size)
    grid, at = np.unique(stop, return_inverse=True)
    leaving = np.bincount(at.reshape(-1), minlength=grid.size)
    events = np.bincount(at.reshape(-1), weights=dead, minlength=grid.size)
    at_risk = np.cumsum(leaving[::-1])[::-1]
    return np.cumsum(events / at_risk)[at.reshape(-1)]


def impute(
    variables: Sequence[Incomplete],
    complete: ArrayLike,
    *,
    imputations: int,
    seed: int,
    iterations: int = ITERATIONS,
) -> list[dict[str, FloatArray]]:
    """Impute by chained equations: one independent chain an imputation.

    Parameters
    ----------
    variables : sequence of Incomplete
        Each is regressed on all others and on `complete`, the one with fewest missing values first.
    complete : array_like, shape (n, p)
        What is known of everyone: treatment, outcome, complete covariates. Columns that do not vary are left out.
    imputations : int
        Completed data sets.
    seed : int
    iterations : int
        Rounds through the variables.

    Returns
    -------
    list of dict
        An imputation each: variable -> completed values. Imputed numbers are values of donors, so they are possible.

    Raises
    ------
    InvalidCovariatesError
        If `complete` has missing values, or a variable has none that is known.
    """
    known, _ = as_matrix(complete)
    n = known.shape[0]
    for variable in variables:
        check_length(variable.values, n, variable.name, InvalidCovariatesError)
        if variable.missing.all():
            raise InvalidCovariatesError(f"{variable.name} is missing in everyone: it cannot be imputed")
    todo = sorted((v for v in variables if v.missing.any()), key=lambda v: int(v.missing.sum()))
    done = []
    for number in range(imputations):
        rng = np.random.default_rng([seed, number])
        done.append(_chain(variables, todo, known, rng, iterations))
    return done


def _chain(
    variables: Sequence[Incomplete],
    todo: Sequence[Incomplete],
    known: FloatArray,
    rng: np.random.Generator,
    iterations: int,
) -> dict[str, FloatArray]:
    """Return one completed data set."""
    values = {variable.name: variable.values.copy() for variable in variables}
    for variable in todo:
        gaps = variable.missing
        values[variable.name][gaps] = rng.choice(variable.values[~gaps], size=int(gaps.sum()))
    started: dict[str, FloatArray] = {}  # where Newton's method starts next time
    for _ in range(iterations if len(todo) > 1 else 1):
        for variable in todo:
            gaps = variable.missing
            others = [_columns(other, values[other.name]) for other in variables if other is not variable]
            x = _standardised(np.column_stack([known, *others]))
            seen = variable.values[~gaps]
            if not variable.levels:
                values[variable.name][gaps] = _matched(x, seen, gaps, rng)
                continue
            drawn, started[variable.name] = _category(x, seen, gaps, rng, started.get(variable.name))
            values[variable.name][gaps] = drawn
    return values


def _columns(variable: Incomplete, values: FloatArray) -> FloatArray:
    """Return a variable as predictors: itself, or an indicator for each level but the first."""
    if not variable.levels:
        return values[:, None]
    return (values[:, None] == np.arange(1, variable.levels)).astype(float)


def _standardised(x: FloatArray) -> FloatArray:
    """Return a column of ones and the columns that vary, centred and scaled."""
    spread = x.std(axis=0)
    varies = spread > 1e-12 * np.maximum(1e-300, np.abs(x).max(axis=0))
    z = (x[:, varies] - x[:, varies].mean(axis=0)) / spread[varies]
    return np.column_stack([np.ones(len(x)), z])


def draw_linear(
    x: FloatArray, y: FloatArray, rng: np.random.Generator, *, ridge: float = RIDGE
) -> tuple[FloatArray, FloatArray, float]:
    """Draw from the posterior of a linear regression with a flat prior (Rubin 1987, p. 167).

    Parameters
    ----------
    x : ndarray, shape (n, p)
        With its column of ones.
    y : ndarray, shape (n,)
    rng : Generator
    ridge : float
        Added to the information, as a share of its diagonal, so that collinear columns do no harm (as mice does).

    Returns
    -------
    estimate, draw : ndarray, shape (p,)
        Least squares, and a draw: residual variance from its scaled inverse chi-squared, coefficients given it.
    sigma : float
        The residual standard deviation drawn.
    """
    information = cross_product(x.T, x.T)
    information[np.diag_indices_from(information)] *= 1 + ridge
    factor = np.linalg.cholesky(information)
    estimate = solve_triangular(factor.T, solve_triangular(factor, x.T @ y, lower=True))
    residual = y - x @ estimate
    freedom = max(len(y) - x.shape[1], 1)
    sigma = float(np.sqrt(residual @ residual / rng.chisquare(freedom)))
    draw = estimate + sigma * solve_triangular(factor.T, rng.standard_normal(x.shape[1]))
    return estimate, draw, sigma


def _matched(x: FloatArray, seen: FloatArray, gaps: NDArray[np.bool_], rng: np.random.Generator) -> FloatArray:
    """Return values of donors whose predicted values are near those drawn for the missing (type 1 matching)."""
    estimate, draw, _ = draw_linear(x[~gaps], seen, rng)
    predicted, wanted = x[~gaps] @ estimate, x[gaps] @ draw
    donors = min(DONORS, seen.size)
    nearest = np.argsort(np.abs(wanted[:, None] - predicted), axis=1, kind="stable")[:, :donors]
    return seen[nearest[np.arange(wanted.size), rng.integers(donors, size=wanted.size)]]


def _category(
    x: FloatArray,
    seen: FloatArray,
    gaps: NDArray[np.bool_],
    rng: np.random.Generator,
    start: FloatArray | None,
) -> tuple[FloatArray, FloatArray]:
    """Return drawn levels and the mode of the coefficients."""
    present, codes = np.unique(seen, return_inverse=True)
    if present.size == 1:
        return np.full(int(gaps.sum()), present[0]), np.zeros(0)
    if start is not None and start.shape != (present.size - 1, x.shape[1]):
        start = None  # a column stopped or began to vary
    mode, factor = multinomial_mode(x[~gaps], codes.reshape(-1), start=start)
    draw = mode + solve_triangular(factor.T, rng.standard_normal(mode.size)).reshape(mode.shape)
    probability = _probabilities(x[gaps], draw)
    below = np.cumsum(probability, axis=1) < rng.random(len(probability))[:, None]
    return present[np.minimum(below.sum(axis=1), present.size - 1)], mode


def _probabilities(x: FloatArray, beta: FloatArray) -> FloatArray:
    """Return probabilities of all levels, shape (n, levels); the first is the reference."""
    eta = np.column_stack([np.zeros(len(x)), x @ beta.T])
    eta -= eta.max(axis=1, keepdims=True)
    odds = np.exp(eta)
    return odds / odds.sum(axis=1, keepdims=True)


def multinomial_mode(
    x: FloatArray,
    codes: NDArray[np.intp],
    *,
    prior_sd: float = PRIOR_SD,
    start: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Return the posterior mode of a multinomial logistic regression and its curvature.

    Parameters
    ----------
    x : ndarray, shape (n, p)
        A column of ones first, then standardised covariates.
    codes : ndarray of int, shape (n,)
        Levels 0 (the reference) to k - 1, all present.
    prior_sd : float
        Normal prior of all coefficients but the intercepts; finite, it gives a mode under perfect prediction too.

    Returns
    -------
    mode : ndarray, shape (k - 1, p)
    factor : ndarray
        Lower Cholesky factor of the information at the mode, coefficients in the order of ``mode.reshape(-1)``.
    """
    k, p = int(codes.max()), x.shape[1]
    target = (codes[:, None] == np.arange(1, k + 1)).astype(float)
    penalty = np.full(p, 1 / prior_sd**2)
    penalty[0] = 0.0
    beta = np.zeros((k, p)) if start is None else start.copy()
    rows = x.T
    for _ in range(_MAX_STEPS):
        chance = _probabilities(x, beta)[:, 1:]
        score = (target - chance).T @ x - beta * penalty
        information = np.empty((k, p, k, p))
        for a in range(k):
            for b in range(a, k):
                spread = chance[:, a] * ((a == b) - chance[:, b])
                block = cross_product(rows * spread, rows)
                if a == b:
                    block[np.diag_indices_from(block)] += penalty
                information[a, :, b], information[b, :, a] = block, block.T
        flat = information.reshape(k * p, k * p)
        flat[np.diag_indices_from(flat)] *= 1 + 1e-10  # intercepts have no prior: rounding only
        factor = np.linalg.cholesky(flat)
        step = solve_triangular(factor.T, solve_triangular(factor, score.reshape(-1), lower=True))
        beta = beta + (step * min(1.0, 5.0 / np.abs(step).max())).reshape(k, p)
        if np.abs(step).max() < 1e-5:
            return beta, factor
    raise ConvergenceError(f"no convergence of the multinomial model in {_MAX_STEPS} iterations")


@dataclass(frozen=True)
class Pooled:
    """An estimate over imputations (Rubin's rules).

    Attributes
    ----------
    estimate, std_err, ci_low, ci_high, p : float
        By Student's t on `df`.
    df : float
        Barnard and Rubin 1999.
    within, between : float
        Variance within and between imputations.
    fmi : float
        Fraction of missing information, as R's ``mice::pool.scalar`` gives it.
    imputations : int
    """

    estimate: float
    std_err: float
    ci_low: float
    ci_high: float
    p: float
    df: float
    within: float
    between: float
    fmi: float
    imputations: int


def pool(estimates: ArrayLike, variances: ArrayLike, complete_df: float = np.inf, level: float = 0.95) -> Pooled:
    """Combine the estimates of one quantity from imputed data sets by Rubin's rules.

    Parameters
    ----------
    estimates, variances : array_like, shape (m,)
        On a scale on which the estimate is about normal (a hazard ratio: its logarithm); m above 1.
    complete_df : float
        Degrees of freedom if nothing were missing; infinite for large samples.
    level : float

    Raises
    ------
    EstimationError
        If there are fewer than two, or values are missing or variances not above zero.
    """
    q = as_float_vector(estimates, "estimates", EstimationError)
    u = as_float_vector(variances, "variances", EstimationError)
    m = q.size
    check_length(u, m, "variances", EstimationError)
    if m < 2:
        raise EstimationError(f"Rubin's rules need two imputations or more, found {m}")
    if not (np.isfinite(q) & np.isfinite(u) & (u > 0)).all() or not complete_df > 0:
        raise EstimationError("estimates must be finite, and variances and degrees of freedom above zero")
    mean, within, between = float(q.mean()), float(u.mean()), float(q.var(ddof=1))
    total = within + (1 + 1 / m) * between
    share = (1 + 1 / m) * between / total
    old = (m - 1) / share**2 if share > 0 else np.inf
    observed = np.inf if np.isinf(complete_df) else (complete_df + 1) / (complete_df + 3) * complete_df * (1 - share)
    df = float(1 / (1 / old + 1 / observed)) if np.isfinite(min(old, observed)) else float("inf")
    std_err = float(np.sqrt(total))
    increase = (1 + 1 / m) * between / within
    quantile = float(stdtrit(df, 0.5 + check_level(level) / 2)) if np.isfinite(df) else _normal_quantile(level)
    return Pooled(
        estimate=mean,
        std_err=std_err,
        ci_low=mean - quantile * std_err,
        ci_high=mean + quantile * std_err,
        p=float(2 * stdtr(min(df, 1e15), -abs(mean / std_err))),
        df=df,
        within=within,
        between=between,
        fmi=float((increase + (0.0 if np.isinf(df) else 2 / (df + 3))) / (increase + 1)),
        imputations=m,
    )


def _normal_quantile(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(0.5 + level / 2))
