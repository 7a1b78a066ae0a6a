"""Make everything that the records claim again in a scratch copy, and compare.

The verdict is given in the words of the AEA data editor's replication report, with the reasons of that report
(https://github.com/AEADataEditor/replication-template, section "Classification"). What counts as which is stricter
here than there, where up to a quarter of the numbers may differ in a full reproduction; see :func:`classify`.
"""

from __future__ import annotations

import platform
import re
import subprocess
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from sorafenib_rfa.errors import Problem, UserError
from sorafenib_rfa.provenance.causes import Cause, job_causes
from sorafenib_rfa.provenance.compare import (
    DIFFERENT,
    EQUAL,
    IDENTICAL,
    LEVELS,
    MISSING,
    TOLERANCES,
    Comparison,
    Difference,
    compare,
    near,
    tolerance_of,
)
from sorafenib_rfa.provenance.scratch import (
    Failure,
    Progress,
    Rerun,
    config_for,
    copy_sources,
    make_again,
    scratch_folder,
)
from sorafenib_rfa.provenance.trace import Chain, trace
from sorafenib_rfa.provenance.tree import PAPER_RULE
from sorafenib_rfa.records.digests import members
from sorafenib_rfa.records.record import FOLDER, Record, Records, load_records
from sorafenib_rfa.records.run_log import NAME as RUN_LOG
from sorafenib_rfa.records.run_log import read_log
from sorafenib_rfa.records.seals import Breach, check_seals

FULL: Final = "full reproduction"
MINOR: Final = "full reproduction with minor issues"
PARTIAL: Final = "partial reproduction"
NOT_ABLE: Final = "not able to reproduce most or all of the results"
CLASSIFICATIONS: Final = (FULL, MINOR, PARTIAL, NOT_ABLE)

DISCREPANCY: Final = "Discrepancy in output"
CODE_MISSING: Final = "Code missing"
PREPARATION_MISSING: Final = "Data preparation code missing"
NOT_FUNCTIONAL: Final = "Code not functional"
SOFTWARE: Final = "Software not available to replicator"
DATA_MISSING: Final = "Data missing"
DATA_NOT_AVAILABLE: Final = "Data not available"
README_MISSING: Final = "Missing README"

PREPARATION: Final = ("simulate_raw", "fetch_colon_adjuvant", "ingest_site", "clean_cohort", "build_adam")
"""Rules that prepare data rather than analyse them."""
EXPORT_FOLDERS: Final = ("audit", "bag", "crate", "paperwork")
"""Folders below ``results/<cohort>/`` with what describes the results for others. It holds run times, so that no two
runs make the same bytes: its seals are checked, it is not made again."""
UNCLAIMED: Final = "unclaimed"
RECORD_MISSING: Final = "record_missing"
"""Kinds of a breach of which no seal can say what a result should be."""
PAPER_TARGET: Final = "paper"
"""Target that makes every paper, also one whose record is gone."""
_VALUES: Final = ("value", "ci_low", "ci_high", "p_value")


class NothingToVerifyError(UserError):
    """There is nothing that could be verified."""

    title = "There is nothing to verify"


class Watcher:
    """Is told how far the verification is; does nothing by itself."""

    def stage(self, text: str) -> None:
        """Be told that a stage begins."""

    def cost(self, cost: Cost) -> None:
        """Be told what is going to be run."""

    def progress(self, progress: Progress) -> None:
        """Be told how far Snakemake is."""


@dataclass(frozen=True)
class Source:
    """A file that no job makes and that the verification starts from.

    Attributes
    ----------
    path : str
    bytes : int
    availability : str
        ``repository`` (anyone has it), ``private`` (not part of the repository), ``absent`` (not here).
    """

    path: str
    bytes: int
    availability: str


@dataclass(frozen=True)
class Cost:
    """What a rerun takes, as the records of the runs before tell it.

    Attributes
    ----------
    jobs : int
    seconds : float
        Of all jobs together, one after the other.
    peak_memory_mb : float
        Of the largest job.
    data : tuple of Source
        Data files that no job makes.
    made : int
        Raw files that the workflow makes itself (simulated).
    """

    jobs: int
    seconds: float
    peak_memory_mb: float
    data: tuple[Source, ...] = ()
    made: int = 0

    @property
    def public(self) -> bool:
        """Whether everybody who has the repository can run it."""
        return all(source.availability == "repository" for source in self.data)

    def sentence(self) -> str:
        """Return it in words."""
        minutes = f"{self.seconds:.0f} s" if self.seconds < 120 else f"{self.seconds / 60:.0f} min"
        kinds = []
        if self.made:
            kinds.append(f"{self.made} simulated file{'s' if self.made != 1 else ''} the workflow makes itself")
        public = [source for source in self.data if source.availability == "repository"]
        private = [source for source in self.data if source.availability != "repository"]
        if public:
            kinds.append(f"{len(public)} public file{'s' if len(public) != 1 else ''} of this repository")
        if private:
            names = _few([source.path for source in private], 3)
            kinds.append(f"{len(private)} private file{'s' if len(private) != 1 else ''} ({names})")
        jobs = f"{self.jobs} job{'s' if self.jobs != 1 else ''}"
        return (
            f"{jobs}, {minutes} of one core as recorded, {self.peak_memory_mb:.0f} MB at most; "
            f"data: {' and '.join(kinds) if kinds else 'none'}"
        )


@dataclass(frozen=True)
class NumberChecked:
    """One ARD row of a claim, as recorded and as made again."""

    id: str
    level: str
    recorded: dict[str, float | None]
    rerun: dict[str, float | None]


@dataclass(frozen=True)
class ClaimChecked:
    """What was asked for by name: its numbers, and for a claim which branch holds before and after."""

    id: str
    kind: str
    where: tuple[str, ...]
    printed: tuple[str, ...]
    numbers: tuple[NumberChecked, ...] = ()
    branch_recorded: str = ""
    branch_rerun: str = ""


@dataclass(frozen=True)
class Verified:
    """An output that a verification is about, as its record states it.

    Attributes
    ----------
    path, sha256 : str
    record, seal : str
        Record of the job that made it, and the record's seal.
    asked_for : bool
        Whether it is what was asked for, or holds its numbers; otherwise that rests on it.
    """

    path: str
    sha256: str
    record: str
    seal: str
    asked_for: bool


@dataclass(frozen=True)
class Verdict:
    """The result of a verification.

    Attributes
    ----------
    classification : str or None
        One of :data:`CLASSIFICATIONS`; None when only seals were checked.
    reasons : tuple of (reason, explanation)
        Reasons of the AEA's list, why it is no full reproduction.
    claim : ClaimChecked or None
        What was asked for, when it was one thing.
    records : int
        Records whose seals were checked.
    breaches : tuple of Breach
    cost : Cost or None
    rerun : dict or None
        jobs, seconds, failures, seals_equal.
    comparisons : tuple of Comparison
        Of every output, in the order of the workflow.
    explanations : dict
        Path of a differing output -> why, as far as the records tell.
    not_made_again : tuple of (path, why)
        Outputs that were not run again.
    environment : dict
        python and platform here; ``differs``: packages whose version is not the recorded one.
    seconds : float
        Time the verification took.
    scratch : str or None
        Scratch copy, when it was kept.
    verified : tuple of Verified
        What the verification is about, by digest and seal.
    """

    classification: str | None
    reasons: tuple[tuple[str, str], ...]
    claim: ClaimChecked | None
    records: int
    breaches: tuple[Breach, ...]
    cost: Cost | None = None
    rerun: dict[str, Any] | None = None
    comparisons: tuple[Comparison, ...] = ()
    explanations: Mapping[str, str] = field(default_factory=dict)
    not_made_again: tuple[tuple[str, str], ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    scratch: str | None = None
    verified: tuple[Verified, ...] = ()

    @property
    def broken(self) -> list[Breach]:
        """Broken seals."""
        return [breach for breach in self.breaches if breach.broken]

    @property
    def moved_on(self) -> list[Breach]:
        """What changed honestly since it was recorded."""
        return [breach for breach in self.breaches if not breach.broken]

    @property
    def unclaimed(self) -> list[Breach]:
        """Results that no record claims: nothing says what they should be. They are among those that moved on."""
        return [breach for breach in self.breaches if breach.kind == UNCLAIMED]

    @property
    def exit_code(self) -> int:
        """0: reproduced, at most with minor issues, every seal whole, every result claimed by a record; 1 otherwise."""
        return int(bool(self.broken or self.unclaimed) or self.classification in (PARTIAL, NOT_ABLE))

    def counts(self) -> dict[str, int]:
        """Return level -> number of outputs."""
        return {level: sum(c.level == level for c in self.comparisons) for level in LEVELS}

    def to_json(self) -> dict[str, Any]:
        """Return plain data; identical outputs are counted, not listed."""
        return {
            "classification": self.classification,
            "exit_code": self.exit_code,
            "reasons": [{"reason": reason, "explanation": text} for reason, text in self.reasons],
            "claim": asdict(self.claim) if self.claim else None,
            "seals": {
                "records": self.records,
                "broken": [asdict(breach) for breach in self.broken],
                "moved_on": [asdict(breach) for breach in self.moved_on],
            },
            "cost": (asdict(self.cost) | {"public": self.cost.public}) if self.cost else None,
            "rerun": self.rerun,
            "outputs": {"compared": len(self.comparisons), **self.counts()},
            "not_identical": [
                c.to_json() | ({"explanation": self.explanations[c.path]} if c.path in self.explanations else {})
                for c in self.comparisons
                if c.level != IDENTICAL
            ],
            "not_made_again": [{"path": path, "why": why} for path, why in self.not_made_again],
            "tolerances": [
                {"files": t.files, "columns": t.columns, "relative": t.relative, "absolute": t.absolute}
                | {"exact_where": t.exact_where, "reason": t.reason}
                for t in TOLERANCES
            ],
            "environment": dict(self.environment),
            "seconds": round(self.seconds, 1),
            "scratch": self.scratch,
            "verified": [asdict(each) for each in self.verified],
        }


def _few(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


# --- the judgement --------------------------------------------------------------------------------


def classify(
    comparisons: Collection[Comparison],
    essential: Collection[str],
    *,
    not_attempted: int = 0,
    other_issues: bool = False,
    unaccounted: bool = False,
) -> str:
    """Return the classification of a rerun.

    - full reproduction: every output is identical or equal within the declared tolerances, and nothing else is amiss;
    - with minor issues: everything that the paper rests on and shows is reproduced, but another output (of at most a
      quarter of all) is not, or something else is amiss: a seal, a source that moved on, a README that is missing;
    - not able: fewer than a quarter of the outputs are reproduced;
    - partial: everything between, and whatever came out where a result that is shown is claimed by no record, the
      record of a job is gone, or a paper was not compared.

    Parameters
    ----------
    comparisons : collection of Comparison
    essential : collection of str
        Outputs that a paper, or the claim asked for, rests on.
    not_attempted : int
        Outputs that could not even be run.
    other_issues : bool
    unaccounted : bool
        Whether there are results of which no record says what they should be, or a paper was not compared.
    """
    total = len(comparisons) + not_attempted
    bad = [comparison for comparison in comparisons if not comparison.reproduced]
    failed = len(bad) + not_attempted
    if total == 0 or (total - failed) / total < 0.25:
        return NOT_ABLE
    if unaccounted:
        return PARTIAL
    if not failed:
        return MINOR if other_issues else FULL
    if not_attempted or any(comparison.path in essential for comparison in bad) or failed / total > 0.25:
        return PARTIAL
    return MINOR


def essential_outputs(records: Records) -> set[str]:
    """Return the outputs that papers show or rest on; of a tree without a paper, all."""
    papers = [record for record in records.values() if record.rule == PAPER_RULE]
    chosen = [each for paper in papers for each in records.upstream(paper)] if papers else list(records.values())
    return {path for record in chosen for path, _ in _sealed_files(record)}


def _sealed_files(record: Record, *roots: Path) -> Iterator[tuple[str, str | None]]:
    """Yield path and recorded digest of each file a job made; of a folder each file, also those found in `roots`."""
    for entry in record.outputs:
        if "members" not in entry:
            yield entry["path"], entry["sha256"]
            continue
        sealed = {member["path"]: member["sha256"] for member in entry["members"]}
        folders = [root / entry["path"] for root in roots]
        there = {m.relative_to(folder).as_posix() for folder in folders if folder.is_dir() for m in members(folder)}
        for name in sorted({*sealed, *there}):
            yield f"{entry['path']}/{name}", sealed.get(name)


def availability(root: Path, paths: Iterable[str]) -> dict[str, str]:
    """Return path -> ``repository``, ``private`` or ``absent``.

    A file belongs to the repository when git tracks it; where there is no git, when it does not lie below
    ``data/raw``, which the repository ignores.
    """
    paths = sorted(set(paths))
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "ls-files", "-z", "--", *(f":(literal){path}" for path in paths)],
            capture_output=True,
        )
        tracked = set(done.stdout.decode("utf-8", "replace").split("\0")) if done.returncode == 0 else None
    except FileNotFoundError:
        tracked = None
    found = {}
    for path in paths:
        public = path in tracked if tracked is not None else not path.startswith("data/raw/")
        if (root / path).exists():
            found[path] = "repository" if public else "private"
        else:
            found[path] = "absent"
    return found


def cost_of(root: Path, records: Records, chosen: Collection[Record]) -> Cost:
    """Return what making the outputs of `chosen` records again takes; makers before them are to be among them."""
    data = {
        entry["path"]: entry["bytes"]
        for record in chosen
        for entry in record.inputs
        if records.maker(entry["path"]) is None and entry["path"].startswith("data/")
    }
    where = availability(root, data)
    made = {entry["path"] for record in chosen for entry in record.outputs if entry["path"].startswith("data/raw/")}
    return Cost(
        len(chosen),
        round(sum(record.seconds for record in chosen), 1),
        max((float(record.run.get("peak_memory_mb") or 0.0) for record in chosen), default=0.0),
        tuple(Source(path, data[path], where[path]) for path in sorted(data)),
        len(made),
    )


def in_order(records: Records) -> list[Record]:
    """Return all records, makers before their readers."""
    ordered: dict[str, Record] = {}
    for record in records.values():
        for each in records.upstream(record):
            ordered.setdefault(each.path, each)
    return list(ordered.values())


def describes_runs(record: Record) -> bool:
    """Return whether a job's outputs tell of the runs, with their times, and are not comparable."""
    parts = [entry["path"].split("/") for entry in record.outputs]
    return bool(parts) and all(len(p) > 2 and p[0] == "results" and p[2] in EXPORT_FOLDERS for p in parts)


# --- the run --------------------------------------------------------------------------------------


def verify(
    root: Path,
    identifier: str | None = None,
    *,
    rerun: bool = True,
    keep: bool = False,
    watcher: Watcher | None = None,
) -> Verdict:
    """Check all seals, make the results again in a scratch copy with this environment, and compare.

    Parameters
    ----------
    root : Path
        The repository; it is only read.
    identifier : str, optional
        ARD id, ``claim:``, ``table:``, ``figure:`` or a path: only what this rests on is run.
    rerun : bool
        False: seals only.
    keep : bool
        Keep the scratch copy.
    watcher : Watcher, optional

    Raises
    ------
    NothingToVerifyError
        If nothing was recorded, or the identifier names something that no job computes.
    """
    began, watcher = time.monotonic(), watcher or Watcher()
    watcher.stage("checking the seals")
    breaches = tuple(check_seals(root))
    records = load_records(root)
    chain = None
    if not records:
        if breaches:  # there are records, none of which can be read
            return Verdict(None, (), None, 0, breaches, seconds=time.monotonic() - began)
        raise NothingToVerifyError(
            Problem("nothing has been built here", file="results/", hint="build it: make paper; or adopt a bundle")
        )
    if identifier is not None:
        chain = trace(root, identifier, seals=False)
    if not rerun:
        return Verdict(
            None,
            (),
            None,
            len(records),
            breaches,
            environment=_environment(),
            seconds=time.monotonic() - began,
            verified=_verified(records, set(records), None),
        )
    wanted = _wanted(records, chain)
    chosen = [record for record in in_order(records) if record.path in wanted and not describes_runs(record)]
    not_made = [
        (entry["path"], "it tells of the runs, with their times; its seal is checked")
        for path, record in records.items()
        if path in wanted and describes_runs(record)
        for entry in record.outputs
    ]
    cost = cost_of(root, records, chosen)
    watcher.cost(cost)
    with scratch_folder("verify", keep=keep) as scratch:
        watcher.stage("copying the sources")
        copy_sources(root, scratch, records)
        runnable, without_data = _runnable(root, scratch, records, chosen)
        watcher.stage("running the jobs again")
        targets = _targets(records, runnable, chain)
        if chain is None and not without_data and any(b.kind in (UNCLAIMED, RECORD_MISSING) for b in breaches):
            targets.append(PAPER_TARGET)
        started = time.monotonic()
        done, unknown = (
            make_again(
                scratch,
                targets,
                config=config_for(root, {record.path.split("/")[1] for record in runnable}),
                on_progress=watcher.progress,
            )
            if targets
            else (Rerun(0, ""), [])
        )
        took = time.monotonic() - started
        watcher.stage("comparing")
        again = load_records(scratch)
        return _judge(
            root,
            scratch,
            records,
            again,
            runnable,
            without_data,
            done,
            unknown,
            chain,
            breaches,
            cost,
            took,
            tuple(not_made),
            began,
            str(scratch) if keep else None,
            _verified(records, wanted, chain),
        )


def _wanted(records: Records, chain: Chain | None) -> set[str]:
    if chain is None:
        return set(records)
    if chain.kind in ("source", "code", "meta") or not chain.jobs:
        raise NothingToVerifyError(
            Problem(
                f"no job computes {chain.id}",
                found=f"a {chain.kind}",
                expected="a number, claim:NAME, table:NAME, figure:NAME or a result",
                hint=f"sorafenib-rfa trace {chain.id} says where it comes from",
            )
        )
    starts = _starts(chain)
    return {each.path for start in starts for each in records.upstream(start)}


def _verified(records: Records, wanted: Collection[str], chain: Chain | None) -> tuple[Verified, ...]:
    """Return the outputs of the `wanted` records that can be compared, sorted by path."""
    starts = set(_starts(chain)) if chain is not None else wanted
    found = [
        Verified(entry["path"], entry["sha256"], path, records[path].seal, path in starts)
        for path in wanted
        if not describes_runs(records[path])
        for entry in records[path].outputs
    ]
    return tuple(sorted(found, key=lambda each: each.path))


def _starts(chain: Chain) -> list[str]:
    """Return the records that must be made again for a chain: for numbers their estimate jobs, not the collector."""
    if chain.kind in ("number", "claim"):
        return sorted({f"results/{row['cohort']}/{row['record']}" for row in chain.rows})
    return [chain.jobs[0].record]


def _targets(records: Records, runnable: list[Record], chain: Chain | None) -> list[str]:
    names = {record.path for record in runnable}
    if chain is not None:
        return [path for path in _starts(chain) if path in names]
    return sorted(names)


def compare_unclaimed(
    root: Path, scratch: Path, breaches: Iterable[Breach]
) -> tuple[list[Comparison], list[tuple[str, str]]]:
    """Compare what no record claims with what the rerun has at the same place.

    Parameters
    ----------
    root, scratch : Path
        The tree, and its copy in which the results were made again.
    breaches : iterable of Breach
        Of the tree.

    Returns
    -------
    list of Comparison
        Of the files that the rerun made too.
    list of (path, why)
        The others.
    """
    compared, left = [], []
    for path in sorted({breach.path for breach in breaches if breach.kind == UNCLAIMED}):
        if (scratch / path).is_file():  # what tells of the runs is not made again, so it is never there
            compared.append(compare(path, root, scratch))
        else:
            left.append((path, "no record claims it, and nothing that was run makes it"))
    return compared, left


def papers_not_compared(root: Path, records: Records, comparisons: Iterable[Comparison]) -> list[str]:
    """Return the files, or where these are not known the records, of papers that were made and not compared."""
    compared = {comparison.path for comparison in comparisons}
    papers = [record for record in records.values() if record.rule == PAPER_RULE]
    missing = {entry["path"] for record in papers for entry in record.outputs} - compared
    for log in (root / "results").glob(f"*/{FOLDER}/{RUN_LOG}"):
        for entry in read_log(log):
            if entry.content.get("rule") == PAPER_RULE and entry.content.get("event") in ("finished", "adopted"):
                missing |= {str(entry.content.get("record"))} - set(records)
    return sorted(missing)


def _runnable(
    root: Path, scratch: Path, records: Records, chosen: list[Record]
) -> tuple[list[Record], dict[str, list[str]]]:
    """Return the records whose sources are all there, and for the others the data they lack."""
    lacking: dict[str, list[str]] = {}
    for record in chosen:
        gone = [
            entry["path"]
            for entry in record.inputs
            if records.maker(entry["path"]) is None and not (scratch / entry["path"]).exists()
        ]
        for entry in record.inputs:
            maker = records.maker(entry["path"])
            if maker is not None:
                gone += lacking.get(maker.path, [])
        if gone:
            lacking[record.path] = sorted(set(gone))
    return [record for record in chosen if record.path not in lacking], lacking


def _judge(
    root: Path,
    scratch: Path,
    records: Records,
    again: Records,
    runnable: list[Record],
    without_data: dict[str, list[str]],
    done: Rerun,
    unknown: list[str],
    chain: Chain | None,
    breaches: tuple[Breach, ...],
    cost: Cost,
    took: float,
    not_made: tuple[tuple[str, str], ...],
    began: float,
    kept: str | None,
    verified: tuple[Verified, ...],
) -> Verdict:
    comparisons = [
        compare(entry["path"], root, scratch, sealed=entry["sha256"]) for record in runnable for entry in record.outputs
    ]
    unclaimed, left = compare_unclaimed(root, scratch, breaches)
    comparisons += unclaimed
    not_made += tuple(left)
    for path, lacks in without_data.items():
        why = f"it rests on data that are not here: {_few(lacks, 3)}"
        not_made += tuple((entry["path"], why) for entry in records[path].outputs)
    checked = _claim_checked(root, scratch, chain, again) if chain is not None else None
    if chain is not None:
        essential = {path for start in _starts(chain) for r in records.upstream(start) for path, _ in _sealed_files(r)}
    else:
        essential = essential_outputs(records)
    reasons = _reasons(root, comparisons, without_data, done, unknown, records)
    if checked is not None and (
        checked.branch_recorded != checked.branch_rerun
        or any(number.level in (DIFFERENT, MISSING) for number in checked.numbers)
    ):
        lost = [number.id for number in checked.numbers if number.level in (DIFFERENT, MISSING)]
        text = f"{checked.id} does not come out as recorded"
        reasons.setdefault(DISCREPANCY, text + (f": {', '.join(lost[:5])}" if lost else ""))
        comparisons += [
            _number_comparison(number) for number in checked.numbers if number.level in (DIFFERENT, MISSING)
        ]
        essential |= {comparison.path for comparison in comparisons if comparison.compared_as == "ARD row"}
    papers = papers_not_compared(root, records, comparisons) if chain is None else []
    unaccounted = _unaccounted(breaches, left, papers if not without_data else [])
    for reason, text in unaccounted.items():
        reasons[reason] = f"{reasons[reason]}; {text}" if reason in reasons else text
    if not (root / "README.md").is_file():
        reasons[README_MISSING] = "there is no README.md"
    attempted_not = sum(len(list(_sealed_files(records[path]))) for path in without_data)
    classification = classify(
        comparisons,
        essential,
        not_attempted=attempted_not,
        other_issues=bool(breaches) or README_MISSING in reasons,
        unaccounted=bool(unaccounted or papers),
    )
    twins = [(record, again[record.path]) for record in runnable if record.path in again]
    rerun = {
        "jobs": len(twins),
        "asked_for": len(runnable) + len(without_data),
        "seconds": round(took, 1),
        "seals_equal": sum(a.seal == b.seal for a, b in twins),
        "failures": [asdict(failure) for failure in done.failures],
        "stopped": _stopped(done, twins, runnable),
    }
    return Verdict(
        classification,
        tuple(reasons.items()),
        checked,
        len(records),
        breaches,
        cost,
        rerun,
        tuple(comparisons),
        _explanations(records, again, comparisons),
        not_made,
        _environment(twins),
        time.monotonic() - began,
        kept,
        verified,
    )


def _stopped(done: Rerun, twins: list[tuple[Record, Record]], runnable: list[Record]) -> str:
    """Return the end of what Snakemake said when it did not get to run jobs at all, or died without a failed job."""
    if done.returncode == 0 or done.failures or len(twins) == len(runnable):
        return ""
    lines = [line for line in done.said.split("\n") if line.strip()]
    return "\n".join(lines[-25:])


def _reasons(
    root: Path,
    comparisons: list[Comparison],
    without_data: dict[str, list[str]],
    done: Rerun,
    unknown: list[str],
    records: Records,
) -> dict[str, str]:
    reasons: dict[str, str] = {}
    differing = [comparison for comparison in comparisons if comparison.level == DIFFERENT]
    if differing:
        first = differing[0]
        more = f"; and {len(differing) - 1} more outputs" if len(differing) > 1 else ""
        reasons[DISCREPANCY] = f"{_in_words(first)}{more}"
    if unknown:
        rules = sorted({records[path].rule if path in records else path for path in unknown})
        reasons[CODE_MISSING] = f"no rule makes any more what these jobs made: {', '.join(rules)}"
        prepared = [rule for rule in rules if rule in PREPARATION]
        if prepared:
            reasons[PREPARATION_MISSING] = ", ".join(prepared)
    software = [f for f in done.failures if f.type in ("ModuleNotFoundError", "ImportError", "PackageNotFoundError")]
    if software:
        reasons[SOFTWARE] = "; ".join(sorted({failure.message for failure in software}))
    failed = [failure for failure in done.failures if failure not in software]
    if failed:
        first = failed[0]
        more = f" (and {len(failed) - 1} more jobs)" if len(failed) > 1 else ""
        reasons[NOT_FUNCTIONAL] = f"{first.title}: {_first_sentence(first)}{more}"
    elif done.returncode and not software and any(comparison.level == MISSING for comparison in comparisons):
        said = [line for line in done.said.split("\n") if line.strip()]
        reasons[NOT_FUNCTIONAL] = f"Snakemake stopped: {said[-1].strip() if said else 'it said nothing'}"
    gone = sorted({path for paths in without_data.values() for path in paths})
    if gone:
        where = _tracked_or_public(root, gone)
        missing = [path for path in gone if path in where]
        private = [path for path in gone if path not in where]
        if missing:
            reasons[DATA_MISSING] = _few(missing)
        if private:
            reasons[DATA_NOT_AVAILABLE] = f"not part of the repository and not here: {_few(private)}"
    absent = [comparison.path for comparison in comparisons if comparison.level == MISSING]
    if absent and not reasons:
        reasons[DISCREPANCY] = f"{absent[0]} is missing{f' and {len(absent) - 1} more' if len(absent) > 1 else ''}"
    return reasons


def _unaccounted(breaches: Iterable[Breach], left: list[tuple[str, str]], papers: list[str]) -> dict[str, str]:
    """Return reason -> words for results of which no record says what they should be, and papers not compared."""
    breaches = list(breaches)
    gone = [breach.path for breach in breaches if breach.kind == RECORD_MISSING]
    unclaimed = [breach.path for breach in breaches if breach.kind == UNCLAIMED]
    texts = []
    if gone:
        texts.append(f"records that are gone: {_few(gone)}")
    if unclaimed:
        texts.append(f"results that no record claims: {_few(unclaimed)}")
    papers = [path for path in papers if path not in gone]
    if papers:
        texts.append(f"of a paper, not compared: {_few(papers)}")
    reasons = {DISCREPANCY: "; ".join(texts)} if texts else {}
    if left:
        reasons[CODE_MISSING] = f"nothing that was run makes {_few([path for path, _ in left])}"
    return reasons


def _in_words(comparison: Comparison) -> str:
    if not comparison.differences:
        return comparison.path
    first = comparison.differences[0]
    place = ", ".join(filter(None, [comparison.path, first.row, first.column]))
    return f"{place}: {first.recorded or '(nothing)'} recorded, {first.rerun or '(nothing)'} made again"


def _tracked_or_public(root: Path, paths: list[str]) -> set[str]:
    """Return those of `paths`, which are not here, that should have come with the repository."""
    try:
        done = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], capture_output=True)
        if done.returncode == 0:
            return set(paths) & set(done.stdout.decode("utf-8", "replace").split("\0"))
    except FileNotFoundError:
        pass
    return {path for path in paths if not path.startswith("data/raw/")}


def _first_sentence(failure: Failure) -> str:
    lines = [line.strip() for line in failure.message.split("\n") if line.strip()]
    text = " ".join(lines[:3])
    return f"{failure.type}: {text}"[:300] if text else failure.type


def _explanations(records: Records, again: Records, comparisons: list[Comparison]) -> dict[str, str]:
    """Return why outputs differ: what their job itself had otherwise, or which of its inputs differ."""
    found = {}
    for comparison in comparisons:
        if comparison.level != DIFFERENT:
            continue
        record = records.maker(comparison.path)
        other = again.get(record.path) if record is not None else None
        if record is None or other is None:
            continue
        if record.seal == other.seal:
            continue  # the job made what it had recorded; the comparison says that the file was changed afterwards
        own = job_causes(record, other)
        inputs = {entry["path"]: entry["sha256"] for entry in other.inputs}
        changed = [entry["path"] for entry in record.inputs if inputs.get(entry["path"]) != entry["sha256"]]
        pieces = [str(cause) for cause in _most_telling(own)[:3]]
        if changed:
            sources = [path for path in changed if records.maker(path) is None]
            shown = sources or changed
            verb = "other data were read" if sources else "it follows from"
            pieces.append(f"{verb}: {_few(shown, 3)}")
        found[comparison.path] = "; ".join(pieces) or "the same inputs, code and parameters gave another result"
    return found


def _most_telling(causes: list[Cause]) -> list[Cause]:
    order = ("parameter", "code", "seed", "software")
    return sorted(causes, key=lambda cause: order.index(cause.kind) if cause.kind in order else len(order))


def _environment(twins: Collection[tuple[Record, Record]] = ()) -> dict[str, Any]:
    differs: dict[str, Cause] = {}
    for record, other in twins:
        for cause in job_causes(record, other):
            if cause.kind == "software":
                differs.setdefault(cause.name, cause)
    recorded = sorted({str(record.run.get("platform")) for record, _ in twins if record.run.get("platform")})
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "recorded_on": recorded,
        "differs": [
            {"name": cause.name, "recorded": cause.before, "here": cause.after}
            for _, cause in sorted(differs.items(), key=lambda item: item[0].lower())
        ],
    }


# --- one claim ------------------------------------------------------------------------------------


def _claim_checked(root: Path, scratch: Path, chain: Chain, again: Records) -> ClaimChecked:
    where = tuple(f"{use.file}:{use.line}" for use in chain.used)
    if chain.kind not in ("number", "claim"):
        return ClaimChecked(chain.id, chain.kind, where, tuple(chain.printed))
    remade = {
        (row["cohort"], row["ard_id"]): _row_made_again(scratch, again, row["cohort"], row["record"], row["ard_id"])
        for row in chain.rows
    }
    numbers = tuple(_number_checked(row, remade[(row["cohort"], row["ard_id"])]) for row in chain.rows)
    recorded = again_branch = ""
    if chain.claim is not None:
        from sorafenib_rfa.provenance.interpretation import branch_that_holds

        said = next((branch for branch in chain.claim.branches if branch.said), None)
        recorded = said.condition if said is not None else "none"
        rows = {}
        for alias, value in chain.claim.values.items():
            cohort, _, ard_id = value["id"].partition(":")
            rows[alias] = remade.get((cohort, ard_id)) or dict.fromkeys(_VALUES)
        holds = branch_that_holds(root, chain.id.partition(":")[2], rows)
        again_branch = holds if holds is not None else "none"
    return ClaimChecked(chain.id, chain.kind, where, tuple(chain.printed), numbers, recorded, again_branch)


def _row_made_again(scratch: Path, again: Records, cohort: str, record: str, ard_id: str) -> dict[str, Any] | None:
    import pyarrow.parquet as pq

    maker = again.get(f"results/{cohort}/{record}")
    for entry in maker.outputs if maker is not None else ():
        if re.search(r"/ard/[^/]*(parts/)?[^/]+\.parquet$", entry["path"]) and (scratch / entry["path"]).is_file():
            table = pq.read_table(scratch / entry["path"])
            if "ard_id" in table.column_names and "stat_name" in table.column_names:
                for row in table.to_pylist():
                    if row["ard_id"] == ard_id:
                        return row
    return None


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _number_checked(row: Mapping[str, Any], other: Mapping[str, Any] | None) -> NumberChecked:
    name = f"{row['cohort']}:{row['ard_id']}"
    recorded = {key: row[key] for key in _VALUES}
    if other is None:
        return NumberChecked(name, MISSING, recorded, dict.fromkeys(_VALUES))
    level = IDENTICAL
    for key in _VALUES:
        a, b = _number(row[key]), _number(other[key])
        if a == b or (a != a and b != b):
            continue
        tolerance = tolerance_of("results/cohort/ard/ard.parquet", key)
        exact = tolerance is None or (tolerance.exact_where and row["unit"] in tolerance.exact_where[1])
        level = DIFFERENT if exact or not near(a, b, tolerance) or level == DIFFERENT else EQUAL
    return NumberChecked(name, level, recorded, {key: other[key] for key in _VALUES})


def _number_comparison(number: NumberChecked) -> Comparison:
    differences = tuple(
        Difference(f"ard_id={number.id.partition(':')[2]}", key, str(number.recorded[key]), str(number.rerun[key]))
        for key in _VALUES
        if number.recorded[key] != number.rerun[key]
    )
    note = "" if number.level == DIFFERENT else "no such row was made"
    return Comparison(number.id, number.level, "ARD row", differences, len(differences), note=note)
