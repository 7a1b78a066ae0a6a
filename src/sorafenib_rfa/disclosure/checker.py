"""A second pair of eyes: looks through a folder for what must not leave the house, without knowing how it was made.

It reads text, tables, pages and pictures as somebody outside would, holds what it finds against the rules, and names
file, place, finding and rule. It shares no code with the release it checks, apart from the reading of the parameters.
"""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from sorafenib_rfa.config.models import Disclosure

RULES: Final[Mapping[str, str]] = {
    "file_type": "only md, csv, json, html, svg, pdf, png and docx may leave; a picture or PDF needs a text beside it",
    "row_level": "no table with a row a patient: no column of identifiers or of origin in raw files",
    "identifier": "no identifier of a patient, no name of a raw file",
    "exact_date": "no date but that of publication",
    "small_count": "no count from 1 to one below the threshold",
    "small_complement": "no count of which so few are missing from its denominator",
    "unrounded_count": "counts are multiples of the rounding base",
    "exact_share": "a percentage and its limits are those of rounded counts",
    "single_value": "no least or largest value: it is a single patient's",
    "tail": "no curve where fewer than the threshold are at risk",
    "fine_step": "no step of a curve that shows fewer events than the threshold",
    "not_as_released": "a number bound to a result reads as the released result does",
    "unknown_result": "a number is bound to a result that is released",
    "link": "nothing leads to files that are not released",
    "metadata": "no path and no name in metadata",
}
"""Rule -> what it asks for."""

TEXTS: Final = (".md", ".txt", ".json", ".csv", ".html", ".svg", ".docx")
SNAKEMAKE_MARK: Final = ".snakemake_timestamp"
"""Empty file that Snakemake leaves in a folder that it made."""
ALLOWED: Final = (*TEXTS, ".pdf", ".png")

_IDENTIFIERS: Final = re.compile(
    r"(usubjid|subjid|subject(_?id)?|(treated|control)_subject|patient(_?id)?|pat_?(nr|no|id)|pid|mrn|"
    r"src_(file|sheet|row|cells)|source_value|srcfile|srcsheet|srcrow|birth_?date|initials)",
    re.IGNORECASE,
)
_SPOKEN_IDENTIFIER: Final = re.compile(r"\b(?:USUBJID|SUBJID)\b")
_MONTHS: Final = "jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec"
_MONTH_NUMBERS: Final = {name: j for j, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_DATE: Final = re.compile(
    rf"(?<![\w.-])(?:(?P<iso>(?:19|20)\d\d[-/.](?:0?[1-9]|1[0-2])[-/.](?:0?[1-9]|[12]\d|3[01]))"
    rf"|(?:0?[1-9]|[12]\d|3[01])[/.](?:0?[1-9]|[12]\d|3[01])[/.](?:19|20)\d\d"
    rf"|(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?\.?\s+(?:{_MONTHS})[a-z]*\.?,?\s+(?:19|20)\d\d"
    rf"|(?:{_MONTHS})[a-z]*\.?\s+(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?,?\s+(?:19|20)\d\d"
    rf"|(?:19|20)\d\d年\d\d?月\d\d?日)(?![\w-]|\.\d)",
    re.IGNORECASE,
)
_SMALL_WORDS: Final = (
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
_PEOPLE: Final = r"(?:patients?|participants?|deaths?|women|men|subjects?|cases)"
_PATH: Final = re.compile(
    r"(?<![\w.:/])(?:/(?:home|root|Users|work|tmp|var|mnt|srv|opt|data)/[\w.~-]+|[A-Z]:\\[\w .~-]+)"
)
_MEMBERS: Final = re.compile(
    r"\b(?:results/[\w-]+/)?(?:audit|records|crate|bag|ard/members|clean|adam|ingest)/[\w./#-]*"
)
_RANGE: Final = re.compile(r"\brange[:,]?\s+\(?[\u2212-]?\d[\d.,]*\s*(?:to|-|\u2013)\s*[\u2212-]?\d", re.IGNORECASE)
_SINGLE: Final = re.compile(r"min|max|minimum|maximum|range|shortest|longest|(?:max|min|largest|smallest)_weight")
_COUNT_STATS: Final = (
    "n", "events", "patients", "deaths", "missing", "at_risk", "excluded", "remaining", "screened", "analysed",
    "quarantined", "left", "sessions", "tumours", "total", "values", "rows", "flags", "pairs", "unmatched",
)  # fmt: skip
_COUNT_COLUMNS: Final = re.compile(
    r"n|n_\w+|events(_\w+)?|total|deaths|patients|sessions|tumours|copies|count|at_risk|censored_to_date"
)
_STUDIES: Final = re.compile(r"(?:effects|synthesis|reconstruction|editorial|review)\.")
"""Results of published studies: their patients are nobody's here, and what is printed of them is public."""
_NOT_PATIENTS: Final = re.compile(
    rf"{_STUDIES.pattern}.*|(?:agreement|validation|published)\..*|.*\.(?:resamples(?:_failed)?|imputations|replicates|changing|combinations|"
    r"declared|estimated|not_estimable|skipped|interaction_tests|rmst_heterogeneity_tests|k|effective_n|clones)"
)
_NUMBER: Final = re.compile(r"(?<![\w.])[\u2212-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?|(?<![\w.])[\u2212-]?\d+(?:\.\d+)?")
_WITHHELD: Final = re.compile(r"<\s*\d+|\[suppressed\]|\[withheld\]|not estimable|not reached")


@dataclass(frozen=True)
class Finding:
    """Something that must not leave the house.

    Attributes
    ----------
    file : str
        Relative to the folder.
    where : str
        Line, cell or part of the file.
    what : str
        What was found, shortened.
    rule : str
        One of :data:`RULES`.
    """

    file: str
    where: str
    what: str
    rule: str

    def to_json(self) -> dict[str, str]:
        """Return the finding as plain data."""
        return asdict(self)


@dataclass
class _Checked:
    """State of one look through a folder."""

    root: Path
    rules: Disclosure
    dates: Collection[str]
    secrets: frozenset[str]
    cohorts: Collection[str]
    found: list[Finding] = field(default_factory=list)
    released: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, file: str, where: str, what: str, rule: str) -> None:
        finding = Finding(file, where, " ".join(what.split())[:120], rule)
        if finding not in self.found:
            self.found.append(finding)

    @property
    def cohorts_of_results(self) -> list[str]:
        """Cohorts of which results are released."""
        return sorted({identifier.partition(":")[0] for identifier in self.released})

    @cached_property
    def studies(self) -> frozenset[str]:
        """Cohorts whose results are all of published studies: numbers in their words are of other people's patients."""
        ids = [identifier.partition(":") for identifier in self.released]
        own = {cohort for cohort, _, ard_id in ids if not _STUDIES.match(ard_id)}
        return frozenset({cohort for cohort, _, _ in ids} - own)

    def small(self, number: float) -> bool:
        return 0 < number < self.rules.threshold and float(number).is_integer()

    def rounded(self, number: float) -> bool:
        return float(number).is_integer() and number % self.rules.rounding_base == 0


def check_folder(
    folder: Path,
    rules: Disclosure,
    *,
    dates: Collection[str] = (),
    secrets: Iterable[str] = (),
    cohorts: Collection[str] = (),
) -> list[Finding]:
    """Return everything in a folder that must not leave the house.

    Parameters
    ----------
    folder : Path
        Looked through with all its subfolders; a file is looked at alone.
    rules : Disclosure
        Threshold and rounding base.
    dates : collection of str
        ISO dates that may stand: that of publication.
    secrets : iterable of str
        Identifiers of patients and names of raw files, looked for word by word.
    cohorts : collection of str
        Names of cohorts, which begin the identifiers of their patients (``synthetic-cn01-0042``).

    Returns
    -------
    list of Finding
        Sorted by file, place and rule.
    """
    folder = Path(folder)
    paths = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())
    paths = [path for path in paths if path.name != SNAKEMAKE_MARK or path.stat().st_size]
    root = folder.parent if folder.is_file() else folder
    state = _Checked(root, rules, frozenset(dates), frozenset(filter(None, secrets)), cohorts)
    for path in paths:
        if path.suffix == ".csv":
            _read_released(state, path)
    names = {path.relative_to(root).as_posix() for path in paths}
    for path in paths:
        shown = path.relative_to(root).as_posix()
        if path.suffix.lower() not in ALLOWED or path.name.startswith("."):
            state.add(shown, "file", path.suffix or path.name, "file_type")
            if path.suffix == ".parquet":
                _parquet(state, path, shown)
            continue
        _FILES[path.suffix.lower()](state, path, shown)
        if path.suffix in (".pdf", ".png") and not any(
            path.relative_to(root).with_suffix(kind).as_posix() in names for kind in (".html", ".svg")
        ):
            state.add(shown, "file", "no page or drawing of the same name that can be read as text", "file_type")
    return sorted(state.found, key=lambda each: (each.file, _natural(each.where), each.rule, each.what))


def _natural(text: str) -> tuple[Any, ...]:
    return tuple(int(piece) if piece.isdigit() else piece for piece in re.split(r"(\d+)", text))


# --- what is released -------------------------------------------------------------------------------------------------


def _read_released(state: _Checked, path: Path) -> None:
    """Take note of the results of an ARD in CSV."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines)
        if rows.fieldnames and {"ard_id", "cohort", "value", "unit", "stat_name"} <= set(rows.fieldnames):
            for row in rows:
                state.released[f"{row['cohort']}:{row['ard_id']}"] = row


def _counts_patients(row: Mapping[str, str]) -> bool:
    return row["unit"] == "count" and not _NOT_PATIENTS.fullmatch(row["ard_id"])


def _as_number(text: object) -> float:
    try:
        return float(str(text).replace(",", "").replace("\u2212", "-"))
    except ValueError:
        return math.nan


# --- text ------------------------------------------------------------------------------------------------------------


def _text(state: _Checked, file: str, where: str, text: str, *, of_patients: bool = True) -> None:
    """Look at a line of text for dates, identifiers, typed small counts, paths."""
    if not text.strip():
        return
    for match in _DATE.finditer(text):
        if _iso(match[0]) not in state.dates:
            state.add(file, where, match[0], "exact_date")
    for match in _SPOKEN_IDENTIFIER.finditer(text):
        state.add(file, where, match[0], "identifier")
    if state.cohorts:
        pattern = rf"\b(?:{'|'.join(map(re.escape, state.cohorts))})-[A-Za-z0-9_]+-[A-Za-z0-9_]*\d[\w-]*"
        for match in re.finditer(pattern, text):
            state.add(file, where, match[0], "identifier")
    if state.secrets:
        for word in re.findall(r"[\w./#-]*\w", text):
            if word in state.secrets or word.rpartition("/")[2] in state.secrets:
                state.add(file, where, word, "identifier")
    for match in _PATH.finditer(text):
        state.add(file, where, match[0], "metadata")
    for match in _RANGE.finditer(text):
        if not re.search(r"specification|hazard ratio|below 1\b", text, re.IGNORECASE):  # of analyses
            state.add(file, where, match[0], "single_value")
    if of_patients and not file.startswith(tuple(f"supplement/{name}/" for name in state.studies)):
        _typed_counts(state, file, where, text)


def _iso(text: str) -> str:
    """Return a date as ``YYYY-MM-DD`` where its order is plain; as it stands otherwise."""
    numbers = [int(each) for each in re.findall(r"\d+", text)]
    named = re.search(rf"({_MONTHS})", text, re.IGNORECASE)
    if named and len(numbers) == 2:
        day, year = numbers
        return f"{year:04d}-{_MONTH_NUMBERS[named[1].lower()[:3]]:02d}-{day:02d}"
    return "{:04d}-{:02d}-{:02d}".format(*numbers) if len(numbers) == 3 and numbers[0] > 31 else text


def _typed_counts(state: _Checked, file: str, where: str, text: str) -> None:
    least = state.rules.threshold
    words = "|".join(_SMALL_WORDS[: least - 1])
    digits = "|".join(str(n) for n in range(least - 1, 0, -1))
    patterns = (
        rf"\bn\s*=\s*(?:{digits})(?![\d.,]*\d)",
        rf"(?<![\w.,<\u2212-])(?:{digits})\s*\(\s*\d+(?:\.\d+)?\s*%\s*\)",
        rf"(?<![\w.,<\u2212/-])(?:{digits})\s*/\s*\d+(?![\w./])(?=\s*(?:{_PEOPLE})?)",
        rf"(?<![\w.,<\u2212-])(?:{digits}|{words})\s+(?:of\s+(?:the\s+)?\d+\s+)?(?:(?!(?:the|an?|of|in|to|and)\b)[a-z-]+\s+)?{_PEOPLE}\b(?!-)",
        rf"(?<![\w.,<\u2212-])(?:{digits})\s+(?:of|out of)\s+(?:the\s+)?\d+(?![\w.%])",
    )
    for pattern in patterns:
        for match in re.finditer(pattern, text, re.IGNORECASE):
            before = text[max(0, match.start() - 16) : match.start()].lower()
            if re.search(
                r"(fewer than|less than|below|at least|under|grades?|stage|class|child-pugh|of|for)\s*$", before
            ):
                continue
            if re.match(r"\s*,?\s*(?:fewer|more)\b", text[match.end() :]):  # a number needed to treat
                continue
            if "/" in match[0] and not re.search(_PEOPLE, match[0] + text[match.end() : match.end() + 14]):
                continue
            state.add(file, where, match[0], "small_count")


def _bound(state: _Checked, file: str, where: str, identifier: str, text: str) -> None:
    """Hold a number of a document against the result it is bound to."""
    row = state.released.get(identifier)
    shown = text.strip()
    if row is None:
        if state.released:
            state.add(file, where, f"{identifier}: {shown}", "unknown_result")
        number = _as_number(shown)
        if identifier.rpartition(".")[2] in _COUNT_STATS and not _NOT_PATIENTS.fullmatch(identifier.partition(":")[2]):
            _count(state, file, where, identifier, number)
        return
    if _counts_patients(row):
        _count(state, file, where, identifier, _as_number(shown))
    if _WITHHELD.fullmatch(shown) or not _NUMBER.search(shown):
        return
    if row.get("withheld"):
        state.add(file, where, f"{identifier} reads {shown}, it is withheld", "not_as_released")
        return
    known = [_as_number(row[name]) for name in ("value", "ci_low", "ci_high", "p_value") if row.get(name)]
    if not known:
        return
    exponent = (
        10.0 ** int(_plain(found[1]))
        if (found := re.search("\u00d7 10([\u207b\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+)", shown))
        else 1.0
    )
    plain = re.sub("\u00d7 10[\u207b\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+", "", shown)
    for match in _NUMBER.finditer(re.sub(r"\d+% CI", "", plain)):
        number = _as_number(match[0]) * exponent
        decimals = len(match[0].partition(".")[2])
        step = 10.0**-decimals * exponent
        if not any(abs(abs(each) - abs(number)) <= step * 0.5 * (1 + 1e-6) + 1e-9 for each in known) and not re.search(
            r"[<>]\s*$", plain[: match.start()]
        ):
            state.add(file, where, f"{identifier} reads {shown}, released is {row['value']}", "not_as_released")


def _plain(text: str) -> str:
    return text.translate(
        str.maketrans("\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079", "-0123456789")
    )


def _count(state: _Checked, file: str, where: str, what: str, number: float) -> None:
    if math.isnan(number):
        return
    if state.small(number):
        state.add(file, where, f"{what} = {number:g}", "small_count")
    elif not state.rounded(number):
        state.add(file, where, f"{what} = {number:g}", "unrounded_count")


# --- files -----------------------------------------------------------------------------------------------------------


def _markdown(state: _Checked, path: Path, file: str) -> None:
    spans = re.compile(r'\[((?:[^\[\]\\]|\\.)*)\]\{\.val data-ard="((?:[^"\\]|\\.)*)"\}')
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        where = f"line {number}"
        for match in spans.finditer(line):
            _bound(state, file, where, match[2].replace('\\"', '"'), re.sub(r"\\(.)", r"\1", match[1]))
        _text(state, file, where, re.sub(r"\\(.)", r"\1", spans.sub(lambda m: m[1], line)))


def _json(state: _Checked, path: Path, file: str) -> None:
    text = path.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), start=1):
        _text(state, file, f"line {number}", line)
    for match in _IDENTIFIERS.finditer(text):
        if text[match.start() - 1 : match.start()] == '"' and text[match.end() : match.end() + 1] == '"':
            state.add(file, f"line {text.count(chr(10), 0, match.start()) + 1}", match[0], "row_level")


def _csv(state: _Checked, path: Path, file: str) -> None:
    with path.open(encoding="utf-8", newline="", errors="replace") as lines:
        rows = csv.DictReader(lines)
        header = list(rows.fieldnames or [])
        for name in header:
            if _IDENTIFIERS.fullmatch(name.strip()):
                state.add(file, "header", name, "row_level")
        body = list(rows)
    columns = set(header)
    if {"ard_id", "stat_name", "value", "unit"} <= columns:
        _ard(state, body, file)
    elif {"row", "column", "text", "ard_ids"} <= columns:
        _cells(state, body, file)
    elif {"element", "series", "x", "y"} <= columns:
        _drawn(state, body, file)
    else:
        for number, row in enumerate(body, start=2):
            for name, value in row.items():
                if name and value and _COUNT_COLUMNS.fullmatch(name):
                    _count(state, file, f"line {number}, {name}", name, _as_number(value))
        if not any(_IDENTIFIERS.fullmatch(name.strip()) for name in header):
            state.add(file, "header", ", ".join(header), "row_level")
    for number, row in enumerate(body, start=2):
        for name, value in row.items():
            if isinstance(value, str) and name not in ("ard_id", "ard_ids"):
                _text(state, file, f"line {number}, {name}", value)


def _ard(state: _Checked, rows: list[dict[str, str]], file: str) -> None:
    """Look through an ARD: small and unrounded counts, shares that give exact counts away, extremes."""
    values = {row["ard_id"]: _as_number(row["value"]) for row in rows}
    sizes = {value for row in rows if _counts_patients(row) and (value := values[row["ard_id"]]) > 0}
    for number, row in enumerate(rows, start=2):
        where, value = f"line {number}, value", values[row["ard_id"]]
        if math.isnan(value) or _STUDIES.match(row["ard_id"]):
            continue
        if _counts_patients(row):
            _count(state, file, where, row["ard_id"], value)
        elif _SINGLE.fullmatch(row["stat_name"]) and not row["ard_id"].startswith(("sensitivity.", "validation.")):
            state.add(file, where, f"{row['ard_id']} = {row['value']}", "single_value")
        elif row["stat_name"] == "percent":
            _share(state, file, where, row, values, sizes)


def _share(
    state: _Checked, file: str, where: str, row: Mapping[str, str], values: Mapping[str, float], sizes: set[float]
) -> None:
    """Hold a percentage beside its count against all denominators that are released."""
    count = values.get(f"{row['ard_id'].rpartition('.')[0]}.n", math.nan)
    percent = _as_number(row["value"])
    if math.isnan(count) or not 0 < percent < 100 or count <= 0:
        return
    total = count / percent * 100
    if abs(total - count) > 0.5 and 0 < total - count < state.rules.threshold:
        state.add(file, where, f"{row['ard_id']}: {count:g} of about {total:.0f}", "small_complement")
    if not any(abs(100 * count / size - percent) < 1e-6 * percent for size in sizes):
        if not re.search("weight", row.get("method", "")):
            state.add(file, where, f"{row['ard_id']} = {row['value']} is no share of a released count", "exact_share")
        return
    limits = [_as_number(row["ci_low"]), _as_number(row["ci_high"])]
    if any(math.isnan(limit) for limit in limits):
        return
    fitting = [size for size in sizes if abs(100 * count / size - percent) < 1e-6 * percent]
    if not any(_same_limits(limits, made) for size in fitting for made in _intervals(count, size)):
        state.add(file, where, f"{row['ard_id']}: {row['ci_low']} to {row['ci_high']}", "exact_share")


def _intervals(count: float, size: float) -> Iterator[tuple[float, float]]:
    """Yield the 95% limits in percent that textbooks give a share: exact, Wilson's."""
    from scipy.special import betaincinv

    low = 0.0 if count == 0 else float(betaincinv(count, size - count + 1, 0.025))
    high = 1.0 if count == size else float(betaincinv(count + 1, size - count, 0.975))
    yield 100 * low, 100 * high
    z, p = 1.959963984540054, count / size
    centre, half = p + z * z / (2 * size), z * math.sqrt(p * (1 - p) / size + z * z / (4 * size * size))
    scale = 100 / (1 + z * z / size)
    yield (centre - half) * scale, (centre + half) * scale


def _same_limits(limits: list[float], made: tuple[float, float]) -> bool:
    return all(math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-6) for one, other in zip(limits, made, strict=True))


def _cells(state: _Checked, rows: list[dict[str, str]], file: str) -> None:
    """Look through the cells of a table."""
    for number, row in enumerate(rows, start=2):
        where, text = f"line {number}, text", row["text"]
        ids = row["ard_ids"].split()
        # a cell about studies holds words with numbers of their own; its bound number is looked at in the table itself
        if len(ids) == 1 and ids[0].partition(":")[0] not in state.studies:
            piece = re.fullmatch(r".*n\u00a0=\u00a0(.*)\)", text)
            _bound(state, file, where, ids[0], piece[1] if piece else text)
        for identifier in ids:
            known = state.released.get(identifier)
            if known is None and state.released:
                state.add(file, where, identifier, "unknown_result")
        shared = re.match(r"^(\d[\d,]*) \((\d+(?:\.\d+)?)%\)$", text)
        if shared:
            _count(state, file, where, text, _as_number(shared[1]))


def _drawn(state: _Checked, rows: list[dict[str, str]], file: str) -> None:
    """Look through what a figure drew: numbers at risk, tails and steps of curves, counts printed."""
    curves: dict[tuple[str, str], list[tuple[float, float]]] = {}
    at_risk: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for number, row in enumerate(rows, start=2):
        where = f"line {number}"
        key = (row["panel"], row["series"])
        if row["element"] in ("at_risk", "effective_n", "patients", "n", "events"):
            value = _as_number(row["text"]) if row["text"] else _as_number(row["y"])
            _count(state, file, where, f"{row['element']} {row['series']}", value)
            if row["element"] == "at_risk":
                at_risk.setdefault(key, []).append((_as_number(row["x"]), value))
        if row["element"] in ("event", "censored"):
            state.add(file, where, f"{row['element']} at {row['x']}", "row_level")
        if row["element"] == "curve" and row["series"] != "spline":
            curves.setdefault(key, []).append((_as_number(row["x"]), _as_number(row["y"])))
        if row["ard_id"] and row["text"]:
            found = re.findall(r"\(n = ([^)]*)\)|^([\d,]+)$", row["text"])
            # a figure does not say of which cohort it is: the cohort is the one whose result it prints
            fitting = [each for each in state.cohorts_of_results if f"{each}:{row['ard_id']}" in state.released]
            for pieces in found:
                text = next(filter(None, pieces), "")
                _printed_count(state, file, where, [f"{each}:{row['ard_id']}" for each in fitting], text)
    for key, points in curves.items():
        known = [(x, y) for x, y in points if not math.isnan(y)]
        risk = {x: n for x, n in at_risk.get(key, []) if not math.isnan(n)}
        if not known or not risk:
            continue
        largest = max(risk.values())
        unit = 100.0 if max(y for _, y in known) > 1.5 else 1.0
        # a hidden number before one that is told need not be small
        told = max((x for x, n in risk.items() if n >= state.rules.threshold), default=-math.inf)
        fewest = [x for x, n in at_risk[key] if x > told and (math.isnan(n) or n < state.rules.threshold)]
        if math.isnan(min(at_risk[key])[1]):
            largest = math.inf  # of how many the curve is, is not told
        if fewest and known[-1][0] > min(fewest) + 1e-9:
            state.add(
                file, "curve", f"{key[1]} goes on to {known[-1][0]:g}, few are at risk at {min(fewest):g}", "tail"
            )
        for (_, before), (x, after) in pairwise(known):
            step = abs(after - before) / unit * largest
            if 1e-6 < step < state.rules.threshold * 0.99:
                state.add(file, "curve", f"{key[1]} steps by {step:.3g} of {largest:g} at {x:g}", "fine_step")
                break


def _printed_count(state: _Checked, file: str, where: str, identifiers: list[str], text: str) -> None:
    """Look at a count in a figure, which is that of one of the results of this id."""
    if not identifiers:
        _typed_counts(state, file, where, f"n = {text}")
        return
    tries = []
    for identifier in identifiers:
        trial = _Checked(state.root, state.rules, state.dates, state.secrets, state.cohorts, released=state.released)
        _bound(trial, file, where, identifier, text)
        tries.append(trial.found)
    for finding in min(tries, key=len):
        state.add(finding.file, finding.where, finding.what, finding.rule)


class _Page(HTMLParser):
    """Collects text, bound numbers, links, metadata and embedded drawings of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[tuple[int, str]] = []
        self.bound: list[tuple[int, str, str]] = []
        self.links: list[tuple[int, str]] = []
        self.meta: list[tuple[int, str, str]] = []
        self.images: list[tuple[int, str, bytes]] = []
        self.shown: list[str] = []  # of each image the figure that it shows, as cohort:name
        self._figure = ""
        self._open: list[tuple[str, str, list[str]]] = []
        self._quiet = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        line = self.getpos()[0]
        self._quiet += tag in ("script", "style")
        if tag == "figure":
            self._figure = known.get("data-figure", "")
        if tag == "meta":
            self.meta.append((line, known.get("name", ""), known.get("content", "")))
        for name in ("href", "src"):
            value = known.get(name, "")
            if value.startswith("data:"):
                head, _, content = value.partition(",")
                data = base64.b64decode(content) if head.endswith(";base64") else content.encode()
                self.images.append((line, head.partition(":")[2].partition(";")[0], data))
                self.shown.append(self._figure)
            elif value:
                self.links.append((line, value))
        for name in ("title", "alt", "aria-label"):
            if known.get(name):
                self.lines.append((line, known[name]))
        if tag not in ("meta", "link", "img", "br", "hr", "input", "col", "wbr", "source"):
            self._open.append((tag, known.get("data-ard", ""), []))

    def handle_endtag(self, tag: str) -> None:
        self._quiet -= tag in ("script", "style")
        if tag == "figure":
            self._figure = ""
        while self._open:
            opened, identifier, pieces = self._open.pop()
            if identifier:
                self.bound.append((self.getpos()[0], identifier, "".join(pieces)))
            if opened == tag:
                break

    def handle_data(self, data: str) -> None:
        if self._quiet > 0:
            return
        for _, identifier, pieces in self._open:
            if identifier:
                pieces.append(data)
        self.lines.append((self.getpos()[0], data))


def _html(state: _Checked, path: Path, file: str) -> None:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8", errors="replace"))
    for line, identifier, text in page.bound:
        _bound(state, file, f"line {line}", identifier, text)
    # sentences run over several elements: they are read block by block of source lines
    lines: dict[int, list[str]] = {}
    for line, text in page.lines:
        for offset, piece in enumerate(text.split("\n")):
            lines.setdefault(line + offset, []).append(piece)
    for line, pieces in lines.items():
        _text(state, file, f"line {line}", "".join(pieces))
    for line, name, value in page.meta:
        if name != "viewport":
            _text(state, file, f"line {line}, meta {name}", value)
    for line, target in page.links:
        plain = target.partition("#")[0]
        if not plain or re.match(r"https?://|mailto:|doi:", plain):
            continue
        if not (path.parent / plain).exists() or ".." in Path(plain).parts:
            state.add(file, f"line {line}", target, "link")
    for number, ((line, kind, data), shown) in enumerate(zip(page.images, page.shown, strict=True), start=1):
        where, cohort = f"line {line}, picture {number}", shown.partition(":")[0]
        if "svg" in kind:
            of_patients = cohort not in state.studies
            _drawing(state, file, where, data.decode("utf-8", errors="replace"), of_patients=of_patients)
        elif "png" in kind:
            _png_chunks(state, file, where, data)


def _svg(state: _Checked, path: Path, file: str) -> None:
    _drawing(state, file, "", path.read_text(encoding="utf-8", errors="replace"))


def _drawing(state: _Checked, file: str, place: str, text: str, *, of_patients: bool = True) -> None:
    """Look at what a drawing prints: text, or comments where letters are outlines."""
    for match in re.finditer(r"<!--\s*(.*?)\s*-->|<(text|tspan|title|desc)\b[^>]*>([^<]*)<", text, re.DOTALL):
        where = ", ".join(filter(None, (place, f"line {text.count(chr(10), 0, match.start()) + 1}")))
        _text(state, file, where, html.unescape(match[1] or match[3] or ""), of_patients=of_patients)
    for match in re.finditer(r"<metadata>(.*?)</metadata>", text, re.DOTALL):
        for piece in re.findall(r">([^<>]+)<|(?:resource|about)=\"([^\"]+)\"", match[1]):
            _metadata(state, file, ", ".join(filter(None, (place, "metadata"))), "".join(piece))


def _metadata(state: _Checked, file: str, where: str, text: str) -> None:
    if _PATH.search(text):
        state.add(file, where, text, "metadata")
    _text(state, file, where, text)


def _png(state: _Checked, path: Path, file: str) -> None:
    _png_chunks(state, file, "", path.read_bytes())


def _png_chunks(state: _Checked, file: str, place: str, data: bytes) -> None:
    at = 8
    while at + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        content = data[at + 8 : at + 8 + length]
        at += 12 + length
        if kind in (b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"tIME"):
            where = ", ".join(filter(None, (place, f"chunk {kind.decode()}")))
            state.add(file, where, content[:100].decode("latin-1"), "metadata")


def _pdf(state: _Checked, path: Path, file: str) -> None:
    """Look at the metadata of a PDF; what it prints is read in the page or drawing of the same name."""
    data = path.read_bytes()
    pieces = [data]
    for match in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL):
        try:
            pieces.append(zlib.decompress(match[1]))
        except zlib.error:
            continue
    for piece in pieces:
        for match in re.finditer(rb"/(Author|Creator|Producer|Title|Subject|Keywords)\s*\(((?:[^()\\]|\\.)*)\)", piece):
            text = match[2].decode("utf-16") if match[2].startswith(b"\xfe\xff") else match[2].decode("latin-1")
            _metadata(state, file, match[1].decode(), text)
        for match in re.finditer(rb"<(dc:\w+|xmp:\w+|pdf:\w+|rdf:li)[^>]*>([^<]+)<", piece):
            name = match[1].decode()
            if name not in ("xmp:CreateDate", "xmp:ModifyDate", "xmp:MetadataDate", "dc:date"):
                _metadata(state, file, name, match[2].decode("utf-8", errors="replace"))
        for match in re.finditer(rb"(?:file://|/(?:home|root|Users|work|tmp)/)[\w./~-]{3,}", piece):
            state.add(file, "content", match[0].decode(), "metadata")


def _docx(state: _Checked, path: Path, file: str) -> None:
    with zipfile.ZipFile(path) as parts:
        for name in parts.namelist():
            data = parts.read(name)
            if name.endswith(".xml"):
                text = data.decode("utf-8", errors="replace")
                if name == "docProps/core.xml":
                    text = re.sub(r"<dcterms:\w+[^>]*>[^<]*</dcterms:\w+>", "", text)
                for number, paragraph in enumerate(re.split(r"</w:p>", text), start=1):
                    said = "".join(re.findall(r"<(?:w:t|dc:\w+|cp:\w+|vt:\w+)(?:\s[^>]*)?>([^<]*)<", paragraph))
                    _text(state, file, f"{name}, paragraph {number}", html.unescape(said))
            elif name.endswith(".svg"):
                _drawing(state, file, name, data.decode("utf-8", errors="replace"))
            elif name.endswith(".png"):
                _png_chunks(state, file, name, data)


def _parquet(state: _Checked, path: Path, file: str) -> None:
    """Say which columns of a table for machines name patients."""
    import pyarrow.parquet

    try:
        names = pyarrow.parquet.read_schema(path).names
    except (OSError, ValueError):
        return
    for name in names:
        if _IDENTIFIERS.fullmatch(name):
            state.add(file, "header", name, "row_level")


_FILES: Final[Mapping[str, Callable[[_Checked, Path, str], None]]] = {
    ".md": _markdown,
    ".txt": _markdown,
    ".json": _json,
    ".csv": _csv,
    ".html": _html,
    ".svg": _svg,
    ".png": _png,
    ".pdf": _pdf,
    ".docx": _docx,
}


def findings_text(findings: Iterable[Finding]) -> str:
    """Return findings as lines for people: file, place, rule, what was found."""
    output = io.StringIO()
    for each in findings:
        output.write(f"{each.file}, {each.where}: {each.rule}: {each.what}\n")
    return output.getvalue()


def findings_json(findings: Iterable[Finding]) -> str:
    """Return findings as JSON."""
    return json.dumps([each.to_json() for each in findings], indent=2, ensure_ascii=False)
