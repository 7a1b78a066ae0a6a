"""``sorafenib-rfa verify``: make the results again in a scratch copy and compare."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sorafenib_rfa.cli.terminal import BAD, FAINT, GOOD, NOTE, STRONG, Terminal, counted, plain, question, to_json

if TYPE_CHECKING:
    from sorafenib_rfa.provenance.verify import Verdict

REPORT = "logs/verification/report.md"
SHOWN = 12
"""Files with differences that are shown on the terminal; the report has more."""


@click.command("verify")
@click.option(
    "--claim",
    metavar="ID",
    help="Only what ID rests on: an ARD id, claim:NAME, table:NAME, figure:NAME or a result's path.",
)
@click.option("--no-rerun", is_flag=True, help="Check the seals only; nothing is run.")
@click.option("--report", metavar="FILE", help=f"Where the written report goes; default: {REPORT}.")
@click.option("--keep", is_flag=True, help="Keep the scratch copy, to look into it.")
@question
def command(terminal: Terminal, claim: str | None, no_rerun: bool, report: str | None, keep: bool) -> int:
    """Make the results again in a scratch copy with this environment, and compare them with the recorded ones.

    All seals are checked first. Nothing in the repository is changed. The verdict is given in the words of the AEA
    data editor; beside the report lies the same as JSON.

    Exit codes: 0 reproduced (at most with minor issues) and every seal whole; 1 otherwise; 2 misuse.
    """
    from sorafenib_rfa.provenance.verify import verify

    if no_rerun and (claim or keep):
        raise click.UsageError("--no-rerun runs nothing: it goes with neither --claim nor --keep")
    verdict = verify(terminal.root, claim, rerun=not no_rerun, keep=keep, watcher=_watcher())
    written = None if no_rerun and report is None else _write(terminal.root, verdict, report)
    if terminal.as_json:
        terminal.json(verdict.to_json() | {"report": written})
    else:
        _show(terminal, verdict, written)
    return verdict.exit_code


def _watcher() -> Any:
    """Return what shows people on standard error how far it is: in place on a terminal, in lines elsewhere."""
    from sorafenib_rfa.provenance.verify import Watcher

    tty = sys.stderr.isatty()

    class OnStandardError(Watcher):
        started = time.monotonic()
        width = 0
        said = 0.0

        def stage(self, text: str) -> None:
            self.print(f"{text} ...")

        def cost(self, cost: Any) -> None:
            self.print(f"to be run: {cost.sentence()}")

        def progress(self, progress: Any) -> None:
            share = progress.done / progress.total if progress.total else 0.0
            job = progress.running[-1] if progress.running else ""
            text = f"{progress.done} of {progress.total} jobs ({share:.0%}), {time.monotonic() - self.started:.0f} s"
            if tty:
                line = f"  {text}  {job}"[:100]
                sys.stderr.write("\r" + line.ljust(self.width))
                sys.stderr.flush()
                self.width = len(line)
            elif share >= self.said + 0.25 or progress.done == progress.total:
                if share > self.said:
                    self.said = share
                    self.print(f"  {text}")

        def print(self, text: str) -> None:
            if self.width:
                sys.stderr.write("\n")
                self.width = 0
            sys.stderr.write(plain(text) + "\n")
            sys.stderr.flush()

    return OnStandardError()


def _write(root: Path, verdict: Verdict, chosen: str | None) -> str | None:
    """Write the report and the JSON beside it; return the report's path, None if the folder cannot be written."""
    from sorafenib_rfa.errors import Problem, UserError
    from sorafenib_rfa.provenance.verify_report import report

    path = Path(chosen) if chosen is not None else root / REPORT
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(report(verdict), encoding="utf-8")
        path.with_suffix(".json").write_text(to_json(verdict.to_json()) + "\n", encoding="utf-8")
    except OSError as error:
        if chosen is not None:
            raise UserError(Problem("the report cannot be written", file=chosen, found=str(error))) from None
        return None
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _show(terminal: Terminal, verdict: Verdict, written: str | None) -> None:
    from sorafenib_rfa.provenance.verify import FULL, MINOR

    terminal.gap()
    if verdict.classification is not None:
        style = GOOD if verdict.classification == FULL else NOTE if verdict.classification == MINOR else BAD
        terminal.line(("Verdict: ", STRONG), (verdict.classification, style))
        for reason, text in verdict.reasons:
            terminal.prose(text, indent=2, first=f"{reason}: ")
    _show_seals(terminal, verdict)
    if verdict.claim is not None:
        _show_claim(terminal, verdict)
    if verdict.classification is None:
        return
    _show_run(terminal, verdict)
    _show_outputs(terminal, verdict)
    if written:
        terminal.gap()
        terminal.line("Report: ", written)
    if verdict.scratch:
        terminal.line("Scratch copy: ", verdict.scratch)


def _show_seals(terminal: Terminal, verdict: Verdict) -> None:
    broken, unclaimed = verdict.broken, verdict.unclaimed
    moved = [breach for breach in verdict.moved_on if breach not in unclaimed]
    if not broken:
        terminal.line(("Seals: ", STRONG), (f"{counted(verdict.records, 'record')}, none broken", GOOD))
    else:
        terminal.line(("Seals: ", STRONG), (f"{len(broken)} broken", BAD), f" of {counted(verdict.records, 'record')}")
    for breach in broken[:SHOWN]:
        if breach.kind == "record_missing":  # its message names the files
            terminal.prose(f"{breach.path}: {breach.message}", indent=2, style=BAD)
        else:
            terminal.line((breach.message + ": ", BAD), breach.path, indent=2)
    if len(broken) > SHOWN:
        terminal.line(f"and {len(broken) - SHOWN} more", indent=2)
    for breach in unclaimed[:SHOWN]:
        terminal.line((breach.message + ": ", BAD), breach.path, indent=2)
    if len(unclaimed) > SHOWN:
        terminal.line(f"and {len(unclaimed) - SHOWN} more that no record claims", indent=2)
    for breach in moved[:SHOWN]:
        terminal.line((breach.message + ": ", NOTE), breach.path, indent=2)
    if len(moved) > SHOWN:
        terminal.line(f"and {len(moved) - SHOWN} more that moved on", indent=2)


def _show_claim(terminal: Terminal, verdict: Verdict) -> None:
    claim = verdict.claim
    terminal.heading(claim.id)
    for text in claim.printed[:2]:
        terminal.prose(text, indent=2, first="the paper says  ")
    if claim.where:
        terminal.prose(", ".join(claim.where), indent=2, first="where  ")
    rows: list[list[Any]] = []
    for number in claim.numbers:
        style = GOOD if number.level in ("identical", "equal") else BAD
        for key, value in number.recorded.items():
            if value is not None or number.rerun[key] is not None:
                rows.append(
                    [f"recorded {value!r}", f"again {number.rerun[key]!r}", (number.level, style), key, number.id]
                )
    terminal.columns(rows)
    if claim.branch_recorded:
        same = claim.branch_recorded == claim.branch_rerun
        terminal.prose(claim.branch_recorded, indent=2, first="condition that holds  ")
        if not same:
            terminal.prose(claim.branch_rerun, indent=2, first="made again, another one  ", style=BAD)


def _show_run(terminal: Terminal, verdict: Verdict) -> None:
    run = verdict.rerun
    terminal.heading("Run again", f"{run['jobs']} of {counted(run['asked_for'], 'job')}, {run['seconds']:.0f} s")
    if run["jobs"]:
        terminal.line(f"{run['seals_equal']} of {run['jobs']} jobs have the seal they had before", indent=2)
    for failure in run["failures"]:
        title = " ".join([failure["rule"], *failure["wildcards"].values()])
        terminal.prose(
            f"{failure['type']}: {failure['message']}"[:600], indent=2, first=f"failed: {title}  ", style=BAD
        )
    for line in run["stopped"].split("\n")[-12:] if run["stopped"] else ():
        terminal.line((line, BAD), indent=4)
    differs = verdict.environment.get("differs", [])
    if differs:
        shown = ", ".join(f"{d['name']} {d['here']} (recorded {d['recorded']})" for d in differs[:8])
        terminal.prose(
            shown + (", ..." if len(differs) > 8 else ""), indent=2, first="other versions here  ", style=NOTE
        )


def _show_outputs(terminal: Terminal, verdict: Verdict) -> None:
    counts = verdict.counts()
    terminal.heading("Outputs", counted(len(verdict.comparisons), "compared", "compared"))
    words = {"identical": "identical bytes", "equal": "equal within tolerance"}
    for level, count in counts.items():
        if count:
            style = GOOD if level == "identical" else "" if level == "equal" else BAD
            terminal.columns([[(f"{count:>5}", style), words.get(level, level)]])
    differing = [comparison for comparison in verdict.comparisons if not comparison.reproduced]
    for comparison in differing[:SHOWN]:
        terminal.gap()
        terminal.line((f"{comparison.level}: ", BAD), comparison.path, indent=2)
        for text in (comparison.note, verdict.explanations.get(comparison.path)):
            if text:
                terminal.prose(text, indent=4, style=FAINT)
        for each in comparison.differences:
            terminal.line((each.row, STRONG), f"  {each.column}" if each.column else "", indent=4)
            terminal.prose(each.recorded or "(nothing)", indent=6, first="recorded  ")
            terminal.prose(each.rerun or "(nothing)", indent=6, first="again     ")
        if comparison.n_differences > len(comparison.differences):
            terminal.line(f"and {comparison.n_differences - len(comparison.differences):,} more", indent=4)
    if len(differing) > SHOWN:
        terminal.line(f"and {counted(len(differing) - SHOWN, 'more file')}", indent=2)
    for path, why in verdict.not_made_again[:SHOWN]:
        terminal.line((f"not made again, {why}: ", NOTE), path, indent=2)
    if len(verdict.not_made_again) > SHOWN:
        terminal.line(f"and {len(verdict.not_made_again) - SHOWN} more not made again", indent=2)
