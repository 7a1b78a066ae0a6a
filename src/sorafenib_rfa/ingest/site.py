"""One centre's export to canonical tables and quarantine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sorafenib_rfa.config.models import CohortConfig, ColumnMap, SiteConfig, TableMap
from sorafenib_rfa.errors import ConfigError, InputError, Problem
from sorafenib_rfa.ingest.check import check_site, site_columns
from sorafenib_rfa.ingest.readers import ExportFiles, RawTable, UnreadableError
from sorafenib_rfa.ingest.tables import (
    DTYPES,
    ORIGIN,
    Column,
    empty_table,
    quarantine_frame,
    table_columns,
)
from sorafenib_rfa.ingest.text import Cell, did_you_mean, normalise, render
from sorafenib_rfa.ingest.units import LAB_UNITS, QUANTITIES, convert_lab, lab_unit
from sorafenib_rfa.ingest.values import (
    LabValue,
    NumberReader,
    Parsed,
    Parser,
    code_parser,
    date_parser,
    decimal_parser,
    integer_parser,
    lab_parser,
    mapped_parser,
    number_parser,
    parse_cells,
    text_parser,
)
from sorafenib_rfa.vocabulary import LAB_TESTS, RAW_TABLES

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Ingested:
    """What one centre's export holds.

    Attributes
    ----------
    tables : dict of str to DataFrame
        Every canonical table with exactly its columns and dtypes, empty where the centre has none.
    quarantine : DataFrame
        Cells and rows that could not be used: ``site, file, sheet, row, column, value, table, subject_id, rule,
        reason, scope``. `column` is the header of the export, `value` the text as it stood.
    """

    tables: dict[str, pd.DataFrame]
    quarantine: pd.DataFrame


def ingest_site(folder: Path, site_id: str, site: SiteConfig, cohort: CohortConfig, *, shown_folder: str) -> Ingested:
    """Read one centre's export.

    Parameters
    ----------
    folder : Path
        Folder of the export.
    site_id : str
        Name of the site, as its configuration file is named.
    site : SiteConfig
        How the export is written.
    cohort : CohortConfig
        Gives the extra variables of ``patients``.
    shown_folder : str
        The folder as origins and messages show it, relative to the repository.

    Returns
    -------
    Ingested

    Raises
    ------
    ConfigError
        With every contradiction in the site's configuration.
    InputError
        With every problem of the site's files: a missing file, sheet or column, bytes that are not in the declared
        encoding, a header that names a mapped column twice, broken quoting.

    Notes
    -----
    Cells are normalised (:mod:`.text`) before they are compared or parsed. A row whose ``subject_id`` is missing, a
    CSV record with more or fewer fields than the header, and a laboratory row whose test is not known are quarantined
    as rows; every other fault costs the cell only. Rows without any text are no rows.
    """
    config_problems = check_site(site_id, site, cohort)
    if config_problems:
        raise ConfigError(config_problems)
    problems: list[Problem] = []
    files = ExportFiles(folder, shown_folder, site.encoding, site.delimiter)
    raw: dict[tuple, RawTable | None] = {}
    entries: list[dict] = []
    tables: dict[str, pd.DataFrame] = {}
    for table in RAW_TABLES:
        mapping = site.tables.get(table)
        if mapping is None:
            tables[table] = empty_table(table, cohort)
            continue
        shown = files.shown(mapping.file)
        key = (mapping.file, mapping.sheet, mapping.header_row)
        if key not in raw:
            try:
                raw[key] = files.read(*key)
            except UnreadableError as error:
                problems.append(error.problem)
                raw[key] = None
        source = raw[key]
        if source is None:
            continue
        header_problems = _check_headers(source, mapping, shown)
        if header_problems:
            problems.extend(header_problems)
            continue
        tables[table] = _TableReader(table, mapping, site_id, site, cohort, shown, source, entries).read()
    if problems:
        raise InputError(list(dict.fromkeys(problems)))
    return Ingested(tables, quarantine_frame(entries))


def _mapped_headers(mapping: TableMap) -> dict[str, str]:
    """Return canonical column (for wide labs: PARAMCD) -> header as the configuration gives it."""
    headers = {name: entry.column if isinstance(entry, ColumnMap) else entry for name, entry in mapping.columns.items()}
    for test, wide in (mapping.wide_tests or {}).items():
        headers[test] = wide.column
    return headers


def _check_headers(source: RawTable, mapping: TableMap, shown: str) -> list[Problem]:
    """Return a problem for each mapped header that is absent or stands twice."""
    problems = []
    present = [header for header in source.headers if header]
    for name, header in _mapped_headers(mapping).items():
        count = present.count(normalise(header))
        if count == 1:
            continue
        where: dict[str, Any] = {
            "file": shown,
            "sheet": mapping.sheet,
            "row": mapping.header_row,
            "column": header,
        }
        if count > 1:
            positions = [i + 1 for i, each in enumerate(source.headers) if each == normalise(header)]
            problems.append(
                Problem(
                    f"the header stands {count} times, so which column is {name} cannot be told",
                    found=f"in columns {', '.join(map(str, positions))}",
                    expected="each header once",
                    **where,
                )
            )
        else:
            problems.append(
                Problem(
                    f"the column mapped to {name} is missing",
                    found="headers " + ", ".join(repr(each) for each in present),
                    expected=repr(header),
                    hint=source.hint or did_you_mean(header, present),
                    **where,
                )
            )
    return problems


class _TableReader:
    """Turns one raw table into one canonical table; faults go to the shared list of quarantine entries."""

    def __init__(
        self,
        table: str,
        mapping: TableMap,
        site_id: str,
        site: SiteConfig,
        cohort: CohortConfig,
        shown: str,
        source: RawTable,
        entries: list[dict],
    ) -> None:
        self.table = table
        self.mapping = mapping
        self.site_id = site_id
        self.site = site
        self.cohort = cohort
        self.shown = shown
        self.source = source
        self.entries = entries
        self.missing = frozenset(normalise(code) for code in site.missing)
        self.numbers = NumberReader(site.decimal, site.thousands)
        self.headers = _mapped_headers(mapping)
        self.position = {name: source.headers.index(normalise(header)) for name, header in self.headers.items()}
        self.columns = site_columns(table, cohort)

    # --- pieces ----------------------------------------------------------------------------------------------------

    def read(self) -> pd.DataFrame:
        """Return the canonical table."""
        first_entry = len(self.entries)
        self._quarantine_ragged()
        rows, numbers, subjects = self._identified_rows()
        self.rows, self.row_numbers, self.subjects = rows, numbers, subjects
        if self.table == "labs":
            frame = self._read_labs()
        elif self.table == "survival_times":
            frame = self._read_survival_times()
        else:
            values = {"subject_id": subjects}
            for name, column in self.columns.items():
                if name != "subject_id":
                    values[name] = self._read_column(name, column)
            frame = self._frame(values, range(len(rows)))
        own = sorted(self.entries[first_entry:], key=lambda entry: entry["row"])
        self.entries[first_entry:] = own
        return frame

    def _cells(self, name: str) -> list[Cell]:
        position = self.position[name]
        return [row[position] for row in self.rows]

    def _quarantine(
        self, number: int, name: str | None, cell: Cell, subject: str | None, rule: str, reason: str, scope: str
    ) -> None:
        self.entries.append(
            {
                "site": self.site_id,
                "file": self.shown,
                "sheet": self.mapping.sheet,
                "row": number,
                "column": None if name is None else self.headers.get(name, name),
                "value": render(cell),
                "table": self.table,
                "subject_id": subject,
                "rule": rule,
                "reason": reason,
                "scope": scope,
            }
        )

    def _quarantine_ragged(self) -> None:
        position = self.position["subject_id"]
        parse = text_parser(self.missing)
        for ragged in self.source.ragged:
            cell = ragged.cells[position] if position < len(ragged.cells) else None
            self._quarantine(
                ragged.number,
                None,
                self.site.delimiter.join(render(each) or "" for each in ragged.cells),
                parse(cell).value,
                "ragged_row",
                f"the row has {len(ragged.cells)} fields, the header {ragged.expected}: its cells may have shifted",
                "row",
            )

    def _identified_rows(self) -> tuple[list[tuple[Cell, ...]], list[int], list[str]]:
        """Return rows with a usable subject id, their numbers and ids; quarantine the others."""
        position = self.position["subject_id"]
        parsed = parse_cells([row[position] for row in self.source.rows], self._parser("subject_id"))
        rows, numbers, subjects = [], [], []
        for row, number, subject in zip(self.source.rows, self.source.numbers, parsed, strict=True):
            if subject.value is None:
                self._quarantine(
                    number,
                    "subject_id",
                    row[position],
                    None,
                    subject.rule or "missing_subject_id",
                    subject.reason or "the row does not say whose it is",
                    "row",
                )
                continue
            rows.append(row)
            numbers.append(number)
            subjects.append(subject.value)
        return rows, numbers, subjects

    def _parser(self, name: str) -> Parser:
        """Return the parser of a mapped column."""
        column = self.columns[name]
        entry = self.mapping.columns[name]
        full = entry if isinstance(entry, ColumnMap) else ColumnMap(column=entry)
        inner = self._plain_parser(column, full, () if full.values else self.missing)
        return mapped_parser(full.values, inner, self.missing) if full.values else inner

    def _plain_parser(self, column: Column, full: ColumnMap, missing: Any) -> Parser:
        if column.kind in ("id", "text"):
            return text_parser(missing)
        if column.kind == "code":
            return code_parser(column.codes, missing)
        if column.kind == "date":
            return date_parser(full.date_formats or self.site.date_formats, missing)
        # the target of a declared value map is canonical, so it is written with a decimal point
        reader = NumberReader(".", None) if full.values else self.numbers
        if column.kind == "integer":
            return integer_parser(reader, missing, column.codes)
        factor = QUANTITIES[column.quantity][full.unit] if column.quantity and full.unit else Decimal(1)
        return number_parser(reader, factor, missing)

    def _read_column(self, name: str, column: Column) -> list[Any]:
        """Return the values of a canonical column; faulty cells become None and are quarantined."""
        if name in self.mapping.constants:
            return [self._constant(name, column)] * len(self.rows)
        if name not in self.mapping.columns:
            return [None] * len(self.rows)
        cells = self._cells(name)
        return self._values(name, cells, parse_cells(cells, self._parser(name)))

    def _values(self, name: str, cells: Sequence[Cell], parsed: Sequence[Parsed]) -> list[Any]:
        for i, result in enumerate(parsed):
            if result.rule is not None:
                self._quarantine(
                    self.row_numbers[i],
                    name,
                    cells[i],
                    self.subjects[i],
                    result.rule,
                    result.reason or "",
                    "value",
                )
        return [result.value for result in parsed]

    def _constant(self, name: str, column: Column) -> Any:
        """Return a constant, read as canonical text.

        Raises
        ------
        ConfigError
            If the constant is not of the column's kind.
        """
        text = self.mapping.constants[name]
        parser: Parser
        if column.kind == "date":
            parser = date_parser(["%Y-%m-%d"], ())
        elif column.kind == "integer":
            parser = integer_parser(NumberReader(".", None), (), column.codes)
        elif column.kind == "number":
            parser = number_parser(NumberReader(".", None), Decimal(1), ())
        else:
            parser = code_parser(column.codes, ())
        parsed = parser(text)
        if parsed.rule is not None:
            raise ConfigError(
                Problem(
                    f"tables.{self.table}.constants.{name}: the constant cannot be used",
                    file=f"sites/{self.site_id}.yaml",
                    found=repr(text),
                    expected=parsed.reason,
                )
            )
        return parsed.value

    def _frame(self, values: Mapping[str, Sequence[Any]], taken: Sequence[int]) -> pd.DataFrame:
        """Return the canonical table; `taken` says from which of the raw rows each of its rows comes."""
        import numpy as np
        import pandas as pd

        data: dict[str, Any] = {}
        for name, column in table_columns(self.table, self.cohort).items():
            dtype = DTYPES[column.kind]
            if column.kind == "date":
                data[name] = np.array(values[name], dtype=dtype)
            else:
                data[name] = pd.array(values[name], dtype=dtype)
        headers = [(header, self.position[name]) for name, header in self.headers.items()]
        sources = [
            json.dumps({header: render(row[i]) for header, i in headers}, ensure_ascii=False) for row in self.rows
        ]
        origin = {
            "site": [self.site_id] * len(taken),
            "src_file": [self.shown] * len(taken),
            "src_sheet": [self.mapping.sheet] * len(taken),
            "src_row": [self.row_numbers[i] for i in taken],
            "src_cells": [sources[i] for i in taken],
        }
        for name, dtype in ORIGIN.items():
            data[name] = pd.array(origin[name], dtype=dtype)
        return pd.DataFrame(data)

    # --- survival times: one row a patient becomes one row a patient and endpoint ------------------------------------

    def _read_survival_times(self) -> pd.DataFrame:
        wide = {name: self._read_column(name, column) for name, column in self.columns.items() if name != "subject_id"}
        values: dict[str, list[Any]] = {"subject_id": [], "endpoint": [], "time_months": [], "event": []}
        taken = []
        endpoints = [name for name in ("OS", "RFS", "TTR") if f"{name.lower()}_months" in self.mapping.columns]
        for i, subject in enumerate(self.subjects):
            for endpoint in endpoints:
                values["subject_id"].append(subject)
                values["endpoint"].append(endpoint)
                values["time_months"].append(wide[f"{endpoint.lower()}_months"][i])
                values["event"].append(wide[f"{endpoint.lower()}_event"][i])
                taken.append(i)
        return self._frame(values, taken)

    # --- laboratory results --------------------------------------------------------------------------------------

    def _read_labs(self) -> pd.DataFrame:
        dates = self._read_column("sample_date", self.columns["sample_date"])
        results = self._wide_results() if self.mapping.wide_tests is not None else self._long_results()
        names = ("test", "value", "unit", "uln", "source_value", "source_unit", "below_detection")
        values: dict[str, list[Any]] = {
            "subject_id": [self.subjects[i] for i, *_ in results],
            "sample_date": [dates[i] for i, *_ in results],
        }
        for position, name in enumerate(names, start=1):
            values[name] = [result[position] for result in results]
        return self._frame(values, [i for i, *_ in results])

    def _wide_results(self) -> list[tuple]:
        """Return one result a row and test that has a cell, in the order of rows, then of the declared tests."""
        assert self.mapping.wide_tests is not None
        parse = lab_parser(self.numbers, self.missing)
        by_test = []
        for test, wide in self.mapping.wide_tests.items():
            unit = lab_unit(test, self.site.unit_names.get(wide.unit, wide.unit))
            uln = None if wide.uln is None else float(convert_lab(test, Decimal(repr(wide.uln)), unit or ""))
            cells = self._cells(test)
            by_test.append((test, wide.unit, unit, uln, cells, parse_cells(cells, parse)))
        results = []
        for i in range(len(self.rows)):
            for test, spelling, unit, uln, cells, parsed in by_test:
                if parsed[i].value is None and parsed[i].rule is None:
                    continue
                results.append(self._result(i, test, test, cells[i], parsed[i], spelling, unit, uln))
        return results

    def _result(
        self,
        i: int,
        name: str,
        test: str,
        cell: Cell,
        parsed: Parsed,
        spelling: str | None,
        unit: str | None,
        uln: float | None,
    ) -> tuple:
        """Return one laboratory result in its canonical unit; a faulty value is quarantined and None."""
        value = below = None
        if parsed.rule is not None:
            self._quarantine(
                self.row_numbers[i], name, cell, self.subjects[i], parsed.rule, parsed.reason or "", "value"
            )
        elif parsed.value is not None and unit is not None:
            result: LabValue = parsed.value
            value = float(convert_lab(test, result.value, unit))
            below = "Y" if result.below_detection else "N"
        return i, test, value, None if unit is None else LAB_TESTS[test][1], uln, render(cell), spelling, below

    def _long_results(self) -> list[tuple]:
        tests = self._long_tests()
        value_cells = self._cells("value")
        values = parse_cells(value_cells, lab_parser(self.numbers, self.missing))
        spellings, unit_cells = self._unit_spellings(tests)
        ulns, uln_cells = self._long_ulns()
        results = []
        for i, test in enumerate(tests):
            if test is None:
                continue
            spelling = spellings[i]
            unit = None if spelling is None else lab_unit(test, self.site.unit_names.get(spelling, spelling))
            recorded = values[i].value is not None
            if unit is None and recorded:
                known = ", ".join(LAB_UNITS[test])
                found = "no unit is recorded" if spelling is None else f"{spelling!r} is no known unit of {test}"
                self._quarantine(
                    self.row_numbers[i],
                    "unit" if unit_cells is not None else "value",
                    unit_cells[i] if unit_cells is not None else value_cells[i],
                    self.subjects[i],
                    "unknown_unit",
                    f"{found}: the result {render(value_cells[i])!r} cannot be used; known are {known}",
                    "value",
                )
            uln = None
            if ulns is not None and uln_cells is not None:
                limit = ulns[i]
                if limit.rule is not None:
                    self._quarantine(
                        self.row_numbers[i],
                        "uln",
                        uln_cells[i],
                        self.subjects[i],
                        limit.rule,
                        limit.reason or "",
                        "value",
                    )
                elif limit.value is not None and unit is not None:
                    uln = float(convert_lab(test, limit.value, unit))
            if uln is None and test in self.site.test_uln:
                declared = self.site.test_units[test]
                declared_unit = lab_unit(test, self.site.unit_names.get(declared, declared))
                uln = float(convert_lab(test, Decimal(repr(self.site.test_uln[test])), declared_unit or ""))
            results.append(self._result(i, "value", test, value_cells[i], values[i], spelling, unit, uln))
        return results

    def _long_tests(self) -> list[str | None]:
        """Return the PARAMCD of every row; rows with an unknown test are quarantined and None."""
        if "test" in self.mapping.constants:
            return [self.mapping.constants["test"]] * len(self.rows)
        names = {normalise(key): value for key, value in self.site.test_names.items()}
        entry = self.mapping.columns["test"]
        own = entry.values if isinstance(entry, ColumnMap) and entry.values else {}
        names |= {normalise(key): value for key, value in own.items()}
        known = names or {test: test for test in LAB_TESTS}
        cells = self._cells("test")
        parsed = parse_cells(cells, text_parser(self.missing))
        tests: list[str | None] = []
        for i, result in enumerate(parsed):
            test = None if result.value is None else known.get(result.value)
            if test is None:
                hint = did_you_mean(result.value, known) if result.value else None
                found = "no test is named" if result.value is None else f"{result.value!r} is no declared test name"
                self._quarantine(
                    self.row_numbers[i],
                    "test",
                    cells[i],
                    self.subjects[i],
                    "unknown_test",
                    f"{found}; known are {', '.join(known)}" + (f"; {hint}" if hint else ""),
                    "row",
                )
            tests.append(test)
        return tests

    def _unit_spellings(self, tests: Sequence[str | None]) -> tuple[list[str | None], list[Cell] | None]:
        """Return the unit of every row as the export or the configuration spells it, and the cells if any."""
        entry = self.mapping.columns["value"]
        whole = entry.unit if isinstance(entry, ColumnMap) else None
        declared = [whole or (None if test is None else self.site.test_units.get(test)) for test in tests]
        if "unit" in self.mapping.constants:
            return [self.mapping.constants["unit"]] * len(tests), None
        if "unit" not in self.mapping.columns:
            return declared, None
        cells = self._cells("unit")
        parsed = parse_cells(cells, self._parser("unit"))
        return [
            fallback if result.value is None and result.rule is None else result.value
            for result, fallback in zip(parsed, declared, strict=True)
        ], cells

    def _long_ulns(self) -> tuple[list[Parsed] | None, list[Cell] | None]:
        if "uln" not in self.mapping.columns:
            return None, None
        cells = self._cells("uln")
        return parse_cells(cells, decimal_parser(self.numbers, self.missing)), cells
