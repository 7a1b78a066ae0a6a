"""pandera schemas of the clean tables: the last check, which can fail only by a defect of the rules before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from sorafenib_rfa.clean.plausibility import COLUMN_BOUNDS, LAB_BOUNDS
from sorafenib_rfa.clean.rules import KEY_COLUMNS
from sorafenib_rfa.coded import ROW_GROUP, decoded
from sorafenib_rfa.config.models import CohortConfig
from sorafenib_rfa.ingest.tables import DTYPES, ORIGIN, TABLES, table_columns
from sorafenib_rfa.vocabulary import LAB_TESTS

if TYPE_CHECKING:
    import pandera.pandas as pa

CLEAN_ORIGIN = {name: dtype for name, dtype in ORIGIN.items() if name != "src_cells"}
"""Origin columns of clean tables; the source cells stay with the ingest tables."""

_UNIQUE = {"patients": ["USUBJID"], "survival_times": ["USUBJID", "endpoint"]}
_ALWAYS = {"labs": ("test", "value", "unit", "below_detection"), "survival_times": ("endpoint",)}


def clean_columns(table: str, cohort: CohortConfig) -> list[str]:
    """Return the columns of a clean table, in order."""
    return ["USUBJID", *table_columns(table, cohort), *CLEAN_ORIGIN]


def clean_schema(table: str, cohort: CohortConfig) -> pa.DataFrameSchema:
    """Return the schema of a clean table: exact columns and dtypes, codes, bounds, keys, order in time.

    Checks are of single rows: :func:`validate_clean` looks at large tables a part after the other, and over the whole
    only at the keys.
    """
    import pandera.pandas as pa

    needed = {"subject_id", *KEY_COLUMNS.get(table, ()), *_ALWAYS.get(table, ())}
    columns = {"USUBJID": pa.Column("string", nullable=False)}
    for name, column in table_columns(table, cohort).items():
        checks = []
        if column.codes:
            codes = [int(code) for code in column.codes] if column.kind == "integer" else list(column.codes)
            checks.append(pa.Check.isin(codes))
        bounds = COLUMN_BOUNDS.get((table, name))
        if bounds is not None:
            checks.append(pa.Check.in_range(bounds.low, bounds.high))
        if (table, name) == ("adverse_events", "grade"):
            checks.append(pa.Check.in_range(1, 5))
        columns[name] = pa.Column(DTYPES[column.kind], checks, nullable=name not in needed)
    for name, dtype in CLEAN_ORIGIN.items():
        columns[name] = pa.Column(dtype, nullable=name == "src_sheet")
    frame_checks = []
    if table in ("drug_exposure", "adverse_events"):
        frame_checks.append(pa.Check(lambda df: ~(df["end_date"] < df["start_date"]), name="end_not_before_start"))
    if table == "ablations":
        frame_checks.append(
            pa.Check(
                lambda df: ~(df["complication_date"] < df["ablation_date"]), name="complication_not_before_session"
            )
        )
    if table == "labs":
        frame_checks.append(pa.Check(_labs_in_bounds, name="laboratory_value_in_bounds"))
        frame_checks.append(
            pa.Check(
                lambda df: df["unit"] == df["test"].map({test: unit for test, (_, unit) in LAB_TESTS.items()}),
                name="canonical_unit",
            )
        )
    return pa.DataFrameSchema(columns, checks=frame_checks, strict=True, ordered=True, unique=_UNIQUE.get(table))


def _labs_in_bounds(labs: pd.DataFrame) -> pd.Series:
    low = labs["test"].map({test: bounds.low for test, bounds in LAB_BOUNDS.items()}).astype("Float64")
    high = labs["test"].map({test: bounds.high for test, bounds in LAB_BOUNDS.items()}).astype("Float64")
    return (labs["value"] >= low) & (labs["value"] <= high)


def validate_clean(tables: dict[str, pd.DataFrame], cohort: CohortConfig) -> None:
    """Check every clean table against its schema; tables of codes a part after the other, so that text needs no memory.

    Raises
    ------
    AssertionError
        With all failures: the rules of cleaning let something through, which is a defect of this repository.
    """
    import pandera.errors

    failures = []
    for table in TABLES:
        schema, frame = clean_schema(table, cohort), tables[table]
        twice = int(frame.duplicated(_UNIQUE[table]).sum()) if table in _UNIQUE and len(frame) > ROW_GROUP else 0
        if twice:
            failures.append(f"{table}: {twice} rows have the key of an earlier one")
        for start in range(0, max(len(frame), 1), ROW_GROUP):
            try:
                schema.validate(decoded(frame.iloc[start : start + ROW_GROUP]), lazy=True)
            except pandera.errors.SchemaErrors as error:
                failures += _failures(table, error.failure_cases)
    if failures:
        raise AssertionError(
            "cleaning let through what it should not (a defect, not your data):\n" + "\n".join(failures)
        )


def _failures(table: str, cases: pd.DataFrame) -> list[str]:
    return [
        f"{table}.{column}: {check} fails for {len(group)} rows, e.g. {group['failure_case'].iloc[0]!r}"
        for (column, check), group in cases.groupby(["column", "check"], dropna=False, sort=True)
    ]
