"""The command ``sorafenib-rfa``: questions about a built tree, answered from its records.

Each command is a module of this package with a click command named ``command``, imported when it is called, so that
``--help`` starts at once. Exit codes: 0 good, 1 a finding (a broken seal, a number not reproduced), 2 misuse.
"""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "trace": "Where a number, sentence, table, figure or file comes from, back to raw rows.",
    "why": "What would be made again, and why; or why it was made the last time.",
    "impact": "What depends on a file, a configuration key or a package.",
    "status": "Seals first; then what is out of date, what failed, what moved on.",
    "verify": "Make results again in a scratch copy and compare them.",
    "diff": "Which numbers changed against a revision or a bundle, and by what.",
    "adopt": "Take over results made elsewhere whose digests match.",
    "attest": "Make a statement of a verification that can be signed.",
    "disclosure": "What in a folder must not leave the house.",
    "doctor": "What would go wrong with a run on a cluster, before anything is submitted.",
}
"""Command -> what the overview says of it; kept here so that the overview imports nothing."""


class _LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        return importlib.import_module(f"sorafenib_rfa.cli.{name}").command

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(COMMANDS)}"
            context.fail(f"there is no command {args[0]!r}{hint}")
        return super().resolve_command(context, args)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Every command takes --json. Exit codes: 0 good, 1 a finding, 2 misuse.",
)
def main() -> None:
    """Ask a built tree where its numbers come from, what depends on what, and whether all is as it was made."""
