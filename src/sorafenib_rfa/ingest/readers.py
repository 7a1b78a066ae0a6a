"""Files to raw tables: CSV and XLSX, with the row numbers a person sees and nothing converted.

Every fault of a file is a :class:`~sorafenib_rfa.errors.Problem`; none is a traceback. Delimited text without quotation
marks whose lines all have as many fields as the header is cut by Arrow; any other goes record by record through
Python's ``csv``. Both give the same table (tests hold them to it).
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import dataclasses
import io
import re
import zipfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sorafenib_rfa.errors import Problem
from sorafenib_rfa.ingest.distinct import Codes, Distinct, distinct_cells
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
_BATCH = 50_000
_LONGEST_FIELD = 131_072
"""Characters; what is longer is a quotation mark that was never closed."""


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
    columns : dict of int to Distinct
        Position of a header that was asked for -> its cells.
    numbers : ndarray of int64, shape (n,)
        Row number of each row, as a person counts: the file's first line or row is 1.
    ragged : list of RaggedRow
        CSV records that do not fit the header.
    hint : str or None
        What might be wrong with the file as a whole, shown when a column is not found.
    """

    headers: tuple[str, ...]
    columns: dict[int, Distinct[Cell]]
    numbers: np.ndarray
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

    def read(self, file: str, sheet: str | None, header_row: int, wanted: Collection[str]) -> RawTable:
        """Return a CSV file or a sheet of a workbook.

        Parameters
        ----------
        file : str
            Name; ``.xlsx`` and ``.xlsm`` are read as workbooks, anything else as delimited text.
        sheet : str or None
            Sheet of a workbook.
        header_row : int
            Row of the header, counted from 1.
        wanted : collection of str
            Headers, normalised, of the columns to keep.

        Raises
        ------
        UnreadableError
            If the file is missing, empty, not what it claims to be, not in the encoding, lacks the sheet or the header.
        """
        shown = self.shown(file)
        if is_workbook(file):
            if file not in self._workbooks:
                self._workbooks[file] = _Workbook(self._content(file), shown)
            return _table_of_grid(self._workbooks[file].rows(sheet or ""), shown, sheet or "", header_row, wanted)
        content = self._content(file)
        if content.startswith(b"PK\x03\x04"):
            raise UnreadableError(
                Problem(
                    "the file is a workbook, not delimited text",
                    file=shown,
                    hint="name it .xlsx and give the sheet in the site's configuration, or export it as CSV",
                )
            )
        data, hint = _decode(content, shown, self.encoding)
        del content
        table = _cut_plain(data, header_row, self.delimiter, wanted)
        if table is None:
            table = _read_records(data, shown, header_row, self.delimiter, wanted)
        return dataclasses.replace(table, hint=hint or _delimiter_hint(table.headers, self.delimiter))

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


def _is_utf8(content: bytes) -> bool:
    """Say whether :func:`_fitting` would name UTF-8 alone."""
    for mark, name in _BOMS:
        if content.startswith(mark):
            return name == "utf-8"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _decode(content: bytes, shown: str, encoding: str) -> tuple[bytes, str | None]:
    """Return the text as UTF-8 without a byte order mark and, when another encoding is likelier, a hint."""
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
    if not declared_utf8 and not content.isascii() and _is_utf8(content):
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
    return content.removeprefix(codecs.BOM_UTF8) if declared_utf8 else text.encode("utf-8"), hint


def _cut_plain(data: bytes, header_row: int, delimiter: str, wanted: Collection[str]) -> RawTable | None:
    """Return the table of a text that needs no parser, or None.

    Such a text has no quotation mark, ends its lines with LF or CR LF, has a header, and below it only lines with as
    many fields as the header and lines without any text. What ``csv`` would say of a field beyond its limit of length
    is left to it.
    """
    mark = delimiter.encode("utf-8")
    if len(mark) != 1 or b'"' in data or data.count(b"\r") != data.count(b"\r\n"):
        return None
    buffer = np.frombuffer(data, dtype=np.uint8)
    ends = np.flatnonzero(buffer == ord("\n"))
    if not data.endswith(b"\n"):
        ends = np.append(ends, len(data))
    if header_row > len(ends):
        return None
    starts = np.concatenate([[0], ends[:-1] + 1])
    # the carriage return before a line feed is no part of the line
    lengths = ends - starts - ((ends > starts) & (buffer[np.maximum(ends, 1) - 1] == ord("\r")))
    header = data[starts[header_row - 1] : starts[header_row - 1] + lengths[header_row - 1]].decode("utf-8")
    cells = header.split(delimiter)
    if not any(cell.strip() for cell in cells) or lengths.max() > _LONGEST_FIELD:
        return None
    width = len(cells)
    starts, ends, lengths = starts[header_row:], ends[header_row:], lengths[header_row:]
    marks = np.flatnonzero(buffer == mark[0])
    fields = np.searchsorted(marks, ends) - np.searchsorted(marks, starts) + 1
    blank = (lengths == 0) | ((lengths == fields - 1) & (fields == width))
    # a byte order mark between files put together is text; Arrow, given the lines below the header, would take it off
    if not (blank | (fields == width)).all() or (len(starts) and data.startswith(codecs.BOM_UTF8, starts[0])):
        return None
    headers = tuple(normalise(cell) for cell in cells)
    numbers = np.arange(header_row + 1, header_row + 1 + len(ends), dtype=np.int64)
    kept = [i for i, each in enumerate(headers) if each in wanted]
    columns = {i: _NO_CELLS for i in kept}
    if kept and (lengths > 0).any():
        columns = _arrow_columns(memoryview(data)[starts[0] :], delimiter, width, kept)
    # Arrow skips empty lines; a line of delimiters alone is a row to it and none to a person
    with_text = ~blank[lengths > 0]
    if not with_text.all():
        columns = {i: column.take(with_text) for i, column in columns.items()}
    return RawTable(headers, columns, numbers[~blank])


_NO_CELLS: Distinct[Cell] = Distinct([], np.zeros(0, dtype=np.int32))


def _arrow_columns(body: memoryview, delimiter: str, width: int, kept: Sequence[int]) -> dict[int, Distinct[Cell]]:
    """Return columns of delimited UTF-8 without header and quotation marks, each cell as its text."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    names = [str(i) for i in range(width)]
    text = pa.dictionary(pa.int32(), pa.string())
    table = arrow_csv.read_csv(
        pa.BufferReader(body),
        # one thread: a job has one, and the order in which distinct texts are met must not vary
        arrow_csv.ReadOptions(column_names=names, use_threads=False, block_size=1 << 24),
        arrow_csv.ParseOptions(delimiter=delimiter, quote_char=False, escape_char=False),
        arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, text),
            include_columns=[names[i] for i in kept],
            null_values=[],
            check_utf8=False,
        ),
    )
    columns: dict[int, Distinct[Cell]] = {}
    for i in kept:
        column = table.column(names[i]).unify_dictionaries()
        codes = [chunk.indices.to_numpy(zero_copy_only=False) for chunk in column.chunks]
        texts = column.chunk(0).dictionary.to_pylist()
        columns[i] = Distinct([each or None for each in texts], np.concatenate(codes))
    return columns


def _read_records(data: bytes, shown: str, header_row: int, delimiter: str, wanted: Collection[str]) -> RawTable:
    """Return the table of any delimited text, record by record."""
    lines = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="")
    csv.field_size_limit(_LONGEST_FIELD)  # of the whole process: an imported library may have raised it
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    headers: tuple[str, ...] | None = None
    kept: list[int] = []
    seen: list[Codes] = []
    codes: list[list[np.ndarray]] = []
    rows: list[list[str]] = []
    numbers: list[int] = []
    ragged: list[RaggedRow] = []
    width = 0
    start = 1

    def settle() -> None:
        """Turn the gathered rows into codes, so that only a batch of them is ever held."""
        batch = list(zip(*rows, strict=True))
        for known, column, i in zip(seen, codes, kept, strict=True):
            cells = batch[i] if batch else ()
            column.append(np.fromiter(map(known.__getitem__, cells), dtype=np.int32, count=len(rows)))
        rows.clear()

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
                kept = [i for i, each in enumerate(headers) if each in wanted]
                seen, codes = [Codes() for _ in kept], [[] for _ in kept]
                continue
            if not any(record):
                continue
            if len(record) != width:
                if len(record) > width and not any(cell.strip() for cell in record[width:]):
                    record = record[:width]
                else:
                    ragged.append(RaggedRow(number, tuple(cell or None for cell in record), width))
                    continue
            rows.append(record)
            numbers.append(number)
            if len(rows) == _BATCH:
                settle()
        settle()
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
        raise UnreadableError(_no_header(shown, None, header_row, data.count(b"\n") + (not data.endswith(b"\n"))))
    columns: dict[int, Distinct[Cell]] = {
        i: Distinct([text or None for text in known], np.concatenate(column))
        for i, known, column in zip(kept, seen, codes, strict=True)
    }
    return RawTable(headers, columns, np.array(numbers, dtype=np.int64), ragged)


def _delimiter_hint(headers: Sequence[str], delimiter: str) -> str | None:
    """Return a guess at another delimiter where the declared one leaves a single column."""
    other = [name for mark, name in _DELIMITERS.items() if mark != delimiter and mark in headers[0]]
    if len(headers) > 1 or not other:
        return None
    return f"the delimiter looks like the {other[0]}, the site's configuration declares {delimiter!r}"


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


def _table_of_grid(grid: list[tuple], shown: str, sheet: str, header_row: int, wanted: Collection[str]) -> RawTable:
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
    columns = {i: distinct_cells([row[i] for row in rows]) for i, each in enumerate(headers) if each in wanted}
    return RawTable(tuple(headers), columns, np.array(numbers, dtype=np.int64))
