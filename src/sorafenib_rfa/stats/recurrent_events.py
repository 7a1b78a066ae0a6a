r"""Recurrent events that death ends: mean cumulative function, rate and mean models, event rates.

Someone who has died can have no further event, but counts in the mean: the mean cumulative function (MCF) is the mean
number of events by t of everyone who started, the dead included,

.. math:: \mu(t) = \int_0^t S(u-)\, dR(u),

S the Kaplan-Meier estimate of survival and R the Nelson-Aalen estimate of the event rate among those alive and under
observation (Cook and Lawless 1997, Ghosh and Lin 2000). Censoring deaths instead would answer how many events there
would be if nobody died. Two regressions belong to it, and answer different questions:

* :func:`rate_model`, the Andersen-Gill model with the sandwich variance of Lin, Wei, Yang and Ying, compares event
  *rates while alive*;
* :func:`mean_model`, the proportional means model of Ghosh and Lin (2002), compares the *means* :math:`\mu(t)`, death
  included, by keeping the dead in the risk sets with the probability of not having been censored since.

Own code because no Python library has a terminal event; checked against R's ``mets`` and ``survival``.

References
----------
Cook RJ, Lawless JF. Marginal analysis of recurrent events and a terminating event. Stat Med 1997;16:911-924.
Ghosh D, Lin DY. Nonparametric analysis of recurrent events and death. Biometrics 2000;56:554-562.
Ghosh D, Lin DY. Marginal regression models for recurrent and terminal events. Stat Sin 2002;12:663-688.
Andersen PK, Gill RD. Cox's regression model for counting processes. Ann Stat 1982;10:1100-1120.
Lin DY, Wei LJ, Yang I, Ying Z. Semiparametric regression for the mean and rate functions of recurrent events. J R
Stat Soc B 2000;62:711-730.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.special import ndtr, ndtri

from ._inputs import as_events, as_float_vector, as_matrix, as_times, as_weights, check_length, check_level
from .cox import CoxFit, HazardRatio, cox_fit
from .errors import (
    EmptyGroupError,
    EstimationError,
    InvalidCovariatesError,
    InvalidEventsError,
    InvalidTimesError,
    NoEventsError,
)
from .proportions import Interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class RecurrentEvents:
    """People followed for events that can recur, until death or the end of follow-up.

    Build one with :meth:`prepare`.

    Attributes
    ----------
    exit_time : ndarray, shape (n,)
        End of observation of each person, since time zero.
    died : ndarray of bool, shape (n,)
        Whether it ended in death.
    person : ndarray of int, shape (m,)
        Whose each event is: positions 0..n-1, sorted, then by time.
    event_time : ndarray, shape (m,)
    """

    exit_time: FloatArray
    died: NDArray[np.bool_]
    person: IntArray
    event_time: FloatArray

    @classmethod
    def prepare(
        cls,
        exit_time: ArrayLike,
        died: ArrayLike,
        person: ArrayLike,
        event_time: ArrayLike,
        *,
        several_at_once: bool = False,
    ) -> RecurrentEvents:
        """Validate people and their events.

        Parameters
        ----------
        exit_time : array_like, shape (n,)
            Ends of observation, above zero.
        died : array_like of 0 and 1, shape (n,)
        person : array_like of int, shape (m,)
            Position (from 0) of each event's person; empty when there are no events.
        event_time : array_like, shape (m,)
            Above zero, not after the person's exit. An event on the day of death came before it.
        several_at_once : bool
            Let a person have several events at one time (adverse events that begin on one day). Means and rates count
            each; the regressions, whose rows end at an event, cannot be fitted.

        Raises
        ------
        EmptyGroupError
            If there is nobody.
        InvalidTimesError
            If a time is missing, zero or negative, an event lies after its person's exit, or a person has two events
            at one time that are not allowed.
        InvalidEventsError
            If an event belongs to nobody.
        """
        ends = as_float_vector(exit_time, "exit times", InvalidTimesError)
        at = as_float_vector(event_time, "event times", InvalidTimesError)
        n = ends.size
        if n == 0:
            raise EmptyGroupError("no observations: the group is empty")
        whose = as_float_vector(person, "persons of the events", InvalidEventsError)
        check_length(whose, at.size, "persons of the events", InvalidEventsError)
        if not np.isin(whose, np.arange(n)).all():
            raise InvalidEventsError(f"every event must belong to one of the {n} persons (0 to {n - 1})")
        times, _ = as_times(np.concatenate([ends, at]))  # one tolerance for ties of exits and events
        owner = whose.astype(np.intp)
        order = np.lexsort((times[n:], owner))
        owner, at, ends = owner[order], times[n:][order], times[:n]
        if (at > ends[owner]).any():
            raise InvalidTimesError(f"{int((at > ends[owner]).sum())} events lie after the end of their observation")
        if not several_at_once and ((np.diff(at) == 0) & (np.diff(owner) == 0)).any():
            raise InvalidTimesError("a person has two events at the same time")
        return cls(ends, as_events(died, n), owner, at)

    @property
    def n(self) -> int:
        """People."""
        return self.exit_time.size

    def counts(self) -> IntArray:
        """Return the number of events of each person, shape (n,)."""
        return np.bincount(self.person, minlength=self.n)

    def subset(self, chosen: NDArray[np.bool_]) -> RecurrentEvents:
        """Return the people of a boolean mask, shape (n,), with their events.

        Raises
        ------
        EmptyGroupError
            If nobody is chosen.
        """
        if not chosen.any():
            raise EmptyGroupError("no observations: the group is empty")
        kept = chosen[self.person]
        position = np.cumsum(chosen) - 1
        return RecurrentEvents(
            self.exit_time[chosen], self.died[chosen], position[self.person[kept]], self.event_time[kept]
        )

    def rows(self) -> tuple[IntArray, FloatArray, FloatArray, NDArray[np.bool_]]:
        """Return counting-process rows: person, start, stop, and whether the row ends in an event.

        A person is at risk of the next event right after the last one; a row that would have no length (an event
        at the very end of observation) is left out.
        """
        later = (
            np.concatenate([[False], self.person[1:] == self.person[:-1]]) if self.person.size else np.zeros(0, bool)
        )
        before = np.where(later, np.concatenate([[0.0], self.event_time[:-1]]) if self.person.size else 0.0, 0.0)
        last = np.zeros(self.n)
        np.maximum.at(last, self.person, self.event_time)
        open_end = np.flatnonzero(self.exit_time > last)
        person = np.concatenate([self.person, open_end])
        start = np.concatenate([before, last[open_end]])
        stop = np.concatenate([self.event_time, self.exit_time[open_end]])
        event = np.concatenate([np.ones(self.person.size, dtype=bool), np.zeros(open_end.size, dtype=bool)])
        order = np.lexsort((start, person))
        return person[order], start[order], stop[order], event[order]


@dataclass(frozen=True, eq=False)
class MeanAt:
    """A mean cumulative function read at given times; NaN after the last exit of the group."""

    time: FloatArray
    mean: FloatArray
    std_err: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    n_risk: FloatArray


@dataclass(frozen=True, eq=False)
class MeanCumulativeFunction:
    """Mean number of events by time, a step function with steps at the event times.

    Attributes
    ----------
    time : ndarray, shape (k,)
        Distinct event times.
    mean, std_err, ci_low, ci_high : ndarray, shape (k,)
        Limits on the log scale (they cannot fall below zero).
    n_risk, n_event : ndarray, shape (k,)
        Alive and under observation just before, and events (sums of weights where weighted).
    survival : ndarray, shape (k,)
        Kaplan-Meier estimate of survival just before.
    last_exit : float
        The longest observation: beyond it nothing is known. Infinite where it ended in the deaths of all who were left:
        nobody can have an event any more.
    level : float
    """

    time: FloatArray
    mean: FloatArray
    std_err: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    n_risk: FloatArray
    n_event: FloatArray
    survival: FloatArray
    last_exit: float
    level: float
    _exit: FloatArray = field(repr=False)
    _weight: FloatArray = field(repr=False)

    def at(self, times: ArrayLike) -> MeanAt:
        """Read the function at `times`."""
        asked = np.atleast_1d(np.asarray(times, dtype=float))
        index = np.searchsorted(self.time, asked, side="right")
        beyond = asked > self.last_exit

        def read(values: FloatArray) -> FloatArray:
            return np.where(beyond, np.nan, np.concatenate([[0.0], values])[index])

        at_risk = np.array([self._weight[self._exit >= t].sum() for t in asked])
        return MeanAt(asked, read(self.mean), read(self.std_err), read(self.ci_low), read(self.ci_high), at_risk)


def log_limits(mean: FloatArray, std_err: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
    """Return confidence limits of a positive mean, symmetric on the log scale; NaN where the mean is zero."""
    z = float(ndtri(0.5 + check_level(level) / 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.exp(z * np.asarray(std_err) / np.asarray(mean))
        return mean / factor, mean * factor


def mean_cumulative_function(
    events: RecurrentEvents,
    *,
    weights: ArrayLike | None = None,
    level: float = 0.95,
    variance: Literal["ghosh_lin", "jackknife"] = "ghosh_lin",
) -> MeanCumulativeFunction:
    r"""Estimate the mean number of events by time with death as terminal event.

    Parameters
    ----------
    events : RecurrentEvents
    weights : array_like, shape (n,), optional
        Case weights of the people; people with weight 0 count as absent. The variance takes them as known.
    level : float
    variance : {"ghosh_lin", "jackknife"}
        Both sum squares of each person's influence on the estimate. ``ghosh_lin`` is their formula (2.4), in which a
        death's influence on survival is divided by the number at risk, as in R's ``mets``; ``jackknife`` is the exact
        derivative of the estimate by the person's weight (number at risk minus deaths), which for one event a person
        is the variance of R's ``survfit`` for multi-state data. They differ by terms of order 1/n.

    Returns
    -------
    MeanCumulativeFunction
        Memory is of order people times distinct event times.

    Raises
    ------
    InvalidWeightsError
        If weights are missing, negative or all zero.
    """
    if variance not in ("ghosh_lin", "jackknife"):
        raise ValueError(f"variance must be 'ghosh_lin' or 'jackknife', found {variance!r}")
    check_level(level)
    given = as_weights(weights, events.n)
    if given is not None and (given == 0).any():
        events, given = events.subset(given > 0), given[given > 0]
    w = np.ones(events.n) if given is None else given
    leaves = events.exit_time
    order = np.argsort(leaves, kind="stable")
    ahead = np.append(np.cumsum(w[order][::-1])[::-1], 0.0)

    def at_risk(times: FloatArray) -> FloatArray:
        return ahead[np.searchsorted(leaves[order], times, side="left")]

    time, index = np.unique(events.event_time, return_inverse=True)
    index = index.reshape(-1)
    n_event = np.bincount(index, weights=w[events.person], minlength=time.size)
    n_risk = at_risk(time)
    death_time, death_index = np.unique(leaves[events.died], return_inverse=True)
    deaths = np.bincount(death_index.reshape(-1), weights=w[events.died], minlength=death_time.size)
    death_risk = at_risk(death_time)
    spared = np.where(death_risk - deaths > 1e-12 * death_risk, death_risk - deaths, 0.0)
    survival = np.concatenate([[1.0], np.cumprod(spared / death_risk)])
    just_before = survival[np.searchsorted(death_time, time, side="left")]
    mean = np.cumsum(just_before * n_event / n_risk)

    # influence of the event rate: own events less what was expected while at risk
    gain = just_before / n_risk
    expected = np.concatenate([[0.0], np.cumsum(gain * n_event / n_risk)])
    until = np.searchsorted(time, leaves, side="right")
    steps = np.arange(1, time.size + 1)
    own = np.zeros((events.n, time.size))
    np.add.at(own, (events.person, index), gain[index])
    influence = np.cumsum(own, axis=1) - expected[np.minimum(until[:, None], steps)]
    # influence of survival: a death at v takes from what the mean gains after v
    divisor = death_risk if variance == "ghosh_lin" else spared
    per_death = np.divide(1.0, divisor, out=np.zeros_like(death_risk), where=divisor > 0)
    reached = np.concatenate([[0.0], mean])[np.searchsorted(time, death_time, side="right")]
    hazard = deaths / death_risk * per_death
    known = np.searchsorted(death_time, time, side="right")
    left = np.searchsorted(death_time, leaves, side="right")
    for factor, sign in ((per_death, -mean), (per_death * reached, np.ones(time.size))):
        scale = np.divide(factor, per_death, out=np.zeros_like(factor), where=per_death > 0)
        cumulated = np.concatenate([[0.0], np.cumsum(hazard * scale)])
        martingale = -cumulated[np.minimum(left[:, None], known)]
        gone = np.flatnonzero(events.died)
        martingale[gone] += np.where(leaves[gone][:, None] <= time, factor[left[gone] - 1][:, None], 0.0)
        influence += sign * martingale
    std_err = np.sqrt(np.sum((w[:, None] * influence) ** 2, axis=0))
    low, high = log_limits(mean, std_err, level)
    return MeanCumulativeFunction(
        time,
        mean,
        std_err,
        low,
        high,
        n_risk,
        n_event,
        just_before,
        float("inf") if survival[-1] == 0 else float(leaves.max()),
        level,
        leaves,
        w,
    )


def means_under_weights(events: RecurrentEvents, weights: FloatArray, times: ArrayLike) -> FloatArray:
    """Return the mean cumulative function at `times` under many weightings at once (a bootstrap).

    Parameters
    ----------
    events : RecurrentEvents
    weights : ndarray, shape (replicates, n)
        Each row a weighting; a row without any weight gives zeros.
    times : array_like, shape (k,)

    Returns
    -------
    ndarray, shape (replicates, k)
    """
    asked = np.atleast_1d(np.asarray(times, dtype=float))
    grid, index = np.unique(np.concatenate([events.exit_time, events.event_time]), return_inverse=True)
    index = index.reshape(-1)

    def totals(columns: FloatArray, where: IntArray) -> FloatArray:
        """Sum columns that fall on the same time."""
        out = np.zeros((weights.shape[0], grid.size))
        if where.size:
            order = np.argsort(where, kind="stable")
            place, starts = np.unique(where[order], return_index=True)
            out[:, place] = np.add.reduceat(columns[:, order], starts, axis=1)
        return out

    leaving = index[: events.n]
    at_risk = np.cumsum(totals(weights, leaving)[:, ::-1], axis=1)[:, ::-1]
    deaths = totals(weights[:, events.died], leaving[events.died])
    happened = totals(weights[:, events.person], index[events.n :])
    # what is left of a sum of weights after all have gone is rounding, not people
    nobody = at_risk <= 1e-12 * at_risk[:, :1]
    safe = np.where(nobody, 1.0, at_risk)
    hazard = np.where(nobody, 0.0, np.minimum(deaths / safe, 1.0))
    survival = np.cumprod(1.0 - hazard, axis=1)
    just_before = np.concatenate([np.ones((len(weights), 1)), survival[:, :-1]], axis=1)
    mean = np.cumsum(just_before * np.where(nobody, 0.0, happened / safe), axis=1)
    mean = np.concatenate([np.zeros((len(weights), 1)), mean], axis=1)
    return mean[:, np.searchsorted(grid, asked, side="right")]


@dataclass(frozen=True)
class MeanDifference:
    """Difference of two mean cumulative functions at one time, with Wald interval and p value."""

    estimate: float
    std_err: float
    ci_low: float
    ci_high: float
    p: float


def mean_difference(
    first: MeanCumulativeFunction, second: MeanCumulativeFunction, time: float, level: float = 0.95
) -> MeanDifference:
    """Return first minus second at `time`, for two groups of different people.

    Raises
    ------
    EstimationError
        If observation in a group ends before `time`, or nobody had an event by then.
    """
    a, b = first.at(time), second.at(time)
    if np.isnan(a.mean[0]) or np.isnan(b.mean[0]):
        ends = min(first.last_exit, second.last_exit)
        raise EstimationError(f"observation of a group ends at {ends:.4g}, before {time:.4g}")
    error = float(np.hypot(a.std_err[0], b.std_err[0]))
    if error == 0:
        raise NoEventsError(f"no events by {time:.4g}")
    difference = float(a.mean[0] - b.mean[0])
    z = float(ndtri(0.5 + check_level(level) / 2))
    p = float(2 * ndtr(-abs(difference / error)))
    return MeanDifference(difference, error, difference - z * error, difference + z * error, p)


def rate_model(events: RecurrentEvents, x: ArrayLike, *, weights: ArrayLike | None = None, names: Any = None) -> CoxFit:
    """Regress the event rate while alive on covariates: Andersen-Gill with the variance of Lin, Wei, Yang and Ying.

    Everyone alive and under observation is at risk of the next event, however many they had; observation ends with
    death. Coefficients are log rate ratios. The sandwich variance, clustered by person, allows any dependence between
    a person's events; the model's own variance (``se_model``) is Andersen and Gill's, right only when the rate does
    not depend on earlier events.

    Parameters
    ----------
    events : RecurrentEvents
    x : DataFrame or array_like, shape (n, p)
        Covariates, one row a person.
    weights : array_like, shape (n,), optional
        Case weights, taken as known.
    names : sequence of str, optional

    Raises
    ------
    EstimationError
        As :func:`sorafenib_rfa.stats.cox.cox_fit`.
    """
    matrix, labels = as_matrix(x, names)
    check_length(matrix, events.n, "covariates", InvalidCovariatesError)
    w = as_weights(weights, events.n)
    person, start, stop, event = events.rows()
    return cox_fit(
        matrix[person], stop, event, start=start, weights=None if w is None else w[person], cluster=person, names=labels
    )


@dataclass(frozen=True, eq=False)
class MeanModel:
    """A proportional means model: log ratios of mean cumulative functions.

    Attributes
    ----------
    names : tuple of str
    coef, se : ndarray, shape (p,)
        Standard errors account for the estimated distribution of censoring.
    covariance : ndarray, shape (p, p)
    n, n_events : int
        People and events.
    """

    names: tuple[str, ...]
    coef: FloatArray
    se: FloatArray
    covariance: FloatArray
    n: int
    n_events: int
    weighted_cox: CoxFit = field(repr=False)

    def mean_ratio(self, name: str, level: float = 0.95) -> HazardRatio:
        """Return the ratio of means of a covariate; KeyError if there is none of that name."""
        return self.weighted_cox.hazard_ratio(name, level)


def mean_model(
    events: RecurrentEvents, x: ArrayLike, *, weights: ArrayLike | None = None, names: Any = None
) -> MeanModel:
    """Regress the mean number of events, death included, on covariates (Ghosh and Lin 2002).

    The dead stay in the risk sets with the probability G(t-)/G(D-) of not having been censored since (inverse
    probability of censoring weighting; G the Kaplan-Meier estimate for censoring of everyone together, without case
    weights). Ties as Breslow. Time and
    memory go with deaths times distinct event times.

    Parameters, Raises
        As :func:`rate_model`.
    """
    matrix, labels = as_matrix(x, names)
    n = events.n
    check_length(matrix, n, "covariates", InvalidCovariatesError)
    given = as_weights(weights, n)
    if given is not None and (given == 0).any():
        kept = given > 0
        return mean_model(events.subset(kept), matrix[kept], weights=given[kept], names=labels)
    w = np.ones(n) if given is None else given
    if not events.person.size:
        raise NoEventsError(f"no events among {n} people: a ratio of means cannot be estimated")
    leaves = events.exit_time
    grid, leave_index = np.unique(leaves, return_inverse=True)
    leave_index = leave_index.reshape(-1)
    censored = np.bincount(leave_index, weights=~events.died, minlength=grid.size)
    at_risk = np.cumsum(np.bincount(leave_index, minlength=grid.size)[::-1])[::-1]
    uncensored = np.concatenate([[1.0], np.cumprod(1.0 - censored / at_risk)])

    def still_free(times: FloatArray) -> FloatArray:
        """G just before each of `times`."""
        return uncensored[np.searchsorted(grid, times, side="left")]

    times = np.unique(events.event_time)
    g_events = still_free(times)
    dead = np.flatnonzero(events.died)
    first = np.searchsorted(times, leaves[dead], side="right")
    staying = first < times.size
    # one row for each dead person and later event time: simple, and quick for the hundreds of events of a cohort
    owner = np.repeat(dead[staying], times.size - first[staying])
    offset = np.arange(owner.size) - np.repeat(
        np.cumsum(times.size - first[staying]) - (times.size - first[staying]), times.size - first[staying]
    )
    place = np.repeat(first[staying], times.size - first[staying]) + offset
    begin = np.where(offset == 0, leaves[owner], times[np.maximum(place - 1, 0)])
    person, start, stop, event = events.rows()
    everyone = np.concatenate([person, owner])
    row_weight = w[everyone] * np.concatenate([np.ones(person.size), g_events[place] / still_free(leaves[owner])])
    fit = cox_fit(
        matrix[everyone],
        np.concatenate([stop, times[place]]),
        np.concatenate([event, np.zeros(owner.size, dtype=bool)]),
        start=np.concatenate([start, begin]),
        weights=row_weight,
        cluster=everyone,
        ties="breslow",
        names=labels,
    )
    risk = np.where(
        leaves[:, None] >= times, 1.0, np.where(events.died[:, None], g_events / still_free(leaves)[:, None], 0)
    )
    relative = np.exp((matrix - fit.design.centre) @ fit.coef)
    risk *= relative[:, None]
    total = w @ risk
    means = (w[:, None] * matrix).T @ risk / total
    happened = np.searchsorted(times, events.event_time)
    hazard = np.bincount(happened, weights=w[events.person], minlength=times.size) / total
    expected = risk * hazard
    influence = (means @ expected.T).T - matrix * expected.sum(axis=1)[:, None]
    np.add.at(influence, events.person, matrix[events.person] - means[:, happened].T)
    influence *= w[:, None]
    influence += _censoring_influence(
        matrix, leaves, events.died, w * relative / still_free(leaves), times, g_events * hazard, means
    )
    covariance = fit.cov_model @ (influence.T @ influence) @ fit.cov_model
    object.__setattr__(fit, "cov_robust", covariance)
    object.__setattr__(fit, "se_robust", np.sqrt(np.diagonal(covariance)))
    assert fit.cov_robust is not None and fit.se_robust is not None
    return MeanModel(labels, fit.coef, fit.se_robust, covariance, n, int(events.person.size), fit)


def _censoring_influence(
    x: FloatArray,
    leaves: FloatArray,
    died: NDArray[np.bool_],
    share: FloatArray,
    times: FloatArray,
    hazard: FloatArray,
    means: FloatArray,
) -> FloatArray:
    """Return each person's influence by way of the estimate of G, shape (n, p) (Ghosh and Lin 2002, section 3).

    With q(u) the effect on the score of a unit change in the censoring hazard at u, it is the integral of q / Y with
    respect to the person's censoring martingale, Y the number at risk.

    Parameters
    ----------
    share : ndarray, shape (n,)
        Weight times relative risk over G at the exit.
    hazard : ndarray, shape (k,)
        Increments of the baseline mean at the event `times`, times G.
    means : ndarray, shape (p, k)
        Covariate means of the risk sets.
    """
    p = x.shape[1]
    ahead = np.append(np.cumsum(hazard[::-1])[::-1], 0.0)
    ahead_x = np.vstack([np.cumsum((hazard * means)[:, ::-1], axis=1)[:, ::-1].T, np.zeros(p)])
    dead = np.flatnonzero(died)
    dead = dead[np.argsort(leaves[dead], kind="stable")]
    past = np.concatenate([[0.0], np.cumsum(share[dead])])
    past_x = np.vstack([np.zeros(p), np.cumsum(share[dead][:, None] * x[dead], axis=0)])
    grid, index = np.unique(leaves, return_inverse=True)
    index = index.reshape(-1)
    at_risk = np.cumsum(np.bincount(index, minlength=grid.size)[::-1])[::-1]
    censored = np.bincount(index, weights=~died, minlength=grid.size)
    # G(t-) over G(D-) changes with the censoring hazard from the death on, until before the event
    later = np.searchsorted(times, grid, side="right")
    earlier = np.searchsorted(leaves[dead], grid, side="right")
    q = past_x[earlier] * ahead[later][:, None] - past[earlier][:, None] * ahead_x[later]
    psi = -np.cumsum(q * (censored / at_risk**2)[:, None], axis=0)[index]
    psi[~died] += (q / at_risk[:, None])[index[~died]]
    return psi


def event_rate(
    events: RecurrentEvents, *, weights: ArrayLike | None = None, level: float = 0.95, per: float = 1.0
) -> Interval:
    """Return events per person-time with a robust interval on the log scale.

    The variance is that of a Poisson regression with offset log person-time and a sandwich by person: events of one
    person may depend on each other (an exact Poisson interval, :func:`sorafenib_rfa.stats.proportions.incidence_rate`,
    supposes that they do not).

    Parameters
    ----------
    events : RecurrentEvents
    weights : array_like, shape (n,), optional
        Taken as known.
    level : float
    per : float
        Multiplier: 1200 with months gives events per 100 person-years.

    Raises
    ------
    NoEventsError
        Without events the robust variance is not defined.
    """
    given = as_weights(weights, events.n)
    w = np.ones(events.n) if given is None else given
    counts = events.counts()
    total = float(w @ counts)
    if total == 0:
        raise NoEventsError("no events: the robust variance of a rate is not defined")
    rate = total / float(w @ events.exit_time)
    error = float(np.sqrt(np.sum((w * (counts - rate * events.exit_time)) ** 2))) / total
    factor = float(np.exp(ndtri(0.5 + check_level(level) / 2) * error))
    return Interval(rate * per, rate / factor * per, rate * factor * per)
