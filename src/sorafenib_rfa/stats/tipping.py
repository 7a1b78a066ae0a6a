r"""Tipping points: what would have to be true of the unseen for a conclusion to change.

Unmeasured confounding: a binary confounder of prevalence :math:`p_1` among the treated and :math:`p_0` among the
others that multiplies the hazard by :math:`\Gamma` in both arms changes a hazard ratio by about
:math:`(\Gamma p_1 + 1 - p_1) / (\Gamma p_0 + 1 - p_0)` (Lin, Psaty and Kronmal 1998; good when the event is rare or the
effects are moderate).

Informative censoring: after censoring the hazard is supposed to be :math:`\delta` times that of the patients still
followed in the same arm (delta adjustment: Jackson and others 2014, Lipkovich and others 2016). A censored patient's
unseen time is not drawn at random but spread over the arm's later event times in proportion to their probability,
:math:`P(T > t \mid T > c) = (S(t)/S(c))^\delta`; with :math:`\delta = 1` this returns the Kaplan-Meier curve (Efron
1967, self-consistency). The arms' completed curves give the restricted means, and, with everyone followed to the
horizon, the hazard ratio of a Cox model with Breslow's ties. All resamples of a bootstrap are computed together.

References
----------
Lin DY, Psaty BM, Kronmal RA. Biometrics 1998;54:948-963. Jackson D, White IR, Seaman S, et al. Stat Med
2014;33:4681-4694. Lipkovich I, Ratitch B, O'Kelly M. Pharm Stat 2016;15:216-229. Efron B. Proc 5th Berkeley Symp
1967;4:831-853.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ._inputs import as_events, as_times, check_length
from .errors import BeyondFollowUpError, EmptyGroupError, EstimationError, InvalidWeightsError, NoEventsError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    FloatArray = NDArray[np.float64]

_NEWTON_STEPS = 40
_LAST_STEP = 1e-6  # Newton's error is about the square of the last step


def confounding_bias(
    prevalence_treated: ArrayLike, prevalence_control: ArrayLike, confounder_hazard_ratio: ArrayLike
) -> FloatArray:
    """Factor by which leaving out a binary confounder multiplies a hazard ratio (Lin, Psaty and Kronmal 1998).

    The corrected hazard ratio and limits are those observed divided by it.

    Parameters
    ----------
    prevalence_treated, prevalence_control : array_like
        Between 0 and 1; broadcast together.
    confounder_hazard_ratio : array_like
        Above zero.

    Raises
    ------
    EstimationError
        If a prevalence or hazard ratio is impossible.
    """
    treated, control, ratio = np.broadcast_arrays(
        np.asarray(prevalence_treated, dtype=float),
        np.asarray(prevalence_control, dtype=float),
        np.asarray(confounder_hazard_ratio, dtype=float),
    )
    if not ((treated >= 0) & (treated <= 1) & (control >= 0) & (control <= 1)).all():
        raise EstimationError("the prevalence of a confounder must lie between 0 and 1")
    if not ((ratio > 0) & np.isfinite(ratio)).all():
        raise EstimationError("the hazard ratio of a confounder must be above zero")
    return (ratio * treated + 1 - treated) / (ratio * control + 1 - control)


def tipping_prevalence(observed: float, confounder_hazard_ratio: float, prevalence_control: ArrayLike) -> FloatArray:
    """Prevalence among the treated at which a confounder alone explains `observed` (an estimate or a limit).

    NaN where it would have to lie outside 0 to 1.
    """
    control = np.asarray(prevalence_control, dtype=float)
    excess = confounder_hazard_ratio - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = (observed * (excess * control + 1) - 1) / excess
    return np.where((needed >= 0) & (needed <= 1), needed, np.nan)


@dataclass(frozen=True, eq=False)
class Completed:
    """What two arms would show if everyone were followed to the horizon; one element a resample.

    Attributes
    ----------
    rmst_difference, rmst_treated, rmst_control : ndarray, shape (resamples,)
        In the unit of time.
    log_hazard_ratio : ndarray, shape (resamples,)
        NaN where an arm of the resample has no event or no one without.
    """

    rmst_difference: FloatArray
    rmst_treated: FloatArray
    rmst_control: FloatArray
    log_hazard_ratio: FloatArray


@dataclass(frozen=True, eq=False)
class _Arm:
    """One arm of all resamples: shape (resamples, distinct times up to the horizon)."""

    time: FloatArray
    survival: FloatArray
    at_risk_after: FloatArray
    censored: FloatArray
    total: FloatArray


class CensoringModel:
    """Two arms whose censored patients' unseen times can be supposed worse or better than those of the others.

    Parameters
    ----------
    time, event : array_like, shape (n,)
        Follow-up, above zero; whether it ended in an event.
    treated : array_like of 0 and 1, shape (n,)
    weights : array_like, shape (resamples, n)
        A row of weights a resample (one row for the estimate itself).
    tau : float
        Horizon of restricted means and of the hazard ratio.

    Raises
    ------
    EmptyGroupError
        If an arm has no one.
    NoEventsError
        If an arm has no event before the horizon.
    BeyondFollowUpError
        If follow-up of an arm ends before the horizon: the hazard after it is not known to anyone.
    """

    def __init__(self, time: ArrayLike, event: ArrayLike, treated: ArrayLike, weights: ArrayLike, tau: float) -> None:
        stop, _ = as_times(time)
        dead = as_events(event, stop.size)
        indicator = as_events(treated, stop.size)
        matrix = np.atleast_2d(np.asarray(weights, dtype=float))
        check_length(matrix.T, stop.size, "weights", InvalidWeightsError)
        if not (np.isfinite(matrix) & (matrix >= 0)).all():
            raise InvalidWeightsError("weights are missing, infinite or negative")
        if not (np.isfinite(tau) and tau > 0):
            raise ValueError(f"the horizon must be above zero, found {tau}")
        self.tau = float(tau)
        self._arms = []
        for side, name in ((indicator, "treated"), (~indicator, "untreated")):
            if not side.any():
                raise EmptyGroupError(f"no one is {name}")
            if not (dead & side & (stop <= tau)).any():
                raise NoEventsError(f"no event before the horizon among the {name}")
            if stop[side].max() < tau:
                raise BeyondFollowUpError(f"follow-up of the {name} ends at {stop[side].max():g}, before {tau:g}")
            self._arms.append(_arm(stop[side], dead[side], matrix[:, side], self.tau))

    def completed(self, delta_treated: float = 1.0, delta_control: float = 1.0) -> Completed:
        """Return restricted means and hazard ratios if the hazard after censoring is `delta` times the arm's."""
        curves = [
            _completed_curve(arm, delta) for arm, delta in zip(self._arms, (delta_treated, delta_control), strict=True)
        ]
        treated, control = (_area(arm.time, curve, self.tau) for arm, curve in zip(self._arms, curves, strict=True))
        return Completed(treated - control, treated, control, self._log_hazard_ratio(curves))

    def _log_hazard_ratio(self, curves: list[FloatArray]) -> FloatArray:
        """Newton's method on the one-covariate partial likelihood of the completed arms, all resamples at once."""
        grid = np.union1d(self._arms[0].time, self._arms[1].time)
        events, at_risk = [], []
        for arm, curve in zip(self._arms, curves, strict=True):
            position = np.searchsorted(arm.time, grid, side="right")
            padded = np.concatenate([np.ones((len(curve), 1)), curve], axis=1) * arm.total[:, None]
            here = padded[:, position]
            before = np.concatenate([padded[:, :1], here[:, :-1]], axis=1)
            events.append(before - here)
            at_risk.append(before)
        with np.errstate(divide="ignore", invalid="ignore"):
            died = events[0] + events[1]
            observed = events[0].sum(axis=1)
            ratio = observed / at_risk[0].sum(axis=1) / (events[1].sum(axis=1) / at_risk[1].sum(axis=1))
            beta = np.log(ratio)
            for _ in range(_NEWTON_STEPS):
                exposed = np.exp(beta)[:, None] * at_risk[0]
                share = exposed / (exposed + at_risk[1])
                share = np.where(died > 0, share, 0.0)
                score = observed - np.sum(died * share, axis=1)
                information = np.sum(died * share * (1 - share), axis=1)
                step = np.clip(score / information, -1.0, 1.0)
                beta = beta + step
                if not (np.abs(step[np.isfinite(step)]) > _LAST_STEP).any():
                    break
        return np.where(np.isfinite(beta), beta, np.nan)


def _arm(stop: FloatArray, dead: NDArray[np.bool_], weights: FloatArray, tau: float) -> _Arm:
    """Return the weighted Kaplan-Meier curves of an arm up to the horizon, and who was censored when."""
    order = np.argsort(stop, kind="stable")
    grid, starts = np.unique(stop[order], return_index=True)
    leaving = np.add.reduceat(weights[:, order], starts, axis=1)
    events = np.add.reduceat((weights * dead)[:, order], starts, axis=1)
    at_risk = np.cumsum(leaving[:, ::-1], axis=1)[:, ::-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        hazard = np.where(at_risk > 0, np.minimum(events / at_risk, 1.0), 0.0)
    inside = grid <= tau
    # one minus one is nought: rounding of sums must not leave a trace of survivors
    hazard = np.where(hazard > 1 - 1e-12, 1.0, hazard)
    return _Arm(
        time=grid[inside],
        survival=np.cumprod(1 - hazard, axis=1)[:, inside],
        at_risk_after=(at_risk - leaving)[:, inside],
        censored=np.maximum(leaving - events, 0.0)[:, inside],
        total=at_risk[:, 0],
    )


def _completed_curve(arm: _Arm, delta: float) -> FloatArray:
    """Survival of the arm if the hazard after censoring is `delta` times the arm's own."""
    if not (np.isfinite(delta) and delta > 0):
        raise ValueError(f"the hazard ratio after censoring must be above zero, found {delta}")
    powered = arm.survival**delta
    with np.errstate(divide="ignore", invalid="ignore"):
        since = np.where(arm.censored > 0, arm.censored / powered, 0.0)
        alive = arm.at_risk_after + powered * np.cumsum(np.where(np.isfinite(since), since, 0.0), axis=1)
        return np.clip(alive / arm.total[:, None], 0.0, 1.0)


def _area(time: FloatArray, curve: FloatArray, tau: float) -> FloatArray:
    widths = np.diff(np.concatenate([[0.0], time, [tau]]))
    return np.concatenate([np.ones((len(curve), 1)), curve], axis=1) @ widths
