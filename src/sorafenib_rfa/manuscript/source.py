"""The author's text and where each line of it stands: code regions, divs, replacing with origins kept."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Literal

Place = tuple[str, int]
"""File as shown to the author, and line from 1."""

_TOKEN = re.compile(
    r"(?P<fence>^[ \t>]*(?P<mark>`{3,}|~{3,})[^`\n]*$)|(?P<comment><!--)|(?P<ticks>`+)|(?P<escape>\\[\\`<$])",
    re.MULTILINE,
)
SHORTCODE = re.compile(r"\{\{<(?P<body>(?:(?!\{\{<|\n[ \t]*\n)[\s\S])*?)>\}\}")
_BLANK = re.compile(r"\n[ \t]*\n")
DIV_OPEN = re.compile(r"^\s*:{3,}\s*(?:\{(?P<attributes>.*)\}|(?P<word>[\w-]+))\s*:*\s*$")
CAPTION_LINE = re.compile(r"^(?::|[Tt]able:)\s+\S")
TRAILING_ATTRIBUTES = re.compile(r"\s*\{[^{}]*\}\s*$")
DIV_CLOSE = re.compile(r"^\s*:{3,}\s*$")


@dataclass(frozen=True)
class Region:
    """A part of a text that is no prose: a fenced code block, inline code or an HTML comment."""

    start: int
    end: int
    kind: Literal["fence", "code", "comment"]
    closed: bool = True


def regions(text: str) -> list[Region]:
    """Return the code and comment regions of `text`, in order, not overlapping."""
    found: list[Region] = []
    at = 0
    while match := _TOKEN.search(text, at):
        at = match.end()
        if match["fence"]:
            mark = match["mark"]
            close = re.compile(rf"^[ \t>]*{re.escape(mark[0])}{{{len(mark)},}}[ \t]*$", re.MULTILINE)
            end = close.search(text, match.end())
            found.append(Region(match.start(), end.end() if end else len(text), "fence", end is not None))
            at = found[-1].end
        elif match["comment"]:
            end_at = text.find("-->", match.end())
            found.append(Region(match.start(), end_at + 3 if end_at >= 0 else len(text), "comment", end_at >= 0))
            at = found[-1].end
        elif match["ticks"]:
            ticks = re.escape(match["ticks"])
            stop = _BLANK.search(text, match.end())
            end = re.compile(rf"(?<!`){ticks}(?!`)").search(text, match.end(), stop.start() if stop else len(text))
            if end:
                found.append(Region(match.start(), end.end(), "code"))
                at = end.end()
    return found


def in_code(spans: list[Region], position: int) -> bool:
    """Return whether `position` lies in one of the `spans`."""
    number = bisect_right([span.start for span in spans], position) - 1
    return number >= 0 and position < spans[number].end


@dataclass
class Sourced:
    """A text of which every line knows its place in the author's files."""

    lines: list[str] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list, init=False, repr=False, compare=False)
    _starts_of: tuple[int, int] = field(default=(0, 0), init=False, repr=False, compare=False)

    def add(self, line: str, place: Place) -> None:
        """Append one line."""
        self.lines.append(line)
        self.places.append(place)

    def extend(self, other: Sourced) -> None:
        """Append all lines of `other`."""
        self.lines.extend(other.lines)
        self.places.extend(other.places)

    @property
    def text(self) -> str:
        """The lines joined, with a newline at the end."""
        return "\n".join(self.lines) + "\n"

    def place(self, offset: int) -> Place:
        """Return the place of the character at `offset` of :attr:`text`."""
        return self.places[self.line_of(offset)]

    def line_of(self, offset: int) -> int:
        """Return the number, from 0, of the line that holds the character at `offset`."""
        return min(bisect_right(self.starts(), offset) - 1, len(self.lines) - 1)

    def replace(self, edits: list[tuple[int, int, str]]) -> tuple[Sourced, list[int]]:
        """Return this text with parts of it replaced, and the new line number of each edit.

        Parameters
        ----------
        edits : list of (start, end, new text)
            Sorted, not overlapping; the new text must not hold line breaks (the old one may).
        """
        text, at, out, made = self.text, 0, 0, []
        anchors: list[tuple[int, int]] = []  # (offset in the new text, offset in the old text)
        pieces: list[str] = []
        for start, end, new in edits:
            for piece, old in ((text[at:start], at), (new, start)):
                anchors.append((out, old))
                pieces.append(piece)
                out += len(piece)
            made.append(out - len(new))
            at = end
        anchors.append((out, at))
        pieces.append(text[at:])
        lines = "".join(pieces)[:-1].split("\n")
        news, starts = [new for new, _ in anchors], self.starts()
        result, begins, offset = Sourced(), [], 0
        for line in lines:
            # several anchors can share an offset (an empty piece): the last one holds the character
            number = bisect_right(news, offset) - 1
            literal = number % 2 == 0
            old = anchors[number][1] + (offset - anchors[number][0] if literal else 0)
            result.add(line, self.places[min(bisect_right(starts, old) - 1, len(self.places) - 1)])
            begins.append(offset)
            offset += len(line) + 1
        return result, [bisect_right(begins, where) - 1 for where in made]

    def starts(self) -> list[int]:
        """Return the offset in :attr:`text` at which each line starts."""
        if self._starts_of != (id(self.lines), len(self.lines)):  # lines are added, or all of them replaced
            offsets, total = [], 0
            for line in self.lines:
                offsets.append(total)
                total += len(line) + 1
            self._starts, self._starts_of = offsets, (id(self.lines), len(self.lines))
        return self._starts


@dataclass(frozen=True)
class Div:
    """A fenced div, by line numbers from 0 of its opening and closing fence (`end` None: never closed)."""

    start: int
    end: int | None
    identifier: str | None
    attributes: str
    depth: int


def divs(lines: list[str]) -> list[Div]:
    """Return the fenced divs of `lines` (code already taken into account), in order of their opening."""
    text = "\n".join(lines)
    spans = [span for span in regions(text) if span.kind != "code"]
    offsets, total = [], 0
    for line in lines:
        offsets.append(total)
        total += len(line) + 1
    found: list[Div] = []
    stack: list[int] = []
    for number, line in enumerate(lines):
        if ":::" not in line or in_code(spans, offsets[number]):
            continue
        if match := DIV_OPEN.match(line):
            attributes = match["attributes"] if match["attributes"] is not None else f".{match['word']}"
            label = re.search(r"#([^\s}]+)", attributes)
            found.append(Div(number, None, label[1] if label else None, attributes, len(stack)))
            stack.append(len(found) - 1)
        elif DIV_CLOSE.match(line) and stack:
            opened = found[stack[-1]]
            found[stack.pop()] = Div(opened.start, number, opened.identifier, opened.attributes, opened.depth)
    return found


@dataclass(frozen=True)
class Image:
    """An image ``![caption](path){attributes}`` of the text; positions are offsets in it."""

    start: int
    caption: str
    caption_end: int
    path: str
    path_end: int
    end: int
    identifier: str
    alone: bool


def images(text: str) -> list[Image]:
    """Return the images of `text`: ``![caption](path){attributes}`` outside of code."""
    spans, found = regions(text), []
    for match in re.finditer(r"(?<!\\)!\[", text):
        if in_code(spans, match.start()):
            continue
        depth, at = 1, match.end()
        while at < len(text) and depth:
            if text[at] == "\\":
                at += 1
            elif text[at] in "[]" and not in_code(spans, at):
                depth += 1 if text[at] == "[" else -1
            elif text.startswith("\n\n", at):
                break
            at += 1
        rest = re.compile(r"\((?P<path>[^()\s]*)(?:\s+\"[^\"]*\")?\)(?P<attributes>\{[^{}]*\})?").match(text, at)
        if depth or rest is None:
            continue
        label = re.search(r"#([^\s}]+)", rest["attributes"] or "")
        before = text[: match.start()].rpartition("\n")[2].strip()
        after = text[rest.end() :].partition("\n")[0].strip()
        line_above = text[: match.start()].rstrip(" \t").endswith("\n\n")
        found.append(
            Image(
                match.start(),
                text[match.end() : at - 1],
                at - 1,
                rest["path"],
                rest.start("attributes") if rest["attributes"] else rest.end(),
                rest.end(),
                label[1] if label else "",
                not before and not after and line_above,
            )
        )
    return found


def table_of_caption(lines: list[str], number: int) -> list[int]:
    """Return the line numbers of the table a ``: caption`` line belongs to (before it, else after it)."""

    def run(at: int, step: int) -> list[int]:
        while 0 <= at < len(lines) and not lines[at].strip():
            at += step
        block = []
        while 0 <= at < len(lines) and lines[at].strip():
            block.append(at)
            at += step
        return block

    def table(block: list[int]) -> bool:
        return bool(block) and all(lines[i].lstrip()[0] in "|+" for i in block)

    above = run(number - 1, -1)
    if table(above):
        return above
    below = run(number + 1, 1)
    return below if table(below) else []
