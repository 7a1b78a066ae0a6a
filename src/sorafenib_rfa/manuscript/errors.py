"""The error of the manuscript stage: every problem of a document, each with the author's file and line."""

from __future__ import annotations

from sorafenib_rfa.errors import Problem, UserError


class ManuscriptError(UserError):
    """The manuscript cannot be expanded or rendered; names file and line of every problem found."""

    title = "The manuscript cannot be built"


def problem_at(
    place: tuple[str, int] | None,
    message: str,
    *,
    found: str | None = None,
    expected: str | None = None,
    hint: str | None = None,
) -> Problem:
    """Return a problem shown as ``file:line: message``; `place` is (file, line from 1) or None if unknown."""
    shown = None if place is None else f"{place[0]}:{place[1]}"
    return Problem(message, file=shown, found=found, expected=expected, hint=hint)


def by_place(problem: Problem) -> tuple[str, int]:
    """Return the key that sorts problems by file and line."""
    file, _, line = (problem.file or "").rpartition(":")
    return (file, int(line)) if line.isdigit() else (problem.file or "", 0)
