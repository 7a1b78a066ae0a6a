r"""How well a prognostic score orders patients by time to event, and how far its predictions are from what happened.

A pair of patients can be ordered when the one with the shorter time had the event. Harrell's C is the share of such
pairs in which the higher score had the event first, equal scores counting one half. Which pairs can be ordered depends
on censoring; Uno's C weights a pair by :math:`1/G(t^-)^2`, with G the Kaplan-Meier estimate of the censoring times and
t the time of the event, and looks only as far as :math:`\tau`, so that its limit does not depend on censoring. Both
have the infinitesimal jackknife standard error of R's ``survival::concordance``.

The Brier score at t is the mean squared difference between predicted survival and being event-free at t, with patients
weighted by the inverse probability of having been followed (Graf 1999); IPA, the index of prediction accuracy, is one
minus its ratio to that of the Kaplan-Meier estimate, which predicts the same for everyone (Kattan and Gerds 2018).

lifelines has Harrell's C without a standard error and none of the weighted measures; scikit-survival would bring a
dependency for three functions.

References
----------
Harrell FE, Lee KL, Mark DB. Stat Med 1996;15:361-387. Uno H, Cai T, Pencina MJ, D'Agostino RB, Wei LJ. Stat Med
2011;30:1105-1117. Graf E, Schmoor C, Sauerbrei W, Schumacher M. Stat Med 1999;18:2529-2545. Kattan MW, Gerds TA. Diagn
Progn Res 2018;2:7. Therneau T, Watson D. The concordance statistic and the Cox model. Mayo Clinic 2015.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from ._inputs import as_events, as_float_vector, as_times, check_length, check_level
from .errors import BeyondFollowUpError, InvalidCovariatesError, NoEventsError

FloatArray = NDArray[np.float64]

ROUNDING = 1e-12
"""Scores closer than this share of the largest score are equal."""


@dataclass(frozen=True)
class Concordance:
    """A concordance with its interval.

    Attributes
    ----------
    estimate, std_err, ci_low, ci_high : float
        C, its infinitesimal jackknife standard error, Wald limits kept within 0 and 1.
    concordant, discordant, tied : float
        (Weighted) pairs in which the higher score had the event first, in which the lower one had, of equal scores.
    """

    estimate: float
    std_err: float
    ci_low: float
    ci_high: float
    concordant: float
    discordant: float
    tied: float


@dataclass(frozen=True, eq=False)
class ComparablePairs:
    """The pairs of patients that can be ordered, for many scores of the same patients.

    Attributes
    ----------
    first, second : ndarray of int, shape (pairs,)
        The patient with the event, and one known to have been event-free then.
    weight : ndarray, shape (pairs,)
        1 (Harrell) or the inverse squared probability of being uncensored (Uno).
    n : int
        Patients.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    weight: FloatArray
    n: int

    def agreement(self, score: FloatArray) -> FloatArray:
        """Return 1, 0.5 or 0 for each pair: whether the higher `score` had the event first.

        Scores that differ by rounding only are equal: patients with the same covariates must be tied.
        """
        difference = score[self.first] - score[self.second]
        rounding = ROUNDING * np.abs(score).max()
        return (difference > rounding) + 0.5 * (np.abs(difference) <= rounding)


def censoring_survival(
    time: ArrayLike, event: ArrayLike, at: ArrayLike, multiplicity: FloatArray | None = None
) -> FloatArray:
    """Return the probability of still being uncensored just before each time of `at`.

    The Kaplan-Meier estimate of the censoring times, in which an event at a time comes before a censoring at it.

    Parameters
    ----------
    time, event : array-like, shape (n,)
        Times, and whether they are events.
    at : array-like, shape (m,)
        Times.
    multiplicity : ndarray, shape (n,), optional
        How often each patient counts.

    Returns
    -------
    ndarray, shape (m,)
    """
    stop, _ = as_times(time)
    failed = as_events(event, len(stop))
    points, where = np.unique(stop, return_inverse=True)
    times = np.ones(len(stop)) if multiplicity is None else multiplicity
    events = np.bincount(where, failed * times, len(points))
    censored = np.bincount(where, ~failed * times, len(points))
    at_risk = np.cumsum((events + censored)[::-1])[::-1] - events
    leaving = np.divide(censored, at_risk, out=np.zeros_like(censored), where=at_risk > 0)
    survival = np.concatenate([[1.0], np.cumprod(1 - leaving)])
    return survival[np.searchsorted(points, np.asarray(at, dtype=float), side="left")]


def comparable_pairs(
    time: ArrayLike, event: ArrayLike, kind: Literal["harrell", "uno"] = "harrell", *, tau: float | None = None
) -> ComparablePairs:
    """Return the pairs of patients whose order is known.

    Parameters
    ----------
    time, event : array-like, shape (n,)
        Positive times, and whether they are events.
    kind : {"harrell", "uno"}
        Weights of the pairs.
    tau : float, optional
        Only pairs whose event came at or before this time count.

    Raises
    ------
    NoEventsError
        If no pair can be ordered.
    InvalidTimesError, InvalidEventsError
        As everywhere in this package.
    """
    stop, _ = as_times(time)
    failed = as_events(event, len(stop))
    counted = failed & (stop <= (np.inf if tau is None else tau))
    # of two patients with equal times, the one with the event came first; two events at one time are in no order
    later = (stop[None, :] > stop[:, None]) | ((stop[None, :] == stop[:, None]) & ~failed[None, :])
    first, second = np.nonzero(counted[:, None] & later)
    if not len(first):
        raise NoEventsError("no two patients can be ordered by time: no event comes before anybody's end of follow-up")
    weight = np.ones(len(first))
    if kind == "uno":
        weight = 1 / censoring_survival(stop, failed, stop)[first] ** 2
    return ComparablePairs(first, second, weight, len(stop))


def concordance(
    time: ArrayLike,
    event: ArrayLike,
    score: ArrayLike,
    kind: Literal["harrell", "uno"] = "harrell",
    *,
    tau: float | None = None,
    level: float = 0.95,
) -> Concordance:
    """Return Harrell's or Uno's C of a score of which more means an earlier event.

    Parameters
    ----------
    time, event : array-like, shape (n,)
        Positive times, and whether they are events.
    score : array-like, shape (n,)
        For example the linear predictor of a Cox model.
    kind : {"harrell", "uno"}
    tau : float, optional
        Only events up to this time count.
    level : float
        Of the interval.

    Raises
    ------
    NoEventsError
        If no pair can be ordered.
    InvalidCovariatesError
        If a score is missing or not finite.
    """
    pairs = comparable_pairs(time, event, kind, tau=tau)
    values = as_float_vector(score, "score", InvalidCovariatesError)
    check_length(values, pairs.n, "score", InvalidCovariatesError)
    if not np.isfinite(values).all():
        raise InvalidCovariatesError(f"the score is missing or infinite in {(~np.isfinite(values)).sum()} rows")
    agrees = pairs.agreement(values)
    total = pairs.weight.sum()
    estimate = float((agrees * pairs.weight).sum() / total)
    # the influence of a patient: all pairs they are part of, in either place (censoring weights taken as known)
    pull = pairs.weight * (agrees - estimate) / total
    influence = np.bincount(pairs.first, pull, pairs.n) + np.bincount(pairs.second, pull, pairs.n)
    std_err = float(np.sqrt((influence**2).sum()))
    reach = -ndtri((1 - check_level(level)) / 2) * std_err
    concordant, tied = float(pairs.weight[agrees == 1].sum()), float(pairs.weight[agrees == 0.5].sum())
    return Concordance(
        estimate,
        std_err,
        max(estimate - reach, 0.0),
        min(estimate + reach, 1.0),
        concordant,
        float(total - concordant - tied),
        tied,
    )


@dataclass(frozen=True, eq=False)
class BrierWeights:
    """What the Brier score at one time needs of the patients, for many predictions.

    Attributes
    ----------
    weight : ndarray, shape (n,)
        Inverse probability of having been followed to the event or to the time; 0 for patients censored before it.
    free : ndarray, shape (n,)
        1 for patients event-free at the time.
    null : float
        Survival at the time by Kaplan-Meier: the prediction that is the same for everyone.
    n : float
        Patients.
    """

    weight: FloatArray
    free: FloatArray
    null: float
    n: float

    def score(self, predicted: ArrayLike) -> float:
        """Return the Brier score of predicted survival probabilities (a vector, or one for everyone)."""
        return float(self.weight @ (self.free - np.asarray(predicted, dtype=float)) ** 2 / self.n)

    def accuracy(self, predicted: ArrayLike) -> float:
        """Return the index of prediction accuracy: 1 minus the ratio to the score of `null`."""
        return 1 - self.score(predicted) / self.score(self.null)


def brier_weights(time: ArrayLike, event: ArrayLike, at: float, multiplicity: FloatArray | None = None) -> BrierWeights:
    """Return the weights of the Brier score at time `at`.

    Parameters
    ----------
    time, event : array-like, shape (n,)
        Positive times, and whether they are events.
    at : float
        The time.
    multiplicity : ndarray, shape (n,), optional
        How often each patient counts (a bootstrap resample).

    Raises
    ------
    BeyondFollowUpError
        If nobody was followed to `at`.
    """
    stop, _ = as_times(time)
    failed = as_events(event, len(stop))
    times = np.ones(len(stop)) if multiplicity is None else np.asarray(multiplicity, dtype=float)
    longest = stop[times > 0].max()
    if longest < at:
        raise BeyondFollowUpError(f"nobody was followed to {at:g}; the longest follow-up is {longest:g}")
    free = stop > at
    had = failed & ~free
    # whoever is event-free at the time was followed beyond it; who had the event, to just before it
    until = np.where(had, stop, np.nextafter(at, np.inf))
    followed = censoring_survival(stop, failed, until, multiplicity)
    counts = (had | free) & (times > 0)
    weight = np.divide(times, followed, out=np.zeros(len(stop)), where=counts)
    return BrierWeights(weight, free.astype(float), survival_at(stop, failed, at, multiplicity), float(times.sum()))


def survival_at(stop: FloatArray, failed: NDArray[np.bool_], at: float, multiplicity: FloatArray | None) -> float:
    """Return the Kaplan-Meier estimate at one time, patients counting as often as `multiplicity` says."""
    times = np.ones(len(stop)) if multiplicity is None else multiplicity
    points, where = np.unique(stop, return_inverse=True)
    events = np.bincount(where, failed * times, len(points))
    at_risk = np.cumsum(np.bincount(where, times, len(points))[::-1])[::-1]
    had = (points <= at) & (events > 0)
    return float(np.prod(1 - events[had] / at_risk[had]))
