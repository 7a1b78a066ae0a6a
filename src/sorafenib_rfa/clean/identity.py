"""How patients are named across sites."""

from __future__ import annotations

import pandas as pd


def usubjid(cohort_name: str, site: pd.Series, subject: pd.Series) -> pd.Series:
    """Return ``<STUDYID>-<SITE>-<subject_id>`` (string); STUDYID is the cohort's name.

    Parameters
    ----------
    cohort_name : str
        Name of the cohort.
    site, subject : Series of string
        Site id and the site's own id of the patient, which is unique within the site only.
    """
    return (cohort_name + "-" + site + "-" + subject).astype("string")
