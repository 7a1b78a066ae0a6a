"""The one formatter: how a number of the ARD is printed in text, tables, figures and on the site.

Style follows the common ground of the ICMJE journals: hazard ratios with two decimals, percentages and
months with one, exact p values with three decimals down to 0.001, "to" instead of a dash within an interval
(a dash next to a minus sign misleads), and a true minus sign.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Context, Decimal
from types import MappingProxyType
from typing import Any, Final, Literal

Form = Literal["value", "ci", "p", "interval"]

_ALL_DIGITS: Final = Context(prec=400)  # any double

DECIMALS: Final = MappingProxyType(
    {
        "count": 0,
        "percent": 1,
        "proportion": 2,
        "ratio": 2,
        "months": 1,
        "years": 1,
        "days": 0,
        "p": 3,
        "statistic": 2,
        "measure": 1,
        "relative_difference": 1,
        "number_needed": 0,
    }
)
"""Decimals of each unit an ARD row can have (`estimates.ard.UNITS`)."""

NOT_ESTIMABLE: Final = "not estimable"
MINUS: Final = "\u2212"
_SUPERSCRIPT: Final = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")
_TIME_UNITS: Final = frozenset({"months", "years", "days"})
# a hyphen within a word or a date cannot begin markup
_MARKUP: Final = re.compile(r"([!\"#$&'*+:<>@\[\\\]^_`{|}~]|(?<![A-Za-z0-9])-|-(?![A-Za-z0-9]))")
_BIDI: Final = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _missing(value: Any) -> bool:
    """Return whether `value` is None, NaN or pandas' NA."""
    if value is None:
        return True
    try:
        return math.isnan(float(value))
    except (TypeError, ValueError):  # float(pandas.NA) is a TypeError
        return True


def present(row: Mapping[str, Any]) -> bool:
    """Say whether a table has a line for a count: it is above zero, or so small that it is not told."""
    return bool(_withheld(row)) or (not _missing(row["value"]) and float(row["value"]) > 0)


def _withheld(row: Mapping[str, Any]) -> str:
    """Return what a public ARD prints in place of a value that is not released; empty for all others."""
    text = row.get("withheld")
    return text if isinstance(text, str) else ""


def _signed(text: str) -> str:
    """Return `text` with a true minus sign, and without one when only zeros are left after rounding."""
    if text.startswith("-"):
        return text[1:] if not text.strip("-0.,") else MINUS + text[1:]
    return text


def _number(value: Any, unit: str, decimals: int) -> str:
    """Return one finite or infinite number in `unit`, without its unit word."""
    if _missing(value):
        return NOT_ESTIMABLE
    number = float(value)
    if math.isinf(number):
        if unit in _TIME_UNITS and number > 0:
            return "not reached"
        return "\u221e" if number > 0 else f"{MINUS}\u221e"
    if unit == "relative_difference" and number == 0:
        return "0"
    if unit == "relative_difference":
        mantissa, exponent = f"{number:.{decimals}e}".split("e")
        return mantissa if int(exponent) == 0 else f"{mantissa} \u00d7 10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    # of the shortest decimal number, halves away from zero: the binary 0.995 lies below it and would read 0.99
    rounded = Decimal(repr(number)).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP, _ALL_DIGITS)
    return _signed(f"{rounded:,f}") + ("%" if unit == "percent" else "")


def _number_needed(value: Any, decimals: int | None, *, named: bool = True) -> str:
    """Return a number needed to treat for one to benefit (NNTB, above zero) or to be harmed (NNTH, below).

    A number below ten has one decimal: between 2.6 and 3.4 lie nine patients in a hundred.
    """
    if _missing(value):
        return NOT_ESTIMABLE
    number = float(value)
    if decimals is None:
        decimals = 1 if abs(number) < 9.95 else DECIMALS["number_needed"]
    text = "\u221e" if math.isinf(number) else f"{abs(number):,.{decimals}f}"
    if not named or (math.isinf(number) and number > 0):
        return text
    return f"{'NNTB' if number > 0 else 'NNTH'} {text}"


def _interval_of_number_needed(value: float, low: float, high: float, decimals: int | None) -> str:
    """Return the limits, through infinity (no difference) where one speaks of benefit and the other of harm."""
    limits = sorted((low, high), key=abs)
    if low < 0 < high and math.isfinite(low) and math.isfinite(high):
        if value < 0:
            low, high = high, low
        return f"{_number_needed(high, decimals)} to \u221e to {_number_needed(low, decimals)}"
    return " to ".join(_number_needed(limit, decimals, named=False) for limit in limits)


def _p_value(value: Any, decimals: int) -> tuple[str, str]:
    """Return the relation (``=``, ``<``, ``>``) and the digits of a p value."""
    number = float(value)
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"a p value must lie between 0 and 1, found {number!r}")
    smallest = 10.0**-decimals
    if number < smallest:
        return "<", f"{smallest:.{decimals}f}"
    if number > 1.0 - smallest:
        return ">", f"{1.0 - smallest:.{decimals}f}"
    return "=", f"{number:.{decimals}f}"


def format_value(row: Mapping[str, Any], *, form: Form = "value", digits: int | None = None, unit: bool = False) -> str:
    """Return one ARD row as it is printed.

    Parameters
    ----------
    row : mapping
        An ARD row: reads ``value, ci_low, ci_high, p_value, unit`` (percent on the 0-100 scale) and, of a public ARD,
        ``withheld``.
    form : {"value", "ci", "p", "interval"}
        ``value``: the number alone. ``ci``: ``0.90 (95% CI 0.72 to 1.12)``. ``interval``: ``0.72 to 1.12``.
        ``p``: ``p = 0.032`` or ``p < 0.001``, from `p_value` (from `value` in a row whose unit is ``p``).
    digits : int, optional
        Decimals, instead of those of the unit (:data:`DECIMALS`). A count that is no whole number (a weighted
        one) gets one decimal by itself.
    unit : bool
        Add the word for months, years and days. Percentages always carry their sign.

    Returns
    -------
    str
        Plain text, not escaped for any markup. A missing value reads ``not estimable``; an infinite time
        reads ``not reached``. What a public release withholds reads as its row
        says: ``<8``. A number needed to treat (:mod:`sorafenib_rfa.stats.number_needed`) says whether for one
        to benefit or to be harmed: ``NNTB 25 (95% CI 10 to 60)``, ``NNTB 25 (95% CI NNTB 8 to ∞ to NNTH 40)``.

    Raises
    ------
    ValueError
        If the unit or the form is unknown, `digits` is negative, or a p value lies outside 0 to 1.
    """
    kind = str(row["unit"])
    if kind not in DECIMALS:
        raise ValueError(f"unit {kind!r} is not one of {tuple(DECIMALS)}")
    if digits is not None and digits < 0:
        raise ValueError(f"digits must not be negative, found {digits}")
    withheld = _withheld(row)
    if withheld:
        return f"p {withheld}" if form == "p" else withheld
    value, low, high = row["value"], row.get("ci_low"), row.get("ci_high")

    if form == "p" or kind == "p":
        if form in ("ci", "interval"):
            raise ValueError("a p value has no confidence interval")
        source = value if kind == "p" else row.get("p_value")
        if _missing(source):
            return NOT_ESTIMABLE if form == "value" else f"p {NOT_ESTIMABLE}"
        relation, text = _p_value(source, DECIMALS["p"] if digits is None else max(digits, 1))
        if form == "p":
            return f"p {relation} {text}"
        return text if relation == "=" else f"{relation}{text}"

    decimals = DECIMALS[kind] if digits is None else digits
    if (
        digits is None
        and kind == "count"
        and any(not _missing(v) and math.isfinite(float(v)) and not float(v).is_integer() for v in (value, low, high))
    ):
        decimals = 1
    needed = kind == "number_needed"
    point = _number_needed(value, digits) if needed else _number(value, kind, decimals)
    word = ""
    if unit and kind in _TIME_UNITS and not _missing(value) and math.isfinite(float(value)):
        word = f" {kind[:-1] if point == '1' else kind}"
    if form == "value":
        return point + word
    if form not in ("ci", "interval"):
        raise ValueError(f"form {form!r} is not one of value, ci, p, interval")
    if _missing(low) and _missing(high):
        interval = NOT_ESTIMABLE
    elif needed:
        interval = _interval_of_number_needed(*(float(limit) for limit in (value, low, high)), digits)
    else:
        interval = f"{_number(low, kind, decimals)} to {_number(high, kind, decimals)}"
    if form == "interval":
        return interval + (word if interval != NOT_ESTIMABLE else "")
    if _missing(value) and interval == NOT_ESTIMABLE:
        return NOT_ESTIMABLE
    return f"{point}{word} (95% CI {interval})"


def escape_markdown(text: str) -> str:
    r"""Return `text` so that pandoc and Quarto print it as it stands, in a paragraph or a table cell.

    Every mark that could begin markup, a shortcode, raw HTML, mathematics, a citation, a footnote, an
    attribute or a new table cell gets a backslash; line breaks and other control characters become spaces;
    characters that reverse the reading direction are dropped.
    """
    plain = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in str(text) if c not in _BIDI)
    escaped = _MARKUP.sub(r"\\\1", plain)
    # "..." would become an ellipsis; "1." and "1)" start a list, at the start of a cell of a grid table too
    escaped = escaped.replace("..", "\\.\\.")
    escaped = re.sub(r"^(\s*\(?[A-Za-z0-9]+)([.)])(?=\s|$)", r"\1\\\2", escaped)
    # "(" right after a span that ends before this text would make that span a link
    escaped = re.sub(r"^\(", r"\\(", escaped)
    return escaped


def value_span(row: Mapping[str, Any], *, form: Form = "value", digits: int | None = None, unit: bool = False) -> str:
    """Return one ARD row as a pandoc span that carries its id: ``[0.90]{.val data-ard="synthetic:ID"}``.

    Parameters and errors as for :func:`format_value`; also reads ``cohort`` and ``ard_id``.
    """
    text = escape_markdown(format_value(row, form=form, digits=digits, unit=unit))
    identifier = f"{row['cohort']}:{row['ard_id']}".replace("\\", "\\\\").replace('"', '\\"')
    return f'[{text}]{{.val data-ard="{identifier}"}}'
