"""Bootstrap of weighted survival contrasts in which the propensity score is fitted anew in every resample.

All resamples are computed together: a resample is a row of multiplicities, so that the Newton steps of all logistic
regressions and all Kaplan-Meier curves are matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from sorafenib_rfa.stats.errors import ConvergenceError

FloatArray = NDArray[np.float64]

_MAX_STEPS = 30
_TOLERANCE = 1e-6
_LONGEST_STEP = 2.0
_MOST_FAILED = 0.05


@dataclass(frozen=True)
class BootstrapDifference:
    """Spread of a difference of restricted means over resamples.

    Attributes
    ----------
    std_err : float
        Standard deviation of the differences.
    treated_std_err, control_std_err : float
        Of the arms' restricted means.
    replicates, failed : int
        Resamples used, and those without an estimate (an arm without weight, a separated propensity score).
    """

    std_err: float
    treated_std_err: float
    control_std_err: float
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
            Of the resampling.
        """
        n = len(treated)
        drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1.0 / n), size=replicates).astype(float)
        scores, usable = _logistic_scores(x, treated.astype(float), drawn)
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
        weights, treated = self.weights[:, inside], self.treated[inside]
        usable = self.usable.copy()
        means = {}
        for arm in (True, False):
            own = weights[:, treated == arm]
            usable &= own.sum(axis=1) > 0
            means[arm] = _restricted_means(time[treated == arm], own, own * event[treated == arm], tau)
        replicates = len(usable)
        failed = int((~usable).sum())
        if failed > _MOST_FAILED * replicates:
            raise ConvergenceError(f"{failed} of {replicates} bootstrap resamples have no estimate")
        first, second = means[True][usable], means[False][usable]
        return BootstrapDifference(
            std_err=float(np.std(first - second, ddof=1)),
            treated_std_err=float(np.std(first, ddof=1)),
            control_std_err=float(np.std(second, ddof=1)),
            replicates=replicates - failed,
            failed=failed,
        )


def _logistic_scores(x: FloatArray, y: FloatArray, drawn: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
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
