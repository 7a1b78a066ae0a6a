"""Files to raw tables: CSV and XLSX, with the row numbers a person sees and nothing converted.

Every fault of a file is a :class:`~sorafenib_rfa.errors.Problem`; none is a traceback.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sorafenib_rfa.errors import Problem
from sorafenib_rfa.ingest.text import Cell, UncalculatedFormula, did_you_mean, normalise, render

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CANDIDATES = ("utf-8", "gb18030", "big5", "shift_jis", "euc_kr", "cp1252", "cp1250", "cp1251", "iso8859-15")
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


@dataclass(frozen=True)
class RaggedRow:
    """A CSV record with more or fewer fields than the header: any of its cells may stand in the wrong column."""

    number: int
    cells: tuple[Cell, ...]
    expected: int


@dataclass(frozen=True)
class RawTable:
    """One sheet or CSV file as it stands.

    Attributes
    ----------
    headers : tuple of str
        Header texts, normalised; empty where the header row has no text.
    rows : list of tuple
        Cells, as many as headers.
    numbers : list of int
        Row number of each row, as a person counts: the file's first line or row is 1.
    ragged : list of RaggedRow
        CSV records that do not fit the header.
    hint : str or None
        What might be wrong with the file as a whole, shown when a column is not found.
    """

    headers: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    numbers: list[int]
    ragged: list[RaggedRow] = field(default_factory=list)
    hint: str | None = None


class UnreadableError(Exception):
    """Carries the problem that keeps a file from being read; turned into an InputError with all of the site's."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem.message)


class ExportFiles:
    """The files of one centre's export; each is opened once, however many tables it holds.

    Parameters
    ----------
    folder : Path
        Folder of the export.
    shown_folder : str
        The folder as messages show it.
    encoding, delimiter : str
        Of delimited text.
    """

    def __init__(self, folder: Path, shown_folder: str, encoding: str, delimiter: str) -> None:
        self.folder = folder
        self.shown_folder = shown_folder.rstrip("/")
        self.encoding = encoding
        self.delimiter = delimiter
        self._workbooks: dict[str, _Workbook] = {}

    def shown(self, file: str) -> str:
        """Return the path of a file as messages and origins show it."""
        return f"{self.shown_folder}/{file}"

    def read(self, file: str, sheet: str | None, header_row: int) -> RawTable:
        """Return a CSV file or a sheet of a workbook.

        Parameters
        ----------
        file : str
            Name; ``.xlsx`` and ``.xlsm`` are read as workbooks, anything else as delimited text.
        sheet : str or None
            Sheet of a workbook.
        header_row : int
            Row of the header, counted from 1.

        Raises
        ------
        UnreadableError
            If the file is missing, empty, not what it claims to be, not in the encoding, lacks the sheet or the header.
        """
        shown = self.shown(file)
        if is_workbook(file):
            if file not in self._workbooks:
                self._workbooks[file] = _Workbook(self._content(file), shown)
            return _table_of_grid(self._workbooks[file].rows(sheet or ""), shown, sheet or "", header_row)
        content = self._content(file)
        if content.startswith(b"PK\x03\x04"):
            raise UnreadableError(
                Problem(
                    "the file is a workbook, not delimited text",
                    file=shown,
                    hint="name it .xlsx and give the sheet in the site's configuration, or export it as CSV",
                )
            )
        text, hint = _decode(content, shown, self.encoding)
        return _read_delimited(text, shown, header_row, self.delimiter, hint)

    def _content(self, file: str) -> bytes:
        path, shown = self.folder / file, self.shown(file)
        if not path.is_file():
            there = sorted(p.name for p in path.parent.iterdir()) if path.parent.is_dir() else None
            found = "no such folder" if there is None else "empty folder"
            if there:
                found = f"in the folder: {', '.join(there)}"
            hint = did_you_mean(path.name, there) if there else None
            raise UnreadableError(Problem("the file does not exist", file=shown, found=found, hint=hint))
        content = path.read_bytes()
        if not content.strip(b" \t\r\n\0" + codecs.BOM_UTF8):
            raise UnreadableError(
                Problem(
                    "the file is empty", file=shown, found=f"{len(content)} bytes", expected="a table with a header"
                )
            )
        return content


def is_workbook(name: str) -> bool:
    """Say whether a file name is that of a workbook this package reads."""
    return name.lower().endswith((".xlsx", ".xlsm"))


def _same_codec(one: str, other: str) -> bool:
    return codecs.lookup(one).name == codecs.lookup(other).name


def _fitting(content: bytes) -> list[str]:
    """Return the encodings in which `content` can be read; a byte order mark or valid UTF-8 decides alone."""
    for mark, name in _BOMS:
        if content.startswith(mark):
            return [name]
    fitting = []
    for name in _CANDIDATES:
        try:
            content.decode(name)
        except UnicodeDecodeError:
            continue
        if name == "utf-8":
            return ["utf-8"]
        fitting.append(name)
    return fitting


def _decode(content: bytes, shown: str, encoding: str) -> tuple[str, str | None]:
    """Return the text and, when another encoding is likelier, a hint."""
    declared_utf8 = _same_codec(encoding, "utf-8") or _same_codec(encoding, "utf-8-sig")
    for mark, name in _BOMS:
        if content.startswith(mark) and not (declared_utf8 and name == "utf-8"):
            if codecs.lookup(encoding).name.startswith(codecs.lookup(name).name):
                break
            raise UnreadableError(
                Problem(
                    f"the file begins with the byte order mark of {name}",
                    file=shown,
                    found=name,
                    expected=f"encoding {encoding}, as the site's configuration declares",
                    hint=f"set encoding: {name}",
                )
            )
    try:
        text = content.decode("utf-8-sig" if declared_utf8 else encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        fitting = [name for name in _fitting(content) if not _same_codec(name, encoding)]
        raise UnreadableError(
            Problem(
                f"the file is not in the declared encoding {encoding}",
                file=shown,
                row=line,
                found=f"byte 0x{content[error.start]:02X} at offset {error.start} ({error.reason})",
                expected=f"text in {encoding}",
                hint=f"encodings that fit: {', '.join(fitting)}" if fitting else "no common encoding fits",
            )
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UnreadableError(
            Problem(
                "the file holds NUL characters, which text does not",
                file=shown,
                row=line,
                found=f"decoded as {encoding}",
                hint="it may be UTF-16 without a byte order mark, or a damaged file",
            )
        )
    hint = None
    if not declared_utf8 and not content.isascii() and _fitting(content) == ["utf-8"]:
        if len("é".encode(encoding, errors="ignore")) == 1:
            # no text of a single-byte encoding with letters beyond ASCII is valid UTF-8 by chance, save a contrived
            # one; read wrongly, every such letter would become two
            raise UnreadableError(
                Problem(
                    f"the file is UTF-8, not {encoding}",
                    file=shown,
                    expected=f"text in {encoding}, as the site's configuration declares",
                    hint="set encoding: utf-8",
                )
            )
        hint = "the bytes are also valid UTF-8: the declared encoding may be wrong"
    return text, hint


def _read_delimited(text: str, shown: str, header_row: int, delimiter: str, hint: str | None) -> RawTable:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    headers: tuple[str, ...] | None = None
    rows: list[tuple[Cell, ...]] = []
    numbers: list[int] = []
    ragged: list[RaggedRow] = []
    width = 0
    start = 1
    try:
        for record in reader:
            number, start = start, reader.line_num + 1
            if headers is None:
                if number < header_row:
                    continue
                if number > header_row or not any(cell.strip() for cell in record):
                    break
                headers = tuple(normalise(cell) for cell in record)
                width = len(headers)
                continue
            if not any(record):
                continue
            if len(record) != width:
                if len(record) > width and not any(cell.strip() for cell in record[width:]):
                    record = record[:width]
                else:
                    ragged.append(RaggedRow(number, tuple(cell or None for cell in record), width))
                    continue
            rows.append(tuple(cell or None for cell in record))
            numbers.append(number)
    except csv.Error as error:
        raise UnreadableError(
            Problem(
                "the quoting is broken from this row on",
                file=shown,
                row=start,
                found=str(error),
                expected="every quotation mark that opens a cell to be closed, and marks within cells doubled",
            )
        ) from None
    if headers is None:
        raise UnreadableError(_no_header(shown, None, header_row, text.count("\n") + (not text.endswith("\n"))))
    if hint is None and width == 1:
        other = [name for mark, name in _DELIMITERS.items() if mark != delimiter and mark in headers[0]]
        if other:
            hint = f"the delimiter looks like the {other[0]}, the site's configuration declares {delimiter!r}"
    return RawTable(headers, rows, numbers, ragged, hint)


def _no_header(shown: str, sheet: str | None, header_row: int, rows: int) -> Problem:
    if header_row > rows:
        return Problem(
            "the header row lies beyond the end",
            file=shown,
            sheet=sheet,
            row=header_row,
            found=f"{rows} rows",
            expected="a header in this row, as header_row declares",
        )
    return Problem(
        "the header row is empty",
        file=shown,
        sheet=sheet,
        row=header_row,
        expected="a header in this row, as header_row declares",
    )


class _Workbook:
    """A workbook, opened once for its values and, when it holds formulas, once for them.

    Raises
    ------
    UnreadableError
        If it is damaged, protected or of another format.
    """

    def __init__(self, content: bytes, shown: str) -> None:
        self.shown = shown
        if content.startswith(b"\xd0\xcf\x11\xe0"):
            raise UnreadableError(
                Problem(
                    "the workbook is in the old binary format or protected by a password",
                    file=shown,
                    hint="save it as .xlsx without a password",
                )
            )
        with self._damage_reported():
            self._values = _open_workbook(content, data_only=True)
            self._formulas = _open_workbook(content, data_only=False) if _has_formulas(content) else None

    @contextlib.contextmanager
    def _damage_reported(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            # only openpyxl and zlib work under this guard, and what they raise on damage is not a closed list
            raise UnreadableError(
                Problem(
                    "the workbook is damaged or not a workbook",
                    file=self.shown,
                    found=f"{type(error).__name__}: {error}",
                    expected="an .xlsx file that a spreadsheet program opens",
                )
            ) from None

    def rows(self, sheet: str) -> list[tuple]:
        """Return the rows of a sheet from its first.

        Raises
        ------
        UnreadableError
            If there is no such sheet or it is damaged.
        """
        if sheet not in self._values.sheetnames:
            raise UnreadableError(
                Problem(
                    "the workbook has no such sheet",
                    file=self.shown,
                    sheet=sheet,
                    found="sheets " + ", ".join(repr(name) for name in self._values.sheetnames),
                    hint=did_you_mean(sheet, self._values.sheetnames),
                )
            )
        with self._damage_reported():
            values = _sheet_rows(self._values[sheet])
            if self._formulas is None:
                return values
            return _mark_uncalculated(values, _sheet_rows(self._formulas[sheet]))


def _open_workbook(content: bytes, *, data_only: bool) -> Workbook:
    import openpyxl

    return openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=data_only)


def _sheet_rows(worksheet: ReadOnlyWorksheet) -> list[tuple]:
    # the extent that the file states is wrong in workbooks of some exporters and would cut rows off
    worksheet.reset_dimensions()
    return list(worksheet.iter_rows(values_only=True))


def _has_formulas(content: bytes) -> bool:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return any(
            re.search(rb"<(?:\w+:)?f[ >/]", archive.read(name)) is not None
            for name in archive.namelist()
            if name.startswith("xl/worksheets/") and name.endswith(".xml")
        )


def _mark_uncalculated(values: Sequence[tuple], formulas: Sequence[tuple]) -> list[tuple]:
    """Return `values` with :class:`UncalculatedFormula` where `formulas` has a formula and no value was stored."""
    marked = []
    for row, formula_row in zip(values, formulas, strict=True):
        cells = list(row)
        for i, source in enumerate(formula_row):
            text = getattr(source, "text", source)
            if i < len(cells) and cells[i] is None and isinstance(text, str) and text.startswith("="):
                cells[i] = UncalculatedFormula(text)
        marked.append(tuple(cells))
    return marked


def _table_of_grid(grid: list[tuple], shown: str, sheet: str, header_row: int) -> RawTable:
    if header_row > len(grid) or not any(render(cell) for cell in grid[header_row - 1]):
        raise UnreadableError(_no_header(shown, sheet, header_row, len(grid)))
    headers = [normalise(render(cell) or "") for cell in grid[header_row - 1]]
    while headers and not headers[-1]:
        headers.pop()
    width = len(headers)
    rows: list[tuple[Cell, ...]] = []
    numbers: list[int] = []
    for number, row in enumerate(grid[header_row:], start=header_row + 1):
        # cells of a sheet have fixed columns: a short row is padded, notes beyond the header belong to no column
        cells = tuple(None if cell == "" else cell for cell in (*row[:width], *(None,) * (width - len(row))))
        if any(cell is not None for cell in cells):
            rows.append(cells)
            numbers.append(number)
    return RawTable(tuple(headers), rows, numbers)
