"""``sorafenib-rfa impact``: what depends on something, before it is changed."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import click

from sorafenib_rfa.cli.terminal import FAINT, NOTE, STRONG, Terminal, counted, question

if TYPE_CHECKING:
    from sorafenib_rfa.provenance.impact import Impact, Touched

SHOWN = 12
"""Entries of a list that are named unless --all is given."""


@click.command(short_help="What depends on something.")
@click.argument("target", metavar="PATH|KEY|PACKAGE")
@click.option("--all", "everything", is_flag=True, help="Name every job, number and place.")
@question
def command(terminal: Terminal, target: str, everything: bool) -> None:
    """Show which jobs, numbers, exhibits and sentences depend on a file, a key or a package; nothing is run.

    \b
    Examples:
      sorafenib-rfa impact plan.landmark_day
      sorafenib-rfa impact cohorts.synthetic.sites.cn01
      sorafenib-rfa impact data/raw/synthetic/us01/labs.csv
      sorafenib-rfa impact src/sorafenib_rfa/stats/cox.py
      sorafenib-rfa impact pandas
    """  # noqa: D301 (click's mark for lines that stay as they are)
    from sorafenib_rfa.provenance.impact import impact

    found = impact(terminal.root, target)
    if terminal.as_json:
        terminal.json(found.to_json())
    else:
        _print(terminal, found, 1 << 30 if everything else SHOWN)


def _print(terminal: Terminal, found: Impact, shown: int) -> None:
    terminal.line((found.target, STRONG), (f"  {found.kind}", FAINT))
    if found.place:
        now = json.dumps(found.value, ensure_ascii=False, default=str)
        if len(now) > 60 and isinstance(found.value, dict | list):
            many = isinstance(found.value, dict)
            now = counted(len(found.value), "key" if many else "entry", "keys" if many else "entries")
        terminal.pairs([("stands in", found.place), ("now", now)])
    elif found.kind == "package":
        terminal.pairs([("version", str(found.value))])
    terminal.gap()
    same = len(found.would_run) - len(found.can_change)
    took = f"; {found.seconds:.0f} s the last time" if found.seconds else ""
    terminal.line((f"{counted(len(found.would_run), 'job')} would run again", NOTE if found.would_run else ""), took)
    if found.would_run and same:
        terminal.line(
            f"{counted(len(found.can_change), 'job')} can come to another result",
        )
    parts = [
        (
            len(found.numbers),
            f"{counted(len(found.numbers), 'number')}, {len(found.numbers_in_paper):,} of them in a paper",
        ),
        (len(found.claims), counted(len(found.claims), "claim")),
        (len(found.figures), counted(len(found.figures), "figure")),
        (len(found.tables), counted(len(found.tables), "table")),
    ]
    said = [text for count, text in parts if count]
    if said:
        terminal.prose(f"can change: {'; '.join(said)}")
    for note in found.notes:
        terminal.prose(note, style=FAINT)
    _direct(terminal, found.direct, shown)
    _list(terminal, "Claims", found.claims, shown)
    _list(terminal, "Figures", found.figures, shown)
    _list(terminal, "Tables", found.tables, shown)
    _places(terminal, found, shown)
    if shown > SHOWN:
        _list(terminal, "Numbers", found.numbers, shown)


def _direct(terminal: Terminal, direct: list[Touched], shown: int) -> None:
    for can_change, title in ((True, "Depends on it"), (False, "Would run again, with the same result")):
        jobs = [touched for touched in direct if touched.can_change is can_change]
        if not jobs:
            continue
        terminal.heading(title, counted(len(jobs), "job") + (", and all that rest on them" if can_change else ""))
        if not can_change:
            names = Counter(touched.title for touched in jobs)
            words = [name if count == 1 else f"{name} ({count})" for name, count in names.items()]
            more = f" and {len(words) - shown} more (--all)" if len(words) > shown else ""
            terminal.prose(", ".join(words[:shown]) + more, indent=2)
            continue
        groups: dict[tuple[str, str, str | None], list[Touched]] = {}
        for touched in jobs:
            groups.setdefault((touched.rule, touched.how, touched.names_it), []).append(touched)
        for (rule, how, names_it), same in list(groups.items())[:shown]:
            title = same[0].title if len(same) == 1 else f"{rule} ({len(same)})"
            terminal.line((title, STRONG), f"  {how}", indent=2)
            if names_it:
                terminal.line(("named in ", FAINT), names_it, indent=4)
        if len(groups) > shown:
            terminal.line((f"and {len(groups) - shown:,} more (--all)", FAINT), indent=2)


def _list(terminal: Terminal, title: str, names: list[str], shown: int) -> None:
    if not names:
        return
    terminal.heading(title, f"{len(names):,}")
    more = f" and {len(names) - shown:,} more (--all)" if len(names) > shown else ""
    terminal.prose(", ".join(names[:shown]) + more, indent=2)


def _places(terminal: Terminal, found: Impact, shown: int) -> None:
    if not found.places:
        return
    by_place: dict[tuple[str, int], list[str]] = {}
    for use in found.places:
        words = {"val": "number", "claim": f"claim {use.target}"}
        by_place.setdefault((use.file, use.line), []).append(words.get(use.kind, f"{use.kind} {use.target}"))
    terminal.heading("In the paper", counted(len(by_place), "line") + ("" if shown > SHOWN else "; --all says what"))
    if shown > SHOWN:
        rows = []
        for (file, line), words_there in by_place.items():
            names = Counter(words_there)
            what = [word if count == 1 else f"{count} {word}s" for word, count in names.items()]
            rows.append((f"{file}:{line}", ", ".join(what)))
        terminal.columns(rows)
        return
    by_file: dict[str, list[str]] = {}
    for file, line in by_place:
        by_file.setdefault(file, []).append(str(line))
    for file, lines in by_file.items():
        terminal.prose(", ".join(lines), indent=2, first=f"{file}: ")
