"""Errors shown to users: each says where, what was found, what was expected and what to do.

They are printed as plain text without a traceback by the job wrapper (:mod:`sorafenib_rfa.records.job`) and by the
command line; anything else that is raised is a defect of this repository and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an input, and where.

    Attributes
    ----------
    message : str
        What is wrong, in one sentence.
    file, sheet, row, column : str, int or None
        Origin; `row` counts from 1 as the person sees it in the file (the header is row 1 of a table).
    found, expected, hint : str or None
        What was there, what would have been right, and how to mend it. `found` must not carry the content of a
        directly identifying column.
    """

    message: str
    file: str | None = None
    sheet: str | None = None
    row: int | None = None
    column: str | None = None
    found: str | None = None
    expected: str | None = None
    hint: str | None = None

    def __str__(self) -> str:
        """Return the problem as one indented block of text."""
        places = [
            self.file,
            f"sheet {self.sheet}" if self.sheet else None,
            f"row {self.row}" if self.row is not None else None,
            f"column {self.column}" if self.column else None,
        ]
        where = ", ".join(place for place in places if place)
        lines = [f"{where}: {self.message}" if where else self.message]
        for label, text in (("found", self.found), ("expected", self.expected), ("hint", self.hint)):
            if text is not None:
                lines.append(f"    {label + ':':<9} {text}")
        return "\n".join(lines)


class UserError(Exception):
    """An input that a person must mend; carries every :class:`Problem` found, not only the first."""

    title = "The input cannot be used"

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__(str(self))

    def __str__(self) -> str:
        """Return the title and all problems."""
        count = len(self.problems)
        head = f"{self.title} ({count} problem{'s' if count != 1 else ''}):"
        return "\n".join([head, *(f"  {str(problem).replace(chr(10), chr(10) + '  ')}" for problem in self.problems)])

    def __reduce__(self) -> tuple:
        """Survive a trip between processes with the problems intact."""
        return type(self), (self.problems,)


class ConfigError(UserError):
    """A file under ``config/`` does not say what its schema asks for."""

    title = "The configuration is not valid"


class InputError(UserError):
    """A raw file is missing, unreadable or lacks what its site's configuration promises."""

    title = "The raw data cannot be read"


class SealError(UserError):
    """A file differs from what the job that made it recorded."""

    title = "A result differs from its record"


class NotOfferedError(UserError):
    """A target was asked of a cohort that does not offer what the target needs."""

    title = "The cohort does not offer this"
