r"""Clone, censor, weight: two strategies of starting a treatment within a grace period, compared from time zero on.

Every patient is copied into both arms at time zero. A copy leaves its arm when the patient's conduct departs from the
arm's strategy: the copy under "do not start" on the day of a start, the copy under "start" as the grace period runs
out. Copies that stay are weighted so that they stand for those that left. Nobody is credited with time in which they
had to survive to be treated, because until they decide patients count in both arms.

With :math:`q_t(x)` the probability of not having started by t given covariates, :math:`e(x) = 1 - q_g(x)` the
probability of a start within the grace period g, and h(x) a tilting function, a copy weighs at time t

=======================  =============================================================
"start", has started     :math:`h / e`
"start", has not yet     :math:`h \, (q_t - q_g) / (e \, q_t)`, nought once nobody starts any more
"do not start"           :math:`h / q_t`
=======================  =============================================================

These are ratios of the probability of the patient's conduct under the strategy to that in the data, for the strategy
"start at the time at which patients like this one start, when they start within the grace period". The copies who have
not started yet therefore fade out over the grace period instead of all leaving at its end: the sum of weights of
either arm stays that of time zero, as it must, and no weight is the inverse of the small chance of a start on the very
last day. With h = 1 the arms stand for all patients; with h = e(1 - e) for those in whom either choice was likely
(Li, Morgan & Zaslavsky 2018), all weights lie below 1, and after the grace period they are 1 - e and e, the overlap
weights of the landmark analysis. This joins two published methods, clone-censor-weight and overlap weighting; their
combination is verified by simulation (:mod:`sorafenib_rfa.validation.study`).

A patient in whom a start is no longer possible (`until`: recurrence, where a later start would treat the recurrence)
follows both strategies from then on, with the weights of that moment.

All resamples of a bootstrap are computed together: a resample is a row of multiplicities.

References
----------
Cain LE et al. When to start treatment? A systematic approach to the comparison of dynamic regimes using observational
data. Int J Biostat 2010;6(2):18.
Hernan MA, Robins JM. Using big data to emulate a target trial when a randomized trial is not available.
Am J Epidemiol 2016;183:758-764.
Maringe C et al. Reflection on modern methods: trial emulation in the presence of immortal-time bias.
Int J Epidemiol 2020;49:1719-1729.
Li F, Morgan KL, Zaslavsky AM. Balancing covariates via propensity score weighting. J Am Stat Assoc 2018;113:390-400.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from scipy.special import ndtr, ndtri

from ._inputs import as_events, as_times
from .errors import BeyondFollowUpError, ConvergenceError, EmptyGroupError, InvalidTimesError, NoEventsError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.intp]
    BoolArray = NDArray[np.bool_]

Tilt = Literal["overlap", "ate"]
TREATED, CONTROL = 0, 1
"""First index of arrays that hold both arms."""

CHUNK = 250
"""Resamples computed together: enough to be fast, few enough for memory."""

MOST_FAILED = 0.05
"""Share of resamples without an estimate beyond which a bootstrap says nothing."""

_FEW = 4
"""Patients of a sum up to which they are picked out instead of multiplied with everybody else's zeros."""

NOUGHT = 1e-12
"""A sum of weights that is zero but for rounding."""

_MAX_STEPS = 40
_TOLERANCE = 1e-10
_FARTHEST = 15.0


class Initiation(Protocol):
    """Chances of starting, in B resamples.

    ``times``: the K distinct times of a start within the grace period, ascending.
    """

    times: FloatArray

    def not_started(self, passed: int, columns: IntArray) -> FloatArray:
        """Return P(not started | x) when `passed` start times have passed, shape (B, number of columns)."""
        ...

    def part(self, rows: slice) -> Initiation:
        """Return the resamples `rows`."""
        ...


@dataclass(frozen=True, eq=False)
class ScoredInitiation:
    """A propensity score for starting within the grace period, and when those start who start.

    P(not started by t | x) = 1 - e(x) F(t): when a patient starts, given that she does, is taken not to depend on x.

    Attributes
    ----------
    times : ndarray, shape (K,)
    propensity : ndarray, shape (B, n)
        e(x).
    timing : ndarray, shape (B, K)
        F at `times`.
    """

    times: FloatArray
    propensity: FloatArray
    timing: FloatArray

    @classmethod
    def fitted(
        cls, times: FloatArray, propensity: FloatArray, start: FloatArray, drawn: FloatArray, known: BoolArray
    ) -> ScoredInitiation:
        """Add the distribution of start times among the starters whose conduct is `known`, in each resample."""
        starters = np.flatnonzero(known & np.isfinite(start))
        mass = drawn[:, starters] @ (start[starters, None] <= times[None, :]).astype(float)
        return cls(times, propensity, mass / np.maximum(mass[:, -1:], NOUGHT))

    def not_started(self, passed: int, columns: IntArray) -> FloatArray:
        """See :class:`Initiation`."""
        if passed == 0:
            return np.ones((len(self.propensity), len(columns)))
        return 1.0 - self.propensity[:, columns] * self.timing[:, passed - 1, None]

    def part(self, rows: slice) -> ScoredInitiation:
        """See :class:`Initiation`."""
        return ScoredInitiation(self.times, self.propensity[rows], self.timing[rows])


@dataclass(frozen=True, eq=False)
class HazardInitiation:
    """A proportional hazards model of starting: P(not started by t | x) = exp(-H(t) r(x)).

    Attributes
    ----------
    times : ndarray, shape (K,)
    relative_hazard : ndarray, shape (B, n)
        r(x).
    cumulative_hazard : ndarray, shape (B, K)
        H at `times` (Breslow).
    """

    times: FloatArray
    relative_hazard: FloatArray
    cumulative_hazard: FloatArray

    @classmethod
    def fitted(
        cls,
        times: FloatArray,
        relative_hazard: FloatArray,
        start: FloatArray,
        leaves: FloatArray,
        drawn: FloatArray,
    ) -> HazardInitiation:
        """Add Breslow's baseline hazard; `leaves` is when a patient starts or can no longer start."""
        weighted = drawn * relative_hazard
        at_risk = weighted @ (leaves[:, None] >= times[None, :]).astype(float)
        starts = drawn @ (start[:, None] == times[None, :]).astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            increments = np.where(starts > 0, starts / at_risk, 0.0)
        return cls(times, relative_hazard, np.cumsum(increments, axis=1))

    def not_started(self, passed: int, columns: IntArray) -> FloatArray:
        """See :class:`Initiation`."""
        if passed == 0:
            return np.ones((len(self.relative_hazard), len(columns)))
        return np.exp(-self.relative_hazard[:, columns] * self.cumulative_hazard[:, passed - 1, None])

    def part(self, rows: slice) -> HazardInitiation:
        """See :class:`Initiation`."""
        return HazardInitiation(self.times, self.relative_hazard[rows], self.cumulative_hazard[rows])


def _weights(
    arm: int, started: BoolArray, q: FloatArray, q_end: FloatArray, tilt: Tilt, cap: tuple[float, float] | None
) -> FloatArray:
    """Return the weights of copies in `arm`; the formulas of the module with h written in."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if arm == TREATED:
            own = np.where(started[None, :], 1.0, (q - q_end) / q)
            weights = own * q_end if tilt == "overlap" else own / (1.0 - q_end)
        else:
            weights = (1.0 - q_end) * q_end / q if tilt == "overlap" else 1.0 / q
    return weights if cap is None else np.minimum(weights, cap[arm])


def _not_started(
    initiation: Initiation, passed: int, columns: IntArray, started: BoolArray, frozen: IntArray
) -> FloatArray:
    """Return the chances of patients not to have started, as they stood when a start was last possible."""
    q = initiation.not_started(passed, columns)
    for before in np.unique(frozen[(frozen < passed) & ~started]):
        own = np.flatnonzero((frozen == before) & ~started)
        q[:, own] = initiation.not_started(int(before), columns[own])
    return q


@dataclass(frozen=True, eq=False)
class Tally:
    """Sums of weights asked for at C moments.

    Attributes
    ----------
    passed : ndarray of int, shape (C,)
        Start times that have passed at each moment: :meth:`CloneWeights.before` or :meth:`CloneWeights.after`.
    who : ndarray of bool, shape (n, C)
        Patients whose copies are summed.
    """

    passed: IntArray
    who: BoolArray


@dataclass(frozen=True, eq=False)
class CloneWeights:
    """The weights of the copies of n patients at any moment, for sums over several outcomes at once.

    Attributes
    ----------
    start, until : ndarray, shape (n,)
        As in :class:`CloneDesign`.
    grace : float
        Length of the grace period.
    times : ndarray, shape (K,)
        Distinct start times.
    tilt : {"overlap", "ate"}
        Population for which the copies stand.
    cap : (float, float), optional
        Largest weight in the treated and in the control arm.
    """

    start: FloatArray
    until: FloatArray
    grace: float
    times: FloatArray
    tilt: Tilt
    cap: tuple[float, float] | None = None

    @property
    def n(self) -> int:
        """Patients."""
        return self.start.size

    def before(self, moments: FloatArray) -> IntArray:
        """Return how many start times lie before each moment: an event is not yet under a treatment of that day."""
        return np.searchsorted(self.times, moments, side="left")

    def after(self, moments: FloatArray) -> IntArray:
        """Return how many start times have passed just after each moment."""
        return np.searchsorted(self.times, moments, side="right")

    def followed_to(self, time: FloatArray) -> FloatArray:
        """Return the longest follow-up that has weight in the treated and the control arm, 0 where nobody is left."""
        started = np.isfinite(self.start)
        stayed = ~started & ((time >= self.grace) | np.isfinite(self.until))
        return np.array([time[members].max(initial=0.0) for members in (started, stayed)])

    def sums(self, drawn: FloatArray, initiation: Initiation, asked: AskedSums) -> list[FloatArray]:
        """Return the sums asked for, of each tally of shape (2, B, C).

        Parameters
        ----------
        drawn : ndarray, shape (B, n)
            Multiplicities.
        initiation : Initiation
            In the same resamples.
        asked : AskedSums
        """
        everyone = np.arange(self.n)
        q_end = initiation.not_started(self.times.size, everyone)
        started_at = np.searchsorted(self.times, self.start, side="left")
        frozen_at = np.searchsorted(self.times, self.until, side="left")
        found = np.zeros((2, len(drawn), asked.bounds[-1]))
        for moment in asked.moments:
            started = np.isfinite(self.start) & (started_at < moment.passed)
            q = _not_started(initiation, moment.passed, everyone, started, np.minimum(frozen_at, moment.passed))
            for arm in (TREATED, CONTROL):
                weights = drawn * _weights(arm, started, q, q_end, self.tilt, self.cap)
                if arm == CONTROL:
                    weights[:, started] = 0.0
                found[arm][:, moment.dense_columns] = weights @ moment.dense
                if moment.patients.size:
                    found[arm][:, moment.sparse_columns] = np.add.reduceat(
                        weights[:, moment.patients], moment.starts, axis=1
                    )
        return [found[:, :, first:beyond] for first, beyond in pairwise(asked.bounds)]


@dataclass(frozen=True, eq=False)
class _Moment:
    """The columns of all tallies for which the same start times have passed."""

    passed: int
    dense: FloatArray  # (n, columns): who is summed
    dense_columns: IntArray
    patients: IntArray  # of columns with few patients, one after the other
    starts: IntArray  # where each of these columns begins in `patients`
    sparse_columns: IntArray


@dataclass(frozen=True, eq=False)
class AskedSums:
    """Tallies arranged by moment, so that the weights of a moment are computed once for all; build with :meth:`of`."""

    bounds: tuple[int, ...]
    moments: tuple[_Moment, ...]

    @classmethod
    def of(cls, tallies: Sequence[Tally]) -> AskedSums:
        """Arrange tallies of the same patients."""
        passed = np.concatenate([tally.passed for tally in tallies])
        who = np.concatenate([tally.who for tally in tallies], axis=1)
        bounds = np.concatenate([[0], np.cumsum([tally.passed.size for tally in tallies])])
        size = who.sum(axis=0)
        moments = []
        for value in np.unique(passed):
            columns = np.flatnonzero((passed == value) & (size > 0))
            few = size[columns] <= _FEW
            dense, sparse = columns[~few], columns[few]
            patients = np.nonzero(who[:, sparse].T)[1]
            starts = np.cumsum(size[sparse]) - size[sparse]
            moments.append(_Moment(int(value), who[:, dense].astype(float), dense, patients, starts, sparse))
        return cls(tuple(int(bound) for bound in bounds), tuple(moments))


@dataclass(frozen=True, eq=False)
class _Group:
    """Event times between two start times, in which all weights are constant, in one arm."""

    passed: int
    columns: IntArray  # patients with a copy in the arm, latest exit first
    started: BoolArray
    frozen: IntArray  # start times that had passed when a start became impossible; at most `passed`
    events: slice  # of the grid
    count: IntArray  # of `columns`, how many are at risk at each of the event times
    dead: IntArray  # positions in `columns` of those whose event is one of these, in order of time
    dead_starts: IntArray
    dead_at: IntArray  # places in the grid


@dataclass(frozen=True, eq=False)
class CloneDesign:
    """Follow-up of n patients arranged for weighting of copies; build one with :meth:`prepare`.

    Attributes
    ----------
    time, event : ndarray, shape (n,)
        Follow-up from time zero.
    start : ndarray, shape (n,)
        Start of the treatment within the grace period and before `until`; infinite when there is none.
    until : ndarray, shape (n,)
        When a start is no longer possible, infinite when it always is.
    grace : float
        Length of the grace period.
    times : ndarray, shape (K,)
        Distinct start times.
    grid : ndarray, shape (E,)
        Distinct event times.
    tied : ndarray of int, shape (E,)
        Copies with an event at each of them, both arms.
    """

    time: FloatArray
    event: BoolArray
    start: FloatArray
    until: FloatArray
    grace: float
    times: FloatArray
    grid: FloatArray
    tied: IntArray
    _groups: tuple[tuple[_Group, ...], tuple[_Group, ...]]

    @property
    def n(self) -> int:
        """Patients."""
        return self.time.size

    @classmethod
    def prepare(
        cls,
        time: ArrayLike,
        event: ArrayLike,
        start: ArrayLike,
        grace: float,
        *,
        until: ArrayLike | None = None,
        times: ArrayLike | None = None,
    ) -> CloneDesign:
        """Validate and sort.

        Parameters
        ----------
        time, event : array_like, shape (n,)
            Follow-up from time zero, above zero, and whether it ends in an event.
        start : array_like, shape (n,)
            Time of the start of treatment, infinite or NaN when there is none. A start after the grace period, or at
            or after `until`, does not count.
        grace : float
            Length of the grace period, in the same unit.
        until : array_like, shape (n,), optional
            When a start ceases to be possible without an end of follow-up.
        times : array_like, optional
            Distinct start times to split at; those of `start` when not given.

        Raises
        ------
        InvalidTimesError
            Missing or impossible times.
        NoEventsError
            Without events.
        EmptyGroupError
            If nobody starts within the grace period, or everybody does.
        """
        stop, _ = as_times(time)
        n = stop.size
        dead = as_events(event, n)
        begun = np.asarray(start, dtype=float).copy()
        last = np.full(n, np.inf) if until is None else np.asarray(until, dtype=float).copy()
        if begun.shape != (n,) or last.shape != (n,):
            raise InvalidTimesError(f"start and until must have {n} values, as the times have")
        if not np.isfinite(grace) or grace <= 0:
            raise InvalidTimesError(f"the grace period must be above zero, found {grace!r}")
        last[np.isnan(last)] = np.inf
        begun[np.isnan(begun)] = np.inf
        if (begun < 0).any():
            raise InvalidTimesError(f"{int((begun < 0).sum())} starts lie before time zero")
        begun[(begun > grace) | (begun >= last)] = np.inf
        if not dead.any():
            raise NoEventsError(f"no events among {n} patients: the strategies cannot be compared")
        if not np.isfinite(begun).any():
            raise EmptyGroupError("nobody starts within the grace period")
        if np.isfinite(begun).all():
            raise EmptyGroupError("everybody starts within the grace period")
        splits = np.unique(begun[np.isfinite(begun)]) if times is None else np.unique(np.asarray(times, dtype=float))
        grid = np.unique(stop[dead])
        groups = tuple(_groups(arm, stop, dead, begun, last, splits, grid) for arm in (TREATED, CONTROL))
        tied = np.zeros(grid.size, dtype=np.intp)
        for group in (*groups[0], *groups[1]):
            np.add.at(tied, np.searchsorted(grid, stop[group.columns[group.dead]]), 1)
        return cls(stop, dead, begun, last, float(grace), splits, grid, tied, groups)  # type: ignore[arg-type]

    def sums(
        self, drawn: FloatArray, initiation: Initiation, *, tilt: Tilt, cap: tuple[float, float] | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Return weights at risk and weights with an event at each event time, each of shape (2, B, E).

        Parameters
        ----------
        drawn : ndarray, shape (B, n)
            Multiplicities.
        initiation : Initiation
            In the same resamples.
        tilt : {"overlap", "ate"}
        cap : (float, float), optional
            Largest weight in the treated and in the control arm.
        """
        shape = (2, len(drawn), self.grid.size)
        at_risk, events = np.zeros(shape), np.zeros(shape)
        for arm in (TREATED, CONTROL):
            for group in self._groups[arm]:
                columns = group.columns
                if not columns.size:
                    continue
                weights = drawn[:, columns] * self._group_weights(arm, group, initiation, tilt, cap)
                running = np.zeros((len(drawn), columns.size + 1))
                np.cumsum(weights, axis=1, out=running[:, 1:])
                at_risk[arm][:, group.events] = running[:, group.count]
                if group.dead.size:
                    events[arm][:, group.dead_at] = np.add.reduceat(weights[:, group.dead], group.dead_starts, axis=1)
        return at_risk, events

    def _group_weights(
        self, arm: int, group: _Group, initiation: Initiation, tilt: Tilt, cap: tuple[float, float] | None
    ) -> FloatArray:
        """Return the weights of a group's copies, shape (B, columns)."""
        columns = group.columns
        q = _not_started(initiation, group.passed, columns, group.started, group.frozen)
        q_end = initiation.not_started(self.times.size, columns)
        return _weights(arm, group.started, q, q_end, tilt, cap)

    def caps(self, initiation: Initiation, quantile: float) -> tuple[float, float]:
        """Return a quantile of the untilted weights of the patients who followed each strategy to the end of grace.

        `initiation` is that of the data themselves (one resample).
        """
        everyone = np.arange(self.n)
        q_end = initiation.not_started(self.times.size, everyone)[0]
        started = np.isfinite(self.start)
        stayed = ~started & (np.minimum(self.time, self.until) >= self.grace)
        if not stayed.any():
            raise EmptyGroupError("nobody reaches the end of the grace period without a start")
        return (
            float(np.quantile(1.0 / (1.0 - q_end[started]), quantile)),
            float(np.quantile(1.0 / q_end[stayed], quantile)),
        )

    def rows(
        self, initiation: Initiation, *, tilt: Tilt, cap: tuple[float, float] | None = None
    ) -> dict[str, np.ndarray]:
        """Return the weighted copies as start-stop rows, for software that takes those and for diagnostics.

        Returns
        -------
        dict
            ``patient, arm`` (0 treated, 1 control)``, start, stop, event, weight``; a new row where a weight changes.
            Rows without weight are left out.
        """
        edges = np.concatenate([[0.0], self.times[self.times > 0], [np.inf]])
        parts: list[dict[str, np.ndarray]] = []
        for low, high in pairwise(edges):
            inside = np.flatnonzero(self.time > low)
            if not inside.size:
                break
            passed = int(np.searchsorted(self.times, low, side="right"))
            begun = self.start[inside] <= low
            frozen = np.minimum(np.searchsorted(self.times, self.until[inside], side="left"), passed)
            stop = np.minimum(self.time[inside], high)
            event = self.event[inside] & (self.time[inside] <= high)
            empty = np.zeros(0, dtype=np.intp)
            for arm in (TREATED, CONTROL):
                group = _Group(passed, inside, begun, frozen, slice(0), empty, empty, empty, empty)
                weight = self._group_weights(arm, group, initiation, tilt, cap)[0]
                kept = (weight > 0) & ~(begun if arm == CONTROL else np.zeros_like(begun))
                parts.append(
                    {
                        "patient": inside[kept],
                        "arm": np.full(int(kept.sum()), arm),
                        "start": np.full(int(kept.sum()), low),
                        "stop": stop[kept],
                        "event": event[kept],
                        "weight": weight[kept],
                    }
                )
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _groups(
    arm: int,
    time: FloatArray,
    event: BoolArray,
    start: FloatArray,
    until: FloatArray,
    times: FloatArray,
    grid: FloatArray,
) -> tuple[_Group, ...]:
    """Return who is in `arm` between start times in which events happen.

    A start changes weights from the moment after it: an event on the same day is not yet under treatment.
    """
    passed_at = np.searchsorted(times, grid, side="left")
    started_at = np.searchsorted(times, start, side="left")
    frozen_at = np.searchsorted(times, until, side="left")
    groups = []
    for passed in np.unique(passed_at):
        first, beyond = np.searchsorted(passed_at, [passed, passed + 1])
        inside = np.flatnonzero(time >= grid[first])
        started = np.isfinite(start[inside]) & (started_at[inside] < passed)
        frozen = np.minimum(frozen_at[inside], passed)
        member = started | (frozen < times.size) if arm == TREATED else ~started
        inside, started, frozen = inside[member], started[member], frozen[member]
        order = np.argsort(-time[inside], kind="stable")
        inside, started, frozen = inside[order], started[order], frozen[order]
        count = np.searchsorted(-time[inside], -grid[first:beyond], side="right")
        dead = np.flatnonzero(event[inside] & (time[inside] <= grid[beyond - 1]))[::-1]
        place = np.searchsorted(grid, time[inside[dead]])
        dead_at, dead_starts = np.unique(place, return_index=True)
        groups.append(
            _Group(int(passed), inside, started, frozen, slice(first, beyond), count, dead, dead_starts, dead_at)
        )
    return tuple(groups)


@dataclass(frozen=True, eq=False)
class _Estimates:
    """Estimates in B resamples; arms first."""

    survival: FloatArray  # (2, B, E)
    rmst: FloatArray  # (2, B)
    log_hr: FloatArray  # (B,), NaN where it is not finite
    usable: BoolArray  # (B,)


def _estimate(at_risk: FloatArray, events: FloatArray, design: CloneDesign, tau: float) -> _Estimates:
    """Return curves, restricted means and hazard ratios of weighted copies."""
    with np.errstate(divide="ignore", invalid="ignore"):
        hazard = np.where(at_risk > NOUGHT, events / at_risk, 0.0)
    survival = np.cumprod(1.0 - np.minimum(hazard, 1.0), axis=2)
    edges = np.minimum(np.append(design.grid, np.inf), tau)
    widths = np.diff(np.concatenate([[0.0], edges]))
    rmst = widths[0] + survival @ widths[1:]
    log_hr, found = log_hazard_ratios(at_risk, events, design.tied)
    return _Estimates(survival, rmst, log_hr, found & (at_risk[:, :, 0] > NOUGHT).all(axis=0))


def log_hazard_ratios(at_risk: FloatArray, events: FloatArray, tied: IntArray) -> tuple[FloatArray, BoolArray]:
    """Return log hazard ratios of weighted Cox models on the arm alone, with Efron's ties, and where they are finite.

    Parameters
    ----------
    at_risk, events : ndarray, shape (2, B, E)
        Sums of weights at risk just before, and with an event at, each event time; the treated arm first.
    tied : ndarray of int, shape (E,)
        Patients (copies) with an event at each time.

    Returns
    -------
    ndarray, ndarray of bool, shape (B,)

    Notes
    -----
    With one binary covariate the partial likelihood needs nothing but these sums.
    """
    bins = np.repeat(np.arange(tied.size), tied)
    within = np.arange(bins.size) - np.repeat(np.cumsum(tied) - tied, tied)
    fraction = within / tied[bins]
    one, other = (at_risk[arm][:, bins] - fraction * events[arm][:, bins] for arm in (TREATED, CONTROL))
    hazard_share = (events.sum(axis=0) / tied)[:, bins]
    # risk sets of one arm alone say nothing
    np.maximum(one, 0.0, out=one)
    np.maximum(other, 0.0, out=other)
    observed = events[TREATED].sum(axis=1)
    beta = np.zeros(len(observed))
    moving = np.ones(len(observed), dtype=bool)
    for _ in range(_MAX_STEPS):
        treated = one[moving] * np.exp(beta[moving])[:, None]
        whole = treated + other[moving]
        share = np.divide(treated, whole, out=np.zeros_like(whole), where=whole > 0)
        score = observed[moving] - np.einsum("bm,bm->b", hazard_share[moving], share)
        information = np.einsum("bm,bm->b", hazard_share[moving], share * (1.0 - share))
        step = np.clip(np.divide(score, information, out=np.full_like(score, np.inf), where=information > 0), -2, 2)
        beta[moving] += step
        moving[np.flatnonzero(moving)[~(np.abs(step) > _TOLERANCE)]] = False
        moving &= np.abs(beta) < _FARTHEST
        if not moving.any():
            break
    finite = ~moving & (np.abs(beta) < _FARTHEST)
    return np.where(finite, beta, np.nan), finite


@dataclass(frozen=True)
class Contrast:
    """An estimate with its bootstrap standard error and Wald limits.

    Attributes
    ----------
    estimate, std_err, ci_low, ci_high, p : float
        For ratios limits and p value are those of the logarithm, and `std_err` is that of the logarithm.
    """

    estimate: float
    std_err: float
    ci_low: float
    ci_high: float
    p: float


@dataclass(frozen=True, eq=False)
class CloneCensorEstimate:
    """Two strategies compared. Arrays of both arms have the treated one first.

    Attributes
    ----------
    time : ndarray, shape (E,)
        Distinct event times.
    at_risk, events, survival, survival_std_err : ndarray, shape (2, E)
        Sums of weights at risk and with an event, survival probability and its bootstrap standard error.
    difference_std_err : ndarray, shape (E,)
        Of the difference of the two survival probabilities.
    rmst : tuple of Contrast
        Restricted mean of each arm (no p value).
    rmst_difference, rmst_ratio, hazard_ratio : Contrast
        Treated against control.
    tau, level : float
    resamples, failed : int
        Resamples used and those without an estimate.
    last : ndarray, shape (2,)
        Longest follow-up that has weight.
    """

    time: FloatArray
    at_risk: FloatArray
    events: FloatArray
    survival: FloatArray
    survival_std_err: FloatArray
    difference_std_err: FloatArray
    rmst: tuple[Contrast, Contrast]
    rmst_difference: Contrast
    rmst_ratio: Contrast
    hazard_ratio: Contrast
    tau: float
    level: float
    resamples: int
    failed: int
    last: FloatArray

    def at(self, times: Sequence[float]) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return survival (2, T), its standard error (2, T) and that of the difference (T,) at `times`.

        NaN beyond the follow-up of an arm.
        """
        place = np.searchsorted(self.time, np.asarray(times, dtype=float), side="right")

        def read(values: FloatArray, first: float) -> FloatArray:
            return np.concatenate([np.full((*values.shape[:-1], 1), first), values], axis=-1)[..., place]

        survival, error = read(self.survival, 1.0), read(self.survival_std_err, 0.0)
        difference = read(self.difference_std_err, 0.0)
        ended = (np.asarray(times)[None, :] > self.last[:, None]) & (survival > 0)
        return (
            np.where(ended, np.nan, survival),
            np.where(ended, np.nan, error),
            np.where(ended.any(axis=0), np.nan, difference),
        )


def _contrast(estimate: float, error: float, level: float, *, exponential: bool = False) -> Contrast:
    """Return a Wald interval and p value; on the log scale for a ratio."""
    z = float(ndtri(0.5 + level / 2))
    p = float(2 * ndtr(-abs(estimate) / error)) if error > 0 else float("nan")
    values = (estimate, estimate - z * error, estimate + z * error)
    if exponential:
        values = tuple(float(np.exp(value)) for value in values)  # type: ignore[assignment]
    return Contrast(float(values[0]), float(error), float(values[1]), float(values[2]), p)


def compare_strategies(
    design: CloneDesign,
    initiation: Initiation,
    resampled: Initiation,
    drawn: FloatArray,
    usable: BoolArray,
    tau: float,
    *,
    tilt: Tilt = "overlap",
    cap: tuple[float, float] | None = None,
    level: float = 0.95,
) -> CloneCensorEstimate:
    """Compare "start within the grace period" with "do not start" from time zero.

    Parameters
    ----------
    design : CloneDesign
        Follow-up for one endpoint.
    initiation : Initiation
        Fitted to the data (one resample).
    resampled : Initiation
        Fitted anew in each of B resamples of patients.
    drawn : ndarray, shape (B, n)
        Multiplicities of the resamples; a patient's two copies are drawn together.
    usable : ndarray of bool, shape (B,)
        Resamples in which the chances of a start could be estimated.
    tau : float
        Horizon of the restricted means.
    tilt : {"overlap", "ate"}
        Population for which the arms stand: those in whom either choice was likely, or everyone.
    cap : (float, float), optional
        Largest weight in either arm; the same in all resamples.
    level : float
        Of Wald intervals with bootstrap standard errors.

    Raises
    ------
    BeyondFollowUpError
        If the follow-up of an arm ends before `tau`.
    NoEventsError
        If an arm has no events, so that the hazard ratio is zero or infinite.
    ConvergenceError
        If more than one resample in twenty has no estimate.
    """
    one = np.ones((1, design.n))
    at_risk, events = design.sums(one, initiation, tilt=tilt, cap=cap)
    for arm, name in ((TREATED, "start"), (CONTROL, "do not start")):
        if not events[arm].sum() > 0:
            raise NoEventsError(f'no events under the strategy "{name}"')
    found = _estimate(at_risk, events, design, tau)
    started = np.isfinite(design.start)
    stayed = ~started & ((design.time >= design.grace) | np.isfinite(design.until))
    last = np.array([design.time[members].max() for members in (started, stayed)])
    for arm, name in ((TREATED, "start"), (CONTROL, "do not start")):
        if last[arm] < tau and found.survival[arm, 0, -1] > 0:
            raise BeyondFollowUpError(
                f'follow-up under the strategy "{name}" ends at {last[arm]:.1f}, before the horizon {tau:g}'
            )
    parts = []
    for first in range(0, len(drawn), CHUNK):
        rows = slice(first, first + CHUNK)
        parts.append(_estimate(*design.sums(drawn[rows], resampled.part(rows), tilt=tilt, cap=cap), design, tau))
    kept = usable & np.concatenate([part.usable for part in parts])
    failed = int((~kept).sum())
    if failed > MOST_FAILED * len(drawn):
        raise ConvergenceError(f"{failed} of {len(drawn)} bootstrap resamples have no estimate")
    survival = np.concatenate([part.survival for part in parts], axis=1)[:, kept]
    rmst = np.concatenate([part.rmst for part in parts], axis=1)[:, kept]
    log_hr = np.concatenate([part.log_hr for part in parts])[kept]
    means = found.rmst[:, 0]

    def spread(values: FloatArray) -> float:
        return float(np.std(values, ddof=1))

    return CloneCensorEstimate(
        time=design.grid,
        at_risk=at_risk[:, 0],
        events=events[:, 0],
        survival=found.survival[:, 0],
        survival_std_err=np.std(survival, axis=1, ddof=1),
        difference_std_err=np.std(survival[TREATED] - survival[CONTROL], axis=0, ddof=1),
        rmst=tuple(_contrast(means[arm], spread(rmst[arm]), level) for arm in (TREATED, CONTROL)),  # type: ignore[arg-type]
        rmst_difference=_contrast(means[TREATED] - means[CONTROL], spread(rmst[TREATED] - rmst[CONTROL]), level),
        rmst_ratio=_contrast(
            float(np.log(means[TREATED] / means[CONTROL])),
            spread(np.log(rmst[TREATED] / rmst[CONTROL])),
            level,
            exponential=True,
        ),
        hazard_ratio=_contrast(float(found.log_hr[0]), spread(log_hr), level, exponential=True),
        tau=tau,
        level=level,
        resamples=int(kept.sum()),
        failed=failed,
        last=last,
    )
