"""What the parts on published evidence share: words of their codes, units of time, status of figures, rows counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

import pandas as pd

from sorafenib_rfa.config.models import EvidencePlan, Plan
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH

if TYPE_CHECKING:
    from sorafenib_rfa.evidence.tables import Evidence

STUDIES: Final = "Published studies"
"""Population of what this repository computes from studies; quoted rows have that of ``estimates.members.QUOTED``."""

SETTINGS: Final[Mapping[str, str]] = {
    "adjuvant": "Sorafenib after resection or ablation",
    "tace": "Sorafenib with TACE",
    "rfa_combination": "Sorafenib with RFA",
    "other_drug": "Other drug",
    "other_cancer": "Other cancer",
    "other_adjuvant": "Other adjuvant treatment",
    "palliative": "Advanced or unresectable disease",
    "meta_analysis": "Meta-analysis of others",
}
DESIGNS: Final[Mapping[str, str]] = {
    "rct_double_blind": "randomised, double-blind",
    "rct_open_label": "randomised, open-label",
    "cohort_matched": "matched cohort",
    "cohort": "cohort",
    "single_arm": "single arm",
    "meta_analysis": "meta-analysis",
    "narrative": "narrative statement",
}
DESIGN_GROUPS: Final[Mapping[str, str]] = {
    "rct_double_blind": "randomised",
    "rct_open_label": "randomised",
    "cohort_matched": "cohorts",
    "cohort": "cohorts",
}
"""Design -> group of designs within which studies may be pooled; the others compare nothing."""

ENDPOINTS: Final[Mapping[str, str]] = {
    "RFS": "Recurrence-free survival",
    "TTR": "Time to recurrence",
    "OS": "Overall survival",
    "TTP": "Time to progression",
    "PFS": "Progression-free survival",
    "PFS_TACE": "TACE-specific progression-free survival",
    "DFS": "Disease-free survival",
    "TFS": "Tumour-free survival",
    "MVI_EHS": "Time to vascular invasion or extrahepatic spread",
    "UNTACEABLE": "Time to progression no longer treatable with TACE",
}
LOOKS: Final[tuple[str, ...]] = ("interim_1", "interim_2", "primary", "final", "updated")
"""Looks at a trial's data, earliest first: a synthesis takes the last. A subset of a trial is no look at it."""

MONTHS: Final[Mapping[str, float]] = {
    "days": 1 / DAYS_PER_MONTH,
    "weeks": 7 / DAYS_PER_MONTH,
    "months": 1.0,
    "years": 12.0,
}
"""Unit of a published time -> months of 30.4375 days."""


def evidence_plan(plan: Plan) -> EvidencePlan:
    """Return how published studies are put together.

    Raises
    ------
    ValueError
        If the plan does not say: the loader refuses such a cohort, so that this is a defect.
    """
    if plan.evidence is None:
        raise ValueError("the plan has no key 'evidence'")
    return plan.evidence


def status_words(evidence: Evidence, table: str, key: str, fields: Mapping[str, str]) -> str:
    """Return how figures are known, those of one status together: ``estimate seen; limits recalled (high)``.

    Parameters
    ----------
    evidence : Evidence
        Its statuses.
    table, key : str
        The row.
    fields : mapping
        Field -> its name for readers. Blank fields are left out; fields of one name are named once.
    """
    grouped: dict[str, list[str]] = {}
    for field, name in fields.items():
        known = evidence.provenance(table, key, field)
        if known.status != "blank":
            label = f"{known.status} ({known.confidence})" if known.confidence else known.status
            names = grouped.setdefault(label, [])
            if name not in names:
                names.append(name)
    return "; ".join(f"{listed(names)} {label}" for label, names in grouped.items())


def members(rows: pd.DataFrame, key: str) -> pd.DataFrame:
    """Return rows of a table as the members of a count: ``USUBJID`` (the row's `key`) and where it stands."""
    return pd.DataFrame(
        {
            "USUBJID": rows[key].astype("string"),
            "src_file": rows["src_file"].astype("string"),
            "src_sheet": pd.array([None] * len(rows), dtype="string"),
            "src_row": rows["src_row"].astype("Int64"),
        }
    )


def listed(names: Iterable[object]) -> str:
    """Return names as a list in a sentence: ``STORM, SPACE and TACTICS``."""
    found = [str(name) for name in names]
    return f"{', '.join(found[:-1])} and {found[-1]}" if len(found) > 1 else "".join(found)
