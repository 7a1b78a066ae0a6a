"""How a cell becomes comparable text: the one normalisation applied before any value is read.

Unicode NFKC and stripping change the form of a text, not its meaning: full-width digits (``１２``) become ASCII,
no-break and ideographic spaces become spaces. Characters whose compatibility form would change the meaning
(superscripts, subscripts, fractions, circled numbers: ``10²`` is not 102) are left as they are, so that the cell
fails to parse and is quarantined.
"""

from __future__ import annotations

import datetime as dt
import difflib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

_KEPT_FORMS = ("<super>", "<sub>", "<fraction>", "<circle>")


@dataclass(frozen=True)
class UncalculatedFormula:
    """A workbook cell that holds a formula but no calculated value."""

    text: str


Cell = str | int | float | bool | dt.datetime | dt.date | dt.time | UncalculatedFormula | None
"""What a reader hands over: text from CSV, typed values from a workbook, None for an empty cell."""


def normalise(text: str) -> str:
    """Return `text` in Unicode NFKC (see the module for what is exempt), stripped, inner white space as one space."""
    return " ".join((text if text.isascii() else _compatible(text)).split())


@lru_cache(maxsize=65536)
def _compatible(text: str) -> str:
    return "".join(
        c if unicodedata.decomposition(c).startswith(_KEPT_FORMS) else unicodedata.normalize("NFKC", c)
        for c in unicodedata.normalize("NFC", text)
    )


def render(cell: Cell) -> str | None:
    """Return the text by which a person would know the cell: CSV text as it stands, typed values plainly.

    Whole numbers print without a decimal point (a workbook stores 12 as 12.0), dates as ISO 8601.
    """
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, dt.datetime):
        return cell.date().isoformat() if cell.time() == dt.time(0) else cell.isoformat(sep=" ")
    if isinstance(cell, dt.date | dt.time):
        return cell.isoformat()
    if isinstance(cell, UncalculatedFormula):
        return cell.text
    return str(cell)


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return ``did you mean 'x'?`` for the nearest of `known`, or None when nothing is near."""
    options = sorted(known)
    folded = {option.casefold(): option for option in reversed(options)}
    if word.casefold() in folded:
        return f"did you mean {folded[word.casefold()]!r}?"
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else None
