"""``sorafenib-rfa adopt``: take over results made elsewhere whose digests match."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sorafenib_rfa.cli.terminal import BAD, FAINT, GOOD, NOTE, STRONG, Terminal, counted, plain, question

if TYPE_CHECKING:
    from sorafenib_rfa.provenance.adopt import Adoption

SHOWN = 15


@click.command("adopt")
@click.argument("bundle", required=False, metavar="[BUNDLE]")
@click.option("--replace", is_flag=True, help="Replace files of this tree that differ from the bundle's.")
@question
def command(terminal: Terminal, bundle: str | None, replace: bool) -> int:
    """Take over the results of BUNDLE where they match this tree, instead of making them again.

    BUNDLE is a bag (.zip, or unpacked), or a results folder; without it, results that already lie in the tree are
    looked at. A job is adopted when its outputs, inputs, code, parameters and package versions all have the recorded
    digests; Snakemake then has nothing to do for it. The others are named with the reason, and run with the next
    snakemake; without BUNDLE, what they had made is taken away. No file that differs is overwritten without
    --replace.

    Exit codes: 0 what matches was adopted, the rest will be made again; 1 a file is not what its job left, or
    Snakemake refused; 2 misuse, or a bundle that is refused.
    """
    from sorafenib_rfa.provenance.adopt import adopt

    def stage(text: str) -> None:
        sys.stderr.write(plain(text) + " ...\n")

    if replace and bundle is None:
        raise click.UsageError("--replace needs a BUNDLE")
    adoption = adopt(terminal.root, Path(bundle) if bundle is not None else None, replace=replace, stage=stage)
    if terminal.as_json:
        terminal.json(adoption.to_json())
    else:
        _show(terminal, adoption)
    return adoption.exit_code


def _show(terminal: Terminal, adoption: Adoption) -> None:
    terminal.gap()
    taken, left = adoption.adopted, adoption.left
    style = GOOD if not left else NOTE if taken else BAD
    terminal.line(
        ("Adopted: ", STRONG),
        (f"{len(taken)} of {counted(len(adoption.jobs), 'job')}", style),
        (f"  {counted(adoption.files, 'file')} put in place" if adoption.files else "", FAINT),
    )
    for note in adoption.notes:
        terminal.prose(note, indent=2, style=NOTE)
    if adoption.touch_failed:
        terminal.line(("Snakemake did not take them as done:", BAD))
        for line in adoption.touch_failed.split("\n"):
            terminal.line(line, indent=2)
    own = [job for job in left if not job.follows]
    if own:
        terminal.heading("Not adopted")
        by_reasons: dict[tuple[str, ...], list[str]] = {}
        for job in sorted(own, key=lambda job: not job.faulty):
            by_reasons.setdefault(job.reasons, []).append(job.title)
        for reasons, titles in list(by_reasons.items())[:SHOWN]:
            for reason in reasons[:4]:
                terminal.prose(reason, indent=2)
            if len(reasons) > 4:
                terminal.line(f"and {len(reasons) - 4} more reasons", indent=2)
            more = f" and {len(titles) - 6} more" if len(titles) > 6 else ""
            terminal.prose(", ".join(titles[:6]) + more, indent=4, style=FAINT)
        if len(by_reasons) > SHOWN:
            terminal.line(f"and {len(by_reasons) - SHOWN} more reasons", indent=2)
    following = len(left) - len(own)
    if following:
        terminal.prose(f"{counted(following, 'job rests', 'jobs rest')} on these and are not adopted either", indent=2)
    if adoption.dropped:
        terminal.prose(
            f"{counted(len(adoption.dropped), 'record')} of jobs that do not match this tree taken away, with "
            f"{counted(len(adoption.dropped_files), 'result')} of theirs, so that Snakemake makes them again",
            indent=2,
        )
    terminal.gap()
    if not adoption.to_run:
        terminal.line(("Snakemake: ", STRONG), ("nothing to be done", GOOD))
    else:
        terminal.line(("Snakemake: ", STRONG), (f"{counted(len(adoption.to_run), 'job')} to run", NOTE))
        rules = Counter(job.split()[0] for job, _ in adoption.to_run)
        terminal.prose(", ".join(f"{rule} ({n})" if n > 1 else rule for rule, n in sorted(rules.items())), indent=2)
