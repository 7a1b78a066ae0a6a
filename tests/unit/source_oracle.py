"""An independent reading of raw exports, to hold clean tables against.

Nothing of the package's readers, parsers or units is used: pandas and openpyxl read the files, dates are taken apart by
the order of the fields in their format, units are converted by a table of its own.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from sorafenib_rfa.clean import Cleaned
from sorafenib_rfa.config.models import ColumnMap, SiteConfig, TableMap
from sorafenib_rfa.ingest.tables import TABLES

_SI = {"u/l": 1, "ui/l": 1}
FACTORS: dict[str, dict[str, float]] = {
    "ALB": {"g/l": 1, "g/dl": 10},
    "BILI": {"umol/l": 1, "μmol/l": 1, "mg/dl": 17.1},
    "CREA": {"umol/l": 1, "μmol/l": 1, "mg/dl": 88.4},
    "ALT": _SI,
    "AST": _SI,
    "ALP": _SI,
    "GGT": _SI,
    "INR": {"ratio": 1, "inr": 1},
    "AFP": {"ng/ml": 1, "iu/ml": 1.21, "ui/ml": 1.21},
    "PLT": {"10^9/l": 1, "×109/l": 1, "x109/l": 1, "g/l": 1, "k/ul": 1, "x10^3/μl": 1, "万/μl": 10},
}
"""Test -> unit as printed (NFKC, small letters) -> factor to the canonical unit."""


@lru_cache(maxsize=64)
def grid(path: Path, sheet: str | None, encoding: str, delimiter: str) -> dict[int, tuple]:
    """Return row number -> cells."""
    if sheet is not None:
        rows = openpyxl.load_workbook(path, data_only=True)[sheet].iter_rows(values_only=True)
        return dict(enumerate(rows, start=1))
    frame = pd.read_csv(
        path, sep=delimiter, encoding=encoding, header=None, dtype=str, keep_default_na=False, skip_blank_lines=False
    )
    return {i + 1: tuple(cells) for i, cells in enumerate(frame.itertuples(index=False))}


def text_of(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return unicodedata.normalize("NFKC", str(cell)).strip()


def as_date(cell: object, formats: list[str]) -> dt.date:
    if isinstance(cell, dt.datetime):
        return cell.date()
    numbers = [int(n) for n in re.findall(r"\d+", text_of(cell))]
    order = re.findall(r"%([Ymd])", formats[0])
    fields = dict(zip(order, numbers, strict=True))
    return dt.date(fields["Y"], fields["m"], fields["d"])


def as_number(cell: object, site: SiteConfig) -> float:
    if isinstance(cell, int | float):
        return float(cell)
    text = text_of(cell)
    if site.thousands:
        text = text.replace(text_of(site.thousands) or " ", "")
    return float(text.replace(site.decimal, "."))


def expected(cell: object, entry: str | ColumnMap, kind: str, site: SiteConfig) -> object:
    full = entry if isinstance(entry, ColumnMap) else ColumnMap(column=entry)
    if full.values:
        translated = {text_of(k): v for k, v in full.values.items()}[text_of(cell)]
        return float(translated) if kind in ("integer", "number") else translated
    if kind == "date":
        return as_date(cell, full.date_formats or site.date_formats)
    if kind in ("integer", "number"):
        return as_number(cell, site) * {"mm": 0.1}.get(full.unit or "", 1)
    return text_of(cell)


def check_against_source(folders: Mapping[str, Path], sites: Mapping[str, SiteConfig], cleaned: Cleaned) -> int:
    """Assert that every clean value is its source cell's, and that every source row went somewhere; count the cells."""
    # a flag takes nothing, so it excuses nothing
    q = cleaned.quarantine[cleaned.quarantine["scope"] != "flag"]
    faulty_cells = set(zip(q["file"], q["row"], q["column"], strict=True))
    faulty_rows = set(zip(q["file"], q["row"], strict=True))
    analysed = cleaned.fates[cleaned.fates["fate"] == "analysed"]
    known = set(zip(analysed["site"], analysed["subject_id"], strict=True))
    cells = 0
    for site_id, site in sites.items():
        missing = {"", *(text_of(code) for code in site.missing)}
        for table, mapping in site.tables.items():
            frame = cleaned.tables[table]
            frame = frame[frame["site"] == site_id]
            rows = grid(folders[site_id] / mapping.file, mapping.sheet, site.encoding, site.delimiter)
            headers = [text_of(cell) for cell in rows[mapping.header_row]]
            position = {text_of(name): headers.index(text_of(name)) for name in _headers(mapping)}
            for record in frame.to_dict("records"):
                source = rows[record["src_row"]]
                if table == "labs":
                    _check_lab(record, source, position, mapping, site)
                    cells += 1
                for name, entry in mapping.columns.items():
                    if table == "labs" and name in ("test", "value", "unit", "uln"):
                        continue
                    header = entry.column if isinstance(entry, ColumnMap) else entry
                    cell, got = source[position[text_of(header)]], record[name]
                    cells += 1
                    where = (site_id, table, record["src_row"], header, cell, got)
                    if pd.isna(got):
                        place = (record["src_file"], record["src_row"], header)
                        assert text_of(cell) in missing or place in faulty_cells, where
                        continue
                    want = expected(cell, entry, TABLES[table][name].kind, site)
                    if isinstance(got, pd.Timestamp):
                        assert got.date() == want, where
                    elif isinstance(want, float):
                        assert got == pytest.approx(want, rel=1e-12), where
                    else:
                        assert got == want, where
            _check_nothing_lost(site_id, table, mapping, rows, position, frame, faulty_rows, known, missing)
    return cells


def _headers(mapping: TableMap) -> list[str]:
    names = [e.column if isinstance(e, ColumnMap) else e for e in mapping.columns.values()]
    return names + [wide.column for wide in (mapping.wide_tests or {}).values()]


def _check_lab(record: dict, source: tuple, position: dict[str, int], mapping: TableMap, site: SiteConfig) -> None:
    def of(name: str) -> object:
        entry = mapping.columns[name]
        return source[position[text_of(entry.column if isinstance(entry, ColumnMap) else entry)]]

    if mapping.wide_tests is not None:
        test = record["test"]
        wide = mapping.wide_tests[test]
        cell, unit = source[position[text_of(wide.column)]], wide.unit
    else:
        printed = text_of(of("test"))
        test = {text_of(k): v for k, v in site.test_names.items()}.get(printed, printed)
        cell = of("value")
        unit = text_of(of("unit")) if "unit" in mapping.columns else ""
        unit = unit or site.test_units[test]
    assert record["test"] == test
    text = text_of(cell)
    limit = text[:1] if text[:1] in "<>" else ""
    number = as_number(text[1:] if limit else cell, site)
    factor = FACTORS[test][text_of(site.unit_names.get(unit, unit)).casefold()]
    assert record["value"] == pytest.approx(number * factor * (0.5 if limit == "<" else 1), rel=1e-12), (record, source)
    assert record["below_detection"] == ("Y" if limit == "<" else "N")
    assert text_of(record["source_value"]) == text


def _check_nothing_lost(
    site_id: str,
    table: str,
    mapping: TableMap,
    rows: dict[int, tuple],
    position: dict[str, int],
    frame: pd.DataFrame,
    faulty_rows: set,
    known: set,
    missing: set,
) -> None:
    """Every row of an analysed patient is in the clean table, in quarantine, or a laboratory row without a result."""
    entry = mapping.columns["subject_id"]
    at = position[text_of(entry.column if isinstance(entry, ColumnMap) else entry)]
    kept = set(frame["src_row"])
    faulty = {row for file, row in faulty_rows if Path(file).name == mapping.file and Path(file).parent.name == site_id}
    for number, cells in rows.items():
        if number <= mapping.header_row or number in kept or (site_id, text_of(cells[at])) not in known:
            continue
        results = [text_of(cells[i]) for name, i in position.items() if i != at]
        no_result = table == "labs" and any(text in missing for text in results)
        assert number in faulty or no_result, (site_id, table, number, cells)
