"""Cells: what is read, what is quarantined, and by which rule."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from sorafenib_rfa.ingest.distinct import distinct_cells
from sorafenib_rfa.ingest.text import UncalculatedFormula, normalise, render
from sorafenib_rfa.ingest.units import LAB_UNITS, convert_lab, lab_unit
from sorafenib_rfa.ingest.values import (
    LabValue,
    NumberReader,
    Parsed,
    code_parser,
    date_parser,
    integer_parser,
    lab_parser,
    mapped_parser,
    number_parser,
    text_parser,
)

POINT = NumberReader(".", None)
COMMA = NumberReader(",", ".")
ONE = Decimal(1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  ０１２ ", "012"),
        ("ＨＢＶ", "HBV"),
        ("a\u3000b\u00a0c\nd", "a b c d"),
        ("10²", "10²"),  # a square, not 102
        ("½", "½"),
        ("①", "①"),
        ("e\u0301", "é"),
    ],
)
def test_normalisation_changes_form_and_never_meaning(text: str, expected: str) -> None:
    assert normalise(text) == expected


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (12.0, "12"),
        (2.5, "2.5"),
        (7, "7"),
        (True, "TRUE"),
        (dt.datetime(2015, 3, 7), "2015-03-07"),
        (dt.datetime(2015, 3, 7, 14, 30), "2015-03-07 14:30:00"),
        (dt.time(8, 5), "08:05:00"),
        ("  as it stands ", "  as it stands "),
        (None, None),
    ],
)
def test_typed_cells_are_shown_as_a_person_knows_them(cell: object, text: str | None) -> None:
    assert render(cell) == text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("formats", "text", "day"),
    [
        (["%Y年%m月%d日"], "2015年3月7日", dt.date(2015, 3, 7)),
        (["%Y年%m月%d日"], "２０１５年３月７日", dt.date(2015, 3, 7)),
        (["%d.%m.%Y"], " 29.02.2016 ", dt.date(2016, 2, 29)),
        (["%m/%d/%Y"], "3/7/2015", dt.date(2015, 3, 7)),
        (["%d/%m/%Y", "%m/%d/%Y"], "25/12/2015", dt.date(2015, 12, 25)),
        (["%d/%m/%Y", "%m/%d/%Y"], "03/03/2015", dt.date(2015, 3, 3)),
    ],
)
def test_dates(formats: list[str], text: str, day: dt.date) -> None:
    assert date_parser(formats, ())(text) == Parsed(day)


@pytest.mark.parametrize(
    ("formats", "cell", "rule", "words"),
    [
        (["%d/%m/%Y", "%m/%d/%Y"], "03/04/2015", "ambiguous_date", "2015-04-03 (as %d/%m/%Y) or 2015-03-04"),
        (["%d.%m.%Y"], "31.02.2015", "unparsable_date", "a day that its month does not have"),
        (["%d.%m.%Y"], "29.02.2015", "unparsable_date", "a day that its month does not have"),
        (["%d.%m.%Y"], "2015-03-07", "unparsable_date", "not a date of the form %d.%m.%Y"),
        (["%d.%m.%Y"], "03.2015", "unparsable_date", "not a date of the form"),
        (["%d.%m.%Y"], "7.3.20155", "unparsable_date", "not a date of the form"),
        (["%d.%m.%Y"], 42070, "unparsable_date", "the workbook holds 42070, not a date"),
        (["%d.%m.%Y"], dt.time(3, 4), "unparsable_date", "not a date"),
    ],
)
def test_dates_that_cannot_be_used(formats: list[str], cell: object, rule: str, words: str) -> None:
    parsed = date_parser(formats, ())(cell)  # type: ignore[arg-type]
    assert parsed.value is None
    assert parsed.rule == rule
    assert words in str(parsed.reason)


def test_a_real_workbook_date_needs_no_format() -> None:
    parse = date_parser(["%d.%m.%Y"], ())
    assert parse(dt.datetime(2015, 3, 4)).value == dt.date(2015, 3, 4)
    assert parse(dt.datetime(2015, 3, 4, 16, 45)).value == dt.date(2015, 3, 4)


@pytest.mark.parametrize(
    ("reader", "cell", "value"),
    [
        (POINT, "3.50", 3.5),
        (POINT, "-0.5", -0.5),
        (POINT, "−2", -2.0),
        (POINT, "1.2e3", 1200.0),
        (POINT, ".5", 0.5),
        (POINT, "１２.５", 12.5),
        (COMMA, "3,5", 3.5),
        (COMMA, "1.234,5", 1234.5),
        (COMMA, "1234", 1234.0),
        (COMMA, 3.5, 3.5),  # a real number of a workbook is no text: the decimal mark does not apply
        (POINT, 7, 7.0),
    ],
)
def test_numbers(reader: NumberReader, cell: object, value: float) -> None:
    assert number_parser(reader, ONE, ())(cell) == Parsed(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reader", "cell"),
    [
        (POINT, "3,5"),
        (COMMA, "3.5"),  # neither a decimal point nor a complete group of three
        (COMMA, "12.34,5"),
        (POINT, "1,234"),
        (POINT, "3.5 cm"),
        (POINT, "nan"),
        (POINT, "inf"),
        (POINT, "1_000"),
        (POINT, "10²"),
        (POINT, "<3"),
        (POINT, True),
        (POINT, float("nan")),
    ],
)
def test_what_is_not_a_number_as_the_site_writes_numbers(reader: NumberReader, cell: object) -> None:
    assert number_parser(reader, ONE, ())(cell).rule == "not_a_number"  # type: ignore[arg-type]


def test_a_date_that_a_spreadsheet_made_of_a_number_is_named() -> None:
    parsed = number_parser(COMMA, ONE, ())(dt.datetime(2015, 5, 3))
    assert parsed.rule == "not_a_number"
    assert "the workbook holds the date 2015-05-03" in str(parsed.reason)


@pytest.mark.parametrize(
    ("cell", "value", "rule"),
    [("3", 3, None), ("3.0", 3, None), (3.0, 3, None), ("2.5", None, "not_an_integer"), ("II", None, "not_a_number")],
)
def test_integers_are_whole(cell: object, value: int | None, rule: str | None) -> None:
    parsed = integer_parser(POINT, ())(cell)  # type: ignore[arg-type]
    assert (parsed.value, parsed.rule) == (value, rule)


def test_codes_are_exact_also_in_case() -> None:
    parse = code_parser(("HBV", "HCV"), ())
    assert parse(" HBV ").value == "HBV"
    parsed = parse("hbv")
    assert parsed.rule == "unknown_code"
    assert "did you mean 'HBV'?" in str(parsed.reason)


def test_value_maps_translate_and_win_over_the_codes_for_missing() -> None:
    parse = mapped_parser({"9": "Other", "1": "HBV", "x": ""}, code_parser(("HBV", "Other"), ()), {"9", "."})
    assert parse("9") == Parsed("Other")
    assert parse("１") == Parsed("HBV")
    assert parse(1.0) == Parsed("HBV")
    assert parse("x") == Parsed(None)
    assert parse(".") == Parsed(None)
    assert parse("HBV").rule == "unknown_code"  # only what the map declares


@pytest.mark.parametrize("cell", [None, "", "  ", "-99", -99, -99.0])
def test_not_recorded(cell: object) -> None:
    for parse in (
        text_parser({"-99"}),
        date_parser(["%Y-%m-%d"], {"-99"}),
        number_parser(POINT, ONE, {"-99"}),
        lab_parser(POINT, {"-99"}),
    ):
        assert parse(cell) == Parsed(None)  # type: ignore[arg-type]


def test_broken_workbook_cells_are_named() -> None:
    assert text_parser(())("#N/A").rule == "excel_error"
    assert number_parser(POINT, ONE, ())(UncalculatedFormula("=B2*2")).rule == "formula_without_value"


@pytest.mark.parametrize(
    ("cell", "value", "below"),
    [
        ("12.5", "12.5", False),
        ("<3", "1.5", True),
        ("< 3", "1.5", True),
        ("＜３", "1.5", True),
        ("≤3", "1.5", True),
        ("<=3", "1.5", True),
        (">1210", "1210", False),
        ("≥1210", "1210", False),
        (3.25, "3.25", False),
    ],
)
def test_laboratory_limits(cell: object, value: str, below: bool) -> None:
    assert lab_parser(POINT, ())(cell).value == LabValue(Decimal(value), below)  # type: ignore[arg-type]


@pytest.mark.parametrize("cell", ["<", "<<3", "< LOD", "3 <", "~3", "3-5", "neg"])
def test_what_is_no_laboratory_value(cell: str) -> None:
    assert lab_parser(POINT, ())(cell).rule == "not_a_number"


def test_each_distinct_cell_is_parsed_once_and_types_are_kept_apart() -> None:
    calls = []

    def parse(cell: object) -> Parsed:
        calls.append(cell)
        return Parsed(render(cell))  # type: ignore[arg-type]

    column = distinct_cells([1, 1.0, True, "1", 1, "1", None, None]).map(parse)
    assert [column[i].value for i in range(len(column))] == ["1", "1", "TRUE", "1", "1", "1", None, None]
    assert len(calls) == 5


# --- units --------------------


@pytest.mark.parametrize(
    ("test", "spelling", "unit"),
    [
        ("BILI", "µmol/L", "umol/L"),  # MICRO SIGN
        ("BILI", "μmol/l", "umol/L"),  # GREEK SMALL LETTER MU
        ("BILI", "micromol/L", "umol/L"),
        ("BILI", "mg/dl", "mg/dL"),
        ("BILI", "㎎/dL", "mg/dL"),
        ("ALB", "G/L", "g/L"),
        ("ALB", " g / dl ", "g/dL"),
        ("ALT", "UI/L", "IU/L"),
        ("ALT", "u/l", "U/L"),
        ("PLT", "G/L", "G/L"),
        ("PLT", "10^9/L", "10^9/L"),
        ("PLT", "×10⁹/L", "10^9/L"),
        ("PLT", "x10^9/l", "10^9/L"),
        ("PLT", "10*9/L", "10^9/L"),
        ("PLT", "10E9/L", "10^9/L"),
        ("PLT", "10^3/mm3", "10^3/uL"),
        ("PLT", "K/µL", "K/uL"),
        ("PLT", "10^4/μL", "10^4/uL"),
        ("PLT", "/mm³", "/uL"),
        ("AFP", "µg/L", "ug/L"),
        ("AFP", "IU/ml", "IU/mL"),
        ("BILI", "g/L", None),
        ("ALB", "umol/L", None),
        ("PLT", "109/L", None),  # the power sign is lost: 10^9 or 109?
        ("AFP", "ng", None),
    ],
)
def test_spellings_of_units(test: str, spelling: str, unit: str | None) -> None:
    assert lab_unit(test, spelling) == unit


@pytest.mark.parametrize(
    ("test", "value", "unit", "canonical"),
    [
        ("BILI", "2", "mg/dL", "34.2"),  # Child-Pugh's 2 mg/dL is 34 umol/L in the published conversions
        ("CREA", "1.0", "mg/dL", "88.4"),
        ("ALB", "3.5", "g/dL", "35"),
        ("AFP", "100", "IU/mL", "121"),
        ("PLT", "15.2", "10^4/uL", "152"),
        ("PLT", "152", "K/uL", "152"),
        ("PLT", "152000", "/uL", "152"),
        ("ALT", "0.5", "ukat/L", "30"),  # 1 ukat = 60 U by definition of the katal
        ("INR", "1.1", "ratio", "1.1"),
    ],
)
def test_conversions(test: str, value: str, unit: str, canonical: str) -> None:
    assert convert_lab(test, Decimal(value), unit) == Decimal(canonical)


def test_every_unit_of_every_test_finds_itself() -> None:
    for test, units in LAB_UNITS.items():
        for unit in units:
            assert lab_unit(test, unit) == unit
