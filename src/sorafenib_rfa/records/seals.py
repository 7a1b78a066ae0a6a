"""Whether the files of a tree are what the jobs that made them recorded.

Snakemake looks at times and parameters: a result edited by hand is "nothing to be done" to it, or is even carried on
into what is made from it. Here every file is held against the record of its maker, every record against its seal and
the run log, and the code that ran against its digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sorafenib_rfa.errors import Problem, SealError
from sorafenib_rfa.records.code_store import NAME as CODE
from sorafenib_rfa.records.digests import Digests, members, sha256_of
from sorafenib_rfa.records.record import FAILED, FOLDER, Record, Records, read_record, record_paths, seal_of
from sorafenib_rfa.records.run_log import NAME as RUN_LOG
from sorafenib_rfa.records.run_log import Entry, ends, read_log
from sorafenib_rfa.records.whole import is_partial

CACHE: Final = ".snakemake/digests.json"
"""Where the start of each run remembers digests, relative to the repository."""
BROKEN: Final = (
    "output_changed",
    "record_changed",
    "record_missing",
    "record_unlogged",
    "upstream_unlogged",
    "code_changed",
    "run_log_broken",
)
"""Kinds of a breach that no honest way of working leaves behind: the paper is refused."""
MOVED_ON: Final = ("source_changed", "upstream_changed", "output_missing", "failed_missing", "unclaimed")
"""Kinds that say the tree has moved on since: the next run brings it up to date."""


@dataclass(frozen=True)
class Breach:
    """One file that is not what was recorded.

    Attributes
    ----------
    path : str
        The file, relative to the repository.
    kind : str
        One of :data:`BROKEN` or :data:`MOVED_ON`.
    record : str or None
        Record that says what the file should be.
    expected, found : str or None
        Digests.
    message : str
        What happened, for people.
    """

    path: str
    kind: str
    record: str | None
    expected: str | None
    found: str | None
    message: str

    @property
    def broken(self) -> bool:
        """Whether this is a broken seal, and not merely a tree that moved on."""
        return self.kind in BROKEN


_MESSAGES: Final = {
    "output_changed": "it was changed after the job that made it had finished",
    "record_changed": "the record was changed after it was written",
    "record_missing": "the record is gone, and what its job made is still there",
    "failed_missing": "the record of a failed job is gone",
    "record_unlogged": "the run log knows of no job that wrote this record",
    "code_changed": "the copy of the code that ran is missing or was changed",
    "source_changed": "it is no longer what was read; what rests on it is to be made again",
    "upstream_unlogged": "it names a run of the job before it of which the run log knows nothing",
    "upstream_changed": "the job before it has made something else since",
    "output_missing": "it was made and is no longer there",
    "unclaimed": "no job says that it made this file",
}


def _breach(
    path: str, kind: str, record: str | None = None, expected: str | None = None, found: str | None = None
) -> Breach:
    return Breach(path, kind, record, expected, found, _MESSAGES[kind])


def check_seals(root: Path, cache: Path | None = None) -> list[Breach]:
    """Hold every recorded file of the tree against its record.

    Parameters
    ----------
    root : Path
        The repository.
    cache : Path, optional
        File that remembers digests of files which nobody has written to since; without it every file is read.

    Returns
    -------
    list of Breach
        Sorted by path; empty if every seal is kept and nothing has moved on.
    """
    breaches: list[Breach] = []
    found_records: list[Record] = []
    for path in record_paths(root):
        name = path.relative_to(root).as_posix()
        try:
            record = read_record(root, path)
            if seal_of(record.content) != record.seal:
                breaches.append(_breach(name, "record_changed", name, record.seal, seal_of(record.content)))
            found_records.append(record)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            breaches.append(_breach(name, "record_changed", name))
    records, logs = Records(found_records), _read_logs(root)
    try:
        digests = _digests(root, records, cache)
        breaches += _files(root, records, digests, logs)
        breaches += _logs(root, records, logs)
        breaches += _code(root, records, digests)
        breaches += _unclaimed(root, records)
    except (KeyError, TypeError, AttributeError):
        # a record that was changed need not even have a record's parts; what could be read is judged without it
        sound = Records(r for r in found_records if seal_of(r.content) == r.content.get("seal"))
        digests = _digests(root, sound, cache)
        breaches += [*_files(root, sound, digests, logs), *_logs(root, sound, logs), *_code(root, sound, digests)]
    return sorted(set(breaches), key=lambda breach: (breach.path, breach.kind, breach.record or ""))


def _digests(root: Path, records: Mapping[str, Record], cache: Path | None) -> dict[str, str | None]:
    names = {entry["path"] for record in records.values() for entry in [*record.inputs, *record.outputs]}
    names |= set(_kept_code(records))
    copies = (root / "results").glob(f"*/{FOLDER}/{CODE}/*")
    names |= {path.relative_to(root).as_posix() for path in copies if not is_partial(path)}
    return Digests(cache).of_each(root, names)


def _folder(record: Record) -> str:
    """Return the folder below results/ in which the record lies."""
    return record.path.split("/")[1]


def _kept_code(records: Mapping[str, Record]) -> dict[str, str]:
    """Return the path of each copy of code that the records name -> a record that names it."""
    return {
        f"results/{_folder(record)}/{FOLDER}/{CODE}/{file['sha256']}": record.path
        for record in records.values()
        for file in record.code_files.values()
    }


def _files(
    root: Path, records: Records, digests: Mapping[str, str | None], logs: Mapping[str, list[Entry]]
) -> Iterable[Breach]:
    logged = _logged_seals(logs)
    for record in records.values():
        for entry in record.outputs:
            now = digests[entry["path"]]
            if now is None:
                yield _breach(entry["path"], "output_missing", record.path, entry["sha256"])
            elif now != entry["sha256"]:
                yield from _changed(root, record, entry, now)
        for entry in record.inputs:
            made_by, maker = entry["made_by"], records.maker(entry["path"])
            if made_by is None and maker is None:
                if digests[entry["path"]] != entry["sha256"]:
                    now = digests[entry["path"]]
                    yield _breach(entry["path"], "source_changed", record.path, entry["sha256"], now)
            elif maker is not None and made_by is None:
                yield _breach(record.path, "upstream_changed", maker.path, None, maker.seal)
            elif maker is not None and made_by["seal"] != maker.seal:
                # the maker ran again: no harm if it made the same, and if the run that is named took place
                if made_by["seal"] not in logged.get(made_by["record"], ()):
                    yield _breach(record.path, "upstream_unlogged", made_by["record"], made_by["seal"], maker.seal)
                elif maker.stated(entry["path"]) not in (None, entry["sha256"]):
                    yield _breach(record.path, "upstream_changed", maker.path, made_by["seal"], maker.seal)


def _read_logs(root: Path) -> dict[str, list[Entry]]:
    """Return each folder below results/ -> the lines of its run log."""
    folders = sorted(path.name for path in (root / "results").glob("*") if path.is_dir())
    return {folder: read_log(root / "results" / folder / FOLDER / RUN_LOG) for folder in folders}


def _logged_seals(logs: Mapping[str, list[Entry]]) -> dict[str, set[str]]:
    """Return the path of each record -> the seals of all its runs that the run logs know."""
    seals: dict[str, set[str]] = {}
    for entries in logs.values():
        for entry in entries:
            if entry.content.get("event") in ("finished", "adopted"):
                seals.setdefault(str(entry.content.get("record")), set()).add(str(entry.content.get("seal")))
    return seals


def _changed(root: Path, record: Record, entry: Mapping[str, Any], now: str) -> Iterable[Breach]:
    """Return the breaches of one output that is not as recorded; of a folder, each file that is not."""
    if "members" not in entry:
        yield _breach(entry["path"], "output_changed", record.path, entry["sha256"], now)
        return
    folder = root / entry["path"]
    recorded = {member["path"]: member["sha256"] for member in entry["members"]}
    there = {path.relative_to(folder).as_posix() for path in members(folder)} if folder.is_dir() else set()
    for name in sorted(there | set(recorded)):
        digest = sha256_of(folder / name) if name in there else None
        if digest != recorded.get(name):
            yield _breach(f"{entry['path']}/{name}", "output_changed", record.path, recorded.get(name), digest)


def _logs(root: Path, records: Records, logs: Mapping[str, list[Entry]]) -> Iterable[Breach]:
    for folder, entries in logs.items():
        name = f"results/{folder}/{FOLDER}/{RUN_LOG}"
        if not entries and members(root / "results" / folder):
            yield Breach(name, "run_log_broken", None, None, None, "there are results and no run log")
        yield from _gone(root, entries)
        for entry in entries:
            if entry.fault:
                message = f"line {entry.number}: {entry.fault}"
                yield Breach(name, "run_log_broken", None, None, None, message)
        failed = {str(e.content.get("record")): e for e in entries if e.content.get("event") == "failed"}
        for failure in sorted((root / "results" / folder / FOLDER / FAILED).glob("*/*.json")):
            shown = failure.relative_to(root).as_posix()
            now = hashlib.sha256(failure.read_bytes()).hexdigest()
            logged = failed[shown].content.get("record_sha256") if shown in failed else None
            if now != logged:
                yield _breach(shown, "record_changed" if logged else "record_unlogged", shown, logged, now)
        written = ends(entries)
        for record in records.values():
            if _folder(record) != folder:
                continue
            now = hashlib.sha256((root / record.path).read_bytes()).hexdigest()
            if record.path not in written:
                yield _breach(record.path, "record_unlogged", record.path, None, now)
            elif written[record.path].content.get("record_sha256") != now:
                logged = written[record.path].content.get("record_sha256")
                yield _breach(record.path, "record_changed", record.path, logged, now)


def _gone(root: Path, entries: list[Entry]) -> Iterable[Breach]:
    """Return the records that the log speaks of and that are no longer there, though what they speak of is.

    A job that was killed or has failed leaves no record either: then its last line does not say that it finished.
    """
    last: dict[str, str] = {}
    outputs: dict[str, list[str]] = {}
    written: dict[str, str] = {}
    for entry in entries:
        content = entry.content
        job = json.dumps([content.get("rule"), content.get("wildcards")], sort_keys=True)
        last[job] = str(content.get("event"))
        record = str(content.get("record"))
        if content.get("event") == "failed" and not (root / record).is_file():
            yield _breach(record, "failed_missing", record, content.get("record_sha256"))
        if content.get("event") in ("finished", "adopted"):
            written[job] = record
            if isinstance(content.get("outputs"), list):
                outputs[record] = [str(output) for output in content["outputs"]]
    for job, record in written.items():
        if last[job] in ("finished", "adopted") and not (root / record).is_file():
            left = [name for name in outputs.get(record, []) if (root / name).exists()]
            if left:
                message = f"{_MESSAGES['record_missing']}: {', '.join(left)}"
                yield Breach(record, "record_missing", record, None, None, message)


def _code(root: Path, records: Records, digests: Mapping[str, str | None]) -> Iterable[Breach]:
    named = _kept_code(records)
    kept = {name for name in digests if name.split("/")[2:4] == [FOLDER, CODE]}  # also of code no longer in use
    for name in sorted(kept | set(named)):
        expected = name.rpartition("/")[2]
        if digests[name] != expected:
            yield _breach(name, "code_changed", named.get(name), expected, digests[name])


def _unclaimed(root: Path, records: Records) -> Iterable[Breach]:
    for folder in sorted((root / "results").glob("*")):
        for path in members(folder):
            name = path.relative_to(root).as_posix()
            if path.relative_to(folder).parts[0] == FOLDER:
                parts = path.relative_to(folder / FOLDER).parts
                if len(parts) == 1 or parts[0] in (FAILED, CODE) or name in records:
                    continue
                if path.suffix == ".json" and len(parts) == 2:  # a record that cannot be read is named as such
                    continue
                if is_partial(path):
                    continue
            if records.maker(name) is None:
                yield _breach(name, "unclaimed")


def refuse_broken_seals(root: Path) -> None:
    """Stop before anything is built over a result that is not what its job made.

    Raises
    ------
    SealError
        Naming every file, its record, and what to do.
    """
    broken = [breach for breach in check_seals(root, cache=root / CACHE) if breach.broken]
    if broken:
        raise SealError(
            Problem(
                breach.message,
                file=breach.path,
                found=f"sha256 {breach.found[:16]}..." if breach.found else None,
                expected=f"sha256 {breach.expected[:16]}..., says {breach.record}" if breach.expected else None,
                hint=_HINTS.get(breach.kind, _HINTS["output_changed"]) if breach is broken[-1] else None,
            )
            for breach in broken
        )


_HINTS: Final = {
    "output_changed": "a result is changed by changing what makes it; delete the file and it will be made again",
    "record_changed": "restore the record; or delete it with what its job made, and the job will run again",
    "record_missing": "restore the record; or delete what its job made, and the job will run again",
    "upstream_unlogged": "restore the run log; or delete the record with what its job made, and the job will run again",
    "record_unlogged": "restore the run log; or delete the record with what its job made, and the job will run again",
    "code_changed": "restore the file; or delete the record that names it with what its job made: it will run again",
    "run_log_broken": "restore the run log; if that cannot be, `make clean` starts a new one with everything made anew",
}


def paper_seal(inputs: Iterable[Mapping[str, Any]]) -> str:
    """Return the digest of all that a job was given: path and sha256 of its inputs."""
    listing = "".join(f"{entry['path']}\0{entry['sha256']}\n" for entry in sorted(inputs, key=lambda e: e["path"]))
    return hashlib.sha256(listing.encode()).hexdigest()
