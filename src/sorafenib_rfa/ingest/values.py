"""Cells to values: one parser a kind, each returning a value or the rule and reason by which the cell fails.

Parsers are pure functions of one cell, so a column is parsed by its distinct cells (:meth:`.distinct.Distinct.map`).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from sorafenib_rfa.ingest.text import Cell, UncalculatedFormula, did_you_mean, normalise, render

EXCEL_ERRORS = frozenset({"#N/A", "#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!"})


class Parsed(NamedTuple):
    """A value (None: not recorded), or the rule by which the cell cannot be used and why."""

    value: Any
    rule: str | None = None
    reason: str | None = None


class LabValue(NamedTuple):
    """A laboratory result as reported: half the limit for ``<3``, the limit for ``>1210``."""

    value: Decimal
    below_detection: bool


NOT_RECORDED = Parsed(None)
Parser = Callable[[Cell], Parsed]


def _readable(parse_text: Callable[[Cell, str], Parsed], missing: Collection[str]) -> Parser:
    """Return a parser that settles empty cells, codes for missing and broken workbook cells before `parse_text`."""

    def parse(cell: Cell) -> Parsed:
        if isinstance(cell, UncalculatedFormula):
            return Parsed(
                None, "formula_without_value", "the formula was never calculated: open the workbook and save it"
            )
        shown = render(cell)
        text = "" if shown is None else normalise(shown)
        if not text or text in missing:
            return NOT_RECORDED
        if text in EXCEL_ERRORS:
            return Parsed(None, "excel_error", f"the workbook shows the error {text}")
        return parse_text(cell, text)

    return parse


def text_parser(missing: Collection[str]) -> Parser:
    """Return a parser of free text and ids; ids stay text, so leading zeros stay."""
    return _readable(lambda cell, text: Parsed(text), missing)


def date_parser(formats: Sequence[str], missing: Collection[str]) -> Parser:
    """Return a parser of dates in the declared strptime `formats`; real workbook dates need none.

    A text that two formats read as different days is ambiguous. A time of day beside the date is dropped: the
    canonical resolution is the day.
    """
    normal = tuple(normalise(each) for each in formats)

    def parse_text(cell: Cell, text: str) -> Parsed:
        if isinstance(cell, dt.datetime):
            return Parsed(cell.date())
        if isinstance(cell, dt.date):
            return Parsed(cell)
        if not isinstance(cell, str):
            return Parsed(
                None, "unparsable_date", f"the workbook holds {text}, not a date: give the cell a date format"
            )
        return _read_day(text, normal)

    return _readable(parse_text, missing)


@lru_cache(maxsize=65536)
def _read_day(text: str, formats: tuple[str, ...]) -> Parsed:
    """Return the one day that `text` is in `formats`; the columns of an export share most of their days."""
    days: dict[dt.date, str] = {}
    impossible = False
    for shape in formats:
        try:
            days.setdefault(dt.datetime.strptime(text, shape).date(), shape)
        except ValueError as error:
            impossible = impossible or "out of range for month" in str(error)
    if len(days) == 1:
        return Parsed(next(iter(days)))
    if days:
        readings = " or ".join(f"{day.isoformat()} (as {shape})" for day, shape in days.items())
        return Parsed(None, "ambiguous_date", f"{text!r} may be {readings}")
    if impossible:
        return Parsed(None, "unparsable_date", f"{text!r} names a day that its month does not have")
    return Parsed(None, "unparsable_date", f"{text!r} is not a date of the form {' or '.join(formats)}")


def _number_pattern(decimal: str, thousands: str | None) -> re.Pattern[str]:
    whole = r"\d+"
    if thousands is not None:
        whole = rf"(?:\d{{1,3}}(?:{re.escape(thousands)}\d{{3}})+|\d+)"
    return re.compile(rf"[+-]?(?:{whole}(?:{re.escape(decimal)}\d*)?|{re.escape(decimal)}\d+)(?:[eE][+-]?\d+)?")


class NumberReader:
    """Reads numbers as a site writes them.

    Parameters
    ----------
    decimal : str
        Decimal mark.
    thousands : str or None
        Mark between groups of three digits; groups must then be complete. None: no such mark is accepted.
    """

    def __init__(self, decimal: str, thousands: str | None) -> None:
        self.decimal = decimal
        self.thousands = None if thousands is None else (normalise(thousands) or " ")
        self._pattern = _number_pattern(decimal, self.thousands)

    def read(self, cell: Cell, text: str) -> Decimal | None:
        """Return the number in the cell, exactly as written, or None when it holds none."""
        if isinstance(cell, bool):
            return None
        if isinstance(cell, int | float):
            number = Decimal(repr(cell))
            return number if number.is_finite() else None
        if not isinstance(cell, str):
            return None
        text = text.replace("\N{MINUS SIGN}", "-")
        if not text.isascii() or not self._pattern.fullmatch(text):
            return None
        if self.thousands is not None:
            text = text.replace(self.thousands, "")
        return Decimal(text.replace(self.decimal, "."))

    def complaint(self, cell: Cell, text: str) -> str:
        """Return why `text` is no number, in words."""
        if isinstance(cell, dt.datetime | dt.date):
            return f"the workbook holds the date {text}, not a number"
        marks = f"decimal mark {self.decimal!r}"
        if self.thousands is not None:
            marks += f", thousands mark {self.thousands!r}"
        return f"{text!r} is not a number ({marks})"


def decimal_parser(reader: NumberReader, missing: Collection[str]) -> Parser:
    """Return a parser of numbers, exactly as written (Decimal)."""

    def parse_text(cell: Cell, text: str) -> Parsed:
        number = reader.read(cell, text)
        if number is None:
            return Parsed(None, "not_a_number", reader.complaint(cell, text))
        return Parsed(number)

    return _readable(parse_text, missing)


def number_parser(reader: NumberReader, factor: Decimal, missing: Collection[str]) -> Parser:
    """Return a parser of numbers, multiplied by `factor` (export unit to canonical unit)."""
    exact = decimal_parser(reader, missing)

    def parse(cell: Cell) -> Parsed:
        parsed = exact(cell)
        return parsed if parsed.value is None else Parsed(float(parsed.value * factor))

    return parse


def integer_parser(reader: NumberReader, missing: Collection[str], codes: Collection[str] = ()) -> Parser:
    """Return a parser of whole numbers; ``3.0`` is whole, ``2.5`` is quarantined. `codes` limits what is known."""

    def parse_text(cell: Cell, text: str) -> Parsed:
        number = reader.read(cell, text)
        if number is None:
            return Parsed(None, "not_a_number", reader.complaint(cell, text))
        if number != number.to_integral_value() or abs(number) >= 10**15:
            return Parsed(None, "not_an_integer", f"{text!r} is not a whole number")
        if codes and str(int(number)) not in codes:
            return Parsed(None, "unknown_code", f"{text!r} is none of {', '.join(codes)}")
        return Parsed(int(number))

    return _readable(parse_text, missing)


def code_parser(codes: Collection[str], missing: Collection[str]) -> Parser:
    """Return a parser of codes: exactly (also in case) one of `codes`; any text when `codes` is empty."""

    def parse_text(cell: Cell, text: str) -> Parsed:
        if codes and text not in codes:
            hint = did_you_mean(text, codes)
            return Parsed(
                None, "unknown_code", f"{text!r} is none of {', '.join(codes)}" + (f"; {hint}" if hint else "")
            )
        return Parsed(text)

    return _readable(parse_text, missing)


def mapped_parser(values: Mapping[str, str], inner: Parser, missing: Collection[str]) -> Parser:
    """Return a parser that translates by a declared map, then reads the translation with `inner`.

    A text that the map lists is translated even when the site's list of codes for missing holds it too; a
    translation to the empty text says 'not recorded'. A text the map does not list is an ``unknown_code``.
    """
    table = {normalise(key): value for key, value in values.items()}

    def parse_text(cell: Cell, text: str) -> Parsed:
        if text not in table:
            hint = did_you_mean(text, table)
            reason = f"{text!r} is not in the declared values {', '.join(table)}"
            return Parsed(None, "unknown_code", reason + (f"; {hint}" if hint else ""))
        translated = table[text]
        return inner(translated) if translated else NOT_RECORDED

    return _readable(parse_text, [code for code in missing if code not in table])


_LIMIT = re.compile(r"(<=|>=|<|>|≤|≥)\s*(.*)")


def lab_parser(reader: NumberReader, missing: Collection[str]) -> Parser:
    """Return a parser of laboratory results, whose value is a :class:`LabValue`.

    ``<3`` (below the limit of detection) becomes half the limit and is flagged; ``>1210`` (above the measuring range)
    becomes the limit, the least the value can be. The source text is kept beside both.
    """

    def parse_text(cell: Cell, text: str) -> Parsed:
        match = _LIMIT.fullmatch(text) if isinstance(cell, str) else None
        number = reader.read(match.group(2), match.group(2)) if match else reader.read(cell, text)
        if number is None:
            return Parsed(None, "not_a_number", reader.complaint(cell, text))
        below = bool(match) and match.group(1) in ("<", "<=", "≤")
        return Parsed(LabValue(number / 2 if below else number, below))

    return _readable(parse_text, missing)
