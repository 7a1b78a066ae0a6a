"""The one context manager in which every script job runs.

It sends what the job prints to its log, makes the process deterministic, times it, and leaves a record beside the
outputs: what went in, what came out, with digests, which code, which packages. An error that a person can mend
(:class:`~sorafenib_rfa.errors.UserError`) ends the job with its message and no traceback.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import logging
import os
import platform
import resource
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sorafenib_rfa.errors import UserError

IMPORT_NAMES = {
    "yaml": "PyYAML",
    "dateutil": "python-dateutil",
    "PIL": "pillow",
    "docx": "python-docx",
    "zmq": "pyzmq",
    "pypandoc": "pypandoc-binary",
    "mpl_toolkits": "matplotlib",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "blib2to3": "black",
    "rpds": "rpds-py",
    "jupyter_core": "jupyter-core",
    "snakemake_interface_logger_plugins": "snakemake-interface-logger-plugins",
}
"""Distributions whose import name differs from theirs, for those this repository's jobs import."""


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
    """

    rule: str
    cohort: str
    record: str
    seed: int


def derived_seed(base: int, *names: str) -> int:
    """Return a 63-bit seed that depends on `base` and `names` only, so no job shares its random stream."""
    digest = hashlib.sha256("\0".join([str(base), *names]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _members(folder: Path) -> list[Path]:
    """Return the files of a folder; the time stamp that Snakemake leaves in a folder it made is not one of them."""
    return sorted(m for m in folder.rglob("*") if m.is_file() and m.name != ".snakemake_timestamp")


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes, or, for a folder, of its files' relative paths and digests."""
    if path.is_dir():
        listing = "".join(f"{m.relative_to(path).as_posix()}\0{sha256_of(m)}\n" for m in _members(path))
        return hashlib.sha256(listing.encode()).hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def describe_files(paths: list[str]) -> list[dict[str, Any]]:
    """Return path, sha256 and size in bytes of each file or folder, sorted by path."""
    described = []
    for name in sorted(set(paths)):
        path = Path(name)
        size = sum(m.stat().st_size for m in _members(path)) if path.is_dir() else path.stat().st_size
        described.append({"path": name, "sha256": sha256_of(path), "bytes": size})
    return described


def imported_distributions() -> dict[str, str]:
    """Return name -> version of the installed distributions from which this process has imported."""
    from importlib import metadata

    versions: dict[str, str] = {}
    tops = {name.partition(".")[0] for name, module in list(sys.modules.items()) if module is not None}
    # the map from import names to distributions reads every RECORD (0.2 s); only names not listed here need it
    missing = set()
    for top in tops - sys.stdlib_module_names:
        module = sys.modules.get(top)
        if top.startswith("_") or top == "sorafenib_rfa" or not getattr(module, "__file__", None):
            continue
        if top.endswith("__mypyc"):  # what compiled modules share: belongs to no distribution by name
            continue
        try:
            described = metadata.distribution(IMPORT_NAMES.get(top, top)).metadata  # parsed at each access
            versions[described["Name"]] = described["Version"]
        except metadata.PackageNotFoundError:
            missing.add(top)
    if missing:
        packages = metadata.packages_distributions()
        for top in missing:
            for name in packages.get(top, []):
                versions[name] = metadata.version(name)
    return dict(sorted(versions.items(), key=lambda item: item[0].lower()))


def _plain(value: Any) -> Any:
    """Return `value` as JSON can hold it."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _named(container: Any) -> dict[str, Any]:
    """Return the named entries of a Snakemake container."""
    return {key: _plain(value) for key, value in container.items()}


def snakemake_script(rule: str) -> str:
    """Return the script of a rule, relative to the repository: rule and script share their name."""
    return f"workflow/scripts/{rule}.py"


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
    rule, wildcards = snakemake.rule, dict(snakemake.wildcards.items())
    cohort = wildcards.get("cohort") or snakemake.params.get("cohort")
    record_path = Path(snakemake.output.record)
    seed = derived_seed(int(snakemake.params.seed), rule, *(str(wildcards[key]) for key in sorted(wildcards)))
    os.environ["SOURCE_DATE_EPOCH"] = str(snakemake.params.source_date_epoch)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # sums must not depend on the number of cores; set before numpy loads its BLAS
    os.environ["TZ"] = "UTC"
    started = dt.datetime.now(dt.UTC)
    log_path = Path(snakemake.log[0])
    terminal = sys.stderr
    with log_path.open("w", encoding="utf-8", buffering=1) as log:
        with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
            logging.basicConfig(stream=log, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
            try:
                yield Job(rule, cohort, f"records/{rule}/{record_path.name}", seed)
            except UserError as error:
                print(error, file=log)
                print(f"\n{error}\n", file=terminal)
                log.flush()
                terminal.flush()
                # leave without unwinding into Snakemake's wrapper, which would print a traceback
                os._exit(1)
            except Exception:
                traceback.print_exc(file=log)
                print(f"\n{rule} failed; this is a defect, please report it with {log_path}\n", file=terminal)
                raise
    outputs = [str(path) for path in snakemake.output if str(path) != str(record_path)]
    usage = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    record = {
        "rule": rule,
        "wildcards": wildcards,
        "cohort": cohort,
        "status": "finished",
        "inputs": describe_files([str(path) for path in snakemake.input]),
        "outputs": describe_files(outputs),
        "names": {"input": _named(snakemake.input), "output": _named(snakemake.output)},
        "params": {key: value for key, value in _named(snakemake.params).items() if key != "code"},
        "seed": seed,
        "code": _named(snakemake.params)["code"],
        "python": platform.python_version(),
        "distributions": imported_distributions(),
        "platform": platform.platform(),
        "host": platform.node(),
        "started": started.isoformat(timespec="milliseconds"),
        "ended": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
        "peak_memory_mb": round(max(usage[0].ru_maxrss, usage[1].ru_maxrss) / 1024, 1),
        "log": str(log_path),
        "script": snakemake_script(rule),
    }
    record_path.parent.mkdir(parents=True, exist_ok=True)
    record_path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
