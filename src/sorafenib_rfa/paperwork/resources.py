"""Time, memory, storage and machine of a paper's jobs, as their records state them. They differ from run to run."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sorafenib_rfa.errors import Problem
from sorafenib_rfa.export.contents import Contents
from sorafenib_rfa.export.errors import ExportError

TIME_BUCKETS = (
    ("< 10 minutes", 10 * 60),
    ("10-60 minutes", 60 * 60),
    ("1-2 hours", 2 * 3600),
    ("2-8 hours", 8 * 3600),
    ("8-24 hours", 24 * 3600),
    ("1-3 days", 3 * 86400),
    ("3-14 days", 14 * 86400),
    ("> 14 days", float("inf")),
)
STORAGE_BUCKETS = (
    ("< 25 MBytes", 25e6),
    ("25 MB - 250 MB", 250e6),
    ("250 MB - 2 GB", 2e9),
    ("2 GB - 25 GB", 25e9),
    ("25 GB - 250 GB", 250e9),
    ("> 250 GB", float("inf")),
)
"""The boxes of the AEA's README template, with their upper ends in seconds and bytes."""


@dataclass(frozen=True)
class Run:
    """One run of Snakemake that left jobs of the paper."""

    name: str
    jobs: int
    started: dt.datetime
    ended: dt.datetime

    @property
    def seconds(self) -> float:
        """Wall time from the start of its first job to the end of its last."""
        return (self.ended - self.started).total_seconds()


@dataclass(frozen=True)
class Resources:
    """What the jobs took.

    Attributes
    ----------
    job_seconds : float
        Wall time of all jobs, one after the other.
    peak_memory_mb : float
        Of the largest job.
    largest : str
        Title of that job.
    bytes : int
        Of all recorded files.
    platforms : tuple of str
        Operating system and machine of each host that ran a job.
    users : tuple of str
        Login names under which jobs ran.
    runs : tuple of Run
    """

    job_seconds: float
    peak_memory_mb: float
    largest: str
    bytes: int
    platforms: tuple[str, ...]
    users: tuple[str, ...]
    runs: tuple[Run, ...]


def measured(contents: Contents) -> Resources:
    """Return what the records of a paper say of time, memory and machine.

    Raises
    ------
    ExportError
        If a record does not say when, or with how much memory, its job ran.
    """
    problems, by_run = [], {}
    for record in contents.records.values():
        missing = [
            k for k in ("started", "ended", "seconds", "peak_memory_mb", "platform") if record.run.get(k) is None
        ]
        if missing:
            problems.append(Problem(f"the record does not state {', '.join(missing)}", file=record.path))
            continue
        by_run.setdefault(record.run.get("id") or "unnamed", []).append(record)
    if problems:
        raise ExportError(problems)
    runs = [
        Run(
            name,
            len(members),
            min(dt.datetime.fromisoformat(r.run["started"]) for r in members),
            max(dt.datetime.fromisoformat(r.run["ended"]) for r in members),
        )
        for name, members in by_run.items()
    ]
    records = list(contents.records.values())
    largest = max(records, key=lambda r: (r.run["peak_memory_mb"], r.path))
    return Resources(
        job_seconds=sum(r.seconds for r in records),
        peak_memory_mb=largest.run["peak_memory_mb"],
        largest=largest.title,
        bytes=sum(fact.bytes for fact in contents.files.values()),
        platforms=tuple(sorted({r.run["platform"] for r in records})),
        users=tuple(sorted({r.run["user"] for r in records if r.run.get("user")})),
        runs=tuple(sorted(runs, key=lambda run: (run.started, run.name))),
    )


def boxes(value: float, buckets: tuple[tuple[str, float], ...]) -> str:
    """Return the list of boxes with the one ticked that holds `value`."""
    chosen = next(label for label, upper in buckets if value < upper)
    return "\n".join(f"- [{'x' if label == chosen else ' '}] {label}" for label, _ in buckets)


def software(contents: Contents) -> tuple[list[str], dict[str, str]]:
    """Return the versions of Python and distribution -> versions that the jobs imported."""
    pythons, versions = set(), {}
    for record in contents.records.values():
        environment = record.content["environment"]
        pythons.add(environment["python"])
        for name, version in environment["distributions"].items():
            versions.setdefault(name, set()).add(version)
    ordered = sorted(versions.items(), key=lambda item: item[0].lower())
    return sorted(pythons), {name: ", ".join(sorted(found)) for name, found in ordered}


def duration(seconds: float) -> str:
    """Return a time as a person says it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def amount(count: float) -> str:
    """Return a number of bytes as a person says it."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} bytes"


def cell(text: object) -> str:
    """Return text as it may stand in a cell of a Markdown table."""
    escaped = str(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return " ".join(escaped.split())


def table(header: list[str], rows: list[list[object]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell(each) for each in line)} |" for line in lines)
