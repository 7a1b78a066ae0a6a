"""Title, authors and licence, from ``CITATION.cff``: the one place that says who made this and under what terms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sorafenib_rfa.errors import Problem
from sorafenib_rfa.export.errors import ExportError

FILE = "CITATION.cff"


@dataclass(frozen=True)
class Author:
    """An author as CITATION.cff names one.

    Attributes
    ----------
    name : str
        Given and family names, or the name of a group.
    person : bool
        A person, not a group or institution.
    orcid : str or None
        Sixteen characters with hyphens, without address.
    affiliation : str or None
    """

    name: str
    person: bool
    orcid: str | None = None
    affiliation: str | None = None


@dataclass(frozen=True)
class Citation:
    """What of ``CITATION.cff`` exports need."""

    title: str
    version: str
    licence: str
    released: str
    authors: tuple[Author, ...]
    keywords: tuple[str, ...]
    repository: str | None
    doi: str | None


def read_citation(root: Path) -> Citation:
    """Return the content of ``CITATION.cff``.

    Raises
    ------
    ExportError
        If the file or one of its keys title, version, license, date-released, authors is missing.
    """
    try:
        content: dict[str, Any] = yaml.safe_load((root / FILE).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ExportError(Problem("the file cannot be read", file=FILE, found=str(error))) from None
    missing = [key for key in ("title", "version", "license", "date-released", "authors") if not content.get(key)]
    if missing:
        raise ExportError([Problem(f"{key}: this key is required", file=FILE, found="nothing") for key in missing])
    authors = []
    for entry in content["authors"]:
        person = "family-names" in entry or "given-names" in entry
        parts = [entry.get("given-names"), entry.get("name-particle"), entry.get("family-names")]
        name = " ".join(part for part in parts if part) if person else entry.get("name", "")
        if not name:
            raise ExportError(Problem("authors: an entry has no name", file=FILE, found=str(entry)))
        orcid = str(entry["orcid"]).rstrip("/").rpartition("/")[2] if entry.get("orcid") else None
        authors.append(Author(name, person, orcid, entry.get("affiliation")))
    return Citation(
        title=content["title"],
        version=str(content["version"]),
        licence=content["license"],
        released=str(content["date-released"]),
        authors=tuple(authors),
        keywords=tuple(content.get("keywords", ())),
        repository=content.get("repository-code"),
        doi=content.get("doi"),
    )
