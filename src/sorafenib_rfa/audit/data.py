"""What the audit site shows, as plain data built from records, results and ledgers.

Every function is pure but for those that take a `root`, which read code that ran or stands there. Values are what
:func:`sorafenib_rfa.audit.pack.packed` can write; what differs between repetitions of the same work (times, hosts, the
run log) comes from :func:`run_part` alone.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from sorafenib_rfa.audit.pack import Pool, columns, nested, numbers, runs
from sorafenib_rfa.estimates.ard import ARD_COLUMNS
from sorafenib_rfa.provenance.trace import raw_inputs
from sorafenib_rfa.provenance.tree import LEDGER
from sorafenib_rfa.records.code_store import code_bytes
from sorafenib_rfa.records.record import Record, Records, canonical
from sorafenib_rfa.records.run_log import Entry
from sorafenib_rfa.records.seals import Breach

SHOWN_OF_ARD = (*(column for column in ARD_COLUMNS if column != "cohort"), "file")
QUARANTINE_COLUMNS = ("site", "file", "sheet", "row", "column", "table", "subject_id", "rule", "reason", "scope")
"""The cell's value itself is left where it is, in the raw file."""
SHOWN_OF_LOG = ("seq", "time", "event", "record", "rule", "seconds", "error", "digest")
"""``previous`` is the digest of the line before; digests of outputs stand in the records."""
FATE_COLUMNS = ("USUBJID", "site", "fate", "step_id", "reason", "src_file", "src_row")


def ordered(records: Records, last: Iterable[str]) -> list[Record]:
    """Return the records behind the records or files `last`, makers before their readers."""
    found: dict[str, Record] = {}
    for start in last:
        for record in records.upstream(start):
            found.setdefault(record.path, record)
    return list(found.values())


def jobs_part(records: list[Record], doing: Mapping[str, str], state: Callable[[str, str, str], str]) -> dict[str, Any]:
    """Return jobs, files, parameters, code and packages, each once, by place in their lists.

    Parameters
    ----------
    records : list of Record
        In the order of :func:`ordered`.
    doing : mapping
        sha256 of a script -> what it says it does.
    state : callable
        ``state(path, sha256, identity)`` says how the tree stands to a file as it ran: same, reworded, changed, gone.
    """
    files, params, code, environments = Pool(), Pool(), Pool(), Pool()
    place = {record.path: number for number, record in enumerate(records)}
    made: dict[str, int] = {}
    jobs = []

    def file(entry: Mapping[str, Any]) -> int:
        return files.place([entry["path"], entry["sha256"], entry["bytes"]], (entry["path"], entry["sha256"]))

    for number, record in enumerate(records):
        content = record.content
        for entry in record.outputs:
            made[entry["path"]] = number
        script = record.code_files.get(content["script"], {}).get("sha256", "")
        jobs.append(
            {
                "record": record.path,
                "rule": record.rule,
                "wildcards": record.wildcards,
                "cohort": record.cohort,
                "title": record.title,
                "does": doing.get(script, ""),
                "script": content["script"],
                "notebook": content.get("notebook"),
                "seal": record.seal,
                "seed": str(content["seed"]),  # a browser's numbers end at 2 to the 53rd
                "status": content["status"],
                "params": {name: params.place(value, canonical(value)) for name, value in record.params.items()},
                "inputs": [
                    [file(entry), place.get((entry["made_by"] or {}).get("record", ""), -1)] for entry in record.inputs
                ],
                "outputs": [file(entry) for entry in record.outputs],
                "digest": content["code"]["digest"],
                "code": [
                    code.place((path, entry["sha256"], entry["identity"]))
                    for path, entry in sorted(record.code_files.items())
                ],
                "environment": environments.place(content["environment"], canonical(content["environment"])),
            }
        )
    return {
        "jobs": jobs,
        "files": files.values,
        "params": params.values,
        "code": [[path, sha256, state(path, sha256, identity)] for path, sha256, identity in code.values],
        "raw": sorted({file(entry) for record in records for entry in raw_inputs(record)}),
        "environments": environments.values,
    }


def ard_part(frames: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Return the ARD of each cohort by columns; `record` is a path from the root of the repository.

    Parameters
    ----------
    frames : mapping
        Cohort -> ARD rows with ``file``, the collected file that holds them.
    """
    found = {}
    for cohort, frame in frames.items():
        frame = frame.sort_values("ard_id", kind="stable")
        full = frame.assign(record=f"results/{cohort}/" + frame["record"].astype("string"))
        found[cohort] = columns(full, SHOWN_OF_ARD)
    return found


def uses_part(uses: pd.DataFrame) -> list[list[Any]]:
    """Return where the manuscript uses what: file, line, kind, target, claim, ids; empty text for a missing value."""
    frame = uses.fillna("")
    return [
        [row.file, int(row.line), row.kind, row.target, row.claim_id, row.ard_ids.split(";") if row.ard_ids else []]
        for row in frame.itertuples()
    ]


def claims_part(
    claims: Mapping[str, Any], used: Iterable[str], rows: Mapping[str, Mapping[str, Any]], cohort: str
) -> dict:
    """Return each used claim: the results it looks at, its wordings with their conditions, and which of them held.

    Parameters
    ----------
    claims : Claims
        Of ``claims.yaml``.
    used : iterable of str
        Names of the claims in the paper.
    rows : mapping
        ``cohort:ARD_ID`` -> row of the ARD.
    cohort : str
        The paper's cohort, of which ids without a prefix are.
    """
    from sorafenib_rfa.manuscript.claims import parse_claim
    from sorafenib_rfa.manuscript.predicate import NotEstimableError

    found = {}
    for name in sorted(set(used)):
        if name not in claims:
            continue
        claim = parse_claim(claims, name)
        ids = {alias: target if ":" in target else f"{cohort}:{target}" for alias, target in claim.ard.items()}
        known = {alias: rows[target] for alias, target in ids.items() if target in rows}
        branches, held = [], None
        for number, branch in enumerate(claim.branches):
            if held is None and len(known) == len(ids):
                try:
                    held = number if branch.predicate is None or branch.predicate.holds(known) else None
                except NotEstimableError:  # the paper would not have been built; the tree has moved on
                    known = {}
            branches.append(
                {"if": branch.predicate.source if branch.predicate else None, "say": branch.say, "line": branch.line}
            )
        found[name] = {"ard": ids, "line": claim.line, "branches": branches, "held": held}
    return found


def rows_by_id(frames: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, Any]]:
    """Return ``cohort:ARD_ID`` -> row, of the ARD of several cohorts."""
    return {
        f"{cohort}:{row['ard_id']}": row for cohort, frame in frames.items() for row in frame.to_dict(orient="records")
    }


def ledger_part(attrition: pd.DataFrame, fates: pd.DataFrame, quarantine: pd.DataFrame) -> dict[str, Any]:
    """Return who left when and why: steps by centre and arm, patients not analysed, cells and rows quarantined."""
    gone = fates[fates["fate"] != "analysed"].sort_values("USUBJID", kind="stable")
    return {
        "attrition": columns(attrition.sort_values(["step_no", "site", "arm"], kind="stable")),
        "fates": columns(gone, FATE_COLUMNS),
        "counts": {str(key): int(n) for key, n in fates["fate"].value_counts().sort_index().items()},
        "quarantine": columns(quarantine, QUARANTINE_COLUMNS),
    }


def members_part(members: pd.DataFrame, origins: pd.DataFrame, ard: pd.DataFrame) -> dict[str, Any]:
    """Return who stands behind each count, on which counts each value rests, and the raw rows of each patient.

    Parameters
    ----------
    members : DataFrame
        ``ard_id, USUBJID, src_file, src_sheet, src_row``, as ``ard/members.parquet`` has it.
    origins : DataFrame
        ``USUBJID, table, src_file, src_sheet, src_row``: the rows of raw files that tell of each patient.
    ard : DataFrame
        The ARD of the cohort.

    Returns
    -------
    dict
        ``patients`` (ids, sorted), ``files`` (file and sheet), ``rows`` (of each patient: file, runs of rows, file,
        runs, ...), ``further`` (patient, file, row of what is counted and not among those, or counted once more in
        the same set), ``sets`` (``p`` of places of patients, ``r`` of places of rows, those of ``rows`` in their order
        and then those of ``further``; as :func:`~sorafenib_rfa.audit.pack.nested` writes them), ``of`` (ARD id ->
        ``["p", set]`` or ``["r", set]``), ``roles`` and ``counts`` (of each ARD id in its order: role, place of the id
        of the count, role, ...).
    """
    from sorafenib_rfa.estimates.members import CountIndex

    patients = sorted(set(members["USUBJID"].dropna()) | set(origins["USUBJID"].dropna()))
    place = {patient: number for number, patient in enumerate(patients)}
    files, roles, lines = Pool(), Pool(), Pool()
    sets = {"p": Pool(), "r": Pool()}

    def file(name: str, sheet: Any) -> int:
        return files.place((name, None if pd.isna(sheet) else sheet))

    rows: list[list[Any]] = [[] for _ in patients]
    known = origins.dropna(subset=["src_row"])
    for (patient, name, sheet), group in known.groupby(["USUBJID", "src_file", "src_sheet"], sort=True, dropna=False):
        told = runs(group["src_row"].astype(int).tolist())
        rows[place[patient]] += [file(name, sheet), told]
        for number in numbers(told):
            lines.place((place[patient], file(name, sheet), number, 1))
    in_rows = len(lines.values)
    of: dict[str, Any] = {}
    for ard_id, group in members.groupby("ard_id", sort=True):
        if group["src_row"].isna().all() or ard_id.startswith(LEDGER):
            kind, behind = "p", [place[patient] for patient in group["USUBJID"]]
        else:
            given = zip(
                group["USUBJID"].fillna(""), group["src_file"], group["src_sheet"], group["src_row"], strict=True
            )
            seen: Counter[tuple[int, int, int]] = Counter()
            kind, behind = "r", []
            for patient, name, sheet, row in given:
                line = (place.get(patient, -1), file(name, sheet), int(row))
                seen[line] += 1
                behind.append(lines.place((*line, seen[line])))
        of[ard_id] = [kind, sets[kind].place(tuple(sorted(set(behind))))]
    index, ids = CountIndex(ard), sorted(ard["ard_id"])
    at = {ard_id: number for number, ard_id in enumerate(ids)}
    counts = [
        [number for role, count in index.of(ard_id).items() for number in (roles.place(role), at[count])]
        for ard_id in ids
    ]
    return {
        "patients": patients,
        "files": [list(pair) for pair in files.values],
        "rows": rows,
        "further": [number for line in lines.values[in_rows:] for number in line[:3]],
        "sets": {kind: nested(pool.values) for kind, pool in sets.items()},
        "of": of,
        "roles": roles.values,
        "counts": counts,
    }


def code_part(root: Path, records: Iterable[Record]) -> dict[str, Any]:
    """Return the code that ran and, where the tree has another one now, the difference.

    Returns
    -------
    dict
        ``text`` (sha256 -> text as it ran; None if the store has lost or changed it), ``diff`` (``path@sha256`` ->
        unified diff from what ran to what stands in the tree).
    """
    text: dict[str, str | None] = {}
    diff: dict[str, str] = {}
    ran = {(path, entry["sha256"], record.cohort) for record in records for path, entry in record.code_files.items()}
    for path, digest, cohort in sorted(ran):
        if text.get(digest) is None:
            text[digest] = _as_ran(root, cohort, digest)
        stands = root / path
        now = stands.read_bytes() if stands.is_file() else None
        if now is not None and hashlib.sha256(now).hexdigest() != digest:
            told = difflib.unified_diff(
                (text[digest] or "").splitlines(),
                now.decode("utf-8", "replace").splitlines(),
                f"{path} as it ran",
                f"{path} in the tree now",
                lineterm="",
            )
            diff[f"{path}@{digest}"] = "\n".join(told)
    return {"text": text, "diff": diff}  # in the order of paths: like beside like compresses better


def _as_ran(root: Path, cohort: str, digest: str) -> str | None:
    try:
        content = code_bytes(root, cohort, digest)
    except OSError:
        return None
    return content.decode("utf-8", "replace") if hashlib.sha256(content).hexdigest() == digest else None


def doing(text: Mapping[str, str | None], records: Iterable[Record]) -> dict[str, str]:
    """Return sha256 of each record's script -> the first line of its docstring."""
    found = {}
    for record in records:
        digest = record.code_files.get(record.content["script"], {}).get("sha256", "")
        if text.get(digest):
            told = ast.get_docstring(ast.parse(text[digest] or ""))
            found[digest] = (told or "").partition("\n")[0]
    return found


def run_part(
    records: Iterable[Record], logs: Mapping[str, list], failed: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return what differs between repetitions: when and where each job ran, the run log, jobs that failed.

    Parameters
    ----------
    records : iterable of Record
        Of finished jobs.
    logs : mapping
        Cohort -> entries of its run log.
    failed : iterable of dict
        Content of the records of failed jobs, with their ``path``.
    """
    return {
        "jobs": {record.path: record.run for record in records},
        "log": {cohort: columns(_shown_of_log(entries)) for cohort, entries in logs.items()},
        "failed": list(failed),
    }


def _shown_of_log(entries: Iterable[Entry]) -> pd.DataFrame:
    """Return the lines of a run log: what the site shows of each, and of its links the line's own."""
    return pd.DataFrame(
        [{**{name: entry.content.get(name) for name in SHOWN_OF_LOG}, "fault": entry.fault} for entry in entries],
        columns=[*SHOWN_OF_LOG, "fault"],
        dtype=object,
    )


def failed_records(root: Path, cohorts: Iterable[str]) -> list[dict[str, Any]]:
    """Return the content of the records of failed jobs, each with its ``path``, in the order of their paths."""
    found = []
    for cohort in cohorts:
        for path in sorted((root / "results" / cohort / "records" / "failed").glob("*/*.json")):
            try:
                content = json.loads(path.read_bytes())
            except (OSError, ValueError):  # seals name a broken record
                continue
            if isinstance(content, dict):
                kept = ("rule", "wildcards", "cohort", "status", "script", "seal", "seed", "error", "run")
                found.append({"path": path.relative_to(root).as_posix(), **{key: content.get(key) for key in kept}})
    return found


def seals_part(breaches: Iterable[Breach], records: Iterable[Record], cohorts: Iterable[str]) -> list[dict[str, Any]]:
    """Return the broken seals of the cohorts, and which files behind the records have moved on."""
    folders = tuple(f"results/{cohort}/" for cohort in cohorts)
    behind = set()
    for record in records:
        behind |= {record.path, *(entry["path"] for entry in [*record.inputs, *record.outputs])}

    def concerns(breach: Breach) -> bool:
        named = {breach.path, breach.record or ""}
        return bool(named & behind) or (breach.broken and any(name.startswith(folders) for name in named))

    return [{**dataclasses.asdict(breach), "broken": breach.broken} for breach in breaches if concerns(breach)]
