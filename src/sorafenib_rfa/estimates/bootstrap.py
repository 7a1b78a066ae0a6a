"""Bootstrap of weighted survival contrasts in which the propensity score is fitted anew in every resample.

All resamples are computed together: a resample is a row of multiplicities, so that the Newton steps of all logistic
regressions and all Kaplan-Meier curves are matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from sorafenib_rfa.stats.clone_censor import log_hazard_ratios
from sorafenib_rfa.stats.errors import ConvergenceError, EstimationError

FloatArray = NDArray[np.float64]

_MAX_STEPS = 30
_TOLERANCE = 1e-6
_LONGEST_STEP = 2.0
_MOST_FAILED = 0.05
NO_RESAMPLES = "the plan asks for no bootstrap resamples"
_AT_ONCE = 500  # resamples of risk sets held in memory together


@dataclass(frozen=True)
class BootstrapDifference:
    """Spread of a difference and a ratio of restricted means over resamples.

    Attributes
    ----------
    std_err : float
        Standard deviation of the differences.
    treated_std_err, control_std_err : float
        Of the arms' restricted means.
    log_ratio_std_err : float
        Standard deviation of the log of their ratio.
    replicates, failed : int
        Resamples used, and those without an estimate (an arm without weight, a separated propensity score).
    """

    std_err: float
    treated_std_err: float
    control_std_err: float
    log_ratio_std_err: float
    replicates: int
    failed: int


@dataclass(frozen=True, eq=False)
class BootstrapIncidence:
    """Spread of weighted cumulative incidence over resamples; arrays have shape (causes, times).

    Attributes
    ----------
    treated_std_err, control_std_err, difference_std_err : ndarray
        Standard deviations of the arms' incidences and of their difference.
    replicates, failed : int
        As in :class:`BootstrapDifference`.
    """

    treated_std_err: FloatArray
    control_std_err: FloatArray
    difference_std_err: FloatArray
    replicates: int
    failed: int


@dataclass(frozen=True)
class OverlapResamples:
    """Bootstrap resamples of patients with overlap weights from a propensity score fitted anew in each.

    Attributes
    ----------
    treated : ndarray of bool, shape (n,)
        Arm.
    weights : ndarray, shape (resamples, n)
        Multiplicity times overlap weight.
    usable : ndarray of bool, shape (resamples,)
        Resamples whose propensity score converged.
    """

    treated: NDArray[np.bool_]
    weights: FloatArray
    usable: NDArray[np.bool_]

    @classmethod
    def draw(cls, x: FloatArray, treated: NDArray[np.bool_], *, seed: int, replicates: int) -> OverlapResamples:
        """Resample patients and fit the propensity scores.

        Parameters
        ----------
        x : ndarray, shape (n, p)
            Covariates of the propensity score, without intercept.
        treated : ndarray of bool, shape (n,)
            Arm.
        seed, replicates : int
            Of the resampling; with no replicates every spread is refused.
        """
        n = len(treated)
        if replicates == 0:
            return cls(treated, np.empty((0, n)), np.empty(0, dtype=bool))
        drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1.0 / n), size=replicates).astype(float)
        scores, usable = logistic_scores(x, treated.astype(float), drawn)
        return cls(treated, drawn * np.where(treated, 1.0 - scores, scores), usable)

    def rmst_difference(
        self, inside: NDArray[np.bool_], time: FloatArray, event: NDArray[np.bool_], tau: float
    ) -> BootstrapDifference:
        """Return the spread of weighted restricted means and of their difference, treated minus control.

        Parameters
        ----------
        inside : ndarray of bool, shape (n,)
            Patients who are followed for the endpoint; all take part in the propensity score.
        time, event : ndarray, shape (number inside,)
            Their follow-up from the landmark, and whether it ended in an event.
        tau : float
            Horizon, in the unit of `time`; a resample whose follow-up ends earlier keeps its curve level.

        Raises
        ------
        ConvergenceError
            If more than one resample in twenty has no estimate.
        """
        usable = self._with_both_arms(inside)
        weights, treated = self.weights[:, inside], self.treated[inside]
        means = {}
        for arm in (True, False):
            own = weights[:, treated == arm]
            means[arm] = _restricted_means(time[treated == arm], own, own * event[treated == arm], tau)
        first, second = means[True][usable], means[False][usable]
        return BootstrapDifference(
            std_err=float(np.std(first - second, ddof=1)),
            treated_std_err=float(np.std(first, ddof=1)),
            control_std_err=float(np.std(second, ddof=1)),
            log_ratio_std_err=float(np.std(np.log(first / second), ddof=1)),
            replicates=int(usable.sum()),
            failed=int((~usable).sum()),
        )

    def log_hazard_ratio(
        self, inside: NDArray[np.bool_], time: FloatArray, event: NDArray[np.bool_]
    ) -> tuple[float, int]:
        """Return the spread of the weighted log hazard ratio of treatment, and how many resamples gave one.

        Parameters
        ----------
        inside, time, event
            As in :meth:`rmst_difference`.

        Raises
        ------
        ConvergenceError
            If more than one resample in twenty has no estimate.
        """
        usable = self._with_both_arms(inside)
        order = np.argsort(time, kind="stable")
        weights = self.weights[:, inside][usable][:, order]
        treated, dead = self.treated[inside][order], event[order]
        starts = np.unique(time[order], return_index=True)[1]
        tied = np.add.reduceat(dead.astype(np.intp), starts)
        kept = tied > 0
        found = []
        for rows in range(0, len(weights), _AT_ONCE):
            own = weights[rows : rows + _AT_ONCE]
            leaving = np.stack([np.add.reduceat(own * side, starts, axis=1) for side in (treated, ~treated)])
            events = np.stack([np.add.reduceat(own * (side & dead), starts, axis=1) for side in (treated, ~treated)])
            at_risk = np.cumsum(leaving[:, :, ::-1], axis=2)[:, :, ::-1]
            values, finite = log_hazard_ratios(at_risk[:, :, kept], events[:, :, kept], tied[kept])
            found.append(values[finite])
        estimates = np.concatenate(found)
        failed = len(self.usable) - len(estimates)
        if failed > _MOST_FAILED * len(self.usable):
            raise ConvergenceError(f"{failed} of {len(self.usable)} bootstrap resamples have no estimate")
        return float(np.std(estimates, ddof=1)), len(estimates)

    def incidence(
        self,
        inside: NDArray[np.bool_],
        time: FloatArray,
        cause: NDArray[np.intp],
        n_causes: int,
        at: FloatArray,
    ) -> BootstrapIncidence:
        """Return the spread of the arms' weighted Aalen-Johansen incidences and of their difference.

        Parameters
        ----------
        inside : ndarray of bool, shape (n,)
            As in :meth:`rmst_difference`.
        time, cause : ndarray, shape (number inside,)
            Follow-up from the landmark, and the cause of its end: 0 censored, 1..n_causes.
        n_causes : int
        at : ndarray, shape (m,)
            Times; after the end of its follow-up a resample's curve stays level.

        Raises
        ------
        ConvergenceError
            As :meth:`rmst_difference`.
        """
        usable = self._with_both_arms(inside)
        weights, treated = self.weights[:, inside][usable], self.treated[inside]
        spread = np.empty((3, n_causes, len(at)))
        arms = [
            _incidence_steps(time[treated == arm], weights[:, treated == arm], cause[treated == arm])
            for arm in (True, False)
        ]
        for j in range(n_causes):
            first, second = (steps.at(at, j + 1) for steps in arms)
            for row, values in enumerate((first, second, first - second)):
                spread[row, j] = values.std(axis=0, ddof=1)
        return BootstrapIncidence(*spread, replicates=int(usable.sum()), failed=int((~usable).sum()))

    def _with_both_arms(self, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return the resamples with a propensity score and weight in both arms among those inside."""
        if not len(self.usable):
            raise EstimationError(NO_RESAMPLES)
        usable = self.usable.copy()
        for arm in (True, False):
            usable &= self.weights[:, inside & (self.treated == arm)].sum(axis=1) > 0
        failed = int((~usable).sum())
        if failed > _MOST_FAILED * len(usable):
            raise ConvergenceError(f"{failed} of {len(usable)} bootstrap resamples have no estimate")
        return usable


def logistic_scores(x: FloatArray, y: FloatArray, drawn: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return fitted probabilities, shape (resamples, n), and which resamples converged."""
    # an orthogonal basis of the same columns: Newton's steps stay small also where spline terms are nearly collinear
    z = np.linalg.qr(np.column_stack([np.ones(len(y)), x - x.mean(axis=0)]))[0] * np.sqrt(len(y))
    p = z.shape[1]
    upper = np.triu_indices(p)
    products = z[:, upper[0]] * z[:, upper[1]]
    beta = np.zeros((drawn.shape[0], p))
    beta[:, 0] = np.log(y.mean() / (1.0 - y.mean())) / z[0, 0]
    moving = np.ones(drawn.shape[0], dtype=bool)
    ridge = 1e-10 * len(y) * np.eye(p)  # a level that a resample lost has no information of its own
    for _ in range(_MAX_STEPS):
        probability = expit(beta[moving] @ z.T)
        score = (drawn[moving] * (y - probability)) @ z
        packed = (drawn[moving] * probability * (1.0 - probability)) @ products
        information = np.empty((len(packed), p, p))
        information[:, upper[0], upper[1]] = packed
        information[:, upper[1], upper[0]] = packed
        step = np.linalg.solve(information + ridge, score[:, :, None])[:, :, 0]
        # a step that would overshoot is shortened as a whole, so that its direction stays Newton's
        step *= np.minimum(1.0, _LONGEST_STEP / np.maximum(np.abs(step).max(axis=1, keepdims=True), 1e-300))
        beta[moving] += step
        still = np.abs(step).max(axis=1) > _TOLERANCE
        moving[np.flatnonzero(moving)[~still]] = False
        if not moving.any():
            break
    # what still moves is separated: its scores run to 0 and 1, where overlap weights vanish; it is counted as failed
    return expit(beta @ z.T), ~moving


def _restricted_means(time: FloatArray, weights: FloatArray, with_event: FloatArray, tau: float) -> FloatArray:
    """Return the restricted mean of each resample's weighted Kaplan-Meier curve, shape (resamples,)."""
    order = np.argsort(time, kind="stable")
    grid, starts = np.unique(time[order], return_index=True)
    leaving = np.add.reduceat(weights[:, order], starts, axis=1)
    events = np.add.reduceat(with_event[:, order], starts, axis=1)
    at_risk = np.cumsum(leaving[:, ::-1], axis=1)[:, ::-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        hazard = np.where(at_risk > 1e-12, events / at_risk, 0.0)
    survival = np.cumprod(1.0 - np.minimum(hazard, 1.0), axis=1)
    edges = np.minimum(np.append(grid, np.inf), tau)
    widths = np.diff(np.concatenate([[0.0], edges]))
    return np.concatenate([np.ones((len(survival), 1)), survival], axis=1) @ widths


@dataclass(frozen=True, eq=False)
class _IncidenceSteps:
    """One arm's resampled event-free curves and weighted events: what its cumulative incidences are made of."""

    grid: FloatArray
    starts: NDArray[np.intp]
    weights: FloatArray  # (resamples, patients), sorted by time
    cause: NDArray[np.intp]
    free_per_weight: FloatArray  # event-free just before each time, over the weight at risk

    def at(self, times: FloatArray, cause: int) -> FloatArray:
        """Return the incidence of `cause`, shape (resamples, times)."""
        events = np.add.reduceat(self.weights * (self.cause == cause), self.starts, axis=1)
        incidence = np.cumsum(events * self.free_per_weight, axis=1)
        index = np.searchsorted(self.grid, times, side="right") - 1
        return np.where(index < 0, 0.0, incidence[:, np.maximum(index, 0)])


def _incidence_steps(time: FloatArray, weights: FloatArray, cause: NDArray[np.intp]) -> _IncidenceSteps:
    order = np.argsort(time, kind="stable")
    grid, starts = np.unique(time[order], return_index=True)
    weights, cause = weights[:, order], cause[order]
    at_risk = np.cumsum(np.add.reduceat(weights, starts, axis=1)[:, ::-1], axis=1)[:, ::-1]
    events = np.add.reduceat(weights * (cause > 0), starts, axis=1)
    per_weight = np.where(at_risk > 1e-12, 1.0 / np.maximum(at_risk, 1e-12), 0.0)
    free = np.cumprod(1.0 - np.minimum(events * per_weight, 1.0), axis=1)
    before = np.concatenate([np.ones((len(free), 1)), free[:, :-1]], axis=1)
    return _IncidenceSteps(grid, starts, weights, cause, before * per_weight)
