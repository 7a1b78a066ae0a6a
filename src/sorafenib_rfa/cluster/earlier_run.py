"""Jobs that an earlier run left behind: Snakemake was killed, or its machine went down, and Slurm carries on.

A Snakemake that is started again knows nothing of them: it would start the same jobs once more while the old ones still
write the same files. ``make`` waits for them; Snakemake called by itself stops and names them. What they finish counts:
the Snakemake inside each job leaves a note of it, as it would have with its run alive.
"""

from __future__ import annotations

import getpass
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from sorafenib_rfa.errors import Problem, UserError

MARKERS = ".snakemake/incomplete"
"""Here Snakemake notes each output whose job has begun, until it sees the job end."""
LOCKS = ".snakemake/locks"
LOGS = (".snakemake/slurm_logs", ".snakemake/cluster_logs")
"""Slurm's logs of jobs, by the profiles slurm and cluster-generic."""
ENDED = frozenset(
    ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT")
)
"""Slurm's words for jobs that do nothing any more."""
_SECONDS = 60
"""A controller that does not answer keeps its commands waiting for minutes."""


class StillAtWorkError(UserError):
    """Jobs of an earlier run still write to this folder."""

    title = "An earlier run is still at work"


@dataclass(frozen=True)
class Left:
    """One Slurm job of an earlier run.

    Attributes
    ----------
    slurm_id, state, name : str
        Slurm's number and word for its state; rule and wildcards.
    """

    slurm_id: str
    state: str
    name: str

    def __str__(self) -> str:
        """Return what a person is told."""
        return f"Slurm job {self.slurm_id}, {self.state.lower()}: {self.name}"


def _left_something(root: Path) -> bool:
    """Return whether a run with Slurm ended without having seen the end of all its jobs."""
    with_slurm = any((root / logs).is_dir() for logs in LOGS)
    return with_slurm and any(mark.is_file() for mark in (root / MARKERS).rglob("*"))


def left_at_work(root: Path) -> list[Left]:
    """Return the Slurm jobs that still run, or wait to run, for this folder; Snakemake must not be running in it.

    Parameters
    ----------
    root : Path
        The repository.

    Raises
    ------
    StillAtWorkError
        If there may be some, and Slurm does not answer.
    """
    if not _left_something(root):
        return []
    user, form = f"--user={getpass.getuser()}", "--format=%i|%T|%Z|%k"
    command = ["squeue", "--noheader", "--states=all", user, form]  # by default those that are suspended are left out
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
    except FileNotFoundError:
        sys.stderr.write(
            "Slurm jobs of an earlier run may still write here; there is no squeue on this machine to ask.\n"
        )
        return []
    except subprocess.TimeoutExpired:
        done = None
    if done is None or done.returncode != 0:
        raise StillAtWorkError(
            Problem(
                "Slurm jobs of an earlier run may still write here, and Slurm does not answer",
                found=(done.stderr.strip() or f"exit code {done.returncode}") if done else f"nothing in {_SECONDS} s",
                hint=f"try again when `squeue` does; if these jobs are gone for good: rm -r {MARKERS}",
            )
        )
    left = []
    for line in done.stdout.splitlines():
        slurm_id, state, folder, comment = line.strip().split("|", 3)
        ours = comment.startswith("rule_") and Path(folder).resolve() == root.resolve()
        if ours and state not in ENDED:
            left.append(Left(slurm_id, state, comment.removeprefix("rule_").replace("_wildcards_", " ")))
    return left


def refuse_while_at_work(root: Path) -> None:
    """Stop before a job is started that one of an earlier run still does.

    Raises
    ------
    StillAtWorkError
        Naming them.
    """
    left = left_at_work(root)
    if left:
        ids = " ".join(job.slurm_id for job in left)
        raise StillAtWorkError(
            Problem(
                str(job),
                hint=f"`make` waits for them, what they finish counts; or end them: scancel {ids}"
                if job is left[-1]
                else None,
            )
            for job in left
        )


def wait(root: Path, every_seconds: float = 5.0) -> None:
    """Return when no Slurm job of an earlier run works for this folder any more.

    Parameters
    ----------
    root : Path
        The repository.
    every_seconds : float
        How long to wait between two looks.
    """
    told: list[Left] = []
    # with a lock in place another Snakemake may be running: Snakemake says so itself
    while not any((root / LOCKS).glob("*")) and (left := left_at_work(root)):
        if left != told:
            listed = "\n".join(f"  {job}" for job in left)
            sys.stderr.write(f"Waiting for an earlier run (scancel ends them, Ctrl-C the waiting):\n{listed}\n")
            told = left
        time.sleep(every_seconds)


def main() -> int:
    """Wait for the jobs of an earlier run in this folder."""
    try:
        wait(Path.cwd())
    except UserError as error:
        sys.stderr.write(f"\n{error}\n\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
