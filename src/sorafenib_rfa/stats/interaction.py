"""Does an effect differ between subgroups? Tests of interaction, heterogeneity, and their multiplicity.

References
----------
Rothwell PM. Subgroup analysis in randomised controlled trials: importance, indications, and interpretation. Lancet
2005;365:176-186 (test interactions, not subgroups). Cochran WG. Biometrics 1954;10:101-129 (heterogeneity). Holm S.
A simple sequentially rejective multiple test procedure. Scand J Stat 1979;6:65-70.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import chdtrc

from ._inputs import as_codes, as_events, as_float_vector, as_times, check_length
from .cox import CoxFit, TestStatistic, cox_fit
from .errors import EmptyGroupError, EstimationError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class InteractionFit:
    """Effects by level from one Cox model, and the test that they are equal.

    Attributes
    ----------
    levels : tuple
        In the order of the coefficients of `fit`.
    test : TestStatistic
        Wald test of equal log hazard ratios, on one degree of freedom less than there are levels.
    fit : CoxFit
        One log hazard ratio a level.
    """

    levels: tuple[Any, ...]
    test: TestStatistic
    fit: CoxFit


def treatment_by_level(
    treated: ArrayLike,
    level: ArrayLike,
    time: ArrayLike,
    event: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    robust: bool = True,
) -> InteractionFit:
    """Fit a Cox model with a treatment effect in each level, each level with its own baseline hazard.

    Levels as strata: the effects are those of separate models, so that the test compares exactly what a forest plot
    shows, and supposes nothing about how prognosis differs between levels.

    Parameters
    ----------
    treated : array_like of 0 and 1, shape (n,)
    level : array_like, shape (n,)
        Subgroup of each person.
    time, event, weights
        As :func:`sorafenib_rfa.stats.cox.cox_fit`.
    robust : bool
        Sandwich variance, as weights need it.

    Raises
    ------
    EmptyGroupError
        If there are fewer than two levels.
    EstimationError
        If an effect cannot be estimated; SeparationError and ConstantCovariateError name the level.
    """
    stop, _ = as_times(time)
    indicator = as_events(treated, stop.size)
    labels, codes = as_codes(level, stop.size, "subgroup levels")
    if labels.size < 2:
        raise EmptyGroupError(f"two levels are needed to test an interaction, found {labels.size}")
    x = (codes[:, None] == np.arange(labels.size)) & indicator[:, None]
    fit = cox_fit(
        x.astype(float),
        stop,
        event,
        weights=weights,
        strata=codes,
        robust=robust,
        names=[str(name) for name in labels],
    )
    differences = np.column_stack([-np.ones(labels.size - 1), np.eye(labels.size - 1)])
    return InteractionFit(tuple(labels), fit.contrast(differences), fit)


def heterogeneity(estimates: ArrayLike, std_errs: ArrayLike) -> TestStatistic:
    """Test that independent estimates have one mean (Cochran's Q).

    Parameters
    ----------
    estimates, std_errs : array_like, shape (k,)
        One a level; standard errors above zero.

    Raises
    ------
    EstimationError
        With fewer than two estimates, or a standard error that is missing or not above zero.
    """
    values = as_float_vector(estimates, "estimates", EstimationError)
    errors = as_float_vector(std_errs, "standard errors", EstimationError)
    check_length(errors, values.size, "standard errors", EstimationError)
    if values.size < 2:
        raise EmptyGroupError(f"two estimates are needed to test heterogeneity, found {values.size}")
    if not (np.isfinite(values).all() and np.isfinite(errors).all() and (errors > 0).all()):
        raise EstimationError("heterogeneity needs finite estimates and standard errors above zero")
    precision = errors**-2.0
    pooled = precision @ values / precision.sum()
    chi2 = float(precision @ (values - pooled) ** 2)
    return TestStatistic(chi2, values.size - 1, float(chdtrc(values.size - 1, chi2)))


def holm(p_values: ArrayLike) -> FloatArray:
    """Return p values adjusted for their number by Holm's step-down method, in the order given; NaN stays NaN.

    A missing p value is a test that was not done, and is not counted.
    """
    p = as_float_vector(p_values, "p values", EstimationError)
    done = np.flatnonzero(np.isfinite(p))
    adjusted = np.full(p.size, np.nan)
    order = done[np.argsort(p[done], kind="stable")]
    factors = np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return adjusted
