"""E-values as ARD rows, for whichever part has the hazard ratio."""

from __future__ import annotations

from collections.abc import Mapping

from sorafenib_rfa.estimates.ard import ArdBuilder
from sorafenib_rfa.estimates.common import NAN, attempt
from sorafenib_rfa.stats.evalue import EValue, e_value

ENGINE = "sorafenib_rfa.stats.evalue"
RARE = 0.15
"""Share of patients with an event below which a hazard ratio is taken as a risk ratio (VanderWeele and Ding 2017)."""


def add_evalue(
    ard: ArdBuilder,
    analysis: str,
    interval: tuple[float, float, float] | None,
    event_share: float,
    *,
    reason: str,
    of: str,
    common: Mapping[str, str],
) -> None:
    """Add the E-values of a hazard ratio and of its confidence limit closer to 1.

    Parameters
    ----------
    ard : ArdBuilder
    analysis : str
        Analysis id of the rows; their stats are ``estimate`` and ``limit``.
    interval : tuple of float, or None
        Hazard ratio, lower and upper limit; None when it could not be estimated.
    event_share : float
        Share of the patients who had the event.
    reason : str
        Why there is no interval.
    of : str
        The hazard ratio in words.
    common : mapping
        ``group, population, estimand_id`` of the rows.
    """
    found: EValue | None = None
    rare = event_share < RARE
    if interval is not None:
        found, reason = attempt(e_value, *interval, rare)
    scale = (
        "the event is rare: the hazard ratio taken as a risk ratio"
        if rare
        else "the event is common: hazard ratio turned into an approximate risk ratio"
    )
    for stat, value, said in (
        ("estimate", NAN if found is None else found.estimate, of),
        ("limit", NAN if found is None else found.limit, "its confidence limit closer to 1"),
    ):
        ard.add(
            analysis,
            stat,
            value,
            unit="ratio",
            method=reason
            or f"E-value (VanderWeele and Ding 2017): risk ratio with treatment and with the outcome that an "
            f"unmeasured confounder would need to move {said} to 1; {scale}",
            engine=ENGINE,
            **common,
        )
