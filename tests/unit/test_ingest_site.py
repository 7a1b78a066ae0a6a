"""One centre's export: origins, quarantine, and nothing lost on the way."""

from __future__ import annotations

import csv
import hashlib
import json
import time
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from ingest_helpers import ROOT, SHOWN, cohort_config, ingest, patients_only, site_config, workbook

from sorafenib_rfa.ingest.tables import QUARANTINE_COLUMNS

HCC = ROOT / "data" / "public" / "hcc_resection"


def entries(frame: pd.DataFrame, *columns: str) -> list[tuple]:
    return [tuple(None if pd.isna(v) else v for v in row) for row in frame[list(columns)].itertuples(index=False)]


def test_leading_zeros_and_text_ids_stay(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text("id,age\n007,50\n7,51\nA-1,52\n")
    assert ingest(tmp_path, site_config()).tables["patients"]["subject_id"].tolist() == ["007", "7", "A-1"]


def test_rows_are_counted_as_a_person_sees_them(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text('id,age,note\n1,50,"two\nlines"\n\n2,old,\n3,52,"a ""quoted"" word"\n')
    ingested = ingest(tmp_path, site_config())
    assert ingested.tables["patients"]["src_row"].tolist() == [2, 5, 6]
    assert entries(ingested.quarantine, "file", "row", "column", "value", "rule", "scope") == [
        (f"{SHOWN}/patients.csv", 5, "age", "old", "not_a_number", "value")
    ]


def test_a_bad_cell_costs_the_cell_only_and_keeps_its_text(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text("id,age,sex,born\n1, n/a ,F,31.02.1950\n")
    site = patients_only({"sex": "sex", "birth_date": "born"}, date_formats=["%d.%m.%Y"])
    ingested = ingest(tmp_path, site)
    row = ingested.tables["patients"].iloc[0]
    assert row["sex"] == "F"
    assert pd.isna(row["age_years"]) and pd.isna(row["birth_date"])
    assert sorted(entries(ingested.quarantine, "column", "value", "rule")) == [
        ("age", " n/a ", "not_a_number"),
        ("born", "31.02.1950", "unparsable_date"),
    ]
    assert list(ingested.quarantine.columns) == list(QUARANTINE_COLUMNS)
    assert {str(d) for d in ingested.quarantine.dtypes} == {"string", "Int64"}


def test_ragged_rows_leave_whole_but_empty_extra_cells_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text("id,age\n1,50,,\n2,51,x\n3\n4,53\n")
    ingested = ingest(tmp_path, site_config())
    assert ingested.tables["patients"]["subject_id"].tolist() == ["1", "4"]
    assert entries(ingested.quarantine, "row", "value", "subject_id", "rule", "scope") == [
        (3, "2,51,x", "2", "ragged_row", "row"),
        (4, "3", "3", "ragged_row", "row"),
    ]


def test_a_row_without_an_id_leaves_whole(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text("id,age\n1,50\nNA,51\n")
    ingested = ingest(tmp_path, site_config())
    assert len(ingested.tables["patients"]) == 1
    assert entries(ingested.quarantine, "row", "column", "rule", "scope") == [(3, "id", "missing_subject_id", "row")]


def test_formulas_without_a_value_are_reported_and_calculated_ones_read(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Patients"
    for row in (["id", "age"], ["1", "=50+1"], ["2", 52]):
        sheet.append(row)
    book.save(tmp_path / "p.xlsx")
    mapping = {"file": "p.xlsx", "sheet": "Patients", "columns": {"subject_id": "id", "age_years": "age"}}
    ingested = ingest(tmp_path, site_config(tables={"patients": mapping}))
    assert entries(ingested.quarantine, "sheet", "row", "column", "value", "rule") == [
        ("Patients", 2, "age", "=50+1", "formula_without_value")
    ]
    assert ingested.tables["patients"]["age_years"].fillna(-1).tolist() == [-1, 52]


def test_a_wrong_stated_extent_of_a_sheet_loses_no_row(tmp_path: Path) -> None:
    import io
    import re
    import zipfile

    whole = workbook({"Patients": [["id", "age"], ["1", 50], ["2", 51]]})
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as source, zipfile.ZipFile(stream, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("sheet1.xml"):
                content, changed = re.subn(rb'<dimension ref="[^"]*"', b'<dimension ref="A1:B2"', content)
                assert changed == 1
            target.writestr(name, content)
    (tmp_path / "p.xlsx").write_bytes(stream.getvalue())
    mapping = {"file": "p.xlsx", "sheet": "Patients", "columns": {"subject_id": "id", "age_years": "age"}}
    assert ingest(tmp_path, site_config(tables={"patients": mapping})).tables["patients"]["subject_id"].tolist() == [
        "1",
        "2",
    ]


def test_gaps_between_rows_of_a_sheet_keep_the_row_numbers(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Patients"
    for place, value in {"A1": "id", "B1": "age", "A2": 1, "B2": 50, "A7": 2.0, "B7": 51, "D7": "a note"}.items():
        sheet[place] = value
    book.save(tmp_path / "p.xlsx")
    mapping = {"file": "p.xlsx", "sheet": "Patients", "columns": {"subject_id": "id", "age_years": "age"}}
    patients = ingest(tmp_path, site_config(tables={"patients": mapping})).tables["patients"]
    assert entries(patients, "subject_id", "src_sheet", "src_row") == [("1", "Patients", 2), ("2", "Patients", 7)]


def test_constants_fill_a_column(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text("id,age\n1,50\n2,51\n")
    mapping = {
        "file": "patients.csv",
        "columns": {"subject_id": "id", "age_years": "age"},
        "constants": {"etiology": "HBV", "ecog": "0", "last_contact_date": "2019-06-30"},
    }
    patients = ingest(tmp_path, site_config(tables={"patients": mapping})).tables["patients"]
    assert patients["etiology"].tolist() == ["HBV", "HBV"]
    assert patients["ecog"].tolist() == [0, 0]
    assert patients["last_contact_date"].dt.strftime("%Y-%m-%d").tolist() == ["2019-06-30"] * 2


def test_the_source_cells_of_every_row_are_kept_as_they_stood(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text("id,age,other\n１, 50 ,x\n2,,y\n")
    patients = ingest(tmp_path, site_config()).tables["patients"]
    assert [json.loads(cells) for cells in patients["src_cells"]] == [
        {"id": "１", "age": " 50 "},
        {"id": "2", "age": None},
    ]


# --- laboratory results --------------------

LAB_COLUMNS = {"subject_id": "id", "sample_date": "d", "test": "t", "value": "v", "unit": "u", "uln": "uln"}


def labs(tmp_path: Path, text: str, columns: dict = LAB_COLUMNS, wide: dict | None = None, **site: object):
    (tmp_path / "patients.csv").write_text("id,age\n1,50\n")
    (tmp_path / "l.csv").write_text(text)
    mapping: dict = {"file": "l.csv", "columns": columns}
    if wide:
        mapping["wide_tests"] = wide
    tables = {
        "patients": {"file": "patients.csv", "columns": {"subject_id": "id", "age_years": "age"}},
        "labs": mapping,
    }
    ingested = ingest(tmp_path, site_config(tables=tables, **site))
    return ingested.tables["labs"], ingested.quarantine


def test_results_keep_their_source_and_the_limit_is_converted_too(tmp_path: Path) -> None:
    frame, quarantine = labs(tmp_path, "id,d,t,v,u,uln\n1,2015-03-01,BILI,1.5,mg/dL,1.2\n1,2015-03-01,ALT,30,UI/L,\n")
    assert quarantine.empty
    assert entries(frame, "test", "value", "unit", "uln", "source_value", "source_unit") == [
        ("BILI", 25.65, "umol/L", 20.52, "1.5", "mg/dL"),
        ("ALT", 30.0, "U/L", None, "30", "UI/L"),
    ]


def test_unknown_tests_and_units_are_quarantined_with_what_is_known(tmp_path: Path) -> None:
    text = "id,d,t,v,u,uln\n1,2015-03-01,GLUC,5,mmol/L,\n1,2015-03-01,BILI,1.5,furlong,\n1,2015-03-01,BILI,2,,\n"
    frame, quarantine = labs(tmp_path, text)
    assert entries(quarantine, "row", "column", "value", "rule", "scope") == [
        (2, "t", "GLUC", "unknown_test", "row"),
        (3, "u", "furlong", "unknown_unit", "value"),
        (4, "u", None, "unknown_unit", "value"),
    ]
    assert "umol/L, mg/dL" in quarantine["reason"][1]
    assert "'1.5' cannot be used" in quarantine["reason"][1]
    assert entries(frame, "test", "value", "unit", "source_value", "source_unit") == [
        ("BILI", None, None, "1.5", "furlong"),
        ("BILI", None, None, "2", None),
    ]


def test_site_spellings_of_units_are_translated_and_an_empty_unit_falls_back_to_the_declared_one(
    tmp_path: Path,
) -> None:
    frame, quarantine = labs(
        tmp_path,
        "id,d,t,v,u,uln\n1,2015-03-01,Leber-B,1,mg Prozent,\n1,2015-03-02,Leber-B,2,,\n",
        unit_names={"mg Prozent": "mg/dL"},
        test_names={"Leber-B": "BILI"},
        test_units={"BILI": "mg/dL"},
        test_uln={"BILI": 1.2},
    )
    assert quarantine.empty
    assert entries(frame, "test", "value", "uln") == [("BILI", 17.1, 20.52), ("BILI", 34.2, 20.52)]


def test_wide_results_name_the_column_of_the_test(tmp_path: Path) -> None:
    wide = {"ALB": {"column": "Alb", "unit": "g/dL"}, "AFP": {"column": "AFP", "unit": "IU/mL", "uln": 10}}
    frame, quarantine = labs(
        tmp_path,
        "id,d,Alb,AFP\n1,2015-03-01,4.0,<5\n1,2015-03-02,haemolytic,\n1,bad,3.9,7\n",
        columns={"subject_id": "id", "sample_date": "d"},
        wide=wide,
    )
    assert entries(frame, "test", "value", "uln", "below_detection", "src_row") == [
        ("ALB", 40.0, None, "N", 2),
        ("AFP", 3.025, 12.1, "Y", 2),
        ("ALB", None, None, None, 3),
        ("ALB", 39.0, None, "N", 4),
        ("AFP", 8.47, 12.1, "N", 4),
    ]
    assert entries(quarantine, "row", "column", "value", "rule") == [
        (3, "Alb", "haemolytic", "not_a_number"),
        (4, "d", "bad", "unparsable_date"),
    ]


# --- the whole --------------------


def test_every_cell_is_in_the_table_or_in_quarantine(tmp_path: Path) -> None:
    """A differential oracle: read the export by other means and account for every mapped cell."""
    cells = ["50", "", "NA", "fifty", "3,5", "４２", "1e2", " 7 ", "0x10", "-1", "5.0", "½"]
    rows = [[str(i), cell] for i, cell in enumerate(cells)]
    with (tmp_path / "patients.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["id", "age"], *rows])
    ingested = ingest(tmp_path, site_config())
    patients = ingested.tables["patients"].set_index("src_row")
    quarantined = ingested.quarantine.set_index("row")
    for number, (_, cell) in enumerate(rows, start=2):
        value = patients.at[number, "age_years"]
        if number in quarantined.index:
            assert pd.isna(value)
            assert quarantined.at[number, "value"] == cell
        elif pd.isna(value):
            assert cell.strip() in ("", "NA")
        else:
            assert value == float(cell)  # Python's float reads full-width digits by itself
    assert len(quarantined) == 4  # fifty, 3,5, 0x10, ½


def test_a_large_laboratory_export_is_read_in_seconds(tmp_path: Path) -> None:
    lines = ["id,d,t,v,u,uln"]
    for i in range(20_000):
        lines.append(f"1,2015-{i % 12 + 1:02d}-{i % 28 + 1:02d},BILI,{i % 300 / 10},mg/dL,1.2")
    start = time.perf_counter()
    frame, _ = labs(tmp_path, "\n".join(lines))
    assert len(frame) == 20_000
    assert time.perf_counter() - start < 3


def test_the_real_cohort_is_the_file_its_readme_names() -> None:
    readme = (HCC / "README.md").read_text("utf-8")
    digest = hashlib.sha256((HCC / "hcc_resection.csv").read_bytes()).hexdigest()
    assert f"sha256  {digest}  hcc_resection.csv" in readme


def test_the_real_cohorts_dictionary_describes_every_column_and_its_counts() -> None:
    dictionary = pd.read_csv(HCC / "data_dictionary.csv", dtype="string")
    data = pd.read_csv(HCC / "hcc_resection.csv")
    assert dictionary["column"].tolist() == list(data.columns)
    assert dictionary["recorded"].astype(int).tolist() == data.notna().sum().tolist()
    for row in dictionary.itertuples():
        if ": " in row.values:
            counts = {float(k): int(n) for k, n in (part.split(": ") for part in row.values.split("; "))}
            assert counts == data[row.column].value_counts().to_dict()


def test_ingest_does_not_depend_on_anything_but_its_input(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text("id,age\n2,fifty\n1,50\n")
    site, config = site_config(), cohort_config()
    before = site.model_dump()
    first, second = ingest(tmp_path, site, config), ingest(tmp_path, site, config)
    pd.testing.assert_frame_equal(first.tables["patients"], second.tables["patients"])
    pd.testing.assert_frame_equal(first.quarantine, second.quarantine)
    assert site.model_dump() == before


@pytest.mark.parametrize("name", ["patients.txt", "patients.tsv"])
def test_delimited_text_by_any_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("id\tage\n1\t50\n")
    mapping = {"file": name, "columns": {"subject_id": "id", "age_years": "age"}}
    site = site_config(delimiter="\t", tables={"patients": mapping})
    assert ingest(tmp_path, site).tables["patients"]["age_years"].tolist() == [50]
