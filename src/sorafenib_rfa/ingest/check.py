"""What a site's configuration must satisfy beyond its schema, checked before any file is read."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

from sorafenib_rfa.config.models import CohortConfig, ColumnMap, SiteConfig, TableMap
from sorafenib_rfa.errors import Problem
from sorafenib_rfa.ingest.readers import is_workbook
from sorafenib_rfa.ingest.tables import LAB_EXPORT, SURVIVAL_EXPORT, Column, table_columns
from sorafenib_rfa.ingest.text import did_you_mean
from sorafenib_rfa.ingest.units import LAB_UNITS, QUANTITIES, lab_unit
from sorafenib_rfa.vocabulary import LAB_TESTS

REQUIRED = {
    "patients": ("subject_id",),
    "ablations": ("subject_id", "ablation_date"),
    "drug_exposure": ("subject_id", "drug", "start_date"),
    "imaging": ("subject_id", "imaging_date", "finding"),
    "labs": ("subject_id", "sample_date"),
    "adverse_events": ("subject_id", "term", "grade"),
    "survival_times": ("subject_id", "os_months", "os_event"),
}
"""Columns without which a table cannot serve; a site without them leaves the table out."""

Report = Callable[..., None]
"""Takes a message, and found, expected and hint by name."""

_DAY = re.compile(r"%[djxDFec]|%-d")
_MONTH = re.compile(r"%[mbBjxDFc]|%-m")
_YEAR = re.compile(r"%[YyxDFGc]")


def site_columns(table: str, cohort: CohortConfig) -> dict[str, Column]:
    """Return the canonical columns that a site may map for `table`."""
    if table == "survival_times":
        return dict(SURVIVAL_EXPORT)
    columns = table_columns(table, cohort)
    return {name: columns[name] for name in LAB_EXPORT} if table == "labs" else columns


def check_site(site_id: str, site: SiteConfig, cohort: CohortConfig) -> list[Problem]:
    """Return every contradiction between a site's configuration and what ingest knows.

    Checked: canonical column names and the required ones, codes that value maps translate to, units, test names,
    date formats, encodings, delimiters, sheets, file types.
    """
    shown = f"sites/{site_id}.yaml"
    problems: list[Problem] = []

    def add(message: str, *, found: str | None = None, expected: str | None = None, hint: str | None = None) -> None:
        problems.append(Problem(message, file=shown, found=found, expected=expected, hint=hint))

    try:
        codecs.lookup(site.encoding)
    except LookupError:
        add(
            "encoding: Python knows no such encoding", found=repr(site.encoding), expected="e.g. utf-8, gb18030, cp1252"
        )
    if len(site.delimiter) != 1 or site.delimiter in '"\r\n':
        add("delimiter: must be one character", found=repr(site.delimiter))
    if site.thousands is not None and (len(site.thousands) != 1 or site.thousands == site.decimal):
        add("thousands: must be one character other than the decimal mark", found=repr(site.thousands))
    _check_date_formats("date_formats", site.date_formats, add)
    if "patients" not in site.tables:
        add("tables: the table 'patients' is required", found=", ".join(site.tables) or "no table")
    for name, target in site.test_names.items():
        if target not in LAB_TESTS:
            add(
                f"test_names.{name}: there is no such laboratory test",
                found=repr(target),
                expected=", ".join(LAB_TESTS),
                hint=did_you_mean(target, LAB_TESTS),
            )
    for test in [*site.test_units, *site.test_uln]:
        if test not in LAB_TESTS:
            add(
                "test_units, test_uln: there is no such laboratory test",
                found=repr(test),
                expected=", ".join(LAB_TESTS),
                hint=did_you_mean(test, LAB_TESTS),
            )
    for test, unit in site.test_units.items():
        if test in LAB_TESTS:
            _check_lab_unit(f"test_units.{test}", test, unit, site, add)
    for test in site.test_uln:
        if test in LAB_TESTS and test not in site.test_units:
            add(f"test_uln.{test}: its unit is not declared", expected=f"the key {test} under test_units too")
    known_units = {unit for units in LAB_UNITS.values() for unit in units}
    for spelling, unit in site.unit_names.items():
        if all(lab_unit(test, unit) is None for test in LAB_TESTS):
            add(
                f"unit_names.{spelling}: ingest knows no such unit",
                found=repr(unit),
                expected=", ".join(sorted(known_units)),
                hint=did_you_mean(unit, known_units),
            )
    for table, mapping in site.tables.items():
        _check_table(table, mapping, site, cohort, add)
    return problems


def _check_date_formats(key: str, formats: list[str], add: Report) -> None:
    for each in formats:
        if not (_DAY.search(each) and _MONTH.search(each) and _YEAR.search(each)):
            add(f"{key}: a date format must hold day, month and year", found=repr(each), expected="e.g. '%d/%m/%Y'")


def _check_lab_unit(key: str, test: str, unit: str, site: SiteConfig, add: Report) -> None:
    if lab_unit(test, site.unit_names.get(unit, unit)) is None:
        add(
            f"{key}: ingest knows no such unit of {test}",
            found=repr(unit),
            expected=", ".join(LAB_UNITS[test]),
            hint=did_you_mean(unit, LAB_UNITS[test]),
        )


def _check_table(table: str, mapping: TableMap, site: SiteConfig, cohort: CohortConfig, add: Report) -> None:
    key = f"tables.{table}"
    columns = site_columns(table, cohort)
    if is_workbook(mapping.file):
        if mapping.sheet is None:
            add(f"{key}.sheet: a workbook needs the name of its sheet", found=mapping.file)
    elif mapping.file.lower().endswith((".xls", ".xlsb", ".ods")):
        add(
            f"{key}.file: this kind of workbook is not read",
            found=mapping.file,
            expected=".xlsx, .xlsm or delimited text",
        )
    elif mapping.sheet is not None:
        add(f"{key}.sheet: a delimited text file has no sheets", found=repr(mapping.sheet))
    if mapping.wide_tests is not None and table != "labs":
        add(f"{key}.wide_tests: only labs can be wide")
    for name in [*mapping.columns, *mapping.constants]:
        if name not in columns:
            made = table == "labs" and name in ("source_value", "source_unit", "below_detection")
            add(
                f"{key}.columns.{name}: "
                + ("ingest makes this column itself" if made else "there is no such canonical column"),
                found=repr(name),
                expected=", ".join(columns),
                hint=did_you_mean(name, columns),
            )
    for name in mapping.constants:
        if name == "subject_id" or (table == "labs" and name in ("value", "uln")) or table == "survival_times":
            add(f"{key}.constants.{name}: one value for all rows makes no sense here", expected="a column")
        elif name in mapping.columns:
            add(f"{key}.constants.{name}: the column is mapped as well", expected="either the column or the constant")
        elif name in columns:
            codes = columns[name].codes
            if codes and mapping.constants[name] not in codes:
                add(
                    f"{key}.constants.{name}: there is no such code",
                    found=repr(mapping.constants[name]),
                    expected=", ".join(codes),
                    hint=did_you_mean(mapping.constants[name], codes),
                )
    given = {*mapping.columns, *mapping.constants}
    required = list(REQUIRED[table])
    if table == "labs":
        if mapping.wide_tests is None:
            required += ["test", "value"]
        else:
            _check_wide(key, mapping, site, add)
    for name in required:
        if name not in given:
            add(f"{key}.columns.{name}: this column is required", expected=f"the header of {name} in {mapping.file}")
    if table == "survival_times":
        _check_recurrence(key, given, add)
    if table == "patients" and not {"birth_date", "age_years"} & given:
        add(f"{key}.columns: birth_date or age_years is required")
    for name, entry in mapping.columns.items():
        if name in columns and isinstance(entry, ColumnMap):
            _check_column(f"{key}.columns.{name}", name, table, entry, columns[name], site, add)


def _check_recurrence(key: str, given: set[str], add: Report) -> None:
    """Report unless time and event of exactly one of RFS and TTR are mapped: both at once may contradict each other."""
    pairs = {name: {f"{name}_months", f"{name}_event"} for name in ("rfs", "ttr")}
    begun = [name for name, pair in pairs.items() if pair & given]
    if len(begun) != 1:
        add(
            f"{key}.columns: an export has either recurrence-free survival or the time to recurrence",
            found="both" if begun else "neither",
            expected="rfs_months and rfs_event (death is an event), or ttr_months and ttr_event (death is censored)",
        )
        return
    for name in sorted(pairs[begun[0]] - given):
        add(f"{key}.columns.{name}: this column is required", expected=f"the header of {name}")


def _check_wide(key: str, mapping: TableMap, site: SiteConfig, add: Report) -> None:
    assert mapping.wide_tests is not None
    for name in ("test", "value", "unit", "uln"):
        if name in mapping.columns or name in mapping.constants:
            add(f"{key}.columns.{name}: a wide export has no such column", expected="wide_tests alone")
    for test, wide in mapping.wide_tests.items():
        if test not in LAB_TESTS:
            add(
                f"{key}.wide_tests.{test}: there is no such laboratory test",
                found=repr(test),
                expected=", ".join(LAB_TESTS),
                hint=did_you_mean(test, LAB_TESTS),
            )
        else:
            _check_lab_unit(f"{key}.wide_tests.{test}.unit", test, wide.unit, site, add)


def _check_column(
    key: str, name: str, table: str, entry: ColumnMap, column: Column, site: SiteConfig, add: Report
) -> None:
    if entry.date_formats is not None:
        if column.kind != "date":
            add(f"{key}.date_formats: the column is not a date")
        else:
            _check_date_formats(f"{key}.date_formats", entry.date_formats, add)
    if entry.unit is not None and not (table == "labs" and name == "value"):
        known = QUANTITIES.get(column.quantity or "", {})
        if not known:
            add(f"{key}.unit: the column has no unit", found=repr(entry.unit))
        elif entry.unit not in known:
            add(
                f"{key}.unit: ingest knows no such unit",
                found=repr(entry.unit),
                expected=", ".join(known),
                hint=did_you_mean(entry.unit, known),
            )
    if entry.unit is not None and table == "labs" and name == "value":
        if all(lab_unit(test, site.unit_names.get(entry.unit, entry.unit)) is None for test in LAB_TESTS):
            add(f"{key}.unit: ingest knows no such unit", found=repr(entry.unit))
    for source, target in (entry.values or {}).items():
        if target and column.codes and target not in column.codes:
            add(
                f"{key}.values.{source}: there is no such code",
                found=repr(target),
                expected=", ".join(column.codes),
                hint=did_you_mean(target, column.codes),
            )
