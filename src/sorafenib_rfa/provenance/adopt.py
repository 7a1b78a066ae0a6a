"""Take over results that were made elsewhere, so that a fresh clone need not make them again.

Snakemake remembers what it made in ``.snakemake``, which no clone has; it would run everything again. A record says
enough to decide it job by job: where outputs, inputs, code, parameters and package versions are what this tree would
use, the job is done. Snakemake itself is then told so with its own ``--touch``, for these jobs and no others: it writes
its metadata with the present parameters, and a later change of one triggers a rerun as ever.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from sorafenib_rfa.errors import Problem
from sorafenib_rfa.provenance.bundle import BundleError, open_bundle
from sorafenib_rfa.provenance.causes import config_name
from sorafenib_rfa.provenance.config_keys import ABSENT, differences
from sorafenib_rfa.provenance.plan import PlanError, PlannedJob, read_plan
from sorafenib_rfa.provenance.scratch import NO_RULE, config_for, run_snakemake, scratch_folder
from sorafenib_rfa.records.code_identity import CACHE, CodeIdentity, combine
from sorafenib_rfa.records.code_store import code_path
from sorafenib_rfa.records.digests import Digests, members, sha256_of
from sorafenib_rfa.records.record import FAILED, FOLDER, Record, Records, load_records
from sorafenib_rfa.records.run_log import append, read_log, run_log_path
from sorafenib_rfa.records.seals import check_seals

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class JobTaken:
    """One recorded job: adopted, or not and why.

    Attributes
    ----------
    record, title : str
    adopted : bool
    reasons : tuple of str
        Empty when it is adopted.
    follows : bool
        Whether the only reason is that a job before it is not adopted.
    faulty : bool
        Whether its files are not what the job left: a digest, its seal, the code as it ran or the run log is broken.
    """

    record: str
    title: str
    adopted: bool
    reasons: tuple[str, ...] = ()
    follows: bool = False
    faulty: bool = False


@dataclass(frozen=True)
class Adoption:
    """What came of adopting a bundle.

    Attributes
    ----------
    jobs : tuple of JobTaken
        Makers before their readers.
    files : int
        Files put in place.
    dropped, dropped_files : tuple of str
        Records taken away from this tree because their job does not match it, and what these jobs had made; Snakemake
        makes them again.
    to_run : tuple of (job, reason)
        What Snakemake would run now for its default target.
    notes : tuple of str
    touch_failed : str
        What Snakemake said when it refused to take the jobs as done; empty if it did not.
    """

    jobs: tuple[JobTaken, ...]
    files: int
    dropped: tuple[str, ...] = ()
    to_run: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    touch_failed: str = ""
    dropped_files: tuple[str, ...] = ()

    @property
    def adopted(self) -> list[JobTaken]:
        """Jobs that were adopted."""
        return [job for job in self.jobs if job.adopted]

    @property
    def left(self) -> list[JobTaken]:
        """Jobs that were not."""
        return [job for job in self.jobs if not job.adopted]

    @property
    def exit_code(self) -> int:
        """0: what matches was adopted, the rest is to be made again; 1: a seal is broken, or Snakemake refused."""
        return int(any(job.faulty for job in self.jobs) or bool(self.touch_failed))

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "adopted": [job.record for job in self.adopted],
            "not_adopted": [asdict(job) for job in self.left],
            "files": self.files,
            "dropped_records": list(self.dropped),
            "dropped_files": list(self.dropped_files),
            "to_run": [{"job": job, "reason": reason} for job, reason in self.to_run],
            "notes": list(self.notes),
            "touch_failed": self.touch_failed or None,
            "exit_code": self.exit_code,
        }


def adopt(
    root: Path,
    bundle: Path | None = None,
    *,
    replace: bool = False,
    stage: Callable[[str], None] = lambda text: None,
) -> Adoption:
    """Put a bundle's results in place where they match this tree, and make Snakemake take their jobs as done.

    Parameters
    ----------
    root : Path
        The repository, a fresh clone as a rule.
    bundle : Path, optional
        Bag, zip or results folder; None: results that already lie in the tree.
    replace : bool
        Replace files of this tree that differ from the bundle's. Otherwise their job is not adopted.
    stage : callable
        Is told what is being done.

    Raises
    ------
    BundleError
        If the bundle cannot be used or is hostile.
    PlanError
        If Snakemake cannot make its graph here.
    """
    with scratch_folder("adopt") as folder:
        stage("opening the bundle" if bundle is not None else "reading the records")
        source = open_bundle(bundle, folder) if bundle is not None else root
        records = load_records(source)
        if not records:
            raise BundleError(
                Problem(
                    "there are no records to adopt",
                    file=str(bundle) if bundle is not None else "results/",
                    hint=None if bundle is not None else "name a bundle: sorafenib-rfa adopt BUNDLE.zip",
                )
            )
        stage("planning what this tree would run")
        config = config_for(root, {record.path.split("/")[1] for record in records.values()})
        plan = _plan(root, records, config)
        stage("comparing digests")
        jobs = _judge(root, source, records, plan, replace)
        taken = [records[job.record] for job in jobs if job.adopted]
        notes: list[str] = []
        files = 0
        if source != root:
            stage("putting the results in place")
            files, notes = _put_in_place(root, source, taken)
        dropped, dropped_files = _drop(root, records, plan, taken) if source == root else ([], [])
        _log(root, taken, [records[job.record] for job in jobs if not job.adopted])
        touch_failed = ""
        if taken:
            stage("telling Snakemake")
            touch_failed = _touch(root, taken, config)
    stage("asking Snakemake what is left")
    to_run = [
        (" ".join([job.rule, *(v for k, v in sorted(job.wildcards.items()) if k != "cohort")]), "; ".join(job.reasons))
        for job in read_plan(root)
        if job.needs_run and job.record is not None
    ]
    return Adoption(tuple(jobs), files, tuple(dropped), tuple(to_run), tuple(notes), touch_failed, tuple(dropped_files))


def _plan(root: Path, records: Records, config: Mapping[str, Any]) -> dict[str, PlannedJob]:
    """Return record -> job of this tree's workflow; records that no rule makes have none."""
    targets = sorted(records)
    while targets:
        try:
            return {job.record: job for job in read_plan(root, targets, config) if job.record is not None}
        except PlanError as error:
            found = NO_RULE.search(error.said)
            if found is None or found[1] not in targets:
                raise
            targets.remove(found[1])
    return {}


# --- what matches ----------------------------------------------------------------------------------------------------


def _judge(root: Path, source: Path, records: Records, plan: Mapping[str, PlannedJob], replace: bool) -> list[JobTaken]:
    """Return every recorded job, makers first, with the reasons why it cannot be adopted."""
    faults, code = _faults(source, records), CodeIdentity(root, cache=root / CACHE)
    here = Digests().of_each(root, [entry["path"] for record in records.values() for entry in _entries(record)])
    ordered: dict[str, Record] = {}
    for record in records.values():
        for each in records.upstream(record):
            ordered.setdefault(each.path, each)
    jobs: dict[str, JobTaken] = {}
    for path, record in ordered.items():
        own = [*faults.get(path, []), *_mismatch(record, plan.get(path), code)]
        before = []
        for entry in record.inputs:
            maker = records.maker(entry["path"])
            if maker is None:
                now = here[entry["path"]]
                if now != entry["sha256"]:
                    own.append(
                        f"{entry['path']} is not here" if now is None else f"{entry['path']} is another one here"
                    )
            elif not jobs[maker.path].adopted if maker.path in jobs else True:
                before.append(maker.title)
            elif maker.stated(entry["path"]) not in (
                None,
                entry["sha256"],
            ):
                own.append(f"it was made from another {entry['path']}")
        if not own and source != root and not replace:
            for entry in record.outputs:
                if here[entry["path"]] not in (None, entry["sha256"]):
                    own.append(f"{entry['path']} is here already and differs (--replace takes the bundle's)")
        reasons = own or [f"it rests on {title}, which is not adopted" for title in dict.fromkeys(before)]
        title = f"{path.split('/')[1]}: {record.title}"
        jobs[path] = JobTaken(path, title, not reasons, tuple(reasons), bool(before) and not own, path in faults)
    return list(jobs.values())


def _entries(record: Record) -> list[dict[str, Any]]:
    return [*record.inputs, *record.outputs]


def _faults(source: Path, records: Records) -> dict[str, list[str]]:
    """Return record -> what is wrong with it within the bundle itself: digests, seal, run log, code store."""
    found: dict[str, list[str]] = {}
    for breach in check_seals(source):
        if breach.kind in ("source_changed", "unclaimed"):
            continue  # sources are held against this tree's own; a file that no job claims is not taken
        if breach.kind == "run_log_broken":
            cohort = breach.path.split("/")[1]
            touched = [path for path in records if path.split("/")[1] == cohort]
        elif breach.kind in ("record_changed", "record_unlogged", "upstream_changed", "upstream_unlogged"):
            touched = [breach.path]
        else:
            touched = [breach.record] if breach.record is not None else []
            if breach.kind == "code_changed":
                name = Path(breach.path).name
                touched = [
                    path
                    for path, record in records.items()
                    if path.split("/")[1] == breach.path.split("/")[1]
                    and any(file["sha256"] == name for file in record.code_files.values())
                ]
        for path in touched:
            text = breach.message if breach.path == path else f"{breach.path}: {breach.message}"
            found.setdefault(path, []).append(text)
    return found


def _code_mismatch(record: Record, code: CodeIdentity) -> list[str]:
    entries = [record.content["script"], *([record.content["notebook"]] if record.content.get("notebook") else [])]
    try:
        here = code.files(*entries)
    except (OSError, SyntaxError, ValueError) as error:
        return [f"the code here cannot be read: {error}"]
    ran = {path: file["identity"] for path, file in record.code_files.items()}
    changed = [
        path
        for path in sorted({*here, *ran})
        if here.get(path) != ran.get(path) and not _same_bytes(code.root, path, record, here)
    ]
    if not changed:
        return [] if combine(ran.items()) == record.content["code"]["digest"] else ["its digest of code is wrong"]
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return [f"other code here than ran: {', '.join(changed[:3])}{more}"]


def _same_bytes(root: Path, path: str, record: Record, here: Mapping[str, str]) -> bool:
    """Return whether a file has the bytes that ran: each Python writes syntax trees, so identities, in its own way."""
    ran = record.code_files.get(path)
    return ran is not None and path in here and sha256_of(root / path) == ran["sha256"]


def _mismatch(record: Record, job: PlannedJob | None, code: CodeIdentity) -> list[str]:
    """Return what this tree would run otherwise than the record tells."""
    if job is None:
        return ["the workflow here has no such job"]
    found = []
    for key, before, after in differences(record.params, job.params):
        top, _, rest = key.partition(".")
        name = f"package {rest}" if top == "environment" else config_name(key, record)
        if _DIGEST.fullmatch(str(before)) and _DIGEST.fullmatch(str(after)):
            found.append(f"other content here behind the parameter {name}")
        else:
            found.append(f"{name}: {_shown(before)} recorded, {_shown(after)} here")
    found += _code_mismatch(record, code)
    if sorted(entry["path"] for entry in record.inputs) != sorted(set(job.inputs)):
        found.append("it would read other files here")
    if sorted(entry["path"] for entry in record.outputs) != sorted(set(job.outputs) - {record.path}):
        found.append("it would make other files here")
    return found


def _shown(value: Any) -> str:
    text = "nothing" if value is ABSENT else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


# --- taking over -----------------------------------------------------------------------------------------------------


def _put_in_place(root: Path, source: Path, taken: list[Record]) -> tuple[int, list[str]]:
    """Copy outputs, records, the code that ran and the run log; return how many files, and notes."""
    count, notes = 0, []
    for record in taken:
        cohort = record.path.split("/")[1]
        for entry in record.outputs:
            count += _copy(source / entry["path"], root / entry["path"])
        count += _copy(source / record.path, root / record.path)
        for file in record.code_files.values():
            kept = code_path(source, cohort, file["sha256"])
            count += _copy(kept, code_path(root, cohort, file["sha256"]))
    for cohort in sorted({record.path.split("/")[1] for record in taken}):
        theirs, ours = run_log_path(source, cohort), run_log_path(root, cohort)
        before = ours.read_bytes() if ours.is_file() else b""
        if theirs.read_bytes().startswith(before):
            count += _copy(theirs, ours)
            logged = {entry.content.get("record_sha256") for entry in read_log(theirs)}
            for failure in sorted((source / "results" / cohort / FOLDER / FAILED).glob("*/*.json")):
                shown = failure.relative_to(source).as_posix()
                if hashlib.sha256(failure.read_bytes()).hexdigest() in logged:
                    count += _copy(failure, root / shown)
                else:
                    notes.append(f"{shown} is not what the run log says: left behind")
        elif not before.startswith(theirs.read_bytes()):
            notes.append(
                f"results/{cohort}/{FOLDER}/run_log.jsonl tells of other runs than the bundle's: it is kept, and the "
                "adoption is added to it"
            )
    return count, notes


def _copy(source: Path, target: Path) -> int:
    """Copy a file or folder if the target is not the same already; return how many files were written."""
    if source.is_dir():
        names = {member.relative_to(source).as_posix() for member in members(source)}
        if target.is_dir():
            for old in members(target):
                if old.relative_to(target).as_posix() not in names:
                    old.unlink()
        return sum(_copy(source / name, target / name) for name in sorted(names))
    if target.is_file() and target.read_bytes() == source.read_bytes():
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copyfile(source, partial)
    partial.replace(target)
    return 1


def _drop(
    root: Path, records: Records, plan: Mapping[str, PlannedJob], taken: list[Record]
) -> tuple[list[str], list[str]]:
    """Take away records whose job does not match this tree, and what the job had made.

    Without its record Snakemake makes a job again; what it had made would until then be claimed by nobody. What no
    record claims is never touched, nor anything of a job that the workflow does not have and could not make again.
    """
    kept = {entry["path"] for record in taken for entry in record.outputs}
    adopted = {record.path for record in taken}
    dropped, files = [], []
    for path, record in records.items():
        if path in adopted or path not in plan or not (root / path).is_file():
            continue
        for entry in record.outputs:
            name = entry["path"]
            if (name in plan[path].outputs or _own_result(root, name)) and not _touches(name, kept):
                if (root / name).is_dir() and not (root / name).is_symlink():
                    shutil.rmtree(root / name)
                elif (root / name).is_file():
                    (root / name).unlink()
                else:
                    continue
                files.append(name)
        (root / path).unlink()
        dropped.append(path)
    return dropped, sorted(files)


def _own_result(root: Path, name: str) -> bool:
    """Return whether a path that a record states, and the workflow does not, is a single result below ``results``."""
    parts = PurePosixPath(name).parts
    inside = len(parts) > 3 and parts[0] == "results" and ".." not in parts and parts[2] != FOLDER
    return inside and (root / name).parent.resolve().is_relative_to((root / "results").resolve())


def _touches(name: str, kept: Collection[str]) -> bool:
    """Return whether a path is one of `kept`, lies in one or holds one."""
    return any(f"{name}/".startswith(f"{other}/") or f"{other}/".startswith(f"{name}/") for other in kept)


def _log(root: Path, taken: list[Record], left: list[Record]) -> None:
    """Leave an event for each job that was adopted, or was not, unless the last one says just that.

    A job that was not adopted has no record here, though the log that came along says that it finished.
    """
    now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
    run = f"adopt-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S}-{os.getpid()}"
    last: dict[str, dict[str, Any]] = {}
    for cohort in sorted({record.path.split("/")[1] for record in [*taken, *left]}):
        for entry in read_log(run_log_path(root, cohort)):
            if entry.content.get("record"):
                last[entry.content["record"]] = entry.content
    for record in left:
        if last.get(record.path, {}).get("event") in ("finished", "adopted") and not (root / record.path).is_file():
            append(
                run_log_path(root, record.path.split("/")[1]),
                event="not_adopted",
                time=now,
                run=run,
                rule=record.rule,
                wildcards=record.wildcards,
                record=record.path,
                error=None,
            )
    for record in taken:
        digest = hashlib.sha256((root / record.path).read_bytes()).hexdigest()
        before = last.get(record.path, {})
        if before.get("event") == "adopted" and before.get("record_sha256") == digest:
            continue
        append(
            run_log_path(root, record.path.split("/")[1]),
            event="adopted",
            time=now,
            run=run,
            rule=record.rule,
            wildcards=record.wildcards,
            record=record.path,
            record_sha256=digest,
            seal=record.seal,
            seconds=record.seconds,
            outputs=[entry["path"] for entry in record.outputs],
            error=None,
        )


def _touch(root: Path, taken: list[Record], config: Mapping[str, Any]) -> str:
    """Make Snakemake take the jobs as done; return what it said if it refused.

    All that these jobs rest on is adopted too, so ``--forceall`` reaches nothing else.
    """
    done = run_snakemake(root, [record.path for record in taken], options=("--touch", "--forceall"), config=config)
    if done.returncode == 0:
        return ""
    return "\n".join([line for line in done.said.split("\n") if line.strip()][-15:])
