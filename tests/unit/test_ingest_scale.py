"""Ingest at scale: the fast way reads what the obvious way reads, and work does not grow beyond the rows."""

from __future__ import annotations

import datetime as dt
import io
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ingest_helpers import ingest, site_config
from ingest_reference import Reference, records

from sorafenib_rfa.config.models import SiteConfig
from sorafenib_rfa.errors import InputError
from sorafenib_rfa.files import write_parquet
from sorafenib_rfa.ingest import values as values_module
from sorafenib_rfa.ingest.distinct import constant, interleaved, joined
from sorafenib_rfa.ingest.readers import ExportFiles, UnreadableError

DIRTY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def listed(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows with None for what is missing and dates as dates."""
    rows = []
    for row in frame.to_dict("records"):
        shown = {name: None if pd.isna(value) else value for name, value in row.items()}
        rows.append({n: v.date() if isinstance(v, dt.datetime) else v for n, v in shown.items()})
    return rows


def quarantined(frame: pd.DataFrame) -> list[tuple]:
    columns = ["row", "column", "value", "subject_id", "rule"]
    return [tuple(None if pd.isna(v) else v for v in row) for row in frame[columns].itertuples(index=False)]


# --- files to rows ---------------------------------------------------------------------------------------------

LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
CELLS = st.one_of(
    st.sampled_from(
        ["", " ", "1", "a", "ä", "女", "\u2028", "\ufeff", "\x0b", "\x85", '"x,y"', '"a\nb"', '"a""b"', "x;y", "'"]
    ),
    st.text(st.characters(exclude_characters='\r\n",\0', exclude_categories=["Cs"]), max_size=4),
)


@st.composite
def delimited_texts(draw: st.DrawFn) -> str:
    """Return a text with a header of one to three columns and rows that may be too long, too short, blank, quoted."""
    width = draw(st.integers(1, 3))
    usual = draw(LINE_ENDS)
    ends = st.just(usual) if draw(st.booleans()) else LINE_ENDS
    lines = [",".join("abc"[:width])]
    for _ in range(draw(st.integers(0, 8))):
        fields = draw(st.sampled_from([width] * 6 + [0, width + 1, width + 2, max(width - 1, 1)]))
        lines.append(",".join(draw(CELLS) for _ in range(fields)))
    text = "".join(line + draw(ends) for line in lines)
    return text[: -len(usual)] if draw(st.booleans()) and text.endswith(usual) else text


@settings(DIRTY, max_examples=250)
@given(delimited_texts())
@example("a,b\n1,2\n,\n\n3,4")
@example("a,b\r\n1,2\r\n , \r\n,,\r\n")
@example('a,b\n1,"2\n3"\n4,5\n')
@example("a\n1\n\n2")
@example("a,b\n1,2,\n3,4\n")
@example("a,b\n\n")
@example("a,b\r1,2\r\n3,4\n")
@example("a\n\ufeffb\nc")
@example("a\n\ufeff\n1\n")
@example("a\n\ufeff")
@example("a\n\n\ufeff\n1")
@example("a,b\n1,\u2028\n\x0b2,3\x1c\n")
def test_a_file_is_cut_into_the_same_rows_with_the_same_numbers(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode())
    header, rows, ragged = records(text, ",")
    table = ExportFiles(tmp_path, "raw", "utf-8", ",").read("t.csv", None, 1, set("abc"))
    assert list(table.headers) == header
    assert table.numbers.tolist() == [number for number, _ in rows]
    for i in range(len(header)):
        column = table.columns[i]
        assert [column[k] or "" for k in range(len(column))] == [cells[i] for _, cells in rows]
    assert [(each.number, [cell or "" for cell in each.cells]) for each in table.ragged] == ragged


def test_a_field_beyond_the_limit_of_csv_is_refused_with_its_row(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3," + "x" * 140_000 + "\n")
    with pytest.raises(UnreadableError) as caught:
        ExportFiles(tmp_path, "raw", "utf-8", ",").read("t.csv", None, 1, {"a", "b"})
    assert caught.value.problem.row == 3
    assert "field larger than field limit" in str(caught.value.problem.found)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_many_blocks_of_a_file_make_one_column(tmp_path: Path, end: str) -> None:
    # a file is cut in blocks of 16 MiB, each with a dictionary of its own
    rows = [f"{i % 1000:04d},{'x' * 60}{i % 7},{i}" for i in range(300_000)]
    (tmp_path / "t.csv").write_text(end.join(["a,b,c", *rows]) + end, newline="")
    table = ExportFiles(tmp_path, "raw", "utf-8", ",").read("t.csv", None, 1, {"a", "c"})
    assert sorted(table.columns) == [0, 2]  # a column that nobody asked for is not kept
    assert len(table.columns[0].values) == 1000
    assert [table.columns[0][i] for i in (0, 1, 299_999)] == ["0000", "0001", "0999"]
    assert [table.columns[2][i] for i in (0, 150_000, 299_999)] == ["0", "150000", "299999"]
    assert (table.numbers[0], table.numbers[-1]) == (2, 300_001)


# --- cells to tables -------------------------------------------------------------------------------------------

IDS = st.sampled_from(["007", "12", " 12 ", "１２", "", "NA", "#N/A", "ZY104\u3000007"])
DATES = st.one_of(
    st.sampled_from(
        ["", "NA", "31.02.2015", "29.02.2016", " 1.3.2015", "２０.１２.２０１５", "2015-03-01", "x", "00.01.2015"]
    ),
    st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)).map(lambda day: f"{day.day:02d}.{day.month:02d}.{day.year:04d}"),
)
NUMBERS = st.one_of(
    st.sampled_from(
        ["", "NA", "-99", "3,5", "3.5", "1.234,5", "12.34,5", "−2", "＜３", "<3", "<= 3", ">1210", "≥7", "10²", "1e3",
         "½", "inf", "nan", "0", "-0", "+5", ",5", "５，２", "3 5", "<", "neg"]
    ),
    st.decimals(-1000, 100_000, places=2, allow_nan=False).map(lambda number: str(number).replace(".", ",")),
)  # fmt: skip
CODES = st.sampled_from(["m", "w", " m ", "ｍ", "M", "", "NA", "x", '"', "\\", "\u00a0w", "\x01"])
NAMES = st.sampled_from(["Albumin", "Bili", "AFP", "albumin", "", "NA", "Thrombo", "  Bili"])
UNITS = st.sampled_from(["g/dl", "G/L", "mg/dL", "µmol/l", "IU/mL", "ng/mL", "10^9/L", "", "NA", "furlong", "#REF!"])


def patients_site() -> SiteConfig:
    columns = {
        "subject_id": "id",
        "birth_date": "geboren",
        "sex": {"column": "Geschlecht", "values": {"m": "M", "w": "F", "x": ""}},
        "largest_tumour_cm": {"column": 'Größe "mm"', "unit": "mm"},
    }
    return german(patients={"file": "p.csv", "columns": columns})


def german(**tables: dict) -> SiteConfig:
    """Return a site with decimal commas; every site has a table of patients."""
    tables = {"patients": {"file": "p.csv", "columns": {"subject_id": "id", "birth_date": "geboren"}}} | tables
    return site_config(
        delimiter=";", decimal=",", thousands=".", date_formats=["%d.%m.%Y"], missing=["NA", "-99"],
        test_names={"Albumin": "ALB", "Bili": "BILI", "AFP": "AFP"}, test_units={"ALB": "g/L", "BILI": "mg/dL"},
        tables=tables,
    )  # fmt: skip


LONG = {
    "subject_id": "id", "sample_date": "Datum", "test": "Test", "value": "Wert", "unit": "Einheit", "uln": "Grenze",
}  # fmt: skip
WIDE = {
    "file": "l.csv",
    "columns": {"subject_id": "id", "sample_date": "Datum"},
    "wide_tests": {
        "ALB": {"column": "Alb", "unit": "g/dL", "uln": 5.2},
        "BILI": {"column": "Bili", "unit": "mg/dL"},
        "AFP": {"column": "AFP", "unit": "IU/mL", "uln": 7},
    },
}


def lab_folder(folder: Path, labs: str) -> Path:
    """Return `folder` with an export of `labs` and of nobody's patient record."""
    (folder / "p.csv").write_text("id;geboren\n")
    (folder / "l.csv").write_text(labs, encoding="utf-8")
    return folder


def written(header: list[str], rows: list[tuple[str, ...]]) -> str:
    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if any(c in text for c in '";\r\n') else text

    return "".join(";".join(map(cell, row)) + "\n" for row in [tuple(header), *rows])


def check_against_reference(folder: Path, site: SiteConfig, table: str, text: str) -> None:
    (folder / "p.csv").write_text("id;geboren\n")
    (folder / site.tables[table].file).write_bytes(text.encode())
    ingested = ingest(folder, site)
    reference = Reference(site, table, text)
    assert quarantined(ingested.quarantine) == reference.quarantine
    frame = ingested.tables[table]
    assert len(frame) == len(reference.rows)
    for row, expected in zip(listed(frame), reference.rows, strict=True):
        assert {name: row[name] for name in expected} == expected


@DIRTY
@given(st.lists(st.tuples(IDS, DATES, CODES, NUMBERS), max_size=12))
def test_dirty_patients_are_read_as_cell_by_cell(tmp_path: Path, rows: list[tuple[str, ...]]) -> None:
    header = ["id", "geboren", "Geschlecht", 'Größe "mm"']
    check_against_reference(tmp_path, patients_site(), "patients", written(header, rows))


@DIRTY
@given(st.lists(st.tuples(IDS, DATES, NAMES, NUMBERS, UNITS, NUMBERS), max_size=12))
def test_dirty_long_labs_are_read_as_cell_by_cell(tmp_path: Path, rows: list[tuple[str, ...]]) -> None:
    site = german(labs={"file": "l.csv", "columns": LONG})
    check_against_reference(tmp_path, site, "labs", written(list(LONG.values()), rows))


@DIRTY
@given(st.lists(st.tuples(IDS, DATES, NUMBERS, NUMBERS, NUMBERS), max_size=12))
def test_dirty_wide_labs_are_read_as_cell_by_cell(tmp_path: Path, rows: list[tuple[str, ...]]) -> None:
    site = german(labs=WIDE)
    check_against_reference(tmp_path, site, "labs", written(["id", "Datum", "Alb", "Bili", "AFP"], rows))


# --- columns by their distinct values --------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), max_size=30))
def test_joined_columns_hold_each_tuple_once_and_give_the_rows_back(rows: list[tuple[int, int, int]]) -> None:
    import numpy as np

    from sorafenib_rfa.ingest.distinct import Distinct

    columns = [Distinct(list("abcd"), np.array([row[k] for row in rows], dtype=np.int32)) for k in range(3)]
    combined = joined(columns)
    assert [combined[i] for i in range(len(rows))] == [tuple("abcd"[k] for k in row) for row in rows]
    assert len(set(combined.values)) == len(combined.values) == len(set(rows))


def test_interleaved_columns_go_row_by_row() -> None:
    both = interleaved([constant("a", 2), constant("b", 2)])
    assert [both[i] for i in range(4)] == ["a", "b", "a", "b"]


# --- growth ----------------------------------------------------------------------------------------------------


def large_lab_export(rows: int) -> str:
    """Return results whose cells are drawn from the same few, however many rows there are."""
    lines = [";".join(LONG.values())]
    for i in range(rows):
        day = f"{1 + i % 28:02d}.{1 + i % 12:02d}.2015"
        value = ["3,5", "<3", "1.234,5", "x"][i % 4] if i % 50 == 0 else f"{i % 40},{i % 10}"
        lines.append(f"P{i % 500:03d};{day};{('Albumin', 'Bili', 'AFP')[i % 3]};{value};{('g/dl', '')[i % 2]};{i % 9}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def parsed_cells(monkeypatch: pytest.MonkeyPatch) -> Iterator[list]:
    """Yield the list of cells that a parser looked at."""
    seen: list = []
    plain = values_module.render

    def counted(cell: object) -> str | None:
        seen.append(cell)
        return plain(cell)  # type: ignore[arg-type]

    monkeypatch.setattr(values_module, "render", counted)
    yield seen


def test_parsers_look_at_distinct_cells_only(tmp_path: Path, parsed_cells: list) -> None:
    site = german(labs={"file": "l.csv", "columns": LONG})
    looks = []
    for rows in (3_000, 30_000):
        lab_folder(tmp_path, large_lab_export(rows))
        parsed_cells.clear()
        assert len(ingest(tmp_path, site).tables["labs"]) == rows
        looks.append(len(parsed_cells))
    assert looks[1] == looks[0] < 1_500


def test_memory_grows_with_the_rows_and_stays_small_beside_them(tmp_path: Path) -> None:
    site = german(labs={"file": "l.csv", "columns": LONG})
    peaks = []
    for rows in (10_000, 40_000):
        lab_folder(tmp_path, large_lab_export(rows))
        tracemalloc.start()
        ingested = ingest(tmp_path, site)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(ingested.tables["labs"]) == rows
    # a row's own text is its src_cells, about 170 bytes; the rest is pointers and codes
    assert (peaks[1] - peaks[0]) / 30_000 < 800
    assert peaks[1] < 4.2 * peaks[0]


def test_a_wrong_format_of_every_cell_costs_one_entry_a_row(tmp_path: Path) -> None:
    site = german(labs={"file": "l.csv", "columns": LONG}).model_copy(update={"date_formats": ["%Y/%m/%d"]})
    quarantine = ingest(lab_folder(tmp_path, large_lab_export(20_000)), site).quarantine
    assert (quarantine["rule"] == "unparsable_date").sum() == 20_000
    assert quarantine["row"].is_monotonic_increasing


def test_tables_of_ingest_survive_parquet_with_their_types(tmp_path: Path) -> None:
    folder = lab_folder(tmp_path, large_lab_export(200))
    frame = ingest(folder, german(labs={"file": "l.csv", "columns": LONG})).tables["labs"]
    write_parquet(frame, tmp_path / "labs.parquet")
    schema = pq.read_schema(tmp_path / "labs.parquet")
    assert {str(schema.field(name).type) for name in ("subject_id", "test", "src_cells")} == {"string"}
    again = pd.read_parquet(io.BytesIO((tmp_path / "labs.parquet").read_bytes()))
    assert listed(again) == listed(frame)


def test_broken_quoting_is_named_with_its_row_in_a_long_file(tmp_path: Path) -> None:
    rows = [f"{i};01.02.2015;m;3" for i in range(60_000)]
    rows[55_000] = '55000;"01.02.2015"x;m;3'
    (tmp_path / "p.csv").write_text("\n".join(['id;geboren;Geschlecht;"Größe ""mm"""', *rows]), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        ingest(tmp_path, patients_site())
    assert [problem.row for problem in caught.value.problems] == [55_002]
