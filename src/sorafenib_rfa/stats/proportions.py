"""Proportions, their differences and ratios, and exposure-adjusted incidence rates, with confidence intervals.

Closed forms on ``scipy.special``: importing ``statsmodels`` or ``scipy.stats`` would cost a job most of a second.

References
----------
Clopper CJ, Pearson ES. Biometrika 1934;26:404-413. Wilson EB. J Am Stat Assoc 1927;22:209-212.
Newcombe RG. Stat Med 1998;17:857-872 (single proportion) and 873-890 (difference, method 10).
Koopman PAR. Biometrics 1984;40:513-517 (score interval of the risk ratio). Garwood F. Biometrika 1936;28:437-442
(exact Poisson).
Korn EL, Graubard BI. Surv Methodol 1998;24:193-201 (proportions of clustered observations).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betaincinv, gammaincinv, ndtri, stdtrit

from ._inputs import as_codes, as_events, check_level
from .errors import EmptyGroupError, EstimationError, InvalidEventsError, InvalidTimesError, NoEventsError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence limits; NaN where a limit or the estimate is undefined."""

    estimate: float
    ci_low: float
    ci_high: float


def _counts(events: float, total: float) -> tuple[int, int]:
    """Return counts as integers after checking 0 <= events <= total, total > 0."""
    for value, what in ((events, "events"), (total, "the total")):
        if not np.isfinite(value) or value != np.floor(value) or value < 0:
            raise InvalidEventsError(f"{what} must be a whole number of at least 0, found {value}")
    if total == 0:
        raise EmptyGroupError("a proportion of an empty group is not defined")
    if events > total:
        raise InvalidEventsError(f"more events ({events}) than people ({total})")
    return int(events), int(total)


def clopper_pearson(events: int, total: int, level: float = 0.95) -> Interval:
    """Proportion with the exact (Clopper-Pearson) interval.

    Parameters
    ----------
    events, total : int
        `events` of `total` people.
    level : float
        Confidence level.

    Raises
    ------
    EmptyGroupError
        If `total` is 0.
    InvalidEventsError
        If the counts are impossible.
    """
    x, n = _counts(events, total)
    alpha = 1 - check_level(level)
    low = 0.0 if x == 0 else float(betaincinv(x, n - x + 1, alpha / 2))
    high = 1.0 if x == n else float(betaincinv(x + 1, n - x, 1 - alpha / 2))
    return Interval(x / n, low, high)


@dataclass(frozen=True)
class ClusteredProportion(Interval):
    """A proportion of clustered observations.

    Attributes
    ----------
    n, clusters : int
        Observations, and the clusters they come from.
    effective_n : float
        How many independent observations say as much.
    """

    n: int
    clusters: int
    effective_n: float


def clustered_proportion(event: ArrayLike, cluster: ArrayLike, level: float = 0.95) -> ClusteredProportion:
    """Proportion of observations that come in clusters (tumours of a patient), with Korn and Graubard's interval.

    The exact (Clopper-Pearson) limits for the effective number of observations: the one at which a binomial proportion
    has the variance that the sums by cluster show (ultimate clusters, ``m / (m - 1)`` for m clusters), less what few
    clusters leave uncertain of that variance (the squared ratio of Student's t for n - 1 and for m - 1 degrees of
    freedom). R's ``survey::svyciprop(method = "beta")`` is the same, but for two cases. Clusters that happen to be
    more alike between than within do not count for more observations than there are. And where all have the event, or
    none, the variance between clusters is zero and says nothing: each cluster then counts as one observation, as if
    its members always went together, so that the interval errs on the wide side. Clusters of one each give the
    Clopper-Pearson interval.

    Parameters
    ----------
    event : array_like, shape (n,)
        1 or True: has the event.
    cluster : array_like, shape (n,)
        Which cluster an observation belongs to.
    level : float
        Confidence level.

    Raises
    ------
    EmptyGroupError
        Without observations.
    EstimationError
        With several observations of one cluster only: how clusters differ is unknown.
    """
    found = np.asarray(event)
    n = found.size
    if n == 0:
        raise EmptyGroupError("a proportion of an empty group is not defined")
    has = as_events(event, n)
    labels, codes = as_codes(cluster, n, "clusters", empty_allowed=True)
    m = labels.size
    if m == 1 and n > 1:
        raise EstimationError("all observations come from one cluster: how clusters differ is unknown")
    alpha = 1 - check_level(level)
    p = float(has.mean())
    if m == n:
        effective = float(n)
    elif has.all() or not has.any():
        effective = float(m)
    else:
        totals = np.bincount(codes, weights=has - p, minlength=m) / n
        variance = m / (m - 1) * float(totals @ totals)
        few = (float(stdtrit(n - 1, alpha / 2)) / float(stdtrit(m - 1, alpha / 2))) ** 2
        effective = min(p * (1 - p) / variance * few, n) if variance > 0 else float(n)
    x = effective * p
    low = 0.0 if x == 0 else float(betaincinv(x, effective - x + 1, alpha / 2))
    high = 1.0 if has.all() else float(betaincinv(x + 1, effective - x, 1 - alpha / 2))
    return ClusteredProportion(p, low, high, n, m, effective)


def wilson(events: int, total: int, level: float = 0.95) -> Interval:
    """Proportion with Wilson's score interval; arguments and errors as :func:`clopper_pearson`."""
    x, n = _counts(events, total)
    z = float(ndtri(0.5 + check_level(level) / 2))
    p = x / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low = 0.0 if x == 0 else float(centre - half)
    high = 1.0 if x == n else float(centre + half)
    return Interval(p, low, high)


def newcombe_difference(events: int, total: int, events_ref: int, total_ref: int, level: float = 0.95) -> Interval:
    """Difference of two independent proportions, first minus reference (Newcombe's hybrid score, method 10).

    Raises
    ------
    EmptyGroupError, InvalidEventsError
        As :func:`clopper_pearson`.
    """
    a = wilson(events, total, level)
    b = wilson(events_ref, total_ref, level)
    difference = a.estimate - b.estimate
    return Interval(
        difference,
        float(difference - np.hypot(a.estimate - a.ci_low, b.ci_high - b.estimate)),
        float(difference + np.hypot(a.ci_high - a.estimate, b.estimate - b.ci_low)),
    )


def risk_ratio(events: int, total: int, events_ref: int, total_ref: int, level: float = 0.95) -> Interval:
    """Ratio of two independent proportions, first over reference, with Koopman's score interval.

    The interval holds the ratios that the score test does not reject: Pearson's chi-squared of the two counts about
    the proportions that are likeliest under the ratio. It needs no event in each group: without events in the first
    the lower limit is 0, without events in the reference ratio and upper limit are infinite. Own code, because
    ``statsmodels.stats.proportion.confint_proportions_2indep`` gives the same limits but, where all of the reference
    have the event, complex ones.

    Raises
    ------
    NoEventsError
        Without events in both groups: any ratio fits.
    EmptyGroupError, InvalidEventsError
        As :func:`clopper_pearson`.
    """
    from scipy.optimize import brentq

    x, n = _counts(events, total)
    y, m = _counts(events_ref, total_ref)
    if x == y == 0:
        raise NoEventsError("no events in either group: a ratio cannot be estimated")
    critical = float(ndtri(0.5 + check_level(level) / 2)) ** 2
    ratio = (x / n) / (y / m) if y else float("inf")

    def distance(log_ratio: float) -> float:
        theta = float(np.exp(log_ratio))
        # the likeliest p2, with p1 = theta p2: a root of (n + m) theta p^2 - b p + x + y
        b = n * theta + x + m + y * theta
        p2 = 2 * (x + y) / (b + np.sqrt(max(b * b - 4 * (n + m) * theta * (x + y), 0.0)))
        chi2 = 0.0
        for count, size, p in ((x, n, min(theta * p2, 1.0)), (y, m, min(p2, 1.0))):
            if count != size * p:
                chi2 += (count - size * p) ** 2 / (size * p * (1 - p))
        return chi2 - critical

    middle = float(np.log((x + 0.5) / (n + 0.5) * (m + 0.5) / (y + 0.5))) if x == 0 or y == 0 else float(np.log(ratio))

    def limit(direction: int) -> float:
        near = middle
        while distance(near) >= 0:  # the middle is a guess where a group has no events
            near -= direction
        far = near + direction
        while distance(far) < 0:
            far += direction
        return float(np.exp(brentq(distance, near, far, xtol=1e-14, rtol=1e-14)))

    return Interval(ratio, limit(-1) if x else 0.0, limit(1) if y else float("inf"))


def incidence_rate(events: int, person_time: float, level: float = 0.95, *, per: float = 1.0) -> Interval:
    """Exposure-adjusted incidence rate with Garwood's exact Poisson interval.

    Parameters
    ----------
    events : int
        Number of events.
    person_time : float
        Time at risk, above zero.
    level : float
    per : float
        Multiplier of the rate: 100 with person-years gives events per 100 person-years.

    Raises
    ------
    InvalidTimesError
        If `person_time` is not above zero.
    InvalidEventsError
        If `events` is not a whole number of at least 0.
    """
    if not np.isfinite(person_time) or person_time <= 0:
        raise InvalidTimesError(f"person-time must be above zero, found {person_time}")
    if not np.isfinite(events) or events != np.floor(events) or events < 0:
        raise InvalidEventsError(f"events must be a whole number of at least 0, found {events}")
    alpha = 1 - check_level(level)
    low = 0.0 if events == 0 else float(gammaincinv(events, alpha / 2))
    high = float(gammaincinv(events + 1, 1 - alpha / 2))
    return Interval(events / person_time * per, low / person_time * per, high / person_time * per)


def rate_ratio(
    events: int, person_time: float, events_ref: int, person_time_ref: float, level: float = 0.95
) -> Interval:
    """Ratio of two Poisson rates, first over reference, exact interval conditional on the total number of events.

    The interval is that of R's ``poisson.test`` for two samples.

    Raises
    ------
    EstimationError
        Without events in both groups together, or impossible input.
    """
    incidence_rate(events, person_time, level)
    incidence_rate(events_ref, person_time_ref, level)
    total = events + events_ref
    if total == 0:
        raise EstimationError("a rate ratio cannot be estimated without events")
    share = clopper_pearson(events, total, level)
    scale = person_time_ref / person_time

    def odds(p: float) -> float:
        return float("inf") if p == 1 else p / (1 - p) * scale

    return Interval(odds(share.estimate), odds(share.ci_low), odds(share.ci_high))
