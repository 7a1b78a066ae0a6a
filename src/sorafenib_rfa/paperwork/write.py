"""Write the paperwork of a paper."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sorafenib_rfa.errors import Problem
from sorafenib_rfa.export.citation import read_citation
from sorafenib_rfa.export.contents import Contents
from sorafenib_rfa.export.errors import ExportError
from sorafenib_rfa.paperwork.aea_readme import aea_readme_md
from sorafenib_rfa.paperwork.certificate import certificate_md
from sorafenib_rfa.paperwork.codecheck import codecheck_yml
from sorafenib_rfa.paperwork.exhibits import read_exhibits
from sorafenib_rfa.paperwork.resources import measured

MANUSCRIPT = "manuscript/index.qmd"


def paper_title(root: Path) -> str:
    """Return the title in the manuscript's front matter.

    Raises
    ------
    ExportError
        If it has none.
    """
    text = (root / MANUSCRIPT).read_text(encoding="utf-8")
    match = re.match(r"---\n(.*?)\n---\n", text, flags=re.DOTALL)
    title = (yaml.safe_load(match[1]) or {}).get("title") if match else None
    if not title:
        raise ExportError(Problem("title: this key is required", file=MANUSCRIPT, found="nothing"))
    return title


def write_paperwork(contents: Contents, *, codecheck: Path, certificate: Path, aea_readme: Path) -> None:
    """Write ``codecheck.yml``, the draft of a certificate and the README for data editors.

    Raises
    ------
    ExportError
        If a piece is missing: nothing is left blank in silence.
    """
    citation, title = read_citation(contents.root), paper_title(contents.root)
    exhibits, resources = read_exhibits(contents), measured(contents)
    codecheck.write_text(codecheck_yml(citation, title, exhibits, contents.cohort), encoding="utf-8")
    aea_readme.write_text(aea_readme_md(contents, citation, title, exhibits, resources), encoding="utf-8")
    certificate.write_text(certificate_md(contents, citation, title, exhibits, resources), encoding="utf-8")


def write_certificate(contents: Contents, verification: Mapping[str, Any], destination: Path) -> None:
    """Write the draft of a certificate with the verdict of a verification."""
    text = certificate_md(
        contents,
        read_citation(contents.root),
        paper_title(contents.root),
        read_exhibits(contents),
        measured(contents),
        verification,
    )
    destination.write_text(text, encoding="utf-8")
