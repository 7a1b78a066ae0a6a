"""Results that others published of a cohort's comparison, as rows of the ARD: quoted, never computed or tested here."""

from __future__ import annotations

from sorafenib_rfa.config.models import CohortConfig
from sorafenib_rfa.estimates.ard import ArdBuilder, Estimates

STATUS = {
    "seen": "read in the source",
    "recalled": "recalled from memory and not checked against the source",
}


def quote_published(cohort: CohortConfig, cohort_name: str, record: str) -> Estimates:
    """Return a cohort's declared published results.

    Parameters
    ----------
    cohort : CohortConfig
        Its ``published``.
    cohort_name : str
        Its name.
    record : str
        Path of the job record.

    Returns
    -------
    Estimates
        ARD part ``published``: ``published.<key>.reduction`` (percent, as quoted) and
        ``published.<key>.rate_ratio``, which is 1 minus that reduction. No interval: none is quoted.
    """
    ard = ArdBuilder(cohort_name, "published", record)
    for key, result in cohort.published.items():
        quoted = f"as published, citation {result.citation}; {STATUS[result.status]}"
        common = {"engine": "as published", "population": "As published", "group": "overall"}
        ard.add(
            key,
            "reduction",
            result.value,
            unit="percent",
            method=f"{result.label}: reduction of the rate, {quoted}",
            **common,
        )
        ard.add(
            key,
            "rate_ratio",
            1 - result.value / 100,
            unit="ratio",
            method=f"{result.label}: 1 minus the reduction of the rate, {quoted}",
            **common,
        )
    return ard.estimates({})
