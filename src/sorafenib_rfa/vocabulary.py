"""Words shared by all stages: arms, endpoints, codes and labels. One place for each.

Sources: CDISC ADaM IG 1.3 (PARAMCD, CNSR), STEEP-like endpoint definitions as stated per entry, Ahmed 2014 for local
tumour progression.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

DAYS_PER_MONTH: Final = 30.4375
"""Days in a month of AVAL (365.25 / 12)."""

SORAFENIB: Final = "RFA + sorafenib"
CONTROL: Final = "RFA alone"
ARMS: Final = (SORAFENIB, CONTROL)
"""Values of TRT01A, in the order of display."""

ARM_SLUGS: Final = MappingProxyType({SORAFENIB: "sorafenib", CONTROL: "control", "Overall": "overall"})
"""Arms as they appear in ARD ids and file names."""

ENDPOINTS: Final = MappingProxyType(
    {
        "RFS": "Recurrence-free survival",
        "TTR": "Time to recurrence",
        "OS": "Overall survival",
        "LTP": "Local tumour progression",
        "IDR": "Intrahepatic distant recurrence",
        "EHS": "Extrahepatic spread",
    }
)
"""PARAMCD and PARAM of ADTTE."""

RECURRENCE_SITES: Final = ("LTP", "IDR", "EHS")
"""Where a recurrence was seen, in the order that breaks a tie on one date (most local first)."""

# ADTTE.EVNTCD: the competing-event code, the same in every parameter
CENSORED: Final = 0
EVENT_LTP: Final = 1
EVENT_IDR: Final = 2
EVENT_EHS: Final = 3
EVENT_DEATH: Final = 4
EVENT_RECURRENCE: Final = 5
EVENT_LABELS: Final = MappingProxyType(
    {
        CENSORED: "Censored",
        EVENT_LTP: "Local tumour progression",
        EVENT_IDR: "Intrahepatic distant recurrence",
        EVENT_EHS: "Extrahepatic spread",
        EVENT_DEATH: "Death without recurrence",
        EVENT_RECURRENCE: "Recurrence, site not recorded",
    }
)

RAW_TABLES: Final = ("patients", "ablations", "drug_exposure", "imaging", "labs", "adverse_events", "survival_times")
"""Canonical raw tables. ``survival_times`` serves cohorts published with derived times instead of dates."""

EVIDENCE_PARTS: Final = ("effects", "synthesis", "reconstruction", "editorial", "review")
"""Parts of the ARD that are made of published studies, not of patients."""

FIGURES: Final = MappingProxyType(
    {
        "flow": "flow",
        "km_rfs": "km_rfs",
        "km_os": "km_os",
        "km_ttr": "km_ttr",
        "cif_first_event": "cif_first_event",
        "love": "balance",
        "ae_dot": "ae_dot",
        "ae_butterfly": "ae_grade",
        "ae_incidence": "ae_incidence",
        "edish": "liver_peaks",
        "albi_course": "albi_patients",
        "lab_shift": "lab_shift",
        "swimmer": "swimmer",
        "duration": "duration_landmark",
        "ltp_tumour": "ltp_tumour",
        "benefit_risk": "benefit_risk_effects",
        "qtwist": "partitioned_survival",
        "forest_rfs": "forest_rfs",
        "forest_os": "forest_os",
        "forest_ttr": "forest_ttr",
        "overlap": "propensity",
        "designs": "designs_rfs",
        "km_ccw_rfs": "km_ccw_rfs",
        "effect_over_time": "effect_over_time",
        "centres": "centres",
        "cif_weighted": "cif_weighted",
        "mcf_repeat_rfa": "mcf_repeat_rfa",
        "subgroups": "subgroups",
        "specifications": "specifications",
        "tipping": "tipping_confounding",
        "km_prognostic": "km_prognostic",
        "cif_prognostic": "cif_prognostic",
        "calibration": "calibration",
        "evidence_adjuvant": "evidence_effects",
        "evidence_tace": "evidence_effects",
        "evidence_context": "evidence_effects",
        "evidence_intervals": "evidence_intervals",
        "evidence_cumulative": "evidence_cumulative",
        "evidence_flow": "evidence_flow",
        "evidence_small_studies": "evidence_pooled",
    }
)
"""Figures that a cohort can list, with the curve frame that each draws."""

TABLES: Final = MappingProxyType(
    {
        "baseline": "baseline",
        "efficacy": "efficacy",
        "safety": "safety",
        "ae_interest": "safety",
        "ae_terms": "safety",
        "ablation": "ablation",
        "exposure": "exposure",
        "liver": "liver",
        "albi": "liver",
        "benefit_risk": "benefit_risk",
        "agreement": "agreement",
        "study_primary": "validation",
        "study_estimators": "validation",
        "study_failures": "validation",
        "attrition": "flow",
        "sites": "flow",
        "published": "prognosis",
        "prognostic_model": "prognosis",
        "performance": "prognosis",
        "evidence_studies": "effects",
        "evidence_effects": "effects",
        "evidence_harms": "effects",
        "evidence_pooled": "synthesis",
        "evidence_intervals": "reconstruction",
        "evidence_editorial": "editorial",
        "evidence_bias": "review",
        "evidence_findings": "review",
    }
)
"""Tables that a cohort can list, with the part of the ARD that they show."""

LAB_TESTS: Final = MappingProxyType(
    {
        # PARAMCD: (label, canonical unit)
        "ALB": ("Albumin", "g/L"),
        "BILI": ("Total bilirubin", "umol/L"),
        "ALT": ("Alanine aminotransferase", "U/L"),
        "AST": ("Aspartate aminotransferase", "U/L"),
        "ALP": ("Alkaline phosphatase", "U/L"),
        "GGT": ("Gamma-glutamyl transferase", "U/L"),
        "INR": ("International normalised ratio", "ratio"),
        "PLT": ("Platelets", "10^9/L"),
        "AFP": ("Alpha-fetoprotein", "ng/mL"),
        "CREA": ("Creatinine", "umol/L"),
    }
)

PRINTED_VERSIONS: Final = ("snakemake", "pandas", "numpy", "scipy")
"""Distributions whose versions the paper prints; its job tracks them whether or not it imports them."""
