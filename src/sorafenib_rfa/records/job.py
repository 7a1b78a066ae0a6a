"""The one context manager in which every script and notebook job runs.

It refuses inputs that are not what their makers recorded, sends what the job prints to its log, makes the process
deterministic, times it, and leaves a record beside the outputs: what went in, what came out, with digests, which code
(a copy is kept), which packages. A job that fails leaves a record too, and both leave their lines in the run log. An
error that a person can mend (:class:`~sorafenib_rfa.errors.UserError`) ends the job with its message and no traceback.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import getpass
import hashlib
import json
import logging
import os
import platform
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from sorafenib_rfa.errors import Problem, SealError, UserError
from sorafenib_rfa.records import run_log
from sorafenib_rfa.records.code_identity import CACHE, PACKAGE, CodeIdentity, combine
from sorafenib_rfa.records.code_store import NAME as CODE_STORE
from sorafenib_rfa.records.code_store import keep_code
from sorafenib_rfa.records.declared import Declared, watch_undeclared_reading
from sorafenib_rfa.records.digests import describe_files
from sorafenib_rfa.records.environment import imported_distributions
from sorafenib_rfa.records.record import FAILED, FORMAT, VOLATILE, load_records, plain, seal_of, split_params
from sorafenib_rfa.records.room import no_room
from sorafenib_rfa.records.seals import paper_seal
from sorafenib_rfa.records.whole import write_whole

RUN_ID = "SORAFENIB_RFA_RUN_ID"
"""Environment variable by which the jobs of one call of Snakemake know that they belong together."""
SUBMIT_HOST = "SORAFENIB_RFA_SUBMIT_HOST"
"""Environment variable with the name of the machine on which Snakemake was called."""
LATE_SECONDS = 90
"""So long may a file that one machine wrote be unseen, or be seen as it was, on another one."""


@dataclass(frozen=True)
class Job:
    """What a script needs to know of the job it is.

    Attributes
    ----------
    rule : str
        Name of the rule.
    cohort : str
        Value of the cohort wildcard.
    record : str
        Path of the job's record relative to the cohort's results, as ARD rows cite it.
    seed : int
        Seed of this job, derived from the study's seed, the rule and its wildcards.
    inputs_seal : str
        Digest of all inputs: path and sha256 of each.
    distributions, modules
        Distributions (name -> version) and files of this package's modules that processes started by the job, such as
        kernels, have imported.
    declared : Declared or None
        The files that the job may open.
    """

    rule: str
    cohort: str
    record: str
    seed: int
    inputs_seal: str
    distributions: dict[str, str] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)
    declared: Declared | None = None

    def may_read(self, paths: Iterable[str]) -> None:
        """Let the job open files that are no inputs of its rule because their digests are stated elsewhere.

        That is so for what the records behind its inputs name, which the seals of those records cover, and for sources
        whose digest is a tracked parameter. An export reads hundreds of them.
        """
        if self.declared is not None:
            self.declared.add(paths)

    def imported_elsewhere(self, distributions: Mapping[str, str], modules: Iterable[str]) -> None:
        """Say what a process started by the job has imported."""
        self.distributions.update(distributions)
        self.modules.update(modules)


def derived_seed(base: int, *names: str) -> int:
    """Return a 63-bit seed that depends on `base` and `names` only, so no job shares its random stream."""
    digest = hashlib.sha256("\0".join([str(base), *names]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def snakemake_script(rule: str) -> str:
    """Return the script of a rule, relative to the repository: they share their name.

    Rules made one a cohort share the script: ``draw_figures_of_synthetic`` runs ``draw_figures.py``.
    """
    return f"workflow/scripts/{rule.partition('_of_')[0]}.py"


def _named(container: Any) -> dict[str, Any]:
    """Return the named entries of a Snakemake container."""
    return {key: plain(value) for key, value in container.items()}


RESULTS = "results/"
"""What lies below this folder, a job must have made."""


def seconds_of_patience() -> float:
    """Return how long to wait for inputs that are not as their records say: only on another machine are they late."""
    return LATE_SECONDS if os.environ.get(SUBMIT_HOST, platform.node()) != platform.node() else 0.0


def sealed_inputs(root: Path, paths: Iterable[str], patience_seconds: float = 0.0) -> list[dict[str, Any]]:
    """Describe the inputs of a job, each with the record of the job that made it, and hold them against it.

    Snakemake waits for the inputs themselves to be seen on a node; it knows nothing of the records of their makers.

    Parameters
    ----------
    root : Path
        The repository.
    paths : iterable of str
        Files, relative to the repository.
    patience_seconds : float
        How long to look again as long as something does not fit.

    Raises
    ------
    SealError
        If an input is not what the job that made it recorded, or lies among the results and no job made it.
    """
    names, ends = list(paths), time.monotonic() + patience_seconds
    while True:
        described, problems = _described_inputs(root, names)
        if not problems:
            return described
        if time.monotonic() >= ends:
            raise SealError(problems)
        time.sleep(1)


def _described_inputs(root: Path, paths: Iterable[str]) -> tuple[list[dict[str, Any]], list[Problem]]:
    """Return the inputs as a record states them, and what does not fit."""
    records = load_records(root)
    described, problems = describe_files(paths), []
    for entry in described:
        path, maker = entry["path"], records.maker(entry["path"])
        entry["made_by"] = None if maker is None else {"record": maker.path, "seal": maker.seal}
        recorded = maker.stated(path) if maker else None
        if recorded is not None and recorded != entry["sha256"]:
            problems.append(
                Problem(
                    "it was changed after the job that made it had finished",
                    file=path,
                    found=f"sha256 {entry['sha256'][:16]}...",
                    expected=f"sha256 {recorded[:16]}..., says {maker.path}",
                    hint="a result is changed by changing what makes it; delete the file and it will be made again",
                )
            )
        elif maker is None and path.startswith(RESULTS):
            problems.append(
                Problem("no job says that it made this file", file=path, hint="delete it and it will be made again")
            )
    return described, problems


def _states(paths: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Return size and modification time of each file, to see afterwards that none changed under the job."""
    return {path: (Path(path).stat().st_size, Path(path).stat().st_mtime_ns) for path in paths}


def _code(root: Path, entries: list[str], tracked: dict[str, str], store: Path) -> dict[str, Any]:
    """Keep a copy of the code this job may run and say what it is.

    Raises
    ------
    SealError
        If it is not the code for which the job was planned.
    """
    identity = CodeIdentity(root, cache=root / CACHE)
    digests = [identity.digest(entry) for entry in entries]
    if digests != list(tracked.values()):
        raise SealError(
            Problem(
                "the code changed while the workflow was running",
                file=", ".join(entries),
                hint="run it again: the jobs that rest on the changed code will be planned anew",
            )
        )
    files = identity.files(*entries)
    copies = keep_code(store, [root / name for name in files])
    described = {name: {"identity": files[name], "sha256": copies[root / name]} for name in files}
    return {"digest": combine(files.items()), "files": described}


def _unlisted_code(root: Path, listed: Iterable[str], elsewhere: Iterable[str]) -> list[str]:
    """Return the modules of this repository that the job has run, here or elsewhere, and `listed` does not hold.

    Those of this package count wherever they lie, others if they lie in the repository: a helper beside a script.
    """
    here = {
        str(module.__file__)
        for name, module in list(sys.modules.items())
        if getattr(module, "__file__", None)
        and (name.partition(".")[0] == PACKAGE or str(module.__file__).startswith(f"{root}{os.sep}"))
    }
    loaded = {Path(os.path.relpath(path, root)).as_posix() for path in here.union(elsewhere)}
    # an environment may lie in the repository, and Snakemake keeps its copy of the script there
    return sorted(p for p in loaded - set(listed) if not p.startswith(".") and "site-packages" not in p)


@contextlib.contextmanager
def job(snakemake: Any) -> Iterator[Job]:
    """Run the body of a script as one recorded job.

    Parameters
    ----------
    snakemake : object
        What Snakemake injects into a script. ``params`` must hold ``seed`` (of the study), ``source_date_epoch`` and
        ``code``; ``output`` must hold ``record``.

    Yields
    ------
    Job
    """
    started, clock = dt.datetime.now(dt.UTC), time.perf_counter()
    root = Path.cwd()
    rule, wildcards = snakemake.rule, dict(snakemake.wildcards.items())
    cohort = wildcards.get("cohort") or snakemake.params.get("cohort")
    record_path = Path(snakemake.output.record)
    params, tracked_code = split_params(snakemake.params.items())
    seed = derived_seed(int(snakemake.params.seed), rule, *(str(wildcards[key]) for key in sorted(wildcards)))
    os.environ["SOURCE_DATE_EPOCH"] = str(snakemake.params.source_date_epoch)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # sums must not depend on the number of cores; set before numpy loads its BLAS
    os.environ["TZ"] = "UTC"
    notebook = snakemake.input.get("notebook")
    outputs = sorted({str(path) for path in snakemake.output} - {str(record_path)})
    log_path, terminal = Path(snakemake.log[0]), sys.stderr
    records_folder = record_path.parents[1]
    event = {"rule": rule, "wildcards": wildcards, "run": os.environ.get(RUN_ID, "")}
    log_of_runs = records_folder / run_log.NAME
    content: dict[str, Any] = {
        "format": FORMAT,
        "rule": rule,
        "wildcards": wildcards,
        "cohort": cohort,
        "status": "finished",
        "script": snakemake_script(rule),
        "notebook": notebook and str(notebook),
        "inputs": [],
        "outputs": [],
        "names": {"input": _named(snakemake.input), "output": _named(snakemake.output)},
        "params": params,
        "seed": seed,
        "code": {"digest": combine(tracked_code.items()), "files": {}},
    }

    def write(path: Path, **more: Any) -> None:
        """Write the record, with its seal and what is volatile, and its line in the run log."""
        ended = dt.datetime.now(dt.UTC)
        usage = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        content.update(more)
        content["seal"] = seal_of(content)
        content[VOLATILE] = {
            "id": event["run"],
            "started": started.isoformat(timespec="milliseconds"),
            "ended": ended.isoformat(timespec="milliseconds"),
            "seconds": round((ended - started).total_seconds(), 3),
            "seconds_of_records": round(time.perf_counter() - clock - own, 3),
            "host": platform.node(),
            "user": _user(),
            "platform": platform.platform(),
            "peak_memory_mb": round(max(usage[0].ru_maxrss, usage[1].ru_maxrss) / 1024, 1),
            "log": str(log_path),
        }
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        write_whole(path, text.encode())
        try:
            run_log.append(
                log_of_runs,
                event=content["status"],
                time=ended.isoformat(timespec="milliseconds"),
                record=str(path),
                record_sha256=hashlib.sha256(text.encode()).hexdigest(),
                seal=content["seal"],
                seconds=content[VOLATILE]["seconds"],
                outputs=[entry["path"] for entry in content["outputs"]],
                # of an error only its kind: the message may speak of a patient, and the log is handed on
                error=content["error"]["type"] if "error" in content else None,
                **event,
            )
        except BaseException:
            path.unlink(missing_ok=True)  # it must not be there without its line in the run log
            raise

    def write_failure(error: BaseException) -> None:
        moment = started.strftime("%Y%m%dT%H%M%S.%f")
        path = records_folder / FAILED / rule / f"{record_path.stem}.{moment}.json"
        message = {"type": type(error).__name__, "message": str(error), "traceback": traceback.format_exc()}
        if isinstance(error, UserError):
            message["traceback"] = None
        write(path, status="failed", outputs=[], error=message, environment=_environment(this))

    own = 0.0
    this = Job(rule, cohort, f"records/{rule}/{record_path.name}", seed, "")
    declared = Declared([*map(str, snakemake.input), *outputs, str(record_path), str(log_path)])
    folders = {Path(path).parent for path in [*outputs, str(record_path), str(log_path)]} | {tempfile.gettempdir()}

    def give_up(error: UserError, log: Any = None) -> NoReturn:
        """End the job with what a person must mend; without room, or locks, it cannot be said everywhere."""
        print(f"\n{error}\n", file=terminal)
        with contextlib.suppress(OSError):
            if log is not None:
                print(error, file=log)
        try:
            write_failure(error)
        except (OSError, UserError) as again:
            if isinstance(again, OSError) and no_room(again, folders) is None:
                raise
        _leave(terminal)

    @contextlib.contextmanager
    def noting() -> Iterator[None]:
        """Say it where a record or its line in the run log finds no room."""
        try:
            yield
        except UserError as error:
            give_up(error)
        except OSError as error:
            full = no_room(error, folders)
            if full is None:
                raise
            give_up(full)

    with noting():
        run_log.append(log_of_runs, event="started", time=started.isoformat(timespec="milliseconds"), **event)
    with log_path.open("w", encoding="utf-8", buffering=1) as log:
        with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
            logging.basicConfig(stream=log, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
            try:
                content["inputs"] = sealed_inputs(root, map(str, snakemake.input), seconds_of_patience())
                before = _states(map(str, snakemake.input))
                entries = [snakemake_script(rule), *([str(notebook)] if notebook else [])]
                content["code"] = _code(root, entries, tracked_code, records_folder / CODE_STORE)
                this = Job(rule, cohort, this.record, seed, paper_seal(content["inputs"]), declared=declared)
                begun = time.perf_counter()
                try:
                    with watch_undeclared_reading(root, declared):
                        yield this
                finally:
                    own = time.perf_counter() - begun
                _check_afterwards(root, this, before, content["code"]["files"])
            except UserError as error:
                give_up(error, log)
            except BaseException as error:
                full = no_room(error, folders)
                if full is not None:
                    give_up(full, log)
                traceback.print_exc(file=log)
                print(f"\n{rule} failed; this is a defect, please report it with {log_path}\n", file=terminal)
                write_failure(error)
                raise
    with noting():
        write(record_path, outputs=describe_files(outputs), environment=_environment(this))


def _check_afterwards(root: Path, this: Job, before: dict[str, tuple[int, int]], files: Iterable[str]) -> None:
    """Check that the record will tell the truth: no input changed under the job, no code ran that it does not list."""
    changed = sorted(path for path, state in _states(before).items() if state != before[path])
    if changed:
        raise SealError(Problem("it changed while the job was reading it", file=path) for path in changed)
    unlisted = _unlisted_code(root, files, this.modules)
    if unlisted:
        raise RuntimeError(f"{this.rule} ran code that its digest does not cover: {', '.join(unlisted)}")


def _leave(terminal: Any) -> NoReturn:
    """End the process without unwinding into Snakemake's wrapper, which would print a traceback."""
    with contextlib.suppress(OSError):
        terminal.flush()
    os._exit(1)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())


def _environment(this: Job) -> dict[str, Any]:
    versions = imported_distributions() | this.distributions
    ordered = dict(sorted(versions.items(), key=lambda item: item[0].lower()))
    return {"python": platform.python_version(), "distributions": ordered}
