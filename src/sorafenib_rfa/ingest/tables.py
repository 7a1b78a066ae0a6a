"""The canonical raw tables: their columns, kinds, codes and quantities; the contract of ``docs/architecture.md``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from sorafenib_rfa.vocabulary import LAB_TESTS, RAW_TABLES

if TYPE_CHECKING:
    import pandas as pd

    from sorafenib_rfa.config.models import CohortConfig

Kind = Literal["id", "text", "code", "date", "number", "integer"]

DTYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "id": "string",
        "text": "string",
        "code": "string",
        "date": "datetime64[s]",
        "number": "Float64",
        "integer": "Int64",
    }
)
"""Kind -> pandas dtype."""


@dataclass(frozen=True)
class Column:
    """One canonical column.

    Attributes
    ----------
    kind : str
        How its cells are read; decides the dtype (:data:`DTYPES`).
    codes : tuple of str
        The codes a ``code`` or ``integer`` column may hold; empty for any.
    quantity : str or None
        Key of :data:`sorafenib_rfa.ingest.units.QUANTITIES` when the export may state the number in another unit.
    """

    kind: Kind
    codes: tuple[str, ...] = ()
    quantity: str | None = None


_YES_NO = Column("code", ("Y", "N"))
_DATE = Column("date")
_ID = Column("id")
_TEXT = Column("text")

_PATIENTS = {
    "subject_id": _ID,
    "birth_date": _DATE,
    "age_years": Column("number", quantity="age"),
    "sex": Column("code", ("M", "F")),
    "etiology": Column("code", ("HBV", "HCV", "Alcohol", "Other")),
    "antiviral": _YES_NO,
    "cirrhosis": _YES_NO,
    "ecog": Column("integer"),
    "recurrent_hcc": _YES_NO,
    "tumour_count": Column("integer"),
    "largest_tumour_cm": Column("number", quantity="length"),
    "vascular_invasion": _YES_NO,
    "extrahepatic_spread": _YES_NO,
    "ascites": Column("code", ("none", "mild", "moderate_severe")),
    "encephalopathy": Column("code", ("none", "grade_1_2", "grade_3_4")),
    "prior_systemic_therapy": _YES_NO,
    "recorded_bclc": Column("code", ("0", "A", "B", "C", "D")),
    "vital_status": Column("code", ("alive", "dead")),
    "death_date": _DATE,
    "last_contact_date": _DATE,
    "assigned_arm": _TEXT,
}

_FINDINGS = (
    "no_recurrence",
    "LTP",
    "IDR",
    "EHS",
    "LTP+IDR",
    "IDR+EHS",
    "LTP+EHS",
    "recurrence_unspecified",
)

TABLES: Final[Mapping[str, Mapping[str, Column]]] = MappingProxyType(
    {
        "patients": _PATIENTS,
        "ablations": {
            "subject_id": _ID,
            "ablation_date": _DATE,
            "tumour_no": Column("integer"),
            "tumour_diameter_cm": Column("number", quantity="length"),
            "guidance": Column("code", ("US", "CT")),
            "complete_ablation": _YES_NO,
            "complication_term": _TEXT,
            "complication_clavien_dindo": Column("code", ("I", "II", "IIIa", "IIIb", "IVa", "IVb", "V")),
            "complication_cirse": Column("integer"),
            "complication_sir": Column("code", ("mild", "moderate", "severe", "life_threatening", "death")),
            "complication_date": _DATE,
        },
        "drug_exposure": {
            "subject_id": _ID,
            "drug": Column("code", ("sorafenib",)),
            "start_date": _DATE,
            "end_date": _DATE,
            "daily_dose_mg": Column("number", quantity="dose"),
            "change_reason": Column(
                "code", ("adverse_event", "progression", "patient_choice", "planned", "death", "ongoing")
            ),
        },
        "imaging": {
            "subject_id": _ID,
            "imaging_date": _DATE,
            "modality": Column("code", ("CT", "MRI", "CEUS")),
            "finding": Column("code", _FINDINGS),
            "ltp_tumours": _TEXT,
        },
        "labs": {
            "subject_id": _ID,
            "sample_date": _DATE,
            "test": Column("code", tuple(LAB_TESTS)),
            "value": Column("number"),
            "unit": _TEXT,
            "uln": Column("number"),
            "source_value": _TEXT,
            "source_unit": _TEXT,
            "below_detection": _YES_NO,
        },
        "adverse_events": {
            "subject_id": _ID,
            "term": _TEXT,
            "soc": _TEXT,
            "grade": Column("integer"),
            "start_date": _DATE,
            "end_date": _DATE,
            "serious": _YES_NO,
            "related_drug": _YES_NO,
            "related_rfa": _YES_NO,
            "action": Column("code", ("none", "reduced", "interrupted", "stopped")),
            "outcome": Column("code", ("recovered", "recovering", "not_recovered", "fatal")),
        },
        "survival_times": {
            "subject_id": _ID,
            "endpoint": Column("code", ("OS", "RFS", "TTR")),
            "time_months": Column("number", quantity="time"),
            "event": Column("integer", ("0", "1")),
        },
    }
)
"""Table -> column -> how it is read, in the order of the table."""

assert tuple(TABLES) == RAW_TABLES

SURVIVAL_EXPORT: Final[Mapping[str, Column]] = MappingProxyType(
    {
        "subject_id": _ID,
        "os_months": TABLES["survival_times"]["time_months"],
        "os_event": TABLES["survival_times"]["event"],
        "rfs_months": TABLES["survival_times"]["time_months"],
        "rfs_event": TABLES["survival_times"]["event"],
        "ttr_months": TABLES["survival_times"]["time_months"],
        "ttr_event": TABLES["survival_times"]["event"],
    }
)
"""Columns of a ``survival_times`` export, one row a patient; ingest makes them long. An export has overall survival
and either recurrence-free survival (the composite) or the time to recurrence (deaths before it are censored)."""

LAB_EXPORT: Final[tuple[str, ...]] = ("subject_id", "sample_date", "test", "value", "unit", "uln")
"""Columns of a ``labs`` export that a site can map; the others are made by ingest."""

DATE_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {table: tuple(n for n, c in columns.items() if c.kind == "date") for table, columns in TABLES.items()}
)

ORIGIN: Final[Mapping[str, str]] = MappingProxyType(
    {"site": "string", "src_file": "string", "src_sheet": "string", "src_row": "Int64", "src_cells": "string"}
)
"""Where a row came from. ``src_cells`` is a JSON object, header -> text as it stood, of the row's mapped cells."""

QUARANTINE_COLUMNS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "site": "string",
        "file": "string",
        "sheet": "string",
        "row": "Int64",
        "column": "string",
        "value": "string",
        "table": "string",
        "subject_id": "string",
        "rule": "string",
        "reason": "string",
        "scope": "string",
    }
)

_EXTRA_KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {"continuous": "number", "integer": "integer", "categorical": "code"}
)


def table_columns(table: str, cohort: CohortConfig) -> dict[str, Column]:
    """Return the columns of a canonical table, for ``patients`` with the extra variables that the cohort records."""
    columns = dict(TABLES[table])
    if table == "patients":
        for name, extra in cohort.extra_variables.items():
            if extra.split is None:
                columns[name] = Column(_EXTRA_KINDS[extra.kind], tuple(extra.levels or ()))
    return columns


def table_dtypes(table: str, cohort: CohortConfig) -> dict[str, str]:
    """Return column -> dtype of a canonical table with its origin columns, in order."""
    return {name: DTYPES[column.kind] for name, column in table_columns(table, cohort).items()} | dict(ORIGIN)


def conform(table: str, frame: pd.DataFrame, cohort: CohortConfig) -> pd.DataFrame:
    """Return `frame` with exactly the canonical columns and dtypes of `table`.

    Parquet keeps dates in milliseconds at the coarsest; this gives them back their seconds.

    Raises
    ------
    ValueError
        If a canonical column is missing (a file of another version of the contract).
    """
    dtypes = table_dtypes(table, cohort)
    missing = [name for name in dtypes if name not in frame.columns]
    if missing:
        raise ValueError(f"the table {table} lacks the columns {missing}")
    return frame[list(dtypes)].astype(dtypes).reset_index(drop=True)


def empty_table(table: str, cohort: CohortConfig) -> pd.DataFrame:
    """Return `table` without rows."""
    import pandas as pd

    return pd.DataFrame({name: pd.Series([], dtype=dtype) for name, dtype in table_dtypes(table, cohort).items()})


def quarantine_frame(entries: Sequence[Mapping[str, Any] | Sequence[Any]]) -> pd.DataFrame:
    """Return quarantine entries as a frame with the columns and dtypes of the contract.

    An entry is a mapping from the columns, or a tuple in their order.
    """
    import pandas as pd

    return pd.DataFrame(entries, columns=list(QUARANTINE_COLUMNS)).astype(dict(QUARANTINE_COLUMNS))
