"""Number needed to treat: the reciprocal of a risk difference, with an interval that may pass through infinity.

A risk difference whose interval holds zero is compatible with benefit and with harm. Its reciprocals then are no
interval around the estimate but its complement: from the number needed to harm at one limit through infinity (no
difference) to the number needed to treat at the other (Altman 1998).

References
----------
Altman DG. Confidence intervals for the number needed to treat. BMJ 1998;317:1309-1312.
Altman DG, Andersen PK. Calculating the number needed to treat for trials where the outcome is time to an event.
BMJ 1999;319:1492-1495.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .errors import EstimationError


@dataclass(frozen=True)
class NumberNeeded:
    """Numbers needed, signed: above zero to treat for one to benefit, below zero to treat for one to be harmed.

    Attributes
    ----------
    estimate : float
        Infinite where the risks are equal.
    ci_low, ci_high : float
        At the least and at the most favourable limit of the risk difference. When `ci_low` is below and `ci_high` above
        zero, the interval runs from `ci_low` to minus infinity and from infinity to `ci_high`.
    """

    estimate: float
    ci_low: float
    ci_high: float

    @property
    def through_infinity(self) -> bool:
        """Say whether the interval holds "no difference" within."""
        return self.ci_low < 0 < self.ci_high


def number_needed(difference: float, low: float, high: float) -> NumberNeeded:
    """Return the number needed to treat from a risk difference, treated minus control.

    Parameters
    ----------
    difference, low, high : float
        Proportions: the risk of an unwanted event in the treated minus that in the others, and its limits.

    Raises
    ------
    EstimationError
        If one of them is not finite or they are not in order.
    """
    if not (math.isfinite(difference) and math.isfinite(low) and math.isfinite(high)) or not low <= difference <= high:
        raise EstimationError(f"a risk difference with its limits is needed, found {difference}, {low} to {high}")
    # a limit of exactly no difference belongs to the side of the other limit
    return NumberNeeded(
        -1.0 / difference if difference else math.inf,
        -1.0 / high if high else math.inf,
        -1.0 / low if low else -math.inf,
    )
