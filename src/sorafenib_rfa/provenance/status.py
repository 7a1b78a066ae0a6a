"""How a tree stands: seals first, then what would run again, what failed, what has moved on."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sorafenib_rfa.errors import UserError
from sorafenib_rfa.provenance.tree import Tree
from sorafenib_rfa.records.record import FOLDER, Record
from sorafenib_rfa.records.run_log import Entry, read_log, run_log_path
from sorafenib_rfa.records.seals import Breach, check_seals, paper_seal


@dataclass(frozen=True)
class Paper:
    """One rendered paper: its record, the seal of the record, and the seal of its inputs that is printed in it."""

    cohort: str
    record: str
    seal: str
    inputs_seal: str
    files: list[str]


@dataclass(frozen=True)
class Failure:
    """One failed job; `mended` says that the job has finished since."""

    rule: str
    wildcards: dict[str, str]
    time: str
    message: str
    record: str
    mended: bool


@dataclass(frozen=True)
class LastRun:
    """The last call of Snakemake that ran a job: its id, first and last moment, and how many jobs ended how."""

    id: str
    started: str
    ended: str
    finished: int
    failed: int
    unended: int


@dataclass(frozen=True)
class MovedFile:
    """A file that is no longer what a job used, and the records of these jobs.

    `how` is changed, reworded (comments or formatting: nothing reruns), gone, or what the seal check says.
    """

    path: str
    how: str
    records: list[str]


@dataclass(frozen=True)
class Status:
    """How a tree stands.

    Attributes
    ----------
    records, files : int
        How many records and recorded files were checked.
    broken : list of Breach
        Broken seals: files that no honest way of working leaves behind.
    moved : list of Breach
        What the next run brings up to date.
    papers : list of Paper
    would_run : dict or None
        Rule -> jobs Snakemake would run for its default target; None if it was not asked.
    plan_error : str or None
        Why Snakemake could not plan.
    unmade : list of str
        Outputs of the default target that are not there.
    failures : list of Failure
        Of the last attempt of each job that failed, the newest first.
    last_run : LastRun or None
    code : list of MovedFile
        Files of code that are not as they ran.
    """

    records: int
    files: int
    broken: list[Breach]
    moved: list[Breach]
    papers: list[Paper]
    would_run: dict[str, int] | None
    plan_error: str | None
    unmade: list[str]
    failures: list[Failure]
    last_run: LastRun | None
    code: list[MovedFile] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"seals": "broken" if self.broken else "kept", **dataclasses.asdict(self)}


def status(root: Path, *, plan: bool = True) -> Status:
    """Return how the tree stands.

    Parameters
    ----------
    root : Path
        Repository root.
    plan : bool
        Whether Snakemake is asked what it would run (takes it about two seconds).
    """
    breaches = check_seals(root)
    tree = Tree(root)
    records = tree.built
    logs = {name: read_log(run_log_path(root, name)) for name in sorted({_folder(r) for r in records.values()})}
    for folder in sorted((root / "results").glob(f"*/{FOLDER}")):  # of cohorts whose every job failed
        logs.setdefault(folder.parent.name, read_log(run_log_path(root, folder.parent.name)))
    would_run, unmade, error = _planned(root) if plan else (None, [], None)
    return Status(
        records=len(records),
        files=len({entry["path"] for record in records.values() for entry in [*record.inputs, *record.outputs]}),
        broken=[breach for breach in breaches if breach.broken],
        moved=[breach for breach in breaches if not breach.broken],
        papers=[_paper(root, record) for record in tree.papers.values()] if records else [],
        would_run=would_run,
        plan_error=error,
        unmade=unmade,
        failures=_failures(root, logs),
        last_run=_last_run(logs),
        code=_code(tree),
    )


def _folder(record: Record) -> str:
    return record.path.split("/")[1]


def _paper(root: Path, record: Record) -> Paper:
    files = [entry["path"] for entry in record.outputs if Path(entry["path"]).suffix in (".html", ".pdf", ".docx")]
    present = [path for path in files if (root / path).is_file()]
    return Paper(record.cohort, record.path, record.seal, paper_seal(record.inputs), present)


def _planned(root: Path) -> tuple[dict[str, int] | None, list[str], str | None]:
    from sorafenib_rfa.provenance.plan import read_plan

    try:
        jobs = read_plan(root)
    except UserError as error:
        return None, [], str(error)
    run = [job for job in jobs if job.needs_run and job.record is not None]
    unmade = sorted({path for job in run for path in job.outputs if not (root / path).exists()})
    return dict(sorted(Counter(job.rule for job in run).items())), unmade, None


def _failures(root: Path, logs: dict[str, list[Entry]]) -> list[Failure]:
    """Return the last failure of each job that has failed; told from the log, which keeps what was removed since."""
    last: dict[tuple[str, str], tuple[str, Entry]] = {}
    finished: dict[tuple[str, str], str] = {}
    for name, entries in logs.items():
        for entry in entries:
            content = entry.content
            key = (str(content.get("rule")), _words(name, content.get("wildcards")))
            if content.get("event") == "failed":
                last[key] = (name, entry)
            elif content.get("event") in ("finished", "adopted"):
                finished[key] = str(content.get("time"))
    found = [
        Failure(
            rule=str(entry.content.get("rule")),
            wildcards=entry.content.get("wildcards") or {},
            time=str(entry.content.get("time")),
            message=_said(root, entry),
            record=str(entry.content.get("record")),
            mended=finished.get(key, "") > str(entry.content.get("time")),
        )
        for key, (_, entry) in last.items()
    ]
    return sorted(found, key=lambda failure: failure.time, reverse=True)


def _said(root: Path, entry: Entry) -> str:
    """Return what a failed job said, from its record; the log holds only the kind of the error."""
    try:
        error = json.loads((root / str(entry.content.get("record"))).read_bytes())["error"]
        return f"{error['type']}: {error['message']}"
    except (OSError, ValueError, KeyError, TypeError):
        return str(entry.content.get("error"))


def _words(folder: str, wildcards: Any) -> str:
    return repr((folder, sorted((wildcards or {}).items()))) if isinstance(wildcards, dict) else folder


def _last_run(logs: dict[str, list[Entry]]) -> LastRun | None:
    entries = [entry.content for found in logs.values() for entry in found if entry.content.get("run")]
    if not entries:
        return None
    run = max(entries, key=lambda content: str(content.get("time")))["run"]
    mine = [content for content in entries if content["run"] == run]
    events = Counter(str(content.get("event")) for content in mine)
    times = sorted(str(content.get("time")) for content in mine)
    ended = events["finished"] + events["failed"]
    return LastRun(
        id=str(run),
        started=times[0],
        ended=times[-1],
        finished=events["finished"],
        failed=events["failed"],
        unended=max(events["started"] - ended, 0),
    )


def _code(tree: Tree) -> list[MovedFile]:
    """Return the files of code that are not as they last ran, with the records of the jobs that ran them."""
    found: dict[tuple[str, str], list[str]] = {}
    for record in tree.built.values():
        for path, file in record.code_files.items():
            how = tree.code_now(path, **file)
            if how != "same":
                found.setdefault((path, how), []).append(record.path)
    return [MovedFile(path, how, records) for (path, how), records in sorted(found.items())]
