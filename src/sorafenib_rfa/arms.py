"""The two arms that a cohort compares: their labels in datasets and exhibits, and their slugs in ARD ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sorafenib_rfa.config.models import CohortConfig
from sorafenib_rfa.vocabulary import ARM_SLUGS, CONTROL, SORAFENIB


@dataclass(frozen=True)
class Arms:
    """Labels of the arms (values of TRT01A and LMTRT) and ``label -> slug``."""

    treated: str
    control: str
    slugs: Mapping[str, str]

    @property
    def labels(self) -> tuple[str, str]:
        """Both labels, in the order of display."""
        return self.treated, self.control

    def slug(self, label: str) -> str:
        """Return the slug of an arm."""
        return self.slugs[label]


EXPOSURE_ARMS = Arms(SORAFENIB, CONTROL, {SORAFENIB: ARM_SLUGS[SORAFENIB], CONTROL: ARM_SLUGS[CONTROL]})
"""Arms by exposure to sorafenib after RFA."""


def arms_of(cohort: CohortConfig) -> Arms:
    """Return the arms of a cohort: those it declares as assigned, by exposure to sorafenib otherwise."""
    if cohort.assigned_arms is None:
        return EXPOSURE_ARMS
    treated, control = cohort.assigned_arms.treated, cohort.assigned_arms.control
    return Arms(treated.label, control.label, {treated.label: treated.slug, control.label: control.slug})
