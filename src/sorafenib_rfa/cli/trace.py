"""``sorafenib-rfa trace``: from a number, sentence, table, figure or file back to raw rows."""

from __future__ import annotations

import difflib
import fnmatch
import re
from typing import TYPE_CHECKING, Any

import click

from sorafenib_rfa.cli.terminal import BAD, FAINT, GOOD, NOTE, STRONG, Terminal, counted, question, size
from sorafenib_rfa.errors import Problem
from sorafenib_rfa.vocabulary import EVIDENCE_PARTS

if TYPE_CHECKING:
    from sorafenib_rfa.provenance.trace import Chain, Members, Step
    from sorafenib_rfa.provenance.tree import Tree, Use

SHOWN_JOBS = 4
"""Jobs told in full; those further back are one line each unless --all is given."""
VALUES = ("value", "ci_low", "ci_high", "p_value")
_DIGEST = re.compile(r"[0-9a-f]{64}")
SHOWN_ROWS = 12
"""Numbers of a table or claim that are listed unless --all is given."""


@click.command(short_help="Where something comes from.")
@click.argument("identifier", metavar="ID")
@click.option("--rows", is_flag=True, help="Print every raw row behind a count: file, sheet, row, patient (CSV).")
@click.option("--code", is_flag=True, help="Print the code that ran, with a diff where the tree has moved on.")
@click.option(
    "--file", "patterns", multiple=True, metavar="PATTERN", help="With --code: these files instead ('*' for all)."
)
@click.option("--all", "everything", is_flag=True, help="Tell every job, number and file in full.")
@question
def command(
    terminal: Terminal, identifier: str, rows: bool, code: bool, patterns: tuple[str, ...], everything: bool
) -> int:
    """Show where ID comes from, job by job, back to raw files and rows.

    ID is an id of ard.csv (or cohort:ID), claim:NAME, table:NAME, figure:NAME, meta:KEY or a path.

    \b
    Examples:
      sorafenib-rfa trace flow.patients.analysed
      sorafenib-rfa trace claim:abstract_rfs
      sorafenib-rfa trace figure:km_rfs --code
      sorafenib-rfa trace flow.patients.analysed --rows > rows.csv
    """  # noqa: D301 (click's mark for lines that stay as they are)
    from sorafenib_rfa.provenance.trace import trace
    from sorafenib_rfa.provenance.tree import QueryError, Tree

    if patterns and not code:
        raise click.UsageError("--file goes with --code")
    if rows and code:
        raise click.UsageError("--rows and --code answer different questions: ask one at a time")
    tree = Tree(terminal.root)
    chain = trace(terminal.root, identifier, tree=tree)
    broken = any(breach["broken"] for breach in chain.breaches)
    if rows:
        if not chain.members:
            raise QueryError(Problem(f"{chain.id} rests on no count of patients or rows"))
        _print_rows(terminal, tree, chain)
    elif code:
        _print_code(terminal, chain, patterns)
    elif terminal.as_json:
        terminal.json(chain.to_json())
    else:
        _print(terminal, chain, everything)
    return 1 if broken else 0


# --- the chain ------------------------------------------------------------------------------------------------------


def _print(terminal: Terminal, chain: Chain, everything: bool) -> None:
    terminal.line((chain.id, STRONG), ("  synthetic data" if chain.synthetic else "", NOTE))
    if chain.kind == "number":
        _value(terminal, chain)
    elif chain.claim is not None:
        _claim(terminal, chain)
    elif chain.fact is not None:
        _fact(terminal, chain)
    _used(terminal, chain)
    if chain.files:
        terminal.heading("Files")
        terminal.columns([(end, path) for end, path in chain.files.items()])
    if chain.kind in ("claim", "table"):
        _numbers(terminal, chain, everything)
    _members(terminal, chain)
    _breaches(terminal, chain)
    if chain.read_by:
        terminal.heading("Run as code by" if chain.kind == "code" else "Read by", counted(len(chain.read_by), "job"))
        shown = chain.read_by if everything else chain.read_by[:SHOWN_ROWS]
        terminal.columns([(path,) for path in shown])
        _more(terminal, len(chain.read_by) - len(shown))
    _jobs(terminal, chain, everything)
    _sources(terminal, chain, everything)


def _value(terminal: Terminal, chain: Chain) -> None:
    row = chain.rows[0]
    terminal.gap()
    terminal.prose(row["shown"], indent=2, style=STRONG)
    terminal.gap()
    printed = [text for text in chain.printed if text != row["shown"]]
    terminal.pairs(
        [
            ("printed as", "  |  ".join(printed)),
            ("value", f"{row['value']!r} ({row['unit']})" if row["value"] is not None else "not estimable"),
            ("method", row["method"] or ""),
            ("engine", row["engine"] or ""),
            ("estimand", row["estimand_id"] or ""),
            ("population", row["population"] or ""),
            ("row of", row["file"]),
        ]
    )


def _claim(terminal: Terminal, chain: Chain) -> None:
    claim = chain.claim
    terminal.gap()
    terminal.prose(claim.wording or "No paper that is built here says it.", indent=2, style=STRONG)
    terminal.heading("What it looked at")
    for alias, value in claim.values.items():
        numbers = [f"{name} {value[name]:.6g}" for name in VALUES if value[name] is not None]
        terminal.prose(", ".join(numbers) or "not estimable", indent=2, first=f"{alias}: ")
        terminal.line((value["id"], FAINT), indent=4)
    terminal.heading("Which wording was said", claim.branches[0].file if claim.branches else "")
    for branch in claim.branches:
        word, style = {True: ("said", GOOD), False: ("no", ""), None: ("not asked", FAINT)}[branch.holds]
        label = f"{word:<10} line {branch.line:<5} "
        terminal.prose(branch.condition, indent=2, first=label, style=style)


def _fact(terminal: Terminal, chain: Chain) -> None:
    fact = chain.fact
    where = f"{fact.file}:{fact.line}" if fact.line is not None else fact.file
    terminal.gap()
    terminal.prose(fact.value, indent=2, style=STRONG)
    terminal.gap()
    terminal.pairs([("stands in", where), ("key", fact.key)])
    if fact.now is not None:
        terminal.line((f"the tree has moved on: it now says {fact.now}", NOTE), indent=2)


def _numbers(terminal: Terminal, chain: Chain, everything: bool) -> None:
    terminal.heading("Numbers", counted(len(chain.rows), "number"))
    shown = chain.rows if everything else chain.rows[:SHOWN_ROWS]
    for row in shown:
        terminal.line(row["shown"], indent=2)
        terminal.line((row["id"], FAINT), indent=4)
    _more(terminal, len(chain.rows) - len(shown))


def _used(terminal: Terminal, chain: Chain) -> None:
    if chain.kind not in ("number", "claim", "table", "figure", "meta"):
        return
    if not chain.used:
        terminal.heading("In the paper", "nowhere")
        return
    terminal.heading("In the paper", counted(len(chain.used), "place"))
    terminal.columns([(f"{use.file}:{use.line}", _how(use)) for use in chain.used])


def _how(use: Use) -> str:
    if use.kind == "claim":
        return f"claim {use.target}"
    if use.kind == "val":
        return f"in the wording of claim {use.claim}" if use.claim else "number"
    return f"{use.kind} {use.target}"


def _members(terminal: Terminal, chain: Chain) -> None:
    if chain.kind == "number" and not chain.members:
        terminal.heading("Patients and rows", "it rests on no count of patients or rows")
    for members in chain.members:
        what = counted(members.count, "patient" if members.counted == "patients" else "row")
        role = "" if members.role == "count" else f"{members.role.replace('_', ' ')}: "
        terminal.heading(role + what, f"{counted(members.raw_rows, 'row')} of raw files")
        if members.role != "count":
            terminal.line((members.ard_id, FAINT), indent=2)
        _who(terminal, members, 8 if len(chain.members) == 1 else 3)
    if chain.members:
        terminal.line(("all of these rows: --rows", FAINT), indent=2)


def _who(terminal: Terminal, members: Members, shown: int) -> None:
    more = members.patients - len(members.first_patients)
    names = ", ".join(members.first_patients) + (f" and {more:,} more" if more else "")
    if names:
        of_studies = members.ard_id.partition(":")[2].partition(".")[0] in EVIDENCE_PARTS
        noun = ("entry", "entries") if of_studies else ("patient", "patients")
        label = f"of {counted(members.patients, *noun)}: " if members.counted == "rows" else ""
        terminal.prose(names, indent=2, first=label)
    files = list(members.raw_files.items())
    terminal.columns(
        [(f"{count:,}", "row" if count == 1 else "rows", file) for file, count in files[:shown]], right="r"
    )
    _more(terminal, len(files) - shown, word="--rows")
    if members.first_rows:
        first = members.first_rows[0]
        sheet = f", sheet {first['sheet']}" if first["sheet"] else ""
        terminal.line(("the first: ", FAINT), f"row {first['row']} of {first['file']}{sheet}", indent=2)


def _breaches(terminal: Terminal, chain: Chain) -> None:
    if not chain.breaches:
        return
    broken = sum(breach["broken"] for breach in chain.breaches)
    terminal.heading("Seals", f"{broken} broken" if broken else "kept; the tree has moved on since")
    for breach in chain.breaches:
        word, style = ("BROKEN", BAD) if breach["broken"] else ("moved on", NOTE)
        terminal.columns([((word, style), breach["path"])])
        terminal.prose(breach["message"], indent=4)


def _jobs(terminal: Terminal, chain: Chain, everything: bool) -> None:
    if not chain.jobs:
        return
    seconds = sum(job.seconds for job in chain.jobs)
    terminal.heading("How it came about", f"{counted(len(chain.jobs), 'job')}, {seconds:.0f} s, the last first")
    number_of = {entry["path"]: n for n, job in enumerate(chain.jobs, start=1) for entry in job.outputs}
    full = chain.jobs if everything else chain.jobs[:SHOWN_JOBS]
    for number, job in enumerate(full, start=1):
        _job(terminal, number, job, number_of, everything, told_inputs=chain.kind != "meta" or everything)
    if len(chain.jobs) > len(full):
        terminal.gap()
        rest = [
            (f"{n}", job.title, f"{job.seconds:.1f} s", f"seal {job.seal[:16]}")
            for n, job in enumerate(chain.jobs, start=1)
            if n > len(full)
        ]
        terminal.columns(rest, right="r r")


def _job(
    terminal: Terminal, number: int, job: Step, number_of: dict[str, int], everything: bool, *, told_inputs: bool
) -> None:
    terminal.gap()
    terminal.line(f"{number:>2}  ", (job.title, STRONG), (f"  {job.cohort}  {job.seconds:.1f} s", FAINT), indent=1)
    moved = job.moved_on
    names = ", ".join(f"{name} {version}" for name, version in job.distributions.items())
    terminal.pairs(
        [
            ("record", job.record),
            ("seal", job.seal),
            ("notebook", job.notebook or ""),
            ("parameters", ", ".join(_parameter(key, value) for key, value in job.params.items())),
            ("seed", str(job.seed)),
            ("packages", names if everything else f"{len(job.distributions)}, with Python {job.python}"),
            ("code", f"{job.script} + {len(job.code) - 1} files{'' if moved else ', as in the tree'}"),
        ],
        indent=4,
    )
    words = {"changed": "changed since:", "reworded": "comments or formatting changed since:", "gone": "gone since:"}
    for file in moved:
        terminal.line((words[file.tree], NOTE), f" {file.path}", indent=16)
    if not told_inputs:
        return
    mine = [entry for entry in job.inputs if entry["made_by"] is None or _number(entry, number_of)]
    inputs = mine if everything else mine[:8]
    rows = []
    for entry in inputs:
        maker = _number(entry, number_of)
        digest = [(entry["sha256"][:12], FAINT)] if everything else []
        rows.append([*digest, size(entry["bytes"]), f"job {maker}" if maker else "source", entry["path"]])
    if rows:
        terminal.line(("read", FAINT), indent=4)
        terminal.columns(rows, indent=6, right=" r" if everything else "r")
    _more(terminal, len(mine) - len(inputs), indent=6)
    if len(mine) < len(job.inputs):
        rest = counted(len(job.inputs) - len(mine), "other file")
        terminal.line((f"and {rest}, of jobs not told here", FAINT), indent=6)


def _number(entry: dict[str, Any], number_of: dict[str, int]) -> int | None:
    """Return the number of the job that made an input, if it is told here."""
    parts = entry["path"].split("/")
    above = ["/".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next((number_of[path] for path in above if path in number_of), None)


def _parameter(key: str, value: Any) -> str:
    if isinstance(value, dict):
        return f"{key} ({counted(len(value), 'key')})"
    if isinstance(value, list):
        return f"{key} ({counted(len(value), 'item')})"
    text = str(value)
    return f"{key} {text[:12]}" if _DIGEST.fullmatch(text) else f"{key} {text}"


def _sources(terminal: Terminal, chain: Chain, everything: bool) -> None:
    for title, entries in (("Raw files", chain.raw_files), ("Made by no job", chain.sources)):
        if not entries or (title != "Raw files" and entries == chain.raw_files):
            continue
        total = size(sum(entry["bytes"] for entry in entries))
        terminal.heading(title, f"{counted(len(entries), 'file')}, {total}")
        shown = entries if everything or len(entries) <= 2 * SHOWN_ROWS else entries[:SHOWN_ROWS]
        terminal.columns(
            [((entry["sha256"][:12], FAINT), size(entry["bytes"]), entry["path"]) for entry in shown], right=" r"
        )
        _more(terminal, len(entries) - len(shown))


def _more(terminal: Terminal, count: int, indent: int = 2, word: str = "--all") -> None:
    if count > 0:
        terminal.line((f"and {count:,} more ({word})", FAINT), indent=indent)


# --- raw rows, code -------------------------------------------------------------------------------------------------


def _print_rows(terminal: Terminal, tree: Tree, chain: Chain) -> None:
    from sorafenib_rfa.provenance.trace import all_rows

    rows = [
        {"role": members.role, "id": members.ard_id, **row}
        for members in chain.members
        for row in all_rows(tree, members.ard_id)
    ]
    if terminal.as_json:
        terminal.json(rows)
        return
    import csv
    import sys

    from sorafenib_rfa.cli.terminal import plain

    writer = csv.writer(sys.stdout, lineterminator="\n")
    columns = ("role", "id", "file", "sheet", "row", "patient", "table")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_no_formula(plain(row[name] if row[name] is not None else "")) for name in columns])


def _no_formula(cell: str) -> str:
    """Return a cell that a spreadsheet does not take for a formula."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@") else cell


def _fits(path: str, pattern: str) -> bool:
    """Return whether a path fits a pattern; one without wildcards fits any path it is part of."""
    return fnmatch.fnmatchcase(path, pattern if any(mark in pattern for mark in "*?[") else f"*{pattern}*")


def _print_code(terminal: Terminal, chain: Chain, patterns: tuple[str, ...]) -> None:
    from sorafenib_rfa.provenance.trace import executed_code, main_code
    from sorafenib_rfa.provenance.tree import QueryError

    if not chain.jobs:
        raise QueryError(Problem(f"no job made {chain.id}", hint="ask for what was made from it"))
    job, chosen = main_code(chain)
    if patterns:
        candidates = {file.path: (step, file) for step in reversed(chain.jobs) for file in step.code}
        hits = [path for path in candidates if any(_fits(path, pattern) for pattern in patterns)]
        if not hits:
            near = difflib.get_close_matches(patterns[0], candidates, n=3)
            raise QueryError(
                Problem(
                    "no job of this chain ran such a file",
                    found=", ".join(patterns),
                    hint=f"did you mean {' or '.join(near)}?" if near else "see --json for all files",
                )
            )
        files = [candidates[path] for path in sorted(hits)]
    else:
        files = [(job, file) for path in chosen for file in job.code if file.path == path]
    shown = [{**executed_code(terminal.root, step, file), "job": step.record} for step, file in files]
    if terminal.as_json:
        terminal.json(shown)
        return
    for each in shown:
        terminal.line((f"── {each['path']} ", STRONG), (f"as {each['job']} ran it", FAINT))
        terminal.line((f"   sha256 {each['sha256']}", FAINT))
        terminal.gap()
        terminal.code(each["source"], "python" if each["path"].endswith(".py") else "text")
        terminal.gap()
        if each["diff"]:
            terminal.line((f"── the tree has moved on: {each['path']}", NOTE))
            terminal.code(each["diff"], "diff")
            terminal.gap()
        elif each["tree"] == "gone":
            terminal.line(("── the tree no longer holds this file", NOTE))
    rest = [file.path for file in job.code if file.path not in chosen]
    if rest and not patterns:
        terminal.line((f"{counted(len(rest), 'other file')} may have run: --file PATTERN shows them", FAINT))
        terminal.columns([(path,) for path in rest])
