"""Render the expanded manuscript to HTML, PDF and DOCX, with Quarto if it is there, else with pandoc and typst.

The embedded renderer parses the text once; ``lua/number.lua`` numbers everything and checks the supported subset,
citeproc sets the references, and three writers with ``lua/layout.lua`` make the formats at the same time.
"""

from __future__ import annotations

import base64
import difflib
import html
import importlib
import importlib.metadata
import json
import mimetypes
import os
import re
import subprocess
import tempfile
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

from sorafenib_rfa.errors import Problem
from sorafenib_rfa.manuscript.errors import ManuscriptError, by_place, problem_at
from sorafenib_rfa.manuscript.source import Place, Sourced, in_code, regions
from sorafenib_rfa.manuscript.unbound import BOUND

FORMATS: Final = ("html", "pdf", "docx")
_PACKAGE: Final = resources.files("sorafenib_rfa.manuscript")
_WARNING: Final = re.compile(r"^\[WARNING\] (.*(?:\n(?![@\[]).*)*)", re.MULTILINE)
_AT_LINE: Final = re.compile(r"\(?(?:at )?line (\d+),? column \d+\)?")


@dataclass(frozen=True)
class RenderReport:
    """What a rendering did.

    Attributes
    ----------
    engine : str
        ``quarto`` or ``embedded``.
    versions : dict
        Tool -> version.
    outputs : dict
        Format -> file written.
    seconds : dict
        Step or format -> wall time. Not for files that must be the same in every run.
    title : str
        The paper's title as plain text.
    labels : dict
        Label -> how it is called in print, such as ``Section 3.1``, ``Appendix B``, ``Table S2``.
    pages : dict
        Label -> page of the PDF; empty if it was not made by the embedded renderer.
    """

    engine: str
    versions: dict[str, str]
    outputs: dict[str, Path]
    seconds: dict[str, float]
    title: str
    labels: dict[str, str]
    pages: dict[str, int]


def render_manuscript(
    expanded_dir: Path,
    outputs: Mapping[str, Path],
    *,
    engine: Literal["auto", "quarto", "embedded"] = "auto",
    source_date_epoch: int,
    synthetic: bool,
    check: Callable[[Mapping[str, Any]], list[tuple[str, str]]] | None = None,
) -> RenderReport:
    """Render ``expanded_dir/index.qmd``.

    Parameters
    ----------
    expanded_dir : Path
        Holds ``index.qmd``, ``figures/``, the bibliography and the CSL style, and ``origins.json`` if errors shall
        name the author's files (written by ``Expanded.write``). Nothing is written there.
    outputs : mapping
        ``html``, ``pdf``, ``docx`` -> file to write; any of them can be left out.
    engine : {"auto", "quarto", "embedded"}
        ``auto`` takes Quarto if its binary is found, else the embedded renderer.
    source_date_epoch : int
        Seconds since 1970 that PDF and DOCX state as their date.
    synthetic : bool
        Mark every page as synthetic data.
    check : callable, optional
        Given the numbered document (pandoc's JSON), returns numbers bound to no result, each with the words around it;
        one is enough for an error.

    Raises
    ------
    ManuscriptError
        For everything in the text that cannot be rendered, with file and line: labels that are undefined or given
        twice, missing images, unknown citations, features outside of the supported subset, any warning of pandoc.
    """
    unknown = sorted(set(outputs) - set(FORMATS))
    if unknown or not outputs:
        raise ValueError(f"outputs must be some of {FORMATS}, found {unknown or 'none'}")
    if engine not in ("auto", "quarto", "embedded"):
        raise ValueError(f"engine must be auto, quarto or embedded, found {engine!r}")
    from sorafenib_rfa.manuscript import quarto

    binary = quarto.find() if engine in ("auto", "quarto") else None
    if binary is None and engine == "quarto":
        raise ManuscriptError(
            problem_at(None, "Quarto was asked for but is not on PATH", hint="set the engine to auto or embedded")
        )
    source = _Source.read(Path(expanded_dir))
    with ThreadPoolExecutor(1) as beside:  # pandoc reads in a process of its own: what the writers need loads meanwhile
        wanted = set(outputs) if binary is None else {"docx"}  # Quarto wants the reference document for any format
        base = beside.submit(_prepare_writers, wanted, source.directory.resolve(), source_date_epoch)
        parsed = _parse(source, source_date_epoch)
    for path in outputs.values():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    pages: dict[str, int] = {}

    def unbound() -> list[Problem]:
        return [] if check is None else _unbound(source, check(parsed.content))

    started = time.perf_counter()
    if binary is not None:
        _raise_if(unbound())
        reference = _reference_docx(base.result(), parsed.short_title, synthetic)
        versions, seconds = quarto.render(
            binary, source.directory, source.lines, parsed.labels, outputs,
            source_date_epoch=source_date_epoch, synthetic=synthetic, short_title=parsed.short_title,
            reference=reference,
        )  # fmt: skip
        used = "quarto"
    else:
        versions, seconds, pages = _render_embedded(
            source, parsed, outputs, source_date_epoch, synthetic, base.result(), unbound
        )
        used = "embedded"
    seconds = {"parse": parsed.seconds, **seconds, "formats": time.perf_counter() - started}
    written = {name: Path(path) for name, path in outputs.items()}
    return RenderReport(used, versions, written, seconds, parsed.title, parsed.shown, pages)


def _prepare_writers(formats: Collection[str], directory: Path, epoch: int) -> bytes:
    """Import what the writers of the formats need, and return pandoc's own reference document."""
    if "pdf" in formats:
        importlib.import_module("typst")
    if "docx" not in formats:
        return b""
    importlib.import_module("docx")
    return _run(["--print-default-data-file=reference.docx"], cwd=directory, epoch=epoch)[0]


def _unbound(source: _Source, found: list[tuple[str, str]]) -> list[Problem]:
    """Return numbers of the printed text that are bound to nothing, at the line that seems to hold them."""
    return [
        problem_at(
            source.locate([around.replace(BOUND, "").strip(), *_phrases(around, number), number]),
            "this number is printed, and is bound to no result",
            found=around.replace(BOUND, "[...]"),
            hint="write the shortcode that prints it, or give it an entry in manuscript/unbound_numbers.yaml",
        )
        for number, around in found
    ]


def _phrases(around: str, number: str) -> list[str]:
    """Return ever shorter phrases of `around` that hold `number`."""
    at = around.find(number)
    left, right = around[:at].replace(BOUND, " ").split(), around[at + len(number) :].replace(BOUND, " ").split()
    tight = around[at - 1 : at].isspace() or not left
    return [
        " ".join([*left[len(left) - n :], number, *right[:n]]) if tight else f"{left[-1]}{number}"
        for n in range(min(4, len(left)), 0, -1)
    ]


# ---------------------------------------------------------------------- source and errors
@dataclass(frozen=True)
class _Source:
    directory: Path
    text: str
    lines: Sourced

    @classmethod
    def read(cls, directory: Path) -> _Source:
        path = directory / "index.qmd"
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise ManuscriptError(problem_at((path.as_posix(), 1), "the file does not exist")) from None
        lines = text.rstrip("\n").split("\n")
        places: list[Place] = [("index.qmd", number) for number in range(1, len(lines) + 1)]
        origins = directory / "origins.json"
        if origins.exists():
            content = json.loads(origins.read_text(encoding="utf-8"))
            found = [(content["files"][file], line) for file, line in content["lines"]]
            places = [*found[: len(lines)], *places[len(found) :]]
        return cls(directory, text, Sourced(lines, places))

    def locate(self, needles: list[str], occurrence: int = 1) -> Place:
        """Return the place of the `occurrence`-th hit of the first needle that is found, else of line 1."""
        spans = regions(self.text)
        for needle in needles:
            if not needle:
                continue
            end = r"(?![\w-])" if re.search(r"[\w]$", needle) else ""
            hits = [m.start() for m in re.finditer(re.escape(needle) + end, self.text)]
            prose = [hit for hit in hits if not in_code(spans, hit)] or hits
            if prose:
                return self.lines.place(prose[min(occurrence, len(prose)) - 1])
        return self.lines.places[0]


def _raise_if(problems: list[Problem]) -> None:
    if problems:
        unique = list(dict.fromkeys(problems))
        raise ManuscriptError(sorted(unique, key=by_place))


def _warnings(stderr: str, source: _Source, what: str) -> list[Problem]:
    """Return pandoc's warnings as problems, at the author's line where pandoc says one or quotes the text."""
    found = []
    for match in _WARNING.finditer(stderr):
        message = " ".join(match[1].split())
        line = _AT_LINE.search(message)
        if line:
            place = source.lines.places[min(int(line[1]), len(source.lines.places)) - 1]
            message = _AT_LINE.sub("", message).strip()
        else:
            quoted = [part.strip() for part in match[1].split("\n")[1:]] + re.findall(r"'([^']+)'", message)
            math = re.search(r"TeX math (.*?), rendering", message)
            place = source.locate([math[1].strip().split("\n")[0]] if math else quoted)
        found.append(problem_at(place, f"pandoc warns while {what}: {message}"))
    return found


def _lint(source: _Source) -> list[Problem]:
    """Return what can be seen in the text itself: executable cells, shortcodes left over, missing bibliography."""
    import yaml

    problems = []
    text = source.text
    for span in regions(text):
        first = text[span.start : span.end].split("\n", 1)[0]
        place = source.lines.place(span.start)
        if not span.closed:
            problems.append(problem_at(place, "this is never closed", found=first.strip()))
        cell = re.match(r"[ \t>]*[`~]+\s*\{+([A-Za-z][\w-]*)", first)
        if cell:
            problems.append(
                problem_at(
                    place,
                    "an executable cell is outside of the supported subset",
                    found=first.strip()[:60],
                    hint="notebooks compute, the manuscript tells; code that is only shown: ``` {.python}",
                )
            )
    spans = regions(text)
    for match in re.finditer(r"\{\{<[^\n]*", text):
        if not in_code(spans, match.start()) and not re.match(r"\{\{<\s*pagebreak\s*>\}\}", match[0]):
            problems.append(
                problem_at(source.lines.place(match.start()), "a shortcode was not expanded", found=match[0][:60])
            )
    head = re.match(r"---\n(.*?)\n(?:---|\.\.\.)\s*(?:\n|$)", text, re.DOTALL)
    if head is None:
        problems.append(problem_at(source.lines.places[0], "the manuscript must begin with a YAML block"))
        return problems
    try:
        meta = yaml.load(head[1], Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = source.lines.places[mark.line + 1] if mark else source.lines.places[0]
        problems.append(problem_at(place, "the YAML block is not valid", found=getattr(error, "problem", None)))
        return problems
    known = (
        "title subtitle short-title written-for author date abstract keywords bibliography csl lang audit-href nocite "
        "link-citations number-sections"
    ).split()
    for key in meta if isinstance(meta, dict) else ():
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            problems.append(
                problem_at(
                    _key_place(source, key),
                    f"the YAML key {key} is outside of the supported subset",
                    expected=", ".join(k for k in known if k != "audit-href"),
                    hint=f"did you mean {close[0]!r}?" if close else "formats are set up in manuscript/_quarto.yml",
                )
            )
    if isinstance(meta, dict):
        for key in ("bibliography", "csl"):
            names = meta.get(key) or []
            for name in [names] if isinstance(names, str) else names:
                if not (source.directory / name).is_file():
                    problems.append(
                        problem_at(_key_place(source, key), f"the {key} file does not exist", found=str(name))
                    )
    return problems


def _key_place(source: _Source, key: str) -> Place:
    number = next((i for i, line in enumerate(source.lines.lines) if re.match(rf"{re.escape(key)}\s*:", line)), 0)
    return source.lines.places[number]


# ---------------------------------------------------------------------- running pandoc
_MEMORY_MB: Final = 64
"""Memory that pandoc fills before it collects garbage: with its 8 MB a paper takes a sixth longer."""
_MEMORY_TO_READ_MB: Final = 256
"""To read a paper more pays: a fifth of the time."""


def _pandoc() -> str:
    import pypandoc

    return pypandoc.get_pandoc_path()


def _run(
    arguments: list[str | Path], *, cwd: Path, epoch: int, memory_mb: int = _MEMORY_MB, stdin: bytes | None = None
) -> tuple[bytes, str]:
    """Run pandoc and return its output and what it said; a failure of pandoc itself is an error with its words."""
    environment = {
        **{k: v for k, v in os.environ.items() if k in ("PATH", "TMPDIR", "SYSTEMROOT")},
        # pandoc would take templates and defaults from the user's own folder
        "HOME": str(cwd),
        "XDG_DATA_HOME": str(cwd),
        "SOURCE_DATE_EPOCH": str(epoch),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }
    done = subprocess.run(
        [_pandoc(), "+RTS", f"-A{memory_mb}m", "-RTS", *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        env=environment,
        check=False,
    )
    said = done.stderr.decode("utf-8", "replace")
    if done.returncode:
        rest = "\n".join(line for line in said.splitlines() if not line.startswith("@"))
        raise _PandocError(rest.strip() or f"pandoc ended with status {done.returncode}", said)
    return done.stdout, said


class _PandocError(Exception):
    def __init__(self, message: str, said: str) -> None:
        super().__init__(message)
        self.said = said


@dataclass(frozen=True)
class _Parsed:
    document: bytes
    content: dict[str, Any]
    title: str
    short_title: str
    labels: dict[str, str]
    shown: dict[str, str]
    seconds: float


def _parse(source: _Source, epoch: int) -> _Parsed:
    """Parse, number and check the text; return pandoc's JSON document."""
    started = time.perf_counter()
    problems = _lint(source)
    with resources.as_file(_PACKAGE / "lua" / "number.lua") as numbering:
        arguments = [
            "--from=markdown", "--to=json", f"--lua-filter={numbering}", "--citeproc",
            "--metadata=link-citations:true", "index.qmd",
        ]  # fmt: skip
        try:
            document, said = _run(arguments, cwd=source.directory.resolve(), epoch=epoch, memory_mb=_MEMORY_TO_READ_MB)
        except _PandocError as error:
            _raise_if(problems)  # it may well have been one of them
            line = _AT_LINE.search(str(error))
            place = source.lines.places[0]
            if line and "bibliography" not in str(error).lower():
                place = source.lines.places[min(int(line[1]), len(source.lines.places)) - 1]
            raise ManuscriptError(problem_at(place, f"pandoc cannot read the text: {error}")) from None
    problems += _filter_problems(said, source)
    problems += [p for p in _warnings(said, source, "reading") if "itation" not in p.message]
    _raise_if(problems)
    content = json.loads(document)
    short_title, title = (_plain(content["meta"].get(key)) for key in ("short-title", "title"))
    shown = _labels(said, "@shown")
    return _Parsed(document, content, title, short_title, _labels(said), shown, time.perf_counter() - started)


def _plain(node: Any) -> str:
    """Return the plain text of a piece of pandoc's document."""
    if isinstance(node, list):
        return "".join(map(_plain, node))
    if not isinstance(node, dict):
        return ""
    if node["t"] in ("Str", "MetaString"):
        return str(node["c"])
    return " " if node["t"] in ("Space", "SoftBreak") else _plain(node.get("c"))


def _filter_problems(said: str, source: _Source) -> list[Problem]:
    """Return the problems that number.lua noted, each at its line and with a guess where there is one."""
    labels = sorted(_labels(said))
    problems, seen = [], Counter()
    for line in said.splitlines():
        if not line.startswith("@problem "):
            continue
        note = json.loads(line.removeprefix("@problem "))
        seen[note["message"]] += 1
        occurrence = note.get("occurrence", 1) + seen[note["message"]] - 1
        hint = note.get("hint")
        if "label" in note:
            hint = _guess(note["label"], labels) or hint
        if "candidates" in note:
            hint = _guess(note["candidates"], _bibliography_keys(source.directory)) or hint
        problems.append(
            problem_at(
                source.locate(note["needles"], occurrence),
                note["message"],
                found=note.get("found"),
                expected=note.get("expected"),
                hint=hint,
            )
        )
    return problems


def _labels(said: str, mark: str = "@labels") -> dict[str, str]:
    """Return label -> number (``@shown``: how it is called in print), as number.lua said them."""
    line = next((line for line in said.splitlines() if line.startswith(f"{mark} ")), f"{mark} {{}}")
    found = json.loads(line.removeprefix(f"{mark} "))
    return found if isinstance(found, dict) else {}


def _guess(name: str, known: list[str]) -> str | None:
    close = difflib.get_close_matches(name, known, n=2)
    return f"did you mean {' or '.join(close)}?" if close else None


def _bibliography_keys(directory: Path) -> list[str]:
    keys: set[str] = set()
    for path in directory.glob("*.bib"):
        keys |= set(re.findall(r"^\s*@\w+\s*\{\s*([^,\s]+)", path.read_text(encoding="utf-8"), re.MULTILINE))
    return sorted(keys)


# ---------------------------------------------------------------------- the embedded renderer
def _render_embedded(
    source: _Source,
    parsed: _Parsed,
    outputs: Mapping[str, Path],
    epoch: int,
    synthetic: bool,
    base: bytes,
    unbound: Callable[[], list[Problem]],
) -> tuple[dict[str, str], dict[str, float], dict[str, int]]:
    import pypandoc

    directory, seconds, problems, pages = source.directory.resolve(), {}, [], {}
    with tempfile.TemporaryDirectory(prefix="manuscript-") as scratch, ThreadPoolExecutor(len(FORMATS)) as pool:
        work = Path(scratch)
        for folder in ("lua", "templates"):
            for item in (_PACKAGE / folder).iterdir():
                (work / item.name).write_bytes(item.read_bytes())
        common: list[str | Path] = [
            "--from=json", "--standalone", "--wrap=none", "--syntax-highlighting=none",
            f"--lua-filter={work}/layout.lua",
            *(["--variable=synthetic:true"] if synthetic else []),
        ]  # fmt: skip

        on_paper = json.dumps(_without_bindings(parsed.content), separators=(",", ":")).encode()

        def pandoc(what: str, *arguments: str | Path) -> bytes:
            document = parsed.document if what == "HTML" else on_paper
            try:
                made, said = _run([*common, *arguments], cwd=directory, epoch=epoch, stdin=document)
            except _PandocError as error:
                problems.append(problem_at(source.lines.places[0], f"pandoc cannot write {what}: {error}"))
                return b""
            problems.extend(_warnings(said, source, f"writing {what}"))
            return made

        def web() -> bytes:
            css = (work / "article.css").read_text(encoding="utf-8").replace("$", "$$")
            template = work / "article-with-css.html"
            text = (work / "article.html").read_text(encoding="utf-8").replace("$styles$", css)
            template.write_text(text, encoding="utf-8")
            page = pandoc(
                "HTML", "--to=html5", f"--template={template}", "--mathml", "--toc", "--toc-depth=3",
                "--shift-heading-level-by=1",
            )  # fmt: skip
            return _with_images(page, directory)

        def pdf() -> bytes:
            text = pandoc("PDF", "--to=typst-citations", f"--template={work}/article.typ")
            if not text:
                return b""
            folder = work / "pdf"  # typst wants the text beside its images, and nothing is written to theirs
            folder.mkdir()
            for item in directory.iterdir():
                (folder / item.name).symlink_to(item)
            main = folder / "paper.typ"
            main.write_bytes(_keep_group_heads(text) + _pages_wanted(parsed.labels))
            made, found = _compile_typst(main, epoch, source, problems)
            pages.update(found)
            return made

        def docx() -> bytes:
            reference = work / "reference.docx"
            reference.write_bytes(_reference_docx(base, parsed.short_title, synthetic))
            made = pandoc(
                "DOCX", "--to=docx", f"--template={work}/article.openxml", f"--reference-doc={reference}",
                "--output=-",
            )  # fmt: skip
            return finish_docx(made, epoch) if made else b""

        makers: dict[str, Callable[[], bytes]] = {"pdf": pdf, "docx": docx, "html": web}

        def timed(name: str) -> bytes:
            started = time.perf_counter()
            made = makers[name]()
            seconds[name] = time.perf_counter() - started
            return made

        running = {name: pool.submit(timed, name) for name in makers if name in outputs}
        problems.extend(unbound())
        made = {name: future.result() for name, future in running.items()}
    _raise_if(problems)
    for name, content in made.items():
        Path(outputs[name]).write_bytes(content)
    versions = {
        "pandoc": str(pypandoc.get_pandoc_version()),
        "typst": importlib.metadata.version("typst"),
        "python-docx": importlib.metadata.version("python-docx"),
    }
    return versions, {name: seconds[name] for name in FORMATS if name in seconds}, dict(sorted(pages.items()))


_BINDING: Final = frozenset(("val", "claim", "meta"))


def _without_bindings(node: Any) -> Any:
    """Return pandoc's document with what is bound as plain text: only the page on the web says what it rests on.

    Filters of pandoc could do this too, but take ten times as long for some thousand numbers.
    """
    if isinstance(node, list):
        made = []
        for part in node:
            if type(part) is dict and part.get("t") == "Span" and _BINDING.intersection(part["c"][0][1]):
                made += _without_bindings(part["c"][1])
            else:
                made.append(_without_bindings(part) if isinstance(part, list | dict) else part)
        return made
    return {key: _without_bindings(part) if isinstance(part, list | dict) else part for key, part in node.items()}


_IMAGE: Final = re.compile(rb'<img\b([^>]*?\bsrc=")([^"]+)"')


def _with_images(page: bytes, directory: Path) -> bytes:
    """Return the page with its images inside of it; pandoc's own embedding reads and writes the whole page anew."""

    def embedded(match: re.Match[bytes]) -> bytes:
        source = urllib.parse.unquote(html.unescape(match[2].decode("utf-8")))
        media_type = mimetypes.guess_type(source)[0] or "application/octet-stream"
        content = base64.b64encode((directory / source).read_bytes())
        # some screen readers take an SVG for a group of shapes unless told
        return b'<img role="img"' + match[1] + f"data:{media_type};base64,".encode() + content + b'"'

    return _IMAGE.sub(embedded, page)


def _reference_docx(base: bytes, short_title: str, synthetic: bool) -> bytes:
    from sorafenib_rfa.manuscript.docx_reference import reference_document

    return reference_document(base, short_title=short_title, synthetic=synthetic)


_GROUP_HEAD = re.compile(rb"^( *)(table\.cell\((?=[^)\n]*\bbreakable: false)[^)\n]*\)\[.*\]),$", re.MULTILINE)


def _keep_group_heads(text: bytes) -> bytes:
    """Return the typst text with rows that head others as headers, which never end a page (pandoc writes cells)."""
    return _GROUP_HEAD.sub(rb"\1table.header(level: 2, repeat: false, \2),", text)


def _pages_wanted(labels: Iterable[str]) -> bytes:
    """Return typst text, printing nothing, that notes the page of each label."""
    names = "".join(f'"{name}", ' for name in sorted(labels))
    return (
        f"\n#context [#metadata(({names}).map(name => {{ let found = query(label(name)); "
        "(name, if found.len() > 0 { found.first().location().page() } else { 0 }) })) <pages-of-labels>]\n"
    ).encode()


def _compile_typst(main: Path, epoch: int, source: _Source, problems: list[Problem]) -> tuple[bytes, dict[str, int]]:
    """Return the PDF, and the page of each label."""
    import typst

    try:
        compiler = typst.Compiler(main, root=main.parent, ignore_system_fonts=True, font_paths=[])
        made = compiler.compile(format="pdf", timestamp=epoch)
        found = json.loads(compiler.query("<pages-of-labels>", field="value", one=True))
    except typst.TypstError as error:
        problems.append(problem_at(source.lines.places[0], f"typst cannot set the PDF: {error}"))
        return b"", {}
    return made, {name: page for name, page in found if page}


def finish_docx(content: bytes, epoch: int) -> bytes:
    """Return the DOCX with header, footer and margins also in its landscape sections, packed reproducibly.

    Parameters
    ----------
    content : bytes
        What pandoc wrote; its last section carries the header and footer of the reference document.
    epoch : int
        Seconds since 1970 for the entries of the archive.
    """
    import io
    import zipfile

    moment = time.gmtime(max(epoch, 315532800))[:6]  # ZIP knows no time before 1980
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as given, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in given.namelist():
            part = given.read(name)
            if name == "word/document.xml":
                part = _complete_sections(part.decode("utf-8")).encode("utf-8")
            entry = zipfile.ZipInfo(name, moment)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            packed.writestr(entry, part, compresslevel=1 if name.endswith(".png") else None)  # compressed already
    return out.getvalue()


def _complete_sections(xml: str) -> str:
    sections = re.findall(r"<w:sectPr\b.*?</w:sectPr>", xml, re.DOTALL)
    if len(sections) < 2:
        return xml
    last = sections[-1]
    references = "".join(re.findall(r"<w:(?:header|footer)Reference\b[^>]*/>", last))
    margins = "".join(re.findall(r"<w:pgMar\b[^>]*/>", last))
    head, _, tail = xml.rpartition(last)
    head = re.sub(r"<w:sectPr>(<w:pgSz\b[^>]*/>)</w:sectPr>", rf"<w:sectPr>{references}\1{margins}</w:sectPr>", head)
    return head + last + tail
