"""The obvious way to read a delimited export: row by row, cell by cell, nothing remembered.

What one cell means is asked of the package's parsers (held to examples elsewhere); what this reference does not share
with the package is everything between the file and the cell and between the cell and the table: cutting the text into
rows, finding columns, numbering rows, combining test, unit, limit and value, the origin of a row, quarantine.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sorafenib_rfa.config.models import ColumnMap, SiteConfig
from sorafenib_rfa.ingest.text import normalise
from sorafenib_rfa.ingest.units import LAB_UNITS, convert_lab, lab_unit
from sorafenib_rfa.ingest.values import (
    NumberReader,
    Parsed,
    date_parser,
    decimal_parser,
    lab_parser,
    mapped_parser,
    number_parser,
    text_parser,
)
from sorafenib_rfa.vocabulary import LAB_TESTS

Record = tuple[int, list[str]]


def records(text: str, delimiter: str) -> tuple[list[str], list[Record], list[Record]]:
    """Return the header, the rows and the rows that do not fit it, each with its number."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header = [normalise(cell) for cell in next(reader)]
    fitting, ragged = [], []
    begun = reader.line_num + 1
    for record in reader:
        number, begun = begun, reader.line_num + 1
        if not any(record):
            continue
        if len(record) > len(header) and not any(cell.strip() for cell in record[len(header) :]):
            record = record[: len(header)]
        (fitting if len(record) == len(header) else ragged).append((number, record))
    return header, fitting, ragged


class Reference:
    """Reads a table of a site whose text is `text`; ``rows`` and ``quarantine`` hold what a reader would want."""

    def __init__(self, site: SiteConfig, table: str, text: str) -> None:
        self.site, self.table = site, table
        self.mapping = site.tables[table]  # type: ignore[index]
        self.missing = {normalise(code) for code in site.missing}
        self.numbers = NumberReader(site.decimal, site.thousands)
        self.header, fitting, ragged = records(text, site.delimiter)
        self.rows: list[dict[str, Any]] = []
        self.quarantine: list[tuple] = []
        for number, cells in ragged:
            at = self.header.index(normalise(self.headers()["subject_id"]))
            subject = text_parser(self.missing)(cells[at] or None).value if at < len(cells) else None
            self.note(number, None, site.delimiter.join(cells), subject, "ragged_row")
        for number, cells in fitting:
            self.number, self.cells = number, cells
            parsed = text_parser(self.missing)(self.cell("subject_id"))
            if parsed.value is None:
                rule = parsed.rule or "missing_subject_id"
                self.note(number, self.headers()["subject_id"], self.cell("subject_id"), None, rule)
                continue
            self.subject = parsed.value
            self.read_labs() if table == "labs" else self.read_row()
        self.quarantine.sort(key=lambda entry: entry[0])

    def headers(self) -> dict[str, str]:
        """Return canonical column or wide test -> header."""
        named = {n: e.column if isinstance(e, ColumnMap) else e for n, e in self.mapping.columns.items()}
        return named | {test: wide.column for test, wide in (self.mapping.wide_tests or {}).items()}

    def cell(self, name: str) -> str | None:
        """Return a cell of the present row; an empty one is None."""
        return self.cells[self.header.index(normalise(self.headers()[name]))] or None

    def note(self, number: int, header: str | None, value: str | None, subject: str | None, rule: str) -> None:
        """Add an entry of the quarantine."""
        self.quarantine.append((number, header, value, subject, rule))

    def value(self, name: str, parse: Callable[[str | None], Parsed]) -> Any:
        """Return what a cell says; note it if it says nothing that can be used."""
        parsed = parse(self.cell(name))
        if parsed.rule is not None:
            self.note(self.number, self.headers()[name], self.cell(name), self.subject, parsed.rule)
        return parsed.value

    def origin(self) -> dict[str, Any]:
        """Return where the present row stands and what it says."""
        shown = {header: self.cell(name) for name, header in self.headers().items()}
        return {"src_row": self.number, "src_cells": json.dumps(shown, ensure_ascii=False)}

    def parser(self, name: str) -> Callable[[str | None], Parsed]:
        """Return the parser of a column of ``patients`` by its name."""
        entry = self.mapping.columns[name]
        if name.endswith("_date"):
            return date_parser(self.site.date_formats, self.missing)
        if isinstance(entry, ColumnMap) and entry.values:
            return mapped_parser(entry.values, text_parser(()), self.missing)
        factor = Decimal("0.1") if isinstance(entry, ColumnMap) and entry.unit == "mm" else Decimal(1)
        return number_parser(self.numbers, factor, self.missing)

    def read_row(self) -> None:
        """Read a row of a table other than ``labs``."""
        values = {name: self.value(name, self.parser(name)) for name in self.mapping.columns if name != "subject_id"}
        self.rows.append({"subject_id": self.subject} | values | self.origin())

    def read_labs(self) -> None:
        """Read the results of a row."""
        day = self.value("sample_date", date_parser(self.site.date_formats, self.missing))
        parse = lab_parser(self.numbers, self.missing)
        if self.mapping.wide_tests is None:
            name = text_parser(self.missing)(self.cell("test")).value
            test = {normalise(key): value for key, value in self.site.test_names.items()}.get(name)
            if test is None:
                self.note(self.number, self.headers()["test"], self.cell("test"), self.subject, "unknown_test")
                return
            result, stated = parse(self.cell("value")), text_parser(self.missing)(self.cell("unit"))
            # a unit that cannot be read is not taken for the declared one
            spelling = self.site.test_units.get(test) if stated == Parsed(None) else stated.value
            unit = lab_unit(test, self.site.unit_names.get(spelling, spelling)) if spelling else None
            if unit is None and result.value is not None:
                self.note(self.number, self.headers()["unit"], self.cell("unit"), self.subject, "unknown_unit")
            limit = self.value("uln", decimal_parser(self.numbers, self.missing))
            uln = float(convert_lab(test, limit, unit)) if unit and limit is not None else None
            self.add_result(day, test, "value", result, spelling, unit, uln)
            return
        for test, wide in self.mapping.wide_tests.items():
            result = parse(self.cell(test))
            if result == Parsed(None):
                continue
            unit = lab_unit(test, wide.unit)
            assert unit in LAB_UNITS[test]
            uln = None if wide.uln is None else float(convert_lab(test, Decimal(repr(wide.uln)), unit))
            self.add_result(day, test, test, result, wide.unit, unit, uln)

    def add_result(
        self, day: Any, test: str, name: str, result: Parsed, spelling: str | None, unit: str | None, uln: float | None
    ) -> None:
        """Add a row of ``labs``."""
        if result.rule is not None:
            self.note(self.number, self.headers()[name], self.cell(name), self.subject, result.rule)
        known = result.value is not None and unit is not None
        self.rows.append(
            {
                "subject_id": self.subject,
                "sample_date": day,
                "test": test,
                "value": float(convert_lab(test, result.value.value, unit)) if known else None,  # type: ignore[arg-type]
                "unit": LAB_TESTS[test][1] if unit else None,
                "uln": uln,
                "source_value": self.cell(name),
                "source_unit": spelling,
                "below_detection": ("Y" if result.value.below_detection else "N") if known else None,
                **self.origin(),
            }
        )
