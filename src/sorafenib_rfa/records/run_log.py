"""The run log: one line for each start and end of a job, only ever appended to, each line chained to the one before.

A record says what made the files that are there; the log also keeps what is no longer to be seen: failed and repeated
runs. A changed, removed or inserted line breaks the chain (:func:`check_log`).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sorafenib_rfa.errors import Problem, UserError
from sorafenib_rfa.records.record import FOLDER, canonical

NAME = "run_log.jsonl"


def run_log_path(root: Path, cohort: str) -> Path:
    """Return the run log of a cohort."""
    return root / "results" / cohort / FOLDER / NAME


@dataclass(frozen=True)
class Entry:
    """One line: its number from 1, its content, and what is wrong with it (None: nothing)."""

    number: int
    content: dict[str, Any]
    fault: str | None = None


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(canonical({key: value for key, value in content.items() if key != "digest"})).hexdigest()


def _last_line(stream: Any) -> bytes:
    """Return the last line of an open file, without its line end."""
    size = stream.seek(0, os.SEEK_END)
    tail, step = b"", 4096
    while size and b"\n" not in tail.rstrip(b"\n"):
        size, length = max(0, size - step), min(step, size)
        stream.seek(size)
        tail = stream.read(length) + tail
    return tail.rstrip(b"\n").rpartition(b"\n")[2]


def append(path: Path, **event: Any) -> None:
    """Append one event to the log at `path`, chained to the line before.

    Jobs of one run write to it at the same time, on a cluster from several machines: a POSIX lock orders them. A line
    that cannot be written whole, since the disk is full, is taken back.

    Raises
    ------
    UserError
        If the file system has no locks.
    OSError
        If the line cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b", buffering=0) as stream:
        _lock(stream, path)
        last = _last_line(stream)
        try:
            before = json.loads(last) if last else {"seq": 0, "digest": ""}
            number, previous = int(before["seq"]) + 1, str(before["digest"])
        except (ValueError, KeyError, TypeError):  # a machine that died while it wrote; check_log names the line
            number, previous = -1, hashlib.sha256(last).hexdigest()
        content = {"seq": number, **event, "previous": previous}
        content["digest"] = _digest(content)
        size = stream.seek(0, os.SEEK_END)
        try:
            line = canonical(content) + b"\n"
            while line:
                line = line[stream.write(line) :]
            os.fsync(stream.fileno())  # a network file system may find only now that there is no room
        except OSError:
            with contextlib.suppress(OSError):
                stream.truncate(size)
            raise


def _lock(stream: Any, path: Path) -> None:
    """Wait until nobody else writes; over NFS this also brings what others wrote."""
    try:
        fcntl.lockf(stream, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        raise UserError(
            Problem(
                "the file system it lies on has no file locks, which order the jobs that write to it",
                file=str(path),
                found=os.strerror(error.errno),
                hint="put the repository where locks work: NFS with lockd or version 4, Lustre mounted with flock",
            )
        ) from error


def read_log(path: Path) -> list[Entry]:
    """Return the lines of a log, each with its fault; none if there is no log."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    entries, previous = [], ""
    if lines[-1]:
        entries_end = "the last line has no end"
    else:
        lines, entries_end = lines[:-1], None
    for number, line in enumerate(lines, start=1):
        try:
            content = json.loads(line)
            if not isinstance(content, dict):
                raise ValueError
        except ValueError:
            entries.append(Entry(number, {}, "it cannot be read"))
            previous = hashlib.sha256(line).hexdigest()
            continue
        fault = None
        if canonical(content) != line or content.get("digest") != _digest(content):
            fault = "it was changed after it was written"
        elif content.get("previous") != previous or content.get("seq") != number:
            fault = "the line before it was changed, removed or inserted"
        entries.append(Entry(number, content, fault))
        previous = str(content.get("digest"))
    if entries_end and entries:
        entries[-1] = Entry(entries[-1].number, entries[-1].content, entries_end)
    return entries


def ends(entries: list[Entry]) -> dict[str, Entry]:
    """Return the path of each record -> the last entry that says the record was written (finished or adopted)."""
    return {
        entry.content["record"]: entry
        for entry in entries
        if entry.content.get("event") in ("finished", "adopted") and isinstance(entry.content.get("record"), str)
    }
