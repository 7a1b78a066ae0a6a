r"""Risks under two strategies with competing events, by clone, censor, weight.

The Aalen-Johansen estimator on the weighted copies of :mod:`sorafenib_rfa.stats.clone_censor`: with :math:`Y_a(t)` the
weights at risk in arm a and :math:`dN_{ak}(t)` those with an event of cause k,

.. math:: F_{ak}(t) = \sum_{s \le t} S_a(s-) \, dN_{ak}(s) / Y_a(s), \qquad
          S_a(t) = \prod_{s \le t} \bigl(1 - \textstyle\sum_k dN_{ak}(s) / Y_a(s)\bigr).

With one cause :math:`1 - F` is the weighted Kaplan-Meier curve of
:func:`~sorafenib_rfa.stats.clone_censor.compare_strategies`.

Weights depend on the conduct of patients and not on the outcome, so several outcomes are answered together: each
question says which sums of weights it needs (:func:`answer`).

References
----------
Aalen OO, Johansen S. An empirical transition matrix for non-homogeneous Markov chains based on censored observations.
Scand J Stat 1978;5:141-150.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ._inputs import as_causes, as_times
from .clone_censor import CHUNK, MOST_FAILED, NOUGHT, AskedSums, CloneWeights, Initiation, Tally
from .errors import ConvergenceError, InvalidTimesError, NoEventsError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.intp]
    BoolArray = NDArray[np.bool_]


def aalen_johansen_of_sums(at_risk: FloatArray, events: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return event-free probabilities and cumulative incidences from sums of weights.

    Parameters
    ----------
    at_risk : ndarray, shape (..., E)
        Weights at risk just before each event time.
    events : ndarray, shape (K, ..., E)
        Weights with an event of each cause.

    Returns
    -------
    ndarray, ndarray
        Event-free probability, of the shape of `at_risk`, and cumulative incidence, of the shape of `events`, at and
        after each event time.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        hazard = np.where(at_risk > NOUGHT, events / at_risk, 0.0)
    whole = hazard.sum(axis=0)
    # sums of weights that are equal in truth differ by rounding
    event_free = np.cumprod(1.0 - np.minimum(whole, 1.0), axis=-1)
    before = np.concatenate([np.ones_like(event_free[..., :1]), event_free[..., :-1]], axis=-1)
    return event_free, np.cumsum(before * hazard, axis=-1)


def area_to(tau: float, grid: FloatArray, values: FloatArray, first: float) -> FloatArray:
    """Return the integral from 0 to `tau` of step functions that are `first` up to the first time of `grid`.

    Parameters
    ----------
    tau : float
    grid : ndarray, shape (E,)
        Ascending times above zero.
    values : ndarray, shape (..., E)
        Values from each time on.

    Returns
    -------
    ndarray, shape (...)
    """
    edges = np.minimum(np.append(grid, np.inf), tau)
    widths = np.diff(np.concatenate([[0.0], edges]))
    return first * widths[0] + values @ widths[1:]


def read_at(times: FloatArray, grid: FloatArray, values: FloatArray, first: float) -> FloatArray:
    """Return step functions that are `first` before the first time of `grid` at `times`, shape (..., T)."""
    place = np.searchsorted(grid, times, side="right")
    return np.concatenate([np.full((*values.shape[:-1], 1), first), values], axis=-1)[..., place]


@dataclass(frozen=True, eq=False)
class Resampled:
    """An estimate and what it is in the resamples.

    Attributes
    ----------
    estimate : ndarray, shape (...)
        NaN where the follow-up of an arm ends before.
    draws : ndarray, shape (B, ...)
    """

    estimate: FloatArray
    draws: FloatArray

    @property
    def std_err(self) -> FloatArray:
        """Bootstrap standard error, shape (...)."""
        return np.std(self.draws, axis=0, ddof=1)

    def difference(self) -> Resampled:
        """Return the first (treated) minus the second (control) along the first axis of the estimate."""
        return Resampled(self.estimate[0] - self.estimate[1], self.draws[:, 0] - self.draws[:, 1])


class Question(Protocol):
    """What is asked of the weighted copies."""

    @property
    def tallies(self) -> tuple[Tally, ...]:
        """Sums of weights that the question needs."""
        ...

    def values(self, sums: Sequence[FloatArray]) -> tuple[FloatArray, ...]:
        """Return the values sought, each of shape (B, ...), from the sums, each of shape (2, B, C)."""
        ...


def answer(
    questions: Sequence[Question],
    weights: CloneWeights,
    initiation: Initiation,
    resampled: Initiation,
    drawn: FloatArray,
) -> list[tuple[Resampled, ...]]:
    """Answer questions about the same copies in the data and in B resamples of patients.

    Parameters
    ----------
    questions : sequence of Question
    weights : CloneWeights
    initiation : Initiation
        Fitted to the data (one resample).
    resampled : Initiation
        Fitted anew in each resample.
    drawn : ndarray, shape (B, n)
        Multiplicities; a patient's two copies are drawn together.

    Returns
    -------
    list of tuple of Resampled
        Of each question, its values.
    """
    asked = AskedSums.of([tally for question in questions for tally in question.tallies])

    def values(multiplicity: FloatArray, chances: Initiation) -> list[tuple[FloatArray, ...]]:
        sums = iter(weights.sums(multiplicity, chances, asked))
        return [question.values([next(sums) for _ in question.tallies]) for question in questions]

    whole = values(np.ones((1, weights.n)), initiation)
    parts = [
        values(drawn[first : first + CHUNK], resampled.part(slice(first, first + CHUNK)))
        for first in range(0, len(drawn), CHUNK)
    ]
    return [
        tuple(Resampled(found[0], np.concatenate([part[i][j] for part in parts])) for j, found in enumerate(whole[i]))
        for i in range(len(questions))
    ]


def kept_resamples(usable: BoolArray) -> BoolArray:
    """Return `usable`.

    Raises
    ------
    ConvergenceError
        If more than one resample in twenty has no estimate.
    """
    failed = int((~usable).sum())
    if failed > MOST_FAILED * len(usable):
        raise ConvergenceError(f"{failed} of {len(usable)} bootstrap resamples have no estimate")
    return usable


def curve_tallies(
    weights: CloneWeights, time: FloatArray, cause: IntArray, causes: int
) -> tuple[FloatArray, list[Tally]]:
    """Return the distinct event times, and the tallies at risk and with an event of each cause there."""
    grid = np.unique(time[cause > 0])
    passed = weights.before(grid)
    at = time[:, None] == grid[None, :]
    tallies = [Tally(passed, time[:, None] >= grid[None, :])]
    tallies += [Tally(passed, at & (cause == code)[:, None]) for code in range(1, causes + 1)]
    return grid, tallies


@dataclass(frozen=True, eq=False)
class StrategyRisks:
    """Risks of one cause under both strategies; arrays of both arms have the treated one first.

    Attributes
    ----------
    horizons : ndarray, shape (T,)
    risk : Resampled, shape (2, T)
        Cumulative incidence at the horizons.
    time_lost : Resampled, shape (2,)
        Mean time between the event and `tau`: the area under the cumulative incidence.
    tau : float
    failed : int
        Resamples without an estimate.
    followed_to : ndarray, shape (2,)
        Longest follow-up that has weight, at most the last time asked for.
    """

    horizons: FloatArray
    risk: Resampled
    time_lost: Resampled
    tau: float
    failed: int
    followed_to: FloatArray

    @property
    def resamples(self) -> int:
        """Resamples used."""
        return len(self.risk.draws)


@dataclass(frozen=True, eq=False)
class RiskQuestion:
    """The risk of a first event of cause 1 at given times; build one with :meth:`ask`."""

    horizons: FloatArray
    tau: float
    grid: FloatArray
    tallies: tuple[Tally, ...]
    followed_to: FloatArray

    @classmethod
    def ask(
        cls, weights: CloneWeights, time: ArrayLike, cause: ArrayLike, horizons: Sequence[float], tau: float
    ) -> RiskQuestion:
        """Validate follow-up and say what has to be summed.

        Parameters
        ----------
        weights : CloneWeights
            Of n patients.
        time : array_like, shape (n,)
            Follow-up to the first event of any cause, above zero.
        cause : array_like of int, shape (n,)
            1: the event in question; 2 and above: events that compete with it; 0: none.
        horizons : sequence of float
            Times of the risks.
        tau : float
            Horizon of the time lost.

        Raises
        ------
        InvalidTimesError, InvalidEventsError
            Missing or impossible times or causes.
        NoEventsError
            If nobody has the event by the last horizon.
        """
        stop, _ = as_times(time)
        if stop.size != weights.n:
            raise InvalidTimesError(f"there are {stop.size} times for {weights.n} patients")
        codes, causes = as_causes(cause, stop.size)
        end = max(*horizons, tau)
        # nothing is asked of what happens later
        codes = np.where(stop <= end, codes, 0)
        if not (codes == 1).any():
            raise NoEventsError(f"nobody has the event by month {end:g}")
        grid, tallies = curve_tallies(weights, stop, codes, causes)
        last = np.minimum(weights.followed_to(stop), end)
        return cls(np.asarray(horizons, dtype=float), float(tau), grid, tuple(tallies), last)

    def values(self, sums: Sequence[FloatArray]) -> tuple[FloatArray, ...]:
        """Return risks (B, 2, T), times lost (B, 2), event-free probabilities at the end and whether all are known."""
        at_risk, events = sums[0], np.stack(sums[1:])
        event_free, incidence = aalen_johansen_of_sums(at_risk, events)
        return (
            np.moveaxis(read_at(self.horizons, self.grid, incidence[0], 0.0), 0, 1),
            area_to(self.tau, self.grid, incidence[0], 0.0).T,
            event_free[:, :, -1].T,
            (at_risk[:, :, 0] > NOUGHT).all(axis=0),
        )

    def risks(self, found: Sequence[Resampled], usable: BoolArray) -> StrategyRisks:
        """Return what :func:`answer` found.

        Parameters
        ----------
        found : sequence of Resampled
        usable : ndarray of bool, shape (B,)
            Resamples in which the chances of a start could be estimated.

        Returns
        -------
        StrategyRisks
            NaN at horizons beyond the follow-up of an arm.

        Raises
        ------
        ConvergenceError
            If more than one resample in twenty has no estimate.
        """
        risk, lost, left, known = found
        kept = kept_resamples(usable & known.draws)
        # where nobody is event-free any more, nothing can change
        open_ended = left.estimate > NOUGHT
        beyond = open_ended[:, None] & (self.horizons[None, :] > self.followed_to[:, None])
        return StrategyRisks(
            horizons=self.horizons,
            risk=Resampled(np.where(beyond, np.nan, risk.estimate), risk.draws[kept]),
            time_lost=Resampled(
                np.where(open_ended & (self.tau > self.followed_to), np.nan, lost.estimate), lost.draws[kept]
            ),
            tau=self.tau,
            failed=int((~kept).sum()),
            followed_to=self.followed_to,
        )
