"""A scratch copy of the repository in which results are made again, so that the tree itself stays untouched."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sorafenib_rfa.errors import Problem, UserError
from sorafenib_rfa.provenance.tree import Tree
from sorafenib_rfa.records.record import FAILED, FOLDER, Records

MADE: Final = ("results", "logs", "benchmarks/rules")
"""What runs leave behind; a scratch copy starts without."""
LEFT_OUT: Final = (
    "__pycache__",
    "*.egg-info",
    ".git",
    ".snakemake",
    ".venv",
    ".*_cache",
    ".cache",
    ".hypothesis",
    ".ipynb_checkpoints",
)
"""Names of what tools keep beside sources."""
LINKED_FROM_BYTES: Final = 50_000_000
"""Files from this size on are linked instead of copied; jobs only read them."""


class ScratchError(UserError):
    """The scratch copy cannot be made."""

    title = "The results cannot be made again"


@contextlib.contextmanager
def scratch_folder(purpose: str, *, keep: bool = False) -> Iterator[Path]:
    """Give a new folder outside the repository, removed in the end unless it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix=f"sorafenib-rfa-{purpose}-")).resolve()
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def copy_sources(root: Path, scratch: Path, records: Records | None = None) -> None:
    """Copy what a run starts from: no results, logs, caches or environments, and nothing that a recorded job made.

    Raw data of a cohort, which no job makes, are copied too, large ones linked. Symbolic links become links to what
    they point to.

    Parameters
    ----------
    root, scratch : Path
        Repository and an empty folder.
    records : Records, optional
        Files that these name as outputs (simulated exports, say) are left out.
    """
    made = {entry["path"] for record in (records or {}).values() for entry in record.outputs}
    own = scratch.resolve()  # lies below the root where temporary files are kept there
    skip = shutil.ignore_patterns(*LEFT_OUT)
    for folder, folders, files in os.walk(root):
        here = Path(folder).relative_to(root).as_posix()
        inside = "" if here == "." else f"{here}/"
        left_out = skip(folder, [*folders, *files])
        kept = []
        for name in sorted(folders):
            path = f"{inside}{name}"
            source = root / path
            if name in left_out or path in MADE or path in made:
                continue
            if source.resolve() == own:
                continue
            if (source / "pyvenv.cfg").exists() or (source / "conda-meta").exists():
                continue
            if source.is_symlink():
                _link(source, scratch / path)
                continue
            kept.append(name)
        folders[:] = kept
        for name in sorted(files):
            path = f"{inside}{name}"
            source, target = root / path, scratch / path
            if name in left_out or path in made or not source.exists():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_symlink() or source.stat().st_size >= LINKED_FROM_BYTES:
                _link(source, target)
            elif source.is_file():
                shutil.copy2(source, target)


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(source.resolve())


def unpack_revision(root: Path, revision: str, scratch: Path) -> str:
    """Unpack a git revision of the repository into an empty folder; return its full commit id.

    Raises
    ------
    ScratchError
        If this is no git repository or it has no such revision.
    """

    def git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True)
        except FileNotFoundError:
            raise ScratchError(Problem("git is not installed", hint="give a bundle instead")) from None

    found = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if found.returncode:
        known = git("rev-parse", "--is-inside-work-tree").returncode == 0
        raise ScratchError(
            Problem(
                f"there is no revision {revision!r}" if known else "this folder is no git repository",
                expected="a tag, branch or commit, or a bundle (.zip or folder)",
            )
        )
    commit = found.stdout.decode().strip()
    archive = scratch.parent / f"{scratch.name}.tar"
    try:
        done = git("archive", "--format=tar", f"--output={archive}", commit)
        if done.returncode:
            raise ScratchError(Problem("git archive failed", found=done.stderr.decode(errors="replace").strip()))
        with tarfile.open(archive) as tar:
            tar.extractall(scratch, filter="data")
    finally:
        archive.unlink(missing_ok=True)
    return commit


# --- running Snakemake ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Failure:
    """A job that failed, as its record tells it."""

    rule: str
    wildcards: dict[str, str]
    type: str
    message: str

    @property
    def title(self) -> str:
        """Rule and wildcards."""
        return " ".join([self.rule, *(str(value) for _, value in sorted(self.wildcards.items()))])


@dataclass(frozen=True)
class Rerun:
    """What came of running Snakemake.

    Attributes
    ----------
    returncode : int
    said : str
        The end of what Snakemake printed.
    failures : tuple of Failure
        Jobs that failed.
    """

    returncode: int
    said: str
    failures: tuple[Failure, ...] = ()


@dataclass
class Progress:
    """How far a run is; handed to whoever shows it."""

    done: int = 0
    total: int = 0
    running: list[str] = field(default_factory=list)


_STEPS = re.compile(r"^(\d+) of (\d+) steps \(")
_TOTAL = re.compile(r"^total\s+(\d+)\s*$")
_RULE = re.compile(r"^(?:local)?rule (\w+):$")


def command(*arguments: str) -> list[str]:
    """Return the command that runs this environment's Snakemake."""
    return [sys.executable, "-m", "snakemake", *arguments]


def environment() -> dict[str, str]:
    """Return the environment in which Snakemake runs: as `make paper` sets it, nothing of the caller's Python."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SNAKEMAKE_", "PYTHONPATH"))}
    return kept | {"PYTHONDONTWRITEBYTECODE": "", "PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C.UTF-8"}


def config_arguments(config: Mapping[str, Any]) -> list[str]:
    """Return ``--config`` with its values as YAML; nothing for an empty one."""
    return ["--config", *(f"{key}={json.dumps(value)}" for key, value in config.items())] if config else []


def config_for(root: Path, cohorts: Collection[str]) -> dict[str, Any]:
    """Return what Snakemake must be given so that it knows the cohorts whose jobs are asked for.

    Cohorts of the configuration that are not asked for are left out, since their raw data may not be here.
    """
    run = Tree(root).run
    chosen = run.get("cohort") or []
    main = [chosen] if isinstance(chosen, str) else list(chosen)
    supplement = list(run.get("supplement_cohorts") or [])
    if cohorts and not {*main, *supplement} <= set(cohorts):
        kept = [name for name in main if name in cohorts]
        return {
            "cohort": [*kept, *sorted(set(cohorts) - {*kept, *supplement})] or sorted(cohorts),
            "supplement_cohorts": [name for name in supplement if name in cohorts],
        }
    more = sorted(set(cohorts) - {*main, *supplement})
    return {"cohort": [*main, *more]} if more else {}


def run_snakemake(
    folder: Path,
    targets: Sequence[str],
    *,
    options: Collection[str] = (),
    config: Mapping[str, Any] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Rerun:
    """Run Snakemake in `folder` for `targets`; a failing run is an answer, not an exception.

    Ctrl-C ends Snakemake and its jobs and is passed on.
    """
    progress, lines = Progress(), []
    arguments = command(*targets, *options, "--nocolor", *config_arguments(config or {}))
    process = subprocess.Popen(
        arguments,
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        for line in process.stdout or ():
            lines.append(line.rstrip("\n"))
            del lines[:-400]
            text = line.strip()
            if match := _STEPS.match(text):
                progress.done, progress.total = int(match[1]), int(match[2])
            elif match := _TOTAL.match(text):
                progress.total = int(match[1])
            elif match := _RULE.match(text):
                progress.running = [*progress.running[-3:], match[1]]
            else:
                continue
            if on_progress is not None:
                on_progress(progress)
        process.wait()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise
    recorded = failures_in(folder)
    known = {failure.rule for failure in recorded}
    unrecorded = [failure for failure in failures_said(lines) if failure.rule not in known]
    return Rerun(process.returncode, "\n".join(lines), (*recorded, *unrecorded))


_FAILED_RULE = re.compile(r"^Error in rule (\w+):$")
_EXCEPTION = re.compile(r"^(\w*(?:Error|Exception|Interrupt|Exit))(?:: (.*))?$")


def failures_said(lines: Sequence[str]) -> list[Failure]:
    """Return the jobs that Snakemake reports as failed, for those that ended before they could leave a record.

    The last exception before each report is taken for its reason.
    """
    found: dict[str, Failure] = {}
    kind = message = ""
    for line in lines:
        text = line.strip()
        if match := _EXCEPTION.match(text):
            kind, message = match[1], match[2] or ""
        elif match := _FAILED_RULE.match(text):
            found.setdefault(match[1], Failure(match[1], {}, kind or "Error", message or "see Snakemake's log"))
            kind = message = ""
    return list(found.values())


def failures_in(folder: Path) -> list[Failure]:
    """Return the failed jobs that left a record below ``results``."""
    found = []
    for path in sorted((folder / "results").glob(f"*/{FOLDER}/{FAILED}/*/*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            error = content.get("error") or {}
            found.append(
                Failure(
                    str(content["rule"]),
                    dict(content.get("wildcards") or {}),
                    str(error.get("type", "")),
                    str(error.get("message", "")),
                )
            )
        except (OSError, ValueError, KeyError):
            continue
    return found


NO_RULE: Final = re.compile(r"No rule to produce (\S+)")


def make_again(
    folder: Path,
    targets: Sequence[str],
    *,
    config: Mapping[str, Any] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> tuple[Rerun, list[str]]:
    """Make `targets` in a scratch copy, as many as can be made.

    Returns
    -------
    Rerun
    list of str
        Targets that no rule of the workflow makes any more.
    """
    left, unknown = list(targets), []
    while True:
        rerun = run_snakemake(folder, left, options=("--keep-going",), config=config, on_progress=on_progress)
        found = NO_RULE.search(rerun.said) if rerun.returncode else None
        name = found[1] if found else None
        if name is None or name not in left:
            return rerun, unknown
        left.remove(name)
        unknown.append(name)
        if not left:
            return rerun, unknown
