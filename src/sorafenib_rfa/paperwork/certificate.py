"""Draft of a CODECHECK certificate: everything that records and a verification can say; the rest is the checker's.

The sections are those of the template of the R package codecheck. Volatile by nature: it states when, where and how
long jobs ran.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sorafenib_rfa.export.citation import Citation
from sorafenib_rfa.export.contents import Contents
from sorafenib_rfa.paperwork.codecheck import manifest
from sorafenib_rfa.paperwork.exhibits import Exhibit
from sorafenib_rfa.paperwork.resources import Resources, amount, cell, duration, software, table

FOR_THE_CHECKER = "*to be filled in by the person who checks*"


def certificate_md(
    contents: Contents,
    citation: Citation,
    paper_title: str,
    exhibits: list[Exhibit],
    resources: Resources,
    verification: Mapping[str, Any] | None = None,
) -> str:
    """Return the draft in Markdown.

    Parameters
    ----------
    contents : Contents
    citation : Citation
    paper_title : str
    exhibits : list of Exhibit
    resources : Resources
    verification : mapping, optional
        What ``sorafenib-rfa verify --json`` printed. Without it the certificate has no verdict, and says so.
    """
    synthetic = [name for name, config in contents.configs.items() if config.synthetic]
    pythons, versions = software(contents)
    authors = ", ".join(a.name + (f" (ORCID {a.orcid})" if a.orcid else "") for a in citation.authors)
    parts = [
        "# CODECHECK certificate (draft)",
        "A draft that the repository writes from its job records. It is no certificate until a person who is not an "
        "author has recreated the outputs, filled in what is marked and signed it.",
        f"**Made from synthetic data** (cohort {', '.join(synthetic)})." if synthetic else "",
        table(
            ["Item", "Value"],
            [
                ["Title", paper_title],
                ["Authors", authors],
                ["Reference", f"https://doi.org/{citation.doi}" if citation.doi else "not published yet"],
                ["Repository", citation.repository or "not stated in CITATION.cff"],
                ["Codechecker", FOR_THE_CHECKER],
                ["Date of check", FOR_THE_CHECKER],
                ["Certificate number and DOI", FOR_THE_CHECKER],
            ],
        ),
        "## Summary",
        _summary(verification),
        "## How it was made",
        _how(resources, contents),
        "## How it is made again",
        "In an unpacked bag, or a checkout: `make paper` makes everything; `.venv/bin/sorafenib-rfa verify` makes it "
        "again in a scratch copy, compares and gives the verdict; `verify --claim ID` does so for one number; in the "
        "bag `python3 verify.py` checks every digest and seal without installing anything.",
        "## Output files",
        "sha256 as recorded when the file was made. A recreated file need not have the same bytes to say the same; "
        "`sorafenib-rfa verify` compares numbers, drawn data and text.",
        _outputs(contents, exhibits),
        "## Environment",
        f"Python {', '.join(pythons)}; {'; '.join(resources.platforms)}. {len(versions)} distributions were imported "
        "by the jobs, all pinned with hashes in `requirements.lock`:",
        ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
        "## Notes of the codechecker",
        FOR_THE_CHECKER,
        "## Recommendations to the authors",
        FOR_THE_CHECKER,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _summary(verification: Mapping[str, Any] | None) -> str:
    """Return the verdict in words."""
    if verification is None:
        return (
            "No verification is behind this draft. `sorafenib-rfa verify --json > verification.json` makes one, "
            "`sorafenib-rfa attest verification.json --certificate certificate.md` writes this draft with its verdict."
        )
    seals, outputs = verification["seals"], verification["outputs"]
    lines = [
        f"Verdict of `sorafenib-rfa verify`: **{verification['classification'] or 'only seals were checked'}**, "
        f"in {duration(verification['seconds'])}.",
        f"Seals of {seals['records']} job records: {len(seals['broken'])} broken, {len(seals['moved_on'])} moved on.",
    ]
    if outputs["compared"]:
        counts = ", ".join(f"{value} {key}" for key, value in outputs.items() if key != "compared")
        lines.append(f"Outputs made again and compared: {outputs['compared']} ({counts}).")
    lines += [f"- {each['reason']}: {cell(each['explanation'])}" for each in verification["reasons"]]
    lines += [f"- {each['path']}: {each['level']}" for each in verification["not_identical"]]
    return "\n".join(lines)


def _how(resources: Resources, contents: Contents) -> str:
    """Return who ran what, when and for how long."""
    rows = [
        [run.name, run.jobs, f"{run.started:%Y-%m-%d %H:%M:%S} UTC", duration(run.seconds)] for run in resources.runs
    ]
    failed = f" Failed jobs on record: {len(contents.failed)}." if contents.failed else ""
    return "\n\n".join(
        [
            f"{len(contents.records)} jobs on {'; '.join(resources.platforms)}, under the login "
            f"{', '.join(resources.users) or 'not recorded'}; {duration(resources.job_seconds)} of jobs, at most "
            f"{resources.peak_memory_mb:.0f} MB of memory ({resources.largest}), {amount(resources.bytes)} of files."
            f"{failed}",
            table(["Run of Snakemake", "Jobs that stand", "Started", "First start to last end"], rows),
        ]
    )


def _outputs(contents: Contents, exhibits: list[Exhibit]) -> str:
    """Return the manifest with digests."""
    rows: list[list[object]] = []
    for entry in manifest(exhibits, contents.cohort):
        fact = contents.files[entry["file"]]
        rows.append([f"`{entry['file']}`", entry["comment"].partition(":")[0], amount(fact.bytes), f"`{fact.sha256}`"])
    return table(["File", "What it is", "Size", "sha256"], rows)
