"""E-values: how strong unmeasured confounding would have to be to explain an association.

Closed forms, checked against the worked examples of the papers.

References
----------
VanderWeele TJ, Ding P. Ann Intern Med 2017;167:268-274. VanderWeele TJ. Biometrics 2017;73:391-400 (a hazard ratio as
a risk ratio when the outcome is common).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .errors import EstimationError


@dataclass(frozen=True)
class EValue:
    """E-values of an estimate and of its confidence limit closer to the null.

    Attributes
    ----------
    estimate, limit : float
        Smallest strength, as a risk ratio with treatment and with the outcome alike, of a confounder that would move
        the estimate, or the limit, to 1; `limit` is 1 when the interval holds 1 already.
    risk_ratio, risk_ratio_low, risk_ratio_high : float
        The hazard ratio and its interval as (approximate) risk ratios.
    """

    estimate: float
    limit: float
    risk_ratio: float
    risk_ratio_low: float
    risk_ratio_high: float


def e_value(hr: float, lo: float, hi: float, rare: bool = False) -> EValue:
    """Return the E-value of a hazard ratio and of the limit of its interval closer to 1.

    Parameters
    ----------
    hr, lo, hi : float
        Hazard ratio and confidence limits.
    rare : bool
        Whether fewer than about 15 % have the event by the end of follow-up: the hazard ratio is then taken as a risk
        ratio; else as ``(1 - 0.5^sqrt(HR)) / (1 - 0.5^sqrt(1/HR))``.

    Raises
    ------
    EstimationError
        If a value is missing, not above zero, or the estimate lies outside its interval.
    """
    if not all(math.isfinite(value) and value > 0 for value in (hr, lo, hi)) or not lo <= hr <= hi:
        raise EstimationError(f"an E-value needs a hazard ratio within its interval, found {hr} ({lo}, {hi})")
    ratio, low, high = (value if rare else _risk_ratio(value) for value in (hr, lo, hi))
    limit = 1.0 if low <= 1 <= high else _strength(low if low > 1 else high)
    return EValue(_strength(ratio), limit, ratio, low, high)


def _risk_ratio(hr: float) -> float:
    return (1 - 0.5 ** math.sqrt(hr)) / (1 - 0.5 ** math.sqrt(1 / hr))


def _strength(risk_ratio: float) -> float:
    away = max(risk_ratio, 1 / risk_ratio)
    return away + math.sqrt(away * (away - 1))
