r"""Two-stage meta-analysis: common and random effects, REML, Hartung-Knapp intervals, prediction; what it hangs on.

For effects y_i (such as log hazard ratios, one a centre or a study) with known standard errors:
:math:`y_i \sim N(\mu, s_i^2 + \tau^2)`. Own closed forms because ``statsmodels.stats.meta_analysis`` has neither the
restricted maximum likelihood estimate of tau squared nor its Q-profile interval nor a prediction interval; equal to
R's ``metafor`` (``tests/reference``).

References
----------
Viechtbauer W. Bias and efficiency of meta-analytic variance estimators in the random-effects model. J Educ Behav Stat
2005;30:261-293 (REML). Knapp G, Hartung J. Improved tests for a random effects meta-regression with a single
covariate. Stat Med 2003;22:2693-2710. Viechtbauer W. Confidence intervals for the amount of heterogeneity in
meta-analysis. Stat Med 2007;26:37-52 (Q-profile). Higgins JPT, Thompson SG. Quantifying heterogeneity in a
meta-analysis. Stat Med 2002;21:1539-1558 (I squared). Higgins JPT, Thompson SG, Spiegelhalter DJ. A re-evaluation of
random-effects meta-analysis. J R Stat Soc A 2009;172:137-159 (prediction). Egger M, Davey Smith G, Schneider M,
Minder C. Bias in meta-analysis detected by a simple, graphical test. BMJ 1997;315:629-634. Lau J, Antman EM,
Jimenez-Silva J, et al. Cumulative meta-analysis of therapeutic trials for myocardial infarction. N Engl J Med
1992;327:248-254. Sterne JAC, Sutton AJ, Ioannidis JPA, et al. Recommendations for examining and interpreting funnel
plot asymmetry in meta-analyses of randomised controlled trials. BMJ 2011;343:d4002 (ten studies or more).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtrc, chdtri, ndtr, ndtri, stdtr, stdtrit

from ._inputs import as_float_vector, check_length, check_level
from .errors import ConstantCovariateError, ConvergenceError, EmptyGroupError, EstimationError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    FloatArray = NDArray[np.float64]

_STEPS = 500
_TOLERANCE = 1e-14


@dataclass(frozen=True)
class Pooled:
    """A pooled effect with its standard error, interval and two-sided p value."""

    estimate: float
    std_err: float
    ci_low: float
    ci_high: float
    p: float


@dataclass(frozen=True, eq=False)
class MetaAnalysis:
    """Effects of k studies pooled.

    Attributes
    ----------
    labels : tuple of str
        The studies, in the order given.
    effects, std_errs : ndarray, shape (k,)
    common : Pooled
        Inverse-variance weighted mean, for one effect common to all; normal interval.
    random : Pooled
        Mean of the distribution of effects, tau squared by REML; Hartung-Knapp standard error, interval from t on
        k - 1 degrees of freedom.
    random_wald : Pooled
        The same mean with the standard error that takes tau squared as known, and a normal interval.
    hartung_knapp_factor : float
        Square of the ratio of the two standard errors, before any correction. Below 1 the Hartung-Knapp interval may be
        shorter than the Wald interval, unless `at_least_wald` was asked for.
    prediction_low, prediction_high : float
        Where the effect of a new study is expected: t on k - 1 degrees of freedom with the Hartung-Knapp variance,
        as ``metafor::predict.rma`` after ``test = "knha"``; :meth:`prediction_higgins` is the other convention.
    tau2, tau2_low, tau2_high : float
        REML estimate of the variance between studies and its Q-profile interval.
    q, q_p : float
        Cochran's Q on k - 1 degrees of freedom, and its p value.
    i2, i2_low, i2_high : float
        Share of the variance that is between studies, percent; from tau squared and its limits.
    weights_common, weights_random : ndarray, shape (k,)
        Shares of the studies, percent.
    level : float
    """

    labels: tuple[str, ...]
    effects: FloatArray
    std_errs: FloatArray
    common: Pooled
    random: Pooled
    random_wald: Pooled
    hartung_knapp_factor: float
    prediction_low: float
    prediction_high: float
    tau2: float
    tau2_low: float
    tau2_high: float
    q: float
    q_p: float
    i2: float
    i2_low: float
    i2_high: float
    weights_common: FloatArray
    weights_random: FloatArray
    level: float

    @property
    def k(self) -> int:
        """Number of studies."""
        return self.effects.size

    def prediction_higgins(self) -> tuple[float, float]:
        """Return the prediction interval of Higgins, Thompson and Spiegelhalter: t on k - 2 and the Wald variance.

        Equal to ``metafor::predict.rma(pi.type = "riley")`` after ``test = "z"``. It loses a degree of freedom for tau
        squared, which :attr:`prediction_low` does not; it does not know how far the effects really scatter about
        their mean, which the Hartung-Knapp variance of :attr:`prediction_low` does.

        Raises
        ------
        EmptyGroupError
            With two studies, which leave no degree of freedom.
        """
        if self.k < 3:
            raise EmptyGroupError(f"at least three studies are needed for this prediction interval, found {self.k}")
        mean = self.random_wald.estimate
        reach = float(stdtrit(self.k - 2, 0.5 + self.level / 2)) * float(
            np.sqrt(self.random_wald.std_err**2 + self.tau2)
        )
        return mean - reach, mean + reach


@dataclass(frozen=True)
class EggerTest:
    """Egger's regression test for asymmetry of a funnel plot: effects on their standard errors, weights 1 / variance.

    Attributes
    ----------
    k : int
        Number of studies.
    estimate, std_err, ci_low, ci_high : float
        Slope: change of the effect for a standard error larger by one. It is the intercept of Egger's regression of
        the standardised effect on precision. The variance is estimated from the scatter (multiplicative dispersion).
    statistic, df, p : float
        t = `estimate` / `std_err` on k - 2 degrees of freedom, two-sided p.
    limit_estimate, limit_low, limit_high : float
        Effect expected of a study without sampling error (standard error nought), with its interval.
    level : float
    """

    k: int
    estimate: float
    std_err: float
    ci_low: float
    ci_high: float
    statistic: float
    df: int
    p: float
    limit_estimate: float
    limit_low: float
    limit_high: float
    level: float


def meta_analysis(
    effects: ArrayLike,
    std_errs: ArrayLike,
    labels: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    at_least_wald: bool = False,
) -> MetaAnalysis:
    """Pool effects of independent studies.

    Parameters
    ----------
    effects : array_like, shape (k,)
        On a scale on which they are about normal: log hazard ratios, not hazard ratios.
    std_errs : array_like, shape (k,)
        Their standard errors, above zero.
    labels : sequence of str, optional
        Names of the studies; ``1`` to ``k`` when not given.
    level : float
    at_least_wald : bool
        Never let the Hartung-Knapp standard error fall below Wald's, as it does where effects agree better than chance
        lets expect (Knapp and Hartung's own proposal; ``test="adhoc"`` of metafor).

    Raises
    ------
    EmptyGroupError
        With fewer than two studies.
    EstimationError
        If a value is missing or infinite, or a standard error is not above zero (the study is named).
    """
    check_level(level)
    y, s, names = _studies(effects, std_errs, labels)
    if y.size < 2:
        raise EmptyGroupError(f"at least two studies are needed, found {y.size}")
    v = s**2
    df = y.size - 1
    z = float(ndtri(0.5 + level / 2))
    t = float(stdtrit(df, 0.5 + level / 2))

    fixed = 1 / v
    common_mean = float(fixed @ y / fixed.sum())
    q = float(fixed @ (y - common_mean) ** 2)
    tau2 = _reml(y, v)
    w = 1 / (v + tau2)
    mean = float(w @ y / w.sum())
    se_wald = float(1 / np.sqrt(w.sum()))
    factor = float(w @ (y - mean) ** 2 / df)
    se = se_wald * np.sqrt(max(1.0, factor) if at_least_wald else factor)
    reach = t * float(np.sqrt(se**2 + tau2))
    low, high = _q_profile(y, v, level)
    typical = df * fixed.sum() / (fixed.sum() ** 2 - (fixed**2).sum())  # Higgins and Thompson's typical variance
    return MetaAnalysis(
        labels=names,
        effects=y,
        std_errs=s,
        common=_pooled(common_mean, float(1 / np.sqrt(fixed.sum())), z, lambda x: 2 * ndtr(-abs(x))),
        random=_pooled(mean, float(se), t, lambda x: 2 * stdtr(df, -abs(x))),
        random_wald=_pooled(mean, se_wald, z, lambda x: 2 * ndtr(-abs(x))),
        hartung_knapp_factor=factor,
        prediction_low=mean - reach,
        prediction_high=mean + reach,
        tau2=tau2,
        tau2_low=low,
        tau2_high=high,
        q=q,
        q_p=float(chdtrc(df, q)),
        i2=float(100 * tau2 / (tau2 + typical)),
        i2_low=float(100 * low / (low + typical)),
        i2_high=float(100 * high / (high + typical)),
        weights_common=100 * fixed / fixed.sum(),
        weights_random=100 * w / w.sum(),
        level=level,
    )


def leave_one_out(
    effects: ArrayLike,
    std_errs: ArrayLike,
    labels: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    at_least_wald: bool = False,
) -> tuple[MetaAnalysis, ...]:
    """Pool all studies but one, for each in turn; equal to ``metafor::leave1out``.

    Parameters
    ----------
    effects, std_errs, labels, level, at_least_wald
        As in :func:`meta_analysis`.

    Returns
    -------
    tuple of MetaAnalysis, length k
        Element i leaves out study i.

    Raises
    ------
    EmptyGroupError
        With fewer than three studies: what is left is one study, not a synthesis.
    EstimationError
        As :func:`meta_analysis`.
    """
    check_level(level)
    y, s, names = _studies(effects, std_errs, labels)
    if y.size < 3:
        raise EmptyGroupError(f"at least three studies are needed to leave one out, found {y.size}")
    return tuple(
        meta_analysis(
            np.delete(y, i), np.delete(s, i), names[:i] + names[i + 1 :], level=level, at_least_wald=at_least_wald
        )
        for i in range(y.size)
    )


def cumulative(
    effects: ArrayLike,
    std_errs: ArrayLike,
    labels: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    at_least_wald: bool = False,
) -> tuple[MetaAnalysis, ...]:
    """Pool the first two studies, the first three and so on in the order given; equal to ``metafor::cumul``.

    Parameters
    ----------
    effects, std_errs, labels, level, at_least_wald
        As in :func:`meta_analysis`; the order (by year, say) is the caller's.

    Returns
    -------
    tuple of MetaAnalysis, length k - 1
        The last is the synthesis of all.

    Raises
    ------
    EmptyGroupError
        With fewer than two studies.
    EstimationError
        As :func:`meta_analysis`.
    """
    check_level(level)
    y, s, names = _studies(effects, std_errs, labels)
    if y.size < 2:
        raise EmptyGroupError(f"at least two studies are needed, found {y.size}")
    return tuple(
        meta_analysis(y[:upto], s[:upto], names[:upto], level=level, at_least_wald=at_least_wald)
        for upto in range(2, y.size + 1)
    )


def egger_test(effects: ArrayLike, std_errs: ArrayLike, *, level: float = 0.95, minimum: int = 10) -> EggerTest:
    """Test whether small studies show other effects than large ones; equal to ``metafor::regtest(model = "lm")``.

    Parameters
    ----------
    effects, std_errs : array_like, shape (k,)
        As in :func:`meta_analysis`.
    level : float
    minimum : int
        Studies below which the test is refused: it hardly ever finds anything there (Sterne et al. 2011). At least 3.

    Raises
    ------
    EmptyGroupError
        With fewer than `minimum` studies.
    ConstantCovariateError
        If all standard errors are the same.
    EstimationError
        If a value is missing or infinite, or a standard error is not above zero.
    """
    check_level(level)
    if minimum < 3:
        raise ValueError(f"minimum must be at least 3, found {minimum}")
    y, s, _ = _studies(effects, std_errs, None)
    if y.size < minimum:
        raise EmptyGroupError(f"asymmetry is tested with {minimum} studies or more, found {y.size}")
    if np.ptp(s) <= 1e-12 * s.max():
        raise ConstantCovariateError("all studies have the same standard error: there are no small ones to compare")
    w = 1 / s**2
    df = y.size - 2
    centre = float(w @ s / w.sum())
    mean = float(w @ y / w.sum())
    spread = float(w @ (s - centre) ** 2)
    slope = float(w @ ((s - centre) * y) / spread)
    limit = mean - slope * centre
    dispersion = float(w @ (y - limit - slope * s) ** 2) / df
    std_err = float(np.sqrt(dispersion / spread))
    limit_std_err = float(np.sqrt(dispersion * (1 / w.sum() + centre**2 / spread)))
    quantile = float(stdtrit(df, 0.5 + level / 2))
    fitted = _pooled(slope, std_err, quantile, lambda x: 2 * stdtr(df, -abs(x)))
    return EggerTest(
        k=y.size,
        estimate=slope,
        std_err=std_err,
        ci_low=fitted.ci_low,
        ci_high=fitted.ci_high,
        statistic=slope / std_err if std_err > 0 else float("nan"),
        df=df,
        p=fitted.p,
        limit_estimate=limit,
        limit_low=limit - quantile * limit_std_err,
        limit_high=limit + quantile * limit_std_err,
        level=level,
    )


def _studies(
    effects: ArrayLike, std_errs: ArrayLike, labels: Sequence[str] | None
) -> tuple[FloatArray, FloatArray, tuple[str, ...]]:
    """Return effects, standard errors and names, checked."""
    y = as_float_vector(effects, "effects", EstimationError)
    s = as_float_vector(std_errs, "standard errors", EstimationError)
    check_length(s, y.size, "standard errors", EstimationError)
    names = tuple(str(i + 1) for i in range(y.size)) if labels is None else tuple(map(str, labels))
    if len(names) != y.size:
        raise EstimationError(f"{len(names)} labels for {y.size} effects")
    bad = ~(np.isfinite(y) & np.isfinite(s) & (s > 0))
    if bad.any():
        named = ", ".join(names[i] for i in np.flatnonzero(bad))
        raise EstimationError(f"effects must be finite and standard errors above zero; they are not in: {named}")
    return y, s, names


def _pooled(estimate: float, std_err: float, quantile: float, p_value: Callable[[float], float]) -> Pooled:
    # effects that agree to the last digit have a Hartung-Knapp variance of zero: no interval, no test
    if not std_err > 0:
        return Pooled(estimate, std_err, float("nan"), float("nan"), float("nan"))
    reach = quantile * std_err
    return Pooled(estimate, std_err, estimate - reach, estimate + reach, float(p_value(estimate / std_err)))


def _reml(y: FloatArray, v: FloatArray) -> float:
    """Return the restricted maximum likelihood estimate of tau squared by Fisher scoring, not below zero."""
    fixed = 1 / v
    spread = y - fixed @ y / fixed.sum()
    # DerSimonian and Laird's moment estimate to start from
    tau2 = max(0.0, float((fixed @ spread**2 - (y.size - 1)) / (fixed.sum() - (fixed**2).sum() / fixed.sum())))
    score = before = 0.0
    for _ in range(_STEPS):
        before, (score, information) = tau2, _restricted_score(y, v, tau2)
        tau2 = max(0.0, tau2 + score / information)
        if abs(tau2 - before) <= _TOLERANCE * (1 + before):
            return tau2
    # where observed and expected information differ twofold, steps go to and fro over the maximum
    if score * _restricted_score(y, v, tau2)[0] < 0:
        from scipy.optimize import brentq

        return float(brentq(lambda x: _restricted_score(y, v, x)[0], before, tau2, xtol=1e-300, rtol=_TOLERANCE))
    raise ConvergenceError("the restricted likelihood of tau squared has not converged")


def _restricted_score(y: FloatArray, v: FloatArray, tau2: float) -> tuple[float, float]:
    """Return the restricted score of tau squared and its expected information, both doubled."""
    w = 1 / (v + tau2)
    total = w.sum()
    residual = w * (y - w @ y / total)  # P y, with P = W - W 1 1' W / total
    trace = total - (w**2).sum() / total
    trace_squared = (w**2).sum() - 2 * (w**3).sum() / total + ((w**2).sum() / total) ** 2
    return float(residual @ residual - trace), float(trace_squared)


def _generalised_q(y: FloatArray, v: FloatArray, tau2: float) -> float:
    w = 1 / (v + tau2)
    return float(w @ (y - w @ y / w.sum()) ** 2)


def _q_profile(y: FloatArray, v: FloatArray, level: float) -> tuple[float, float]:
    """Return the values of tau squared at which the generalised Q meets the quantiles of its distribution.

    A limit that would lie below zero is zero, as in R.
    """
    from scipy.optimize import brentq

    df = y.size - 1

    def limit(quantile: float) -> float:
        if _generalised_q(y, v, 0.0) <= quantile:
            return 0.0
        upper = float(np.var(y) + v.max())
        while _generalised_q(y, v, upper) > quantile:
            upper *= 2
        return float(brentq(lambda tau2: _generalised_q(y, v, tau2) - quantile, 0.0, upper, xtol=1e-15, rtol=1e-14))

    tail = (1 - level) / 2
    return limit(float(chdtri(df, tail))), limit(float(chdtri(df, 1 - tail)))
