"""One small study, written as six centres would send it, and the configuration that reads each."""

from __future__ import annotations

import datetime as dt
import io
from pathlib import Path

import openpyxl
import yaml

from sorafenib_rfa.config.load import Cohort, validate
from sorafenib_rfa.config.models import CohortConfig, Plan, SiteConfig
from sorafenib_rfa.ingest import Ingested, ingest_site

ROOT = Path(__file__).resolve().parents[2]
SHOWN = "data/raw/study/centre"


def plan() -> Plan:
    return validate(Plan, yaml.safe_load((ROOT / "config/plan.yaml").read_text("utf-8")), "config/plan.yaml")


def cohort_config(**changes: object) -> CohortConfig:
    content = {
        "title": "Study",
        "synthetic": True,
        "raw": "data/raw/study",
        "index_event": "index RFA",
        "modules": ["treatment", "ablations", "imaging", "labs", "adverse_events"],
        "time_unit": "days",
        "data_cutoff": "2020-12-31",
        "endpoints": ["RFS", "OS"],
        "eligibility": [],
        "notebooks": [],
        "figures": [],
        "tables": [],
    }
    return validate(CohortConfig, content | changes, "config/cohorts/study/cohort.yaml")


def site_config(**changes: object) -> SiteConfig:
    """Return a plain UTF-8 CSV site with patients only; `changes` replace keys."""
    content = {
        "title": "Centre",
        "country": "FR",
        "region": "Europe",
        "date_formats": ["%Y-%m-%d"],
        "missing": ["NA"],
        "tables": {"patients": {"file": "patients.csv", "columns": {"subject_id": "id", "age_years": "age"}}},
    }
    return validate(SiteConfig, content | changes, "sites/centre.yaml")


def patients_only(columns: dict, **changes: object) -> SiteConfig:
    return site_config(
        tables={"patients": {"file": "patients.csv", "columns": {"subject_id": "id", "age_years": "age"} | columns}},
        **changes,
    )


def ingest(folder: Path, site: SiteConfig, config: CohortConfig | None = None, site_id: str = "centre") -> Ingested:
    return ingest_site(folder, site_id, site, config or cohort_config(), shown_folder=SHOWN)


def study(sites: dict[str, SiteConfig], config: CohortConfig | None = None) -> Cohort:
    return Cohort("study", config or cohort_config(), sites)


def workbook(sheets: dict[str, list[list]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


# --- the study: three patients, in canonical terms --------------------

D = dt.date
PATIENTS = [
    # subject_id, birth_date, sex, largest_tumour_cm, vital_status, death_date, last_contact_date
    ("0007", D(1950, 3, 7), "F", 2.5, "alive", None, D(2018, 11, 30)),
    ("0012", D(1961, 12, 25), "M", 1.9, "dead", D(2016, 2, 29), D(2016, 2, 1)),
    ("0104", D(1944, 7, 14), "M", None, "alive", None, D(2020, 1, 31)),
]
LABS = [
    # subject_id, sample_date, test, value as measured, its unit, value in the canonical unit, below_detection
    ("0007", D(2015, 3, 1), "BILI", "1.2", "mg/dL", 20.52, "N"),
    ("0007", D(2015, 3, 1), "ALB", "4.1", "g/dL", 41.0, "N"),
    ("0012", D(2015, 8, 13), "AFP", "<3", "IU/mL", 1.815, "Y"),
    ("0012", D(2015, 8, 13), "PLT", "1234.5", "10^9/L", 1234.5, "N"),
    ("0104", D(2016, 10, 2), "AFP", ">1210", "IU/mL", 1464.1, "N"),
]
HEADERS = {
    "chinese": ("病历号", "出生日期", "性别", "肿瘤直径", "状态", "死亡日期", "末次随访"),
    "french": ("N° patient", "né(e) le", "sexe", "diamètre", "état", "décès", "dernier contact"),
}
SEX = {"chinese": {"F": "女", "M": "男"}, "french": {"F": "féminin", "M": "masculin"}}
VITAL = {"chinese": {"alive": "存活", "dead": "死亡"}, "french": {"alive": "vivant", "dead": "décédé"}}


def delimited(rows: list[list[str]], delimiter: str, encoding: str) -> bytes:
    def cell(text: str) -> str:
        return f'"{text}"' if delimiter in text or '"' in text else text

    return "".join(delimiter.join(map(cell, row)) + "\r\n" for row in rows).encode(encoding)
