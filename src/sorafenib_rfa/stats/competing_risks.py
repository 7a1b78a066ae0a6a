"""Competing risks: cumulative incidence, Gray's test, Fine and Gray's regression.

One minus Kaplan-Meier of recurrence with deaths censored overstates recurrence; cumulative incidence does not.
Own code because lifelines breaks ties by random jitter (its estimate changes with the seed) and has neither test nor
regression; checked against R's ``survival`` and ``cmprsk`` in ``tests/reference``.

References
----------
Aalen OO, Johansen S. Scand J Stat 1978;5:141-150. Aalen OO. Ann Stat 1978;6:534-545 (variance).
Gray RJ. A class of K-sample tests for comparing the cumulative incidence of a competing risk. Ann Stat
1988;16:1141-1154. Fine JP, Gray RJ. A proportional hazards model for the subdistribution of a competing risk. J Am
Stat Assoc 1999;94:496-509. Geskus RB. Biometrics 2011;67:39-49 (the same as weighted counting-process data).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.special import chdtrc

from ._inputs import as_causes, as_codes, as_float_vector, as_matrix, as_times, as_weights, check_length
from .cox import CoxFit, HazardRatio, cox_fit
from .errors import EmptyGroupError, EstimationError, InvalidCovariatesError, InvalidTimesError, NoEventsError
from .kaplan_meier import _NOUGHT, confidence_limits

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from .kaplan_meier import ConfidenceType

    FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class IncidenceAt:
    """Cumulative incidence of one cause at given times; NaN after the end of follow-up if some are still event-free."""

    cause: int
    times: FloatArray
    incidence: FloatArray
    std_err: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray


@dataclass(frozen=True, eq=False)
class CumulativeIncidence:
    """Aalen-Johansen estimates: one row of each array a distinct time, one column a cause 1..k.

    Attributes
    ----------
    time : ndarray, shape (m,)
    n_risk, n_censor : ndarray, shape (m,)
        Weighted counts at risk just before, and censored at each time.
    n_event : ndarray, shape (m, k)
    event_free : ndarray, shape (m,)
        Probability of no event of any cause.
    incidence, std_err, ci_low, ci_high : ndarray, shape (m, k)
        NaN limits where the transformation is undefined (incidence 0 or 1), as in R.
    level : float
    variance : {"jackknife", "aalen"}
    n : int
        Rows with a weight above zero.
    """

    time: FloatArray
    n_risk: FloatArray
    n_event: FloatArray
    n_censor: FloatArray
    event_free: FloatArray
    incidence: FloatArray
    std_err: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    level: float
    variance: Literal["jackknife", "aalen"]
    n: int

    @property
    def causes(self) -> tuple[int, ...]:
        """The causes, 1..k."""
        return tuple(range(1, self.incidence.shape[1] + 1))

    def at(self, times: ArrayLike, cause: int = 1) -> IncidenceAt:
        """Read the incidence of `cause` at `times`."""
        if cause not in self.causes:
            raise ValueError(f"no cause {cause}; there are {', '.join(map(str, self.causes))}")
        wanted = as_float_vector(np.atleast_1d(times), "times", InvalidTimesError)
        index = np.searchsorted(self.time, wanted, side="right") - 1
        beyond = (wanted > self.time[-1]) & (self.event_free[-1] > 0)

        def read(values: FloatArray, at_start: float) -> FloatArray:
            column = values[:, cause - 1]
            return np.where(beyond, np.nan, np.where(index < 0, at_start, column[np.maximum(index, 0)]))

        return IncidenceAt(
            cause,
            wanted,
            read(self.incidence, 0.0),
            read(self.std_err, 0.0),
            read(self.ci_low, 0.0),
            read(self.ci_high, 0.0),
        )

    def to_frame(self) -> pd.DataFrame:
        """Return a long table: one row a time and cause."""
        import pandas as pd

        k = len(self.causes)
        return pd.DataFrame(
            {
                "time": np.repeat(self.time, k),
                "cause": np.tile(self.causes, self.time.size),
                "n_risk": np.repeat(self.n_risk, k),
                "n_event": self.n_event.ravel(),
                "n_censor": np.repeat(self.n_censor, k),
                "incidence": self.incidence.ravel(),
                "std_err": self.std_err.ravel(),
                "ci_low": self.ci_low.ravel(),
                "ci_high": self.ci_high.ravel(),
            }
        )


def aalen_johansen(
    time: ArrayLike,
    cause: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    start: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    n_causes: int | None = None,
    level: float = 0.95,
    conf_type: ConfidenceType = "log-log",
    variance: Literal["jackknife", "aalen"] = "jackknife",
) -> CumulativeIncidence:
    """Estimate cumulative incidence, exactly also with tied times.

    Parameters
    ----------
    time : array_like, shape (n,)
        Follow-up (stop) times, above zero.
    cause : array_like, shape (n,)
        0 censored, 1..k the cause of the first event.
    weights : array_like, shape (n,), optional
        Case weights; rows with weight 0 count as absent.
    start : array_like, shape (n,), optional
        Entry times.
    cluster : array_like, shape (n,), optional
        Rows that belong together (the tumours of a patient): the jackknife leaves out clusters instead of rows.
    n_causes : int, optional
        k, when it may be larger than the largest cause seen (an arm without a single event of the last cause).
    level : float
    conf_type : {"log-log", "log", "plain"}
        Scale of the limits (of the incidence itself, as in R, whose default is ``log``).
    variance : {"jackknife", "aalen"}
        ``jackknife``: infinitesimal jackknife, as R's ``survfit`` for multi-state data (also right under weights and
        late entry). ``aalen``: Aalen's, as R's ``cmprsk::cuminc``, for unweighted data without late entry.

    Returns
    -------
    CumulativeIncidence

    Raises
    ------
    EmptyGroupError, InvalidTimesError, InvalidEventsError, InvalidWeightsError
    """
    stop, entry = as_times(time, start)
    n = stop.size
    codes, seen = as_causes(cause, n)
    k = max(seen, 1) if n_causes is None else n_causes
    if seen > k:
        raise ValueError(f"cause {seen} occurs, but n_causes is {k}")
    w = as_weights(weights, n)
    if variance not in ("jackknife", "aalen"):
        raise ValueError(f"variance must be 'jackknife' or 'aalen', found {variance!r}")
    if variance == "aalen" and (w is not None or entry is not None):
        raise ValueError("Aalen's variance is for unweighted data without late entry: use the jackknife")
    if variance == "aalen" and cluster is not None:
        raise ValueError("Aalen's variance takes rows as independent: use the jackknife for clusters")
    belongs = None if cluster is None else as_codes(cluster, n, "clusters", empty_allowed=True)[1]
    if w is None:
        w = np.ones(n)
    elif (w == 0).any():
        kept = w > 0
        stop, codes, w = stop[kept], codes[kept], w[kept]
        entry = None if entry is None else entry[kept]
        belongs = None if belongs is None else np.unique(belongs[kept], return_inverse=True)[1].reshape(-1)

    grid, exit_index = np.unique(stop, return_inverse=True)
    exit_index = exit_index.reshape(-1)
    size = grid.size
    counts = np.bincount(exit_index * (k + 1) + codes, weights=w, minlength=size * (k + 1)).reshape(size, k + 1)
    n_exit = counts.sum(axis=1)
    entry_index = None
    if entry is None:
        n_risk = np.cumsum(n_exit[::-1])[::-1]
    else:
        entry_index = np.searchsorted(grid, entry, side="right")
        n_enter = np.bincount(entry_index, weights=w, minlength=size + 1)[:size]
        n_risk = np.cumsum(n_enter) - np.concatenate([[0.0], np.cumsum(n_exit)[:-1]])
    n_event = counts[:, 1:]
    died = n_event.sum(axis=1)
    left = np.where(n_risk - died > _NOUGHT * n_risk, 1.0 - died / n_risk, 0.0)
    event_free = np.cumprod(left)
    before = np.concatenate([[1.0], event_free[:-1]])
    incidence = np.cumsum(before[:, None] * n_event / n_risk[:, None], axis=0)
    if variance == "aalen":
        std_err = np.sqrt(_aalen_variance(n_risk, n_event, before, event_free, incidence))
    else:
        std_err = _jackknife_std_err(n_risk, n_event, before, incidence, codes, w, exit_index, entry_index, belongs)
    ci_low, ci_high = confidence_limits(incidence, std_err, level, conf_type)
    return CumulativeIncidence(
        time=grid,
        n_risk=n_risk,
        n_event=n_event,
        n_censor=counts[:, 0],
        event_free=event_free,
        incidence=incidence,
        std_err=std_err,
        ci_low=ci_low,
        ci_high=ci_high,
        level=level,
        variance=variance,
        n=stop.size,
    )


def _aalen_variance(
    n_risk: FloatArray, n_event: FloatArray, before: FloatArray, after: FloatArray, incidence: FloatArray
) -> FloatArray:
    """Aalen's variance with the finite-population factor for ties, shape (m, k).

    Each death at s, of the cause of interest or of another, contributes S(s-)^2 / n^2 times the square of how a unit
    change there moves F(t): 1 - (F(t) - F(s)) / S(s) and -(F(t) - F(s)) / S(s).
    """
    died = n_event.sum(axis=1, keepdims=True)
    others = died - n_event
    n = n_risk[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.where(after > 0, 1 / after, 0.0)[:, None]

        def size(d: FloatArray) -> FloatArray:
            ties = np.where(d > 1, 1 - (d - 1) / (n - 1), 1.0)
            return np.where(d > 0, before[:, None] ** 2 * ties * d / n**2, 0.0)

        own, other = size(n_event), size(others)
    other = np.where(inverse > 0, other, 0.0)
    lever_own = 1 + inverse * incidence
    lever_other = inverse * incidence
    v1 = np.cumsum(lever_own**2 * own + lever_other**2 * other, axis=0)
    v2 = np.cumsum(inverse * (lever_own * own + lever_other * other), axis=0)
    v3 = np.cumsum(inverse**2 * (own + other), axis=0)
    return np.maximum(v1 - 2 * incidence * v2 + incidence**2 * v3, 0.0)


def _jackknife_std_err(
    n_risk: FloatArray,
    n_event: FloatArray,
    before: FloatArray,
    incidence: FloatArray,
    codes: NDArray[np.intp],
    w: FloatArray,
    exit_index: NDArray[np.intp],
    entry_index: NDArray[np.intp] | None,
    cluster: NDArray[np.intp] | None,
) -> FloatArray:
    """Infinitesimal jackknife standard errors, shape (m, k), of rows or, where given, of clusters.

    The influence of row i on F_j(t) is a_i(t) - F_j(t) b_i(t), with
    b_i the integral of dM_i / (n (1 - h)) and a_i that of S(s-) dM_ij / n + F_j(s) dM_i / (n (1 - h)). Both are
    constant after a row's exit and, before it, the same for all at risk up to their value at entry: for rows, sums of
    squares need only running totals; clusters add up their rows' paths first.
    """
    size, k = n_event.shape
    died = n_event.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        per_event = np.where(n_risk - died > _NOUGHT * n_risk, 1 / (n_risk - died), 0.0)
    step_b = died / n_risk * per_event
    path_b = np.cumsum(step_b)
    is_event = codes > 0
    gone_b = np.where(is_event, per_event[exit_index], 0.0) - path_b[exit_index]
    if entry_index is not None:
        entered_b = np.concatenate([[0.0], path_b])[entry_index]
        gone_b = gone_b + entered_b
    if cluster is not None:
        clusters = _Clusters.lay_out(cluster, exit_index, entry_index, size, w)
    squared = w**2

    def total_gone(values: FloatArray) -> FloatArray:
        return np.cumsum(np.bincount(exit_index, weights=squared * values, minlength=size))

    def total_here(values: FloatArray) -> FloatArray:
        values = squared * values
        if entry_index is None:
            return values.sum() - np.cumsum(np.bincount(exit_index, weights=values, minlength=size))
        came = np.bincount(entry_index, weights=values, minlength=size + 1)[:size]
        return np.cumsum(came - np.bincount(exit_index, weights=values, minlength=size))

    here = total_here(np.ones(w.size))
    std_err = np.empty((size, k))
    for j in range(k):
        f = incidence[:, j]
        path_a = np.cumsum(before * n_event[:, j] / n_risk**2 + f * step_b)
        own = np.where(codes == j + 1, (before / n_risk)[exit_index], 0.0)
        gone_a = own + np.where(is_event, (f * per_event)[exit_index], 0.0) - path_a[exit_index]
        common = path_a - f * path_b
        entered_a = None
        if entry_index is not None:
            entered_a = np.concatenate([[0.0], path_a])[entry_index]
            gone_a = gone_a + entered_a
        if cluster is not None:
            path = clusters.gone(gone_a) - f * clusters.gone(gone_b) - clusters.here * common
            if entered_a is not None:
                path += clusters.still(entered_a) - f * clusters.still(entered_b)
            std_err[:, j] = np.sqrt(np.sum(path**2, axis=0))
            continue
        alive = here * common**2
        if entered_a is not None:
            alive += -2 * common * (total_here(entered_a) - f * total_here(entered_b))
            alive += total_here(entered_a**2) - 2 * f * total_here(entered_a * entered_b)
            alive += f**2 * total_here(entered_b**2)
        gone = total_gone(gone_a**2) - 2 * f * total_gone(gone_a * gone_b) + f**2 * total_gone(gone_b**2)
        std_err[:, j] = np.sqrt(np.maximum(gone + alive, 0.0))
    return std_err


@dataclass(frozen=True, eq=False)
class _Clusters:
    """Running totals by cluster: each method gives shape (clusters, m)."""

    cluster: NDArray[np.intp]
    exit_index: NDArray[np.intp]
    entry_index: NDArray[np.intp]
    shape: tuple[int, int]
    weight: FloatArray
    here: FloatArray  # weight at risk after each time

    @classmethod
    def lay_out(
        cls,
        cluster: NDArray[np.intp],
        exit_index: NDArray[np.intp],
        entry_index: NDArray[np.intp] | None,
        size: int,
        weight: FloatArray,
    ) -> _Clusters:
        entry = np.zeros(cluster.size, dtype=np.intp) if entry_index is None else entry_index
        made = cls(cluster, exit_index, entry, (int(cluster.max()) + 1, size), weight, np.zeros((0, 0)))
        object.__setattr__(made, "here", made.still(np.ones(cluster.size)))
        return made

    def _running(self, values: FloatArray, at: NDArray[np.intp]) -> FloatArray:
        total = np.zeros(self.shape)
        np.add.at(total, (self.cluster, at), self.weight * values)
        return np.cumsum(total, axis=1)

    def gone(self, values: FloatArray) -> FloatArray:
        """Sum of `values` over rows that have left."""
        return self._running(values, self.exit_index)

    def still(self, values: FloatArray) -> FloatArray:
        """Sum of `values` over rows that have entered and not left."""
        return self._running(values, self.entry_index) - self._running(values, self.exit_index)


@dataclass(frozen=True, eq=False)
class GrayTest:
    """Gray's test of equal cumulative incidence: statistic, degrees of freedom, p value, groups, scores."""

    chi2: float
    df: int
    p: float
    cause: int
    groups: tuple[Any, ...]
    score: FloatArray
    variance: FloatArray


def gray_test(
    time: ArrayLike,
    cause: ArrayLike,
    group: ArrayLike,
    *,
    cause_of_interest: int = 1,
    strata: ArrayLike | None = None,
    rho: float = 0.0,
) -> GrayTest:
    """Compare cumulative incidence of one cause between groups; equals R's ``cmprsk::cuminc``.

    Parameters
    ----------
    time, cause : array_like, shape (n,)
        As in :func:`aalen_johansen`.
    group : array_like, shape (n,)
        At least two groups.
    cause_of_interest : int
    strata : array_like, shape (n,), optional
        Comparison is within strata.
    rho : float
        Power of one minus the pooled incidence in the weight.

    Raises
    ------
    NoEventsError
        Without events of the cause of interest.
    EmptyGroupError
        With fewer than two groups.
    """
    stop, _ = as_times(time)
    n = stop.size
    codes, _ = as_causes(cause, n)
    labels, groups = as_codes(group, n, "groups")
    k = labels.size
    if k < 2:
        raise EmptyGroupError(f"only one group ({labels[0]}): nothing to compare")
    if not (codes == cause_of_interest).any():
        raise NoEventsError(f"no events of cause {cause_of_interest} among {n} observations")
    kind = np.where(codes == cause_of_interest, 1, np.where(codes > 0, 2, 0))
    stratum = np.zeros(n, dtype=np.intp) if strata is None else as_codes(strata, n, "strata", empty_allowed=True)[1]
    score = np.zeros(k)
    variance = np.zeros((k, k))
    for s in range(int(stratum.max()) + 1):
        inside = stratum == s
        part = _gray_stratum(stop[inside], kind[inside], groups[inside], k, rho)
        score += part[0]
        variance += part[1]
    block = variance[:-1, :-1]
    if np.linalg.matrix_rank(block) < k - 1:
        raise EstimationError("Gray's test is not defined: the variance of the scores is singular")
    chi2 = float(score[:-1] @ np.linalg.solve(block, score[:-1]))
    return GrayTest(chi2, k - 1, float(chdtrc(k - 1, chi2)), cause_of_interest, tuple(labels.tolist()), score, variance)


def _gray_stratum(
    stop: FloatArray, kind: NDArray[np.intp], group: NDArray[np.intp], k: int, rho: float
) -> tuple[FloatArray, FloatArray]:
    """Scores, shape (k,), and their covariance, shape (k, k), of one stratum (Gray 1988, section 2)."""
    grid, index = np.unique(stop, return_inverse=True)
    index = index.reshape(-1)
    shape = (grid.size, k, 3)
    counts = np.bincount((index * k + group) * 3 + kind, minlength=grid.size * k * 3).reshape(shape).astype(float)
    n_risk = np.cumsum(counts.sum(axis=2)[::-1], axis=0)[::-1]
    any_event = counts[:, :, 1:].sum(axis=(1, 2)) > 0
    if not any_event.any():
        return np.zeros(k), np.zeros((k, k))
    n_risk, d1, d2 = n_risk[any_event], counts[any_event, :, 1], counts[any_event, :, 2]
    here = n_risk > 0
    safe = np.where(here, n_risk, 1.0)

    # per group: event-free survival and incidence, before and after each time; nothing moves once a group is empty
    after = np.cumprod(np.where(here, 1 - (d1 + d2) / safe, 1.0), axis=0)
    after = np.where(np.cumsum(here & (d1 + d2 == n_risk), axis=0) > 0, 0.0, after)
    before = np.vstack([np.ones(k), after[:-1]])
    f_after = np.cumsum(np.where(here, before * d1 / safe, 0.0), axis=0)
    f_before = np.vstack([np.zeros(k), f_after[:-1]])

    # pooled incidence under the null
    h = np.where(here, n_risk / np.where(here, before, 1.0), 0.0)
    h_total = h.sum(axis=1)
    died = d1.sum(axis=1)
    pooled = np.cumsum(died / h_total)
    pooled_before = np.concatenate([[0.0], pooled[:-1]])
    weight = (1 - pooled_before) ** rho

    exposed = h * (1 - f_before)
    score = np.sum(weight[:, None] * np.where(here, d1 - died[:, None] * exposed / exposed.sum(1)[:, None], 0.0), 0)

    # a[t, i, j]: weight times (h_i 1(i = j) - h_i h_j / h_total); c: its running integral with respect to pooled risk
    a = -h[:, :, None] * h[:, None, :] / h_total[:, None, None]
    a[:, np.arange(k), np.arange(k)] += h
    a *= weight[:, None, None]
    c = np.cumsum(a * (died / (h_total * (1 - pooled_before)))[:, None, None], axis=0)
    remaining = (1 - pooled)[:, None]

    with np.errstate(divide="ignore", invalid="ignore"):
        # deaths of the cause of interest, spread over groups as expected under the null
        lever = np.where(after > 0, 1 - remaining / np.where(after > 0, after, 1.0), 1.0)
        total = died[:, None]
        ties = np.where(total > 1, 1 - (total - 1) / (h_total[:, None] * before - 1), 1.0)
        own = np.where(here & (total > 0), ties * before * total / (h_total[:, None] * safe), 0.0)
        # deaths of other causes, as observed in each group
        lever2 = np.where(after > 0, remaining / np.where(after > 0, after, 1.0), 0.0)
        ties2 = np.where(d2 > 1, 1 - (d2 - 1) / (n_risk - 1), 1.0)
        other = np.where((after > 0) & (d2 > 0), ties2 * before**2 * d2 / safe**2, 0.0)
    move = a - lever[:, None, :] * c  # [t, i, group that dies]
    move2 = lever2[:, None, :] * c
    variance = np.einsum("tik,tjk,tk->ij", move, move, own) + np.einsum("tik,tjk,tk->ij", move2, move2, other)
    cross = np.einsum("tik,tk->ik", move, lever * own) - np.einsum("tik,tk->ik", move2, lever2 * other)
    third = np.sum(lever**2 * own + lever2**2 * other, axis=0)
    last = c[-1]
    variance += (last * third) @ last.T + last @ cross.T + cross @ last.T
    return score, variance


@dataclass(frozen=True, eq=False)
class FineGrayFit:
    """A Fine-Gray model: subdistribution hazard ratios of one cause.

    Attributes
    ----------
    names : tuple of str
    coef, se : ndarray, shape (p,)
        Log subdistribution hazard ratios and their standard errors.
    covariance : ndarray, shape (p, p)
    loglik_null, loglik : float
        Log pseudo-likelihood.
    n, n_events : int
        People, and events of the cause of interest.
    cause : int
    convention : {"cmprsk", "survival"}
    """

    names: tuple[str, ...]
    coef: FloatArray
    se: FloatArray
    covariance: FloatArray
    loglik_null: float
    loglik: float
    n: int
    n_events: int
    cause: int
    convention: Literal["cmprsk", "survival"]
    weighted_cox: CoxFit = field(repr=False)

    def hazard_ratio(self, name: str, level: float = 0.95) -> HazardRatio:
        """Return the subdistribution hazard ratio of a covariate; KeyError if there is none of that name."""
        return self.weighted_cox.hazard_ratio(name, level)


def fine_gray(
    x: ArrayLike,
    time: ArrayLike,
    cause: ArrayLike,
    *,
    cause_of_interest: int = 1,
    weights: ArrayLike | None = None,
    convention: Literal["cmprsk", "survival"] = "cmprsk",
    names: Any = None,
) -> FineGrayFit:
    """Regress the cumulative incidence of one cause on covariates (Fine & Gray 1999).

    Whoever fails from another cause stays in the risk set with the probability G(t-)/G(T-) of not having been
    censored since. R has two implementations, which differ when times are tied; both are offered.

    Parameters
    ----------
    x : DataFrame or array_like, shape (n, p)
    time, cause : array_like, shape (n,)
        As in :func:`aalen_johansen`.
    cause_of_interest : int
    weights : array_like, shape (n,), optional
        Case weights, with the ``survival`` convention (G is estimated without them, as in R's ``finegray``).
    convention : {"cmprsk", "survival"}
        ``cmprsk`` (``crr``, the reference implementation): Breslow ties, those who fail at t count as at risk of
        censoring at t, and the variance accounts for G being estimated. ``survival`` (``finegray`` then ``coxph``
        clustered by person): Efron ties, they do not count, and the sandwich takes G as known.
    names : sequence of str, optional

    Raises
    ------
    NoEventsError
        Without events of the cause of interest.
    EstimationError
        As :func:`sorafenib_rfa.stats.cox.cox_fit`.
    """
    stop, _ = as_times(time)
    n = stop.size
    codes, _ = as_causes(cause, n)
    matrix, labels = as_matrix(x, names)
    check_length(matrix, n, "covariates", InvalidCovariatesError)
    w = as_weights(weights, n)
    if convention not in ("cmprsk", "survival"):
        raise ValueError(f"convention must be 'cmprsk' or 'survival', found {convention!r}")
    if w is not None and convention == "cmprsk":
        raise ValueError("case weights need convention='survival': cmprsk::crr has none")
    is_event = codes == cause_of_interest
    if not is_event.any():
        raise NoEventsError(f"no events of cause {cause_of_interest} among {n} observations")
    competing = np.flatnonzero((codes > 0) & ~is_event)

    censoring_free = _CensoringCurve.estimate(stop, codes > 0, failing_at_risk=convention == "cmprsk")
    event_times = np.unique(stop[is_event])
    g_events = censoring_free.before(event_times)
    # pieces: runs of event times over which G does not change
    piece = np.concatenate([[0], np.cumsum(np.diff(g_events) != 0)])
    piece_first = np.flatnonzero(np.concatenate([[True], np.diff(piece) > 0]))
    piece_last = np.append(piece_first[1:], event_times.size) - 1
    first_bin = np.searchsorted(event_times, stop[competing], side="right")
    staying = first_bin < event_times.size
    competing, first_bin = competing[staying], first_bin[staying]
    n_pieces = piece[-1] + 1 - piece[first_bin] if competing.size else np.zeros(0, dtype=np.intp)
    owner = np.repeat(competing, n_pieces)
    rank = np.arange(owner.size) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)
    at_piece = np.repeat(piece[first_bin], n_pieces) + rank
    begin = np.where(rank == 0, stop[owner], event_times[piece_first[at_piece] - 1])
    extra_weight = g_events[piece_first[at_piece]] / censoring_free.before(stop[owner])

    person = np.concatenate([np.arange(n), owner])
    row_weight = np.concatenate([np.ones(n), extra_weight])
    if w is not None:
        row_weight = row_weight * w[person]
    fit = cox_fit(
        matrix[person],
        np.concatenate([stop, event_times[piece_last[at_piece]]]),
        np.concatenate([is_event, np.zeros(owner.size, dtype=bool)]),
        start=np.concatenate([np.zeros(n), begin]),
        weights=row_weight,
        cluster=person,
        ties="breslow" if convention == "cmprsk" else "efron",
        names=labels,
    )
    if convention == "cmprsk":
        influence = np.zeros((n, len(labels)))
        np.add.at(influence, person, fit.residuals("score") * row_weight[:, None])
        influence += _censoring_influence(fit, matrix, stop, codes, is_event, censoring_free, event_times, g_events)
        covariance = fit.cov_model @ (influence.T @ influence) @ fit.cov_model
        object.__setattr__(fit, "cov_robust", covariance)
        object.__setattr__(fit, "se_robust", np.sqrt(np.diagonal(covariance)))
    assert fit.cov_robust is not None and fit.se_robust is not None
    return FineGrayFit(
        names=labels,
        coef=fit.coef,
        se=fit.se_robust,
        covariance=fit.cov_robust,
        loglik_null=fit.loglik_null,
        loglik=fit.loglik,
        n=n if w is None else int((w > 0).sum()),
        n_events=int(is_event.sum() if w is None else (is_event & (w > 0)).sum()),
        cause=cause_of_interest,
        convention=convention,
        weighted_cox=fit,
    )


@dataclass(frozen=True, eq=False)
class _CensoringCurve:
    """Kaplan-Meier estimate G of remaining uncensored."""

    time: FloatArray
    value: FloatArray

    @classmethod
    def estimate(cls, stop: FloatArray, failed: NDArray[np.bool_], *, failing_at_risk: bool) -> _CensoringCurve:
        grid, index = np.unique(stop, return_inverse=True)
        index = index.reshape(-1)
        n_exit = np.bincount(index, minlength=grid.size)
        n_failed = np.bincount(index, weights=failed, minlength=grid.size)
        n_risk = np.cumsum(n_exit[::-1])[::-1] - (0 if failing_at_risk else n_failed)
        censored = n_exit - n_failed
        ratio = np.where(censored > 0, 1 - censored / np.maximum(n_risk, 1), 1.0)
        return cls(grid, np.cumprod(ratio))

    def before(self, times: FloatArray) -> FloatArray:
        """G just before each of `times`."""
        return np.concatenate([[1.0], self.value])[np.searchsorted(self.time, times, side="left")]


def _censoring_influence(
    fit: CoxFit,
    x: FloatArray,
    stop: FloatArray,
    codes: NDArray[np.intp],
    is_event: NDArray[np.bool_],
    censoring_free: _CensoringCurve,
    event_times: FloatArray,
    g_events: FloatArray,
) -> FloatArray:
    """Return psi, each person's influence by way of the estimate of G (Fine & Gray 1999, section 4), shape (n, p).

    With q(u) the effect on the score of a unit change in the censoring hazard at u, psi_i is the integral of q / Y
    with respect to person i's censoring martingale, Y the number at risk.
    """
    hazards = fit.cumulative_hazard(at=fit.design.centre)["hazard"].to_numpy()
    # risk-set means: recovered from the fit's Schoenfeld residuals (event covariates minus mean)
    order = np.argsort(stop[is_event], kind="stable")
    first = np.searchsorted(stop[is_event][order], event_times)
    residual = fit.residuals("schoenfeld")
    event_rows = np.flatnonzero(is_event)[order]
    means = x[event_rows[first]] - residual[first]
    centred = fit.design.centre
    risk = np.exp((x - centred) @ fit.coef)

    # sums over event times at or after u of G(s-) dN / S0, and of the same times the risk-set mean
    ahead0 = np.append(np.cumsum((g_events * hazards)[::-1])[::-1], 0.0)
    ahead1 = np.vstack([np.cumsum(((g_events * hazards)[:, None] * means)[::-1], axis=0)[::-1], np.zeros(x.shape[1])])
    # sums over competing failures before u of risk / G(T-), and of the same times covariates
    other = np.flatnonzero((codes > 0) & ~is_event)
    other = other[np.argsort(stop[other], kind="stable")]
    share = risk[other] / censoring_free.before(stop[other])
    past0 = np.concatenate([[0.0], np.cumsum(share)])
    past1 = np.vstack([np.zeros(x.shape[1]), np.cumsum(share[:, None] * x[other], axis=0)])

    grid, index = np.unique(stop, return_inverse=True)
    index = index.reshape(-1)
    at_risk = np.cumsum(np.bincount(index, minlength=grid.size)[::-1])[::-1]
    censored = np.bincount(index, weights=codes == 0, minlength=grid.size)
    from_here = np.searchsorted(event_times, grid, side="left")
    until_here = np.searchsorted(stop[other], grid, side="left")
    q = past1[until_here] * ahead0[from_here][:, None] - past0[until_here][:, None] * ahead1[from_here]
    compensator = np.cumsum(q * (censored / at_risk**2)[:, None], axis=0)
    psi = -compensator[index]
    psi[codes == 0] += (q / at_risk[:, None])[index[codes == 0]]
    return psi
