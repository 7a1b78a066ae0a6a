"""``sorafenib-rfa status``: how the tree stands, seals first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sorafenib_rfa.cli.terminal import BAD, FAINT, GOOD, NOTE, STRONG, Terminal, counted, question

if TYPE_CHECKING:
    from sorafenib_rfa.provenance.status import Status
    from sorafenib_rfa.records.seals import Breach

SHOWN = 10
"""Files of a list that are named unless --all is given."""


@click.command(short_help="How the tree stands.")
@click.option("--no-plan", is_flag=True, help="Do not ask Snakemake what it would run (saves two seconds).")
@click.option("--all", "everything", is_flag=True, help="Name every file.")
@question
def command(terminal: Terminal, no_plan: bool, everything: bool) -> int:
    """Say whether every result is as its job made it, and what is out of date, failed or has moved on.

    Ends with code 1 if a seal is broken.
    """
    from sorafenib_rfa.provenance.status import status

    found = status(terminal.root, plan=not no_plan)
    if terminal.as_json:
        terminal.json(found.to_json())
    else:
        _print(terminal, found, SHOWN if not everything else 1 << 30)
    return 1 if found.broken else 0


def _print(terminal: Terminal, found: Status, shown: int) -> None:
    _seals(terminal, found, shown)
    for paper in found.papers:
        _row(terminal, "Paper", ("rendered", ""), f"of {paper.cohort}")
        for path in paper.files:
            terminal.line(path, indent=INDENT)
        terminal.line(("seal of its record, and of all it was made from:", FAINT), indent=INDENT)
        terminal.line(paper.seal, indent=INDENT)
        terminal.line(paper.inputs_seal, indent=INDENT)
    if not found.papers:
        _row(terminal, "Paper", ("none yet", NOTE), "make paper")
    _plan(terminal, found, shown)
    _run(terminal, found)
    _failures(terminal, found, shown)
    _moved(terminal, found, shown)


INDENT = 10


def _row(terminal: Terminal, label: str, verdict: tuple[str, str], note: str = "") -> None:
    terminal.line((label.ljust(INDENT), STRONG), verdict, (f"  {note}" if note else "", FAINT))


def _rest(terminal: Terminal, count: int) -> None:
    if count > 0:
        terminal.line((f"and {count:,} more (--all)", FAINT), indent=INDENT)


def _seals(terminal: Terminal, found: Status, shown: int) -> None:
    checked = f"{counted(found.files, 'file')}, {counted(found.records, 'record')}"
    if not found.broken:
        if found.records:
            _row(terminal, "Seals", ("kept", GOOD), f"{checked} are as their jobs left them")
        else:
            _row(terminal, "Seals", ("none yet", NOTE), "nothing is built here")
        return
    _row(terminal, "Seals", ("BROKEN", BAD), f"{len(found.broken)} of {checked}")
    _breaches(terminal, found.broken, BAD, shown)
    hint = "Snakemake refuses to build over a broken seal. Delete what was changed and it is made again; or restore it."
    if any(breach.kind == "record_missing" for breach in found.broken):
        hint += (
            " Where a record is gone: delete the files named with it and they are made again; or restore the record."
        )
    terminal.prose(hint, indent=INDENT)


def _breaches(terminal: Terminal, breaches: list[Breach], style: str, shown: int) -> None:
    by_message: dict[str, list[Breach]] = {}
    for breach in breaches:
        by_message.setdefault(breach.message, []).append(breach)
    for message, same in by_message.items():
        for breach in same[:shown]:
            terminal.line((breach.path, style), indent=INDENT)
        _rest(terminal, len(same) - shown)
        terminal.prose(message, indent=INDENT + 2)


def _plan(terminal: Terminal, found: Status, shown: int) -> None:
    if found.plan_error is not None:
        _row(terminal, "To do", ("Snakemake cannot plan", BAD))
        for line in found.plan_error.splitlines()[:shown]:
            terminal.line(line, indent=INDENT)
        return
    if found.would_run is None:
        return
    if not found.would_run:
        _row(terminal, "To do", ("nothing", GOOD), "the paper is up to date")
        return
    total = sum(found.would_run.values())
    _row(terminal, "To do", (f"{counted(total, 'job')} would run", NOTE), "sorafenib-rfa why says why")
    width, line = terminal.console.width - INDENT, ""
    for rule, count in found.would_run.items():
        piece = rule if count == 1 else f"{rule} ({count})"
        if line and len(line) + 2 + len(piece) > width:
            terminal.line(line + ",", indent=INDENT)
            line = ""
        line += (", " if line else "") + piece
    terminal.line(line, indent=INDENT)
    if found.unmade and found.records:  # of a fresh clone, that is everything
        terminal.line((f"{counted(len(found.unmade), 'file')} not made yet:", NOTE), indent=INDENT)
        for path in found.unmade[:shown]:
            terminal.line(path, indent=INDENT)
        _rest(terminal, len(found.unmade) - shown)


def _run(terminal: Terminal, found: Status) -> None:
    run = found.last_run
    if run is None:
        _row(terminal, "Last run", ("none is logged", ""))
        return
    parts = [f"{counted(run.finished, 'job')} finished"]
    parts += [f"{run.failed} failed"] if run.failed else []
    parts += [f"{run.unended} did not end"] if run.unended else []
    _row(terminal, "Last run", (", ".join(parts), BAD if run.failed else ""), f"{moment(run.started)} UTC")


def moment(time: str) -> str:
    """Return an ISO moment to the minute."""
    return time[:16].replace("T", " ")


def _failures(terminal: Terminal, found: Status, shown: int) -> None:
    open_ones = [failure for failure in found.failures if not failure.mended]
    mended = len(found.failures) - len(open_ones)
    if not open_ones and not mended:
        return
    note = f"{counted(mended, 'job')} failed once and finished since" if mended else ""
    _row(
        terminal,
        "Failed",
        (counted(len(open_ones), "job") if open_ones else "none now", BAD if open_ones else ""),
        note,
    )
    for failure in open_ones[:shown]:
        names = " ".join([failure.rule, *map(str, failure.wildcards.values())])
        terminal.line((names, BAD), (f"  {moment(failure.time)}", FAINT), indent=INDENT)
        first = failure.message.strip().splitlines() or [""]
        for line in first[:4]:
            terminal.prose(line.strip(), indent=INDENT + 2)
        terminal.line((failure.record, FAINT), indent=INDENT + 2)
    _rest(terminal, len(open_ones) - shown)


def _moved(terminal: Terminal, found: Status, shown: int) -> None:
    if not found.moved and not found.code:
        return
    code = [file for file in found.code if file.how != "reworded"]
    reworded = len(found.code) - len(code)
    _row(terminal, "Moved on", ("since the jobs ran", NOTE))
    _breaches(terminal, found.moved, NOTE, shown)
    for file in code[:shown]:
        terminal.line((file.path, NOTE), indent=INDENT)
        terminal.line(f"code {file.how}; {counted(len(file.records), 'job')} ran it", indent=INDENT + 2)
    _rest(terminal, len(code) - shown)
    if reworded:
        files = counted(reworded, "file")
        terminal.line(f"{files} of code: only comments or formatting changed, so nothing reruns", indent=INDENT)
