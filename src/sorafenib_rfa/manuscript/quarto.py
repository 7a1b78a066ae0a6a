"""Render with the real Quarto, when its binary is on PATH.

The expanded text is Quarto's own subset; only what Quarto numbers differently is written out for it first, so that
both renderers print the same numbers: appendix headings get their letters, and the figures and tables below them
become the custom floats ``suppfig`` and ``supptbl`` of ``_quarto.yml``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from sorafenib_rfa.manuscript.errors import ManuscriptError, problem_at
from sorafenib_rfa.manuscript.source import (
    CAPTION_LINE,
    TRAILING_ATTRIBUTES,
    Sourced,
    divs,
    images,
    in_code,
    regions,
    table_of_caption,
)

_WRITERS: Final = {"html": "html", "pdf": "typst", "docx": "docx"}
_SUPPLEMENT: Final = re.compile(r"S\d+")
_HEADING: Final = re.compile(r"^(#{1,6})\s+(.*?)\s*(?:\{([^{}]*)\})?\s*$")


def find() -> str | None:
    """Return the path of Quarto's binary (``QUARTO_PATH`` or on PATH), or None."""
    import quarto

    return quarto.path()


def prepare(lines: Sourced, labels: Mapping[str, str]) -> str:
    """Return the expanded text as real Quarto must get it to number it as the embedded renderer does.

    Parameters
    ----------
    lines : Sourced
        The expanded text.
    labels : mapping
        Label -> number as the embedded renderer gave it (``S1`` for supplementary exhibits, ``A.1`` for parts of an
        appendix).
    """
    text = lines.text
    spans, edits = regions(text), []

    def free(start: int) -> bool:
        return not in_code(spans, start)

    # shortcodes that are only shown: Quarto looks for them in code as well
    for match in re.finditer(r"\{\{<.*?>\}\}", text):
        if not free(match.start()):
            edits.append((match.start(), match.end(), "{" + match[0] + "}"))
    # references
    for match in re.finditer(r"(\[-?|-)?@((?:fig|tbl|sec)-[\w-]+)(\])?", text, re.IGNORECASE):
        label = match[2][0].lower() + match[2][1:]
        number = labels.get(label, "")
        if not free(match.start()) or not number:
            continue
        if label.startswith("sec-") and number[0].isalpha():
            whole = bool(match[1] and match[1].startswith("[")) == bool(match[3])
            shown = number if match[1] and match[1].endswith("-") else f"Appendix\u00a0{number}"
            start = match.start() if whole else match.start(2) - 1
            edits.append((start, match.end() if whole else match.end(2), f"[{shown}](#{label})"))
        elif _SUPPLEMENT.fullmatch(number):
            edits.append((match.start(2), match.end(2), f"supp{label}"))
    # headings of appendices
    starts, letter, counts = lines.starts(), "", [0] * 7
    inside = {
        n for div in divs(lines.lines) if div.end and "callout" in div.attributes for n in range(div.start, div.end)
    }
    headings = [
        (number, match)
        for number, line in enumerate(lines.lines)
        if number not in inside and free(starts[number]) and (match := _HEADING.match(line))
    ]
    top, appendices = min((len(match[1]) for _, match in headings), default=1), 0
    for number, match in headings:
        level, attributes = len(match[1]), match[3] or ""
        if level == top:
            letter = ""
            if ".appendix" in attributes:
                appendices += 1
                letter = chr(64 + appendices)
            counts = [0] * 7
        if not letter or ".unnumbered" in attributes:
            continue
        counts[level] += 1
        counts[level + 1 :] = [0] * (6 - level)
        mark = (
            f"Appendix\u00a0{letter}." if level == top else ".".join([letter, *map(str, counts[top + 1 : level + 1])])
        )
        attributes = " ".join([*(a for a in attributes.split() if a != ".appendix"), ".unnumbered"])
        start = starts[number]
        edits.append((start, start + len(lines.lines[number]), f"{match[1]} {mark} {match[2]} {{{attributes}}}"))
    # figures and tables of appendices
    for div in divs(lines.lines):
        if div.identifier and _SUPPLEMENT.fullmatch(labels.get(div.identifier, "")):
            start = starts[div.start] + lines.lines[div.start].index(f"#{div.identifier}")
            edits.append((start, start + len(div.identifier) + 1, f"#supp{div.identifier}"))
    for image in images(text):
        if not _SUPPLEMENT.fullmatch(labels.get(image.identifier, "")):
            continue
        attributes = text[image.path_end : image.end].strip("{}").replace(f"#{image.identifier}", "").strip()
        shown = f"![]({image.path})" + (f"{{{attributes}}}" if attributes else "")
        new = f"::: {{#supp{image.identifier}}}\n\n{shown}\n\n{image.caption}\n\n:::"
        edits.append((image.start, image.end, new))
    for number, line in enumerate(lines.lines):
        label = re.search(r"\{[^{}]*#(tbl-[\w-]+)[^{}]*\}\s*$", line)
        if not (label and CAPTION_LINE.match(line) and _SUPPLEMENT.fullmatch(labels.get(label[1], ""))):
            continue
        block = table_of_caption(lines.lines, number)
        if not block:
            continue
        caption = re.sub(r"^(?::|[Tt]able:)\s+", "", TRAILING_ATTRIBUTES.sub("", line))
        attributes = re.search(r"\{([^{}]*)\}\s*$", line)[1].replace(f"#{label[1]}", f"#supp{label[1]}")
        first, last = min(block), max(block)
        table = "\n".join(lines.lines[first : last + 1])
        new = f"::: {{{attributes}}}\n\n{table}\n\n{caption}\n\n:::"
        start, end = (
            min(starts[first], starts[number]),
            max(starts[last] + len(lines.lines[last]), starts[number] + len(line)),
        )
        edits = [edit for edit in edits if not (start <= edit[0] < end)]
        edits.append((start, end, new))
    pieces, at = [], 0
    for start, end, new in sorted(edits):
        if start < at:  # a reference within the caption of a figure that was rewritten as a whole
            continue
        pieces += [text[at:start], new]
        at = end
    return "".join([*pieces, text[at:]])


_WEB_MARKS = re.compile(r' data-(?:table|figure)="[^"]*"(?=[^{}\n]*\})')


def link_numbers(text: str) -> str:
    """Return the text for HTML with each number linked to its chain, if the YAML block says where that is."""
    where = re.search(r'^audit-href: "((?:[^"\\]|\\.)*)"$', text, re.MULTILINE)
    if where is None:
        return text
    text = re.sub(
        r'\]\{\.val data-ard="([^"\\]*)"\}',
        lambda match: f']({where[1]}{match[1]}){{.val data-ard="{match[1]}"}}',
        text,
    )
    return re.sub(
        r'\]\{\.meta data-meta="([^"\\]*)"([^{}]*)\}',
        lambda match: f']({where[1]}meta:{match[1]}){{.val data-meta="{match[1]}"{match[2]}}}',
        text,
    )


def project_file(base: Mapping[str, Any], *, synthetic: bool, short_title: str) -> dict[str, Any]:
    """Return ``_quarto.yml`` with the page headers, and the marks of synthetic data if `synthetic`."""
    import copy

    from sorafenib_rfa.manuscript.docx_reference import SYNTHETIC_HEADER

    project = copy.deepcopy(dict(base))
    formats = project.setdefault("format", {})
    for name in _WRITERS.values():
        formats[name] = dict(formats.get(name) or {})
    formats["docx"]["reference-doc"] = "reference.docx"
    escaped = re.sub(r"([\\#\[\]*_$@<>`~])", r"\\\1", short_title)
    mark = f'#text(fill: rgb("#8a1c1c"), weight: "bold")[{SYNTHETIC_HEADER}]' if synthetic else ""
    formats["typst"]["include-in-header"] = [
        {"text": f"#set page(header: [#set text(size: 8.5pt); {escaped} #h(1fr) {mark}])\n"}
    ]
    if synthetic:
        formats["html"]["include-before-body"] = [
            {
                "text": '<div role="note" style="position:sticky;top:0;z-index:2000;background:#8a1c1c;color:#fff;'
                'text-align:center;padding:.35rem;font-family:system-ui,sans-serif">'
                "Main cohort: <strong>synthetic data</strong></div>\n"
            }
        ]
    return project


def render(
    binary: str,
    directory: Path,
    lines: Sourced,
    labels: Mapping[str, str],
    outputs: Mapping[str, Path],
    *,
    source_date_epoch: int,
    synthetic: bool,
    short_title: str,
    reference: bytes,
) -> tuple[dict[str, str], dict[str, float]]:
    """Run Quarto once a format, each in a copy of the folder of its own.

    Returns
    -------
    versions, seconds : dict
        Of Quarto, and the wall time of each format.

    Raises
    ------
    ManuscriptError
        If ``_quarto.yml`` is missing or Quarto fails; with Quarto's own words.
    """
    import yaml

    project_path = directory / "_quarto.yml"
    if not project_path.is_file():
        raise ManuscriptError(
            problem_at(None, "_quarto.yml is not beside index.qmd", hint="copy manuscript/_quarto.yml there")
        )
    base = yaml.safe_load(project_path.read_text(encoding="utf-8"))
    project = project_file(base, synthetic=synthetic, short_title=short_title)
    text = prepare(lines, labels)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(source_date_epoch), "TZ": "UTC"}
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    seconds: dict[str, float] = {}

    def one(name: str, scratch: Path) -> None:
        started = time.perf_counter()
        work = scratch / name
        shutil.copytree(directory, work)
        shown = link_numbers(text) if name == "html" else _WEB_MARKS.sub("", text)
        (work / "index.qmd").write_text(shown, encoding="utf-8", newline="\n")
        (work / "_quarto.yml").write_text(
            yaml.safe_dump(project, sort_keys=False, allow_unicode=True), encoding="utf-8"
        )
        (work / "reference.docx").write_bytes(reference)
        made = work / f"paper.{name}"
        command = [binary, "render", "index.qmd", "--to", _WRITERS[name], "--output", made.name, "--no-execute"]
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
        if done.returncode or not made.is_file():
            said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-15:])
            raise ManuscriptError(problem_at(lines.places[0], f"Quarto cannot make {name}", found=said))
        shutil.copyfile(made, outputs[name])
        seconds[name] = time.perf_counter() - started

    with tempfile.TemporaryDirectory(prefix="quarto-") as scratch, ThreadPoolExecutor(len(_WRITERS)) as pool:
        running = [pool.submit(one, name, Path(scratch)) for name in _WRITERS if name in outputs]
        failed = [error for future in running if (error := future.exception())]
    if failed:
        raise failed[0]
    return {"quarto": version}, seconds
