"""What a table is put together from: cells that are ARD rows, the draft of a table, the ARD by id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from sorafenib_rfa.estimates.ard import ard_id
from sorafenib_rfa.exhibits.format import Form, escape_markdown, format_value, value_span

INDENT = "\u00a0\u00a0\u00a0"
WIDEST_COLUMN = 34
"""Characters beyond which a column asks for no more of the page."""


@dataclass(frozen=True)
class Table:
    """A table as markdown, and its cells as data.

    Attributes
    ----------
    markdown : str
        Pandoc pipe table; numbers are spans ``[12]{.val data-ard="cohort:id"}``; notes follow as one paragraph.
    data : DataFrame
        One row a cell: ``row`` (0: header)``, column`` (header text)``, text, ard_ids`` (separated by spaces).
    """

    markdown: str
    data: pd.DataFrame


@dataclass(frozen=True)
class Number:
    """One ARD row within a cell, and how it is printed."""

    row: Mapping[str, Any]
    form: Form = "value"
    digits: int | None = None

    def text(self) -> str:
        """Return the number as printed."""
        return format_value(self.row, form=self.form, digits=self.digits)

    def markdown(self) -> str:
        """Return the number as a span that carries its id."""
        return value_span(self.row, form=self.form, digits=self.digits)


@dataclass(frozen=True)
class Heading:
    """The label of a row that heads those after it."""

    label: str

    def text(self) -> str:
        """Return the label."""
        return self.label

    def markdown(self) -> str:
        """Return the label in bold."""
        return f"**{escape_markdown(self.label)}**"


@dataclass(frozen=True)
class Cited:
    """A reference within a cell, by its key in manuscript/references.bib."""

    key: str

    def text(self) -> str:
        """Return the key."""
        return self.key

    def markdown(self) -> str:
        """Return pandoc's citation, which prints as the reference's number."""
        return f"[@{self.key}]"


Piece = str | Number | Heading | Cited
Cell = Sequence[Piece]


@dataclass
class Draft:
    """A table while it is put together."""

    header: list[Cell]
    rows: list[list[Cell]] = field(default_factory=list)
    notes: list[str | Cell] = field(default_factory=list)
    citation: str | None = None
    worded: frozenset[int] = frozenset({0})
    """Columns of words, set flush left; all others hold numbers and are set flush right."""

    def add(self, label: str, *cells: Cell, level: int = 0) -> None:
        """Add a row; cells not given are empty."""
        empty: list[Cell] = [[] for _ in range(len(self.header) - 1 - len(cells))]
        self.rows.append([[INDENT * level + label], *cells, *empty])

    def head(self, label: str) -> None:
        """Add a row that heads those after it."""
        self.rows.append([[Heading(label)], *([] for _ in self.header[1:])])

    def finish(self, synthetic: bool) -> Table:
        """Return the table; what could not be estimated is explained in the notes."""
        lines = [self.header, *self.rows]
        reasons = sorted(
            {
                str(piece.row["method"])
                for row in self.rows
                for cell in row
                for piece in cell
                if isinstance(piece, Number) and str(piece.row["method"]).startswith(("not estimable", "not tested"))
            }
        )
        notes = [*(["Synthetic data: says nothing about real patients."] if synthetic else []), *self.notes]
        notes += [f"{reason[0].upper()}{reason[1:]}." for reason in reasons]
        widths = [min(max(len(_text(line[j])) for line in lines), WIDEST_COLUMN) + 2 for j in range(len(self.header))]
        rule = "|".join(
            (":" + "-" * width) if j in self.worded else ("-" * width + ":") for j, width in enumerate(widths)
        )
        body = [_line(self.header), f"|{rule}|", *(_line(row) for row in self.rows)]
        if notes:
            cited = [f"Source: [@{self.citation}]."] if self.citation else []
            body += ["", " ".join([*(_markdown([note] if isinstance(note, str) else note) for note in notes), *cited])]
        names = [_text(cell) for cell in self.header]
        cells = [
            {"row": i, "column": names[j], "text": _text(cell), "ard_ids": " ".join(_ids(cell))}
            for i, row in enumerate(lines)
            for j, cell in enumerate(row)
        ]
        return Table("\n".join(body) + "\n", pd.DataFrame(cells, columns=["row", "column", "text", "ard_ids"]))


def _text(cell: Cell) -> str:
    return "".join(piece if isinstance(piece, str) else piece.text() for piece in cell)


def _ids(cell: Cell) -> Iterator[str]:
    for piece in cell:
        if isinstance(piece, Number):
            yield f"{piece.row['cohort']}:{piece.row['ard_id']}"


def _line(row: Sequence[Cell]) -> str:
    """Return one line of the pipe table."""
    return "| " + " | ".join(_markdown(cell) for cell in row) + " |"


def _markdown(cell: Cell) -> str:
    pieces = []
    for piece in cell:
        if not isinstance(piece, str):
            pieces.append(piece.markdown())
        else:
            stripped = piece.lstrip("\u00a0")
            # as an entity, for a leading space of any kind is cut off a cell
            pieces.append("&nbsp;" * (len(piece) - len(stripped)) + escape_markdown(stripped))
    return "".join(pieces)


class Source:
    """The ARD of one cohort, by id."""

    def __init__(self, ard: pd.DataFrame) -> None:
        self.rows: dict[str, dict[str, Any]] = {str(row["ard_id"]): row for row in ard.to_dict("records")}

    def has(self, *parts: object) -> bool:
        """Say whether there is a row whose id is made of `parts`."""
        return ard_id(*parts) in self.rows

    def get(self, *parts: object) -> dict[str, Any]:
        """Return the row whose id is made of `parts` (a part may be several joined by dots).

        Raises
        ------
        KeyError
            If there is no such row: table and estimates have come apart.
        """
        identifier = ard_id(*(piece for part in parts if part is not None for piece in str(part).split(".")))
        try:
            return self.rows[identifier]
        except KeyError:
            raise KeyError(f"the ARD has no row {identifier!r}") from None

    def value(self, *parts: object, digits: int | None = None) -> list[Piece]:
        """Return an estimate alone."""
        return [Number(self.get(*parts), digits=digits)]

    def interval(self, *parts: object, digits: int | None = None) -> list[Piece]:
        """Return an estimate with its interval: ``0.90 (0.72 to 1.12)``; the header says that it is one."""
        return self.with_interval(self.get(*parts), digits)

    @staticmethod
    def with_interval(row: Mapping[str, Any], digits: int | None = None) -> list[Piece]:
        """Return a row's estimate with its interval; without one, or not estimable, the value alone."""
        if pd.isna(row["value"]):
            return [Number(row)]
        if pd.isna(row["ci_low"]) and pd.isna(row["ci_high"]):
            return [Number(row, digits=digits)]
        return [Number(row, digits=digits), " (", Number(row, "interval", digits), ")"]

    def p(self, *parts: object) -> list[Piece]:
        """Return the p value of a row without the letter: the header has it."""
        row = self.get(*parts)
        if row["unit"] == "p":
            return [Number(row)]
        return [Number({**row, "value": row["p_value"], "unit": "p"})]

    def count_percent(self, *parts: object) -> list[Piece]:
        """Return ``12 (34.1%)``."""
        count = self.get(*parts, "n")
        percent = self.get(*parts, "percent")
        if pd.isna(percent["value"]):
            return [Number(count)]
        return [Number(count), " (", Number(percent), ")"]

    def starting(self, *parts: object) -> Iterator[dict[str, Any]]:
        """Yield the rows whose id starts with `parts`, in order."""
        prefix = ard_id(*parts) + "."
        return (row for identifier, row in sorted(self.rows.items()) if identifier.startswith(prefix))


def with_n(label: str, source: Source, *parts: object) -> Cell:
    """Return a header with the size of the group: ``RFA alone (n = 64)``."""
    return [f"{label} (n\u00a0=\u00a0", Number(source.get(*parts)), ")"]
