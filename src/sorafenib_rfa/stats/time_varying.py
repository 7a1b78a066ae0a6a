"""A treatment effect that varies with time: piecewise constant, or a spline of log time, in a Cox model.

Treatment times a function of time is a time-dependent covariate; the baseline hazard stays free. Equal to R's
``survival::survSplit`` (or ``tt()``) with ``coxph`` clustered by patient.

References
----------
Therneau TM, Crowson C, Atkinson E. Using time dependent covariates and time dependent coefficients in the Cox model
(vignette of R's survival). Gray RJ. Flexible methods for analyzing survival data using splines, with applications to
breast cancer prognosis. J Am Stat Assoc 1992;87:942-951.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

from ._inputs import as_codes, as_events, as_float_vector, as_times, as_weights, check_length, check_level
from .cox import CoxFit, HazardRatio, TestStatistic, _wald, cox_fit
from .errors import (
    ConstantCovariateError,
    ConvergenceError,
    EstimationError,
    InvalidCovariatesError,
    NoEventsError,
    SeparationError,
)
from .kaplan_meier import kaplan_meier
from .propensity import harrell_knots, restricted_cubic_spline

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    FloatArray = NDArray[np.float64]

_MAX_STEPS = 40
_CONVERGED = 1e-20  # twice what the next step would raise the log-likelihood by
_LONGEST, _BOUNDLESS = 5.0, 50.0  # change of a log hazard ratio in one step; its size at which it has no maximum
_FLAT, _RUNAWAY = 1e-6, 0.1  # as in the Cox model: the likelihood is flat and a coefficient still moves


@dataclass(frozen=True)
class Piece:
    """The effect between two times.

    Attributes
    ----------
    lower, upper : float
        The piece is (lower, upper]; `upper` is infinite in the last.
    events_treated, events_control : int
        Of patients with a weight above zero.
    ratio : HazardRatio or None
        None where one arm has no events.
    reason : str
        Why not, when there is none.
    """

    lower: float
    upper: float
    events_treated: int
    events_control: int
    ratio: HazardRatio | None
    reason: str


@dataclass(frozen=True, eq=False)
class PiecewiseEffect:
    """Hazard ratios of the pieces, and the Wald test that those estimated are equal (None with fewer than two)."""

    pieces: tuple[Piece, ...]
    constancy: TestStatistic | None
    fit: CoxFit = field(repr=False)


@dataclass(frozen=True, eq=False)
class SplineEffect:
    """A log hazard ratio that is a restricted cubic spline of log time.

    Attributes
    ----------
    knots : tuple of float
        Times (not logarithms) of the knots.
    first, last : float
        First and last event time: the range in which the effect is estimated.
    coef : ndarray, shape (k,)
        Of treatment, and of treatment times the k - 1 terms of the spline.
    covariance : ndarray, shape (k, k)
        Robust, clustered by patient.
    constancy : TestStatistic
        Wald test that no term depends on time.
    linearity : TestStatistic
        Wald test that the log hazard ratio is linear in log time.
    """

    knots: tuple[float, ...]
    first: float
    last: float
    coef: FloatArray
    covariance: FloatArray
    constancy: TestStatistic
    linearity: TestStatistic

    def at(self, times: ArrayLike, level: float = 0.95) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return hazard ratio, lower and upper pointwise limit at `times`."""
        design = self._design(times)
        log_hr = design @ self.coef
        reach = float(ndtri(0.5 + check_level(level) / 2)) * self.std_err(times)
        return np.exp(log_hr), np.exp(log_hr - reach), np.exp(log_hr + reach)

    def std_err(self, times: ArrayLike) -> FloatArray:
        """Return the standard error of the log hazard ratio at `times`."""
        design = self._design(times)
        return np.sqrt(np.einsum("ij,jk,ik->i", design, self.covariance, design))

    def p_value(self, times: ArrayLike) -> FloatArray:
        """Return the two-sided p value of no effect at `times`."""
        return 2 * ndtr(-np.abs(self._design(times) @ self.coef / self.std_err(times)))

    def _design(self, times: ArrayLike) -> FloatArray:
        return _spline_basis(np.atleast_1d(np.asarray(times, dtype=float)), np.log(self.knots))


def piecewise_effect(
    treated: ArrayLike,
    time: ArrayLike,
    event: ArrayLike,
    cuts: Sequence[float],
    *,
    start: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    level: float = 0.95,
) -> PiecewiseEffect:
    """Estimate a hazard ratio in each piece of follow-up.

    With treatment alone in the model the partial likelihood is a product over pieces: a piece in which one arm has no
    events is left out without touching the others, and says so.

    Parameters
    ----------
    treated : array_like of 0 and 1, shape (n,)
    time, event, start, weights, strata : array_like, shape (n,)
        As in :func:`sorafenib_rfa.stats.cox.cox_fit`; one row a patient.
    cuts : sequence of float
        Increasing times at which the effect may change; those before the first entry make no piece.
    level : float

    Returns
    -------
    PiecewiseEffect
        Robust variance, clustered by patient.

    Raises
    ------
    EstimationError
        If no piece can be estimated, or as :func:`sorafenib_rfa.stats.cox.cox_fit`.
    """
    arm, stop, entry, dead, w, present = _validated(treated, time, event, start, weights)
    inner = [float(c) for c in cuts if c > entry[present].min()]
    if any(b <= a for a, b in pairwise(inner)):
        raise ValueError(f"cuts must increase, found {list(cuts)}")
    edges = np.array([entry[present].min(), *inner, np.inf])
    n_pieces = edges.size - 1
    piece_of_event = np.searchsorted(edges, stop, side="left") - 1
    counted = dead & present
    events = [np.bincount(piece_of_event[counted & (arm == value)], minlength=n_pieces).astype(int) for value in (1, 0)]
    spells = [_spell(arm, stop, entry, dead, w, strata, low, high) for low, high in pairwise(edges)]
    reasons = [_why_not(spell, first, second) for spell, first, second in zip(spells, *events, strict=True)]
    usable = [j for j, reason in enumerate(reasons) if not reason]
    if not usable:
        raise NoEventsError(
            "in no piece of follow-up can a hazard ratio be estimated: " + "; ".join(sorted({*reasons}))
        )
    columns = [spells[j].arm[:, None] * (np.arange(len(usable)) == position) for position, j in enumerate(usable)]
    names = [f"piece {j + 1}" for j in usable]
    fit = _fit([spells[j] for j in usable], np.vstack(columns), names)
    pieces = []
    for j in range(n_pieces):
        ratio = fit.hazard_ratio(names[usable.index(j)], level) if j in usable else None
        if ratio is not None and not ratio.log_se > 1e-10:
            ratio, reasons[j] = None, "the robust variance is zero (too few distinct event times)"
        pieces.append(Piece(edges[j], edges[j + 1], int(events[0][j]), int(events[1][j]), ratio, reasons[j]))
    constancy = None
    if len(usable) > 1:
        difference = np.column_stack([-np.ones(len(usable) - 1), np.eye(len(usable) - 1)])
        constancy = fit.contrast(difference)
    return PiecewiseEffect(tuple(pieces), constancy, fit)


@dataclass(frozen=True, eq=False)
class _Spell:
    """Rows of those at risk within one piece."""

    owner: NDArray[np.intp]
    arm: FloatArray
    start: FloatArray
    stop: FloatArray
    dead: NDArray[np.bool_]
    weights: FloatArray | None
    strata: NDArray | None


def _spell(
    arm: FloatArray,
    stop: FloatArray,
    entry: FloatArray,
    dead: NDArray[np.bool_],
    w: FloatArray | None,
    strata: ArrayLike | None,
    low: float,
    high: float,
) -> _Spell:
    inside = np.flatnonzero((entry < high) & (stop > low))
    return _Spell(
        inside,
        arm[inside],
        np.maximum(entry[inside], low),
        np.minimum(stop[inside], high),
        dead[inside] & (stop[inside] <= high),
        None if w is None else w[inside],
        None if strata is None else np.asarray(strata)[inside],
    )


def _fit(spells: Sequence[_Spell], x: FloatArray, names: Sequence[str]) -> CoxFit:
    """Fit the rows of several pieces together, clustered by patient."""
    return cox_fit(
        x,
        np.concatenate([spell.stop for spell in spells]),
        np.concatenate([spell.dead for spell in spells]),
        start=np.concatenate([spell.start for spell in spells]),
        weights=None if spells[0].weights is None else np.concatenate([spell.weights for spell in spells]),
        strata=None if spells[0].strata is None else np.concatenate([spell.strata for spell in spells]),
        cluster=np.concatenate([spell.owner for spell in spells]),
        names=names,
    )


def _why_not(spell: _Spell, events_treated: int, events_control: int) -> str:
    """Return why a piece has no hazard ratio, or ''."""
    empty = [name for name, count in (("treated", events_treated), ("control", events_control)) if not count]
    if empty:
        return f"no events in the {' and the '.join(empty)} arm{'s' if len(empty) > 1 else ''}"
    try:
        _fit([spell], spell.arm[:, None], ["treatment"])
    except EstimationError as error:  # events in both arms, but never while both are at risk
        return str(error)
    return ""


def spline_effect(
    treated: ArrayLike,
    time: ArrayLike,
    event: ArrayLike,
    knots: int | Sequence[float] = 4,
    *,
    start: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
) -> SplineEffect:
    """Estimate a log hazard ratio that is a restricted cubic spline of log time.

    Parameters
    ----------
    treated, time, event, start, weights, strata
        As in :func:`piecewise_effect`.
    knots : int or sequence of float
        Times of the knots, or how many: at Harrell's quantiles of the event times of patients with weight.

    Raises
    ------
    EstimationError
        If there are fewer events than terms, knots coincide, or as :func:`sorafenib_rfa.stats.cox.cox_fit`.
    """
    arm, stop, entry, dead, w, present = _validated(treated, time, event, start, weights)
    event_times = stop[dead & present]
    if not event_times.size:
        raise NoEventsError(f"no events among {int(present.sum())} observations")
    if isinstance(knots, int):
        knots = tuple(float(k) for k in np.exp(harrell_knots(np.log(event_times), knots)))
    log_knots = np.log(np.asarray(knots, dtype=float))
    if event_times.size <= log_knots.size:
        raise EstimationError(f"{event_times.size} events do not determine {log_knots.size} terms")
    fit = _two_arm_cox(arm, stop, entry, dead, w, strata, lambda times: _spline_basis(times, log_knots))
    p = fit.coef.size
    identity = np.eye(p)
    return SplineEffect(
        knots=tuple(float(k) for k in np.exp(log_knots)),
        first=float(event_times.min()),
        last=float(event_times.max()),
        coef=fit.coef,
        covariance=fit.covariance,
        constancy=_wald(fit.coef[1:], identity[1:] @ fit.covariance @ identity[1:].T),
        linearity=_wald(fit.coef[2:], identity[2:] @ fit.covariance @ identity[2:].T),
    )


def constancy_test(
    treated: ArrayLike,
    time: ArrayLike,
    event: ArrayLike,
    *,
    start: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
) -> TestStatistic:
    """Test whether the effect of treatment is constant, against one that changes with Kaplan-Meier time.

    The robust Wald test, on one degree of freedom, of treatment times g(t) beside treatment in a Cox model, with g one
    minus the (weighted) Kaplan-Meier estimate just before t, the default transform of ``cox.zph``. Unlike the score
    test of ``cox.zph``, which takes case weights as numbers of patients, it does not depend on the scale of weights.

    Parameters
    ----------
    treated, time, event, start, weights, strata
        As in :func:`piecewise_effect`.

    Raises
    ------
    EstimationError
        As :func:`spline_effect`.
    """
    arm, stop, entry, dead, w, present = _validated(treated, time, event, start, weights)
    if not (dead & present).any():
        raise NoEventsError(f"no events among {int(present.sum())} observations")
    curve = kaplan_meier(stop, dead, start=None if start is None else entry, weights=w)

    def basis(times: FloatArray) -> FloatArray:
        before = np.searchsorted(curve.time, times, side="left") - 1
        survival = np.where(before < 0, 1.0, curve.survival[np.maximum(before, 0)])
        return np.column_stack([np.ones(times.size), 1.0 - survival])

    fit = _two_arm_cox(arm, stop, entry, dead, w, strata, basis)
    return _wald(fit.coef[1:], fit.covariance[1:, 1:])


def _spline_basis(times: FloatArray, log_knots: FloatArray) -> FloatArray:
    """Return one, log time and its cubic terms, shape (n, knots)."""
    log_time = np.log(times)
    return np.column_stack([np.ones(log_time.size), restricted_cubic_spline(log_time, log_knots)])


@dataclass(frozen=True, eq=False)
class _Events:
    """Distinct event times (bins, within strata), who is at risk and who has events there, by arm."""

    time: FloatArray
    at_risk: FloatArray  # (2, bins): weight of control and treated
    died: FloatArray  # (2, bins): weight of those with an event
    term_bin: NDArray[np.intp]  # bin of each (event time, l) of Efron's method
    fraction: FloatArray  # l / d
    mean_weight: FloatArray  # mean weight of the tied events of each bin
    first: NDArray[np.intp]  # bins first[i]:last[i] are those at which row i is at risk
    last: NDArray[np.intp]

    @classmethod
    def of(
        cls,
        arm: FloatArray,
        stop: FloatArray,
        entry: FloatArray,
        dead: NDArray[np.bool_],
        w: FloatArray,
        stratum: NDArray[np.intp],
    ) -> _Events:
        times, first, last = [], np.empty(stop.size, dtype=np.intp), np.empty(stop.size, dtype=np.intp)
        offset = 0
        for s in range(int(stratum.max()) + 1):
            members = stratum == s
            grid = np.unique(stop[members & dead])
            first[members] = offset + np.searchsorted(grid, entry[members], side="right")
            last[members] = offset + np.searchsorted(grid, stop[members], side="right")
            times.append(grid)
            offset += grid.size

        def total(rows: NDArray[np.bool_], at: NDArray[np.intp]) -> FloatArray:
            return np.bincount(at[rows], weights=w[rows], minlength=offset + 1)

        at_risk, died = np.empty((2, offset)), np.empty((2, offset))
        for value in (0, 1):
            own = arm == value
            at_risk[value] = np.cumsum(total(own, first) - total(own, last))[:-1]
            died[value] = total(own & dead, last - 1)[:-1]
        count = np.bincount(last[dead] - 1, minlength=offset)
        term_bin = np.repeat(np.arange(offset), count)
        rank = np.arange(term_bin.size) - np.repeat(np.cumsum(count) - count, count)
        return cls(
            np.concatenate(times),
            at_risk,
            died,
            term_bin,
            rank / count[term_bin],
            died.sum(axis=0) / count,
            first,
            last,
        )

    def shares(self, eta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return, for each (event time, l), the treated share of the risk set's hazard and the hazard increment."""
        risk = (self.at_risk[:, self.term_bin] - self.fraction * self.died[:, self.term_bin]).clip(min=0.0)
        treated = risk[1] * np.exp(eta[self.term_bin])
        total = risk[0] + treated
        return treated / total, self.mean_weight[self.term_bin] / total

    def over_terms(self, values: FloatArray) -> FloatArray:
        """Sum over the tied events of each bin."""
        return np.bincount(self.term_bin, weights=values, minlength=self.time.size)


@dataclass(frozen=True, eq=False)
class _TwoArmFit:
    coef: FloatArray
    covariance: FloatArray


def _two_arm_cox(
    arm: FloatArray,
    stop: FloatArray,
    entry: FloatArray,
    dead: NDArray[np.bool_],
    w: FloatArray | None,
    strata: ArrayLike | None,
    basis_of: Callable[[FloatArray], FloatArray],
) -> _TwoArmFit:
    """Fit a log hazard ratio that is a linear combination of functions of time; robust variance, Efron's ties.

    With two arms a risk set is two numbers, so the data need not be split at every event time: memory is that of the
    event times, not of their product with patients. The result is that of the split data (checked in tests/reference).
    """
    n = stop.size
    stratum = np.zeros(n, dtype=np.intp) if strata is None else as_codes(strata, n, "strata", empty_allowed=True)[1]
    present = np.ones(n, dtype=bool) if w is None else w > 0
    weights = np.ones(n) if w is None else w
    arm, stop, entry, dead, weights, stratum = (v[present] for v in (arm, stop, entry, dead, weights, stratum))
    events = _Events.of(arm, stop, entry, dead, weights, stratum)
    raw = basis_of(events.time)
    indistinct = "the event times do not tell the functions of time apart (too few distinct ones)"
    if raw.shape[0] < raw.shape[1]:
        raise EstimationError(indistinct)
    # an orthogonal basis of the same functions, so that no term depends on another's scale
    basis, triangle = np.linalg.qr(raw)
    basis, triangle = basis * np.sqrt(len(raw)), triangle / np.sqrt(len(raw))
    if np.abs(np.diagonal(triangle)).min() < 1e-8 * np.abs(np.diagonal(triangle)).max():
        raise EstimationError(indistinct)

    def loglik_at(beta: FloatArray) -> float:
        eta = basis @ beta
        _, increment = events.shares(eta)
        mean_weight = events.mean_weight[events.term_bin]
        return float(events.died[1] @ eta + mean_weight @ np.log(increment / mean_weight))

    beta, loglik = np.zeros(raw.shape[1]), loglik_at(np.zeros(raw.shape[1]))
    for _ in range(_MAX_STEPS):
        share, _ = events.shares(basis @ beta)
        expected = events.mean_weight * events.over_terms(share)
        score = basis.T @ (events.died[1] - expected)
        spread = events.mean_weight * events.over_terms(share * (1 - share))
        information = (basis * spread[:, None]).T @ basis
        if not np.linalg.cond(information) < 1e12:
            raise SeparationError("no finite spline of log time: the arms are not at risk together often enough")
        step = np.linalg.solve(information, score)
        if score @ step < _FLAT and np.abs(step).max() > _RUNAWAY:
            raise SeparationError("no finite spline of log time: the likelihood keeps rising")
        if score @ step < _CONVERGED:
            beta = beta + step
            break
        length = min(1.0, _LONGEST / np.abs(basis @ step).max())
        while (raised := loglik_at(beta + length * step)) < loglik - 1e-10 * (1 + abs(loglik)):
            length /= 2
            if length < 1e-10:
                raise ConvergenceError("Newton's method found no direction that raises the likelihood")
        beta, loglik = beta + length * step, raised
        if np.abs(basis @ beta).max() > _BOUNDLESS:
            raise SeparationError("no finite spline of log time: a hazard ratio runs to zero or infinity")
    else:
        raise ConvergenceError(f"the effect over time did not converge in {_MAX_STEPS} steps")
    influence = _score_residuals(arm, dead, events, basis, beta) * weights[:, None]
    back = np.linalg.inv(triangle) @ np.linalg.inv(information)
    rows = influence @ back.T
    return _TwoArmFit(np.linalg.solve(triangle, beta), rows.T @ rows)


def _score_residuals(
    arm: FloatArray, dead: NDArray[np.bool_], events: _Events, basis: FloatArray, beta: FloatArray
) -> FloatArray:
    """Return each row's part of the score, unweighted, shape (n, p) (Therneau & Grambsch 2000, section 4.6)."""
    eta = basis @ beta
    share, increment = events.shares(eta)
    mean_share = events.over_terms(share) / np.bincount(events.term_bin, minlength=events.time.size)
    residual = np.empty((arm.size, basis.shape[1]))
    for value in (0.0, 1.0):
        own = arm == value
        drift = increment * (value - share)
        scale = np.exp(value * eta)
        path = np.vstack(
            [np.zeros(basis.shape[1]), np.cumsum(basis * (scale * events.over_terms(drift))[:, None], axis=0)]
        )
        residual[own] = path[events.first[own]] - path[events.last[own]]
        spared = scale * events.over_terms(events.fraction * drift)
        chosen = own & dead
        at = events.last[chosen] - 1
        residual[chosen] += basis[at] * (value - mean_share[at] + spared[at])[:, None]
    return residual


def _validated(
    treated: ArrayLike, time: ArrayLike, event: ArrayLike, start: ArrayLike | None, weights: ArrayLike | None
) -> tuple[FloatArray, FloatArray, FloatArray, NDArray[np.bool_], FloatArray | None, NDArray[np.bool_]]:
    """Return arm, stop, entry (0 when not given), event, weights and who has a weight above zero."""
    stop, entry = as_times(time, start)
    n = stop.size
    arm = as_float_vector(treated, "treatment", InvalidCovariatesError)
    check_length(arm, n, "treatment", InvalidCovariatesError)
    if not np.isin(arm, (0.0, 1.0)).all():
        raise InvalidCovariatesError("treatment must be 0 or 1")
    w = as_weights(weights, n)
    present = np.ones(n, dtype=bool) if w is None else w > 0
    if np.unique(arm[present]).size < 2:
        raise ConstantCovariateError("treatment does not vary: an arm is empty")
    return arm, stop, np.zeros(n) if entry is None else entry, as_events(event, n), w, present
