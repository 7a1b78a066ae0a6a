"""Hazard ratio of two strategies with a sandwich variance: what a bootstrap would be too dear for.

The point estimates are those of :func:`sorafenib_rfa.stats.clone_censor.compare_strategies`. The variance is Lin and
Wei's with a patient's copies as one cluster and the weights taken as known, equal to a weighted Cox model on the
start-stop rows of the copies (tested), but from the groups of the design: many sets of weights in one pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .clone_censor import CONTROL, TREATED, CloneDesign, Initiation, Tilt, log_hazard_ratios
from .errors import NoEventsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]


def sandwich_log_hazard_ratios(
    design: CloneDesign, initiation: Initiation, sets: int, *, tilt: Tilt = "overlap"
) -> tuple[FloatArray, FloatArray]:
    """Return the log hazard ratios of "start" against "do not start" and their robust standard errors.

    Parameters
    ----------
    design : CloneDesign
        Follow-up for one endpoint.
    initiation : Initiation
        Chances of starting, one row a set of weights (an imputation each, say).
    sets : int
        Number of sets.
    tilt : {"overlap", "ate"}

    Returns
    -------
    log_hazard_ratio, std_err : ndarray, shape (sets,)

    Raises
    ------
    NoEventsError
        If an arm has no events with weight, or a hazard ratio is not finite.
    """
    one = np.ones((sets, design.n))
    at_risk, events = design.sums(one, initiation, tilt=tilt)
    beta, finite = log_hazard_ratios(at_risk, events, design.tied)
    if not finite.all():
        raise NoEventsError("no finite hazard ratio between the strategies: an arm has no events")
    # the Efron terms of each event time: hazard increments and the share of the treated in what is at risk
    bins = np.repeat(np.arange(design.tied.size), design.tied)
    starts = np.cumsum(design.tied) - design.tied
    fraction = (np.arange(bins.size) - starts[bins]) / design.tied[bins]
    treated, control = (
        np.maximum(at_risk[arm][:, bins] - fraction * events[arm][:, bins], 0.0) for arm in (TREATED, CONTROL)
    )
    treated = treated * np.exp(beta)[:, None]
    whole = treated + control
    mean_weight = (events.sum(axis=0) / design.tied)[:, bins]
    with np.errstate(divide="ignore", invalid="ignore"):
        hazard = np.where(whole > 0, mean_weight / whole, 0.0)
        share = np.where(whole > 0, treated / whole, 0.0)
    information = np.sum(mean_weight * share * (1 - share), axis=1)

    def per_time(values: FloatArray) -> FloatArray:
        return np.add.reduceat(values, starts, axis=1)

    increments, drift = per_time(hazard), per_time(hazard * share)
    spared, spared_drift = per_time(fraction * hazard), per_time(fraction * hazard * share)
    mean_share = per_time(share) / design.tied
    residual = np.zeros((sets, design.n))
    for arm, exposed in ((TREATED, 1.0), (CONTROL, 0.0)):
        relative = np.exp(exposed * beta)[:, None]
        for group in design._groups[arm]:
            if not group.columns.size:
                continue
            weights = design._group_weights(arm, group, initiation, tilt, None)
            # the columns are sorted by falling follow-up: column c is at risk while count > c
            lived = np.searchsorted(-group.count, -np.arange(group.columns.size), side="left")
            rates = exposed * increments[:, group.events] - drift[:, group.events]
            running = np.concatenate([np.zeros((sets, 1)), np.cumsum(rates, axis=1)], axis=1)
            own = -relative * running[:, lived]
            if group.dead.size:
                at = np.searchsorted(design.grid, design.time[group.columns[group.dead]])
                own[:, group.dead] += exposed - mean_share[:, at]
                own[:, group.dead] += relative * (exposed * spared[:, at] - spared_drift[:, at])
            residual[:, group.columns] += weights * own
    return beta, np.sqrt(np.sum(residual**2, axis=1)) / information
