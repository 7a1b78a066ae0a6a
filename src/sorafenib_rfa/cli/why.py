"""``sorafenib-rfa why``: what would be made again, and why."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from sorafenib_rfa.cli.terminal import BAD, FAINT, GOOD, NOTE, STRONG, Terminal, counted, question

if TYPE_CHECKING:
    from sorafenib_rfa.provenance.why import LastTime, Why, WhyJob

SHOWN = 8
"""Jobs named with a cause; --all tells every job."""


@click.command(short_help="What would be made again, and why.")
@click.argument("output", metavar="[OUTPUT]", required=False)
@click.option("--all", "everything", is_flag=True, help="Tell it job by job too.")
@question
def command(terminal: Terminal, output: str | None, everything: bool) -> int:
    """Say what Snakemake would make again for OUTPUT, and why; nothing is run.

    OUTPUT is a path, an id as `trace` takes it, or a target of the workflow; without it, the whole paper.

    \b
    Examples:
      sorafenib-rfa why
      sorafenib-rfa why figure:km_rfs
      sorafenib-rfa why results/synthetic/ard/ard.csv
    """  # noqa: D301 (click's mark for lines that stay as they are)
    from sorafenib_rfa.provenance.why import why

    answer = why(terminal.root, output)
    if terminal.as_json:
        terminal.json(answer.to_json())
    else:
        _print(terminal, answer, everything)
    return 1 if answer.broken else 0


def _print(terminal: Terminal, answer: Why, everything: bool) -> None:
    terminal.line((answer.path or answer.target, STRONG))
    if answer.broken:
        count = counted(len(answer.broken), "seal")
        terminal.heading(f"{count} broken", "Snakemake refuses to run before they are mended")
        for breach in answer.broken:
            terminal.line((breach["path"], BAD), indent=2)
            terminal.prose(breach["message"], indent=4)
    begin = [job for job in answer.jobs if job.begins]
    follow = [job for job in answer.jobs if not job.begins]
    if not answer.jobs:
        terminal.gap()
        terminal.line(("Nothing would be made again", GOOD), ": it is as its inputs, code and parameters make it.")
    else:
        seconds = sum(job.seconds or 0 for job in answer.jobs)
        took = f"; {seconds:.0f} s the last time" if seconds else ""
        terminal.gap()
        terminal.line((f"{counted(len(answer.jobs), 'job')} would run", NOTE), took)
        _causes(terminal, answer)
        if follow:
            word = "jobs follow, because they read" if len(follow) > 1 else "job follows, because it reads"
            terminal.line(f"{len(follow)} more {word} what those make.", indent=2)
    if everything and answer.jobs:
        terminal.heading("Job by job", "in the order in which they would run")
        for job in [*begin, *follow]:
            _job(terminal, job)
    if answer.last is not None:
        _last(terminal, answer.last)


def _causes(terminal: Terminal, answer: Why) -> None:
    terminal.heading("Because")
    for cause in answer.causes:
        terminal.prose(cause.text, indent=2, first="- ")
        names = Counter(cause.jobs)
        jobs = [name if count == 1 else f"{name} ({count})" for name, count in list(names.items())[:SHOWN]]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        terminal.prose(", ".join(jobs) + more, indent=4, first=f"{counted(len(cause.jobs), 'job')}: ")
        if len(cause.route) > 1:
            terminal.prose(" -> ".join(cause.route), indent=4, first="imported: ")


def _job(terminal: Terminal, job: WhyJob) -> None:
    terminal.line((job.title, STRONG), (f"  {job.cohort}", FAINT), indent=2)
    for cause in job.causes:
        terminal.prose(cause.text, indent=4, first="- ")


def _last(terminal: Terminal, last: LastTime) -> None:
    took = f", {last.seconds:.1f} s" if last.seconds is not None else ""
    word = "taken over from elsewhere" if last.event == "adopted" else "made"
    terminal.heading("The last time", f"{word} {last.time[:16].replace('T', ' ')} UTC{took}")
    for reason in last.reasons:
        terminal.prose(f"{reason}.", indent=2, first="- ")
    if not last.reasons and last.event != "adopted":
        terminal.line("Snakemake's log of that run, which gave the reason, is gone.", indent=2)
    if last.same_as_before is not None:
        same = "the same result as the time before" if last.same_as_before else "another result than the time before"
        terminal.line(f"{same} (made {last.times} times here)", indent=2)
    terminal.line((last.record, FAINT), indent=2)
