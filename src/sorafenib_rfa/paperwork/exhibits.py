"""The paper's figures and tables as a reader finds them, each with the files, the job and the lines that made it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

from sorafenib_rfa.errors import Problem
from sorafenib_rfa.export.contents import Contents
from sorafenib_rfa.export.errors import ExportError
from sorafenib_rfa.records.code_store import code_bytes
from sorafenib_rfa.records.record import Record

SUFFIXES = {"figure": (".svg", ".pdf", ".png", ".csv"), "table": (".md", ".csv")}
DRAWERS, TABLE_MAKERS = "src/sorafenib_rfa/exhibits/draw.py", "src/sorafenib_rfa/exhibits/tables.py"


@dataclass(frozen=True)
class Place:
    """A line of code as it ran, with the function that stands there."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        """Return ``file:line``."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Exhibit:
    """One figure or table of the paper.

    Attributes
    ----------
    label : str
        As printed: ``Figure 1``.
    caption : str
    kind : str
        ``figure`` or ``table``.
    cohort, name : str
    files : tuple of str
        What the job wrote for it, relative to the repository.
    record : str
        Of the job.
    program : Place
        Call in the rule's script.
    maker : Place
        Function that draws the figure or fills the table.
    """

    label: str
    caption: str
    kind: str
    cohort: str
    name: str
    files: tuple[str, ...]
    record: str
    program: Place
    maker: Place


class _Captions(HTMLParser):
    """Collect (kind, target, caption) of every figure that names what it shows."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, str]] = []
        self.text: list[str] | None = None
        self.found: list[tuple[str, str, str]] = []
        self.unnamed: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "figure":
            kind = "figure" if given.get("data-figure") else "table"
            self.open.append((kind, given.get(f"data-{kind}") or ""))
            if (given.get("id") or "").startswith("fig-") and not given.get("data-figure"):
                self.unnamed.append(str(given["id"]))
        elif tag == "figcaption" and self.open:
            self.text = []

    def handle_data(self, data: str) -> None:
        if self.text is not None:
            self.text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "figcaption" and self.text is not None:
            kind, target = self.open[-1]
            if target:
                self.found.append((kind, target, " ".join("".join(self.text).split())))
            self.text = None
        elif tag == "figure" and self.open:
            self.open.pop()


def read_exhibits(contents: Contents) -> list[Exhibit]:
    """Return the figures and tables of the rendered paper that show results, in its order.

    Raises
    ------
    ExportError
        If the paper shows none, or shows one that no record accounts for or whose program cannot be found.
    """
    paper = f"results/{contents.cohort}/manuscript/paper.html"
    parser = _Captions()
    parser.feed((contents.root / paper).read_text(encoding="utf-8"))
    problems = [
        Problem(
            f"the figure {name} does not say which figure of the results it shows", file=paper, expected="data-figure"
        )
        for name in parser.unnamed
    ]
    if not parser.found and not problems:
        problems.append(Problem("the paper shows no figure or table of results", file=paper))
    exhibits = []
    for kind, target, caption in parser.found:
        cohort, _, name = target.partition(":")
        match = re.match(r"((?:Figure|Table)\s+\S+?)\.\s+(.*)", caption)
        stems = [f"results/{cohort}/{inside}{kind}s/{name}" for inside in ("", "validation/")]
        files = [stem + end for stem in stems for end in SUFFIXES[kind] if stem + end in contents.files]
        maker = contents.records.maker(files[0]) if files else None
        if match is None or maker is None:
            what = "has no number in its caption" if match is None else "was made by no recorded job"
            problems.append(Problem(f"the {kind} {target} {what}", file=paper, found=caption[:80]))
            continue
        try:
            program, function = _program(contents, maker), _maker(contents, maker, kind, name)
        except LookupError as error:
            problems.append(Problem(f"the line that makes the {kind} {target} was not found: {error}", file=maker.path))
            continue
        exhibits.append(Exhibit(match[1], match[2], kind, cohort, name, tuple(files), maker.path, program, function))
    if problems:
        raise ExportError(problems)
    return exhibits


# --- lines --------------------------------------------------------------------------------------------------


def as_it_ran(contents: Contents, record: Record, path: str) -> str:
    """Return a file of code as a job ran it.

    Raises
    ------
    LookupError
        If the job ran no such file.
    """
    entry = record.code_files.get(path)
    if entry is None:
        raise LookupError(f"{record.title} ran no {path}")
    return code_bytes(contents.root, record.cohort, entry["sha256"]).decode("utf-8")


def _program(contents: Contents, record: Record) -> Place:
    """Return where the rule's script calls what its rule is named after, or else the function that makes tables."""
    script = record.content["script"]
    calls = {}
    for node in ast.walk(ast.parse(as_it_ran(contents, record, script))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            calls.setdefault(node.func.id, node.lineno)
    for name in (record.rule, "make_table", "draw_figure"):
        if name in calls:
            return Place(script, calls[name], name)
    raise LookupError(f"{script} calls neither {record.rule} nor make_table nor draw_figure")


def _function(text: str, name: str) -> int:
    """Return the line of a function's definition."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node.lineno
    raise LookupError(f"no function {name}")


def _maker(contents: Contents, record: Record, kind: str, name: str) -> Place:
    """Return the function that draws a figure or fills a table, found in the code as it ran."""
    if kind == "table":
        text = as_it_ran(contents, record, TABLE_MAKERS)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict):
                for key, value in zip(node.value.keys, node.value.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == name and isinstance(value, ast.Name):
                        module = _imported_from(text, value.id) or TABLE_MAKERS
                        return Place(module, _function(as_it_ran(contents, record, module), value.id), value.id)
        raise LookupError(f"{TABLE_MAKERS} names no function for {name}")
    if not record.rule.startswith("draw_figures"):  # a rule of its own draws it
        script = as_it_ran(contents, record, record.content["script"])
        module = _imported_from(script, record.rule) or record.content["script"]
        return Place(module, _function(as_it_ran(contents, record, module), record.rule), record.rule)
    for node in ast.walk(ast.parse(as_it_ran(contents, record, DRAWERS))):
        if isinstance(node, ast.If) and name in _compared(node.test):
            for part in node.body:
                if isinstance(part, ast.ImportFrom) and part.module:
                    module, function = _file_of(part.module), part.names[0].name
                    return Place(module, _function(as_it_ran(contents, record, module), function), function)
    raise LookupError(f"{DRAWERS} names no function for {name}")


def _compared(test: ast.expr) -> set[str]:
    """Return the texts with which a condition compares."""
    return {str(node.value) for node in ast.walk(test) if isinstance(node, ast.Constant)}


def _file_of(module: str) -> str:
    return f"src/{module.replace('.', '/')}.py"


def _imported_from(text: str, function: str) -> str | None:
    """Return the file from which code imports a function; None when it does not."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module and any(each.name == function for each in node.names):
            return _file_of(node.module)
    return None


# --- randomness ---------------------------------------------------------------------------------------------

GENERATORS = ("default_rng", "SeedSequence", "RandomState", "Random", "PRNGKey", "Generator")
"""Constructors of random number generators and seeds."""


def seeds(contents: Contents) -> list[Place]:
    """Return every line at which code that ran starts or splits a stream of random numbers.

    Scripts pass ``this.seed`` (derived from the study's seed, the rule and its wildcards); package code makes
    generators from it. ``function`` is the text of the line.
    """
    versions: dict[tuple[str, str], Record] = {}
    for record in contents.records.values():
        for name, entry in record.code_files.items():
            if name.endswith(".py"):
                versions.setdefault((name, entry["sha256"]), record)
    found = {}
    for (name, _), record in versions.items():
        text = as_it_ran(contents, record, name)
        if "seed" not in text and not any(word in text for word in GENERATORS):
            continue
        lines = text.splitlines()
        for node in ast.walk(ast.parse(text)):
            called = isinstance(node, ast.Call) and (
                (isinstance(node.func, ast.Attribute) and node.func.attr in (*GENERATORS, "seed"))
                or (isinstance(node.func, ast.Name) and node.func.id in GENERATORS)
            )
            passed = (
                isinstance(node, ast.Attribute)
                and node.attr == "seed"
                and isinstance(node.value, ast.Name)
                and node.value.id == "this"
            )
            if called or passed:
                found[name, node.lineno] = Place(name, node.lineno, lines[node.lineno - 1].strip())
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.name == "derived_seed":
                found[name, node.lineno] = Place(name, node.lineno, lines[node.lineno - 1].strip())
    return [found[key] for key in sorted(found)]


def uses_random_numbers(contents: Contents, record: Record) -> bool:
    """Say whether a job's script passes on the seed of the job."""
    return "this.seed" in as_it_ran(contents, record, record.content["script"])


def config_line(root: Path, path: str, key: str) -> int:
    """Return the line of a top-level key of a YAML file.

    Raises
    ------
    ExportError
        If there is no such key.
    """
    for number, line in enumerate((root / path).read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith(f"{key}:"):
            return number
    raise ExportError(Problem(f"{key}: this key is required", file=path, found="nothing"))
