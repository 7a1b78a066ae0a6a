"""The same three patients, written as six centres write, become the same canonical tables."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from ingest_helpers import (
    HEADERS,
    LABS,
    PATIENTS,
    SEX,
    SHOWN,
    VITAL,
    cohort_config,
    delimited,
    ingest,
    plan,
    site_config,
    study,
    workbook,
)
from source_oracle import check_against_source

from sorafenib_rfa.clean import clean_cohort
from sorafenib_rfa.config.models import SiteConfig

PATIENT_COLUMNS = [
    "subject_id",
    "birth_date",
    "sex",
    "largest_tumour_cm",
    "vital_status",
    "death_date",
    "last_contact_date",
]
LAB_HEADERS = ["subject", "date", "test", "result", "unit"]
LAB_COLUMNS = dict(zip(["subject_id", "sample_date", "test", "value", "unit"], LAB_HEADERS, strict=True))


def text_rows(date: Callable, number: Callable, none: str, sex: dict, vital: dict) -> list[list[str]]:
    def day(d: dt.date | None) -> str:
        return none if d is None else date(d)

    return [
        [s, day(b), sex[x], none if size is None else number(str(size)), vital[v], day(death), day(last)]
        for s, b, x, size, v, death, last in PATIENTS
    ]


def lab_rows(date: Callable, number: Callable) -> list[list[str]]:
    return [[s, date(d), test, number(value), unit] for s, d, test, value, unit, *_ in LABS]


def patients_map(headers: tuple | list, sex: dict, vital: dict, **more: object) -> dict:
    columns: dict = dict(zip(PATIENT_COLUMNS, headers, strict=True))
    columns["sex"] = {"column": columns["sex"], "values": {word: code for code, word in sex.items()}}
    columns["vital_status"] = {
        "column": columns["vital_status"],
        "values": {word: code for code, word in vital.items()},
    }
    return {"columns": columns, **more}


PLAIN = {"F": "F", "M": "M"}
PLAIN_VITAL = {"alive": "alive", "dead": "dead"}


def gb18030_csv(folder: Path) -> SiteConfig:
    """Chinese text, dates in words, full-width digits in one id, GB18030."""

    def date(d: dt.date) -> str:
        return f"{d.year}年{d.month}月{d.day}日"

    rows = text_rows(date, str, "不详", SEX["chinese"], VITAL["chinese"])
    rows[0][0] = "０００７"
    (folder / "p.csv").write_bytes(delimited([list(HEADERS["chinese"]), *rows], ",", "gb18030"))
    (folder / "l.csv").write_bytes(delimited([LAB_HEADERS, *lab_rows(date, str)], ",", "gb18030"))
    return site_config(
        encoding="gb18030",
        date_formats=["%Y年%m月%d日"],
        missing=["不详"],
        tables={
            "patients": patients_map(HEADERS["chinese"], SEX["chinese"], VITAL["chinese"], file="p.csv"),
            "labs": {"file": "l.csv", "columns": LAB_COLUMNS},
        },
    )


def xlsx_typed(folder: Path) -> SiteConfig:
    """A workbook with a title above the header in row 3, real dates and real numbers, sheets of one file."""
    rows = [[s, b, x, size, v, death, last] for s, b, x, size, v, death, last in PATIENTS]
    labs = [[s, d, t, v if v[0] in "<>" else float(v), u] for s, d, t, v, u, *_ in LABS]
    note: list = ["exported for the study"]
    sheets = {"Patients": [note, [], PATIENT_COLUMNS, *rows], "Labs": [note, [], LAB_HEADERS, *labs]}
    (folder / "export.xlsx").write_bytes(workbook(sheets))
    return site_config(
        tables={
            "patients": {
                "file": "export.xlsx",
                "sheet": "Patients",
                "header_row": 3,
                "columns": {name: name for name in PATIENT_COLUMNS},
            },
            "labs": {"file": "export.xlsx", "sheet": "Labs", "header_row": 3, "columns": LAB_COLUMNS},
        }
    )


def cp1252_csv(folder: Path) -> SiteConfig:
    """French text in cp1252, semicolons, decimal commas, a no-break space between thousands, sizes in millimetres."""

    def date(d: dt.date) -> str:
        return d.strftime("%d/%m/%Y")

    def number(text: str) -> str:
        return text.replace("1234", "1\N{NO-BREAK SPACE}234").replace(".", ",")

    def millimetres(text: str) -> str:
        return f"{float(text) * 10:.0f}"

    rows = text_rows(date, millimetres, "NR", SEX["french"], VITAL["french"])
    (folder / "p.csv").write_bytes(delimited([list(HEADERS["french"]), *rows], ";", "cp1252"))
    (folder / "l.csv").write_bytes(delimited([LAB_HEADERS, *lab_rows(date, number)], ";", "cp1252"))
    mapped = patients_map(HEADERS["french"], SEX["french"], VITAL["french"], file="p.csv")
    mapped["columns"]["largest_tumour_cm"] = {"column": "diamètre", "unit": "mm"}
    return site_config(
        encoding="cp1252",
        delimiter=";",
        decimal=",",
        thousands="\N{NO-BREAK SPACE}",
        date_formats=["%d/%m/%Y"],
        missing=["NR"],
        tables={"patients": mapped, "labs": {"file": "l.csv", "columns": LAB_COLUMNS}},
    )


def xlsx_text(folder: Path) -> SiteConfig:
    """A workbook whose numbers and dates are Italian text."""

    def date(d: dt.date) -> str:
        return d.strftime("%d.%m.%Y")

    def number(text: str) -> str:
        return text.replace(".", ",")

    rows = text_rows(date, number, "n.d.", PLAIN, PLAIN_VITAL)
    sheets = {"Pazienti": [PATIENT_COLUMNS, *rows], "Esami": [LAB_HEADERS, *lab_rows(date, number)]}
    (folder / "export.xlsx").write_bytes(workbook(sheets))
    columns = {name: name for name in PATIENT_COLUMNS}
    return site_config(
        decimal=",",
        thousands=".",
        date_formats=["%d.%m.%Y"],
        missing=["n.d."],
        tables={
            "patients": {"file": "export.xlsx", "sheet": "Pazienti", "columns": columns},
            "labs": {"file": "export.xlsx", "sheet": "Esami", "columns": LAB_COLUMNS},
        },
    )


def utf8_wide(folder: Path) -> SiteConfig:
    """UTF-8 with one row a sampling day and one column a test."""

    def date(d: dt.date) -> str:
        return d.strftime("%Y/%m/%d")

    rows = text_rows(date, str, "", PLAIN, PLAIN_VITAL)
    (folder / "p.csv").write_bytes(delimited([PATIENT_COLUMNS, *rows], ",", "utf-8"))
    wide: dict[tuple, dict[str, str]] = {}
    for subject, day, test, value, *_ in LABS:
        wide.setdefault((subject, date(day)), {})[test] = value
    tests = {"BILI": ("T-Bil", "mg/dL"), "ALB": ("Alb", "g/dL"), "AFP": ("AFP", "IU/mL"), "PLT": ("Plt", "K/uL")}
    header = ["subject", "date", *(column for column, _ in tests.values())]
    lines = [[*key, *(found.get(test, "") for test in tests)] for key, found in wide.items()]
    (folder / "l.csv").write_bytes(delimited([header, *lines], ",", "utf-8"))
    return site_config(
        date_formats=["%Y/%m/%d"],
        tables={
            "patients": {"file": "p.csv", "columns": {name: name for name in PATIENT_COLUMNS}},
            "labs": {
                "file": "l.csv",
                "columns": {"subject_id": "subject", "sample_date": "date"},
                "wide_tests": {test: {"column": column, "unit": unit} for test, (column, unit) in tests.items()},
            },
        },
    )


def bom_us(folder: Path) -> SiteConfig:
    """UTF-8 with a byte order mark, month first, -99 and . for missing, site names of tests, units declared."""

    def date(d: dt.date) -> str:
        return f"{d.month}/{d.day}/{d.year}"

    rows = text_rows(date, str, "-99", PLAIN, PLAIN_VITAL)
    rows[2][3] = "."
    (folder / "p.csv").write_bytes(delimited([PATIENT_COLUMNS, *rows], ",", "utf-8-sig"))
    names = {"BILI": "Total bili", "ALB": "Albumin", "AFP": "AFP tumor marker", "PLT": "Platelets"}
    labs = [[s, d, names[t], v] for s, d, t, v, _ in lab_rows(date, str)]
    (folder / "l.csv").write_bytes(delimited([LAB_HEADERS[:4], *labs], ",", "utf-8-sig"))
    return site_config(
        date_formats=["%m/%d/%Y"],
        missing=["-99", "."],
        test_names={name: test for test, name in names.items()},
        test_units={"BILI": "mg/dL", "ALB": "g/dL", "AFP": "IU/mL", "PLT": "x10⁹/L"},
        tables={
            "patients": {"file": "p.csv", "columns": {name: name for name in PATIENT_COLUMNS}},
            "labs": {"file": "l.csv", "columns": {k: v for k, v in LAB_COLUMNS.items() if k != "unit"}},
        },
    )


DIALECTS = [gb18030_csv, xlsx_typed, cp1252_csv, xlsx_text, utf8_wide, bom_us]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.__name__)
def test_every_dialect_gives_the_same_patients(dialect: Callable, tmp_path: Path) -> None:
    ingested = ingest(tmp_path, dialect(tmp_path))
    assert ingested.quarantine.empty, ingested.quarantine.to_string()
    got = ingested.tables["patients"]
    rows = [
        tuple(None if pd.isna(v) else v.date() if isinstance(v, pd.Timestamp) else v for v in row)
        for row in got[PATIENT_COLUMNS].itertuples(index=False)
    ]
    assert rows == PATIENTS
    first = 4 if dialect is xlsx_typed else 2
    assert got["src_row"].tolist() == [first, first + 1, first + 2]
    assert got["src_file"].str.startswith(f"{SHOWN}/").all()


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.__name__)
def test_every_dialect_gives_the_same_results_in_canonical_units(dialect: Callable, tmp_path: Path) -> None:
    labs = ingest(tmp_path, dialect(tmp_path)).tables["labs"]
    got = [
        (row.subject_id, row.sample_date.date(), row.test, row.value, row.below_detection) for row in labs.itertuples()
    ]
    assert sorted(got) == sorted((s, d, test, value, below) for s, d, test, _, _, value, below in LABS)
    limits = labs.loc[labs["test"] == "AFP", "source_value"].tolist()
    assert limits == ["<3", ">1210"]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.__name__)
def test_clean_values_are_those_an_independent_reading_finds(dialect: Callable, tmp_path: Path) -> None:
    folder = tmp_path / "centre"
    folder.mkdir()
    site, config = dialect(folder), cohort_config()
    cleaned = clean_cohort({"centre": ingest(folder, site, config)}, study({"centre": site}, config), plan())
    assert check_against_source({"centre": folder}, {"centre": site}, cleaned) >= 3 * 7 + 5 * 3


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.__name__)
def test_frames_have_exactly_the_canonical_dtypes(dialect: Callable, tmp_path: Path) -> None:
    tables = ingest(tmp_path, dialect(tmp_path)).tables
    assert list(tables) == [
        "patients",
        "ablations",
        "drug_exposure",
        "imaging",
        "labs",
        "adverse_events",
        "survival_times",
    ]
    for name, column, dtype in [
        ("patients", "subject_id", "string"),
        ("patients", "death_date", "datetime64[s]"),
        ("patients", "largest_tumour_cm", "Float64"),
        ("patients", "ecog", "Int64"),
        ("labs", "value", "Float64"),
        ("labs", "src_row", "Int64"),
        # tables the centre does not have
        ("ablations", "ablation_date", "datetime64[s]"),
        ("adverse_events", "grade", "Int64"),
        ("survival_times", "time_months", "Float64"),
    ]:
        assert str(tables[name][column].dtype) == dtype, (name, column)
    assert not len(tables["ablations"])


def test_the_independent_reading_notices_a_wrong_value_and_a_lost_row(tmp_path: Path) -> None:
    folder = tmp_path / "centre"
    folder.mkdir()
    site, config = cp1252_csv(folder), cohort_config()
    cleaned = clean_cohort({"centre": ingest(folder, site, config)}, study({"centre": site}, config), plan())
    labs = cleaned.tables["labs"]
    for wrong in (labs.assign(value=labs["value"] + 1), labs.iloc[1:]):
        with pytest.raises(AssertionError):
            tables = cleaned.tables | {"labs": wrong}
            check_against_source({"centre": folder}, {"centre": site}, dataclasses.replace(cleaned, tables=tables))
