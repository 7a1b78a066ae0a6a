"""What an author may not type: results. Checked in the author's own lines, and once more in what is printed.

A number in the abstract, the results, a caption, a table or a claim's wording must come from a shortcode, or stand in
``manuscript/unbound_numbers.yaml`` with its reason (:mod:`.unbound`). Claims, references and exhibits that nothing uses
are faults too: they are what is left over when a text and its results part ways.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

from sorafenib_rfa.errors import Problem
from sorafenib_rfa.manuscript.errors import problem_at
from sorafenib_rfa.manuscript.source import CAPTION_LINE, DIV_OPEN, SHORTCODE, Sourced, divs, images, regions
from sorafenib_rfa.manuscript.unbound import BOUND, UnboundNumbers, numbers_in
from sorafenib_rfa.manuscript.whereabouts import HEADING
from sorafenib_rfa.manuscript.yaml_source import LOADER

if TYPE_CHECKING:
    from sorafenib_rfa.manuscript.claims import Claims

BOUND_SPAN: Final = re.compile(r'\[(?:[^\[\]\\]|\\.)*\]\{\.val data-ard="(?:[^"\\]|\\.)*"\}')
_FORGED: Final = re.compile(r"\{[^{}\n]*(?:\.(?:val|claim|meta)\b|\bdata-(?:ard|claim|meta|table|figure)\b)")
_CITATION: Final = re.compile(r"(?<![\w@])-?@\{?(?P<key>[A-Za-z_](?:[\w]|[:.#$%&+?<>~/-](?=\w))*)\}?")
_LABEL: Final = re.compile(r"#(?P<label>(?:sec|fig|tbl|eq)-[\w-]+)")
_ATTRIBUTES: Final = re.compile(r"(?<=[\])\w#])(?P<space>[ \t]*)\{[ \t]*[#.](?:[^{}\"]|\"[^\"]*\")*\}")
_PRINTED_ATTRIBUTE: Final = re.compile(r'\b(?:fig-alt|title)="(?P<text>[^"]*)"')
_FOOTNOTE: Final = re.compile(r"\[\^[^\]\s]+\]:?")
_ESCAPE: Final = re.compile(r"\\(.)")
_ENTRY: Final = re.compile(r"^\s*@(?P<kind>\w+)\s*[{(]\s*(?P<key>[^,\s]+)\s*,", re.MULTILINE)
_FRONT_KEYS: Final = ("title", "subtitle", "short-title", "abstract", "keywords")
_HINT: Final = (
    "write the shortcode that prints it, or give it an entry with a reason in manuscript/unbound_numbers.yaml"
)


class Words:
    """Texts with numbers that a generated table prints as they stand in the configuration or in the ARD."""

    def __init__(self, words: Iterable[str]) -> None:
        forms = {form for word in words for form in (word, word[:1].upper() + word[1:]) if numbers_in(form)}
        self.whole = {" ".join(form.split()) for form in forms}
        # a word of a digit or two would be found within other text
        self.parts = sorted(form for form in forms if sum(map(str.isalpha, form)) > 2)

    def hold(self, line: str, start: int, end: int) -> bool:
        """Return whether ``line[start:end]`` of a pipe table lies within one of the words, or the row is called so."""
        low, high = line.rfind("|", 0, start) + 1, line.find("|", end)
        before, number, after = (
            _ESCAPE.sub(r"\1", part)
            for part in (line[low:start], line[start:end], line[end : high if high >= 0 else len(line)])
        )
        cell = before + number + after
        label = line.count("|", 0, start) == 1 and cell.replace("&nbsp;", " ").strip(" \u00a0*")
        if label and label in self.whole:
            return True
        start, end = len(before), len(before) + len(number)
        for word in self.parts:
            if number in word:
                at = cell.find(word)
                while at >= 0:
                    whole = not cell[max(at - 1, 0) : at].isalnum() and not cell[at + len(word) :][:1].isalnum()
                    if at <= start and end <= at + len(word) and whole:
                        return True
                    at = cell.find(word, at + 1)
        return False


@dataclass(frozen=True)
class Rules:
    """What a text is held against.

    Attributes
    ----------
    unbound : UnboundNumbers
        Numbers that may be typed.
    words : Words
        What generated tables print beside numbers: names and levels of the configuration, and how, with what and in
        whom the ARD says a row was estimated.
    tables, figures : sequence of str
        Exhibits of the paper's cohort: each must be shown.
    config : str
        File that lists them.
    """

    unbound: UnboundNumbers
    words: Words
    tables: Sequence[str] = ()
    figures: Sequence[str] = ()
    config: str = "cohort.yaml"


def masked(text: str, *, generated: bool = False) -> str:
    """Return `text`, of the same length, without what is bound (as :data:`BOUND`) or not printed (as spaces)."""

    def bound(match: re.Match[str]) -> str:
        return "\n".join(BOUND * len(line) for line in match[0].split("\n"))

    def blank(match: re.Match[str]) -> str:
        kept = [" " if c != "\n" else c for c in match[0]]
        for printed in _PRINTED_ATTRIBUTE.finditer(match[0]):
            kept[printed.start("text") : printed.end("text")] = printed["text"]
        return "".join(kept)

    text = SHORTCODE.sub(bound, text)
    text = BOUND_SPAN.sub(bound, text) if generated or BOUND_SPAN.search(text) else text
    text = re.sub(r"\]\([^()\s]*(?:\s+\"[^\"]*\")?\)", lambda m: "]" + " " * (len(m[0]) - 1), text)
    text = _ATTRIBUTES.sub(blank, text)
    text = "\n".join(_fence(line) if ":::" in line else line for line in text.split("\n"))
    text = _FOOTNOTE.sub(blank, text)
    return _CITATION.sub(lambda m: BOUND + " " * (len(m[0]) - 1), text)


def _fence(line: str) -> str:
    """Return the opening or closing line of a div without what is not printed."""
    if not DIV_OPEN.match(line):
        return line
    kept = [" "] * len(line)
    for printed in _PRINTED_ATTRIBUTE.finditer(line):
        kept[printed.start("text") : printed.end("text")] = printed["text"]
    return "".join(kept)


# ---------------------------------------------------------------------- numbers in the author's lines
def unbound_numbers(source: Sourced, body: int, rules: Rules) -> list[Problem]:
    """Return a problem for each number typed where a result would stand.

    Parameters
    ----------
    source : Sourced
        The text with includes and tables inserted, shortcodes not expanded.
    body : int
        Number of the first line after the front matter.
    rules : Rules
    """
    text, starts = source.text, source.starts()
    printed = masked(text)
    labels: set[str] = set()
    scope = [*_front_matter(source, body, starts), *_body(source, body, starts, rules.unbound, labels)]
    problems = []
    for start, end in _groups(printed, scope):
        number = bisect_right(starts, start) - 1
        place = source.places[number]
        if rules.unbound.covers(printed, start, end, place[0]):
            continue
        if _generated(place[0]) and rules.words.hold(
            source.lines[number], start - starts[number], end - starts[number]
        ):
            continue
        problems.append(
            problem_at(place, "this number is bound to no result", found=_around(text, start, end), hint=_HINT)
        )
    problems += [
        problem_at(
            (rules.unbound.shown, line), "there is no section of this label", found=label,
            expected=", ".join(sorted(labels)),
        )
        for label, line in rules.unbound.lines.items()
        if label not in labels
    ]  # fmt: skip
    for match in _FORGED.finditer(text):
        place = source.places[bisect_right(starts, match.start()) - 1]
        if not _generated(place[0]):
            problems.append(
                problem_at(
                    place,
                    "only a shortcode may bind: this is typed by hand",
                    found=match[0].strip(),
                    hint="{{< val ID >}}, {{< claim NAME >}}, {{< meta KEY >}} and {{< table NAME >}} write it",
                )
            )
    return problems


def _generated(file: str) -> bool:
    return not file.endswith(".qmd")


def _front_matter(source: Sourced, body: int, starts: list[int]) -> Iterator[tuple[int, int]]:
    """Yield the parts of the front matter that are printed as text."""
    try:
        root = yaml.compose("\n".join(source.lines[1 : body - 1]), Loader=LOADER)
    except yaml.YAMLError:
        return  # said where the text is expanded
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if key.value in _FRONT_KEYS:
            first, last = value.start_mark, value.end_mark
            end = starts[1 + last.line] + last.column if 1 + last.line < len(starts) else starts[-1]
            yield starts[1 + first.line] + first.column, end


def _body(
    source: Sourced, body: int, starts: list[int], unbound: UnboundNumbers, labels: set[str]
) -> Iterator[tuple[int, int]]:
    """Yield the parts of the body in which numbers must be bound, and note the labels of its sections."""
    text, lines = source.text, source.lines
    spans = [span for span in regions(text) if span.kind == "fence"]
    begins = [span.start for span in spans]
    strict: list[bool] = [False] * len(lines)
    free_below: int | None = None  # level of the heading of the free section we are in
    for number in range(body, len(lines)):
        line = lines[number]
        heading = HEADING.match(line)
        if heading:
            at = bisect_right(begins, starts[number]) - 1
            heading = None if at >= 0 and starts[number] < spans[at].end else heading
        if heading:
            level, label = len(heading["marks"]), _LABEL.search(line)
            if label:
                labels.add(label["label"])
            if free_below is None or level <= free_below:
                free_below = level if label and label["label"] in unbound.free_sections else None
        strict[number] = (
            free_below is None
            or line.lstrip()[:1] in ("|", "+")
            or CAPTION_LINE.match(line) is not None
            or _generated(source.places[number][0])
        )
    for div in divs(lines):
        if div.start >= body and (div.identifier or "").startswith(("fig-", "tbl-")):
            stop = len(lines) if div.end is None else div.end
            strict[div.start : stop] = [True] * (stop - div.start)
    for number in range(body, len(lines)):
        if strict[number]:
            yield starts[number], starts[number] + len(lines[number])
    for image in images(text):
        number = source.line_of(image.start)
        if number >= body and not strict[number]:
            yield image.start, image.end


def _groups(text: str, scope: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the numbers of `text` within `scope`, digits that stand together as one."""
    for low, high in scope:
        group: tuple[int, int] | None = None
        for start, end in numbers_in(text, low, high):
            if group and not re.search(rf"[\s{BOUND}|]", text[group[1] : start]):
                group = (group[0], end)
                continue
            if group:
                yield group
            group = (start, end)
        if group:
            yield group


def _around(text: str, start: int, end: int) -> str:
    """Return the number with some words around it."""
    low, high = max(text.rfind("\n", 0, start) + 1, start - 40), text.find("\n", end)
    return "".join(
        ["..." if low and text[low - 1] != "\n" else "", text[low : min(high if high >= 0 else len(text), end + 25)]]
    ).strip()


def unbound_in_claims(claims: Claims, rules: Rules) -> list[Problem]:
    """Return a problem for each number typed in a wording, also in those not said today."""
    text = claims.text
    printed = masked(text)
    lines = text.split("\n")
    starts = Sourced(lines, [("", 0)] * len(lines)).starts()
    problems = []
    for (name, _), (first, last) in claims.wordings.items():
        scope = [(starts[first[0]] + first[1], starts[last[0]] + last[1] if last[0] < len(starts) else len(text))]
        for start, end in _groups(printed, scope):
            if not rules.unbound.covers(printed, start, end, claims.shown):
                place = (claims.shown, bisect_right(starts, start))
                problems.append(
                    problem_at(
                        place,
                        f"claim {name!r}: this number is bound to no result",
                        found=_around(text, start, end),
                        hint=_HINT,
                    )
                )
    return problems


# ---------------------------------------------------------------------- what nothing uses
def unused(
    source: Sourced, claims: Claims, rules: Rules, *, tables: Collection[str], bibliographies: Mapping[str, str]
) -> list[Problem]:
    """Return a problem for each claim, exhibit, reference and label that the text does not use.

    Parameters
    ----------
    source : Sourced
        The text with includes and tables inserted, shortcodes not expanded.
    claims : Claims
    rules : Rules
    tables : collection of str
        Tables of the paper's cohort that the text shows.
    bibliographies : mapping
        File as shown -> its content. A reference counts as used if a text, a table, a claim or ``nocite`` names it.
    """
    text = source.text
    for span in reversed(regions(text)):
        text = text[: span.start] + re.sub(r"[^\n]", " ", text[span.start : span.end]) + text[span.end :]
    words = [match["body"].split() for match in SHORTCODE.finditer(text)]
    claimed = {part[1] for part in words if part[:1] == ["claim"] and len(part) > 1}
    problems = [
        problem_at(
            (claims.shown, claims.lines.get((name,), 1)),
            f"no text uses the claim {name!r}",
            hint="take it out, or say it",
        )
        for name in claims
        if name not in claimed
    ]
    cited = {match["key"] for content in (text, claims.text) for match in _CITATION.finditer(content)}
    problems += _unused_references(source, cited, bibliographies)
    problems += _unused_labels(text, source, cited)
    pictures = {image.path.removeprefix("./").removeprefix("figures/") for image in images(source.text)}
    for kind, names, shown in (("table", rules.tables, tables), ("figure", rules.figures, pictures)):
        problems += [
            Problem(
                f"{kind}s: no text shows the {kind} {name!r}",
                file=rules.config,
                hint=f"show it, or take it out of the cohort's {kind}s",
            )
            for name in names
            if name not in shown
        ]
    return problems


def _unused_references(source: Sourced, cited: set[str], bibliographies: Mapping[str, str]) -> list[Problem]:
    problems = []
    for file, content in bibliographies.items():
        for match in _ENTRY.finditer(content):
            if match["kind"].lower() in ("comment", "string", "preamble") or match["key"] in cited:
                continue
            line = content.count("\n", 0, match.start("key")) + 1
            problems.append(
                problem_at(
                    (file, line),
                    f"no text cites {match['key']!r}",
                    hint="cite it, take it out, or list it under nocite",
                )
            )
    wildcard = re.search(r"@\*", source.text)
    if wildcard:
        problems.append(
            problem_at(
                source.place(wildcard.start()),
                "nocite must name its references",
                found="@*",
                hint="@* would hide that no text cites them",
            )
        )
    return problems


def _unused_labels(text: str, source: Sourced, cited: set[str]) -> list[Problem]:
    """Return a problem for each figure, table and equation that no text refers to; panels go with their figure."""
    referred = {key[:1].lower() + key[1:] for key in cited}
    panels = [div for div in divs(source.lines) if (div.identifier or "").startswith("fig-")]
    problems = []
    for attributes in re.finditer(r"\{[^{}\n]*\}", text):
        label = _LABEL.search(attributes[0])
        if label is None or label["label"].startswith("sec-") or label["label"] in referred:
            continue
        line = source.line_of(attributes.start())
        if any(div.start < line < (div.end or len(source.lines)) for div in panels):
            continue
        problems.append(
            problem_at(
                source.places[line],
                f"no text refers to {label['label']}",
                hint=f"write @{label['label']} where the text speaks of it",
            )
        )
    return problems


# ---------------------------------------------------------------------- what is printed
def unbound_in_print(document: Mapping[str, Any], rules: Rules) -> list[tuple[str, str]]:
    """Return the numbers of the numbered document that are neither bound nor allowed: the last net.

    It sees what all three formats print, after numbering and citing, and so does not depend on how this module reads
    an author's markup.

    Parameters
    ----------
    document : mapping
        Pandoc's JSON document after ``number.lua`` and citeproc.
    rules : Rules

    Returns
    -------
    list of (str, str)
        The number, and the words around it.
    """
    net = _Net(rules)
    for key in _FRONT_KEYS:
        if key in document["meta"] and key != "short-title":
            net.check(document["meta"][key])
    free_below: int | None = None
    for block in document["blocks"]:
        if block["t"] == "Header":
            level, (label, *_) = block["c"][0], block["c"][1]
            if free_below is None or level <= free_below:
                free_below = level if label in rules.unbound.free_sections else None
        for part in [block] if free_below is None else _captioned(block):
            net.check(part)
    return net.found


class _Net:
    """Collects numbers of printed text that nothing allows."""

    def __init__(self, rules: Rules) -> None:
        self.rules, self.found = rules, list[tuple[str, str]]()

    def check(self, node: Any) -> None:
        """Check what a node prints; tables apart, since what they may hold may not stand in prose."""
        tables: list[Any] = []
        pieces: list[str] = []
        _collect(node, pieces, tables)
        self._text("".join(pieces), in_table=False)
        for table in tables:
            self._text(_pipe_table(table) if table["t"] == "Table" else _printed(table["c"][1]), in_table=True)

    def _text(self, text: str, *, in_table: bool) -> None:
        for start, end in _groups(text, [(0, len(text))]):
            if self.rules.unbound.covers(text, start, end, in_table=in_table):
                continue
            low, high = text.rfind("\n", 0, start) + 1, text.find("\n", end)
            line = text[low : high if high >= 0 else len(text)]
            if in_table and self.rules.words.hold(line, start - low, end - low):
                continue
            self.found.append((text[start:end], _around(text, start, end)))


_BOUND_CLASSES: Final = frozenset(("val", "meta", "heading-number", "equation"))
_NO_TEXT: Final = frozenset(("SoftBreak", "LineBreak", "Space"))


def _captioned(node: Any) -> Iterator[Any]:
    """Yield the tables and figures within a node, with their captions and notes."""
    if isinstance(node, list):
        for part in node:
            yield from _captioned(part)
    elif isinstance(node, dict):
        kind = node.get("t")
        classes = node["c"][0][1] if kind == "Div" else ()
        if kind in ("Table", "Figure", "Image") or "table-float" in classes or "panel" in classes:
            yield node
        elif "c" in node:
            yield from _captioned(node["c"])


def _collect(node: Any, out: list[str], tables: list[Any]) -> None:
    """Add the printed text of a node, with :data:`BOUND` for what is bound or numbered by the renderer.

    Tables are put aside with their notes; a caption is prose.
    """
    if isinstance(node, list):
        for part in node:
            _collect(part, out, tables)
        return
    if not isinstance(node, dict):
        return
    kind, content = node.get("t"), node.get("c")
    if kind == "Str":
        out.append(content)
    elif kind in _NO_TEXT:
        out.append(" ")
    elif kind == "Span":
        (_, classes, _), inner = content
        if _BOUND_CLASSES & set(classes):
            out.append(BOUND)
        else:
            _collect(inner, out, tables)
    elif kind == "Cite":
        out.append(BOUND)
    elif kind == "Link":
        (_, classes, _), inner, _ = content
        if "xref" in classes:
            out.append(BOUND)
        else:
            _collect(inner, out, tables)
    elif kind in ("Code", "Math", "CodeBlock"):
        out.append(content[1])
    elif kind == "Strong" and _caption_label(content):
        out.append(BOUND)
    elif kind == "Note":
        out.append(" ")
        _collect(content, out, tables)
    elif kind == "Table":
        tables.append(node)
        _collect(content[1], out, tables)
    elif kind == "Image":
        _collect(content[1], out, tables)
    elif kind == "Div":
        if "table-notes" in content[0][1]:
            tables.append(node)
        elif content[0][0] != "refs":
            _collect(content[1], out, tables)
    elif kind == "Header":
        _collect(content[2], out, tables)
    elif kind == "Quoted":
        _collect(content[1], out, tables)
    else:
        _collect(content, out, tables)
    if kind in ("Para", "Plain", "Header", "CodeBlock") or kind is None:
        out.append("\n\n")


def _printed(node: Any) -> str:
    pieces: list[str] = []
    _collect(node, pieces, [])
    return "".join(pieces)


def _pipe_table(table: Any) -> str:
    """Return a table's cells as lines of a pipe table, as the rules for generated tables see them."""
    head, bodies, foot = table["c"][3:6]
    rows = [*head[1], *(row for body in bodies for part in body[2:] for row in part), *foot[1]]
    lines = (" | ".join(" ".join(_printed(cell[4]).split()) for cell in row[1]) for row in rows)
    return "".join(f"| {line} |\n" for line in lines)


_CAPTION_LABEL: Final = re.compile(r"(?:Figure|Table)\u00a0S?\d+\.")


def _caption_label(inlines: list[Any]) -> bool:
    return len(inlines) == 1 and inlines[0]["t"] == "Str" and _CAPTION_LABEL.fullmatch(inlines[0]["c"]) is not None
