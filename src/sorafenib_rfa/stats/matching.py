"""One-to-one matching on the propensity score within a caliper, and what is compared in the matched pairs.

Own code because no dependency of this project matches; the pairs are those of R's MatchIt (``tests/reference``), ties
included, so that a reader can redo them.

References
----------
Rosenbaum PR, Rubin DB. Am Stat 1985;39:33-38 (caliper on the logit). Austin PC. Pharm Stat 2011;10:150-161 (0.2
standard deviations of the logit). Ho DE, Imai K, King G, Stuart EA. J Stat Softw 2011;42(8) (MatchIt). Austin PC. Stat
Med 2014;33:1242-1258 (variance that respects the pairs).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logit, ndtr, ndtri

from ._inputs import as_events, as_float_vector, check_length, check_level
from .errors import EmptyGroupError, EstimationError
from .kaplan_meier import kaplan_meier

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    FloatArray = NDArray[np.float64]

# Scores are compared in whole units of this size: what differs by rounding only must tie, or the arithmetic would
# decide who is matched.
_UNIT = 1e-8


@dataclass(frozen=True, eq=False)
class Matching:
    """Pairs of one treated and one untreated person.

    Attributes
    ----------
    pairs : ndarray of int, shape (pairs, 2)
        Rows of the treated and of the untreated person, by the row of the treated.
    caliper : float
        Largest difference allowed, in the unit of `score`.
    score : ndarray, shape (n,)
        What was matched on: the logit of the propensity score.
    unmatched_treated, unmatched_control : int
        People without a partner.
    """

    pairs: NDArray[np.intp]
    caliper: float
    score: FloatArray
    unmatched_treated: int
    unmatched_control: int

    @property
    def members(self) -> NDArray[np.intp]:
        """Rows of all matched people: the treated of each pair, then the untreated in the same order."""
        return self.pairs.T.reshape(-1)

    @property
    def pair_of_member(self) -> NDArray[np.intp]:
        """Number of the pair of each of `members`: the clusters of the variance."""
        return np.tile(np.arange(len(self.pairs)), 2)

    @property
    def matched(self) -> NDArray[np.bool_]:
        """Who has a partner, shape (n,)."""
        inside = np.zeros(self.score.size, dtype=bool)
        inside[self.members] = True
        return inside


def caliper_match(propensity_score: ArrayLike, treated: ArrayLike, caliper_sd: float = 0.2) -> Matching:
    """Match each treated person to the nearest untreated one within a caliper, without replacement.

    As MatchIt's ``method = "nearest"``, ``link = "linear.logit"``, ``caliper = caliper_sd``: the treated are taken in
    the order of their score, the largest first (equal scores: in the order of the rows); each takes the nearest
    untreated person not yet taken. Equally near: the one with the smaller score; equal scores: the one whose row is
    nearest in the order of scores and rows.

    Parameters
    ----------
    propensity_score : array_like, shape (n,)
        Probability of treatment, strictly between 0 and 1.
    treated : array_like of 0 and 1, shape (n,)
    caliper_sd : float
        Caliper in standard deviations (n - 1) of the logit among all n, as MatchIt defines it.

    Raises
    ------
    EmptyGroupError
        If no one, or everyone, is treated, or no one finds a partner.
    EstimationError
        If a score is missing, 0 or 1.
    """
    if not caliper_sd > 0:
        raise ValueError(f"the caliper must be above zero, found {caliper_sd}")
    probability = as_float_vector(propensity_score, "propensity scores", EstimationError)
    if not ((probability > 0) & (probability < 1)).all():  # NaN is neither
        raise EstimationError("propensity scores must lie strictly between 0 and 1 (positivity)")
    return match_on_score(logit(probability), treated, caliper_sd)


def match_on_score(score: ArrayLike, treated: ArrayLike, caliper_sd: float) -> Matching:
    """Match as :func:`caliper_match` on any finite score, such as a linear predictor (compared to eight decimals)."""
    values = as_float_vector(score, "scores", EstimationError)
    indicator = as_events(treated, values.size)
    if not np.isfinite(values).all():
        raise EstimationError("scores are missing or infinite")
    if indicator.all() or not indicator.any():
        raise EmptyGroupError("matching needs treated and untreated people")
    whole = np.rint(values / _UNIT)
    caliper = float(caliper_sd * whole.std(ddof=1))
    order = np.argsort(whole, kind="stable")
    rank = np.empty(whole.size, dtype=np.intp)
    rank[order] = np.arange(whole.size)
    # links to the nearest free untreated person on either side, by rank; -1 and n: none. A taken one is bridged.
    free = ~indicator[order]
    n = whole.size
    below, above = np.empty(n, dtype=np.intp), np.empty(n, dtype=np.intp)
    last = -1
    for position in range(n):
        below[position] = last
        if free[position]:
            last = position
    last = n
    for position in range(n - 1, -1, -1):
        above[position] = last
        if free[position]:
            last = position

    def nearest(links: NDArray[np.intp], position: int) -> int:
        """Follow the links past people who were taken, shortening them for the next time."""
        at = int(links[position])
        while 0 <= at < n and not free[at]:
            at = int(links[at])
        links[position] = at
        return at

    rows = np.flatnonzero(indicator)
    pairs = []
    for row in rows[np.argsort(-whole[rows], kind="stable")]:
        position = int(rank[row])
        left, right = nearest(below, position), nearest(above, position)
        left_gap = abs(whole[order[left]] - whole[row]) if left >= 0 else np.inf
        right_gap = abs(whole[order[right]] - whole[row]) if right < n else np.inf
        gap, chosen = (left_gap, left) if left_gap <= right_gap else (right_gap, right)
        if gap <= caliper:
            free[chosen] = False
            pairs.append((row, order[chosen]))
    if not pairs:
        raise EmptyGroupError("no treated person has an untreated one within the caliper")
    found = np.array(sorted(pairs), dtype=np.intp)
    return Matching(
        pairs=found,
        caliper=caliper * _UNIT,
        score=values,
        unmatched_treated=int(rows.size - len(found)),
        unmatched_control=int(n - rows.size - len(found)),
    )


@dataclass(frozen=True)
class PairedRmst:
    """Difference of restricted mean survival times in matched pairs, treated minus untreated."""

    tau: float
    treated: float
    control: float
    difference: float
    std_err: float
    ci_low: float
    ci_high: float
    p: float


def paired_rmst(time: ArrayLike, event: ArrayLike, matching: Matching, tau: float, level: float = 0.95) -> PairedRmst:
    """Contrast the restricted means of matched people; the variance adds up the influences within each pair.

    Parameters
    ----------
    time, event : array_like, shape (n,)
        Of everyone offered to the matching, in the same order.
    matching : Matching
    tau : float
        Horizon.

    Raises
    ------
    BeyondFollowUpError
        If follow-up of a matched group ends before `tau`.
    """
    stop = as_float_vector(time, "times", EstimationError)
    check_length(stop, matching.score.size, "times", EstimationError)
    dead = as_events(event, stop.size)
    means, influences = [], []
    for side in (0, 1):
        rows = matching.pairs[:, side]
        curve = kaplan_meier(stop[rows], dead[rows], level=level)
        means.append(curve.rmst(tau).estimate)
        influences.append(curve.rmst_influence(tau))
    difference = means[0] - means[1]
    std_err = float(np.sqrt(np.sum((influences[0] - influences[1]) ** 2)))
    z = float(ndtri(0.5 + check_level(level) / 2))
    p = float(2 * ndtr(-abs(difference / std_err))) if std_err > 0 else float("nan")
    return PairedRmst(
        tau, means[0], means[1], difference, std_err, difference - z * std_err, difference + z * std_err, p
    )
