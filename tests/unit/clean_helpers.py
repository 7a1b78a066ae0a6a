"""Canonical tables of patients without fault, to which tests add one fault at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np
import pandas as pd
from ingest_helpers import cohort_config, plan, site_config

from sorafenib_rfa.clean import Cleaned, clean_cohort
from sorafenib_rfa.config.load import Cohort
from sorafenib_rfa.config.models import CohortConfig
from sorafenib_rfa.ingest import Ingested
from sorafenib_rfa.ingest.tables import QUARANTINE_COLUMNS, TABLES, quarantine_frame, table_columns, table_dtypes

ELIGIBILITY = [
    {"id": "first_rfa", "rule": "has_index_rfa", "label": "No RFA recorded"},
    {"id": "adult", "rule": "minimum_age", "label": "Not adult", "params": {"years": 18}},
    {"id": "no_prior", "rule": "no_prior_systemic_therapy", "label": "Prior therapy"},
    {"id": "stage_known", "rule": "stage_computable", "label": "Stage not computable"},
    {"id": "stage", "rule": "stage_in", "label": "Other stage", "params": {"stages": ["0", "A", "B1"]}},
    {"id": "complete", "rule": "index_rfa_complete", "label": "Not complete"},
    {"id": "no_drug", "rule": "no_drug_before_index", "label": "Sorafenib before RFA"},
    {"id": "followed", "rule": "has_follow_up", "label": "No contact"},
]

Rows = dict[str, list[dict]]


def patient(subject: str, **changes: object) -> dict:
    row = {
        "subject_id": subject,
        "birth_date": "1950-03-07",
        "sex": "M",
        "ecog": 0,
        "tumour_count": 1,
        "largest_tumour_cm": 2.5,
        "vascular_invasion": "N",
        "extrahepatic_spread": "N",
        "ascites": "none",
        "encephalopathy": "none",
        "prior_systemic_therapy": "N",
        "vital_status": "alive",
        "last_contact_date": "2018-06-30",
    }
    return row | changes


def lab(subject: str, date: str, test: str, value: float, **changes: object) -> dict:
    unit = {"ALB": "g/L", "BILI": "umol/L", "INR": "ratio"}.get(test, "U/L")
    uln = {"ALB": 55.0, "BILI": 21.0, "INR": 1.2}.get(test, 40.0)
    row = {"subject_id": subject, "sample_date": date, "test": test, "value": value, "unit": unit, "uln": uln}
    return row | {"source_value": str(value), "source_unit": unit, "below_detection": "N"} | changes


def baseline(subject: str) -> list[dict]:
    return [
        lab(subject, "2015-02-20", "ALB", 41),
        lab(subject, "2015-02-20", "BILI", 12),
        lab(subject, "2015-02-20", "INR", 1.1),
    ]


def ablation(subject: str, date: str = "2015-03-01", **changes: object) -> dict:
    row = {"subject_id": subject, "ablation_date": date, "tumour_no": 1, "tumour_diameter_cm": 2.5}
    return row | {"complete_ablation": "Y"} | changes


def image(subject: str, date: str, finding: str = "no_recurrence", **changes: object) -> dict:
    return {"subject_id": subject, "imaging_date": date, "modality": "CT", "finding": finding} | changes


def dose(subject: str, start: str | None, end: str | None = None, **changes: object) -> dict:
    row = {"subject_id": subject, "drug": "sorafenib", "start_date": start, "end_date": end, "daily_dose_mg": 800}
    return row | changes


def event(subject: str, **changes: object) -> dict:
    row = {"subject_id": subject, "term": "Diarrhea", "soc": "Gastrointestinal disorders", "grade": 2}
    return row | {"start_date": "2015-04-01", "end_date": "2015-04-10"} | changes


def whole(*subjects: str) -> Rows:
    """Return complete records of eligible patients: RFA alone, alive, without recurrence."""
    rows: Rows = {"patients": [], "ablations": [], "imaging": [], "labs": [], "drug_exposure": [], "adverse_events": []}
    for subject in subjects:
        rows["patients"].append(patient(subject))
        rows["ablations"].append(ablation(subject))
        rows["imaging"] += [image(subject, "2015-04-01"), image(subject, "2015-07-01")]
        rows["labs"] += baseline(subject)
    return rows


def frame(table: str, rows: Iterable[dict], site: str, config: CohortConfig) -> pd.DataFrame:
    """Return a canonical table as ingest would make it of an export whose headers are the canonical names."""
    columns = table_columns(table, config)
    filled = []
    for number, row in enumerate(rows, start=2):
        unknown = set(row) - set(columns)
        assert not unknown, unknown
        cells = {name: str(value) for name, value in row.items() if value is not None}
        origin = {"site": site, "src_file": f"raw/{site}/{table}.csv", "src_sheet": None, "src_row": number}
        filled.append({name: row.get(name) for name in columns} | origin | {"src_cells": json.dumps(cells)})
    made = {}
    for name, dtype in table_dtypes(table, config).items():
        values = [row[name] for row in filled]
        made[name] = np.array(values, dtype=dtype) if dtype == "datetime64[s]" else pd.array(values, dtype=dtype)
    return pd.DataFrame(made)


def ingested(rows: Rows, site: str, config: CohortConfig, quarantine: list[dict] | None = None) -> Ingested:
    entries = [dict.fromkeys(QUARANTINE_COLUMNS) | {"site": site} | entry for entry in quarantine or []]
    return Ingested({t: frame(t, rows.get(t, []), site, config) for t in TABLES}, quarantine_frame(entries))


def clean(sites: dict[str, Rows], quarantine: dict[str, list[dict]] | None = None, **changes: object) -> Cleaned:
    """Clean a cohort of sites given as rows; `changes` go to the cohort's configuration."""
    config = cohort_config(**({"eligibility": ELIGIBILITY} | changes))
    columns = {t: {name: name for name in table_columns(t, config)} for t in TABLES}
    columns["survival_times"] = {
        "subject_id": "id",
        "os_months": "OS",
        "os_event": "D",
        "rfs_months": "R",
        "rfs_event": "E",
    }
    tables = {t: {"file": f"{t}.csv", "columns": columns[t]} for t in TABLES}
    cohort = Cohort("study", config, {site: site_config(tables=tables) for site in sites})
    parts = {site: ingested(rows, site, config, (quarantine or {}).get(site)) for site, rows in sites.items()}
    return clean_cohort(parts, cohort, plan())


def entries(cleaned: Cleaned, *columns: str) -> list[tuple]:
    chosen = cleaned.quarantine[list(columns or ("table", "row", "column", "value", "rule", "scope"))]
    return [tuple(None if pd.isna(v) else v for v in row) for row in chosen.itertuples(index=False)]


def fates(cleaned: Cleaned) -> dict[str, tuple[str, str | None]]:
    return {
        row.subject_id: (row.fate, None if pd.isna(row.step_id) else row.step_id) for row in cleaned.fates.itertuples()
    }
