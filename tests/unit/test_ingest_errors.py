"""A file or configuration that cannot be used says what is wrong, where, and how to mend it: all of it at once."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from ingest_helpers import SHOWN, cohort_config, ingest, patients_only, site_config, workbook

from sorafenib_rfa.config.models import SiteConfig
from sorafenib_rfa.errors import ConfigError, InputError, Problem


def problems_of(folder: Path, site: SiteConfig) -> tuple[Problem, ...]:
    with pytest.raises(InputError) as caught:
        ingest(folder, site)
    return caught.value.problems


def only_problem(folder: Path, site: SiteConfig) -> Problem:
    (problem,) = problems_of(folder, site)
    return problem


def in_workbook(**more: object) -> SiteConfig:
    mapping = {"file": "p.xlsx", "sheet": "Patients", "columns": {"subject_id": "id", "age_years": "age"}} | more
    return site_config(tables={"patients": mapping})


def test_missing_file_lists_what_is_there_and_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "patient.csv").write_text("id,age\n1,50\n")
    problem = only_problem(tmp_path, site_config())
    assert problem.file == f"{SHOWN}/patients.csv"
    assert problem.message == "the file does not exist"
    assert problem.found == "in the folder: patient.csv"
    assert problem.hint == "did you mean 'patient.csv'?"


def test_missing_folder_is_said(tmp_path: Path) -> None:
    assert only_problem(tmp_path / "nowhere", site_config()).found == "no such folder"


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf\r\n"])
def test_empty_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "patients.csv").write_bytes(content)
    assert only_problem(tmp_path, site_config()).message == "the file is empty"


def test_missing_columns_list_the_headers_and_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text("ID,Age at RFA,sex\n1,50,F\n")
    first, second = problems_of(tmp_path, site_config())
    assert (first.row, first.column, first.message) == (1, "id", "the column mapped to subject_id is missing")
    assert first.found == "headers 'ID', 'Age at RFA', 'sex'"
    assert first.hint == "did you mean 'ID'?"
    assert (second.column, second.expected) == ("age", "'age'")


def test_wrong_delimiter_is_guessed_in_the_hint(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text("id;age\n1;50\n")
    assert problems_of(tmp_path, site_config())[0].hint == (
        "the delimiter looks like the semicolon, the site's configuration declares ','"
    )


def test_duplicate_header_of_a_mapped_column_names_both_positions(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text("id,age,sex,age\n1,50,F,51\n")
    problem = only_problem(tmp_path, site_config())
    assert problem.message == "the header stands 2 times, so which column is age_years cannot be told"
    assert problem.found == "in columns 2, 4"


def test_duplicate_header_of_an_unmapped_column_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text("id,age,note,note\n1,50,a,b\n")
    assert ingest(tmp_path, site_config()).tables["patients"]["age_years"].tolist() == [50]


def test_undecodable_byte_names_offset_line_and_encodings_that_fit(tmp_path: Path) -> None:
    content = "id,age,ville\n1,50,Orléans\n".encode("cp1252")
    (tmp_path / "patients.csv").write_bytes(content)
    problem = only_problem(tmp_path, site_config())
    assert problem.message == "the file is not in the declared encoding utf-8"
    assert problem.row == 2
    assert f"byte 0xE9 at offset {content.index(0xE9)}" in str(problem.found)
    assert "cp1252" in str(problem.hint)


def test_gb18030_read_as_utf8_suggests_gb18030(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_bytes("id,age,性别\n1,50,女\n".encode("gb18030"))
    assert "gb18030" in str(only_problem(tmp_path, site_config()).hint)


def test_utf8_declared_as_cp1252_is_refused_instead_of_read_as_garbage(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_bytes("id,age,ville\n1,50,Orléans\n".encode())
    problem = only_problem(tmp_path, site_config(encoding="cp1252"))
    assert problem.message == "the file is UTF-8, not cp1252"
    assert problem.hint == "set encoding: utf-8"


def test_byte_order_mark_of_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_bytes("id,age\n1,50\n".encode("utf-16"))
    problem = only_problem(tmp_path, site_config())
    assert problem.message == "the file begins with the byte order mark of utf-16"
    assert problem.hint == "set encoding: utf-16"
    assert ingest(tmp_path, site_config(encoding="utf-16")).tables["patients"]["subject_id"].tolist() == ["1"]


def test_utf16_without_mark_is_not_read_as_text(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_bytes("id,age\n1,50\n".encode("utf-16-le"))
    problem = only_problem(tmp_path, site_config())
    assert problem.message == "the file holds NUL characters, which text does not"
    assert problem.row == 1


def test_broken_quoting_names_the_row_where_it_begins(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text('id,age\n1,50\n"2,51\n3,52\n')
    problem = only_problem(tmp_path, site_config())
    assert (problem.row, problem.message) == (3, "the quoting is broken from this row on")


def test_header_row_beyond_the_end_and_empty_header_row(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text("title\n\nid,age\n1,50\n")
    tables = {"patients": {"file": "patients.csv", "columns": {"subject_id": "id", "age_years": "age"}}}

    def at(row: int) -> SiteConfig:
        return site_config(tables={"patients": tables["patients"] | {"header_row": row}})

    beyond = only_problem(tmp_path, at(9))
    assert (beyond.message, beyond.found) == ("the header row lies beyond the end", "4 rows")
    assert only_problem(tmp_path, at(2)).message == "the header row is empty"
    assert ingest(tmp_path, at(3)).tables["patients"]["src_row"].tolist() == [4]


def test_missing_sheet_lists_sheets_and_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "p.xlsx").write_bytes(workbook({"patients": [["id", "age"], ["1", 50]], "notes": [["x"]]}))
    problem = only_problem(tmp_path, in_workbook())
    assert (problem.sheet, problem.message) == ("Patients", "the workbook has no such sheet")
    assert problem.found == "sheets 'patients', 'notes'"
    assert problem.hint == "did you mean 'patients'?"


def test_missing_column_of_a_sheet_names_the_sheet_and_row(tmp_path: Path) -> None:
    (tmp_path / "p.xlsx").write_bytes(workbook({"Patients": [["title"], [], ["id", "years"], ["1", 50]]}))
    problem = only_problem(tmp_path, in_workbook(header_row=3))
    assert (problem.file, problem.sheet, problem.row, problem.column) == (f"{SHOWN}/p.xlsx", "Patients", 3, "age")


def test_header_row_beyond_the_sheet(tmp_path: Path) -> None:
    (tmp_path / "p.xlsx").write_bytes(workbook({"Patients": [["id", "age"]]}))
    assert only_problem(tmp_path, in_workbook(header_row=5)).found == "1 rows"


@pytest.mark.parametrize("content", [b"not a workbook at all", b"PK\x03\x04 torn"])
def test_damaged_workbook(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.xlsx").write_bytes(content)
    assert only_problem(tmp_path, in_workbook()).message == "the workbook is damaged or not a workbook"


def test_zip_that_is_no_workbook(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("readme.txt", "hello")
    (tmp_path / "p.xlsx").write_bytes(stream.getvalue())
    assert only_problem(tmp_path, in_workbook()).message == "the workbook is damaged or not a workbook"


def test_torn_sheet_inside_a_good_archive(tmp_path: Path) -> None:
    whole = workbook({"Patients": [["id", "age"], ["1", 50]]})
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as source, zipfile.ZipFile(stream, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content[: len(content) // 2] if name.endswith("sheet1.xml") else content)
    (tmp_path / "p.xlsx").write_bytes(stream.getvalue())
    assert only_problem(tmp_path, in_workbook()).message == "the workbook is damaged or not a workbook"


def test_no_damage_to_a_workbook_escapes_as_a_traceback(tmp_path: Path) -> None:
    whole = workbook({"Patients": [["id", "age"], *[[str(i), 50 + i] for i in range(30)]]})
    damaged = 0
    for place in range(0, len(whole), 97):
        (tmp_path / "p.xlsx").write_bytes(whole[:place] + b"\x5a\xa5\x5a" + whole[place + 3 :])
        try:
            ingest(tmp_path, in_workbook())
        except InputError as error:
            damaged += 1
            assert len(error.problems) == 1
    assert damaged > 10


def test_old_binary_or_protected_workbook(tmp_path: Path) -> None:
    (tmp_path / "p.xlsx").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512))
    assert "old binary format or protected" in only_problem(tmp_path, in_workbook()).message


def test_workbook_named_csv(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_bytes(workbook({"Patients": [["id", "age"]]}))
    assert only_problem(tmp_path, site_config()).message == "the file is a workbook, not delimited text"


def test_all_problems_of_a_site_come_together(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text("id,years\n1,50\n")
    site = site_config(
        tables={
            "patients": {"file": "patients.csv", "columns": {"subject_id": "id", "age_years": "age"}},
            "imaging": {
                "file": "imaging.csv",
                "columns": {"subject_id": "id", "imaging_date": "date", "finding": "finding"},
            },
        }
    )
    places = [(problem.file, problem.column) for problem in problems_of(tmp_path, site)]
    assert places == [(f"{SHOWN}/patients.csv", "age"), (f"{SHOWN}/imaging.csv", None)]


def test_a_file_that_serves_two_tables_is_reported_once(tmp_path: Path) -> None:
    columns = {"subject_id": "id", "os_months": "os", "os_event": "d", "rfs_months": "rfs", "rfs_event": "r"}
    site = site_config(
        tables={
            "patients": {"file": "all.csv", "columns": {"subject_id": "id", "age_years": "age"}},
            "survival_times": {"file": "all.csv", "columns": columns},
        }
    )
    assert only_problem(tmp_path, site).file == f"{SHOWN}/all.csv"


# --- configuration --------------------


def config_problems(tmp_path: Path, site: SiteConfig, **cohort: object) -> dict[str, Problem]:
    with pytest.raises(ConfigError) as caught:
        ingest(tmp_path, site, cohort_config(**cohort))
    return {problem.message: problem for problem in caught.value.problems}


def test_unknown_canonical_column_has_a_hint(tmp_path: Path) -> None:
    found = config_problems(tmp_path, patients_only({"tumor_count": "n"}))
    assert found["tables.patients.columns.tumor_count: there is no such canonical column"].hint == (
        "did you mean 'tumour_count'?"
    )


def test_extra_variables_of_the_cohort_can_be_mapped(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text("id,age,stain\n1,50,2\n2,60,3\n")
    config = cohort_config(extra_variables={"stain": {"label": "Stain", "kind": "categorical", "levels": ["1", "2"]}})
    ingested = ingest(tmp_path, patients_only({"stain": "stain"}), config)
    assert ingested.tables["patients"]["stain"].fillna("NA").tolist() == ["2", "NA"]
    assert ingested.quarantine[["row", "column", "value", "rule"]].values.tolist() == [
        [3, "stain", "3", "unknown_code"]
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoding": "utf8x"}, "encoding: Python knows no such encoding"),
        ({"delimiter": ";;"}, "delimiter: must be one character"),
        ({"decimal": ",", "thousands": ","}, "thousands: must be one character other than the decimal mark"),
        ({"date_formats": ["%m/%Y"]}, "date_formats: a date format must hold day, month and year"),
        ({"test_names": {"Bili": "BIL"}}, "test_names.Bili: there is no such laboratory test"),
        ({"test_units": {"BILI": "mg/dL", "ALB": "umol/L"}}, "test_units.ALB: ingest knows no such unit of ALB"),
        ({"test_uln": {"BILI": 1.2}}, "test_uln.BILI: its unit is not declared"),
        ({"unit_names": {"mg per dl": "mg/dll"}}, "unit_names.mg per dl: ingest knows no such unit"),
    ],
)
def test_site_settings_that_make_no_sense(tmp_path: Path, change: dict, message: str) -> None:
    assert message in config_problems(tmp_path, site_config(**change))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"sex": {"column": "s", "values": {"1": "male"}}},
            "tables.patients.columns.sex.values.1: there is no such code",
        ),
        (
            {"largest_tumour_cm": {"column": "d", "unit": "inch"}},
            "tables.patients.columns.largest_tumour_cm.unit: ingest knows no such unit",
        ),
        ({"sex": {"column": "s", "unit": "cm"}}, "tables.patients.columns.sex.unit: the column has no unit"),
        (
            {"sex": {"column": "s", "date_formats": ["%d/%m/%Y"]}},
            "tables.patients.columns.sex.date_formats: the column is not a date",
        ),
        (
            {"birth_date": {"column": "b", "date_formats": ["%Y"]}},
            "tables.patients.columns.birth_date.date_formats: a date format must hold day, month and year",
        ),
    ],
)
def test_column_maps_that_make_no_sense(tmp_path: Path, columns: dict, message: str) -> None:
    assert message in config_problems(tmp_path, patients_only(columns))


def table(**mapping: object) -> SiteConfig:
    patients = {"file": "patients.csv", "columns": {"subject_id": "id", "age_years": "age"}}
    return site_config(tables={"patients": patients} | mapping)


LABS = {"file": "l.csv", "columns": {"subject_id": "id", "sample_date": "d", "test": "t", "value": "v"}}
WIDE = {"file": "l.csv", "columns": {"subject_id": "id", "sample_date": "d"}}


@pytest.mark.parametrize(
    ("site", "message"),
    [
        (
            table(imaging={"file": "i.csv", "columns": {"subject_id": "id"}}),
            "tables.imaging.columns.finding: this column is required",
        ),
        (table(labs=WIDE), "tables.labs.columns.value: this column is required"),
        (
            table(labs=LABS | {"wide_tests": {"ALB": {"column": "a", "unit": "g/L"}}}),
            "tables.labs.columns.value: a wide export has no such column",
        ),
        (
            table(labs=WIDE | {"wide_tests": {"ALBU": {"column": "a", "unit": "g/L"}}}),
            "tables.labs.wide_tests.ALBU: there is no such laboratory test",
        ),
        (
            table(labs=WIDE | {"wide_tests": {"ALB": {"column": "a", "unit": "mmol/L"}}}),
            "tables.labs.wide_tests.ALB.unit: ingest knows no such unit of ALB",
        ),
        (
            table(labs=LABS | {"columns": LABS["columns"] | {"below_detection": "x"}}),
            "tables.labs.columns.below_detection: ingest makes this column itself",
        ),
        (
            table(labs=LABS | {"constants": {"uln": "40"}}),
            "tables.labs.constants.uln: one value for all rows makes no sense here",
        ),
        (table(labs=LABS | {"file": "l.xls"}), "tables.labs.file: this kind of workbook is not read"),
        (table(labs=LABS | {"file": "l.xlsx"}), "tables.labs.sheet: a workbook needs the name of its sheet"),
        (table(labs=LABS | {"sheet": "Labs"}), "tables.labs.sheet: a delimited text file has no sheets"),
        (
            table(labs=LABS | {"constants": {"test": "GLUC"}, "columns": WIDE["columns"] | {"value": "v"}}),
            "tables.labs.constants.test: there is no such code",
        ),
        (
            table(labs=LABS | {"constants": {"unit": "g/L"}, "columns": LABS["columns"] | {"unit": "u"}}),
            "tables.labs.constants.unit: the column is mapped as well",
        ),
        (
            site_config(tables={"patients": {"file": "p.csv", "columns": {"subject_id": "id"}}}),
            "tables.patients.columns: birth_date or age_years is required",
        ),
        (site_config(tables={"labs": LABS}), "tables: the table 'patients' is required"),
    ],
)
def test_tables_that_make_no_sense(tmp_path: Path, site: SiteConfig, message: str) -> None:
    assert message in config_problems(tmp_path, site)


def test_a_constant_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text("id,age\n1,50\n")
    mapping = {
        "file": "patients.csv",
        "columns": {"subject_id": "id", "age_years": "age"},
        "constants": {"ecog": "good"},
    }
    found = config_problems(tmp_path, site_config(tables={"patients": mapping}))
    assert "tables.patients.constants.ecog: the constant cannot be used" in found


def test_errors_name_no_absolute_path(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        ingest(tmp_path, site_config())
    assert str(tmp_path) not in str(caught.value)
