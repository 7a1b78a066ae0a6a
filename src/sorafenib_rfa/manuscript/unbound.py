"""The white-list of numbers that are no results: what it allows, where, why, and whether it is still needed.

Entries are literal texts, not regular expressions, so that none of them can let every number through. ``{name}``
within a text stands for what the configuration says (`facts`): a changed plan then fails the lint instead of leaving
an old number in print.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from sorafenib_rfa.errors import Problem
from sorafenib_rfa.manuscript.errors import ManuscriptError, problem_at
from sorafenib_rfa.manuscript.yaml_source import read_yaml

BOUND: Final = "\ue000"
"""Stands in a text for what is bound: a number beside it belongs to what is printed there."""

_WORDS: Final = (
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million half halves twice thrice "
    "dozen percent"
).split()
_PERCENT: Final = "%\u2030\uff05\u066a"
_WITHIN_NUMBER: Final = ".,-/\u2212\u2013"
_WORD_SET: Final = frozenset(_WORDS)
_CANDIDATE: Final = re.compile(
    # what is masked and what cannot be a number word are skipped at a stroke
    rf"{BOUND}+|[a-z]{{10,}}|[0-9%]|(?<![A-Za-z])[TtFfSsEeNnHhMmDdPp][A-Za-z]{{2,8}}(?![A-Za-z])|[^\x00-\x7f{BOUND}]"
)
_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")
_KEYS: Final = ("pattern", "where", "reason")


def numbers_in(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """Return where `text` holds a digit of any script, a percent sign, or a word for a number from two on.

    "One" is not counted: it is a pronoun more often than a number.
    """
    found = _CANDIDATE.finditer(text, start, len(text) if end is None else end)
    return [match.span() for match in found if _is_number(match[0])]


def _is_number(text: str) -> bool:
    if text.isascii():
        return len(text) == 1 or text.lower() in _WORD_SET
    return text in _PERCENT or text.isnumeric()


def number_word(number: int) -> str:
    """Return a number below one hundred as a word."""
    small = ["zero", "one", *_WORDS[:18]]
    if number < 20:
        return small[number]
    tens, rest = divmod(number, 10)
    return _WORDS[16 + tens] + (f"-{small[rest]}" if rest else "")


@dataclass
class Entry:
    """One text that may stand unbound."""

    pattern: str
    where: tuple[str, ...]
    reason: str
    line: int
    expression: re.Pattern[str]
    used: bool = False

    @property
    def of_tables(self) -> bool:
        """Whether it allows something in generated tables only."""
        return all(glob.startswith(("results/", "manuscript/checklists/")) for glob in self.where)


@dataclass
class UnboundNumbers:
    """The white-list.

    Attributes
    ----------
    shown : str
        File as errors name it.
    entries : list of Entry
    free_sections : dict
        Label of a section -> why its prose may hold typed numbers.
    lines : dict
        Label of a free section -> line.
    """

    shown: str
    entries: list[Entry] = field(default_factory=list)
    free_sections: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)

    def covers(self, text: str, start: int, end: int, file: str | None = None, *, in_table: bool = True) -> bool:
        """Return whether an entry for `file` holds the number at ``text[start:end]``, and note its use.

        Without a file, what is printed: entries for generated tables alone count only `in_table`.

        The entry must hold the whole number with what is attached to it: it does not cover ``95%`` within ``195%``.
        """
        low = text.rfind("\n", 0, max(text.rfind("\n", 0, start), 0)) + 1
        stop = text.find("\n", end)
        high = text.find("\n", stop + 1) if stop >= 0 else len(text)
        window = text[low : high if high >= 0 else len(text)]
        for entry in self.entries:
            if not (any(fnmatchcase(file, glob) for glob in entry.where) if file else in_table or not entry.of_tables):
                continue
            for match in entry.expression.finditer(window):
                if match.start() <= start - low and end - low <= match.end() and _whole(window, *match.span()):
                    entry.used = True
                    return True
        return False

    def unused(self) -> list[Problem]:
        """Return a problem for each entry that allowed nothing."""
        return [
            problem_at(
                (self.shown, entry.line),
                "this entry of the white-list allows nothing",
                found=f"pattern: {entry.pattern!r}, where: {', '.join(entry.where)}",
                hint="take it out, so that the list says only what is needed",
            )
            for entry in self.entries
            if not entry.used
        ]


def _joined(character: str) -> bool:
    return character.isalnum() or character == BOUND


def _whole(text: str, start: int, end: int) -> bool:
    """Return whether ``text[start:end]`` is not part of a longer number or word."""
    before, further_before = text[start - 1 : start], text[max(start - 2, 0) : max(start - 1, 0)]
    after, further_after = text[end : end + 1], text[end + 1 : end + 2]
    first, last = text[start], text[end - 1]
    if (_joined(before) and _joined(first)) or (_joined(after) and _joined(last)):
        return False
    if first.isnumeric() and before and before in _WITHIN_NUMBER:
        letter_before = further_before.isalpha()  # "stage-0", but not "-5", ".5", "3.5"
        if not (letter_before and before not in ".,"):
            return False
    if last.isnumeric() and after:
        return after not in _PERCENT and not (
            after in _WITHIN_NUMBER and (further_after.isnumeric() or further_after == BOUND)
        )
    return True


def load_unbound_numbers(path: Path, facts: Mapping[str, Sequence[str]], shown: str | None = None) -> UnboundNumbers:
    """Read ``unbound_numbers.yaml``.

    Parameters
    ----------
    path : Path
        ``free_sections: {label: reason}`` and ``allowed: [{pattern, where, reason}]``; ``where`` is a list of file
        patterns such as ``manuscript/_results.qmd`` or ``results/*/tables/*.md``.
    facts : mapping
        Placeholder -> the texts it may stand for.
    shown : str, optional
        File name in errors.

    Raises
    ------
    ManuscriptError
        If the file cannot be read, an entry lacks a part or a reason, holds no number, or names an unknown fact.
    """
    shown = path.as_posix() if shown is None else shown
    root, content = read_yaml(path, shown)
    result = UnboundNumbers(shown)
    if not isinstance(content, dict) or set(content) - {"free_sections", "allowed"}:
        raise ManuscriptError(problem_at((shown, 1), "the file must have the keys free_sections and allowed only"))
    problems: list[Problem] = []
    nodes = {key.value: node for key, node in root.value}
    for label, reason in (content.get("free_sections") or {}).items():
        line = next(key.start_mark.line + 1 for key, _ in nodes["free_sections"].value if key.value == label)
        if not _said(reason):
            problems.append(problem_at((shown, line), f"the free section {label!r} lacks its reason"))
        result.free_sections[str(label)], result.lines[str(label)] = str(reason), line
    listed = content.get("allowed") or []
    places = [node.start_mark.line + 1 for node in nodes["allowed"].value] if listed else []
    for entry, line in zip(listed, places, strict=True):
        made = _entry(entry, (shown, line), facts, problems)
        if made is not None:
            result.entries.append(made)
    if problems:
        raise ManuscriptError(problems)
    return result


def _said(text: Any) -> bool:
    return isinstance(text, str) and len(text.split()) >= 2


def _entry(
    entry: Any, place: tuple[str, int], facts: Mapping[str, Sequence[str]], problems: list[Problem]
) -> Entry | None:
    """Return one entry of the list, or None after noting what is wrong with it."""
    if not isinstance(entry, dict) or set(entry) != set(_KEYS):
        found = ", ".join(map(str, entry)) if isinstance(entry, dict) else repr(entry)
        problems.append(
            problem_at(
                place, "an entry of the white-list has these keys and no others", found=found, expected=", ".join(_KEYS)
            )
        )
        return None
    pattern, where = str(entry["pattern"]), entry["where"]
    if not _said(entry["reason"]):
        problems.append(
            problem_at(place, "an entry of the white-list must give its reason", found=repr(entry["reason"]))
        )
        return None
    if not isinstance(where, list) or not where:
        problems.append(problem_at(place, "where must list files", found=repr(where)))
        return None
    unknown = [name for name in _PLACEHOLDER.findall(pattern) if name not in facts]
    if unknown:
        problems.append(
            problem_at(place, f"there is no fact {unknown[0]!r}", found=pattern, expected=", ".join(sorted(facts)))
        )
        return None
    if not numbers_in(_PLACEHOLDER.sub(lambda match: " ".join(facts[match[1]]), pattern)):
        problems.append(problem_at(place, "this pattern holds no number", found=pattern))
        return None
    pieces = _PLACEHOLDER.split(pattern)
    expression = "".join(_literal(piece) if i % 2 == 0 else _any_of(facts[piece]) for i, piece in enumerate(pieces))
    return Entry(pattern, tuple(map(str, where)), entry["reason"], place[1], re.compile(expression))


def _literal(text: str) -> str:
    """Return an expression for `text`: any white space stands for a space, and a sign may be escaped."""
    return "".join(
        r"\s+" if c == " " else c if c.isalnum() else rf"\\?{re.escape(c)}" for c in re.sub(r"\s+", " ", text)
    )


def _any_of(texts: Sequence[str]) -> str:
    return "(?:" + "|".join(_literal(text) for text in sorted(texts, key=lambda t: (-len(t), t))) + ")"
