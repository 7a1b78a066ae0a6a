"""A built tree as the queries see it: records, results, where the papers use what, each read once and when needed."""

from __future__ import annotations

import csv
import hashlib
import html.parser
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sorafenib_rfa.errors import Problem, UserError
from sorafenib_rfa.provenance.config_keys import key_in_file
from sorafenib_rfa.records.record import Record, Records, load_records

if TYPE_CHECKING:
    import pandas as pd

PAPER_RULE: Final = "render_manuscript"
_EXHIBIT: Final = re.compile(
    r"^results/(?P<cohort>[^/]+)/(?:[^/]+/)*(?P<kind>table|figure)s/(?P<name>[^/]+)\.(?P<end>\w+)$"
)
_BOUND: Final = re.compile(r'data-ard="((?:[^"\\]|\\.)*)"')


class QueryError(UserError):
    """What was asked for is not there."""

    title = "This cannot be answered"


@dataclass(frozen=True)
class Use:
    """One place of a paper's source that shows something.

    Attributes
    ----------
    file, line : str, int
        In the author's source.
    kind : str
        val, claim, table, figure or meta.
    target : str
        As ``uses.csv`` names it.
    claim : str
        Claim within whose wording it stands; empty if none.
    ard_ids : tuple of str
        ``cohort:ard_id`` of all rows it shows.
    paper : str
        Cohort whose paper it is.
    """

    file: str
    line: int
    kind: str
    target: str
    claim: str
    ard_ids: tuple[str, ...]
    paper: str

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, without the ids."""
        return {
            "file": self.file,
            "line": self.line,
            "kind": self.kind,
            "target": self.target,
            "claim": self.claim or None,
            "paper": self.paper,
        }


@dataclass
class Tree:
    """A built tree.

    Attributes
    ----------
    root : Path
        Repository root.
    """

    root: Path
    _ards: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict, init=False)
    _papers: dict[str, str] = field(default_factory=dict, init=False)
    _sha256: dict[str, str | None] = field(default_factory=dict, init=False)
    _identities: dict[str, str | None] = field(default_factory=dict, init=False)
    _counts: dict[str, Any] = field(default_factory=dict, init=False)
    _members: dict[str, Any] = field(default_factory=dict, init=False)
    _patients: dict[str, pd.DataFrame] = field(default_factory=dict, init=False)
    _places: dict[str, pd.DataFrame] = field(default_factory=dict, init=False)

    @cached_property
    def built(self) -> Records:
        """All records of finished jobs; there may be none."""
        return load_records(self.root)

    @property
    def records(self) -> Records:
        """All records of finished jobs.

        Raises
        ------
        QueryError
            If there is none.
        """
        if not self.built:
            raise QueryError(
                Problem(
                    "nothing has been built here, or it was built before jobs left records",
                    file="results/",
                    expected="results/<cohort>/records/<rule>/<wildcards>.json",
                    hint="build it: make paper",
                )
            )
        return self.built

    @cached_property
    def run(self) -> dict[str, Any]:
        """Return the content of ``config/config.yaml``."""
        found = key_in_file(self.root, "config/config.yaml", ())
        return found[2] if found is not None and isinstance(found[2], dict) else {}

    @cached_property
    def cohorts(self) -> list[str]:
        """Cohorts with results, those of the configuration first."""
        chosen = self.run.get("cohort") or []
        named = [*([chosen] if isinstance(chosen, str) else chosen), *(self.run.get("supplement_cohorts") or [])]
        built = sorted({record.path.split("/")[1] for record in self.records.values()})
        return [*(name for name in dict.fromkeys(named) if name in built), *(n for n in built if n not in named)]

    # ------------------------------------------------------------------ numbers
    def ard_files(self, cohort: str) -> dict[str, Record]:
        """Return the collected ARD files of a cohort, none of a release -> record of the job that wrote them."""
        return {
            entry["path"]: record
            for record in self.records.values()
            for entry in record.outputs
            if re.fullmatch(rf"results/{cohort}/(?!disclosure/)(?:\w+/)?ard/ard\.parquet", entry["path"])
        }

    def ard(self, cohort: str) -> dict[str, dict[str, Any]]:
        """Return ard_id -> row of a cohort, each with ``file``, the collected file that holds it."""
        if cohort not in self._ards:
            import pyarrow.parquet as pq

            rows: dict[str, dict[str, Any]] = {}
            for file in sorted(self.ard_files(cohort)):
                if (self.root / file).is_file():
                    try:
                        table = pq.ParquetFile(self.root / file).read()  # read_table would import pandas
                    except (OSError, ValueError) as error:  # pyarrow's errors are among these
                        raise QueryError(
                            Problem("the file cannot be read", file=file, found=str(error).split("\n")[0])
                        ) from None
                    rows |= {row["ard_id"]: {**row, "cohort": cohort, "file": file} for row in table.to_pylist()}
            self._ards[cohort] = rows
        return self._ards[cohort]

    def maker_of_row(self, row: dict[str, Any]) -> Record:
        """Return the record of the job that estimated a row.

        Raises
        ------
        QueryError
            If that record is missing.
        """
        path = f"results/{row['cohort']}/{row['record']}"
        if path not in self.records:
            raise QueryError(
                Problem(
                    f"the record of the job that made {row['cohort']}:{row['ard_id']} is missing or cannot be read",
                    file=path,
                    hint="see sorafenib-rfa status",
                )
            )
        return self.records[path]

    def counts_behind(self, row: dict[str, Any]) -> dict[str, str]:
        """Return the counts a row of the ARD rests on: role -> ard_id; none if it rests on none of patients or rows."""
        cohort = row["cohort"]
        members = f"results/{cohort}/ard/members.parquet"
        if row["file"] != f"results/{cohort}/ard/ard.parquet" or not (self.root / members).is_file():
            return {}
        if cohort not in self._counts:
            import pandas as pd

            from sorafenib_rfa.estimates.members import CountIndex

            self._counts[cohort] = CountIndex(pd.read_parquet(self.root / row["file"]))
        return self._counts[cohort].of(row["ard_id"])

    def members(self, cohort: str, ard_id: str) -> tuple[pd.DataFrame, pd.DataFrame] | None:
        """Return the members of a count and the rows of raw files that hold them; None if it counts neither.

        The first has ``USUBJID, src_file, src_row``, the second the columns of ``estimates.members.raw_rows``.
        """
        from sorafenib_rfa.estimates.members import places_of_rows, raw_rows

        if cohort not in self._members:
            import pandas as pd

            frame = pd.read_parquet(self.root / f"results/{cohort}/ard/members.parquet")
            self._members[cohort] = (frame, frame.groupby("ard_id", sort=False).indices)
        frame, places = self._members[cohort]
        members = frame.iloc[places.get(ard_id, [])]
        if members.empty and self.ard(cohort)[ard_id]["value"] != 0:
            return None
        if counts_rows(ard_id, members):
            if cohort not in self._places and (self.root / f"results/{cohort}/clean").is_dir():
                self._places[cohort] = places_of_rows(self.root, cohort)
            return members, raw_rows(self.root, cohort, ard_id, places=self._places.get(cohort))
        if cohort not in self._patients:  # once for all counts: each reads the same dozens of files otherwise
            everybody = frame["USUBJID"].dropna().unique()
            self._patients[cohort] = raw_rows(self.root, cohort, everybody.tolist())
        rows = self._patients[cohort]
        return members, rows[rows["USUBJID"].isin(members["USUBJID"])].reset_index(drop=True)

    # ------------------------------------------------------------------ code
    def code_now(self, path: str, sha256: str, identity: str) -> str:
        """Return how a file of code in the tree compares with what ran: same, reworded, changed or gone."""
        if path not in self._sha256:
            file = self.root / path
            self._sha256[path] = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None
        if self._sha256[path] is None:
            return "gone"
        if self._sha256[path] == sha256:
            return "same"
        if path not in self._identities:
            self._identities[path] = identity_now(self.root, path)
        return "reworded" if self._identities[path] == identity else "changed"

    # ------------------------------------------------------------------ exhibits
    @cached_property
    def exhibits(self) -> dict[tuple[str, str, str], dict[str, str]]:
        """(kind, cohort, name) of each table and figure -> ending -> path."""
        found: dict[tuple[str, str, str], dict[str, str]] = {}
        for record in self.records.values():
            for entry in record.outputs:
                match = _EXHIBIT.match(entry["path"])
                if match:
                    key = (match["kind"], match["cohort"], match["name"])
                    found.setdefault(key, {})[match["end"]] = entry["path"]
        return found

    def rows_of_table(self, cohort: str, name: str) -> list[str]:
        """Return the ``cohort:ard_id`` of each number a table shows, each once, in its order."""
        path = self.root / self.exhibits[("table", cohort, name)]["md"]
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        return list(dict.fromkeys(bound.replace('\\"', '"').replace("\\\\", "\\") for bound in _BOUND.findall(text)))

    # ------------------------------------------------------------------ papers
    @cached_property
    def papers(self) -> dict[str, Record]:
        """Cohort of each paper -> record of the job that rendered it."""
        return {record.cohort: record for record in self.built.values() if record.rule == PAPER_RULE}

    @cached_property
    def uses(self) -> list[Use]:
        """What every paper shows where, by file and line."""
        found = []
        csv.field_size_limit(1 << 24)  # a table's row names all its numbers
        for cohort, record in self.papers.items():
            name = record.content["names"]["output"].get("uses")
            if name is None or not (self.root / name).is_file():
                continue
            with (self.root / name).open(encoding="utf-8", newline="") as stream:
                for row in csv.DictReader(stream):
                    ids = tuple(each for each in row["ard_ids"].split(";") if each)
                    found.append(
                        Use(row["file"], int(row["line"]), row["kind"], row["target"], row["claim_id"], ids, cohort)
                    )
        return sorted(found, key=lambda use: (use.paper, use.file, use.line, use.kind, use.target))

    def figure_of_use(self, use: Use) -> tuple[str, str]:
        """Return cohort and name of the figure that a use of kind figure shows."""
        parts = use.target.removeprefix("./").removeprefix("figures/").split("/")
        return (parts[0], parts[1]) if len(parts) == 2 else (use.paper, parts[0])

    def paper_text(self, cohort: str) -> str:
        """Return the HTML of a cohort's paper; empty if it is not there."""
        if cohort not in self._papers:
            paths = [entry["path"] for entry in self.papers[cohort].outputs if entry["path"].endswith(".html")]
            present = [self.root / path for path in paths if (self.root / path).is_file()]
            self._papers[cohort] = present[0].read_text(encoding="utf-8", errors="replace") if present else ""
        return self._papers[cohort]

    def printed(self, cohort: str, attribute: str, value: str) -> list[str]:
        """Return the texts that the paper's HTML binds to ``attribute="value"``, each once, in order."""
        text = self.paper_text(cohort)
        needle = f'{attribute}="{html_escaped(value)}"'
        found, at = [], text.find(needle)
        while at >= 0:
            start = text.rfind("<", 0, at)
            found.append(_element_text(text, start))
            at = text.find(needle, at + 1)
        return list(dict.fromkeys(each for each in found if each))

    # ------------------------------------------------------------------ what there is
    def known(self) -> Iterable[str]:
        """Yield every identifier that can be asked for, for near guesses."""
        for number, cohort in enumerate(self.cohorts):
            for ard_id in self.ard(cohort):
                yield ard_id if number == 0 else f"{cohort}:{ard_id}"
        for kind, cohort, name in self.exhibits:
            yield f"{kind}:{name}" if self.cohorts and cohort == self.cohorts[0] else f"{kind}:{cohort}:{name}"
        for use in self.uses:
            if use.kind in ("claim", "meta"):
                yield f"{use.kind}:{use.target}"
        for record in self.records.values():
            yield record.path
            for entry in [*record.inputs, *record.outputs]:
                yield entry["path"]
            yield from record.code_files

    def guesses(self, name: str, known: Iterable[str] | None = None, count: int = 3) -> list[str]:
        """Return the identifiers nearest to `name`, the best first."""
        import difflib

        pool = list(dict.fromkeys(self.known() if known is None else known))
        by_lower = {each.lower(): each for each in reversed(pool)}
        near = difflib.get_close_matches(name.lower(), by_lower, n=count, cutoff=0.6)
        short: dict[str, list[str]] = {}
        for each in pool:  # the name alone, without its kind or folder
            short.setdefault(re.split(r"[:/]", each)[-1].lower(), []).append(each)
        nearer = difflib.get_close_matches(re.split(r"[:/]", name)[-1].lower(), short, n=count, cutoff=0.75)
        found = [by_lower[each] for each in near] + [each for key in nearer for each in short[key]]
        if not found:  # a part of a name
            found = [each for each in pool if name.lower() in each.lower()]
        return list(dict.fromkeys(found))[:count]


LEDGER: Final = ("flow.patients.", "flow.step.")
"""Counts of patients whose members also name the row in which the ledger first saw them."""


def counts_rows(ard_id: str, members: pd.DataFrame) -> bool:
    """Return whether a count is one of rows (events, sessions, cells), each a row of a raw file, not of patients."""
    return bool(members["src_row"].notna().any()) and not ard_id.startswith(LEDGER)


def html_escaped(text: str) -> str:
    """Return `text` as it stands within a quoted HTML attribute."""
    import html

    return html.escape(text, quote=True)


class _Element(html.parser.HTMLParser):
    """Collects the text of the first element it is fed."""

    VOID = frozenset({"br", "img", "wbr", "hr", "input", "meta", "link", "source", "col"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.depth, self.pieces, self.done = 0, [], False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID and not self.done:
            self.depth += 1

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID and not self.done:
            self.depth -= 1
            self.done = self.depth == 0

    def handle_data(self, data: str) -> None:
        if self.depth and not self.done:
            self.pieces.append(data)


def _element_text(text: str, start: int) -> str:
    """Return the text of the HTML element that begins at `start`, white space folded."""
    parser, at = _Element(), start
    while not parser.done and at < len(text):
        end = text.find(">", at + 2000) + 1 or len(text)
        parser.feed(text[at:end])
        at = end
    return " ".join("".join(parser.pieces).split())


def identity_now(root: Path, path: str) -> str | None:
    """Return the digest, blind to comments and formatting, of a file of code in the tree; None if it is no Python."""
    if Path(path).suffix not in (".py", ".ipynb"):
        return hashlib.sha256((root / path).read_bytes()).hexdigest()
    from sorafenib_rfa.records.code_identity import CACHE, CodeIdentity

    cache = root / CACHE
    try:
        return CodeIdentity(root, cache=cache if cache.is_file() else None).files(path)[path]
    except (SyntaxError, ValueError):
        return None
