"""One centre's export to canonical tables and quarantine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from json.encoder import encode_basestring
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sorafenib_rfa.config.models import CohortConfig, ColumnMap, SiteConfig, TableMap
from sorafenib_rfa.errors import ConfigError, InputError, Problem
from sorafenib_rfa.ingest.check import check_site, site_columns
from sorafenib_rfa.ingest.distinct import Distinct, constant, interleaved, joined
from sorafenib_rfa.ingest.readers import ExportFiles, RawTable, UnreadableError
from sorafenib_rfa.ingest.tables import (
    DTYPES,
    ORIGIN,
    QUARANTINE_COLUMNS,
    Column,
    empty_table,
    quarantine_frame,
    table_columns,
    table_dtypes,
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
    as rows; every other fault costs the cell only. Rows without any text are no rows. A column is read by its distinct
    cells, so time and memory grow with the rows, and most of the work with what is distinct in them.
    """
    reader = SiteReader(folder, site_id, site, cohort, shown_folder=shown_folder)
    return Ingested({table: reader.table(table) for table in RAW_TABLES}, reader.quarantine())


class SiteReader:
    """Reads one centre's export and makes its tables one after the other, so that one alone need be held.

    All that keeps an export from being read is found when the reader is made; parameters and errors are those of
    :func:`ingest_site`.
    """

    def __init__(
        self, folder: Path, site_id: str, site: SiteConfig, cohort: CohortConfig, *, shown_folder: str
    ) -> None:
        config_problems = check_site(site_id, site, cohort)
        if config_problems:
            raise ConfigError(config_problems)
        self._site_id, self._site, self._cohort = site_id, site, cohort
        self._entries: list[tuple] = []
        self._sources: dict[str, RawTable] = {}
        self._shown: dict[str, str] = {}
        # the ids of patients stand in every table
        self._parse_text = lru_cache(maxsize=None, typed=True)(text_parser(_missing(site)))
        self._read(ExportFiles(folder, shown_folder, site.encoding, site.delimiter))

    def _read(self, files: ExportFiles) -> None:
        """Read the files and find the mapped headers.

        Raises
        ------
        InputError
            With every problem of the files.
        """
        problems: list[Problem] = []
        raw: dict[tuple, RawTable | None] = {}
        wanted: dict[tuple, set[str]] = {}
        for mapping in self._site.tables.values():
            headers = map(normalise, _mapped_headers(mapping).values())
            wanted.setdefault((mapping.file, mapping.sheet, mapping.header_row), set()).update(headers)
        for table in RAW_TABLES:
            mapping = self._site.tables.get(table)
            if mapping is None:
                continue
            key = (mapping.file, mapping.sheet, mapping.header_row)
            if key not in raw:
                try:
                    raw[key] = files.read(*key, wanted[key])
                except UnreadableError as error:
                    problems.append(error.problem)
                    raw[key] = None
            source = raw[key]
            if source is None:
                continue
            self._sources[table], self._shown[table] = source, files.shown(mapping.file)
            problems.extend(_check_headers(source, mapping, self._shown[table]))
        if problems:
            raise InputError(list(dict.fromkeys(problems)))

    def table(self, table: str) -> pd.DataFrame:
        """Return a canonical table, empty where the centre has none; its faults go to the quarantine."""
        mapping = self._site.tables.get(table)  # type: ignore[call-overload]
        if mapping is None:
            return empty_table(table, self._cohort)
        return _TableReader(
            table,
            mapping,
            self._site_id,
            self._site,
            self._cohort,
            self._shown[table],
            self._sources[table],
            self._entries,
            self._parse_text,
        ).read()

    def quarantine(self) -> pd.DataFrame:
        """Return what the tables made so far could not use, table by table in the order in which they were made."""
        return quarantine_frame(self._entries)


def _missing(site: SiteConfig) -> frozenset[str]:
    """Return the texts by which the site says that nothing was recorded."""
    return frozenset(normalise(code) for code in site.missing)


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


class _LabResult(NamedTuple):
    """What a test, a unit, an upper limit and a value make of one another; `faults` are ``(name, rule, reason)``."""

    test: str
    value: float | None
    unit: str | None
    uln: float | None
    source_value: str | None
    source_unit: str | None
    below_detection: str | None
    faults: tuple[tuple[str, str, str], ...]


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
        entries: list[tuple],
        parse_text: Parser,
    ) -> None:
        self.table = table
        self.mapping = mapping
        self.site_id = site_id
        self.site = site
        self.cohort = cohort
        self.shown = shown
        self.source = source
        self.shared_entries = entries
        self.entries: list[tuple] = []
        self.parse_text = parse_text
        self.missing = _missing(site)
        self.numbers = NumberReader(site.decimal, site.thousands)
        self.headers = _mapped_headers(mapping)
        self.position = {name: source.headers.index(normalise(header)) for name, header in self.headers.items()}
        self.columns = site_columns(table, cohort)

    # --- pieces ----------------------------------------------------------------------------------------------------

    def read(self) -> pd.DataFrame:
        """Return the canonical table."""
        self._quarantine_ragged()
        self._identify_rows()
        if self.table == "labs":
            frame = self._read_labs()
        elif self.table == "survival_times":
            frame = self._read_survival_times()
        else:
            values: dict[str, Distinct] = {"subject_id": self.subjects}
            for name, column in self.columns.items():
                if name != "subject_id":
                    values[name] = self._read_column(name, column)
            frame = self._frame(values, np.arange(len(self.row_numbers)))
        row = list(QUARANTINE_COLUMNS).index("row")
        self.shared_entries.extend(sorted(self.entries, key=lambda entry: entry[row]))
        return frame

    def _cells(self, name: str) -> Distinct[Cell]:
        return self.source.columns[self.position[name]].take(self.usable)

    def _quarantine(
        self, number: int, name: str | None, value: str | None, subject: str | None, rule: str, reason: str, scope: str
    ) -> None:
        header = None if name is None else self.headers.get(name, name)
        self.entries.append(
            (
                self.site_id,
                self.shown,
                self.mapping.sheet,
                number,
                header,
                value,
                self.table,
                subject,
                rule,
                reason,
                scope,
            )
        )

    def _quarantine_ragged(self) -> None:
        position = self.position["subject_id"]
        for ragged in self.source.ragged:
            cell = ragged.cells[position] if position < len(ragged.cells) else None
            self._quarantine(
                ragged.number,
                None,
                self.site.delimiter.join(render(each) or "" for each in ragged.cells),
                self.parse_text(cell).value,
                "ragged_row",
                f"the row has {len(ragged.cells)} fields, the header {ragged.expected}: its cells may have shifted",
                "row",
            )

    def _identify_rows(self) -> None:
        """Find the rows with a usable subject id, their numbers and ids; quarantine the others."""
        cells = self.source.columns[self.position["subject_id"]]
        parsed = cells.map(self._parser("subject_id"))
        self.usable = parsed.where(lambda subject: subject.value is not None)
        for i in np.flatnonzero(~self.usable).tolist():
            self._quarantine(
                int(self.source.numbers[i]),
                "subject_id",
                render(cells[i]),
                None,
                parsed[i].rule or "missing_subject_id",
                parsed[i].reason or "the row does not say whose it is",
                "row",
            )
        self.row_numbers = self.source.numbers[self.usable]
        self.subjects: Distinct[str | None] = parsed.take(self.usable).map(lambda subject: subject.value)

    def _parser(self, name: str) -> Parser:
        """Return the parser of a mapped column."""
        column = self.columns[name]
        entry = self.mapping.columns[name]
        full = entry if isinstance(entry, ColumnMap) else ColumnMap(column=entry)
        inner = self._plain_parser(column, full, () if full.values else self.missing)
        return mapped_parser(full.values, inner, self.missing) if full.values else inner

    def _plain_parser(self, column: Column, full: ColumnMap, missing: Any) -> Parser:
        if column.kind in ("id", "text"):
            return self.parse_text if missing is self.missing else text_parser(missing)
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

    def _read_column(self, name: str, column: Column) -> Distinct[Any]:
        """Return the values of a canonical column; faulty cells become None and are quarantined."""
        if name in self.mapping.constants:
            return constant(self._constant(name, column), len(self.row_numbers))
        if name not in self.mapping.columns:
            return constant(None, len(self.row_numbers))
        cells = self._cells(name)
        parsed = cells.map(self._parser(name))
        for i in np.flatnonzero(parsed.where(lambda result: result.rule is not None)).tolist():
            self._fault(i, name, cells[i], parsed[i].rule or "", parsed[i].reason or "", "value")
        return parsed.map(lambda result: result.value)

    def _fault(self, i: int, name: str, cell: Cell, rule: str, reason: str, scope: str) -> None:
        """Quarantine a cell of the usable row `i`, or the row for it."""
        self._quarantine(int(self.row_numbers[i]), name, render(cell), self.subjects[i], rule, reason, scope)

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

    def _frame(self, values: Mapping[str, Distinct[Any]], taken: np.ndarray) -> pd.DataFrame:
        """Return the canonical table; `taken` says from which of the usable rows each of its rows comes."""
        import pandas as pd

        data: dict[str, Any] = {}
        for name, column in table_columns(self.table, self.cohort).items():
            data[name] = values[name].array(DTYPES[column.kind])
        for name, text in (("site", self.site_id), ("src_file", self.shown), ("src_sheet", self.mapping.sheet)):
            data[name] = constant(text, len(taken)).array(ORIGIN[name])
        data["src_row"] = pd.array(self.row_numbers[taken], dtype=ORIGIN["src_row"])
        data["src_cells"] = pd.array(self._sources()[taken], dtype=ORIGIN["src_cells"])
        return pd.DataFrame({name: data[name] for name in table_dtypes(self.table, self.cohort)}, copy=False)

    def _sources(self) -> np.ndarray:
        """Return the mapped cells of every usable row as a JSON object, in the form of ``json.dumps``."""
        # columns may share a header, which an object has once
        position = {header: self.position[name] for name, header in self.headers.items()}
        members = []
        for header, at in position.items():
            key = f"{encode_basestring(header)}: "
            cells = self.source.columns[at].take(self.usable)
            shown = cells.map(render)
            members.append(
                shown.map(lambda text, key=key: key + ("null" if text is None else encode_basestring(text))).objects()
            )
        texts = np.empty(len(self.row_numbers), dtype=object)
        texts[:] = ["{" + ", ".join(row) + "}" for row in zip(*members, strict=True)]
        return texts

    # --- survival times: one row a patient becomes one row a patient and endpoint ------------------------------------

    def _read_survival_times(self) -> pd.DataFrame:
        wide = {name: self._read_column(name, column) for name, column in self.columns.items() if name != "subject_id"}
        endpoints = [name for name in ("OS", "RFS", "TTR") if f"{name.lower()}_months" in self.mapping.columns]
        rows = len(self.row_numbers)
        taken = np.repeat(np.arange(rows), len(endpoints))
        values = {
            "subject_id": self.subjects.take(taken),
            "endpoint": interleaved([constant(endpoint, rows) for endpoint in endpoints]),
            "time_months": interleaved([wide[f"{endpoint.lower()}_months"] for endpoint in endpoints]),
            "event": interleaved([wide[f"{endpoint.lower()}_event"] for endpoint in endpoints]),
        }
        return self._frame(values, taken)

    # --- laboratory results --------------------------------------------------------------------------------------

    def _read_labs(self) -> pd.DataFrame:
        dates = self._read_column("sample_date", self.columns["sample_date"])
        taken, results = self._wide_results() if self.mapping.wide_tests is not None else self._long_results()
        faulty = np.flatnonzero(results.where(lambda result: bool(result.faults))).tolist()
        cells = {name: self._cells(name) for k in faulty for name, *_ in results[k].faults}
        for k in faulty:
            i = int(taken[k])
            for name, rule, reason in results[k].faults:
                self._fault(i, name, cells[name][i], rule, reason, "value")
        values: dict[str, Distinct] = {"subject_id": self.subjects.take(taken), "sample_date": dates.take(taken)}
        for position, name in enumerate(_LabResult._fields[:-1]):
            values[name] = results.map(lambda result, position=position: result[position])
        return self._frame(values, taken)

    def _wide_results(self) -> tuple[np.ndarray, Distinct[_LabResult]]:
        """Return one result a row and test that has a cell, in the order of rows, then of the declared tests."""
        assert self.mapping.wide_tests is not None
        parse = lab_parser(self.numbers, self.missing)
        by_test = []
        for test, wide in self.mapping.wide_tests.items():
            unit = self._known_unit(test, wide.unit)
            uln = None if wide.uln is None else float(convert_lab(test, Decimal(repr(wide.uln)), unit or ""))
            read = self._wide_reader(parse, test, wide.unit, unit, uln)
            by_test.append(self._cells(test).map(read))
        results = interleaved(by_test)
        recorded = results.where(lambda result: result is not None)
        taken = np.repeat(np.arange(len(self.row_numbers)), len(by_test))[recorded]
        return taken, _without_none(results.take(recorded))

    def _wide_reader(
        self, parse: Parser, test: str, spelling: str, unit: str | None, uln: float | None
    ) -> Callable[[Cell], _LabResult | None]:
        """Return what reads a cell of one test's column; None: not recorded."""

        def read(cell: Cell) -> _LabResult | None:
            parsed = parse(cell)
            if parsed.value is None and parsed.rule is None:
                return None
            return _lab_result(test, test, cell, parsed, spelling, unit, uln, ())

        return read

    def _known_unit(self, test: str, spelling: str | None) -> str | None:
        """Return the unit of `test` that a spelling of this site means, or None."""
        return None if spelling is None else lab_unit(test, self.site.unit_names.get(spelling, spelling))

    def _long_results(self) -> tuple[np.ndarray, Distinct[_LabResult]]:
        """Return one result a row whose test is known; the other rows are quarantined."""
        tests = self._long_tests()
        known = tests.where(lambda test: test is not None)
        taken = np.flatnonzero(known)
        nothing: Distinct[Any] = constant(None, len(self.row_numbers))
        value_cells = self._cells("value")
        unit_cells = self._cells("unit") if "unit" in self.mapping.columns else nothing
        uln_cells = self._cells("uln") if "uln" in self.mapping.columns else nothing
        parse_value = lab_parser(self.numbers, self.missing)
        read = self._long_reader()
        combined = joined(
            [
                column.take(taken)
                for column in (
                    tests,
                    _with_cell(value_cells, parse_value),
                    unit_cells.map(self._unit_parser()),
                    uln_cells.map(decimal_parser(self.numbers, self.missing)),
                )
            ]
        )
        return taken, combined.map(lambda each: read(*each))

    def _unit_parser(self) -> Parser:
        if "unit" in self.mapping.columns:
            return self._parser("unit")
        return lambda cell: Parsed(None)

    def _long_reader(self) -> Callable[[str, tuple[Cell, Parsed], Parsed, Parsed], _LabResult]:
        """Return what makes a result of a test, a value, a unit and an upper limit."""
        entry = self.mapping.columns["value"]
        whole = entry.unit if isinstance(entry, ColumnMap) else None
        everywhere = self.mapping.constants.get("unit")
        named = "unit" if "unit" in self.mapping.columns and everywhere is None else "value"

        def spelled(test: str, unit: Parsed) -> str | None:
            """Return the unit as the export or the configuration spells it."""
            if everywhere is not None:
                return everywhere
            if unit.value is None and unit.rule is None:
                return whole or self.site.test_units.get(test)
            return unit.value

        def read(test: str, value: tuple[Cell, Parsed], unit_cell: Parsed, limit: Parsed) -> _LabResult:
            cell, parsed = value
            spelling = spelled(test, unit_cell)
            unit = self._known_unit(test, spelling)
            faults = []
            if unit is None and parsed.value is not None:
                found = "no unit is recorded" if spelling is None else f"{spelling!r} is no known unit of {test}"
                reason = f"{found}: the result {render(cell)!r} cannot be used; known are {', '.join(LAB_UNITS[test])}"
                faults.append((named, "unknown_unit", reason))
            uln = None
            if limit.rule is not None:
                faults.append(("uln", limit.rule, limit.reason or ""))
            elif limit.value is not None and unit is not None:
                uln = float(convert_lab(test, limit.value, unit))
            if uln is None and test in self.site.test_uln:
                declared = self._known_unit(test, self.site.test_units[test])
                uln = float(convert_lab(test, Decimal(repr(self.site.test_uln[test])), declared or ""))
            return _lab_result("value", test, cell, parsed, spelling, unit, uln, tuple(faults))

        return read

    def _long_tests(self) -> Distinct[str | None]:
        """Return the PARAMCD of every row; rows with an unknown test are quarantined and None."""
        if "test" in self.mapping.constants:
            return constant(self.mapping.constants["test"], len(self.row_numbers))
        names = {normalise(key): value for key, value in self.site.test_names.items()}
        entry = self.mapping.columns["test"]
        own = entry.values if isinstance(entry, ColumnMap) and entry.values else {}
        names |= {normalise(key): value for key, value in own.items()}
        known = names or {test: test for test in LAB_TESTS}
        cells = self._cells("test")
        parsed = cells.map(self.parse_text)
        tests = parsed.map(lambda result: None if result.value is None else known.get(result.value))
        unknown = np.flatnonzero(tests.where(lambda test: test is None)).tolist()
        reasons: dict[str | None, str] = {}
        for i in unknown:
            name = parsed[i].value
            if name not in reasons:
                hint = did_you_mean(name, known) if name else None
                found = "no test is named" if name is None else f"{name!r} is no declared test name"
                reasons[name] = f"{found}; known are {', '.join(known)}" + (f"; {hint}" if hint else "")
            self._fault(i, "test", cells[i], "unknown_test", reasons[name], "row")
        return tests


def _lab_result(
    name: str,
    test: str,
    cell: Cell,
    parsed: Parsed,
    spelling: str | None,
    unit: str | None,
    uln: float | None,
    faults: tuple[tuple[str, str, str], ...],
) -> _LabResult:
    """Return one laboratory result in its canonical unit; a faulty value is None and one more of its faults."""
    value = below = None
    if parsed.rule is not None:
        faults = (*faults, (name, parsed.rule, parsed.reason or ""))
    elif parsed.value is not None and unit is not None:
        result: LabValue = parsed.value
        value = float(convert_lab(test, result.value, unit))
        below = "Y" if result.below_detection else "N"
    canonical = None if unit is None else LAB_TESTS[test][1]
    return _LabResult(test, value, canonical, uln, render(cell), spelling, below, faults)


def _with_cell(cells: Distinct[Cell], parse: Parser) -> Distinct[tuple[Cell, Parsed]]:
    return cells.map(lambda cell: (cell, parse(cell)))


def _without_none(results: Distinct[_LabResult | None]) -> Distinct[_LabResult]:
    """Return the same rows, none of which is None, without None among the values."""
    kept = np.array([value is not None for value in results.values], dtype=bool)
    renumbered = np.cumsum(kept) - 1
    return Distinct([value for value in results.values if value is not None], renumbered[results.codes])
