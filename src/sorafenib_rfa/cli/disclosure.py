"""``sorafenib-rfa disclosure``: what in a folder must not leave the house."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sorafenib_rfa.cli.terminal import BAD, FAINT, GOOD, STRONG, Terminal, counted, question

if TYPE_CHECKING:
    from sorafenib_rfa.disclosure.checker import Finding

SHOWN = 10
"""Findings of a rule that are named unless --all is given."""


@click.command(short_help="What in a folder must not leave the house.")
@click.argument("path", metavar="PATH", type=click.Path(exists=True, path_type=Path))
@click.option("--all", "everything", is_flag=True, help="Name every finding.")
@question
def command(terminal: Terminal, path: Path, everything: bool) -> int:
    """Look through a folder or a file for what must not be released: small counts, dates, identifiers, patients.

    The rules are those of `disclosure` in config/config.yaml. Ends with code 1 if anything is found.

    \b
    Examples:
      sorafenib-rfa disclosure results/synthetic/release
      sorafenib-rfa disclosure results/synthetic/manuscript --all
    """  # noqa: D301 (click's mark for lines that stay as they are)
    from sorafenib_rfa.config.load import read_yaml, validate
    from sorafenib_rfa.config.models import RunConfig
    from sorafenib_rfa.disclosure.checker import RULES, check_folder

    shown = "config/config.yaml"
    run = validate(RunConfig, read_yaml(terminal.root / shown, shown), shown)
    cohorts = sorted(each.parent.name for each in (terminal.root / "config/cohorts").glob("*/cohort.yaml"))
    found = check_folder(path, run.disclosure, dates=[str(run.publication_date)], cohorts=cohorts)
    if terminal.as_json:
        terminal.json(
            {
                "path": path.as_posix(),
                "rules": run.disclosure.model_dump(),
                "findings": [finding.to_json() for finding in found],
            }
        )
    else:
        _print(terminal, path, found, RULES, 1 << 30 if everything else SHOWN)
    return int(bool(found))


def _print(terminal: Terminal, path: Path, found: list[Finding], rules: dict[str, str], shown: int) -> None:
    if not found:
        terminal.line((path.as_posix(), STRONG), ("  nothing found that must not leave the house", GOOD))
        return
    terminal.line((path.as_posix(), STRONG), (f"  {counted(len(found), 'finding')}", BAD))
    for rule, number in Counter(finding.rule for finding in found).most_common():
        terminal.heading(rule, f"{number:,}")
        terminal.prose(rules[rule], style=FAINT)
        for finding in [each for each in found if each.rule == rule][:shown]:
            terminal.line(finding.what, (f"  {finding.where}", FAINT), f"  {finding.file}", indent=2)
        if number > shown:
            terminal.line((f"and {number - shown:,} more (--all)", FAINT), indent=2)
