"""Where something comes from: number -> ARD row -> job -> code as it ran -> parameters -> inputs -> ... -> raw rows.

Everything is read from the records and results that the jobs left; nothing is run.
"""

from __future__ import annotations

import dataclasses
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sorafenib_rfa.errors import Problem
from sorafenib_rfa.provenance.config_keys import ABSENT, key_in_file, look_up
from sorafenib_rfa.provenance.tree import QueryError, Tree, Use, counts_rows
from sorafenib_rfa.records.record import Record

if TYPE_CHECKING:
    import pandas as pd

    from sorafenib_rfa.records.seals import Breach

KINDS: Final = ("claim", "table", "figure", "meta")
"""Prefixes of identifiers, besides the names of cohorts."""
FIRST: Final = 5
"""How many patients and raw rows a chain names; the rest are counted."""
_INGEST: Final = "ingest_site"
_STUDIES: Final = "estimate_evidence"
_VALUES: Final = ("value", "ci_low", "ci_high", "p_value")


@dataclass(frozen=True)
class CodeFile:
    """One file of code a job may have run.

    Attributes
    ----------
    path, sha256, identity : str
        As recorded; `identity` is blind to comments and formatting.
    tree : str
        How the file in the tree compares: ``same``, ``reworded`` (comments or formatting), ``changed`` or ``gone``.
    """

    path: str
    sha256: str
    identity: str
    tree: str


@dataclass(frozen=True)
class Step:
    """One job of a chain, as its record tells it.

    Attributes
    ----------
    rule, cohort, record, seal : str
    wildcards : dict
    script, notebook : str, str or None
    code_digest : str
    code : list of CodeFile
    params : dict
        Tracked parameters.
    seed : int
        Seed of this job.
    python : str
    distributions : dict
        Name -> version of what the job imported.
    seconds : float
    started : str
        ISO, UTC.
    inputs, outputs : list of dict
        path, sha256, bytes; inputs also made_by (record and seal, or None).
    """

    rule: str
    wildcards: dict[str, str]
    cohort: str
    record: str
    seal: str
    script: str
    notebook: str | None
    code_digest: str
    code: list[CodeFile]
    params: dict[str, Any]
    seed: int
    python: str
    distributions: dict[str, str]
    seconds: float
    started: str
    inputs: list[dict[str, Any]]
    outputs: list[dict[str, Any]]

    @property
    def title(self) -> str:
        """Rule and wildcards other than the cohort."""
        return " ".join([self.rule, *(value for key, value in sorted(self.wildcards.items()) if key != "cohort")])

    @property
    def moved_on(self) -> list[CodeFile]:
        """Files of code that are no longer as they ran."""
        return [file for file in self.code if file.tree != "same"]


@dataclass(frozen=True)
class BranchOfClaim:
    """One wording of a claim: its condition, whether it held (None: not asked, an earlier one held), its line."""

    condition: str
    holds: bool | None
    said: bool
    file: str
    line: int


@dataclass(frozen=True)
class ClaimSaid:
    """A claim: what it looked at, which branch was said, in which words."""

    values: dict[str, dict[str, Any]]
    branches: list[BranchOfClaim]
    wording: str


@dataclass(frozen=True)
class Fact:
    """What ``{{< meta >}}`` printed, and where it comes from: file, line and key of the configuration.

    `now` is the value there today where it differs from what was printed, else None.
    """

    value: str
    file: str
    line: int | None
    key: str
    now: str | None


@dataclass(frozen=True)
class Members:
    """Who stands behind a count.

    Attributes
    ----------
    role : str
        What the count is to the number: ``count`` (the number itself), ``numerator``, ``denominator``, ``n``,
        ``events``, or one of these with the name of an arm or level.
    ard_id : str
        ``cohort:ard_id`` of the count.
    count : int
        Its value.
    counted : str
        ``patients`` or ``rows`` (events, values, cells: each is one row of a raw file).
    patients : int
        Different patients.
    first_patients : list of str
    raw_rows : int
        Rows of raw files that hold them.
    raw_files : dict
        Raw file -> how many of these rows.
    first_rows : list of dict
        file, sheet, row, patient, table.
    """

    role: str
    ard_id: str
    count: int
    counted: str
    patients: int
    first_patients: list[str]
    raw_rows: int
    raw_files: dict[str, int]
    first_rows: list[dict[str, Any]]


@dataclass(frozen=True)
class Chain:
    """Where something comes from.

    Attributes
    ----------
    id : str
        The identifier in full: ``cohort:ard_id``, ``claim:name``, ``table:cohort:name``, ``figure:cohort:name``,
        ``meta:key`` or a path.
    kind : str
        number, claim, table, figure, meta, result, source or code.
    cohort : str or None
    synthetic : bool
        Whether it is made from simulated patients.
    printed : list of str
        How the paper prints it.
    used : list of Use
        Where the author's sources show it.
    rows : list of dict
        ARD rows behind it, with ``file`` (the collected ARD) and ``shown`` (formatted with interval).
    claim : ClaimSaid or None
    fact : Fact or None
    jobs : list of Step
        The last job first, those that read raw files at the end.
    files : dict
        Of a table or figure: ending -> path.
    read_by : list of str
        Of a source or a file of code: records of the jobs that read or ran it.
    raw_files : list of dict
        path, sha256, bytes of the exports that the chain's ingest jobs read.
    sources : list of dict
        path, sha256, bytes of everything in the chain that no job makes.
    counts : dict
        Of a number, the counts it rests on: role -> ``cohort:ard_id``, as ``estimates.members.counts_of`` names them.
    members : list of Members
        Who stands behind these counts.
    breaches : list of dict
        Seals in this chain that are broken, and files that have moved on.
    """

    id: str
    kind: str
    cohort: str | None
    synthetic: bool = False
    printed: list[str] = field(default_factory=list)
    used: list[Use] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    claim: ClaimSaid | None = None
    fact: Fact | None = None
    jobs: list[Step] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    read_by: list[str] = field(default_factory=list)
    raw_files: list[dict[str, Any]] = field(default_factory=list)
    sources: list[dict[str, Any]] = field(default_factory=list)
    counts: dict[str, str] = field(default_factory=dict)
    members: list[Members] = field(default_factory=list)
    breaches: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the chain as plain data."""
        content = dataclasses.asdict(self)
        content["used"] = [use.to_json() for use in self.used]
        return content


class NotUnderstood(QueryError):
    """An identifier that names nothing of the tree."""

    title = "There is nothing of this name"


def trace(root: Path, identifier: str, *, tree: Tree | None = None, seals: bool = True) -> Chain:
    """Return where `identifier` comes from.

    Parameters
    ----------
    root : Path
        Repository root.
    identifier : str
        ``ARD_ID`` (of the first cohort that has it), ``cohort:ARD_ID``, ``claim:NAME``, ``table:NAME``,
        ``figure:NAME`` (or ``table:cohort:NAME``), ``meta:KEY``, or the path of a result, record, raw file or file of
        code.
    tree : Tree, optional
        Keeps what was read between calls.
    seals : bool
        Whether the files of the chain are held against their records.

    Raises
    ------
    QueryError
        If nothing has that name (with near guesses), or its record is missing.
    """
    return _Tracer(tree or Tree(root), seals).chain(identifier)


class _Tracer:
    def __init__(self, tree: Tree, seals: bool) -> None:
        self.tree, self.seals = tree, seals

    # ------------------------------------------------------------------ which thing is meant
    def chain(self, identifier: str) -> Chain:
        tree = self.tree
        identifier = identifier.strip()
        prefix, colon, rest = identifier.partition(":")
        if colon and prefix in KINDS:
            chain = getattr(self, f"of_{prefix}")(rest)
        else:
            path = self.as_path(identifier)
            if path is not None:
                chain = self.of_path(path)
            elif colon and prefix in tree.cohorts:
                chain = self.of_number(prefix, rest)
            else:
                cohort = next((name for name in tree.cohorts if identifier in tree.ard(name)), None)
                if cohort is None:
                    raise self.unknown(identifier)
                chain = self.of_number(cohort, identifier)
        return self.with_breaches(chain) if self.seals else chain

    def unknown(self, identifier: str, known: list[str] | None = None) -> NotUnderstood:
        near = self.tree.guesses(identifier, known)
        return NotUnderstood(
            Problem(
                "nothing in this tree has this name",
                found=identifier,
                expected="an ARD id, cohort:ARD_ID, claim:NAME, table:NAME, figure:NAME, meta:KEY or a path",
                hint=f"did you mean {' or '.join(near)}?" if near else None,
            )
        )

    def as_path(self, identifier: str) -> str | None:
        """Return the repository path that `identifier` names, if any record knows it."""
        root = self.tree.root
        candidates = [identifier]
        for base in (root, Path.cwd()):
            absolute = Path(os.path.normpath(base / identifier))
            if absolute.is_relative_to(root):
                candidates.append(absolute.relative_to(root).as_posix())
        for path in candidates:
            if path in self.tree.records or self.tree.records.maker(path) is not None or self.readers(path):
                return path
        return None

    def readers(self, path: str) -> list[Record]:
        """Return the records of the jobs that read a file, or ran it as code."""
        return [
            record
            for record in self.tree.records.values()
            if path in record.code_files or any(entry["path"] == path for entry in record.inputs)
        ]

    # ------------------------------------------------------------------ kinds
    def of_number(self, cohort: str, ard_id: str) -> Chain:
        tree = self.tree
        rows = tree.ard(cohort)
        if ard_id not in rows:
            known = [ard_id if cohort == tree.cohorts[0] else f"{cohort}:{ard_id}" for ard_id in rows]
            raise self.unknown(ard_id if cohort == tree.cohorts[0] else f"{cohort}:{ard_id}", known)
        row = rows[ard_id]
        full = f"{cohort}:{ard_id}"
        records = self.records_of_row(row)
        used = [use for use in tree.uses if full in use.ard_ids]
        counts = self.tree.counts_behind(row)
        return self.finished(
            Chain(
                full,
                "number",
                cohort,
                printed=self.printed("data-ard", full, used),
                used=used,
                rows=[self.shown(row)],
                counts={role: f"{cohort}:{each}" for role, each in counts.items()},
                members=[found for role, each in counts.items() if (found := self.members(cohort, role, each))],
            ),
            records,
        )

    def of_claim(self, name: str) -> Chain:
        tree = self.tree
        used = [use for use in tree.uses if (use.kind == "claim" and use.target == name) or use.claim == name]
        papers = list(dict.fromkeys(use.paper for use in used))
        from sorafenib_rfa.manuscript.claims import load_claims, parse_claim

        file = self.manuscript_source("claims.yaml")
        claims = load_claims(tree.root / file, file) if (tree.root / file).is_file() else {}
        if name not in claims:
            raise self.unknown(f"claim:{name}", [f"claim:{each}" for each in claims])
        claim = parse_claim(claims, name)
        cohort = papers[0] if papers else tree.cohorts[0]
        rows = {alias: self.row_named(identifier, cohort) for alias, identifier in claim.ard.items()}
        branches, held = [], False
        for branch in claim.branches:
            holds = None if held else self.holds(branch.predicate, rows)
            condition = branch.predicate.source if branch.predicate is not None else "otherwise"
            branches.append(BranchOfClaim(condition, holds, holds is True, file, branch.line))
            held = held or holds is True
        printed = self.printed("data-claim", name, used)
        values = {
            alias: {"id": f"{row['cohort']}:{row['ard_id']}", **{key: row[key] for key in _VALUES}}
            for alias, row in rows.items()
        }
        ids = {f"{row['cohort']}:{row['ard_id']}": row for row in rows.values()}
        for use in used:  # numbers within the wording
            for each in use.ard_ids if use.kind == "val" else ():
                ids.setdefault(each, self.row_named(each, cohort))
        return self.finished(
            Chain(
                f"claim:{name}",
                "claim",
                cohort,
                printed=printed,
                used=[use for use in used if use.kind == "claim"],
                rows=[self.shown(row) for row in ids.values()],
                claim=ClaimSaid(values, branches, printed[0] if printed else ""),
            ),
            self.together([self.records_of_row(row) for row in ids.values()]),
        )

    @staticmethod
    def holds(predicate: Any, rows: dict[str, dict[str, Any]]) -> bool:
        from sorafenib_rfa.manuscript.predicate import NotEstimableError, PredicateError

        try:
            return predicate is None or predicate.holds(rows)
        except (NotEstimableError, PredicateError):
            return False

    def of_table(self, name: str) -> Chain:
        cohort, name, files = self.exhibit("table", name)
        full = f"{cohort}:{name}"
        bound = self.tree.rows_of_table(cohort, name)
        rows = [self.row_named(each, cohort) for each in bound]
        maker = self.tree.records.maker(files["md"])
        # a table of words alone has no rows of the ARD: its chain is that of the file
        behind = [self.records_of_row(row) for row in rows] or [self.tree.records.upstream(maker)[::-1]]
        return self.finished(
            Chain(
                f"table:{full}",
                "table",
                cohort,
                used=[use for use in self.tree.uses if use.kind == "table" and use.target == full],
                rows=[self.shown(row) for row in rows],
                files=files,
            ),
            self.together([[maker], *behind]),
        )

    def of_figure(self, name: str) -> Chain:
        cohort, name, files = self.exhibit("figure", name)
        used = [
            use for use in self.tree.uses if use.kind == "figure" and self.tree.figure_of_use(use) == (cohort, name)
        ]
        maker = self.tree.records.maker(next(iter(files.values())))
        return self.finished(
            Chain(f"figure:{cohort}:{name}", "figure", cohort, used=used, files=files),
            self.tree.records.upstream(maker)[::-1],
        )

    def exhibit(self, kind: str, name: str) -> tuple[str, str, dict[str, str]]:
        prefix, colon, rest = name.partition(":")
        cohorts, short = ([prefix], rest) if colon else (self.tree.cohorts, name)
        for cohort in cohorts:
            if (kind, cohort, short) in self.tree.exhibits:
                return cohort, short, self.tree.exhibits[(kind, cohort, short)]
        first = self.tree.cohorts[0]
        known = [
            f"{kind}:{each}" if cohort == first else f"{kind}:{cohort}:{each}"
            for each_kind, cohort, each in self.tree.exhibits
            if each_kind == kind
        ]
        raise self.unknown(f"{kind}:{name}", known)

    def of_meta(self, key: str) -> Chain:
        used = [use for use in self.tree.uses if use.kind == "meta" and use.target == key]
        if not used:
            known = [f"meta:{use.target}" for use in self.tree.uses if use.kind == "meta"]
            raise self.unknown(f"meta:{key}", known)
        cohort = used[0].paper
        paper = self.tree.papers[cohort]
        return self.finished(
            Chain(
                f"meta:{key}",
                "meta",
                cohort,
                printed=self.printed("data-meta", key, used),
                used=used,
                fact=fact_of_meta(self.tree, key, cohort),
            ),
            [paper],
            sources=False,
        )

    def of_path(self, path: str) -> Chain:
        records = self.tree.records
        maker = records.get(path) or records.maker(path)
        readers = self.readers(path)
        if maker is None and any(path in record.code_files for record in readers):
            kind = "code"
        else:
            kind = "result" if maker is not None else "source"
        cohort = maker.cohort if maker is not None else next((record.cohort for record in readers), None)
        chain = Chain(path, kind, cohort, read_by=[record.path for record in readers])
        if kind == "source":
            entry = next(e for record in readers for e in record.inputs if e["path"] == path)
            chain = dataclasses.replace(chain, sources=[_file(entry)])
            if any(entry["path"] == path for record in readers for entry in raw_inputs(record)):
                chain = dataclasses.replace(chain, raw_files=[_file(entry)])
        return self.finished(chain, records.upstream(maker)[::-1] if maker is not None else [])

    # ------------------------------------------------------------------ parts of chains
    def manuscript_source(self, name: str) -> str:
        """Return the path of one of the manuscript's sources, as the paper's record names it."""
        for paper in self.tree.papers.values():
            for entry in paper.inputs:
                if entry["path"].endswith(f"/{name}"):
                    return entry["path"]
        return f"manuscript/{name}"

    def row_named(self, identifier: str, cohort: str) -> dict[str, Any]:
        prefix, colon, rest = identifier.partition(":")
        name, ard_id = (prefix, rest) if colon else (cohort, identifier)
        if ard_id not in self.tree.ard(name):
            raise self.unknown(f"{name}:{ard_id}", [f"{name}:{each}" for each in self.tree.ard(name)])
        return self.tree.ard(name)[ard_id]

    def records_of_row(self, row: dict[str, Any]) -> list[Record]:
        """Return the records behind a row, the last job first: the collector, the estimate's job, all before it."""
        maker = self.tree.maker_of_row(row)
        behind = self.tree.records.upstream(maker)[::-1]
        collector = self.tree.records.maker(row["file"])
        return behind if collector is None or collector in behind else [collector, *behind]

    @staticmethod
    def together(lists: list[list[Record]]) -> list[Record]:
        """Return the records of several chains in one order that keeps every chain's own: readers before makers."""
        records = {record.path: record for each in lists for record in each}
        after: dict[str, set[str]] = {path: set() for path in records}
        makers = {entry["path"]: path for path, record in records.items() for entry in record.outputs}
        for path, record in records.items():
            for entry in record.inputs:
                if makers.get(entry["path"], path) != path:
                    after[makers[entry["path"]]].add(path)
        ordered: list[str] = []

        def visit(path: str) -> None:
            if path not in ordered:
                for reader in sorted(after[path]):
                    visit(reader)
                ordered.append(path)

        for path in records:
            visit(path)
        return [records[path] for path in ordered]

    def shown(self, row: dict[str, Any]) -> dict[str, Any]:
        from sorafenib_rfa.exhibits.format import format_value

        form = "ci" if row["ci_low"] is not None or row["ci_high"] is not None else "value"
        shown = format_value(row, form=form, unit=True)
        if row["p_value"] is not None and row["unit"] != "p":
            shown += f", {format_value(row, form='p')}"
        return {**row, "id": f"{row['cohort']}:{row['ard_id']}", "shown": shown}

    def printed(self, attribute: str, value: str, used: list[Use]) -> list[str]:
        papers = dict.fromkeys(use.paper for use in used)
        return list(dict.fromkeys(text for paper in papers for text in self.tree.printed(paper, attribute, value)))

    def finished(self, chain: Chain, records: list[Record], *, sources: bool = True) -> Chain:
        """Return the chain with the jobs of `records` (the last first), their raw files and sources."""
        raw, origins = {}, {}
        if sources:
            for record in records:
                raw |= {entry["path"]: _file(entry) for entry in raw_inputs(record)}
                for entry in record.inputs:
                    if entry["made_by"] is None and self.tree.records.maker(entry["path"]) is None:
                        origins[entry["path"]] = _file(entry)
        return dataclasses.replace(
            chain,
            jobs=[self.step(record) for record in records],
            raw_files=[raw[path] for path in sorted(raw)] or chain.raw_files,
            sources=[origins[path] for path in sorted(origins)] or chain.sources,
            synthetic=self.synthetic(chain, records),
        )

    def synthetic(self, chain: Chain, records: list[Record]) -> bool:
        """Return whether a job of the chain worked on a simulated cohort, as its parameters say."""
        if any(record.params.get("cohort_config", {}).get("synthetic") for record in records):
            return True
        cohorts = {chain.cohort, *(record.cohort for record in records)}
        return any(
            record.params.get("cohort_config", {}).get("synthetic")
            for record in self.tree.records.values()
            if record.cohort in cohorts
        )

    def step(self, record: Record) -> Step:
        content = record.content
        return Step(
            rule=record.rule,
            wildcards=record.wildcards,
            cohort=record.cohort,
            record=record.path,
            seal=record.seal,
            script=content["script"],
            notebook=content["notebook"],
            code_digest=content["code"]["digest"],
            code=[
                CodeFile(path, file["sha256"], file["identity"], self.tree.code_now(path, **file))
                for path, file in sorted(record.code_files.items())
            ],
            params=record.params,
            seed=content["seed"],
            python=content["environment"]["python"],
            distributions=content["environment"]["distributions"],
            seconds=record.seconds,
            started=record.run.get("started", ""),
            inputs=record.inputs,
            outputs=record.outputs,
        )

    def with_breaches(self, chain: Chain) -> Chain:
        """Return the chain with the broken seals of its files and records."""
        from sorafenib_rfa.records.seals import check_seals

        papers = [self.tree.papers[name] for name in sorted({use.paper for use in chain.used})]
        records = {job.record for job in chain.jobs} | {paper.path for paper in papers}
        paths = {entry["path"] for job in chain.jobs for entry in [*job.inputs, *job.outputs]}
        paths |= {entry["path"] for paper in papers for entry in paper.outputs}  # what is printed is read from there
        paths |= records | {entry["path"] for entry in chain.sources} | {chain.id}
        paths |= {branch.file for branch in chain.claim.branches} if chain.claim is not None else set()
        folders = {f"results/{record.split('/')[1]}/records" for record in records}
        code = {f"{folder}/code/{file.sha256}" for folder in folders for job in chain.jobs for file in job.code}

        def concerns(breach: Breach) -> bool:
            inside = breach.record in records and breach.kind in ("output_changed", "output_missing")
            return breach.path in paths or breach.path in code or inside or breach.kind == "run_log_broken"

        found = [breach for breach in check_seals(self.tree.root) if concerns(breach)]
        return dataclasses.replace(
            chain, breaches=[{**dataclasses.asdict(breach), "broken": breach.broken} for breach in found]
        )

    def members(self, cohort: str, role: str, ard_id: str) -> Members | None:
        """Return who stands behind a count; None if it counts neither patients nor rows (resamples, tests)."""
        found = self.tree.members(cohort, ard_id)
        if found is None:
            return None
        members, raw = found
        of_rows = counts_rows(ard_id, members)
        patients = sorted(str(each) for each in members["USUBJID"].dropna().unique())
        files = raw.groupby("src_file", sort=True).size()
        return Members(
            role=role,
            ard_id=f"{cohort}:{ard_id}",
            count=len(members),
            counted="rows" if of_rows else "patients",
            patients=len(patients),
            first_patients=patients[:FIRST],
            raw_rows=len(raw),
            raw_files={str(file): int(count) for file, count in files.items()},
            first_rows=raw_rows_as_json(raw.head(FIRST)),
        )


def _file(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: entry[key] for key in ("path", "sha256", "bytes")}


def raw_inputs(record: Record) -> list[dict[str, Any]]:
    """Return the raw files that a job read, with which every chain ends: exports, or tables of published studies."""
    if record.rule == _INGEST:
        return list(record.inputs)
    if record.rule == _STUDIES:
        folder = f"{record.params['cohort_config']['raw'].rstrip('/')}/"
        return [entry for entry in record.inputs if entry["path"].startswith(folder)]
    return []


def fact_of_meta(tree: Tree, key: str, cohort: str) -> Fact:
    """Return what the paper of `cohort` printed for a key of ``{{< meta >}}``, from the record of its job."""
    root, paper = tree.root, tree.papers[cohort]
    kind, dot, name = key.partition(".")
    if kind == "version" and dot:
        environment = paper.content["environment"]
        value = environment["python"] if name == "python" else environment["distributions"].get(name, "")
        lock, line = "requirements.lock", None
        if (root / lock).is_file():
            lines = (root / lock).read_text(encoding="utf-8").splitlines()
            wanted = re.compile(rf"{re.escape(name)}==(?P<version>[^\s;\\]+)", re.IGNORECASE)
            hits = [(n, found) for n, text in enumerate(lines, 1) if (found := wanted.match(text))]
            if hits:
                value = value or hits[0][1]["version"]
                return Fact(value, lock, hits[0][0], name, None)
        return Fact(value, paper.path, line, f"environment.{name}", None)
    own_plan = f"config/cohorts/{cohort}/plan.yaml"
    places = []
    for prefix, params, files in (
        ("", ("plan",), [own_plan, "config/plan.yaml"]),
        ("plan_", ("plan",), [own_plan, "config/plan.yaml"]),
        ("", (), ["config/config.yaml"]),
        ("cohort_", ("cohorts", cohort), [f"config/cohorts/{cohort}/cohort.yaml"]),
        ("", ("cohorts", cohort), [f"config/cohorts/{cohort}/cohort.yaml"]),
    ):
        if key.startswith(prefix):
            places.append(((*params, *key.removeprefix(prefix).split(".")), files, key.removeprefix(prefix)))
    for params, files, inner in places:
        value = look_up(paper.params, params)
        if value is ABSENT:
            continue
        for file in files:
            found = key_in_file(root, file, tuple(inner.split("."))) if (root / file).is_file() else None
            if found is not None:
                now = None if str(found[2]) == str(value) else str(found[2])
                return Fact(str(value), file, found[0], inner, now)
    if key == "n_sites":
        folder = f"config/cohorts/{cohort}/sites"
        count, now = len(paper.params.get("sites", {})), len(list((root / folder).glob("*.yaml")))
        return Fact(str(count), folder, None, "one file a centre", str(now) if now != count else None)
    if key == "results_seal":
        from sorafenib_rfa.records.seals import paper_seal

        return Fact(paper_seal(paper.inputs), paper.path, None, "inputs: path and sha256 of each", None)
    printed = tree.printed(cohort, "data-meta", key)
    return Fact(printed[0] if printed else "", paper.path, None, key, None)


def raw_rows_as_json(raw: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows of raw files as plain data: file, sheet, row, patient, table."""
    import pandas as pd

    def text(value: Any) -> str | None:
        return None if pd.isna(value) else str(value)

    return [
        {
            "file": text(row["src_file"]),
            "sheet": text(row["src_sheet"]),
            "row": None if pd.isna(row["src_row"]) else int(row["src_row"]),
            "patient": text(row["USUBJID"]),
            "table": text(row["table"]),
        }
        for row in raw.to_dict("records")
    ]


def all_rows(tree: Tree, identifier: str) -> list[dict[str, Any]]:
    """Return every row of a raw file behind a count (``cohort:ard_id``): file, sheet, row, patient, table."""
    cohort, _, ard_id = identifier.partition(":")
    found = tree.members(cohort, ard_id)
    return raw_rows_as_json(found[1]) if found is not None else []


def main_code(chain: Chain) -> tuple[Step, list[str]]:
    """Return the job that computed what the chain is about, and the files in which it did so.

    These are its script, its notebook, and for numbers the modules that its rows name as engine.
    """
    makers = {f"results/{row['cohort']}/{row['record']}" for row in chain.rows} if chain.kind == "number" else set()
    job = next((job for job in chain.jobs if job.record in makers), chain.jobs[0])
    modules = {str(row["engine"]).replace(".", "/") for row in chain.rows if row["engine"]} if makers else set()
    wanted = [job.script, job.notebook]
    wanted += [path for name in sorted(modules) for path in (f"src/{name}.py", f"src/{name}/__init__.py")]
    ran = {file.path for file in job.code}
    return job, [path for path in wanted if path in ran]


def executed_code(root: Path, job: Step, file: CodeFile) -> dict[str, Any]:
    """Return a file of code as a job ran it: path, sha256, source, tree, and diff to the tree where that moved on.

    Raises
    ------
    QueryError
        If the code store does not hold it.
    """
    import difflib

    from sorafenib_rfa.records.code_store import code_bytes

    try:
        source = code_bytes(root, job.record.split("/")[1], file.sha256).decode("utf-8", errors="replace")
    except FileNotFoundError:
        raise QueryError(
            Problem("the copy of the code that ran is missing", file=file.path, expected=f"sha256 {file.sha256}")
        ) from None
    diff = ""
    if file.tree in ("changed", "reworded"):
        now = (root / file.path).read_bytes().decode("utf-8", errors="replace")
        lines = difflib.unified_diff(
            source.splitlines(keepends=True),
            now.splitlines(keepends=True),
            f"{file.path} (as it ran)",
            f"{file.path} (in the tree)",
        )
        diff = "".join(line if line.endswith("\n") else line + "\n\\ no line end\n" for line in lines)
    return {"path": file.path, "sha256": file.sha256, "tree": file.tree, "source": source, "diff": diff}
