"""``codecheck.yml``: what a CODECHECKer is to recreate. https://codecheck.org.uk/spec/config/1.0/.

The specification asks for ``manifest``, ``codechecker`` and ``report``. The last two, like ``certificate``,
``check_time`` and ``summary``, are the checker's to give: the file says so and leaves them out, since a name that
stands for nobody would pass for a check.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from sorafenib_rfa.export.citation import Citation
from sorafenib_rfa.paperwork.exhibits import Exhibit

SPECIFICATION = "https://codecheck.org.uk/spec/config/1.0/"

HEADER = """\
# For a CODECHECK of the paper on the cohort {cohort}. Paths are relative to the root of the repository, where this file
# has to lie: copy it there (the bag has it there already).
#
# Author's part. To be added by the person who checks, as the specification asks, and by nobody else:
#   codechecker:            a list, each entry with name and ORCID
#   report:                 DOI of the published certificate
#   certificate, check_time, summary
# paper.reference is added once the paper has a DOI (key doi of CITATION.cff).
"""


RECREATED = (".svg", ".csv")
"""Of an exhibit: the picture and its data. Other formats show the same."""


def manifest(exhibits: Iterable[Exhibit], cohort: str) -> list[dict[str, str]]:
    """Return file and comment of everything to recreate: the paper, each exhibit with its data, the numbers."""
    rows = [
        {"file": f"results/{cohort}/manuscript/paper.{kind}", "comment": f"The paper as {name}"}
        for kind, name in (("html", "HTML"), ("pdf", "PDF"), ("docx", "DOCX"))
    ]
    rows += [
        {"file": f"results/{cohort}/ard/ard.csv", "comment": "Every number of the results, one row each"},
        {"file": f"results/{cohort}/manuscript/uses.csv", "comment": "Where the text uses which number: file and line"},
    ]
    seen = {row["file"] for row in rows}
    for exhibit in exhibits:
        for path in exhibit.files:
            if path in seen or not path.endswith(RECREATED):
                continue
            seen.add(path)
            what = ", the data it shows" if path.endswith(".csv") else ""
            rows.append({"file": path, "comment": f"{exhibit.label}{what}: {exhibit.caption}"})
    return rows


def codecheck_yml(citation: Citation, paper_title: str, exhibits: Iterable[Exhibit], cohort: str) -> str:
    """Return the text of ``codecheck.yml``.

    Parameters
    ----------
    citation : Citation
        Authors and repository.
    paper_title : str
    exhibits : iterable of Exhibit
    cohort : str
    """
    authors = []
    for author in citation.authors:
        authors.append({"name": author.name} | ({"ORCID": author.orcid} if author.orcid else {}))
    paper: dict[str, Any] = {"title": paper_title, "authors": authors}
    if citation.doi:
        paper["reference"] = f"https://doi.org/{citation.doi}"
    content: dict[str, Any] = {"version": SPECIFICATION, "paper": paper, "manifest": manifest(exhibits, cohort)}
    if citation.repository:
        content["repository"] = citation.repository
    body = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    return f"---\n{HEADER.format(cohort=cohort)}{body}"
