r"""Two arms known only by printed survival percentages: piecewise-exponential survival, honestly uncertain.

A paper that prints 97.7, 83.7 and 54.7 percent alive at 12, 36 and 60 months has said how much of the cumulative hazard
fell into each interval: :math:`h_j = \log S_{j-1} - \log S_j`. What it has not said is how many were still at risk, on
which the uncertainty depends. Printed percentages are Kaplan-Meier estimates, so that in large samples

.. math:: \operatorname{Var} h_j = \frac1n \int_{t_{j-1}}^{t_j} \frac{\lambda_j}{S(t) G(t)} dt

with G the probability of not yet being censored, independent between intervals (Greenwood's formula in the limit;
without censoring the binomial variance of the percentages). G is not printed either. Two answers are offered:
``"none"``, nobody censored before the last time, the smallest variance the percentages can have; and ``"follow_up"``,
the main one: censoring at a constant rate, with half of the patients followed beyond the stated median follow-up.
Rounding of the print adds the variance of a uniform error to each percentage. Everything else (hazard ratios,
restricted means, tests) follows from the covariance of :math:`\log S` by the delta method.

No library does this: reconstruction packages need a digitised curve (see :mod:`.published_curves`).

The arms are taken as independent. Arms matched on a propensity score are positively correlated if at all, which makes
the intervals given here too wide rather than too narrow.

References
----------
Kalbfleisch JD, Prentice RL. The Statistical Analysis of Failure Time Data. 2nd ed. Wiley 2002 (piecewise exponential
model; Greenwood's formula). Parmar MKB, Torri V, Stewart L. Extracting summary statistics to perform meta-analyses of
the published literature for survival endpoints. Stat Med 1998;17:2815-2834 (hazard ratios from percentages, interval
by interval). Struthers CA, Kalbfleisch JD. Misspecified proportional hazard models. Biometrika 1986;73:363-369 (what
Cox's estimate tends to when hazards are not proportional). Royston P, Parmar MKB. BMC Med Res Methodol 2013;13:152
(restricted mean survival time).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import chdtrc, exprel, ndtr, ndtri

from ._inputs import as_float_vector, check_level
from .errors import BeyondFollowUpError, EmptyGroupError, EstimationError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    FloatArray = NDArray[np.float64]

Censoring = Literal["follow_up", "none"]

_NODES = 24  # Gauss-Legendre nodes an interval: integrands are smooth inside it


@dataclass(frozen=True, eq=False)
class ArmHazards:
    """One arm, with a constant hazard in each interval between printed times.

    Attributes
    ----------
    months : ndarray, shape (k,)
        Printed times, ascending, above zero.
    survival : ndarray, shape (k,)
        Printed survival, as proportions.
    n : int
        Patients at time zero.
    hazard : ndarray, shape (k,)
        Hazard a month in the interval that ends at each time.
    at_risk : ndarray, shape (k,)
        Patients expected at risk at the start of each interval.
    expected_events : ndarray, shape (k,)
        Events expected in each interval.
    covariance : ndarray, shape (k, k)
        Covariance of the cumulative hazards (minus log survival) at `months`: sampling and rounding.
    censoring_rate : float
        Rate of censoring a month (0 without censoring before the last time).
    follow_up_median : float
        Months beyond which half of the patients are taken to be followed; NaN without censoring.
    follow_up_assumed : bool
        The median follow-up was not printed: the last printed time is taken for it.
    """

    months: FloatArray
    survival: FloatArray
    n: int
    hazard: FloatArray
    at_risk: FloatArray
    expected_events: FloatArray
    covariance: FloatArray
    censoring_rate: float
    follow_up_median: float
    follow_up_assumed: bool

    @property
    def cumulative_hazard(self) -> FloatArray:
        """Cumulative hazard at `months`, shape (k,)."""
        return -np.log(self.survival)

    def interpolation(self, at: FloatArray) -> FloatArray:
        """Weights, shape (len(at), k), that give the cumulative hazard at times between 0 and the last printed one."""
        knots = np.concatenate([[0.0], self.months])
        identity = np.vstack([np.zeros(self.months.size), np.eye(self.months.size)])
        return np.column_stack([np.interp(at, knots, column) for column in identity.T])

    def restricted_mean(self, horizon: float) -> tuple[float, float]:
        """Area under the fitted curve to `horizon` months and its standard error, months.

        Raises
        ------
        BeyondFollowUpError
            If `horizon` is beyond the last printed time.
        """
        last = float(self.months[-1])
        if not np.isfinite(horizon) or horizon <= 0:
            raise ValueError(f"the horizon must be above zero, found {horizon}")
        if horizon > last:
            raise BeyondFollowUpError(
                f"restricted mean to {horizon:g} months is not estimable: the last percentage is that of month {last:g}"
            )
        at, weight, _ = _nodes(self.months, horizon)
        basis = self.interpolation(at)
        area = weight * np.exp(-(basis @ self.cumulative_hazard))
        gradient = area @ basis
        return float(area.sum()), float(np.sqrt(gradient @ self.covariance @ gradient))


@dataclass(frozen=True)
class AverageHazardRatio:
    """A hazard ratio over the whole time, treated against control.

    Attributes
    ----------
    estimate, ci_low, ci_high : float
    std_err : float
        Of the log.
    p : float
        Two-sided, of a ratio of one.
    """

    estimate: float
    std_err: float
    ci_low: float
    ci_high: float
    p: float


@dataclass(frozen=True)
class IntervalHeterogeneity:
    """Wald test that the hazard ratio is the same in all intervals in which it can be estimated."""

    chi2: float
    df: int
    p: float


@dataclass(frozen=True)
class IntervalTrend:
    """Change of the hazard ratio over time: line through the log interval hazard ratios at the middle of each interval.

    Attributes
    ----------
    ratio_per_year, ci_low, ci_high : float
        Factor by which the hazard ratio changes in twelve months (above 1: a benefit wanes).
    std_err : float
        Of the log of the factor.
    p : float
        Two-sided.
    """

    ratio_per_year: float
    std_err: float
    ci_low: float
    ci_high: float
    p: float


@dataclass(frozen=True)
class RestrictedMeans:
    """Restricted mean survival times of two arms to a horizon, and their difference; months.

    Attributes
    ----------
    horizon : float
    treated, control, difference : float
        Areas under the fitted curves, and treated minus control.
    treated_std_err, control_std_err, std_err : float
    ci_low, ci_high, p : float
        Of the difference.
    lowest, highest : float
        What the difference can be, sampling apart, whatever the shape of the curves between the printed percentages.
    """

    horizon: float
    treated: float
    control: float
    difference: float
    treated_std_err: float
    control_std_err: float
    std_err: float
    ci_low: float
    ci_high: float
    p: float
    lowest: float
    highest: float


@dataclass(frozen=True, eq=False)
class TwoArmReconstruction:
    """What the printed percentages of two arms say.

    Attributes
    ----------
    treated, control : ArmHazards
    intervals : DataFrame
        One row an interval: ``from_months, to_months, hazard_treated, hazard_control`` (a month), ``at_risk_treated,
        at_risk_control`` (expected, at its start), ``expected_events_treated, expected_events_control, hr, ci_low,
        ci_high, se_log, note``. ``hr`` and what follows are NaN where an arm has no events in the interval as printed;
        ``note`` (text, else empty) says so.
    average_hr : AverageHazardRatio or None
        What a Cox model fitted to patients with these hazards and this censoring would estimate in large samples: an
        average of the interval hazard ratios, weighted mostly by events. None if an arm has no events at all.
    cumulative_hr : AverageHazardRatio or None
        Ratio of the cumulative hazards at the last time, log S / log S; depends on no assumption about the shape of
        the curves or, but for its standard error, about censoring.
    heterogeneity : IntervalHeterogeneity or None
        None with fewer than two intervals in which the hazard ratio can be estimated.
    trend : IntervalTrend or None
        As `heterogeneity`.
    censoring : {"follow_up", "none"}
    decimals : int
    level : float
    """

    treated: ArmHazards
    control: ArmHazards
    intervals: pd.DataFrame
    average_hr: AverageHazardRatio | None
    cumulative_hr: AverageHazardRatio | None
    heterogeneity: IntervalHeterogeneity | None
    trend: IntervalTrend | None
    censoring: Censoring
    decimals: int
    level: float
    _z: float = field(repr=False)

    def rmst(self, horizon: float) -> RestrictedMeans:
        """Return the restricted mean survival times to `horizon` months.

        Parameters
        ----------
        horizon : float
            Months, above zero, not beyond the last printed time.

        Raises
        ------
        BeyondFollowUpError
            If `horizon` is beyond the last printed time.
        """
        arms = (self.treated, self.control)
        means, errors = zip(*(arm.restricted_mean(horizon) for arm in arms), strict=True)
        bounds = [_area_bounds(arm, horizon) for arm in arms]
        difference = means[0] - means[1]
        std_err = float(np.hypot(*errors))
        return RestrictedMeans(
            horizon=float(horizon),
            treated=means[0],
            control=means[1],
            difference=difference,
            treated_std_err=errors[0],
            control_std_err=errors[1],
            std_err=std_err,
            ci_low=difference - self._z * std_err,
            ci_high=difference + self._z * std_err,
            p=float(2 * ndtr(-abs(difference / std_err))),
            lowest=bounds[0][0] - bounds[1][1],
            highest=bounds[0][1] - bounds[1][0],
        )

    def survival(self, months: ArrayLike) -> pd.DataFrame:
        """Return the fitted curves.

        Parameters
        ----------
        months : array_like, shape (m,)
            Between 0 and the last printed time.

        Returns
        -------
        DataFrame
            ``month, treated, treated_low, treated_high, control, control_low, control_high``: survival as a
            proportion, with log-log limits (NaN where survival is 1).

        Raises
        ------
        BeyondFollowUpError
            If a time is beyond the last printed one.
        EstimationError
            If a time is missing or below zero.
        """
        import pandas as pd

        at = as_float_vector(np.atleast_1d(months), "months", EstimationError)
        if not (np.isfinite(at) & (at >= 0)).all():
            raise EstimationError("months must not be missing or below zero")
        last = float(self.treated.months[-1])
        if at.size and at.max() > last:
            raise BeyondFollowUpError(
                f"survival at {at.max():g} months is not known: the last percentage is that of month {last:g}"
            )
        columns: dict[str, FloatArray] = {"month": at}
        for name, arm in (("treated", self.treated), ("control", self.control)):
            weights = arm.interpolation(at)
            hazard = weights @ arm.cumulative_hazard
            std_err = np.sqrt(np.einsum("ij,jk,ik->i", weights, arm.covariance, weights))
            with np.errstate(divide="ignore", invalid="ignore"):
                factor = np.exp(self._z * std_err / hazard)
                low, high = np.exp(-hazard * factor), np.exp(-hazard / factor)
            known = hazard > 0
            columns |= {
                name: np.exp(-hazard),
                f"{name}_low": np.where(known, low, np.nan),
                f"{name}_high": np.where(known, high, np.nan),
            }
        return pd.DataFrame(columns)


def interval_hazards(
    months: ArrayLike,
    percents: ArrayLike,
    n: int,
    *,
    follow_up_median: float | None = None,
    censoring: Censoring = "follow_up",
    decimals: int = 1,
) -> ArmHazards:
    """Turn one arm's printed survival percentages into a hazard for each interval.

    Parameters
    ----------
    months : array_like, shape (k,)
        Times of the percentages, ascending, above zero.
    percents : array_like, shape (k,)
        Percent free of the event, as printed: not rising, above 0, at most 100.
    n : int
        Patients in the arm.
    follow_up_median : float, optional
        Median follow-up in months: the time beyond which half would be followed but for the event (reverse
        Kaplan-Meier). A median of the times really observed is shorter than that; taking it is then cautious.
        When not given, the last of `months` is taken, and `follow_up_assumed` says so: with less follow-up the last
        percentage would hardly have been printed.
    censoring : {"follow_up", "none"}
        Constant rate of censoring with that median, or nobody censored before the last time.
    decimals : int
        Decimals of the print.

    Raises
    ------
    EstimationError
        If a value is missing or impossible, percentages rise, look like proportions, have more decimals than said, or
        are 0 (the hazard is then without limit).
    EmptyGroupError
        If `n` is below 1.
    """
    if censoring not in ("follow_up", "none"):
        raise ValueError(f"censoring must be 'follow_up' or 'none', found {censoring!r}")
    if decimals != int(decimals) or decimals < 0:
        raise ValueError(f"decimals must be a whole number from 0, found {decimals}")
    times, percent = _printed(months, percents, decimals)
    if not np.isfinite(n) or n != int(n):
        raise EstimationError(f"the number of patients must be a whole number, found {n}")
    if n < 1:
        raise EmptyGroupError(f"the arm has no patients (n = {int(n)})")
    assumed = follow_up_median is None
    median = float(times[-1]) if follow_up_median is None else float(follow_up_median)
    if not np.isfinite(median) or median <= 0:
        raise EstimationError(f"the median follow-up must be above zero months, found {median:g}")
    if censoring == "none":
        median, assumed = float("nan"), False
    rate = 0.0 if censoring == "none" else float(np.log(2) / median)

    survival = percent / 100
    before = np.concatenate([[1.0], survival[:-1]])
    starts = np.concatenate([[0.0], times[:-1]])
    width = times - starts
    hazard = np.log(before / survival) / width
    at_risk = n * before * np.exp(-rate * starts)
    # integrals of S G and of 1 / (S G) over an interval: exponentials of rate hazard + censoring
    exponent = (hazard + rate) * width
    expected = hazard * width * at_risk * exprel(-exponent)
    increments = hazard * width * exprel(exponent) / at_risk
    greenwood = np.cumsum(increments)
    step = 10.0 ** -int(decimals) / 100
    rounding = np.diag(step**2 / 12 / survival**2)
    order = np.arange(times.size)
    return ArmHazards(
        months=times,
        survival=survival,
        n=int(n),
        hazard=hazard,
        at_risk=at_risk,
        expected_events=expected,
        covariance=greenwood[np.minimum.outer(order, order)] + rounding,
        censoring_rate=rate,
        follow_up_median=median,
        follow_up_assumed=assumed,
    )


def reconstruct(
    months: ArrayLike,
    percents_treated: ArrayLike,
    percents_control: ArrayLike,
    n_treated: int,
    n_control: int,
    *,
    follow_up_median_treated: float | None = None,
    follow_up_median_control: float | None = None,
    censoring: Censoring = "follow_up",
    decimals: int = 1,
    level: float = 0.95,
) -> TwoArmReconstruction:
    """Compare two arms known by survival percentages at the same times.

    Parameters
    ----------
    months : array_like, shape (k,)
        Times of the percentages of both arms, ascending, above zero.
    percents_treated, percents_control : array_like, shape (k,)
    n_treated, n_control : int
    follow_up_median_treated, follow_up_median_control : float, optional
        Months; see :func:`interval_hazards`, also for `censoring` and `decimals`.
    censoring : {"follow_up", "none"}
    decimals : int
    level : float

    Raises
    ------
    EstimationError
        As :func:`interval_hazards`; the message names the arm.
    """
    import pandas as pd

    check_level(level)
    z = float(ndtri(0.5 + level / 2))
    arms = []
    for name, percents, n, median in (
        ("treated", percents_treated, n_treated, follow_up_median_treated),
        ("control", percents_control, n_control, follow_up_median_control),
    ):
        try:
            arms.append(
                interval_hazards(months, percents, n, follow_up_median=median, censoring=censoring, decimals=decimals)
            )
        except EstimationError as exc:
            raise type(exc)(f"{name} arm: {exc}") from None
    treated, control = arms
    times = treated.months
    starts = np.concatenate([[0.0], times[:-1]])
    log_hr, covariance, known = _log_interval_ratios(treated, control)
    se_log = np.sqrt(np.diag(covariance))
    notes = [
        "" if ok else f"no events as printed ({'both arms' if a == b == 0 else 'treated' if a == 0 else 'control'})"
        for ok, a, b in zip(known, treated.hazard, control.hazard, strict=True)
    ]
    intervals = pd.DataFrame(
        {
            "from_months": starts,
            "to_months": times,
            "hazard_treated": treated.hazard,
            "hazard_control": control.hazard,
            "at_risk_treated": treated.at_risk,
            "at_risk_control": control.at_risk,
            "expected_events_treated": treated.expected_events,
            "expected_events_control": control.expected_events,
            "hr": np.exp(log_hr),
            "ci_low": np.exp(log_hr - z * se_log),
            "ci_high": np.exp(log_hr + z * se_log),
            "se_log": se_log,
            "note": pd.Series(notes, dtype="string"),
        }
    )
    heterogeneity, trend = _change(log_hr[known], covariance[np.ix_(known, known)], ((starts + times) / 2)[known], z)
    both = bool((treated.hazard > 0).any() and (control.hazard > 0).any())
    return TwoArmReconstruction(
        treated=treated,
        control=control,
        intervals=intervals,
        average_hr=_from_hazards(_cox_limit, treated, control, z) if both else None,
        cumulative_hr=_from_hazards(_cumulative_ratio, treated, control, z) if both else None,
        heterogeneity=heterogeneity,
        trend=trend,
        censoring=censoring,
        decimals=int(decimals),
        level=level,
        _z=z,
    )


def _printed(months: ArrayLike, percents: ArrayLike, decimals: int) -> tuple[FloatArray, FloatArray]:
    """Return times and percentages, checked."""
    times = as_float_vector(months, "months", EstimationError)
    percent = as_float_vector(percents, "percentages", EstimationError)
    if times.size == 0:
        raise EstimationError("no percentages")
    if times.size != percent.size:
        raise EstimationError(f"{percent.size} percentages for {times.size} times")
    if not (np.isfinite(times).all() and np.isfinite(percent).all()):
        raise EstimationError("a time or a percentage is missing or infinite")
    if times[0] <= 0 or (np.diff(times) <= 0).any():
        raise EstimationError(f"times must ascend and be above zero, found {', '.join(f'{t:g}' for t in times)}")
    for month, value in zip(times, percent, strict=True):
        if not 0 <= value <= 100:
            raise EstimationError(f"month {month:g}: {value:g} is not a percentage between 0 and 100")
        if value == 0:
            raise EstimationError(
                f"month {month:g}: 0 percent. The hazard of the interval that ends there is without limit; leave this "
                "time out"
            )
        if abs(value - round(value, int(decimals))) > 1e-9:
            raise EstimationError(
                f"month {month:g}: {value:g} has more than the {decimals} decimals said to be printed"
            )
    if percent.max() <= 1:
        raise EstimationError(f"percentages are wanted, found proportions ({percent[0]:g} at month {times[0]:g})")
    rises = np.flatnonzero(np.diff(percent) > 0)
    if rises.size:
        i = int(rises[0])
        raise EstimationError(
            f"survival rises from {percent[i]:g} percent at month {times[i]:g} "
            f"to {percent[i + 1]:g} at month {times[i + 1]:g}"
        )
    return times, percent


def _log_interval_ratios(treated: ArmHazards, control: ArmHazards) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Log hazard ratios of the intervals, their covariance, and where they can be estimated (else NaN)."""
    known = (treated.hazard > 0) & (control.hazard > 0)
    size = known.size
    difference = np.eye(size) - np.eye(size, k=-1)
    log_hr = np.full(size, np.nan)
    log_hr[known] = np.log(treated.hazard[known] / control.hazard[known])
    covariance = np.zeros((size, size))
    for arm in (treated, control):
        increments = difference @ arm.cumulative_hazard
        with np.errstate(divide="ignore", invalid="ignore"):
            covariance += difference @ arm.covariance @ difference.T / np.outer(increments, increments)
    covariance[~known, :] = np.nan
    covariance[:, ~known] = np.nan
    return log_hr, covariance, known


def _change(
    log_hr: FloatArray, covariance: FloatArray, middle: FloatArray, z: float
) -> tuple[IntervalHeterogeneity | None, IntervalTrend | None]:
    """Test equality of the interval hazard ratios, and fit a line through their logs by generalised least squares."""
    size = log_hr.size
    if size < 2:
        return None, None
    contrasts = np.eye(size)[1:] - np.eye(size)[:-1]
    gaps = contrasts @ log_hr
    chi2 = float(gaps @ np.linalg.solve(contrasts @ covariance @ contrasts.T, gaps))
    design = np.column_stack([np.ones(size), middle / 12])
    information = design.T @ np.linalg.solve(covariance, design)
    slope = float(np.linalg.solve(information, design.T @ np.linalg.solve(covariance, log_hr))[1])
    std_err = float(np.sqrt(np.linalg.inv(information)[1, 1]))
    with np.errstate(over="ignore"):  # intervals of days know nothing of a year: the limit is infinite
        ratio, low, high = np.exp(slope + np.array([0.0, -z, z]) * std_err)
    return (
        IntervalHeterogeneity(chi2, size - 1, float(chdtrc(size - 1, chi2))),
        IntervalTrend(
            ratio_per_year=float(ratio),
            std_err=std_err,
            ci_low=float(low),
            ci_high=float(high),
            p=float(2 * ndtr(-abs(slope / std_err))),
        ),
    )


def _nodes(months: FloatArray, horizon: float) -> tuple[FloatArray, FloatArray, NDArray[np.intp]]:
    """Gauss-Legendre nodes and weights for an integral from 0 to `horizon`, and the interval each lies in."""
    ends = np.append(months[months < horizon], horizon)
    starts = np.concatenate([[0.0], ends[:-1]])
    unit, weight = np.polynomial.legendre.leggauss(_NODES)
    half = (ends - starts)[:, None] / 2
    at = (starts + ends)[:, None] / 2 + half * unit
    return at.ravel(), (half * weight).ravel(), np.repeat(np.arange(ends.size), _NODES)


def _area_bounds(arm: ArmHazards, horizon: float) -> tuple[float, float]:
    """Least and largest area under any falling curve through the printed percentages."""
    ends = np.minimum(arm.months, horizon)
    width = np.diff(ends, prepend=0.0)
    before = np.concatenate([[1.0], arm.survival[:-1]])
    return float(width @ arm.survival), float(width @ before)


_Ratio = tuple[float, "FloatArray", "FloatArray"]


def _cumulative_ratio(treated: ArmHazards, control: ArmHazards) -> _Ratio:
    """Log ratio of the cumulative hazards at the last time, and its gradients in each arm's cumulative hazards."""
    gradients = []
    for arm in (treated, control):
        gradient = np.zeros(arm.months.size)
        gradient[-1] = 1 / arm.cumulative_hazard[-1]
        gradients.append(gradient)
    return float(np.log(gradients[1][-1] / gradients[0][-1])), gradients[0], -gradients[1]


def _cox_limit(treated: ArmHazards, control: ArmHazards) -> _Ratio:
    r"""Log hazard ratio at which the expected Cox score is nought, and its gradients in each arm's cumulative hazards.

    The expected score is the integral of :math:`(\lambda_1 - e^\beta \lambda_0) y_1 y_0 / (e^\beta y_1 + y_0)`, with
    y = n S G the numbers at risk; the gradients follow from the implicit function theorem.
    """
    from scipy.optimize import brentq

    at, weight, interval = _nodes(treated.months, float(treated.months[-1]))
    basis = treated.interpolation(at)
    width = np.diff(treated.months, prepend=0.0)
    slopes = (np.eye(width.size) - np.eye(width.size, k=-1)) / width[:, None]  # hazard = slopes @ cumulative hazard
    y1, y0 = (arm.n * np.exp(-(basis @ arm.cumulative_hazard) - arm.censoring_rate * at) for arm in (treated, control))
    rate1, rate0 = treated.hazard[interval], control.hazard[interval]

    def score(beta: float) -> float:
        theta = np.exp(beta)
        return float(weight @ ((rate1 - theta * rate0) * y1 * y0 / (theta * y1 + y0)))

    reach = 1.0
    while score(-reach) <= 0 or score(reach) >= 0:
        reach *= 2
    beta = float(brentq(score, -reach, reach, xtol=1e-14, rtol=1e-14))
    theta = np.exp(beta)
    total = theta * y1 + y0
    both = weight * y1 * y0 / total
    excess = rate1 - theta * rate0
    in_beta = -(both @ (theta * rate0 + excess * theta * y1 / total))
    in_treated = both @ slopes[interval] - (both * excess * y0 / total) @ basis
    in_control = -theta * (both @ slopes[interval]) - (both * excess * theta * y1 / total) @ basis
    return beta, -in_treated / in_beta, -in_control / in_beta


def _from_hazards(
    ratio: Callable[[ArmHazards, ArmHazards], _Ratio], treated: ArmHazards, control: ArmHazards, z: float
) -> AverageHazardRatio:
    """Return a hazard ratio that is a function of the cumulative hazards, by the delta method."""
    log_hr, in_treated, in_control = ratio(treated, control)
    variance = in_treated @ treated.covariance @ in_treated + in_control @ control.covariance @ in_control
    std_err = float(np.sqrt(variance))
    return AverageHazardRatio(
        estimate=float(np.exp(log_hr)),
        std_err=std_err,
        ci_low=float(np.exp(log_hr - z * std_err)),
        ci_high=float(np.exp(log_hr + z * std_err)),
        p=float(2 * ndtr(-abs(log_hr / std_err))),
    )
