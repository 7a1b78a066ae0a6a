"""Read ``claims.yaml``: sentences bound to predicates over the ARD, so prose cannot contradict the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sorafenib_rfa.manuscript.errors import ManuscriptError, problem_at
from sorafenib_rfa.manuscript.predicate import Predicate, PredicateError, parse_predicate
from sorafenib_rfa.manuscript.yaml_source import LOADER


@dataclass(frozen=True)
class Branch:
    """One wording: said when `predicate` holds; `predicate` None is ``otherwise``."""

    predicate: Predicate | None
    say: str
    line: int


@dataclass(frozen=True)
class Claim:
    """A claim: aliases of ARD ids, and branches of which the first that holds is said."""

    name: str
    ard: dict[str, str]
    branches: tuple[Branch, ...]
    line: int


class Claims(dict):
    """The content of ``claims.yaml``: a dict that remembers its file and the line of each claim and branch.

    Attributes
    ----------
    shown : str
        File as errors name it.
    lines : dict
        ``(claim,)`` or ``(claim, branch number)`` -> line, counted from 1.
    text : str
        The file as it was read.
    wordings : dict
        ``(claim, branch number)`` -> where its wording begins and ends in `text`, each as line and column from 0.
    """

    def __init__(
        self,
        content: Mapping[str, Any],
        shown: str,
        lines: Mapping[tuple, int],
        text: str = "",
        wordings: Mapping[tuple[str, int], tuple[tuple[int, int], tuple[int, int]]] | None = None,
    ) -> None:
        super().__init__(content)
        self.shown = shown
        self.lines = dict(lines)
        self.text = text
        self.wordings = dict(wordings or {})


def load_claims(path: Path, shown: str | None = None) -> Claims:
    """Return the claims of a YAML file and check all of them, also those no text uses.

    Parameters
    ----------
    path : Path
        The file: ``id: {ard: {alias: ARD_ID}, when: [{if: predicate, say: wording}, {otherwise: wording}]}``.
    shown : str, optional
        File name in errors; default `path` as given.

    Raises
    ------
    ManuscriptError
        If the file is no YAML mapping, a claim lacks a part, or a predicate cannot be read; names the lines.
    """
    shown = path.as_posix() if shown is None else shown
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=LOADER)
        content = yaml.load(text, Loader=LOADER)
    except (OSError, UnicodeDecodeError) as error:
        raise ManuscriptError(problem_at((shown, 1), f"the file cannot be read: {error}")) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ManuscriptError(
            problem_at(
                (shown, mark.line + 1 if mark else 1),
                "the file is not valid YAML",
                found=getattr(error, "problem", None) or str(error),
            )
        ) from None
    if content is None:
        return Claims({}, shown, {})
    if not isinstance(content, dict):
        raise ManuscriptError(problem_at((shown, 1), "the file must be a mapping of claim ids"))
    lines: dict[tuple, int] = {}
    wordings: dict[tuple[str, int], tuple[tuple[int, int], tuple[int, int]]] = {}
    problems = []
    for key, node in root.value:
        if (key.value,) in lines:
            problems.append(problem_at((shown, key.start_mark.line + 1), f"claim {key.value!r} is written twice"))
        lines[(key.value,)] = key.start_mark.line + 1
        if not isinstance(node, yaml.MappingNode):
            continue
        for part, branches in node.value:
            if part.value == "when" and isinstance(branches, yaml.SequenceNode):
                for number, branch in enumerate(branches.value):
                    lines[(key.value, number)] = branch.start_mark.line + 1
                    for word, said in branch.value if isinstance(branch, yaml.MappingNode) else ():
                        if word.value in ("say", "otherwise"):
                            begin, end = said.start_mark, said.end_mark
                            wordings[(key.value, number)] = ((begin.line, begin.column), (end.line, end.column))
    claims = Claims({str(key): value for key, value in content.items()}, shown, lines, text, wordings)
    for name in claims:
        try:
            parse_claim(claims, name)
        except ManuscriptError as error:
            problems.extend(error.problems)
    if problems:
        raise ManuscriptError(problems)
    return claims


def parse_claim(claims: Mapping[str, Any], name: str) -> Claim:
    """Return one claim, checked.

    Raises
    ------
    ManuscriptError
        If its structure or one of its predicates is wrong.
    """
    shown = getattr(claims, "shown", "claims.yaml")
    lines: Mapping[tuple, int] = getattr(claims, "lines", {})
    here = lines.get((name,), 1)
    problems = []

    def wrong(line: int, message: str, **more: str) -> None:
        problems.append(problem_at((shown, line), f"claim {name!r}: {message}", **more))

    content = claims[name]
    ard: dict[str, str] = {}
    branches: list[Branch] = []
    if not isinstance(content, Mapping) or set(content) != {"ard", "when"}:
        found = ", ".join(map(str, content)) if isinstance(content, Mapping) else repr(content)
        wrong(here, "it must have the keys ard and when, no others", found=found)
        raise ManuscriptError(problems)
    if not isinstance(content["ard"], Mapping) or not content["ard"]:
        wrong(here, "ard must map aliases to ARD ids", found=repr(content["ard"]))
    else:
        for alias, identifier in content["ard"].items():
            if not (isinstance(alias, str) and alias.isidentifier()):
                wrong(here, "an alias must be a plain name", found=repr(alias), expected="letters, digits, _")
            else:
                ard[alias] = str(identifier)
    when = content["when"] if isinstance(content["when"], list) else []
    if not when:
        wrong(here, "when must list at least one branch", found=repr(content["when"]))
    for number, branch in enumerate(when):
        line = lines.get((name, number), here)
        keys = set(branch) if isinstance(branch, Mapping) else set()
        if keys == {"otherwise"}:
            predicate, say = None, branch["otherwise"]
            if number != len(when) - 1:
                wrong(line, "otherwise must be the last branch: those after it can never be said")
        elif keys == {"if", "say"}:
            say = branch["say"]
            try:
                predicate = parse_predicate(str(branch["if"]), ard)
            except PredicateError as error:
                wrong(line, f"the predicate cannot be read: {error}", found=str(branch["if"]))
                continue
        else:
            wrong(line, "a branch is {if, say} or {otherwise}", found=", ".join(sorted(keys)) or repr(branch))
            continue
        if not isinstance(say, str) or not say.strip():
            wrong(line, "the wording must be text", found=repr(say))
            continue
        branches.append(Branch(predicate, " ".join(say.split()), line))
    if problems:
        raise ManuscriptError(problems)
    return Claim(name, ard, tuple(branches), here)
