r"""Cox proportional hazards regression, fast enough to be refitted thousands of times.

Why own code: the variance that weighted and clustered analyses need must be right (lifelines 0.30.3 gives a
cluster-robust standard error 2.4 % too large on the resection cohort), ties must be handled as R's default does
(Efron) with case weights, and a bootstrap must not cost a minute. Everything here is checked against R's
``survival`` in ``tests/reference``.

How it is fast. Subjects are sorted once, by stratum and stop time, and each is given the first and the last distinct
event time at which it is at risk (:class:`CoxDesign`). One Newton step then is: risk-set sums by a cumulative sum over
event times; the score :math:`Z^\top (w\delta - q)`; and the information

.. math:: I = Z^\top \mathrm{diag}(q) Z - \sum_{k,l} \bar w_k \bar z_{kl} \bar z_{kl}^\top,
   \qquad q_i = w_i e^{\eta_i} \Big( \sum_{k: i \text{ at risk}} A_k - \delta_i B_{k(i)} \Big),

two matrix products instead of n outer products. :math:`A_k = \sum_l \bar w_k / S^0_{kl}` is the Efron hazard increment
at event time k, :math:`B_k = \sum_l (l/d_k) \bar w_k / S^0_{kl}` what a tied death is spared of it, and
:math:`S^0_{kl} = S^0_k - (l/d_k) D^0_k` the risk-set sum after the l-th of :math:`d_k` tied deaths. Breslow is l = 0.
No loop runs over subjects or event times; strata are looped over.

References
----------
Cox DR. Regression models and life-tables. J R Stat Soc B 1972;34:187-220.
Efron B. The efficiency of Cox's likelihood function for censored data. J Am Stat Assoc 1977;72:557-565.
Lin DY, Wei LJ. The robust inference for the Cox proportional hazards model. J Am Stat Assoc 1989;84:1074-1078.
Therneau TM, Grambsch PM. Modeling Survival Data: Extending the Cox Model. Springer 2000 (residuals, chapter 4 and 7).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs
from scipy.special import chdtrc, ndtr, ndtri

from ._inputs import (
    as_codes,
    as_events,
    as_float_vector,
    as_matrix,
    as_times,
    as_weights,
    check_length,
    check_level,
)
from ._linalg import combine_rows, cross_product, inverse_from_cholesky, weighted_row_sums
from .errors import (
    CollinearCovariatesError,
    ConstantCovariateError,
    ConvergenceError,
    InvalidCovariatesError,
    InvalidWeightsError,
    NoEventsError,
    SeparationError,
)

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    FloatArray = NDArray[np.float64]

Ties = Literal["efron", "breslow"]

# The likelihood is monotone in a direction when the next Newton step would still move by this many standard
# deviations of a covariate although it would raise the log-likelihood by less than _FLAT: with a finite maximum that
# would need a standard error of about 70 on the log hazard ratio per standard deviation.
_FLAT = 1e-6
_RUNAWAY = 0.1
# ... or when it would still move although the hazards of two people already differ by a factor of exp(300).
_BOUNDLESS = 300.0
# A covariate whose variance, given the covariates before it, is this small a share of its own is collinear
# (R's `coxph.control(toler.chol)` is .Machine$double.eps^.75 = 1.8e-12).
_COLLINEAR = 1.8e-12


@dataclass(frozen=True)
class TestStatistic:
    """A chi-squared test: statistic, degrees of freedom, p value."""

    __test__ = False  # not a test case, whatever pytest thinks of the name

    chi2: float
    df: int
    p: float


@dataclass(frozen=True)
class HazardRatio:
    """A hazard ratio with its confidence interval and two-sided Wald p value."""

    name: str
    estimate: float
    ci_low: float
    ci_high: float
    p: float
    log_estimate: float
    log_se: float
    level: float
    robust: bool


@dataclass(frozen=True, eq=False)
class CoxSolution:
    """The maximum of a partial likelihood, in the standardised covariates of its :class:`CoxDesign`."""

    beta: FloatArray
    score: FloatArray
    covariance: FloatArray
    loglik_init: float
    loglik: float
    score_chi2: float
    iterations: int
    converged: bool


@dataclass(frozen=True, eq=False)
class _Weighting:
    """What depends on the weights but not on the coefficients."""

    row: FloatArray | None  # weight of each kept row in the risk sets (None: all 1)
    death: FloatArray  # weight of each kept death
    event_bin: NDArray[np.intp] | None  # bin of each (event time, l); None: one death at each event time, in order
    fraction: FloatArray | None  # l / d; None when all are 0
    mean_weight: FloatArray | float  # mean weight of the tied deaths


@dataclass(frozen=True, eq=False)
class _Evaluation:
    """Log-likelihood, score and information at one coefficient vector, and what residuals need."""

    loglik: float
    score: FloatArray
    information: FloatArray
    risk: FloatArray  # exp(eta), unweighted, of each kept row
    hazard: FloatArray  # increment at each (event time, l)
    means: FloatArray  # (p, M) weighted covariate means of the risk sets


@dataclass(frozen=True, eq=False)
class CoxDesign:
    """Survival data sorted once, to be fitted again and again with other weights.

    Build one with :meth:`prepare`. A bootstrap resample is a vector of multiplicities: ``coefficients(
    multiplicity=m)`` gives exactly what :func:`cox_fit` gives on the data with row i repeated ``m[i]`` times, without
    sorting again.

    Attributes
    ----------
    names : tuple of str
        The p covariates.
    n, n_events : int
        Rows and events.
    ties : {"efron", "breslow"}
        Treatment of tied event times.
    """

    names: tuple[str, ...]
    n: int
    n_events: int
    ties: Ties
    stop: FloatArray  # as validated, in the original order
    start: FloatArray | None
    event: NDArray[np.bool_]
    centre: FloatArray
    scale: FloatArray
    offset_centre: float
    rows: NDArray[np.intp]  # kept rows in sorted order: those at risk at some event time
    z1: FloatArray  # (p + 1, kept): a row of ones, then the standardised covariates
    offset: FloatArray | None
    is_death: NDArray[np.bool_]
    deaths: NDArray[np.intp]  # positions of the deaths among the kept rows
    death_bin: NDArray[np.intp]
    death_starts: NDArray[np.intp]
    death_count: NDArray[np.intp]
    first_bin: NDArray[np.intp]
    last_bin: NDArray[np.intp]
    exit_starts: NDArray[np.intp]
    entry_rows: NDArray[np.intp] | None  # kept rows that enter late, sorted by the bin they miss last
    entry_starts: NDArray[np.intp] | None
    entry_bins: NDArray[np.intp] | None
    strata_bounds: NDArray[np.intp]  # bins of stratum s are strata_bounds[s]:strata_bounds[s + 1]
    strata_labels: NDArray[Any]
    bin_time: FloatArray
    bin_stratum: NDArray[np.intp]
    unit_weighting: _Weighting = field(repr=False)

    @classmethod
    def prepare(
        cls,
        x: ArrayLike,
        time: ArrayLike,
        event: ArrayLike,
        *,
        start: ArrayLike | None = None,
        strata: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        ties: Ties = "efron",
        names: Any = None,
    ) -> CoxDesign:
        """Validate, sort and standardise; see :func:`cox_fit` for the arguments and errors."""
        if ties not in ("efron", "breslow"):
            raise ValueError(f"ties must be 'efron' or 'breslow', found {ties!r}")
        stop, entry = as_times(time, start)
        n = stop.size
        dead = as_events(event, n)
        all_stop, all_start, all_dead = stop, entry, dead
        matrix, labels = as_matrix(x, names)
        check_length(matrix, n, "covariates", InvalidCovariatesError)
        n_events = int(np.count_nonzero(dead))
        if n_events == 0:
            raise NoEventsError(f"no events among {n} observations: a hazard ratio cannot be estimated")
        centre = matrix.mean(axis=0)
        scale = matrix.std(axis=0)
        constant = scale <= 1e-12 * np.maximum(1e-300, np.abs(centre))
        if constant.any():
            raise ConstantCovariateError(
                f"covariate {', '.join(labels[j] for j in np.flatnonzero(constant))} does not vary"
            )

        # sort by stratum, then stop time; one bin is one distinct event time of one stratum
        if strata is None:
            order = np.argsort(stop, kind="stable")
            stratum = None
            strata_labels = np.array(["all"])
        else:
            strata_labels, codes = as_codes(strata, n, "strata", empty_allowed=True)
            order = np.lexsort((stop, codes))
            stratum = codes[order]
        stop, dead = stop[order], dead[order]
        is_new = np.empty(n, dtype=bool)
        is_new[0] = True
        np.not_equal(stop[1:], stop[:-1], out=is_new[1:])
        if stratum is not None:
            is_new[1:] |= stratum[1:] != stratum[:-1]
        group = np.cumsum(is_new) - 1
        has_event = np.zeros(group[-1] + 1, dtype=bool)
        has_event[group[dead]] = True
        last_bin = (np.cumsum(has_event) - 1)[group]
        at_event = np.flatnonzero(is_new)[has_event]
        bin_time = stop[at_event]
        n_bins = bin_time.size
        if stratum is None:
            bin_stratum = np.zeros(n_bins, dtype=np.intp)
            bounds = np.array([0, n_bins])
            opening = np.zeros(n, dtype=np.intp)
        else:
            bin_stratum = stratum[at_event]
            bounds = np.searchsorted(bin_stratum, np.arange(len(strata_labels) + 1))
            opening = bounds[stratum]
        if entry is None:
            first_bin = opening
        elif stratum is None:
            first_bin = np.searchsorted(bin_time, entry[order], side="right")
        else:
            entry = entry[order]
            first_bin = np.empty(n, dtype=np.intp)
            edges = np.searchsorted(stratum, np.arange(len(strata_labels) + 1))
            for s in range(len(strata_labels)):
                bins, members = slice(bounds[s], bounds[s + 1]), slice(edges[s], edges[s + 1])
                first_bin[members] = bounds[s] + np.searchsorted(bin_time[bins], entry[members], side="right")
        kept = first_bin <= last_bin
        if not kept.all():  # at risk at no event time: no say in the partial likelihood
            order, dead, first_bin, last_bin, opening = (a[kept] for a in (order, dead, first_bin, last_bin, opening))

        z1 = np.empty((matrix.shape[1] + 1, order.size))
        z1[0] = 1.0
        z1[1:] = ((matrix[order] - centre) / scale).T
        deaths = np.flatnonzero(dead)
        death_bin = last_bin[deaths]
        death_count = np.bincount(death_bin, minlength=n_bins)
        entry_rows = entry_starts = entry_bins = None
        if entry is not None:
            late = np.flatnonzero(first_bin > opening)
            if late.size:
                entry_rows = late[np.argsort(first_bin[late], kind="stable")]
                entry_bins, entry_starts = np.unique(first_bin[entry_rows] - 1, return_index=True)
        shift = None
        offset_centre = 0.0
        if offset is not None:
            values = as_float_vector(offset, "offset", InvalidCovariatesError)
            check_length(values, n, "offset", InvalidCovariatesError)
            if not np.isfinite(values).all():
                raise InvalidCovariatesError("the offset has missing or infinite values")
            offset_centre = float(values.mean())
            shift = values[order] - offset_centre
        weighting = _weighting(None, np.ones(deaths.size), death_bin, death_count, death_count, ties)
        return cls(
            names=labels,
            n=n,
            n_events=n_events,
            ties=ties,
            stop=all_stop,
            start=all_start,
            event=all_dead,
            centre=centre,
            scale=scale,
            offset_centre=offset_centre,
            rows=order,
            z1=z1,
            offset=shift,
            is_death=dead,
            deaths=deaths,
            death_bin=death_bin,
            death_starts=np.searchsorted(death_bin, np.arange(n_bins)),
            death_count=death_count,
            first_bin=first_bin,
            last_bin=last_bin,
            exit_starts=np.searchsorted(last_bin, np.arange(n_bins)),
            entry_rows=entry_rows,
            entry_starts=entry_starts,
            entry_bins=entry_bins,
            strata_bounds=bounds,
            strata_labels=strata_labels,
            bin_time=bin_time,
            bin_stratum=bin_stratum,
            unit_weighting=weighting,
        )

    # -- fitting -------------------------------------------------------------------------------------------------

    def coefficients(
        self,
        weights: ArrayLike | None = None,
        *,
        multiplicity: ArrayLike | None = None,
        init: ArrayLike | None = None,
        max_iter: int = 40,
        tol: float = 1e-6,
    ) -> FloatArray:
        """Return the coefficients only: the inner step of a bootstrap.

        Parameters
        ----------
        weights : array_like, shape (n,), optional
            Case weights.
        multiplicity : array_like of int, shape (n,), optional
            How often each row was drawn.
        init : array_like, shape (p,), optional
            Where Newton's method starts (the estimate on the original data saves a step or two).
        max_iter, tol
            As in :func:`cox_fit`; the default tolerance, a millionth of a standard error, is enough here.

        Returns
        -------
        ndarray, shape (p,)

        Raises
        ------
        EstimationError
            As :func:`cox_fit`; a resample can lose all events of an arm.
        """
        solution = self.solve(weights, multiplicity=multiplicity, init=init, max_iter=max_iter, tol=tol)
        return solution.beta / self.scale

    def solve(
        self,
        weights: ArrayLike | None = None,
        *,
        multiplicity: ArrayLike | None = None,
        init: ArrayLike | None = None,
        max_iter: int = 40,
        tol: float = 1e-9,
    ) -> CoxSolution:
        """Maximise the partial likelihood by Newton's method with step-halving."""
        weighting = self._weighting(weights, multiplicity)
        beta = (
            np.zeros(len(self.names))
            if init is None
            else as_float_vector(init, "init", InvalidCovariatesError) * self.scale
        )
        check_length(beta, len(self.names), "init", InvalidCovariatesError)
        state = self._evaluate(beta, weighting)
        self._refuse_constant(state.information, weighting)
        loglik_init = state.loglik
        score_chi2 = float("nan")
        previous = np.inf
        converged = False
        iterations = 0
        while True:
            factor = self._factor(state.information, beta if iterations else None)
            step = dpotrs(factor, state.score, lower=1)[0]
            gain = float(state.score @ step)  # twice what a quadratic log-likelihood would still gain
            if iterations == 0:
                score_chi2 = gain
            if max_iter > 0 and np.abs(step).max() > _RUNAWAY:
                if gain < _FLAT or (iterations > 2 and np.ptp(combine_rows(beta, self.z1[1:])) > _BOUNDLESS):
                    self._refuse_separation(step)
            # the second clause: rounding keeps the step from shrinking further
            if gain <= tol * tol or (gain < 1e-12 and gain >= 0.25 * previous):
                converged = True
                beta = beta + step
                break
            if iterations >= max_iter:
                break
            previous = gain
            iterations += 1
            length = 1.0
            candidate = self._evaluate(beta + step, weighting)
            while not (
                np.isfinite(candidate.loglik) and candidate.loglik >= state.loglik - 1e-9 * (1.0 + abs(state.loglik))
            ):
                length /= 2
                if length < 1e-10:
                    raise ConvergenceError("Newton's method found no direction that raises the likelihood")
                candidate = self._evaluate(beta + length * step, weighting)
            beta = beta + length * step
            state = candidate
        if not converged and max_iter > 0:
            raise ConvergenceError(f"no convergence of the Cox model in {max_iter} iterations")
        covariance = inverse_from_cholesky(factor)
        return CoxSolution(beta, state.score, covariance, loglik_init, state.loglik, score_chi2, iterations, converged)

    def _weighting(self, weights: ArrayLike | None, multiplicity: ArrayLike | None) -> _Weighting:
        """Arrange case weights and multiplicities for the risk sets and the tied deaths."""
        if weights is None and multiplicity is None:
            return self.unit_weighting
        case = as_weights(weights, self.n)
        times_drawn = None
        if multiplicity is not None:
            times_drawn = as_weights(multiplicity, self.n)
            assert times_drawn is not None
            if (times_drawn != np.floor(times_drawn)).any():
                raise InvalidWeightsError("multiplicities must be whole numbers")
        if case is None:
            row = times_drawn[self.rows]  # type: ignore[index]
            drawn = row[self.deaths]
            death = drawn
        else:
            row = case[self.rows]
            drawn = (row[self.deaths] > 0).astype(float)
            if times_drawn is not None:
                copies = times_drawn[self.rows]
                drawn = drawn * copies[self.deaths]
                row = row * copies
            death = row[self.deaths]
        count = np.bincount(self.death_bin, weights=drawn, minlength=self.bin_time.size)
        if not count.any():
            raise NoEventsError("no events among the observations with a weight above zero")
        return _weighting(row, death, self.death_bin, self.death_count, count.astype(np.intp), self.ties)

    def _evaluate(self, beta: FloatArray, weighting: _Weighting) -> _Evaluation:
        """Log partial likelihood, score and information at `beta` (module docstring, equation)."""
        z1 = self.z1
        z = z1[1:]
        eta = combine_rows(beta, z)
        if self.offset is not None:
            eta += self.offset
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            risk = np.exp(eta)
            weighted = risk if weighting.row is None else risk * weighting.row
            products = weighted * z1
            sums = np.add.reduceat(products, self.exit_starts, axis=1)
            if self.entry_rows is not None:
                sums[:, self.entry_bins] -= np.add.reduceat(products[:, self.entry_rows], self.entry_starts, axis=1)
            sums = self._accumulate(sums, reverse=True)
            if weighting.event_bin is not None:
                sums = sums[:, weighting.event_bin]
            if weighting.fraction is not None:
                tied = np.add.reduceat(products[:, self.deaths], self.death_starts, axis=1)
                sums = sums - weighting.fraction * tied[:, weighting.event_bin]
            total = sums[0]
            means = sums[1:] / total
            hazard = weighting.mean_weight / total
            loglik = float(np.sum(weighting.death * eta[self.deaths]) - np.sum(weighting.mean_weight * np.log(total)))
            exposure = self._exposure(hazard, weighting)
            expected = weighted * exposure
            excess = -expected
            excess[self.deaths] += weighting.death
            score = weighted_row_sums(z, excess)
            information = cross_product(z * expected, z)
            information -= cross_product(means * weighting.mean_weight, means)
        return _Evaluation(loglik, score, information, risk, hazard, means)

    def _accumulate(self, values: FloatArray, *, reverse: bool = False) -> FloatArray:
        """Cumulate over event times within strata (last axis); `reverse`: from the last event time back."""
        if self.strata_bounds.size == 2:
            return np.cumsum(values[..., ::-1], axis=-1)[..., ::-1] if reverse else np.cumsum(values, axis=-1)
        out = np.empty_like(values)
        for low, high in zip(self.strata_bounds[:-1], self.strata_bounds[1:], strict=True):
            part = values[..., low:high]
            if reverse:
                np.cumsum(part[..., ::-1], axis=-1, out=out[..., low:high][..., ::-1])
            else:
                np.cumsum(part, axis=-1, out=out[..., low:high])
        return out

    def _bin_totals(self, values: FloatArray, weighting: _Weighting) -> FloatArray:
        """Sum values of (event time, l) over l; shape (..., M) to (..., K)."""
        if weighting.event_bin is None:
            return values
        n_bins = self.bin_time.size
        if values.ndim == 1:
            return np.bincount(weighting.event_bin, weights=values, minlength=n_bins)
        return np.array([np.bincount(weighting.event_bin, weights=v, minlength=n_bins) for v in values])

    def _over_time_at_risk(self, increments: FloatArray) -> FloatArray:
        """Sum per-event-time increments, shape (..., K), over the event times each kept row is at risk."""
        cumulated = self._accumulate(increments)
        total = cumulated[..., self.last_bin]
        if self.entry_rows is not None:
            # what had accumulated before a late entry; never across strata, as a late entry misses a bin of its own
            before = cumulated[..., self.first_bin[self.entry_rows] - 1]
            total[..., self.entry_rows] -= before
        return total

    def _exposure(self, hazard: FloatArray, weighting: _Weighting) -> FloatArray:
        """Cumulative baseline hazard each kept row lived through, tied deaths spared their share."""
        exposure = self._over_time_at_risk(self._bin_totals(hazard, weighting))
        if weighting.fraction is not None:
            spared = self._bin_totals(weighting.fraction * hazard, weighting)
            exposure[self.deaths] -= spared[self.death_bin]
        return exposure

    def _refuse_constant(self, information: FloatArray, weighting: _Weighting) -> None:
        """Raise, naming covariates whose mean variance in the risk sets is nil (they are in standard deviations)."""
        flat = np.diagonal(information) <= 1e-10 * float(np.sum(weighting.death))
        if flat.any():
            culprits = ", ".join(self.names[j] for j in np.flatnonzero(flat))
            raise ConstantCovariateError(f"covariate {culprits} does not vary among those at risk at any event time")

    def _factor(self, information: FloatArray, reached: FloatArray | None) -> FloatArray:
        """Cholesky factor of the information, or the error that says which covariate spoils it.

        `reached`: the coefficients after the first step (information that was regular before has run out).
        """
        factor, failed = dpotrf(information, lower=1, clean=1)
        diagonal = np.diagonal(information)
        pivots = np.diagonal(factor)
        if failed == 0 and (pivots * pivots > _COLLINEAR * diagonal).all():
            return factor
        if not np.isfinite(information).all():
            raise ConvergenceError("the likelihood of the Cox model is not finite")
        if reached is not None:
            self._refuse_separation(reached)
        j = failed - 1 if failed > 0 else int(np.argmin(pivots * pivots / diagonal))
        raise CollinearCovariatesError(f"covariate {self.names[j]} is a linear combination of the others")

    def _refuse_separation(self, step: FloatArray) -> None:
        """Raise, naming the covariates whose coefficients still run although the likelihood is flat."""
        speed = np.abs(step)
        runaway = [j for j in np.argsort(-speed, kind="stable") if speed[j] > _RUNAWAY]
        culprits = tuple(self.names[j] for j in runaway)
        raise SeparationError(
            f"no finite hazard ratio: the likelihood keeps rising as the coefficient of {', '.join(culprits)} goes "
            f"to {'plus' if step[runaway[0]] > 0 else 'minus'} infinity (for example, no event on one side)",
            culprits,
        )


def _weighting(
    row: FloatArray | None,
    death: FloatArray,
    death_bin: NDArray[np.intp],
    rows_per_bin: NDArray[np.intp],
    count: NDArray[np.intp],
    ties: Ties,
) -> _Weighting:
    """Lay out the (event time, l) pairs; `count` is the number of deaths with a weight above zero in each bin."""
    if row is None and (rows_per_bin == 1).all():
        return _Weighting(row, death, None, None, 1.0)
    n_bins = count.size
    total = np.bincount(death_bin, weights=death, minlength=n_bins)
    if ties == "breslow":
        # one term a bin that carries the whole weight of its deaths
        present = np.flatnonzero(count > 0)
        full = present.size == n_bins
        return _Weighting(row, death, None if full else present, None, total if full else total[present])
    event_bin = np.repeat(np.arange(n_bins), count)
    ends = np.cumsum(count)
    rank = np.arange(event_bin.size) - np.repeat(ends - count, count)
    fraction = rank / count[event_bin] if (count > 1).any() else None
    return _Weighting(row, death, event_bin, fraction, total[event_bin] / count[event_bin])


@dataclass(frozen=True, eq=False)
class CoxFit:
    """A fitted Cox model.

    Attributes
    ----------
    names : tuple of str
        The p covariates.
    coef : ndarray, shape (p,)
        Log hazard ratios.
    se_model, cov_model : ndarray, shape (p,) and (p, p)
        From the inverse information.
    se_robust, cov_robust : ndarray or None
        Sandwich (Lin & Wei), clustered if clusters were given; None unless asked for.
    loglik_null, loglik : float
        Log partial likelihood at zero coefficients and at the maximum.
    n, n_events : int
        Rows with a weight above zero, and events among them.
    score_test, wald_test, lrt : TestStatistic
        Of all coefficients being zero. As in R, the Wald test uses the robust variance when there is one; the
        likelihood ratio test assumes independent, unweighted rows. With no more clusters than covariates the robust
        Wald test is not defined: NaN.
    iterations : int
    converged : bool
    ties : {"efron", "breslow"}
        Treatment of ties in the likelihood and in the baseline hazard.
    """

    names: tuple[str, ...]
    coef: FloatArray
    se_model: FloatArray
    cov_model: FloatArray
    se_robust: FloatArray | None
    cov_robust: FloatArray | None
    loglik_null: float
    loglik: float
    n: int
    n_events: int
    score_test: TestStatistic
    wald_test: TestStatistic
    lrt: TestStatistic
    iterations: int
    converged: bool
    ties: Ties
    design: CoxDesign = field(repr=False)
    weights: FloatArray | None = field(repr=False)
    _beta: FloatArray = field(repr=False)

    @property
    def robust(self) -> bool:
        """Whether a robust variance was asked for."""
        return self.cov_robust is not None

    @property
    def covariance(self) -> FloatArray:
        """The robust covariance matrix if there is one, else the model's."""
        return self.cov_model if self.cov_robust is None else self.cov_robust

    @property
    def se(self) -> FloatArray:
        """The robust standard errors if there are any, else the model's."""
        return self.se_model if self.se_robust is None else self.se_robust

    def hazard_ratio(self, name: str, level: float = 0.95, robust: bool | None = None) -> HazardRatio:
        """Return one hazard ratio with its Wald confidence interval.

        Parameters
        ----------
        name : str
            A covariate.
        level : float
            Confidence level.
        robust : bool, optional
            Which variance; by default the robust one if it was computed.

        Raises
        ------
        KeyError
            If there is no such covariate.
        ValueError
            If a robust variance is asked for that was not computed.
        """
        if name not in self.names:
            raise KeyError(f"no covariate {name!r}; there are {', '.join(self.names)}")
        use_robust = self.robust if robust is None else robust
        if use_robust and self.se_robust is None:
            raise ValueError("fit with robust=True or cluster= for a robust variance")
        j = self.names.index(name)
        log_hr = float(self.coef[j])
        se = float((self.se_robust if use_robust else self.se_model)[j])  # type: ignore[index]
        z = float(ndtri(0.5 + check_level(level) / 2))
        return HazardRatio(
            name=name,
            estimate=float(np.exp(log_hr)),
            ci_low=float(np.exp(log_hr - z * se)),
            ci_high=float(np.exp(log_hr + z * se)),
            p=float(2 * ndtr(-abs(log_hr / se))),
            log_estimate=log_hr,
            log_se=se,
            level=level,
            robust=use_robust,
        )

    def contrast(self, coefficients: ArrayLike) -> TestStatistic:
        """Wald test that linear combinations of the coefficients (rows of a (q, p) matrix) are zero."""
        matrix = np.atleast_2d(np.asarray(coefficients, dtype=float))
        return _wald(matrix @ self.coef, matrix @ self.covariance @ matrix.T)

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Return a table: one row a covariate, ``coef, se, hazard_ratio, ci_low, ci_high, z, p``."""
        import pandas as pd

        ratios = [self.hazard_ratio(name, level) for name in self.names]
        return pd.DataFrame(
            {
                "coef": self.coef,
                "se": self.se,
                "hazard_ratio": [r.estimate for r in ratios],
                "ci_low": [r.ci_low for r in ratios],
                "ci_high": [r.ci_high for r in ratios],
                "z": self.coef / self.se,
                "p": [r.p for r in ratios],
            },
            index=pd.Index(self.names, name="covariate"),
        )

    # -- residuals -----------------------------------------------------------------------------------------------

    @cached_property
    def _at_maximum(self) -> tuple[_Weighting, _Evaluation]:
        weighting = self.design._weighting(self.weights, None)
        return weighting, self.design._evaluate(self._beta, weighting)

    def _score_rows(self) -> FloatArray:
        """Score residuals of the kept rows in standardised covariates, shape (p, kept)."""
        design = self.design
        weighting, state = self._at_maximum
        z = design.z1[1:]
        drift = state.hazard * state.means  # hazard times risk-set mean
        expected = z * design._exposure(state.hazard, weighting)
        expected -= design._over_time_at_risk(design._bin_totals(drift, weighting))
        if weighting.fraction is not None:
            spared = design._bin_totals(weighting.fraction * drift, weighting)
            expected[:, design.deaths] += spared[:, design.death_bin]
        residual = -state.risk * expected
        residual[:, design.deaths] += z[:, design.deaths] - self._death_means()
        return residual

    def _death_means(self) -> FloatArray:
        """Covariate mean of the risk set at each kept death (averaged over tied deaths), shape (p, deaths)."""
        design = self.design
        weighting, state = self._at_maximum
        totals = design._bin_totals(state.means, weighting)
        if weighting.event_bin is not None:
            count = np.bincount(weighting.event_bin, minlength=design.bin_time.size)
            totals = totals / np.maximum(count, 1)
        return totals[:, design.death_bin]

    def _to_rows(self, kept: FloatArray) -> FloatArray:
        """Scatter values of kept rows, shape (q, kept), to all rows in their original order, shape (n, q)."""
        out = np.zeros((self.design.n, kept.shape[0]))
        out[self.design.rows] = kept.T
        return out

    def residuals(
        self, kind: Literal["martingale", "score", "dfbeta", "schoenfeld", "scaled_schoenfeld"]
    ) -> FloatArray:
        """Return residuals as R's ``residuals.coxph``.

        Parameters
        ----------
        kind : str
            ``martingale`` (n,): observed minus expected events; ``score`` (n, p): each row's part of the score,
            unweighted; ``dfbeta`` (n, p): weighted, about the change of the coefficients if the row were left out;
            ``schoenfeld`` (events, p), in the order of :attr:`event_times`: covariate minus risk-set mean;
            ``scaled_schoenfeld``: these times their covariance and number, plus the coefficient.
        """
        design = self.design
        if kind == "martingale":
            weighting, state = self._at_maximum
            kept = -state.risk * design._exposure(state.hazard, weighting)
            kept[design.deaths] += 1.0
            return self._to_rows(kept[None, :])[:, 0]
        if kind == "score":
            return self._to_rows(self._score_rows() * design.scale[:, None])
        if kind == "dfbeta":
            return self._to_rows(self._dfbeta_rows())
        if kind in ("schoenfeld", "scaled_schoenfeld"):
            kept = (design.z1[1:, design.deaths] - self._death_means()) * design.scale[:, None]
            if kind == "schoenfeld":
                return kept.T
            return kept.T @ self.cov_model * design.deaths.size + self.coef
        raise ValueError(f"unknown kind of residual: {kind!r}")

    @property
    def event_times(self) -> FloatArray:
        """Times of the events, by stratum and time: the rows of the Schoenfeld residuals."""
        return self.design.bin_time[self.design.death_bin]

    def _dfbeta_rows(self) -> FloatArray:
        """Weighted dfbeta of the kept rows, shape (p, kept)."""
        design = self.design
        rows = self.cov_model @ (self._score_rows() * design.scale[:, None])
        if self.weights is not None:
            rows = rows * self.weights[design.rows]
        return rows

    def information_over_time(self, g: FloatArray) -> FloatArray:
        """Sum over event times of g times the weighted covariance of the covariates in the risk set.

        With g = 1 this is the information matrix; the test of proportional hazards needs it for others.

        Parameters
        ----------
        g : ndarray, shape (K,)
            A value for each distinct event time (of each stratum).
        """
        design = self.design
        weighting, state = self._at_maximum
        z = design.z1[1:]
        at_terms = g if weighting.event_bin is None else g[weighting.event_bin]
        exposure = design._exposure(state.hazard * at_terms, weighting)
        if weighting.row is not None:
            exposure = exposure * weighting.row
        matrix = cross_product(z * (state.risk * exposure), z)
        matrix -= cross_product(state.means * (weighting.mean_weight * at_terms), state.means)
        return matrix * np.multiply.outer(design.scale, design.scale)

    # -- baseline ------------------------------------------------------------------------------------------------

    def cumulative_hazard(self, at: ArrayLike | None = None) -> pd.DataFrame:
        """Return the cumulative hazard of someone with covariates `at` (default: all zero) and no offset.

        The estimator goes with the ties: Efron's increments for ``efron``, Breslow's for ``breslow``, as in R's
        ``basehaz``/``survfit.coxph``.

        Returns
        -------
        DataFrame
            One row a distinct event time: ``stratum, time, hazard`` (increment)``, cumulative_hazard, survival``.
        """
        import pandas as pd

        design = self.design
        weighting, state = self._at_maximum
        values = np.zeros(len(self.names)) if at is None else np.asarray(at, dtype=float)
        shift = np.exp(float(self.coef @ (values - design.centre)) - design.offset_centre)
        increments = design._bin_totals(state.hazard, weighting) * shift
        cumulated = design._accumulate(increments)
        return pd.DataFrame(
            {
                "stratum": design.strata_labels[design.bin_stratum],
                "time": design.bin_time,
                "hazard": increments,
                "cumulative_hazard": cumulated,
                "survival": np.exp(-cumulated),
            }
        )


def _wald(estimate: FloatArray, covariance: FloatArray) -> TestStatistic:
    """Chi-squared statistic of a vector of estimates; NaN if their covariance is singular (too few clusters)."""
    scale = np.sqrt(np.diagonal(covariance))
    if np.linalg.matrix_rank(covariance / np.multiply.outer(scale, scale), hermitian=True) < estimate.size:
        return TestStatistic(float("nan"), estimate.size, float("nan"))
    chi2 = float(estimate @ np.linalg.solve(covariance, estimate))
    return TestStatistic(chi2, estimate.size, float(chdtrc(estimate.size, chi2)))


def cox_fit(
    x: ArrayLike,
    time: ArrayLike,
    event: ArrayLike,
    *,
    start: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    offset: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    ties: Ties = "efron",
    robust: bool = False,
    names: Any = None,
    max_iter: int = 40,
    tol: float = 1e-9,
) -> CoxFit:
    """Fit a Cox proportional hazards model.

    Parameters
    ----------
    x : DataFrame or array_like, shape (n, p)
        Covariates as numbers (dummy variables for categories); a DataFrame's columns name them.
    time : array_like, shape (n,)
        Follow-up (stop) times, in any unit, above zero.
    event : array_like, shape (n,)
        1 or True: event at `time`; 0 or False: censored.
    start : array_like, shape (n,), optional
        Entry times: a row is at risk in (start, time] (left truncation, time-dependent covariates).
    weights : array_like, shape (n,), optional
        Case weights; rows with weight 0 count as absent. With weights that are not counts ask for `robust`.
    strata : array_like, shape (n,), optional
        Each stratum has its own baseline hazard.
    offset : array_like, shape (n,), optional
        Added to the linear predictor with coefficient 1.
    cluster : array_like, shape (n,), optional
        Rows that belong together (a patient's clones, a centre's patients); implies the robust variance.
    ties : {"efron", "breslow"}
        Treatment of tied event times.
    robust : bool
        Also compute the sandwich variance (sum of squared weighted dfbetas, as R).
    names : sequence of str, optional
        Names of the covariates.
    max_iter : int
        Newton iterations allowed; 0 evaluates the likelihood at zero coefficients.
    tol : float
        Converged when the next step is shorter than this many standard errors.

    Returns
    -------
    CoxFit

    Raises
    ------
    NoEventsError, ConstantCovariateError, CollinearCovariatesError, SeparationError
        The data do not determine the coefficients; the covariate is named.
    InvalidTimesError, InvalidEventsError, InvalidWeightsError, InvalidCovariatesError
        Values are missing or impossible.
    ConvergenceError
        No convergence for another reason.
    """
    design = CoxDesign.prepare(x, time, event, start=start, strata=strata, offset=offset, ties=ties, names=names)
    case_weights = as_weights(weights, design.n)
    solution = design.solve(case_weights, max_iter=max_iter, tol=tol)
    p = len(design.names)
    coef = solution.beta / design.scale
    cov_model = solution.covariance / np.multiply.outer(design.scale, design.scale)
    n, n_events = design.n, design.n_events
    if case_weights is not None:
        present = case_weights > 0
        n, n_events = int(present.sum()), int((present & design.event).sum())
    lrt = 2 * (solution.loglik - solution.loglik_init)
    wald = float(coef @ np.linalg.solve(cov_model, coef))
    fit = CoxFit(
        names=design.names,
        coef=coef,
        se_model=np.sqrt(np.diagonal(cov_model)),
        cov_model=cov_model,
        se_robust=None,
        cov_robust=None,
        loglik_null=solution.loglik_init,
        loglik=solution.loglik,
        n=n,
        n_events=n_events,
        score_test=TestStatistic(solution.score_chi2, p, float(chdtrc(p, solution.score_chi2))),
        wald_test=TestStatistic(wald, p, float(chdtrc(p, wald))),
        lrt=TestStatistic(lrt, p, float(chdtrc(p, max(lrt, 0.0)))),
        iterations=solution.iterations,
        converged=solution.converged,
        ties=ties,
        design=design,
        weights=case_weights,
        _beta=solution.beta,
    )
    if not robust and cluster is None:
        return fit
    influence = fit._dfbeta_rows()
    if cluster is not None:
        labels, codes = as_codes(cluster, design.n, "clusters", empty_allowed=True)
        codes = codes[design.rows]
        influence = np.array([np.bincount(codes, weights=v, minlength=labels.size) for v in influence])
    cov_robust = cross_product(influence, influence)
    # frozen: the variance is added before anyone else sees the fit
    object.__setattr__(fit, "cov_robust", cov_robust)
    object.__setattr__(fit, "se_robust", np.sqrt(np.diagonal(cov_robust)))
    object.__setattr__(fit, "wald_test", _wald(coef, cov_robust))
    return fit
