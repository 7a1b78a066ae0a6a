"""Published evidence: all that one job makes of the tables of studies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.estimates.evidence_editorial import estimate_editorial
from sorafenib_rfa.estimates.evidence_effects import estimate_effects
from sorafenib_rfa.estimates.evidence_reconstruction import estimate_reconstruction
from sorafenib_rfa.estimates.evidence_review import estimate_review
from sorafenib_rfa.estimates.evidence_synthesis import estimate_synthesis
from sorafenib_rfa.evidence.tables import Evidence

if TYPE_CHECKING:
    from sorafenib_rfa.estimates.ard import Estimates


def estimate_evidence(
    evidence: Evidence, digitised: Path, plan: Plan, *, cohort_name: str, record: str
) -> dict[str, Estimates]:
    """Quote, pool and reconstruct what published studies report, hold the editorial against them, and count the work.

    Parameters
    ----------
    evidence : Evidence
        The tables of published studies. Results of patients have no way in.
    digitised : Path
        Folder of digitised curves; it may hold none.
    plan : Plan
        Its ``evidence`` and ``confidence_level``.
    cohort_name : str
        Name under which the results stand.
    record : str
        Path of the job record.

    Returns
    -------
    dict of str to Estimates
        Part of the ARD -> its rows, curves and members; :data:`.parts.EVIDENCE_PARTS` in their order.
    """
    return {
        "effects": estimate_effects(evidence, plan, cohort_name, record),
        "synthesis": estimate_synthesis(evidence, plan, cohort_name, record),
        "reconstruction": estimate_reconstruction(evidence, digitised, plan, cohort_name, record),
        "editorial": estimate_editorial(evidence, cohort_name, record),
        "review": estimate_review(evidence, plan, cohort_name, record),
    }
