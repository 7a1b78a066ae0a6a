"""The estimators of the validation study: what each is, and which truth it is held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Measure = Literal["rmst_difference", "log_hr"]
MEASURES: tuple[Measure, ...] = ("rmst_difference", "log_hr")
BOTH: tuple[Measure, ...] = MEASURES
RATIO: tuple[Measure, ...] = ("log_hr",)


@dataclass(frozen=True)
class Estimator:
    """An estimator as one of the repository's analyses is, and the true value that it could find.

    Attributes
    ----------
    label : str
        For people.
    analysis : str
        Rows of the ARD that the same functions make of a cohort, ``rfs`` standing for the endpoint.
    basis : {"time_zero", "landmark"}
        From when on its truth is followed.
    population : {"overlap", "all"}
        Whom its truth speaks of.
    measures : tuple of str
        What the repository estimates by it.
    endpoints : tuple of str
    conditional : bool
        Held against the coefficient of its own covariate-adjusted model in both courses of many patients, and not
        against a marginal contrast: a hazard ratio is not collapsible (Daniel, Zhang & Farewell, Biom J
        2021;63:528-557).
    """

    label: str
    analysis: str
    basis: Literal["time_zero", "landmark"]
    population: Literal["overlap", "all"]
    measures: tuple[Measure, ...] = BOTH
    endpoints: tuple[str, ...] = ("RFS",)
    conditional: bool = False


ESTIMATORS: Mapping[str, Estimator] = {
    "ccw_overlap": Estimator(
        "Clone-censor-weight, overlap (primary)",
        "target_trial.rfs_ccw_overlap",
        "time_zero",
        "overlap",
        endpoints=("RFS", "OS"),
    ),
    "ccw_ate": Estimator("Clone-censor-weight, all patients", "target_trial.rfs_ccw_ate", "time_zero", "all"),
    "landmark_overlap": Estimator(
        "Landmark, overlap weights", "efficacy.rfs_rmst_overlap, efficacy.rfs_cox_overlap", "landmark", "overlap"
    ),
    "landmark_iptw": Estimator(
        "Landmark, inverse probability weights", "efficacy.rfs_cox_iptw", "landmark", "all", RATIO
    ),
    "landmark_unadjusted": Estimator(
        "Landmark, unadjusted", "efficacy.rfs_rmst, efficacy.rfs_cox_unadjusted", "landmark", "all"
    ),
    "landmark_adjusted": Estimator(
        "Landmark, covariate-adjusted", "efficacy.rfs_cox_adjusted", "landmark", "all", RATIO, conditional=True
    ),
    "time_varying": Estimator(
        "Time-varying exposure, adjusted",
        "target_trial.rfs_time_varying_adjusted",
        "time_zero",
        "all",
        RATIO,
        conditional=True,
    ),
    "naive": Estimator("Naive, ever against never", "efficacy.rfs_naive_rmst, efficacy.rfs_naive", "time_zero", "all"),
}
"""The names are those that a plan of the study may list (``config.models.EstimatorName``)."""


def cells(estimators: list[str]) -> list[tuple[str, str, Measure]]:
    """Return endpoint, estimator and measure of each cell of a scenario and size, in the order of the results."""
    return [
        (endpoint, name, measure)
        for name in estimators
        for endpoint in ESTIMATORS[name].endpoints
        for measure in ESTIMATORS[name].measures
    ]
