r"""Times known to lie in an interval: Weibull proportional hazards, and Turnbull's nonparametric estimate.

A recurrence seen on imaging happened somewhere between the last clear and the first positive examination; a death
has a date. The Weibull model is in R's ``survreg`` form, :math:`\log T = x^\top\gamma + \sigma W` with W of the
smallest extreme value distribution, which is a proportional hazards model with log hazard ratios
:math:`-\gamma/\sigma`. Own Newton iterations because lifelines' interval-censored Weibull stops where its numerical
optimiser does and is not equal to R's in the sixth digit with weights, costs seconds, and its robust variance is
not the weighted sandwich; equal to ``survreg`` in ``tests/reference``.

References
----------
Odell PM, Anderson KM, D'Agostino RB. Maximum likelihood estimation for interval-censored data using a Weibull-based
accelerated failure time model. Biometrics 1992;48:951-959. Turnbull BW. The empirical distribution function with
arbitrarily grouped, censored and truncated data. J R Stat Soc B 1976;38:290-295. Sen B, Xu G. Model based bootstrap
methods for interval censored data. Comput Stat Data Anal 2015;81:121-129 (why a bootstrap of it is approximate).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtr, ndtri

from ._inputs import as_float_vector, as_matrix, as_weights, check_length, check_level
from .cox import HazardRatio
from .errors import (
    CollinearCovariatesError,
    ConstantCovariateError,
    ConvergenceError,
    EmptyGroupError,
    InvalidCovariatesError,
    InvalidTimesError,
    NoEventsError,
    SeparationError,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    FloatArray = NDArray[np.float64]

_MAX_STEPS = 60
_SMALLEST = 1e-16  # probability that counts as none
_RUNAWAY = 25.0  # log hazard ratio per standard deviation


@dataclass(frozen=True, eq=False)
class WeibullFit:
    """A Weibull model in the accelerated form of R's ``survreg``.

    Attributes
    ----------
    names : tuple of str
        ``(intercept)``, the p covariates, ``log(scale)``.
    coef : ndarray, shape (p + 2,)
    cov_model, cov_robust : ndarray, shape (p + 2, p + 2)
        Inverse of the observed information; sandwich with each row its own cluster (sum of squared weighted dfbetas).
    scale : float
        sigma; one over the Weibull shape.
    loglik : float
        Weighted.
    n, n_events : int
        Rows with a weight above zero, and those of them that are not right-censored.
    iterations : int
    """

    names: tuple[str, ...]
    coef: FloatArray
    cov_model: FloatArray
    cov_robust: FloatArray
    scale: float
    loglik: float
    n: int
    n_events: int
    iterations: int
    _covariates: tuple[str, ...] = field(repr=False)

    def hazard_ratio(self, name: str, level: float = 0.95, *, robust: bool = True) -> HazardRatio:
        """Return exp(-gamma / sigma) with the delta method's interval on the log scale.

        Raises
        ------
        KeyError
            If there is no such covariate.
        """
        if name not in self._covariates:
            raise KeyError(f"no covariate {name!r}; there are {', '.join(self._covariates)}")
        j = self.names.index(name)
        log_hr = -self.coef[j] / self.scale
        gradient = np.zeros(self.coef.size)
        gradient[j] = -1 / self.scale
        gradient[-1] = -log_hr  # derivative with respect to log(sigma)
        covariance = self.cov_robust if robust else self.cov_model
        se = float(np.sqrt(gradient @ covariance @ gradient))
        z = float(ndtri(0.5 + check_level(level) / 2))
        return HazardRatio(
            name=name,
            estimate=float(np.exp(log_hr)),
            ci_low=float(np.exp(log_hr - z * se)),
            ci_high=float(np.exp(log_hr + z * se)),
            p=float(2 * ndtr(-abs(log_hr / se))),
            log_estimate=float(log_hr),
            log_se=se,
            level=level,
            robust=robust,
        )


def weibull_interval(
    x: ArrayLike,
    lower: ArrayLike,
    upper: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    names: Any = None,
) -> WeibullFit:
    """Fit a Weibull proportional hazards model to times known up to an interval.

    Parameters
    ----------
    x : DataFrame or array_like, shape (n, p)
        Covariates, without intercept.
    lower, upper : array_like, shape (n,)
        The event lies in (lower, upper]. ``lower = 0``: before `upper` (left-censored); ``upper = inf``: after
        `lower` (right-censored); equal: at that time.
    weights : array_like, shape (n,), optional
        Case weights; rows with weight 0 count as absent.
    names : sequence of str, optional

    Raises
    ------
    NoEventsError
        If everyone is right-censored.
    ConstantCovariateError, CollinearCovariatesError, SeparationError, ConvergenceError
        The data do not determine the coefficients.
    InvalidTimesError, InvalidCovariatesError, InvalidWeightsError
        Values are missing or impossible.
    """
    low, high = _as_intervals(lower, upper)
    matrix, labels = as_matrix(x, names)
    check_length(matrix, low.size, "covariates", InvalidCovariatesError)
    w = as_weights(weights, low.size)
    w = np.ones(low.size) if w is None else w
    present = w > 0
    low, high, matrix, w = low[present], high[present], matrix[present], w[present]
    happened = np.isfinite(high)
    if not happened.any():
        raise NoEventsError(f"no events among {low.size} observations: a hazard ratio cannot be estimated")
    if np.unique(np.concatenate([low[happened & (low > 0)], high[happened]])).size < 2:
        raise ConvergenceError("all events are at one time: a Weibull model has no finite fit")
    centre, spread = matrix.mean(axis=0), matrix.std(axis=0)
    constant = spread <= 1e-12 * np.maximum(1e-300, np.abs(centre))
    if constant.any():
        raise ConstantCovariateError(
            f"covariate {', '.join(labels[j] for j in np.flatnonzero(constant))} does not vary"
        )
    z = np.column_stack([np.ones(low.size), (matrix - centre) / spread])
    if np.linalg.matrix_rank(z) < z.shape[1]:
        raise CollinearCovariatesError("a covariate is a linear combination of the others")
    for j, label in enumerate(labels):
        if set(np.unique(matrix[:, j])) == {0.0, 1.0}:
            for value in (0.0, 1.0):
                if not happened[matrix[:, j] == value].any():
                    raise SeparationError(f"no events where {label} is {value:g}: no finite hazard ratio", (label,))

    theta, value, state, steps = _newton(z, low, high, w, labels)
    _, rows, hessian = state
    inverse = np.linalg.inv(-hessian)
    influence = (rows * w[:, None]) @ inverse
    # back to the covariates' own scale: intercept, coefficients, log(scale)
    p = matrix.shape[1]
    back = np.eye(p + 2)
    back[1 : p + 1, 1 : p + 1] = np.diag(1 / spread)
    back[0, 1 : p + 1] = -centre / spread
    influence = influence @ back.T
    return WeibullFit(
        names=("(intercept)", *labels, "log(scale)"),
        coef=back @ theta,
        cov_model=back @ inverse @ back.T,
        cov_robust=influence.T @ influence,
        scale=float(np.exp(theta[-1])),
        loglik=value,
        n=low.size,
        n_events=int(happened.sum()),
        iterations=steps,
        _covariates=labels,
    )


def _as_intervals(lower: ArrayLike, upper: ArrayLike) -> tuple[FloatArray, FloatArray]:
    low = as_float_vector(lower, "lower limits", InvalidTimesError)
    high = as_float_vector(upper, "upper limits", InvalidTimesError)
    check_length(high, low.size, "upper limits", InvalidTimesError)
    if low.size == 0:
        raise EmptyGroupError("no observations: the group is empty")
    bad = ~np.isfinite(low) | np.isnan(high) | (low < 0) | (high <= 0) | (low > high)
    if bad.any():
        found = np.flatnonzero(bad)
        raise InvalidTimesError(
            "an interval needs 0 <= lower <= upper, upper above zero (infinite: right-censored); "
            f"{found.size} rows have not (first at position {', '.join(map(str, found[:5]))})"
        )
    return low, high


def _newton(
    z: FloatArray, low: FloatArray, high: FloatArray, w: FloatArray, labels: tuple[str, ...]
) -> tuple[FloatArray, float, tuple[float, FloatArray, FloatArray], int]:
    """Return the maximum, its log-likelihood, what was evaluated there and the number of steps."""
    # an exponential model of interval midpoints is near enough to start from
    middle = np.where(np.isfinite(high), (low + np.where(np.isfinite(high), high, 0.0)) / 2, low)
    theta = np.zeros(z.shape[1] + 1)
    theta[0] = np.log(w @ middle / (w @ np.isfinite(high)))
    state = _evaluate(theta, z, low, high, w)
    for step_no in range(1, _MAX_STEPS + 1):
        value, rows, hessian = state
        score = w @ rows
        try:
            step = np.linalg.solve(-hessian, score)
        except np.linalg.LinAlgError:
            step = score / np.abs(hessian).max()
        if score @ step < 0:  # not concave here: follow the score instead
            step = score / np.abs(hessian).max()
        length = min(1.0, 3.0 / np.abs(step).max())
        while True:
            tried = _evaluate(theta + length * step, z, low, high, w)
            if tried[0] >= value - 1e-12 * (1 + abs(value)):
                break
            length /= 2
            if length < 1e-10:
                raise ConvergenceError("Newton's method found no direction that raises the likelihood")
        theta = theta + length * step
        state = tried
        runs = np.abs(theta[1:-1]) / np.exp(theta[-1])
        if runs.size and runs.max() > _RUNAWAY:
            name = labels[int(np.argmax(runs))]
            raise SeparationError(f"the hazard ratio of {name} has no finite maximum", (name,))
        if length == 1.0 and np.abs(step).max() < 1e-11:
            return theta, tried[0], state, step_no
        if length == 1.0 and np.abs(step).max() < 1e-7 and tried[0] - value <= 1e-13 * (1 + abs(value)):
            return theta, tried[0], state, step_no
    raise ConvergenceError(f"the Weibull model did not converge in {_MAX_STEPS} steps")


def _evaluate(
    theta: FloatArray, z: FloatArray, low: FloatArray, high: FloatArray, w: FloatArray
) -> tuple[float, FloatArray, FloatArray]:
    """Return log-likelihood, unweighted score of each row (n, p + 1) and weighted Hessian.

    With s = log(sigma) and the standardised residual r = (log t - eta) / sigma, dr/deta = -1/sigma, dr/ds = -r, and
    the cumulative hazard exp(r). Derivatives are taken in (r of the lower end, r of the upper end, s) and chained.
    """
    eta, log_sigma = z @ theta[:-1], theta[-1]
    sigma = np.exp(log_sigma)
    exact = low == high
    right = np.isinf(high)
    left = (low == 0) & ~right
    between = ~(exact | right | left)
    n = eta.size
    ll = np.zeros(n)
    d_eta, d_s = np.zeros(n), np.zeros(n)
    h_ee, h_es, h_ss = np.zeros(n), np.zeros(n), np.zeros(n)

    def residual(time: FloatArray, chosen: NDArray[np.bool_]) -> FloatArray:
        return (np.log(time[chosen]) - eta[chosen]) / sigma

    def chain(chosen: NDArray[np.bool_], r: FloatArray, g: FloatArray, h: FloatArray) -> None:
        """Add a term with first and second derivative g, h in r."""
        d_eta[chosen] += -g / sigma
        d_s[chosen] += -g * r
        h_ee[chosen] += h / sigma**2
        h_es[chosen] += (h * r + g) / sigma
        h_ss[chosen] += h * r**2 + g * r

    if exact.any():
        r = residual(high, exact)
        e = np.exp(np.minimum(r, 700))
        ll[exact] = r - e - log_sigma - np.log(high[exact])
        chain(exact, r, 1 - e, -e)
        d_s[exact] -= 1
    later = right & (low > 0)
    if later.any():
        r = residual(low, later)
        e = np.exp(np.minimum(r, 700))
        ll[later] = -e
        chain(later, r, -e, -e)
    if left.any():
        r = residual(high, left)
        e = np.exp(np.clip(r, -700, 700))
        ll[left] = np.log(-np.expm1(-e))
        hazard = e / np.expm1(np.minimum(e, 700))  # e exp(-e) / (1 - exp(-e))
        chain(left, r, hazard, hazard * (1 - e - hazard))
    if between.any():
        a, b = residual(low, between), residual(high, between)
        ea, eb = np.exp(np.clip(a, -700, 700)), np.exp(np.clip(b, -700, 700))
        share = -np.expm1(-np.minimum(eb - ea, 700))  # 1 - S(b) / S(a)
        ll[between] = -ea + np.log(share)
        ratio = np.exp(-np.minimum(eb - ea, 700)) / share  # S(b) / (S(a) - S(b))
        # derivatives of log(S(a) - S(b)) in a and b
        ga, gb = -ea * (1 + ratio), eb * ratio
        haa = -ea * (1 + ratio) * (1 - ea) - ga**2
        hbb = eb * ratio * (1 - eb) - gb**2
        hab = -ga * gb
        d_eta[between] = -(ga + gb) / sigma
        d_s[between] = -(ga * a + gb * b)
        h_ee[between] = (haa + 2 * hab + hbb) / sigma**2
        h_es[between] = (haa * a + hab * (a + b) + hbb * b + ga + gb) / sigma
        h_ss[between] = haa * a**2 + 2 * hab * a * b + hbb * b**2 + ga * a + gb * b
    rows = np.column_stack([z * d_eta[:, None], d_s])
    hessian = np.empty((theta.size, theta.size))
    hessian[:-1, :-1] = (z * (w * h_ee)[:, None]).T @ z
    hessian[:-1, -1] = hessian[-1, :-1] = z.T @ (w * h_es)
    hessian[-1, -1] = w @ h_ss
    value = float(w @ ll)
    return (value if np.isfinite(value) else -np.inf), rows, hessian


@dataclass(frozen=True, eq=False)
class Turnbull:
    """Nonparametric maximum likelihood estimate of a distribution from intervals.

    Attributes
    ----------
    left, right : ndarray, shape (m,)
        The innermost intervals (left, right] that can carry probability; equal for an exact time; infinite right
        where follow-up ends.
    mass : ndarray, shape (m,)
    iterations : int
    """

    left: FloatArray
    right: FloatArray
    mass: FloatArray
    iterations: int

    def survival(self, times: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return lower and upper bound of survival at `times`.

        They differ for a time within an innermost interval, where the likelihood does not say how its probability is
        spread.
        """
        at = np.atleast_1d(np.asarray(times, dtype=float))[:, None]
        # (left, right] lies at or before t when right <= t; none of it when left >= t (an exact time: when right > t)
        begun = (self.left < at) | (self.right <= at)
        over = self.right <= at
        return 1 - begun @ self.mass, 1 - over @ self.mass


def innermost_intervals(low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the intervals (left, right] that begin with some lower limit and end with the next upper limit."""
    # order of limits at one time t: the closed end of an exact time [t opens before anything at t closes, and an open
    # lower limit (t only after it
    exact = low == high
    points = np.concatenate([low, high])
    kind = np.concatenate([np.where(exact, 0, 2), np.ones(high.size)])  # 0: opens at t, 1: closes at t, 2: opens after
    order = np.lexsort((kind, points))
    points, opens = points[order], kind[order] != 1
    starts = np.flatnonzero(opens[:-1] & ~opens[1:])
    return points[starts], points[starts + 1]


def turnbull(
    lower: ArrayLike,
    upper: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    tol: float = 1e-10,
    max_iter: int = 20000,
) -> Turnbull:
    """Estimate a distribution from times known up to an interval, without a model.

    Parameters
    ----------
    lower, upper : array_like, shape (n,)
        As in :func:`weibull_interval`.
    weights : array_like, shape (n,), optional
    tol : float
        Largest change of a probability in the last step.
    max_iter : int

    Raises
    ------
    ConvergenceError
    EmptyGroupError, InvalidTimesError, InvalidWeightsError
    """
    low, high = _as_intervals(lower, upper)
    w = as_weights(weights, low.size)
    w = np.ones(low.size) if w is None else w
    low, high, w = low[w > 0], high[w > 0], w[w > 0]
    cover = _Cover.of(low, high)
    mass, steps, moved = _self_consistent(cover, w[:, None] / w.sum(), tol, max_iter)
    if moved > tol:
        raise ConvergenceError(f"the estimate still moved by {moved:.1g} after {max_iter} steps")
    return Turnbull(cover.left, cover.right, mass[:, 0], steps)


def turnbull_resampled(
    lower: ArrayLike, upper: ArrayLike, times: ArrayLike, *, seed: int, replicates: int, tol: float = 1e-5
) -> FloatArray:
    """Return the middle of the survival bounds at `times` in bootstrap resamples, shape (replicates, times).

    Parameters
    ----------
    lower, upper : array_like, shape (n,)
    times : array_like
    seed, replicates : int
    tol : float
        As in :func:`turnbull`; Monte Carlo error makes more digits useless.
    """
    low, high = _as_intervals(lower, upper)
    n = low.size
    cover = _Cover.of(low, high)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1.0 / n), size=replicates).T / n
    mass, _, _ = _self_consistent(cover, drawn, tol, 2000)
    at = np.atleast_1d(np.asarray(times, dtype=float))[:, None]
    begun = ((cover.left < at) | (cover.right <= at)).astype(float)
    over = (cover.right <= at).astype(float)
    return 1 - mass.T @ ((begun + over) / 2).T


@dataclass(frozen=True, eq=False)
class _Cover:
    """Which innermost intervals each observation contains: a run, first[i]:last[i], as they are disjoint and sorted.

    Sums over runs are differences of running sums, so that a step costs as much as there are observations and
    intervals, not their product. Resamples are columns.
    """

    left: FloatArray
    right: FloatArray
    first: NDArray[np.intp]
    last: NDArray[np.intp]
    by_first: NDArray[np.intp]
    by_last: NDArray[np.intp]

    @classmethod
    def of(cls, low: FloatArray, high: FloatArray) -> _Cover:
        left, right = innermost_intervals(low, high)
        first = np.searchsorted(left, low, side="left")
        # an exact innermost time at the open lower limit of an interval is not inside it
        at = np.minimum(first, left.size - 1)
        first = first + ((low < high) & (left[at] == low) & (right[at] == low))
        last = np.searchsorted(right, high, side="right")
        return cls(left, right, first, last, np.argsort(first, kind="stable"), np.argsort(last, kind="stable"))

    def reach(self, mass: FloatArray) -> FloatArray:
        """Return each observation's probability, shape (n, resamples), for masses of shape (m, resamples)."""
        running = np.zeros((self.left.size + 1, mass.shape[1]))
        np.cumsum(mass, axis=0, out=running[1:])
        return np.maximum(running[self.last] - running[self.first], _SMALLEST)

    def spread(self, values: FloatArray) -> FloatArray:
        """Add each observation's value to all intervals it contains, shape (m, resamples)."""
        steps = np.zeros((self.left.size + 1, values.shape[1]))
        for order, ends, sign in ((self.by_first, self.first, 1.0), (self.by_last, self.last, -1.0)):
            at, starts = np.unique(ends[order], return_index=True)
            steps[at] += sign * np.add.reduceat(values[order], starts, axis=0)
        return np.maximum(np.cumsum(steps, axis=0)[:-1], 0.0)


def _self_consistent(cover: _Cover, shares: FloatArray, tol: float, max_iter: int) -> tuple[FloatArray, int, float]:
    """Return Turnbull's self-consistent masses, one column a resample, by squared extrapolation of the EM steps.

    Varadhan R, Roland C. Scand J Stat 2008;35:335-353 (SQUAREM, scheme S3); a step that would leave the simplex
    falls back to plain EM.
    """

    def em(mass: FloatArray, shares: FloatArray) -> FloatArray:
        updated = mass * cover.spread(shares / cover.reach(mass))
        return updated / updated.sum(axis=0)

    result = np.full((cover.left.size, shares.shape[1]), 1.0 / cover.left.size)
    moving, mass = np.arange(shares.shape[1]), result.copy()
    moved = np.full(moving.size, np.inf)
    steps = 0
    while moving.size and steps < max_iter:
        first = em(mass, shares)
        second = em(first, shares)
        steps += 1
        moved = np.abs(second - first).max(axis=0)
        result[:, moving] = second
        going = moved > tol
        if not going.all():  # what has arrived costs no further steps
            moving, shares = moving[going], shares[:, going]
            mass, first, second = mass[:, going], first[:, going], second[:, going]
        r, v = first - mass, second - 2 * first + mass
        curvature = np.sqrt((v**2).sum(axis=0))
        alpha = -np.sqrt((r**2).sum(axis=0)) / np.maximum(curvature, 1e-300)
        alpha = np.clip(alpha, -50.0, -1.0)
        jumped = mass - 2 * alpha * r + alpha**2 * v
        valid = (jumped.min(axis=0) > -1e-15) & (curvature > 1e-14)
        # a probability that extrapolation makes exactly zero could never return
        mass = em(np.where(valid, np.maximum(jumped, _SMALLEST), second), shares)
    return result, steps, float(moved.max())
