"""Hand-made clean tables for the ADaM tests: patients told by the days since their RFA."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from sorafenib_rfa.config.load import Cohort, load_plan
from sorafenib_rfa.config.models import CohortConfig, Plan, SiteSummary
from sorafenib_rfa.ingest.tables import TABLES, empty_table, table_dtypes

ROOT = Path(__file__).parents[2]
RFA = pd.Timestamp("2015-01-01")

SITES = {
    "alpha": SiteSummary(title="Alpha", country="CN", region="Asia"),
    "beta": SiteSummary(title="Beta", country="DE", region="Europe"),
}


def plan() -> Plan:
    """Return the repository's own statistical analysis plan."""
    return load_plan(ROOT, "synthetic", None)


def cohort(**changes) -> Cohort:
    """Return a cohort with dates, like the default one, with `changes` to its configuration."""
    settings = {
        "title": "Hand-made",
        "synthetic": True,
        "raw": "data/raw/handmade",
        "index_event": "index RFA",
        "modules": ["treatment", "ablations", "imaging", "labs", "adverse_events"],
        "time_unit": "days",
        "data_cutoff": "2020-12-31",
        "endpoints": ["RFS", "TTR", "OS", "LTP", "IDR", "EHS"],
        "eligibility": [],
        "notebooks": [],
        "figures": [],
        "tables": [],
    } | changes
    return Cohort("handmade", CohortConfig.model_validate(settings), SITES)


def day(n: int | None) -> pd.Timestamp | None:
    """Return the date `n` days after the index RFA."""
    return None if n is None else RFA + pd.Timedelta(days=n)


def subject(number: str, site: str = "alpha") -> str:
    """Return the USUBJID of a patient."""
    return f"handmade-{site}-{number}"


def table(name: str, rows: list[dict], config: CohortConfig) -> pd.DataFrame:
    """Return a clean table from rows that hold only what matters; the rest is missing, the origin is made up."""
    if not rows:
        return empty_table(name, config).assign(USUBJID=pd.Series(dtype="string"))
    dtypes = table_dtypes(name, config)
    filled = [
        {"site": "alpha", "src_file": f"{name}.csv", "src_row": number} | row
        for number, row in enumerate(rows, start=2)
    ]
    frame = pd.DataFrame(filled)
    unknown = set(frame) - set(dtypes)
    assert not unknown, f"{name} has no columns {unknown}"
    frame = frame.reindex(columns=list(dtypes)).astype(dtypes)
    return frame.assign(USUBJID=("handmade-" + frame["site"] + "-" + frame["subject_id"]).astype("string"))


class Study:
    """Clean tables under construction."""

    def __init__(self, **changes) -> None:
        self.cohort = cohort(**changes)
        self.rows: dict[str, list[dict]] = {name: [] for name in TABLES}

    def add(self, name: str, **row) -> None:
        """Add a row to a table."""
        self.rows[name].append(row)

    def patient(
        self,
        number: str,
        *,
        contact: int | None = 1000,
        death: int | None = None,
        start: int | None = None,
        clear: tuple[int, ...] = (),
        positive: dict[int, str] | None = None,
        **facts,
    ) -> None:
        """Add a patient with an index RFA, imaging, and sorafenib from day `start` to 100 days later."""
        self.add(
            "patients",
            subject_id=number,
            vital_status="alive" if death is None else "dead",
            death_date=day(death),
            last_contact_date=day(contact if death is None else death),
            **facts,
        )
        self.add("ablations", subject_id=number, ablation_date=day(0), tumour_no=1, complete_ablation="Y")
        if start is not None:
            self.add(
                "drug_exposure",
                subject_id=number,
                drug="sorafenib",
                start_date=day(start),
                end_date=day(start + 100),
                daily_dose_mg=800,
                change_reason="planned",
            )
        for n in clear:
            self.add("imaging", subject_id=number, imaging_date=day(n), modality="MRI", finding="no_recurrence")
        for n, finding in (positive or {}).items():
            self.add("imaging", subject_id=number, imaging_date=day(n), modality="MRI", finding=finding)

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the clean tables."""
        return {name: table(name, rows, self.cohort.config) for name, rows in self.rows.items()}
