"""Which analyses a cohort gets: decided by what its configuration says it offers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sorafenib_rfa.clinical.complications import SCALES
from sorafenib_rfa.config.models import CohortConfig, SiteConfig
from sorafenib_rfa.vocabulary import EVIDENCE_PARTS

if TYPE_CHECKING:
    from sorafenib_rfa.estimates.ard import Estimates


def estimate_parts(cohort: CohortConfig) -> list[str]:
    """Return the names of the estimate parts of a cohort, in the order in which they are collected."""
    if cohort.offers("published_effects"):
        return list(EVIDENCE_PARTS)
    parts = ["flow", "baseline"]
    if compares_arms(cohort):
        parts += ["efficacy", "time_to_event", "subgroups"]
    if cohort.offers("treatment"):
        parts += ["target_trial", "sensitivity", "agreement"]
    if cohort.offers("treatment") and cohort.offers("ablations"):
        parts.append("repeat_rfa")
    if cohort.offers("treatment") and cohort.offers("adverse_events"):
        parts += ["safety", "exposure"]
        if cohort.offers("ablations"):
            parts.append("ablation")
        if cohort.offers("labs"):
            parts.append("liver")
        parts.append("benefit_risk")
    if cohort.prognostic_groups:
        parts.append("prognosis")
    if cohort.published:
        parts.append("published")
    return parts


def compares_arms(cohort: CohortConfig) -> bool:
    """Say whether a cohort has two arms to compare, by exposure or by assignment."""
    return cohort.offers("treatment") or cohort.offers("assigned_treatment")


def complication_scales(sites: Mapping[str, SiteConfig]) -> dict[str, list[str]]:
    """Return, for each classification of complications of ablation, the sites whose records have it.

    What a centre does not record it cannot have had: it is no part of that classification's denominator. The export's
    own column decides, not whether anything stands in it, so that a centre without complications counts.
    """
    own = {name: site.tables["ablations"].columns for name, site in sites.items() if "ablations" in site.tables}
    return {
        scale: sorted(name for name, columns in own.items() if f"complication_{scale}" in columns) for scale in SCALES
    }


CURVES = {
    "flow": ("flow",),
    "baseline": ("balance", "propensity", "weights"),
    "efficacy": (
        *(f"{kind}_{endpoint}" for endpoint in ("rfs", "os", "ttr") for kind in ("km", "risk_table", "forest")),
        "km_rfs_naive",
        "cif_first_event",
    ),
    "target_trial": ("designs_rfs", "designs_os", "km_ccw_rfs", "km_ccw_os", "ccw_weights"),
    "time_to_event": ("effect_over_time", "centres", "cif_weighted"),
    "subgroups": ("subgroups",),
    "repeat_rfa": ("mcf_repeat_rfa", "risk_table_repeat_rfa"),
    "agreement": (),
    "sensitivity": ("specifications", "tipping_confounding", "tipping_censoring", "matching"),
    "safety": ("ae_dot", "ae_grade", "ae_incidence", "ae_mcf"),
    "exposure": ("swimmer", "km_stop", "duration_landmark"),
    "ablation": ("ltp_tumour",),
    "liver": ("liver_peaks", "lab_shift", "albi_course", "albi_patients", "albi_worsening"),
    "benefit_risk": ("benefit_risk_effects", "partitioned_survival", "utility_threshold"),
    "prognosis": ("km_prognostic", "risk_table_prognostic", "forest_prognostic", "cif_prognostic", "calibration"),
    "published": (),
    "effects": ("evidence_studies", "evidence_effects", "evidence_consistency", "evidence_harms"),
    "synthesis": ("evidence_pooled", "evidence_cumulative", "evidence_leave_one_out", "evidence_small_studies"),
    "reconstruction": ("evidence_intervals", "evidence_survival", "evidence_digitised"),
    "editorial": ("evidence_statements",),
    "review": ("evidence_flow", "evidence_bias", "evidence_certainty"),
}
"""Tidy curve frames each part writes as ``curves/<name>.parquet``."""


def curve_names(cohort: CohortConfig) -> list[str]:
    """Return the curve frames of a cohort."""
    names = [name for part in estimate_parts(cohort) for name in CURVES[part]]
    return names if compares_arms(cohort) else [name for name in names if name not in CURVES["baseline"]]


def write_estimates(estimates: Estimates, ard: str, members: str, curves: list[str]) -> None:
    """Write a part's ARD rows, who was counted in them, and each curve frame to the path that bears its name.

    A curve that the cohort does not offer is written as an empty frame, so that every declared file exists.

    Raises
    ------
    ValueError
        If the part made a curve that no path asks for: it would be lost.
    """
    import pandas as pd

    from sorafenib_rfa.coded import write_blocks
    from sorafenib_rfa.estimates.counted import MEMBER_COLUMNS, member_blocks
    from sorafenib_rfa.files import write_parquet

    write_parquet(estimates.ard, ard)
    write_blocks(member_blocks(estimates.counts, estimates.known), MEMBER_COLUMNS, members)
    unasked = set(estimates.curves) - {Path(path).stem for path in curves}
    if unasked:
        raise ValueError(f"curves without a declared file: {sorted(unasked)}")
    for path in curves:
        write_parquet(estimates.curves.get(Path(path).stem, pd.DataFrame()), path)
