"""Survival curves that a user read off a published figure: points of each arm, and the numbers at risk below it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pandas as pd

from sorafenib_rfa.errors import Problem
from sorafenib_rfa.evidence.checks import Row, TableReader
from sorafenib_rfa.evidence.schema import ARMS, ENDPOINTS, Column
from sorafenib_rfa.evidence.tables import Evidence, EvidenceError
from sorafenib_rfa.stats.published_curves import CLICK_ERROR

_ARM = Column("arm", needed=True, codes=ARMS)
_CURVE = (_ARM, Column("month", kind="number", needed=True), Column("survival", kind="number", needed=True))
_EVENTS = "events"
_RISK = (
    _ARM,
    Column("month", kind="number", needed=True, low=0),
    Column("n", kind="count", needed=True, low=0),
    Column(_EVENTS, kind="count", low=0),
)
_AT_RISK = ".at_risk"


@dataclass(frozen=True)
class DigitisedCurve:
    """A published figure of two arms.

    Attributes
    ----------
    study_id, endpoint : str
    points : DataFrame
        ``arm`` (treated, control)``, month, survival`` (proportion), in the order of the file.
    at_risk : DataFrame
        ``arm, month, n``: numbers printed below the figure.
    total_events : dict of str to int
        Arm -> events in all, where the file of numbers at risk says; arms without are left out.
    src_file, risk_file : str
        The files of points and of numbers at risk, as shown to people.
    """

    study_id: str
    endpoint: str
    points: pd.DataFrame
    at_risk: pd.DataFrame
    total_events: dict[str, int]
    src_file: str
    risk_file: str


def read_digitised(folder: Path, evidence: Evidence, *, shown_folder: str) -> list[DigitisedCurve]:
    """Read the digitised curves of a folder.

    Parameters
    ----------
    folder : Path
        Holds ``<study_id>.<endpoint>.csv`` (``arm, month, survival``: 0 to 1) and, for each,
        ``<study_id>.<endpoint>.at_risk.csv`` (``arm, month, n`` and, if printed, ``events``: the arm's events in all,
        in one row of the arm). A folder without such files, or none, gives no curve.
    evidence : Evidence
        Its studies.
    shown_folder : str
        How messages and ``src_file`` name the folder.

    Returns
    -------
    list of DigitisedCurve
        In the order of their files' names.

    Raises
    ------
    EvidenceError
        With all problems of all files, by file, row and column: a name that is none of a study and an endpoint, a file
        without its fellow or without rows, rows that do not fit the header, missing or unknown columns, cells that are
        no numbers, unknown or missing arms, percent for proportions, months before 0, numbers at risk that rise, do not
        start at month 0 or go back in time, events that are more than patients or stated twice. Whether a curve and its
        numbers at risk belong together is for :func:`.stats.published_curves.reconstruct_patients` to say.
    """
    reader = TableReader(Path(folder), shown_folder)
    names = sorted(path.name.removesuffix(".csv") for path in Path(folder).glob("*.csv"))
    known = set(evidence.studies["study_id"])
    found = []
    for name in names:
        stem = name.removesuffix(_AT_RISK)
        study, _, endpoint = stem.partition(".")
        if study not in known or endpoint not in ENDPOINTS:
            expected = f"<study_id>.<endpoint>.csv: a study_id of studies.csv, one of {', '.join(ENDPOINTS)}"
            reader.fault(name, None, None, "the name is not that of a study and an endpoint", f"{name}.csv", expected)
            continue
        fellow = stem if name.endswith(_AT_RISK) else f"{stem}{_AT_RISK}"
        if fellow not in names:
            message, expected = "points and numbers at risk come in two files", f"also {fellow}.csv beside it"
            reader.fault(name, None, None, message, "this file only", expected)
        if name.endswith(_AT_RISK):
            continue
        points = _read(reader, name, _CURVE)
        if points is not None:
            _check_points(reader, name, points)
        if fellow not in names:
            continue
        at_risk = _read(reader, fellow, _RISK, optional=(_EVENTS,))
        if at_risk is not None:
            _check_counts(reader, fellow, at_risk)
        if points is None or at_risk is None or reader.problems:
            continue
        found.append(
            DigitisedCurve(
                study_id=study,
                endpoint=endpoint,
                points=_frame(points, ("month", "survival")),
                at_risk=_frame(at_risk, ("month", "n")),
                total_events={row.cells["arm"]: int(row.cells[_EVENTS]) for row in at_risk if row.cells[_EVENTS]},
                src_file=reader.shown(name),
                risk_file=reader.shown(fellow),
            )
        )
    if reader.problems:
        raise EvidenceError(reader.problems)
    return found


def misfit(curve: DigitisedCurve, arm: str, reason: str) -> Problem:
    """Return the problem that no patients can be behind an arm's curve, for `reason`."""
    return Problem(
        f"the {arm} arm has no patients whom it could show",
        file=f"{curve.src_file} with {curve.risk_file}",
        column="survival, n",
        found=reason,
        expected="points and numbers at risk of one figure, as digitised/README.md says",
    )


def _read(
    reader: TableReader, name: str, columns: tuple[Column, ...], *, optional: tuple[str, ...] = ()
) -> list[Row] | None:
    """Return a file's rows; None, its problems being kept, if a row or a cell of it cannot be used."""
    before = len(reader.problems)
    rows = reader.rows(name, columns, optional=optional)
    if rows is None:
        return None
    for row in rows:
        reader.cell_faults(name, row, columns)
    for arm in ARMS:
        if name not in reader.incomplete and all(row.cells["arm"] != arm for row in rows):
            reader.fault(name, None, "arm", f"no row of the arm {arm}", "nothing", " and ".join(ARMS))
    return rows if len(reader.problems) == before else None


def _check_points(reader: TableReader, name: str, rows: list[Row]) -> None:
    last = max(float(row.cells["month"]) for row in rows)
    for row in rows:
        month, survival = float(row.cells["month"]), float(row.cells["survival"])
        if month < -CLICK_ERROR * last:
            reader.fault(name, row.number, "month", "a point before month 0", row.cells["month"], "0 or later")
        if not -CLICK_ERROR <= survival <= 1 + CLICK_ERROR:
            hint = "percent are to be divided by 100" if survival > 1 else None
            expected = "a proportion from 0 to 1"
            reader.fault(
                name, row.number, "survival", "survival is out of range", row.cells["survival"], expected, hint
            )


def _check_counts(reader: TableReader, name: str, rows: list[Row]) -> None:
    for arm in ARMS:
        own = [row for row in rows if row.cells["arm"] == arm]
        if float(own[0].cells["month"]) != 0:
            message, expected = f"the numbers of the {arm} arm do not start at month 0", "0, with all patients"
            reader.fault(name, own[0].number, "month", message, own[0].cells["month"], expected)
        if int(own[0].cells["n"]) < 1:
            reader.fault(name, own[0].number, "n", f"the {arm} arm has no patients", own[0].cells["n"], "1 or more")
        for before, after in pairwise(own):
            if float(after.cells["month"]) <= float(before.cells["month"]):
                expected = f"later than {before.cells['month']}, which stands in row {before.number}"
                reader.fault(
                    name, after.number, "month", "months of an arm must ascend", after.cells["month"], expected
                )
            elif int(after.cells["n"]) > int(before.cells["n"]):
                expected = f"at most {before.cells['n']}, at risk at month {before.cells['month']}"
                reader.fault(name, after.number, "n", "numbers at risk rise", after.cells["n"], expected)
        stated = [row for row in own if row.cells[_EVENTS]]
        for row in stated[1:]:
            message = f"events of the {arm} arm in all are in row {stated[0].number} already"
            reader.fault(name, row.number, _EVENTS, message, row.cells[_EVENTS], "one number an arm")
        for row in stated[:1]:
            if int(row.cells[_EVENTS]) > int(own[0].cells["n"]):
                expected = f"at most {own[0].cells['n']}"
                reader.fault(name, row.number, _EVENTS, "more events than patients", row.cells[_EVENTS], expected)


def _frame(rows: list[Row], numbers: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame(
        {"arm": pd.array([row.cells["arm"] for row in rows], dtype="string")}
        | {name: [float(row.cells[name]) for row in rows] for name in numbers}
    )
