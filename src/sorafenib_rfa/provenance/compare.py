"""Compare two versions of a file by what they say: tables by key, pictures by drawn data, documents by text.

Three levels: ``identical`` (the same bytes), ``equal`` (other bytes that say the same, numbers within the declared
tolerance) and ``different``; ``missing`` when one of the two is not there. How near two numbers must be, and why, is
declared in one place: :data:`TOLERANCES`. What names a row of a table stands in :data:`KEYS`.
"""

from __future__ import annotations

import difflib
import fnmatch
import io
import json
import math
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sorafenib_rfa.provenance.config_keys import ABSENT, differences
from sorafenib_rfa.records.digests import members, sha256_of

if TYPE_CHECKING:
    import pandas as pd

IDENTICAL, EQUAL, DIFFERENT, MISSING = "identical", "equal", "different", "missing"
LEVELS: Final = (IDENTICAL, EQUAL, DIFFERENT, MISSING)
"""From best to worst."""

SHOWN = 5
"""How many differences of a file are kept with their values; all are counted."""


@dataclass(frozen=True)
class Tolerance:
    """How far numbers of some columns may lie apart and still count as equal.

    Two numbers are equal when ``|a - b| <= absolute + relative * max(|a|, |b|)``.

    Attributes
    ----------
    files, columns : tuple of str
        Patterns of paths (below ``results/<cohort>/``) and of column names.
    relative, absolute : float
    reason : str
        Why bytes of these numbers may differ between machines although nothing is wrong.
    exact_where : tuple of (column, values) or None
        Rows in which the numbers must agree exactly all the same.
    """

    files: tuple[str, ...]
    columns: tuple[str, ...]
    relative: float
    absolute: float
    reason: str
    exact_where: tuple[str, tuple[str, ...]] | None = None


TOLERANCES: Final = (
    Tolerance(
        files=("ard/ard.*", "ard/parts/*", "validation/ard/ard.*"),
        columns=("value", "ci_low", "ci_high", "p_value"),
        relative=1e-6,
        absolute=1e-9,
        reason="estimates are solutions of iterations that stop at about 1e-9 and sums in an order that the linear "
        "algebra library chooses; counts are exact",
        exact_where=("unit", ("count",)),
    ),
    Tolerance(
        files=("curves/*", "figures/*.csv", "validation/figures/*.csv"),
        columns=("*",),
        relative=1e-6,
        absolute=1e-9,
        reason="curves and drawn positions are estimates like those of the ARD; their text and integers are exact",
    ),
    Tolerance(
        files=("validation/truth.parquet", "validation/true_estimands.csv", "validation/study/*"),
        columns=("*",),
        relative=1e-6,
        absolute=1e-9,
        reason="simulated hazards and their averages go through exp and log, whose last digit the system's "
        "mathematical library decides",
    ),
    Tolerance(
        files=("adam/*",),
        columns=("AVAL", "BASE", "CHG", "ALBISC", "INTLO", "INTHI", "AGE", "GAPDAYS", "*BL", "ANRHI", "TUMSIZE"),
        relative=1e-9,
        absolute=1e-12,
        reason="derived by arithmetic on the source and, for ALBI, a logarithm",
    ),
)
"""First entry that fits a file and a column holds; every other column, and all text, must agree exactly."""


@dataclass(frozen=True)
class Key:
    """The columns that name a row in files of one kind; columns a file lacks are left out."""

    files: str
    columns: tuple[str, ...]


_ORIGIN = ("site", "src_file", "src_sheet", "src_row")
KEYS: Final = (
    Key("*ard/members*", ("ard_id", "USUBJID", "src_file", "src_row")),
    Key("*ard/*", ("ard_id",)),
    Key("adam/adsl.*", ("USUBJID",)),
    Key("adam/adtte.*", ("USUBJID", "PARAMCD")),
    Key("adam/adae.*", ("USUBJID", "AESEQ")),
    Key("adam/adlb.*", ("USUBJID", "PARAMCD", "ADT", "SRCFILE", "SRCROW")),
    Key("adam/adex.*", ("USUBJID", "EXSEQ")),
    Key("adam/adrecur.*", ("USUBJID", "RECSEQ")),
    Key("adam/adproc.*", ("USUBJID", "PROCSEQ")),
    Key("adam/adtum.*", ("USUBJID", "PROCSEQ", "TUMNO", "SRCFILE", "SRCROW")),
    Key("adam/data_dictionary.*", ("dataset", "variable")),
    Key("*quarantine.*", ("site", "file", "sheet", "row", "column", "rule")),
    Key("clean/attrition.*", ("step_no", "site", "arm")),
    Key("clean/fates.*", ("site", "subject_id")),
    Key("*/labs.parquet", (*_ORIGIN, "test")),
    Key("*/survival_times.parquet", (*_ORIGIN, "endpoint")),
    Key("ingest/*", _ORIGIN),
    Key("clean/*", _ORIGIN),
    Key("curves/weights.parquet", ("USUBJID",)),
    Key("curves/matching.parquet", ("endpoint", "pair")),
    Key(
        "curves/*",
        (
            "endpoint",
            "kind",
            "form",
            "spec_id",
            "variable",
            "subgroup",
            "level",
            "model",
            "term",
            "severity",
            "key",
            "step_no",
            "site",
            "group",
            "arm",
            "label",
            "weighting",
            "cause",
            "grade",
            "risk_group",
            "month",
            "time_months",
            "bin_low",
            "delta",
        ),
    ),
    Key("*figures/*.csv", ("element", "panel", "series")),
    Key("*tables/*.csv", ("row", "column")),
    Key("manuscript/uses.csv", ("file", "line", "kind", "target")),
    Key("validation/truth.parquet", ("USUBJID",)),
    Key("validation/dirt.parquet", ("site", "file", "sheet", "row", "column", "kind")),
    Key("validation/true_estimands.csv", ("basis", "dating", "endpoint", "population", "strategy", "stat", "month")),
    Key("validation/study/*", ("scenario", "screened", "replicate", "endpoint", "estimator", "measure")),
)
"""First entry that fits a file holds. Rows with the same key are told apart by their order."""

PICTURES: Final = (".svg", ".png", ".pdf")


@dataclass(frozen=True)
class Difference:
    """One thing that differs.

    Attributes
    ----------
    row : str
        Where: the row's key (``ard_id=efficacy.x``), a line, a cell of a notebook, a paragraph.
    column : str
        Column of a table; empty elsewhere.
    recorded, rerun : str
        What stands in the two versions; empty where there is nothing.
    """

    row: str
    column: str
    recorded: str
    rerun: str


@dataclass(frozen=True)
class Comparison:
    """How two versions of one file compare.

    Attributes
    ----------
    path : str
    level : str
        One of :data:`LEVELS`.
    compared_as : str
        By what: bytes, table, drawn data, text, cells, content.
    differences : tuple of Difference
        The first few.
    n_differences : int
        How many there are.
    rows : tuple of str
        Keys of all rows that differ, for tables.
    largest_relative : float
        Largest relative difference of numbers that count as equal; 0 when none differs.
    note : str
        What a reader should know: compared by its drawn data, rows in another order, ...
    """

    path: str
    level: str
    compared_as: str = "bytes"
    differences: tuple[Difference, ...] = ()
    n_differences: int = 0
    rows: tuple[str, ...] = field(default=(), repr=False)
    largest_relative: float = 0.0
    note: str = ""

    @property
    def reproduced(self) -> bool:
        """Whether both say the same."""
        return self.level in (IDENTICAL, EQUAL)

    def to_json(self) -> dict[str, Any]:
        """Return plain data, without the full list of rows."""
        content = asdict(self)
        del content["rows"]
        return content


@dataclass
class _Found:
    """Differences as they are found."""

    differences: list[Difference] = field(default_factory=list)
    count: int = 0
    rows: dict[str, None] = field(default_factory=dict)
    largest_relative: float = 0.0
    notes: list[str] = field(default_factory=list)

    def add(self, row: str, column: str, recorded: object, rerun: object) -> None:
        self.count += 1
        if len(self.differences) < SHOWN:
            self.differences.append(Difference(row, column, _short(recorded), _short(rerun)))

    def comparison(self, path: str, compared_as: str) -> Comparison:
        return Comparison(
            path,
            DIFFERENT if self.count else EQUAL,
            compared_as,
            tuple(self.differences),
            self.count,
            tuple(self.rows),
            self.largest_relative,
            "; ".join(self.notes),
        )


def _short(value: object, most: int = 160) -> str:
    text = repr(value) if isinstance(value, float) else str(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def below_cohort(path: str) -> str:
    """Return `path` without ``results/<cohort>/``, as the patterns of this module name files."""
    parts = path.split("/")
    return "/".join(parts[2:]) if parts[0] == "results" and len(parts) > 2 else path


def tolerance_of(path: str, column: str) -> Tolerance | None:
    """Return the tolerance of a column of a file; None: exact."""
    inside = below_cohort(path)
    for tolerance in TOLERANCES:
        if any(fnmatch.fnmatchcase(inside, pattern) for pattern in tolerance.files):
            if any(fnmatch.fnmatchcase(column, pattern) for pattern in tolerance.columns):
                return tolerance
            return None
    return None


def key_of(path: str) -> tuple[str, ...] | None:
    """Return the columns that name a row of a table, or None when its kind is not declared."""
    inside = below_cohort(path)
    return next((key.columns for key in KEYS if fnmatch.fnmatchcase(inside, key.files)), None)


def near(a: float, b: float, tolerance: Tolerance) -> bool:
    """Return whether two numbers are equal within `tolerance`; a missing number equals a missing one only."""
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    if math.isinf(a) or math.isinf(b):
        return a == b
    return abs(a - b) <= tolerance.absolute + tolerance.relative * max(abs(a), abs(b))


# --- one file -------------------------------------------------------------------------------------


def compare(path: str, recorded_root: Path, rerun_root: Path, *, sealed: str | None = None) -> Comparison:
    """Compare one file, or folder, of two trees.

    Parameters
    ----------
    path : str
        Relative to both roots.
    recorded_root, rerun_root : Path
        The tree that holds the results to check, and the one in which they were made again.
    sealed : str, optional
        sha256 that the job's record gives. When the rerun has it and the file checked has not, the file was changed
        after it was made: it is ``different`` whatever it says.
    """
    ours, theirs = recorded_root / path, rerun_root / path
    if not ours.exists() or not theirs.exists():
        if not ours.exists() and not theirs.exists():
            return Comparison(path, MISSING, note="there is neither the recorded file nor one made again")
        return Comparison(
            path, MISSING, note="the recorded file is gone" if not ours.exists() else "the rerun did not make it"
        )
    if ours.is_dir() != theirs.is_dir():
        return Comparison(path, DIFFERENT, note="one is a folder and the other a file")
    if ours.is_dir():
        return _folders(path, recorded_root, rerun_root)
    here, there = sha256_of(ours), sha256_of(theirs)
    if here == there:
        return Comparison(path, IDENTICAL)
    found = _by_content(path, recorded_root, rerun_root)
    if sealed is not None and there == sealed:
        note = "changed after it was made: the rerun gives the bytes that were recorded"
        details = found.differences
        if not details:
            details = (Difference("bytes", "", *_where_bytes_differ(ours, theirs)),)
        return Comparison(
            path,
            DIFFERENT,
            found.compared_as,
            details,
            max(found.n_differences, 1),
            found.rows,
            0.0,
            "; ".join(filter(None, [note, found.note])),
        )
    return found


def _where_bytes_differ(ours: Path, theirs: Path) -> tuple[str, str]:
    a, b = ours.read_bytes(), theirs.read_bytes()
    first = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return tuple(f"{piece[first : first + 8].hex(' ') or 'the end'} from byte {first} on" for piece in (a, b))


def _by_content(path: str, recorded_root: Path, rerun_root: Path) -> Comparison:
    ours, theirs = recorded_root / path, rerun_root / path
    suffix = Path(path).suffix.lower()
    if suffix in PICTURES:
        by_data = _by_drawn_data(path, recorded_root, rerun_root)
        if by_data is not None:
            return by_data
    readers: dict[str, Callable[[str, Path, Path], Comparison]] = {
        ".parquet": _tables,
        ".csv": _csv,
        ".html": _html,
        ".docx": _docx,
        ".ipynb": _notebooks,
        ".json": _json,
        ".png": _pixels,
        ".xlsx": _workbooks,
    }
    if suffix == ".pdf":
        return _pdf(path, recorded_root, rerun_root)
    try:
        return readers.get(suffix, _lines)(path, ours, theirs)
    except ImportError:
        raise
    except Exception as error:  # whatever a reader makes of a damaged file is a finding, not a reason to stop
        found = _Found()
        found.add("bytes", "", *_where_bytes_differ(ours, theirs))
        found.notes.append(f"cannot be read as {suffix or 'text'} ({type(error).__name__}), compared by its bytes")
        return found.comparison(path, "bytes")


def _folders(path: str, recorded_root: Path, rerun_root: Path) -> Comparison:
    names = {m.relative_to(root).as_posix() for root in (recorded_root, rerun_root) for m in members(root / path)}
    found, level, relative = _Found(), IDENTICAL, 0.0
    for member in sorted(names):
        each = compare(member, recorded_root, rerun_root)
        level = max(level, each.level, key=LEVELS.index)
        relative = max(relative, each.largest_relative)
        if each.level == MISSING:
            found.add(member, "", each.note, "")
        for difference in each.differences:
            found.add(f"{member}: {difference.row}", difference.column, difference.recorded, difference.rerun)
        found.count += max(0, each.n_differences - len(each.differences))
    note = "compared file by file"
    return Comparison(
        path,
        DIFFERENT if level == MISSING else level,
        "folder",
        tuple(found.differences),
        found.count,
        (),
        relative,
        note if level != IDENTICAL else "",
    )


# --- tables ---------------------------------------------------------------------------------------


def _tables(path: str, ours: Path, theirs: Path) -> Comparison:
    import pandas as pd

    return compare_frames(pd.read_parquet(ours), pd.read_parquet(theirs), path)


def _csv(path: str, ours: Path, theirs: Path) -> Comparison:
    if not path.startswith("results/"):
        return _lines(path, ours, theirs)  # a raw export: encoding, separator and decimal mark are the centre's own
    import pandas as pd

    def read(file: Path) -> pd.DataFrame:
        return pd.read_csv(file, dtype="string", keep_default_na=False)

    return compare_frames(read(ours), read(theirs), path)


def compare_frames(recorded: pd.DataFrame, rerun: pd.DataFrame, path: str) -> Comparison:
    """Compare two tables row by row.

    Parameters
    ----------
    recorded, rerun : DataFrame
        Any index; rows are found by the key of `path` (:func:`key_of`), columns by name.
    path : str
        Decides key and tolerances.
    """
    import numpy as np
    import pandas as pd

    found = _Found()
    for column in recorded.columns:
        if column not in rerun.columns:
            found.add("all rows", column, "a column", "no such column")
    for column in rerun.columns:
        if column not in recorded.columns:
            found.add("all rows", column, "no such column", "a column")
    columns = [column for column in recorded.columns if column in rerun.columns]
    declared = key_of(path)
    keys = [c for c in declared or () if c in columns]
    if not keys:  # a kind of table that nobody declared: everything that is no decimal number names the row
        keys = [c for c in columns if recorded[c].dtype.kind != "f" and rerun[c].dtype.kind != "f"]
    here, there = _keyed(recorded, keys), _keyed(rerun, keys)
    shared = here.index.intersection(there.index, sort=False)
    for index in here.index.difference(there.index, sort=False):
        found.rows[index] = None
        found.add(index, "", "a row", "no such row")
    for index in there.index.difference(here.index, sort=False):
        found.rows[index] = None
        found.add(index, "", "no such row", "a row")
    a, b = here.loc[shared], there.loc[shared]
    marks: dict[int, list[tuple[str, object, object]]] = {}
    for column in columns:
        x, y = a[column], b[column]
        if column in keys and x.dtype.kind != "f":
            continue  # equal, or the row would not have been found
        tolerance = tolerance_of(path, column)
        xs, ys = x.astype("string").fillna("").to_numpy(str), y.astype("string").fillna("").to_numpy(str)
        unequal = xs != ys
        if unequal.any():
            xn = pd.to_numeric(x, errors="coerce").to_numpy("float64", na_value=np.nan)
            yn = pd.to_numeric(y, errors="coerce").to_numpy("float64", na_value=np.nan)
            numbers = ~np.isnan(xn) & ~np.isnan(yn)
            if tolerance is None or (x.dtype.kind in "iub" and y.dtype.kind in "iub"):
                close = np.zeros(len(xn), dtype=bool)  # text and integers are exact
            else:
                with np.errstate(invalid="ignore"):
                    gap = np.abs(xn - yn)
                    size = np.maximum(np.abs(xn), np.abs(yn))
                    close = numbers & (gap <= tolerance.absolute + tolerance.relative * size)
                if tolerance.exact_where is not None and tolerance.exact_where[0] in columns:
                    name, values = tolerance.exact_where
                    close &= ~a[name].astype("string").isin(values).to_numpy(bool)
                taken = close & unequal & (size > 0)
                if taken.any():
                    found.largest_relative = max(found.largest_relative, float((gap[taken] / size[taken]).max()))
            same_number = numbers & (xn == yn) & (x.dtype.kind in "fiu") & (y.dtype.kind in "fiu")
            unequal &= ~(close | same_number)
            for position in np.flatnonzero(unequal):
                marks.setdefault(int(position), []).append((column, x.iloc[position], y.iloc[position]))
    for position in sorted(marks):
        index = shared[position]
        found.rows[index] = None
        for column, mine, other in marks[position]:
            found.add(index, column, _cell(mine), _cell(other))
    if not found.count and list(here.index) != list(there.index):
        found.notes.append("the rows stand in another order")
    if not found.count and not found.largest_relative and not found.notes:
        found.notes.append("the same values, stored otherwise")
    return found.comparison(path, "table")


def _cell(value: object) -> object:
    try:
        missing = value is None or bool(value != value)
    except TypeError:  # pandas' NA has no truth
        missing = True
    return "(missing)" if missing else float(value) if hasattr(value, "dtype") and value.dtype.kind == "f" else value


def _keyed(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return `frame` indexed by readable keys: ``USUBJID=x, PARAMCD=OS``; repeated ones carry ``#2``."""
    import pandas as pd

    if not keys:
        return frame.set_index(pd.Index([f"row {i}" for i in range(1, len(frame) + 1)], dtype=object))
    labels = None
    for name in keys:
        column = frame[name]
        if column.dtype.kind == "f":
            text = column.map(lambda value: "" if value != value else f"{value:.9g}").astype(object)
        else:
            text = column.astype("string").fillna("").astype(object)
        piece = f"{name}=" + text
        labels = piece if labels is None else labels + ", " + piece
    number = labels.groupby(labels, sort=False).cumcount()
    labels = labels.where(number == 0, labels + " #" + (number + 1).astype(str))
    return frame.set_index(pd.Index(labels.to_numpy(object), dtype=object))


# --- pictures -------------------------------------------------------------------------------------


def drawn_data(path: str, root: Path) -> str | None:
    """Return the path of the table that a figure drew, or None if the picture has none.

    Copies of figures in the staged manuscript are traced to the figure they are copies of.
    """
    inside = re.fullmatch(r"(results/([^/]+))/manuscript/source/figures/(?:([^/]+)/)?([^/]+)", path)
    if inside:
        results, _, other, name = inside.groups()
        folders = [f"results/{other}/figures"] if other else [f"{results}/figures", f"{results}/validation/figures"]
        candidates = [f"{folder}/{Path(name).stem}.csv" for folder in folders]
    else:
        candidates = [str(Path(path).with_suffix(".csv"))]
    return next((candidate for candidate in candidates if (root / candidate).is_file()), None)


def _by_drawn_data(path: str, recorded_root: Path, rerun_root: Path) -> Comparison | None:
    data = drawn_data(path, recorded_root)
    if data is None or not (rerun_root / data).is_file():
        return None
    each = compare(data, recorded_root, rerun_root)
    note = f"other bytes; compared by the data it drew, {data}"
    if each.level == IDENTICAL:
        return Comparison(path, EQUAL, "drawn data", note=note)
    return Comparison(
        path, each.level, "drawn data", each.differences, each.n_differences, each.rows, each.largest_relative, note
    )


def _pixels(path: str, ours: Path, theirs: Path) -> Comparison:
    import numpy as np
    from PIL import Image

    found = _Found()
    a, b = (np.asarray(Image.open(file).convert("RGBA")) for file in (ours, theirs))
    if a.shape != b.shape:
        found.add("picture", "", f"{a.shape[1]} x {a.shape[0]} pixels", f"{b.shape[1]} x {b.shape[0]} pixels")
    elif (a != b).any():
        changed = (a != b).any(axis=2)
        y, x = (int(v[0]) for v in np.nonzero(changed))
        found.add(f"pixel x={x}, y={y}", "", f"{int(changed.sum())} of {changed.size} pixels differ", "")
    return found.comparison(path, "pixels")


# --- documents ------------------------------------------------------------------------------------


def _text(path: str, recorded: list[str], rerun: list[str], unit: str, compared_as: str) -> Comparison:
    """Compare two sequences of lines or paragraphs."""
    found = _Found()
    matcher = difflib.SequenceMatcher(None, recorded, rerun, autojunk=False)
    for kind, i1, i2, j1, j2 in matcher.get_opcodes():
        if kind == "equal":
            continue
        for step in range(max(i2 - i1, j2 - j1)):
            mine = recorded[i1 + step] if i1 + step < i2 else ""
            other = rerun[j1 + step] if j1 + step < j2 else ""
            number = i1 + step + 1 if i1 + step < i2 else max(i2, 1)
            found.add(f"{unit} {number}", "", *_around(mine, other))
    if not found.count:
        found.notes.append("other bytes, the same text")
    return found.comparison(path, compared_as)


def _around(mine: str, other: str, room: int = 60) -> tuple[str, str]:
    """Return the parts of two lines around where they first differ, when they are long."""
    if len(mine) <= 2 * room and len(other) <= 2 * room:
        return mine, other
    first = next((i for i, (x, y) in enumerate(zip(mine, other, strict=False)) if x != y), min(len(mine), len(other)))
    start = max(0, first - room)

    def cut(text: str) -> str:
        piece = text[start : first + room]
        return ("…" if start and piece else "") + piece + ("…" if first + room < len(text) else "")

    return cut(mine), cut(other)


def _decoded(file: Path) -> str:
    content = file.read_bytes()
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")


def _lines(path: str, ours: Path, theirs: Path) -> Comparison:
    a, b = (_decoded(file).replace("\r\n", "\n") for file in (ours, theirs))
    if a == b:
        found = _Found()
        found.add("bytes", "", *_where_bytes_differ(ours, theirs))
        return found.comparison(path, "bytes")
    return _text(path, a.split("\n"), b.split("\n"), "line", "text")


def visible_text(html: str) -> list[str]:
    """Return the text a browser shows, one entry a block, white space joined; scripts and styles left out."""
    from bs4 import BeautifulSoup

    blocks = ["p", "li", "td", "th", "h1", "h2", "h3", "h4", "h5", "h6", "figcaption", "caption", "pre", "div", "tr"]
    soup = BeautifulSoup(html, "html.parser")
    for hidden in soup(["script", "style", "template"]):
        hidden.decompose()
    for block in soup(blocks):
        block.insert_before("\n")
        block.append("\n")
    lines = (" ".join(line.split()) for line in soup.get_text().split("\n"))
    return [line for line in lines if line]


def _html(path: str, ours: Path, theirs: Path) -> Comparison:
    a, b = (visible_text(file.read_text(encoding="utf-8")) for file in (ours, theirs))
    return _text(path, a, b, "paragraph", "visible text")


def document_text(file: Path) -> list[str]:
    """Return the paragraphs of a DOCX file, those of its tables and notes included."""
    from lxml import etree

    space = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
    paragraphs: list[str] = []
    with zipfile.ZipFile(file) as archive:
        for name in sorted(archive.namelist()):
            if re.fullmatch(r"word/(document|footnotes|endnotes|header\d*|footer\d*)\.xml", name):
                parser = etree.XMLParser(resolve_entities=False, no_network=True)
                root = etree.parse(io.BytesIO(archive.read(name)), parser)
                for paragraph in root.iter(f"{space}p"):
                    text = "".join(node.text or "" for node in paragraph.iter(f"{space}t"))
                    if text.strip():
                        paragraphs.append(text)
    return paragraphs


def _docx(path: str, ours: Path, theirs: Path) -> Comparison:
    return _text(path, document_text(ours), document_text(theirs), "paragraph", "text")


def pdf_text(file: Path) -> list[str] | None:
    """Return the lines of a PDF, read by poppler's ``pdftotext``; None when that is not on PATH or cannot read it."""
    tool = shutil.which("pdftotext")
    if tool is None:
        return None
    done = subprocess.run([tool, "-enc", "UTF-8", "-layout", str(file), "-"], capture_output=True, timeout=120)
    if done.returncode:
        return None
    lines = (" ".join(line.split()) for line in done.stdout.decode("utf-8", "replace").replace("\f", "\n").split("\n"))
    return [line for line in lines if line]


def _pdf(path: str, recorded_root: Path, rerun_root: Path) -> Comparison:
    a, b = pdf_text(recorded_root / path), pdf_text(rerun_root / path)
    if a is not None and b is not None:
        return _text(path, a, b, "line", "text")
    found = _Found()
    if shutil.which("pdftotext") is not None:
        found.add("bytes", "", *_where_bytes_differ(recorded_root / path, rerun_root / path))
        found.notes.append("pdftotext cannot read it")
        return found.comparison(path, "bytes")
    for suffix in (".html", ".docx"):
        twin = str(Path(path).with_suffix(suffix))
        if (recorded_root / twin).is_file() and (rerun_root / twin).is_file():
            each = compare(twin, recorded_root, rerun_root)
            note = f"pdftotext is not on PATH: not read itself, compared by {twin}, made from the same source"
            if each.reproduced:
                return Comparison(path, EQUAL, "its twin", largest_relative=each.largest_relative, note=note)
            return Comparison(path, each.level, "its twin", each.differences, each.n_differences, note=note)
    found.add("bytes", "", *_where_bytes_differ(recorded_root / path, rerun_root / path))
    found.notes.append("pdftotext is not on PATH, compared by its bytes")
    return found.comparison(path, "bytes")


def _notebooks(path: str, ours: Path, theirs: Path) -> Comparison:
    a, b = (json.loads(file.read_text(encoding="utf-8"))["cells"] for file in (ours, theirs))
    found = _Found()
    if len(a) != len(b):
        found.add("notebook", "", f"{len(a)} cells", f"{len(b)} cells")
    for number, (mine, other) in enumerate(zip(a, b, strict=False), start=1):
        for part, x, y in _cell_parts(mine, other):
            if x != y:
                found.add(f"cell {number}, {part}", "", *_first_line(x, y))
    if not found.count:
        found.notes.append("other bytes, the same cells and outputs")
    return found.comparison(path, "cells")


def _cell_parts(mine: dict, other: dict) -> Iterator[tuple[str, str, str]]:
    yield "source", _joined(mine.get("source", "")), _joined(other.get("source", ""))
    a, b = mine.get("outputs", []), other.get("outputs", [])
    if len(a) != len(b):
        yield "outputs", str(len(a)), str(len(b))
    for number, (x, y) in enumerate(zip(a, b, strict=False), start=1):
        left, right = x.get("data", {"text": x.get("text", "")}), y.get("data", {"text": y.get("text", "")})
        for kind in sorted(set(left) | set(right)):
            if kind.startswith("image/"):
                continue  # a figure shown is compared as a figure, by its drawn data
            yield f"output {number} ({kind})", _joined(left.get(kind, "")), _joined(right.get(kind, ""))


def _joined(text: object) -> str:
    return "".join(text) if isinstance(text, list) else text if isinstance(text, str) else json.dumps(text)


def _first_line(mine: str, other: str) -> tuple[str, str]:
    a, b = mine.split("\n"), other.split("\n")
    for x, y in zip(a, b, strict=False):
        if x != y:
            return _around(x, y)
    longer = a if len(a) > len(b) else b
    extra = longer[min(len(a), len(b))]
    return (extra, "") if longer is a else ("", extra)


def _json(path: str, ours: Path, theirs: Path) -> Comparison:
    a, b = (json.loads(file.read_text(encoding="utf-8")) for file in (ours, theirs))
    found = _Found()
    for key, mine, other in differences(a, b):
        found.add(key or "content", "", *("(absent)" if value is ABSENT else value for value in (mine, other)))
    if not found.count:
        found.notes.append("other bytes, the same content")
    return found.comparison(path, "content")


def _workbooks(path: str, ours: Path, theirs: Path) -> Comparison:
    import openpyxl

    books = [openpyxl.load_workbook(file, read_only=True, data_only=True) for file in (ours, theirs)]
    found = _Found()
    if books[0].sheetnames != books[1].sheetnames:
        found.add("workbook", "", ", ".join(books[0].sheetnames), ", ".join(books[1].sheetnames))
    for name in books[0].sheetnames:
        if name not in books[1].sheetnames:
            continue
        rows = [list(book[name].iter_rows(values_only=True)) for book in books]
        if len(rows[0]) != len(rows[1]):
            found.add(f"sheet {name}", "", f"{len(rows[0])} rows", f"{len(rows[1])} rows")
        for number, (x, y) in enumerate(zip(*rows, strict=False), start=1):
            if x != y:
                for place in range(max(len(x), len(y))):
                    mine = x[place] if place < len(x) else None
                    other = y[place] if place < len(y) else None
                    if mine != other:
                        letter = openpyxl.utils.get_column_letter(place + 1)
                        found.add(f"sheet {name}, row {number}", letter, mine, other)
    for book in books:
        book.close()
    if not found.count:
        found.notes.append("other bytes, the same cells")
    return found.comparison(path, "cells")
