"""Risks of two groups under weights, their difference and ratio, with the sandwich variance.

The weights are taken as known. It is the saturated weighted linear (or log-linear) model with HC0 variance, in closed
form (Lunceford JK, Davidian M. Stat Med 2004;23:2937-2960).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

from ._inputs import as_events, as_weights, check_level
from .errors import EmptyGroupError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Estimate:
    """An estimate with its standard error (of a ratio: of its logarithm), Wald interval and p value."""

    estimate: float
    std_err: float
    ci_low: float
    ci_high: float
    p: float


@dataclass(frozen=True)
class WeightedRisks:
    """Weighted risks; `ratio` is None where a group has no event."""

    treated: Estimate
    control: Estimate
    difference: Estimate
    ratio: Estimate | None
    n_events_treated: int
    n_events_control: int


def weighted_risks(
    outcome: ArrayLike, treated: ArrayLike, weights: ArrayLike | None = None, level: float = 0.95
) -> WeightedRisks:
    """Compare the proportion with an outcome between two groups.

    Parameters
    ----------
    outcome, treated : array_like of 0 and 1, shape (n,)
    weights : array_like, shape (n,), optional
    level : float

    Raises
    ------
    EmptyGroupError
        If a group has no one (with weight).
    InvalidEventsError, InvalidWeightsError
        Values are missing or impossible.
    """
    indicator = as_events(treated, np.asarray(treated).shape[0])
    y = as_events(outcome, indicator.size)
    w = as_weights(weights, indicator.size)
    w = np.ones(indicator.size) if w is None else w
    z = float(ndtri(0.5 + check_level(level) / 2))
    risks, errors, events = [], [], []
    for side, name in ((indicator, "treated"), (~indicator, "untreated")):
        if not w[side].any():
            raise EmptyGroupError(f"no one (with weight) is {name}: risks cannot be compared")
        own = w[side] / w[side].sum()
        risk = float(own @ y[side])
        risks.append(risk)
        errors.append(float(np.sqrt(np.sum((own * (y[side] - risk)) ** 2))))
        events.append(int((y & side & (w > 0)).sum()))

    def wald(estimate: float, std_err: float) -> Estimate:
        p = float(2 * ndtr(-abs(estimate / std_err))) if std_err > 0 else float("nan")
        return Estimate(estimate, std_err, estimate - z * std_err, estimate + z * std_err, p)

    ratio = None
    if min(risks) > 0:
        log = wald(float(np.log(risks[0] / risks[1])), float(np.hypot(errors[0] / risks[0], errors[1] / risks[1])))
        ratio = Estimate(
            float(np.exp(log.estimate)), log.std_err, float(np.exp(log.ci_low)), float(np.exp(log.ci_high)), log.p
        )
    return WeightedRisks(
        wald(risks[0], errors[0]),
        wald(risks[1], errors[1]),
        wald(risks[0] - risks[1], float(np.hypot(*errors))),
        ratio,
        *events,
    )
