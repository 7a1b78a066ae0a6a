"""How patients are named across sites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
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


@dataclass(frozen=True)
class Roster:
    """Everybody who occurs in an export, in the order of USUBJID; the place in it is the patient's number.

    Attributes
    ----------
    names : Index of str
        USUBJIDs, sorted.
    subject_ids : ndarray of str
        The sites' own ids.
    """

    names: pd.Index
    subject_ids: np.ndarray

    @classmethod
    def of(cls, cohort_name: str, groups: Sequence[tuple[str, Sequence[str]]]) -> Roster:
        """Return the roster of groups of patients: a site, and ids that its tables hold."""
        prefix = {site: f"{cohort_name}-{site}-" for site, _ in groups}
        subject_of = {prefix[site] + subject: subject for site, subjects in groups for subject in subjects}
        names = np.array(sorted(subject_of), dtype=object)
        return cls(pd.Index(names, dtype=object), np.array([subject_of[name] for name in names], dtype=object))

    def numbers(self, names: Sequence[str]) -> np.ndarray:
        """Return the numbers of USUBJIDs."""
        return self.names.get_indexer(pd.Index(names, dtype=object)).astype(np.int32)

    def usubjid(self, numbers: np.ndarray) -> pd.Categorical:
        """Return the USUBJIDs of patients as categories."""
        return pd.Categorical.from_codes(numbers, categories=self.names)

    def subject_id(self, numbers: np.ndarray) -> pd.Categorical:
        """Return the sites' own ids of patients as categories."""
        codes, values = pd.factorize(self.subject_ids, sort=True)
        return pd.Categorical.from_codes(codes[numbers], categories=pd.Index(values, dtype=object))
