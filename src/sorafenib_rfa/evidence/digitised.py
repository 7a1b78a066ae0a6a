"""Survival curves that a user read off a published figure: points of each arm, and the numbers at risk below it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sorafenib_rfa.errors import Problem
from sorafenib_rfa.evidence.schema import ARMS, ENDPOINTS, NUMBER
from sorafenib_rfa.evidence.tables import Evidence, EvidenceError

CURVE_COLUMNS = ("arm", "month", "survival")
RISK_COLUMNS = ("arm", "month", "n")
EVENTS = "events"
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
    src_file : str
        The file of points, as shown to people.
    """

    study_id: str
    endpoint: str
    points: pd.DataFrame
    at_risk: pd.DataFrame
    total_events: dict[str, int]
    src_file: str


def read_digitised(folder: Path, evidence: Evidence, *, shown_folder: str) -> list[DigitisedCurve]:
    """Read the digitised curves of a folder.

    Parameters
    ----------
    folder : Path
        Holds ``<study_id>.<endpoint>.csv`` (``arm, month, survival``: 0 to 1) and, for each,
        ``<study_id>.<endpoint>.at_risk.csv`` (``arm, month, n`` and, if printed, ``events``: the arm's events in all,
        in its first row). A folder without such files, or none, gives no curve.
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
        With all problems of all files: a name that is none of a study and an endpoint, a file without its fellow,
        missing columns, cells that are no numbers, unknown arms, or an arm that is missing. What the values must be
        for a reconstruction is for :func:`.stats.published_curves.reconstruct_patients` to say.
    """
    paths = {path.name.removesuffix(".csv"): path for path in sorted(Path(folder).glob("*.csv"))}
    problems: list[Problem] = []
    known = set(evidence.studies["study_id"])
    found = []
    for name, path in paths.items():
        shown = f"{shown_folder.rstrip('/')}/{path.name}"
        stem = name.removesuffix(_AT_RISK)
        study, _, endpoint = stem.partition(".")
        if study not in known or endpoint not in ENDPOINTS:
            problems.append(
                Problem(
                    "the name is not that of a study and an endpoint",
                    file=shown,
                    found=path.name,
                    expected=f"<study_id>.<endpoint>.csv: a study_id of studies.csv, one of {', '.join(ENDPOINTS)}",
                )
            )
            continue
        fellow = stem if name.endswith(_AT_RISK) else f"{stem}{_AT_RISK}"
        if fellow not in paths:
            problems.append(
                Problem(
                    "points and numbers at risk come in two files",
                    file=shown,
                    found="this file only",
                    expected=f"also {fellow}.csv beside it",
                )
            )
        if name.endswith(_AT_RISK):
            continue
        points = _read(path, shown, CURVE_COLUMNS, (), problems)
        at_risk = events = None
        if fellow in paths:
            at_risk = _read(
                paths[fellow], f"{shown_folder.rstrip('/')}/{fellow}.csv", RISK_COLUMNS, (EVENTS,), problems
            )
        if points is None or at_risk is None:
            continue
        events = {}
        if EVENTS in at_risk:
            given = at_risk.dropna(subset=[EVENTS]).drop_duplicates("arm")
            events = {arm: int(number) for arm, number in zip(given["arm"], given[EVENTS], strict=True)}
        found.append(DigitisedCurve(study, endpoint, points, at_risk[list(RISK_COLUMNS)], events, shown))
    if problems:
        raise EvidenceError(problems)
    return found


def _read(
    path: Path, shown: str, needed: tuple[str, ...], optional: tuple[str, ...], problems: list[Problem]
) -> pd.DataFrame | None:
    """Return a file's rows with numbers as numbers; None, and what is wrong, if it cannot be used."""
    try:
        frame = pd.read_csv(path, dtype="string", keep_default_na=False, encoding="utf-8-sig")
    except (UnicodeDecodeError, ValueError) as error:
        problems.append(Problem("the file cannot be read", file=shown, found=str(error), expected="CSV in UTF-8"))
        return None
    before = len(problems)
    unknown = [name for name in frame.columns if name not in needed + optional]
    missing = [name for name in needed if name not in frame]
    for name in missing:
        problems.append(Problem("the column is missing", file=shown, row=1, column=name, expected=", ".join(needed)))
    for name in unknown:
        expected = ", ".join(needed + optional)
        problems.append(Problem("unknown column", file=shown, row=1, column=name, found=name, expected=expected))
    if missing or unknown:
        return None
    for column in frame.columns:
        for row, text in enumerate(frame[column].str.strip(), start=2):
            if column == "arm":
                wrong, expected = text not in ARMS, " or ".join(ARMS)
            elif not text and column in optional:
                continue
            else:
                wrong, expected = not NUMBER.fullmatch(text), "a number, with a decimal point"
            if wrong:
                problems.append(
                    Problem(
                        "the cell cannot be used", file=shown, row=row, column=column, found=text, expected=expected
                    )
                )
    for arm in ARMS:
        if not frame["arm"].str.strip().eq(arm).any():
            problems.append(Problem(f"no row of the arm {arm}", file=shown, column="arm", expected=" and ".join(ARMS)))
    if len(problems) > before:
        return None
    numbers = {
        column: pd.to_numeric(frame[column].str.strip().replace("", pd.NA)) for column in frame if column != "arm"
    }
    return pd.DataFrame({"arm": frame["arm"].str.strip()} | {k: v.astype("float64") for k, v in numbers.items()})
