"""What the estimate parts share: reasons instead of crashes, the rule on small groups, names of horizons."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.stats.errors import EstimationError

if TYPE_CHECKING:
    from sorafenib_rfa.stats.cox import CoxFit, HazardRatio
    from sorafenib_rfa.stats.kaplan_meier import Quantile

Result = TypeVar("Result")

NAN = float("nan")


def attempt(function: Callable[..., Result], *args: Any, **kwargs: Any) -> tuple[Result | None, str]:
    """Return the result and '', or None and why the data do not allow the estimate.

    Only :class:`EstimationError` is caught: anything else is a defect and must be seen.
    """
    try:
        return function(*args, **kwargs), ""
    except EstimationError as error:
        return None, f"not estimable: {error}"


def hazard_ratio(fit: CoxFit | None, name: str, level: float, reason: str) -> tuple[HazardRatio | None, str]:
    """Return a fitted hazard ratio and '', or None and why there is none.

    A standard error of zero is none: with all events at one or two times the robust variance can vanish.
    """
    if fit is None:
        return None, reason
    if not fit.se[fit.names.index(name)] > 1e-10:
        return None, "not estimable: the robust variance is zero (too few distinct event times)"
    return fit.hazard_ratio(name, level), ""


def untested(sizes: Mapping[str, int], plan: Plan) -> str:
    """Return why groups are not compared, or '' when they may be.

    Parameters
    ----------
    sizes : mapping
        Group -> number of patients.
    plan : Plan
        Its ``small_group``: a group with fewer patients is described, not tested.
    """
    if len(sizes) < 2:
        return "not estimable: there are no two groups to compare"
    small = [f"{name} (n = {size})" for name, size in sizes.items() if size < plan.small_group]
    if small:
        return f"not tested: fewer than {plan.small_group} patients in {', '.join(small)}"
    return ""


def horizon(months: float) -> str:
    """Return how a time point stands in an ARD id: ``m12``; ``m4_5`` for four and a half months."""
    return f"m{months:g}".replace(".", "_")


def quantile_values(quantile: Quantile | None) -> tuple[float, float, float]:
    """Return a quantile of a survival curve and its limits, with infinity for 'not reached'.

    The estimators give NaN where a curve does not come down far enough. For the estimate and the upper limit that
    means: not reached. A lower limit is not reached only when the estimate is not; otherwise it is unknown.
    """
    if quantile is None:
        return NAN, NAN, NAN
    estimate = math.inf if math.isnan(quantile.estimate) else quantile.estimate
    low = math.inf if math.isnan(quantile.ci_low) and math.isinf(estimate) else quantile.ci_low
    high = math.inf if math.isnan(quantile.ci_high) else quantile.ci_high
    return estimate, low, high
