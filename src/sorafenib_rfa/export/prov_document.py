"""W3C PROV: files, jobs, programs and people of a paper, and the way from a number of its text to the job that made it.

Entities are files (by path, with sha256), code as it ran, the rows of the analysis results data that the text uses, and
the uses themselves (file and line of the manuscript). What a job read and made is ``used`` and ``wasGeneratedBy``; a
number of the text ``wasDerivedFrom`` its rows, a row from the part of the results that its job wrote.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Any

from sorafenib_rfa.export.citation import read_citation
from sorafenib_rfa.export.contents import Contents
from sorafenib_rfa.records.record import Record

if TYPE_CHECKING:
    from prov.model import ProvDocument

ARCHIVE = "arcp://name,sorafenib-rfa/"
"""Base of all identifiers: the archive and package scheme, which needs no server."""


def _time(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None


def prov_document(contents: Contents) -> ProvDocument:
    """Return the PROV document of a paper's records.

    Parameters
    ----------
    contents : Contents
        What the records name; ``results/<cohort>/manuscript/uses.csv`` and the ARD are read if records name them.
    """
    from prov.model import ProvDocument

    document = ProvDocument()
    for prefix in ("path", "job", "software", "agent", "ard", "use", "code"):
        document.add_namespace(prefix, f"{ARCHIVE}{'' if prefix == 'path' else f'#{prefix}/'}")
    document.add_namespace("study", f"{ARCHIVE}terms#")
    citation = read_citation(contents.root)
    authors = []
    for author in citation.authors:
        kind = "prov:Person" if author.person else "prov:Organization"
        identifier = f"agent:{author.orcid or author.name.replace(' ', '_')}"
        attributes: dict[str, Any] = {"prov:type": kind, "prov:label": author.name}
        authors.append(document.agent(identifier, attributes))
    for fact in contents.files.values():
        document.entity(
            f"path:{fact.path}",
            {
                "prov:type": "study:Folder" if (contents.root / fact.path).is_dir() else "study:File",
                "study:sha256": fact.sha256,
                "study:bytes": fact.bytes,
            },
        )
    known: set[str] = set()
    everything = [*contents.records.values(), *(Record(path, content) for path, content in contents.failed.items())]
    for record in everything:
        _add_job(document, contents, record, known)
    for record in contents.final:
        for entry in record.outputs:
            for author in authors:
                document.wasAttributedTo(f"path:{entry['path']}", author)
    _add_numbers(document, contents)
    return document


def _add_job(document: ProvDocument, contents: Contents, record: Record, known: set[str]) -> None:
    """Add one job: what it used, what it made, with which code, in whose name."""
    job = f"job:{record.path}"
    attributes: dict[str, Any] = {
        "prov:type": "study:Job",
        "prov:label": record.title,
        "study:rule": record.rule,
        "study:status": record.content["status"],
        "study:seed": record.content["seed"],
        "study:seal": record.content.get("seal", ""),
        "study:code_digest": record.content["code"]["digest"],
    }
    document.activity(job, _time(record.run.get("started")), _time(record.run.get("ended")), attributes)
    for entry in record.inputs:
        if entry["path"] in contents.files:
            document.used(job, f"path:{entry['path']}")
    for entry in record.outputs:
        document.wasGeneratedBy(f"path:{entry['path']}", job)
    script = record.content["script"]
    plan = f"code:{record.code_files[script]['sha256']}" if script in record.code_files else None
    for name, entry in record.code_files.items():
        identifier = f"code:{entry['sha256']}"
        if identifier not in known:
            known.add(identifier)
            document.entity(
                identifier, {"prov:type": "study:Code", "prov:label": name, "study:sha256": entry["sha256"]}
            )
        document.used(job, identifier)
    environment = record.content["environment"]
    software = f"software:python-{environment['python']}"
    if software not in known:
        known.add(software)
        document.agent(software, {"prov:type": "prov:SoftwareAgent", "prov:label": f"Python {environment['python']}"})
    document.wasAssociatedWith(job, software, plan)
    user = record.run.get("user")
    if user:
        operator = f"agent:login_{user}"
        if operator not in known:
            known.add(operator)
            document.agent(operator, {"prov:type": "prov:Person", "prov:label": user})
            document.actedOnBehalfOf(software, operator)
        document.wasAssociatedWith(job, operator)


def _add_numbers(document: ProvDocument, contents: Contents) -> None:
    """Add the numbers of the text, the rows they show and the jobs that computed those."""
    import pandas as pd

    uses_path = f"results/{contents.cohort}/manuscript/uses.csv"
    if uses_path not in contents.files:
        return
    uses = pd.read_csv(contents.root / uses_path, dtype=str, keep_default_na=False)
    uses = uses[uses["ard_ids"] != ""]
    used = sorted({identifier for ids in uses["ard_ids"] for identifier in ids.split(";")})
    rows: dict[str, dict[str, Any]] = {}
    for path in contents.files:
        if path.endswith(("/ard/ard.parquet", "/validation/ard/ard.parquet")) and not contents.is_private(path):
            frame = pd.read_parquet(contents.root / path)
            for row in frame.to_dict("records"):
                rows.setdefault(f"{row['cohort']}:{row['ard_id']}", {**row, "path": path})
    for identifier in used:
        row = rows.get(identifier)
        if row is None:
            continue
        attributes: dict[str, Any] = {
            "prov:type": "study:Number",
            "prov:label": row["method"],
            "study:unit": row["unit"],
        }
        for key in ("value", "ci_low", "ci_high", "p_value"):
            if row[key] is not None and not math.isnan(row[key]):
                attributes[f"study:{key}"] = float(row[key])
        document.entity(f"ard:{identifier}", attributes)
        document.wasDerivedFrom(f"ard:{identifier}", f"path:{row['path']}")
        maker = f"results/{row['cohort']}/{row['record']}"
        if maker in contents.records:
            document.wasGeneratedBy(f"ard:{identifier}", f"job:{maker}")
    seen: dict[str, int] = {}
    for use in uses.to_dict("records"):
        place = f"{use['file']}:{use['line']}"
        seen[place] = seen.get(place, 0) + 1
        identifier = f"use:{place}:{seen[place]}"
        document.entity(
            identifier,
            {"prov:type": f"study:{use['kind'].capitalize()}", "prov:label": use["target"] or use["claim_id"]},
        )
        for each in use["ard_ids"].split(";"):
            if each in rows:
                document.wasDerivedFrom(identifier, f"ard:{each}")
        document.wasDerivedFrom(f"path:{uses_path}", identifier)
