"""Reporting checklists (STROBE, TARGET) as data: held against the text, printed in the supplement and for reviewers."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from sorafenib_rfa.errors import Problem
from sorafenib_rfa.exhibits.format import escape_markdown
from sorafenib_rfa.manuscript.errors import ManuscriptError, problem_at
from sorafenib_rfa.manuscript.source import Sourced
from sorafenib_rfa.manuscript.whereabouts import TITLE_BLOCK
from sorafenib_rfa.manuscript.yaml_source import read_yaml

Status = Literal["met", "partly", "not done", "not applicable"]
Known = Literal["seen", "recalled"]

_KEYS: Final = ("name", "title", "source", "known", "items")
_ITEM_KEYS: Final = ("item", "asks", "anchors", "met", "status", "known")
RECALLED_MARK: Final = "\u2020"


@dataclass(frozen=True)
class Item:
    """One item of a checklist: what it asks, in our words, and where and how the paper answers."""

    item: str
    asks: str
    anchors: tuple[str, ...]
    met: str
    status: Status
    known: Known
    line: int

    @property
    def answer(self) -> str:
        """The answer, begun with its status unless the item is met."""
        return self.met if self.status == "met" else f"{self.status.capitalize()}: {self.met}"


@dataclass(frozen=True)
class Checklist:
    """A filled checklist.

    Attributes
    ----------
    name, title : str
        Short and full name of the statement.
    source : str
        Its key in the bibliography.
    shown : str
        File as errors name it.
    items : tuple of Item
    """

    name: str
    title: str
    source: str
    shown: str
    items: tuple[Item, ...]

    @property
    def key(self) -> str:
        """Name of the file, by which the text and the paperwork call it."""
        return Path(self.shown).stem


def load_checklist(path: Path, shown: str | None = None) -> Checklist:
    """Read a filled checklist.

    Raises
    ------
    ManuscriptError
        If the file cannot be read, a key is missing or unknown, an item comes twice, has no anchor or an empty answer;
        names file and line of each.
    """
    shown = path.as_posix() if shown is None else shown
    root, content = read_yaml(path, shown)
    if not isinstance(content, dict) or set(content) != set(_KEYS) or not isinstance(content["items"], list):
        found = ", ".join(map(str, content)) if isinstance(content, dict) else repr(content)
        raise ManuscriptError(
            problem_at((shown, 1), "a checklist has these keys", found=found, expected=", ".join(_KEYS))
        )
    nodes = next(value for key, value in root.value if key.value == "items").value
    problems: list[Problem] = []
    items: list[Item] = []
    for entry, node in zip(content["items"], nodes, strict=True):
        line = node.start_mark.line + 1
        faults = _faults(entry)
        if not faults and any(item.item == str(entry["item"]) for item in items):
            faults = [f"the item {entry['item']} is given twice"]
        problems += [problem_at((shown, line), fault) for fault in faults]
        if not faults:
            items.append(
                Item(
                    str(entry["item"]),
                    " ".join(str(entry["asks"]).split()),
                    tuple(map(str, entry["anchors"])),
                    " ".join(str(entry["met"]).split()),
                    entry.get("status", "met"),
                    entry.get("known", content["known"]),
                    line,
                )
            )
    if problems:
        raise ManuscriptError(problems)
    return Checklist(str(content["name"]), str(content["title"]), str(content["source"]), shown, tuple(items))


def _faults(entry: Any) -> list[str]:
    """Return what is wrong with one item of a checklist."""
    if not isinstance(entry, dict) or "item" not in entry:
        return ["an item must be a mapping with the key item"]
    name = f"item {entry['item']}"
    unknown = [str(key) for key in entry if key not in _ITEM_KEYS]
    faults = [f"{name}: there is no key {key!r}; the keys are {', '.join(_ITEM_KEYS)}" for key in unknown]
    for key, what in (("asks", "what it asks for"), ("met", "an answer")):
        if not (isinstance(entry.get(key), str) and entry[key].strip()):
            faults.append(f"{name} lacks {what} ({key})")
    if not (isinstance(entry.get("anchors"), list) and entry["anchors"]):
        faults.append(f"{name} points nowhere: anchors must list labels of the text")
    for key, allowed in (("status", get_args(Status)), ("known", get_args(Known))):
        if key in entry and entry[key] not in allowed:
            faults.append(f"{name}: {key} is {entry[key]!r}, and must be one of {', '.join(allowed)}")
    return faults


def unknown_anchors(checklist: Checklist, labels: Collection[str]) -> list[Problem]:
    """Return a problem for each anchor that is no label of the text."""
    problems = []
    for item in checklist.items:
        for anchor in item.anchors:
            if anchor not in labels:
                close = difflib.get_close_matches(anchor, sorted(labels), n=2)
                problems.append(
                    problem_at(
                        (checklist.shown, item.line),
                        f"item {item.item} points at {anchor!r}, which is no label of the text",
                        hint=f"did you mean {' or '.join(close)}?" if close else None,
                    )
                )
    return problems


def checklist_table(checklist: Checklist) -> Sourced:
    """Return the checklist as a pipe table with cross-references; each row has the place of its item."""
    made = Sourced()
    first = (checklist.shown, checklist.items[0].line)
    made.add("| Item | What it asks for | Where | How it is met |", first)
    made.add("|:-----|:-----------------|:------|:--------------|", first)
    for item in checklist.items:
        where = ", ".join(TITLE_BLOCK.get(anchor) or f"@{anchor}" for anchor in item.anchors)
        name = escape_markdown(item.item) + (RECALLED_MARK if item.known == "recalled" else "")
        made.add(
            f"| {name} | {escape_markdown(item.asks)} | {where} | {escape_markdown(item.answer)} |",
            (checklist.shown, item.line),
        )
    return made


def checklist_report(checklist: Checklist, *, paper: str, labels: Mapping[str, str], pages: Mapping[str, int]) -> str:
    """Return the filled checklist as Markdown for editors and reviewers, with numbers and pages in the PDF.

    Parameters
    ----------
    checklist : Checklist
    paper : str
        Title of the paper.
    labels : mapping
        Label -> how it is called in print, such as ``Section 3.1`` or ``Table S2``.
    pages : mapping
        Label -> page of the PDF; empty if the PDF was not made here.
    """
    lines = [
        f"# {checklist.name} checklist",
        "",
        f"{checklist.title}. Wordings of the items are ours"
        + (
            f"; {RECALLED_MARK} marks items whose text in the statement was not at hand and is recalled."
            if any(item.known == "recalled" for item in checklist.items)
            else "."
        ),
        f"Paper: {paper}.",
        "",
        "| Item | What it asks for | Status | Where | How it is met |",
        "|:-----|:-----------------|:-------|:------|:--------------|",
    ]
    for item in checklist.items:
        where = ", ".join(placed(anchor, labels, pages) for anchor in item.anchors)
        name = item.item + (RECALLED_MARK if item.known == "recalled" else "")
        lines.append(f"| {name} | {_cell(item.asks)} | {item.status} | {where} | {_cell(item.met)} |")
    return "\n".join(lines) + "\n"


def placed(anchor: str, labels: Mapping[str, str], pages: Mapping[str, int]) -> str:
    """Return how an anchor is called in print, with its page."""
    if anchor in TITLE_BLOCK:
        return f"{TITLE_BLOCK[anchor]} (p. 1)" if pages else TITLE_BLOCK[anchor]
    shown = labels[anchor].replace("\u00a0", " ")
    return f"{shown} (p. {pages[anchor]})" if anchor in pages else shown


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|")
