"""Which wording of each claim the numbers call for: the interpretation that a change of numbers may change."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

CLAIMS: Final = "manuscript/claims.yaml"
_SHORTCODE: Final = re.compile(r"\{\{<.*?>\}\}", re.DOTALL)

Row = Mapping[str, Any]
RowOf = Callable[[str], Row | None]
"""Gives an ARD row by the id that the claims file uses; None if there is no such row."""


@dataclass(frozen=True)
class Said:
    """What one claim says of a set of numbers.

    Attributes
    ----------
    claim : str
    branch : int or None
        Position of the branch that holds, from 0; None if none does or a row is missing.
    condition : str
        Its predicate; ``otherwise`` for the last resort, empty if none holds.
    line : int
        Line of the branch (of the claim, if none holds).
    wording : str
        What it says, numbers left out as ``…``; empty if none holds.
    rows : tuple of str
        Ids of the rows it looks at, as the claims file writes them.
    """

    claim: str
    branch: int | None
    condition: str
    line: int
    wording: str
    rows: tuple[str, ...]


def _holds(predicate: Any, rows: Mapping[str, Row]) -> bool:
    from sorafenib_rfa.manuscript.predicate import NotEstimableError, PredicateError

    try:
        return predicate is None or predicate.holds(rows)
    except (NotEstimableError, PredicateError):
        return False


def _first_that_holds(claim: Any, rows: Mapping[str, Row]) -> tuple[int, str, int, str] | None:
    for number, branch in enumerate(claim.branches):
        if _holds(branch.predicate, rows):
            condition = branch.predicate.source if branch.predicate is not None else "otherwise"
            return number, condition, branch.line, _SHORTCODE.sub("…", branch.say)
    return None


def branch_that_holds(root: Path, name: str, rows: Mapping[str, Row]) -> str | None:
    """Return the condition of the branch of one claim that holds for `rows` (alias -> ARD row); None if none does."""
    from sorafenib_rfa.manuscript.claims import load_claims, parse_claim

    found = _first_that_holds(parse_claim(load_claims(root / CLAIMS, CLAIMS), name), rows)
    return found[1] if found else None


def interpretations(root: Path, row_of: RowOf) -> dict[str, Said]:
    """Return claim -> what it says, for every claim of ``manuscript/claims.yaml`` below `root`; none without the file.

    Parameters
    ----------
    root : Path
        Repository root.
    row_of : callable
        ARD id (``cohort:id`` or ``id`` of the paper's cohort) -> row, values None or NaN where not estimable.
    """
    from sorafenib_rfa.manuscript.claims import load_claims, parse_claim

    if not (root / CLAIMS).is_file():
        return {}
    claims, found = load_claims(root / CLAIMS, CLAIMS), {}
    for name in claims:
        claim = parse_claim(claims, name)
        rows = {alias: row_of(identifier) for alias, identifier in claim.ard.items()}
        held = None
        if all(row is not None for row in rows.values()):
            held = _first_that_holds(claim, rows)  # type: ignore[arg-type]
        number, condition, line, wording = held if held is not None else (None, "", claim.line, "")
        found[name] = Said(name, number, condition, line, wording, tuple(claim.ard.values()))
    return found
