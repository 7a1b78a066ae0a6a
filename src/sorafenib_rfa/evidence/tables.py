"""The tables of published evidence: read, checked as a whole, with the status of each figure.

Figures are kept as printed in the source: the unit of a median, the level of an interval, the side of a p value and
the number of decimals. Whoever mends a table sees everything that is wrong with all of them at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from sorafenib_rfa.errors import InputError
from sorafenib_rfa.evidence.checks import CHECKS, TableReader, TableRows, check_citations, filled_figures
from sorafenib_rfa.evidence.schema import (
    ARMS,
    BIAS_TOOLS,
    BOTH_ARMS,
    COMPUTED_VERDICTS,
    ENDPOINTS,
    HAND_VERDICTS,
    NUMBER,
    STATUS_FIELDS,
    TABLES,
    UNITS,
    decimals_of,
    figures_of,
)

__all__ = [
    "ARMS",
    "BIAS_TOOLS",
    "BOTH_ARMS",
    "COMPUTED_VERDICTS",
    "ENDPOINTS",
    "HAND_VERDICTS",
    "NUMBER",
    "STATUS_FIELDS",
    "TABLES",
    "UNITS",
    "Evidence",
    "EvidenceError",
    "FieldStatus",
    "decimals_of",
    "figures_of",
    "read_evidence",
]


class EvidenceError(InputError):
    """The tables of published evidence contradict themselves, each other or their schema."""

    title = "The evidence tables cannot be used"


@dataclass(frozen=True)
class FieldStatus:
    """Where a figure comes from.

    Attributes
    ----------
    status : {"seen", "recalled", "derived", "blank"}
    confidence : str
        Of a recalled figure: ``high``, ``medium`` or ``low``; else empty.
    where : str
        Address at which it was seen, or how it was derived; empty where blank.
    """

    status: str
    confidence: str = ""
    where: str = ""


@dataclass(frozen=True)
class Evidence:
    """The tables of ``data/evidence``, checked.

    Each frame has the columns of its file, text as ``string``, numbers as ``float64`` (NaN where blank), and two more:
    ``src_file`` (path as shown to people) and ``src_row`` (``int64``, as a person counts; the header is row 1).

    Attributes
    ----------
    sources, studies, effects, survival_percentages, event_counts, field_status, statements, risk_of_bias, certainty
        DataFrames.
    cells : mapping
        ``(table, key, field)`` -> the text of a filled figure as printed, for the tables that have statuses.
    statuses : mapping
        ``(table, key, field)`` -> :class:`FieldStatus`.
    """

    sources: pd.DataFrame
    studies: pd.DataFrame
    effects: pd.DataFrame
    survival_percentages: pd.DataFrame
    event_counts: pd.DataFrame
    field_status: pd.DataFrame
    statements: pd.DataFrame
    risk_of_bias: pd.DataFrame
    certainty: pd.DataFrame
    cells: Mapping[tuple[str, str, str], str] = field(repr=False)
    statuses: Mapping[tuple[str, str, str], FieldStatus] = field(repr=False)

    def provenance(self, table: str, key: str, field: str) -> FieldStatus:
        """Return status, confidence and place of one figure; its status is ``blank`` where the cell is.

        Raises
        ------
        KeyError
            If the table keeps no statuses of that field.
        """
        if field not in STATUS_FIELDS.get(table, ()):
            raise KeyError(f"no status is kept of {table}:{key}:{field}")
        return self.statuses.get((table, key, field), FieldStatus("blank"))

    def status(self, table: str, key: str, field: str) -> str:
        """Return ``seen``, ``recalled``, ``derived`` or, for an empty cell, ``blank``."""
        return self.provenance(table, key, field).status

    def printed(self, table: str, key: str, field: str) -> str | None:
        """Return a figure as it is printed (``0.940``), None where the cell is blank."""
        return self.cells.get((table, key, field))

    def decimals(self, table: str, key: str, field: str) -> int | None:
        """Return with how many decimals a figure is printed, None where the cell is blank."""
        text = self.printed(table, key, field)
        return None if text is None else decimals_of(text)


def read_evidence(
    folder: Path,
    *,
    shown_folder: str = "data/evidence",
    bibliography: Path | None = None,
    shown_bibliography: str = "manuscript/references.bib",
) -> Evidence:
    """Read the tables of published evidence and check them as a whole.

    A byte order mark, blank lines and spaces around a cell do no harm; everything else that does not fit is an error.

    Parameters
    ----------
    folder : Path
        Holds ``sources, studies, effects, survival_percentages, event_counts, field_status, statements, risk_of_bias``
        and ``certainty``, each ``.csv``.
    shown_folder : str
        How messages and ``src_file`` name the folder.
    bibliography : Path, optional
        BibTeX file; if given, every ``citation_key`` must be in it.
    shown_bibliography : str
        How messages name it.

    Returns
    -------
    Evidence

    Raises
    ------
    EvidenceError
        With all problems of all files at once, each with file, row (as a person counts), column, what was found and
        what was expected: files that cannot be read, columns that are missing, unknown or double, rows that do not
        fit the header, blank cells that must not be, unknown codes, texts that are no numbers, numbers out of range,
        doubled identifiers or study-endpoint-look, intervals that exclude their estimate or are upside down, p values
        without side, medians without unit, more events than patients, survival that rises or is given of one arm only
        at a month, figures without status and statuses of blank cells, identifiers of studies, sources, statements'
        figures and citations that are unknown. A file with a header only, of whose rows others speak, is one problem.
    """
    reader = TableReader(Path(folder), shown_folder)
    tables: dict[str, TableRows] = {}
    for name in TABLES:
        rows = reader.rows(name)
        if rows is not None:
            tables[name] = TableRows(name, rows, [reader.cell_faults(name, row) for row in rows])
    for check in CHECKS:
        check(reader, tables)
    if bibliography is not None:
        check_citations(reader, tables, Path(bibliography), shown_bibliography)
    if reader.problems:
        order = {reader.shown(name): index for index, name in enumerate(TABLES)}
        raise EvidenceError(
            sorted(reader.problems, key=lambda problem: (order.get(problem.file or "", -1), problem.row or 0))
        )
    cells = dict(filled_figures(tables))
    statuses = {
        (row.cells["table"], row.cells["key"], row.cells["field"]): FieldStatus(
            row.cells["status"], row.cells["confidence"], row.cells["where"]
        )
        for row in tables["field_status"].rows
    }
    frames = {name: _frame(table, reader.shown(name)) for name, table in tables.items()}
    return Evidence(**frames, cells=MappingProxyType(cells), statuses=MappingProxyType(statuses))


def _frame(table: TableRows, shown: str) -> pd.DataFrame:
    columns: dict[str, object] = {}
    for column in TABLES[table.name]:
        texts = [row.cells[column.name] for row in table.rows]
        if column.kind == "text":
            columns[column.name] = pd.array([text or None for text in texts], dtype="string")
        else:
            columns[column.name] = pd.array([float(text) if text else float("nan") for text in texts], dtype="float64")
    columns["src_file"] = pd.array([shown] * len(table.rows), dtype="string")
    columns["src_row"] = pd.array([row.number for row in table.rows], dtype="int64")
    return pd.DataFrame({name: pd.Series(values) for name, values in columns.items()})
