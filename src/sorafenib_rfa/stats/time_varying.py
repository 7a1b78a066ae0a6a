"""A treatment effect that varies with time: piecewise constant, or a spline of log time, in a Cox model.

Follow-up is split so that treatment times a function of time is an ordinary time-dependent covariate; the baseline
hazard stays free. Equal to R's ``survival::survSplit`` (or ``tt()``) with ``coxph`` clustered by patient.

References
----------
Therneau TM, Crowson C, Atkinson E. Using time dependent covariates and time dependent coefficients in the Cox model
(vignette of R's survival). Gray RJ. Flexible methods for analyzing survival data using splines, with applications to
breast cancer prognosis. J Am Stat Assoc 1992;87:942-951.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

from ._inputs import as_events, as_float_vector, as_times, as_weights, check_length, check_level
from .cox import CoxFit, HazardRatio, TestStatistic, cox_fit
from .errors import ConstantCovariateError, EstimationError, InvalidCovariatesError, NoEventsError
from .propensity import harrell_knots, restricted_cubic_spline

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    FloatArray = NDArray[np.float64]


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
    fit: CoxFit = field(repr=False)

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
        log_time = np.log(np.atleast_1d(np.asarray(times, dtype=float)))
        return np.column_stack([np.ones(log_time.size), restricted_cubic_spline(log_time, np.log(self.knots))])


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
    grid = np.unique(event_times)
    first = np.searchsorted(grid, entry, side="right")
    after = np.searchsorted(grid, stop, side="right")
    spells = np.maximum(after - first, 0)  # event times at which each patient is at risk: one row each
    owner = np.repeat(np.arange(stop.size), spells)
    at = np.arange(owner.size) - np.repeat(np.cumsum(spells) - spells, spells) + first[owner]
    before = np.concatenate([[0.0], grid])
    basis = np.column_stack([np.ones(grid.size), restricted_cubic_spline(np.log(grid), log_knots)])
    names = ["treatment", *(f"treatment x s{j}(log time)" for j in range(1, basis.shape[1]))]
    fit = cox_fit(
        basis[at] * arm[owner, None],
        grid[at],
        dead[owner] & (stop[owner] == grid[at]),
        start=before[at],
        weights=None if w is None else w[owner],
        strata=None if strata is None else np.asarray(strata)[owner],
        cluster=owner,
        names=names,
    )
    assert fit.cov_robust is not None
    p = len(names)
    return SplineEffect(
        knots=tuple(float(k) for k in np.exp(log_knots)),
        first=float(grid[0]),
        last=float(grid[-1]),
        coef=fit.coef,
        covariance=fit.cov_robust,
        constancy=fit.contrast(np.eye(p)[1:]),
        linearity=fit.contrast(np.eye(p)[2:]),
        fit=fit,
    )


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
