"""ADPROC and ADTUM of simulated patients, built from clean tables by the functions of the pipeline.

``adproc(adsl)`` and ``adtum(adsl)`` take ADSL as :func:`estimates_data.make_adam` returns it, or any frame with its
columns ``STUDYID, USUBJID, SITEID, TRT01A, EXPOSFL, TRTSDT, DTHDT, LSTALVDT, RECDT, RECSITE, TUMCOUNT, TUMSIZE``.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sorafenib_rfa.adam.adproc import build_adproc
from sorafenib_rfa.adam.adtum import build_adtum
from sorafenib_rfa.adam.schemas import conform, validate
from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.ingest.tables import TABLES, table_dtypes
from tests.unit.adam_cohorts import cohort
from tests.unit.adam_cohorts import plan as own_plan

GRADES = ("", "I", "II", "IIIa", "IVa", "V")
CIRSE = {"I": 1, "II": 2, "IIIa": 3, "IVa": 4, "V": 6}
SIR = {"I": "mild", "II": "moderate", "IIIa": "severe", "IVa": "life_threatening", "V": "death"}


def adproc(adsl: pd.DataFrame, plan: Plan | None = None, *, seed: int = 11) -> pd.DataFrame:
    """Return ADPROC: an index session each, some repeats; one session in ten has a complication, some late."""
    config = cohort().config
    frame = build_adproc(adsl, ablation_tables(adsl, seed=seed)["ablations"], plan or own_plan())
    return validate("adproc", conform("adproc", frame, config), config)


def adtum(adsl: pd.DataFrame, *, seed: int = 11) -> pd.DataFrame:
    """Return ADTUM: LTP where ADSL has it, mostly named; one patient in thirty more whose ablation was not complete."""
    study = cohort()
    tables = ablation_tables(adsl, seed=seed)
    frame = build_adtum(adsl, tables["ablations"], tables["imaging"], tables["incomplete_ablations"], study)
    return validate("adtum", conform("adtum", frame, study.config), study.config)


def ablation_tables(adsl: pd.DataFrame, *, seed: int = 11) -> dict[str, pd.DataFrame]:
    """Return the clean tables ``ablations`` and ``imaging``, and ``incomplete_ablations`` of further patients."""
    rng = np.random.default_rng(seed)
    day = pd.Timedelta(days=1)
    sessions, exams, incomplete = [], [], []
    for patient in adsl.itertuples():
        count = 1 if pd.isna(patient.TUMCOUNT) else int(patient.TUMCOUNT)
        size = float("nan") if pd.isna(patient.TUMSIZE) else float(patient.TUMSIZE)
        who = {"USUBJID": patient.USUBJID, "site": patient.SITEID, "subject_id": patient.USUBJID.split("-")[-1]}
        end = patient.DTHDT if pd.notna(patient.DTHDT) else patient.LSTALVDT
        recurred = pd.notna(patient.RECDT)
        sessions += _session(rng, who, patient.TRTSDT, end, count, size, "Y")
        for n in range(30, (end - patient.TRTSDT).days + 1, 90):
            if not recurred or patient.TRTSDT + n * day < patient.RECDT:
                exams.append(who | {"imaging_date": patient.TRTSDT + n * day, "finding": "no_recurrence"})
        if recurred:
            seen = {"imaging_date": patient.RECDT, "finding": patient.RECSITE}
            if "LTP" in patient.RECSITE and rng.random() < 0.85:
                seen["ltp_tumours"] = str(rng.integers(1, count + 1))
            exams.append(who | seen)
            again = patient.RECDT + int(rng.integers(10, 45)) * day
            if rng.random() < 0.5 and again < end:
                sessions += _session(rng, who, again, end, 1, 1.8, "N" if rng.random() < 0.1 else "Y")
        if rng.random() < 1 / 30:
            other = {"site": patient.SITEID, "subject_id": f"{who['subject_id']}x", "USUBJID": f"{patient.USUBJID}x"}
            result = "N" if rng.random() < 0.7 else None
            incomplete += _session(rng, other, patient.TRTSDT, end, count, size, result)
    return {
        "ablations": _table("ablations", sessions),
        "imaging": _table("imaging", exams),
        "incomplete_ablations": _table("ablations", incomplete, first_row=len(sessions) + 2),
    }


def _session(
    rng: np.random.Generator,
    who: dict,
    date: pd.Timestamp,
    end: pd.Timestamp,
    count: int,
    largest_cm: float,
    complete: str | None,
) -> list[dict]:
    """Return the rows of one session; the first tumour's is the largest, and names the complication if there is one."""
    grade = GRADES[rng.choice(len(GRADES), p=[0.9, 0.05, 0.02, 0.02, 0.008, 0.002])]
    row: dict = {"ablation_date": date, "guidance": "US" if rng.random() < 0.75 else "CT"}
    rows = [
        who
        | row
        | {
            "tumour_no": number + 1,
            "tumour_diameter_cm": round(largest_cm * 0.8**number, 1),
            "complete_ablation": complete if number == 0 else "Y",
        }
        for number in range(count)
    ]
    if grade:
        late = int(rng.integers(31, 80)) if rng.random() < 0.1 else int(rng.integers(0, 6))
        after = date + pd.Timedelta(days=late)
        rows[0] |= {
            "complication_term": "Pleural effusion",
            "complication_clavien_dindo": grade,
            "complication_cirse": None if who["site"] == "alpha" else CIRSE[grade],
            "complication_sir": None if who["site"] == "beta" else SIR[grade],
            "complication_date": None if rng.random() < 0.1 else min(after, end),
        }
    return rows


def _table(name: str, rows: list[dict], first_row: int = 2) -> pd.DataFrame:
    """Return rows as a clean table: typed, sorted, with an origin."""
    assert name in TABLES
    dtypes = {"USUBJID": "string", **table_dtypes(name, cohort().config)}
    frame = pd.DataFrame(rows).reindex(columns=list(dtypes))
    frame["src_file"], frame["src_row"] = f"{name}.csv", range(first_row, len(frame) + first_row)
    return frame.astype(dtypes).drop(columns="src_cells")
