"""Checks of the tables of published evidence: each file as a file, each cell, and all tables against each other."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from sorafenib_rfa.errors import Problem
from sorafenib_rfa.evidence.schema import (
    ARMS,
    BIAS_TOOLS,
    CERTAINTY_DOMAINS,
    CLAIMED_EFFECTS,
    DOI,
    KEY_COLUMNS,
    NUMBER,
    QUOTED_FIGURE,
    SIGNIFICANT,
    SLUG,
    SOURCE_ID,
    STARTS,
    STATUS_FIELDS,
    TABLES,
    UNITS,
    Column,
    claimable_units,
    decimals_of,
    figures_of,
    key_of,
)

_SOURCES_NAMED = re.compile(rf"\b{SOURCE_ID.pattern}\b")
_MEMORY = "from memory"
_COUNTED = ("patients", "lesions", "countries")
"""Units of claims that can always be held against a table."""
REFERENCES = (("sources", "source_id"), ("studies", "study_id"), ("effects", "effect_id"))
"""Tables that others point to, and by which column."""
_BIB_KEY = re.compile(r"^@\w+\{\s*([^,\s]+)\s*,", re.MULTILINE)


@dataclass
class Row:
    """A record: its number as a person counts, and its cells by column."""

    number: int
    cells: dict[str, str]


@dataclass
class TableReader:
    """Reads the files and gathers what is wrong with them."""

    folder: Path
    shown_folder: str
    problems: list[Problem] = field(default_factory=list)
    incomplete: set[str] = field(default_factory=set)
    """Tables with rows that could not be taken apart: nothing is called unknown for not standing in them."""

    def shown(self, table: str) -> str:
        """Return the path of a table as people know it."""
        return f"{self.shown_folder.rstrip('/')}/{table}.csv"

    def fault(
        self,
        table: str,
        row: int | None,
        column: str | None,
        message: str,
        found: object = None,
        expected: str | None = None,
        hint: str | None = None,
    ) -> None:
        """Keep a problem."""
        self.problems.append(
            Problem(
                message,
                file=self.shown(table),
                row=row,
                column=column,
                found=None if found is None else str(found),
                expected=expected,
                hint=hint,
            )
        )

    def rows(
        self, table: str, columns: Sequence[Column] | None = None, *, optional: Collection[str] = ()
    ) -> list[Row] | None:
        """Return the records of a table; None if its file or header cannot be used.

        Its columns are those of the schema unless `columns` are given; `optional` ones of them may be missing, and are
        then blank.
        """
        path = self.folder / f"{table}.csv"
        try:
            data = path.read_bytes()
        except OSError as error:
            self.fault(table, None, None, "the file cannot be read", error.strerror, "a CSV file")
            return None
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            self.fault(table, line, None, "a byte that is not UTF-8", f"0x{data[error.start]:02x}", "UTF-8 text")
            return None
        names = [column.name for column in (TABLES[table] if columns is None else columns)]
        records = list(self._records(table, text))
        if not records:
            self.fault(table, 1, None, "no header", "an empty file", ", ".join(names))
            return None
        header_row, header = records[0]
        if not self._header_fits(table, header_row, header, names, optional):
            return None
        absent = dict.fromkeys((name for name in names if name not in header), "")
        rows = []
        for number, cells in records[1:]:
            if len(cells) != len(header):
                found = f"{len(cells)} cell{'s' if len(cells) != 1 else ''}"
                self.incomplete.add(table)
                hint = "a text with a comma stands in double quotes"
                self.fault(table, number, None, "the row does not fit the header", found, f"{len(header)} cells", hint)
                continue
            rows.append(Row(number, dict(zip(header, cells, strict=True)) | absent))
        return rows

    def _records(self, table: str, text: str) -> Iterator[tuple[int, list[str]]]:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        last = 0
        while True:
            try:
                record = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                self.incomplete.add(table)
                self.fault(table, last + 1, None, "the line is not CSV", str(error), "commas and paired double quotes")
                return
            number, last = last + 1, reader.line_num
            cells = [cell.strip() for cell in record]
            if any(cells):
                yield number, cells

    def _header_fits(
        self, table: str, number: int, header: list[str], names: list[str], optional: Collection[str]
    ) -> bool:
        twice = sorted(name for name, times in Counter(header).items() if times > 1)
        for name in twice:
            self.fault(table, number, name or None, "the column stands there more than once", name, "each column once")
        missing = [name for name in names if name not in header and name not in optional]
        for name in missing:
            self.fault(table, number, name, "the column is missing", ", ".join(header), name)
        for name in header:
            if name not in names and name not in twice:
                self.fault(table, number, name or None, "unknown column", name or "(no name)", ", ".join(names))
        return not twice and not missing and set(header) <= set(names)

    def cell_faults(self, table: str, row: Row, columns: Sequence[Column] | None = None) -> set[str]:
        """Report the cells that do not fit their column, of the schema or given; return the names of those columns."""
        bad = set()
        for column in TABLES[table] if columns is None else columns:
            fault = _fault_of(column, row.cells[column.name])
            if fault is None:
                continue
            bad.add(column.name)
            found = row.cells[column.name] or "nothing"
            message, expected, hint = fault
            self.fault(table, row.number, column.name, message, found, expected, hint)
        return bad


@dataclass
class TableRows:
    """The usable records of a table, with what is known to be wrong in each."""

    name: str
    rows: list[Row]
    bad: list[set[str]]

    def good(self, *columns: str) -> Iterator[Row]:
        """Yield the records in which none of these cells is at fault."""
        for row, bad in zip(self.rows, self.bad, strict=True):
            if not bad.intersection(columns):
                yield row


def _fault_of(column: Column, text: str) -> tuple[str, str, str | None] | None:
    """Return message, expectation and hint where a cell does not fit its column."""
    if not text:
        return ("the cell must not be blank", _expectation(column), None) if column.needed else None
    if column.kind == "text":
        if column.codes and text not in column.codes:
            return "unknown code", _expectation(column), None
        if column.pattern is not None and not column.pattern.fullmatch(text):
            return "the text has another form than asked for", _expectation(column), None
        return None
    if not NUMBER.fullmatch(text):
        hint = None
        if re.fullmatch(r"-?\d+,\d+", text):
            hint = "the decimal mark is a point"
        elif re.fullmatch(r"0\d+", text):
            hint = "a decimal point is probably missing; enter the figure as it must have been meant and say so"
        elif text[0] in "<>":
            hint = "a bound is not a value: leave the cell blank and say it in a note"
        return "not a number", _expectation(column), hint
    value = float(text)
    if column.kind == "count" and "." in text:
        return "not a whole number", _expectation(column), None
    outside = (
        (column.above is not None and value <= column.above)
        or (column.low is not None and value < column.low)
        or (column.high is not None and value > column.high)
    )
    return ("out of range", _expectation(column), None) if outside else None


def _expectation(column: Column) -> str:
    if column.codes:
        return " / ".join(column.codes)
    if column.pattern is SLUG:
        return "small letters, digits and _"
    if column.pattern is SOURCE_ID:
        return "S and two digits, such as S01"
    if column.pattern is DOI:
        return "a DOI, such as 10.1000/xyz, without an address before it"
    if column.pattern is not None:
        return "digits only"
    if column.kind == "text":
        return "a text"
    kind = "a whole number" if column.kind == "count" else "a number"
    parts = []
    if column.above is not None:
        parts.append(f"above {column.above:g}")
    elif column.low is not None:
        parts.append(f"from {column.low:g}")
    if column.high is not None:
        parts.append(f"up to {column.high:g}")
    return " ".join([kind, *parts])


def filled_figures(tables: Mapping[str, TableRows]) -> Iterator[tuple[tuple[str, str, str], str]]:
    """Yield key and text of every filled cell that must have a status."""
    for name, fields in STATUS_FIELDS.items():
        for row in tables[name].rows:
            key = key_of(name, row.cells)
            for column in fields:
                if row.cells[column]:
                    yield (name, key, column), row.cells[column]


def _check_emptiness(reader: TableReader, tables: Mapping[str, TableRows]) -> None:
    """Say of a table without rows that others speak of it, once: not of each of them that it speaks of nothing."""
    outcomes = {row.cells["outcome_id"] for row in tables["event_counts"].rows} if "event_counts" in tables else set()
    spoken: Counter[str] = Counter()
    for name, table in tables.items():
        for row in table.rows:
            for target, column in REFERENCES:  # a finding on harms is about an outcome that was counted
                spoken[target] += name != target and row.cells.get(column, "") not in {"", *outcomes}
            if name == "field_status":
                spoken[row.cells["table"]] += 1
            if name == "statements" and row.cells["refers_to"]:
                spoken[row.cells["refers_to"].partition(":")[0]] += 1
    if all(name in tables for name in STATUS_FIELDS):
        spoken["field_status"] += sum(1 for _ in filled_figures(tables))
    for name, table in tables.items():
        if not table.rows and name not in reader.incomplete and spoken[name]:
            reader.incomplete.add(name)
            expected = f"a row for each of which other tables speak, {spoken[name]} times"
            reader.fault(name, None, None, f"{name}.csv has no rows", "a header only", expected)


def _check_unique(reader: TableReader, tables: Mapping[str, TableRows]) -> None:
    identities = {
        "sources": ("source_id",),
        "studies": ("study_id",),
        "effects": ("effect_id",),
        "survival_percentages": ("study_id", "endpoint", "arm", "month"),
        "event_counts": ("outcome_id",),
        "field_status": ("table", "key", "field"),
        "statements": ("statement_id",),
        "risk_of_bias": ("study_id", "tool", "domain"),
        "certainty": ("finding_id", "domain"),
    }
    for name, columns in identities.items():
        if name in tables:
            _refuse_doubles(reader, tables[name], columns)
    if "effects" in tables:
        _refuse_doubles(reader, tables["effects"], ("study_id", "endpoint", "look"))


def _refuse_doubles(reader: TableReader, table: TableRows, columns: tuple[str, ...]) -> None:
    first: dict[tuple[str, ...], int] = {}
    for row in table.good(*columns):
        identity = tuple(row.cells[column] for column in columns)
        if identity in first:
            what = ", ".join(columns)
            reader.fault(
                table.name,
                row.number,
                columns[-1],
                f"the same {what} as in row {first[identity]}",
                ", ".join(identity),
                f"each {what} once",
            )
        else:
            first[identity] = row.number


def _check_references(reader: TableReader, tables: Mapping[str, TableRows]) -> None:
    """Hold identifiers against the table they point to."""
    for target, column in REFERENCES:
        if target not in tables or target in reader.incomplete:
            continue
        known = {row.cells[column] for row in tables[target].rows}
        if target == "effects" and "event_counts" in tables:  # a finding on harms is about an outcome that was counted
            if "event_counts" in reader.incomplete:
                continue
            known |= {row.cells["outcome_id"] for row in tables["event_counts"].rows}
        for name, table in tables.items():
            if name == target or column not in {each.name for each in TABLES[name]}:
                continue
            for row in table.good(column):
                if row.cells[column] and row.cells[column] not in known:
                    reader.fault(
                        name,
                        row.number,
                        column,
                        f"unknown {column}",
                        row.cells[column],
                        f"a row of {reader.shown(target)} with it",
                    )


def _check_sources(reader: TableReader, tables: Mapping[str, TableRows]) -> None:
    if "sources" not in tables:
        return
    for row in tables["sources"].good("read_extent", "read_at"):
        read = row.cells["read_extent"] != "not_found"
        if read != bool(row.cells["read_at"]):
            reader.fault(
                "sources",
                row.number,
                "read_at",
                "where it was read does not fit what was read of it",
                row.cells["read_at"] or "nothing",
                "a place" if read else "nothing, as read_extent is not_found",
            )


def _check_studies(reader: TableReader, tables: Mapping[str, TableRows]) -> None:
    if "studies" not in tables:
        return
    for row in tables["studies"].good("role", "why_not_pooled"):
        pooled = row.cells["role"] == "synthesis"
        if pooled == bool(row.cells["why_not_pooled"]):
            reader.fault(
                "studies",
                row.number,
                "why_not_pooled",
                "a study that may be pooled needs no reason, any other needs one",
                row.cells["why_not_pooled"] or "nothing",
                "nothing" if pooled else "the reason",
            )
    for row in tables["studies"].good("n_screened", "n_treated", "n_control"):
        screened, treated, control = (row.cells[name] for name in ("n_screened", "n_treated", "n_control"))
        if screened and treated and control and float(screened) < float(treated) + float(control):
            reader.fault(
                "studies",
                row.number,
                "n_screened",
                "fewer were screened than took part",
                screened,
                f"at least {float(treated) + float(control):g}",
            )
    for row in tables["studies"].good("n_screened", "n_treated", "n_control", "n_randomised"):
        everyone, screened = row.cells["n_randomised"], row.cells["n_screened"]
        if not everyone:
            continue
        least = sum(float(row.cells[name] or 0) for name in ("n_treated", "n_control"))
        if float(everyone) < least or (screened and float(everyone) > float(screened)):
            reader.fault(
                "studies",
                row.number,
                "n_randomised",
                "all arms together do not lie between the two compared and the screened",
                everyone,
                f"at least {least:g}" + (f", at most {screened}" if screened else ""),
            )


def _check_effects(reader: TableReader, tables: Mapping[str, TableRows]) -> None:
    if "effects" not in tables:
        return
    table = tables["effects"]
    for row in table.good("estimate", "ci_low", "ci_high", "ci_level"):
        _check_interval(reader, row)
    for row in table.good("median_treated", "median_control", "median_unit"):
        given = bool(row.cells["median_treated"] or row.cells["median_control"])
        if given != bool(row.cells["median_unit"]):
            reader.fault(
                "effects",
                row.number,
                "median_unit",
                "medians and their unit stand together",
                row.cells["median_unit"] or "nothing",
                " / ".join(UNITS) if given else "nothing, as there is no median",
            )


def _check_interval(reader: TableReader, row: Row) -> None:
    estimate, low, high, level = (row.cells[name] for name in ("estimate", "ci_low", "ci_high", "ci_level"))
    if bool(low) != bool(high):
        column = "ci_high" if low else "ci_low"
        reader.fault("effects", row.number, column, "one limit without the other", "nothing", "both limits or none")
        return
    if bool(low) != bool(level):
        expected = "the level in percent, such as 95" if low else "nothing, as there is no interval"
        reader.fault(
            "effects", row.number, "ci_level", "an interval and its level stand together", level or "nothing", expected
        )
    if not low:
        return
    if not estimate:
        reader.fault("effects", row.number, "estimate", "an interval without estimate", "nothing", "the estimate")
    if float(low) >= float(high):
        reader.fault(
            "effects", row.number, "ci_low", "the lower limit is not below the upper", low, f"less than {high}"
        )
    elif estimate and not float(low) <= float(estimate) <= float(high):
        reader.fault(
            "effects", row.number, "estimate", "the interval excludes its estimate", estimate, f"from {low} to {high}"
        )


def _check_p_values(reader: TableReader, tables: Mapping[str, TableRows]) -> None:
    for name in ("effects", "event_counts"):
        if name not in tables:
            continue
        for row in tables[name].good("p_value", "p_sided"):
            given = bool(row.cells["p_value"])
            if given != bool(row.cells["p_sided"]):
                reader.fault(
                    name,
                    row.number,
                    "p_sided",
                    "a p value and its side stand together",
                    row.cells["p_sided"] or "nothing",
                    "one / two" if given else "nothing, as there is no p value",
                )


def _check_survival(reader: TableReader, tables: Mapping[str, TableRows]) -> None:
    if "survival_percentages" not in tables:
        return
    table = tables["survival_percentages"]
    for row in table.good("percent", "decimals"):
        if decimals_of(row.cells["percent"]) > float(row.cells["decimals"]):
            reader.fault(
                "survival_percentages",
                row.number,
                "decimals",
                "the percentage has more decimals than the print is said to have",
                row.cells["percent"],
                f"at most {row.cells['decimals']} decimals",
            )
    curves: dict[tuple[str, ...], list[Row]] = {}
    for row in table.good("study_id", "endpoint", "arm", "month", "percent"):
        curves.setdefault(tuple(row.cells[name] for name in ("study_id", "endpoint", "arm")), []).append(row)
    for rows in curves.values():
        ordered = sorted(rows, key=lambda row: float(row.cells["month"]))
        for before, after in pairwise(ordered):
            if float(after.cells["percent"]) > float(before.cells["percent"]):
                reader.fault(
                    "survival_percentages",
                    after.number,
                    "percent",
                    f"survival rises after month {before.cells['month']}",
                    after.cells["percent"],
                    f"at most {before.cells['percent']}",
                )
    if table.name not in reader.incomplete:
        _check_times_of_arms(reader, curves)


def _check_times_of_arms(reader: TableReader, curves: Mapping[tuple[str, ...], list[Row]]) -> None:
    """Refuse a percentage at a month at which the other arm, of which there are some, has none."""
    for (study, endpoint, arm), rows in curves.items():
        (other,) = (each for each in ARMS if each != arm)
        fellows = curves.get((study, endpoint, other))
        if fellows is None:
            continue
        months = {float(row.cells["month"]) for row in fellows}
        for row in rows:
            if float(row.cells["month"]) not in months:
                reader.fault(
                    "survival_percentages",
                    row.number,
                    "month",
                    f"no percentage of the {other} arm at this month",
                    row.cells["month"],
                    "percentages of both arms at the same months: "
                    + ", ".join(f"{month:g}" for month in sorted(months)),
                    "arms are compared at months that both have; leave out the others",
                )


def _check_counts(reader: TableReader, tables: Mapping[str, TableRows]) -> None:
    if "event_counts" not in tables:
        return
    for arm in ARMS:
        for row in tables["event_counts"].good(f"events_{arm}", f"total_{arm}"):
            events, total = row.cells[f"events_{arm}"], row.cells[f"total_{arm}"]
            if events and total and float(events) > float(total):
                reader.fault(
                    "event_counts", row.number, f"events_{arm}", "more events than counted", events, f"at most {total}"
                )


def _check_statuses(reader: TableReader, tables: Mapping[str, TableRows]) -> None:
    """Each filled figure has one status, and no other cell has any."""
    if "field_status" not in tables or not all(name in tables for name in STATUS_FIELDS):
        return
    statuses = tables["field_status"]
    for row in statuses.good("status", "confidence"):
        status, confidence, where = (row.cells[name] for name in ("status", "confidence", "where"))
        if (status == "recalled") != bool(confidence):
            reader.fault(
                "field_status",
                row.number,
                "confidence",
                "how sure a recollection is, and of nothing else",
                confidence or "nothing",
                "high / medium / low" if status == "recalled" else f"nothing, as it is {status}",
            )
        if status != "recalled" and not where:
            expected = "the address at which it was seen" if status == "seen" else "how it was derived"
            reader.fault("field_status", row.number, "where", "where the figure comes from", "nothing", expected)
        elif status != "recalled" and where.lower().startswith(_MEMORY):
            message = f"what comes from memory is not {status}"
            reader.fault("field_status", row.number, "where", message, where, "recalled, or where it was read")
        elif status == "seen":
            _check_place(reader, tables, row)
    filled = dict(filled_figures(tables))
    known = {
        (row.cells["table"], row.cells["key"], row.cells["field"]): row.number
        for row in statuses.good("table", "key", "field")
    }
    for identity, number in known.items():
        table, key, column = identity
        if identity in filled:
            continue
        if column not in STATUS_FIELDS[table]:
            expected = ", ".join(STATUS_FIELDS[table])
            reader.fault("field_status", number, "field", f"{table} keeps no status of it", column, expected)
        elif key not in {key_of(table, row.cells) for row in tables[table].rows}:
            if table in reader.incomplete:
                continue
            expected = f"a row of {reader.shown(table)}, by its {' . '.join(KEY_COLUMNS[table])}"
            reader.fault("field_status", number, "key", "unknown key", key, expected)
        else:
            expected = f"a figure in {reader.shown(table)}, or no row for it"
            reader.fault("field_status", number, "field", "the status of a blank cell", column, expected)
    if "field_status" in reader.incomplete:
        return
    for name, fields in STATUS_FIELDS.items():
        for row in tables[name].rows:
            for column in fields:
                if row.cells[column] and (name, key_of(name, row.cells), column) not in known:
                    reader.fault(
                        name,
                        row.number,
                        column,
                        "a figure without status",
                        row.cells[column],
                        f"a row {name},{key_of(name, row.cells)},{column} in {reader.shown('field_status')}",
                    )


def _check_place(reader: TableReader, tables: Mapping[str, TableRows], row: Row) -> None:
    """Hold the place at which a figure was seen against those at which sources were read."""
    if "sources" not in tables or "sources" in reader.incomplete:
        return
    where = row.cells["where"]
    named = set(_SOURCES_NAMED.findall(where))
    read, unread = set(), set()
    for source in tables["sources"].good("source_id", "read_extent", "read_at"):
        places = [place.strip() for place in source.cells["read_at"].split(" ; ")]
        if source.cells["source_id"] in named or any(place and place in where for place in places):
            (unread if source.cells["read_extent"] == "not_found" else read).add(source.cells["source_id"])
    if not read:
        message = "a figure cannot be seen in a source that was not read" if unread else "no source was read there"
        expected = f"a place of {reader.shown('sources')} (read_at), or the source_id of a source that was read"
        reader.fault("field_status", row.number, "where", message, where, expected)


def _check_statements(reader: TableReader, tables: Mapping[str, TableRows]) -> None:
    if "statements" not in tables:
        return
    for row in tables["statements"].good("claimed_value", "claimed_unit", "verdict"):
        if bool(row.cells["claimed_value"]) != bool(row.cells["claimed_unit"]):
            reader.fault(
                "statements",
                row.number,
                "claimed_unit",
                "a claimed value and its unit stand together",
                row.cells["claimed_unit"] or "nothing",
                "a unit" if row.cells["claimed_value"] else "nothing, as there is no claimed value",
            )
        about_effect = row.cells["refers_to"].endswith(f":{SIGNIFICANT}")
        if row.cells["refers_to"] and not about_effect and not row.cells["claimed_value"]:
            expected = "the number that is held against the figure"
            reader.fault("statements", row.number, "claimed_value", "a figure without a claim", "nothing", expected)
        if not row.cells["refers_to"] and row.cells["claimed_unit"] in _COUNTED:
            message = "a number of them that is held against no figure"
            expected = "a figure in refers_to, or no number"
            reader.fault("statements", row.number, "claimed_value", message, row.cells["claimed_value"], expected)
        if about_effect == (not row.cells["claimed_effect"]):
            expected = (
                " / ".join(CLAIMED_EFFECTS) if about_effect else f"nothing, as refers_to ends not in :{SIGNIFICANT}"
            )
            found = row.cells["claimed_effect"] or "nothing"
            message = "a claim about an effect and the effect stand together"
            reader.fault("statements", row.number, "claimed_effect", message, found, expected)
        if about_effect and row.cells["claimed_value"]:
            message, expected = "a number where an effect is claimed", "nothing: claimed_effect says what is claimed"
            reader.fault("statements", row.number, "claimed_value", message, row.cells["claimed_value"], expected)
        for column in ("verdict", "reason"):
            if row.cells["refers_to"] and row.cells[column]:
                expected = "nothing: verdict and reason are computed from the figure"
                reader.fault("statements", row.number, column, f"a {column} by hand", row.cells[column], expected)
            elif not row.cells["refers_to"] and not row.cells[column]:
                expected = "a verdict and its reason, as there is no figure to compute it from"
                reader.fault("statements", row.number, column, f"no {column}", "nothing", expected)
    for row in tables["statements"].good("refers_to"):
        if row.cells["refers_to"]:
            _check_reference(reader, tables, row)
    figures = dict(filled_figures(tables)) if all(name in tables for name in STATUS_FIELDS) else None
    for row in tables["statements"].good("reason"):
        for found in QUOTED_FIGURE.finditer(row.cells["reason"]):
            if figures is not None and found.groups() not in figures and found[1] not in reader.incomplete:
                expected = "table:key:field of a figure that is filled, such as effects:storm_rfs:estimate"
                reader.fault("statements", row.number, "reason", "no such figure", found[0], expected)


def _check_reference(reader: TableReader, tables: Mapping[str, TableRows], row: Row) -> None:
    text, unit = row.cells["refers_to"], row.cells["claimed_unit"]
    try:
        figures = figures_of(text)
    except ValueError:
        figures = []
    about_effect = len(figures) == 1 and figures[0][0] == "effects" and figures[0][2] == SIGNIFICANT
    units = [("an effect",)] if about_effect else [claimable_units(table, column) for table, _, column in figures]
    if not all(units) or not units:
        expected = "table:key:field of a figure, such as effects:space_ttp:median_treated, or two with / between them"
        reader.fault("statements", row.number, "refers_to", "unknown figure", text, expected)
        return
    allowed = units[0] if len(units) == 1 else ("times",)
    if unit and not about_effect and unit not in allowed:
        message = f"not the unit of {text}"
        reader.fault("statements", row.number, "claimed_unit", message, unit, " / ".join(allowed))
    for table, key, _ in figures:
        if table in reader.incomplete or table not in tables:
            continue
        if key not in {key_of(table, each.cells) for each in tables[table].rows}:
            expected = f"a key of {reader.shown(table)}"
            reader.fault("statements", row.number, "refers_to", f"unknown figure: no {key}", text, expected)


def _check_bias(reader: TableReader, tables: Mapping[str, TableRows]) -> None:
    if "risk_of_bias" not in tables:
        return
    table = tables["risk_of_bias"]
    assessed: dict[tuple[str, str], dict[str, Row]] = {}
    for row in table.good("tool"):
        domains, judgements = BIAS_TOOLS[row.cells["tool"]]
        fits = True
        for column, allowed in (("domain", domains), ("judgement", judgements)):
            if row.cells[column] and row.cells[column] not in allowed:
                fits = False
                message = f"unknown to {row.cells['tool']}"
                reader.fault(table.name, row.number, column, message, row.cells[column], " / ".join(allowed))
        if fits:
            assessed.setdefault((row.cells["study_id"], row.cells["tool"]), {})[row.cells["domain"]] = row
    for (study, tool), judged in assessed.items():
        domains, judgements = BIAS_TOOLS[tool]
        missing = [domain for domain in domains if domain not in judged]
        if missing and table.name not in reader.incomplete:
            last = max(row.number for row in judged.values())
            found = f"no row for {', '.join(missing)}"
            message = f"{study} is not assessed in every domain of {tool}"
            reader.fault(table.name, last, "domain", message, found, ", ".join(domains))
        if "overall" in judged:
            _check_overall(reader, judged, judgements)


def _check_overall(reader: TableReader, judged: Mapping[str, Row], judgements: tuple[str, ...]) -> None:
    """Refuse an overall judgement better than that of a domain; `judgements` run from low on, no information last.

    Where what could be judged is low and a domain could not be, the whole cannot be judged either.
    """
    order = {judgement: step for step, judgement in enumerate(judgements[:-1])}
    overall = judged["overall"]
    made = [row.cells["judgement"] for domain, row in judged.items() if domain != "overall"]
    worst = max((judgement for judgement in made if judgement in order), key=order.__getitem__, default=None)
    *_, unknown = judgements
    if unknown in made and (worst is None or order[worst] == 0):
        if overall.cells["judgement"] != unknown:
            message = "judged overall, where a domain could not be and no other is worse than low"
            reader.fault("risk_of_bias", overall.number, "judgement", message, overall.cells["judgement"], unknown)
        return
    if worst is not None and order.get(overall.cells["judgement"], -1) < order[worst]:
        message = "better overall than in a domain"
        reader.fault(
            "risk_of_bias", overall.number, "judgement", message, overall.cells["judgement"], f"{worst} or worse"
        )


def _check_certainty(reader: TableReader, tables: Mapping[str, TableRows]) -> None:
    if "certainty" not in tables:
        return
    table = tables["certainty"]
    findings: dict[str, dict[str, int]] = {}
    for row in table.good("finding_id", "domain", "step"):
        allowed = ("4", "2") if row.cells["domain"] == "start" else ("0", "-1", "-2")
        if row.cells["step"] not in allowed:
            expected = " / ".join(allowed)
            message = f"not a step of {row.cells['domain']}"
            reader.fault(table.name, row.number, "step", message, row.cells["step"], expected)
        if bool(row.cells["synthesis_id"]) == bool(row.cells["effect_id"]):
            found = f"{row.cells['synthesis_id'] or 'nothing'} and {row.cells['effect_id'] or 'nothing'}"
            reader.fault(
                table.name,
                row.number,
                "synthesis_id",
                "a finding is of a synthesis or of an effect",
                found,
                "one of both",
            )
        _check_judged(reader, row)
        if row.cells["domain"] == "start":
            _check_start(reader, tables, row)
        findings.setdefault(row.cells["finding_id"], {})[row.cells["domain"]] = row.number
    for finding, domains in findings.items():
        missing = [domain for domain in CERTAINTY_DOMAINS if domain not in domains]
        if missing:
            reader.fault(
                table.name,
                max(domains.values()),
                "domain",
                f"{finding} is not rated in every domain",
                f"no row for {', '.join(missing)}",
                ", ".join(CERTAINTY_DOMAINS),
            )


def _check_judged(reader: TableReader, row: Row) -> None:
    """Refuse what a finding was judged by elsewhere than in the row of its start."""
    k, low, high = (row.cells[name] for name in ("judged_k", "judged_ci_low", "judged_ci_high"))
    at_start = row.cells["domain"] == "start"
    if at_start != bool(k):
        expected = "the number of studies when it was judged" if at_start else "nothing: it stands in the row of start"
        reader.fault("certainty", row.number, "judged_k", "studies that were judged", k or "nothing", expected)
    if bool(low) != bool(high) or (low and not at_start):
        expected = "both limits or none" if at_start else "nothing: it stands in the row of start"
        found = f"{low or 'nothing'} to {high or 'nothing'}"
        reader.fault("certainty", row.number, "judged_ci_low", "the interval that was judged", found, expected)


def _check_start(reader: TableReader, tables: Mapping[str, TableRows], row: Row) -> None:
    """Hold the start of a finding about one effect or outcome against the design of its study."""
    study = next(
        (
            each.cells["study_id"]
            for name, column in (("effects", "effect_id"), ("event_counts", "outcome_id"))
            for each in (tables[name].rows if name in tables else [])
            if row.cells["effect_id"] and each.cells[column] == row.cells["effect_id"]
        ),
        None,
    )
    designs = (
        {each.cells["study_id"]: each.cells["design"] for each in tables["studies"].rows}
        if study and "studies" in tables
        else {}
    )
    expected = STARTS.get(designs.get(study, ""))
    if expected is not None and row.cells["step"] in STARTS.values() and row.cells["step"] != expected:
        message = f"not where the design of the study puts it ({designs[study]})"
        reader.fault("certainty", row.number, "step", message, row.cells["step"], expected)


CHECKS: tuple[Callable[[TableReader, Mapping[str, TableRows]], None], ...] = (
    _check_emptiness,
    _check_unique,
    _check_references,
    _check_sources,
    _check_studies,
    _check_effects,
    _check_p_values,
    _check_survival,
    _check_counts,
    _check_statuses,
    _check_statements,
    _check_bias,
    _check_certainty,
)


def bibliography_keys(text: str) -> frozenset[str]:
    """Return the citation keys of a BibTeX file."""
    return frozenset(_BIB_KEY.findall(text))


def check_citations(reader: TableReader, tables: Mapping[str, TableRows], bibliography: Path, shown: str) -> None:
    """Hold the citation keys of the sources against a BibTeX file."""
    try:
        known = bibliography_keys(bibliography.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reader.problems.append(
            Problem("the bibliography cannot be read", file=shown, found=str(error.__class__.__name__))
        )
        return
    if "sources" not in tables:
        return
    for row in tables["sources"].good("citation_key"):
        if row.cells["citation_key"] not in known:
            reader.fault(
                "sources",
                row.number,
                "citation_key",
                "unknown citation",
                row.cells["citation_key"],
                f"a key of {shown}",
            )
