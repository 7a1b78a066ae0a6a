"""``sorafenib-rfa diff``: which numbers changed against a revision or a bundle, and by what."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from sorafenib_rfa.cli.terminal import BAD, FAINT, GOOD, NOTE, STRONG, Terminal, plain, question

if TYPE_CHECKING:
    from sorafenib_rfa.provenance.diff import Changes

SHOWN = 25


@click.command("diff")
@click.argument("other", metavar="REV|BUNDLE")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the table of a response to reviewers (Markdown).")
@click.option(
    "--all", "everything", is_flag=True, help="Also list numbers of which a reader of the paper sees nothing."
)
@question
def command(terminal: Terminal, other: str, as_markdown: bool, everything: bool) -> int:
    """Show which numbers changed since REV or BUNDLE, by how much, where the paper shows them, and what changed them.

    BUNDLE is a bag (.zip, or unpacked) or a results folder. REV is a git revision: its numbers are made again in a
    scratch copy, with this environment and the raw data that are here, which takes about as long as making them did.

    Exit codes: 0 no number changed; 1 some did; 2 misuse.
    """
    from sorafenib_rfa.provenance.diff import diff
    from sorafenib_rfa.provenance.diff_report import markdown

    if as_markdown and terminal.as_json:
        raise click.UsageError("--json and --markdown: choose one")
    changes = diff(terminal.root, other, watcher=_watcher())
    if terminal.as_json:
        terminal.json(changes.to_json())
    elif as_markdown:
        sys.stdout.write(markdown(changes, everything=everything))
    else:
        _show(terminal, changes, everything)
    return changes.exit_code


def _watcher() -> Any:
    from sorafenib_rfa.provenance.diff import Watcher

    class OnStandardError(Watcher):
        started = time.monotonic()
        said = 0.0

        def stage(self, text: str) -> None:
            sys.stderr.write(plain(text) + " ...\n")

        def progress(self, progress: Any) -> None:
            share = progress.done / progress.total if progress.total else 0.0
            if share >= self.said + 0.25 or (
                progress.total and progress.done == progress.total > 0 and share > self.said
            ):
                self.said = share
                seconds = time.monotonic() - self.started
                sys.stderr.write(f"  {progress.done} of {progress.total} jobs ({share:.0%}), {seconds:.0f} s\n")

    return OnStandardError()


def _show(terminal: Terminal, changes: Changes, everything: bool) -> None:
    from sorafenib_rfa.provenance.diff_report import cause_words, numbered, places

    terminal.gap()
    terminal.line(("Since ", STRONG), (changes.before, STRONG))
    total = len(changes.numbers)
    style = GOOD if not total else NOTE
    terminal.line(
        f"  {changes.compared:,} numbers compared: ",
        (f"{total:,} changed", style),
        f", {len(changes.in_paper):,} of them in the paper, {len(changes.printed_otherwise):,} printed otherwise",
        f"; {changes.within_tolerance:,} within the tolerances" if changes.within_tolerance else "",
    )
    for note in changes.notes:
        terminal.prose(note, indent=2, style=NOTE)
    if changes.causes:
        terminal.heading("What changed them")
        for number, cause in enumerate(changes.causes, start=1):
            what, before, after = cause_words(cause)
            terminal.line((f"{number:>3}  ", FAINT), what, f": {before} -> {after}", indent=0)
    if changes.claims:
        terminal.heading("Claims that say something else")
        for claim in changes.claims:
            where = places(claim.shown) or "not in the paper"
            terminal.line((f"claim {claim.claim}", BAD), (f"  {where}", FAINT), indent=2)
            for label, said in (("before  ", claim.before), ("now     ", claim.after)):
                text = f"{said.wording} [{said.condition}]" if said and said.wording else "(nothing)"
                terminal.prose(text, indent=4, first=label)
            terminal.prose(numbered(claim.causes), indent=4, first="cause   ")
    visible = changes.printed_otherwise
    chosen = list(changes.numbers) if everything else visible
    limit = len(chosen) if everything else SHOWN
    if chosen:
        terminal.heading("Numbers" if everything else "Numbers that the paper prints otherwise")
    for number in chosen[:limit]:
        terminal.line((number.id, STRONG), indent=2)
        terminal.prose(
            f"{number.printed_before or '-'}  ->  {number.printed_after or '-'}", indent=4, first="was, is  "
        )
        terminal.prose(f"{number.change()}; cause {numbered(number.causes)}", indent=4, first="change   ")
        if number.shown:
            terminal.prose(places(number.shown), indent=4, first="shown    ", style=FAINT)
    terminal.gap()
    lost, hidden = len(changes.in_paper) - len(visible), total - len(changes.in_paper)
    if len(chosen) > limit:
        terminal.line(f"{len(chosen) - limit:,} more that the paper prints otherwise: --all, --json or --markdown")
    if lost and not everything:
        terminal.line(f"{lost:,} more in the paper changed by less than what is printed: --all or --json has them")
    if hidden and not everything:
        terminal.line(f"{hidden:,} more that the paper does not show: --all or --json has them")
